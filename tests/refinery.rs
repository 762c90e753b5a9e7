//! The merge queue on real repositories, with scripted gates.

mod crash;
mod landing;
mod remote;
mod search;
mod world;
