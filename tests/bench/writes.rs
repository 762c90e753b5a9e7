//! Rows of commands that write: one bead, ten thousand at once, what stays on the disk, and a sling.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gastown::git::worktree::{self, Head};
use gastown::ledger::tree;
use gastown::model::exchange;
use gastown::model::record;
use gastown::store::Store;

use crate::report::{Bar, Report, Row};
use crate::times::{millis, output, pairs, timed};
use crate::world::{Place, World};

/// Beads of an import.
const IMPORTED: usize = 10_000;
/// Beads that are made one by one before what they take is measured.
const ONE_BY_ONE: usize = 10_000;
/// Files of the project that a sandbox is made of.
const FILES: usize = 5_000;

/// A description as long as usual.
pub fn description() -> String {
    "What is to be done, in a few lines that have the length of a usual description. ".repeat(6)
}

/// One bead, durable and not.
pub fn create(world: &mut World<'_>, report: &mut Report) {
    let whole = plain_repository(world, "plain", false);
    let small = plain_repository(world, "small", true);
    let text = description();
    let gt = |n: usize| timed(&mut world.gt(&["create", &format!("New task {n}"), "--description", &text]));
    let commit = |dir: &Path, fsync: &str, n: usize| {
        let name = format!("beads/x/7/wi-{fsync}{n}.json");
        std::fs::create_dir_all(dir.join("beads/x/7")).unwrap();
        std::fs::write(dir.join(&name), format!("{n} {text}\n")).unwrap();
        timed(&mut world.place.git(dir, &["add", "--sparse", &name]));
        timed(&mut world.place.git(dir, &["-c", &format!("core.fsync={fsync}"), "commit", "-q", "-m", "one more"]))
    };
    let scale = world.scale;
    let times = pairs(world.pairs, gt, |n| commit(&whole, "all", n));
    report.row(Row::of("gt create, durable", scale, &times, "git -c core.fsync=all commit, same tree", Bar::Times(1.3)));
    let times = pairs(world.pairs, gt, |n| commit(&small, "all", n));
    report.row(Row::of("gt create, durable, beside a small tree", scale, &times, "the same, of 1,296 files", Bar::Times(1.3)));
    let raw = Raw::new(world.path("raw"));
    let times = pairs(world.pairs, gt, |n| raw.write(n));
    report.row(Row::of("gt create, durable, beside bare writes", scale, &times, "five files and a ref, each synced", Bar::None));

    timed(&mut world.git(&["config", "gt.durability", "none"]));
    let times = pairs(world.pairs, gt, |n| commit(&small, "none", n));
    timed(&mut world.git(&["config", "--unset", "gt.durability"]));
    report.row(Row::of("gt create, durability=none", scale, &times, "git -c core.fsync=none commit, small tree", Bar::Most(4.0)));
}

/// A repository with a worktree whose tree is that of the ledger's beads, or of one bead a directory.
///
/// Its files are not checked out, so that git does not look at each.
fn plain_repository(world: &World<'_>, name: &str, is_small: bool) -> PathBuf {
    let dir = world.path(name);
    timed(&mut world.place.git(Path::new("/"), &["init", "-q", "-b", "main", dir.to_str().unwrap()]));
    let alternates = dir.join(".git/objects/info/alternates");
    std::fs::write(alternates, format!("{}\n", world.repo().join("objects").display())).unwrap();
    let listed = output(&mut world.git(&["ls-tree", "-r", tree::LEDGER, "beads/"]));
    let mut last_dir = "";
    let mut entries = String::new();
    for line in listed.lines() {
        let dir = line.rsplit_once('/').unwrap().0.split_once('\t').unwrap().1;
        if !is_small || dir != last_dir {
            entries.push_str(line);
            entries.push('\n');
        }
        last_dir = dir;
    }
    let feed = |args: &[&str], text: &str| {
        let file = world.path("fed");
        std::fs::write(&file, text).unwrap();
        timed(world.place.git(&dir, args).stdin(Stdio::from(File::open(&file).unwrap())));
    };
    feed(&["update-index", "--index-info"], &entries);
    timed(&mut world.place.git(&dir, &["commit", "-q", "-m", "all"]));
    let names: Vec<&str> = entries.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    feed(&["update-index", "--skip-worktree", "--stdin"], &names.join("\n"));
    dir
}

/// What any program must do: five files and a ref, each under a temporary name, synced and renamed.
pub struct Raw(PathBuf);

impl Raw {
    /// In `dir`.
    pub fn new(dir: PathBuf) -> Self {
        std::fs::create_dir_all(dir.join("refs")).unwrap();
        (0..=255).for_each(|n| std::fs::create_dir_all(dir.join(format!("{n:02x}"))).unwrap());
        Self(dir)
    }

