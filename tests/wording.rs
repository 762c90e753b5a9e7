//! What commands say to people: nothing that changed goes untold, nothing that did not is told as changed, and wrong words
//! are answered with where they stand and what would be right.

use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs};
use crate::convoys::convoy;
use crate::many::with_input;
use crate::town::{Town, text_at};

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

fn error(town: &Town, line: &str, code: i32) -> String {
    town.gt(line).fails_with(code).stderr
}

#[test]
fn what_a_command_answers_has_the_rev_that_was_written() {
    let town = two_rigs();
    let made = answer(&town, "create Work --rig widgets");
    let id = text_at(&made, &["/id"]);
    assert_eq!(made["rev"], town.show(&id)["rev"]);
    let changes = ["update {} -p 0", "update {} -p 0", "update {} --claim", "close {}", "bead reopen {}", "bead assign {} mayor"];
    for line in changes {
        let changed = answer(&town, &line.replace("{}", &id))[0].clone();
        let shown = town.show(&id);
        assert_eq!((&changed["rev"], &changed["revs"]), (&shown["rev"], &shown["revs"]), "{line}");
    }
    assert_eq!(create(&town, "Child --parent PARENT".replace("PARENT", &id).as_str()), format!("{id}.1"));
}

#[test]
fn a_close_tells_of_the_convoys_that_it_lands_completes_and_feeds() {
    let (town, rig) = Town::with_rig();
    let (first, second) = (town.bead(&rig, "First"), create(&town, "Second --rig widgets"));
    town.gt(&format!("bead dep add {second} {first}")).succeeds();
    let fed = text_at(&answer(&town, &format!("convoy stage {first} {second}")), &["/id"]);
    town.gt(&format!("convoy launch {fed} --no-start")).succeeds();
    let page = town.gt(&format!("close {first} -r done")).succeeds().stdout;
    assert!(page.contains(&format!("convoy {fed} waits")) && page.contains(&format!("slung {second}")), "{page}");
    let closed = answer(&town, &format!("close {second} -r done"));
    assert_eq!(
        (closed[0]["convoys"][0]["id"].as_str(), closed[0]["convoys"][0]["outcome"].as_str()),
        (Some(fed.as_str()), Some("landed"))
    );
    let (plain, owned) = (create(&town, "A --rig hq"), create(&town, "B --rig hq"));
    let (lands, waits) = (convoy(&town, &format!("Lands {plain}")), convoy(&town, &format!("Waits {owned} --owned")));
    let page = town.gt(&format!("close {plain} {owned} -r done")).succeeds().stdout;
    assert!(page.contains(&format!("convoy {lands} has landed: Lands\n  told overseer")), "{page}");
    assert!(page.contains(&format!("convoy {waits} is complete")) && page.contains(&format!("gt convoy land {waits}")), "{page}");
    let (other, free) = (create(&town, "C --rig hq"), create(&town, "D --rig hq"));
    let lands = convoy(&town, &format!("Lands {other}"));
    let doubled = answer(&town, &format!("bead duplicate {other} --of {free}"));
    assert_eq!(doubled["convoys"][0]["id"], lands.as_str());
    assert_eq!(answer(&town, &format!("close {free} -r done"))[0].get("convoys"), None, "nothing to tell");
    let (last, free) = (create(&town, "F --rig hq"), create(&town, "G --rig widgets"));
    let (lands, too) = (convoy(&town, &format!("Lands {last}")), convoy(&town, &format!("Too {free}")));
    let said = town.gt(&format!("update {last} {free} -s closed")).succeeds().stderr;
    assert!(said.contains(&format!("convoy {lands} has landed")) && said.contains(&format!("convoy {too} has landed")), "{said}");
    let followed = answer(&town, &format!("close {} -r done --suggest-next", create(&town, "E --rig hq")));
    assert_eq!(followed["closed"][0].get("convoys"), None);
}

#[test]
fn a_launch_that_changes_how_a_convoy_is_fed_says_so() {
    let (town, rig) = Town::with_rig();
    let id = town.bead(&rig, "First");
    let later = create(&town, &format!("Second --deps {id} --rig widgets"));
    let staged = text_at(&answer(&town, &format!("convoy stage {id} {later}")), &["/id"]);
    let launch = |words: &str| answer(&town, &format!("convoy launch {staged} {words}"));
    let first = launch("--no-start");
    assert_eq!((first["only_assign"].as_bool(), &first["before"]), (Some(true), &Value::Null));
    let second = launch("");
    assert_eq!((&second["only_assign"], &second["before"]), (&json!(false), &json!({"only_assign": true, "home": null})));
    let page = town.gt(&format!("convoy launch {staged} --no-start")).succeeds().stdout;
    assert!(page.contains("again") && page.contains("only assigned from now on (--no-start)"), "{page}");
    let page = town.gt(&format!("convoy launch {staged} --no-start")).succeeds().stdout;
    assert!(page.contains("again") && !page.contains("from now on"), "{page}");
}

