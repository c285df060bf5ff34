//! What the server keeps of a key by which a client owns its id.
//!
//! Invariant: a key is never stored, compared or logged; only its SHA-256 is kept, and compared in constant time.

use std::fmt;

/// The SHA-256 of a key.
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &str) -> KeyHash {
        KeyHash(hmac_sha256::Hash::hash(key.as_bytes()))
    }

    /// Are these the hashes of one key? Takes as long for any two, so that the time tells nothing.
    pub fn matches(&self, other: &KeyHash) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_matches() {
        let hash = KeyHash::of("9f2c6a0000000000");
        assert!(hash.matches(&KeyHash::of("9f2c6a0000000000")));
        assert!(!hash.matches(&KeyHash::of("9f2c6a0000000001")));
        // FIPS 180-4: the hash of "abc".
        assert_eq!(KeyHash::of("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(format!("{hash:?}"), "KeyHash");
    }
}
