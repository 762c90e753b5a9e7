//! The rigs of a town as they are told, and what of a project is here.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::error::Result;
use crate::git::promised::Promise;
use crate::model::scope::Rig;
use crate::ops::remote;
use crate::town::{RigPlace, Town};

/// What of a project is on this machine.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Part {
    /// Which files the clone leaves out until they are needed; `None`: it has them all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The directories that sandboxes show; none: the whole project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
}

impl Part {
    pub(super) fn of(place: &RigPlace) -> Result<Self> {
        let filter = Promise::of(&place.ledger.store).and_then(|promise| promise.filter).map(|filter| filter.to_string());
        Ok(Self { filter, shows: place.cone()?.dirs().map(str::to_owned).collect() })
    }
}

/// A rig as `gt rig list` shows it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// Its registry entry.
    #[serde(flatten)]
    pub rig: Rig,
    /// Whether it is on this machine.
    pub is_here: bool,
    /// Polecats with a worktree here.
    pub polecats: usize,
    /// Where its ledger goes from here.
    pub sync_remote: Option<String>,
    /// Names of its gates.
    pub gates: Vec<String>,
    /// What of the project is here.
    #[serde(flatten)]
    pub part: Part,
}

/// All rigs of the town.
///
/// # Errors
/// Corrupt, when the registry cannot be read.
pub fn list(town: &Town) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for rig in town.rigs()? {
        let place = town.rig(&rig.name).ok();
        let polecats = place.as_ref().map_or(0, |place| std::fs::read_dir(place.dir.join("polecats")).map_or(0, Iterator::count));
        let gates = match &place {
            Some(place) => config::all(town, Some(place))?
                .into_iter()
                .filter_map(|s| Some(s.key.strip_prefix("gates.")?.strip_suffix(".command")?.to_owned()))
                .collect(),
            None => Vec::new(),
        };
        listed.push(Listed {
            is_here: place.is_some(),
            polecats,
            part: place.as_ref().map(Part::of).transpose()?.unwrap_or_default(),
            sync_remote: place.and_then(|place| remote::list(&place.ledger.store).into_iter().next().map(|remote| remote.url)),
            gates,
            rig,
        });
    }
    Ok(listed)
}
