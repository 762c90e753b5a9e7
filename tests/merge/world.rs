//! Replicas of one ledger as commits of one store, changed by random deeds and merged in random order.

mod requests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use gastown::ledger::archive::Standing;
use gastown::ledger::merge::{Join, merge, merge_archives};
use gastown::ledger::{Actor, Change, Deed, Ledger, history, tree};
use gastown::model::address::Address;
use gastown::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status};
use gastown::model::hook::Hook;
use gastown::model::mail::Letter;
use gastown::model::merge_request::MergeRequest;
use gastown::model::record::{Object, SCHEMA_VERSION};
use gastown::model::scope::{Scope, ScopeKind};
use gastown::model::tombstone::Tombstone;
use gastown::name::BeadId;
use gastown::time::Moment;
use gix::ObjectId;
use proptest::prelude::*;
use tempfile::TempDir;

/// What happens at one replica. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub enum Step {
    Create,
    Title(usize),
    Line(usize),
    Note(usize),
    Label(usize),
    Comment(usize),
    Sling(usize, u8),
    Start(usize),
    Release(usize),
    Done(usize),
    Land(usize),
    Approve(usize),
    /// Holds a request, or releases it.
    Hold(usize),
    /// Freezes a target, or opens it.
    Steer(usize),
    Close(usize),
    Reopen(usize),
    Depend(usize, usize),
    Mail,
    Read(usize),
    Delete(usize),
    /// Moves a closed bead to the archive.
    Archive(usize),
    /// Opens an archived bead again.
    Return(usize),
    /// Writes what a newer gt writes: another kind of record, or a version above ours.
    Newer(usize),
    /// Takes over what another replica has.
    Pull(usize),
}

pub fn step() -> impl Strategy<Value = Step> {
    let n = || 0..6usize;
    prop_oneof![
        2 => Just(Step::Create),
        1 => n().prop_map(Step::Title),
        2 => n().prop_map(Step::Line),
        1 => n().prop_map(Step::Note),
        1 => n().prop_map(Step::Label),
        1 => n().prop_map(Step::Comment),
        3 => (n(), 0..2u8).prop_map(|(bead, agent)| Step::Sling(bead, agent)),
        1 => n().prop_map(Step::Start),
        1 => n().prop_map(Step::Release),
        2 => n().prop_map(Step::Done),
        1 => n().prop_map(Step::Land),
        1 => n().prop_map(Step::Approve),
        1 => n().prop_map(Step::Hold),
        1 => n().prop_map(Step::Steer),
        1 => n().prop_map(Step::Close),
        1 => n().prop_map(Step::Reopen),
        2 => (n(), n()).prop_map(|(a, b)| Step::Depend(a, b)),
        1 => Just(Step::Mail),
        1 => n().prop_map(Step::Read),
        1 => n().prop_map(Step::Delete),
        2 => n().prop_map(Step::Archive),
        1 => n().prop_map(Step::Return),
        2 => n().prop_map(Step::Newer),
        5 => (0..5usize).prop_map(Step::Pull),
    ]
}

/// The life of a closed bead at which replicas meet.
pub fn late_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Close(0)),
        2 => Just(Step::Title(0)),
        1 => Just(Step::Note(0)),
        1 => Just(Step::Label(0)),
        2 => Just(Step::Comment(0)),
        4 => Just(Step::Archive(0)),
        1 => Just(Step::Return(0)),
        3 => (0..3usize).prop_map(Step::Pull),
    ]
}

pub struct World {
    _place: TempDir,
    pub dir: PathBuf,
    machines: Vec<Ledger>,
    pub tips: Vec<ObjectId>,
    pub archives: Vec<Option<ObjectId>>,
    words: usize,
    /// Words that a change wrote and nobody who knew them took away.
    pub acknowledged: BTreeSet<String>,
}

