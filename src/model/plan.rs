//! The merge queue's plan: posterior prefix search, a pure function of queue and evidence.
