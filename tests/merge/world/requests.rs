//! What happens to merge requests at a replica: filed, landed, approved, held; and what is said of their targets.

use gastown::ledger::{Change, tree};
use gastown::model::bead::{Bead, IssueType, Status};
use gastown::model::flow::{Control, Flow};
use gastown::model::merge_request::{Hold, MergeRequest, Mode, MrState};
use gastown::model::record::{Object, Rev};
use gastown::model::review::Approval;
use gastown::name::BeadId;
use gastown::time::Moment;

use super::World;

impl World {
    pub(super) fn done(&mut self, at: usize, n: usize, word: &str) {
        let Some((mut bead, agent)) = self.own_work(at, n) else { return };
        let id = Self::id(at, word);
        self.change(at, |change| {
            let request = MergeRequest {
                branch: "b".into(),
                target: "main".into(),
                head: "h".into(),
                base: "b".into(),
                tree: "t".into(),
                source_beads: vec![bead.id.clone()],
                author: agent.to_string(),
                submitted_at: change.now(),
                message: word.to_owned(),
                mode: Mode::Squash,
                ..MergeRequest::blank(change.now())
            };
            withdraw(change, &bead.id)?;
            let mut mr = Bead::new(id.clone(), IssueType::MergeRequest, word, "overseer", change.now())?;
            request.put_into(&mut mr);
            change.put_bead(&mr)?;
            bead.become_status(Status::InReview, change.now())?;
            change.remove(&tree::hook(&agent));
            change.put_bead(&bead)
        });
    }

    pub(super) fn land(&mut self, at: usize, n: usize) {
        let Some(mut bead) = self.pick(at, n).filter(|bead| bead.status == Status::InReview) else { return };
        let requests = self.beads(at);
        self.change(at, |change| {
            for mr in &requests {
                let Ok(mut request) = MergeRequest::of(mr) else { continue };
                if request.state.is_live() && request.source_beads.contains(&bead.id) {
                    let mut mr = mr.clone();
                    request.state = MrState::Landed;
                    request.landed_commit = Some("abc".into());
                    request.put_into(&mut mr);
                    mr.close("refinery", "landed", change.now())?;
                    bead.close("refinery", "landed", change.now())?;
                    change.put_bead(&mr)?;
                    return change.put_bead(&bead);
                }
            }
            Ok(())
        });
    }

    /// Edits a request that waits.
    fn say(&mut self, at: usize, n: usize, mut edit: impl FnMut(&mut MergeRequest, Moment)) {
        let waits = |bead: &Bead| MergeRequest::of(bead).is_ok_and(|mr| mr.state.is_live());
        let waiting: Vec<Bead> = self.beads(at).into_iter().filter(waits).collect();
        let Some(mut bead) = waiting.get(n % waiting.len().max(1)).cloned() else { return };
        self.change(at, |change| {
            let mut mr = MergeRequest::of(&bead)?;
            edit(&mut mr, change.now());
            mr.put_into(&mut bead);
            change.put_bead(&bead)
        });
    }

    pub(super) fn approve(&mut self, at: usize, n: usize, word: &str) {
        let mut said = false;
        self.say(at, n, |mr, now| {
            let (by, head, note) = (format!("overseer/o{n}"), mr.head.clone(), word.to_owned());
            mr.approvals.push(Approval { by, at: now, head, note, extra: Object::new() });
            said = true;
        });
        if said {
            self.acknowledged.insert(word.to_owned());
        }
    }

    pub(super) fn hold(&mut self, at: usize, n: usize, word: &str) {
        self.say(at, n, |mr, now| {
            let hold = Hold { by: "overseer".into(), reason: word.to_owned(), at: now, extra: Object::new() };
            mr.hold = if mr.hold.is_some() { None } else { Some(hold) };
        });
    }

    pub(super) fn steer(&mut self, at: usize, n: usize, word: &str) {
        let path = tree::control(&format!("branch/{}", n % 2));
        self.change(at, |change| {
            let before: Option<Control> = change.get(&path)?;
            let is_open = before.is_none_or(|control| control.state == Flow::Open);
            let control = Control {
                v: 1,
                target: format!("branch/{}", n % 2),
                state: if is_open { Flow::Frozen } else { Flow::Open },
                floor: is_open.then_some(0),
                reason: word.to_owned(),
                by: "overseer".into(),
                at: change.now(),
                rev: Rev::default(),
                extra: Object::new(),
            };
            change.put(&path, &control)
        });
    }
}

/// Takes live requests for bead `id` out of the queue.
pub fn withdraw(change: &mut Change<'_>, id: &BeadId) -> gastown::error::Result<()> {
    for mut mr in change.before().beads_of(&IssueType::MergeRequest)? {
        let mut request = MergeRequest::of(&mr)?;
        if request.state.is_live() && request.source_beads.contains(id) {
            request.state = MrState::Withdrawn;
            request.put_into(&mut mr);
            mr.close("overseer", "withdrawn", change.now())?;
            change.put_bead(&mr)?;
        }
    }
    Ok(())
}
