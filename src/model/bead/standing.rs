//! Where a bead stands and who has it: the lawful moves, and the fields that change with them.
//!
//! These fields are one unit of the record: they merge, are kept by an import and are taken back together.

use super::{Bead, Status};
use crate::error::{Error, Result};
use crate::model::record;
use crate::time::Moment;

/// Fields that belong to an assignment: they go when nobody has the bead any more.
pub const OF_ASSIGNMENT: [&str; 8] =
    ["assignee", "assigned_rev", "hooked_at", "model", "lease_until", "lease_millis", "started_at", "defer_until"];

/// The other fields that change with the status; from `state` on those of merge requests.
const OF_STATUS: [&str; 9] =
    ["status", "closed_at", "close_reason", "closed_by", "state", "landed_commit", "held_reason", "held_for", "waits_for"];

/// Whether `field` of a bead's record says where it stands or who has it.
#[must_use]
pub fn is_of_standing(field: &str) -> bool {
    OF_STATUS.contains(&field) || OF_ASSIGNMENT.contains(&field)
}

impl Bead {
    /// Moves to `next`, keeping `closed_at`, assignment and start in step with the status.
    ///
    /// # Errors
    /// Refused, when the table of moves does not list it; the hint says what is allowed.
    pub fn become_status(&mut self, next: Status, now: Moment) -> Result<()> {
        if self.status == next {
            return Ok(());
        }
        if !self.status.may_become(&next) {
            return Err(
                Error::refused(format!("{} is {} and cannot become {next}", self.id, self.status)).hint(self.what_helps())
            );
        }
        self.lease_until = None;
        self.lease_millis = None;
        if self.status.is_closed() {
            self.reopened_count = self.reopened_count.saturating_add(1);
            self.closed_at = None;
            self.close_reason = None;
            self.closed_by = None;
        }
        match next {
            Status::Closed => self.closed_at = Some(now),
            Status::Open => {
                // What comes back from review is mended by the same effort.
                let effort = (self.status == Status::InReview).then(|| (self.hooked_at, self.model.clone()));
                self.let_go();
                (self.hooked_at, self.model) = effort.unwrap_or_default();
            }
            Status::InProgress => self.started_at = Some(now),
            Status::Hooked | Status::InReview | Status::Blocked | Status::Deferred | Status::Pinned | Status::Other(_) => {}
        }
        self.status = next;
        self.updated_at = now;
        Ok(())
    }

    /// Notes that it is given out at `now`, to somebody who runs `model`.
    pub fn give_out(&mut self, model: Option<&str>, now: Moment) {
        self.hooked_at.get_or_insert(now);
        self.model = model.map(str::to_owned);
    }

    /// Closes with who and why.
    ///
    /// # Errors
    /// Refused, when the status forbids it.
    pub fn close(&mut self, by: &str, reason: &str, now: Moment) -> Result<()> {
        self.become_status(Status::Closed, now)?;
        self.closed_by = Some(by.to_owned());
        self.close_reason = Some(reason.to_owned());
        Ok(())
    }

    /// Opens it when it was deferred until a time that has come by `now`, or claimed until then; whoever takes work does
    /// this first.
    ///
    /// # Errors
    /// Refused, if the table of moves forbade it.
    pub fn wake(&mut self, now: Moment) -> Result<()> {
        let has_come = self.status == Status::Deferred && self.defer_until.is_some_and(|until| until <= now);
        if has_come || self.has_lease_ended(now) { self.become_status(Status::Open, now) } else { Ok(()) }
    }

    /// Whether it was claimed for a time that is over by `now`.
    #[must_use]
    pub fn has_lease_ended(&self, now: Moment) -> bool {
        self.status == Status::InProgress && self.lease_until.is_some_and(|until| until <= now)
    }

    /// Makes the claim end by itself `millis` after `now`.
    pub fn lease(&mut self, millis: u64, now: Moment) {
        let length = i64::try_from(millis).unwrap_or(i64::MAX);
        self.lease_millis = Some(millis);
        self.lease_until = Some(Moment::from_millis(now.millis().saturating_add(length)));
    }

