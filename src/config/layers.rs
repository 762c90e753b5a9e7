//! Machine over rig over town over default, with each record read once however many keys are asked for.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Group, Setting, Source, group_of};
use crate::error::Result;
use crate::ledger::{Ledger, State, tree};
use crate::model::config_keys;
use crate::town::{RigPlace, Town};

/// Configuration; of each ledger as it stood when it was first asked.
pub(super) struct Layers<'s> {
    town: &'s Town,
    /// The rig's over the town's.
    layers: Vec<Layer<'s>>,
}

/// What one ledger sets.
struct Layer<'s> {
    source: Source,
    ledger: &'s Ledger,
    state: OnceCell<State<'s>>,
    groups: RefCell<BTreeMap<String, Option<Group>>>,
}

impl<'s> Layers<'s> {
    /// That of the town, or of `place`. Nothing is read before it is asked for.
    pub fn of(town: &'s Town, place: Option<&'s RigPlace>) -> Self {
        let layer = |source, ledger| Layer { source, ledger, state: OnceCell::new(), groups: RefCell::default() };
        let rig = place.map(|place| layer(Source::Rig, &place.ledger));
        Self { town, layers: rig.into_iter().chain([layer(Source::Town, &town.hq)]).collect() }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// As [`super::lookup`].
    pub fn lookup(&self, key: &str) -> Result<Option<Setting>> {
        let known = config_keys::find(key)?;
        let setting = |value: Value, source: Source| Setting { key: key.to_owned(), value, source };
        if let Some(text) = self.town.hq.store.repo.config_snapshot().string(config_keys::git_name(key).as_str()) {
            return Ok(Some(setting(known.parse(&text.to_string())?, Source::Machine)));
        }
        for layer in &self.layers {
            if let Some(value) = layer.value(key)? {
                return Ok(Some(setting(known.check(value)?, layer.source)));
            }
        }
        if known.default.is_empty() {
            return Ok(None);
        }
        Ok(Some(setting(known.parse(known.default)?, Source::Default)))
    }

    /// Every value that is set for `key`: the town's, the rig's, the machine's.
    ///
    /// # Errors
    /// As [`super::lookup`].
    pub fn stacked(&self, key: &str) -> Result<Vec<Setting>> {
        let known = config_keys::find(key)?;
        let setting = |value: Value, source: Source| Setting { key: key.to_owned(), value, source };
        let mut all = Vec::new();
        for layer in self.layers.iter().rev() {
            if let Some(value) = layer.value(key)? {
                all.push(setting(known.check(value)?, layer.source));
            }
        }
        if let Some(text) = self.town.hq.store.repo.config_snapshot().string(config_keys::git_name(key).as_str()) {
            all.push(setting(known.parse(&text.to_string())?, Source::Machine));
        }
        Ok(all)
    }

    /// Keys that the ledgers set, of newer versions too.
    ///
    /// # Errors
    /// Corrupt, when a record cannot be read.
    pub fn keys(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for layer in &self.layers {
            for group in layer.state()?.all::<Group>("config")?.0 {
                keys.extend(group.values.into_keys());
            }
        }
        Ok(keys)
    }
}

impl<'s> Layer<'s> {
    fn state(&self) -> Result<&State<'s>> {
        match self.state.get() {
            Some(state) => Ok(state),
            None => {
                let state = self.ledger.state()?;
                Ok(self.state.get_or_init(|| state))
            }
        }
    }

    fn value(&self, key: &str) -> Result<Option<Value>> {
        let of = |group: &Option<Group>| group.as_ref().and_then(|group| group.values.get(key).cloned());
        let name = group_of(key);
        if let Some(group) = self.groups.borrow().get(name) {
            return Ok(of(group));
        }
        let group: Option<Group> = self.state()?.get(&tree::config(name))?;
        let value = of(&group);
        self.groups.borrow_mut().insert(name.to_owned(), group);
        Ok(value)
    }
}
