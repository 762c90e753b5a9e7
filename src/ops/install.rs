//! Founding a town, or joining one that exists on another machine.

use std::path::{Path, PathBuf};

use crate::config::{self, Group};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::{init, program};
use crate::ledger::{Actor, Change, Deed, Ledger, sync, tree};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::scope::{LocalMachine, Machine, Scope, ScopeKind};
use crate::name::{Ids, Prefix, Slot};
use crate::ops::remote;
use crate::store;
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::{MARK, host_of};

/// What to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The town's directory.
    pub path: PathBuf,
    /// Its name; the directory's when not given.
    pub name: Option<String>,
    /// The owner's e-mail; git's `user.email` when not given.
    pub owner: Option<String>,
    /// The name of this machine, for people.
    pub machine: Option<String>,
    /// Join the town whose ledger is at this remote.
    pub from: Option<String>,
}

/// How it ended.
#[derive(Clone, Debug, schemars::JsonSchema, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Installed {
    /// A new town.
    Founded {
        /// Where.
        path: PathBuf,
        /// Its name.
        name: String,
    },
    /// A town of another machine, now here too.
    Joined {
        /// Where.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Rigs that `gt rig add` can fetch.
        rigs: Vec<String>,
    },
    /// There was one already.
    AlreadyThere {
        /// Where.
        path: PathBuf,
    },
}

/// Makes or joins a town; nothing is left behind when it fails.
///
/// # Errors
/// Refused, when the place is taken by something else; external, when the remote fails.
pub fn install(plan: &Plan, now: Moment, progress: &Progress) -> Result<Installed> {
    let path = std::path::absolute(&plan.path).or_fail(Kind::Usage, || format!("use {} as a path", plan.path.display()))?;
    if path.join(MARK).is_file() {
        unmark(&path);
        return Ok(Installed::AlreadyThere { path });
    }
    if let Some(above) = path.ancestors().skip(1).find(|dir| dir.join(MARK).is_file()) {
        return Err(Error::refused(format!("{} lies inside the town {}", path.display(), above.display()))
            .hint("choose a directory outside of it"));
    }
    let repo = path.join(".repo.git");
    let was_begun = path.join(UNFINISHED).is_file();
    let taken = OWN_PARTS.iter().find(|part| path.join(part).exists());
    if let Some(part) = taken.filter(|_| !was_begun) {
        return Err(
            Error::refused(format!("{} has a {part} that is no town's", path.display())).hint("choose an empty directory")
        );
    }
    let existed = path.exists();
    create_dir(&path)?;
    // Held as a lock too: what another call is making right now is not what a dead one left.
    let turn = KernelLock::try_take_standing(&path.join(UNFINISHED))?;
    let _turn = turn.ok_or_else(|| {
        Error::conflict(format!("another command is making the town {}", path.display())).hint("wait until it has ended")
    })?;
    if path.join(MARK).is_file() {
        let _ = std::fs::remove_file(path.join(UNFINISHED));
        return Ok(Installed::AlreadyThere { path });
    }
    store::sync_dir(&path)?;
    if was_begun {
        clear(&path);
    }
    let made = make(plan, &path, &repo, now, progress);
    if made.is_err() {
        clear(&path);
    }
    let _ = std::fs::remove_file(path.join(UNFINISHED));
    if made.is_err() && !existed {
        let _ = std::fs::remove_dir(&path);
    }
    let made = made?;
    store::sync_dir(&path)?;
    Ok(made)
}

/// The file that marks a town as not finished, from before its first file until it is whole or gone again.
const UNFINISHED: &str = ".founding";
/// The file that marks a town as not restored yet.
pub(crate) const RESTORING: &str = ".restoring";

/// Removes the mark of a making that was killed when the town at `path` was whole already; tells which ones went.
pub(crate) fn unmark(path: &Path) -> Vec<String> {
    let mut gone = Vec::new();
    for name in [UNFINISHED, RESTORING] {
        let mark = path.join(name);
        // Who is at it removes it himself.
        let Ok(Some(_turn)) = mark.is_file().then(|| KernelLock::try_take_standing(&mark)).transpose().map(Option::flatten)
        else {
            continue;
        };
        if path.join(MARK).is_file() && std::fs::remove_file(&mark).is_ok() {
            gone.push(name.to_owned());
        }
    }
    gone
}

