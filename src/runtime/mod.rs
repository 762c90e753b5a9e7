//! Sessions: agents as child processes of their own group, known by pid and start time.

pub mod command;
pub mod process;
