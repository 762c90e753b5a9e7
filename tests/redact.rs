//! Secrets in records: masked before a log enters the ledger, and taken out of what slipped through.

use std::io::Write as _;
use std::process::Stdio;

use crate::town::{Town, text_at};

const SECRET: &str = "ghp_aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3eF6";

#[test]
fn a_gate_s_log_is_masked_before_it_is_kept() {
    let (town, rig) = Town::with_rig();
    let gate = format!("echo using {SECRET} and $MY_TOKEN; exit 1");
    town.gt_args(&["config", "set", "gates.test.command", &gate, "--rig", "widgets"]).succeeds();
    let bead = town.bead(&rig, "Work");
    town.gt(&format!("sling {bead} widgets/polecats/toast --no-start")).succeeds();
    let sandbox = town.root.join("widgets/polecats/toast");
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    town.gt("mq run --once");
    let all = town.git(&rig.dir.join(".repo.git"), &["grep", "-h", "using", "refs/gt/ledger", "--", "queue", "beads", "mail"]);
    assert!(all.contains("using [redacted]"), "{all}");
    let config = town.git(&rig.dir.join(".repo.git"), &["grep", "-l", SECRET, "refs/gt/ledger"]);
    assert_eq!(config.lines().collect::<Vec<_>>(), ["refs/gt/ledger:config/gates.json"], "only where it was written by hand");
}

#[test]
fn what_slipped_through_is_taken_out_of_beads_comments_and_mail() {
    let (town, rig) = Town::with_rig();
    let (bead, other) = (town.bead(&rig, "Work"), town.bead(&rig, "Other"));
    town.gt_args(&["update", &bead, "-d", "the word is open-sesame, keep it"]).succeeds();
    town.gt_args(&["bead", "comment", "add", &other, "try open-sesame"]).succeeds();
    town.gt_args(&["mail", "send", "widgets/witness", "-s", "Word", "-m", "open-sesame it is"]).succeeds();
    let tried = town.gt("--json redact --text open-sesame --dry-run").json();
    assert_eq!(tried.as_array().unwrap().len(), 3, "{tried}");
    assert!(text_at(&town.show(&bead), &["/description"]).contains("open-sesame"));
    let mut command = town.here().command(&["--json", "redact", &bead, "--text", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"open-sesame\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(text_at(&town.show(&bead), &["/description"]), "the word is [redacted], keep it");
    assert!(town.show(&other).to_string().contains("open-sesame"), "only the record that was named");
    let done = town.gt("redact --text open-sesame").succeeds();
    assert!(done.stderr.contains("revoke it"), "{}", done.stderr);
    let repo = rig.dir.join(".repo.git");
    let left = town.command("git", &repo).args(["grep", "-l", "open-sesame", "refs/gt/ledger"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    town.gt(&format!("show {other}")).succeeds();
    assert!(town.gt("redact --text open-sesame").succeeds().stdout.contains("no record holds it"));
}

#[test]
fn without_a_text_what_looks_like_a_secret_goes_and_nonsense_is_refused() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["bead", "comment", "add", &bead, &format!("use {SECRET} for now")]).succeeds();
    town.gt(&format!("redact {bead}")).succeeds();
    assert!(town.show(&bead)["comments"].to_string().contains("use [redacted] for now"));
    town.gt("redact --text abc").fails_with(2);
    town.gt("redact wi-nothere --text something").fails_with(3);
    town.fsck();
}
