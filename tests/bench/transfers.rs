//! Rows of one push and one fetch of one change over a path, `git://` and `http://`, whole processes, beside git doing the same.
//!
//! `gt` has no command that pushes and does nothing else, so this example is started again as the process that does.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use gastown::git::fetch::fetch;
use gastown::git::init::init_bare;
use gastown::git::progress::Progress;
use gastown::git::push::{Outcome, Update, push};
use gastown::ledger::{Ledger, tree};
use gastown::store::Store;

use crate::report::{Bar, Report, Row};
use crate::servers::{Kind, Server};
use crate::syncs::share_packs;
use crate::times::timed;
use crate::world::World;

/// The words that make this example one push or fetch: `--transfer push|fetch DIR URL`.
pub const WORD: &str = "--transfer";

/// One push of the ledger's last change, or one fetch of the ledger.
pub fn once(args: &[String]) -> ExitCode {
    let [deed, dir, url] = args else { return ExitCode::from(2) };
    let store = Store::open(Path::new(dir)).unwrap();
    let is_done = if deed == "fetch" {
        fetch(&store, url, &[tree::LEDGER.to_owned()], &Progress::silent()).unwrap().len() == 1
    } else {
        let new = store.read_ref(tree::LEDGER).unwrap();
        let old = store.repo.find_commit(new.unwrap()).unwrap().parent_ids().next().map(gix::Id::detach);
        let update = Update { name: tree::LEDGER.to_owned(), old, new };
        matches!(push(&store, url, &[update], &Progress::silent()).unwrap()[0].1, Outcome::Accepted)
    };
    ExitCode::from(u8::from(!is_done))
}

fn ours(world: &World<'_>, deed: &str, dir: &Path, url: &str) -> Command {
    // Not the file that runs now: it is built anew when it is old.
    let mut command = Command::new(world.place.gt.with_file_name("examples").join("bench"));
    command.args([WORD, deed]).arg(dir).arg(url).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

/// A hub and two that exchange with it: by our parts, and by git.
struct Round {
    hub: PathBuf,
    ours: PathBuf,
    git: PathBuf,
}

impl Round {
    fn new(world: &World<'_>) -> Self {
        let path = |name: &str| world.path(&format!("transfer-{name}.git"));
        let round = Self { hub: path("hub"), ours: path("ours"), git: path("git") };
        for dir in [&round.hub, &round.ours, &round.git] {
            init_bare(dir, "main").unwrap();
            share_packs(&world.repo(), dir);
            follow(world, dir, &world.repo());
        }
        round
    }

    /// What `dir` has is the hub's ledger with one change more.
    fn change(&self, world: &mut World<'_>, dir: &Path, n: usize) {
        follow(world, dir, &self.hub);
        let ledger = Ledger::open(dir, "other").unwrap();
        world.retitle(&ledger, n);
    }
}

fn follow(world: &World<'_>, dir: &Path, from: &Path) {
    let spec = format!("+{}:{}", tree::LEDGER, tree::LEDGER);
    timed(&mut world.place.git(dir, &["fetch", "-q", "--no-tags", from.to_str().unwrap(), &spec]));
}

/// A push over each way, and a fetch over a path.
pub fn all(world: &mut World<'_>, report: &mut Report) {
    let round = Round::new(world);
    let (root, scratch) = (round.hub.parent().unwrap().to_owned(), world.path("servers"));
    let name = round.hub.file_name().unwrap().to_str().unwrap().to_owned();
    let spec = format!("{}:{}", tree::LEDGER, tree::LEDGER);
    for (kind, way) in [(Kind::File, "a path"), (Kind::Daemon, "git://"), (Kind::Http, "http://")] {
        let server = Server::start(kind, &root, &scratch).unwrap();
        let url = server.url(&name);
        let (mut our_times, mut git_times) = (Vec::new(), Vec::new());
        for n in 0..world.pairs {
            for is_ours in [n % 2 == 0, n % 2 != 0] {
                let dir = if is_ours { &round.ours } else { &round.git };
                round.change(world, dir, n * 53);
                if is_ours {
                    our_times.push(timed(&mut ours(world, "push", dir, &url)));
                } else {
                    git_times.push(timed(&mut world.place.git(dir, &["push", "-q", &url, &spec])));
                }
            }
        }
        let what = format!("push of 1 change over {way}");
        report.row(Row::of(&what, world.scale, &(our_times, git_times), "git push of that ref", Bar::Times(1.1)));
    }
    let there = world
        .place
        .git(&round.hub, &["fsck", "--connectivity-only", "--no-dangling", "--no-progress"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    report.fact(format!("{}: the hub that was pushed to is whole", world.scale), there.success());

    let url = round.hub.to_str().unwrap().to_owned();
    let (mut our_times, mut git_times) = (Vec::new(), Vec::new());
    follow(world, &round.ours, &round.hub);
    for n in 0..world.pairs {
        let other = world.path("transfer-other.git");
        if n == 0 {
            init_bare(&other, "main").unwrap();
            share_packs(&round.hub, &other);
        }
        round.change(world, &other, n * 59);
        timed(&mut world.place.git(&other, &["push", "-q", &url, &spec]));
        for is_ours in [n % 2 == 0, n % 2 != 0] {
            if is_ours {
                our_times.push(timed(&mut ours(world, "fetch", &round.ours, &url)));
            } else {
                let words = ["fetch", "-q", "--no-tags", &url, tree::LEDGER];
                git_times.push(timed(&mut world.place.git(&round.git, &words)));
            }
        }
        // Not part of the figure: both know the tip by a ref before the next one comes.
        follow(world, &round.ours, &round.hub);
        follow(world, &round.git, &round.hub);
    }
    report.row(Row::of(
        "fetch of 1 change over a path",
        world.scale,
        &(our_times, git_times),
        "git fetch of that ref",
        Bar::Times(1.0),
    ));
}
