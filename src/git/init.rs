//! Makes bare repositories whose layout survives what agents do to their configuration.
