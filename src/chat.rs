//! The chat without sockets: text in, text out, plain data, and time as an argument.
//!
//! [`hub`] is the way in: it takes the lines of clients, and its answers go to the outboxes in
//! [`clients`]. Nothing here names anything in [`net`](crate::net); `tests/tidy.rs` checks that.

pub mod card;
#[cfg(feature = "host")]
pub mod password;
pub mod protocol;
#[cfg(feature = "auth")]
pub mod vouching;

pub mod payers;

pub mod blocked;
pub mod outbox;

pub mod journal;

pub mod owners;
pub mod presence;

#[cfg(feature = "host")]
pub mod admission;

pub mod clients;

pub mod hub;
