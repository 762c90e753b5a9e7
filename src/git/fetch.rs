//! Fetches exactly named refs: complete and durable before anything refers to them.
