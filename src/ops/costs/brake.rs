//! The brake: whether anything may start yet. At a limit nothing new does, and the overseer is told once; what cannot be
//! read counts as all of it.

use super::{add, gather, lines, path, whose};
use crate::config;
use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::cost::{Item, Limit, Line, Span, Sum, Unit, counts, day_of, items, micros_of};
use crate::model::mail::{Letter, Urgency};
use crate::name::BeadId;
use crate::ops::post;
use crate::runtime::book::{self, Book};
use crate::town::{RigPlace, Town};

/// The limits that hold for a start in the rig at `place` for `bead`, with what is used of each in `items`.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn limits(town: &Town, place: Option<&RigPlace>, bead: Option<&BeadId>, items: &[Item]) -> Result<Vec<Limit>> {
    let today = day_of(town.now);
    let mut all = Vec::new();
    for (span, word) in Span::ALL {
        for (unit, noun) in Unit::ALL {
            let key = format!("budget.{word}.{noun}");
            // What is said for the town counts all of it, what is said for the rig or nearer that rig alone.
            for place in [None, place].into_iter().take(if place.is_some() { 2 } else { 1 }) {
                let of = match (span, bead, place) {
                    (Span::Bead, None, _) => continue,
                    // The nearest word is the one that counts for a bead.
                    (Span::Bead, Some(bead), _) => bead.to_string(),
                    (_, _, Some(place)) => place.rig.name.to_string(),
                    (_, _, None) => "town".to_owned(),
                };
                let Some(limit) = amount(town, place, &key, unit)? else { continue };
                let rig = place.map(|place| place.rig.name.as_str());
                let mut sum = Sum::default();
                items.iter().filter(|item| counts(item, span, rig, bead, &today)).for_each(|item| sum.add(&item.sum));
                let limit = Limit { key: key.clone(), of, span, unit, limit, used: 0, unpriced: 0 };
                all.push(limit.measured(&sum));
            }
        }
    }
    // A bead's limit of the town is overruled by that of its rig.
    let overruled = |limits: &[Limit], n: usize| {
        limits[n].span == Span::Bead && limits[n + 1..].iter().any(|later| later.key == limits[n].key)
    };
    Ok((0..all.len()).filter(|n| !overruled(&all, *n)).map(|n| all[n].clone()).collect())
}

/// All limits of the town and its rigs, beads left out.
///
/// # Errors
/// As [`limits`].
pub(super) fn all_limits(town: &Town, items: &[Item]) -> Result<Vec<Limit>> {
    let mut all = limits(town, None, None, items)?;
    for place in town.places()? {
        let of_rig = limits(town, Some(&place), None, items)?;
        all.extend(of_rig.into_iter().filter(|limit| limit.of != "town"));
    }
    Ok(all)
}

fn amount(town: &Town, place: Option<&RigPlace>, key: &str, unit: Unit) -> Result<Option<u64>> {
    let Some(setting) = config::lookup(town, place, key)? else { return Ok(None) };
    Ok(if unit == Unit::Money { micros_of(&setting.text()) } else { setting.value.as_u64() })
}

/// Refuses to start anything in the rig at `place` for `bead`, when a limit is reached.
///
/// # Errors
/// Refused, naming the limit; corrupt, when nobody can tell what was spent.
pub fn check(town: &Town, place: Option<&RigPlace>, bead: Option<&BeadId>) -> Result<()> {
    if limits(town, place, bead, &[])?.is_empty() {
        return Ok(());
    }
    gather::gather(town)?;
    weigh(town, place, bead, &lines(&book::read(&path(town))?)?, None)
}

/// As [`check`], with what the book says now, and changing nothing.
///
/// # Errors
/// As [`check`].
pub fn look(town: &Town, place: Option<&RigPlace>, bead: Option<&BeadId>) -> Result<()> {
    if limits(town, place, bead, &[])?.is_empty() {
        return Ok(());
    }
    let known = lines(&book::read(&path(town))?)?;
    reached(town, place, bead, &known)?.map_or(Ok(()), |limit| Err(refusal(&limit, place)))
}

