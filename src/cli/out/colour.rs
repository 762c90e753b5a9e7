//! Colour: what it says, and when it is used. Whatever it says stands in words too.

use crate::env::{self, Var};
use crate::model::bead::Status;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// Whether a stream gets colour that is a terminal or is none.
    #[must_use]
    pub fn is_for(self, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && env::os(Var::NoColor).is_none() && env::os(Var::Term).is_none_or(|term| term != "dumb"),
        }
    }

    /// The same for the help texts.
    #[must_use]
    pub const fn for_help(self) -> clap::ColorChoice {
        match self {
            Self::Auto => clap::ColorChoice::Auto,
            Self::Always => clap::ColorChoice::Always,
            Self::Never => clap::ColorChoice::Never,
        }
    }
}

/// What a colour says. The sixteen colours of the terminal's own theme are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Nothing.
    #[default]
    Plain,
    /// A title or a heading.
    Bold,
    /// Beside the point: ids, times, what is over.
    Dim,
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// Handed in, and being looked at.
    Review,
    /// Given to somebody who has not begun.
    Given,
    /// Put aside.
    Aside,
    /// Look at this soon.
    Warn,
    /// Look at this now.
    Bad,
}

impl Style {
    /// The style of a status.
    #[must_use]
    pub const fn of_status(status: &Status) -> Self {
        match status {
            Status::Open | Status::Other(_) => Self::Plain,
            Status::Hooked => Self::Given,
            Status::InProgress => Self::Busy,
            Status::InReview => Self::Review,
            Status::Blocked => Self::Bad,
            Status::Deferred | Status::Pinned => Self::Aside,
            Status::Closed => Self::Good,
        }
    }

    /// The style of a priority: critical and high stand out, backlog steps back.
    #[must_use]
    pub const fn of_priority(priority: u8) -> Self {
        match priority {
            0 => Self::Bad,
            1 => Self::Warn,
            2 => Self::Plain,
            _ => Self::Dim,
        }
    }

    /// The escape sequence that begins it; empty for plain text.
    const fn begin(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Busy | Self::Warn => "\u{1b}[33m",
            Self::Review => "\u{1b}[35m",
            Self::Given => "\u{1b}[36m",
            Self::Aside => "\u{1b}[34m",
            Self::Bad => "\u{1b}[1;31m",
        }
    }

    /// `text` in this style. It must have been escaped.
    #[must_use]
    pub(super) fn around(self, text: &str) -> String {
        match self.begin() {
            "" => text.to_owned(),
            _ if text.is_empty() => String::new(),
            begin => format!("{begin}{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_unless_asked_for_or_refused() {
        assert!(Color::Always.is_for(false) && !Color::Never.is_for(true) && !Color::Auto.is_for(false));
    }

    #[test]
    fn what_was_begun_is_ended() {
        assert_eq!(Style::Bad.around("x"), "\u{1b}[1;31mx\u{1b}[0m");
        assert_eq!((Style::Plain.around("x"), Style::Bad.around("")), ("x".into(), String::new()));
    }
}
