//! The way into the chat behind a site, as the page asks for it before it joins.
//!
//! **Invariants**
//! - An id is taken from the field of a request only on a site that is for trusted proxies. A field
//!   that stands twice names no id: a proxy that appends its own leaves that of a client in front.
//!
//! It does not know which peers are trusted, nor how a join is decided on.

#[cfg(feature = "auth")]
use httparse::{EMPTY_HEADER, Status};

#[cfg(feature = "auth")]
use super::reply::Reply;
#[cfg(feature = "auth")]
use super::{Request, Site, parse_head};
#[cfg(feature = "auth")]
use crate::limits::HEADERS_MAX;

/// What a client needs to join, as `/readyz` tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Entry {
    /// Nothing.
    #[default]
    Open,
    /// A password.
    #[cfg(feature = "host")]
    Password,
    /// An id from a login elsewhere. A proxy names it in this field, if this site is for proxies
    /// that are trusted.
    #[cfg(feature = "auth")]
    Login(Option<Box<str>>),
}

impl Entry {
    /// Returns the line of `/readyz`.
    pub(super) fn readiness(&self) -> &'static str {
        match self {
            Entry::Open => "ok",
            #[cfg(feature = "host")]
            Entry::Password => "ok, private",
            #[cfg(feature = "auth")]
            Entry::Login(_) => "ok, login",
        }
    }

    /// Returns `true` if the page may ask for its id.
    #[cfg(feature = "auth")]
    pub(super) fn has_login(&self) -> bool {
        matches!(self, Entry::Login(_))
    }

    /// Answers the page's question for its id: 204 if no proxy has named one. No cache may keep the
    /// answer, because it changes with the login.
    #[cfg(feature = "auth")]
    pub(super) fn whoami(&self, request: &Request) -> Reply {
        let reply = match self.named_id(request) {
            Some(id) => Reply::text("200 OK", id),
            None => Reply::new("204 No Content"),
        };
        reply.field("Cache-Control", "no-store")
    }

    /// Returns the id that a proxy has named in a request.
    #[cfg(feature = "auth")]
    fn named_id<'a>(&self, request: &Request<'a>) -> Option<&'a str> {
        let Entry::Login(Some(field)) = self else { return None };
        match request.values(field)[..] {
            [id] => Some(id).filter(|id| !id.is_empty()),
            _ => None,
        }
    }
}

/// Returns the id that a trusted proxy has named in a whole request head, if the site is for such.
#[cfg(feature = "auth")]
pub fn named_id(head: &[u8], site: &Site) -> Option<Box<str>> {
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    parse_head(&mut parsed, head).ok().filter(Status::is_complete)?;
    site.entry.named_id(&Request::new(&parsed)).map(Into::into)
}
