//! The index: whatever happens to it, every question has the answer that reading all records gives.

mod world;

use std::path::PathBuf;

use gastown::ledger::State;
use gastown::ledger::index::{Catalog, Hit, Query, Row};
use gastown::model::bead::{Bead, DependencyKind};
use gastown::model::brief::{Brief, Facts};
use gastown::model::dependency::{GENERATIONS_MAX, obstacle};
use gastown::name::BeadId;
use proptest::prelude::*;
use world::{Step, World, step};

/// What is asked of a row whose place in the file is damaged is asked of the record.
fn brief(state: &State<'_>, row: Row<'_>) -> Brief {
    row.brief().unwrap_or_else(|| Brief::of(&state.bead_of(row).unwrap()))
}

fn briefs(state: &State<'_>, catalog: &Catalog) -> Vec<Brief> {
    let mut briefs: Vec<Brief> = catalog.rows().map(|row| brief(state, row)).collect();
    briefs.sort_by(|a, b| a.id.cmp(&b.id));
    briefs
}

/// Asks everything of the state that the world is in, through the index and through all records.
fn check(world: &World) {
    let ledger = world.ledger();
    let state = ledger.state().unwrap();
    let (beads, damaged) = state.beads().unwrap();
    let catalog = state.catalog().unwrap();
    let mut expected: Vec<Brief> = beads.iter().map(Brief::of).collect();
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(briefs(&state, &catalog), expected);
    assert_eq!(catalog.damaged(), damaged);
    for row in catalog.rows() {
        let full = state.bead_of(row).unwrap();
        assert_eq!(beads.iter().find(|bead| bead.id == full.id), Some(&full));
    }
    check_choices(&catalog, &expected);
    check_search(&state, &catalog, &beads);
    let different = ledger.compare_index().unwrap().different;
    assert!(different.is_empty() || different == ["the file is damaged"], "{different:?}");
    let archive = state.archive().unwrap().map(|archive| archive.beads().unwrap().0).unwrap_or_default();
    let archived: Vec<Brief> = archive.iter().map(Brief::of).collect();
    for brief in &expected {
        let row = catalog.find(brief.id.as_str()).unwrap();
        assert_eq!(self::brief(&state, row), *brief);
        let found = catalog.is_unblocked(row);
        assert!(found.is_some() || weigh(&expected, &[], brief).is_none(), "{}", brief.id);
        assert!(found.is_none() || weigh(&expected, &archived, brief) == found, "{}", brief.id);
        assert_eq!(row.labels(), brief.labels);
        let children: Vec<&Brief> = expected.iter().filter(|other| other.is_child_of(&brief.id)).collect();
        let found: Vec<Brief> = catalog.children(&brief.id).iter().map(|row| self::brief(&state, *row)).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), children);
        let edges = expected.iter().flat_map(|other| other.edges.iter().map(move |(kind, id)| (other, kind, id)));
        let needed: Vec<(&str, String)> =
            edges.filter(|(_, _, id)| **id == brief.id).map(|(other, kind, _)| (other.id.as_str(), kind.to_string())).collect();
        let rows = catalog.needed_by(&brief.id);
        let found: Vec<(&str, String)> = rows.iter().map(|(row, kind)| (row.id(), kind.to_string())).collect();
        assert_eq!(found, needed);
        for (kind, id) in catalog.find(brief.id.as_str()).unwrap().edges() {
            assert_eq!(
                catalog.target(id).map(|row| row.id().to_owned()),
                expected.iter().find(|one| one.id.as_str() == catalog.target_id(id)).map(|one| one.id.to_string()),
                "{kind}"
            );
        }
    }
    assert!(catalog.find("wi-none").is_none());
    for start in ["w", "wi-", "wi-a", "wi-b1", "wi-zz", ""] {
        let names = damaged.iter().filter_map(|one| one.path.rsplit('/').next()?.strip_suffix(".json"));
        let names = expected.iter().map(|brief| brief.id.as_str()).chain(names).filter(|id| id.starts_with(start));
        let mut names: Vec<String> = names.filter(|id| id.parse::<BeadId>().is_ok()).map(str::to_owned).collect();
        if names.is_empty() {
            // Those in the archive are asked for only when no other fits.
            names.extend(archived.iter().map(|brief| brief.id.to_string()).filter(|id| id.starts_with(start)));
        }
        names.sort();
        names.dedup();
        let found: Vec<String> = state.ids_starting_with(start).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, names, "ids that start with {start}");
    }
    for address in world::people() {
        let (letters, damaged) = state.letters(&address).unwrap();
        let unread = state.unread(&address).unwrap();
        let expected: Vec<_> = letters.iter().filter(|letter| letter.is_unread()).collect();
        let found: Vec<_> = unread.letters.iter().map(|(slip, blob)| state.letter_of(slip, *blob).unwrap()).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        assert!(unread.letters.iter().zip(&expected).all(|((slip, _), letter)| slip.urgency == letter.priority));
        assert_eq!(unread.damaged, damaged);
    }
}

