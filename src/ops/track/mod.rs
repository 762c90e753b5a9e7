//! Beads: create, change, close, connect them, and find those that are ready.
//!
//! Every verb takes full ids; [`crate::town::Town::resolve_bead`] makes them of what people type. Beads of one
//! scope change together in one transaction; a verb on beads of several scopes is one transaction a scope.

pub mod alike;
pub mod batch;
pub mod board;
pub mod census;
pub mod create;
pub mod depend;
pub mod dimension;
pub mod edit;
pub mod end;
pub mod export;
pub mod fields;
pub mod filter;
pub mod find;
pub mod follow;
pub mod import;
pub mod kv;
pub mod lease;
pub mod lines;
pub mod lint;
pub mod mark;
pub mod memory;
pub mod order;
pub mod orphans;
pub mod overview;
pub mod reach;
pub mod ready;
pub mod revise;
pub mod rings;
pub mod search;
pub mod sketch;
mod step;
pub mod thread;
pub mod walk;

pub use batch::{Done, batch};
pub use census::{By, Group, Progress, close_eligible, count, epics, progress, stale};
pub use create::{Draft, create};
pub use depend::{Connected, Ending, Neighbour, Neighbours, connect, depends_on, disconnect, neighbours};
pub use edit::{Edit, update, update_and_tell};
pub use end::{Closed, close, reopen};
pub use export::{Exported, export};
pub use fields::Fields;
pub use filter::{Field, Filter, More, Span};
pub use find::{Found, LIMIT, Listed, Scopes, list, scope_named};
pub use import::{Imported, import};
pub use mark::{Labelled, comment, defer, duplicate, label, supersede, take_up};
pub use order::Sort;
pub use ready::{Blocker, Order, Ready, Waiting, blocked, ready};
pub use revise::revise;
pub use search::search;