/// The directories of a town that only a town has.
pub(crate) const OWN_PARTS: [&str; 4] = [".repo.git", "mayor", "deacon", ".runtime"];

/// Removes what [`make`] makes; a directory that was there keeps its own files.
pub(crate) fn clear(path: &Path) {
    for part in OWN_PARTS {
        let _ = std::fs::remove_dir_all(path.join(part));
    }
    for anchor in ANCHORS.map(|anchor| path.join(anchor)) {
        if std::fs::read(&anchor).is_ok_and(|text| text == ANCHOR_TEXT.as_bytes()) {
            let _ = std::fs::remove_file(anchor);
        }
    }
}

fn make(plan: &Plan, path: &Path, repo: &Path, now: Moment, progress: &Progress) -> Result<Installed> {
    init::init_bare(repo, "main")?;
    let local = found_machine(repo, plan.machine.as_deref())?;
    let ledger = Ledger::open(repo, &local.id)?;
    let owner = owner_of(plan, path)?;
    let actor = Actor { name: "overseer".into(), email: owner.clone(), model: None };
    let installed = match &plan.from {
        Some(url) => {
            join(&ledger, &local, url, &actor, now, progress)?;
            let state = ledger.state()?;
            let rigs = state.rigs()?.iter().map(|rig| rig.name.to_string()).collect();
            Installed::Joined { path: path.to_owned(), name: state.scope()?.name, rigs }
        }
        None => {
            let name = plan
                .name
                .clone()
                .unwrap_or_else(|| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
            found(&ledger, &local, &name, &actor, now)?;
            Installed::Founded { path: path.to_owned(), name }
        }
    };
    lay_out(path, &ledger)?;
    Ok(installed)
}

/// Writes the first records of a town, all in one transaction.
fn found(ledger: &Ledger, local: &LocalMachine, name: &str, actor: &Actor, now: Moment) -> Result<()> {
    let deed = Deed { actor, op: "install", subject: format!("found the town {name}"), now };
    ledger.transact(&deed, |change| {
        put_scope(change, ScopeKind::Town, &Prefix::hq(), name)?;
        put_machine(change, local, Slot(0))?;
        put_agents(change, &Prefix::hq(), &[Address::Mayor, Address::Deacon])?;
        let mut owner = Group::new();
        owner.values.insert("owner.email".into(), actor.email.clone().into());
        change.put(&tree::config("owner"), &owner)
    })
}

/// Fetches the town's ledger from `url` and takes a slot there.
fn join(ledger: &Ledger, local: &LocalMachine, url: &str, actor: &Actor, now: Moment, progress: &Progress) -> Result<()> {
    sync::join(ledger, url, progress)?;
    let scope = ledger.state()?.scope()?;
    if scope.kind != ScopeKind::Town {
        return Err(Error::refused(format!("{url} holds the ledger of rig {}, not of a town", scope.name))
            .hint("in a town: gt rig add NAME URL"));
    }
    remote::add(ledger.store.dir(), remote::ORIGIN, url)?;
    sync::take_slot(ledger, local, url, actor, now, progress)
}

/// Makes the directories and views of a town; the mark that makes it findable comes last.
pub(crate) fn lay_out(path: &Path, ledger: &Ledger) -> Result<()> {
    for dir in ["deacon/dogs", ".runtime", "mayor"] {
        create_dir(&path.join(dir))?;
    }
    restrict(&path.join(".runtime"))?;
    // Somebody's own instructions for agents stay as they are.
    for anchor in ANCHORS.map(|anchor| path.join(anchor)).iter().filter(|anchor| !anchor.exists()) {
        store::write_file(anchor, ANCHOR_TEXT.as_bytes())?;
    }
    let scope = ledger.state()?.scope()?;
    let view = serde_json::json!({"name": scope.name, "created_at": scope.created_at, "generated": "a view of refs/gt/ledger, for reading"});
    crate::env::crash_point("install.mark");
    store::write_file(&path.join(MARK), format!("{view:#}\n").as_bytes())
}

/// Files that tell an agent that reads its directory where it is.
const ANCHORS: [&str; 2] = ["CLAUDE.md", "AGENTS.md"];
const ANCHOR_TEXT: &str = "This directory is a Gas Town. Its state lives in git and is reached through `gt`.\n\
    Run `gt prime` to learn who you are and what to do. If there is work on your hook, run it.\n";

/// Puts `ledger.json`.
///
/// # Errors
/// As [`Change::put`].
pub fn put_scope(change: &mut Change<'_>, kind: ScopeKind, prefix: &Prefix, name: &str) -> Result<()> {
    let scope = Scope {
        v: SCHEMA_VERSION,
        merge_v: 1,
        kind,
        prefix: prefix.clone(),
        name: name.to_owned(),
        created_at: change.now(),
        home: (kind == ScopeKind::Town).then(|| change.rev().machine.clone()),
        epoch: 0,
        flattened: Vec::new(),
        rev: Rev::default(),
        extra: Object::new(),
    };
    change.put(tree::SCOPE, &scope)
}

/// Puts this machine's record with its slot in the scope.
///
/// # Errors
/// As [`Change::put`].
pub fn put_machine(change: &mut Change<'_>, local: &LocalMachine, slot: Slot) -> Result<()> {
    let machine = Machine {
        v: SCHEMA_VERSION,
        id: local.id.clone(),
        slot,
        name: local.name.clone(),
        host: local.host.clone(),
        replaced_by: None,
        rev: Rev::default(),
        extra: Object::new(),
    };
    change.put(&tree::machine(&local.id), &machine)
}

/// Puts the beads of agents that a scope always has.
///
/// # Errors
/// As [`Change::put_bead`].
pub fn put_agents(change: &mut Change<'_>, prefix: &Prefix, agents: &[Address]) -> Result<()> {
    let machine = change.rev().machine.clone();
    for address in agents {
        let bead = Agent::bead(address, prefix, &machine, "overseer", change.now())?;
        change.put_bead(&bead)?;
    }
    Ok(())
}

/// Gives this machine an identity of its own in the town whose git directory is `repo`.
pub(crate) fn found_machine(repo: &Path, name: Option<&str>) -> Result<LocalMachine> {
    let meta = std::fs::metadata(repo).or_fail(Kind::Io, || format!("read {}", repo.display()))?;
    // Two towns founded by one process are two machines.
    let meta_salt = std::os::unix::fs::MetadataExt::ino(&meta);
    let host_name = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| std::fs::read_to_string(path).ok());
    let host_name = host_name.map_or_else(|| "machine".to_owned(), |text| text.trim().to_owned());
    let local = LocalMachine {
        id: Ids::from_env(meta_salt).letters(8),
        name: name.map_or(host_name, str::to_owned),
        host: host_of(repo)?,
    };
    write_machine(repo, &local)?;
    Ok(local)
}

