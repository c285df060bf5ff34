//! JSON Web Tokens: three parts in base64, of which the last one signs the other two (RFC 7519).
//!
//! **Invariants**
//! - The header chooses nothing: its `alg` has to be that of the key, and `crit` is refused.
//! - No claim is read before the signature is found good.
//! - A token with a fault is refused, also if the fault is in an optional claim.
//!
//! It does not know where a token comes from, nor the time.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::key::Key;
use crate::chat::vouching::{Unvouched, Verify};
use crate::limits::{ID_TOKEN_BYTES_MAX, ID_TOKEN_LEEWAY};

/// The check of tokens: those of one login.
pub struct Jwt {
    key: Key,
    /// The name of this service among the audiences of a token. `None`: a token must have none.
    audience: Option<String>,
}

impl Jwt {
    /// Checks tokens with this key, and for this audience.
    pub fn new(key: Key, audience: Option<String>) -> Jwt {
        Jwt { key, audience }
    }

    /// Returns the claims of a token that is signed with the key.
    fn claims(&self, token: &str) -> Result<Map<String, Value>, Unvouched> {
        if token.len() > ID_TOKEN_BYTES_MAX {
            return Err(Unvouched::Malformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Unvouched::Malformed);
        };
        let message = &token[..header.len() + 1 + claims.len()];
        let (header, signature) = (object(header)?, decode(signature)?);
        let algorithm = header.get("alg").and_then(Value::as_str);
        if algorithm != Some(self.key.algorithm()) || header.contains_key("crit") {
            return Err(Unvouched::Algorithm);
        }
        if !self.key.verify(message.as_bytes(), &signature) {
            return Err(Unvouched::Signature);
        }
        object(claims)
    }

    /// Returns `true` if a token with this `aud` is for this service: one that names audiences must
    /// not be taken by any other (RFC 7519, 4.1.3).
    fn is_audience(&self, named: Option<&Value>) -> bool {
        match (&self.audience, named) {
            (None, named) => named.is_none(),
            (Some(ours), Some(Value::String(one))) => one == ours,
            (Some(ours), Some(Value::Array(list))) => {
                list.iter().any(|one| one.as_str() == Some(ours))
            }
            (Some(_), _) => false,
        }
    }
}

impl Verify for Jwt {
    fn verify(&self, token: &str, id: &str, unix_ms: u64) -> Result<(), Unvouched> {
        let claims = self.claims(token)?;
        let expiry = time(claims.get("exp"))?.ok_or(Unvouched::Malformed)?;
        let begin = time(claims.get("nbf"))?;
        let (now, leeway) = (unix_ms as f64 / 1000.0, ID_TOKEN_LEEWAY.as_secs_f64());
        if now >= expiry + leeway {
            return Err(Unvouched::Expired);
        }
        if begin.is_some_and(|begin| now < begin - leeway) {
            return Err(Unvouched::Early);
        }
        if !self.is_audience(claims.get("aud")) {
            return Err(Unvouched::Audience);
        }
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(Unvouched::Malformed)?;
        if subject == id { Ok(()) } else { Err(Unvouched::OtherId) }
    }
}

/// Returns a claim of a time, in seconds since 1970 UTC.
fn time(claim: Option<&Value>) -> Result<Option<f64>, Unvouched> {
    claim.map(|claim| claim.as_f64().ok_or(Unvouched::Malformed)).transpose()
}

/// Decodes base64 in the alphabet for URLs, without padding (RFC 7515, 2).
fn decode(part: &str) -> Result<Vec<u8>, Unvouched> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Unvouched::Malformed)
}

/// Returns the JSON object in a part. Of a name that appears twice the last one counts (RFC 7519,
/// 4).
fn object(part: &str) -> Result<Map<String, Value>, Unvouched> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Unvouched::Malformed)
}

#[cfg(test)]
mod tests;
