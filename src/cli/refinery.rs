//! `gt refinery`: who works the merge queues of a rig.

use clap::{Args, Subcommand};

use crate::cli::mq::Run;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::Name;
use crate::ops::refinery::{self, Drained, Started, Station, Stopped};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Drained>("refinery run"),
    Answer::of::<Station>("refinery status"),
    Answer::of::<Started>("refinery start"),
    Answer::of::<Stopped>("refinery stop"),
];

/// Work the merge queue of a rig as its refinery
#[derive(Args)]
pub struct RefineryArgs {
    #[command(subcommand)]
    verb: RefineryVerb,
}

#[derive(Subcommand)]
enum RefineryVerb {
    Run(Run),
    /// Tell whether the refinery of a rig runs here, and how its queues stand
    Status(OfRig),
    /// Start the refinery of a rig: it works the queues as work comes, until gt refinery stop
    ///
    /// Example: gt refinery start --rig widgets
    Start(OfRig),
    /// End the refinery of a rig and the gates that it runs; the next one takes up what it was at
    Stop(OfRig),
}

#[derive(Args)]
struct OfRig {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

impl RefineryArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            RefineryVerb::Run(run) => run.run(town, out),
            RefineryVerb::Status(of) => Ok(out.show(&refinery::station(town, &town.rig_or_here(of.rig.as_ref())?)?)),
            RefineryVerb::Start(of) => Ok(out.show(&refinery::start(town, &town.rig_or_here(of.rig.as_ref())?)?)),
            RefineryVerb::Stop(of) => Ok(out.show(&refinery::stop(town, &town.rig_or_here(of.rig.as_ref())?)?)),
        }
    }
}

impl Show for Station {
    fn show(&self, page: &mut Page) {
        match &self.session {
            Some(session) => {
                page.line(format!(
                    "the refinery runs as process {}; its log: {}",
                    session.pid,
                    escape(&session.log.display().to_string())
                ));
            }
            None => page.line(format!("no refinery runs here: gt refinery start --rig {}", self.queue.rig)),
        }
        self.queue.show(page);
    }
}

impl Show for Started {
    fn show(&self, page: &mut Page) {
        let session = &self.session;
        let how = if self.was_running { "runs already" } else { "started" };
        page.line(format!(
            "{} {how}, process {}; its log: {}",
            session.agent,
            session.pid,
            escape(&session.log.display().to_string())
        ));
    }
}

impl Show for Stopped {
    fn show(&self, page: &mut Page) {
        let how = if self.was_running { "has ended" } else { "was not running" };
        page.line(format!("the refinery of {} {how}", self.rig));
    }
}
