//! The `gt` program.

fn main() {}
