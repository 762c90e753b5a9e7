//! Decay and the archive: old closed beads leave the ledger and are still there; nothing in use goes, nothing is lost.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gastown::ledger::{Ledger, merge};
use gastown::time::Moment;
use serde_json::Value;

use crate::machines::Pair;
use crate::town::{Gt, Rig, Town, text_at};

/// Steps of archiving and of sending the archive.
pub const STEPS: &[&str] = &["archive.objects", "decay.archived", "sync.archive-sent"];

/// A command so many days after all towns here begin.
fn on_day(town: &Town, day: i64) -> Gt<'_> {
    town.here().var("GT_NOW", &moment(day))
}

fn moment(day: i64) -> String {
    Moment::from_millis((1_767_225_600 + day * 86_400) * 1_000).to_string()
}

/// Lets the rig's records decay; answers what went.
fn decay(town: &Town, day: i64) -> Value {
    on_day(town, day).gt("--json maintain --rig widgets").json()[0]["decayed"].clone()
}

fn archived(count: usize) -> Value {
    serde_json::json!({"given_back": 0, "archived": count, "ephemeral": 0, "letters": 0, "gate_runs": 0, "gate_logs": 0})
}

fn repo(rig: &Rig) -> PathBuf {
    rig.dir.join(".repo.git")
}

fn closed(town: &Town, rig: &Rig, title: &str) -> String {
    let bead = town.bead(rig, title);
    town.gt_args(&["close", &bead, "-r", "done"]).succeeds();
    bead
}

/// Ids of the beads in the tree of a ref.
fn beads_in(town: &Town, repo: &Path, name: &str) -> BTreeSet<String> {
    let listed = town.git(repo, &["ls-tree", "-r", "--name-only", name, "beads/"]);
    listed.lines().map(|path| path.rsplit('/').next().unwrap().trim_end_matches(".json").to_owned()).collect()
}

fn in_ledger(town: &Town, rig: &Rig, bead: &str) -> bool {
    beads_in(town, &repo(rig), "refs/gt/ledger").contains(bead)
}

fn in_archive(town: &Town, rig: &Rig, bead: &str) -> bool {
    beads_in(town, &repo(rig), "refs/gt/archive").contains(bead)
}

fn listed(town: &Town, line: &str) -> BTreeSet<String> {
    let beads = town.gt(&format!("--json {line} --limit 0")).json();
    beads.as_array().unwrap().iter().map(|bead| text_at(bead, &["/id"])).collect()
}

