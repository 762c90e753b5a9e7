//! What must hold after every run, however it ended, judged without gt: by the trees on the target, by what the gate
//! itself wrote down, and by the letters.

use std::collections::{BTreeMap, BTreeSet};

use gastown::model::bead::Status;
use gastown::model::mail::Letter;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::name::BeadId;

use super::cast::{Fate, Player};
use crate::refinery::world::{World, git};

/// Sets the gate, which is red on trees with a file `bad-…` or with both `left-N` and `right-N`, and writes down when it
/// begins and how it ends.
pub fn set_gate(world: &World) {
    let tally = world.tally().display().to_string();
    world.gate(
        "test",
        &format!(
            "echo begin $GT_TREE $PPID >> {tally}; sleep 0.0$(($$ % 4)); code=0; \
             for f in bad-*; do test -e $f && code=1; done; \
             for f in left-*; do test -e $f && test -e right-${{f#left-}} && code=1; done; \
             echo end $GT_TREE $PPID $code >> {tally}; exit $code"
        ),
    );
}

/// The same of a commit, by its names at the top.
fn is_green(world: &World, commit: &str) -> bool {
    let names = git(&world.repo(), &["ls-tree", "--name-only", commit]);
    let names: BTreeSet<&str> = names.lines().collect();
    let is_red = |name: &&str| {
        name.starts_with("bad-") || name.strip_prefix("left-").is_some_and(|n| names.contains(format!("right-{n}").as_str()))
    };
    !names.iter().any(is_red)
}

/// What was seen of a run from outside.
pub struct Seen {
    /// Its process.
    pub process: String,
    /// Whether that was killed.
    pub was_killed: bool,
    /// Where the target was meanwhile, one after the other.
    pub tips: Vec<String>,
}

/// What is known of the runs so far.
pub struct Judge {
    /// Where the target was seen last.
    tip: String,
    /// Lines of the gate's own tally that were read.
    read: usize,
    /// Gate runs that were recorded.
    recorded: usize,
    /// Gates that ended and were not.
    unrecorded: usize,
    /// How many of these may be, since a run was cut off.
    cut: usize,
    /// Trees that were recorded as green.
    greens: BTreeSet<String>,
    /// Gates that were begun by the run that was looked at.
    pub begun: usize,
    /// Commits that were seen at the target's tip or below it.
    pub judged: usize,
}

impl Judge {
    /// Nothing has run yet.
    pub fn new(world: &World) -> Self {
        Self { tip: world.tip("main"), read: 0, recorded: 0, unrecorded: 0, cut: 0, greens: BTreeSet::new(), begun: 0, judged: 0 }
    }

    /// A person moved the target.
    pub fn moved_by_hand(&mut self, world: &World) {
        self.tip = world.tip("main");
    }

    /// After a run, in which at most `cut` gates were under way when it was cut off.
    pub fn look(&mut self, world: &World, seen: &Seen, cut: usize) {
        let tally = std::fs::read_to_string(world.tally()).unwrap_or_default();
        let lines: Vec<&str> = tally.lines().skip(self.read).collect();
        self.read += lines.len();
        let mut green_now = BTreeSet::new();
        for line in &lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                // One that an earlier run began may outlive it for a moment; nobody records what it came to.
                ["begin", tree, by] if by == seen.process => {
                    let is_known = self.greens.contains(tree) || green_now.contains(tree);
                    assert!(!is_known, "{tree} was known to be green and is gated again");
                    self.begun += 1;
                }
                ["begin", ..] => {}
                ["end", tree, by, code] => {
                    self.unrecorded += 1;
                    if code == "0" && by == seen.process {
                        green_now.insert(tree);
                    }
                }
                _ => panic!("{line}"),
            }
        }
        let runs = world.recorded();
        self.unrecorded -= runs.len() - std::mem::replace(&mut self.recorded, runs.len());
        self.cut += cut;
        assert!(self.unrecorded <= self.cut, "{} gates ended and were not recorded", self.unrecorded);
        self.greens = runs.into_iter().filter(|run| run.verdict.word() == "green").map(|run| run.tree).collect();
        for tip in seen.tips.iter().chain([&world.tip("main")]) {
            self.landed(world, tip);
        }
    }

    /// The target was moved to `tip`: forwards, to a tree that was gated and recorded, over commits that are all green.
    fn landed(&mut self, world: &World, tip: &str) {
        if *tip == self.tip {
            return;
        }
        let line = git(&world.repo(), &["rev-list", "--first-parent", &format!("{}..{tip}", self.tip)]);
        let below = git(&world.repo(), &["rev-parse", &format!("{}^", line.lines().last().expect("it moves forwards"))]);
        assert_eq!(below, self.tip, "the target's line was broken");
        for commit in line.lines() {
            assert!(is_green(world, commit), "{commit} is on the target and is red");
        }
        let tree = git(&world.repo(), &["rev-parse", &format!("{tip}^{{tree}}")]);
        assert!(self.greens.contains(&tree), "{tip} is on the target and no gate was green for its tree");
        self.judged += line.lines().count();
        tip.clone_into(&mut self.tip);
    }
}

