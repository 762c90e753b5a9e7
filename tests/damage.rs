//! Objects, packs, pack indexes and refs flipped, cut short or gone: whatever is asked is answered rightly or refused
//! clearly, nothing is written from a failed load, and when the bytes are back everything is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::beads::{create, ids};
use crate::town::{Outcome, Town};

/// Exit codes of an answer, of a refusal, of a failing disk, and of what cannot be read; what is damaged is never "not there".
const LAWFUL: [i32; 5] = [0, 1, 4, 7, 70];

struct Scene {
    town: Town,
    repo: PathBuf,
    titles: BTreeMap<String, String>,
}

impl Scene {
    /// Packed beads, and loose ones after them.
    fn new() -> Self {
        let town = Town::new();
        town.rig("widgets");
        let mut titles = BTreeMap::new();
        let mut add = |n: usize| titles.insert(create(&town, &format!("title{n} --rig widgets")), format!("title{n}"));
        (0..6).for_each(|n| drop(add(n)));
        town.gt("maintain --full --rig widgets").succeeds();
        (6..9).for_each(|n| drop(add(n)));
        let repo = town.root.join("widgets/.repo.git");
        Self { town, repo, titles }
    }

    fn forget_index(&self) {
        for name in ["index", "index-mail", "texts"] {
            let _ = std::fs::remove_file(self.repo.join("gt").join(name));
        }
    }

    /// Asks everything while something is damaged: no answer may be a wrong one.
    fn ask(&self, what: &str) {
        let sane = |outcome: &Outcome, said: &str| {
            let words = format!("{what}, {said}: exit {} {}{}", outcome.code, outcome.stdout, outcome.stderr);
            assert!(LAWFUL.contains(&outcome.code) && !outcome.stderr.contains("panicked"), "{words}");
            let is_told = outcome.stderr.contains("gt: ") || outcome.stdout.contains("\"error\"");
            assert!(outcome.code == 0 || is_told, "{words}");
        };
        self.forget_index();
        for round in ["without index", "with it"] {
            let listed = self.town.gt("--json list --rig widgets --limit 0");
            sane(&listed, round);
            if listed.code == 0 {
                let said = listed.stderr.clone();
                let found = ids(listed);
                let named = said.lines().filter(|line| line.contains("damaged:")).count();
                assert!(
                    found.len() + named >= self.titles.len(),
                    "{what}, {round}: {} of {} listed, {said}",
                    found.len(),
                    self.titles.len()
                );
            }
        }
        for (id, title) in &self.titles {
            let shown = self.town.gt(&format!("--json show {id}"));
            sane(&shown, id);
            assert!(shown.code != 0 || shown.stdout.contains(title.as_str()), "{what}: {id} is shown as {}", shown.stdout);
            assert_ne!(shown.code, 3, "{what}: {id} is said not to be there");
        }
        sane(&self.town.gt("search title1 --rig widgets"), "search");
        sane(&self.town.gt("status"), "status");
        sane(&self.town.gt("log -n 3"), "log");
    }

    /// Everything is there, with what was acknowledged meanwhile.
    fn is_whole(&self, what: &str) {
        self.forget_index();
        let found = ids(self.town.gt("--json list --rig widgets --limit 0"));
        for (id, title) in &self.titles {
            assert!(found.contains(id), "{what}: {id} is gone");
            assert!(self.town.gt(&format!("show {id}")).succeeds().stdout.contains(title.as_str()));
        }
        self.town.git(self.repo.parent().unwrap(), &["--git-dir", ".repo.git", "fsck", "--strict", "--no-dangling"]);
    }

