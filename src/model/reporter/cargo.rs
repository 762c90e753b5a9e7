//! `cargo test` and `cargo nextest`.

/// The list that libtest prints last: `failures:`, the names, an empty line, the result. A test's own output may hold
/// lines such as `test x ... FAILED`, which are not believed.
pub(super) fn by_cargo(lines: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut list: Option<Vec<String>> = None;
    for line in lines {
        if *line == "failures:" {
            list = Some(Vec::new());
        } else if line.starts_with("test result: FAILED") {
            names.extend(list.take().unwrap_or_default());
        } else if let (Some(list), Some(name)) = (&mut list, line.strip_prefix("    ")) {
            list.push(name.to_owned());
        } else if !line.is_empty() {
            list = None;
        }
    }
    names
}

/// The lines below nextest's summary: `FAIL [   0.005s] (1/5) shop tests::panics`.
pub(super) fn by_nextest(lines: &[&str]) -> Vec<String> {
    let is_summary = |line: &&&str| line.trim_start().starts_with("Summary [");
    let below = lines.iter().skip_while(|line| !is_summary(line)).skip(1);
    below.filter_map(|line| failed_of_nextest(line.trim_start())).collect()
}

fn failed_of_nextest(line: &str) -> Option<String> {
    let (status, rest) = line.split_once(" [")?;
    let is_bad = status.split(' ').any(|word| matches!(word, "FAIL" | "TIMEOUT" | "ABORT") || word.starts_with("SIG"));
    let (_, name) = rest.split_once("] ").filter(|_| is_bad)?;
    let name = name.trim_start();
    // Newer versions count: `(1/5)`.
    let counted = name.strip_prefix('(').and_then(|counted| counted.split_once(") "));
    Some(counted.map_or(name, |(_, name)| name).trim_start().to_owned())
}
