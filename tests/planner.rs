//! The planner against simulated worlds and against the exact optimum, without git.
//!
//! The worlds and the reference queues are in `mq_sim/`; `cargo run --release --example mq_sim` prints the tables.
#![expect(clippy::cast_precision_loss, reason = "counts of simulated runs are far below 2^52")]

#[path = "mq_sim/optimum.rs"]
mod optimum;
#[path = "mq_sim/others.rs"]
mod others;
#[path = "mq_sim/ours.rs"]
mod ours;
#[path = "planner/search.rs"]
mod search;
#[path = "planner/steps.rs"]
mod steps;
#[path = "mq_sim/world.rs"]
mod world;
