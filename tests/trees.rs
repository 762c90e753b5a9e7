//! Worktrees, merges and salvage, each beside what the git program does.

mod history;
mod merges;
mod salvages;
mod sparse;
mod worktrees;
pub mod world;
