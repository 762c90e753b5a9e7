//! Redacting: a secret that slipped into records is taken out of them.
//!
//! The ledger as it is from now on does not hold it. Its history does until it is flattened, and whoever has fetched it
//! has it: the first thing to do about a secret is to revoke it.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ledger::{Ledger, diff, tree};
use crate::model::record::Object;
use crate::model::secrets::{MASK, mask};
use crate::name::BeadId;
use crate::ops::scopes::Which;
use crate::town::Town;

/// What is to be taken out, and where.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Of these records only: ids of beads or letters.
    pub records: Vec<BeadId>,
    /// This text; else what looks like a secret.
    pub text: Option<String>,
    /// Only tell.
    pub dry_run: bool,
}

/// A record that held it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Redacted {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// Its path in the ledger.
    pub record: String,
    /// The fields that were changed.
    pub fields: Vec<String>,
}

/// Fields that name records and people, and are no texts: masking them would break what refers to them.
const NAMES: [&str; 6] = ["id", "from", "to", "rev", "revs", "issue_id"];

/// Masks what `order` says in the scopes `which`, a transaction a scope.
///
/// # Errors
/// Usage, when the text is too short to be taken out without harm; not found, when a record is not there; as every
/// transaction.
pub fn redact(town: &Town, which: &Which, order: &Order) -> Result<Vec<Redacted>> {
    if order.text.as_ref().is_some_and(|text| text.trim().chars().count() < 4) {
        return Err(Error::usage("fewer than four characters stand in too many places").hint("give the whole secret"));
    }
    let mut found = Vec::new();
    let mut missing = order.records.clone();
    let all = which.each(town, |scope, ledger| redact_in(town, &scope, ledger, order))?;
    for (records, redacted) in all {
        missing.retain(|id| !records.contains(id));
        found.extend(redacted);
    }
    match missing.first() {
        Some(id) => Err(Error::not_found(format!("there is no record {id}")).hint("name a bead or a letter by its whole id")),
        None => Ok(found),
    }
}

/// Those of the records asked for that this scope has, and what was changed.
fn redact_in(town: &Town, scope: &str, ledger: &Ledger, order: &Order) -> Result<(Vec<BeadId>, Vec<Redacted>)> {
    let deed = town.deed("redact", "redact".to_owned());
    let closure = |change: &mut crate::ledger::Change<'_>| {
        let state = change.before();
        let empty = ObjectId::empty_tree(gix::hash::Kind::Sha1);
        let paths = diff::changes(ledger.store.records()?, empty, state.tree())?.into_keys();
        let is_asked = |path: &String| order.records.is_empty() || order.records.iter().any(|id| is_of(path, id));
        let (mut there, mut found) = (Vec::new(), Vec::new());
        for path in paths.filter(|path| path != tree::SCOPE).filter(is_asked).collect::<Vec<_>>() {
            there.extend(order.records.iter().filter(|id| is_of(&path, id)).cloned());
            // One that cannot be read is doctor's; it holds up no other.
            let Some(mut object) = change.before().object(&path).ok().flatten() else { continue };
            let fields = mask_fields(&mut object, order);
            if !fields.is_empty() {
                change.put(&path, &object)?;
                found.push(Redacted { scope: scope.to_owned(), record: path, fields });
            }
        }
        Ok((there, found))
    };
    if order.dry_run { ledger.rehearse(town.now, closure) } else { ledger.transact(&deed, closure) }
}

/// Whether the record at `path` is called `id`.
fn is_of(path: &str, id: &BeadId) -> bool {
    path.rsplit('/').next().and_then(|name| name.strip_suffix(".json")) == Some(id.as_str())
}

fn mask_fields(object: &mut Object, order: &Order) -> Vec<String> {
    let mut changed = Vec::new();
    for (name, value) in object.iter_mut().filter(|(name, _)| !NAMES.contains(&name.as_str())) {
        if mask_value(value, order) {
            changed.push(name.clone());
        }
    }
    changed
}

fn mask_value(value: &mut Value, order: &Order) -> bool {
    match value {
        Value::String(text) => {
            let masked = match &order.text {
                Some(secret) => text.replace(secret.as_str(), MASK),
                None => mask(text, &[]),
            };
            let is_new = masked != *text;
            *text = masked;
            is_new
        }
        Value::Array(items) => items.iter_mut().filter_map(|item| mask_value(item, order).then_some(())).count() > 0,
        Value::Object(fields) => !mask_fields(fields, order).is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
