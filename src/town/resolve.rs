//! What people type, made out: abbreviated ids and short addresses.

use super::Town;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::model::address::{Address, Typed};
use crate::name::{BeadId, Prefix};

/// How often a bead may have been moved for its first id to lead to it.
pub const MOVES_MAX: usize = 16;

impl Town {
    /// The bead that `text` names in full or by a unique abbreviation, and the ledger it lives in.
    ///
    /// # Errors
    /// Not found, when there is none; refused, naming the candidates, when there are several.
    pub fn resolve_bead(&self, text: &str) -> Result<(Ledger, BeadId)> {
        if let Ok(id) = text.parse::<BeadId>() {
            return match self.followed(&id)? {
                Some(found) => Ok(found),
                None => self.abbreviated(text, vec![id.prefix()]),
            };
        }
        let mut scopes = vec![Prefix::hq()];
        scopes.extend(self.rigs()?.into_iter().map(|rig| rig.prefix));
        self.abbreviated(text, scopes)
    }

    /// The bead `id`, or the one that it became when it was moved, and the ledger it lives in.
    ///
    /// # Errors
    /// Not found, when it was deleted, saying by whom; corrupt, when a tombstone cannot be read.
    pub fn followed(&self, id: &BeadId) -> Result<Option<(Ledger, BeadId)>> {
        let mut id = id.clone();
        for _ in 0..MOVES_MAX {
            let ledger = self.scope_of(&id.prefix())?;
            let state = ledger.state()?;
            if state.has_bead(&id)? {
                return Ok(Some((ledger, id)));
            }
            let Some(stone) = state.tombstone(&id)? else { return Ok(None) };
            let Some(next) = stone.moved_to.clone() else { return Err(stone.absence()) };
            id = next;
        }
        Err(Error::corrupt(format!("{id} was moved more than {MOVES_MAX} times")).hint("name the bead by its newest id"))
    }

    fn abbreviated(&self, text: &str, scopes: Vec<Prefix>) -> Result<(Ledger, BeadId)> {
        let mut found = Vec::new();
        for prefix in scopes {
            let Ok(ledger) = self.scope_of(&prefix) else { continue };
            let start = if text.contains('-') { text.to_owned() } else { format!("{prefix}-{text}") };
            found.extend(ledger.state()?.ids_starting_with(&start)?);
        }
        // A parent is what a person means by the letters that its children share.
        let parents: Vec<BeadId> = found.iter().filter(|id| !id.suffix().contains('.')).cloned().collect();
        let matches = if parents.len() == 1 { parents } else { found };
        match matches.as_slice() {
            [] => Err(Error::not_found(format!("there is no bead {}", text.escape_debug())).hint("gt list shows what there is")),
            [one] => Ok((self.scope_of(&one.prefix())?, one.clone())),
            many => {
                let names: Vec<&str> = many.iter().take(8).map(BeadId::as_str).collect();
                Err(Error::refused(format!("'{}' fits {} beads", text.escape_debug(), many.len()))
                    .hint(format!("one of: {}", names.join(", "))))
            }
        }
    }

    /// The address that `text` names in full or by the short form `<rig>/<name>`.
    ///
    /// # Errors
    /// Not found, when no agent has that name; refused, when two have it.
    pub fn resolve_address(&self, text: &str) -> Result<Address> {
        let (rig, name) = match text.parse()? {
            Typed::Full(address) => return Ok(address),
            Typed::Short(rig, name) => (rig, name),
        };
        let place = self.rig(&rig)?;
        let state = place.ledger.state()?;
        let both = [Address::Polecat(rig.clone(), name.clone()), Address::Crew(rig.clone(), name.clone())];
        let mut known = Vec::new();
        for address in both {
            if state.find_bead(&address.bead_id(&place.rig.prefix))?.is_some() {
                known.push(address);
            }
        }
        match known.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Error::not_found(format!("rig {rig} has no agent {name}")).hint("gt polecat list shows them")),
            _ => Err(Error::refused(format!("{rig}/{name} is both a polecat and crew"))
                .hint(format!("write {rig}/polecats/{name} or {rig}/crew/{name}"))),
        }
    }
}
