//! The demo, as a stranger starts it: the story to its end, on a repository that it builds and on a given one.

use crate::town::Town;

#[test]
fn the_demo_ends_with_everything_it_claims() {
    let town = Town::new();
    let dir = town.base().join("demo");
    let outcome = town.gt(&format!("demo --json --agents 4 --keep {}", dir.display())).succeeds();
    let shown = outcome.json();
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row["landed"].is_string()), "{rows:#?}");
    let sent_back = |word: &str| rows.iter().filter(|row| row["attempts"].to_string().contains(word)).count();
    assert_eq!((sent_back("gate check was red"), sent_back("conflicts in demo/door.txt")), (2, 1), "{rows:#?}");
    assert_eq!(shown["checks"].as_array().unwrap().len(), 5);
}

#[test]
fn the_demo_refuses_what_it_cannot_show() {
    let town = Town::new();
    town.gt("demo --agents 0").fails_with(2);
    town.gt(&format!("demo --repo /nowhere/at/all --keep {}", town.base().join("x").display())).fails_with(6);
    std::fs::create_dir(town.base().join("full")).unwrap();
    std::fs::write(town.base().join("full/file"), "mine").unwrap();
    town.gt(&format!("demo --keep {}", town.base().join("full").display())).fails_with(4);
    assert_eq!(std::fs::read_to_string(town.base().join("full/file")).unwrap(), "mine");
}
