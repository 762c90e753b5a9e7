//! What is said of the queue on a machine that does not work it holds after a sync; and the words themselves, as typed.

use serde_json::Value;

use crate::machines::Pair;
use crate::town::{Rig, Town, text_at};

/// A request for a new bead by a branch that adds the file `name`.
fn request(town: &Town, rig: &Rig, name: &str) -> (String, String) {
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-B", name, "main"]);
    std::fs::write(work.join(name), "x\n").unwrap();
    town.git(&work, &["add", name]);
    town.git(&work, &["commit", "-q", "-m", &format!("Add {name}")]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), name]);
    let bead = town.bead(rig, name);
    let filed = town.as_agent("widgets/crew/joe").gt(&format!("--json mq submit {bead} {name}")).json();
    (bead, text_at(&filed, &["/mr"]))
}

fn gated() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "./check.sh", "--rig", "widgets"]).succeeds();
    (town, rig)
}

fn row(town: &Town, mr: &str) -> Value {
    town.gt(&format!("--json mq status {mr}")).json()
}

fn landed(town: &Town) -> Value {
    town.gt("--json mq run --once --rig widgets").json()["landed"].clone()
}

#[test]
fn what_is_said_on_another_machine_holds_at_home_after_a_sync() {
    let pair = Pair::new();
    pair.one.gt("config set gates.test.command ./check.sh --rig widgets").succeeds();
    pair.one.gt("config set review.approvals 2 --rig widgets").succeeds();
    let (bead, held) = request(&pair.one, &pair.rig, "held");
    let (_, free) = request(&pair.one, &pair.rig, "free");
    let (_, gone) = request(&pair.one, &pair.rig, "gone");
    let (_, back) = request(&pair.one, &pair.rig, "back");
    pair.settle();
    // Both approve, neither knowing of the other.
    for mr in [&held, &free] {
        pair.one.gt(&format!("--actor overseer/ann mq approve {mr}")).succeeds();
        pair.two.gt(&format!("--actor overseer/bob mq approve {mr}")).succeeds();
    }
    pair.two.gt(&format!("mq hold {held} -m 'not today'")).succeeds();
    pair.two.gt(&format!("mq withdraw {gone}")).succeeds();
    pair.two.gt(&format!("mq reject {back} -m 'not like this'")).succeeds();
    pair.two.gt(&format!("mq land {free} --force --reason now")).fails_with(4);
    let told = pair.settle();
    assert!(!told.contains("overruled"), "{told}");
    assert_eq!(landed(&pair.one), serde_json::json!([free]));
    let stands = row(&pair.one, &held);
    assert_eq!(text_at(&stands, &["/listed/note"]), "held by overseer: not today");
    assert_eq!(stands["listed"]["approved_by"], serde_json::json!(["overseer/ann", "overseer/bob"]));
    let states = [&gone, &back].map(|mr| text_at(&row(&pair.one, mr), &["/listed/state"]));
    assert_eq!(states, ["withdrawn", "evicted"]);
    pair.two.gt("mq freeze --rig widgets -m 'release week'").succeeds();
    pair.two.gt(&format!("mq release {held}")).succeeds();
    pair.settle();
    assert_eq!(landed(&pair.one), serde_json::json!([]));
    assert!(pair.one.gt("mq list --rig widgets").succeeds().stdout.contains("main is frozen by overseer: release week"));
    pair.two.gt("mq resume --rig widgets").succeeds();
    pair.settle();
    assert_eq!(landed(&pair.one), serde_json::json!([held]));
    pair.settle();
    assert_eq!(pair.two.status(&bead), "closed");
}

#[test]
fn a_withdrawal_there_and_a_landing_here_end_as_landed_and_it_is_told() {
    let pair = Pair::new();
    pair.one.gt("config set gates.test.command ./check.sh --rig widgets").succeeds();
    let (bead, mr) = request(&pair.one, &pair.rig, "a");
    pair.settle();
    pair.two.gt(&format!("mq withdraw {mr}")).succeeds();
    assert_eq!(landed(&pair.one), serde_json::json!([mr]));
    let told = pair.settle();
    assert!(told.contains(&mr), "{told}");
    for town in [&pair.one, &pair.two] {
        assert_eq!((text_at(&row(town, &mr), &["/listed/state"]).as_str(), town.status(&bead).as_str()), ("landed", "closed"));
    }
}

