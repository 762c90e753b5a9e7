//! Long histories replaced by one commit: nobody loses anything, also who was away and wrote on.

use std::path::{Path, PathBuf};

use gastown::error::Kind;
use gastown::git::progress::Progress;
use gastown::ledger::sync::{Options, Sent, send_root};
use gastown::ledger::{Deed, Ledger, flatten, tree};
use proptest::prelude::*;
use serde_json::Value;

use crate::merge::world::{actor, git};
use crate::race::all_at_once;
use crate::sync::{Machines, now};
use crate::town::{Outcome, Town};

/// Steps inside a flatten.
pub const FLATTEN: &[&str] = &["flatten.made", "flatten.sent", "flatten.kept"];

/// Two machines of a town, and the hub where its ledgers meet.
struct Pair {
    one: Town,
    two: Town,
    hub: PathBuf,
}

impl Pair {
    fn new(has_rules: bool) -> Self {
        Self::over(has_rules, "gix")
    }

    /// The same, with all transport by the git program when `transport` is `git`.
    fn over(has_rules: bool, transport: &str) -> Self {
        let one = Town::new();
        one.git(&one.root.join(".repo.git"), &["config", "gt.transport", transport]);
        let hub = one.base().join("hub.git");
        if has_rules {
            one.gt_args(&["hub", "init", hub.to_str().unwrap()]).succeeds();
            one.git(&hub, &["config", "core.fsync", "none"]);
        } else {
            one.git(&one.base(), &["init", "-q", "--bare", hub.to_str().unwrap()]);
        }
        one.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
        one.gt("sync").succeeds();
        let two = one.joined("two", &hub);
        two.git(&two.root.join(".repo.git"), &["config", "gt.transport", transport]);
        one.gt("sync").succeeds();
        Self { one, two, hub }
    }

    fn equal(&self) {
        for town in [&self.one, &self.two, &self.one] {
            town.gt("sync").succeeds();
        }
        let tips = [self.one.root.join(".repo.git"), self.two.root.join(".repo.git"), self.hub.clone()];
        let tips = tips.map(|repo| tip(&self.one, &repo));
        assert!(tips[0] == tips[1] && tips[1] == tips[2], "{tips:?}");
    }
}

fn repo(town: &Town) -> PathBuf {
    town.root.join(".repo.git")
}

fn tip(town: &Town, repo: &Path) -> String {
    town.git(repo, &["rev-parse", "refs/gt/ledger"])
}

fn count(town: &Town, repo: &Path, name: &str) -> usize {
    town.git(repo, &["rev-list", "--count", name]).parse().unwrap()
}

fn bead(town: &Town, title: &str) -> String {
    town.gt_args(&["bead", "q", title]).succeeds().stdout.trim().to_owned()
}

fn titles(town: &Town) -> Vec<String> {
    let listed = town.gt("--json list --all -n 0").json();
    let all = listed.as_array().unwrap().iter().map(|bead| bead["title"].as_str().unwrap().to_owned());
    let mut titles: Vec<String> = all.filter(|title| title.starts_with("Work")).collect();
    titles.sort();
    titles
}

/// The subjects of all events that the log tells.
fn log(town: &Town) -> Vec<String> {
    let told = town.gt("--json log --town -n 0").json();
    told.as_array().unwrap().iter().map(|event| event["subject"].as_str().unwrap().to_owned()).collect()
}

fn flatten_town(town: &Town) -> Outcome {
    town.gt("flatten --town --force")
}

