//! What keeps a ledger small, killed and failed at every call and at random; and damaged indexes beside it all.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::Form;
use crate::crowds::{Crowd, millis};
use crate::stories::{Story, Tally, World, made_id, next_create};
use crate::town::{Outcome, text_at};

/// When all beads that were closed have had their time.
const LATER: &str = "2026-06-01T00:00:00Z";
const READERS: usize = 3;

/// The ids of all closed beads, as the index has them.
fn listed_closed(world: &World) -> Vec<String> {
    let listed = world.town.gt("--json list --rig widgets --status closed -n 0").json();
    listed.as_array().unwrap().iter().map(|bead| text_at(bead, &["/id"])).collect()
}

/// A closed bead is in the ledger or in the archive at every moment, and never in neither.
pub fn decay(form: Form) -> Tally {
    let world = World::new();
    let is_archived = |bead: &String| {
        let (ledger, id) = (world.ledger(), bead.parse().unwrap());
        let state = ledger.state().map_err(|error| error.line())?;
        let found = state.find_bead(&id).map_err(|error| error.line())?;
        let archived = state.archived_bead(&id).map_err(|error| error.line())?;
        if found.is_none_or(|found| !found.status.is_closed()) {
            return Err("the bead is neither in the ledger nor in the archive, or open".to_owned());
        }
        if !listed_closed(&world).contains(bead) {
            return Err("the bead is in no list".to_owned());
        }
        Ok(archived.is_some())
    };
    Story {
        world: &world,
        name: "decay",
        prepare: Box::new(|n| {
            let bead = world.bead(&format!("Old {n}"));
            world.town.gt_args(&["close", &bead, "-r", "done"]).succeeds();
            bead
        }),
        command: Box::new(|_| world.town.here().var("GT_NOW", LATER).command(&["maintain", "--rig", "widgets"])),
        is_new: Box::new(is_archived),
        go_on: Box::new(|bead| {
            let next = world.town.here().var("GT_NOW", LATER).gt("maintain --rig widgets");
            if next.code != 0 || is_archived(bead) != Ok(true) {
                return Err(format!("the next maintenance: {}: {}{}", next.code, next.stdout, next.stderr));
            }
            next_create(&world)
        }),
        // An object that the disk does not give counts as one that cannot be read.
        codes: &[6, 7, 70],
        quick_max: 24,
    }
    .tell(form)
}

/// The whole old history stands, or one commit with the same records while the old one is kept. It is the town's
/// ledger, which is exchanged with nobody, so that no server of git's is among the processes that are hit.
pub fn flatten(form: Form) -> Tally {
    let world = World::new();
    let repo = world.town.root.join(".repo.git");
    let git = |args: &[&str]| world.town.git(&repo, args);
    Story {
        world: &world,
        name: "flatten",
        prepare: Box::new(|n| {
            let bead = made_id(world.town.gt_args(&["--json", "bead", "create", &format!("Flat {n}")]));
            (bead, git(&["rev-parse", "refs/gt/ledger"]), git(&["rev-parse", "refs/gt/ledger:beads"]))
        }),
        command: Box::new(|_| world.town.here().command(&["flatten", "--town", "--force"])),
        is_new: Box::new(|(bead, old, beads)| {
            if git(&["rev-parse", "refs/gt/ledger:beads"]) != *beads {
                return Err(format!("other beads than before; of {bead}: {}", world.town.status(bead)));
            }
            if git(&["rev-parse", "refs/gt/ledger"]) == *old {
                return Ok(false);
            }
            let is_one = git(&["rev-list", "--count", "refs/gt/ledger"]) == "1";
            let is_kept = !git(&["for-each-ref", "--contains", old, "refs/gt/flattened"]).is_empty();
            if is_one && is_kept { Ok(true) } else { Err(format!("one commit: {is_one}, the old history kept: {is_kept}")) }
        }),
        go_on: Box::new(|_| {
            let next = ["bead create next", "flatten --town --force"].map(|line| world.town.gt(line));
            next.iter()
                .find(|next| next.code != 0)
                .map_or(Ok(()), |next| Err(format!("{} after it: {}: {}{}", next.line, next.code, next.stdout, next.stderr)))
        }),
        // An object that the disk does not give counts as one that cannot be read.
        codes: &[6, 7, 70],
        quick_max: 24,
    }
    .tell(form)
}

/// One command of maintenance, perhaps killed in the middle; answers what is wrong with how it ended.
fn keep_once(world: &World, kills: &AtomicUsize) -> Option<String> {
    let lines = [
        "maintain --full --rig widgets",
        "maintain --rig widgets",
        "flatten --force --rig widgets",
        "list --all -n 0",
        "reindex --rig widgets",
    ];
    let line = lines[fastrand::usize(..lines.len())];
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = world.town.here().var("GT_NOW", LATER).command(&words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if fastrand::bool() {
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..150)));
        let _ = child.kill();
        kills.fetch_add(1, Ordering::Relaxed);
    }
    let outcome = Outcome::of(line.to_owned(), child.wait_with_output().unwrap());
    // The rig is exchanged with its origin; a flatten that others were faster than each time says so.
    let is_lawful = matches!(outcome.code, 0 | -1) || (outcome.code == 5 && line.starts_with("flatten"));
    (!is_lawful).then(|| format!("{line}: {}: {}{}", outcome.code, outcome.stdout, outcome.stderr))
}

