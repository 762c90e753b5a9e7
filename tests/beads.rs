//! Work items through the program: filing, finding, claiming, closing; and what is refused.

use std::path::Path;

use serde_json::Value;

use crate::town::{Outcome, Town, text_at};

/// A town with the rigs `widgets` (prefix `wi`) and `gadgets` (prefix `ga`).
pub fn two_rigs() -> Town {
    let town = Town::new();
    town.rig("widgets");
    town.rig("gadgets");
    town
}

/// The ids in a list.
pub fn ids(outcome: Outcome) -> Vec<String> {
    outcome.json().as_array().unwrap().iter().map(|bead| text_at(bead, &["/id"])).collect()
}

/// Files a bead and answers its id.
pub fn create(town: &Town, line: &str) -> String {
    text_at(&town.gt(&format!("--json create {line}")).json(), &["/id"])
}

/// The newest commit of a scope's ledger.
pub fn tip(town: &Town, scope: &str) -> String {
    town.git(&town.root.join(scope), &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger"])
}

fn hint(outcome: &Outcome) -> &str {
    outcome.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default()
}

#[test]
fn a_bead_is_filed_and_shown_with_all_that_was_said() {
    let town = two_rigs();
    let blocker = create(&town, "'Buy oil' --rig widgets");
    let made = town
        .gt_args(&[
            "--json",
            "bead",
            "create",
            "Mend the pump",
            "-d",
            "It leaks",
            "-t",
            "bug",
            "-p",
            "P1",
            "-l",
            "water,urgent",
            "--design",
            "New seal",
            "--acceptance",
            "Dry",
            "--notes",
            "Old",
            "--deps",
            &blocker,
            "--rig",
            "wi",
            "--due",
            "2d",
        ])
        .json();
    let id = text_at(&made, &["/id"]);
    assert!(id.starts_with("wi-") && id.len() == 8, "{id}");
    let bead = town.show(&id);
    assert_eq!((bead["issue_type"].as_str(), bead["priority"].as_u64()), (Some("bug"), Some(1)));
    assert_eq!(bead["labels"], serde_json::json!(["urgent", "water"]));
    assert_eq!(bead["dependencies"][0]["depends_on_id"], blocker.as_str());
    assert_eq!((bead["status"].as_str(), bead["created_by"].as_str()), (Some("open"), Some("overseer")));
    assert!(bead["due_at"].is_string());
    let page = town.gt(&format!("show {id}")).succeeds().stdout;
    for words in ["Mend the pump", "open, bug, P1", "It leaks", "New seal", "Dry", "Buy oil"] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
    let subject = town.git(
        &town.root.join("widgets"),
        &[
            "--git-dir",
            ".repo.git",
            "log",
            "-1",
            "--format=%an|%s|%(trailers:key=Gt-Bead,valueonly,separator=%x2C)",
            "refs/gt/ledger",
        ],
    );
    assert_eq!(subject, format!("overseer|create Mend the pump|{id}"));
}

#[test]
fn ids_are_routed_by_prefix_from_anywhere_and_may_be_short() {
    let town = two_rigs();
    let id = create(&town, "'In the other rig' --rig gadgets");
    let at = |dir: &str| town.from(town.root.join(dir));
    assert!(at("widgets").gt(&format!("show {id}")).succeeds().stdout.contains("In the other rig"));
    assert!(at("widgets").gt(&format!("show {}", &id[..7])).succeeds().stdout.contains("In the other rig"));
    assert!(at("widgets").gt(&format!("show {}", &id[3..])).succeeds().stdout.contains("In the other rig"));
    let here = text_at(&at("widgets").gt("--json create 'In my rig'").json(), &["/id"]);
    assert!(here.starts_with("wi-"));
    assert!(create(&town, "'In no rig'").starts_with("hq-"));
    let unknown = town.gt("show zz-abc12").fails_with(3);
    assert!(hint(&unknown).contains("ga") && hint(&unknown).contains("wi"), "{}", unknown.stderr);
}

#[test]
fn an_unknown_bead_is_not_found_and_an_ambiguous_one_names_the_candidates() {
    let town = two_rigs();
    assert!(!hint(&town.gt("show wi-nope1").fails_with(3)).is_empty());
    for id in ["wi-twin1", "wi-twin2"] {
        create(&town, &format!("'A twin' --rig widgets --id {id}"));
    }
    let ambiguous = town.gt("show wi-twin").fails_with(4);
    assert!(hint(&ambiguous).contains("wi-twin1") && hint(&ambiguous).contains("wi-twin2"));
    assert_eq!(town.gt("--json show wi-twin").fails_with(4).stdout.parse::<Value>().unwrap()["error"]["kind"], "refused");
}

#[test]
fn wrong_words_name_the_right_ones_and_write_nothing() {
    let town = two_rigs();
    create(&town, "'There' --id hq-there");
    let before = tip(&town, ".");
    for (line, right) in [
        ("create x -t bugg", "feature"),
        ("create x -p 7", "critical"),
        ("create '' ", "one line"),
        ("create x --deps hates:hq-there", "waits-for"),
        ("create x --deps hq-nope1", "gt list"),
        ("create x --rig nowhere", "widgets"),
        ("create x --id wi-abc12 --rig hq", "--rig"),
        ("create x --id hq-there", "gt show hq-there"),
        ("create x -t agent", "gt sling"),
        ("update hq-there --status asleep", "in_progress"),
        ("update hq-there", "--help"),
        ("update hq-there --assignee mayr", "mayor"),
        ("update hq-there --due soon", "2d"),
        ("list --status lost", "deferred"),
    ] {
        let outcome = town.gt(line);
        assert!([2, 3, 4].contains(&outcome.code), "{line}: {}", outcome.code);
        assert!(hint(&outcome).contains(right), "{line}: {}", outcome.stderr);
    }
    let long = "x".repeat(501);
    assert!(town.gt_args(&["create", &long]).fails_with(2).stderr.contains("500"));
    assert!(town.gt_args(&["create", "a\nb"]).fails_with(2).stderr.contains("control"));
    assert_eq!(tip(&town, "."), before);
}

#[test]
fn a_title_reaches_no_terminal_as_a_command() {
    let town = two_rigs();
    let id = create(&town, "Plain --id hq-plain");
    town.gt_args(&["update", &id, "-d", "\u{1b}]0;owned\u{7} and \u{202e}"]).succeeds();
    let page = town.gt(&format!("show {id}")).succeeds().stdout;
    assert!(!page.contains('\u{1b}') && !page.contains('\u{7}') && !page.contains('\u{202e}'));
    assert_eq!(town.show(&id)["description"], "\u{1b}]0;owned\u{7} and \u{202e}");
}

#[test]
fn children_are_numbered_beside_their_parent() {
    let town = two_rigs();
    let epic = create(&town, "Epic -t epic --rig widgets");
    let children: Vec<String> = (0..3).map(|n| create(&town, &format!("'Child {n}' --parent {epic}"))).collect();
    assert_eq!(children, [format!("{epic}.1"), format!("{epic}.2"), format!("{epic}.3")]);
    assert_eq!(create(&town, &format!("Grandchild --parent {epic}.2")), format!("{epic}.2.1"));
    assert_eq!(town.show(&epic)["children"].as_array().unwrap().len(), 3, "grandchildren are those of the child");
    assert_eq!(ids(town.gt(&format!("--json list --parent {epic}"))).len(), 3);
    town.gt(&format!("create x --parent {epic} --rig gadgets")).fails_with(2);
    // A parent whose id does not end with this machine's slot: the number bears the slot.
    let elsewhere = create(&town, "Elsewhere --id wi-abcdz --rig widgets");
    let child = create(&town, &format!("x --parent {elsewhere}"));
    assert!(child.starts_with("wi-abcdz.1-"), "{child}");
}

#[test]
fn lists_are_bounded_filtered_and_say_how_many_there_are() {
    let town = two_rigs();
    for n in 0..52 {
        create(&town, &format!("'Task {n}' --rig widgets -p {}", n % 5));
    }
    let list = town.gt("--json list --rig widgets").succeeds();
    assert!(list.stderr.contains("50 of 52"), "{}", list.stderr);
    assert_eq!(ids(list).len(), 50);
    assert_eq!(ids(town.gt("--json list --rig widgets --limit 0")).len(), 52);
    assert_eq!(town.gt("list --rig widgets").succeeds().stdout.lines().count(), 51);
    assert_eq!(ids(town.gt("--json list --rig widgets -p 0")).len(), 11);
    let first = ids(town.gt("--json list --rig widgets -p 0 -n 1")).remove(0);
    town.gt(&format!("close {first} --reason enough")).succeeds();
    assert_eq!(ids(town.gt("--json list --rig widgets -p 0")).len(), 10);
    assert_eq!(ids(town.gt("--json list --rig widgets --status closed")), [first]);
    assert_eq!(ids(town.gt("--json list --rig gadgets")), Vec::<String>::new());
    assert_eq!(town.gt("list --rig gadgets").succeeds().stdout, "");
}

#[test]
fn a_claim_takes_a_bead_once() {
    let town = two_rigs();
    let id = create(&town, "Work --rig widgets");
    town.as_agent("mayor").gt(&format!("update {id} --claim")).succeeds();
    let bead = town.show(&id);
    assert_eq!((bead["status"].as_str(), bead["assignee"].as_str()), (Some("in_progress"), Some("mayor")));
    assert_eq!(bead["assigned_rev"], bead["rev"]);
    town.as_agent("mayor").gt(&format!("update {id} --claim")).succeeds();
    let refused = town.as_agent("deacon").gt(&format!("update {id} --claim")).fails_with(5);
    assert!(refused.stderr.contains("held by mayor"));
    town.gt(&format!("update {id} --assignee deacon")).fails_with(4);
    town.gt(&format!("update {id} --status open")).succeeds();
    assert_eq!(town.show(&id).get("assignee"), None);
    town.as_agent("deacon").gt(&format!("bd update {id} --status in_progress")).succeeds();
    assert_eq!(town.show(&id)["assignee"], "deacon");
}

#[test]
fn of_many_claims_at_once_exactly_one_wins() {
    let town = two_rigs();
    let id = create(&town, "Prize --rig widgets");
    let racer = |n: usize| {
        let who = ["mayor", "deacon", "widgets/witness", "widgets/refinery", "gadgets/witness", "overseer"][n % 6];
        town.as_agent(who).command(&["update", &id, "--claim"]).spawn().unwrap()
    };
    let codes: Vec<i32> =
        (0..6).map(racer).collect::<Vec<_>>().into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 5).count(), 5, "{codes:?}");
}