#[test]
fn a_flattened_history_is_one_commit_everywhere_and_its_log_goes_on() {
    for (has_rules, transport) in [(true, "gix"), (false, "gix"), (true, "git")] {
        let pair = Pair::over(has_rules, transport);
        let first = bead(&pair.one, "Work 1");
        bead(&pair.two, "Work 2");
        pair.equal();
        let (old, events) = (tip(&pair.one, &pair.hub), log(&pair.one));
        let told = flatten_town(&pair.one).succeeds().stdout;
        assert!(told.contains("commits replaced by one") && told.contains("refs/gt/flattened/1"), "{told}");
        assert_eq!(count(&pair.one, &pair.hub, "refs/gt/ledger"), 1);
        assert_eq!(pair.one.git(&pair.hub, &["rev-parse", "refs/gt/flattened/1"]), old);
        let changed = ["diff-tree", "-r", "--name-only", old.as_str(), "refs/gt/ledger"];
        assert_eq!(pair.one.git(&pair.hub, &changed), "ledger.json");
        assert_eq!(tip(&pair.one, &repo(&pair.one)), tip(&pair.one, &pair.hub));

        // Whoever had nothing of his own follows; nothing is sent, and the log of both is whole.
        let told = pair.two.gt("sync").succeeds().stdout;
        assert!(told.contains("history flattened") && !told.contains("sent") && !told.contains("carried over"), "{told}");
        pair.equal();
        assert_eq!(pair.two.show(&first), pair.one.show(&first));
        for town in [&pair.one, &pair.two] {
            assert_eq!(log(town).len(), events.len() + 1);
            assert_eq!(log(town)[0], "flatten the history of town");
        }
        // Who joins now has no need of the old history; his log says where it is.
        let three = pair.one.joined("three", &pair.hub);
        assert_eq!(titles(&three), ["Work 1", "Work 2"]);
        assert_eq!(log(&three).last().unwrap(), "flatten the history of town");
        let pin = "refs/gt/flattened/1:refs/gt/flattened/1";
        three.git(&repo(&three), &["fetch", "-q", pair.hub.to_str().unwrap(), pin]);
        assert!(log(&three).len() > events.len(), "the log does not go on into what was fetched");
        bead(&three, "Work 3");
        three.gt("sync").succeeds();
        pair.equal();
        assert_eq!(titles(&pair.one), ["Work 1", "Work 2", "Work 3"]);
        pair.one.fsck();
    }
}

#[test]
fn work_on_the_old_history_is_carried_over_and_nothing_of_it_is_lost() {
    let pair = Pair::new(true);
    let shared = bead(&pair.one, "Work 1");
    pair.equal();
    bead(&pair.two, "Work 2");
    pair.two.gt_args(&["update", &shared, "--priority", "0"]).succeeds();
    bead(&pair.one, "Work 3");
    let of_two = tip(&pair.two, &repo(&pair.two));
    flatten_town(&pair.one).succeeds();
    bead(&pair.one, "Work 4");
    let events = log(&pair.two);
    // Told beforehand, and then nothing moves; whoever only sends must first take over.
    let refs = [repo(&pair.two), pair.hub.clone()].map(|dir| pair.two.git(&dir, &["for-each-ref"]));
    assert!(pair.two.gt("sync --dry-run").succeeds().stdout.contains("history flattened, work of the old history carried over"));
    pair.two.gt("sync --push-only").ends_with(5);
    assert_eq!(refs, [repo(&pair.two), pair.hub.clone()].map(|dir| pair.two.git(&dir, &["for-each-ref"])));
    let told = pair.two.gt("sync").succeeds().stdout;
    assert!(told.contains("work of the old history carried over"), "{told}");
    pair.equal();
    for town in [&pair.one, &pair.two] {
        assert_eq!(titles(town), ["Work 1", "Work 2", "Work 3", "Work 4"]);
        assert_eq!(town.show(&shared)["priority"], 0);
    }
    // What it was is kept where it was written, and the log there still tells every step.
    let backups = pair.two.git(&repo(&pair.two), &["for-each-ref", "--format=%(objectname)", "refs/gt/backup"]);
    pair.two.git(&repo(&pair.two), &["merge-base", "--is-ancestor", &of_two, &backups]);
    let now = log(&pair.two);
    assert!(events.iter().all(|event| now.contains(event)), "{events:?}\n{now:?}");
    let of_bead = pair.one.gt_args(&["--json", "log", "--bead", &shared, "-n", "0"]).json();
    assert!(of_bead.as_array().unwrap().iter().any(|event| event["op"] == "replay"), "{of_bead}");
    pair.one.fsck();
}

