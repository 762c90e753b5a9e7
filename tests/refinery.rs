//! The merge queue on real repositories, with scripted gates.

mod commands;
mod crash;
mod elsewhere;
mod forced;
mod gates;
pub mod integrations;
mod landing;
mod meanwhile;
mod modes;
mod real;
mod remote;
mod retry;
pub mod reverts;
mod review;
mod search;
mod stacks;
mod steer;
mod trials;
mod world;
