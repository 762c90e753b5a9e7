//! The verbs: what people and agents do to a town. Only this floor writes ledgers.

pub mod mailbox;
pub mod post;
pub mod track;
