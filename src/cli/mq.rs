//! `gt mq` and `gt refinery`: the merge queue.

mod integration;
mod review;
mod rows;
mod steer;

use clap::{Args, Subcommand};

use crate::cli::oracle::OracleArgs;
use crate::cli::out::ago::minute;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::queue_stats::StatsArgs;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::merge_request::{Blame, Mode};
use crate::model::search_tree::branches;
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::refinery::{
    self, Brief, Diff, Drained, Filed, Forced, Integrated, Overview, Reverted, Reviewed, Standing, Steered, Story, Submission,
};
use crate::town::{RigPlace, Town};
use integration::IntegrationArgs;
use rows::state_style;

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
    Answer::of::<Drained>("refinery run"),
    Answer::of::<refinery::Station>("refinery status"),
    Answer::of::<refinery::Started>("refinery start"),
    Answer::of::<refinery::Stopped>("refinery stop"),
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
struct Run {
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

impl Show for refinery::Station {
    fn show(&self, page: &mut Page) {
        match &self.session {
            Some(session) => {
                page.line(format!("the refinery runs as process {}; its log: {}", session.pid, session.log.display()));
            }
            None => page.line(format!("no refinery runs here: gt refinery start --rig {}", self.queue.rig)),
        }
        self.queue.show(page);
    }
}

impl Show for refinery::Started {
    fn show(&self, page: &mut Page) {
        let session = &self.session;
        let how = if self.was_running { "runs already" } else { "started" };
        page.line(format!("{} {how}, process {}; its log: {}", session.agent, session.pid, session.log.display()));
    }
}

impl Show for refinery::Stopped {
    fn show(&self, page: &mut Page) {
        let how = if self.was_running { "has ended" } else { "was not running" };
        page.line(format!("the refinery of {} {how}", self.rig));
    }
}

impl Run {
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
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

impl Show for Story {
    fn show(&self, page: &mut Page) {
        let listed = &self.listed;
        let beads: Vec<&str> = listed.beads.iter().map(BeadId::as_str).collect();
        page.line(format!("{} ({}): {}", listed.id, beads.join(" "), escape(&listed.title)));
        let place = listed.position.map(|position| format!(", number {position} in its queue")).unwrap_or_default();
        page.line(format!("state     {}{place}", page.paint(state_style(listed.state), listed.state.word())));
        page.line(format!("way       {} → {} by {}", escape(&listed.branch), escape(&listed.target), escape(&listed.author)));
        page.line(format!("mode      {}", listed.mode.word()));
        if !listed.after.is_empty() {
            let after: Vec<&str> = listed.after.iter().map(BeadId::as_str).collect();
            page.line(format!("stands on {}", after.join(" ")));
        }
        if let Some(reverts) = &listed.reverts {
            page.line(format!("takes back {reverts}"));
        }
        if let Some(by) = &listed.reverted_by {
            page.line(format!("taken back by {by}"));
        }
        page.line(format!("head      {}", self.head));
        page.line(format!("handed in {}, sent back {} times before", minute(listed.submitted_at), listed.attempts));
        if !listed.note.is_empty() && self.landed_commit.is_none() {
            page.line(format!("why       {}", escape(&listed.note)));
        }
        if let Some(commit) = &self.landed_commit {
            page.line(format!("landed as {commit}"));
        }
        if let Some(intent) = &self.intent {
            page.line(match &intent.pull_request {
                Some(reference) => format!("landing   {} waits for pull request {}", intent.id, escape(reference)),
                None => format!("landing   {} is open; the next gt mq run --once settles it", intent.id),
            });
        }
        if self.search.len() > 1 {
            page.line("search");
            for (branch, node) in branches(&self.search).iter().zip(&self.search) {
                let stack: Vec<&str> = node.step.stack.iter().map(BeadId::as_str).collect();
                page.line(format!("  {branch}{}: {} ({})", stack.join(" + "), node.step.verdict.word(), escape(&node.step.note)));
            }
        }
        if !self.runs.is_empty() {
            page.line("gate runs");
            for run in &self.runs {
                page.line(format!("  {}; gt gate log {}", escape(&run.line), escape(&run.run)));
            }
        }
        if let Some(blame) = &self.blame {
            show_blame(page, blame);
        }
    }
}

fn show_blame(page: &mut Page, blame: &Blame) {
    if !blame.note.is_empty() {
        page.line(if blame.by.is_empty() { "what was wrong".to_owned() } else { format!("{} said", escape(&blame.by)) });
        page.block(2, &blame.note);
    }
    if !blame.gate.is_empty() {
        page.line(format!(
            "gate {} on {}, {:.2} % sure; its last lines",
            escape(&blame.gate),
            blame.stack_commit,
            blame.posterior * 100.0
        ));
        page.block(2, &blame.log_tail);
    }
    if !blame.failing.is_empty() {
        page.line("tests that failed");
        page.block(2, &blame.failing.join("\n"));
    }
    if !blame.files.is_empty() {
        page.line(format!("conflicts with {} in", blame.base));
        page.block(2, &blame.files.join("\n"));
    }
    if !blame.theirs.is_empty() {
        page.line("commits of the other side there");
        page.block(2, &blame.theirs.join("\n"));
    }
    if !blame.landed_since.is_empty() {
        let landed: Vec<&str> = blame.landed_since.iter().map(BeadId::as_str).collect();
        page.line(format!("landed since it was handed in: {}", landed.join(" ")));
    }
    if !blame.reproduce.is_empty() {
        page.line("to see it again");
        page.block(2, &blame.reproduce);
    }
}
