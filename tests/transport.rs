//! Clone, fetch and push against repositories that the git program made and checks.

mod faults;
mod http;
mod killed;
mod partial;
mod rigs;
mod servers;
mod ways;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use gastown::error::Kind;
use gastown::git::clone::{Cloned, clone_bare};
use gastown::git::fetch::{advertised, fetch};
use gastown::git::init::init_bare;
use gastown::git::progress::Progress;
use gastown::git::push::{Outcome, Update, push};
use gastown::store::Store;
use gix::ObjectId;
use tempfile::TempDir;

/// A place with an origin that git made.
struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { home: tempfile::tempdir().unwrap() };
        place.git(&["init", "-q", "--bare", "--object-format=sha1", "-b", "main", "origin.git"]);
        place.git(&["init", "-q", "--object-format=sha1", "-b", "main", "work"]);
        place
    }

    /// An origin with some history: merges, tags, branches, a rename and a removed file.
    fn with_history() -> Self {
        let place = Self::new();
        for n in 0..5 {
            place.commit(&format!("dir{n}/sub/file.txt"), &format!("{n}\n").repeat(50));
        }
        place.work(&["tag", "light"]);
        place.work(&["tag", "-a", "-m", "first", "v1"]);
        place.work(&["checkout", "-q", "-b", "feature/x"]);
        place.commit("dir1/sub/file.txt", "changed\n");
        place.work(&["checkout", "-q", "main"]);
        place.commit("other.txt", "main\n");
        place.work(&["merge", "-q", "--no-ff", "-m", "merge", "feature/x"]);
        place.work(&["mv", "other.txt", "moved.txt"]);
        place.work(&["commit", "-q", "-m", "move"]);
        place.work(&["push", "-q", "../origin.git", "--all"]);
        place.work(&["push", "-q", "../origin.git", "--tags"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn url(&self) -> String {
        self.path("origin.git").to_str().unwrap().to_owned()
    }

    fn try_git(&self, dir: &Path, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
            command.env_remove(name);
        }
        let output = command
            .args(args)
            .current_dir(dir)
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
    }

    fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        let (good, text) = self.try_git(dir, args);
        assert!(good, "git {args:?}: {text}");
        text
    }

    fn git(&self, args: &[&str]) -> String {
        self.git_in(self.home.path(), args)
    }

    fn work(&self, args: &[&str]) -> String {
        self.git_in(&self.path("work"), args)
    }

    fn commit(&self, file: &str, text: &str) -> ObjectId {
        let path = self.path("work").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.work(&["add", "-A"]);
        self.work(&["commit", "-q", "-m", file]);
        self.id(&self.path("work"), "HEAD")
    }

    fn id(&self, dir: &Path, name: &str) -> ObjectId {
        ObjectId::from_hex(self.git_in(dir, &["rev-parse", name]).as_bytes()).unwrap()
    }

    fn refs(&self, dir: &Path) -> String {
        self.git_in(dir, &["for-each-ref", "--format=%(refname) %(objectname) %(*objectname) %(symref)"])
    }

    fn fsck(&self, dir: &Path) {
        let (good, text) = self.try_git(dir, &["fsck", "--strict", "--full", "--no-dangling"]);
        assert!(good && !text.contains("missing") && !text.contains("error"), "{text}");
    }

    fn clone(&self) -> Store {
        clone_bare(&self.url(), &self.path("rig.git"), None, &Progress::silent()).unwrap();
        Store::open(&self.path("rig.git")).unwrap()
    }

    /// A local branch of the rig's repository with one more commit, made by git from the working directory.
    fn local_commit(&self, file: &str, text: &str) -> ObjectId {
        let id = self.commit(file, text);
        self.work(&["push", "-q", "../rig.git", "HEAD:refs/gt/landing/a"]);
        id
    }
}

