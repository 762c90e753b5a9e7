//! The one place that prints: an outcome for people or as JSON, errors, and notes beside them.
//!
//! Data goes to standard output, everything else to standard error. Text of foreign origin reaches a
//! terminal only through [`escape`], which the parts of a [`Page`] apply by themselves. On a terminal a page fits its
//! width, has colour and goes through a pager when it is long; elsewhere it is the same for everybody.

pub mod ago;
mod bar;
mod colour;
mod diff;
mod page;
mod table;
mod width;

use std::io::{IsTerminal, Write as _};

use schemars::JsonSchema;
use serde::Serialize;

pub use colour::{Color, Style};
pub use page::{Page, Paper};
pub use table::Cell;
pub use width::{cut_end, width};

use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::obeyed::is_obeyed;
use crate::runtime::pager;

/// An outcome of a command: serialized for programs, by a schema that is published, and shown to people.
pub trait Show: Serialize + JsonSchema {
    /// Writes it for a person.
    fn show(&self, page: &mut Page);

    /// What a person is told beside an empty page; empty, when that says it all.
    fn nothing(&self) -> &'static str {
        ""
    }

    /// 0, or 1 when the answer to a question is no or none.
    fn exit_code(&self) -> u8 {
        0
    }
}

/// Makes foreign text safe for a terminal: control, C1, bidirectional and tag characters and separators of lines become
/// `\u{…}`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => safe.push_str("    "),
            c if is_obeyed(c) => safe.extend(c.escape_unicode()),
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

