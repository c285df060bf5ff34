//! The query of a PeerJS client's handshake.
//!
//! **Invariants**
//! - A handshake that passed has an id, a token, and the one key of the server.
//!
//! It does not know whether the id is free.

use crate::limits::KEY_BYTES;

/// The key that all PeerJS clients name, unless their page sets another. It keeps nothing secret.
const KEY: &str = "peerjs";

/// The id and the token that a PeerJS client names in its handshake.
#[derive(Debug, PartialEq)]
pub struct Handshake {
    /// The id that the client claims.
    pub id: String,
    /// The secret with which the same client comes back to its id.
    pub token: String,
}

impl Handshake {
    /// Reads the query of a handshake.
    ///
    /// # Errors
    /// One sentence for people.
    pub fn parse(query: &str) -> Result<Handshake, &'static str> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.rfind(|(key, _)| *key == name).map(|(_, value)| decode(value))
        };
        let [Some(id), Some(token), Some(key)] = ["id", "token", "key"].map(value) else {
            return Err("No id, token, or key supplied to websocket server");
        };
        let (Some(id), Some(token)) = (id, token) else {
            return Err("The id or the token is not UTF-8");
        };
        if id.is_empty() || token.is_empty() {
            return Err("No id, token, or key supplied to websocket server");
        }
        if key.as_deref() != Some(KEY) {
            return Err("Invalid key provided");
        }
        if token.len() > *KEY_BYTES.end() {
            return Err("The token is longer than 128 bytes");
        }
        Ok(Handshake { id, token })
    }
}

/// Decodes `%XX`; `None` if the bytes are not UTF-8. A `+` stands for itself, because an id may
/// have one, but no space.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *first == b'%' && behind[0] != b'+');
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_read_in_any_order_and_decoded() {
        let check = |query: &str, id: &str, token: &str| {
            let expected = Handshake { id: id.into(), token: token.into() };
            assert_eq!(Handshake::parse(query), Ok(expected), "{query}");
        };
        check("key=peerjs&id=alice&token=t&version=1.5.5", "alice", "t");
        check("version=1&token=%74+%2B&id=%C3%A4a+b%&key=peerjs", "äa+b%", "t++");
        check("key=peerjs&id=a&id=b&token=%+1%zz%4", "b", "%+1%zz%4");
    }

    #[test]
    fn bad_query_is_refused_in_one_sentence() {
        let check = |query: &str, words: &str| {
            let sentence = Handshake::parse(query).expect_err(query);
            assert!(sentence.contains(words), "{query}: {sentence}");
        };
        check("", "No id");
        check("key=peerjs&id=alice", "No id");
        check("key=peerjs&id=&token=t", "No id");
        check("id=alice&token=t", "No id");
        check("key=other&id=alice&token=t", "Invalid key");
        check("key=peerjs&id=%FF&token=t", "not UTF-8");
        check(&format!("key=peerjs&id=a&token={}", "t".repeat(129)), "longer than 128");
    }
}