#[test]
fn a_bead_that_was_archived_and_flattened_away_comes_back_with_what_another_wrote_on_it() {
    let pair = crate::machines::Pair::new();
    // The project's own repository is the hub of the rig's ledger.
    pair.one.gt_args(&["hub", "init", pair.rig.origin.to_str().unwrap()]).succeeds();
    let (edited, quiet) = (pair.bead("Edited"), pair.bead("Quiet"));
    pair.one.gt_args(&["close", &edited, &quiet]).succeeds();
    pair.settle();
    // Meanwhile the home has it decay, and flattens; the other has it reopened, before it knows.
    let later = pair.one.here().var("GT_NOW", "2026-03-01T00:00:00Z").gt("--json maintain --rig widgets").json();
    assert_eq!(later[0]["decayed"]["archived"], 2, "{later}");
    pair.two.gt_args(&["bead", "reopen", &edited]).succeeds();
    pair.two.gt_args(&["update", &edited, "--title", "Edited again"]).succeeds();
    pair.one.gt("flatten --rig widgets --force").succeeds();
    pair.two.gt("flatten --rig widgets --force").fails_with(4);
    pair.settle();
    for town in [&pair.one, &pair.two] {
        assert_eq!((town.status(&edited), town.status(&quiet)), ("open".into(), "closed".into()));
        assert_eq!(town.show(&edited)["title"], "Edited again");
        assert_eq!(town.show(&quiet)["archived"], true);
        let listed = town.gt("list --rig widgets --all -n 0").succeeds().stdout;
        assert_eq!((listed.matches("Edited").count(), listed.matches("Quiet").count()), (1, 1), "{listed}");
        town.gt("reindex --check").succeeds();
    }
    // The queue's home goes on as before.
    let work = pair.bead("Work after it");
    assert_eq!(pair.two.status(&work), "open");
    pair.one.fsck();
}

#[test]
fn writers_beside_a_flatten_lose_nothing() {
    let pair = Pair::new(true);
    bead(&pair.one, "Work");
    let write = |town: &Town, n: usize| town.here().command(&["bead", "q", &format!("Work {n:02}")]);
    let mut commands: Vec<_> = (0..6).map(|n| write(&pair.one, n)).chain((6..12).map(|n| write(&pair.two, n))).collect();
    commands.insert(3, pair.one.here().command(&["flatten", "--town", "--force"]));
    commands.insert(8, pair.two.here().command(&["sync"]));
    commands.push(pair.one.here().command(&["sync"]));
    for outcome in all_at_once(commands) {
        // Where everybody was faster each time, that is told and nothing has changed.
        assert!([0, 5].contains(&outcome.code), "{}: {}{}", outcome.line, outcome.stdout, outcome.stderr);
        assert!(outcome.code == 0 || !outcome.line.contains("bead"), "{}", outcome.stderr);
    }
    pair.equal();
    assert_eq!((titles(&pair.one).len(), titles(&pair.two).len()), (13, 13));
    pair.one.fsck();
}

#[test]
fn who_was_away_for_two_flattens_comes_back_with_his_work() {
    for has_work in [true, false] {
        let pair = Pair::new(true);
        bead(&pair.one, "Work 1");
        pair.equal();
        if has_work {
            bead(&pair.two, "Work 2");
        }
        for n in [3, 4] {
            bead(&pair.one, &format!("Work {n}"));
            flatten_town(&pair.one).succeeds();
        }
        bead(&pair.one, "Work 5");
        pair.one.gt("sync").succeeds();
        pair.two.gt("sync").succeeds();
        pair.equal();
        let expected = if has_work { 5 } else { 4 };
        assert_eq!((titles(&pair.one).len(), titles(&pair.two).len()), (expected, expected));
        assert_eq!(pair.two.git(&repo(&pair.two), &["for-each-ref", "refs/gt/flattened"]).lines().count(), 2);
        pair.one.fsck();
    }
}

#[test]
fn two_machines_in_one_state_replay_into_one_commit() {
    let pair = Pair::new(true);
    let three = pair.one.joined("three", &pair.hub);
    for town in [&pair.one, &pair.two] {
        town.gt("sync").succeeds();
    }
    bead(&pair.two, "Work 1");
    // The third gets the second's ledger by another way.
    three.git(&repo(&three), &["fetch", "-q", repo(&pair.two).to_str().unwrap(), "+refs/gt/ledger:refs/gt/ledger"]);
    bead(&pair.one, "Work 2");
    flatten_town(&pair.one).succeeds();
    let tips = [&pair.two, &three].map(|town| {
        town.gt("sync --fetch-only").succeeds();
        tip(town, &repo(town))
    });
    assert_eq!(tips[0], tips[1]);
    for town in [&pair.two, &three, &pair.one] {
        town.gt("sync").succeeds();
    }
    assert_eq!(tip(&three, &pair.hub), tips[0]);
    assert_eq!(titles(&pair.one), ["Work 1", "Work 2"]);
}

