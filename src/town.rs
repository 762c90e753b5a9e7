//! Where we are and who acts: the town found from any directory, its scopes, and the routes to them.

mod resolve;

pub use resolve::MOVES_MAX;

use std::path::{Path, PathBuf};

use crate::config;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Actor, Deed, Ledger};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::bead::IssueType;
use crate::model::cone::Cone;
use crate::model::scope::{LocalMachine, Rig};
use crate::name::{BeadId, Name, Prefix};
use crate::time::{self, Moment};

/// Where a command starts from.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// `-C DIR`: act as if started there.
    pub dir: Option<PathBuf>,
    /// `--actor ADDRESS`: act as this one.
    pub actor: Option<String>,
}

/// A town on this machine, and who acts in it.
#[derive(Clone)]
pub struct Town {
    /// Its directory.
    pub root: PathBuf,
    /// The town's own ledger.
    pub hq: Ledger,
    /// This machine's id.
    pub machine: String,
    /// Who acts, as commits name it.
    pub actor: Actor,
    /// Who acts.
    pub me: Address,
    /// The moment the command began.
    pub now: Moment,
    /// Where the command started.
    pub dir: PathBuf,
    /// What the directory says when the environment says another.
    pub contradiction: Option<Address>,
    /// Whether its directory is not the one that this machine's identity was made for.
    pub is_copy: bool,
}

/// A rig on this machine.
pub struct RigPlace {
    /// Its registry entry.
    pub rig: Rig,
    /// Its directory.
    pub dir: PathBuf,
    /// The project's git URL or path as this machine knows it; the registry has that of the machine that made the rig.
    pub project: String,
    /// Its ledger.
    pub ledger: Ledger,
}

/// The key of git's configuration that says where to push, when that is not where the project is fetched from.
pub const PUSH_URL: &str = "remote.origin.pushurl";
/// The key of a rig's git configuration that names the directories that its worktrees on this machine show.
pub const SPARSE: &str = "gt.sparse";

impl RigPlace {
    /// Where this machine pushes branches and landings of the project.
    #[must_use]
    pub fn push_url(&self) -> String {
        let set = self.ledger.store.repo.config_snapshot().string(PUSH_URL);
        set.map_or_else(|| self.project.clone(), |url| url.to_string())
    }

