//! Gates as they are configured: one from each `gates.<name>.command`, with what else is said of it.

use serde_json::Value;

use super::layers::Layers;
use super::{Setting, Source, Trust, all, command};
use crate::error::Result;
use crate::model::gate::{Gate, OnTimeout};
use crate::time::parse_millis;
use crate::town::{RigPlace, Town};

/// A gate that is configured.
pub struct Configured {
    /// The gate.
    pub gate: Gate,
    /// Where its command is set.
    pub source: Source,
    /// The key that this machine does not trust, if there is one; the gate does not run here then.
    pub untrusted: Option<String>,
}

/// The gates of a rig in the order of their phases, whether or not they may run here.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn configured(town: &Town, place: &RigPlace) -> Result<Vec<Configured>> {
    let (trust, layers) = (Trust::read(town)?, Layers::of(town, Some(place)));
    let wrapper = layers.lookup("gates.wrapper")?;
    let mut found = Vec::new();
    for setting in all(town, Some(place))? {
        let Some(name) = setting.key.strip_prefix("gates.").and_then(|rest| rest.strip_suffix(".command")) else { continue };
        let (mut gate, env) = read(&layers, name, &setting)?;
        let pinned = [Some(&setting), env.as_ref(), wrapper.as_ref()];
        let untrusted = pinned.into_iter().flatten().find(|one| !trust.allows(Some(place), one)).map(|one| one.key.clone());
        gate.wrapper = wrapper.as_ref().map(|set| words(&set.value)).unwrap_or_default();
        found.push(Configured { gate, source: setting.source, untrusted });
    }
    found.sort_by(|a, b| (a.gate.phase, &a.gate.name).cmp(&(b.gate.phase, &b.gate.name)));
    Ok(found)
}

/// The gates of a rig in the order of their phases, each trusted on this machine.
///
/// # Errors
/// Refused, when one is not trusted here; corrupt, when configuration cannot be read.
pub fn gates(town: &Town, place: &RigPlace) -> Result<Vec<Gate>> {
    let all = configured(town, place)?;
    if let Some(key) = all.iter().find_map(|one| one.untrusted.as_ref()) {
        // Says of exactly this key what is wrong.
        command(town, Some(place), key)?;
    }
    Ok(all.into_iter().map(|one| one.gate).collect())
}

/// The gate `name` whose command is `setting`, and what is set for its environment.
fn read(layers: &Layers<'_>, name: &str, setting: &Setting) -> Result<(Gate, Option<Setting>)> {
    let get = |key: &str| layers.lookup(&format!("gates.{name}.{key}"));
    let number = |key: &str| Ok(get(key)?.and_then(|set| set.value.as_u64()).and_then(|number| u32::try_from(number).ok()));
    let timeout = get("timeout")?.map_or(Ok(600_000), |set| parse_millis(&set.text()))?;
    let mut gate = Gate::new(name, &setting.text(), timeout);
    gate.on_timeout = get("on_timeout")?.map_or(gate.on_timeout, |set| OnTimeout::of(&set.text()));
    gate.is_required = get("required")?.is_none_or(|set| set.value != Value::Bool(false));
    gate.inputs = get("inputs")?.map(|set| words(&set.value)).unwrap_or_default();
    let env = get("env")?;
    gate.env = env.as_ref().map(|set| words(&set.value)).unwrap_or_default();
    gate.retries = number("retries")?.unwrap_or(gate.retries);
    gate.phase = number("phase")?.unwrap_or(gate.phase);
    gate.cpu_weight = number("cpu_weight")?.unwrap_or(gate.cpu_weight);
    Ok((gate, env))
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
