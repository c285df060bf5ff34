//! The file of `--auth`: the key of the login that signs tokens.
//!
//! **Invariants**
//! - No byte of the file is in an error.
//!
//! It does not know the format of a key.

use std::path::Path;

use crate::limits::AUTH_FILE_BYTES_MAX;
use crate::net::files::read_short;

/// Reads the file, with one byte more than it may have. This blocks on the disk.
///
/// # Errors
/// The fault of the file, to be put behind its name.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    read_short(path, AUTH_FILE_BYTES_MAX + 1).map_err(|error| format!("cannot be read: {error}"))
}
