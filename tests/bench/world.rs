//! A town whose rig has as many beads and letters as asked, written through the library, and commands in it.
//!
//! Beads are of about 1 KB: seven in ten closed, one in five with dependencies, all with labels, most with an
//! assignee. Letters lie in 30 mailboxes; all are read but for about a hundred in the first.

use std::path::{Path, PathBuf};
use std::process::Command;

use gastown::ledger::{Actor, Change, Deed, Ledger, tree};
use gastown::model::address::Address;
use gastown::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status};
use gastown::model::hook::Hook;
use gastown::model::mail::{Letter, Urgency};
use gastown::name::{BeadId, Prefix};
use gastown::time::Moment;

use crate::times::{output, timed};

/// Mailboxes that the letters are spread over.
const MAILBOXES: usize = 30;
/// Unread letters in the first mailbox.
const UNREAD: usize = 100;
/// How many records one transaction writes while a ledger is filled.
const FILLED_AT_ONCE: usize = 10_000;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Where everything lies; all of it is removed at the end.
pub struct Place {
    base: tempfile::TempDir,
    /// The program.
    pub gt: PathBuf,
    /// Whether few pairs are enough.
    pub quick: bool,
}

impl Place {
    /// A directory of its own in the one for temporary files (`TMPDIR`).
    pub fn new(gt: PathBuf, quick: bool) -> Self {
        let base = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(base.path().join("home")).unwrap();
        Self { base, gt, quick }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn command(&self, program: &Path, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("GT_UPKEEP", "off")
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        command
    }

    /// git in `dir`, with nobody's configuration.
    pub fn git(&self, dir: &Path, args: &[&str]) -> Command {
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];
        self.command(Path::new("git"), dir, &[&who, args].concat())
    }

    /// A project of `files` files of about 1 KB, committed.
    pub fn project(&self, name: &str, files: usize) -> PathBuf {
        let project = self.path(name);
        for n in 0..files {
            let path = project.join(format!("src/d{:02}/f{n:04}.txt", n % 100));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("file {n}\n{}\n", "some text to have a size ".repeat(40))).unwrap();
        }
        timed(&mut self.git(&project, &["init", "-q", "-b", "main"]));
        timed(&mut self.git(&project, &["add", "-A"]));
        timed(&mut self.git(&project, &["commit", "-q", "-m", "all"]));
        project
    }
}

/// A town with one rig.
pub struct World<'p> {
    /// Where it lies.
    pub place: &'p Place,
    /// The number of beads that it began with.
    pub scale: usize,
    /// Pairs of a usual row.
    pub pairs: usize,
    /// All beads, in the order in which they were written.
    pub ids: Vec<BeadId>,
    /// Numbers drawn so far.
    random: fastrand::Rng,
    name: String,
}

/// The first mailbox's owner, on whose hook a bead hangs.
pub const AGENT: &str = "widgets/polecats/p0";

impl<'p> World<'p> {
    /// A town with the rig `widgets` and nothing in it.
    pub fn empty(place: &'p Place, name: &str, files: usize) -> Self {
        let project = place.project(&format!("{name}-project"), files);
        let random = fastrand::Rng::with_seed(7);
        let pairs = if place.quick { 11 } else { 41 };
        let world = Self { place, scale: 0, pairs, ids: Vec::new(), random, name: name.to_owned() };
        std::fs::create_dir(world.root()).unwrap();
        timed(world.gt(&["install", ".", "--owner", "a@example.org"]).current_dir(world.root()));
        let add = ["rig", "add", "widgets", project.to_str().unwrap(), "--sync", "none"];
        timed(world.gt(&add).current_dir(world.root()));
        world
    }

