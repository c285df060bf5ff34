//! A real server on a free port of the loopback, spoken to over the wire: any server that keeps the protocol would pass.
//! One module per topic, one behaviour per test, its name a sentence.

mod abuse;
mod chat;
mod echo;
mod http;
mod memory;
mod metrics;
mod options;
mod raw;
mod shutdown;
mod slow;
mod storm;
mod support;
mod timers;
