//! The commands of the README and of the page on beads, run as they stand there.

use crate::town::{self, Outcome, Town};

/// The `sh` blocks of a Markdown text.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```sh") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The tour on one's own repository: all but the two commands that build and test this program.
#[test]
fn the_tour_in_the_readme_works_as_it_stands() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (cargo, tour): (Vec<String>, Vec<String>) = blocks(&readme).into_iter().partition(|block| block.starts_with("cargo "));
    assert_eq!(cargo, ["cargo run --release --bin gt -- demo\n", "cargo test\n"], "the two commands from a fresh machine");
    assert!(!tour.is_empty(), "the README has no tour");

    let town = town::place();
    let project = town.project("project");
    let mut script = String::from("set -eu\n");
    for line in tour.concat().lines() {
        // Whoever types has the patience to let the agent finish; a script must be told.
        if line.starts_with("gt mq run") {
            script.push_str(
                "n=0; while [ \"$(gt session list --json)\" != '[]' ]; do n=$((n+1)); [ $n -lt 600 ]; sleep 0.1; done\n",
            );
        }
        script.push_str(&line.replace("PROJECT", project.to_str().unwrap()));
        script.push('\n');
    }
    script.push_str("git --git-dir widgets/.repo.git show main:hello.txt\n");
    let mut shell = town.command("sh", &town.base().join("home"));
    // Real clock and ids: this is what a person gets.
    shell.args(["-c", &script]).env_remove("GT_NOW").env_remove("GT_SEED");
    let outcome = Outcome::of("the tour".into(), shell.output().unwrap()).succeeds();
    assert!(outcome.stdout.ends_with("hello\n"), "{}", outcome.stdout);
}

/// All but the block whose project lies elsewhere.
#[test]
fn the_examples_of_the_page_on_beads_work_as_they_stand() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/beads.md")).unwrap();
    let (town, _) = Town::with_rig();
    let here: Vec<String> = blocks(&page).into_iter().filter(|block| !block.contains("https://")).collect();
    assert!(here.len() > 10, "the page has no examples");
    let mut shell = town.command("sh", &town.root);
    let script = format!("set -eux\n{}", here.concat());
    shell.args(["-c", &script]).env_remove("GT_NOW").env_remove("GT_SEED");
    Outcome::of("the examples".into(), shell.output().unwrap()).succeeds();
}

#[test]
fn blocks_are_found_between_their_fences() {
    assert_eq!(blocks("a\n```sh\none\ntwo\n```\n```\nnot\n```\n```sh\nthree\n```\n"), ["one\ntwo\n", "three\n"]);
}
