//! Exchanging ledgers over a bare hub: nothing forced, nothing deleted, equal in the end.

use std::path::{Path, PathBuf};

use gastown::error::Kind;
use gastown::git::progress::Progress;
use gastown::ledger::sync::{Exchange, Options, Outcome, join, sync, take_slot};
use gastown::ledger::{Deed, Ledger, tree};
use gastown::model::bead::{Bead, IssueType};
use gastown::model::scope::LocalMachine;
use gastown::name::BeadId;
use gastown::time::Moment;
use gix::ObjectId;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::merge::world::{actor, bare, found, git};

/// Machines of one scope around a bare hub.
pub struct Machines {
    place: TempDir,
    pub hub: PathBuf,
    pub ledgers: Vec<Ledger>,
}

const NOW: i64 = 1_767_225_600_000;

pub fn now() -> Moment {
    Moment::from_millis(NOW)
}

impl Machines {
    pub fn new(count: usize) -> Self {
        let place = TempDir::new().unwrap();
        let hub = place.path().join("hub.git");
        bare(&hub);
        let mut machines = Self { place, hub, ledgers: Vec::new() };
        machines.add();
        found(&machines.ledgers[0], "wi");
        take_slot(&machines.ledgers[0], &local(0), machines.url(), &actor(), now(), &Progress::silent()).unwrap();
        for n in 1..count {
            machines.add();
            join(&machines.ledgers[n], machines.url(), &Progress::silent()).unwrap();
            take_slot(&machines.ledgers[n], &local(n), machines.url(), &actor(), now(), &Progress::silent()).unwrap();
        }
        machines
    }

    /// A machine without a ledger yet.
    fn add(&mut self) {
        let dir = self.place.path().join(format!("{}.git", self.ledgers.len()));
        bare(&dir);
        self.ledgers.push(Ledger::open(&dir, &format!("mach{}", self.ledgers.len())).unwrap());
    }

    pub fn url(&self) -> &str {
        self.hub.to_str().unwrap()
    }

    pub fn sync_with(&self, at: usize, options: Options) -> gastown::error::Result<Exchange> {
        sync(&self.ledgers[at], "origin", self.url(), &options, now(), &Progress::silent())
    }

    pub fn sync(&self, at: usize) -> Exchange {
        self.sync_with(at, Options::default()).unwrap()
    }

    pub fn create(&self, at: usize, title: &str) -> BeadId {
        change(&self.ledgers[at], title)
    }

    pub fn tip(&self, at: usize) -> ObjectId {
        self.ledgers[at].tip().unwrap().unwrap()
    }

    pub fn hub_tip(&self) -> ObjectId {
        git(&self.hub, &["rev-parse", tree::LEDGER]).trim().parse().unwrap()
    }

    pub fn titles(&self, at: usize) -> Vec<String> {
        let mut titles: Vec<String> =
            self.ledgers[at].state().unwrap().beads().unwrap().0.into_iter().map(|bead| bead.title).collect();
        titles.sort();
        titles
    }
}

fn local(n: usize) -> LocalMachine {
    LocalMachine { id: format!("mach{n}"), name: format!("host {n}"), host: "h".into() }
}

fn change(ledger: &Ledger, title: &str) -> BeadId {
    let actor = actor();
    let deed = Deed { actor: &actor, op: "create", subject: "create".into(), now: now() };
    let create = |change: &mut gastown::ledger::Change<'_>| {
        let id = change.mint(&"wi".parse().unwrap(), "")?;
        change.put_bead(&Bead::new(id.clone(), IssueType::Task, title, "overseer", change.now())?)?;
        Ok(id)
    };
    ledger.transact(&deed, create).unwrap()
}

