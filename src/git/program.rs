//! Runs the git program with a clean environment, for what gix cannot do.
