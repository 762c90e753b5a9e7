//! The merge queue on real repositories, with scripted gates.

mod alarms;
mod commands;
mod conflicts;
mod crash;
mod elsewhere;
mod forced;
mod gates;
mod idle;
pub mod integrations;
mod landing;
mod meanwhile;
mod modes;
mod protect;
pub mod pulls;
mod real;
mod remote;
mod retry;
pub mod reverts;
mod review;
mod search;
mod stacks;
mod steer;
mod targets;
mod trials;
mod world;
