//! jest and vitest.

/// `FAIL file`, and below it `  ● suite › test`.
pub(super) fn by_jest(lines: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut file: Option<&str> = None;
    for line in lines {
        if let Some(rest) = line.strip_prefix("FAIL ").filter(|rest| !rest.starts_with(' ')) {
            // A slow file has its time behind it.
            file = Some(rest.split_once(" (").map_or(rest, |(name, _)| name));
        } else if line.starts_with("PASS ") || line.starts_with("Test Suites:") {
            file = None;
        } else if let (Some(file), Some(test)) = (file, line.strip_prefix("  ● ")) {
            match test {
                "Console" => {}
                "Test suite failed to run" => names.push(file.to_owned()),
                test => names.push(format!("{file} › {test}")),
            }
        }
    }
    names
}

/// ` FAIL  file > suite > test`, and ` FAIL  file [ file ]` for a file that cannot be loaded.
pub(super) fn by_vitest(lines: &[&str]) -> Vec<String> {
    let failed = lines.iter().filter_map(|line| line.strip_prefix(" FAIL  "));
    failed.map(|rest| rest.split_once(" [ ").map_or(rest, |(file, _)| file).to_owned()).collect()
}
