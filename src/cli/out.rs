//! The one place that prints: an outcome for people or as JSON, errors, and notes beside them.
//!
//! Data goes to standard output, everything else to standard error. Text of foreign origin reaches a
//! terminal only through [`escape`].

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use serde::Serialize;

use crate::error::Error;

/// An outcome of a command: serialized for programs, shown to people.
pub trait Show: Serialize {
    /// Writes it for a person.
    fn show(&self, page: &mut Page);

    /// 0, or 1 when the answer to a question is no or none.
    fn exit_code(&self) -> u8 {
        0
    }
}

/// What a person reads.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Adds a line; the caller escapes foreign parts with [`escape`].
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Adds several lines of foreign text, each indented by `indent` spaces and escaped.
    pub fn block(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.0, "{:indent$}{}", "", escape(line));
        }
    }

    /// Adds rows in aligned columns under a heading; cells are escaped, the last one is not padded.
    pub fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) {
        let mut cells: Vec<Vec<String>> = vec![heading.iter().map(|cell| (*cell).to_owned()).collect()];
        cells.extend(rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()));
        let widths: Vec<usize> = (0..heading.len())
            .map(|n| cells.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        for row in cells {
            let mut line = String::new();
            for (n, cell) in row.iter().enumerate() {
                let pad = if n + 1 == row.len() {
                    0
                } else {
                    widths.get(n).copied().unwrap_or(0).saturating_sub(cell.chars().count()) + 2
                };
                let _ = write!(line, "{cell}{:pad$}", "");
            }
            self.line(line.trim_end());
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Makes foreign text safe for a terminal: control, C1 and bidirectional characters become `\u{…}`.
#[must_use]
pub fn escape(text: &str) -> String {
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => safe.push_str("    "),
            c if is_unsafe(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Shortens `text` to `most` characters, with an ellipsis where something is missing.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// How a command's results are printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Out {
    /// JSON instead of text.
    pub json: bool,
    /// No notes.
    pub quiet: bool,
}

impl Out {
    /// Prints an outcome and tells the exit code.
    pub fn show<T: Show>(&self, outcome: &T) -> u8 {
        let text = if self.json {
            serde_json::to_string_pretty(outcome)
                .unwrap_or_else(|error| format!("{{\"error\":{{\"kind\":\"bug\",\"message\":\"{error}\"}}}}"))
                + "\n"
        } else {
            let mut page = Page::default();
            outcome.show(&mut page);
            page.into_text()
        };
        // Whoever closed the pipe has read enough.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        let _ = std::io::stdout().flush();
        outcome.exit_code()
    }

    /// Prints an error and tells the exit code.
    pub fn error(&self, error: &Error) -> u8 {
        let hint = error.hint.as_deref().unwrap_or_else(|| error.kind.hint());
        if self.json {
            let value = serde_json::json!({"error": {"kind": error.kind.word(), "message": error.line(), "hint": hint}});
            let _ = writeln!(std::io::stdout().lock(), "{value:#}");
        } else {
            let text = format!("gt: {}\nhint: {}\n", escape(&error.line()), escape(hint));
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
        error.kind.exit_code()
    }

    /// Prints a note beside the data.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{}", escape(text));
        }
    }

    /// Notes that what could not be carried to other scopes now goes with the next command; what was done stands.
    pub fn note_undelivered<T>(&self, delivered: crate::error::Result<T>) {
        if let Err(error) = delivered {
            self.note(&format!("some mail could not be delivered yet: {}", error.line()));
        }
    }

    /// Tells a person what happens while it happens: on standard output, or beside the document with `--json`.
    pub fn tell(&self, line: &str) {
        if self.json {
            return self.note(line);
        }
        let _ = writeln!(std::io::stdout().lock(), "{}", escape(line));
    }

    /// A sink for progress lines: one line rewritten on a terminal, a line now and then elsewhere.
    pub fn progress(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let (quiet, terminal) = (self.quiet, std::io::stderr().is_terminal());
        // Elsewhere than on a terminal, what ends soon needs no line at all.
        let last = std::sync::Mutex::new(if terminal { None } else { Some(crate::time::Stopwatch::start()) });
        move |line: &str| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let is_due = last.is_none_or(|watch| watch.millis() > if terminal { 100 } else { 3_000 });
            if quiet || !is_due {
                return;
            }
            *last = Some(crate::time::Stopwatch::start());
            let text = if terminal { format!("\r\u{1b}[K{}\r", escape(line)) } else { format!("{}\n", escape(line)) };
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        for bad in ["\u{1b}]0;x\u{7}", "\u{9b}31m", "a\u{202e}b", "a\rb", "a\nb"] {
            let safe = escape(bad);
            assert!(!safe.chars().any(char::is_control) && !safe.contains('\u{202e}'), "{safe}");
        }
        assert_eq!(escape("Größe 🚀"), "Größe 🚀");
    }

    #[test]
    fn columns_line_up() {
        let mut page = Page::default();
        page.table(&["ID", "TITLE"], &[vec!["wi-a".into(), "x".into()], vec!["wi-abcde".into(), "y".into()]]);
        assert_eq!(page.into_text(), "ID        TITLE\nwi-a      x\nwi-abcde  y\n");
    }
}
