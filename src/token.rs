//! The number that names a socket, for both halves of the house.
//!
//! Invariant: no two connections of one server ever have the same token. The slab gives its keys
//! out again, so a token is key *and* generation; a look-up with the token of a connection that is
//! gone finds nobody.

use std::fmt;

/// Names one connection, and so one client: the key of its slot in the slab, and the slot's
/// generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

// Readiness comes back from the kernel with a `usize` of ours; the token has to fit into it.
const _: () = assert!(usize::BITS >= 64, "sotto needs a 64-bit target");

impl Token {
    /// The token of slot `key` in its life number `generation`.
    pub fn new(key: usize, generation: u32) -> Token {
        debug_assert!(key < u32::MAX as usize);
        Token(u64::from(generation) << 32 | key as u64)
    }

    /// The key of the slot: small numbers, dense, used again.
    pub fn key(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

impl From<Token> for usize {
    fn from(token: Token) -> usize {
        token.0 as usize
    }
}

impl From<usize> for Token {
    fn from(bits: usize) -> Token {
        Token(bits as u64)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key(), self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_key_and_generation_and_survives_the_kernel() {
        for (key, generation) in [(0, 0), (7, 1), (32_768, u32::MAX)] {
            let token = Token::new(key, generation);
            assert_eq!(token.key(), key);
            assert_eq!(Token::from(usize::from(token)), token);
        }
        assert_ne!(Token::new(7, 1), Token::new(7, 2));
    }
}
