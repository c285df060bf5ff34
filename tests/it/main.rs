//! A real server on a free port of the loopback, spoken to over the wire: any server that keeps the
//! protocol would pass. One module per topic, one behaviour per test, its name a sentence.
//!
//! Built with the feature `tls`, servers and clients speak it: the same tests, once more.

mod abuse;
mod chat;
// The example speaks no TLS.
#[cfg(not(feature = "tls"))]
mod echo;
mod http;
mod log;
mod memory;
mod metrics;
mod options;
mod raw;
mod shutdown;
mod slow;
mod storm;
mod support;
mod timers;
#[cfg(feature = "tls")]
mod tls;