fn leftovers(dir: &Path) -> Vec<String> {
    let names = |dir: &Path| -> Vec<String> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    let mut found = names(&dir.join("objects"));
    found.extend(names(&dir.join("objects/pack")));
    found.retain(|name| name.contains("tmp") || name.contains(".keep"));
    found
}

fn to(name: &str, old: Option<ObjectId>, new: Option<ObjectId>) -> Update {
    Update { name: name.into(), old, new }
}

fn pushed(store: &Store, url: &str, updates: &[Update]) -> Vec<Outcome> {
    push(store, url, updates, &Progress::silent()).unwrap().into_iter().map(|(_, outcome)| outcome).collect()
}

fn rejected(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Rejected(why) => why,
        Outcome::Accepted => panic!("it was accepted"),
    }
}

#[test]
fn a_clone_has_what_git_clones() {
    let place = Place::with_history();
    place.git(&["clone", "-q", "--no-local", "origin.git", "reference"]);
    for url in [place.url(), format!("file://{}", place.url())] {
        let rig = place.path("rig.git");
        let cloned = clone_bare(&url, &rig, None, &Progress::silent()).unwrap();
        let tip = place.id(&place.path("origin.git"), "main");
        assert_eq!(cloned, Cloned { default_branch: "main".into(), tip: Some(tip), ignored: 0, adopted: Vec::new() });
        assert_eq!(place.refs(&rig), place.refs(&place.path("reference")));
        place.fsck(&rig);
        assert!(leftovers(&rig).is_empty(), "{:?}", leftovers(&rig));
        assert_eq!(place.git_in(&rig, &["config", "remote.origin.url"]), place.url());
        assert_eq!(place.git_in(&rig, &["config", "remote.origin.fetch"]), "+refs/heads/*:refs/remotes/origin/*");
        assert_eq!(place.git_in(&rig, &["symbolic-ref", "HEAD"]), "refs/heads/main");
        assert_eq!(place.git_in(&rig, &["fetch", "--dry-run", "origin"]), "", "git has nothing left to fetch");
        std::fs::remove_dir_all(rig).unwrap();
    }
}

#[test]
fn a_large_clone_keeps_its_pack() {
    let place = Place::new();
    for n in 0..120 {
        std::fs::write(place.path("work").join(format!("f{n}")), format!("{n}")).unwrap();
    }
    let tip = place.commit("last", "x");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let store = place.clone();
    assert_eq!(store.read_ref("refs/heads/main").unwrap(), Some(tip));
    let counted = place.git_in(store.dir(), &["count-objects", "-v"]);
    assert!(counted.contains("packs: 1") && counted.contains("count: 0"), "{counted}");
    assert!(leftovers(store.dir()).is_empty());
    place.fsck(store.dir());
}

#[test]
fn an_asked_for_branch_must_exist_and_a_failed_clone_leaves_nothing() {
    let place = Place::with_history();
    let rig = place.path("rig.git");
    let silent = Progress::silent();
    let error = clone_bare(&place.url(), &rig, Some("nope"), &silent).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.message.contains("'nope'") && error.hint.unwrap().contains("feature/x"), "{}", error.message);
    let gone = place.path("gone").to_str().unwrap().to_owned();
    for bad in [gone.clone(), format!("file://{gone}"), place.home.path().to_str().unwrap().to_owned()] {
        let error = clone_bare(&bad, &rig, None, &silent).unwrap_err();
        assert_eq!(error.kind, Kind::External, "{bad}");
        assert!(!error.line().contains('\n') && error.hint.is_some());
    }
    let names: Vec<_> = std::fs::read_dir(place.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with("rig")), "{names:?}");
    let cloned = clone_bare(&place.url(), &rig, Some("feature/x"), &silent).unwrap();
    assert_eq!(cloned.default_branch, "feature/x");
    assert_eq!(clone_bare(&place.url(), &rig, None, &silent).unwrap_err().kind, Kind::Refused);
}

