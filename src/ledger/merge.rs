//! Merges two ledgers into a commit that is the same on every machine.
