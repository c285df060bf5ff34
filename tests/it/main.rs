//! Tests of a real server on a free port of the loopback, over the wire alone: any server that
//! keeps the protocol passes most of them.
//!
//! **Invariants**
//!
//! - One module per topic, and one behaviour per test.
//! - A test waits for an event, never for a length of time.
//!
//! Whether the wire is TCP or TLS is not known to most tests: with the feature `tls` all servers
//! and clients speak TLS.

mod abuse;
#[cfg(feature = "api")]
mod api;
#[cfg(feature = "auth")]
mod auth;
mod cards;
mod chat;
mod conformance;
// The examples speak no TLS.
#[cfg(not(feature = "tls"))]
mod echo;
#[cfg_attr(feature = "tls", expect(dead_code, reason = "most examples speak no TLS"))]
mod example;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
mod host_files;
#[cfg(feature = "host")]
mod host_service;
#[cfg(all(feature = "host", feature = "store"))]
mod host_upgrade;
mod http;
#[cfg(not(feature = "tls"))]
mod lines;
mod log;
mod memory;
mod metrics;
mod options;
#[cfg(feature = "peerjs")]
mod peerjs;
mod proxies;
mod raw;
mod sealed;
mod shutdown;
mod slow;
#[cfg(not(feature = "tls"))]
mod steps;
#[cfg(feature = "store")]
mod store;
mod storm;
mod support;
mod timers;
#[cfg(feature = "tls")]
mod tls;