#[test]
fn a_flatten_between_the_look_at_a_hub_and_the_fetch_from_it_is_followed() {
    let pair = Pair::new(false);
    bead(&pair.one, "Work 1");
    pair.equal();
    bead(&pair.two, "Work 2");
    bead(&pair.one, "Work 3");
    pair.one.gt("sync").succeeds();
    let replaced = tip(&pair.one, &pair.hub);
    flatten_town(&pair.one).succeeds();
    let root = tip(&pair.one, &pair.hub);
    let set = |name: &str, to: &str| format!("git --git-dir={} update-ref {name} {to}\n", pair.hub.display());
    let run = |script: &str| assert!(pair.one.command("sh", &pair.hub).args(["-c", script]).status().unwrap().success());
    run(&format!("{}git --git-dir={} update-ref -d refs/gt/flattened/1", set("refs/gt/ledger", &replaced), pair.hub.display()));
    // The server of the second call sees the hub as the flatten left it.
    let bin = pair.one.base().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let moves = format!("{}{}", set("refs/gt/flattened/1", &replaced), set("refs/gt/ledger", &root));
    let count = bin.join("count").display().to_string();
    let own = std::env::var("PATH").unwrap();
    let text = format!(
        "#!/bin/sh\nPATH='{own}'\ncase \" $* \" in *' upload-pack '*)\necho x >> {count}\n\
         if [ $(wc -l < {count}) = 2 ]; then\n{moves}fi >&2 ;;\nesac\nexec git \"$@\"\n"
    );
    let server = bin.join("git");
    std::fs::write(&server, text).unwrap();
    std::fs::set_permissions(&server, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{own}", bin.display());
    pair.two.here().var("PATH", &path).gt("sync").succeeds();
    assert!(std::fs::read_to_string(&count).unwrap().lines().count() > 1, "the server stood in between");
    pair.equal();
    assert_eq!(titles(&pair.one), ["Work 1", "Work 2", "Work 3"]);
    assert_eq!(pair.one.git(&pair.hub, &["rev-parse", "refs/gt/flattened/1"]), replaced);
    pair.one.fsck();
}

#[test]
fn what_is_not_to_be_flattened_stays_as_it_is() {
    let pair = Pair::new(true);
    bead(&pair.one, "Work 1");
    pair.equal();
    let before = pair.one.git(&pair.hub, &["for-each-ref"]);
    let refused = pair.two.gt("flatten --town --force").fails_with(4);
    assert!(refused.stderr.contains("the home of town is machine"), "{}", refused.stderr);
    assert!(pair.two.gt("flatten --force").succeeds().stdout.contains("flatten it there"));
    assert!(pair.one.gt("flatten").succeeds().stdout.contains("too little to gain"));
    assert!(pair.one.gt("flatten --dry-run --force").succeeds().stdout.contains("would be replaced"));
    assert_eq!(pair.one.git(&pair.hub, &["for-each-ref"]), before);
    flatten_town(&pair.one).succeeds();
    assert!(flatten_town(&pair.one).succeeds().stdout.contains("too little to gain"), "one commit cannot be flattened");
    // Away from the hub nothing is flattened, and nothing apart from machines that take part.
    bead(&pair.one, "Work 2");
    let hook = pair.hub.join("hooks/pre-receive.local");
    std::fs::write(&hook, "#!/bin/sh\n! grep -q flattened || { echo 'not here' >&2; exit 1; }\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused = flatten_town(&pair.one).ends_with(6).stdout;
    assert!(refused.contains("refuses the flatten") && refused.contains("not here"), "{refused}");
    let ours = tip(&pair.one, &pair.hub);
    assert_eq!(tip(&pair.one, &repo(&pair.one)), ours);
    let elsewhere = pair.one.base().join("elsewhere.git");
    std::fs::rename(&pair.hub, &elsewhere).unwrap();
    flatten_town(&pair.one).ends_with(6);
    std::fs::rename(&elsewhere, &pair.hub).unwrap();
    pair.one.gt("remote remove origin").succeeds();
    flatten_town(&pair.one).ends_with(4);
    assert_eq!(tip(&pair.one, &repo(&pair.one)), ours);
}

#[test]
fn a_ledger_that_goes_nowhere_is_flattened_and_a_kill_leaves_the_old_or_the_new() {
    let town = Town::new();
    for step in ["flatten.made", "flatten.kept", "store.staged", "store.ref.locked"] {
        for time in 1..=20 {
            bead(&town, "Work");
            let (before, events) = (titles(&town), log(&town).len());
            let outcome = town.here().var("GT_CRASH_AT", &format!("{step}:{time}")).gt("flatten --town --force");
            assert!(outcome.code == -1 || time > 1, "{step} is never reached: {}", outcome.stdout);
            let length = count(&town, &repo(&town), "refs/gt/ledger");
            assert_eq!(length == 1, outcome.code == 0, "{step}:{time}");
            assert_eq!(titles(&town), before);
            assert!(log(&town).len() >= events);
            if outcome.code != -1 {
                break;
            }
        }
        flatten_town(&town).succeeds();
    }
    // Each pin is at what was really replaced, wherever the kill was; so the log needs no backups, which do not last.
    let scope: Value = serde_json::from_str(&town.git(&repo(&town), &["show", "refs/gt/ledger:ledger.json"])).unwrap();
    let replaced = scope["flattened"].as_array().unwrap();
    for (n, tip) in replaced.iter().enumerate() {
        assert_eq!(town.git(&repo(&town), &["rev-parse", &tree::flattened(n + 1)]), tip.as_str().unwrap(), "flatten {}", n + 1);
    }
    let whole = log(&town);
    let kept = town.git(&repo(&town), &["for-each-ref", "refs/gt/backup"]).lines().count();
    assert!((1..=flatten::BACKUPS_MAX).contains(&kept), "{kept}");
    for name in town.git(&repo(&town), &["for-each-ref", "--format=%(refname)", "refs/gt/backup"]).lines() {
        town.git(&repo(&town), &["update-ref", "-d", name]);
    }
    town.git(&repo(&town), &["-c", "extensions.preciousObjects=false", "reflog", "expire", "--expire=now", "--all"]);
    town.gt("maintain --full --town").succeeds();
    assert_eq!(log(&town), whole);
    town.fsck();
}

#[test]
fn a_flatten_of_all_goes_on_where_the_home_of_one_cannot_be_told() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["bead", "q", "Work", "--rig", &rig.name]).succeeds();
    let ledger = Ledger::open(&repo(&town), "looker").unwrap();
    let actor = actor();
    let deed = Deed { actor: &actor, op: "test", subject: "damage".into(), now: now() };
    let damage = |change: &mut gastown::ledger::Change<'_>| {
        let mut scope = change.before().object(tree::SCOPE)?.unwrap();
        scope.remove("home");
        change.put_object(tree::SCOPE, scope)?;
        change.put(&tree::machine("0damaged"), &serde_json::json!({"v": 1, "id": 7}))
    };
    ledger.transact(&deed, damage).unwrap();
    let told = town.gt("--json flatten --force").ends_with(70);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let outcomes: Vec<&str> = report.as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "flattened"], "{report}");
}

