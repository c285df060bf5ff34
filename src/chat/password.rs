//! The password of a private server: as a client says it, and as the server remembers it.
//!
//! **Invariants**
//! - The server keeps the HMAC of the password under a random key, never the password. A said
//!   password is compared by its HMAC, so the time of a comparison tells nothing about either.
//! - No password is in `Debug` output.
//!
//! It does not know which client says a password, nor how often.

use std::borrow::Cow;
use std::fmt;

use hmac_sha256::HMAC;

use crate::limits::PASSWORD_BYTES_MAX;

/// A password that a client says, not yet checked.
#[derive(PartialEq)]
pub struct Password<'a>(Cow<'a, str>);

impl<'a> Password<'a> {
    /// Wraps a text of a client.
    pub fn new(text: Cow<'a, str>) -> Password<'a> {
        Password(text)
    }

    /// Returns the text as it was said.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The right password, as the server remembers it.
pub struct Secret {
    key: [u8; 32],
    mac: [u8; 32],
}

impl Secret {
    /// Remembers a password by its HMAC. The key has to be random.
    pub fn new(password: &str, key: [u8; 32]) -> Secret {
        Secret { key, mac: HMAC::mac(password, key) }
    }

    /// Returns `true` if this password was said. Its time depends on the length of the said text
    /// only.
    pub fn is(&self, said: &Password<'_>) -> bool {
        let text = said.text();
        text.len() <= PASSWORD_BYTES_MAX && HMAC::verify(text, self.key, &self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_compared_byte_for_byte_and_not_printed() {
        let longest = "é".repeat(PASSWORD_BYTES_MAX / 2);
        for right in ["open sesame", "x", &longest] {
            let secret = Secret::new(right, [7; 32]);
            let is = |said: &str| secret.is(&Password::new(said.to_owned().into()));
            assert!(is(right));
            let upper = right.to_uppercase();
            for wrong in ["", "open sesam", "open sesame ", &upper, &format!("{right}{right}")] {
                assert!(!is(wrong), "{wrong:?} is not {right:?}");
            }
        }
        assert_eq!(format!("{:?}", Password::new("open sesame".into())), "Password");
    }
}