    /// A town whose rig has `scale` beads and letters, all packed.
    pub fn build(place: &'p Place, scale: usize) -> Self {
        let mut world = Self { scale, ..Self::empty(place, &format!("n{scale}"), 20) };
        for begin in (0..scale).step_by(FILLED_AT_ONCE) {
            let end = (begin + FILLED_AT_ONCE).min(scale);
            world.fill("create", |world, change| (begin..end).for_each(|n| world.add_bead(change, n)));
            world.fill("mail", |world, change| (begin..end).for_each(|n| world.add_letter(change, n)));
        }
        world.fill("sling", |world, change| {
            let mut bead = change.bead(&world.ids[1]).unwrap();
            let agent: Address = AGENT.parse().unwrap();
            bead.status = Status::Hooked;
            bead.assignee = Some(AGENT.to_owned());
            let hook = Hook::new(agent.clone(), bead.id.clone(), "overseer", &change.rev().machine.clone(), change.now());
            change.put_bead(&bead).unwrap();
            change.put(&tree::hook(&agent), &hook).unwrap();
        });
        timed(&mut world.gt(&["maintain", "--full"]));
        for dir in ["beads/", "mail/"] {
            let there = output(&mut world.git(&["ls-tree", "-r", "--name-only", tree::LEDGER, dir])).lines().count();
            assert!(there >= scale, "of {scale} records in {dir} {there} are left");
        }
        world
    }

    fn fill(&mut self, op: &str, write: impl Fn(&mut Self, &mut Change<'_>)) {
        let ledger = self.ledger();
        self.transact(&ledger, op, |world, change| write(world, change));
    }

    /// A change to `ledger` by the library.
    pub fn transact(&mut self, ledger: &Ledger, op: &str, mut write: impl FnMut(&mut Self, &mut Change<'_>)) {
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op, subject: op.to_owned(), now: gastown::time::now().unwrap() };
        let write = |change: &mut Change<'_>| {
            write(self, change);
            Ok(())
        };
        ledger.transact(&deed, write).unwrap();
    }

    /// Gives bead `n` of those written at first another title.
    pub fn retitle(&mut self, ledger: &Ledger, n: usize) {
        self.transact(ledger, "update", |world, change| {
            let mut bead = change.bead(&world.ids[n % world.ids.len()]).unwrap();
            bead.title = format!("Another title {}", world.random.u64(..));
            change.put_bead(&bead).unwrap();
        });
    }

    fn add_bead(&mut self, change: &mut Change<'_>, n: usize) {
        let id = change.mint(&"wi".parse().unwrap(), "").unwrap();
        let mut bead = self.bead(id, n, change.now());
        if n > 0 && self.random.u8(..5) == 0 {
            for _ in 0..self.random.usize(1..=2) {
                depend(&mut bead, self.ids[self.random.usize(..self.ids.len())].clone());
            }
        }
        change.put_bead(&bead).unwrap();
        self.ids.push(bead.id);
    }

    /// A town whose rig has `count` beads of which each depends on two older ones, but for the last `chain`: each of
    /// these depends on the one before it and nothing else.
    pub fn connected(place: &'p Place, count: usize, chain: usize) -> Self {
        let mut world = Self { scale: count, ..Self::empty(place, "connected", 20) };
        world.fill("create", |world, change| {
            for n in 0..count {
                let id = change.mint(&"wi".parse().unwrap(), "").unwrap();
                let mut bead = world.bead(id, n, change.now());
                if n > count - chain {
                    depend(&mut bead, world.ids[n - 1].clone());
                }
                while n >= 2 && n < count - chain && bead.dependencies.len() < 2 {
                    let target = world.random.usize(..n);
                    depend(&mut bead, world.ids[target].clone());
                }
                change.put_bead(&bead).unwrap();
                world.ids.push(bead.id);
            }
        });
        timed(&mut world.gt(&["maintain", "--full"]));
        world
    }

    /// A bead as there are many, of about 1 KB.
    pub fn bead(&mut self, id: BeadId, n: usize, now: Moment) -> Bead {
        let created = Moment::from_millis(now.millis() - DAY - i64::try_from(n % 9_000).unwrap() * DAY / 50);
        let mut bead = Bead::new(id, IssueType::Task, &format!("Task {n}: {}", self.words(40)), "overseer", created).unwrap();
        bead.priority = self.random.u8(..5);
        bead.description = self.words(520);
        for _ in 0..self.random.usize(1..=3) {
            bead.labels.insert(format!("area-{}", self.random.u8(..20)));
        }
        match self.random.u8(..10) {
            0..7 => {
                bead.assignee = Some(format!("widgets/polecats/p{}", self.random.usize(..MAILBOXES)));
                // Not so long ago that maintenance would move it to the archive.
                let closed = now.millis() - i64::try_from(n % 20).unwrap() * DAY - DAY / 2;
                bead.close("overseer", "done as asked", Moment::from_millis(closed.max(created.millis()))).unwrap();
            }
            7 => {
                bead.assignee = Some(format!("widgets/polecats/p{}", self.random.usize(..MAILBOXES)));
                bead.status = Status::InProgress;
                bead.started_at = Some(created);
            }
            _ => {}
        }
        bead
    }

