//! Merges two versions of a record by its units; pure, the same on every machine.
