//! The file of `--password-file`: the password of a private server, on one line.
//!
//! **Invariants**
//! - No text of the file is in an error.
//!
//! It does not know what the password opens.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::limits::PASSWORD_BYTES_MAX;
use crate::net::files::read_short;

/// Reads the password. This blocks on the disk.
///
/// A line break at the end is not part of it; spaces are.
///
/// # Errors
/// One sentence for the operator that names the option.
pub fn read(path: &Path) -> Result<String, String> {
    // The line break takes two bytes more.
    let bytes = read_short(path, PASSWORD_BYTES_MAX + 2);
    let bytes = bytes.map_err(|error| format!("cannot be read: {error}"));
    bytes.and_then(password).map_err(|fault| format!("--password-file: {} {fault}", path.display()))
}

/// Returns a key for the HMAC of a password: random, so the time of a comparison tells nothing.
pub fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    for part in key.chunks_exact_mut(8) {
        // A hasher with random keys makes a random number of nothing.
        part.copy_from_slice(&RandomState::new().hash_one(()).to_le_bytes());
    }
    key
}

/// Returns the password in the bytes of a file, or the fault of the file.
fn password(bytes: Vec<u8>) -> Result<String, String> {
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    for line_break in ['\n', '\r'] {
        if text.ends_with(line_break) {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err("is empty: it has to hold the password".into());
    }
    if text.contains(['\n', '\r']) {
        return Err("has more than one line: it has to hold nothing but the password".into());
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(format!("has more than {PASSWORD_BYTES_MAX} bytes: choose a shorter password"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_one_line_of_at_most_256_bytes() {
        let check = |file: &str, expected: Result<&str, &str>| {
            let read = password(file.into());
            match expected {
                Ok(text) => assert_eq!(read.as_deref(), Ok(text)),
                Err(words) => {
                    let fault = read.expect_err(file);
                    assert!(fault.contains(words), "{file:?}: {fault}");
                }
            }
        };
        check("open sesame", Ok("open sesame"));
        check("open sesame\n", Ok("open sesame"));
        check("open sesame\r\n", Ok("open sesame"));
        check(" é\u{1f511} \n", Ok(" é\u{1f511} "));
        let longest = "x".repeat(256);
        check(&format!("{longest}\r\n"), Ok(&longest));
        check(&format!("{longest}x"), Err("more than 256 bytes"));
        for empty in ["", "\n", "\r\n"] {
            check(empty, Err("is empty"));
        }
        for lines in ["a\nb", "a\n\n", "a\rb", "\na", "a\n\r\n"] {
            check(lines, Err("more than one line"));
        }
        assert_eq!(password(vec![b'a', 0xff]), Err("is not UTF-8".into()));
    }

    #[test]
    fn keys_are_random() {
        assert_ne!(random_key(), random_key());
        assert_ne!(random_key()[..8], random_key()[8..16]);
    }
}
