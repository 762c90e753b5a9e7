//! What is asked of a tree: the gates of a rig, and the keys by which their verdicts are remembered.
//!
//! A key is a hash of all that a verdict depends on: the gate's definition with that of the gates which prepare its
//! checkout, the environment, and what the gate reads: the whole tree, or the paths, modes and objects of its inputs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};

use super::fingerprint;
use crate::config;
use crate::error::Result;
use crate::model::gate::{Gate, Inputs, Reach};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::objects::read_tree;
use crate::time::parse_millis;
use crate::town::{RigPlace, Town};

/// The gates of a rig and what their verdicts depend on, read once for a run of the queue or of gates by hand.
pub struct Rules {
    gates: Vec<Gate>,
    /// What gates run with: the output of a command, or the machine.
    environment: String,
    /// The definitions of the gates that prepare a checkout.
    preparations: String,
    max_age_millis: u64,
    free_min_megabytes: u64,
    store: Store,
    keys: RefCell<HashMap<(String, ObjectId), String>>,
    digests: RefCell<HashMap<(String, BString, ObjectId), Option<ObjectId>>>,
}

impl Rules {
    /// Reads the gates of `place`, and asks the fingerprint command; without one, verdicts belong to `machine`.
    ///
    /// # Errors
    /// Refused, when a command is not trusted here; external, when the fingerprint command fails; corrupt, when the
    /// configuration cannot be read.
    pub fn read(town: &Town, place: &RigPlace, machine: &str) -> Result<Rc<Self>> {
        let gates = config::gates(town, place)?;
        let environment = match config::command(town, Some(place), "gates.fingerprint")? {
            Some(command) => format!("fingerprint {}", fingerprint::take(town, place, &command)?),
            None => format!("machine {machine}"),
        };
        Self::with(town, place, gates, environment)
    }

    /// The rules with all gates that are configured, trusted here or not, for looking at a queue; nothing is run, and
    /// what verdicts belong to is not asked.
    ///
    /// # Errors
    /// Corrupt, when configuration cannot be read.
    pub fn to_look(town: &Town, place: &RigPlace) -> Result<Rc<Self>> {
        let gates = config::configured(town, place)?.into_iter().map(|one| one.gate).collect();
        Self::with(town, place, gates, String::new())
    }

    /// The rules with these `gates`, trusted or not, for looking at what is known; nothing is run.
    ///
    /// # Errors
    /// Corrupt, when configuration cannot be read.
    pub(super) fn with(town: &Town, place: &RigPlace, gates: Vec<Gate>, environment: String) -> Result<Rc<Self>> {
        let preparations: Vec<String> = gates.iter().filter(|gate| gate.is_preparation()).map(Gate::definition).collect();
        Ok(Rc::new(Self {
            preparations: preparations.join("\0"),
            gates,
            environment,
            max_age_millis: max_age_millis(town, place)?,
            free_min_megabytes: config::number(town, Some(place), "gates.free_min")?.unwrap_or(0),
            store: place.ledger.store.clone(),
            keys: RefCell::default(),
            digests: RefCell::default(),
        }))
    }

    /// Rules without a rig's configuration, for tests.
    #[cfg(test)]
    pub(super) fn of(store: Store, gates: Vec<Gate>, environment: &str) -> Rc<Self> {
        let preparations: Vec<String> = gates.iter().filter(|gate| gate.is_preparation()).map(Gate::definition).collect();
        Rc::new(Self {
            preparations: preparations.join("\0"),
            gates,
            environment: environment.to_owned(),
            max_age_millis: 7 * 86_400_000,
            free_min_megabytes: 0,
            store,
            keys: RefCell::default(),
            digests: RefCell::default(),
        })
    }

    /// All gates, in the order of their phases.
    #[must_use]
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The gates that a tree must pass to land.
    #[must_use]
    pub fn required(&self) -> Vec<Gate> {
        self.gates.iter().filter(|gate| gate.is_required).cloned().collect()
    }

    /// For how long a run counts, in milliseconds.
    #[must_use]
    pub fn max_age_millis(&self) -> u64 {
        self.max_age_millis
    }

    /// Below how many free megabytes a disk is full.
    #[must_use]
    pub fn free_min_megabytes(&self) -> u64 {
        self.free_min_megabytes
    }

    /// The memo key of `gate` on `tree`. One of a tree that cannot be read is that of the tree as a whole, under
    /// which nothing is known.
    #[must_use]
    pub fn key(&self, gate: &Gate, tree: ObjectId) -> String {
        let definition = gate.definition();
        let slot = (definition.clone(), tree);
        if let Some(key) = self.keys.borrow().get(&slot) {
            return key.clone();
        }
        let reads = match Inputs::of(&gate.inputs) {
            Some(inputs) => self.digest(&gate.inputs.join("\0"), &inputs, &inputs.top(), BStr::new(""), tree),
            None => Ok(Some(tree)),
        };
        let reads = reads.map_or_else(|_| format!("unread {tree}"), |id| id.map_or("nothing".to_owned(), |id| id.to_string()));
        let preparations = if gate.is_preparation() { "" } else { &self.preparations };
        let text = [&definition, preparations, &self.environment, &reads].join("\u{2}");
        let key = hash(text.into_bytes()).to_string();
        self.keys.borrow_mut().insert(slot, key.clone());
        key
    }

