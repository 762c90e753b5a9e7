//! Several machines of a town: slinging from one to another, beats, homes, and machines that are gone.

use serde_json::Value;

use crate::machines::Pair;
use crate::town::{Town, text_at};

fn id(town: &Town) -> String {
    let all = town.gt("--json machine list").json();
    let here = |machine: &&Value| machine["is_here"] == Value::Bool(true);
    text_at(all.as_array().unwrap().iter().find(here).unwrap(), &["/id"])
}

fn machine(town: &Town, id: &str) -> Value {
    let all = town.gt("--json machine list").json();
    all.as_array().unwrap().iter().find(|machine| machine["id"] == id).unwrap_or_else(|| panic!("{all}")).clone()
}

fn subjects(town: &Town) -> Vec<String> {
    let inbox = town.gt("--json mail inbox").json();
    inbox.as_array().unwrap().iter().map(|letter| text_at(letter, &["/subject"])).collect()
}

#[test]
fn a_bead_is_slung_on_the_machine_that_is_named_with_its_next_sync() {
    let pair = Pair::new();
    let bead = pair.bead("For the other machine");
    let one = id(&pair.one);
    let asked = pair.two.gt(&format!("--json sling {bead} {one}:widgets --no-start --args hurry")).json();
    assert_eq!((text_at(&asked, &["/outcome"]), text_at(&asked, &["/target"])), ("asked".into(), "widgets".into()));
    assert_eq!(pair.two.status(&bead), "open");
    let refused = pair.two.gt(&format!("sling {bead} widgets --no-start")).fails_with(4);
    assert!(refused.stderr.contains("was asked to sling"), "{}", refused.stderr);
    pair.two.gt("sync").succeeds();
    let told = pair.one.gt("sync").succeeds().stdout;
    assert!(told.contains(&format!("{bead} is slung to widgets/polecats/")), "{told}");
    pair.two.gt("sync").succeeds();
    for town in [&pair.one, &pair.two] {
        assert_eq!(town.status(&bead), "hooked");
    }
    assert_eq!(text_at(&machine(&pair.two, &one), &["/hooks/0/bead"]), bead);
    let status = pair.two.gt("--json status --all-machines").json();
    assert!(status["machines"].to_string().contains(&bead), "{status}");
    assert!(pair.two.gt("status --all-machines").succeeds().stdout.contains("HEARD"));
    assert_eq!(pair.two.gt("--json status").json().get("machines"), None);
    let agent = text_at(&pair.one.show(&bead), &["/assignee"]);
    let hook = pair.one.as_agent(&agent).gt("--json hook").json();
    assert_eq!(text_at(&hook, &["/hook/args"]), "hurry");
    assert!(!pair.one.gt("sync").succeeds().stdout.contains("is slung"), "it is slung once");
    let here = pair.one.bead(&pair.rig, "For myself");
    pair.one.gt(&format!("sling {here} {one}: --no-start")).succeeds();
    assert_eq!(pair.one.status(&here), "hooked");
    pair.one.gt(&format!("sling {here} nowhere:widgets --no-start")).fails_with(3);
}

#[test]
fn a_request_is_taken_back_or_refused_by_letter() {
    let pair = Pair::new();
    let (back, shut) = (pair.bead("Taken back"), pair.bead("Closed meanwhile"));
    let one = id(&pair.one);
    pair.two.gt(&format!("sling {back} {one}:widgets --no-start")).succeeds();
    pair.two.gt(&format!("sling {shut} {one}:widgets --no-start")).succeeds();
    assert!(pair.two.gt(&format!("unsling {back}")).succeeds().stdout.contains("no more asked"));
    pair.two.gt(&format!("unsling {back}")).fails_with(4);
    pair.one.gt(&format!("close {shut}")).succeeds();
    pair.two.gt("sync").succeeds();
    let told = pair.one.gt("sync").succeeds().stdout;
    assert!(told.contains(&format!("{shut} is not slung")), "{told}");
    pair.two.gt("sync").succeeds();
    assert_eq!(pair.two.status(&back), "open");
    let told = subjects(&pair.two);
    assert!(told.iter().any(|subject| subject.starts_with(&format!("{shut} was not slung on"))), "{told:?}");
    assert!(!pair.one.gt("sync").succeeds().stdout.contains("is not slung"), "it is refused once");
}

