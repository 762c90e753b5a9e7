//! Pushes exact values with expected old values; never a wildcard, never by force.
