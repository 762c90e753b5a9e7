//! The Test Anything Protocol, with subtests.

/// `not ok 2 - name`, where a plan or a version says that it is TAP. A test within another is named with it.
pub(super) fn read(lines: &[&str]) -> Vec<String> {
    let is_plan =
        |line: &str| line.strip_prefix("1..").is_some_and(|n| n.split(' ').next().is_some_and(|n| n.parse::<u32>().is_ok()));
    if !lines.iter().any(|line| line.starts_with("TAP version ") || is_plan(line)) {
        return Vec::new();
    }
    // Those of which it is not yet known what they are within: the one that holds them comes after them.
    let mut failed: Vec<(usize, String)> = Vec::new();
    for line in lines {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        let (is_ok, rest) = match (text.strip_prefix("not ok"), text.strip_prefix("ok")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => continue,
        };
        if !rest.is_empty() && !rest.starts_with(' ') {
            continue;
        }
        let (name, is_excused) = name_in(rest.trim());
        let at = failed.iter().position(|(within, _)| *within > depth).unwrap_or(failed.len());
        let inner = failed.split_off(at);
        if is_ok || is_excused {
            continue;
        }
        if inner.is_empty() {
            failed.push((depth, name));
        } else {
            failed.extend(inner.into_iter().map(|(_, test)| (depth, format!("{name} > {test}"))));
        }
    }
    failed.into_iter().map(|(_, name)| name).collect()
}

/// The name in `2 - name # directive why`, and whether it may fail.
fn name_in(text: &str) -> (String, bool) {
    let directive = text.match_indices(" # ").map(|(at, _)| at).chain(text.starts_with("# ").then_some(0)).find(|at| {
        let word = text[*at..].trim_start_matches([' ', '#']).to_ascii_lowercase();
        word.starts_with("todo") || word.starts_with("skip")
    });
    let bare = text[..directive.unwrap_or(text.len())].trim();
    let number: String = bare.chars().take_while(char::is_ascii_digit).collect();
    let name = bare[number.len()..].trim_start().trim_start_matches("- ").trim();
    let name = if name.is_empty() { format!("test {number}") } else { name.replace("\\#", "#") };
    (name, directive.is_some())
}
