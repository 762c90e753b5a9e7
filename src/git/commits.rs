//! Commits: made, counted, and pinned durably.
