//! What was: deleting and bringing back, history, undoing, and beads that go under other ids.

mod back;
mod gone;
mod moved;
mod prefix;
mod undo;

use serde_json::Value;

use crate::beads::create;
use crate::town::Town;

/// Steps inside these verbs.
pub const STEPS: &[&str] =
    &["bead.deleted", "bead.reconnected", "undo.reconnected", "bead.copied", "bead.moved", "prefix.registered", "prefix.renamed"];

/// A bead of the rig `widgets`.
fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}
