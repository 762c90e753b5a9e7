//! `gt mq`: the merge queue.

mod integration;
mod review;
mod rows;
mod steer;
mod story;

use clap::{Args, Subcommand};

use crate::cli::oracle::OracleArgs;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::queue_stats::StatsArgs;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::merge_request::Mode;
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::refinery::{
    self, Brief, Diff, Drained, Filed, Forced, Integrated, Overview, Reverted, Reviewed, Standing, Steered, Story, Submission,
};
use crate::town::{RigPlace, Town};
use integration::IntegrationArgs;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<rows::Queue>("mq list"),
    Answer::of::<Overview>("mq status"),
    Answer::of::<Brief>("mq status"),
    Answer::of::<rows::Queues>("mq next"),
    Answer::of::<Filed>("mq submit"),
    Answer::of::<Filed>("mq retry"),
    Answer::of::<Reviewed>("mq approve"),
    Answer::of::<Reviewed>("mq reject"),
    Answer::of::<Reviewed>("mq comment"),
    Answer::of::<Diff>("mq diff"),
    Answer::of::<Steered>("mq hold"),
    Answer::of::<Steered>("mq release"),
    Answer::of::<Steered>("mq withdraw"),
    Answer::of::<steer::Said>("mq pause"),
    Answer::of::<steer::Said>("mq freeze"),
    Answer::of::<steer::Said>("mq resume"),
    Answer::of::<Forced>("mq land"),
    Answer::of::<Drained>("mq run"),
    Answer::of::<Story>("mq why"),
    Answer::of::<Reverted>("mq revert"),
    Answer::of::<Integrated>("mq integration create"),
    Answer::of::<Standing>("mq integration status"),
    Answer::of::<Integrated>("mq integration land"),
];

/// File, list, review, steer and land merge requests
#[derive(Args)]
pub struct MqArgs {
    #[command(subcommand)]
    verb: MqVerb,
}

#[derive(Subcommand)]
enum MqVerb {
    List(rows::List),
    Status(rows::Status),
    Next(rows::NextUp),
    Submit(Submit),
    Retry(steer::Retry),
    Withdraw(steer::Withdraw),
    Diff(review::Differ),
    Approve(review::Approve),
    Reject(review::Reject),
    Comment(review::Comment),
    Hold(steer::Hold),
    Release(steer::Release),
    Pause(steer::Pause),
    Freeze(steer::Freeze),
    Resume(steer::Resume),
    Land(steer::Land),
    Run(Run),
    Why(Why),
    Revert(Revert),
    Integration(IntegrationArgs),
    Stats(StatsArgs),
    Oracle(OracleArgs),
}

/// File a merge request by hand: a branch for a bead
///
/// Example: gt mq submit wi-x7k2m my-branch
#[derive(Args)]
struct Submit {
    /// The work, or a unique abbreviation of its id
    bead: String,
    /// The branch in the rig's repository
    branch: String,
    /// The branch to merge into; when not given the integration branch of its epic, else the rig's target
    #[arg(long)]
    target: Option<String>,
    /// The message of the squashed commit; the newest commit's when not given
    #[arg(short, long)]
    message: Option<String>,
    /// The form in which it lands; what mq.mode says when not given
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// A request that it lands after, besides those that the branch is built upon; may be repeated
    #[arg(long, value_name = "MR")]
    after: Vec<String>,
}

/// Work the queue: stack, gate, land, send back
///
/// Example: gt mq run --once
#[derive(Args)]
pub(super) struct Run {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// End when nothing can move, instead of waiting for more
    #[arg(long)]
    once: bool,
}

/// Tell the whole story of a merge request: gate runs, evidence, how to see the failure again
#[derive(Args)]
struct Why {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
}

/// Take back what has landed: file its inverse, which goes through the queue; then the work is open again
///
/// Example: gt mq revert wi-x7k2m -m "it leaks"
#[derive(Args)]
struct Revert {
    /// The landed request, or the work that it delivered; a unique abbreviation will do
    id: String,
    /// Why, for the commit and for whoever takes the work up again
    #[arg(short, long, value_name = "WHY")]
    message: Option<String>,
}

