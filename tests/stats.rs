//! Figures of what was done, and a worker's history, on a town whose agents are scripted.

use serde_json::{Value, json};

use crate::beads::create;
use crate::town::Town;

fn group<'a>(stats: &'a Value, name: &str) -> &'a Value {
    let groups = stats["groups"].as_array().unwrap();
    groups.iter().find(|one| one["group"][0] == name).unwrap_or_else(|| panic!("no group {name}: {stats:#}"))
}

#[test]
fn assignments_name_the_model_and_figures_tell_models_apart() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "! test -e broken", "--rig", "widgets"]).succeeds();
    let (good, bad) = (town.bead(&rig, "Good"), town.bead(&rig, "Bad"));
    for (bead, model, name, file) in [(&good, "opus", "toast", "fine"), (&bad, "haiku", "nux", "broken")] {
        town.gt(&format!("sling {bead} widgets/{name} --model {model} --no-start")).succeeds();
        assert_eq!(town.show(bead)["model"], model);
        assert!(town.show(bead)["hooked_at"].is_string());
        let sandbox = rig.dir.join("polecats").join(name);
        std::fs::write(sandbox.join(file), "x\n").unwrap();
        let agent = town.as_agent(&format!("widgets/polecats/{name}"));
        agent.args(&["done", "--commit", "--message", "Work"]).succeeds();
    }
    assert!(town.gt("hook widgets/toast").stdout.contains("nothing"));
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!((town.status(&good).as_str(), town.status(&bad).as_str()), ("closed", "open"));
    let stats = town.gt("--json stats --group-by model --rig widgets").json();
    let (opus, haiku) = (group(&stats, "opus"), group(&stats, "haiku"));
    assert_eq!((&opus["finished"], &opus["first_pass_rate"], &opus["gate_failures"]), (&json!(1), &json!(1.0), &json!(0)));
    assert_eq!((&haiku["finished"], &haiku["first_pass_rate"], &haiku["gate_failures"]), (&json!(0), &json!(0.0), &json!(1)));
    assert!(opus["median_cycle_millis"].as_u64().unwrap() > 0 && haiku["median_cycle_millis"].is_null());
    assert_eq!(stats["total"]["merge_requests"], 2);
    let page = town.gt("stats --group-by model --rig widgets").succeeds().stdout;
    assert!(page.starts_with("MODEL") && page.contains("FIRST PASS") && !page.contains("TOKENS"), "{page}");
    let one = town.gt("--json stats --group-by actor --actor *toast --rig widgets").json();
    assert_eq!(one["groups"].as_array().unwrap().len(), 1, "{one:#}");
    assert_eq!(town.gt("--json bead stats --of toast --rig widgets").json()["total"]["finished"], 1);
    town.gt("polecat nuke widgets/toast").succeeds();
    let career = town.gt("--json cv widgets/toast").json();
    assert_eq!((&career["total"]["finished"], &career["last"][0]["id"]), (&json!(1), &json!(good)));
    assert_eq!((&career["last"][0]["attempts"], &career["last"][0]["model"]), (&json!(1), &json!("opus")));
    assert!(town.gt("cv widgets/toast").succeeds().stdout.contains("Good"));
    town.gt("cv widgets/nobody").fails_with(3);
}

#[test]
fn figures_count_what_was_claimed_opened_again_and_closed_as_failed() {
    let (town, rig) = Town::with_rig();
    let (a, b) = (town.bead(&rig, "A"), create(&town, "B -t bug -l wet --rig widgets"));
    let mayor = town.as_agent("mayor").var("GT_MODEL", "sonnet");
    mayor.gt(&format!("update {a} --claim")).succeeds();
    assert_eq!(town.show(&a)["model"], "sonnet");
    mayor.gt(&format!("close {a}")).succeeds();
    town.gt(&format!("bead reopen {a}")).succeeds();
    let opened = town.show(&a);
    assert_eq!((opened.get("model"), opened.get("hooked_at"), &opened["reopened_count"]), (None, None, &json!(1)));
    let again = town.as_agent("mayor").var("GT_MODEL", "sonnet");
    again.gt(&format!("update {a} --claim")).succeeds();
    again.gt(&format!("close {a}")).succeeds();
    town.gt(&format!("close {b} --reason wontfix")).succeeds();
    let stats = town.gt("--json stats --group-by type --rig widgets").json();
    assert_eq!((&group(&stats, "task")["finished"], &group(&stats, "task")["reopened"]), (&json!(1), &json!(1)));
    assert_eq!((&group(&stats, "bug")["finished"], &group(&stats, "bug")["failed"]), (&json!(0), &json!(1)));
    let both = town.gt("--json stats --group-by model,label --rig widgets").json();
    assert_eq!(both["groups"][0]["group"], json!(["sonnet", "(no labels)"]));
    let later = town.here().var("GT_NOW", "2999-01-01T00:00:00Z").gt("--json stats --since 30d --rig widgets").json();
    assert_eq!(later["total"]["finished"], 0);
    town.gt("stats --group-by model,type,rig").fails_with(2);
    town.gt("stats --group-by colour").fails_with(2);
    town.gt("stats --rig nowhere").fails_with(3);
}