#[test]
fn a_flatten_or_a_crossing_that_is_killed_is_finished_by_the_next_sync() {
    let pair = Pair::new(true);
    let number = std::cell::Cell::new(0);
    let prepare = || {
        for town in [&pair.one, &pair.two] {
            number.set(number.get() + 1);
            bead(town, &format!("Work {:03}", number.get()));
        }
    };
    let check = |place: &str| {
        pair.equal();
        assert_eq!((titles(&pair.one).len(), titles(&pair.two).len()), (number.get(), number.get()), "{place}");
    };
    let kills = |home: &[&'static str], times: &[u32]| -> Vec<(&'static str, u32)> {
        home.iter().flat_map(|step| times.iter().map(|time| (*step, *time))).collect()
    };
    let of_home = [kills(FLATTEN, &[1]), kills(&["store.ref.locked"], &[1, 2, 4]), kills(&["sync.merged"], &[1])].concat();
    let of_other =
        [kills(&["flatten.kept", "sync.merged", "store.staged"], &[1]), kills(&["store.ref.locked"], &[1, 2, 3])].concat();
    for (is_home, (step, time)) in
        of_home.into_iter().map(|kill| (true, kill)).chain(of_other.into_iter().map(|kill| (false, kill)))
    {
        prepare();
        let at = format!("{step}:{time}");
        let outcome = if is_home {
            pair.one.here().var("GT_CRASH_AT", &at).gt("flatten --town --force")
        } else {
            flatten_town(&pair.one).succeeds();
            pair.two.here().var("GT_CRASH_AT", &at).gt("sync")
        };
        assert_eq!(outcome.code, -1, "{at} is never reached: {}", outcome.stdout);
        check(&at);
    }
    pair.one.fsck();
}

