//! Scopes, rigs and machines: who may mint which ids, and where things live.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::mail::Letter;
use crate::model::record::{self, Object, Rev, SCHEMA_VERSION};
use crate::name::{Name, Prefix, Slot};
use crate::time::Moment;

/// Town or rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKind {
    /// The town's own ledger, prefix `hq`.
    Town,
    /// A managed project.
    Rig,
}

/// `ledger.json`: what this ledger is.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Scope {
    /// Schema version.
    pub v: u64,
    /// The merge rules' version.
    pub merge_v: u64,
    /// Town or rig.
    pub kind: ScopeKind,
    /// The prefix of its ids.
    pub prefix: Prefix,
    /// The town's or rig's name.
    pub name: String,
    /// When it was founded.
    pub created_at: Moment,
    /// A town's home: id of the machine that founded it, or took that one's place. A rig's is in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// How often history was flattened.
    #[serde(default)]
    pub epoch: u64,
    /// Tips before each flatten.
    #[serde(default)]
    pub flattened: Vec<String>,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// `machines/<id>.json`: a machine that takes part in a scope.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Machine {
    /// Schema version.
    pub v: u64,
    /// Its id: 8 base-36 characters.
    pub id: String,
    /// The mark of ids it mints in this scope.
    pub slot: Slot,
    /// For people.
    pub name: String,
    /// The operating system's id of the host and the place of the `.repo.git`.
    pub host: String,
    /// Id of the machine that took its place, since it is gone for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// `.repo.git/gt/machine.json`: who this machine is in this town; never synced.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct LocalMachine {
    /// Its id in every scope.
    pub id: String,
    /// For people.
    pub name: String,
    /// The operating system's id of the host with device and inode of the town's `.repo.git`.
    pub host: String,
}

impl LocalMachine {
    /// Whether this identity was made for the place `host`. Numbers of devices change from one boot to the next, so that
    /// only the system's id and the inode count; a system without an id is not told from others.
    #[must_use]
    pub fn is_of(&self, host: &str) -> bool {
        let parts = |host: &str| {
            let mut parts = host.splitn(3, ':').map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default())
        };
        let ((system, inode), (system_now, inode_now)) = (parts(&self.host), parts(host));
        inode == inode_now && (system == system_now || system.is_empty() || system_now.is_empty())
    }
}

/// `rigs/<name>.json` in the town's ledger: the registry entry of a rig.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Rig {
    /// Schema version.
    pub v: u64,
    /// Its name and directory.
    pub name: Name,
    /// The prefix of its ids.
    pub prefix: Prefix,
    /// The prefix that it was founded with, and that its ledger and the ids of its agents keep; `None`: `prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founding_prefix: Option<Prefix>,
    /// All prefixes that it ever had; none, when it had but one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub prefixes: BTreeSet<Prefix>,
    /// Where it was cloned from.
    pub url: String,
    /// The branch that work is merged into.
    pub target: String,
    /// Whether the branch of that name at `origin` is the target, pushed with expectation.
    #[serde(default)]
    pub land_remote: bool,
    /// The URL its ledger is exchanged with; `None`: with nobody.
    #[serde(default)]
    pub sync: Option<String>,
    /// The directories that its sandboxes show; none: the whole project. A machine may have its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse: Vec<String>,
    /// Id of the machine that made it and works its queue.
    pub home: String,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Rig {
    /// The prefix that its ledger and the ids of its agents have.
    #[must_use]
    pub fn founded_with(&self) -> &Prefix {
        self.founding_prefix.as_ref().unwrap_or(&self.prefix)
    }

    /// Whether ids with `prefix` are its ids.
    #[must_use]
    pub fn has_prefix(&self, prefix: &Prefix) -> bool {
        self.prefix == *prefix || self.prefixes.contains(prefix)
    }

    /// Gives it the prefix `new`; the others stay its own.
    pub fn rename_prefix(&mut self, new: &Prefix) {
        self.founding_prefix.get_or_insert_with(|| self.prefix.clone());
        self.prefixes.insert(self.prefix.clone());
        self.prefixes.insert(new.clone());
        self.prefix = new.clone();
    }

    /// Lets ids with a prefix that it had formerly belong to it.
    pub fn claim_ids(&self) {
        self.prefixes.iter().for_each(|former| former.was_renamed_to(&self.prefix));
    }
}

impl Parcel {
    /// `letter`, for a mailbox of the scope `to_scope`, to be delivered under `key` by `machine`.
    #[must_use]
    pub fn of(letter: &Letter, key: &str, to_scope: Prefix, machine: &str) -> Self {
        let mut letter = record::object_of(letter);
        letter.remove("id");
        letter.remove("key");
        let (key, machine) = (key.to_owned(), machine.to_owned());
        Self { v: SCHEMA_VERSION, key, to_scope, machine, letter, rev: Rev::default(), extra: Object::new() }
    }
}

/// `outbox/<key>.json`: what another scope must learn; delivered under `key` exactly once.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Parcel {
    /// Schema version.
    pub v: u64,
    /// Unique name of the delivery.
    pub key: String,
    /// The prefix of the scope that must learn it.
    pub to_scope: Prefix,
    /// The machine that wrote it; only that one delivers and drops it.
    pub machine: String,
    /// The letter to put into a mailbox there, its id still to be minted.
    pub letter: Object,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}
