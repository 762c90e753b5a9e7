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
    let indent = line.len() - line.trim_start_matches(' ').len();
    broken(line, most, &" ".repeat(indent.min(most / 2)))
}

/// A painted line in lines of at most `most` columns, broken between words; what follows the first is indented by two
/// columns more. A style that is open at a break is ended there and begun again.
pub(super) fn wrap_painted(line: &str, most: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    broken(line, most, &" ".repeat((indent + 2).min(most / 2)))
}

/// `line` broken into lines of at most `most` columns, of which all but the first begin with `hang`.
fn broken(line: &str, most: usize, hang: &str) -> Vec<String> {
    if painted_width(line) <= most {
        return vec![line.to_owned()];
    }
    let (mut lines, mut now, mut open) = (Vec::new(), String::new(), String::new());
    // Nothing is broken before the first word.
    let mut has_word = false;
    for piece in pieces(line) {
        let word = piece.trim_end_matches(' ');
        if has_word && painted_width(&now) + painted_width(word) > most {
            let ended = now.trim_end_matches(' ');
            lines.push(if open.is_empty() { ended.to_owned() } else { format!("{ended}{RESET}") });
            now = format!("{hang}{open}");
            has_word = false;
        }
        now.push_str(piece);
        has_word |= painted_width(word) > 0;
        open = style_after(open, piece);
    }
    lines.push(now.trim_end_matches(' ').to_owned());
    lines
}

const RESET: &str = "\u{1b}[0m";

/// The pieces of `line` between which it may be broken: words, each with the spaces that follow it, and characters of
/// scripts that are written without spaces.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            let Some((at, next)) = chars.peek().copied() else { break };
            if c == ' ' && next != ' ' || is_between_wide(c, next) {
                let (piece, after) = rest.split_at(at);
                rest = after;
                return Some(piece);
            }
        }
        (!rest.is_empty()).then(|| std::mem::take(&mut rest))
    })
}

/// Whether a line may be broken between two characters because one of them is wide: not before what closes, not after
/// what opens, and not within what is joined to one sign.
fn is_between_wide(before: char, after: char) -> bool {
    const CLOSING: &str = "、。，．・！？：；）」』】〉》〕ー…,.!?:;)]}";
    const OPENING: &str = "（「『【〈《〔([{";
    let width = |c: char| c.width().unwrap_or(0);
    (width(before) == 2 || width(after) == 2)
        && after != ' '
        && width(after) > 0
        && width(before) > 0
        && !CLOSING.contains(after)
        && !OPENING.contains(before)
}

/// The columns that `text` takes, in which only our own styles are escape sequences.
pub(super) fn painted_width(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, width);
    first + parts.map(|part| width(part.split_once('m').map_or(part, |(_, shown)| shown))).sum::<usize>()
}

/// The style that is open after `piece`, when `open` is before it.
fn style_after(open: String, piece: &str) -> String {
    let Some((_, last)) = piece.rsplit_once('\u{1b}') else { return open };
    let sequence = last.split_once('m').map_or(last, |(sequence, _)| sequence);
    if sequence == "[0" { String::new() } else { format!("\u{1b}{sequence}m") }
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
        assert_eq!(wrap("検査する、それから「直す」", 10), ["検査する、", "それから", "「直す」"]);
        assert_eq!(wrap("ab 🚀🚀🚀 👩\u{200d}🚀e", 8), ["ab 🚀🚀", "🚀 👩\u{200d}🚀e"]);
    }

    #[test]
    fn a_painted_line_is_broken_where_a_plain_one_is() {
        let plain = "  wi-a  one two three 検査 する";
        let painted = "  \u{1b}[2mwi-a\u{1b}[0m  \u{1b}[1mone two three 検査 する\u{1b}[0m";
        assert_eq!(wrap_painted(plain, 16), ["  wi-a  one two", "    three 検査", "    する"]);
        let lines = wrap_painted(painted, 16);
        assert_eq!(lines[1], "    \u{1b}[1mthree 検査\u{1b}[0m");
        assert!(lines.iter().all(|line| painted_width(line) <= 16 && line.ends_with(RESET)), "{lines:?}");
        assert_eq!(wrap_painted("a-word-that-is-too-long b", 10), ["a-word-that-is-too-long", "  b"]);
    }
}