#[test]
fn every_word_about_the_queue_is_taken_as_typed_and_told_in_words() {
    let (town, rig) = gated();
    let (bead, mr) = request(&town, &rig, "good");
    let page = |line: &str| town.gt(line).succeeds().stdout;
    assert!(page(&format!("mq hold {mr} -m 'not \u{1b}[31mnow'")).contains("\\u{1b}[31mnow; to go on: gt mq release"));
    assert_eq!(text_at(&town.gt(&format!("--json mq hold {bead} -m later")).json(), &["/outcome"]), "held");
    assert!(page(&format!("mq status {mr}")).contains("to go on  gt mq release"), "the way out is said");
    assert!(page("mq next").contains("held by overseer: later"));
    assert!(page("mq list").contains("held by overseer: later"));
    assert_eq!(text_at(&town.gt(&format!("--json mq release {mr}")).json(), &["/held_by"]), "overseer");
    assert!(page(&format!("mq release {mr}")).contains("nobody holds"));
    assert!(page("mq freeze --floor 1 -m 'release week'").contains("main is frozen by overseer but for P0 to P1: release week"));
    assert_eq!(town.gt("--json mq freeze --floor 1").json()["floor"], 1);
    town.gt("mq freeze --floor 7").fails_with(2);
    assert!(page("mq status").contains("main is frozen by overseer") && page("mq next").contains("main is frozen"));
    assert!(page("mq run --once").contains("0 landed, 0 sent back, 1 held; 1 gate run"));
    assert_eq!(text_at(&town.gt("--json mq resume").json(), &["/state"]), "open");
    assert_eq!(text_at(&town.gt("--json mq pause").json(), &["/state"]), "paused");
    town.gt("mq pause --target nowhere").fails_with(3);
    town.gt("mq resume").succeeds();
    let approved = town.gt(&format!("--json mq approve {mr} -m fine")).json();
    assert_eq!((text_at(&approved, &["/outcome"]).as_str(), approved["needed"].as_u64()), ("approved", Some(0)));
    assert!(
        page(&format!("mq status {mr}")).contains("overseer 2026-01-01")
            && page(&format!("mq approve {mr}")).contains("needs none")
    );
    assert_eq!(town.gt(&format!("--json mq comment {mr} -m why")).json()["told"], serde_json::json!(["widgets/crew/joe"]));
    town.gt(&format!("mq land {mr}")).fails_with(4);
    town.gt(&format!("mq land {mr} --force")).fails_with(2);
    town.gt(&format!("mq reject {mr}")).fails_with(2);
    town.gt(&format!("mq retry {mr} --force")).fails_with(2);
    assert_eq!(text_at(&town.gt(&format!("--json mq withdraw {mr} -m no")).json(), &["/branch"]), "good");
    assert!(page("mq list --all").contains("withdrawn by overseer: no"));
    let again = text_at(&town.gt(&format!("--json mq retry {bead}")).json(), &["/mr"]);
    let rejected = town.gt(&format!("--json mq reject {again} -m 'the \u{1b}]0;key\u{7} must go'")).json();
    assert_eq!(rejected["told"], serde_json::json!(["widgets/witness", "widgets/crew/joe"]));
    assert_eq!(town.status(&bead), "open");
    assert!(page(&format!("mq why {again}")).contains("overseer said\n  the \\u{1b}]0;key\\u{7} must go"));
    town.gt(&format!("mq retry {again}")).fails_with(4);
    let last = text_at(&town.gt(&format!("--json mq retry {again} --force -m 'it is public'")).json(), &["/mr"]);
    let forced = town.gt(&format!("--json mq land {last} --force --reason 'the site is down'")).json();
    assert_eq!((forced["landed"].clone(), town.status(&bead)), (serde_json::json!([last]), "closed".into()));
    assert!(page("mq list --all").contains("without gates by overseer: the site is down"));
    town.fsck();
}

#[test]
fn what_came_back_rejected_is_told_to_the_next_who_takes_it() {
    let (town, _) = gated();
    let bead = text_at(&town.gt("--json create Work --rig widgets").json(), &["/id"]);
    town.gt(&format!("sling {bead} widgets/polecats/toast --no-start")).succeeds();
    let sandbox = town.root.join("widgets/polecats/toast");
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    // The worker's branch moves on; what was handed in is what is judged.
    std::fs::write(sandbox.join("more.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "More"]);
    assert!(town.gt("mq list").succeeds().stdout.contains("its branch moved on to"));
    town.gt(&format!("mq reject {bead} -m 'use the pump'")).succeeds();
    assert!(town.as_agent("widgets/polecats/toast").gt("inbox").succeeds().stdout.contains("MERGE_FAILED"));
    town.gt(&format!("sling {bead} widgets/polecats/toast --no-start")).succeeds();
    let primed = town.as_agent("widgets/polecats/toast").gt("prime").succeeds().stdout;
    assert!(primed.contains("overseer rejected it and said:\n-----") && primed.contains("\nuse the pump\n-----"), "{primed}");
}

#[test]
fn a_diff_is_escaped_and_counted() {
    let (town, rig) = gated();
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-B", "odd", "main"]);
    std::fs::write(work.join("README.md"), "# widgets\n\u{1b}]0;owned\u{7}\n").unwrap();
    std::fs::write(work.join("logo.png"), [0_u8, 159, 146, 150]).unwrap();
    town.git(&work, &["add", "README.md", "logo.png"]);
    town.git(&work, &["commit", "-q", "-m", "Odd"]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), "odd"]);
    let bead = town.bead(&rig, "Odd");
    town.gt_args(&["mq", "submit", &bead, "odd"]).succeeds();
    let page = town.gt(&format!("mq diff {bead}")).succeeds().stdout;
    assert!(page.contains("2 files, +1 -0") && page.contains("+\\u{1b}]0;owned\\u{7}") && !page.contains('\u{1b}'), "{page}");
    let stat = town.gt(&format!("mq diff {bead} --stat")).succeeds().stdout;
    assert!(stat.contains("README.md") && !stat.contains("owned"), "{stat}");
    let told = town.gt(&format!("--json mq diff {bead}")).json();
    assert_eq!(text_at(&told, &["/files/0/path"]), "README.md");
    assert_eq!(told["files"][1]["added"], Value::Null);
    town.gt(&format!("--json mq diff {bead} --stat")).json();
}