fn ids(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[test]
fn a_bead_closed_long_ago_leaves_the_ledger_and_is_still_shown_listed_and_counted() {
    let (town, rig) = Town::with_rig();
    let (old, plain) = (closed(&town, &rig, "Drain the tank"), closed(&town, &rig, "Find the plug"));
    let next = town.gt_args(&["bead", "q", "Paint it", "--deps", &old, "--rig", "widgets"]).succeeds().stdout;
    let next = next.trim().to_owned();
    let line = format!("{{\"op\":\"comment\",\"id\":\"{plain}\",\"text\":\"It was below.\"}}\n");
    let file = town.base().join("lines");
    std::fs::write(&file, line).unwrap();
    let mut batch = town.here().command(&["bead", "batch"]);
    assert!(batch.stdin(std::fs::File::open(&file).unwrap()).output().unwrap().status.success());
    let before = town.show(&old);

    assert_eq!(decay(&town, 29), archived(0));
    assert_eq!(decay(&town, 31), archived(2));
    assert_eq!(decay(&town, 31), archived(0), "once");
    for bead in [&old, &plain] {
        assert!(!in_ledger(&town, &rig, bead) && in_archive(&town, &rig, bead));
    }
    let after = town.show(&old);
    assert_eq!(after["archived"], true);
    assert_eq!((&after["title"], &after["closed_at"], &after["rev"]), (&before["title"], &before["closed_at"], &before["rev"]));
    assert!(town.gt_args(&["show", &old]).succeeds().stdout.contains("archived"));
    assert!(town.gt_args(&["show", &plain]).succeeds().stdout.contains("It was below."));
    let short = &old[..old.len() - 1];
    assert!(town.gt_args(&["show", short]).succeeds().stdout.contains("Drain the tank"), "by abbreviation");

    assert_eq!(listed(&town, "ready --rig widgets"), ids(&[&next]), "what waited for it is ready");
    assert_eq!(listed(&town, "list --rig widgets"), ids(&[&next]));
    assert_eq!(listed(&town, "list --rig widgets --status closed"), ids(&[&old, &plain]));
    assert!(listed(&town, "list --all").is_superset(&ids(&[&old, &plain, &next])));
    assert_eq!(town.gt("--json status").json()["rigs"][0]["beads"]["closed"], 2);
    assert!(town.gt_args(&["bead", "dep", "list", &old]).succeeds().stdout.contains(&next));
    let told = town.gt_args(&["--json", "log", "--bead", &old]).json();
    let ops: Vec<String> = told.as_array().unwrap().iter().map(|event| text_at(event, &["/op"])).collect();
    assert_eq!(ops, ["decay", "close", "create"]);
    let exported = town.gt("bead export --rig widgets").succeeds().stdout;
    assert_eq!(exported.lines().count(), 3, "{exported}");
    std::fs::write(&file, exported).unwrap();
    let imported = town.gt_args(&["--json", "bead", "import", file.to_str().unwrap()]).json();
    assert_eq!((&imported["unchanged"], &imported["created"]), (&Value::from(3), &Value::from(0)));
    town.gt("reindex").succeeds();
    assert_eq!(listed(&town, "list --rig widgets --status closed"), ids(&[&old, &plain]));
    town.fsck();
}

#[test]
fn what_is_in_use_labelled_or_gts_own_stays() {
    let (town, rig) = Town::with_rig();
    let (kept, parent) = (closed(&town, &rig, "A standing answer"), town.bead(&rig, "Overhaul"));
    town.gt_args(&["update", &kept, "--add-label", "keep"]).succeeds();
    let child = |title: &str| town.gt_args(&["bead", "q", title, "--parent", &parent]).succeeds().stdout.trim().to_owned();
    let (first, second) = (child("Take it apart"), child("Clean it"));
    town.gt_args(&["close", &first, &parent]).succeeds();
    assert_eq!(decay(&town, 40), archived(1));
    assert!(in_archive(&town, &rig, &first), "a closed child of a parent that stays");
    for bead in [&kept, &parent, &second] {
        assert!(in_ledger(&town, &rig, bead));
    }
    town.gt_args(&["close", &second]).succeeds();
    assert_eq!(decay(&town, 40), archived(2), "the parent goes with its last child");
    town.gt("config set decay.closed 60d --rig widgets").succeeds();
    let other = closed(&town, &rig, "Another");
    assert_eq!(decay(&town, 59), archived(0));
    assert_eq!(decay(&town, 61), archived(1));
    assert!(in_archive(&town, &rig, &other));
}

#[test]
fn an_archived_bead_is_changed_only_after_it_was_reopened_and_its_id_is_never_given_again() {
    let (town, rig) = Town::with_rig();
    let bead = closed(&town, &rig, "Mend the pump");
    town.gt_args(&["bead", "q", "A part", "--parent", &bead]).succeeds();
    town.gt_args(&["close", &format!("{bead}.1")]).succeeds();
    assert_eq!(decay(&town, 31), archived(2));
    for refused in [
        vec!["update", &bead, "--title", "Other"],
        vec!["update", &bead, "--status", "open"],
        vec!["bead", "q", "Another part", "--parent", &bead],
        vec!["bead", "create", "The same", "--id", &bead],
        vec!["bead", "dep", "add", &bead, &format!("{bead}.1")],
        vec!["sling", &bead],
    ] {
        let error = town.gt_args(&refused).fails_with(4).stderr;
        assert!(error.contains("reopen") || error.contains("gt show"), "{refused:?}: {error}");
    }
    let again = town.gt_args(&["close", &bead]).succeeds().stdout;
    assert!(again.contains("closed already"), "{again}");
    town.gt_args(&["bead", "reopen", &bead, "-r", "it leaks again"]).succeeds();
    let shown = town.show(&bead);
    assert_eq!((shown["status"].as_str(), shown["archived"].is_null()), (Some("open"), true));
    assert!(shown.to_string().contains("it leaks again"));
    assert!(in_ledger(&town, &rig, &bead) && in_archive(&town, &rig, &bead));
    let all = town.gt("--json list --rig widgets --status open,closed").json();
    assert_eq!(all.as_array().unwrap().len(), 2, "no bead twice: {all}");
    let child = town.gt_args(&["bead", "q", "Another part", "--parent", &bead]).succeeds().stdout;
    assert_eq!(child.trim(), format!("{bead}.2"), "the number of an archived child is taken");
    town.gt_args(&["close", &bead, child.trim()]).succeeds();
    assert_eq!(decay(&town, 70), archived(2));
    let copy = town.git(&repo(&rig), &["log", "-1", "--format=%an", "refs/gt/archive"]);
    assert_eq!(copy, "overseer");
    assert!(town.gt_args(&["show", &bead]).succeeds().stdout.contains("it leaks again"));
    town.fsck();
}

#[test]
fn ephemeral_beads_go_when_their_time_is_up_unless_somebody_spoke_of_them() {
    let (town, _rig) = Town::with_rig();
    let lines = [
        ("wi-beat0", "heartbeat", "closed", "[]"),
        ("wi-walk0", "patrol", "closed", "[]"),
        ("wi-fault0", "error", "closed", "[]"),
        ("wi-live0", "patrol", "open", "[]"),
        ("wi-said0", "patrol", "closed", r#"[{"id":"1","author":"overseer","text":"odd","created_at":"2026-01-01T00:00:00Z"}]"#),
        ("wi-need0", "patrol", "closed", "[]"),
    ];
    let line = |(id, kind, status, comments): &(&str, &str, &str, &str)| {
        let closed = if *status == "closed" { r#","closed_at":"2026-01-01T00:00:00Z""# } else { "" };
        format!(
            r#"{{"id":"{id}","title":"t","status":"{status}"{closed},"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","ephemeral":true,"wisp_type":"{kind}","comments":{comments}}}"#
        )
    };
    let file = town.base().join("lines.jsonl");
    std::fs::write(&file, lines.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    town.gt_args(&["bead", "import", file.to_str().unwrap()]).succeeds();
    // Spoken of from another scope.
    town.gt("bead q 'Look into it' --deps related:wi-need0 --rig hq").succeeds();
    let gone = |count: usize| serde_json::json!({"given_back": 0, "archived": 0, "ephemeral": count, "letters": 0, "gate_runs": 0, "gate_logs": 0});
    assert_eq!(decay(&town, 0), gone(0));
    assert_eq!(decay(&town, 1), gone(2));
    assert_eq!(decay(&town, 8), gone(1));
    assert_eq!(decay(&town, 20), gone(0));
    assert_eq!(decay(&town, 31), archived(2), "what was spoken of is archived like any other");
    town.gt("show wi-walk0").fails_with(3);
    assert_eq!(town.status("wi-live0"), "open");
    assert_eq!(town.show("wi-said0")["archived"], true);
}

/// A closed ephemeral bead of the rig, whose time is up on the second day.
fn wisp(town: &Town, id: &str) {
    let line = format!(
        r#"{{"id":"{id}","title":"t","status":"closed","closed_at":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","ephemeral":true}}"#
    );
    let file = town.base().join("lines.jsonl");
    std::fs::write(&file, line).unwrap();
    town.gt_args(&["bead", "import", file.to_str().unwrap()]).succeeds();
}

#[test]
fn while_it_cannot_be_told_what_another_scope_speaks_of_nothing_goes_for_good() {
    let (town, rig) = Town::with_rig();
    let other = town.rig("gadgets");
    wisp(&town, "wi-walk0");
    let far = town.bead(&other, "Far");
    let ledger = Ledger::open(&repo(&other), "looker").unwrap();
    let actor = crate::merge::world::actor();
    let deed = gastown::ledger::Deed { actor: &actor, op: "test", subject: "damage".into(), now: Moment::from_millis(0) };
    let path = gastown::ledger::tree::bead(&far.parse().unwrap());
    let good = ledger.state().unwrap().object(&path).unwrap().unwrap();
    let mut bad = good.clone();
    bad.insert("dependencies".into(), 7.into());
    ledger.transact(&deed, |change| change.put_object(&path, bad.clone())).unwrap();
    let gone = |count: usize| serde_json::json!({"given_back": 0, "archived": 0, "ephemeral": count, "letters": 0, "gate_runs": 0, "gate_logs": 0});
    assert_eq!(decay(&town, 2), gone(0), "a record there cannot be read");
    ledger.transact(&deed, |change| change.put_object(&path, good.clone())).unwrap();

    let name = repo(&other).join("refs/gt/ledger");
    let tip = std::fs::read(&name).unwrap();
    std::fs::write(&name, "garbage\n").unwrap();
    let old = closed(&town, &rig, "Long done");
    let told = on_day(&town, 2).gt("--json maintain --rig widgets").json();
    assert_eq!(told[0]["decayed"]["ephemeral"], 0);
    assert!(text_at(&told[0], &["/decayed/unread/0"]).contains("gadgets"), "{told}");
    let page = on_day(&town, 31).gt("maintain --rig widgets").succeeds().stdout;
    assert!(page.contains("archived") && page.contains("gadgets"), "{page}");
    assert_eq!(town.show(&old)["archived"], true, "what is archived is not lost, whoever speaks of it");
    assert_eq!(town.show("wi-walk0")["archived"], true);
    std::fs::write(&name, tip).unwrap();
    wisp(&town, "wi-walk1");
    assert_eq!(decay(&town, 2), gone(1));
    town.gt("show wi-walk1").fails_with(3);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_spoken_of_while_a_decay_waits_for_its_turn_stays() {
    let (town, rig) = Town::with_rig();
    wisp(&town, "wi-walk0");
    let set = |to: &str| town.git(&repo(&rig), &["update-ref", "refs/gt/ledger", to]);
    let tip = || town.git(&repo(&rig), &["rev-parse", "refs/gt/ledger"]);
    let before = tip();
    town.gt("bead q 'Look into it' --deps related:wi-walk0 --rig widgets").succeeds();
    let after = tip();
    set(&before);
    let turn = std::fs::File::open(repo(&rig).join("gt/ledger.flock")).unwrap();
    turn.lock().unwrap();
    let mut command = on_day(&town, 2).command(&["maintain", "--rig", "widgets"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let waits = |line: &str| line.contains("-> FLOCK") && line.split_whitespace().any(|word| word == child.id().to_string());
    town.until("the decay waits", || std::fs::read_to_string("/proc/locks").unwrap().lines().any(waits));
    set(&after);
    turn.unlock().unwrap();
    let told = child.wait_with_output().unwrap();
    assert!(told.status.success());
    assert_eq!(town.status("wi-walk0"), "closed");
}

#[test]
fn letters_that_were_read_go_and_a_second_delivery_finds_the_first() {
    let (town, rig) = Town::with_rig();
    let letters = |day: i64| on_day(&town, day).gt("--json maintain --town").json()[0]["decayed"]["letters"].clone();
    town.gt("send mayor -s Read -m text").succeeds();
    town.gt("send mayor -s Unread -m text").succeeds();
    town.as_agent("mayor").gt("mail read 1").succeeds();
    // The parcel was delivered, but its sender died before it dropped it.
    let crashed = town.as_agent("widgets/witness").var("GT_CRASH_AT", "post.delivered").gt("send mayor -s Delivered -m text");
    assert_eq!(crashed.code, -1);
    town.as_agent("mayor").gt("mail read 3").succeeds();
    assert_eq!(letters(6), 0);
    assert_eq!(letters(8), 1);
    let inbox = |town: &Town| town.gt("inbox mayor").succeeds().stdout;
    assert!(!inbox(&town).contains(" Read") && inbox(&town).contains("Unread"));
    on_day(&town, 9).gt("send mayor -s Later -m text").succeeds();
    town.gt("sync").succeeds();
    assert_eq!(inbox(&town).matches("Delivered").count(), 1, "{}", inbox(&town));
    let outbox = town.git(&repo(&rig), &["ls-tree", "-r", "--name-only", "refs/gt/ledger", "outbox/"]);
    assert_eq!(outbox, "", "the second delivery dropped the parcel");
    assert_eq!(letters(89), 0);
    assert_eq!(letters(91), 1);
    assert!(inbox(&town).contains("Unread") && !inbox(&town).contains("Delivered"));
    town.fsck();
}

#[test]
fn a_decay_that_was_killed_is_finished_by_the_next_and_readers_never_notice() {
    let (town, rig) = Town::with_rig();
    for step in ["archive.objects", "decay.archived", "ledger.objects"] {
        let bead = closed(&town, &rig, step);
        let killed = on_day(&town, 31).var("GT_CRASH_AT", step).gt("maintain --rig widgets");
        assert_eq!(killed.code, -1, "{step}");
        assert!(in_ledger(&town, &rig, &bead), "{step}: it stands in both or only here");
        assert_eq!(town.status(&bead), "closed");
        assert_eq!(listed(&town, "list --rig widgets --status closed").iter().filter(|id| **id == bead).count(), 1);
        assert_eq!(decay(&town, 31), archived(1), "{step}");
        assert!(!in_ledger(&town, &rig, &bead) && in_archive(&town, &rig, &bead), "{step}");
    }
    // Reopened between the two steps: it stays.
    let bead = closed(&town, &rig, "Reopened in between");
    on_day(&town, 31).var("GT_CRASH_AT", "decay.archived").gt("maintain --rig widgets").ends_with(-1);
    town.gt_args(&["bead", "reopen", &bead]).succeeds();
    assert_eq!(decay(&town, 31), archived(0));
    assert_eq!(town.status(&bead), "open", "the ledger wins over the archive");
    town.fsck();
}

#[test]
fn thousands_of_beads_are_archived_in_a_few_commits_that_share_their_blobs() {
    let (town, rig) = Town::with_rig();
    let line = |n: usize| {
        format!(
            r#"{{"id":"wi-{n:05}","title":"Bead {n}","status":"closed","closed_at":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let file = town.base().join("lines.jsonl");
    std::fs::write(&file, (0..3_000).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    town.gt_args(&["bead", "import", file.to_str().unwrap()]).succeeds();
    let blob = town.git(&repo(&rig), &["rev-parse", "refs/gt/ledger:beads/0/0/wi-00042.json"]);
    assert_eq!(decay(&town, 60), archived(3_000));
    assert_eq!(town.git(&repo(&rig), &["rev-list", "--count", "refs/gt/archive"]), "2");
    assert_eq!(town.git(&repo(&rig), &["rev-parse", "refs/gt/archive:beads/0/0/wi-00042.json"]), blob);
    assert_eq!(listed(&town, "list --rig widgets --status closed").len(), 3_000);
    assert_eq!(town.show("wi-02999")["title"], "Bead 2999");
    town.fsck();
}

impl Pair {
    fn archive_of(&self, repo: &Path) -> String {
        self.one.git(repo, &["rev-parse", "refs/gt/archive"])
    }

    /// Ledgers and archives of the rig are the same on both machines and where they meet.
    fn settle_archives(&self) -> String {
        let told = self.settle();
        let tips = [repo(&self.rig), repo(&self.rig_two), self.rig.origin.clone()].map(|repo| self.archive_of(&repo));
        assert!(tips[0] == tips[1] && tips[0] == tips[2], "archives differ: {tips:?}");
        told
    }
}

#[test]
fn two_machines_that_archive_the_same_and_other_beads_end_with_one_archive() {
    let pair = Pair::new();
    let shared = closed(&pair.one, &pair.rig, "Known to both");
    pair.settle();
    let (ours, theirs) = (closed(&pair.one, &pair.rig, "Of one"), closed(&pair.two, &pair.rig_two, "Of two"));
    assert_eq!(decay(&pair.one, 31), archived(2));
    assert_eq!(decay(&pair.two, 31), archived(2));
    let tips = [pair.archive_of(&repo(&pair.rig)), pair.archive_of(&repo(&pair.rig_two))];
    pair.settle_archives();
    for (town, rig) in [(&pair.one, &pair.rig), (&pair.two, &pair.rig_two)] {
        for bead in [&shared, &ours, &theirs] {
            assert!(!in_ledger(town, rig, bead) && in_archive(town, rig, bead));
            assert_eq!(town.show(bead)["archived"], true);
        }
    }
    let ledger = Ledger::open(&repo(&pair.rig), "looker").unwrap();
    let [a, b] = tips.map(|tip| gix::ObjectId::from_hex(tip.as_bytes()).unwrap());
    let merged = [merge::merge_archives(&ledger.store, a, b).unwrap(), merge::merge_archives(&ledger.store, b, a).unwrap()];
    assert!(merged[0].conflicts.is_empty());
    assert_eq!(merged[0].commit, merged[1].commit, "the same merge from either side");
    assert_eq!(merged[0].commit.to_string(), pair.archive_of(&repo(&pair.rig)));

    // A deletion there is none here.
    pair.one.git(&pair.rig.origin, &["update-ref", "-d", "refs/gt/archive"]);
    pair.settle_archives();
    let three = pair.one.joined("three", &pair.hub);
    let rig_three = three.join_rig(&pair.rig);
    assert!(in_archive(&three, &rig_three, &ours), "a machine that joins has it at once");
    assert_eq!(three.show(&ours)["archived"], true);
    pair.one.fsck();
}

#[test]
fn what_one_machine_archives_while_another_edits_or_reopens_it_keeps_the_edit() {
    let pair = Pair::new();
    let (one, two) = (&pair.one, &pair.two);
    let [titled, reopened, both] = ["Titled", "Reopened", "Both"].map(|title| closed(one, &pair.rig, title));
    pair.settle();
    one.gt_args(&["update", &both, "--title", "Title of one"]).succeeds();
    assert_eq!(decay(one, 31), archived(3));
    two.gt_args(&["update", &titled, "--title", "Title of two", "--add-label", "late"]).succeeds();
    two.gt_args(&["bead", "reopen", &reopened]).succeeds();
    two.gt_args(&["update", &both, "--append-notes", "noted by two"]).succeeds();
    let told = pair.settle_archives();
    assert!(told.contains("changed on one side and removed on the other; it stays"), "{told}");
    for town in [one, two] {
        assert_eq!(town.show(&titled)["title"], "Title of two");
        assert_eq!(town.status(&reopened), "open");
        assert!(town.show(&titled)["archived"].is_null(), "an edit wins over a removal");
    }
    // It goes again, with what either knew of it.
    assert_eq!(decay(two, 32), archived(2));
    pair.settle_archives();
    for town in [one, two] {
        let shown = town.show(&both);
        assert_eq!((shown["title"].as_str(), shown["notes"].as_str()), (Some("Title of one"), Some("noted by two")));
        let shown = town.show(&titled);
        assert_eq!((shown["title"].as_str(), &shown["labels"]), (Some("Title of two"), &serde_json::json!(["late"])));
        assert_eq!(town.status(&reopened), "open");
    }
    one.fsck();
}

#[test]
fn nobody_ever_holds_a_ledger_without_the_archive_that_its_beads_went_to() {
    let pair = Pair::new();
    let bead = closed(&pair.one, &pair.rig, "Gone over");
    pair.settle();
    assert_eq!(decay(&pair.one, 31), archived(1));
    let sync = |step: &str| pair.one.here().var("GT_CRASH_AT", step).gt("sync --rig widgets");
    assert_eq!(sync("sync.archive-sent").code, -1);
    assert!(beads_in(&pair.one, &pair.rig.origin, "refs/gt/archive").contains(&bead));
    assert!(beads_in(&pair.one, &pair.rig.origin, "refs/gt/ledger").contains(&bead), "the ledger goes after it");
    pair.two.gt("sync").succeeds();
    assert_eq!(pair.two.status(&bead), "closed");
    pair.one.gt("sync").succeeds();
    let killed = pair.two.here().var("GT_CRASH_AT", "sync.merged").gt("sync --rig widgets");
    assert_eq!(killed.code, -1);
    assert_eq!(pair.two.status(&bead), "closed");
    pair.settle_archives();
    assert_eq!(pair.two.show(&bead)["archived"], true);

    // The archive of another scope is not taken.
    let before = pair.archive_of(&repo(&pair.rig));
    let alien = closed(&pair.one, &pair.rig, "Another");
    pair.settle();
    let town_bead = pair.one.gt("bead q 'Of the town' --rig hq").succeeds().stdout.trim().to_owned();
    pair.one.gt_args(&["close", &town_bead]).succeeds();
    on_day(&pair.one, 31).gt("maintain --town").succeeds();
    let town_repo = pair.one.root.join(".repo.git");
    pair.one.git(&town_repo, &["push", "-q", "-f", pair.rig.origin.to_str().unwrap(), "refs/gt/archive:refs/gt/archive"]);
    let refused = pair.two.gt("sync --rig widgets").ends_with(4);
    assert!(refused.stdout.contains("archive"), "{}{}", refused.stdout, refused.stderr);
    assert_eq!(pair.archive_of(&repo(&pair.rig_two)), before);
    assert_eq!(pair.two.status(&alien), "closed");
}

#[test]
fn a_damaged_archive_is_never_taken_for_an_empty_one() {
    let (town, rig) = Town::with_rig();
    let bead = closed(&town, &rig, "Drain the tank");
    decay(&town, 31);
    let live = town.bead(&rig, "Paint it");
    let waits = town.gt_args(&["bead", "q", "Fill it", "--deps", &bead, "--rig", "widgets"]).succeeds().stdout;
    let hub = town.base().join("hub.git");
    town.git(&town.base(), &["init", "-q", "--bare", hub.to_str().unwrap()]);
    town.gt_args(&["remote", "add", "spare", hub.to_str().unwrap(), "--rig", "widgets"]).succeeds();
    let name = repo(&rig).join("refs/gt/archive");
    let good = std::fs::read(&name).unwrap();
    for bad in ["garbage\n".to_owned(), format!("{}\n", "1".repeat(40))] {
        std::fs::write(&name, bad).unwrap();
        assert_eq!(town.status(&live), "open");
        assert!(listed(&town, "list --rig widgets").contains(&live));
        town.gt_args(&["show", &bead]).fails_with(70);
        let closed = town.gt("list --rig widgets --status closed").succeeds();
        assert!(closed.stderr.contains("left out"), "{}", closed.stderr);
        let ready = town.gt("ready --rig widgets").succeeds();
        assert!(!ready.stdout.contains(waits.trim()) && ready.stderr.contains("held back"), "{}", ready.stderr);
        town.gt("bead q 'With an id that may be taken' --rig widgets").fails_with(70);
        town.gt("maintain --rig widgets").ends_with(0);
        on_day(&town, 32).gt("sync --rig widgets").ends_with(70);
        assert_eq!(town.git(&hub, &["for-each-ref"]), "", "nothing was sent");
    }
    std::fs::write(&name, good).unwrap();
    town.gt("sync --rig widgets").succeeds();
    assert_eq!(town.show(&bead)["archived"], true);
    assert!(town.gt("ready --rig widgets").succeeds().stdout.contains(waits.trim()));
    town.fsck();
}
