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
        let Ok(id) = text.parse::<BeadId>() else {
            let start = |prefix: &Prefix| if text.contains('-') { text.to_owned() } else { format!("{prefix}-{text}") };
            let starts = self.all_prefixes()?.iter().map(|prefix| (prefix.clone(), start(prefix))).collect();
            return self.abbreviated(text, starts);
        };
        if let Some(found) = self.followed(&id)? {
            return Ok(found);
        }
        // Of a scope that was renamed, ids may be written with any prefix that it had.
        let mut own = self.all_prefixes()?;
        own.retain(|prefix| prefix.belongs_to(&id.prefix()));
        let starts: Vec<_> = own.into_iter().map(|prefix| (prefix.clone(), format!("{prefix}-{}", id.suffix()))).collect();
        for (_, start) in &starts {
            if let Some(found) = self.followed(&start.parse()?)? {
                return Ok(found);
            }
        }
        self.abbreviated(text, starts)
    }

    /// The prefixes of all scopes, former ones too.
    fn all_prefixes(&self) -> Result<Vec<Prefix>> {
        let mut all = vec![Prefix::hq()];
        for rig in self.rigs()? {
            all.extend(rig.prefixes.iter().filter(|former| **former != rig.prefix).cloned());
            all.push(rig.prefix);
        }
        Ok(all)
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

    /// The one bead whose id begins as one of `starts` does in its scope.
    fn abbreviated(&self, text: &str, starts: Vec<(Prefix, String)>) -> Result<(Ledger, BeadId)> {
        let mut found = Vec::new();
        for (prefix, start) in starts {
            let Ok(ledger) = self.scope_of(&prefix) else { continue };
            found.extend(ledger.state()?.ids_starting_with(&start)?);
        }
        found.sort();
        found.dedup();
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
            if state.find_bead(&address.bead_id(place.rig.founded_with()))?.is_some() {
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
