//! The manager of services that has started the program, in a build with the feature `host`.
//!
//! **Invariants**
//! - Both builds offer the same names with the same signatures, so the loop does not ask which of
//!   them it is part of.
//!
//! It does not know what the manager does with the news.

#[cfg(feature = "host")]
pub use crate::host::systemd::Service;

#[cfg(not(feature = "host"))]
pub use build::Service;

#[cfg(not(feature = "host"))]
mod build {
    use std::time::{Duration, Instant};

    /// No manager: a build without `host` knows none.
    pub struct Service;

    impl Service {
        pub fn from_env() -> Service {
            Service
        }

        pub fn tell(&self, _: &str) {}

        pub fn sleep(&self, _: Instant) -> Option<Duration> {
            None
        }

        pub fn beat(&mut self, _: Instant, _: impl FnOnce() -> (usize, usize)) {}
    }
}
