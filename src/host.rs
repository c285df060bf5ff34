//! What a host of its own asks for, besides the chat. This is the feature `host`.
//!
//! The files for a host lie in the same folder: units of systemd, files for containers and for
//! proxies, and rules for those who watch. A test uses each of them as it lies there.
//!
//! - [`health`]: the check of a running server, `sotto --health`.
//! - [`password`]: the file of a private server's password.
//! - [`sockets`]: listening sockets that systemd has bound.
//! - [`systemd`]: news for systemd: started, alive, stopping.

pub mod health;
pub mod password;
pub mod sockets;
pub mod systemd;