/// Writes who this machine is in the town whose git directory is `repo`.
pub(crate) fn write_machine(repo: &Path, local: &LocalMachine) -> Result<()> {
    let text = serde_json::to_vec_pretty(local).or_fail(Kind::Bug, || "write this machine's identity")?;
    store::write_file(&repo.join("gt/machine.json"), &text)?;
    restrict(&repo.join("gt"))
}

fn owner_of(plan: &Plan, path: &Path) -> Result<String> {
    let owner = match &plan.owner {
        Some(owner) => owner.clone(),
        None => program::run(path, &["config", "user.email"])
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default(),
    };
    if owner.is_empty() {
        return Ok("nobody@localhost".into());
    }
    let good = owner.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"<>".contains(c));
    good.then_some(owner.clone()).or_fail(Kind::Usage, || format!("'{}' is not an e-mail address", owner.escape_debug()))
}

/// Makes a directory with its parents.
///
/// # Errors
/// Io, when it cannot be made.
pub fn create_dir(dir: &Path) -> Result<()> {
    store::make_dir(dir, true)
}

/// Lets only the owner into `dir`.
fn restrict(dir: &Path) -> Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(dir, mode).or_fail(Kind::Io, || format!("restrict {}", dir.display()))
}

/// Sets `key` in a ledger's own configuration, or removes it with `None`, in one transaction.
///
/// # Errors
/// Io or conflict, when nothing was written.
pub fn set_in_ledger(ledger: &Ledger, deed: &Deed<'_>, key: &str, value: Option<&serde_json::Value>) -> Result<()> {
    let path = tree::config(config::group_of(key));
    ledger.transact(deed, |change| {
        let mut group: Group = change.get(&path)?.unwrap_or_else(Group::new);
        match value {
            Some(value) => group.values.insert(key.to_owned(), value.clone()),
            None => group.values.remove(key),
        };
        change.put(&path, &group)
    })
}
