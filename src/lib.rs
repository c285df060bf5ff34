//! sotto: private one-to-one web chat on one thread and one mio poll loop.
//!
//! Two halves and one hallway. [`chat`] is *the chat without sockets*: text in, text out, plain
//! data. [`net`] is *sockets without a chat*. [`server`] is the one file that knows both
//! ([`metrics`] only reads what they count). A file uses files above it in this list, never one
//! below.

#![forbid(unsafe_code)]

pub mod config;
pub mod limits;

pub mod memory;
pub mod time;
pub mod token;

pub mod chat;

pub mod net;

pub mod metrics;

pub mod server;

pub mod event_loop;

pub mod guide;
