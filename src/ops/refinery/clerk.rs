//! The clerk: the configured command that opens pull requests and tells how they stand.
//!
//! It runs in a directory of its own, beside the gates' checkouts, with a clean environment, a time-out and a bounded log.
//! What requests say reaches it by variables and a file, never in its command line. Of all that it says the last line
//! counts.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Queue, integration};
use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::State;
use crate::model::secrets::mask;
use crate::runtime::command::{self, Ended, Spec};
use crate::runtime::secrets;
use crate::store;
use crate::time::parse_millis;
use crate::town::{RigPlace, Town};

/// How much of what it says is kept.
const LOG_BYTES_MAX: u64 = 1_000_000;
/// The longest name of a pull request, in bytes; addresses are shorter.
const REFERENCE_BYTES_MAX: usize = 500;
/// How much of its last line is told when it fails, in characters.
const LINE_CHARS_MAX: usize = 300;
/// How long it may take when nothing is said.
const TIMEOUT_MILLIS: u64 = 120_000;

/// The command of a rig.
#[derive(Clone, Debug)]
pub(super) struct Clerk {
    command: String,
    timeout_millis: u64,
}

/// What the clerk is asked to do.
pub(super) struct Errand<'a> {
    /// `open` (or update), or `status`.
    pub(super) action: &'static str,
    /// The branch of the remote that is to be merged.
    pub(super) branch: &'a str,
    /// Its commit.
    pub(super) commit: &'a str,
    /// One line.
    pub(super) title: &'a str,
    /// What it is about, in Markdown.
    pub(super) body: &'a str,
    /// The pull request, when it has a name.
    pub(super) reference: &'a str,
}

/// What came of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The last line of what it said.
    Said(String),
    /// It failed or said nothing of use; why.
    Silent(String),
}

/// How a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullState {
    /// It waits for people.
    Open,
    /// It was merged.
    Merged,
    /// It was closed without that.
    Closed,
}

impl PullState {
    /// The state that `line` begins with; case does not matter.
    pub(super) fn of(line: &str) -> Option<Self> {
        match line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "open" => Some(Self::Open),
            "merged" => Some(Self::Merged),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }
}

/// The name of a pull request in `line`: one printable word.
pub(super) fn reference_in(line: &str) -> Option<&str> {
    let is_word = !line.is_empty() && line.len() <= REFERENCE_BYTES_MAX;
    (is_word && line.chars().all(|c| !c.is_control() && !c.is_whitespace())).then_some(line)
}

/// The clerk by whose pull requests things land on `target`; none, when the queue moves it itself. An integration branch
/// is the queue's own.
///
/// # Errors
/// Refused, when pull requests are asked for and there is no remote for them, no command, or one that is not trusted here.
pub(super) fn clerk(town: &Town, place: &RigPlace, state: &State<'_>, target: &str) -> Result<Option<Clerk>> {
    if config::word(town, Some(place), "mq.strategy")? != "pr" || integration::is_open_branch(state, target)? {
        return Ok(None);
    }
    let rig = &place.rig.name;
    if !place.rig.land_remote {
        let what = format!("mq.strategy is pr, but {rig} lands on branches of its own, for which nobody opens pull requests");
        return Err(Error::refused(what).hint(format!(
            "add the rig with --land origin; or let the queue move them: gt config set mq.strategy land --rig {rig}"
        )));
    }
    let command = config::command(town, Some(place), "mq.pr.command")?.ok_or_else(|| {
        Error::refused(format!("mq.strategy is pr, but no command opens pull requests for {rig}"))
            .hint(format!("gt config set mq.pr.command 'COMMAND' --rig {rig}; docs/queue.md has one for GitHub"))
    })?;
    let timeout = config::lookup(town, Some(place), "mq.pr.timeout")?;
    let timeout_millis = timeout.map_or(Ok(TIMEOUT_MILLIS), |set| parse_millis(&set.text()))?;
    Ok(Some(Clerk { command, timeout_millis }))
}

impl Queue<'_> {
    /// Sends the clerk on an errand for this target.
    ///
    /// # Errors
    /// Io, when it cannot be prepared here.
    pub(super) fn ask(&self, clerk: &Clerk, errand: &Errand<'_>) -> Result<Answer> {
        let name = self.target().replace('%', "%25").replace('/', "%2F");
        let dir = self.place.dir.join("refinery/pull-requests");
        std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("make {}", dir.display()))?;
        // What a killed queue left running would open a second one beside ours. The yard is ours, so the place is too.
        let _ = command::sweep(&dir);
        let body = dir.join(format!("{name}.md"));
        store::write_file(&body, errand.body.as_bytes())?;
        let mut spec = Spec::shell(&clerk.command, &dir, self.clerk_log(&name), clerk.timeout_millis);
        spec.log_bytes_max = LOG_BYTES_MAX;
        let vars: [(&str, &str); 6] = [
            ("ACTION", errand.action),
            ("BRANCH", errand.branch),
            ("TARGET", self.target()),
            ("COMMIT", errand.commit),
            ("TITLE", errand.title),
            ("REFERENCE", errand.reference),
        ];
        let plain = |text: &str| OsString::from(text.replace('\0', " "));
        spec.env = vars.iter().map(|(name, value)| (format!("GT_PR_{name}"), plain(value))).collect();
        spec.env.push(("GT_PR_BODY_FILE".to_owned(), body.into_os_string()));
        let finished = command::run_here(spec)?;
        let last = finished.log_tail.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let last = mask(last, &secrets::known());
        let shown: String = last.chars().take(LINE_CHARS_MAX).collect();
        Ok(match finished.ended {
            Ended::Exited(0) => Answer::Said(last),
            Ended::Exited(code) => Answer::Silent(format!("mq.pr.command ended with code {code}: {shown}")),
            Ended::TimedOut => Answer::Silent(format!("mq.pr.command took more than {} s", clerk.timeout_millis.div_ceil(1000))),
            Ended::Signaled(signal) => Answer::Silent(format!("mq.pr.command was killed by signal {signal}")),
            Ended::OutOfMemory => Answer::Silent("mq.pr.command was killed because memory was short".to_owned()),
            Ended::CannotStart(why) => Answer::Silent(format!("mq.pr.command could not start: {why}")),
        })
    }

    /// Where all that it said last for this target is kept.
    fn clerk_log(&self, name: &str) -> PathBuf {
        let logs = self.town.runtime_dir().join("logs/pull-requests").join(self.place.rig.name.as_str());
        logs.join(format!("{name}.log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_tells_how_a_pull_request_stands() {
        for (line, state) in [
            ("open", Some(PullState::Open)),
            ("MERGED by ann", Some(PullState::Merged)),
            ("Closed", Some(PullState::Closed)),
            ("reopened", None),
            ("", None),
        ] {
            assert_eq!(PullState::of(line), state, "{line}");
        }
    }

    #[test]
    fn a_name_is_one_printable_word_of_bounded_length() {
        assert_eq!(reference_in("https://example.org/pull/7"), Some("https://example.org/pull/7"));
        for bad in ["", "two words", "\u{1b}[31mred", "a\u{7}", &"x".repeat(501)] {
            assert_eq!(reference_in(bad), None, "{bad}");
        }
    }
}
