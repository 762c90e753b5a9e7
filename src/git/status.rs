//! What a worktree holds that its commit does not.
