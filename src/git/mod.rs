//! The git machine: repositories, transport, worktrees and merges, through gix where it is sound.

mod borrow;
pub mod bundle;
pub(crate) mod by_program;
pub mod clone;
pub mod commits;
pub mod diff;
mod fault;
pub mod fetch;
pub mod hub;
pub mod init;
mod line;
pub mod maintenance;
pub mod mend;
pub mod merge;
pub mod pack;
pub mod patch;
mod place;
pub mod program;
pub mod progress;
pub mod promised;
pub mod push;
pub mod reach;
pub mod remote;
pub mod salvage;
mod side_door;
pub mod status;
pub mod worktree;
