//! Commands with a clean environment, a process group, a time-out and a bounded log.