#[test]
fn an_empty_project_is_cloned_and_grows() {
    let place = Place::new();
    let cloned = clone_bare(&place.url(), &place.path("rig.git"), None, &Progress::silent()).unwrap();
    assert_eq!(cloned, Cloned { default_branch: "main".into(), tip: None, ignored: 0, adopted: Vec::new() });
    let store = Store::open(&place.path("rig.git")).unwrap();
    assert!(advertised(&store, &place.url()).unwrap().is_empty());
    let id = place.local_commit("a", "a");
    assert_eq!(pushed(&store, &place.url(), &[to("refs/heads/main", None, Some(id))]), [Outcome::Accepted]);
    assert_eq!(place.id(&place.path("origin.git"), "main"), id);
    place.fsck(&place.path("origin.git"));
}

#[test]
fn strange_names_at_the_remote_are_ignored() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    for name in
        ["refs/heads/$(id)", "refs/heads/-rf", "refs/heads/a\u{202e}b", "refs/gt/mr/x%2fy", "refs/gt/evil", "refs/tags/`id`"]
    {
        place.git_in(&origin, &["update-ref", name, "main"]);
    }
    place.git_in(&origin, &["update-ref", "refs/gt/mr/wi-mr-abc12", "main"]);
    let cloned = clone_bare(&place.url(), &place.path("rig.git"), None, &Progress::silent()).unwrap();
    assert_eq!(cloned.ignored, 4);
    let refs = place.refs(&place.path("rig.git"));
    assert!(!refs.contains("id)") && !refs.contains("-rf") && !refs.contains('`') && !refs.contains("refs/gt"), "{refs}");
    let store = Store::open(&place.path("rig.git")).unwrap();
    let names: Vec<String> = advertised(&store, &place.url()).unwrap().into_keys().collect();
    assert_eq!(names, ["refs/gt/mr/wi-mr-abc12", "refs/heads/feature/x", "refs/heads/main"]);
    let asked = fetch(&store, &place.url(), &["refs/heads/$(id)".into()], &Progress::silent()).unwrap_err();
    assert_eq!(asked.kind, Kind::Usage);
}

#[test]
fn a_fetch_brings_new_commits_whole_and_moves_no_ref() {
    let place = Place::with_history();
    let store = place.clone();
    let before = place.refs(store.dir());
    for many in [1, 60] {
        for n in 0..many {
            place.commit(&format!("new{n}"), &format!("{many}-{n}"));
        }
        place.work(&["push", "-q", "../origin.git", "main"]);
        let tip = place.id(&place.path("work"), "HEAD");
        let names = ["refs/heads/main".to_owned(), "refs/heads/gone".to_owned()];
        for _ in 0..2 {
            let fetched = fetch(&store, &place.url(), &names, &Progress::silent()).unwrap();
            assert_eq!(fetched, BTreeMap::from([("refs/heads/main".to_owned(), tip)]));
        }
        assert!(store.is_ancestor(store.read_ref("refs/heads/main").unwrap().unwrap(), tip).unwrap());
        assert_eq!(place.refs(store.dir()), before);
        assert!(leftovers(store.dir()).is_empty());
        assert!(place.try_git(store.dir(), &["rev-list", "--objects", &tip.to_string()]).0);
        place.fsck(store.dir());
    }
}

#[test]
fn a_fetch_of_few_objects_leaves_no_pack() {
    let place = Place::with_history();
    let store = place.clone();
    let packs = |dir: &Path| std::fs::read_dir(dir.join("objects/pack")).unwrap().count();
    let before = packs(store.dir());
    place.commit("one", "1");
    place.work(&["push", "-q", "../origin.git", "main"]);
    fetch(&store, &place.url(), &["refs/heads/main".into()], &Progress::silent()).unwrap();
    assert_eq!(packs(store.dir()), before);
}