    /// The `n`th; milliseconds.
    pub fn write(&self, n: usize) -> f64 {
        let put = |temporary: &Path, to: &Path, bytes: &[u8]| {
            let mut file = File::create_new(temporary).unwrap();
            file.write_all(bytes).unwrap();
            file.sync_all().unwrap();
            std::fs::rename(temporary, to).unwrap();
        };
        let (millis, ()) = millis(|| {
            for k in 0..5_usize {
                let to = self.0.join(format!("{:02x}", (n * 5 + k) % 256)).join(format!("o{n}-{k}"));
                put(&self.0.join(format!("tmp-{n}-{k}")), &to, &[b'x'; 500]);
            }
            put(&self.0.join(format!("tmp-{n}")), &self.0.join("refs/ledger"), &[b'0'; 41]);
            File::open(self.0.join("refs")).and_then(|dir| dir.sync_all()).unwrap();
        });
        millis
    }
}

/// Lines of `count` beads whose ids say `round`.
pub fn lines(world: &mut World<'_>, count: usize, round: usize) -> String {
    let now = gastown::time::now().unwrap();
    let mut text = String::new();
    for n in 0..count {
        // The first letters decide where a bead lies.
        let id = format!("wi-{}i{round}", gastown::name::base36(u64::try_from(n * 16_807 + 1_000_003).unwrap()));
        let bead = world.bead(id.parse().unwrap(), n, now);
        text.push_str(&exchange::line_of(exchange::record_of(&bead)));
        text.push('\n');
    }
    text
}

/// Ten thousand beads in one commit.
pub fn import(world: &mut World<'_>, report: &mut Report) {
    let count = if world.place.quick { 1_000 } else { IMPORTED };
    let rounds = if world.place.quick { 1 } else { 3 };
    let fast = world.path("fast.git");
    timed(&mut world.place.git(Path::new("/"), &["init", "-q", "--bare", fast.to_str().unwrap()]));
    let (mut ours, mut git) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let text = lines(world, count, round);
        let (file, stream) = (world.path(&format!("lines{round}")), world.path(&format!("stream{round}")));
        std::fs::write(&file, &text).unwrap();
        std::fs::write(&stream, fast_import_of(&text)).unwrap();
        let (beads, commits) = (world.count_beads(), count_commits(world));
        ours.push(timed(&mut world.gt(&["bead", "import", file.to_str().unwrap()])));
        git.push(timed(
            world.place.git(&fast, &["fast-import", "--quiet", "--force"]).stdin(Stdio::from(File::open(&stream).unwrap())),
        ));
        let (more_beads, more_commits) = (world.count_beads() - beads, count_commits(world) - commits);
        report.fact(
            format!("an import of {count} beads wrote {more_beads} in {more_commits} commit"),
            (more_beads, more_commits) == (count, 1),
        );
    }
    let bar = if count == IMPORTED { Bar::Most(600.0) } else { Bar::None };
    report.row(Row::of(
        &format!("gt bead import of {count}"),
        world.scale,
        &(ours, git),
        "git fast-import of the same files",
        bar,
    ));
}

fn count_commits(world: &World<'_>) -> usize {
    output(&mut world.git(&["rev-list", "--count", tree::LEDGER])).trim().parse().unwrap()
}

/// A stream for git-fast-import(1) with the records of import lines.
fn fast_import_of(lines: &str) -> String {
    let mut stream = "commit refs/heads/main\ncommitter A <a@example.org> 1767225600 +0000\ndata 3\nall\n".to_owned();
    for line in lines.lines() {
        let object: record::Object = serde_json::from_str(line).unwrap();
        let path = tree::bead(&object["id"].as_str().unwrap().parse().unwrap());
        let text = String::from_utf8(record::encode(&object)).unwrap();
        stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
    }
    stream
}

