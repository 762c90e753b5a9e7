//! `gt up`, `gt down`, `gt shutdown`, `gt stop`, `gt estop`, `gt thaw`: the town as a whole.

use clap::Args;

use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::schema::Answer;
use crate::cli::work::kept;
use crate::error::{Error, Kind, Result};
use crate::name::Name;
use crate::ops::control::halt::{self, Fate, Stopped, Thawed, Touched};
use crate::ops::control::{self, Down, Ended, Ending, Outcome, Scope, Shutdown, Start, Then, Up};
use crate::time;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Up>("up"),
    Answer::of::<Down>("down"),
    Answer::of::<Down>("stop"),
    Answer::of::<Shutdown>("shutdown"),
    Answer::of::<Stopped>("estop"),
    Answer::of::<Thawed>("thaw"),
];

/// How long sessions have to end at an immediate stop.
const AT_ONCE_MILLIS: u64 = 2_000;

/// Start what should run: refineries, the mayor, and polecats that have work and no session
///
/// Does nothing for what runs already. Nothing watches what it started: after a restart of the machine, call it again.
/// Example: gt up
#[derive(Args)]
pub struct UpArgs;

/// End all sessions of this machine; hooks, sandboxes and merge requests stay
///
/// All are asked to end and have a time to; whoever is there after that is killed. gt up goes on where they were.
/// Example: gt down --timeout 30s
#[derive(Args)]
pub struct DownArgs {
    /// How long they have to end
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: String,
    /// Only tell which sessions would be ended
    #[arg(long)]
    dry_run: bool,
}

/// End all sessions at once, or those of one rig
///
/// As gt down with 2 seconds to end in. What must not start again either, is stopped by gt estop.
/// Example: gt stop --rig widgets
#[derive(Args)]
#[command(group = clap::ArgGroup::new("whose").required(true))]
pub struct StopArgs {
    /// Those of the whole town on this machine
    #[arg(long, group = "whose")]
    all: bool,
    /// Those of this rig
    #[arg(long, group = "whose")]
    rig: Option<Name>,
}

/// End all sessions, save what is unsaved in sandboxes, and remove those of idle polecats that hold nothing
///
/// Work that is not merged stays: hooks, branches, merge requests, and each sandbox with work or with anything to save.
/// Example: gt shutdown --dry-run
#[derive(Args)]
pub struct ShutdownArgs {
    /// How long sessions have to end
    #[arg(long, value_name = "TIME", default_value = "30s")]
    timeout: String,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do it; without this it only says what there is to do, and refuses
    #[arg(short, long)]
    yes: bool,
}

/// Stop the town in an emergency: agents are held where they are, and nothing starts until gt thaw
///
/// It lasts through restarts. Refineries are ended with the gates that they run; the mayor can still be spoken to.
/// Example: gt estop --reason 'somebody leaks a key'
#[derive(Args)]
pub struct EstopArgs {
    /// Why; whoever meets the stop is told
    #[arg(short, long)]
    reason: String,
    /// Only this rig
    #[arg(long)]
    rig: Option<Name>,
}

/// End an emergency stop: agents go on where they were, and refineries that it ended start again
///
/// Example: gt thaw --rig widgets
#[derive(Args)]
pub struct ThawArgs {
    /// That of this rig
    #[arg(long)]
    rig: Option<Name>,
}

impl UpArgs {
    /// Starts what is missing.
    ///
    /// # Errors
    /// As [`control::up`].
    pub fn run(&self, town: &Town) -> Result<Up> {
        control::up(town)
    }
}

impl DownArgs {
    /// Ends all sessions.
    ///
    /// # Errors
    /// As [`control::down`].
    pub fn run(&self, town: &Town) -> Result<Down> {
        let grace_millis = time::parse_millis(&self.timeout)?;
        control::down(town, &Scope { rig: None, grace_millis, is_dry: self.dry_run })
    }
}

