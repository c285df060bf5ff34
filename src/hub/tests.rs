//! Tests come with the next commits.
