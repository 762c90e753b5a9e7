//! Who comes into the queue: a generated project, and requests of which it is known beforehand how they end.

use gastown::model::merge_request::{Mode, MrState};
use gastown::name::BeadId;
use gastown::ops::refinery::Submission;

use crate::refinery::world::{World, git};

/// Directories of the project, and files in each.
const DIRS: usize = 20;
const FILES: usize = 20;
/// Lines of a file; requests that change one file do so ten lines apart.
const LINES: usize = 30;

/// How a request must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It lands.
    Lands,
    /// A gate is red for it.
    IsRed,
    /// It does not merge with what the target has.
    Conflicts,
    /// It stands on one that was sent back.
    Waits,
    /// It and the other one of its pair are good alone and bad together: one of them leaves, with one worker the later.
    OneOfTwo,
}

/// A request with its fate.
pub struct Player {
    pub name: String,
    pub bead: BeadId,
    pub mr: BeadId,
    pub fate: Fate,
}

/// Makes the requests.
pub struct Author {
    pub random: fastrand::Rng,
    /// How many were made.
    made: usize,
}

impl Author {
    /// The project is written and is the target.
    pub fn begin(world: &World, seed: u64) -> Self {
        let text = |n: usize| (0..LINES).map(|line| format!("file {n}, line {line}")).collect::<Vec<_>>().join("\n") + "\n";
        let files: Vec<(String, String)> = (0..DIRS * FILES).map(|n| (path(n), text(n))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        world.push_main(&files);
        Self { random: fastrand::Rng::with_seed(seed), made: 0 }
    }

    /// Hands in `count` requests or one or two more, and a person commits meanwhile.
    pub fn wave(&mut self, world: &World, count: usize) -> Vec<Player> {
        let mut wave = Vec::new();
        let old = format!("old-{}", self.made);
        world.push_main(&[(&old, "as it was\n")]);
        let clash = self.name("late");
        world.branch(&clash, "main", &[(&old, "as the worker wants it\n")]);
        world.push_main(&[(&old, "as a person wants it\n")]);
        wave.push(self.hand_in(world, clash, Fate::Conflicts));
        while wave.len() < count {
            match self.random.u8(..100) {
                0..10 => self.bad(world, &mut wave),
                10..20 => self.pair(world, &mut wave),
                20..26 => self.twins(world, &mut wave),
                26..38 => self.family(world, &mut wave, None),
                38..43 => self.family(world, &mut wave, Some(0)),
                43..48 => self.family(world, &mut wave, Some(1)),
                _ => self.good(world, &mut wave),
            }
        }
        wave
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }

    fn hand_in(&mut self, world: &World, name: String, fate: Fate) -> Player {
        let mode = *self.random.choice(&[Mode::Squash, Mode::Squash, Mode::Merge, Mode::Rebase]).unwrap();
        let bead = world.bead(&name);
        let mr = world.file(&Submission { mode: Some(mode), ..World::submission(&bead, &name) }).unwrap();
        Player { name, bead, mr, fate }
    }

    /// A good one: adds a file, moves one, or changes some lines of one that others change elsewhere.
    fn good(&mut self, world: &World, wave: &mut Vec<Player>) {
        let name = self.name("good");
        let n = self.made % (DIRS * FILES);
        match self.random.u8(..10) {
            0..3 => drop(world.branch(&name, "main", &[(&format!("new/{name}"), "x\n")])),
            // Of the files that are moved nothing else is changed: they are counted from the other end.
            3 => {
                let from = path(DIRS * FILES - 1 - n);
                let text = text_at(world, &from);
                drop(world.branch(&name, "main", &[(&from, ""), (&format!("moved/{name}.txt"), &text)]));
            }
            _ => {
                let (path, line) = (path(n / 3), 5 + n % 3 * 10);
                let text = text_at(world, &path);
                let mut lines: Vec<&str> = text.lines().collect();
                let mine = format!("{name} was here");
                lines[line] = &mine;
                let text = lines.join("\n") + "\n";
                world.branch(&name, "main", &[(&path, &text)]);
            }
        }
        self.second_commit(world, &name);
        wave.push(self.hand_in(world, name, Fate::Lands));
    }

    /// Gives some branches another commit.
    fn second_commit(&mut self, world: &World, name: &str) {
        if self.random.bool() {
            world.branch(name, name, &[(&format!("notes/{name}"), "more\n")]);
        }
    }

    fn bad(&mut self, world: &World, wave: &mut Vec<Player>) {
        let name = self.name("bad");
        world.branch(&name, "main", &[(&name, "x\n")]);
        wave.push(self.hand_in(world, name, Fate::IsRed));
    }

    /// Two that are good alone and bad together; others may stand between them.
    fn pair(&mut self, world: &World, wave: &mut Vec<Player>) {
        let number = self.made + 1;
        for side in ["left", "right"] {
            let name = self.name(side);
            world.branch(&name, "main", &[(&format!("{side}-{number}"), "x\n")]);
            wave.push(self.hand_in(world, name, Fate::OneOfTwo));
            if side == "left" && self.random.bool() {
                self.good(world, wave);
            }
        }
    }

    /// Two that add the same file, each as it likes.
    fn twins(&mut self, world: &World, wave: &mut Vec<Player>) {
        let file = format!("twins-{}", self.made);
        for fate in [Fate::Lands, Fate::Conflicts] {
            let name = self.name("twin");
            world.branch(&name, "main", &[(&file, &format!("by {name}\n"))]);
            wave.push(self.hand_in(world, name, fate));
        }
    }

    /// Three, each built on the one before; when the one of number `bad` is red, those above it wait.
    fn family(&mut self, world: &World, wave: &mut Vec<Player>, bad: Option<usize>) {
        let mut from = "main".to_owned();
        for number in 0..3 {
            let name = self.name("kin");
            let file = if bad == Some(number) { format!("bad-{name}") } else { format!("new/{name}") };
            world.branch(&name, &from, &[(&file, "x\n")]);
            from.clone_from(&name);
            let fate = match bad {
                Some(bad) if number == bad => Fate::IsRed,
                Some(bad) if number > bad => Fate::Waits,
                _ => Fate::Lands,
            };
            wave.push(self.hand_in(world, name, fate));
        }
    }
}

impl Player {
    /// The state in which it must end, as far as that is said.
    pub const fn state(&self) -> Option<MrState> {
        match self.fate {
            Fate::Lands => Some(MrState::Landed),
            Fate::IsRed | Fate::Conflicts => Some(MrState::Evicted),
            Fate::Waits => Some(MrState::Held),
            Fate::OneOfTwo => None,
        }
    }
}

fn path(n: usize) -> String {
    format!("lib/d{:02}/f{:02}.txt", n % DIRS, n / DIRS)
}

fn text_at(world: &World, path: &str) -> String {
    format!("{}\n", git(&world.work(), &["show", &format!("main:{path}")]))
}