    /// A hash of the sorted paths, modes and objects that `inputs` take below `path`, where `tree` lies; `None` when
    /// they take nothing there. Equal directories are looked at once.
    fn digest(&self, globs: &str, inputs: &Inputs, reach: &Reach, path: &BStr, tree: ObjectId) -> Result<Option<ObjectId>> {
        let slot = (globs.to_owned(), path.to_owned(), tree);
        if let Some(known) = self.digests.borrow().get(&slot) {
            return Ok(*known);
        }
        let mut taken: Vec<u8> = Vec::new();
        for entry in read_tree(&self.store.repo.objects, tree)?.entries {
            let mut full = BString::from(path);
            if !path.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(&entry.filename);
            let found = if entry.mode.is_tree() {
                let below = inputs.enter(reach, full.as_bstr());
                self.digest(globs, inputs, &below, full.as_bstr(), entry.oid)?
            } else {
                inputs.takes(reach, full.as_bstr()).then_some(entry.oid)
            };
            if let Some(id) = found {
                taken.extend(format!("{:o} {id} ", entry.mode.value()).into_bytes());
                taken.extend_from_slice(&entry.filename);
                taken.push(0);
            }
        }
        let digest = (!taken.is_empty()).then(|| hash(taken));
        self.digests.borrow_mut().insert(slot, digest);
        Ok(digest)
    }
}

fn hash(bytes: Vec<u8>) -> ObjectId {
    Batch::default().add(gix::objs::Kind::Blob, bytes)
}

/// For how long a run of the rig counts, in milliseconds.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub(crate) fn max_age_millis(town: &Town, place: &RigPlace) -> Result<u64> {
    let set = config::lookup(town, Some(place), "gates.max_age")?;
    set.map_or(Ok(u64::MAX), |set| parse_millis(&set.text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::init;

    /// A store and a way to write trees of files into it: `a/b` is a path, what follows `=` the content.
    struct Ground {
        _dir: tempfile::TempDir,
        store: Store,
    }

    impl Ground {
        fn new() -> Self {
            let dir = tempfile::TempDir::new().unwrap();
            init::init_bare(dir.path(), "main").unwrap();
            let store = Store::open(dir.path()).unwrap();
            Self { _dir: dir, store }
        }

        fn tree(&self, files: &[&str]) -> ObjectId {
            let mut editor = self.store.repo.edit_tree(ObjectId::empty_tree(gix::hash::Kind::Sha1)).unwrap();
            for file in files {
                let (path, text) = file.split_once('=').unwrap();
                let (kind, text) = match text.strip_prefix('+') {
                    Some(text) => (gix::objs::tree::EntryKind::BlobExecutable, text),
                    None => (gix::objs::tree::EntryKind::Blob, text),
                };
                let blob = self.store.repo.write_blob(text).unwrap();
                editor.upsert(path, kind, blob).unwrap();
            }
            editor.write().unwrap().detach()
        }
    }

    fn with_inputs(globs: &[&str]) -> Gate {
        Gate { inputs: globs.iter().map(|glob| (*glob).to_owned()).collect(), ..Gate::new("test", "true", 1000) }
    }

    #[test]
    fn a_key_changes_with_what_the_gate_reads_and_with_nothing_else() {
        let ground = Ground::new();
        let rules = Rules::of(ground.store.clone(), vec![], "machine m1");
        let (whole, some) = (Gate::new("test", "true", 1000), with_inputs(&["src/", "*.toml"]));
        let one = ground.tree(&["src/a=1", "docs/x=1", "Cargo.toml=1"]);
        for (files, is_same) in [
            (&["src/a=1", "docs/x=2", "Cargo.toml=1", "new=1"][..], true),
            (&["src/a=2", "docs/x=1", "Cargo.toml=1"], false),
            (&["src/a=1", "src/b=1", "docs/x=1", "Cargo.toml=1"], false),
            (&["src/b=1", "docs/x=1", "Cargo.toml=1"], false),
            (&["src/a=+1", "docs/x=1", "Cargo.toml=1"], false),
            (&["src/a=1", "docs/x=1", "Cargo.toml=1", "sub/b.toml=1"], false),
        ] {
            let other = ground.tree(files);
            assert_eq!(rules.key(&some, one) == rules.key(&some, other), is_same, "{files:?}");
            assert_ne!(rules.key(&whole, one), rules.key(&whole, other), "{files:?}");
        }
        let nothing = with_inputs(&["nowhere/"]);
        assert_eq!(rules.key(&nothing, one), rules.key(&nothing, ground.tree(&["x=1"])));
        let unread = ObjectId::from_hex(&[b'1'; 40]).unwrap();
        assert_ne!(rules.key(&nothing, unread), rules.key(&nothing, one), "a tree that cannot be read is never known");
    }

    #[test]
    fn a_key_changes_with_definition_environment_and_preparation() {
        let ground = Ground::new();
        let tree = ground.tree(&["a=1"]);
        let of = |gates: Vec<Gate>, environment: &str| Rules::of(ground.store.clone(), gates, environment);
        let gate = Gate::new("test", "true", 1000);
        let key = of(vec![], "machine m1").key(&gate, tree);
        assert_eq!(of(vec![gate.clone()], "machine m1").key(&gate, tree), key);
        assert_ne!(of(vec![], "machine m2").key(&gate, tree), key);
        assert_ne!(of(vec![], "machine m1").key(&Gate::new("test", "false", 1000), tree), key);
        let setup = |command: &str| of(vec![Gate::new("setup", command, 1000)], "machine m1").key(&gate, tree);
        assert!(setup("npm ci") != key && setup("npm ci") != setup("npm i"));
    }
}
