//! Checks at the demo's end: each claim is looked up with plain git or the records, and fails the demo when untrue.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::git::program;
use crate::ledger::tree;
use crate::model::bead::{IssueType, Status};
use crate::model::gate::Verdict;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::ops::demo::story::Cast;
use crate::ops::demo::{DESK, LAPTOP, Row, Stage, rig_name};
use crate::town::Town;

/// Checks everything and tells what was found true.
///
/// # Errors
/// Bug, naming the first claim that does not hold.
pub fn all(stage: &mut Stage<'_>, target: &str) -> Result<Vec<String>> {
    let checks = [
        ledgers_equal(stage)?,
        landed_is_there(stage, target)?,
        tip_was_gated(stage, target)?,
        files_are_good(stage, target)?,
        repositories_sound(stage)?,
    ];
    for check in &checks {
        stage.say(&format!("ok: {check}"));
    }
    Ok(checks.into())
}

fn claim(holds: bool, what: String) -> Result<String> {
    if holds {
        Ok(what)
    } else {
        Err(Error::bug(format!("this does not hold: {what}")).hint("everything is kept to look at; please report it"))
    }
}

fn ledgers_equal(stage: &Stage<'_>) -> Result<String> {
    let (laptop, desk) = (stage.town(LAPTOP)?, stage.town(DESK)?);
    let town_tips = [laptop.hq.tip()?, desk.hq.tip()?, tip_at(&stage.town_hub())?];
    let rig_of = |town: &Town| town.rig(&rig_name())?.ledger.tip();
    let rig_tips = [rig_of(&laptop)?, rig_of(&desk)?, tip_at(&stage.project())?];
    let equal = |tips: &[Option<gix::ObjectId>; 3]| tips[0].is_some() && tips.iter().all(|tip| *tip == tips[0]);
    claim(equal(&town_tips) && equal(&rig_tips), "laptop, desk and hub hold the same ledgers, commit for commit".into())
}

fn tip_at(repo: &std::path::Path) -> Result<Option<gix::ObjectId>> {
    let text = program::bare_ok(repo, &["rev-parse", tree::LEDGER])?;
    Ok(gix::ObjectId::from_hex(text.trim().as_bytes()).ok())
}

/// Every closed bead of the story has its commit in the remote's target branch.
fn landed_is_there(stage: &Stage<'_>, target: &str) -> Result<String> {
    let town = stage.town(LAPTOP)?;
    let place = town.rig(&rig_name())?;
    let requests = place.ledger.state()?.beads_of(&IssueType::MergeRequest)?;
    let mut landed = 0;
    for request in
        requests.iter().filter_map(|bead| MergeRequest::of(bead).ok()).filter(|request| request.state == MrState::Landed)
    {
        let commit = request.landed_commit.unwrap_or_default();
        let is_there = program::bare(&stage.project(), &["merge-base", "--is-ancestor", &commit, target])?.is_success();
        claim(is_there, format!("commit {commit} is on {target} of the remote"))?;
        landed += 1;
    }
    let open = place.ledger.state()?.beads()?.0.iter().filter(|bead| bead.status == Status::InReview).count();
    claim(landed >= 6 && open == 0, format!("{landed} merge requests landed on {target} of the project's remote, none waits"))
}

fn tip_was_gated(stage: &Stage<'_>, target: &str) -> Result<String> {
    let tree = program::bare_ok(&stage.project(), &["rev-parse", &format!("{target}^{{tree}}")])?;
    let town = stage.town(LAPTOP)?;
    let runs = town.rig(&rig_name())?.ledger.state()?.gate_runs()?;
    let is_green = runs.iter().any(|run| run.tree == tree.trim() && run.verdict == Verdict::Green);
    claim(is_green, format!("the tree at the tip of {target} was gated, and green"))
}

fn files_are_good(stage: &Stage<'_>, target: &str) -> Result<String> {
    let names = program::bare_ok(&stage.project(), &["ls-tree", "-r", "--name-only", target, "demo/"])?;
    let mut load = 0;
    for name in names.lines() {
        let text = program::bare_ok(&stage.project(), &["show", &format!("{target}:{name}")])?;
        claim(!text.contains("broken"), format!("{name} is not broken"))?;
        load += text.trim().strip_prefix("load = ").and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
    }
    claim(load <= 10 && names.lines().count() >= 7, format!("nothing broken is on {target}, and all loads together are {load}"))
}

fn repositories_sound(stage: &Stage<'_>) -> Result<String> {
    let rig = rig_name();
    let mut repositories = vec![stage.project(), stage.town_hub()];
    for machine in [LAPTOP, DESK] {
        repositories.push(stage.root(machine).join(".repo.git"));
        repositories.push(stage.root(machine).join(rig.as_str()).join(".repo.git"));
    }
    for repo in &repositories {
        let output = program::bare(repo, &["fsck", "--strict", "--no-dangling", "--no-progress"])?;
        let complaint =
            output.stderr.lines().find(|line| !line.is_empty() && !line.starts_with("notice:")).unwrap_or_default().to_owned();
        claim(
            output.is_success() && complaint.is_empty(),
            format!("git fsck --strict has no complaint about {} {complaint}", repo.display()),
        )?;
    }
    claim(true, format!("git fsck --strict has no complaint about any of {} repositories", repositories.len()))
}

/// What became of each bead of the story.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn rows(stage: &Stage<'_>, cast: &Cast) -> Result<Vec<Row>> {
    let town = stage.town(LAPTOP)?;
    let state_of = town.rig(&rig_name())?;
    let state = state_of.ledger.state()?;
    let mut attempts: BTreeMap<String, Vec<MergeRequest>> = BTreeMap::new();
    for bead in state.beads_of(&IssueType::MergeRequest)? {
        let request = MergeRequest::of(&bead)?;
        for source in &request.source_beads {
            attempts.entry(source.to_string()).or_default().push(request.clone());
        }
    }
    let mut rows = Vec::new();
    for id in &cast.0 {
        let bead = state.bead(id)?;
        let mut tries = attempts.remove(id.as_str()).unwrap_or_default();
        tries.sort_by_key(|request| (request.attempts, request.submitted_at));
        let landed = tries.iter().find_map(|request| request.landed_commit.clone());
        rows.push(Row { bead: id.to_string(), title: bead.title, attempts: tries.iter().map(fate).collect(), landed });
    }
    Ok(rows)
}

fn fate(request: &MergeRequest) -> String {
    let Some(blame) = request.blame.as_ref().filter(|_| request.state == MrState::Evicted) else {
        return request.state.word().to_owned();
    };
    if blame.cause == "conflict" {
        return format!("sent back: conflicts in {}", blame.files.join(", "));
    }
    let said = blame.log_tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("sent back: gate {} was red: {said}", blame.gate)
}
