//! Cost tiers: which model each role runs, chosen by one word. A tier is nothing but the keys that it sets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::ops::trust::{self, ScopeChoice};
use crate::town::{RigPlace, Town};

const TIERS: &str = include_str!("../model/tiers.json");

/// A tier.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// The agent whose models it names.
    pub agent: String,
    /// The model of each role.
    pub models: BTreeMap<String, String>,
}

/// The tiers, and the one whose models are set.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Tiers {
    /// The tier that is set; none, when models are set otherwise.
    pub tier: Option<String>,
    /// All of them.
    pub tiers: Vec<Tier>,
}

fn all() -> Result<Vec<Tier>> {
    serde_json::from_str(TIERS).or_fail(Kind::Bug, || "read the table of tiers")
}

/// The tiers, and which is set for the town or for `place`.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn look(town: &Town, place: Option<&RigPlace>) -> Result<Tiers> {
    let tiers = all()?;
    let mut set = None;
    for tier in &tiers {
        let mut is_set = true;
        for (role, model) in &tier.models {
            is_set &= config::model(town, place, role)? == *model;
        }
        set = set.or_else(|| is_set.then(|| tier.name.clone()));
    }
    Ok(Tiers { tier: set, tiers })
}

/// Sets the models of the tier `name`.
///
/// # Errors
/// Usage, when there is no such tier; refused, when another agent is chosen than the one whose models it names; as
/// [`trust::set`].
pub fn set(town: &Town, place: Option<&RigPlace>, scope: ScopeChoice, name: &str) -> Result<Tiers> {
    let tiers = all()?;
    let names: Vec<&str> = tiers.iter().map(|tier| tier.name.as_str()).collect();
    let tier = tiers.iter().find(|tier| tier.name == name).ok_or_else(|| {
        Error::usage(format!("there is no tier '{}'", name.escape_debug())).hint(format!("one of {}", names.join(", ")))
    })?;
    let chosen = config::word(town, place, "agent.preset")?;
    if !chosen.is_empty() && chosen != tier.agent {
        return Err(Error::refused(format!("tiers name models of {}, and {chosen} is chosen here", tier.agent))
            .hint("say its models by themselves: gt config set agent.polecat.model NAME"));
    }
    for (role, model) in &tier.models {
        trust::set(town, place, scope, &format!("agent.{role}.model"), model)?;
    }
    look(town, place)
}
