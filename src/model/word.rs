//! Words in passing between machines: nudges, and what a screen shows. They ride on the beat of the machine that says
//! them, enter no history, and are gone when their time is up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::record::SCHEMA_VERSION;
use crate::time::Moment;

/// How long a word is carried that says nothing else: by then the machine it is for has synced, or is away.
pub const CARRIED_MILLIS: u64 = 30 * 60_000;
/// How long an urgent nudge is carried.
pub const URGENT_MILLIS: u64 = 2 * 3_600_000;
/// The most words that a machine carries for others at a time.
pub const CARRIED_MAX: usize = 200;
/// The largest word, in bytes as it is carried.
pub const WORD_BYTES_MAX: usize = 128 << 10;

/// One word to one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Schema version.
    pub v: u64,
    /// Its id; whoever hears it twice acts once.
    pub id: String,
    /// Id of the machine it is for.
    pub to: String,
    /// Id of the machine that says it.
    pub from: String,
    /// When it was said, by the clock there.
    pub said_at: Moment,
    /// What is said.
    #[serde(flatten)]
    pub saying: Saying,
}

/// What is said. Kinds of a newer version cannot be read and are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Saying {
    /// A nudge for an agent there.
    Nudge(Nudge),
    /// What does the screen of an agent there show?
    Peek {
        /// The agent.
        agent: Address,
        /// How many lines, at most [`LINES_MAX`].
        lines: usize,
    },
    /// It shows this.
    Screen(Screen),
}

impl Word {
    /// A word that is said now.
    #[must_use]
    pub fn new(id: String, from: &str, to: &str, saying: Saying, now: Moment) -> Self {
        Self { v: SCHEMA_VERSION, id, to: to.to_owned(), from: from.to_owned(), said_at: now, saying }
    }

    /// Whether its time is up at `now`, by the clock of the machine that said it.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        let life = match &self.saying {
            Saying::Nudge(nudge) => nudge.life_millis(),
            Saying::Peek { .. } | Saying::Screen(_) => CARRIED_MILLIS,
        };
        now.millis_since(self.said_at) >= life
    }
}

/// The most characters of a nudge; what is longer is mail.
pub const NUDGE_CHARS_MAX: usize = 2_000;

/// A few words to a running agent, told at its next turn.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Nudge {
    /// Whom.
    pub agent: Address,
    /// Who says it.
    pub by: String,
    /// What.
    pub text: String,
    /// Whether it lives longer and is told first.
    #[serde(default)]
    pub is_urgent: bool,
}

impl Nudge {
    /// How long it waits for the agent's next turn.
    #[must_use]
    pub fn life_millis(&self) -> u64 {
        if self.is_urgent { URGENT_MILLIS } else { CARRIED_MILLIS }
    }
}

/// The most lines of a screen that are shown of an agent elsewhere.
pub const LINES_MAX: usize = 100;
/// The most characters of each.
const LINE_CHARS_MAX: usize = 240;

/// The last lines that a session showed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Screen {
    /// Whose.
    pub agent: Address,
    /// The session; `None`, when the agent never had one.
    pub session: Option<String>,
    /// Whether it runs.
    pub is_running: bool,
    /// What it works on; empty when nothing.
    #[serde(default)]
    pub bead: String,
    /// The lines, oldest first.
    pub lines: Vec<String>,
    /// When it was looked at.
    pub seen_at: Moment,
}

/// The last `most` lines of what a program wrote to a terminal or log, as they would stand there: without sequences that
/// colour and move, and of a line that was written over what was written last.
#[must_use]
pub fn last_lines(output: &str, most: usize) -> Vec<String> {
    let plain = without_sequences(output);
    let mut lines: Vec<String> = plain
        .trim_end_matches(['\n', '\r'])
        .split('\n')
        .map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().trim_end().to_owned())
        .collect();
    if lines.iter().all(String::is_empty) {
        return Vec::new();
    }
    lines.drain(..lines.len().saturating_sub(most));
    lines
}

/// The same, cut to what is sent to another machine.
#[must_use]
pub fn bounded(lines: Vec<String>, most: usize) -> Vec<String> {
    let cut = |line: String| match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    };
    let skipped = lines.len().saturating_sub(most.min(LINES_MAX));
    lines.into_iter().skip(skipped).map(cut).collect()
}

/// The text without control sequences (ECMA-48: `CSI … final`, `OSC … BEL|ST`, two-character escapes) and other control
/// characters but tabs, line feeds and carriage returns.
fn without_sequences(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']' | 'P' | '_' | '^' | 'X') => skip_string(&mut rest),
                // Those that choose a character set have one more.
                Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => drop(rest.next()),
                _ => {}
            },
            '\u{9b}' => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            '\u{90}' | '\u{9d}' | '\u{9e}' | '\u{9f}' | '\u{98}' => skip_string(&mut rest),
            '\n' | '\r' | '\t' => plain.push(c),
            '\u{8}' => drop(plain.pop()),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Passes over a control string up to its end, which is BEL or ST; one without an end ends with its line.
fn skip_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if rest.peek() == Some(&'\\') => {
                rest.next();
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_what_would_stand_there() {
        let output = "start\r\n\u{1b}[31mred\u{1b}[0m text\n 10 %\r 50 %\rdone   \n\u{1b}]0;title\u{7}last\u{1b}(B line\n\n";
        assert_eq!(last_lines(output, 10), ["start", "red text", "done", "last line"]);
        assert_eq!(last_lines(output, 2), ["done", "last line"]);
        assert_eq!(last_lines("ab\u{8}c\u{9b}2Jd\u{0}", 5), ["acd"]);
        assert_eq!(last_lines("\u{1b}]never ended\nnext", 5), ["", "next"]);
        for nothing in ["", "\n\n", "\u{1b}[2J"] {
            assert!(last_lines(nothing, 5).is_empty());
        }
    }

    #[test]
    fn what_is_sent_is_bounded() {
        let lines: Vec<String> = (0..300).map(|n| format!("{n} {}", "ä".repeat(500))).collect();
        let sent = bounded(lines, 1_000);
        assert_eq!(sent.len(), LINES_MAX);
        assert!(sent[0].starts_with("200 ") && sent.iter().all(|line| line.chars().count() <= LINE_CHARS_MAX + 1));
        let bytes: usize = sent.iter().map(String::len).sum();
        assert!(bytes < WORD_BYTES_MAX, "{bytes}");
        assert_eq!(bounded(vec!["a".into(), "b".into()], 1), ["b"]);
    }

    #[test]
    fn a_word_is_over_when_its_time_is_up_and_one_of_a_newer_kind_cannot_be_read() {
        let nudge = |is_urgent| Nudge {
            agent: "widgets/polecats/toast".parse().unwrap(),
            by: "mayor".into(),
            text: "x".into(),
            is_urgent,
        };
        let now = Moment::from_millis(0);
        let word = |saying| Word::new("w1".into(), "m1", "m2", saying, now);
        let later = Moment::from_millis(3_600_000);
        assert!(word(Saying::Nudge(nudge(false))).is_over(later) && !word(Saying::Nudge(nudge(true))).is_over(later));
        let json = serde_json::to_string(&word(Saying::Nudge(nudge(true)))).unwrap();
        assert_eq!(serde_json::from_str::<Word>(&json).unwrap(), word(Saying::Nudge(nudge(true))));
        assert!(serde_json::from_str::<Word>(&json.replace("\"nudge\"", "\"sing\"")).is_err());
    }
}
