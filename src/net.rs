//! Sockets without a chat: bytes in, requests and messages out, and back.
//!
//! [`connection`] is the way in: one stream and the conversation on it. Nothing here names anything
//! in [`chat`](crate::chat); `tests/tidy.rs` checks that.

pub mod stream;

pub mod pipe;

pub mod files;

pub mod http;

pub mod rate;

pub mod proxies;

pub mod addresses;

pub mod frames;

pub mod connection;

#[cfg(feature = "tls")]
pub mod tls;