    fn add_letter(&mut self, change: &mut Change<'_>, n: usize) {
        let to: Address = format!("widgets/polecats/p{}", n % MAILBOXES).parse().unwrap();
        let sent = Moment::from_millis(change.now().millis() - DAY / 2 - i64::try_from(n % 9_000).unwrap() * DAY / 50);
        let prefix: Prefix = "wi".parse().unwrap();
        let id = change.mint_letter(&prefix, &to).unwrap();
        let (subject, body) = (format!("Letter {n}: {}", self.words(30)), self.words(400));
        let mut letter = Letter::new(id, Address::Mayor, to, &subject, &body, sent).unwrap();
        let nth = n / MAILBOXES;
        if !n.is_multiple_of(MAILBOXES) || nth >= UNREAD {
            letter.read_at = Some(change.now());
        } else {
            letter.priority = match nth % 20 {
                0 => Urgency::Urgent,
                1 => Urgency::High,
                _ => Urgency::Normal,
            };
        }
        change.put_letter(&letter).unwrap();
    }

    fn words(&mut self, bytes: usize) -> String {
        const WORDS: &str = "the pump and of valve that in is mend refinery convoy for gauge with pressure a to when be leak \
                             night shift on crew as test before branch merge conflict line was reads status value because must";
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut text = String::new();
        while text.len() < bytes {
            // One word in six is a number or name that is nowhere else.
            if self.random.u8(..6) == 0 {
                text.push_str(&format!("{:x} ", self.random.u32(..)));
            } else {
                text.push_str(words[self.random.usize(..words.len())]);
                text.push(' ');
            }
        }
        text.trim_end().to_owned()
    }

    /// The town's directory.
    pub fn root(&self) -> PathBuf {
        self.place.path(&self.name)
    }

    /// A path beside the town.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path(&format!("{}-{name}", self.name))
    }

    /// The rig's directory.
    pub fn rig(&self) -> PathBuf {
        self.root().join("widgets")
    }

    /// The rig's git directory.
    pub fn repo(&self) -> PathBuf {
        self.rig().join(".repo.git")
    }

    /// The rig's ledger, opened anew.
    pub fn ledger(&self) -> Ledger {
        let machine = gastown::town::read_machine(&self.root().join(".repo.git")).unwrap();
        Ledger::open(&self.repo(), &machine.id).unwrap()
    }

    /// gt in the rig's directory.
    pub fn gt(&self, args: &[&str]) -> Command {
        let rig = self.rig();
        let dir = if rig.is_dir() { rig } else { self.root() };
        self.place.command(&self.place.gt, &dir, args)
    }

    /// git on the rig's git directory.
    pub fn git(&self, args: &[&str]) -> Command {
        let repo = self.repo();
        self.place.git(&repo, args)
    }

    /// `path` in the ledger, as git spells it.
    pub fn spec(path: &str) -> String {
        format!("{}:{path}", tree::LEDGER)
    }

    /// Some bead; another for another `n`.
    pub fn any(&self, n: usize) -> &BeadId {
        &self.ids[(n * 7_919 + 13) % self.ids.len()]
    }

    /// The number of beads in the rig's ledger now, by git.
    pub fn count_beads(&self) -> usize {
        output(&mut self.git(&["ls-tree", "-r", "--name-only", tree::LEDGER, "beads/"])).lines().count()
    }
}

/// Lets `bead` wait for `target`.
fn depend(bead: &mut Bead, target: BeadId) {
    if target != bead.id && bead.dependencies.iter().all(|edge| edge.depends_on_id != target) {
        bead.dependencies.push(Dependency {
            issue_id: bead.id.clone(),
            depends_on_id: target,
            kind: DependencyKind::Blocks,
            created_by: "overseer".into(),
            created_at: bead.created_at,
            extra: gastown::model::record::Object::new(),
        });
    }
}
