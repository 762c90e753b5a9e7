//! What people see: colour where it is wanted, and pages that are the same for every program that reads them.

use crate::beads::create;
use crate::town::Town;

#[test]
fn colour_is_used_when_asked_for_and_says_nothing_that_words_do_not() {
    let (town, _) = Town::with_rig();
    let title =
        "Mend the pump that leaks at the seal and then paint the tank, all of it, with the paint that is left in the shed";
    town.gt_args(&["create", title, "-p", "0", "--rig", "widgets"]).succeeds();
    let plain = town.gt("list --rig widgets").succeeds().stdout;
    assert!(plain.contains(title) && !plain.contains('\u{1b}'), "{plain:?}");
    let painted = town.gt("list --rig widgets --color always").succeeds().stdout;
    assert!(painted.contains("\u{1b}[1;31mP0\u{1b}[0m") && painted.contains(title), "{painted:?}");
    assert_eq!(town.gt("--color never list --rig widgets").succeeds().stdout, plain);
    let asked = town.here().var("NO_COLOR", "1").gt("list --rig widgets --color=always").succeeds().stdout;
    assert_eq!(asked, painted, "who asks for colour gets it");
    let json = town.gt("--json --color always list --rig widgets").succeeds();
    assert!(!json.stdout.contains('\u{1b}'), "{}", json.stdout);
    assert!(town.gt("list --color always --no-such-thing").fails_with(2).stderr.contains('\u{1b}'));
    assert!(!town.gt("list --no-such-thing").fails_with(2).stderr.contains('\u{1b}'));
    town.gt("list --color sometimes").fails_with(2);
}

#[test]
fn nothing_foreign_gets_to_a_terminal_through_a_coloured_page() {
    let (town, _) = Town::with_rig();
    let id = create(&town, "Plain --rig widgets");
    let bad = "\u{1b}]0;owned\u{7} \u{202e}txt \u{9b}31m";
    town.gt_args(&["update", &id, "--title", "Right\u{202e}left"]).succeeds();
    town.gt_args(&["bead", "comment", "add", &id, bad]).succeeds();
    town.gt_args(&["update", &id, "--description", bad]).succeeds();
    for line in [format!("show {id}"), "list --rig widgets".into(), "ready --rig widgets".into(), "log --rig widgets".into()] {
        let page = town.gt(&format!("{line} --color always")).succeeds().stdout;
        assert!(!page.contains(['\u{7}', '\u{202e}', '\u{9b}']) && !page.contains("\u{1b}]"), "{line}: {page:?}");
    }
}

#[test]
fn the_board_shows_work_by_where_it_stands() {
    let (town, rig) = Town::with_rig();
    let (a, b) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    let waits = create(&town, &format!("Waits --deps {a} --rig widgets"));
    let aside = town.bead(&rig, "Aside");
    let ended = town.bead(&rig, "Ended");
    town.gt(&format!("bead defer {aside}")).succeeds();
    town.gt(&format!("close {ended}")).succeeds();
    town.as_agent("mayor").gt(&format!("update {b} --claim")).succeeds();
    let board = town.gt("--json bead board --rig widgets").json();
    let column = |stage: &str| -> Vec<String> {
        let columns = board["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["stage"] == stage).unwrap();
        column["beads"].as_array().unwrap().iter().map(|bead| bead["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([column("ready"), column("blocked")], [vec![a.clone()], vec![waits.clone()]]);
    assert_eq!([column("in_progress"), column("in_review"), column("closed")], [vec![b.clone()], vec![], vec![ended.clone()]]);
    let page = town.gt("bead board --rig widgets").succeeds().stdout;
    assert!(page.starts_with(&format!("READY 1\n  {a} P2 First\n\nBLOCKED 1\n")), "{page}");
    assert!(page.contains(&format!("  {b} P2 Second (mayor)\n")) && !page.contains("Aside"), "{page}");
    let later = town.here().var("GT_NOW", "2999-01-01T00:00:00Z").gt("bead board --rig widgets").succeeds().stdout;
    assert!(!later.contains("CLOSED") && later.contains("READY"), "{later}");
    assert_eq!(town.gt("bead board --rig widgets -t bug").succeeds().stdout, "nothing is on the board\n");
    assert!(town.gt("bead board --watch").fails_with(2).stderr.contains("terminal"));
    town.gt("bead board --rig nowhere").fails_with(3);
    town.gt("bead board --since yesterdayish").fails_with(2);
}
