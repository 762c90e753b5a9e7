//! Worktrees, merges and salvage, each beside what the git program does.

mod merges;
mod worktrees;
mod world;
