//! Ending convoys by hand: closing them, and landing those that are their owner's to land.

use super::make::{Changed, Ending, change_one, put};
use super::settle::{self};
use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::bead::check_text;
use crate::model::convoy::{self, Verdict};
use crate::model::mail::Letter;
use crate::name::BeadId;
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// Closes the convoy `id` by hand; what it tracks stays as it is. Its owner and watchers hear why, but for who did it.
///
/// # Errors
/// Refused, when beads of it are not closed, unless `force` is said.
pub fn close(town: &Town, id: &BeadId, reason: &str, force: bool) -> Result<Changed> {
    check_text("reason", reason)?;
    change_one(town, id, "convoy-close", |change, bead, fields| {
        if bead.status.is_closed() {
            return Ok(Changed::none(bead, vec![format!("{id} is closed already")]));
        }
        let mut reach = Reach::new(town);
        let verdict = convoy::judge(bead, |one| settle::standing(&mut reach, one));
        if !force {
            check_complete(&bead.id, &verdict, "add --force to close it without them")?;
        }
        bead.close(&town.actor.name, reason, town.now)?;
        fields.landings += 1;
        put(change, bead, fields)?;
        let mut changed = Changed::of(bead, Ending::Closed, Vec::new());
        let plain = bead.title.replace(char::is_control, " ");
        let body = format!("{plain}\n\nWhy: {reason}\n\nto see it: gt convoy status {id}\n");
        let subject = format!("Convoy {id} was closed by hand");
        let hearers = fields.hearers(bead).into_iter().filter(|one| *one != town.me).collect();
        let key = format!("closed-{id}-{}", fields.landings);
        let write = |to: &Address, letter_id| {
            let mut letter = Letter::new(letter_id, town.me.clone(), to.clone(), &subject, &body, town.now)?;
            letter.refs = vec![id.clone()];
            Ok(letter)
        };
        changed.told = settle::tell_each(change, hearers, &key, write)?.0;
        Ok(changed)
    })
}

/// Lands the convoy `id`, which is its owner's to land: closes it and tells owner and watchers.
///
/// # Errors
/// Refused, when it lands by itself, or while beads of it are not closed.
pub fn land(town: &Town, id: &BeadId) -> Result<Changed> {
    change_one(town, id, "convoy-land", |change, bead, fields| {
        if !fields.owned {
            return Err(Error::refused(format!("{id} lands by itself, when its last bead is closed"))
                .hint(format!("to end it before: gt convoy close {id} --reason TEXT --force")));
        }
        if bead.status.is_closed() {
            return Ok(Changed::none(bead, vec![format!("{id} is closed already")]));
        }
        let mut reach = Reach::new(town);
        let verdict = convoy::judge(bead, |one| settle::standing(&mut reach, one));
        check_complete(id, &verdict, "it can land when they are closed")?;
        let Verdict::Complete(at) = verdict else {
            return Err(Error::refused(format!("{id} tracks nothing")).hint(format!("gt convoy add {id} BEAD…")));
        };
        settle::land_in(change, bead, fields, at, &town.actor.name)?;
        let mut changed = Changed::of(bead, Ending::Landed, Vec::new());
        changed.has_landed = true;
        changed.told = settle::tell(change, bead, fields, at)?.0;
        Ok(changed)
    })
}

fn check_complete(id: &BeadId, verdict: &Verdict, hint: &str) -> Result<()> {
    let Verdict::Waits(open, unknown) = verdict else { return Ok(()) };
    let mut names: Vec<String> = open.iter().map(ToString::to_string).collect();
    names.extend(unknown.iter().map(|(id, why)| format!("{id} ({why})")));
    Err(Error::refused(format!("{id} tracks what is not closed: {}", names.join(", "))).hint(hint))
}