/// Packing, decay, flattening and reindexing beside writers, both killed at random.
pub fn kept_and_killed(form: Form) -> Tally {
    let world = World::new();
    let crowd = Crowd::new(&world, 8);
    let (kills, rounds) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    crowd.work(millis(form), |crowd| {
        while !crowd.is_over() {
            crowd.kill_one();
            if let Some((id, _)) = crowd.any_acknowledged() {
                // It may be archived by now, or its closing be killed with nobody to tell.
                let closed = world.town.gt_args(&["close", &id, "-r", "done"]);
                if !matches!(closed.code, 0 | 4) {
                    wrong.lock().unwrap().push(format!("close {id}: {}: {}", closed.code, closed.stderr));
                }
            }
            wrong.lock().unwrap().extend(keep_once(&world, &kills));
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    });
    let archived = world.ledger().state().unwrap().archive().unwrap().map_or(0, |archive| archive.beads().unwrap().0.len());
    let what = format!("beside {} maintenances, {} of them killed, {archived} archived", rounds.into_inner(), kills.into_inner());
    let mut tally = crowd.tally(&what);
    tally.faults.extend(wrong.into_inner().unwrap());
    tally.faults.extend(world.index_differs());
    tally
}

/// Every file of every index.
fn index_files(world: &World) -> Vec<PathBuf> {
    let dirs = [world.rig.dir.join(".repo.git/gt"), world.town.root.join(".repo.git/gt")];
    let all = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    let is_index = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index"));
    all.filter(|path| is_index(path) && path.extension().is_none_or(|extension| extension != "flock")).collect()
}

/// Damages one in one way or another; it may be gone or half made meanwhile.
fn damage(path: &PathBuf) {
    use std::os::unix::fs::FileExt as _;
    let Ok(len) = std::fs::metadata(path).map(|meta| meta.len()) else { return };
    let at = fastrand::u64(..len.max(1));
    let opened = || std::fs::File::options().write(true).read(true).open(path);
    let _ = match fastrand::u8(..6) {
        0 => std::fs::remove_file(path),
        1 => std::fs::write(path, []),
        2 => std::fs::write(path, vec![fastrand::u8(..); usize::try_from(at).unwrap()]),
        3 => opened().and_then(|file| file.set_len(at)),
        4 => opened().and_then(|file| file.set_len(len + at)),
        _ => opened().and_then(|file| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ (1 << fastrand::u8(..8))], at)
        }),
    };
}

/// Lists and letters are asked for while writers write and the indexes are damaged: always whole, never wrong.
pub fn damaged_indexes(form: Form) -> Tally {
    let world = World::new();
    let crowd = Crowd::new(&world, 4);
    let (asked, damages) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    let letters = AtomicUsize::new(0);
    let ask = |crowd: &Crowd<'_>, reader: usize| {
        let there: Vec<String> = crowd.all_acknowledged().into_iter().map(|(id, _)| id).collect();
        let lines = ["--json list --rig widgets -n 0", "--json ready --rig widgets -n 0", "--json list --all -n 0"];
        let listed = world.town.gt(lines[reader % lines.len()]);
        let missing = there.iter().filter(|id| !listed.stdout.contains(&format!("\"{id}\""))).count();
        if listed.code != 0 || missing > 0 {
            wrong.lock().unwrap().push(format!("{}: {missing} missing, {}: {}", listed.line, listed.code, listed.stderr));
        }
        if reader == 0 {
            world.town.gt_args(&["mail", "send", "overseer", "-s", "Word", "-m", "Words"]).succeeds();
            let sent = letters.fetch_add(1, Ordering::Relaxed) + 1;
            let inbox = world.town.gt("--json mail inbox overseer --all");
            let count = inbox.stdout.matches("\"Word\"").count();
            if inbox.code != 0 || count != sent {
                wrong.lock().unwrap().push(format!("{count} letters of {sent}, {}: {}", inbox.code, inbox.stderr));
            }
        }
        asked.fetch_add(1, Ordering::Relaxed);
    };
    crowd.work(millis(form), |crowd| {
        std::thread::scope(|scope| {
            for reader in 0..READERS {
                let ask = &ask;
                scope.spawn(move || {
                    while !crowd.is_over() {
                        ask(crowd, reader);
                    }
                });
            }
            while !crowd.is_over() {
                let files = index_files(&world);
                if let Some(path) = files.get(fastrand::usize(..files.len().max(1))) {
                    damage(path);
                    damages.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(fastrand::u64(1..40)));
            }
        });
    });
    let what = format!("beside {} questions and {} damaged indexes", asked.into_inner(), damages.into_inner());
    let mut tally = crowd.tally(&what);
    tally.faults.extend(wrong.into_inner().unwrap());
    tally.faults.extend(world.index_differs());
    tally
}
