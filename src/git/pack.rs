//! Packs for pushing: whole objects and prefix-and-suffix deltas.
