//! What was: deleting and bringing back, history, undoing, and beads that go under other ids.

mod back;
mod gone;
mod moved;
mod prefix;
mod undo;

/// Steps inside these verbs.
pub const STEPS: &[&str] =
    &["bead.deleted", "bead.reconnected", "undo.reconnected", "bead.copied", "bead.moved", "prefix.registered", "prefix.renamed"];