impl StopArgs {
    /// Ends the sessions that are meant.
    ///
    /// # Errors
    /// As [`control::down`].
    pub fn run(&self, town: &Town) -> Result<Down> {
        // One of the two was said, and all is what is meant without a rig.
        let rig = self.rig.clone().filter(|_| !self.all);
        control::down(town, &Scope { rig, grace_millis: AT_ONCE_MILLIS, is_dry: false })
    }
}

impl ShutdownArgs {
    /// Shuts the town down, or says what that would do.
    ///
    /// # Errors
    /// Refused, when it was not said that it shall; as [`control::shutdown`].
    pub fn run(&self, town: &Town, out: Out) -> Result<Shutdown> {
        let grace_millis = time::parse_millis(&self.timeout)?;
        let is_dry = self.dry_run || !self.yes;
        let outcome = control::shutdown(town, &Scope { rig: None, grace_millis, is_dry })?;
        if self.dry_run || self.yes {
            return Ok(outcome);
        }
        let gone = outcome.sandboxes.iter().filter(|sandbox| sandbox.then == Then::Removed).count();
        let mut page = Page::on(out.paper);
        outcome.show(&mut page);
        page.into_text().trim_end().lines().for_each(|line| out.note(line));
        let sandboxes = if gone == 1 { "1 idle sandbox".to_owned() } else { format!("{gone} idle sandboxes") };
        Err(Error::refused(format!("{} would be ended, {sandboxes} removed", count(outcome.sessions.len(), "session")))
            .hint("nothing was done; add --yes to do it, or only end sessions: gt down"))
    }
}

impl EstopArgs {
    /// Stops.
    ///
    /// # Errors
    /// As [`halt::stop`].
    pub fn run(&self, town: &Town) -> Result<Stopped> {
        halt::stop(town, self.rig.as_ref(), &self.reason)
    }
}

