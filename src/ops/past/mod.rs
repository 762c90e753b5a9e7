//! What was: deleting and bringing back, history and differences, taking back one's last deed, moving to other ids.
//!
//! Nothing here removes anything from history. What a verb takes out of the state leaves a tombstone, and every answer
//! about earlier states is read from the commits of the ledger.

pub mod delete;
mod edges;
mod follow;
pub mod history;
mod kin;
pub mod prefix;
pub mod relocate;
pub mod restore;
pub mod undo;

pub use delete::{Deleted, Gone, Graves, Tracking, delete, graves};
pub use edges::Cut;
pub use restore::{Back, Restored, restore};