/// Nothing waits that could go on: each of `players` ended as it had to, its author was told once, and nothing is
/// left lying about.
pub fn ended(world: &World, players: &[Player], workers: usize) {
    world.is_sound();
    let told = Told::of(&world.letters());
    let rig = world.rig();
    let witness = rig.ledger.state().unwrap().letters(&"widgets/witness".parse().unwrap()).unwrap().0;
    let witnessed = Told::of(&witness);
    for player in players {
        let (mr, bead) = (world.mr(&player.mr), world.show(&player.bead));
        if let Some(state) = player.state() {
            assert_eq!(mr.state, state, "{}: {:?}", player.name, mr.held_reason);
        }
        let (status, merged, failed, rework) = match (mr.state, player.fate) {
            (MrState::Landed, _) => (Status::Closed, 1, 0, 0),
            (MrState::Evicted, Fate::Conflicts) => (Status::Open, 0, 0, 1),
            (MrState::Evicted, _) => (Status::Open, 0, 1, 0),
            _ => (Status::InReview, 0, 0, 0),
        };
        assert_eq!(bead.status, status, "{}", player.name);
        for told in [&told, &witnessed] {
            assert_eq!(told.about(&player.mr), (merged, failed, rework), "letters about {}", player.name);
        }
    }
    for pair in players.iter().filter(|player| player.fate == Fate::OneOfTwo).collect::<Vec<_>>().chunks(2) {
        let [first, second] = [0, 1].map(|at| world.mr(&pair[at].mr).state == MrState::Landed);
        assert!(first != second, "of {} and {} one leaves", pair[0].name, pair[1].name);
        assert!(first || workers > 1, "{} came later and stayed", pair[1].name);
    }
    let locks = walkdir::WalkDir::new(world.repo()).into_iter().filter_map(Result::ok);
    let locks: Vec<_> = locks.filter(|entry| entry.path().extension().is_some_and(|end| end == "lock")).collect();
    assert!(locks.is_empty(), "{locks:?}");
}

/// Letters about each request: how many say that it was merged, that a gate was red, that it conflicts.
struct Told(BTreeMap<BeadId, (usize, usize, usize)>);

impl Told {
    fn of(letters: &[Letter]) -> Self {
        let mut told: BTreeMap<BeadId, (usize, usize, usize)> = BTreeMap::new();
        for letter in letters {
            match Protocol::of(letter).unwrap() {
                Protocol::Merged { mr, .. } => told.entry(mr).or_default().0 += 1,
                Protocol::MergeFailed { mr, .. } => told.entry(mr).or_default().1 += 1,
                Protocol::ReworkRequest { mr, .. } => told.entry(mr).or_default().2 += 1,
                _ => {}
            }
        }
        Self(told)
    }

    fn about(&self, mr: &BeadId) -> (usize, usize, usize) {
        self.0.get(mr).copied().unwrap_or_default()
    }
}
