//! Saves what would be lost before anything is reset or removed.
