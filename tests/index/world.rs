//! A ledger that random deeds change, damage by hand included.

use std::path::PathBuf;

use gastown::ledger::archive::Standing;
use gastown::ledger::{Actor, Change, Deed, Ledger, tree};
use gastown::model::address::Address;
use gastown::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status};
use gastown::model::mail::{Letter, Urgency};
use gastown::model::merge_request::MrState;
use gastown::model::record::Object;
use gastown::name::BeadId;
use gastown::store::Store;
use gastown::store::batch::Batch;
use gastown::store::refs::Swap;
use gastown::time::Moment;
use gix::ObjectId;
use proptest::prelude::*;
use tempfile::TempDir;

/// What happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub enum Step {
    Create(usize),
    Label(usize),
    Assign(usize),
    Close(usize),
    Depend(usize, usize),
    Far(usize),
    Child(usize),
    Kind(usize),
    Delete(usize),
    Mail(usize),
    Read(usize),
    Garble(usize),
    GarbleMail(usize),
    Stray(usize),
    Archive(usize),
    Many(usize),
    Ask,
}

pub fn step() -> impl Strategy<Value = Step> {
    let n = || 0..12usize;
    prop_oneof![
        4 => n().prop_map(Step::Create),
        2 => n().prop_map(Step::Label),
        1 => n().prop_map(Step::Assign),
        2 => n().prop_map(Step::Close),
        3 => (n(), n()).prop_map(|(a, b)| Step::Depend(a, b)),
        1 => n().prop_map(Step::Far),
        2 => n().prop_map(Step::Child),
        2 => n().prop_map(Step::Kind),
        2 => n().prop_map(Step::Delete),
        3 => n().prop_map(Step::Mail),
        2 => n().prop_map(Step::Read),
        1 => n().prop_map(Step::Garble),
        1 => n().prop_map(Step::GarbleMail),
        1 => n().prop_map(Step::Stray),
        2 => n().prop_map(Step::Archive),
        4 => Just(Step::Ask),
    ]
}

/// Whose mailboxes there are.
pub fn people() -> Vec<Address> {
    ["overseer", "mayor", "widgets/polecats/toast"].iter().map(|text| text.parse().unwrap()).collect()
}

pub struct World {
    _place: Option<TempDir>,
    pub dir: PathBuf,
    /// All commits, oldest first.
    pub tips: Vec<ObjectId>,
    now: i64,
}

fn id(n: usize) -> BeadId {
    format!("wi-{}{n}", ["a", "b", "z"][n % 3]).parse().unwrap()
}

fn moment(now: i64) -> Moment {
    // Times repeat, so that ids have to decide.
    Moment::from_millis(1_767_225_600_000 + now / 3 * 86_400_000)
}

impl World {
    pub fn new() -> Self {
        let place = TempDir::new().unwrap();
        let dir = place.path().join("repo.git");
        gastown::git::init::init_bare(&dir, "main").unwrap();
        let config = dir.join("config");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(config, format!("{text}[gt]\n\tdurability = none\n")).unwrap();
        let mut world = Self { _place: Some(place), dir, tips: Vec::new(), now: 0 };
        world.run(&Step::Create(0));
        world
    }

