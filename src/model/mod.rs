//! The nouns: pure values and their lawful transitions. Nothing here touches the outside world.

pub mod address;
pub mod agent;
pub mod bead;
pub mod brief;
pub mod config_keys;
pub mod convoy;
pub mod decay;
pub mod dependency;
pub mod difference;
pub mod exchange;
pub mod gate;
pub mod hook;
pub mod mail;
pub mod merge;
pub mod merge_request;
pub mod outline;
pub mod pace;
pub mod plan;
pub mod protocol;
pub mod record;
pub mod request;
pub mod scope;
pub mod spelling;
pub mod tombstone;
pub mod waves;
pub mod words;