#[test]
fn what_an_earlier_attempt_left_half_done_is_fetched_again() {
    let place = Place::with_history();
    let store = place.clone();
    let tip = place.commit("deep/er/one", "1");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let names = ["refs/heads/main".to_owned()];
    fetch(&store, &place.url(), &names, &Progress::silent()).unwrap();
    let blob = place.id(&place.path("work"), "HEAD:deep/er/one").to_string();
    std::fs::remove_file(store.dir().join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let store = Store::open(store.dir()).unwrap();
    let fetched = fetch(&store, &place.url(), &names, &Progress::silent()).unwrap();
    assert_eq!(fetched["refs/heads/main"], tip);
    assert_eq!(store.blob(ObjectId::from_hex(blob.as_bytes()).unwrap()).unwrap(), b"1");
}

#[test]
fn ssh_is_spoken_through_the_command_that_git_is_configured_with() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_history();
    let store = place.clone();
    let ssh = place.path("ssh");
    std::fs::write(&ssh, "#!/bin/sh\ncase $1 in away*) echo Permission denied >&2; exit 255;; esac\nshift\nexec sh -c \"$*\"\n")
        .unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.git_in(store.dir(), &["config", "core.sshCommand", ssh.to_str().unwrap()]);
    place.git_in(store.dir(), &["config", "ssh.variant", "simple"]);
    let url = format!("ssh://example.org{}", place.url());
    let tip = place.commit("by-ssh", "1");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let fetched = fetch(&store, &url, &["refs/heads/main".into()], &Progress::silent()).unwrap();
    assert_eq!(fetched["refs/heads/main"], tip);
    let next = place.local_commit("next", "1");
    assert_eq!(pushed(&store, &url, &[to("refs/heads/main", Some(tip), Some(next))]), [Outcome::Accepted]);
    assert_eq!(place.id(&place.path("origin.git"), "main"), next);
    let away = format!("ssh://away.example.org{}", place.url());
    assert_eq!(advertised(&store, &away).unwrap_err().kind, Kind::External);
}

