//! `gt nudge`, `gt peek`: a word to a running agent, and a look at what it does.

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::mailbox;
use crate::ops::nudge::{self, Nudged};
use crate::ops::peek::{self, Peeked};
use crate::ops::sync;
use crate::time;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Nudged>("nudge"), Answer::of::<Peeked>("peek")];

/// Say a few words to a running agent: it is told at its next turn, and nothing is kept
///
/// Whoever must not miss it gets mail: gt mail send. Example: gt nudge widgets/toast 'main moved, rebase first'
#[derive(Args)]
pub struct NudgeArgs {
    /// The agent; one of another machine too, then the words go with the next syncs
    agent: String,
    /// What to say
    message: String,
    /// Tell it before others, and keep it for 2 hours instead of 30 minutes
    #[arg(long)]
    urgent: bool,
    /// When it is told: at the agent's next turn, or by typing into its terminal now, whatever it is at
    #[arg(long, value_enum, default_value_t = Mode::Queue, conflicts_with = "urgent")]
    mode: Mode,
}

/// When a nudge is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// At the agent's next turn
    Queue,
    /// Now, into its terminal
    Immediate,
}

impl NudgeArgs {
    /// Nudges.
    ///
    /// # Errors
    /// As [`nudge::nudge`].
    pub fn run(self, town: &Town) -> Result<Nudged> {
        let agent = mailbox::recipient(town, &self.agent)?;
        match self.mode {
            Mode::Queue => nudge::nudge(town, &agent, &self.message, self.urgent),
            Mode::Immediate => nudge::type_now(town, &agent, &self.message),
        }
    }
}

impl Show for Nudged {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Queued { agent, waiting, is_running } => {
                let others = if *waiting > 1 { format!(", with {} before it", waiting - 1) } else { String::new() };
                page.line(format!("{agent} is told at its next turn{others}"));
                if !is_running {
                    page.line("no session of it runs on this machine; it hears of it if one starts in time");
                }
            }
            Self::Typed { agent, is_shown: true } => page.line(format!("typed into the terminal of {agent}, which shows it")),
            Self::Typed { agent, is_shown: false } => {
                page.line(format!("typed into the terminal of {agent}, which does not show it: gt peek {agent}"));
            }
            Self::Said { agent, machine } => {
                page.line(format!("goes to {agent} on machine {} with the next sync here and there", escape(machine)));
            }
        }
    }
}

/// Show the last lines of an agent's session
///
/// An agent of another machine is asked for over the remotes: the answer is there after a sync here, one there and one here
/// again, or wait for it. Example: gt peek widgets/toast -n 40
#[derive(Args)]
pub struct PeekArgs {
    /// The agent
    agent: String,
    /// How many lines; at most 100 of an agent on another machine
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 30)]
    lines: usize,
    /// Of an agent on another machine: sync and wait so long for the answer, for example 1m
    #[arg(long, value_name = "TIME")]
    wait: Option<String>,
}

impl PeekArgs {
    /// Looks.
    ///
    /// # Errors
    /// Usage, when the time is none; as [`peek::peek`].
    pub fn run(self, town: &Town, out: Out) -> Result<Peeked> {
        let wait = self.wait.as_deref().map(time::parse_millis).transpose()?;
        let agent = mailbox::recipient(town, &self.agent)?;
        let peeked = peek::peek(town, &agent, self.lines)?;
        match wait.filter(|_| peeked.machine.is_some()) {
            Some(millis) => sync::await_screen(town, peeked, millis, &|line| out.note(line)),
            None => Ok(peeked),
        }
    }
}

impl Show for Peeked {
    fn show(&self, page: &mut Page) {
        let place = self.machine.as_ref().map(|machine| format!(" on machine {}", escape(machine))).unwrap_or_default();
        let Some(screen) = &self.screen else {
            return page
                .line(format!("asked what {}{place} shows; it is here some syncs later: gt peek {}", self.agent, self.agent));
        };
        let works = if screen.bead.is_empty() { String::new() } else { format!(" with {}", escape(&screen.bead)) };
        let runs = match (&screen.session, screen.is_running) {
            (None, _) => "never had a session".to_owned(),
            (Some(_), true) => format!("runs{works}"),
            (Some(_), false) => format!("has ended{works}"),
        };
        page.line(format!("{}{place} {runs}, as of {}", self.agent, screen.seen_at));
        if screen.lines.is_empty() {
            page.line("it shows nothing");
        } else {
            page.block(2, &screen.lines.join("\n"));
        }
        if self.asked_at.is_some() {
            page.line("asked again; what it shows now is here some syncs later");
        }
    }
}