#[test]
fn moves_that_are_not_lawful_are_refused_with_what_helps() {
    let town = two_rigs();
    let id = create(&town, "Work --rig widgets");
    assert!(hint(&town.gt(&format!("update {id} --status hooked")).fails_with(4)).contains("gt sling"));
    assert!(hint(&town.gt(&format!("update {id} --status in_review")).fails_with(4)).contains("gt done"));
    town.gt(&format!("update {id} --status blocked")).succeeds();
    town.gt(&format!("update {id} --status pinned")).fails_with(4);
    town.gt(&format!("close {id} --reason 'not needed'")).succeeds();
    let bead = town.show(&id);
    assert_eq!((bead["closed_by"].as_str(), bead["close_reason"].as_str()), (Some("overseer"), Some("not needed")));
    assert!(bead["closed_at"].is_string());
    assert!(hint(&town.gt(&format!("update {id} --claim")).fails_with(4)).contains("reopen"));
    assert!(town.gt(&format!("close {id}")).succeeds().stdout.contains("already"));
    town.gt(&format!("bead reopen {id} --reason 'needed after all'")).succeeds();
    let bead = town.show(&id);
    assert_eq!((bead["status"].as_str(), bead.get("closed_at")), (Some("open"), None));
    assert_eq!(bead["comments"][0]["text"], "needed after all");
}

