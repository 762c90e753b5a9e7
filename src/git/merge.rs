//! Stacks changes in memory, as git would merge them.
