//! Turns the progress of long work into lines for whoever watches.
