//! sotto: private one-to-one web chat on one thread and one mio poll loop.
//!
//! Two halves and one hallway. [`hub`] and what stands above it is *the chat without sockets*: text in, text out, plain
//! data. [`connection`] and what it uses is *sockets without a chat*. [`server`] is the one file that knows both
//! ([`metrics`] only reads what they count). A file uses files above it in this list, never one below.

#![forbid(unsafe_code)]

#[cfg(test)]
#[macro_use]
mod sizes;

pub mod config;

pub mod budget;
pub mod clock;
pub mod deadlines;
pub mod rate;
pub mod room;
pub mod token;

pub mod protocol;

pub mod blocked;
pub mod outbox;
pub mod owned;
pub mod presence;

pub mod clients;

pub mod hub;

pub mod assets;
pub mod http;

pub mod frames;

pub mod connection;

#[cfg(feature = "tls")]
pub mod tls;

pub mod addresses;

pub mod metrics;

pub mod server;

pub mod listener;
