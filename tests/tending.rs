//! What follows a close, what was said around a bead, and the verbs that look for what is wrong or keep small words.

use serde_json::{Value, json};

use crate::beads::{bead_path, create, ids, put, tip, two_rigs, write};
use crate::town::{Outcome, Town};

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// The document of a command that ended with another code than 0.
fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_close_tells_what_it_sets_free_and_goes_on_with_the_next() {
    let town = two_rigs();
    let parent = make(&town, "Parent -t epic");
    let first = make(&town, &format!("First --parent {parent}"));
    let second = make(&town, &format!("Second --parent {parent} --deps {first}"));
    let far = create(&town, &format!("Far --rig gadgets --deps {first} -p 1"));
    let apart = make(&town, "Apart");
    let told = answer(&town, &format!("close {apart} --suggest-next --reason done"));
    assert_eq!(
        (names(&told["closed"], "id"), told["unblocked"].clone(), &told["continued"]),
        (vec![apart], json!([]), &Value::Null)
    );
    let told = answer(&town, &format!("close {first} --continue"));
    assert_eq!(names(&told["unblocked"], "id"), [far.clone(), second.clone()]);
    assert_eq!(
        (told["continued"]["id"].as_str(), told["continued"]["status"].as_str()),
        (Some(second.as_str()), Some("in_progress"))
    );
    assert_eq!(town.show(&second)["assignee"], "overseer");
    let last = town.gt(&format!("close {second} --continue")).succeeds();
    assert!(last.stderr.contains("no further bead"), "{}", last.stderr);
    let page = town.gt(&format!("close {far} --suggest-next")).succeeds().stdout;
    assert!(page.contains("is closed") && !page.contains("now ready"), "{page}");
    town.gt("close wi-nope1 --suggest-next").fails_with(3);
    let held = make(&town, "Held");
    town.gt(&format!("bead pin {held}")).succeeds();
    let before = tip(&town, "widgets");
    town.gt(&format!("close {held} --continue")).fails_with(4);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn what_goes_on_is_the_most_urgent_that_is_free() {
    let town = two_rigs();
    let parent = make(&town, "Parent -t epic");
    let part = |words: &str| make(&town, &format!("{words} --parent {parent}"));
    let first = part("First");
    part("Later -p 3");
    let next = part("Next -p 1");
    let freed = part(&format!("Freed -p 2 --deps {first}"));
    part(&format!("'Waits still' -p 0 --deps {next}"));
    part("Taken -p 0 --assignee mayor");
    let aside = part("Aside -p 0");
    town.gt(&format!("bead defer {aside}")).succeeds();
    make(&town, "'Of nobody' -p 0");
    let told = answer(&town, &format!("close {first} --continue"));
    assert_eq!(names(&told["unblocked"], "id"), [freed], "what was ready before is not told");
    assert_eq!(
        (told["continued"]["id"].as_str(), told["continued"]["assignee"].as_str()),
        (Some(next.as_str()), Some("overseer"))
    );
    // Closed already: nothing is set free, and nothing of it goes wrong.
    assert_eq!(answer(&town, &format!("close {first} --suggest-next"))["unblocked"], json!([]));
}

#[test]
fn lint_knows_hooks_and_parents_and_what_is_said_elsewhere() {
    let town = two_rigs();
    let open = make(&town, "Open -d Text");
    make(&town, "Wanted -t feature -d 'Acceptance: it holds water'");
    make(&town, "Said -t bug -d Text --acceptance Dry");
    let closed = make(&town, "Closed -d Text");
    town.gt(&format!("close {closed} --reason 'not needed'")).succeeds();
    let parent = make(&town, "Parent -d Text");
    let child = make(&town, &format!("Child -d Text --parent {parent}"));
    let hook = |agent: &str, bead: &str| {
        let record = json!({"v": 1, "agent": format!("widgets/polecats/{agent}"), "bead": bead, "slung_by": "overseer",
            "slung_at": "2026-01-01T00:00:00.000Z", "machine": "m", "rev": "1@m"});
        write(&town, "widgets", &format!("hooks/widgets%2Fpolecats%2F{agent}.json"), &format!("{record:#}\n"));
    };
    town.gt("bead lint --rig widgets").succeeds();
    hook("toast", &open);
    hook("nux", "wi-gone1");
    put(&town, "widgets", &bead_path(&child), |bead| bead["parent"] = json!("wi-gone2"));
    let found = document(&town.gt("--json bead lint --rig widgets").ends_with(1));
    let told: Vec<(String, String)> = names(&found, "id").into_iter().zip(names(&found, "rule")).collect();
    let mut wanted = vec![(child, "dangling"), (open.clone(), "no-hook"), ("wi-gone1".to_owned(), "no-hook")];
    wanted.sort();
    assert_eq!(told, wanted.into_iter().map(|(id, rule)| (id, rule.to_owned())).collect::<Vec<_>>());
    let only = document(&town.gt(&format!("--json bead lint {open}")).ends_with(1));
    assert_eq!(names(&only, "id"), [open], "only what was asked for");
}

#[test]
fn a_bead_is_shown_with_all_that_leans_on_it_and_all_that_was_said() {
    let town = two_rigs();
    let question = make(&town, "Which -t question -d 'North or south?'");
    let reply = create(&town, &format!("North --rig gadgets -d 'It is nearer.' --deps replies-to:{question}"));
    let second = make(&town, &format!("Agreed --deps replies-to:{reply}"));
    town.gt(&format!("bead comment add {question} Hm")).succeeds();
    let child = make(&town, &format!("Child --parent {question}"));
    let said = answer(&town, &format!("show {second} --thread"))[0]["thread"].clone();
    assert_eq!(names(&said, "issue_id"), [question.clone(), question.clone(), reply.clone(), second.clone()]);
    let depths: Vec<u64> = said.as_array().unwrap().iter().map(|one| one["depth"].as_u64().unwrap()).collect();
    assert_eq!((depths, said[1]["text"].as_str()), (vec![0, 1, 1, 2], Some("Hm")));
    assert!(town.gt(&format!("show {reply} --thread")).succeeds().stdout.contains("North or south?"));
    let long = answer(&town, &format!("show {question} --long"))[0].clone();
    assert_eq!((names(&long["needed_by"], "id"), names(&long["family"], "title")), (vec![reply], vec!["Child".to_owned()]));
    let page = town.gt(&format!("show {question} --long")).succeeds().stdout;
    assert!(page.contains(&format!("child {child} (open): Child")) && page.contains("replies-to"), "{page}");
    assert_eq!(answer(&town, &format!("show {question}"))[0].get("thread"), None);
}

#[test]
fn lint_tells_what_is_wanting_and_ends_with_one() {
    let town = two_rigs();
    let good = make(&town, "Good -d Text");
    assert_eq!(town.gt("--json bead lint --rig widgets").json(), json!([]));
    let bare = make(&town, "Bare");
    let bug = make(&town, "'Leaks, badly' -t bug -d Text");
    let twin = make(&town, "'leaks badly' -d Text");
    let closed = make(&town, "Closed -d Text");
    town.gt(&format!("close {closed}")).succeeds();
    let edge = make(&town, &format!("Edge -d Text --deps {good}"));
    put(&town, "widgets", &bead_path(&edge), |bead| bead["dependencies"][0]["depends_on_id"] = json!("wi-gone1"));
    let hooked = make(&town, "Hooked -d Text");
    put(&town, "widgets", &bead_path(&hooked), |bead| bead["status"] = json!("hooked"));
    let broken = make(&town, "Broken -d Text");
    write(&town, "widgets", &bead_path(&broken), "no JSON\n");
    let found = document(&town.gt("--json bead lint --rig widgets").ends_with(1));
    let mut told: Vec<(String, String)> = names(&found, "id").into_iter().zip(names(&found, "rule")).collect();
    told.sort();
    let mut wanted: Vec<(String, String)> = [
        (&bare, "no-description"),
        (&bug, "no-acceptance"),
        (&bug, "title-twice"),
        (&twin, "title-twice"),
        (&closed, "no-reason"),
        (&edge, "dangling"),
        (&hooked, "no-hook"),
        (&bead_path(&broken), "damaged"),
    ]
    .into_iter()
    .map(|(id, rule)| (id.clone(), rule.to_owned()))
    .collect();
    wanted.sort();
    assert_eq!(told, wanted);
    assert!(town.gt(&format!("bead lint {bare}")).ends_with(1).stdout.contains("what is to be done"));
    town.gt(&format!("bead lint {good}")).succeeds();
    town.gt("bead lint wi-nope1").fails_with(3);
    town.gt("bead lint --rig nowhere").fails_with(3);
}

#[test]
fn what_is_alike_is_told_in_pairs() {
    let town = two_rigs();
    let a = make(&town, "'Mend the leaking pump in the hall'");
    let b = make(&town, "'Mend leaking pump in hall'");
    let c = create(&town, "'Mend the leaking pump in the hall!' --rig gadgets");
    make(&town, "'Paint the fence'");
    let pairs = answer(&town, "bead duplicates --all");
    let mut both: Vec<(String, String)> = names(&pairs, "id").into_iter().zip(names(&pairs, "other_id")).collect();
    both.sort();
    let mut wanted = vec![(a.clone(), b.clone()), (a.clone(), c.clone()), (b.clone(), c.clone())];
    wanted.sort();
    assert_eq!(both, wanted);
    assert_eq!((pairs[0]["other_id"].as_str(), pairs[0]["likeness"].as_u64()), (Some(c.as_str()), Some(100)));
    assert_eq!(names(&answer(&town, "bead duplicates --rig widgets"), "other_id"), std::slice::from_ref(&b));
    // Five of six words: the threshold is reached exactly, and not by one more.
    assert_eq!(answer(&town, "bead duplicates --rig widgets")[0]["likeness"], 83);
    assert_eq!(names(&answer(&town, "bead duplicates --rig widgets --threshold 83"), "id"), std::slice::from_ref(&a));
    assert_eq!(answer(&town, "bead duplicates --rig widgets --threshold 84"), json!([]));
    // Descriptions that differ are a third of it: two thirds of a hundred.
    let twins = [make(&town, "'Oil a hinge' -d 'squeaky door'"), make(&town, "'Oil a hinge' -d 'rusty gate'")];
    let pairs = answer(&town, "bead duplicates --rig widgets --title-contains hinge");
    assert_eq!((names(&pairs, "other_id"), &pairs[0]["likeness"]), (vec![twins[1].clone()], &json!(66)));
    town.gt(&format!("close {}", twins[0])).succeeds();
    assert_eq!(answer(&town, "bead duplicates --all -n 1").as_array().unwrap().len(), 1);
    town.gt(&format!("bead duplicate {b} --of {a}")).succeeds();
    assert_eq!(names(&answer(&town, "bead duplicates --all"), "other_id"), [c], "a closed one is told no more");
    town.gt("bead duplicates --threshold 0").fails_with(2);
}

#[test]
fn open_beads_that_commits_name_are_orphans() {
    let (town, rig) = Town::with_rig();
    let (open, closed, other) = (town.bead(&rig, "Open"), town.bead(&rig, "Closed"), town.bead(&rig, "Other"));
    town.gt(&format!("close {closed} --reason done")).succeeds();
    let git = |args: &[&str]| town.git(&rig.dir, &[&["--git-dir", ".repo.git"], args].concat());
    let branch = git(&["symbolic-ref", "HEAD"]);
    let commit = |message: &str| {
        let (tip, tree) = (git(&["rev-parse", &branch]), git(&["rev-parse", &format!("{branch}^{{tree}}")]));
        let made = git(&["commit-tree", &tree, "-p", &tip, "-m", message]);
        git(&["update-ref", &branch, &made]);
        made
    };
    commit(&format!("Mend it ({open})\n\nCloses {closed}."));
    // Words that only begin like an id, epics, and what is in review are none.
    let (epic, handed) = (create(&town, "Epic -t epic --rig widgets"), town.bead(&rig, "Handed"));
    put(&town, "widgets", &bead_path(&handed), |bead| bead["status"] = json!("in_review"));
    commit(&format!("Of {other}x, x{other}, {epic} and {handed}"));
    let newest = commit(&format!("More of {open}"));
    let found = answer(&town, "bead orphans");
    assert_eq!((names(&found, "id"), names(&found, "subject")), (vec![open.clone()], vec![format!("More of {open}")]));
    assert!(newest.starts_with(found[0]["commit"].as_str().unwrap()));
    assert!(town.gt("bead orphans").succeeds().stdout.contains("named by"));
    town.gt(&format!("close {open} --reason landed")).succeeds();
    assert_eq!(answer(&town, "bead orphans"), json!([]));
    assert_eq!(town.status(&other), "open");
    town.gt("bead orphans --rig nowhere").fails_with(3);
}

#[test]
fn rings_are_found_over_scopes() {
    let town = two_rigs();
    let (a, b) = (make(&town, "A"), make(&town, "B"));
    let far = create(&town, &format!("Far --rig gadgets --deps {b}"));
    town.gt(&format!("bead dep add {b} {a}")).succeeds();
    assert_eq!(answer(&town, "bead dep cycles"), json!([]));
    // What no command would do, two machines can.
    put(&town, "widgets", &bead_path(&a), |bead| {
        bead["dependencies"] =
            json!([{"issue_id": a, "depends_on_id": far, "type": "blocks", "created_at": "2026-01-01T00:00:00.000Z"}]);
    });
    let ring = document(&town.gt("--json bead dep cycles").ends_with(1));
    let ring: Vec<&str> = ring[0].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!((ring.len(), ring.first() == ring.last()), (4, true), "{ring:?}");
    assert!(town.gt("bead dep cycles").ends_with(1).stdout.contains(" → "));
    town.gt(&format!("bead dep remove {a} {far}")).succeeds();
    town.gt("bead dep cycles").succeeds();
}

#[test]
fn a_bead_has_one_state_a_dimension() {
    let town = two_rigs();
    let id = make(&town, "Work -l plain");
    let set = answer(&town, &format!("bead state {id} patrol=active"));
    assert_eq!(
        (set["old_value"].clone(), set["new_value"].as_str(), set["changed"].as_bool()),
        (Value::Null, Some("active"), Some(true))
    );
    let set = town.gt_args(&["--json", "bead", "state", &id, "patrol=muted", "--reason", "Too loud"]).json();
    assert_eq!(set["old_value"], "active");
    let bead = town.show(&id);
    assert_eq!(
        (bead["labels"].clone(), bead["comments"][1]["text"].as_str()),
        (json!(["patrol:muted", "plain"]), Some("patrol changed from active to muted: Too loud"))
    );
    assert_eq!(town.gt(&format!("bead state {id} patrol")).succeeds().stdout, "muted\n");
    let before = tip(&town, "widgets");
    assert_eq!(answer(&town, &format!("bead state {id} patrol=muted"))["changed"], false);
    assert_eq!(tip(&town, "widgets"), before);
    assert_eq!(answer(&town, &format!("bead state list {id}")), json!({"patrol": "muted"}));
    assert_eq!(town.gt(&format!("bead state {id} health")).ends_with(1).stdout, "");
    town.gt(&format!("bead state {id} patrol=")).succeeds();
    assert_eq!(answer(&town, &format!("bead state {id}")), json!({}));
    town.gt(&format!("bead state {id} =x")).fails_with(2);
    town.gt(&format!("bead state {id} a=b,c")).fails_with(2);
    town.gt(&format!("bead state {id} patrol --reason why")).fails_with(2);
    town.gt("bead state wi-nope1 a=b").fails_with(3);
}

#[test]
fn the_town_keeps_words_by_key() {
    let town = two_rigs();
    assert_eq!(answer(&town, "bead kv list"), json!({}));
    town.gt("bead kv set build.last-green 8d2f").succeeds();
    assert_eq!(town.as_agent("mayor").gt("--json bd kv set mood '-calm'").json()["updated_by"], "mayor");
    assert_eq!(town.gt("bead kv get mood").succeeds().stdout, "-calm\n");
    assert_eq!(answer(&town, "bead kv list"), json!({"build.last-green": "8d2f", "mood": "-calm"}));
    let tip = || town.git(&town.root, &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger"]);
    let before = tip();
    town.gt("bead kv set mood '-calm'").succeeds();
    town.gt("bead kv set a/b x").fails_with(2);
    town.gt("bead kv get ..").fails_with(2);
    assert_eq!(town.gt("bead kv clear nothing").succeeds().stdout, "nothing was not kept\n");
    assert_eq!(tip(), before);
    assert_eq!(answer(&town, "bead kv clear mood")["was_there"], true);
    assert_eq!(town.gt("bead kv get mood").ends_with(1).stdout, "");
    let children: Vec<_> = (0..4)
        .map(|n| {
            town.here()
                .command(&["-q", "bead", "kv", "set", &format!("k{n}"), "v"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
    assert_eq!(answer(&town, "bead kv list").as_object().unwrap().len(), 5);
    assert_eq!(ids(town.gt("--json list --all")).len(), ids(town.gt("--json list --all -n 0")).len(), "they are no beads");
}