impl MqArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            MqVerb::List(list) => list.run(town, out),
            MqVerb::Status(status) => status.run(town, out),
            MqVerb::Next(next) => next.run(town, out),
            MqVerb::Retry(retry) => retry.run(town, out),
            MqVerb::Withdraw(withdraw) => withdraw.run(town, out),
            MqVerb::Diff(differ) => differ.run(town, out),
            MqVerb::Approve(approve) => approve.run(town, out),
            MqVerb::Reject(reject) => reject.run(town, out),
            MqVerb::Comment(comment) => comment.run(town, out),
            MqVerb::Hold(hold) => hold.run(town, out),
            MqVerb::Release(release) => release.run(town, out),
            MqVerb::Pause(pause) => pause.run(town, out),
            MqVerb::Freeze(freeze) => freeze.run(town, out),
            MqVerb::Resume(resume) => resume.run(town, out),
            MqVerb::Land(land) => land.run(town, out),
            MqVerb::Submit(submit) => {
                let (place, bead) = place_of(town, &submit.bead)?;
                let Submit { branch, target, message, mode, after, .. } = submit;
                let after = after.iter().map(|text| town.resolve_bead(text).map(|(_, id)| id)).collect::<Result<_>>()?;
                let filed = refinery::submit(town, &place, &Submission { bead, branch, target, message, mode, after })?;
                out.note_undelivered(post::deliver(town));
                Ok(out.show(&filed))
            }
            MqVerb::Run(run) => run.run(town, out),
            MqVerb::Revert(revert) => {
                let (place, id) = place_of(town, &revert.id)?;
                let reverted = refinery::revert(town, &place, &id, revert.message.as_deref())?;
                out.note_undelivered(post::deliver(town));
                Ok(out.show(&reverted))
            }
            MqVerb::Integration(args) => args.run(town, out),
            MqVerb::Why(why) => {
                let (place, id) = place_of(town, &why.id)?;
                Ok(out.show(&refinery::why(town, &place, &id)?))
            }
            MqVerb::Stats(stats) => Ok(out.show(&stats.run(town)?)),
            MqVerb::Oracle(oracle) => Ok(out.show(&oracle.run(town)?)),
        }
    }
}

impl Run {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        let mut say = |event: &refinery::Event| out.tell(&event.line());
        if !self.once {
            let mut complain = |error: &Error| {
                out.note(&format!("gt: {}", error.line()));
                out.note(&format!("hint: {}", error.hint.as_deref().unwrap_or("it is tried again when something changes")));
            };
            return refinery::serve(town, &place, &mut say, &mut complain).map(|never| match never {});
        }
        let drained = refinery::run(town, &place, &mut say);
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&drained?))
    }
}

/// The rig and full id of a bead that lives in a rig.
fn place_of(town: &Town, text: &str) -> Result<(RigPlace, BeadId)> {
    let (_, id) = town.resolve_bead(text)?;
    let rig = town.rigs()?.into_iter().find(|rig| rig.prefix == id.prefix());
    match rig {
        Some(rig) => Ok((town.rig(&rig.name)?, id)),
        None => Err(Error::refused(format!("{id} belongs to the town, which has no merge queue"))
            .hint("merge requests are for beads of a rig: gt bead create TITLE --rig NAME")),
    }
}

impl Show for Filed {
    fn show(&self, page: &mut Page) {
        page.line(format!("filed {} for {}, which is in review now", self.mr, self.bead));
        for old in &self.superseded {
            page.line(format!("it replaces {old}"));
        }
    }
}

impl Show for Reverted {
    fn show(&self, page: &mut Page) {
        let beads: Vec<&str> = self.beads.iter().map(BeadId::as_str).collect();
        page.line(format!("filed {} to take {} ({}) back from {}", self.mr, self.reverts, beads.join(" "), escape(&self.target)));
    }
}

impl Show for Drained {
    fn show(&self, page: &mut Page) {
        let (landed, back, held) = (self.landed.len(), self.evicted.len(), self.held.len());
        let is_quiet = self.red_targets.is_empty() && self.waiting_for_remote.is_empty() && self.stopped.is_empty();
        let is_quiet = is_quiet && self.waiting_for_pull_request.is_empty();
        if landed + back + held == 0 && is_quiet {
            return page.line("nothing to do: the merge queue is empty");
        }
        let runs = if self.runs == 1 { "run" } else { "runs" };
        page.line(format!("{landed} landed, {back} sent back, {held} held; {} gate {runs}", self.runs));
        for target in &self.red_targets {
            page.line(format!("{} is red itself: mend it; gt mq list shows who waits", escape(target)));
        }
        for target in &self.waiting_for_remote {
            page.line(format!("{} waits for its remote; run again when it can be reached", escape(target)));
        }
        for (target, said) in &self.waiting_for_pull_request {
            page.line(format!("{} waits for a pull request: {}", escape(target), escape(said)));
        }
        for said in self.stopped.values() {
            page.line(format!("{}; to open it: gt mq resume", escape(said)));
        }
    }
}
