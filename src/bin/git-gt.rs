//! The `git gt` program.

fn main() {}