    /// What sandboxes and reading worktrees show of the project on this machine: as it says for itself, else as the
    /// registry says.
    ///
    /// # Errors
    /// Usage, when one of the directories named can be none.
    pub fn cone(&self) -> Result<Cone> {
        let own = self.ledger.store.repo.config_snapshot().plumbing().strings(SPARSE).unwrap_or_default();
        if own.is_empty() {
            return Cone::of(&self.rig.sparse);
        }
        Cone::of(&own.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

/// The file that marks a town's directory.
pub const MARK: &str = "mayor/town.json";
/// The file in a rig's directory that marks it as not finished: no rig yet, and removed by the next `gt rig add`.
pub const UNFINISHED: &str = ".adding";

/// Whether `dir` holds a finished rig.
#[must_use]
pub fn is_whole(dir: &Path) -> bool {
    dir.join(".repo.git").is_dir() && !dir.join(UNFINISHED).exists()
}

impl Town {
    /// Finds the town above the starting directory (or at `GT_ROOT`) and tells who acts.
    ///
    /// # Errors
    /// Not found, when there is none; usage, when an identity is not an address.
    pub fn find(start: &Start) -> Result<Self> {
        let here = env::current_dir();
        let dir = match (&start.dir, here) {
            (Some(dir), Some(here)) => here.join(dir),
            (Some(dir), None) => dir.clone(),
            (None, here) => here
                .or_fail(Kind::NotFound, || "find the current directory: it is gone")
                .map_err(|e| e.hint("cd to a directory that exists"))?,
        };
        let dir = dir.canonicalize().or_fail(Kind::NotFound, || format!("find the directory {}", dir.display()))?;
        let root = match root_above(&dir)? {
            Some(root) => Some(root),
            None => env::path(Var::Root).filter(|_| start.dir.is_none()),
        };
        let root = root.filter(|root| root.join(MARK).is_file()).ok_or_else(|| {
            Error::not_found(format!("there is no town at or above {}", dir.display()))
                .hint("make one: gt install ~/gt, then work inside it or set GT_ROOT")
        })?;
        Self::open(&root, dir, start.actor.as_deref())
    }

    /// Opens the town at `root` for a command started in `dir`.
    ///
    /// # Errors
    /// As [`Town::find`].
    pub fn open(root: &Path, dir: PathBuf, actor: Option<&str>) -> Result<Self> {
        let repo = root.join(".repo.git");
        let local = read_machine(&repo)?;
        let is_copy = !local.is_of(&host_of(&repo)?);
        let hq = Ledger::open(&repo, &local.id)?.of_copy(is_copy);
        let from_dir = identity_of(root, &dir);
        let named = actor.map(str::to_owned).or_else(|| env::text(Var::Actor)).or_else(|| env::text(Var::Role));
        let from_env: Option<Address> = named.map(|text| text.parse()).transpose()?;
        let contradiction = from_dir.clone().filter(|dir| from_env.as_ref().is_some_and(|env| env != dir));
        let me = from_env.or(from_dir).unwrap_or(Address::Overseer(None));
        let email = config::owner_email(&hq)?;
        let actor = Actor { name: me.to_string(), email, model: env::text(Var::Model) };
        Ok(Self { root: root.to_owned(), hq, machine: local.id, actor, me, now: time::now()?, dir, contradiction, is_copy })
    }

    /// Refuses what must not be done under two identities.
    ///
    /// # Errors
    /// Refused, naming both.
    pub fn check_identity(&self) -> Result<()> {
        match &self.contradiction {
            None => Ok(()),
            Some(other) => Err(Error::refused(format!("the environment says {} but this directory belongs to {other}", self.me))
                .hint("unset GT_ACTOR and GT_ROLE, or go to your own directory")),
        }
    }

    /// The machine-local, disposable files of the town.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.root.join(".runtime")
    }

    /// What a transaction of this command is for.
    #[must_use]
    pub fn deed<'a>(&'a self, op: &'a str, subject: impl Into<String>) -> Deed<'a> {
        Deed { actor: &self.actor, op, subject: subject.into(), now: self.now }
    }

    /// All registered rigs, by name.
    ///
    /// # Errors
    /// Corrupt, when the registry cannot be read.
    pub fn rigs(&self) -> Result<Vec<Rig>> {
        let rigs = self.hq.state()?.rigs()?;
        rigs.iter().for_each(Rig::claim_ids);
        Ok(rigs)
    }

    fn find_rig(&self, name: &Name) -> Result<Option<Rig>> {
        let rig = self.hq.state()?.rig(name)?;
        rig.iter().for_each(Rig::claim_ids);
        Ok(rig)
    }

    /// The rig `name` on this machine.
    ///
    /// # Errors
    /// Not found, when it is not registered or not on this machine.
    pub fn rig(&self, name: &Name) -> Result<RigPlace> {
        self.place(self.entry(name)?)
    }

    fn entry(&self, name: &Name) -> Result<Rig> {
        match self.find_rig(name)? {
            Some(rig) => Ok(rig),
            None => {
                let known: Vec<String> = self.rigs()?.iter().map(|rig| rig.name.to_string()).collect();
                let hint = if known.is_empty() {
                    "add one: gt rig add NAME URL".to_owned()
                } else {
                    format!("known rigs: {}", known.join(", "))
                };
                Err(Error::not_found(format!("there is no rig {name}")).hint(hint))
            }
        }
    }

    /// All rigs that have a directory on this machine.
    ///
    /// # Errors
    /// Corrupt, when the registry or a rig's repository cannot be read.
    pub fn places(&self) -> Result<Vec<RigPlace>> {
        self.each_place()?.into_iter().map(|(_, place)| place).collect()
    }

    /// The same, each by its name and for itself: a rig that cannot be opened hides no other.
    ///
    /// # Errors
    /// Corrupt, when the registry cannot be read.
    pub fn each_place(&self) -> Result<Vec<(Name, Result<RigPlace>)>> {
        let here = self.rigs()?.into_iter().filter(|rig| is_whole(&self.root.join(rig.name.as_str())));
        Ok(here.map(|rig| (rig.name.clone(), self.place(rig))).collect())
    }

    fn check_here(&self, rig: &Rig) -> Result<()> {
        if is_whole(&self.root.join(rig.name.as_str())) {
            return Ok(());
        }
        Err(Error::not_found(format!("rig {} is registered but not on this machine", rig.name))
            .hint(format!("fetch it: gt rig add {} {}", rig.name, rig.url)))
    }

    fn place(&self, rig: Rig) -> Result<RigPlace> {
        self.check_here(&rig)?;
        let dir = self.root.join(rig.name.as_str());
        let ledger = Ledger::open(&dir.join(".repo.git"), &self.machine)?.of_copy(self.is_copy);
        let project = ledger.store.repo.config_snapshot().string("remote.origin.url").map(|url| url.to_string());
        Ok(RigPlace { project: project.unwrap_or_else(|| rig.url.clone()), rig, dir, ledger })
    }

    /// The rig that the command is about when none is named: that of the actor, else that of the directory,
    /// else the only one.
    ///
    /// # Errors
    /// Usage, when it cannot be told.
    pub fn rig_here(&self) -> Result<RigPlace> {
        if let Some(place) = self.find_rig_here()? {
            return Ok(place);
        }
        let mut rigs = self.rigs()?;
        match (rigs.pop(), rigs.is_empty()) {
            (Some(only), true) => self.place(only),
            _ => Err(Error::usage("which rig? none is named and this directory belongs to none")
                .hint("add --rig NAME; gt rig list shows them")),
        }
    }

    /// The rig of the actor or of the directory, if any.
    ///
    /// # Errors
    /// As [`Town::rig`].
    pub fn find_rig_here(&self) -> Result<Option<RigPlace>> {
        self.entry_here()?.map(|rig| self.place(rig)).transpose()
    }

    /// The prefix of the rig of the actor or of the directory, if any; nothing is opened for it.
    ///
    /// # Errors
    /// As [`Town::rig`].
    pub fn prefix_here(&self) -> Result<Option<Prefix>> {
        let Some(rig) = self.entry_here()? else { return Ok(None) };
        self.check_here(&rig)?;
        Ok(Some(rig.prefix))
    }

    fn entry_here(&self) -> Result<Option<Rig>> {
        if let Some(name) = self.me.rig() {
            return self.entry(name).map(Some);
        }
        let of_dir = || {
            let first = self.dir.strip_prefix(&self.root).ok()?.components().next()?;
            first.as_os_str().to_str()?.parse::<Name>().ok()
        };
        // A directory of the town that is no rig's says nothing.
        Ok(of_dir().map(|name| self.find_rig(&name)).transpose()?.flatten())
    }

    /// The rig named, else the one here.
    ///
    /// # Errors
    /// As [`Town::rig`] and [`Town::rig_here`].
    pub fn rig_or_here(&self, name: Option<&Name>) -> Result<RigPlace> {
        name.map_or_else(|| self.rig_here(), |name| self.rig(name))
    }

    /// The ledger of the scope with `prefix`.
    ///
    /// # Errors
    /// Not found, naming the known prefixes.
    pub fn scope_of(&self, prefix: &Prefix) -> Result<Ledger> {
        if *prefix == Prefix::hq() {
            return Ok(self.hq.clone());
        }
        let rigs = self.rigs()?;
        if let Some(rig) = rigs.iter().find(|rig| rig.has_prefix(prefix)) {
            return Ok(self.place(rig.clone())?.ledger);
        }
        let known: Vec<String> = std::iter::once("hq".to_owned()).chain(rigs.iter().map(|rig| rig.prefix.to_string())).collect();
        Err(Error::not_found(format!("no scope has the prefix {prefix}")).hint(format!("known prefixes: {}", known.join(", "))))
    }

    /// The prefix of the scope in which mail to `address` lives.
    ///
    /// # Errors
    /// Not found, when its rig is not registered.
    pub fn prefix_for(&self, address: &Address) -> Result<Prefix> {
        address.rig().map_or_else(|| Ok(Prefix::hq()), |name| Ok(self.registered(name)?.prefix))
    }

    /// The bead of the agent `address`: its scope's ledger and its id.
    ///
    /// # Errors
    /// As [`Town::ledger_for`].
    pub fn agent_bead(&self, address: &Address) -> Result<(Ledger, BeadId)> {
        let Some(name) = address.rig() else { return Ok((self.hq.clone(), address.bead_id(&Prefix::hq()))) };
        let rig = self.registered(name)?;
        let id = address.bead_id(rig.founded_with());
        Ok((self.place(rig)?.ledger, id))
    }

    /// The ledger in which mail to `address` lives.
    ///
    /// # Errors
    /// As [`Town::prefix_for`]; not found, when the rig is not on this machine.
    pub fn ledger_for(&self, address: &Address) -> Result<Ledger> {
        match address.rig() {
            Some(name) => Ok(self.place(self.registered(name)?)?.ledger),
            None => Ok(self.hq.clone()),
        }
    }

    fn registered(&self, name: &Name) -> Result<Rig> {
        let rig = self.find_rig(name)?;
        rig.ok_or_else(|| Error::not_found(format!("there is no rig {name}")).hint("gt rig list shows them"))
    }

    /// The same at the moment `now`, for commands that go on.
    #[must_use]
    pub fn at(&self, now: Moment) -> Self {
        Self { now, ..self.clone() }
    }

    /// All agents of a rig, in order of their names.
    ///
    /// # Errors
    /// Corrupt, when an agent's bead cannot be read.
    pub fn agents_of(&self, place: &RigPlace) -> Result<Vec<Agent>> {
        place.ledger.state()?.beads_of(&IssueType::Agent)?.iter().map(Agent::of).collect()
    }
}

/// The outermost directory at or above `dir` that is a town of this user.
///
/// There is no town in a town; what looks like one there came with a project, commands that it trusts and all. And
/// what another user put above a shared directory is not ours to run.
///
/// # Errors
/// Refused, when there is only one of another user.
fn root_above(dir: &Path) -> Result<Option<PathBuf>> {
    let is_town = |dir: &&Path| dir.join(MARK).is_file() && dir.join(".repo.git").is_dir();
    let me = rustix::process::geteuid().as_raw();
    let is_mine = |dir: &Path| {
        let owner = std::fs::metadata(dir.join(".repo.git")).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
        owner.is_ok_and(|owner| owner == me)
    };
    let towns: Vec<&Path> = dir.ancestors().filter(is_town).collect();
    let named = env::path(Var::Root).and_then(|root| root.canonicalize().ok());
    if let Some(root) = towns.iter().find(|town| named.as_deref() == Some(**town)) {
        return Ok(Some((*root).to_owned()));
    }
    match (towns.iter().rfind(|town| is_mine(town)), towns.last()) {
        (Some(mine), _) => Ok(Some((*mine).to_owned())),
        (None, None) => Ok(None),
        (None, Some(other)) => Err(Error::refused(format!("the town {} belongs to another user", other.display()))
            .hint(format!("if you trust whoever that is: GT_ROOT={}", other.display()))),
    }
}

/// Who works in `dir`, told by its place in the town.
fn identity_of(root: &Path, dir: &Path) -> Option<Address> {
    let parts: Vec<&str> = dir.strip_prefix(root).ok()?.iter().filter_map(|part| part.to_str()).collect();
    let text = match parts.as_slice() {
        ["mayor", ..] => "mayor".to_owned(),
        ["deacon", "dogs", name, ..] => format!("deacon/dogs/{name}"),
        ["deacon", ..] => "deacon".to_owned(),
        // A worktree of crew of another rig.
        [_, "crew", name, ..] if name.contains('-') => {
            let (home, name) = name.split_once('-')?;
            format!("{home}/crew/{name}")
        }
        [rig, kind @ ("polecats" | "crew" | "plugins"), name, ..] => format!("{rig}/{kind}/{name}"),
        [rig, role @ ("witness" | "refinery"), ..] => format!("{rig}/{role}"),
        _ => return None,
    };
    text.parse().ok()
}

/// The machine's identity in the town whose git directory is `repo`.
///
/// # Errors
/// Corrupt, when it is missing or unreadable.
pub fn read_machine(repo: &Path) -> Result<LocalMachine> {
    let path = repo.join("gt/machine.json");
    let deed = || format!("read this machine's identity from {}", path.display());
    let bytes = std::fs::read(&path).or_fail(Kind::Corrupt, deed)?;
    serde_json::from_slice(&bytes).or_fail(Kind::Corrupt, deed)
}

/// What tells the place of the town's git directory `repo` from that of a copy: the operating system's id, device and inode.
///
/// # Errors
/// Io, when it cannot be looked at.
pub fn host_of(repo: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt;
    let host = std::fs::read_to_string("/etc/machine-id").map(|id| id.trim().to_owned()).unwrap_or_default();
    let meta = std::fs::metadata(repo).or_fail(Kind::Io, || format!("read {}", repo.display()))?;
    Ok(format!("{host}:{}:{}", meta.dev(), meta.ino()))
}
