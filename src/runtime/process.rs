//! The process backend: start, look, stop.