/// Writes `bytes` to standard output, and through what it keeps back.
fn print(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Whoever closed the pipe has read enough; everything else is an error.
fn unless_closed(printed: std::io::Result<()>) -> std::io::Result<()> {
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// How a command's results are printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Out {
    /// JSON instead of text.
    pub json: bool,
    /// No notes.
    pub quiet: bool,
    /// What standard output and standard error are.
    pub paper: Paper,
}

/// The pager when none is named: it ends by itself when all fits, keeps colour, leaves the screen as it is, and ends
/// with us when we are interrupted.
const PAGER: &str = "less -FRXK";

impl Out {
    /// Prints an outcome and tells the exit code.
    pub fn show<T: Show>(&self, outcome: &T) -> u8 {
        let text = if self.json {
            serde_json::to_string_pretty(outcome)
                .unwrap_or_else(|error| format!("{{\"error\":{{\"kind\":\"bug\",\"message\":\"{error}\"}}}}"))
                + "\n"
        } else {
            let mut page = Page::on(self.paper);
            outcome.show(&mut page);
            page.into_text()
        };
        if !self.json && self.is_paged(&text) {
            return outcome.exit_code();
        }
        if text.is_empty() && !outcome.nothing().is_empty() {
            self.note(outcome.nothing());
        }
        self.answered(print(text.as_bytes()), outcome.exit_code())
    }

    /// `code`, when all of an answer could be written; else what went wrong is told on standard error, and the code of that.
    #[must_use]
    pub fn answered(&self, printed: std::io::Result<()>, code: u8) -> u8 {
        let Err(error) = unless_closed(printed) else { return code };
        // What the command did is done: only its answer is lost.
        let lost = Error::io("write to standard output").caused_by(error);
        let lost = lost.hint("what the command did stands; ask for it again where there is room");
        Out { json: false, ..*self }.error(&lost)
    }

    /// Draws a page over the terminal's screen.
    pub fn redraw<T: Show>(&self, outcome: &T) {
        let mut page = Page::on(self.paper);
        outcome.show(&mut page);
        let rows = self.paper.terminal.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(1));
        let mut text: Vec<String> = page.into_text().lines().map(str::to_owned).collect();
        if text.len() > rows {
            let left = text.split_off(rows.saturating_sub(1)).len();
            text.push(format!("… {left} lines more, for which the window is too low"));
        }
        // A terminal that went away ends the command by a signal.
        let _ = print(format!("\u{1b}[H\u{1b}[2J{}\n", text.join("\n")).as_bytes());
    }

    /// Shows `text` in a pager when standard output is a terminal and too low for it; tells whether it did.
    fn is_paged(&self, text: &str) -> bool {
        let Some((_, rows)) = self.paper.terminal else { return false };
        if text.lines().count() < rows || !std::io::stdin().is_terminal() {
            return false;
        }
        let named = env::text(Var::GtPager).or_else(|| env::text(Var::Pager)).unwrap_or_else(|| PAGER.to_owned());
        // `cat` is how people say that they want none.
        named != "cat" && pager::shows(&named, text)
    }

    /// Runs `write` on standard output, for what is a stream of lines with and without `--json`.
    ///
    /// # Errors
    /// Those of `write`, and that standard output takes nothing more; whoever closed the pipe has read enough, which is none.
    pub fn stream<T>(&self, write: impl FnOnce(&mut dyn std::io::Write) -> Result<T>) -> Result<T> {
        struct Sink(std::io::BufWriter<std::io::StdoutLock<'static>>, bool);
        impl Sink {
            fn unless_closed<T>(&mut self, done: std::io::Result<T>, instead: T) -> std::io::Result<T> {
                match done {
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                        self.1 = true;
                        Ok(instead)
                    }
                    done => done,
                }
            }
        }
        impl std::io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                if self.1 {
                    return Ok(bytes.len());
                }
                let done = self.0.write(bytes);
                self.unless_closed(done, bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                if self.1 {
                    return Ok(());
                }
                let done = self.0.flush();
                self.unless_closed(done, ())
            }
        }
        let mut sink = Sink(std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock()), false);
        let done = write(&mut sink)?;
        sink.flush().or_fail(Kind::Io, || "write to standard output")?;
        Ok(done)
    }

    /// Prints an error and tells the exit code.
    pub fn error(&self, error: &Error) -> u8 {
        let hint = error.hint.as_deref().unwrap_or_else(|| error.kind.hint());
        if self.json {
            let value = serde_json::json!({"error": {"kind": error.kind.word(), "message": error.line(), "hint": hint}});
            if unless_closed(print(format!("{value:#}\n").as_bytes())).is_err() {
                return Out { json: false, ..*self }.error(error);
            }
        } else {
            let text = format!(
                "{}{}\n{}{}\n",
                self.beside(Style::Bad, "gt: "),
                escape(&error.line()),
                self.beside(Style::Given, "hint: "),
                escape(hint)
            );
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
        error.kind.exit_code()
    }

    /// Prints a note beside the data.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{}", self.beside(Style::Dim, &escape(text)));
        }
    }

    /// Safe text for standard error, in `style` where that has colour.
    fn beside(&self, style: Style, text: &str) -> String {
        if self.paper.is_coloured_beside { style.around(text) } else { text.to_owned() }
    }

    /// Notes that what could not be carried to other scopes now goes with the next command; what was done stands.
    pub fn note_undelivered<T>(&self, delivered: Result<T>) {
        if let Err(error) = delivered {
            self.note(&format!("some mail could not be delivered yet: {}", error.line()));
        }
    }

    /// Tells a person what happens while it happens: on standard output, or beside the document with `--json`.
    pub fn tell(&self, line: &str) {
        if self.json {
            return self.note(line);
        }
        // What cannot be told now is told of at the end, when the outcome cannot be either.
        let _ = print(format!("{}\n", escape(line)).as_bytes());
    }

    /// Tells one of many outcomes while a command goes on: as a page, or with `--json` as a document on one line.
    pub fn tell_record<T: Show>(&self, outcome: &T) {
        let text = if self.json {
            serde_json::to_string(outcome).unwrap_or_default() + "\n"
        } else {
            let mut page = Page::on(self.paper);
            outcome.show(&mut page);
            page.into_text()
        };
        // As in `tell`.
        let _ = print(text.as_bytes());
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
}