/// A commit to pin in `dir`.
fn some_commit(dir: &Path, text: &str) -> ObjectId {
    let tree = git(dir, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let commit = ["-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", tree.trim(), "-m", text];
    git(dir, &commit).trim().parse().unwrap()
}

#[test]
fn what_one_machine_wrote_the_other_reads_and_both_write_on() {
    let machines = Machines::new(2);
    machines.create(0, "one");
    let exchange = machines.sync(0);
    // The other machine's slot came back with it.
    assert_eq!((exchange.outcome, exchange.merged, exchange.sent), (Outcome::Exchanged, true, 2));
    machines.create(1, "two");
    let exchange = machines.sync(1);
    assert!(exchange.merged && exchange.conflicts.is_empty());
    assert_eq!(machines.sync(0).outcome, Outcome::Received);
    assert_eq!(machines.sync(0).outcome, Outcome::UpToDate);
    assert_eq!(machines.titles(0), ["one", "two"]);
    assert_eq!(machines.tip(0), machines.tip(1));
    assert_eq!(machines.tip(0), machines.hub_tip());
    for dir in [machines.ledgers[0].store.dir(), machines.ledgers[1].store.dir(), &machines.hub] {
        git(dir, &["fsck", "--strict"]);
    }
}

#[test]
fn every_machine_gets_a_slot_of_its_own_also_when_two_take_one_at_once() {
    let mut machines = Machines::new(1);
    machines.add();
    machines.add();
    for n in [1, 2] {
        join(&machines.ledgers[n], machines.url(), &Progress::silent()).unwrap();
    }
    for n in [1, 2] {
        take_slot(&machines.ledgers[n], &local(n), machines.url(), &actor(), now(), &Progress::silent()).unwrap();
    }
    machines.sync(1);
    machines.sync(0);
    let mut slots: Vec<u16> =
        machines.ledgers[0].state().unwrap().machines().unwrap().iter().map(|machine| machine.slot.0).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
    let ids: Vec<BeadId> = (0..3).map(|n| machines.create(n, "x")).collect();
    let marks: Vec<&str> = ids.iter().map(|id| &id.as_str()[id.as_str().len() - 1..]).collect();
    assert_eq!(marks, ["0", "1", "2"]);
}

#[test]
fn a_damaged_ref_here_stops_the_exchange_and_the_remote_keeps_what_it_has() {
    let machines = Machines::new(1);
    machines.create(0, "one");
    machines.sync(0);
    let before = machines.hub_tip();
    let path = machines.ledgers[0].store.dir().join(tree::LEDGER);
    for rubbish in ["", "rubbish", "ref: refs/heads/main\n"] {
        std::fs::write(&path, rubbish).unwrap();
        assert_eq!(machines.sync_with(0, Options::default()).unwrap_err().kind, Kind::Corrupt, "{rubbish:?}");
        assert_eq!(machines.hub_tip(), before);
    }
    std::fs::write(&path, format!("{before}\n")).unwrap();
    let pin = machines.ledgers[0].store.dir().join("refs/gt/mr/wi-mr1");
    std::fs::create_dir_all(pin.parent().unwrap()).unwrap();
    std::fs::write(&pin, "").unwrap();
    let error = machines.sync_with(0, Options::default()).unwrap_err();
    assert!(error.message.contains("wi-mr1"), "{}", error.message);
    std::fs::remove_file(pin).unwrap();
    assert_eq!(machines.sync(0).outcome, Outcome::UpToDate);
}

#[test]
fn a_ledger_that_vanished_or_went_back_over_there_is_neither_here() {
    let machines = Machines::new(1);
    let old = machines.hub_tip();
    machines.create(0, "one");
    machines.sync(0);
    let tip = machines.tip(0);
    git(&machines.hub, &["update-ref", tree::LEDGER, &old.to_string()]);
    assert_eq!(machines.sync(0).outcome, Outcome::Sent);
    assert_eq!((machines.tip(0), machines.hub_tip()), (tip, tip));
    git(&machines.hub, &["update-ref", "-d", tree::LEDGER]);
    machines.sync(0);
    assert_eq!((machines.tip(0), machines.hub_tip()), (tip, tip));
}

#[test]
fn pins_travel_with_their_requests_and_are_never_overwritten() {
    let machines = Machines::new(2);
    let (dir, other) = (machines.ledgers[0].store.dir(), machines.ledgers[1].store.dir());
    let live = machines.create(0, "a request");
    let unknown = "wi-unknown";
    let head = some_commit(dir, "head");
    for id in [live.as_str(), unknown] {
        git(dir, &["update-ref", &format!("refs/gt/mr/{id}"), &head.to_string()]);
    }
    machines.sync(0);
    assert_eq!(git(&machines.hub, &["for-each-ref", "--format=%(refname)", "refs/gt/mr"]).trim(), format!("refs/gt/mr/{live}"));
    machines.sync(1);
    let pin = tree::mr_pin(&live);
    assert_eq!(machines.ledgers[1].store.read_ref(&pin).unwrap(), Some(head));
    let strange = some_commit(other, "another head");
    git(other, &["update-ref", &pin, &strange.to_string()]);
    machines.create(1, "two");
    let exchange = machines.sync(1);
    assert_eq!(exchange.differing_pins, std::slice::from_ref(&pin));
    assert_eq!(machines.ledgers[1].store.read_ref(&pin).unwrap(), Some(strange));
    assert_eq!(git(&machines.hub, &["rev-parse", &pin]).trim(), head.to_string());
    assert_eq!(machines.tip(1), machines.hub_tip(), "the ledger went all the same");
}

#[test]
fn a_remote_that_refuses_for_good_is_no_race() {
    let machines = Machines::new(1);
    let hook = machines.hub.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho read only here >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    machines.create(0, "one");
    let before = machines.tip(0);
    let error = machines.sync_with(0, Options::default()).unwrap_err();
    assert_eq!((error.kind, machines.tip(0)), (Kind::External, before));
}

#[test]
fn each_direction_can_be_left_out_and_a_dry_run_moves_nothing() {
    let machines = Machines::new(2);
    machines.sync(0);
    machines.create(0, "one");
    machines.create(1, "two");
    machines.sync(1);
    let (here, there) = (machines.tip(0), machines.hub_tip());
    let dry = machines.sync_with(0, Options { dry_run: true, ..Options::default() }).unwrap();
    assert_eq!((dry.outcome, dry.merged, dry.received), (Outcome::Exchanged, true, 1));
    assert_eq!((machines.tip(0), machines.hub_tip()), (here, there));
    let error = machines.sync_with(0, Options { fetch: false, ..Options::default() }).unwrap_err();
    assert_eq!((error.kind, machines.tip(0)), (Kind::Conflict, here));
    let fetched = machines.sync_with(0, Options { push: false, ..Options::default() }).unwrap();
    assert_eq!((fetched.outcome, machines.hub_tip()), (Outcome::Received, there));
    let pushed = machines.sync_with(0, Options { fetch: false, ..Options::default() }).unwrap();
    assert_eq!((pushed.outcome, machines.hub_tip()), (Outcome::Sent, machines.tip(0)));
}

#[test]
fn a_stranger_s_ledger_is_refused_and_told_apart() {
    let mut machines = Machines::new(1);
    machines.add();
    found(&machines.ledgers[1], "xy");
    let before = (machines.tip(1), machines.hub_tip());
    for join in [false, true] {
        let error = machines.sync_with(1, Options { join, ..Options::default() }).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.message.contains("wi") && error.message.contains("xy"), "{}", error.message);
    }
    assert_eq!((machines.tip(1), machines.hub_tip()), before);
}