#[test]
fn the_git_program_goes_where_it_is_asked_to() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let store = place.clone();
    let main = place.id(&origin, "main");
    place.git_in(store.dir(), &["config", "gt.transport", "git"]);
    let store = Store::open(store.dir()).unwrap();
    let before = place.refs(store.dir());
    assert_eq!(advertised(&store, &place.url()).unwrap()["refs/heads/main"], main);
    let tip = place.commit("by-program", "1");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let fetched = fetch(&store, &place.url(), &["refs/heads/main".into()], &Progress::silent()).unwrap();
    assert_eq!(fetched["refs/heads/main"], tip);
    assert_eq!(place.refs(store.dir()), before);
    assert!(!store.dir().join("FETCH_HEAD").exists());
    let next = place.local_commit("next", "1");
    let updates = [to("refs/heads/main", Some(tip), Some(next)), to("refs/gt/ledger", None, Some(next))];
    assert_eq!(pushed(&store, &place.url(), &updates), [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(place.id(&origin, "refs/gt/ledger"), next);
    assert_eq!(pushed(&store, &place.url(), &[to("refs/gt/ledger", Some(next), None)]), [Outcome::Accepted]);
    let stale = pushed(&store, &place.url(), &[to("refs/heads/main", Some(tip), Some(main))]);
    assert!(rejected(&stale[0]).contains("moved"));
    place.git_in(&origin, &["config", "receive.denyDeletes", "true"]);
    let denied = pushed(&store, &place.url(), &[to("refs/heads/main", Some(next), None)]);
    assert!(rejected(&denied[0]).starts_with("deletion prohibited (the remote says: "), "{denied:?}");
    let gone = place.path("gone.git");
    let error = fetch(&store, gone.to_str().unwrap(), &["refs/gt/ledger".into()], &Progress::silent()).unwrap_err();
    assert_eq!(error.kind, Kind::External);
}

#[test]
fn a_push_creates_moves_and_deletes() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    place.git_in(&origin, &["config", "receive.fsckObjects", "true"]);
    let store = place.clone();
    let main = place.id(&origin, "main");
    let first = place.local_commit("dir1/sub/file.txt", "pushed\n");
    let ledger = "refs/gt/ledger";
    let updates = [to("refs/heads/main", Some(main), Some(first)), to(ledger, None, Some(first))];
    for url in [place.url(), format!("file://{}", place.url())] {
        assert_eq!(pushed(&store, &url, &updates), [Outcome::Accepted, Outcome::Accepted]);
        assert_eq!(place.id(&origin, "main"), first);
        assert_eq!(place.id(&origin, ledger), first);
    }
    // Existing objects only, then many commits, then a deletion beside a creation.
    assert_eq!(pushed(&store, &place.url(), &[to("refs/heads/copy", None, Some(main))]), [Outcome::Accepted]);
    for n in 0..60 {
        place.commit(&format!("dir2/many{n}"), &format!("{n}"));
        place.commit("dir1/sub/file.txt", &["again\n", "and again\n"][n % 2].repeat(40));
    }
    let last = place.local_commit("end", "end");
    let updates = [to("refs/heads/main", Some(first), Some(last)), to("refs/heads/copy", Some(main), None)];
    assert_eq!(pushed(&store, &place.url(), &updates), [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(place.id(&origin, "main"), last);
    assert!(!place.try_git(&origin, &["rev-parse", "--verify", "-q", "refs/heads/copy"]).0);
    place.fsck(&origin);
    place.fsck(store.dir());
    assert_eq!(pushed(&store, &place.url(), &[to(ledger, Some(first), None)]), [Outcome::Accepted]);
}

#[test]
fn what_was_changed_and_then_restored_is_sent_whole() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let store = place.clone();
    place.commit("back/and/forth", "one\n");
    place.commit("back/stays", "all the while\n");
    place.commit("back/and/forth", "two\n");
    let last = place.local_commit("back/and/forth", "one\n");
    assert_eq!(pushed(&store, &place.url(), &[to("refs/gt/ledger", None, Some(last))]), [Outcome::Accepted]);
    assert_eq!(place.id(&origin, "refs/gt/ledger"), last);
    place.fsck(&origin);
}

#[test]
fn a_push_onto_a_moved_ref_sends_nothing() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let store = place.clone();
    let old = place.id(&origin, "main");
    let theirs = place.commit("theirs", "1");
    place.work(&["push", "-q", "../origin.git", "main"]);
    place.work(&["reset", "-q", "--hard", &old.to_string()]);
    let ours = place.local_commit("ours", "1");
    let updates = [to("refs/heads/main", Some(old), Some(ours)), to("refs/gt/ledger", None, Some(ours))];
    let outcomes = pushed(&store, &place.url(), &updates);
    assert!(rejected(&outcomes[0]).contains("moved"), "{outcomes:?}");
    assert!(rejected(&outcomes[1]).contains("not sent"), "{outcomes:?}");
    assert_eq!(place.id(&origin, "main"), theirs);
    assert!(!place.try_git(&origin, &["cat-file", "-e", &ours.to_string()]).0, "no object was sent");
}

#[test]
fn a_hook_that_declines_one_ref_stops_all_and_says_why() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let hook = origin.join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\ncase $1 in refs/heads/no*) printf 'not \\033[31mthat one\\n' >&2; exit 1;; esac\n")
        .unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = place.clone();
    let id = place.local_commit("x", "x");
    let outcomes = pushed(&store, &place.url(), &[to("refs/heads/yes", None, Some(id)), to("refs/heads/no", None, Some(id))]);
    assert!(rejected(&outcomes[0]).contains("atomic"), "{outcomes:?}");
    let why = rejected(&outcomes[1]);
    assert!(why.contains("hook declined") && why.contains("that one") && !why.contains('\x1b') && !why.contains('\n'), "{why}");
    assert!(!place.try_git(&origin, &["rev-parse", "--verify", "-q", "refs/heads/yes"]).0);
    assert_eq!(pushed(&store, &place.url(), &[to("refs/heads/yes", None, Some(id))]), [Outcome::Accepted]);
}