/// What beads made one by one take after maintenance, beside one pack of their tree alone.
pub fn disk(place: &Place, report: &mut Report) {
    let count = if place.quick { 200 } else { ONE_BY_ONE };
    let mut world = World::empty(place, "disk", 20);
    timed(&mut world.git(&["config", "gt.durability", "none"]));
    let ledger = world.ledger();
    for n in 0..count {
        world.transact(&ledger, "create", |world, change| {
            let id = change.mint(&"wi".parse().unwrap(), "").unwrap();
            let bead = world.bead(id, n, change.now());
            change.put_bead(&bead).unwrap();
        });
    }
    timed(&mut world.git(&["config", "--unset", "gt.durability"]));
    let took = timed(&mut world.gt(&["maintain", "--full", "--rig", "widgets"]));
    let tip = output(&mut world.git(&["rev-parse", &format!("{}^{{tree}}", tree::LEDGER)]));
    let list = world.path("list");
    std::fs::write(&list, output(&mut world.git(&["rev-list", "--objects", tip.trim()]))).unwrap();
    let mut pack = world.git(&["pack-objects", "--quiet", "--stdout"]);
    let packed = pack.stdin(Stdio::from(File::open(&list).unwrap())).output().unwrap().stdout.len();
    // The project is in the same repository.
    let project = output(&mut world.git(&["rev-list", "--disk-usage", "--objects", "--branches"]));
    let ours = bytes_of_packs(&world.repo()) - project.trim().parse::<u64>().unwrap();
    let mega = |bytes: u64| f64::from(u32::try_from(bytes / 1_000).unwrap()) / 1_000.0;
    report.row(Row {
        what: "disk after creates one by one and gt maintain --full".into(),
        scale: count,
        count: 1,
        ours: mega(ours),
        beside: Some(mega(packed as u64)),
        beside_is: "one pack of the same tree".into(),
        unit: "MB",
        bar: Bar::Times(3.0),
    });
    let row = Row::of("gt maintain --full after that", count, &(vec![took], vec![took]), "–", Bar::None);
    report.row(Row { beside: None, ..row });
    let there = world.count_beads();
    report.fact(format!("{count} beads made one by one are {there} after maintenance"), there == count + own_records(&world));
}

/// Beads of gt's own in a new rig.
fn own_records(world: &World<'_>) -> usize {
    let all = output(&mut world.git(&["grep", "-l", "-E", "\"issue_type\": \"(agent|role|rig)\"", tree::LEDGER, "--", "beads/"]));
    all.lines().count()
}

/// Bytes of all files of the object directory.
fn bytes_of_packs(repo: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(repo.join("objects")).into_iter().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.metadata().map_or(0, |meta| meta.len())).sum()
}

/// A sandbox for a new polecat, and for one that is idle; the worktree alone beside git's, with one worker and with two.
pub fn sling(place: &Place, report: &mut Report) {
    let world = World::empty(place, "sling", FILES);
    let count = if place.quick { 3 } else { 15 };
    let bead = |n: usize| output(&mut world.gt(&["bead", "q", &format!("Task {n}")])).trim().to_owned();
    let ids: Vec<String> = (0..count).map(bead).collect();
    let by_git = |name: &str, n: usize, workers: usize| {
        let (dest, workers) = (world.path(&format!("{name}{n}")), format!("checkout.workers={workers}"));
        let words = ["-c", &workers, "worktree", "add", "-q", "-b", &format!("{name}{n}"), dest.to_str().unwrap(), "main"];
        timed(&mut world.git(&words))
    };
    let times = pairs(
        count,
        |n| timed(&mut world.gt(&["sling", &ids[n], &format!("widgets/polecats/worker{n}"), "--no-start"])),
        |n| by_git("plain", n, 1),
    );
    let row = |what: &str, times: &(Vec<f64>, Vec<f64>), beside: &str, bar: Bar| Row {
        scale: 0,
        ..Row::of(&format!("{what}, 5,000 files"), 0, times, beside, bar)
    };
    report.row(row("gt sling --no-start, new polecat", &times, "git worktree add", Bar::Times(1.2)));

    let again: Vec<String> = (count..2 * count).map(bead).collect();
    let give_up = |n: usize| {
        let mut done = world.gt(&["done", "--status", "released", "--message", "for the next"]);
        timed(done.env("GT_ACTOR", format!("widgets/polecats/worker{n}")));
    };
    (0..count).for_each(give_up);
    let times = pairs(
        count,
        |n| timed(&mut world.gt(&["sling", &again[n], &format!("widgets/polecats/worker{n}"), "--no-start"])),
        |n| by_git("fresh", n, 1),
    );
    report.row(row("gt sling --no-start, idle polecat", &times, "git worktree add", Bar::Times(0.3)));

    let store = Store::open(&world.repo()).unwrap();
    let at = store.read_ref("refs/heads/main").unwrap().unwrap();
    let by_gt = |kind: &str, n: usize| {
        let (name, dest) = (format!("{kind}-gt{n}"), world.path(&format!("{kind}-gt{n}")));
        millis(|| worktree::add(&store, &dest, Head::Branch { name: &name, at }).unwrap()).0
    };
    for (kind, workers, bar) in [("one", 1, 0.8), ("two", 2, 1.0)] {
        let times = pairs(count, |n| by_gt(kind, n), |n| by_git(kind, n, workers));
        let beside = format!("git worktree add, checkout.workers={workers}");
        report.row(row("a new worktree", &times, &beside, Bar::Times(bar)));
    }
}
