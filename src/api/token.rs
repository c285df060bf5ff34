//! The file of `--api-token-file`: the token that opens the API, and earlier ones behind it.
//!
//! **Invariants**
//! - No text of the file is in an error, and none is in `Debug` output.
//! - Only the token on the first line opens the API. The others only prove that an id was claimed
//!   by this server's backend, so that a new token finds its ids.
//!
//! It does not know requests.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use hmac_sha256::HMAC;

use crate::limits::{API_TOKEN_BYTES, API_TOKENS_MAX};
use crate::net::files::read_short;

/// The tokens of the file, at least one.
pub struct Tokens {
    current: String,
    earlier: Vec<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Reads the file. This blocks on the disk.
    ///
    /// # Errors
    /// One sentence for the operator that names the option.
    pub fn read(path: &Path) -> Result<Tokens, String> {
        // Each line may end with two bytes, and one byte more shows that the file is too long.
        let bytes_max = API_TOKENS_MAX * (API_TOKEN_BYTES.end() + 2) + 1;
        let bytes = read_short(path, bytes_max);
        bytes
            .map_err(|error| format!("cannot be read: {error}"))
            .and_then(|bytes| Tokens::parse(&bytes))
            .map_err(|fault| format!("--api-token-file: {} {fault}", path.display()))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Tokens, String> {
        let text = str::from_utf8(bytes).map_err(|_| "is not ASCII")?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let [current, earlier @ ..] = lines.as_slice() else {
            return Err("is empty: it has to hold the token".into());
        };
        if lines.len() > API_TOKENS_MAX {
            return Err(format!("has more than {API_TOKENS_MAX} lines: remove the last ones"));
        }
        if !lines.iter().all(|line| API_TOKEN_BYTES.contains(&line.len())) {
            let (min, max) = (API_TOKEN_BYTES.start(), API_TOKEN_BYTES.end());
            return Err(format!(
                "has a token that is not {min} to {max} bytes long: make one with \
                 `openssl rand -hex 32`"
            ));
        }
        // RFC 6750, 2.1.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !lines.iter().all(|line| line.bytes().all(is_plain)) {
            return Err("has a token with other characters than letters, digits and -._~+/=".into());
        }
        let earlier = earlier.iter().map(|line| (*line).to_owned()).collect();
        Ok(Tokens { current: (*current).to_owned(), earlier })
    }

    /// Returns the token that opens the API.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// Returns the keys that may own an id of the backend: first the one to claim it with.
    ///
    /// A key is the HMAC-SHA-256 of the id under a token, in hexadecimal digits. So a program that
    /// knows the token can join under the id, too.
    pub fn keys(&self, id: &str) -> Vec<String> {
        let tokens = [&self.current].into_iter().chain(&self.earlier);
        tokens.map(|token| HEXLOWER.encode(&HMAC::mac(id, token))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_one_to_four_tokens() {
        let check = |file: &str, expected: Result<(&str, usize), &str>| {
            let read = Tokens::parse(file.as_bytes());
            match expected {
                Ok((current, earlier)) => {
                    let tokens = read.expect(file);
                    assert_eq!((tokens.current(), tokens.earlier.len()), (current, earlier));
                }
                Err(words) => {
                    let fault = read.expect_err(file);
                    assert!(fault.contains(words), "{file:?}: {fault}");
                }
            }
        };
        let (old, new) = ("0123456789abcdef", "AZaz09-._~+/===x");
        check(old, Ok((old, 0)));
        check(&format!("{new}\r\n{old}\n\n"), Ok((new, 1)));
        check(&format!("{old}\n").repeat(4), Ok((old, 3)));
        check(&format!("{old}\n").repeat(5), Err("more than 4 lines"));
        for empty in ["", "\n", "\r\n\n"] {
            check(empty, Err("is empty"));
        }
        check("0123456789abcde", Err("16 to 256 bytes"));
        check(&"x".repeat(257), Err("16 to 256 bytes"));
        check(&format!("{old}\nshort"), Err("16 to 256 bytes"));
        check("0123456789 abcdef", Err("other characters"));
        check("0123456789\u{e9}abcdef", Err("other characters"));
        assert!(Tokens::parse(&[0xff; 32]).is_err_and(|fault| fault.contains("not ASCII")));
    }

    #[test]
    fn key_of_an_id_is_its_hmac_under_each_token() {
        let tokens = Tokens::parse(b"0123456789abcdef\nfedcba9876543210").expect("two tokens");
        // printf shop | openssl dgst -sha256 -hmac 0123456789abcdef -r
        let expected = "525d025dd8a0eb57";
        let keys = tokens.keys("shop");
        assert_eq!(keys.len(), 2);
        assert!(keys[0].starts_with(expected) && keys[0].len() == 64, "{keys:?}");
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], tokens.keys("shop2")[0]);
        assert_eq!(format!("{tokens:?}"), "Tokens");
    }
}