#[test]
fn a_damaged_local_ref_never_deletes_a_remote_one() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let store = place.clone();
    let main = place.id(&origin, "main");
    std::fs::write(store.dir().join("refs/heads/main"), "").unwrap();
    std::fs::create_dir_all(store.dir().join("refs/gt")).unwrap();
    std::fs::write(store.dir().join("refs/gt/ledger"), "garbage\n").unwrap();
    let names = ["refs/heads/main".to_owned()];
    assert_eq!(fetch(&store, &place.url(), &names, &Progress::silent()).unwrap()["refs/heads/main"], main);
    let updates = [to("refs/heads/side", None, Some(main)), to("refs/heads/main", Some(main), Some(main))];
    assert_eq!(pushed(&store, &place.url(), &updates), [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(place.id(&origin, "main"), main);
    assert_eq!(store.read_ref("refs/heads/main").unwrap_err().kind, Kind::Corrupt, "the damage is named, not pushed");
    // An id that is not here is damage too, and nothing is sent.
    let absent = ObjectId::from([7; 20]);
    let silent = Progress::silent();
    let error = push(&store, &place.url(), &[to("refs/heads/main", Some(main), Some(absent))], &silent).unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt);
    assert_eq!(place.id(&origin, "main"), main);
    place.fsck(&origin);
}

#[test]
fn a_missing_hub_is_one_clear_error() {
    let place = Place::with_history();
    let store = place.clone();
    let gone = place.path("gone.git").to_str().unwrap().to_owned();
    let silent = Progress::silent();
    let main = store.read_ref("refs/heads/main").unwrap();
    for error in [
        fetch(&store, &gone, &["refs/gt/ledger".into()], &silent).unwrap_err(),
        advertised(&store, &gone).unwrap_err(),
        push(&store, &gone, &[to("refs/gt/ledger", None, main)], &silent).unwrap_err(),
    ] {
        assert_eq!(error.kind, Kind::External);
        assert!(error.message.contains("gone.git"), "{}", error.message);
    }
}

#[test]
fn a_deletion_and_a_flood_of_refs_at_the_hub_change_nothing_here() {
    let place = Place::with_history();
    let origin = place.path("origin.git");
    let store = place.clone();
    let before = place.refs(store.dir());
    place.git_in(&origin, &["update-ref", "-d", "refs/heads/main"]);
    let fetched = fetch(&store, &place.url(), &["refs/heads/main".into()], &Progress::silent()).unwrap();
    assert!(fetched.is_empty());
    assert_eq!(place.refs(store.dir()), before);
}

#[test]
fn progress_is_told_in_lines() {
    let place = Place::new();
    for n in 0..300 {
        std::fs::write(place.path("work").join(format!("f{n}")), format!("{n}")).unwrap();
    }
    place.commit("last", "x");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = lines.clone();
    let progress = Progress::to(move |line| sink.lock().unwrap().push(line.to_owned()));
    clone_bare(&place.url(), &place.path("rig.git"), None, &progress).unwrap();
    let lines = lines.lock().unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
}

#[test]
fn two_of_our_own_repositories_talk_to_each_other() {
    let place = Place::with_history();
    let hub = place.path("hub.git");
    init_bare(&hub, "main").unwrap();
    let store = place.clone();
    let main = store.read_ref("refs/heads/main").unwrap();
    let hub_url = hub.to_str().unwrap();
    assert_eq!(pushed(&store, hub_url, &[to("refs/gt/ledger", None, main)]), [Outcome::Accepted]);
    let other = place.path("other.git");
    init_bare(&other, "main").unwrap();
    let other = Store::open(&other).unwrap();
    let fetched = fetch(&other, hub_url, &["refs/gt/ledger".into()], &Progress::silent()).unwrap();
    assert_eq!(fetched.get("refs/gt/ledger").copied(), main);
    place.fsck(&hub);
    place.fsck(other.dir());
}
