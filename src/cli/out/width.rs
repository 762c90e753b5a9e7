//! How wide text is on a terminal, and text made to fit: an ideograph takes two columns, an accent none.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns that `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The spaces that make `text` as wide as `room`.
pub(super) fn pad(text: &str, room: usize) -> String {
    " ".repeat(room.saturating_sub(width(text)))
}

/// The beginning of `text` in at most `most` columns, with an ellipsis when something is missing.
#[must_use]
pub fn cut_end(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > most {
            break;
        }
        cut.push(c);
    }
    cut.truncate(cut.trim_end().len());
    if most > 0 { cut + "…" } else { cut }
}

/// The end of `text` in at most `most` columns, with an ellipsis when something is missing.
#[must_use]
pub fn cut_start(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut kept = text.len();
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used + 1 > most {
            break;
        }
        kept = at;
    }
    if most > 0 { format!("…{}", &text[kept..]) } else { String::new() }
}

/// `line` in lines of at most `most` columns, broken between words; its own indentation is kept.
pub(super) fn wrap(line: &str, most: usize) -> Vec<String> {
    if width(line) <= most {
        return vec![line.to_owned()];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').take(most / 2).collect();
    let mut lines = Vec::new();
    let mut now = indent.clone();
    for word in line.split_whitespace() {
        let is_first = now.trim().is_empty();
        if !is_first && width(&now) + 1 + width(word) > most {
            lines.push(std::mem::replace(&mut now, indent.clone()));
        } else if !is_first {
            now.push(' ');
        }
        now.push_str(word);
    }
    lines.push(now);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_so() {
        assert_eq!((cut_end("abcdef", 4), cut_start("abcdef", 4)), ("abc…".into(), "…def".into()));
        assert_eq!((cut_end("検査する", 5), cut_end("検査する", 4)), ("検査…".into(), "検…".into()));
        assert_eq!((cut_end("abc", 3), cut_end("abc", 0), cut_start("abc", 1)), ("abc".into(), String::new(), "…".into()));
        assert_eq!(cut_end("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("https://example.org/a-long-one is it", 10), ["https://example.org/a-long-one", "is it"]);
        assert_eq!(wrap("", 10), [""]);
    }
}
