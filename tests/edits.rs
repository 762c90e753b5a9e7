//! Changes to every field, by words and in an editor, and claims for a time.

use serde_json::{Value, json};

use crate::beads::{bead_path, create, ids, tip, two_rigs, write};
use crate::town::{Outcome, Town};

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn update(town: &Town, id: &str, words: &[&str]) -> Outcome {
    town.gt_args(&[&["--json", "update", id], words].concat())
}

#[test]
fn every_field_is_set_and_cleared() {
    let town = two_rigs();
    let (id, parent) = (make(&town, "Work -l a,b --notes Old"), make(&town, "Parent -t epic"));
    let words = [
        "--owner",
        "joe@example.org",
        "--estimate",
        "2h",
        "--external-ref",
        "gh-7",
        "--metadata",
        "area=hall",
        "--set-metadata",
        r#"{"n": 3}"#,
        "--set-labels",
        "c,d",
        "--parent",
        &parent,
        "--due",
        "2d",
        "--append-notes",
        "New",
    ];
    let bead = update(&town, &id, &words).json()[0].clone();
    assert_eq!((bead["owner"].as_str(), bead["estimated_minutes"].as_u64()), (Some("joe@example.org"), Some(120)));
    assert_eq!((bead["external_ref"].as_str(), bead["metadata"].clone()), (Some("gh-7"), json!({"area": "hall", "n": 3})));
    assert_eq!((bead["labels"].clone(), bead["parent"].as_str()), (json!(["c", "d"]), Some(parent.as_str())));
    assert_eq!(bead["notes"], "Old\nNew");
    assert_eq!(ids(town.gt(&format!("--json bead children {parent}"))), std::slice::from_ref(&id));
    let clear = "owner,estimate,external-ref,labels,parent,due,notes";
    let bead = update(&town, &id, &["--clear", clear, "--metadata", "n=", "--unset-metadata", "area"]).json()[0].clone();
    for gone in ["owner", "estimated_minutes", "external_ref", "metadata", "labels", "parent", "due_at", "notes"] {
        assert_eq!(bead.get(gone), None, "{gone}");
    }
    let bead = update(&town, &id, &["--owner", "x", "--description", "d"]).json()[0].clone();
    assert_eq!((bead["owner"].as_str(), bead["description"].as_str()), (Some("x"), Some("d")));
    let bead = update(&town, &id, &["--owner", "", "--description", ""]).json()[0].clone();
    assert_eq!((bead.get("owner"), bead.get("description")), (None, None));
}