#[test]
fn writers_on_many_machines_at_once_lose_nothing() {
    let machines = Machines::new(3);
    let (hub, dirs) = (machines.hub.clone(), machines.ledgers.iter().map(|ledger| ledger.store.dir().to_owned()));
    let dirs: Vec<PathBuf> = dirs.collect();
    std::thread::scope(|scope| {
        for (n, dir) in dirs.iter().enumerate() {
            let hub = &hub;
            scope.spawn(move || {
                for round in 0..4 {
                    let ledger = Ledger::open(dir, &format!("mach{n}")).unwrap();
                    change(&ledger, &format!("{n} {round}"));
                    let options = Options::default();
                    let url = hub.to_str().unwrap();
                    while let Err(error) = sync(&ledger, "origin", url, &options, now(), &Progress::silent()) {
                        assert_eq!(error.kind, Kind::Conflict, "{}", error.line());
                    }
                }
            });
        }
    });
    for n in 0..3 {
        machines.sync(n);
    }
    assert_eq!(machines.titles(0).len(), 12);
    assert_eq!((machines.tip(0), machines.tip(1)), (machines.tip(2), machines.tip(2)));
}

proptest! {
    #![proptest_config(crate::chance::cases(6, 30))]

    #[test]
    fn random_rounds_of_work_and_sync_end_equal(
        count in 2..4usize,
        rounds in proptest::collection::vec((0..3usize, any::<bool>()), 3..14),
    ) {
        let machines = Machines::new(count);
        let mut written = 0;
        for (n, is_sync) in rounds {
            if is_sync {
                machines.sync(n % count);
            } else {
                machines.create(n % count, &format!("bead {written}"));
                written += 1;
            }
        }
        for n in (0..count).chain(0..count) {
            machines.sync(n);
        }
        for n in 0..count {
            prop_assert_eq!(machines.tip(n), machines.hub_tip());
            prop_assert_eq!(machines.titles(n).len(), written);
            git(machines.ledgers[n].store.dir(), &["fsck", "--strict"]);
        }
    }
}