/// What blocks a bead within its scope and those archived; `None` when that cannot be told there.
fn weigh(all: &[Brief], archived: &[Brief], one: &Brief) -> Option<bool> {
    let find = |id: &BeadId| all.iter().find(|other| other.id == *id);
    let find_either = |id: &BeadId| find(id).or_else(|| archived.iter().find(|other| other.id == *id));
    let (mut answer, mut at) = (true, one);
    for _ in 0..GENERATIONS_MAX {
        for (kind, id) in at.blockers() {
            if *kind == DependencyKind::WaitsFor {
                return None;
            }
            answer &= obstacle::<Brief>(kind, find_either(id)?, []).is_none();
        }
        match &at.parent {
            None => break,
            Some(parent) => at = find(parent)?,
        }
    }
    Some(answer)
}

/// What is found by words.
fn check_search(state: &State<'_>, catalog: &Catalog, beads: &[Bead]) {
    for phrases in
        [vec!["made"], vec!["TEST"], vec!["wi-a1"], vec!["red"], vec!["green  AND"], vec!["made", "red"], vec!["nowhere"]]
    {
        let query = Query::new(&phrases.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).unwrap();
        let hits = state.hits(&query).unwrap();
        let is_now = |hit: &&Hit| hit.row(catalog, &query, |row| state.bead_of(row)).is_some();
        let mut found: Vec<&str> = hits.iter().filter(is_now).map(|hit| hit.id.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        let has = |bead: &&Bead| {
            let texts = [bead.title.clone(), bead.id.to_string(), bead.close_reason.clone().unwrap_or_default()];
            let labels = bead.labels.iter().cloned().collect::<Vec<_>>().join(" ");
            let fits = |phrase: &&str| {
                let phrase = phrase.to_lowercase().replace("  ", " ");
                texts.iter().chain([&labels]).any(|text| text.to_lowercase().contains(&phrase))
            };
            phrases.iter().all(fits)
        };
        let mut wanted: Vec<&str> = beads.iter().filter(has).map(|bead| bead.id.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{phrases:?}");
    }
}

/// Choices by filter, order and limit.
fn check_choices(catalog: &Catalog, expected: &[Brief]) {
    for limit in [0, 1, 3] {
        let filters: [fn(&Brief) -> bool; 3] = [|_| true, |one| !one.status.is_closed(), |one| one.has_label("red")];
        let same: [fn(&gastown::ledger::index::Row<'_>) -> bool; 3] =
            [|_| true, |row| !row.status().is_closed(), |row| row.has_label("red")];
        for (filter, same) in filters.into_iter().zip(same) {
            let mut wanted: Vec<&Brief> = expected.iter().filter(|one| filter(one)).collect();
            wanted.sort_by(|a, b| (a.priority, a.created_at, &a.id).cmp(&(b.priority, b.created_at, &b.id)));
            let total = wanted.len();
            if limit > 0 {
                wanted.truncate(limit);
            }
            let (rows, found_total) = catalog.first(limit, |row| same(&row), |row| (row.priority(), row.created_at()));
            assert_eq!(found_total, total);
            assert_eq!(
                rows.iter().map(|(_, row)| row.id()).collect::<Vec<_>>(),
                wanted.iter().map(|one| one.id()).collect::<Vec<_>>()
            );
        }
    }
}

fn file(world: &World) -> PathBuf {
    world.dir.join("gt/index")
}

fn filled() -> World {
    let mut world = World::new();
    for n in 0..8 {
        world.run(&Step::Create(n));
    }
    for n in 0..4 {
        world.run(&Step::Mail(n));
    }
    for step in [Step::Depend(0, 1), Step::Child(2), Step::Label(3), Step::Close(4), Step::Far(5), Step::Garble(6)] {
        world.run(&step);
    }
    world.ledger().reindex().unwrap();
    for step in [Step::Create(9), Step::Close(1), Step::Read(0), Step::Delete(7), Step::GarbleMail(3)] {
        world.run(&step);
        check(&world);
    }
    world
}

proptest! {
    #![proptest_config(crate::chance::cases(16, 200))]

    #[test]
    fn every_question_has_the_answer_that_all_records_give(steps in proptest::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            if matches!(step, Step::Ask) {
                check(&world);
            }
        }
        check(&world);
        check(&world);
    }
}

#[test]
fn a_damaged_file_is_read_around_and_made_anew() {
    let world = filled();
    for name in ["gt/index", "gt/index-mail", "gt/texts"] {
        let file = world.dir.join(name);
        let good = std::fs::read(&file).unwrap();
        let mut cuts: Vec<usize> = (0..good.len()).step_by(61).collect();
        cuts.push(good.len() - 1);
        for at in cuts {
            std::fs::write(&file, &good[..at]).unwrap();
            check(&world);
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&file, &flipped).unwrap();
            check(&world);
        }
        std::fs::remove_file(&file).unwrap();
        check(&world);
        assert!(file.is_file(), "a missing one is written again");
        std::fs::write(&file, [good.as_slice(), b"left by a writer that died"].concat()).unwrap();
        check(&world);
    }
}

#[test]
fn an_index_that_lies_is_found_out_by_comparing() {
    let mut world = filled();
    let ledger = world.ledger();
    ledger.reindex().unwrap();
    assert!(ledger.compare_index().unwrap().is_there);
    let stale = std::fs::read(file(&world)).unwrap();
    world.run(&Step::Label(0));
    // What no fault of a disk does: the header names a tree that the rows are not made from.
    let tree = ledger.tip().unwrap().unwrap();
    let mut forged = stale.clone();
    forged[8..28].copy_from_slice(tree.as_slice());
    std::fs::write(file(&world), &forged).unwrap();
    assert!(!ledger.compare_index().unwrap().is_there, "a header that was changed is none");
    std::fs::write(file(&world), &stale).unwrap();
    let compared = ledger.compare_index().unwrap();
    assert!(compared.is_there && compared.different.is_empty(), "an old one is followed up to now");
    assert_eq!(compared.beads, ledger.state().unwrap().catalog().unwrap().rows().count());
}

#[test]
fn an_index_of_another_history_or_moment_is_no_lie() {
    let mut world = filled();
    let newer = std::fs::read(file(&world)).unwrap();
    let tips = world.tips.clone();
    for tip in tips.iter().step_by(4) {
        world.reset(*tip);
        std::fs::write(file(&world), &newer).unwrap();
        check(&world);
    }
    // Another ledger's index, whose tree is not even here.
    let mut other = World::new();
    other.run(&Step::Create(30));
    other.ledger().reindex().unwrap();
    std::fs::copy(file(&other), file(&world)).unwrap();
    world.reset(*tips.last().unwrap());
    check(&world);
    // A directory in its place, or no right to write: answers do not depend on it.
    std::fs::remove_file(file(&world)).unwrap();
    std::fs::create_dir(file(&world)).unwrap();
    check(&world);
}

#[test]
fn what_was_appended_is_folded_in_by_maintenance_and_at_last_by_a_reader() {
    let mut world = World::new();
    world.run(&Step::Create(0));
    check(&world);
    let len = |world: &World| std::fs::metadata(file(world)).unwrap().len();
    for n in 0..4 {
        world.run(&Step::Many(n));
        check(&world);
    }
    let before = len(&world);
    world.ledger().fold_index().unwrap();
    assert!(len(&world) < before, "{before} bytes are still {}", len(&world));
    check(&world);
    let mut longest = 0;
    for n in 0..20 {
        world.run(&Step::Many(n));
        check(&world);
        let now = len(&world);
        longest = longest.max(now);
        if now < longest {
            return;
        }
    }
    panic!("the file only grew, to {longest} bytes");
}

#[test]
fn readers_and_writers_at_once_never_see_a_wrong_answer() {
    let mut world = filled();
    let dir = world.dir.clone();
    std::thread::scope(|scope| {
        for n in 0..3 {
            let dir = &dir;
            scope.spawn(move || {
                for round in 0..15 {
                    let reader = World::at(dir.clone());
                    if n == 0 && round % 5 == 4 {
                        let _ = std::fs::remove_file(file(&reader));
                    }
                    let ledger = reader.ledger();
                    let state = ledger.state().unwrap();
                    let mut expected: Vec<Brief> = state.beads().unwrap().0.iter().map(Brief::of).collect();
                    expected.sort_by(|a, b| a.id.cmp(&b.id));
                    assert_eq!(briefs(&state, &state.catalog().unwrap()), expected);
                }
            });
        }
        for n in 0..15 {
            world.run(&Step::Create(40 + n));
        }
    });
}
