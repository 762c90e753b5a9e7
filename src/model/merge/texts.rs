//! Line merge of long texts.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A text out of two, and whether edits overlapped so that one side's had to yield there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedText {
    /// The text.
    pub text: String,
    /// Whether something of the yielding side is missing in it.
    pub is_overlapping: bool,
}

/// A changed range of base lines and the lines that replace it.
struct Hunk {
    base: Range<usize>,
    new: Range<usize>,
}

/// Merges `stronger` and `weaker`, both edits of `base`, by lines; where they overlap the stronger one stands.
///
/// With `appends`, lines that both inserted at one place are both kept, the weaker one's first: notes grow.
/// Edits of neighbouring lines count as overlapping, as in git.
#[must_use]
pub fn merge_texts(base: &str, stronger: &str, weaker: &str, appends: bool) -> MergedText {
    let (base, strong, weak) = (lines(base), lines(stronger), lines(weaker));
    let strong_hunks = hunks(&base, &strong);
    let weak_hunks = hunks(&base, &weak);
    let (mut s, mut w) = (strong_hunks.iter().peekable(), weak_hunks.iter().peekable());
    let mut merged: Vec<&str> = Vec::new();
    let mut is_overlapping = false;
    let mut at = 0;
    while s.peek().is_some() || w.peek().is_some() {
        let start = s.peek().iter().chain(w.peek().iter()).map(|hunk| hunk.base.start).min().unwrap_or(at);
        merged.extend(&base[at..start]);
        let (mut end, mut of_strong, mut of_weak) = (start, Vec::new(), Vec::new());
        loop {
            if let Some(hunk) = s.next_if(|hunk| hunk.base.start <= end) {
                end = end.max(hunk.base.end);
                of_strong.push(hunk);
            } else if let Some(hunk) = w.next_if(|hunk| hunk.base.start <= end) {
                end = end.max(hunk.base.end);
                of_weak.push(hunk);
            } else {
                break;
            }
        }
        let strong_text = rewrite(&base, &strong, start..end, &of_strong);
        let weak_text = rewrite(&base, &weak, start..end, &of_weak);
        if of_strong.is_empty() {
            merged.extend(weak_text);
        } else if of_weak.is_empty() || strong_text == weak_text {
            merged.extend(strong_text);
        } else if appends && start == end {
            merged.extend(weak_text);
            merged.extend(strong_text);
        } else {
            is_overlapping = true;
            merged.extend(strong_text);
        }
        at = end;
    }
    merged.extend(&base[at..]);
    MergedText { text: merged.join("\n"), is_overlapping }
}

/// Lines without their ends; joining them with newlines gives the text back.
fn lines(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('\n').collect() }
}

fn hunks(base: &[&str], new: &[&str]) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, base, new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (base, new) = (op.old_range(), op.new_range());
        match hunks.last_mut().filter(|last| last.base.end == base.start && last.new.end == new.start) {
            Some(last) => (last.base.end, last.new.end) = (base.end, new.end),
            None => hunks.push(Hunk { base, new }),
        }
    }
    hunks
}

/// The lines that one side has for `range` of the base.
fn rewrite<'t>(base: &[&'t str], new: &[&'t str], range: Range<usize>, hunks: &[&Hunk]) -> Vec<&'t str> {
    let mut text = Vec::new();
    let mut at = range.start;
    for hunk in hunks {
        text.extend(&base[at..hunk.base.start]);
        text.extend(&new[hunk.new.clone()]);
        at = hunk.base.end;
    }
    text.extend(&base[at..range.end]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, strong: &str, weak: &str) -> (String, bool) {
        let merged = merge_texts(base, strong, weak, false);
        (merged.text, merged.is_overlapping)
    }

    #[test]
    fn edits_of_different_lines_both_stand() {
        assert_eq!(merged("a\nb\nc\nd", "A\nb\nc\nd", "a\nb\nc\nd\ne"), ("A\nb\nc\nd\ne".into(), false));
        assert_eq!(merged("a\nb\nc", "b\nc", "a\nb"), ("b".into(), false));
        assert_eq!(merged("", "x\n", "x\n"), ("x\n".into(), false));
    }

    #[test]
    fn where_edits_overlap_the_stronger_one_stands() {
        assert_eq!(merged("a\nb\nc", "a\nX\nc", "a\nY\nc"), ("a\nX\nc".into(), true));
        assert_eq!(merged("", "mine", "yours"), ("mine".into(), true));
        assert_eq!(merged("a\nb\nc\nd\ne", "a\nX\nc\nd\ne", "a\nY\nc\nd\nE"), ("a\nX\nc\nd\nE".into(), true));
    }

    #[test]
    fn notes_that_both_appended_are_both_kept() {
        let merged = merge_texts("a", "a\nlate", "a\nearly", true);
        assert_eq!(merged, MergedText { text: "a\nearly\nlate".into(), is_overlapping: false });
        let merged = merge_texts("", "late", "early", true);
        assert_eq!(merged.text, "early\nlate");
    }
}
