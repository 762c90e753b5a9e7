//! The rules of a hub, held against a plain `git push`.

use std::path::{Path, PathBuf};

use crate::town::{Outcome, Town};

struct Place {
    town: Town,
    hub: PathBuf,
    /// A clone that pushes with git alone.
    work: PathBuf,
}

impl Place {
    fn new() -> Self {
        let town = Town::new();
        let hub = town.base().join("hub.git");
        town.gt_args(&["hub", "init", hub.to_str().unwrap()]).succeeds();
        town.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
        town.gt_args(&["bead", "create", "First"]).succeeds();
        town.gt("sync").succeeds();
        let work = town.base().join("work.git");
        town.git(&town.base(), &["init", "-q", "--bare", work.to_str().unwrap()]);
        town.git(&work, &["fetch", "-q", hub.to_str().unwrap(), "+refs/gt/*:refs/gt/*"]);
        Self { town, hub, work }
    }

    fn push(&self, specs: &[&str]) -> Outcome {
        let mut command = self.town.command("git", &self.work);
        let hub = self.hub.display().to_string();
        let output = command.args(["push", "-q", &hub]).args(specs).output().unwrap();
        Outcome::of(format!("git push {}", specs.join(" ")), output)
    }

    /// It is refused, for a reason in one line, and nothing has moved.
    #[track_caller]
    fn refuses(&self, specs: &[&str], why: &str) {
        let before = self.refs();
        let outcome = self.push(specs);
        let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("gt hub:")).collect();
        assert!(outcome.code != 0 && said.len() == 1 && said[0].contains(why), "{specs:?}: {}", outcome.stderr);
        assert_eq!(self.refs(), before);
    }

    fn refs(&self) -> String {
        self.town.git(&self.hub, &["for-each-ref"])
    }

    fn git(&self, args: &[&str]) -> String {
        self.town.git(&self.work, args)
    }

    fn commit(&self, tree: &str, parents: &[&str], message: &str) -> String {
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        self.git(&["commit-tree", tree].into_iter().chain(parents).chain(["-m", message]).collect::<Vec<_>>())
    }

    fn clock(&self, commit: &str) -> u64 {
        self.git(&["log", "-1", "--format=%(trailers:key=Gt-Rev,valueonly)", commit]).trim().parse().unwrap()
    }

    /// The tree of `commit` with `ledger.json` holding `scope`.
    fn tree_with(&self, commit: &str, scope: &str) -> String {
        std::fs::write(self.work.join("scope"), scope).unwrap();
        let blob = self.git(&["hash-object", "-w", "scope"]);
        let script = format!("git ls-tree {commit} | sed 's/blob [0-9a-f]*\tledger.json/blob {blob}\tledger.json/' | git mktree");
        let output = self.town.command("sh", &self.work).args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[test]
fn a_ledger_only_goes_forward_and_is_never_deleted() {
    let hub = Place::new();
    let tip = hub.git(&["rev-parse", "refs/gt/ledger"]);
    hub.refuses(&[&format!("+{tip}~1:refs/gt/ledger")], "may only go forward");
    hub.refuses(&[":refs/gt/ledger"], "cannot be deleted");
    hub.refuses(&["refs/gt/ledger:refs/gt/other"], "not a name that gt uses");
    hub.refuses(&["refs/gt/ledger:refs/GT/ledger"], "not a name that gt uses");
    let empty = hub.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let stranger = hub.commit(&empty, &[&tip], "nothing left\n\nGt-Rev: 99");
    hub.refuses(&[&format!("{stranger}:refs/gt/ledger")], "with a ledger.json");
    let clock = hub.clock(&tip);
    let same = format!("{tip}^{{tree}}");
    for bad in [clock, clock + 2, 1 << 50] {
        let poisoned = hub.commit(&same, &[&tip], &format!("next\n\nGt-Rev: {bad}"));
        hub.refuses(&[&format!("{poisoned}:refs/gt/ledger")], "is not lawful");
    }
    for (first, second) in [(clock + 1, 1 << 40), (1 << 40, clock + 1), (clock + 1, clock + 1)] {
        let doubled = hub.commit(&same, &[&tip], &format!("next\n\nGt-Rev: {first}\nGt-Rev: {second}"));
        hub.refuses(&[&format!("{doubled}:refs/gt/ledger")], "is not lawful");
    }
    let in_subject = hub.commit(&same, &[&tip], &format!("Gt-Rev: {}", clock + 1));
    hub.refuses(&[&format!("{in_subject}:refs/gt/ledger")], "is not lawful");
    let replay = |ahead: u64| hub.commit(&same, &[&tip], &format!("x\n\nGt-Replays: {tip}\nGt-Rev: {}", clock + ahead));
    hub.refuses(&[&format!("{}:refs/gt/ledger", replay(2_000_000))], "is not lawful");
    let faked = format!("> {tip} {tip}\n\nno clock at all\n> {tip} {tip}");
    hub.refuses(&[&format!("{}:refs/gt/ledger", hub.commit(&same, &[&tip], &faked))], "is not lawful");
    let ahead = replay(1_000);
    hub.push(&[&format!("{ahead}:refs/gt/archive")]).succeeds();
    hub.town.git(&hub.hub, &["update-ref", "-d", "refs/gt/archive"]);
    let next = hub.commit(&same, &[&tip], &format!("next\n\nGt-Rev: {}", clock + 1));
    hub.push(&[&format!("{next}:refs/gt/ledger")]).succeeds();

    hub.push(&[&format!("{tip}:refs/gt/archive")]).succeeds();
    hub.refuses(&[":refs/gt/archive"], "cannot be deleted");
    hub.refuses(&[&format!("+{tip}~1:refs/gt/archive")], "may only go forward");
    hub.push(&[&format!("{next}:refs/gt/archive")]).succeeds();
    let other = hub.git(&["cat-file", "blob", &format!("{next}:ledger.json")]).replace("\"hq\"", "\"xy\"");
    let other = hub.commit(&hub.tree_with(&next, &other), &[&next], &format!("other\n\nGt-Rev: {}", clock + 2));
    hub.refuses(&[&format!("{other}:refs/gt/ledger")], "changes what the ledger is");
    let script = format!("git ls-tree {next} | sed 's/^100644/100755/' | git mktree");
    let output = hub.town.command("sh", &hub.work).args(["-c", &script]).output().unwrap();
    let modes = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let modes = hub.commit(&modes, &[&next], &format!("modes\n\nGt-Rev: {}", clock + 2));
    hub.refuses(&[&format!("{modes}:refs/gt/ledger")], "ledger.json is no plain file");
    let bomb = " ".repeat(17 << 20);
    let large = hub.commit(&hub.tree_with(&next, &bomb), &[&next], &format!("large\n\nGt-Rev: {}", clock + 2));
    hub.refuses(&[&format!("{large}:refs/gt/archive")], "has more than 16777216 bytes");
    // Branches are the project's own.
    for spec in [format!("{next}:refs/heads/side"), format!("+{tip}:refs/heads/side"), ":refs/heads/side".to_owned()] {
        hub.push(&[&spec]).succeeds();
    }
    hub.town.fsck();
}

#[test]
fn a_record_that_is_not_laid_out_as_gt_writes_it_is_refused() {
    let hub = Place::new();
    let tip = hub.git(&["rev-parse", "refs/gt/ledger"]);
    let clock = hub.clock(&tip);
    let good = hub.git(&["cat-file", "blob", &format!("{tip}:ledger.json")]) + "\n";
    let closed = good.trim_end().strip_suffix("\n}").unwrap();
    let with = |last: &str| format!("{closed},\n{last}\n}}\n");
    let record = |content: &str| hub.commit(&hub.tree_with(&tip, content), &[&tip], &format!("x\n\nGt-Rev: {}", clock + 1));
    let broken = [
        String::new(),
        "no JSON\n".to_owned(),
        good.trim_end().to_owned(),
        format!("{good}{good}"),
        good.replacen(',', "", 1),
        format!("{closed},\n}}\n"),
        format!("{closed}\n"),
        with("  \"zz\": [\n    1\n  }"),
        with("  \"zz\": nothing"),
        with("  \"zz\": \"a\u{1}b\""),
    ];
    for content in broken {
        hub.refuses(&[&format!("{}:refs/gt/archive", record(&content))], "ledger.json is no record that gt can read");
    }
    let whole = with("  \"zz\": [\n    1.5e3,\n    {\n      \"é \\\" \\u0001\": \"{ü: [\\\\\"\n    },\n    {},\n    null\n  ]");
    hub.push(&[&format!("{}:refs/gt/archive", record(&whole))]).succeeds();
    hub.town.fsck();
}

#[test]
fn the_repository_of_a_town_is_no_hub() {
    let town = Town::new();
    let own = town.root.join(".repo.git");
    let before = town.git(&own, &["config", "--list", "--local"]);
    let refused = town.gt_args(&["hub", "init", own.to_str().unwrap()]).fails_with(4);
    assert!(refused.stderr.contains("a town or rig itself"), "{}", refused.stderr);
    assert_eq!(town.git(&own, &["config", "--list", "--local"]), before);
}

#[test]
fn only_exactly_a_flatten_may_take_the_place_of_the_tip() {
    let hub = Place::new();
    let old = hub.git(&["rev-parse", "refs/gt/ledger"]);
    let scope = hub.git(&["cat-file", "blob", &format!("{old}:ledger.json")]);
    let clock = hub.clock(&old);
    let named = |tip: &str, epoch: u32| {
        let list = format!("\"flattened\": [\n    \"{tip}\"\n  ]");
        scope.replace("\"epoch\": 0", &format!("\"epoch\": {epoch}")).replace("\"flattened\": []", &list) + "\n"
    };
    let message = |clock: u64| format!("flatten\n\nGt-Op: flatten\nGt-Rev: {clock}");
    let parent = hub.git(&["rev-parse", &format!("{old}~1")]);
    let lawful = hub.tree_with(&old, &named(&old, 1));
    let good = hub.commit(&lawful, &[], &message(clock + 1));
    let pin = |id: &str| format!("{id}:refs/gt/flattened/1");
    let to = |id: &str| format!("+{id}:refs/gt/ledger");

    hub.refuses(&[&to(&good)], "refs/gt/flattened/1 does not hold what it replaces");
    hub.refuses(&[&to(&good), &pin(&parent)], "refs/gt/flattened/1");
    let bad_names = hub.commit(&hub.tree_with(&old, &named(&parent, 1)), &[], &message(clock + 1));
    hub.refuses(&[&to(&bad_names), &pin(&old)], "does not name what it replaces");
    let bad_epoch = hub.commit(&hub.tree_with(&old, &named(&old, 2)), &[], &message(clock + 1));
    hub.refuses(&[&to(&bad_epoch), &pin(&old)], "its epoch is not the next one");
    let bad_clock = hub.commit(&lawful, &[], &message(clock + 7));
    hub.refuses(&[&to(&bad_clock), &pin(&old)], "its clock is not the next one");
    let bad_prefix = hub.tree_with(&old, &named(&old, 1).replace("\"hq\"", "\"xy\""));
    hub.refuses(&[&to(&hub.commit(&bad_prefix, &[], &message(clock + 1))), &pin(&old)], "it changes what the ledger is");
    let others = hub.tree_with(&parent, &named(&old, 1));
    hub.refuses(&[&to(&hub.commit(&others, &[], &message(clock + 1))), &pin(&old)], "it changes records");
    let with_parent = hub.commit(&lawful, &[&parent], &message(clock + 1));
    hub.refuses(&[&to(&with_parent), &pin(&old)], "it has parents");

    hub.push(&[&pin(&old), &to(&good)]).succeeds();
    hub.refuses(&[":refs/gt/flattened/1"], "cannot be deleted");
    hub.refuses(&[&format!("+{}", pin(&good))], "is made once and stays");
    hub.refuses(&[&to(&old)], "may only go forward");
    hub.refuses(&[&format!("{parent}:refs/gt/flattened/2")], "must hold what the ledger names");
    // The town itself follows.
    hub.town.gt("sync").succeeds();
    let ours = hub.town.git(&hub.town.root.join(".repo.git"), &["rev-parse", "refs/gt/ledger"]);
    assert_eq!(ours, good);
    hub.town.fsck();
}

#[test]
fn a_pin_that_a_flatten_left_goes_along_with_the_next_one() {
    let hub = Place::new();
    let old = hub.git(&["rev-parse", "refs/gt/ledger"]);
    hub.push(&[&format!("{old}:refs/gt/flattened/1")]).succeeds();
    hub.town.gt_args(&["bead", "create", "Second"]).succeeds();
    hub.town.gt("sync").succeeds();
    let tip = hub.town.git(&hub.hub, &["rev-parse", "refs/gt/ledger"]);
    hub.refuses(&[&format!("+{old}~1:refs/gt/flattened/1")], "is made once and stays");
    hub.town.gt("flatten --town --force").succeeds();
    assert_eq!(hub.town.git(&hub.hub, &["rev-parse", "refs/gt/flattened/1"]), tip);
    hub.refuses(&[&format!("+{old}:refs/gt/flattened/1")], "is made once and stays");
}

#[test]
fn pins_of_requests_are_made_once_and_go_a_week_after_their_end() {
    let hub = Place::new();
    let tip = hub.git(&["rev-parse", "refs/gt/ledger"]);
    let id = |title: &str| hub.town.gt_args(&["bead", "q", title]).succeeds().stdout.trim().to_owned();
    // The fixture's clock stands long before or after the real one; this end is a day old by the hub's own.
    let (live, ended, lately) = (id("Live"), id("Ended"), id("Lately"));
    for bead in [&ended, &lately] {
        hub.town.gt_args(&["close", bead]).succeeds();
    }
    let day = |ago: u64| {
        let script = format!("date -u -d @$(($(date +%s) - {})) +%Y-%m-%d", ago * 86_400);
        let output = hub.town.command("sh", &hub.work).args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    hub.town.gt("sync").succeeds();
    rewrite_end(&hub, &ended, &day(9));
    rewrite_end(&hub, &lately, &day(6));
    for bead in [&live, &ended, &lately] {
        hub.push(&[&format!("{tip}:refs/gt/mr/{bead}")]).succeeds();
    }
    hub.refuses(&[&format!("+{tip}~1:refs/gt/mr/{live}")], "is made once and stays");
    hub.refuses(&[&format!(":refs/gt/mr/{live}")], "its request is live");
    hub.refuses(&[&format!(":refs/gt/mr/{lately}")], "before 7 days after");
    hub.refuses(&[&format!("{tip}:refs/gt/mr/$(id)")], "not a name that gt uses");
    hub.push(&[&format!(":refs/gt/mr/{ended}")]).succeeds();
    for spec in [format!("{tip}:refs/gt/beat/abc1"), format!("+{tip}~1:refs/gt/beat/abc1"), ":refs/gt/beat/abc1".to_owned()] {
        hub.push(&[&spec]).succeeds();
    }
    hub.refuses(&[&format!("{tip}:refs/gt/salvage/x/1")], "not a name that gt uses");
}

/// Pushes a ledger in which `bead` was closed on `day`.
fn rewrite_end(hub: &Place, bead: &str, day: &str) {
    hub.git(&["fetch", "-q", hub.hub.to_str().unwrap(), "+refs/gt/ledger:refs/gt/ledger"]);
    let clock = hub.clock("refs/gt/ledger") + 1;
    let script = format!(
        "set -e; export GIT_INDEX_FILE=index; git read-tree refs/gt/ledger
         path=$(git ls-files | grep '/{bead}.json$')
         blob=$(git cat-file blob refs/gt/ledger:$path | sed 's/\"closed_at\": \"[0-9-]*T/\"closed_at\": \"{day}T/' | git hash-object -w --stdin)
         git update-index --cacheinfo 100644,$blob,$path
         git update-ref refs/gt/ledger $(git commit-tree $(git write-tree) -p refs/gt/ledger -m rewrite -m 'Gt-Rev: {clock}')"
    );
    let output = hub.town.command("sh", &hub.work).args(["-c", &script]).output().unwrap();
    Outcome::of("rewrite".into(), output).succeeds();
    hub.push(&["refs/gt/ledger"]).succeeds();
}

#[test]
fn a_hub_is_made_taken_or_renewed_and_nobody_s_hook_is_overwritten() {
    let town = crate::town::place();
    let dir = |name: &str| town.base().join(name);
    let init = |path: &Path| town.from(town.base()).args(&["hub", "init", path.to_str().unwrap()]);
    assert!(init(&dir("new.git")).succeeds().stdout.contains("made the hub"));
    assert!(init(&dir("new.git")).succeeds().stdout.contains("newest rules"));
    // Its keeper collects it with git alone.
    town.git(&dir("new.git"), &["repack", "-adq"]);
    std::fs::write(dir("new.git/hooks/pre-receive"), "#!/bin/sh\n# gt hub rules, version 0.\n").unwrap();
    assert!(init(&dir("new.git")).succeeds().stdout.contains("newest rules"));
    assert!(std::fs::read_to_string(dir("new.git/hooks/pre-receive")).unwrap().contains("refs/gt/archive"));

    town.git(&town.base(), &["init", "-q", "--bare", "--shared", "taken.git"]);
    let refused = "#!/bin/sh\nexit 0\n";
    std::fs::create_dir_all(dir("taken.git/hooks")).unwrap();
    std::fs::write(dir("taken.git/hooks/pre-receive"), refused).unwrap();
    let said = init(&dir("taken.git")).fails_with(4);
    assert!(said.stderr.contains("pre-receive.local"), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(dir("taken.git/hooks/pre-receive")).unwrap(), refused);
    std::fs::rename(dir("taken.git/hooks/pre-receive"), dir("taken.git/hooks/pre-receive.local")).unwrap();
    assert!(init(&dir("taken.git")).succeeds().stdout.contains("is a hub now"));
    for (key, value) in [("receive.autogc", "false"), ("gc.auto", "0"), ("core.fsync", "all"), ("receive.fsckObjects", "true")] {
        assert_eq!(town.git(&dir("taken.git"), &["config", key]), value);
    }
    // --shared refuses rewritten branches; so it stays.
    let work = town.project("project");
    let push = |spec: &str| {
        let mut command = town.command("git", &work);
        Outcome::of(spec.into(), command.args(["push", "-q", dir("taken.git").to_str().unwrap(), spec]).output().unwrap())
    };
    push("main:main").succeeds();
    assert!(push("+main~1:main").stderr.contains("non-fast-forward"));
    std::fs::write(dir("taken.git/hooks/pre-receive.local"), "#!/bin/sh\nread old new name\necho \"no $name\" >&2\nexit 1\n")
        .unwrap();
    std::fs::set_permissions(dir("taken.git/hooks/pre-receive.local"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    assert!(push("main:other").stderr.contains("no refs/heads/other"));

    town.git(&town.base(), &["init", "-q", "checkout"]);
    init(&dir("checkout")).fails_with(4);
    init(&dir("plans")).succeeds();
    std::fs::write(dir("tmp/file"), "x").unwrap();
    init(&dir("tmp")).fails_with(4);
}
