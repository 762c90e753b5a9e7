//! Restore: a town made of a backup, on a machine of its own.
//!
//! All or nothing: the directory bears a mark from before its first file until the town is whole. While it does it is
//! no town to any command, and the next restore there removes what an earlier one made and begins anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::worktree::{self, Head};
use crate::git::{bundle, init, program};
use crate::ledger::{Actor, Deed, Ledger, sync, tree};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::bead::IssueType;
use crate::model::hook::Hook;
use crate::model::scope::{self, LocalMachine, Rig};
use crate::name::{BeadId, Name};
use crate::ops::backup::{MANIFEST, Manifest, SCOPES, Saved, Scope, VERSION};
use crate::ops::install::RESTORING as UNFINISHED;
use crate::ops::machine;
use crate::ops::{install, polecat, remote, rig};
use crate::store;
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::{self, MARK, RigPlace};

/// Where the bundle is unpacked.
const SCRATCH: &str = ".restoring.git";

/// How to restore.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The backup.
    pub file: PathBuf,
    /// The new town's directory.
    pub dir: PathBuf,
    /// This machine's name, for people.
    pub machine: Option<String>,
    /// The machine that was backed up is gone: its queues, agents and hooks are this one's.
    pub take_over: bool,
}

/// What was restored.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Restored {
    /// Where.
    pub path: PathBuf,
    /// When the backup was made.
    pub made_at: Moment,
    /// What was in it.
    pub scopes: Vec<Scope>,
    /// Whether this machine took the other's place.
    pub took_over: bool,
    /// Assignments of the machine that was backed up.
    pub assignments: Vec<Assignment>,
}

/// What hangs on a hook of the machine that was backed up.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Assignment {
    /// Whose hook.
    pub agent: Address,
    /// What hangs on it.
    pub bead: BeadId,
    /// Whether its sandbox stands here, at the last commit of its branch.
    pub has_sandbox: bool,
}

/// Makes a town of a backup, as a machine of its own; nothing is left behind when it fails.
///
/// # Errors
/// Refused, when the directory is not empty or lies in a town; or the file is no backup; corrupt, when
/// it is damaged; io, when
/// the disk is full.
pub fn restore(plan: &Plan, now: Moment) -> Result<Restored> {
    let dir = std::path::absolute(&plan.dir).or_fail(Kind::Usage, || format!("use {} as a path", plan.dir.display()))?;
    let file = plan.file.canonicalize().or_fail(Kind::NotFound, || format!("find the backup {}", plan.file.display()))?;
    if !file.is_file() || !bundle::is_bundle(&file)? {
        return Err(Error::refused(format!("{} is no backup of a town", file.display())).hint("gt backup FILE makes one"));
    }
    let is_town = |above: &Path| {
        Error::refused(format!("{} is or lies inside the town {}", dir.display(), above.display()))
            .hint("restore into a new directory: --into DIR")
    };
    if let Some(above) = dir.ancestors().find(|dir| dir.join(MARK).is_file()) {
        install::unmark(above);
        return Err(is_town(above));
    }
    let (existed, was_begun) = (dir.exists(), dir.join(UNFINISHED).is_file());
    if !was_begun {
        check_empty(&dir)?;
    }
    install::create_dir(&dir)?;
    // Held as a lock too: what another call is making right now is not what a dead one left.
    let turn = KernelLock::try_take_standing(&dir.join(UNFINISHED))?;
    let _turn = turn.ok_or_else(|| {
        Error::conflict(format!("another command is restoring to {}", dir.display())).hint("wait until it has ended")
    })?;
    if dir.join(MARK).is_file() {
        // Somebody else has made it since.
        let _ = std::fs::remove_file(dir.join(UNFINISHED));
        return Err(is_town(&dir));
    }
    store::sync_dir(&dir)?;
    if was_begun {
        clear(&dir);
    }
    // What is there now is another's, and not cleared away.
    let made = check_empty(&dir).and_then(|()| make(plan, &file, &dir, now).inspect_err(|_| clear(&dir)));
    let _ = std::fs::remove_file(dir.join(UNFINISHED));
    if made.is_err() && !existed {
        let _ = std::fs::remove_dir(&dir);
    }
    let made = made?;
    store::sync_dir(&dir)?;
    Ok(made)
}

