//! pytest: its short summary.

/// `FAILED file::name - why` and `ERROR file::name - why` below `short test summary info`.
pub(super) fn read(lines: &[&str]) -> Vec<String> {
    let is_rule = |line: &str| line.starts_with('=') && line.ends_with('=');
    let is_summary = |line: &str| is_rule(line) && line.contains(" short test summary info ");
    let below = lines.iter().skip_while(|line| !is_summary(line)).skip(1).take_while(|line| !is_rule(line));
    below.filter_map(|line| line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR "))).map(name_in).collect()
}

/// The name ends before ` - `, unless that stands in the brackets of its parameters.
fn name_in(text: &str) -> String {
    let bracket = text.find('[').filter(|at| text.find(" - ").is_none_or(|dash| *at < dash));
    let from = bracket.and_then(|at| text[at..].find("] - ").map(|end| at + end)).unwrap_or(0);
    let end = text[from..].find(" - ").map_or(text.len(), |dash| from + dash);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_in_a_parameter_is_part_of_the_name() {
        assert_eq!(name_in("a.py::t[x - y] - assert 1 - 2"), "a.py::t[x - y]");
        assert_eq!(name_in("a.py::t - expected [1] - got [2]"), "a.py::t");
        assert_eq!(name_in("a.py"), "a.py");
    }
}
