//! Private one-to-one web chat on one thread and one mio poll loop.

pub mod budget;
pub mod clock;
pub mod config;
pub mod outbox;
pub mod protocol;
pub mod token;
