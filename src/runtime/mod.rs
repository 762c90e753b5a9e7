//! Processes: gates that are waited for, and agent sessions that outlive the command that started them.
//!
//! Each gets a process group of its own, an environment from an allow-list and a mark in it. What cannot be
//! promised: a program that leaves its group *and* clears its environment is not found again.

pub mod background;
pub mod book;
pub mod command;
pub mod editor;
mod group;
pub mod heartbeat;
pub mod launch;
mod log;
pub mod nudge;
pub mod pager;
mod pen;
pub mod process;
pub mod room;
pub mod secrets;
pub mod slot;
pub mod space;
pub mod spawns;
pub mod tmux;
pub mod told;
pub mod transcript;
