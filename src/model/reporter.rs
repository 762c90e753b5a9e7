//! Names of failing tests, read from what known test runners print.
//!
//! A log that no runner here printed gives no names, and neither does one that is cut where they would stand. What a
//! test itself prints may look like a runner's words: names are told to people and decide nothing.

mod cargo;
mod go;
mod pytest;
mod script;
mod tap;

use crate::model::gate::FAILING_MAX;

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 200;

/// The tests that failed by `log`, each once, in the order in which they are told; at most [`FAILING_MAX`].
#[must_use]
pub fn failing(log: &str) -> Vec<String> {
    let plain = without_colour(log);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let readers =
        [cargo::by_cargo, cargo::by_nextest, pytest::read, go::plain, go::json, script::by_jest, script::by_vitest, tap::read];
    let mut names: Vec<String> = Vec::new();
    for name in readers.iter().flat_map(|read| read(&lines)) {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        if !name.is_empty() && !names.contains(&name) && names.len() < FAILING_MAX {
            names.push(name);
        }
    }
    names
}

/// The text without the sequences that colour it (`ESC [ … letter`).
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':' || c == '?'));
        // The last character is the command; what it is does not matter, nor that one may be cut off.
        rest = end.and_then(|end| sequence[end..].chars().next().map(|c| &sequence[end + c.len_utf8()..])).unwrap_or_default();
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_goes_and_the_words_stay() {
        assert_eq!(without_colour("\u{1b}[1m\u{1b}[38;5;9mFAIL\u{1b}[0m ä\u{1b}[31"), "FAIL ä");
        assert_eq!(without_colour("\u{1b}[ü\u{1b}x"), "\u{1b}x");
    }

    #[test]
    fn names_are_few_and_short_and_any_text_is_taken() {
        let many: Vec<String> = (0..90).map(|n| format!("not ok {n} - {}", "ä".repeat(300 + n))).collect();
        let names = failing(&format!("1..90\n{}", many.join("\n")));
        assert!(names.len() <= FAILING_MAX && names.iter().all(|name| name.chars().count() <= NAME_CHARS_MAX));
        for text in [
            "",
            "failures:",
            "FAIL",
            "FAIL\t",
            "--- FAIL: ",
            "{\"Action\":\"fail\"}",
            "  ● ",
            "not ok",
            "FAILED ",
            "Summary [\n[",
        ] {
            let _ = failing(text);
        }
    }
}