    /// Damages the file at `path` by `harm`, asks, tries a write, and puts the bytes back.
    fn through(&mut self, path: &Path, what: &str, harm: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        let good = std::fs::read(path).unwrap();
        let rights = std::fs::metadata(path).unwrap().permissions();
        // Objects are read-only, and so written beside and renamed.
        let put = |bytes: &[u8]| {
            let beside = path.with_extension("put");
            std::fs::write(&beside, bytes).unwrap();
            std::fs::set_permissions(&beside, rights.clone()).unwrap();
            std::fs::rename(&beside, path).unwrap();
        };
        match harm(good.clone()) {
            Some(bad) => put(&bad),
            None => std::fs::remove_file(path).unwrap(),
        }
        self.ask(what);
        let n = self.titles.len();
        let made = self.town.gt(&format!("--json create title{n} --rig widgets"));
        assert!(LAWFUL.contains(&made.code) && !made.stderr.contains("panicked"), "{what}: {}", made.stderr);
        put(&good);
        if made.code == 0 {
            self.titles.insert(made.json()["id"].as_str().unwrap().to_owned(), format!("title{n}"));
        }
    }

    fn packs(&self, ending: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.repo.join("objects/pack")).unwrap();
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|have| have == ending)).collect()
    }

    /// The file of the loose object that `name` names, if it is loose.
    fn loose(&self, name: &str) -> Option<PathBuf> {
        let id = self.town.git(self.repo.parent().unwrap(), &["--git-dir", ".repo.git", "rev-parse", name]);
        let id = id.trim();
        Some(self.repo.join("objects").join(&id[..2]).join(&id[2..])).filter(|path| path.is_file())
    }
}

fn flipped(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let at = at % bytes.len();
    bytes[at] ^= 0x40;
    bytes
}

#[test]
fn damaged_loose_objects_are_told_and_hide_nothing() {
    let mut scene = Scene::new();
    let last = scene.titles.iter().find(|(_, title)| *title == "title8").unwrap().0.clone();
    let suffix = last.strip_prefix("wi-").unwrap();
    let blob = format!("refs/gt/ledger:beads/{}/{}/{last}.json", &suffix[..1], &suffix[1..2]);
    for name in ["refs/gt/ledger", "refs/gt/ledger^{tree}", "refs/gt/ledger:beads", blob.as_str()] {
        for harm in ["flipped", "cut short", "empty", "gone"] {
            let Some(path) = scene.loose(name) else { panic!("{name} is not loose") };
            scene.through(&path, &format!("{name} {harm}"), |bytes| match harm {
                "flipped" => Some(flipped(bytes, 9)),
                "cut short" => Some(bytes[..bytes.len() / 2].to_vec()),
                "empty" => Some(Vec::new()),
                _ => None,
            });
        }
        scene.is_whole(name);
    }
}

#[test]
fn damaged_packs_and_their_indexes_are_told_and_hide_nothing() {
    let mut scene = Scene::new();
    let (pack, idx) = (scene.packs("pack").remove(0), scene.packs("idx").remove(0));
    for at in [3, 40, 150, 333, 700, 1200] {
        scene.through(&pack, &format!("byte {at} of the pack flipped"), |bytes| Some(flipped(bytes, at)));
        scene.through(&idx, &format!("byte {at} of the index flipped"), |bytes| Some(flipped(bytes, at)));
    }
    for path in [&pack, &idx] {
        scene.through(path, "half of it", |bytes| Some(bytes[..bytes.len() / 2].to_vec()));
        scene.through(path, "nothing of it", |_| Some(Vec::new()));
        scene.through(path, "gone", |_| None);
    }
    scene.is_whole("packs");
}

#[test]
fn damaged_refs_are_told_and_never_taken_for_an_empty_ledger() {
    let mut scene = Scene::new();
    let tip = scene.repo.join("refs/gt/ledger");
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("garbage", b"\0\xff\n".to_vec()),
        ("short", b"abc123\n".to_vec()),
        ("dangling", b"1234567890123456789012345678901234567890\n".to_vec()),
    ] {
        let before = scene.titles.len();
        scene.through(&tip, what, |_| Some(bytes));
        assert_eq!(scene.titles.len(), before, "{what}: something was written from a ledger that could not be read");
    }
    scene.is_whole("refs");
}
