//! What agents cost, and the limits at which nothing new starts.

use serde_json::Value;

use crate::many::with_input;
use crate::race::all_at_once;
use crate::town::{Rig, Town, text_at};

/// A town whose agents wait for ever.
fn waiting_agents() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "agent.command", "exec sleep 600", "--rig", "widgets"]).succeeds();
    (town, rig)
}

fn report(town: &Town, words: &str, text: &str) -> Value {
    let words: Vec<&str> = ["--json", "costs", "record"].into_iter().chain(words.split_whitespace()).collect();
    with_input(town, &words, text).json()
}

fn costs(town: &Town, words: &str) -> Value {
    town.gt(&format!("--json costs {words}")).json()
}

/// The letters in the overseer's mailbox that speak of limits.
fn told(town: &Town) -> usize {
    town.gt("mail inbox").stdout.matches("A limit is reached").count()
}

#[test]
fn what_is_told_twice_counts_once_and_is_summed_by_bead_agent_and_day() {
    let (town, rig) = Town::with_rig();
    let (first, second) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    let text =
        |output: u32, dollars: &str| format!(r#"{{"model":"m","input_tokens":5,"output_tokens":{output},"cost_usd":{dollars}}}"#);
    report(&town, &format!("--session s1 --bead {first}"), &text(10, "0.10"));
    report(&town, &format!("--session s1 --bead {first}"), &text(20, "0.25"));
    report(&town, &format!("--session s2 --bead {second}"), &text(1, "0.01"));
    let all = costs(&town, "");
    assert_eq!(
        (text_at(&all, &["/rows/0/of"]), &all["rows"][0]["tokens"]["output"]),
        (first.min(second), &serde_json::json!(20))
    );
    assert_eq!(all["total"]["micros"], 260_000);
    assert_eq!(costs(&town, "--by day")["rows"].as_array().unwrap().len(), 1);
    assert_eq!(costs(&town, "--by agent --today")["rows"][0]["of"], "overseer");
    assert_eq!(costs(&town, "--rig widgets")["rows"], serde_json::json!([]), "the overseer is of no rig");
    let shown = town.gt("costs").succeeds();
    assert!(shown.stdout.contains("$0.26"), "{}", shown.stdout);
}

#[test]
fn what_is_no_report_is_refused_and_writes_nothing() {
    let town = Town::new();
    for bad in ["", "nonsense", "{}", r#"{"cost_usd":"much"}"#, "\u{7f}"] {
        with_input(&town, &["costs", "record", "--session", "s"], bad).fails_with(2);
    }
    with_input(&town, &["costs", "record"], r#"{"output_tokens":5}"#).fails_with(2);
    with_input(&town, &["costs", "record"], r#"{"session_id":"u","transcript_path":"/no/such/u.jsonl"}"#).fails_with(3);
    assert!(!town.root.join(".repo.git/gt/costs.jsonl").exists());
}

#[test]
fn transcripts_are_read_when_a_hook_names_them_and_when_nobody_does() {
    let (town, rig) = waiting_agents();
    let bead = town.bead(&rig, "Work");
    town.gt(&format!("sling {bead} widgets/toast")).succeeds();
    let sandbox = town.root.join("widgets/polecats/toast");
    let name: String = sandbox.to_str().unwrap().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let place = town.base().join("home/.claude/projects").join(name);
    std::fs::create_dir_all(&place).unwrap();
    let line = |output: u32| {
        format!(
            r#"{{"type":"assistant","timestamp":"2026-01-01T00:00:09.000Z","requestId":"r","message":{{"id":"a","model":"claude-opus-4-5-20251101","usage":{{"input_tokens":1000000,"output_tokens":{output}}}}}}}"#
        )
    };
    let path = place.join("u1.jsonl");
    std::fs::write(&path, line(1) + "\n" + &line(100_000) + "\n").unwrap();
    let all = costs(&town, "");
    assert_eq!(
        (text_at(&all, &["/rows/0/of"]), &all["rows"][0]["micros"]),
        (bead.clone(), &serde_json::json!(7_500_000)),
        "{all}"
    );
    let hook = format!(r#"{{"session_id":"u1","transcript_path":"{}","hook_event_name":"Stop"}}"#, path.display());
    report(&town, &format!("--bead {bead}"), &hook);
    assert_eq!(costs(&town, "")["total"]["micros"], 7_500_000, "one session told in two ways");
}

#[test]
fn at_a_limit_nothing_new_starts_and_the_overseer_is_told_once() {
    let (town, rig) = waiting_agents();
    let beads: Vec<String> = (0..3).map(|n| town.bead(&rig, &format!("Work {n}"))).collect();
    town.gt("config set budget.day.spawns 1 --rig widgets").succeeds();
    town.gt(&format!("sling {} widgets", beads[0])).succeeds();
    for _ in 0..2 {
        let refused = town.gt(&format!("sling {} widgets", beads[1])).fails_with(4);
        assert!(refused.stderr.contains("gt config set budget.day.spawns N --rig widgets"), "{}", refused.stderr);
    }
    town.gt(&format!("sling {} widgets --dry-run", beads[1])).fails_with(4);
    assert_eq!((town.status(&beads[1]), told(&town)), ("open".into(), 1));
    assert!(!town.root.join("widgets/polecats/nux").exists());
    // What runs is left running, and may be asked for again; who only assigns starts nothing.
    town.gt(&format!("sling {} widgets", beads[0])).succeeds();
    town.gt(&format!("sling {} widgets --no-start", beads[1])).succeeds();
    town.gt("session start widgets/nux").fails_with(4);
    assert!(town.gt("costs").succeeds().stdout.contains("reached"), "a limit is shown");
    town.gt("config set budget.day.spawns 2 --rig widgets").succeeds();
    town.gt("session start widgets/nux").succeeds();
    town.gt("session restart widgets/nux").fails_with(4);
}

#[test]
fn limits_in_tokens_and_money_hold_for_bead_rig_and_town() {
    for (key, value, report_of) in [
        ("budget.bead.tokens", "20", r#"{"model":"m","output_tokens":20,"cost_usd":0}"#),
        ("budget.total.money", "0.50", r#"{"model":"m","output_tokens":1,"cost_usd":0.5}"#),
        ("budget.day.money", "9", r#"{"model":"of unknown price","output_tokens":1}"#),
    ] {
        let (town, rig) = waiting_agents();
        let bead = town.bead(&rig, "Work");
        town.gt_args(&["config", "set", key, value]).succeeds();
        town.gt(&format!("sling {bead} widgets --no-start")).succeeds();
        report(&town, &format!("--session s --bead {bead}"), report_of);
        let refused = town.gt(&format!("sling {bead} widgets")).fails_with(4);
        assert!(refused.stderr.contains("a limit is reached"), "{key}: {}", refused.stderr);
        assert!(!town.has_session("widgets/polecats/furiosa"), "{key}");
        town.gt_args(&["config", "unset", key]).succeeds();
        town.gt(&format!("sling {bead} widgets")).succeeds();
    }
}

#[test]
fn of_twenty_starts_at_once_no_more_than_the_limit_succeed() {
    let (town, rig) = waiting_agents();
    let beads: Vec<String> = (0..20).map(|n| town.bead(&rig, &format!("Work {n}"))).collect();
    town.gt("config set budget.total.spawns 3").succeeds();
    let command = |bead: &String| town.here().command(&["sling", bead, "widgets", "--no-convoy"]);
    let outcomes = all_at_once(beads.iter().map(command).collect());
    assert!(outcomes.iter().all(|outcome| [0, 4, 5].contains(&outcome.code)));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.code == 0).count(), 3);
    assert_eq!((costs(&town, "")["total"]["spawns"].as_u64(), told(&town)), (Some(3), 1));
}

#[test]
fn a_damaged_book_lets_nothing_start_where_there_is_a_limit_and_is_set_aside_by_a_person() {
    let (town, rig) = waiting_agents();
    let bead = town.bead(&rig, "Work");
    let book = town.root.join(".repo.git/gt/costs.jsonl");
    report(&town, "--session s", r#"{"model":"m","output_tokens":5,"cost_usd":0.1}"#);
    let whole = std::fs::read_to_string(&book).unwrap();
    for damage in [&whole.trim_end().as_bytes()[..20], &[0xff, 0xfe, b'\n'], b"{}\n"] {
        std::fs::write(&book, [whole.as_bytes(), damage].concat()).unwrap();
        town.gt("config set budget.total.tokens 1000000").succeeds();
        let refused = town.gt(&format!("sling {bead} widgets")).fails_with(70);
        assert_eq!(town.status(&bead), "open", "{}", refused.stderr);
        town.gt("costs").fails_with(70);
        town.as_agent("widgets/polecats/toast").gt("costs repair").fails_with(4);
        let repaired = town.gt("--json costs repair").json();
        assert_eq!((&repaired["kept"], &repaired["damaged"]), (&serde_json::json!(1), &serde_json::json!(1)));
        assert!(std::path::Path::new(&text_at(&repaired, &["/aside"])).is_file());
        assert_eq!(std::fs::read_to_string(&book).unwrap(), whole);
    }
    town.gt(&format!("sling {bead} widgets")).succeeds();
    town.gt("config unset budget.total.tokens").succeeds();
    std::fs::write(&book, "damaged\n").unwrap();
    let other = town.bead(&rig, "Other");
    town.gt(&format!("sling {other} widgets")).succeeds();
}

#[test]
fn a_worker_sets_no_limit_and_no_price() {
    let (town, _rig) = Town::with_rig();
    town.gt("config set budget.day.spawns 1").succeeds();
    let worker = town.as_agent("widgets/polecats/toast");
    for line in ["config set budget.day.spawns 99", "config unset budget.day.spawns", "config set prices.m '0 0 0 0'"] {
        worker.gt(line).fails_with(4);
    }
    for bad in ["config set budget.day.money much", "config set budget.day.money -1", "config set prices.m '1 2'"] {
        town.gt(bad).fails_with(2);
    }
}