#[test]
fn a_machine_that_holds_hooks_beats_and_one_that_is_silent_is_evicted() {
    let pair = Pair::new();
    let (one, two) = (id(&pair.one), id(&pair.two));
    let beat =
        |id: &str| pair.one.git(&pair.rig.origin, &["for-each-ref", "--format=%(objectname)", &format!("refs/gt/beat/{id}")]);
    let bead = pair.bead("On the laptop");
    assert_eq!(beat(&two), "", "idle costs nothing");
    pair.two.gt(&format!("sling {bead} widgets --no-start")).succeeds();
    pair.two.gt("sync").succeeds();
    let first = beat(&two);
    assert!(!first.is_empty());
    assert_eq!(pair.one.git(&pair.rig.origin, &["log", "--format=%P", "-1", &first]), "", "a beat has no history");
    pair.two.gt("sync").succeeds();
    assert_eq!(beat(&two), first, "and is not renewed at every sync");
    pair.one.gt("sync").succeeds();
    assert!(machine(&pair.one, &two)["heard_at"].is_string());
    let refused = pair.one.gt(&format!("machine evict {two}")).fails_with(4);
    assert!(refused.stderr.contains("may be alive"), "{}", refused.stderr);
    pair.one.gt(&format!("machine evict {one}")).fails_with(4);
    let later = "2026-01-01T03:00:00.000Z";
    let evicted = pair.one.here().var("GT_NOW", later).gt(&format!("--json machine evict {two}")).json();
    assert_eq!(text_at(&evicted, &["/released/0/bead"]), bead);
    assert_eq!(pair.one.status(&bead), "open");
    assert!(pair.one.show(&bead)["comments"].to_string().contains("its branch polecat/"));
    pair.one.here().var("GT_NOW", later).gt(&format!("sling {bead} widgets --no-start")).succeeds();
    pair.one.here().var("GT_NOW", later).gt("sync").succeeds();
    // It was only asleep.
    let told = pair.two.here().var("GT_NOW", later).gt("sync").succeeds().stdout;
    assert!(told.contains(&format!("lost {bead}")), "{told}");
    assert_eq!((beat(&two).as_str(), beat(&one).is_empty()), ("", false));
    assert_eq!(text_at(&pair.two.show(&bead), &["/assignee"]), text_at(&pair.one.show(&bead), &["/assignee"]));
}

#[test]
fn a_home_is_taken_and_the_queue_goes_along() {
    let pair = Pair::new();
    let two = id(&pair.two);
    pair.one.gt("config set gates.require false --rig widgets").succeeds();
    pair.settle();
    pair.two.gt("mq run --once --rig widgets").fails_with(4);
    let taken = pair.two.gt("--json machine take --rig widgets").json();
    assert_eq!((text_at(&taken, &["/scope"]), &taken["already"]), ("rig widgets".into(), &Value::Bool(false)));
    pair.one.gt("sync").succeeds();
    pair.one.gt("mq run --once --rig widgets").fails_with(4);
    pair.two.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(machine(&pair.one, &two)["home_of"][0], "rig widgets");
    pair.two.gt("machine take --rig widgets").succeeds();
    pair.two.gt("machine take").succeeds();
    assert_eq!(machine(&pair.two, &two)["home_of"].as_array().unwrap().len(), 2);
    let away = pair.hub.with_extension("away");
    std::fs::rename(&pair.hub, &away).unwrap();
    pair.one.gt("machine take").fails_with(6);
    std::fs::rename(&away, &pair.hub).unwrap();
    assert_eq!(machine(&pair.one, &two)["home_of"].as_array().unwrap().len(), 1, "nothing was taken without the newest");
}

#[test]
fn mail_names_the_machine_of_its_reader_or_not_but_never_a_wrong_one() {
    let pair = Pair::new();
    let (one, two) = (id(&pair.one), id(&pair.two));
    let bead = pair.bead("Work");
    pair.two.gt(&format!("sling {bead} widgets --no-start")).succeeds();
    pair.settle();
    let agent = text_at(&pair.one.show(&bead), &["/assignee"]);
    pair.one.gt(&format!("mail send {two}:{agent} -s Hello -m there")).succeeds();
    pair.one.gt(&format!("mail send {one}:{agent} -s Wrong -m there")).fails_with(4);
    pair.one.gt(&format!("mail send nowhere:{agent} -s Wrong -m there")).fails_with(3);
    pair.settle();
    let inbox = pair.two.as_agent(&agent).gt("mail inbox").succeeds().stdout;
    assert!(inbox.contains("Hello") && !inbox.contains("Wrong"), "{inbox}");
}
