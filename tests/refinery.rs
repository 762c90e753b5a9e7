//! The merge queue on real repositories, with scripted gates.

mod commands;
mod crash;
mod landing;
mod remote;
mod search;
mod world;
