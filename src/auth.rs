//! Ids from a login elsewhere, by JSON Web Tokens. This is the feature `auth`.
//!
//! - [`jwt`]: the check of a token (RFC 7519).
//! - [`key`]: the key that tokens are signed with, and the algorithm that comes with it.
//! - [`mod@file`]: the file of that key.
//!
//! The other way, a field of the request that a proxy writes, belongs to HTTP
//! ([`Entry`](crate::net::http::Entry)).

use std::path::PathBuf;

use jwt::Jwt;
use key::Key;

pub mod file;
pub mod jwt;
pub mod key;

/// The source of the check of tokens, as the options name it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file of the key.
    pub file: PathBuf,
    /// The name of this service among the audiences of a token.
    pub audience: Option<String>,
}

impl Source {
    /// Reads the key. This blocks on the disk.
    ///
    /// # Errors
    /// One sentence for the operator that names the option.
    pub fn read(&self) -> Result<Jwt, String> {
        let key = file::read(&self.file).and_then(|bytes| Key::parse(&bytes));
        key.map(|key| Jwt::new(key, self.audience.clone()))
            .map_err(|fault| format!("--auth: {} {fault}", self.file.display()))
    }
}