#[test]
fn a_hub_that_went_back_is_led_on_again_and_a_false_flatten_is_not_taken() {
    let pair = Pair::new(false);
    bead(&pair.one, "Work 1");
    pair.equal();
    let old = tip(&pair.one, &pair.hub);
    bead(&pair.one, "Work 2");
    flatten_town(&pair.one).succeeds();
    pair.equal();
    let new = tip(&pair.one, &pair.hub);
    // Back to before the flatten: an ancestor of what was replaced.
    pair.one.git(&pair.hub, &["update-ref", "refs/gt/ledger", &old]);
    pair.two.gt("sync").succeeds();
    assert_eq!(tip(&pair.one, &pair.hub), new);
    // A root of somebody who drops records: it is refused, here and there nothing changes.
    let tree = pair.one.git(&pair.hub, &["mktree"]);
    let scope = pair.one.git(&pair.hub, &["rev-parse", &format!("{new}:ledger.json")]);
    let script = format!("printf '100644 blob {scope}\\tledger.json\\n' | git mktree");
    let output = pair.one.command("sh", &pair.hub).args(["-c", &script]).output().unwrap();
    let bare_tree = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_ne!(tree, bare_tree);
    let message = "flatten\n\nGt-Op: flatten\nGt-Rev: 900";
    let false_root = pair.one.git(&pair.hub, &["commit-tree", &bare_tree, "-m", message]);
    pair.one.git(&pair.hub, &["update-ref", "refs/gt/ledger", &false_root]);
    for town in [&pair.one, &pair.two] {
        town.gt("sync").ends_with(4);
        assert_eq!(tip(town, &repo(town)), new);
        assert_eq!(titles(town), ["Work 1", "Work 2"]);
    }
    assert_eq!(tip(&pair.one, &pair.hub), false_root);
}

#[test]
fn a_second_remote_follows_and_one_that_went_on_by_itself_is_told_apart() {
    let pair = Pair::new(true);
    let second = pair.one.base().join("second.git");
    pair.one.gt_args(&["hub", "init", second.to_str().unwrap()]).succeeds();
    pair.one.gt_args(&["remote", "add", "second", second.to_str().unwrap()]).succeeds();
    bead(&pair.one, "Work 1");
    flatten_town(&pair.one).succeeds();
    assert_eq!(tip(&pair.one, &second), tip(&pair.one, &pair.hub));
    assert_eq!(count(&pair.one, &second, "refs/gt/ledger"), 1);
    // The other machine knows both; it writes to the second while the first is flattened.
    pair.two.gt_args(&["remote", "add", "second", second.to_str().unwrap()]).succeeds();
    pair.equal();
    pair.one.gt("remote remove second").succeeds();
    bead(&pair.one, "Work 2");
    pair.two.gt("remote remove origin").succeeds();
    bead(&pair.two, "Work 3");
    pair.two.gt("sync").succeeds();
    flatten_town(&pair.one).succeeds();
    pair.one.gt_args(&["remote", "add", "second", second.to_str().unwrap()]).succeeds();
    let stuck = pair.one.gt("sync").ends_with(4);
    assert!(stuck.stdout.contains("went on in the history before flatten 2"), "{}", stuck.stdout);
    assert_eq!(titles(&pair.one), ["Work 1", "Work 2", "Work 3"]);
    let settled = tip(&pair.one, &repo(&pair.one));
    pair.one.gt("sync").ends_with(4);
    assert_eq!(tip(&pair.one, &repo(&pair.one)), settled, "each round makes another commit");
    pair.two.gt_args(&["remote", "add", "origin", pair.hub.to_str().unwrap()]).succeeds();
    pair.two.gt("remote remove second").succeeds();
    pair.two.gt("sync").succeeds();
    assert_eq!(titles(&pair.two), ["Work 1", "Work 2", "Work 3"]);
    pair.one.fsck();
}