impl ThawArgs {
    /// Thaws.
    ///
    /// # Errors
    /// As [`halt::thaw`].
    pub fn run(&self, town: &Town) -> Result<Thawed> {
        halt::thaw(town, self.rig.as_ref())
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

impl Show for Up {
    fn show(&self, page: &mut Page) {
        if self.starts.is_empty() {
            return page.line("there is nothing to start yet: gt rig add NAME URL");
        }
        let row = |start: &Start| {
            let (style, word) = match start.outcome {
                Outcome::Started => (Style::Good, "started"),
                Outcome::Running => (Style::Busy, "runs already"),
                Outcome::Failed => (Style::Bad, "failed"),
                Outcome::Elsewhere => (Style::Dim, "elsewhere"),
                Outcome::Asleep => (Style::Dim, "asleep"),
            };
            let why = start.error.iter().chain(&start.hint).cloned().collect::<Vec<_>>().join("; ");
            let detail = match start.outcome {
                Outcome::Asleep => format!("gt wake {}", start.who),
                Outcome::Elsewhere => "its queue is worked on another machine".to_owned(),
                Outcome::Started | Outcome::Running | Outcome::Failed => why,
            };
            let (bead, pid) = (start.bead.as_ref().map(ToString::to_string), start.pid.map(|pid| pid.to_string()));
            vec![
                Cell::address(Some(&start.who)),
                Cell::new(style, word).whole(),
                Cell::from(bead.unwrap_or_else(|| "-".to_owned())).whole(),
                Cell::from(pid.unwrap_or_else(|| "-".to_owned())).whole(),
                Cell::from(detail),
            ]
        };
        page.table(&["WHO", "OUTCOME", "BEAD", "PROCESS", ""], &self.starts.iter().map(row).collect::<Vec<_>>());
    }

    fn exit_code(&self) -> u8 {
        self.starts.iter().find_map(|start| start.kind).map_or(0, Kind::exit_code)
    }
}

fn sessions(page: &mut Page, ended: &[Ended]) {
    if ended.is_empty() {
        return page.line("no sessions run");
    }
    for one in ended {
        let keeps = if one.bead.is_empty() { String::new() } else { format!("; {} stays on its hook", escape(&one.bead)) };
        let how = match one.ending {
            Ending::Asked => "has ended".to_owned(),
            Ending::Killed => "did not end in time and was killed".to_owned(),
            Ending::Would => "would be ended".to_owned(),
            Ending::Failed => format!("could not be ended: {}", escape(one.error.as_deref().unwrap_or_default())),
        };
        page.line(format!("the session of {} {how}{keeps}", one.agent));
    }
}

fn fault(ended: &[Ended]) -> Option<Kind> {
    ended.iter().find_map(|one| one.kind)
}

impl Show for Down {
    fn show(&self, page: &mut Page) {
        sessions(page, &self.sessions);
    }

    fn exit_code(&self) -> u8 {
        fault(&self.sessions).map_or(0, Kind::exit_code)
    }
}

impl Show for Shutdown {
    fn show(&self, page: &mut Page) {
        sessions(page, &self.sessions);
        for sandbox in &self.sandboxes {
            let bead = sandbox.bead.as_ref().map(ToString::to_string).unwrap_or_default();
            let then = match (sandbox.then, self.is_dry) {
                (Then::KeptWithWork, false) => format!("stays, with {bead} on its hook"),
                (Then::KeptWithWork, true) => format!("would stay, with {bead} on its hook"),
                (Then::KeptAsSaved, false) => "stays".to_owned(),
                (Then::KeptAsSaved, true) => "would stay".to_owned(),
                (Then::Removed, false) => "is gone; nothing in it was unsaved".to_owned(),
                (Then::Removed, true) => "would go, when nothing in it is unsaved".to_owned(),
                (Then::Failed, _) => {
                    format!("stays, since it cannot be looked after: {}", escape(sandbox.error.as_deref().unwrap_or_default()))
                }
            };
            let changed = if sandbox.is_changed == Some(true) { "; its changes would be saved first" } else { "" };
            page.line(format!("the sandbox of {} {then}{changed}", sandbox.agent));
            kept(page, sandbox.salvage.as_deref());
        }
    }

    fn exit_code(&self) -> u8 {
        let faults = self.sandboxes.iter().find_map(|sandbox| sandbox.kind);
        fault(&self.sessions).or(faults).map_or(0, Kind::exit_code)
    }
}

fn touched(page: &mut Page, all: &[Touched]) {
    for one in all {
        let fate = match one.fate {
            Fate::Held => "is held where it was".to_owned(),
            Fate::Ended => "was ended; what it was at is taken up again".to_owned(),
            Fate::GoesOn => "goes on".to_owned(),
            Fate::Started => "runs again".to_owned(),
            Fate::Failed => format!("failed: {}", escape(one.error.as_deref().unwrap_or_default())),
        };
        page.line(format!("  {} {fate}", one.agent));
    }
}

fn code_of(all: &[Touched]) -> u8 {
    if all.iter().any(|one| one.fate == Fate::Failed) { Kind::External.exit_code() } else { 0 }
}

impl Show for Stopped {
    fn show(&self, page: &mut Page) {
        let (stop, again) = (&self.stop, if self.was_stopped { "was stopped already" } else { "is stopped" });
        page.line(format!("{} {again}, by {} at {}: {}", stop.subject(), escape(&stop.by), stop.at, escape(&stop.reason)));
        touched(page, &self.sessions);
        page.line(format!("nothing starts until: {}", stop.way_out()));
    }

    fn exit_code(&self) -> u8 {
        code_of(&self.sessions)
    }
}

impl Show for Thawed {
    fn show(&self, page: &mut Page) {
        match &self.stop {
            Some(stop) => {
                page.line(format!(
                    "{} goes on; it was stopped by {} at {}: {}",
                    stop.subject(),
                    escape(&stop.by),
                    stop.at,
                    escape(&stop.reason)
                ));
            }
            None => page.line("nothing was stopped"),
        }
        touched(page, &self.sessions);
        if self.stop.is_some() {
            page.line("what has no session any more is started by: gt up");
        }
    }

    fn exit_code(&self) -> u8 {
        code_of(&self.sessions)
    }
}
