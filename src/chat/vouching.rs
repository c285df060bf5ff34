//! Vouching: a login elsewhere says whose id it is, and a join has to show that.
//!
//! **Invariants**
//! - A join is admitted under exactly the id that is vouched for, byte for byte.
//! - No token is in `Debug` output.
//!
//! It does not know the format of a token, nor the proxy that names an id.

use std::borrow::Cow;
use std::fmt;

/// A token that a client says, not yet checked.
#[derive(PartialEq)]
pub struct IdToken<'a>(Cow<'a, str>);

impl<'a> IdToken<'a> {
    /// Wraps a text of a client.
    pub fn new(text: Cow<'a, str>) -> IdToken<'a> {
        IdToken(text)
    }

    /// Returns the text as it was said.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdToken")
    }
}

/// A check of tokens.
pub trait Verify: Send {
    /// Checks that a token vouches for this id at this time, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// The first fault of the token.
    fn verify(&self, token: &str, id: &str, unix_ms: u64) -> Result<(), Unvouched>;
}

/// The way in which ids are vouched for.
pub enum Voucher {
    /// By a token in the `join`.
    Token(Box<dyn Verify>),
    /// By a trusted proxy, in a field of the request that opened the connection.
    Header,
}

impl Voucher {
    /// Decides on a join under this id. `header` is the id that a proxy has named.
    ///
    /// # Errors
    /// The reason why the id is not vouched for.
    pub fn admit(
        &self,
        id: &str,
        token: Option<&IdToken<'_>>,
        header: Option<&str>,
        unix_ms: u64,
    ) -> Result<(), Unvouched> {
        match self {
            Voucher::Token(check) => {
                check.verify(token.ok_or(Unvouched::NoToken)?.text(), id, unix_ms)
            }
            Voucher::Header if header.ok_or(Unvouched::NoHeader)? == id => Ok(()),
            Voucher::Header => Err(Unvouched::OtherId),
        }
    }
}

/// The reason why an id is not vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unvouched {
    /// The join has no token.
    NoToken,
    /// The token is too long, or not in the format of its kind.
    Malformed,
    /// The token names another algorithm than that of the server's key, or extensions of it.
    Algorithm,
    /// The signature is not that of the server's key.
    Signature,
    /// The token has expired.
    Expired,
    /// The token holds from a later time on.
    Early,
    /// The token is for another service.
    Audience,
    /// Another id is vouched for.
    OtherId,
    /// No trusted proxy has named an id.
    NoHeader,
}

impl Unvouched {
    /// Returns the sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Unvouched::NoToken => "this server asks for a token: open it from where you log in",
            Unvouched::Malformed => "this is not a token that the server can read",
            Unvouched::Algorithm => "the token is signed in another way than the server's key",
            Unvouched::Signature => "the token is not signed with the server's key",
            Unvouched::Expired => "the token has expired: log in again",
            Unvouched::Early => "the token is not valid yet: try again later",
            Unvouched::Audience => "the token is for another service",
            Unvouched::OtherId => "your login is for another id: join under that one",
            Unvouched::NoHeader => "no login has named your id: come through the server's proxy",
        }
    }

    /// Returns the reason for the log, behind the code of the error.
    pub fn reason(self) -> &'static str {
        match self {
            Unvouched::NoToken => "forbidden, no token",
            Unvouched::Malformed => "forbidden, malformed token",
            Unvouched::Algorithm => "forbidden, token with another algorithm",
            Unvouched::Signature => "forbidden, token with a wrong signature",
            Unvouched::Expired => "forbidden, expired token",
            Unvouched::Early => "forbidden, token of a later time",
            Unvouched::Audience => "forbidden, token for another service",
            Unvouched::OtherId => "forbidden, login for another id",
            Unvouched::NoHeader => "forbidden, no id from a trusted proxy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Verify for Echo {
        fn verify(&self, token: &str, id: &str, unix_ms: u64) -> Result<(), Unvouched> {
            if token == format!("{id} at {unix_ms}") { Ok(()) } else { Err(Unvouched::Signature) }
        }
    }

    #[test]
    fn token_or_header_admits_its_own_id_only() {
        let token = Voucher::Token(Box::new(Echo));
        let said = IdToken::new("alice at 7".into());
        assert_eq!(token.admit("alice", Some(&said), None, 7), Ok(()));
        assert_eq!(token.admit("bob", Some(&said), None, 7), Err(Unvouched::Signature));
        assert_eq!(token.admit("alice", None, Some("alice"), 7), Err(Unvouched::NoToken));
        assert_eq!(Voucher::Header.admit("alice", None, Some("alice"), 7), Ok(()));
        assert_eq!(Voucher::Header.admit("alice", Some(&said), None, 7), Err(Unvouched::NoHeader));
        for other in ["Alice", "alice ", "alic", ""] {
            let admitted = Voucher::Header.admit("alice", None, Some(other), 7);
            assert_eq!(admitted, Err(Unvouched::OtherId), "{other:?}");
        }
        assert_eq!(format!("{said:?}"), "IdToken");
    }
}