/// The home flattens as the command does, unless somebody was faster.
fn flatten_home(machines: &Machines) -> bool {
    let ledger: &Ledger = &machines.ledgers[0];
    machines.sync(0);
    let actor = actor();
    let deed = Deed { actor: &actor, op: "flatten", subject: "flatten".into(), now: now() };
    let Ok(root) = flatten::prepare(ledger, machines.tip(0), &deed) else { return false };
    let refusal = send_root(ledger, machines.url(), &root, &Progress::silent()).unwrap();
    refusal == Sent::Taken
}

#[test]
fn a_flatten_of_a_tip_that_the_hub_has_left_is_refused_and_nothing_has_moved() {
    let machines = Machines::new(2);
    machines.create(0, "one");
    machines.sync(0);
    machines.sync(1);
    machines.create(1, "two");
    let actor = actor();
    let deed = Deed { actor: &actor, op: "flatten", subject: "flatten".into(), now: now() };
    let root = flatten::prepare(&machines.ledgers[0], machines.tip(0), &deed).unwrap();
    machines.sync(1);
    let (ours, theirs) = (machines.tip(0), machines.hub_tip());
    assert_eq!(send_root(&machines.ledgers[0], machines.url(), &root, &Progress::silent()).unwrap(), Sent::Moved);
    assert_eq!((machines.tip(0), machines.hub_tip()), (ours, theirs));
    // A root of something else than what it names is not even sent.
    let forged = flatten::Root { replaced: theirs, ..root };
    machines.sync(0);
    let error = send_root(&machines.ledgers[0], machines.url(), &forged, &Progress::silent()).unwrap_err();
    assert_eq!((error.kind, machines.hub_tip()), (Kind::Refused, theirs));
    assert!(flatten_home(&machines));
    machines.sync(0);
    machines.sync(1);
    assert_eq!(machines.titles(1), ["one", "two"]);
    assert_eq!(machines.tip(1), machines.hub_tip());
}

/// What happens to one of three machines.
#[derive(Clone, Debug)]
enum Round {
    Create(usize),
    Sync(usize),
    Fetch(usize),
    Flatten,
    /// The home has flattened at the hub and does not yet know.
    FlattenUnheard,
}

fn round() -> impl Strategy<Value = Round> {
    prop_oneof![
        4 => (0..3usize).prop_map(Round::Create),
        3 => (0..3usize).prop_map(Round::Sync),
        1 => (0..3usize).prop_map(Round::Fetch),
        1 => Just(Round::Flatten),
        1 => Just(Round::FlattenUnheard),
    ]
}

proptest! {
    #![proptest_config(crate::chance::cases(4, 40))]

    #[test]
    fn random_work_sync_and_flattens_end_equal_with_nothing_lost(rounds in proptest::collection::vec(round(), 6..26)) {
        let machines = Machines::new(3);
        let mut written = Vec::new();
        for round in rounds {
            match round {
                Round::Create(n) => {
                    let title = format!("bead {:02}", written.len());
                    machines.create(n, &title);
                    written.push(title);
                }
                Round::Sync(n) => drop(machines.sync(n)),
                Round::Fetch(n) => drop(machines.sync_with(n, Options { push: false, ..Options::default() }).unwrap()),
                Round::FlattenUnheard => drop(flatten_home(&machines)),
                Round::Flatten => if flatten_home(&machines) {
                    machines.sync(0);
                    let epochs = flatten::epochs(&machines.ledgers[0].store, machines.tip(0)).unwrap();
                    let pin = machines.ledgers[0].store.read_ref(&tree::flattened(epochs.len())).unwrap();
                    prop_assert_eq!(pin, epochs.last().copied());
                },
            }
        }
        for n in (0..3).chain(0..3) {
            machines.sync(n);
        }
        for n in 0..3 {
            prop_assert_eq!(machines.tip(n), machines.hub_tip());
            prop_assert_eq!(&machines.titles(n), &written);
            git(machines.ledgers[n].store.dir(), &["fsck", "--strict"]);
        }
        let created = machines.ledgers[0].log(0).unwrap().into_iter().filter(|entry| entry.op == "create").count();
        let replays = machines.ledgers[0].log(0).unwrap().into_iter().filter(|entry| entry.op == "replay").count();
        prop_assert!(created == written.len() || replays > 0);
    }
}