#[test]
fn one_bead_that_may_not_close_keeps_the_others_of_its_scope_open() {
    let town = two_rigs();
    let (a, b) = (create(&town, "A --rig widgets"), create(&town, "B --rig widgets"));
    put(&town, "widgets", &bead_path(&b), |bead| bead["status"] = "in_review".into());
    let refused = town.gt(&format!("close {a} {b}")).fails_with(4);
    assert!(hint(&refused).contains("gt mq why"), "{}", refused.stderr);
    assert_eq!(town.status(&a), "open");
    town.gt(&format!("update {b} --status open")).fails_with(4);
}

#[test]
fn closing_a_bead_takes_it_off_its_hook() {
    let town = two_rigs();
    let id = create(&town, "Work --rig widgets");
    put(&town, "widgets", &bead_path(&id), |bead| {
        bead["status"] = "hooked".into();
        bead["assignee"] = "widgets/polecats/toast".into();
    });
    let hook = serde_json::json!({"v": 1, "agent": "widgets/polecats/toast", "bead": id, "slung_by": "overseer",
        "slung_at": "2026-01-01T00:00:00.000Z", "machine": "m", "rev": "1@m"});
    write(&town, "widgets", "hooks/widgets%2Fpolecats%2Ftoast.json", &format!("{hook:#}\n"));
    town.gt(&format!("close {id}")).succeeds();
    let paths =
        town.git(&town.root.join("widgets"), &["--git-dir", ".repo.git", "ls-tree", "-r", "--name-only", "refs/gt/ledger"]);
    assert!(!paths.contains("hooks/"), "{paths}");
}

