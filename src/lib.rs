//! Gas Town on git: coordinates many coding agents on many repositories; all state lives in git.
pub mod cli;
pub mod config;
pub mod env;
pub mod error;
pub mod git;
pub mod ledger;
pub mod model;
pub mod name;
pub mod ops;
pub mod runtime;
mod schema;
pub mod store;
pub mod time;
pub mod town;