    /// Another view of the ledger in `dir`.
    pub fn at(dir: PathBuf) -> Self {
        Self { _place: None, dir, tips: Vec::new(), now: 0 }
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.dir, "mach0").unwrap()
    }

    /// Moves the ledger to `tip`, whatever it was.
    pub fn reset(&mut self, tip: ObjectId) {
        std::fs::write(self.dir.join(tree::LEDGER), format!("{tip}\n")).unwrap();
    }

    pub fn run(&mut self, step: &Step) {
        self.now += 1;
        match step {
            Step::Ask => {}
            Step::Garble(n) => self.put(&tree::bead(&id(*n)), Some(b"{ not a record")),
            // A record of another kind in a bead's place, and a file that no path of ours names.
            Step::Stray(n) if n % 2 == 0 => self.put(&tree::bead(&id(*n)), Some(br#"{"v":1,"id":"wi-a0"}"#)),
            Step::Stray(n) => self.put(&format!("beads/x/stray{n}.txt"), Some(b"hello")),
            Step::GarbleMail(n) => {
                let state_paths = self.ledger().state().unwrap().paths("mail").unwrap();
                if let Some((path, _)) = state_paths.get(n % state_paths.len().max(1)) {
                    self.put(&path.clone(), Some(b"[]"));
                }
            }
            Step::Archive(n) => self.archive(&id(*n)),
            // Transactions leave alone what they cannot read; a person may take it away.
            Step::Create(n) | Step::Delete(n) if self.is_garbled(*n) => self.put(&tree::bead(&id(*n)), None),
            _ => self.transact(step),
        }
        self.tips.extend(self.ledger().tip().unwrap());
    }

    /// Moves a closed bead to the archive, or all but takes it out of the ledger.
    fn archive(&self, id: &BeadId) {
        let ledger = self.ledger();
        if ledger.tip().unwrap().is_none() {
            return;
        }
        let state = ledger.state().unwrap();
        let path = tree::bead(id);
        let Some(blob) = state.blob_id(&path).unwrap() else { return };
        if !state.bead(id).is_ok_and(|bead| bead.status.is_closed()) {
            return;
        }
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now: moment(self.now) };
        if state.blob_id(tree::SCOPE).unwrap().is_none() {
            self.put(tree::SCOPE, Some(br#"{"v":1,"scope":"s","kind":"rig","prefix":"wi","name":"w"}"#));
        }
        ledger.put_into_archive(&deed, &[Standing { id: id.clone(), path, blob }]).unwrap();
        if self.now % 4 > 0 {
            let taken = ledger.transact(&deed, |change| {
                change.remove_bead(id);
                Ok(())
            });
            taken.unwrap();
        }
    }

    fn is_garbled(&self, n: usize) -> bool {
        let ledger = self.ledger();
        ledger.tip().unwrap().is_some() && ledger.state().unwrap().find_bead(&id(n)).is_err()
    }

    fn transact(&self, step: &Step) {
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now: moment(self.now) };
        self.ledger().transact(&deed, |change| change_by(change, step, self.now)).unwrap();
    }

    /// Writes a record as bytes, past all checks.
    fn put(&self, path: &str, bytes: Option<&[u8]>) {
        let store = Store::open(&self.dir).unwrap();
        let tip = store.read_ref(tree::LEDGER).unwrap();
        let Some(tip) = tip else { return };
        let mut batch = Batch::default();
        let blob = bytes.map(|bytes| batch.add(gix::objs::Kind::Blob, bytes.to_vec()));
        let root = store.tree_of(tip).unwrap();
        let root = gastown::ledger::commit::edit_tree(&store, root, &[(path, blob)], &mut batch).unwrap();
        let commit = gix::objs::Commit {
            tree: root,
            parents: [tip].into_iter().collect(),
            ..store.repo.find_commit(tip).unwrap().decode().unwrap().into_owned().unwrap()
        };
        let commit = batch.add_value(&commit);
        store.write(&batch).unwrap();
        assert!(matches!(store.swap_ref(tree::LEDGER, Some(tip), commit).unwrap(), Swap::Moved));
    }
}

/// Changes the `n`th bead, if it is there and readable.
fn edit(change: &mut Change<'_>, n: usize, edit: impl FnOnce(&mut Bead)) -> gastown::error::Result<()> {
    let Ok(mut bead) = change.bead(&id(n)) else { return Ok(()) };
    edit(&mut bead);
    change.put_bead(&bead)
}

fn connect(bead: &mut Bead, target: BeadId, n: usize, now: Moment) {
    let kinds = [DependencyKind::Blocks, DependencyKind::WaitsFor, DependencyKind::Related, DependencyKind::Other("odd".into())];
    bead.dependencies.push(Dependency {
        issue_id: bead.id.clone(),
        depends_on_id: target,
        kind: kinds[n % kinds.len()].clone(),
        created_by: "overseer".into(),
        created_at: now,
        extra: Object::default(),
    });
}

fn change_by(change: &mut Change<'_>, step: &Step, now: i64) -> gastown::error::Result<()> {
    let at = moment(now);
    match step {
        Step::Create(n) => {
            let mut bead = Bead::new(id(*n), IssueType::Task, "made", "overseer", at)?;
            bead.priority = u8::try_from(n % 5).unwrap();
            change.put_bead(&bead)?;
        }
        Step::Many(n) => {
            for k in 0..120 {
                let id: BeadId = format!("wi-m{k:03}").parse()?;
                let mut bead = Bead::new(id, IssueType::Task, &format!("round {n}"), "overseer", at)?;
                bead.labels.insert(format!("round{n}"));
                change.put_bead(&bead)?;
            }
        }
        Step::Label(n) => edit(change, *n, |bead| {
            bead.labels.insert(if now % 2 == 0 { "red" } else { "green and blue" }.into());
        })?,
        Step::Assign(n) => edit(change, *n, |bead| bead.assignee = Some("mayor".into()))?,
        Step::Close(n) => edit(change, *n, |bead| {
            let _ = bead.close("widgets/refinery", if now % 2 == 0 { "merged" } else { "tests failed" }, at);
        })?,
        Step::Depend(a, b) => edit(change, *a, |bead| connect(bead, id(*b), a + b, at))?,
        Step::Far(n) => edit(change, *n, |bead| connect(bead, "hq-far1".parse().unwrap(), 0, at))?,
        Step::Child(n) => edit(change, *n, |bead| bead.parent = Some(id((n + 1) % 12)))?,
        Step::Kind(n) => edit(change, *n, |bead| match now % 4 {
            0 => bead.status = Status::Other("odd".into()),
            1 => bead.issue_type = IssueType::Other("novel".into()),
            2 => {
                bead.extra.insert("ephemeral".into(), true.into());
                bead.defer_until = Some(at);
            }
            _ => {
                bead.issue_type = IssueType::MergeRequest;
                bead.extra = request();
            }
        })?,
        Step::Delete(n) => change.remove(&tree::bead(&id(*n))),
        Step::Mail(n) => {
            let to = people()[n % 3].clone();
            let id: BeadId = format!("wi-ml-{now}x{n}").parse()?;
            let mut letter = Letter::new(id, Address::Mayor, to, "hello", "there", at)?;
            letter.priority = [Urgency::Urgent, Urgency::High, Urgency::Normal, Urgency::Low][n % 4];
            change.put_letter(&letter)?;
        }
        Step::Read(n) => {
            let mine = change.before().letters(&people()[n % 3])?.0;
            if let Some(letter) = mine.get(n / 3) {
                let mut letter = letter.clone();
                letter.read_at = letter.read_at.is_none().then_some(at);
                change.put_letter(&letter)?;
            }
        }
        Step::Garble(_) | Step::GarbleMail(_) | Step::Stray(_) | Step::Archive(_) | Step::Ask => {}
    }
    Ok(())
}

fn request() -> Object {
    let text = serde_json::json!({
        "state": MrState::Held.word(), "branch": "b", "target": "main", "head": "0", "base": "0", "tree": "0",
        "source_beads": [], "author": "widgets/polecats/toast", "submitted_at": "2026-01-01T00:00:00Z", "message": "m",
    });
    text.as_object().unwrap().clone()
}