#[test]
fn fields_are_changed_one_by_one_and_unknown_ones_survive() {
    let town = two_rigs();
    let id = create(&town, "Work --rig widgets -l a,b");
    put(&town, "widgets", &bead_path(&id), |bead| bead["colour"] = "red".into());
    town.gt(&format!("update {id} --title Better -p 0 --add-label c --remove-label a --append-notes one")).succeeds();
    town.gt(&format!("update {id} --append-notes two -t chore --design Plan")).succeeds();
    let bead = town.show(&id);
    assert_eq!((bead["title"].as_str(), bead["priority"].as_u64()), (Some("Better"), Some(0)));
    assert_eq!(bead["labels"], serde_json::json!(["b", "c"]));
    assert_eq!((bead["notes"].as_str(), bead["design"].as_str()), (Some("one\ntwo"), Some("Plan")));
    assert_eq!((bead["issue_type"].as_str(), bead["colour"].as_str()), (Some("chore"), Some("red")));
    let before = tip(&town, "widgets");
    town.gt(&format!("update {id} --title Better")).succeeds();
    assert_eq!(tip(&town, "widgets"), before, "a change that changes nothing writes nothing");
}

#[test]
fn a_blob_that_is_no_json_damages_that_bead_alone() {
    let town = two_rigs();
    let (good, bad) = (create(&town, "Good --rig widgets"), create(&town, "Bad --rig widgets"));
    write(&town, "widgets", &bead_path(&bad), "this is no JSON\n");
    let list = town.gt("--json list --rig widgets").succeeds();
    assert!(list.stderr.contains(&format!("damaged: {}", bead_path(&bad))), "{}", list.stderr);
    assert_eq!(ids(list), std::slice::from_ref(&good));
    assert_eq!(ids(town.gt("--json ready --rig widgets")), std::slice::from_ref(&good));
    town.gt(&format!("show {bad}")).fails_with(70);
    let before = tip(&town, "widgets");
    town.gt(&format!("close {bad}")).fails_with(70);
    assert_eq!(tip(&town, "widgets"), before);
    town.gt(&format!("close {good}")).succeeds();
}

#[test]
fn called_as_bd_the_program_is_gt_bead() {
    let town = two_rigs();
    let bd = town.base().join("bd");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gt"), &bd).unwrap();
    let run = |args: &[&str]| {
        let output = town.command(bd.to_str().unwrap(), &town.root).args(args).output().unwrap();
        Outcome::of(format!("bd {}", args.join(" ")), output).succeeds().stdout
    };
    let id = run(&["q", "Filed by an old habit", "--prefix", "widgets"]);
    assert!(id.trim_end().starts_with("wi-"));
    assert!(run(&["show", id.trim_end()]).contains("Filed by an old habit"));
    assert_eq!(serde_json::from_str::<Value>(&run(&["--json", "ready"])).unwrap()[0]["id"], id.trim_end());
}

/// Where a bead lies.
pub fn bead_path(id: &str) -> String {
    gastown::ledger::tree::bead(&id.parse().unwrap())
}

/// Changes a record behind gt's back.
pub fn put(town: &Town, scope: &str, path: &str, edit: impl Fn(&mut Value)) {
    let text = town.git(&town.root.join(scope), &["--git-dir", ".repo.git", "show", &format!("refs/gt/ledger:{path}")]);
    let mut record: Value = text.parse().unwrap();
    edit(&mut record);
    write(town, scope, path, &format!("{record:#}\n"));
}

/// Writes a blob into a ledger with plain git, as a hand or a broken disk might.
pub fn write(town: &Town, scope: &str, path: &str, text: &str) {
    let dir = town.root.join(scope);
    let git = |args: &[&str]| {
        let args: Vec<&str> = ["--git-dir", ".repo.git"].iter().chain(args).copied().collect();
        let mut command = town.command("git", &dir);
        let output = command.env("GIT_INDEX_FILE", town.base().join("hand.index")).args(&args).output().unwrap();
        Outcome::of(format!("git {}", args.join(" ")), output).succeeds().stdout.trim_end().to_owned()
    };
    let file = town.base().join("hand.blob");
    std::fs::write(&file, text).unwrap();
    let blob = git(&["hash-object", "-w", "--", Path::new(&file).to_str().unwrap()]);
    git(&["read-tree", "refs/gt/ledger"]);
    git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]);
    let (tree, tip) = (git(&["write-tree"]), git(&["rev-parse", "refs/gt/ledger"]));
    // One clock above its parent, as each commit of a ledger.
    let clock: u64 = git(&["log", "-1", "--format=%(trailers:key=Gt-Rev,valueonly)", &tip]).trim().parse().unwrap();
    let message = format!("by hand\n\nGt-Rev: {}", clock + 1);
    let commit = git(&["commit-tree", &tree, "-p", &tip, "-m", &message]);
    git(&["update-ref", "refs/gt/ledger", &commit, &tip]);
}
