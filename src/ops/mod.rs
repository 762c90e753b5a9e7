//! The verbs: what people and agents do to a town. Only this floor writes ledgers.

pub mod backup;
pub mod decay;
pub mod demo;
pub mod done;
pub mod flatten;
pub mod hook;
pub mod hub;
pub mod install;
pub mod mailbox;
pub mod maintain;
pub mod polecat;
pub mod post;
pub mod prime;
pub mod refinery;
pub mod reindex;
pub mod remote;
pub mod restore;
pub mod rig;
pub mod scopes;
pub mod session;
pub mod sling;
pub mod status;
pub mod sync;
pub mod track;
pub mod trust;
pub mod upkeep;
