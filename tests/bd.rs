//! Called as `bd`: what prompts and scripts written for that tool say works unchanged.

use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs};
use crate::many::with_input;
use crate::town::Town;

fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

fn file(town: &Town, name: &str, text: &str) -> String {
    let path = town.base().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn the_flags_of_create_mean_what_they_mean_there() {
    let town = two_rigs();
    let (a, b) = (create(&town, "A --rig widgets"), create(&town, "B --rig widgets"));
    let epic = create(&town, "Epic -t epic --rig widgets");
    let body = file(&town, "body", "from a file\n");
    let design = file(&town, "design", "so\n");
    let args = [
        "--json",
        "bd",
        "create",
        "--title",
        "Größe",
        "-t",
        "enhancement",
        "-p",
        "P1",
        "--labels",
        "x,y",
        "--label",
        "z",
        "--deps",
        &format!("discovered-from:{a},blocked-by:{b}"),
        "--parent",
        &epic,
        "--body-file",
        &body,
        "--design-file",
        &design,
        "--acceptance",
        "- done",
        "--notes",
        "n",
        "--external-ref",
        "gh-9",
        "-e",
        "90",
        "--spec-id",
        "s",
        "--metadata",
        r#"{"k": [1]}"#,
        "--due",
        "2027-01-01",
        "--defer",
        "+2d",
        "--force",
        "--no-inherit-labels",
        "--ephemeral",
    ];
    let made = town.gt_args(&args).json();
    let bead = town.show(&id_of(&made));
    assert_eq!(id_of(&made), format!("{epic}.1"));
    assert_eq!(
        (bead["title"].as_str(), bead["issue_type"].as_str(), bead["priority"].as_u64()),
        (Some("Größe"), Some("feature"), Some(1))
    );
    assert_eq!(
        (&bead["labels"], &bead["description"], &bead["design"]),
        (&json!(["x", "y", "z"]), &json!("from a file"), &json!("so"))
    );
    assert_eq!((&bead["external_ref"], &bead["estimated_minutes"], &bead["spec_id"]), (&json!("gh-9"), &json!(90), &json!("s")));
    assert_eq!((&bead["metadata"], &bead["ephemeral"]), (&json!({"k": [1]}), &json!(true)));
    let kinds: Vec<&str> = bead["dependencies"].as_array().unwrap().iter().map(|edge| edge["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["discovered-from", "blocks"]);
}

#[test]
fn of_all_kinds_blocks_says_what_the_other_bead_does() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let first =
        town.gt_args(&["bd", "create", "First", "--deps", &format!("blocks:{a}"), "--silent", "--json", "--rig", "widgets"]);
    let first = first.succeeds().stdout.trim().to_owned();
    assert_eq!(town.show(&a)["dependencies"][0]["depends_on_id"], first.as_str());
    assert!(town.show(&first).get("dependencies").is_none());
    town.gt_args(&["bd", "create", "Ring", "--rig", "widgets", "--deps", &format!("{a},blocks:{first}")]).fails_with(4);
    town.gt_args(&["bd", "create", "Far", "--rig", "gadgets", "--deps", &format!("blocks:{a}")]).fails_with(4);
}

#[test]
fn a_description_is_said_in_every_way_that_there_is() {
    let town = two_rigs();
    let read = with_input(&town, &["--json", "bd", "new", "Read", "--rig", "widgets", "--stdin"], "from outside\n").json();
    assert_eq!(read["description"], "from outside");
    for alias in ["-d", "--body", "--message", "-m"] {
        assert_eq!(
            town.gt_args(&["--json", "bd", "create", "T", alias, "- text", "--rig", "widgets"]).json()["description"],
            "- text"
        );
    }
    for wrong in [
        &["bd", "create"][..],
        &["bd", "create", "T", "--title", "U"],
        &["bd", "create", "T", "-f", "x.md"],
        &["bd", "q", "-f", "x.md"],
    ] {
        town.gt_args(wrong).fails_with(2);
    }
}

#[test]
fn a_markdown_file_becomes_beads_all_or_none() {
    let town = two_rigs();
    let other = create(&town, "Other --rig widgets");
    let text = format!(
        "# Plan\n\n## Größe prüfen\nwhy\n\n### Priority\n1\n\n### Type\nbug\n\n### Labels\na, b\n\n### Dependencies\nrelated:{other}\n\n\
         ## Second\r\n### Acceptance Criteria\r\n- x\r\n"
    );
    let path = file(&town, "plan.md", &text);
    let made = town.gt_args(&["--json", "bd", "create", "-f", &path, "--rig", "widgets", "--labels", "plan"]).json();
    let beads = made.as_array().unwrap();
    assert_eq!((beads.len(), beads[0]["title"].as_str(), beads[0]["priority"].as_u64()), (2, Some("Größe prüfen"), Some(1)));
    assert_eq!((&beads[0]["labels"], &beads[0]["description"]), (&json!(["a", "b", "plan"]), &json!("why")));
    assert_eq!((&beads[0]["dependencies"][0]["type"], &beads[1]["acceptance_criteria"]), (&json!("related"), &json!("- x")));
    let before = tip(&town, "widgets");
    for (name, text, words) in [
        ("none.md", "# nothing\n", "begins with '## '"),
        ("type.md", "## a\n## b\n### Type\nsaga\n", "line 3: 'saga' is not a type"),
        ("dep.md", "## a\n### Deps\nwi-nope1\n", "line 2: "),
        ("prio.md", "## a\n### Priority\nhighest\n", "line 2: 'highest'"),
        ("title.md", &format!("## a\n## {}\n", "x".repeat(501)), "line 2: the title is longer"),
    ] {
        let refused = town.gt_args(&["bd", "create", "-f", &file(&town, name, text), "--rig", "widgets"]);
        assert!(refused.code != 0 && refused.stderr.contains(words), "{name}: {}", refused.stderr);
    }
    town.gt_args(&["bd", "create", "-f", town.base().to_str().unwrap()]).fails_with(2);
    town.gt_args(&["bd", "create", "-f", "nowhere.md"]).fails_with(3);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn a_graph_becomes_beads_and_edges_in_one_transaction() {
    let town = two_rigs();
    let other = create(&town, "Other --rig widgets");
    let graph = json!({"commit_message": "plan", "nodes": [
        {"key": "b", "title": "B", "parent_key": "epic", "deps": [{"target": "a"}, {"target": other, "type": "related"}], "colour": "red"},
        {"key": "a", "title": "A", "type": "bug", "priority": 0, "parent": "epic", "labels": ["x"], "metadata": {"k": 1}, "estimate": 30},
        {"key": "epic", "title": "E", "issue_type": "epic", "acceptance_criteria": "all"}],
        "edges": [{"from_key": "epic", "to_id": other, "type": "validates"}]});
    let path = file(&town, "plan.json", &graph.to_string());
    let made = town.gt_args(&["--json", "bd", "create", "--graph", &path, "--rig", "widgets"]).succeeds();
    assert!(made.stderr.contains("node b: 'colour' is left out"), "{}", made.stderr);
    let ids = made.json()["ids"].clone();
    let id = |key: &str| ids[key].as_str().unwrap().to_owned();
    let (a, b) = (town.show(&id("a")), town.show(&id("b")));
    assert_eq!((a["parent"].as_str(), b["parent"].as_str()), (Some(id("epic").as_str()), Some(id("epic").as_str())));
    assert_eq!((&b["dependencies"][0]["depends_on_id"], &b["dependencies"][1]["type"]), (&json!(id("a")), &json!("related")));
    assert_eq!((&a["metadata"], &a["estimated_minutes"], &a["issue_type"]), (&json!({"k": 1}), &json!(30), &json!("bug")));
    assert_eq!(town.show(&id("epic"))["dependencies"][0]["type"], "validates");
    let before = tip(&town, "widgets");
    let node = |key: &str| json!({"key": key, "title": key});
    for (graph, words) in [
        (
            json!({"nodes": [node("a"), node("b")], "edges": [{"from_key": "a", "to_key": "b"}, {"from_key": "b", "to_key": "a"}]}),
            "would wait for itself",
        ),
        (json!({"nodes": [node("a"), node("a")]}), "two beads are called 'a'"),
        (json!({"nodes": [node("a")], "edges": [{"from_key": "a", "to_key": "z"}]}), "called 'z'"),
        (
            json!({"nodes": [{"key": "a", "title": "a", "parent_key": "b"}, {"key": "b", "title": "b", "parent_key": "a"}]}),
            "each other's parents",
        ),
        (json!({"nodes": [node("a"), {"key": "b", "title": ""}]}), "b: the title is empty"),
        (json!({"nodes": [{"key": "a"}]}), "it is no graph"),
        (json!([]), "it is no graph"),
    ] {
        let refused =
            town.gt_args(&["bd", "create", "--graph", &file(&town, "bad.json", &graph.to_string()), "--rig", "widgets"]);
        assert!(refused.code != 0 && refused.stderr.contains(words), "{graph}: {}", refused.stderr);
    }
    assert_eq!(tip(&town, "widgets"), before);
    town.fsck();
}

#[test]
fn verbs_that_a_town_has_no_need_of_are_answered() {
    let town = two_rigs();
    let before = tip(&town, "widgets");
    assert!(town.gt("bd sync --flush-only -m note").succeeds().stdout.contains("no remote"));
    town.gt("--json bd sync").json();
    assert!(town.gt("bd init --prefix other").succeeds().stderr.contains("not with other"));
    assert_eq!(town.gt("--json bd init").json()["prefix"], "hq");
    assert!(town.gt("bd prime").succeeds().stdout.contains("# You are"));
    create(&town, "One");
    let told = town.gt("--json bd info").json();
    assert!(told["issue_count"].as_u64().unwrap() > 0 && told["config"]["issue_prefix"] == "hq");
    assert!(town.gt("--json bd where").json()["path"].as_str().unwrap().ends_with(".repo.git"));
    assert_eq!(town.gt("--json bd version").json()["version"], env!("CARGO_PKG_VERSION"));
    for absent in ["bd mol list", "bd cook x"] {
        town.gt(absent).fails_with(2);
    }
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn words_for_a_daemon_and_a_database_are_answered_in_a_line() {
    let town = two_rigs();
    let before = (tip(&town, "widgets"), tip(&town, "."));
    for line in ["bd dolt push", "bd dolt pull"] {
        assert!(town.gt(line).succeeds().stdout.contains("no remote"), "{line}");
        town.gt(&format!("--json {line}")).json();
    }
    for line in ["bd dolt commit -m note", "bd dolt status", "bd dolt start", "bd daemon", "bd daemon --status", "bd daemon stop"]
    {
        let told = town.gt(line).succeeds().stdout;
        assert!(told.lines().count() == 1 && told.contains("ledger"), "{line}: {told}");
        town.gt(&format!("--json {line}")).json();
    }
    for line in ["bd daemon --start --auto-commit", "bd daemon start", "bd dolt", "bd dolt sql -q 'drop table issues'"] {
        let refused = town.gt(line).fails_with(4);
        assert!(refused.stderr.contains("gt sync"), "{line}: {}", refused.stderr);
    }
    assert!(town.gt("bd onboard").succeeds().stdout.contains("gt ready"));
    assert_eq!((tip(&town, "widgets"), tip(&town, ".")), before);
}

#[test]
fn status_tells_how_much_there_is_and_where_it_stands() {
    let town = two_rigs();
    let at = |hour: u32| town.here().var("GT_NOW", &format!("2026-01-01T{hour:02}:00:00Z"));
    let make = |words: &str| id_of(&at(1).gt(&format!("--json create {words} --rig widgets")).json());
    let (first, ended, epic) = (make("First"), make("Ended"), make("Epic -t epic"));
    let part = make(&format!("Part --parent {epic} --assignee mayor"));
    make(&format!("Waits --deps {first}"));
    let (held, aside, rules, taken) = (make("Held"), make("Aside"), make("Rules"), make("Taken"));
    create(&town, "Far --rig gadgets");
    at(2).gt(&format!("close {ended}")).succeeds();
    at(5).gt(&format!("close {part}")).succeeds();
    at(5).gt(&format!("update {held} --status blocked")).succeeds();
    at(5).gt(&format!("bead defer {aside}")).succeeds();
    at(5).gt(&format!("bead pin {rules}")).succeeds();
    at(5).gt(&format!("update {taken} --claim")).succeeds();
    let summary = |line: &str| at(6).gt(&format!("--json bd status {line}")).json()["summary"].clone();
    let wanted = json!({
        "total_issues": 9, "open_issues": 3, "hooked_issues": 0, "in_progress_issues": 1, "in_review_issues": 0,
        "blocked_issues": 2, "deferred_issues": 1, "pinned_issues": 1, "closed_issues": 2, "ready_issues": 1,
        "epics_eligible_for_closure": 1, "average_lead_time_hours": 2.5,
    });
    assert_eq!(summary("--rig widgets --no-activity"), wanted);
    assert_eq!(summary("--all")["total_issues"], 10);
    let mayors = town.as_agent("mayor").gt("--json bd status --assigned --rig widgets").json()["summary"].clone();
    assert_eq!((&mayors["total_issues"], &mayors["closed_issues"]), (&json!(1), &json!(1)));
    let page = at(6).gt("bead status --rig widgets").succeeds().stdout;
    assert!(page.contains("9      in all") && page.contains("2.5 hours") && !page.contains("hooked"), "{page}");
    town.gt("bd status --rig nowhere").fails_with(3);
}

#[test]
fn what_was_learned_is_kept_found_told_and_forgotten() {
    let town = two_rigs();
    let hq = || tip(&town, ".");
    let said = |line: &str| town.gt(&format!("--json bd {line}")).json();
    let kept = said("remember 'Always run the tests with --race'");
    assert_eq!((&kept["key"], &kept["action"]), (&json!("always-run-the-tests-with-race"), &json!("remembered")));
    assert_eq!(said("remember 'The pump leaks' --key pump")["action"], "remembered");
    let again = said("remember 'The pump is dry now' --key pump");
    assert_eq!((&again["action"], &again["value"]), (&json!("updated"), &json!("The pump is dry now")));
    let all = json!({"always-run-the-tests-with-race": "Always run the tests with --race", "pump": "The pump is dry now"});
    assert_eq!(said("memories"), all);
    assert_eq!(said("memories DRY"), json!({"pump": "The pump is dry now"}));
    assert_eq!(said("memories race"), json!({"always-run-the-tests-with-race": "Always run the tests with --race"}));
    assert_eq!(said("memories nowhere"), json!({}));
    assert_eq!(town.gt("bd recall pump").succeeds().stdout, "The pump is dry now\n");
    assert_eq!(town.gt("bd recall nothing").ends_with(1).stdout, "");
    // Every agent is told, and scripts' own words are kept apart.
    let primed = town.as_agent("mayor").gt("bd prime").succeeds().stdout;
    assert!(primed.contains("- pump: The pump is dry now"), "{primed}");
    assert_eq!(said("kv list"), json!({}));
    let before = hq();
    for wrong in ["kv set memory.pump x", "kv get memory.pump", "kv clear memory.pump", "remember ' '", "remember ключ"] {
        town.gt(&format!("bd {wrong}")).fails_with(2);
    }
    town.gt("bd remember x --key a/b").fails_with(2);
    town.gt("bd remember 'The pump is dry now' --key pump").succeeds();
    assert_eq!(hq(), before, "the same again writes nothing");
    assert_eq!(said("forget pump")["deleted"], true);
    assert_eq!(town.gt("bd forget pump").ends_with(1).stdout, "pump was not remembered\n");
    // No more than an agent wants to read, and it says that there is more.
    for n in 0..3 {
        let text = format!("{n} {}", "x".repeat(3_000));
        town.gt_args(&["bd", "remember", &text, "--key", &format!("long-{n}")]).succeeds();
    }
    let primed = town.as_agent("mayor").gt("prime").succeeds().stdout;
    assert!(primed.contains("- long-1: 1 x") && !primed.contains("- long-2") && primed.contains("1 more: gt bead memories"));
}

#[test]
fn a_dry_run_tells_what_would_be_filed_and_files_nothing() {
    let town = two_rigs();
    let other = create(&town, "Other --rig widgets");
    let before = tip(&town, "widgets");
    let plan = |words: &str| town.gt(&format!("--json bd create {words} --rig widgets --dry-run")).json();
    let told = plan(&format!("New -t bug -p 1 --deps {other}"));
    assert_eq!((&told[0]["dry_run"], &told[0]["title"], &told[0]["issue_type"]), (&json!(true), &json!("New"), &json!("bug")));
    assert_eq!((told[0].get("id"), &told[0]["dependencies"][0]["depends_on_id"]), (None, &json!(other)));
    assert_eq!(plan(&format!("New --parent {other}"))[0]["id"], format!("{other}.1"));
    assert_eq!(plan("New --id wi-given")[0]["id"], "wi-given");
    let page = town.gt("create New -t bug -p 1 --rig widgets --dry-run").succeeds().stdout;
    assert_eq!(page, "would create a bug, P1: New\n");
    let graph =
        json!({"nodes": [{"key": "a", "title": "A"}, {"key": "b", "title": "B", "parent_key": "a", "deps": [{"target": "a"}]}]});
    let told = plan(&format!("--graph {}", file(&town, "plan.json", &graph.to_string())));
    assert_eq!((&told[0]["title"], &told[1]["title"]), (&json!("A"), &json!("B")));
    assert!(told[1].get("parent").is_none(), "what is drawn now will be drawn anew: {told:#}");
    assert_eq!(plan(&format!("-f {}", file(&town, "plan.md", "## A\n## B\n"))).as_array().unwrap().len(), 2);
    // What would be refused is refused.
    town.gt(&format!("create New --id {other} --rig widgets --dry-run")).fails_with(4);
    town.gt("create New --deps wi-nope1 --rig widgets --dry-run").fails_with(3);
    town.gt("create '' --rig widgets --dry-run").fails_with(2);
    town.gt("bd q New --dry-run").fails_with(2);
    town.gt("create New --dry-run --silent").fails_with(2);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn lists_are_trees_and_beads_are_lines_when_asked() {
    let town = two_rigs();
    let epic = create(&town, "Epic -t epic -p 1 --rig widgets");
    let first = create(&town, &format!("First --parent {epic} --assignee mayor"));
    let below = create(&town, &format!("Below --parent {first}"));
    let second = create(&town, &format!("Second --parent {epic} -p 3"));
    let apart = create(&town, "Apart -p 0 --rig widgets");
    let wanted = format!(
        "{apart} P0 open Apart\n{epic} P1 open Epic\n├── {first} P2 open First (mayor)\n│   └── {below} P2 open Below\n\
         └── {second} P3 open Second\n"
    );
    for line in ["list --tree", "bd list --pretty"] {
        assert_eq!(town.gt(&format!("{line} --rig widgets")).succeeds().stdout, wanted);
    }
    let filtered = town.gt("list --tree --rig widgets -p 2-4").succeeds();
    assert_eq!(
        filtered.stdout,
        format!("{first} P2 open First (mayor)\n└── {below} P2 open Below\n{second} P3 open Second\n"),
        "below what the list does not have nothing hangs"
    );
    assert!(filtered.stderr.contains("3 beads"), "{}", filtered.stderr);
    let flat = town.gt("--json list --tree --rig widgets").json();
    assert_eq!(flat, town.gt("--json list --rig widgets").json(), "programs get the rows");
    town.gt("list --tree --format {id}").fails_with(2);
    let lines = town.gt(&format!("show {epic} {first} --short")).succeeds().stdout;
    assert_eq!(lines, format!("{epic} P1 open epic - Epic\n{first} P2 open task mayor First\n"));
    assert_eq!(town.gt(&format!("--json show {epic} --short")).json(), town.gt(&format!("--json show {epic}")).json());
    town.gt(&format!("show {epic} --short --long")).fails_with(2);
}

#[test]
fn the_loop_of_an_agent_prompt_works_word_by_word() {
    let town = two_rigs();
    let bd = town.base().join("bd");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gt"), &bd).unwrap();
    let run = |line: &str| {
        let args = line.split_whitespace();
        let output = town.command(bd.to_str().unwrap(), &town.root).args(args).output().unwrap();
        crate::town::Outcome::of(format!("bd {line}"), output).succeeds().stdout
    };
    let json_of = |line: &str| serde_json::from_str::<Value>(&run(line)).unwrap();
    assert!(run("--version").contains(env!("CARGO_PKG_VERSION")));
    let help = run("--help");
    assert!(help.contains("Usage: bd ") && !help.contains("bd bead"), "{help}");
    assert!(run("create --help").contains("Usage: bd create "));
    let id = id_of(&json_of("create Mend --description=why -t bug -p 1 --json"));
    let ready = json_of("ready --json");
    assert_eq!(ready[0]["id"], id.as_str());
    assert_eq!(json_of(&format!("show {id} --json"))[0]["id"], id.as_str());
    assert_eq!(json_of(&format!("update {id} --claim --json"))[0]["status"], "in_progress");
    let found = id_of(&json_of(&format!("create Found -p 2 --deps discovered-from:{id} --json")));
    let other = id_of(&json_of("create Other --json"));
    assert_eq!(json_of(&format!("dep add {found} {other} --type blocks --json"))["status"], "added");
    assert_eq!(json_of("blocked --json")[0]["id"], found.as_str());
    run(&format!("dep remove {found} {other}"));
    run(&format!("update {id} --add-label x --append-notes done --json"));
    assert_eq!(json_of("list --status in_progress --label x --json")[0]["id"], id.as_str());
    assert_eq!(json_of(&format!("close {id} --reason done --json"))[0]["status"], "closed");
    let listed = |status: &str| json_of(&format!("list --status {status} --label x --json")).as_array().unwrap().len();
    assert_eq!((listed("open"), listed("all")), (0, 1), "all has closed ones too");
    let related = json_of(&format!("dep relate {other} {id} --json"));
    assert_eq!((&related["status"], &related["type"]), (&json!("added"), &json!("related")));
    run(&format!("dep unrelate {other} {id} --json"));
    run(&format!("dep tree {found}"));
    // What older prompts say.
    run(&format!("--no-daemon update {found} --status in-progress -m other --json"));
    assert_eq!(json_of(&format!("view {found} --json --sandbox"))[0]["description"], "other");
    let body = file(&town, "body", "new\n");
    assert_eq!(json_of(&format!("update {found} --body-file {body} --design-file {body} --json"))[0]["design"], "new");
    run("sync");
}
