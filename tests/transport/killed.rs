//! A hub whose programs are killed midway, and a ref here that lost its content: nothing that was acknowledged is lost.

use std::path::Path;
use std::time::{Duration, SystemTime};

use gastown::error::Kind as ErrorKind;
use gastown::git::hub;
use gastown::git::progress::Progress;
use gastown::ledger::sync::{Options, sync};
use gastown::ledger::{Ledger, tree};

use super::servers::{Kind, Server, script};
use crate::merge::world::git;
use crate::sync::{Machines, now};

/// How often each server is killed.
const KILLS: usize = 25;

/// Where the receiving program is killed by a hook of its own; the third leaves a locked ref behind.
const POINTS: &[(&str, &str)] = &[
    ("pre-receive.local", "kill -9 $PPID $(ps -o ppid= -p $PPID)"),
    ("update", "kill -9 $PPID"),
    ("reference-transaction", "[ \"$1\" = prepared ] && kill -9 $PPID"),
    ("reference-transaction", "[ \"$1\" = committed ] && kill -9 $PPID"),
    ("post-receive", "kill -9 $PPID"),
];

fn exchange(ledger: &Ledger, url: &str) -> gastown::error::Result<()> {
    sync(ledger, "origin", url, &Options::default(), now(), &Progress::silent()).map(drop)
}

/// Lets time pass for what a killed program left locked.
fn age_locks(dir: &Path) -> usize {
    let old = SystemTime::now() - Duration::from_secs(3600);
    let files = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok);
    let locks = files.filter(|entry| entry.file_name().to_string_lossy().ends_with(".lock"));
    locks.map(|lock| std::fs::File::open(lock.path()).unwrap().set_modified(old).unwrap()).count()
}

fn kill_midway(kind: Kind) {
    let machines = Machines::new(2);
    let hub = machines.hub.clone();
    hub::make(&hub).unwrap();
    let server = Server::start(kind, hub.parent().unwrap(), &hub.with_file_name("server")).unwrap();
    let url = server.url("hub.git");
    let (mut failed, mut locked) = (0, 0);
    for round in 0..KILLS {
        let at = round % 2;
        machines.create(at, &format!("bead {round}"));
        let point = POINTS.get(round % (POINTS.len() + 1));
        let ended = match point {
            Some((name, act)) => {
                let path = hub.join("hooks").join(name);
                script(&path, &format!("#!/bin/sh\ncat >/dev/null\n{act}\nexit 0\n"));
                let ended = exchange(&machines.ledgers[at], &url);
                std::fs::remove_file(path).unwrap();
                ended
            }
            // At any moment.
            None => std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(round as u64 * 3));
                    server.kill_what_serves();
                });
                exchange(&machines.ledgers[at], &url)
            }),
        };
        failed += usize::from(ended.is_err());
        if let Err(error) = ended {
            assert!(!error.line().contains(char::is_control) && error.kind != ErrorKind::Bug, "{}", error.line());
        }
        locked += age_locks(&hub.join("refs"));
        exchange(&machines.ledgers[at], &url).unwrap_or_else(|error| panic!("round {round}: {}", error.line()));
        assert_eq!(machines.hub_tip(), machines.tip(at), "round {round}");
        if round % 6 == 5 {
            git(&hub, &["fsck", "--strict", "--no-dangling"]);
        }
    }
    for at in [0, 1, 0] {
        exchange(&machines.ledgers[at], &url).unwrap();
    }
    assert_eq!((machines.titles(0).len(), machines.tip(0)), (KILLS, machines.tip(1)));
    for dir in [&hub, machines.ledgers[0].store.dir(), machines.ledgers[1].store.dir()] {
        git(dir, &["fsck", "--strict", "--no-dangling"]);
    }
    assert!(failed > KILLS / 2 && locked > 0, "{failed} of {KILLS} were cut, {locked} left a lock");
}

#[test]
fn a_hub_on_a_path_that_is_killed_midway_loses_nothing() {
    kill_midway(Kind::File);
}

#[test]
fn a_hub_behind_a_daemon_that_is_killed_midway_loses_nothing() {
    kill_midway(Kind::Daemon);
}

#[test]
fn a_ref_here_that_was_emptied_is_named_and_the_hub_keeps_all_records() {
    let machines = Machines::new(2);
    for n in 0..20 {
        machines.create(0, &format!("bead {n}"));
    }
    machines.sync(0);
    machines.create(0, "not sent yet");
    let before = git(&machines.hub, &["for-each-ref"]);
    let path = machines.ledgers[0].store.dir().join(tree::LEDGER);
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    for options in [Options::default(), Options { fetch: false, ..Options::default() }] {
        let error = machines.sync_with(0, options).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(error.line().contains(tree::LEDGER), "{}", error.line());
    }
    assert_eq!(git(&machines.hub, &["for-each-ref"]), before);
    machines.sync(1);
    assert_eq!(machines.titles(1).len(), 20);
    std::fs::write(&path, good).unwrap();
    machines.sync(0);
    machines.sync(1);
    assert_eq!(machines.titles(1).len(), 21);
}
