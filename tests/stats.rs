//! Figures of what was done, and a worker's history, on a town whose agents are scripted.

use serde_json::{Value, json};

use crate::beads::{bead_path, create, put};
use crate::town::Town;

fn group<'a>(stats: &'a Value, name: &str) -> &'a Value {
    let groups = stats["groups"].as_array().unwrap();
    groups.iter().find(|one| one["group"][0] == name).unwrap_or_else(|| panic!("no group {name}: {stats:#}"))
}

/// A group's name and how many requests it has.
fn requests(group: &Value) -> (&str, u64) {
    (group["group"][0].as_str().unwrap(), group["merge_requests"].as_u64().unwrap())
}

#[test]
fn assignments_name_the_model_and_figures_tell_models_apart() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "! test -e broken", "--rig", "widgets"]).succeeds();
    let (good, bad) = (town.bead(&rig, "Good"), create(&town, "Bad -t bug -l wet --rig widgets"));
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
    // What is not finished has its type, labels and formula all the same.
    for (field, name) in [("type", "bug"), ("label", "wet"), ("formula", "(no formula)")] {
        let stats = town.gt(&format!("--json stats --group-by {field} --rig widgets")).json();
        let of_both: Vec<(&str, u64)> = stats["groups"].as_array().unwrap().iter().map(requests).collect();
        assert!(of_both.iter().any(|one| one.0 == name), "{of_both:?}");
        assert!(!of_both.iter().any(|one| one.0 == "(unknown)"), "{of_both:?}");
        assert_eq!(of_both.iter().map(|one| one.1).sum::<u64>(), 2, "{of_both:?}");
    }
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
    for nobody in ["widgets/nobody", "widgets/polecats/nobody", "widgets/crew/nobody", "nobody", "nowhere/toast"] {
        let told = town.gt(&format!("cv {nobody}")).fails_with(3);
        assert!(!told.stderr.contains("has finished"), "{}", told.stderr);
    }
    assert!(town.gt("cv toast").succeeds().stdout.contains("Good"), "nobody else is called that");
    let both = town.gt("cv refinery").succeeds().stdout;
    assert!(both.contains("widgets/refinery"), "{both}");
    assert!(town.gt("cv mayor").succeeds().stdout.contains("nothing yet"), "the mayor is there before any work is");
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

/// A bead of the rig that a worker closed, with these times and what else is said of it.
fn done(town: &Town, words: &str, (hooked, closed): (&str, &str), more: &Value) {
    let id = create(town, &format!("{words} --rig widgets"));
    put(town, "widgets", &bead_path(&id), |bead| {
        bead["status"] = json!("closed");
        bead["assignee"] = json!("widgets/polecats/toast");
        bead["closed_by"] = json!("widgets/refinery");
        bead["hooked_at"] = json!(hooked);
        bead["closed_at"] = json!(closed);
        for (field, value) in more.as_object().unwrap() {
            bead[field] = value.clone();
        }
    });
}

fn escalation(n: u32, at: &str) -> Value {
    json!({"id": format!("escalate-{n}@m"), "author": "widgets/polecats/toast", "text": "help", "created_at": at})
}

#[test]
fn figures_are_exact() {
    let (town, _) = Town::with_rig();
    // Ten cycles of one to ten minutes, of which all but the last end on the first day.
    for n in 1..=9 {
        let closed = format!("2026-01-01T00:{n:02}:00.000Z");
        done(&town, &format!("'Short {n}'"), ("2026-01-01T00:00:00.000Z", &closed), &json!({}));
    }
    let more = json!({
        "metadata": {"tokens": 1200, "cost_usd": 0.25, "formula": "shiny"},
        "comments": [escalation(1, "2026-01-01T12:00:00.000Z"), escalation(2, "2026-01-03T12:00:00.000Z"),
            {"id": "salvage-3@m", "author": "mayor", "text": "no call for help", "created_at": "2026-01-03T12:00:00.000Z"}],
    });
    done(&town, "Long -t bug", ("2026-01-02T23:55:00.000Z", "2026-01-03T00:05:00.000Z"), &more);
    let failed = json!({"close_reason": "Failed twice", "metadata": {"tokens": 300, "cost_usd": 1.5}, "reopened_count": 2});
    done(&town, "Failed -t bug", ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"), &failed);
    let stats = |words: &str| town.gt(&format!("--json stats --rig widgets {words}")).json();
    let total = stats("")["total"].clone();
    let minute = 60_000;
    let wanted = json!({
        "finished": 10, "failed": 1, "median_cycle_millis": 5 * minute, "p90_cycle_millis": 9 * minute,
        "merge_requests": 0, "attempts_per_bead": null, "first_pass_rate": null, "gate_failures": 0, "conflicts": 0,
        "reopened": 2, "escalations": 2, "tokens": 1500, "cost_usd": 1.75,
    });
    assert_eq!(total, wanted);
    // Since a moment: what ended then or later, and help that was asked for then or later.
    let since = stats("--since 2026-01-03")["total"].clone();
    let figure = |name: &str| since[name].clone();
    assert_eq!((figure("finished"), figure("failed"), figure("escalations")), (json!(1), json!(0), json!(1)));
    assert_eq!((figure("median_cycle_millis"), figure("p90_cycle_millis")), (json!(10 * minute), json!(10 * minute)));
    assert_eq!((figure("tokens"), figure("cost_usd"), figure("reopened")), (json!(1200), json!(0.25), json!(0)));
    let at_the_moment = stats("--since 2026-01-03T00:05:00.000Z")["total"]["finished"].clone();
    let after_it = stats("--since 2026-01-03T00:05:00.001Z")["total"]["finished"].clone();
    assert_eq!((at_the_moment, after_it), (json!(1), json!(0)));
    // By type, and by the formula that the metadata name.
    let by_type = stats("--group-by type");
    let (bugs, tasks) = (group(&by_type, "bug"), group(&by_type, "task"));
    assert_eq!((&bugs["finished"], &bugs["failed"], &bugs["tokens"]), (&json!(1), &json!(1), &json!(1500)));
    assert_eq!((&tasks["finished"], &tasks["p90_cycle_millis"], tasks.get("tokens")), (&json!(9), &json!(9 * minute), None));
    let by_formula = stats("--group-by formula,type");
    let groups: Vec<(Value, u64)> = by_formula["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["group"].clone(), one["finished"].as_u64().unwrap()))
        .collect();
    let wanted = [(json!(["(no formula)", "task"]), 9), (json!(["shiny", "bug"]), 1), (json!(["(no formula)", "bug"]), 0)];
    assert_eq!(groups, wanted);
    let page = town.gt("stats --rig widgets").succeeds().stdout;
    for words in ["5 m ", "9 m ", "1500", "1.75 $"] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
}
