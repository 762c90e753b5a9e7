//! Upkeep: packing that begins by itself, after a command that wrote has answered.
//!
//! The look at whether it is time costs one listing of one small directory. Nothing is ever pruned by it, nobody waits
//! for it, and a town without it is right all the same; so what goes wrong here is no error of the command.

use std::path::Path;

use crate::config;
use crate::env::{self, Var};
use crate::error::Result;
use crate::git::maintenance::{self, Growth};
use crate::runtime::background;
use crate::store::{Store, written};
use crate::time::{self, Moment};
use crate::town::{Start, Town};

/// How long after one upkeep of a scope the next may begin.
const PAUSE_MILLIS: i64 = 10 * 60 * 1000;
/// How long after it when far more is loose than should be.
const SHORT_PAUSE_MILLIS: i64 = 30 * 1000;
/// How long after one that could not pack what is loose, because nothing refers to it.
const IN_VAIN_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The file with the moment from which on the next may begin.
const NEXT: &str = "upkeep";

/// Starts `gt maintain --auto` in the background when this process wrote to a scope in which it is time for it.
pub fn after_write(start: &Start) {
    if let Err(error) = begin(start) {
        tracing::debug!("upkeep: {}", error.line());
    }
}

fn begin(start: &Start) -> Result<()> {
    let written = written::dirs().into_iter();
    let grown: Vec<_> = written.map(|(dir, has_pack)| (maintenance::growth(&dir, has_pack), dir)).collect();
    if grown.iter().all(|(growth, _)| *growth == Growth::Fine) || env::text(Var::Upkeep).is_some_and(|word| word == "off") {
        return Ok(());
    }
    let now = time::now()?;
    let due: Vec<_> = grown.into_iter().filter(|(growth, dir)| is_due(dir, *growth, now)).map(|(_, dir)| dir).collect();
    if due.is_empty() {
        return Ok(());
    }
    let town = Town::find(start)?;
    if !due.iter().any(|dir| dir.starts_with(&town.root)) || !config::is_on(&town, None, "maintenance.auto")? {
        return Ok(());
    }
    for dir in &due {
        put_off(dir, now, PAUSE_MILLIS);
    }
    let Some(own) = env::executable() else { return Ok(()) };
    let words = ["-C".as_ref(), town.root.as_os_str(), "--quiet".as_ref(), "maintain".as_ref(), "--auto".as_ref()];
    background::start(&own, &words, &town.root)
}

/// Notes after an upkeep of `store`, where so many objects were loose before, when it was in vain, so that it is not
/// tried again and again.
pub(crate) fn note_ended(store: &Store, loose_before: u64, now: Moment) {
    let left = maintenance::sizes(store).loose;
    // Others may have written meanwhile, but not nearly as many.
    if left >= maintenance::LOOSE_MIN && left >= loose_before / 4 * 3 {
        put_off(store.dir(), now, IN_VAIN_MILLIS);
    }
}

fn is_due(dir: &Path, growth: Growth, now: Moment) -> bool {
    let early_millis = match growth {
        Growth::Fine => return false,
        Growth::Grown => 0,
        Growth::Far => PAUSE_MILLIS - SHORT_PAUSE_MILLIS,
    };
    let next = std::fs::read_to_string(dir.join("gt").join(NEXT)).ok().and_then(|text| text.trim().parse::<Moment>().ok());
    next.is_none_or(|next| {
        // A clock that was set back puts nothing off for longer than it ever is.
        let left_millis = next.millis().saturating_sub(now.millis());
        left_millis <= early_millis || left_millis > IN_VAIN_MILLIS
    })
}

/// Not synced: at worst an upkeep begins too early.
fn put_off(dir: &Path, now: Moment, millis: i64) {
    let next = Moment::from_millis(now.millis().saturating_add(millis));
    let _ = std::fs::write(dir.join("gt").join(NEXT), next.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upkeep_is_not_begun_again_at_once() {
        let place = tempfile::TempDir::new().unwrap();
        let dir = place.path();
        std::fs::create_dir(dir.join("gt")).unwrap();
        let at = |secs: i64| Moment::from_millis(1_000_000_000 + secs * 1000);
        assert!(is_due(dir, Growth::Grown, at(0)) && !is_due(dir, Growth::Fine, at(0)));
        put_off(dir, at(0), PAUSE_MILLIS);
        assert!(!is_due(dir, Growth::Grown, at(599)) && is_due(dir, Growth::Grown, at(600)));
        assert!(!is_due(dir, Growth::Far, at(29)) && is_due(dir, Growth::Far, at(30)));
        put_off(dir, at(0), IN_VAIN_MILLIS);
        assert!(!is_due(dir, Growth::Far, at(3600)) && is_due(dir, Growth::Grown, at(24 * 3600)));
        assert!(is_due(dir, Growth::Grown, at(-3600)), "the clock was set back");
    }
}