    /// Takes it from whoever has it: all fields of an assignment go.
    pub fn let_go(&mut self) {
        self.assignee = None;
        self.assigned_rev = None;
        self.hooked_at = None;
        self.model = None;
        self.lease_until = None;
        self.lease_millis = None;
        self.started_at = None;
        self.defer_until = None;
    }

    /// Makes it stand where `other` does, with the same holder.
    ///
    /// # Errors
    /// Corrupt, when a field of `other` that this version does not know as one of the status is of another type here.
    pub fn stand_as(&mut self, other: &Self) -> Result<()> {
        let mut object = record::object_of(self);
        object.retain(|field, _| !is_of_standing(field));
        object.extend(record::object_of(other).into_iter().filter(|(field, _)| is_of_standing(field)));
        *self = record::view(self.id.as_str(), &object)?;
        Ok(())
    }

    fn what_helps(&self) -> String {
        match self.status {
            Status::Closed => format!("reopen it first: gt bead update {} --status open", self.id),
            Status::InReview => format!("its merge request decides; see: gt mq why {}", self.id),
            Status::Hooked | Status::InProgress => {
                format!("it is held by {}; see: gt show {}", self.assignee.as_deref().unwrap_or("nobody"), self.id)
            }
            Status::Open | Status::Blocked | Status::Deferred | Status::Pinned | Status::Other(_) => {
                format!("see: gt show {}", self.id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::model::record::{Object, Rev};

    fn bead() -> Bead {
        Bead::new("gt-abc12".parse().unwrap(), IssueType::Task, "Mend the pump", "overseer", Moment::from_millis(0)).unwrap()
    }

    #[test]
    fn closed_and_closed_at_agree() {
        let mut bead = bead();
        let now = Moment::from_millis(5);
        bead.close("overseer", "done", now).unwrap();
        assert_eq!(bead.closed_at, Some(now));
        assert!(bead.become_status(Status::Hooked, now).is_err());
        bead.become_status(Status::Open, now).unwrap();
        assert_eq!((bead.closed_at, bead.close_reason), (None, None));
    }

    #[test]
    fn a_lease_goes_with_the_claim() {
        let mut bead = bead();
        let at = Moment::from_millis;
        bead.become_status(Status::InProgress, at(0)).unwrap();
        bead.assignee = Some("mayor".into());
        bead.lease(10, at(5));
        bead.wake(at(14)).unwrap();
        assert!(bead.status == Status::InProgress && !bead.has_lease_ended(at(14)) && bead.has_lease_ended(at(15)));
        bead.wake(at(15)).unwrap();
        assert_eq!((bead.status, bead.assignee, bead.lease_until, bead.lease_millis), (Status::Open, None, None, None));
    }

    #[test]
    fn the_fields_of_an_assignment_go_together_and_the_standing_is_taken_whole() {
        let mut held = bead();
        held.become_status(Status::InProgress, Moment::from_millis(1)).unwrap();
        held.assignee = Some("mayor".into());
        held.assigned_rev = Some(Rev { number: 2, machine: "m".into() });
        held.give_out(Some("opus"), Moment::from_millis(1));
        held.lease(10, Moment::from_millis(1));
        held.defer_until = Some(Moment::from_millis(0));
        let mut other = bead();
        other.title = "Mend the tank".into();
        other.stand_as(&held).unwrap();
        let fields = |bead: &Bead| -> Object { record::object_of(bead).into_iter().filter(|(f, _)| is_of_standing(f)).collect() };
        assert_eq!((fields(&other), other.title.as_str()), (fields(&held), "Mend the tank"));
        let before = fields(&held);
        held.let_go();
        let after = fields(&held);
        let gone: Vec<&String> = before.keys().filter(|field| !after.contains_key(*field)).collect();
        let mut expected = OF_ASSIGNMENT.to_vec();
        expected.sort_unstable();
        assert_eq!(gone, expected);
    }
}
