//! Which paths changed between trees, and which commits touched them.
