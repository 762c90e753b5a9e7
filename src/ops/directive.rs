//! Directives: what town and rig tell all who have a role. One that came from elsewhere is told once it is trusted here.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, Source, Trust};
use crate::error::Result;
use crate::ledger::{Damaged, Ledger, State, tree};
use crate::model::directive::{self, Directive};
use crate::model::record::{Rev, SCHEMA_VERSION};
use crate::model::roles;
use crate::ops::trust;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// Where they lie.
pub const DIR: &str = "directives";

/// A directive, and whether agents of this machine are told it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Listed {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// For whom.
    pub role: String,
    /// What it says.
    pub text: String,
    /// Who wrote it.
    pub updated_by: String,
    /// When.
    pub updated_at: Moment,
    /// Whether agents of this machine are told it.
    pub is_trusted: bool,
}

/// The name of the scope of `place`, or of the town.
#[must_use]
pub fn scope(place: Option<&RigPlace>) -> String {
    config::scope_name(place, if place.is_some() { Source::Rig } else { Source::Town })
}

fn ledger<'t>(town: &'t Town, place: Option<&'t RigPlace>) -> &'t Ledger {
    place.map_or(&town.hq, |place| &place.ledger)
}

fn listed(trust: &Trust, scope: String, found: Directive) -> Listed {
    let is_trusted = trust.holds(&scope, &directive::trust_key(&found.role), &found.text);
    let Directive { role, text, updated_by, updated_at, .. } = found;
    Listed { scope, role, text, updated_by, updated_at, is_trusted }
}

/// All directives of the town and then of its rigs, and the records that cannot be read.
///
/// # Errors
/// Corrupt, when pins or a tree cannot be read.
pub fn list(town: &Town) -> Result<(Vec<Listed>, Vec<Damaged>)> {
    let trust = Trust::read(town)?;
    let (mut all, mut damaged) = (Vec::new(), Vec::new());
    let mut add = |scope: &str, state: &State<'_>| -> Result<()> {
        let (found, broken) = state.all::<Directive>(DIR)?;
        all.extend(found.into_iter().map(|one| listed(&trust, scope.to_owned(), one)));
        damaged.extend(broken);
        Ok(())
    };
    add("town", &town.hq.state()?)?;
    for place in town.places()? {
        add(&scope(Some(&place)), &place.ledger.state()?)?;
    }
    Ok((all, damaged))
}

/// The directives set in `state`, by the names under which they are trusted.
pub(super) fn texts_in(state: &State<'_>) -> Result<Vec<(String, String)>> {
    let found = state.all::<Directive>(DIR)?.0;
    Ok(found.into_iter().map(|one| (directive::trust_key(&one.role), one.text)).collect())
}

/// The directive for `role` of the rig at `place`, or of the town.
///
/// # Errors
/// Usage, when there is no such role; corrupt, when record or pins cannot be read.
pub fn find(town: &Town, role: &str, place: Option<&RigPlace>) -> Result<Option<Listed>> {
    roles::text(role)?;
    let found: Option<Directive> = ledger(town, place).state()?.get(&tree::directive(role))?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(listed(&Trust::read(town)?, scope(place), Directive { role: role.to_owned(), ..found })))
}

/// Says `text` to all who have `role`; what is said here is trusted here.
///
/// # Errors
/// Usage, when there is no such role or the text breaks a limit; refused, when the identity may not; as every transaction.
pub fn set(town: &Town, role: &str, place: Option<&RigPlace>, text: &str) -> Result<Listed> {
    roles::text(role)?;
    directive::check_text(text)?;
    trust::check_rights(town)?;
    let path = tree::directive(role);
    let kept = ledger(town, place).transact(&town.deed("directive", format!("set the directive for {role}")), |change| {
        let old: Option<Directive> = change.get(&path)?;
        if let Some(old) = old.as_ref().filter(|old| old.text == text) {
            return Ok(old.clone());
        }
        let kept = Directive {
            v: SCHEMA_VERSION,
            role: role.to_owned(),
            text: text.to_owned(),
            updated_by: town.actor.name.clone(),
            updated_at: town.now,
            rev: Rev::default(),
            extra: old.map(|old| old.extra).unwrap_or_default(),
        };
        change.put(&path, &kept)?;
        Ok(kept)
    })?;
    // Killed before this, it waits for trust like one from elsewhere.
    Trust::pin(town, &scope(place), &directive::trust_key(role), text)?;
    Ok(listed(&Trust::read(town)?, scope(place), kept))
}

/// Takes away what is said to all who have `role`; tells whether something was.
///
/// # Errors
/// Usage, when there is no such role; refused, when the identity may not; as every transaction.
pub fn remove(town: &Town, role: &str, place: Option<&RigPlace>) -> Result<bool> {
    roles::text(role)?;
    trust::check_rights(town)?;
    let path = tree::directive(role);
    ledger(town, place).transact(&town.deed("directive", format!("remove the directive for {role}")), |change| {
        let was_there = change.has(&path)?;
        if was_there {
            change.remove(&path);
        }
        Ok(was_there)
    })
}