#[test]
fn what_cannot_be_set_is_refused_and_nothing_is_written() {
    let town = two_rigs();
    let (id, far) = (make(&town, "Work -l a"), create(&town, "Far --rig gadgets"));
    let child = make(&town, &format!("Child --parent {id}"));
    let before = tip(&town, "widgets");
    for (code, words) in [
        (2, vec!["--estimate", "long"]),
        (2, vec!["--metadata", "area"]),
        (2, vec!["--metadata", "=x"]),
        (2, vec!["--set-labels", "x", "--add-label", "y"]),
        (2, vec!["--notes", "x", "--clear", "notes"]),
        (2, vec!["--description", "-", "--notes", "-"]),
        (2, vec!["--lease", "30m"]),
        (2, vec!["--claim", "--lease", "1ms"]),
        (2, vec!["--external-ref", "a\nb"]),
        (3, vec!["--description", "@nowhere.md"]),
        (3, vec!["--parent", "wi-nope1"]),
        (4, vec!["--parent", &far]),
        (4, vec!["--parent", &child]),
        (4, vec!["--parent", &id]),
    ] {
        update(&town, &id, &words).fails_with(code);
    }
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn texts_come_from_files_and_standard_input() {
    let town = two_rigs();
    let id = make(&town, "Work");
    std::fs::write(town.root.join("plan.md"), "Größe\n- prüfen\n").unwrap();
    let bead = update(&town, &id, &["--design", "@plan.md", "--notes", "@@joe asks", "--acceptance", "- dry"]).json()[0].clone();
    assert_eq!((bead["design"].as_str(), bead["notes"].as_str()), (Some("Größe\n- prüfen"), Some("@joe asks")));
    assert_eq!(bead["acceptance_criteria"], "- dry");
    let mut command = town.here().command(&["update", &id, "--description", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"From\nstdin\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(town.show(&id)["description"], "From\nstdin");
}

/// Runs `gt bead edit` with a script as the editor; `$1` is the file.
fn edit(town: &Town, words: &str, script: &str) -> Outcome {
    let path = town.base().join("editor.sh");
    std::fs::write(&path, script).unwrap();
    town.here().var("EDITOR", &format!("sh {}", path.display())).gt(&format!("--json bead edit {words}"))
}

/// The texts that were kept.
fn kept(town: &Town) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(town.root.join(".runtime/edits"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_bead_is_edited_as_a_text() {
    let town = two_rigs();
    let id = make(&town, "Work -l a,b -d 'It leaks'");
    let script = "sed -i -e 's/^title: .*/title: Better/' -e 's/^labels: .*/labels: b, c/' -e 's/^due:.*/due: 2026-12-01/' \
                  -e 's/^It leaks/It leaks badly/' \"$1\"; printf 'Learned\\n' >> \"$1\"";
    let bead = edit(&town, &id, script).json()[0].clone();
    assert_eq!((bead["title"].as_str(), bead["labels"].clone()), (Some("Better"), json!(["b", "c"])));
    assert_eq!((bead["description"].as_str(), bead["notes"].as_str()), (Some("It leaks badly"), Some("Learned")));
    assert_eq!(bead["due_at"], "2026-12-01T00:00:00.000Z");
    let bead = edit(&town, &format!("{id} --notes"), "printf 'One\\ntwo\\n' > \"$1\"").json()[0].clone();
    assert_eq!(bead["notes"], "One\ntwo");
    let before = tip(&town, "widgets");
    assert_eq!(edit(&town, &id, "true").json(), json!({"id": id, "changed": false}));
    assert_eq!(tip(&town, "widgets"), before);
    assert_eq!(kept(&town), Vec::<std::path::PathBuf>::new());
    assert!(town.here().var("EDITOR", "").gt(&format!("bead edit {id}")).fails_with(4).stderr.contains("gt update"));
}

#[test]
fn what_was_typed_is_kept_when_it_cannot_be_written() {
    let town = two_rigs();
    let id = make(&town, "Work -d Old");
    let gt = env!("CARGO_BIN_EXE_gt");
    let meanwhile = |words: &str| format!("{gt} -C {} update {id} {words} > /dev/null\n", town.root.display());
    // Another field that was changed meanwhile stays.
    let apart = meanwhile("-p 0") + "printf 'Mine' > \"$1\"";
    let bead = edit(&town, &format!("{id} --description"), &apart).json()[0].clone();
    assert_eq!((bead["description"].as_str(), bead["priority"].as_u64()), (Some("Mine"), Some(0)));
    let clash = meanwhile("-d Theirs") + "printf 'Mine again' > \"$1\"";
    let refused = edit(&town, &format!("{id} --description"), &clash).fails_with(5);
    assert_eq!(town.show(&id)["description"], "Theirs");
    let files = kept(&town);
    assert!(refused.stdout.contains(files[0].to_str().unwrap()) && refused.stdout.contains("description"), "{}", refused.stdout);
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), "Mine again");
    let before = tip(&town, "widgets");
    edit(&town, &id, "sed -i 's/^priority: .*/priority: 9/' \"$1\"").fails_with(2);
    edit(&town, &id, "echo '=== lost' > \"$1\"").fails_with(2);
    edit(&town, &id, "echo more >> \"$1\"; exit 3").fails_with(6);
    edit(&town, &id, "exit 3").fails_with(6);
    edit(&town, &id, "sed -i 's/^status: .*/status: in_review/' \"$1\"").fails_with(4);
    assert_eq!((tip(&town, "widgets"), kept(&town).len()), (before, 5));
}

#[test]
fn a_claim_for_a_time_ends_when_no_sign_of_life_extends_it() {
    let town = two_rigs();
    let (id, other) = (make(&town, "Work"), make(&town, "Other"));
    let at = |agent: &str, minute: u32, line: &str| {
        let clock = format!("2026-01-01T00:{minute:02}:00Z");
        town.as_agent(agent).var("GT_NOW", &clock).gt(&format!("--json {line}"))
    };
    let until = |bead: &Value| bead["lease_until"].as_str().map(|at| at[11..16].to_owned());
    let claimed = at("mayor", 0, &format!("update {id} --claim --lease 10m")).json();
    assert_eq!((until(&claimed[0]).as_deref(), claimed[0]["assignee"].as_str()), (Some("00:10"), Some("mayor")));
    at("deacon", 1, &format!("update {id} --claim")).fails_with(5);
    // Before half of it is over nothing is written.
    let before = tip(&town, "widgets");
    at("mayor", 4, "hook").ends_with(1);
    assert_eq!(tip(&town, "widgets"), before);
    at("mayor", 6, "hook").ends_with(1);
    assert_eq!(until(&town.show(&id)).as_deref(), Some("00:16"));
    at("mayor", 12, "mail check").ends_with(1);
    at("deacon", 13, "prime").succeeds();
    assert_eq!(until(&town.show(&id)).as_deref(), Some("00:22"));
    assert_eq!(ids(at("deacon", 21, "ready --rig widgets --unassigned")), std::slice::from_ref(&other));
    assert_eq!(ids(at("deacon", 22, "ready --rig widgets --unassigned")).len(), 2, "nobody has it any more");
    let taken = at("deacon", 23, &format!("update {id} --claim")).json();
    assert_eq!((taken[0]["assignee"].as_str(), taken[0].get("lease_until")), (Some("deacon"), None));
    assert_eq!(taken[0]["comments"][0]["text"], "The claim of mayor has run out.");
    at("mayor", 24, "hook").ends_with(1);
    assert_eq!(town.show(&id)["assignee"], "deacon");
}

#[test]
fn a_claim_that_ran_out_is_given_back_by_maintenance_and_by_any_claim() {
    let town = two_rigs();
    let (a, b, c) = (make(&town, "A"), make(&town, "B"), make(&town, "C"));
    let at = |minute: u32| town.here().var("GT_NOW", &format!("2026-01-01T00:{minute:02}:00Z"));
    at(0).gt(&format!("update {a} --claim --lease 5m")).succeeds();
    at(4).gt("maintain --rig widgets").succeeds();
    assert_eq!(town.status(&a), "in_progress");
    let done = at(6).gt("--json maintain --rig widgets").json();
    assert_eq!(done[0]["decayed"]["given_back"], 1);
    assert_eq!((town.status(&a).as_str(), town.show(&a).get("assignee")), ("open", None));
    at(10).gt(&format!("update {a} --claim --lease 5m")).succeeds();
    at(16).gt(&format!("update {b} --claim")).succeeds();
    assert_eq!(town.status(&a), "open");
    // Closing and opening again ends a lease; a later claim without one does not run out.
    at(20).gt(&format!("update {c} --claim --lease 5m")).succeeds();
    at(21).gt(&format!("update {c} --status open")).succeeds();
    assert_eq!(town.show(&c).get("lease_until"), None);
    at(22).gt(&format!("update {c} --claim")).succeeds();
    at(59).gt("maintain --rig widgets").succeeds();
    assert_eq!(town.status(&c), "in_progress");
}

#[test]
fn what_hangs_on_a_hook_takes_no_lease() {
    let (town, rig) = Town::with_rig();
    let id = town.bead(&rig, "Work");
    town.gt(&format!("sling {id} --no-start")).succeeds();
    let holder = town.show(&id)["assignee"].as_str().unwrap().to_owned();
    town.as_agent(&holder).gt(&format!("update {id} --claim --lease 30m")).fails_with(4);
    assert_eq!(town.status(&id), "hooked");
    let lone = town.bead(&rig, "Lone");
    town.here().var("GT_NOW", "2025-01-01T00:00:00Z").gt(&format!("update {lone} --claim --lease 5m")).succeeds();
    town.gt(&format!("sling {lone} --no-start")).succeeds();
    assert_eq!((town.status(&lone).as_str(), town.show(&lone).get("lease_until")), ("hooked", None));
}

#[test]
fn of_many_claims_on_what_ran_out_one_wins() {
    let town = two_rigs();
    let id = make(&town, "Prize");
    town.here().var("GT_NOW", "2025-01-01T00:00:00Z").gt(&format!("update {id} --claim --lease 5m")).succeeds();
    let agents = ["mayor", "deacon", "widgets/witness", "gadgets/witness"];
    let line = ["update", &id, "--claim", "--lease", "30m"];
    let children: Vec<_> = agents
        .iter()
        .map(|agent| {
            let mut command = town.as_agent(agent).command(&line);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let codes: Vec<Option<i32>> = children.into_iter().map(|mut child| child.wait().unwrap().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 5))), "{codes:?}");
}

#[test]
fn a_damaged_bead_beside_is_left_alone_by_claims_and_edits() {
    let town = two_rigs();
    let (good, bad) = (make(&town, "Good"), make(&town, "Bad"));
    town.here().var("GT_NOW", "2025-01-01T00:00:00Z").gt(&format!("update {bad} --claim --lease 5m")).succeeds();
    write(&town, "widgets", &bead_path(&bad), "no JSON\n");
    town.gt(&format!("update {good} --claim --lease 30m")).succeeds();
    town.gt(&format!("update {bad} --claim")).fails_with(70);
    edit(&town, &bad, "true").fails_with(70);
    town.gt("maintain --rig widgets").succeeds();
    edit(&town, &format!("{good} --title"), "echo Better > \"$1\"").succeeds();
    assert_eq!(town.show(&good)["title"], "Better");
}
