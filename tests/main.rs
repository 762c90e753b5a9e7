//! The one integration test binary: a file per capability.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod archive;
mod backup;
mod beads;
mod chance;
mod convoys;
mod crash;
mod damage;
mod demo;
mod filters;
mod flatten;
mod hub;
mod index;
mod licences;
mod look;
mod machines;
mod mail;
mod maintain;
mod many;
mod merge;
mod past;
mod planner;
mod race;
mod readme;
mod ready;
mod refinery;
mod refusals;
mod runtime;
mod store;
mod sync;
mod tidy;
mod town;
mod transport;
mod trees;
mod verbs;
mod work;