pub fn git(dir: &std::path::Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env("HOME", dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A bare repository without the costs of durability.
pub fn bare(dir: &std::path::Path) {
    gastown::git::init::init_bare(dir, "main").unwrap();
    git(dir, &["config", "gt.durability", "none"]);
}

pub fn actor() -> Actor {
    Actor { name: "overseer".into(), email: "o@example.org".into(), model: None }
}

/// The first commit of a ledger.
pub fn found(ledger: &Ledger, prefix: &str) {
    let (actor, now) = (actor(), Moment::from_millis(0));
    let scope = Scope {
        v: 1,
        merge_v: 1,
        kind: ScopeKind::Rig,
        prefix: prefix.parse().unwrap(),
        name: "widgets".into(),
        created_at: now,
        home: None,
        epoch: 0,
        flattened: Vec::new(),
        rev: gastown::model::record::Rev::default(),
        extra: Object::new(),
    };
    let deed = Deed { actor: &actor, op: "install", subject: "install".into(), now };
    ledger.transact(&deed, |change| change.put(tree::SCOPE, &scope)).unwrap();
}

impl World {
    pub fn new(replicas: usize) -> Self {
        let place = TempDir::new().unwrap();
        let dir = place.path().join("ledger.git");
        bare(&dir);
        let machines: Vec<Ledger> = (0..replicas).map(|n| Ledger::open(&dir, &format!("mach{n}")).unwrap()).collect();
        found(&machines[0], "wi");
        let tip = machines[0].tip().unwrap().unwrap();
        let (tips, archives) = (vec![tip; replicas], vec![None; replicas]);
        Self { _place: place, dir, machines, tips, archives, words: 0, acknowledged: BTreeSet::new() }
    }

    fn word(&mut self) -> String {
        self.words += 1;
        format!("word{:04}", self.words)
    }

    pub fn ledger(&self) -> &Ledger {
        &self.machines[0]
    }

    /// Lets ledger and archive of the one store be those of replica `at`.
    fn stand_at(&self, at: usize) {
        let ledger = &self.machines[at];
        ledger.store.swap_ref(tree::LEDGER, ledger.tip().unwrap(), self.tips[at]).unwrap();
        let current = ledger.archive_tip().unwrap();
        match (self.archives[at], current) {
            (Some(tip), _) => drop(ledger.store.swap_ref(tree::ARCHIVE, current, tip).unwrap()),
            (None, Some(current)) => drop(ledger.store.remove_ref(tree::ARCHIVE, current).unwrap()),
            (None, None) => {}
        }
    }

    /// Runs a transaction at replica `at`, at a moment that may lie anywhere.
    pub fn change(&mut self, at: usize, mut closure: impl FnMut(&mut Change<'_>) -> gastown::error::Result<()>) {
        self.stand_at(at);
        let ledger = &self.machines[at];
        // Wall clocks lie.
        let wild = [0, 4_102_444_800_000, 1_767_225_600_000];
        let now = Moment::from_millis(wild[self.words % 3] + i64::try_from(self.words).unwrap());
        let actor = actor();
        let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now };
        ledger.transact(&deed, |change| closure(change)).unwrap();
        self.tips[at] = ledger.tip().unwrap().unwrap();
    }

    /// Merges what `from` has into `at`, and checks that the other way round gives the same commit.
    pub fn pull(&mut self, at: usize, from: usize) {
        self.pull_archive(at, from);
        let store = &self.machines[0].store;
        let (ours, theirs) = (self.tips[at], self.tips[from]);
        let bases = history::compare(store, &[ours], &[theirs]).unwrap().bases;
        if bases == [theirs] {
            return;
        }
        if bases == [ours] {
            self.tips[at] = theirs;
            return;
        }
        let one = merge(store, ours, theirs, Join::Related).unwrap();
        let other = merge(store, theirs, ours, Join::Related).unwrap();
        assert_eq!(one.commit, other.commit, "the merge depends on the side");
        assert_eq!(one.conflicts, other.conflicts);
        store.write(&one.batch).unwrap();
        assert_eq!(history::compare(store, &[one.commit], &[theirs]).unwrap().bases, [theirs], "merging again is nothing new");
        self.tips[at] = one.commit;
        self.check_invariants(at);
    }

    fn pull_archive(&mut self, at: usize, from: usize) {
        let store = &self.machines[0].store;
        let (ours, theirs) = match (self.archives[at], self.archives[from]) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (None, theirs) => return self.archives[at] = theirs,
            (_, None) => return,
        };
        let bases = history::compare(store, &[ours], &[theirs]).unwrap().bases;
        if bases == [ours] {
            self.archives[at] = Some(theirs);
        } else if bases != [theirs] {
            let one = merge_archives(store, ours, theirs).unwrap();
            assert_eq!(one.commit, merge_archives(store, theirs, ours).unwrap().commit, "the merge depends on the side");
            store.write(&one.batch).unwrap();
            let paths = |tip| self.ledger().archive_at(tip).unwrap().paths("beads").unwrap().into_iter().map(|(path, _)| path);
            let union: BTreeSet<String> = paths(ours).chain(paths(theirs)).collect();
            let merged: BTreeSet<String> = paths(one.commit).collect();
            assert!(merged.is_superset(&union), "something left an archive");
            self.archives[at] = Some(one.commit);
        }
    }

    /// All bytes of the state at replica `at`.
    pub fn text(&self, at: usize) -> String {
        let archive = self.archives[at].map(|tip| self.ledger().archive_at(tip).unwrap());
        let mut text = String::new();
        for state in [self.ledger().state_at(self.tips[at]).unwrap()].iter().chain(&archive) {
            for dir in ["beads", "mail", "conflicts", "novelties"] {
                for (_, blob) in state.paths(dir).unwrap() {
                    text.push_str(&String::from_utf8(self.ledger().store.blob(blob).unwrap()).unwrap());
                }
            }
        }
        text
    }

    fn beads(&self, at: usize) -> Vec<Bead> {
        let (beads, damaged) = self.ledger().state_at(self.tips[at]).unwrap().beads().unwrap();
        assert_eq!(damaged, []);
        beads
    }

    fn pick(&self, at: usize, n: usize) -> Option<Bead> {
        let beads: Vec<Bead> = self.beads(at).into_iter().filter(|bead| bead.issue_type == IssueType::Task).collect();
        (!beads.is_empty()).then(|| beads[n % beads.len()].clone())
    }

    fn check_invariants(&self, at: usize) {
        let state = self.ledger().state_at(self.tips[at]).unwrap();
        let beads = self.beads(at);
        for bead in &beads {
            assert_eq!(bead.status.is_closed(), bead.closed_at.is_some(), "{bead:?}");
            if bead.status.is_assigned_work() {
                let agent: Address = bead.assignee.as_deref().unwrap().parse().unwrap();
                let hook = state.hook(&agent).unwrap();
                assert_eq!(hook.map(|hook| hook.bead), Some(bead.id.clone()), "{bead:?}");
            }
            let live = |mr: &&Bead| MergeRequest::of(mr).is_ok_and(|mr| mr.state.is_live() && mr.source_beads.contains(&bead.id));
            assert!(beads.iter().filter(live).count() <= 1, "two live requests of {}", bead.id);
            assert!(!reaches(&beads, &bead.id, &bead.id), "{} is in a cycle", bead.id);
            assert_eq!(state.tombstone(&bead.id).unwrap(), None);
        }
        for hook in state.hooks().unwrap() {
            let bead = state.bead(&hook.bead).unwrap();
            assert_eq!((bead.status.is_assigned_work(), bead.assignee), (true, Some(hook.agent.to_string())));
        }
    }

    pub fn run(&mut self, at: usize, step: &Step) {
        let word = self.word();
        match *step {
            Step::Create => self.create(at, &word),
            Step::Title(n) => self.edit(at, n, &word, |bead, word| {
                let old = std::mem::replace(&mut bead.title, word.to_owned());
                vec![old]
            }),
            Step::Line(n) => self.edit(at, n, &word, |bead, word| {
                let place = bead.description.find('\n').map_or(0, |at| at + 1);
                bead.description.insert_str(place, &format!("{word}\n"));
                Vec::new()
            }),
            Step::Note(n) => self.edit(at, n, &word, |bead, word| {
                bead.notes.push_str(&format!("{word}\n"));
                Vec::new()
            }),
            Step::Label(n) => self.edit(at, n, &word, |bead, word| {
                bead.labels.insert(word.to_owned());
                if bead.labels.len() > 3 { bead.labels.pop_first().into_iter().collect() } else { Vec::new() }
            }),
            Step::Comment(n) => self.edit(at, n, &word, |bead, word| {
                bead.comment(format!("c{word}"), "overseer", word, bead.updated_at);
                Vec::new()
            }),
            Step::Close(n) => self.edit(at, n, &word, |bead, word| {
                let is_written = !bead.status.is_closed() && bead.close("overseer", word, bead.updated_at).is_ok();
                if is_written { Vec::new() } else { vec![word.to_owned()] }
            }),
            Step::Reopen(n) => self.edit(at, n, &word, |bead, word| {
                let reason = bead.close_reason.clone().filter(|_| bead.status.is_closed());
                if reason.is_some() {
                    bead.become_status(Status::Open, bead.updated_at).unwrap();
                }
                reason.into_iter().chain([word.to_owned()]).collect()
            }),
            Step::Sling(n, agent) => self.sling(at, n, agent),
            Step::Start(n) => self.start(at, n),
            Step::Release(n) => self.release(at, n),
            Step::Done(n) => self.done(at, n, &word),
            Step::Land(n) => self.land(at, n),
            Step::Approve(n) => self.approve(at, n, &word),
            Step::Hold(n) => self.hold(at, n, &word),
            Step::Steer(n) => self.steer(at, n, &word),
            Step::Depend(a, b) => self.depend(at, a, b),
            Step::Mail => self.mail(at, &word),
            Step::Read(n) => self.read(at, n),
            Step::Delete(n) => self.delete(at, n),
            Step::Archive(n) => self.archive(at, n),
            Step::Return(n) => self.bring_back(at, n, &word),
            Step::Newer(n) => self.write_newer(at, n, &word),
            Step::Pull(n) => self.pull(at, n % self.tips.len()),
        }
    }

    /// A machine with a newer gt adds a word to a record that this one can only keep.
    fn write_newer(&mut self, at: usize, n: usize, word: &str) {
        let (path, version) = (format!("novelties/{}.json", n % 2), SCHEMA_VERSION + u64::from(n.is_multiple_of(3)));
        let old = self.ledger().state_at(self.tips[at]).unwrap().object(&path).unwrap().unwrap_or_default();
        let mut words = old.get("words").and_then(|words| words.as_array()).cloned().unwrap_or_default();
        words.push(word.into());
        self.acknowledged.insert(word.to_owned());
        // What is of a newer version we do not write over; the newer one does.
        self.change(at, |change| {
            change.remove(&path);
            Ok(())
        });
        self.change(at, |change| {
            let fields = [("v".to_owned(), version.into()), ("words".to_owned(), words.clone().into())];
            change.put_object(&path, fields.into_iter().collect())
        });
    }

    fn archive(&mut self, at: usize, n: usize) {
        let beads: Vec<Bead> = self.beads(at).into_iter().filter(|bead| bead.status.is_closed()).collect();
        let Some(bead) = beads.get(n % beads.len().max(1)) else { return };
        self.stand_at(at);
        let ledger = &self.machines[at];
        let path = tree::bead(&bead.id);
        let blob = ledger.state().unwrap().blob_id(&path).unwrap().unwrap();
        let actor = actor();
        let deed = Deed { actor: &actor, op: "archive", subject: "archive".into(), now: Moment::from_millis(0) };
        let gone = ledger.put_into_archive(&deed, &[Standing { id: bead.id.clone(), path, blob }]).unwrap();
        self.archives[at] = ledger.archive_tip().unwrap();
        self.change(at, |change| {
            for one in &gone {
                change.remove_bead(&one.id);
            }
            Ok(())
        });
    }

    fn bring_back(&mut self, at: usize, n: usize, word: &str) {
        let Some(tip) = self.archives[at] else { return };
        let archived = self.ledger().archive_at(tip).unwrap().beads().unwrap().0;
        let bead = &archived[n % archived.len()];
        if bead.issue_type != IssueType::Task || self.beads(at).iter().any(|other| other.id == bead.id) {
            return;
        }
        self.acknowledged.insert(word.to_owned());
        if let Some(reason) = &bead.close_reason {
            self.acknowledged.remove(reason);
        }
        self.change(at, |change| {
            let mut bead = bead.clone();
            bead.become_status(Status::Open, change.now())?;
            bead.comment(format!("c{word}"), "overseer", word, change.now());
            change.put_bead(&bead)
        });
    }

    fn id(at: usize, word: &str) -> BeadId {
        format!("wi-{word}{at}").parse().unwrap()
    }

    fn create(&mut self, at: usize, word: &str) {
        let id = Self::id(at, word);
        self.acknowledged.insert(word.to_owned());
        self.change(at, |change| change.put_bead(&Bead::new(id.clone(), IssueType::Task, word, "overseer", change.now())?));
    }

    /// Changes a bead; the closure tells which words it took away. A word that it returns itself was not written.
    fn edit(&mut self, at: usize, n: usize, word: &str, mut closure: impl FnMut(&mut Bead, &str) -> Vec<String>) {
        let Some(mut bead) = self.pick(at, n) else { return };
        let before = bead.clone();
        let gone = closure(&mut bead, word);
        self.acknowledged.insert(word.to_owned());
        for word in gone {
            self.acknowledged.remove(&word);
        }
        let agent = before.assignee.as_deref().and_then(|agent| agent.parse::<Address>().ok());
        self.change(at, |change| {
            // Closing by hand takes the work off its hook and its requests out of the queue.
            if bead.status.is_closed() && !before.status.is_closed() {
                if let Some(path) = agent.as_ref().map(tree::hook)
                    && change.get::<Hook>(&path)?.is_some_and(|hook| hook.bead == bead.id)
                {
                    change.remove(&path);
                }
                requests::withdraw(change, &bead.id)?;
            }
            let mut bead = bead.clone();
            bead.updated_at = change.now();
            change.put_bead(&bead)
        });
    }

    fn agent(at: usize, agent: u8) -> Address {
        format!("widgets/polecats/toast{at}_{agent}").parse().unwrap()
    }

    fn sling(&mut self, at: usize, n: usize, agent: u8) {
        let Some(mut bead) = self.pick(at, n).filter(|bead| bead.status == Status::Open) else { return };
        let agent = Self::agent(at, agent);
        self.change(at, |change| {
            if change.has(&tree::hook(&agent))? {
                return Ok(());
            }
            bead.status = Status::Hooked;
            bead.assignee = Some(agent.to_string());
            bead.assigned_rev = Some(change.rev().clone());
            change.put_bead(&bead)?;
            let hook = Hook::new(agent.clone(), bead.id.clone(), "overseer", &change.rev().machine.clone(), change.now());
            change.put(&tree::hook(&agent), &hook)
        });
    }

    /// The bead, when an agent of this replica has it in hand.
    fn own_work(&self, at: usize, n: usize) -> Option<(Bead, Address)> {
        let bead = self.pick(at, n).filter(|bead| bead.status.is_assigned_work())?;
        let agent: Address = bead.assignee.as_deref()?.parse().ok()?;
        agent.to_string().contains(&format!("toast{at}_")).then_some((bead, agent))
    }

    fn start(&mut self, at: usize, n: usize) {
        let Some((mut bead, _)) = self.own_work(at, n) else { return };
        self.change(at, |change| {
            bead.become_status(Status::InProgress, change.now())?;
            change.put_bead(&bead)
        });
    }

    fn release(&mut self, at: usize, n: usize) {
        let Some((mut bead, agent)) = self.own_work(at, n) else { return };
        self.change(at, |change| {
            bead.become_status(Status::Open, change.now())?;
            change.remove(&tree::hook(&agent));
            change.put_bead(&bead)
        });
    }

    fn depend(&mut self, at: usize, a: usize, b: usize) {
        let (Some(mut from), Some(to)) = (self.pick(at, a), self.pick(at, b)) else { return };
        let beads = self.beads(at);
        if from.id == to.id || reaches(&beads, &to.id, &from.id) || from.dependencies.iter().any(|d| d.depends_on_id == to.id) {
            return;
        }
        self.change(at, |change| {
            from.dependencies.push(Dependency {
                issue_id: from.id.clone(),
                depends_on_id: to.id.clone(),
                kind: DependencyKind::Blocks,
                created_by: "overseer".into(),
                created_at: change.now(),
                extra: gastown::model::record::Object::default(),
            });
            change.put_bead(&from)
        });
    }

    fn mail(&mut self, at: usize, word: &str) {
        let id = Self::id(at, word);
        self.acknowledged.insert(word.to_owned());
        self.change(at, |change| {
            let to = Address::Mayor;
            change.put_letter(&Letter::new(id.clone(), Address::Deacon, to, word, "", change.now())?)
        });
    }

    fn read(&mut self, at: usize, n: usize) {
        let (letters, _) = self.ledger().state_at(self.tips[at]).unwrap().letters(&Address::Mayor).unwrap();
        let Some(mut letter) = letters.get(n % letters.len().max(1)).cloned() else { return };
        self.change(at, |change| {
            letter.read_at = Some(change.now());
            change.put_letter(&letter)
        });
    }

    fn delete(&mut self, at: usize, n: usize) {
        let Some(bead) = self.pick(at, n).filter(|bead| matches!(bead.status, Status::Open | Status::Closed)) else { return };
        let text = serde_json::to_string(&bead).unwrap();
        self.acknowledged.retain(|word| !text.contains(word));
        self.change(at, |change| {
            change.remove(&tree::bead(&bead.id));
            change.put_tombstone(&Tombstone::of(&bead, "overseer", "", change.now()))
        });
    }
}

/// Whether blocking edges lead from `from` (over one at least) to `to`.
fn reaches(beads: &[Bead], from: &BeadId, to: &BeadId) -> bool {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for edge in beads.iter().filter(|bead| bead.id == *id).flat_map(Bead::blockers) {
            if edge.depends_on_id == *to {
                return true;
            }
            if seen.insert(&edge.depends_on_id) {
                open.push(&edge.depends_on_id);
            }
        }
    }
    false
}
