//! Two texts beside each other: what went, what came, and three lines around it.

use similar::{ChangeTag, TextDiff};

use super::colour::Style;
use super::escape;

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// How long the comparison may take; then it is coarser.
const DEADLINE: std::time::Duration = std::time::Duration::from_millis(500);

/// The lines of a comparison, each with its style; foreign text is escaped. Nothing when the texts are the same.
pub(super) fn lines(old: &str, new: &str) -> Vec<(Style, String)> {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(old, new);
    let mut lines = Vec::new();
    for (n, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if n > 0 {
            lines.push((Style::Dim, "…".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (style, sign) = match change.tag() {
                ChangeTag::Delete => (Style::Bad, '-'),
                ChangeTag::Insert => (Style::Good, '+'),
                ChangeTag::Equal => (Style::Plain, ' '),
            };
            let text = change.value().trim_end_matches(['\n', '\r']);
            lines.push((style, format!("{sign} {}", escape(text)).trim_end().to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_what_stands_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let new = "one\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\u{1b}[2J";
        let said: Vec<String> = lines(old, new).into_iter().map(|(_, line)| line).collect();
        let wanted = ["- 1", "+ one", "  2", "  3", "  4", "…", "  9", "  10", "  11", "- 12", "+ 12\\u{1b}[2J"];
        assert_eq!(said, wanted);
        assert_eq!(lines("same", "same"), []);
    }
}