#[test]
fn what_was_so_before_is_told_as_what_it_is() {
    let town = two_rigs();
    let (inside, outside) = (create(&town, "A --rig widgets"), create(&town, "B --rig widgets"));
    let id = convoy(&town, &format!("Parts {inside}"));
    let said = |line: &str| town.gt(line).succeeds().stdout;
    assert_eq!(said(&format!("convoy remove {id} {outside}")), format!("{outside} is not tracked by {id}\n"));
    assert_eq!(said(&format!("convoy add {id} {inside}")), format!("{inside} is tracked by {id} already\n"));
    let both = said(&format!("convoy add {id} {inside} {outside}"));
    assert!(both.contains(&format!("tracks {outside} too, 2 beads in all\n{inside} is tracked by")), "{both}");
    assert_eq!(said(&format!("convoy unwatch {id} mayor")), format!("mayor does not watch {id}\n"));
    let status = said(&format!("convoy status {id}"));
    assert_eq!(status.matches("0/2").count(), 1, "{status}");
    let emptied = |words: &str| town.here().var("EDITOR", "truncate -s 0").gt(&format!("--json bead edit {words}"));
    town.gt(&format!("update {inside} -d 'It leaks'")).succeeds();
    let before = tip(&town, "widgets");
    for words in [inside.clone(), format!("{inside} -d"), format!("{inside} --title")] {
        let outcome = emptied(&words);
        assert!(outcome.stderr.contains("--clear"), "{}", outcome.stderr);
        assert_eq!(outcome.json(), json!({"id": inside, "changed": false}));
    }
    let touched = town.here().var("EDITOR", "sed -i -e s/^#.*//").gt(&format!("--json bead edit {inside}"));
    assert_eq!(touched.json(), json!({"id": inside, "changed": false}), "remarks are no change");
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn wrong_words_are_answered_with_their_place_and_what_would_be_right() {
    let (town, rig) = Town::with_rig();
    let id = town.bead(&rig, "Work");
    let batch = |line: &str| with_input(&town, &["bead", "batch"], &format!("\n{line}\n")).fails_with(2).stderr;
    let said = batch(r#"{"op": "create", "title": "x", "due_at": "soon"}"#);
    assert!(said.contains("line 2: due_at: ") && said.contains("2026-12-01T"), "{said}");
    let said = batch(r#"{"op": "create", "title": "x", "notes": "n", "priority": "soon"}"#);
    assert!(said.contains("line 2: priority: ") && !said.contains("u8"), "{said}");
    let said = batch(r#"{"op": "create", "title": "x""#);
    assert!(said.contains("line 2: it is no JSON object") && !said.contains("line 1 "), "{said}");
    assert!(batch(r#"{"op": "create", "titel": "x"}"#).contains("line 2: unknown field `titel`"));
    assert!(batch(r#"{"op": "create"}"#).contains("line 2: missing field `title`"));
    let file = town.base().join("plan.md");
    for (text, place) in
        [("## A\n### Type\nbug\n\n### Priority\nhighest\n", "line 5: "), ("\n## A\n## B\n### Deps\nwi-zzzzz\n", "line 4: ")]
    {
        std::fs::write(&file, text).unwrap();
        let refused = town.gt_args(&["create", "-f", file.to_str().unwrap(), "--rig", "widgets"]);
        assert!(refused.stderr.contains(place) && !refused.stderr.contains("gt help"), "{}", refused.stderr);
    }
    assert!(error(&town, "list --format '{id'", 2).contains("no closing brace"));
    assert!(error(&town, "label add x y", 2).contains("hint: gt bead label\n"));
    assert!(error(&town, "convoy foo", 2).contains("hint: gt convoy --help"));
    assert!(error(&town, "list --foo", 2).contains("hint: gt list --help"));
    assert!(error(&town, "log --town --rig widgets", 2).contains("hint: gt log --help"));
    assert!(error(&town, &format!("bead label add {id} wet cold"), 3).contains("stands last"));
    let said = error(&town, "schema label", 3);
    assert!(said.contains("several") && said.contains("add, remove, list, list-all"), "{said}");
    assert!(error(&town, "schema zork", 3).contains("there is no command 'zork'"));
    assert_eq!(town.gt("schema gt list").succeeds().stdout, town.gt("schema bd list").succeeds().stdout);
    let said = error(&town, &format!("bead epic status {id}"), 4);
    assert!(said.contains("is a task, not an epic"), "{said}");
    create(&town, "Big -t epic --rig widgets");
    let lint = town.gt("bead lint --rig widgets").fails_with(1).stdout;
    assert!(lint.contains("as an epic should") && !lint.contains("a epic"), "{lint}");
}

#[test]
fn an_export_makes_no_directory() {
    let town = two_rigs();
    create(&town, "Work --rig widgets");
    let file = town.base().join("not/there/beads.jsonl");
    let refused = town.gt_args(&["bead", "export", "--all", "-o", file.to_str().unwrap()]).fails_with(3);
    assert!(refused.stderr.contains("there is no directory") && !town.base().join("not").exists(), "{}", refused.stderr);
    town.gt_args(&["bead", "export", "--all", "-o", town.base().join("beads.jsonl").to_str().unwrap()]).succeeds();
}

#[test]
fn where_there_is_nothing_people_are_told_so_beside_the_page_and_programs_get_an_empty_list() {
    let town = two_rigs();
    let id = create(&town, "Work --rig widgets");
    let lines = [
        "list -t bug".to_owned(),
        "search zork".to_owned(),
        "blocked".to_owned(),
        "stale".to_owned(),
        format!("bead label list {id}"),
        "bead label list-all --all".to_owned(),
        format!("bead comment list {id}"),
        format!("bead children {id}"),
        "bead kv list".to_owned(),
        "bead deleted".to_owned(),
        "bead epic status".to_owned(),
        "bead epic close-eligible".to_owned(),
        "bead duplicates --all".to_owned(),
        "bead orphans".to_owned(),
        "bead dep cycles".to_owned(),
        "convoy list".to_owned(),
        "convoy status".to_owned(),
        "convoy stranded".to_owned(),
    ];
    for line in &lines {
        let outcome = town.gt(line).succeeds();
        assert_eq!(outcome.stdout, "", "{line}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{line}: {}", outcome.stderr);
        assert_eq!(town.gt(&format!("-q {line}")).succeeds().stderr, "", "{line}");
        let empty = answer(&town, line);
        assert!(empty == json!([]) || empty == json!({}), "{line}: {empty}");
    }
    let one = town.gt(&format!("bead state {id} patrol")).fails_with(1);
    assert_eq!((one.stdout.as_str(), one.stderr.as_str()), ("", "it has no such state\n"));
}

#[test]
fn help_has_the_options_of_the_verb_first_and_those_of_every_command_last() {
    let town = two_rigs();
    for line in ["list --help", "bead label add --help", "convoy launch --help"] {
        let help = town.gt(line).succeeds().stdout;
        let of_all = help.find("Options of every command:").unwrap();
        assert!(help.find("Options:").unwrap() < of_all, "{help}");
        assert!(help[of_all..].contains("--json") && !help[..of_all].contains("--json"), "{help}");
        assert_eq!(help.lines().rfind(|line| line.ends_with(':') && !line.starts_with(' ')), Some("Options of every command:"));
    }
}

#[test]
fn a_thread_tells_the_description_once() {
    let town = two_rigs();
    let id = create(&town, "Question -d 'Where does it leak?' --rig widgets");
    town.gt_args(&["bead", "comment", &id, "At the seal"]).succeeds();
    let page = town.gt(&format!("show {id} --thread")).succeeds().stdout;
    assert_eq!((page.matches("Where does it leak?").count(), page.matches("At the seal").count()), (1, 1), "{page}");
    assert_eq!(town.gt(&format!("show {id}")).succeeds().stdout.matches("Where does it leak?").count(), 1);
}

#[test]
fn a_target_that_nobody_pushes_is_told_with_how_far_it_is_from_origin() {
    let town = Town::new();
    let origin = town.project("widgets");
    let added = town.gt_args(&["rig", "add", "widgets", origin.to_str().unwrap()]).succeeds().stdout;
    assert!(added.contains("what lands stays on its own main") && added.contains("--land origin"), "{added}");
    let git_dir = town.root.join("widgets/.repo.git");
    let said = || (town.gt("status").succeeds().stdout, town.gt("mq status --rig widgets").succeeds().stdout);
    let (status, queue) = said();
    assert!(status.contains("target: not pushed to origin; origin/main, as last fetched, is the same"), "{status}");
    assert!(queue.contains("not pushed to origin") && queue.contains("--land origin of gt rig add"), "{queue}");
    let on_top = |of: &str| town.git(&git_dir, &["commit-tree", &format!("{of}^{{tree}}"), "-p", of, "-m", "More"]);
    let here = on_top("refs/heads/main");
    town.git(&git_dir, &["update-ref", "refs/heads/main", &here]);
    assert!(said().0.contains("1 commit ahead of origin/main"), "{}", said().0);
    let there = on_top(&on_top("refs/remotes/origin/main"));
    town.git(&git_dir, &["update-ref", "refs/remotes/origin/main", &there]);
    assert!(
        said().1.contains("gone apart from origin/main, as last fetched: 1 commit only here, 2 commits only there"),
        "{}",
        said().1
    );
    let origin = answer(&town, "status")["rigs"][0]["origin"].clone();
    assert_eq!(origin, json!({"is_pushed": false, "ahead": 1, "behind": 2}));
    assert_eq!(answer(&town, "mq status --rig widgets")["targets"][0]["origin"], origin);
    town.rig("gadgets");
    let status = town.gt("status").succeeds().stdout;
    assert!(status.contains("rig gadgets → origin/main"), "{status}");
    let queue = town.gt("mq status --rig gadgets").succeeds().stdout;
    assert!(queue.contains("what lands is pushed to origin/main") && !queue.contains("--land"), "{queue}");
}

#[test]
fn an_orphan_is_found_where_only_origin_has_the_commit() {
    let town = two_rigs();
    let (here, there) = (create(&town, "Here --rig widgets"), create(&town, "There --rig widgets"));
    let git_dir = town.root.join("widgets/.repo.git");
    for (id, name) in [(&here, "refs/heads/main"), (&there, "refs/remotes/origin/main")] {
        let text = format!("Mend it ({id})");
        let commit = town.git(&git_dir, &["commit-tree", &format!("{name}^{{tree}}"), "-p", name, "-m", &text]);
        town.git(&git_dir, &["update-ref", name, &commit]);
    }
    let mut found = crate::beads::ids(town.gt("--json bead orphans --rig widgets"));
    found.sort();
    let mut both = vec![here, there];
    both.sort();
    assert_eq!(found, both);
    town.git(&git_dir, &["update-ref", "-d", "refs/remotes/origin/main"]);
    assert_eq!(crate::beads::ids(town.gt("--json bead orphans --rig widgets")).len(), 1);
}

#[test]
fn a_sling_says_when_a_convoy_that_is_there_keeps_it_from_being_owned() {
    let (town, rig) = Town::with_rig();
    let (tracked, free) = (town.bead(&rig, "Tracked"), town.bead(&rig, "Free"));
    let id = convoy(&town, &format!("Parts {tracked}"));
    let slung = answer(&town, &format!("sling {tracked} widgets --no-start --owned"));
    assert_eq!(slung["convoy"], id.as_str());
    assert!(slung["convoy_note"].as_str().unwrap().contains(&format!("{id} tracked it before")), "{slung}");
    let page = town.gt(&format!("sling {tracked} widgets --no-start --owned")).succeeds().stdout;
    assert!(page.contains("--owned was left undone"), "{page}");
    let slung = answer(&town, &format!("sling {free} widgets --no-start --owned"));
    assert_eq!(slung.get("convoy_note"), None);
    assert_eq!(answer(&town, &format!("sling {free} widgets --no-start --owned")).get("convoy_note"), None, "it is owned");
}

#[test]
fn a_landing_tells_of_the_convoys_that_land_and_are_fed_with_it() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "true", "--rig", "widgets"]).succeeds();
    let first = town.bead(&rig, "First");
    let second = create(&town, &format!("Second --deps {first} --rig widgets"));
    let parts = convoy(&town, &format!("Parts {first}"));
    let staged = text_at(&answer(&town, &format!("convoy stage {first} {second}")), &["/id"]);
    town.gt(&format!("convoy launch {staged} --no-start")).succeeds();
    let worktree = town.root.join("widgets/polecats/furiosa");
    std::fs::write(worktree.join("new.txt"), "new\n").unwrap();
    town.as_agent("widgets/polecats/furiosa").gt("done --commit -m 'Mend it'").succeeds();
    let ran = town.gt("--json mq run --once --rig widgets").succeeds();
    let drained: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&drained["convoys"], &drained["slung"]), (&json!([parts]), &json!([second])));
    assert!(ran.stderr.contains(&format!("convoy {parts} has landed: Parts")), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("slung {second} of convoy {staged}")), "{}", ran.stderr);
}
