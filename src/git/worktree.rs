//! Worktrees: made, switched, listed and removed, so that the git program agrees.