/// As [`check`], and notes the start of `session` for `agent` in the same turn, so that of many at once no more start than
/// may. One that then fails counts all the same.
///
/// # Errors
/// As [`check`]; io, when it cannot be noted.
pub fn start(town: &Town, agent: &Address, session: &str, bead: &str) -> Result<()> {
    let place = agent.rig().map(|rig| town.rig(rig)).transpose()?;
    let id = bead.parse::<BeadId>().ok();
    let is_limited = !limits(town, place.as_ref(), id.as_ref(), &[])?.is_empty();
    if is_limited {
        gather::gather(town)?;
    }
    let book = Book::hold(&path(town))?;
    let noted = Line::Spawn { session: session.to_owned(), at: town.now, whose: whose(agent, bead.to_owned()) };
    if is_limited {
        weigh(town, place.as_ref(), id.as_ref(), &lines(&book.read()?)?, Some(&book))?;
        return add(town, &book, &[noted]);
    }
    // Without limits a damaged book stops nobody; it is told where costs are asked for.
    if let Err(error) = add(town, &book, &[noted]) {
        tracing::warn!("the start of {session} was not counted: {}", error.line());
    }
    Ok(())
}

/// The first limit that is reached.
fn reached(town: &Town, place: Option<&RigPlace>, bead: Option<&BeadId>, known: &[Line]) -> Result<Option<Limit>> {
    Ok(limits(town, place, bead, &items(known))?.into_iter().find(Limit::is_reached))
}

fn weigh(town: &Town, place: Option<&RigPlace>, bead: Option<&BeadId>, known: &[Line], book: Option<&Book>) -> Result<()> {
    let Some(limit) = reached(town, place, bead, known)? else { return Ok(()) };
    tell(town, &limit, known, book);
    Err(refusal(&limit, place))
}

fn refusal(limit: &Limit, place: Option<&RigPlace>) -> Error {
    let rig = place.filter(|_| limit.of != "town").map(|place| format!(" --rig {}", place.rig.name)).unwrap_or_default();
    let hint = if limit.unpriced > 0 {
        "say what the model costs: gt config set prices.MODEL 'INPUT OUTPUT CACHE_WRITE CACHE_READ'; see: gt costs --by model"
            .to_owned()
    } else {
        format!("see gt costs; a person may raise it: gt config set {} N{rig}", limit.key)
    };
    Error::refused(format!("a limit is reached, and nothing new is started: {}", limit.words())).hint(hint)
}

/// Tells the overseer that a limit is reached, unless that was told. The limit holds whether or not that succeeds.
fn tell(town: &Town, limit: &Limit, known: &[Line], book: Option<&Book>) {
    let day = if limit.span == Span::Day { day_of(town.now) } else { String::new() };
    let name = format!("{} {} {} {day}", limit.key, limit.of, limit.limit);
    let is_it = |line: &Line| matches!(line, Line::Told { limit, .. } if *limit == name);
    if known.iter().any(is_it) {
        return;
    }
    let told = || -> Result<()> {
        let held = if book.is_some() { None } else { Some(Book::hold(&path(town))?) };
        let Some(book) = book.or(held.as_ref()) else { return Ok(()) };
        // Another may have told it since the book was read.
        if lines(&book.read()?)?.iter().any(is_it) {
            return Ok(());
        }
        let subject = format!("A limit is reached: {}", limit.key);
        let body = format!(
            "{}\n\nNothing new is started until it is raised{}.\n\nto see what was spent: gt costs\n",
            limit.words(),
            if day.is_empty() { "" } else { ", or the day is over" }
        );
        town.hq.transact(&town.deed("limit", subject.clone()), |change| {
            let to = Address::Overseer(None);
            post::put(change, &to, |id| {
                let mut letter = Letter::new(id, Address::Deacon, to.clone(), &subject, &body, town.now)?;
                letter.priority = Urgency::High;
                Ok(letter)
            })
            .map(drop)
        })?;
        add(town, book, &[Line::Told { limit: name.clone(), at: town.now }])
    };
    if let Err(error) = told() {
        tracing::warn!("the overseer was not told of a limit: {}", error.line());
    }
}