/// Refuses a directory that holds anything but the mark.
fn check_empty(dir: &Path) -> Result<()> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(std::result::Result::ok);
    match entries.map(|entry| entry.file_name()).find(|name| name != UNFINISHED) {
        None => Ok(()),
        Some(name) => Err(Error::refused(format!("{} is not empty: it holds {}", dir.display(), name.display()))
            .hint("restore into a new directory: --into DIR")),
    }
}

/// Removes what [`make`] makes.
fn clear(dir: &Path) {
    install::clear(dir);
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(std::result::Result::ok);
    for path in entries.map(|entry| entry.path()) {
        let is_rig = path.join(town::UNFINISHED).is_file() || path.join(".repo.git").is_dir();
        if is_rig || path.ends_with(SCRATCH) {
            // What stays is named when the next restore finds it.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn make(plan: &Plan, file: &Path, dir: &Path, now: Moment) -> Result<Restored> {
    let scratch = dir.join(SCRATCH);
    let refs = bundle::unpack(file, &scratch)?;
    crate::env::crash_point("restore.unpacked");
    let manifest = read_manifest(&scratch, file, &refs)?;
    let mut scopes = manifest.scopes.iter();
    let repo = dir.join(".repo.git");
    let saved = scopes.next().or_fail(Kind::Corrupt, || "find the town in the backup")?;
    make_scope(&scratch, &repo, saved, "main")?;
    let local = install::found_machine(&repo, plan.machine.as_deref())?;
    let hq = Ledger::open(&repo, &local.id)?;
    let actor = Actor { name: "overseer".into(), email: crate::config::owner_email(&hq)?, model: None };
    let entering = Entering { local: &local, actor: &actor, old: &manifest.machine, takes_over: plan.take_over, now };
    entering.enter(&hq)?;
    crate::env::crash_point("restore.town");
    let mut assignments = Vec::new();
    for saved in scopes {
        let name: Name = saved.scope.trim_start_matches("rigs/").parse()?;
        let rig = hq.state()?.rig(&name)?.or_fail(Kind::Corrupt, || format!("find the rig {name} in the backup's registry"))?;
        assignments.extend(make_rig(&scratch, dir, saved, rig, &entering)?);
        crate::env::crash_point("restore.rig");
    }
    std::fs::remove_dir_all(&scratch).or_fail(Kind::Io, || format!("remove {}", scratch.display()))?;
    for saved in &manifest.scopes[1..] {
        rig::unmark(&dir.join(saved.scope.trim_start_matches("rigs/")))?;
    }
    install::lay_out(dir, &hq)?;
    crate::env::crash_point("restore.whole");
    Ok(Restored {
        path: dir.to_owned(),
        made_at: manifest.made_at,
        scopes: manifest.scopes.iter().map(Scope::from).collect(),
        took_over: plan.take_over,
        assignments,
    })
}

fn make_rig(scratch: &Path, dir: &Path, saved: &Saved, rig: Rig, entering: &Entering<'_>) -> Result<Vec<Assignment>> {
    let place = dir.join(rig.name.as_str());
    let repo = place.join(".repo.git");
    rig::begin(&place)?;
    make_scope(scratch, &repo, saved, &rig.target)?;
    let project = saved.project.clone().unwrap_or_else(|| rig.url.clone());
    init::add_origin(&repo, &project, &rig.target, None)?;
    let place = RigPlace { rig, dir: place, project, ledger: Ledger::open(&repo, &entering.local.id)? };
    let hooks: Vec<Hook> = place.ledger.state()?.hooks()?.into_iter().filter(|hook| hook.machine == entering.old).collect();
    entering.enter(&place.ledger)?;
    rig::lay_out(&place)?;
    let mut assignments = Vec::new();
    for Hook { agent, bead, branch, .. } in hooks {
        let store = &place.ledger.store;
        let tip = store.read_ref(&format!("refs/heads/{branch}")).ok().flatten().filter(|_| entering.takes_over);
        let mut has_sandbox = false;
        if let (Address::Polecat(_, name), Some(at)) = (&agent, tip) {
            let head = Head::Branch { name: &branch, at };
            worktree::add_within(store, &polecat::sandbox(&place, name), head, &place.cone()?)?;
            has_sandbox = true;
        }
        assignments.push(Assignment { agent, bead, has_sandbox });
    }
    Ok(assignments)
}

fn read_manifest(scratch: &Path, file: &Path, refs: &[(String, ObjectId)]) -> Result<Manifest> {
    let (name, inner) = MANIFEST;
    let deed = || format!("read the manifest of {}", file.display());
    if !refs.iter().any(|(found, _)| found == name) {
        return Err(Error::refused(format!("{} is a git bundle, but no backup of a town", file.display()))
            .hint("gt backup FILE makes one"));
    }
    let text = program::bare_ok(scratch, &["cat-file", "blob", &format!("{name}:{inner}")]).or_fail(Kind::Corrupt, deed)?;
    let version = serde_json::from_str::<serde_json::Value>(&text).or_fail(Kind::Corrupt, deed)?["v"].as_u64();
    if version.is_none_or(|version| version > VERSION) {
        return Err(Error::refused(format!("{} was made by a newer gt", file.display())).hint("upgrade gt on this machine"));
    }
    let manifest: Manifest = serde_json::from_str(&text).or_fail(Kind::Corrupt, deed)?;
    let mut listed = BTreeMap::new();
    for (place, saved) in manifest.scopes.iter().enumerate() {
        let is_right = match saved.scope.strip_prefix("rigs/") {
            None => place == 0 && saved.scope == "town",
            Some(rig) => place > 0 && rig.parse::<Name>().is_ok(),
        };
        if !is_right {
            return Err(Error::corrupt(format!("{} names other scopes than a town has", file.display())));
        }
        let inner = saved.refs.iter();
        listed.extend(
            inner.map(|(name, id)| (format!("{SCOPES}{}/{}", saved.scope, name.trim_start_matches("refs/")), id.clone())),
        );
    }
    let found = refs.iter().filter(|(found, _)| found != name).map(|(name, id)| (name.clone(), id.to_string()));
    if found.collect::<BTreeMap<_, _>>() != listed {
        return Err(Error::corrupt(format!("the refs in {} are not those that its manifest names", file.display()))
            .hint("take another copy of it, or an older backup"));
    }
    Ok(manifest)
}

fn make_scope(scratch: &Path, repo: &Path, saved: &Saved, branch: &str) -> Result<()> {
    bundle::take_out(scratch, &format!("{SCOPES}{}/", saved.scope), repo, branch)?;
    saved.remotes.iter().try_for_each(|remote| remote::add(repo, &remote.name, &remote.url))
}

/// This machine as it enters the scopes.
struct Entering<'a> {
    local: &'a LocalMachine,
    actor: &'a Actor,
    /// The machine that was backed up.
    old: &'a str,
    takes_over: bool,
    now: Moment,
}

impl Entering<'_> {
    /// Writes this machine into the scope, and in the place of the old one where that is gone.
    fn enter(&self, ledger: &Ledger) -> Result<()> {
        sync::enter(ledger, self.local, self.actor, self.now)?;
        if self.takes_over { self.take_over(ledger) } else { Ok(()) }
    }

    fn take_over(&self, ledger: &Ledger) -> Result<()> {
        let (old, new) = (self.old, &self.local.id);
        let subject = format!("machine {} takes the place of {old}", self.local.name);
        let deed = Deed { actor: self.actor, op: "take-over", subject, now: self.now };
        ledger.transact(&deed, |change| {
            for mut bead in change.before().beads_of(&IssueType::Agent)? {
                if Agent::of(&bead).is_ok_and(|agent| agent.machine == old) {
                    bead.extra.insert("machine".into(), new.clone().into());
                    change.put_bead(&bead)?;
                }
            }
            for mut hook in change.before().hooks()?.into_iter().filter(|hook| hook.machine == old) {
                hook.machine.clone_from(new);
                change.put(&tree::hook(&hook.agent.clone()), &hook)?;
            }
            machine::hand_over(change, old, new)?;
            if let Some(mut gone) = change.get::<scope::Machine>(&tree::machine(old))? {
                gone.replaced_by = Some(new.clone());
                change.put(&tree::machine(old), &gone)?;
            }
            Ok(())
        })
    }
}
