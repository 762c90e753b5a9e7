//! Five machines that write and sync at random around one hub: equal in the end, and nothing acknowledged is lost
//! without a report.

use std::collections::{BTreeMap, BTreeSet};

use gastown::error::Result;
use gastown::ledger::{Change, Deed};
use gastown::model::bead::{Bead, Status};
use gastown::model::mail::Letter;
use gastown::model::merge::Conflict;
use gastown::name::BeadId;
use proptest::prelude::*;

use crate::merge::world::actor;
use crate::sync::{Machines, now};

const MACHINES: usize = 5;
const OPERATIONS: usize = 200;
/// After so many rounds in which each machine syncs once all are equal.
const ROUNDS_MAX: usize = 3;

/// What was acknowledged so far.
#[derive(Default)]
struct Story {
    titles: BTreeMap<BeadId, BTreeSet<String>>,
    /// Titles whose change was made by somebody who saw them.
    replaced: BTreeSet<String>,
    comments: Vec<(BeadId, String)>,
    added: BTreeSet<(BeadId, String)>,
    removed: BTreeSet<(BeadId, String)>,
    closed: BTreeSet<BeadId>,
    reopened: BTreeSet<BeadId>,
}

fn edit(machines: &Machines, at: usize, id: &BeadId, n: usize, edit: impl Fn(&mut Bead) -> Result<()>) {
    let actor = actor();
    let deed = Deed { actor: &actor, op: "edit", subject: format!("edit {n}"), now: now() };
    let change = |change: &mut Change<'_>| {
        let mut bead = change.bead(id)?;
        edit(&mut bead)?;
        change.put_bead(&bead)
    };
    machines.ledgers[at].transact(&deed, change).unwrap();
}

impl Story {
    fn step(&mut self, machines: &Machines, n: usize, (at, what, which): (usize, u8, usize)) {
        let beads = machines.ledgers[at].state().unwrap().beads().unwrap().0;
        let word = format!("w{n}");
        if what < 3 {
            drop(machines.sync(at));
        } else if what < 5 || beads.is_empty() {
            let id = machines.create(at, &word);
            self.titles.entry(id).or_default().insert(word);
        } else {
            let bead = &beads[which % beads.len()];
            self.change(machines, (at, n), bead, what, word);
        }
    }

    fn change(&mut self, machines: &Machines, (at, n): (usize, usize), bead: &Bead, what: u8, word: String) {
        let id = bead.id.clone();
        let (time, by) = (now(), format!("mach{at}"));
        match what {
            5 | 6 => {
                edit(machines, at, &id, n, |bead| {
                    bead.title.clone_from(&word);
                    Ok(())
                });
                self.replaced.insert(bead.title.clone());
                self.titles.entry(id).or_default().insert(word);
            }
            7 | 8 => {
                edit(machines, at, &id, n, |bead| {
                    bead.comment(format!("c-{word}"), &by, &word, time);
                    Ok(())
                });
                self.comments.push((id, word));
            }
            9 => {
                edit(machines, at, &id, n, |bead| {
                    bead.labels.insert(word.clone());
                    Ok(())
                });
                self.added.insert((id, word));
            }
            10 => {
                let Some(label) = bead.labels.first().cloned() else { return };
                edit(machines, at, &id, n, |bead| {
                    bead.labels.remove(&label);
                    Ok(())
                });
                self.removed.insert((id, label));
            }
            _ if bead.status.is_closed() => {
                edit(machines, at, &id, n, |bead| bead.become_status(Status::Open, time));
                self.reopened.insert(id);
            }
            _ => {
                edit(machines, at, &id, n, |bead| bead.close(&by, &word, time));
                self.closed.insert(id);
            }
        }
    }

    /// Everything acknowledged stands, was changed by somebody who saw it, or is in a report.
    fn check(&self, machines: &Machines) {
        let state = machines.ledgers[0].state().unwrap();
        let beads: BTreeMap<BeadId, Bead> = state.beads().unwrap().0.into_iter().map(|bead| (bead.id.clone(), bead)).collect();
        let conflicts = state.all::<Conflict>("conflicts").unwrap().0;
        let reported: BTreeSet<&str> =
            conflicts.iter().flat_map(|one| [one.kept.as_str(), one.overruled.as_str()]).flatten().collect();
        for (id, titles) in &self.titles {
            let stands = &beads[id].title;
            let is_told = |title: &String| title == stands || self.replaced.contains(title) || reported.contains(title.as_str());
            assert!(titles.iter().all(is_told), "{id}: of {titles:?} stands {stands}, reported are {reported:?}");
        }
        for (id, text) in &self.comments {
            assert!(beads[id].comments.iter().any(|comment| comment.text == *text), "the comment {text} on {id} is lost");
        }
        for (id, label) in self.added.difference(&self.removed) {
            assert!(beads[id].labels.contains(label), "the label {label} of {id} is lost");
        }
        for id in self.closed.difference(&self.reopened) {
            assert!(beads[id].status.is_closed(), "{id} is open, and nobody opened it");
        }
        let parcels = state.paths("outbox").unwrap().len() + state.all::<Letter>("mail").unwrap().0.len();
        assert!(parcels >= conflicts.len(), "each of {} reports is told to somebody: {parcels}", conflicts.len());
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(1, 0))]

    #[test]
    fn machines_that_write_and_sync_at_random_end_equal_and_lose_nothing_untold(
        steps in proptest::collection::vec((0..MACHINES, 0..13_u8, any::<u16>().prop_map(usize::from)), OPERATIONS),
    ) {
        let machines = Machines::new(MACHINES);
        let mut story = Story::default();
        for (n, step) in steps.into_iter().enumerate() {
            story.step(&machines, n, step);
        }
        let are_equal = || (0..MACHINES).all(|n| machines.tip(n) == machines.hub_tip());
        let mut rounds = 0;
        while rounds == 0 || !are_equal() {
            rounds += 1;
            prop_assert!(rounds <= ROUNDS_MAX, "still not equal after {} rounds", ROUNDS_MAX);
            (0..MACHINES).for_each(|n| drop(machines.sync(n)));
        }
        story.check(&machines);
        crate::merge::world::git(&machines.hub, &["fsck", "--strict"]);
    }
}
