//! The ways of finished work: with others through the queue, at once and alone, or staying on its branch.

use crate::town::{Rig, Town, text_at};

/// Steps inside it.
pub const STEPS: &[&str] = &["done.kept"];

/// A town whose gate is red when there is a file `bad`, and a bead on the hook of toast with a commit of `file`.
fn at_work(line: &str, file: &str) -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "test ! -e bad", "--rig", "widgets"]).succeeds();
    let bead = town.bead(&rig, "Work");
    if let Some(way) = line.strip_prefix("convoy ") {
        town.gt_args(&["convoy", "create", "Batch", &bead, "--merge", way]).succeeds();
        assign(&town, &bead, "toast", "", file);
    } else {
        assign(&town, &bead, "toast", line, file);
    }
    (town, rig, bead)
}

fn assign(town: &Town, bead: &str, polecat: &str, options: &str, file: &str) {
    town.gt(&format!("sling {bead} widgets/polecats/{polecat} --no-start {options}")).succeeds();
    let sandbox = town.root.join("widgets/polecats").join(polecat);
    std::fs::write(sandbox.join(file), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
}

fn target(town: &Town, rig: &Rig) -> String {
    town.git(&rig.dir.join(".repo.git"), &["rev-parse", "refs/heads/main"])
}

#[test]
fn direct_work_lands_alone_and_before_all_others_while_done_waits() {
    for line in ["--merge direct", "convoy direct"] {
        let (town, rig, bead) = at_work(line, "new.txt");
        let other = town.bead(&rig, "Critical");
        town.gt(&format!("update {other} -p 0")).succeeds();
        assign(&town, &other, "nux", "", "other.txt");
        town.as_agent("widgets/polecats/nux").gt("done").succeeds();
        let done = town.as_agent("widgets/polecats/toast").gt("--json done").json();
        assert_eq!(
            (text_at(&done, &["/outcome"]), text_at(&done, &["/commit"])),
            ("landed".into(), target(&town, &rig)),
            "{line}"
        );
        assert_eq!((town.status(&bead), town.status(&other)), ("closed".into(), "in_review".into()));
        let files = town.git(&rig.dir.join(".repo.git"), &["ls-tree", "--name-only", "main"]);
        assert!(files.contains("new.txt") && !files.contains("other.txt"), "{files}");
        town.gt("mq run --once").succeeds();
        assert_eq!(town.status(&other), "closed");
    }
}

#[test]
fn direct_work_that_is_red_is_sent_back_and_holds_nobody_up() {
    let (town, rig, bead) = at_work("--merge direct", "bad");
    let before = target(&town, &rig);
    let done = town.as_agent("widgets/polecats/toast").gt("--json done").json();
    assert_eq!(text_at(&done, &["/outcome"]), "handed-in");
    assert!(text_at(&done, &["/warning"]).contains("evicted"), "{done}");
    assert_eq!((target(&town, &rig), town.status(&bead)), (before, "open".into()));
    let other = town.bead(&rig, "Good");
    assign(&town, &other, "nux", "", "other.txt");
    town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&other), "closed");
}

#[test]
fn a_killed_direct_done_has_handed_in_and_the_queue_lands_it_first() {
    let (town, rig, bead) = at_work("--merge direct", "new.txt");
    town.as_agent("widgets/polecats/toast").var("GT_CRASH_AT", "done.recorded").gt("done").ends_with(-1);
    assert_eq!(town.status(&bead), "in_review");
    let other = town.bead(&rig, "Other");
    assign(&town, &other, "nux", "", "other.txt");
    town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    let ran = town.gt("--json mq run --once").json();
    assert_eq!(ran["landed"].as_array().unwrap().len(), 2, "{ran}");
    assert_eq!(ran["runs"], 2, "it is gated alone: {ran}");
}

#[test]
fn local_work_stays_on_its_branch_and_closes_its_bead_and_convoy() {
    for line in ["--merge local", "convoy local"] {
        let (town, rig, bead) = at_work(line, "new.txt");
        let before = target(&town, &rig);
        let done = town.as_agent("widgets/polecats/toast").gt("--json done").json();
        assert_eq!(text_at(&done, &["/outcome"]), "kept", "{line}");
        let (branch, head) = (text_at(&done, &["/branch"]), text_at(&done, &["/head"]));
        assert_eq!((target(&town, &rig), town.status(&bead)), (before, "closed".into()));
        assert!(text_at(&town.show(&bead), &["/close_reason"]).contains(&branch));
        assert_eq!(town.gt("--json convoy list").json().as_array().unwrap().len(), 0, "its convoy landed");
        let next = town.bead(&rig, "Next");
        assign(&town, &next, "toast", "", "next.txt");
        let repo = rig.dir.join(".repo.git");
        assert_eq!(town.git(&repo, &["rev-parse", &format!("refs/heads/{branch}")]), head, "no reuse removes it");
        town.as_agent("widgets/polecats/toast").gt("hook").succeeds();
        town.fsck();
    }
}

#[test]
fn what_one_slings_counts_before_its_convoy_and_unknown_ways_are_refused() {
    let (town, rig, bead) = at_work("convoy local", "new.txt");
    town.gt(&format!("unsling {bead}")).succeeds();
    assign(&town, &bead, "nux", "--merge mr", "other.txt");
    town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    assert_eq!(town.status(&bead), "in_review");
    town.gt(&format!("sling {} widgets --merge sideways", town.bead(&rig, "More"))).fails_with(2);
}

#[test]
fn a_killed_local_done_is_told_by_the_next_check() {
    let (town, _rig, bead) = at_work("convoy local", "new.txt");
    town.as_agent("widgets/polecats/toast").var("GT_CRASH_AT", "done.kept").gt("done").ends_with(-1);
    assert_eq!(town.status(&bead), "closed");
    town.gt("convoy check").succeeds();
    assert_eq!(town.gt("--json convoy list").json().as_array().unwrap().len(), 0);
}
