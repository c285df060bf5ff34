//! Hosts, authorities and origins, parsed (RFC 3986, 3.2; RFC 6454).
//!
//! **Invariants**
//! - Equal hosts and origins have equal parsed values, so no check compares text.
//!
//! It does not know which hosts and origins are accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Suffixes of names that public DNS cannot hold, so an attacker cannot make them point to this
/// server (RFC 6762, 6761, 8375; `.internal` is reserved by ICANN).
const PRIVATE_SUFFIXES: [&str; 4] = [".local", ".localhost", ".home.arpa", ".internal"];

/// The origin of a page: the scheme, host and port it was loaded from (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    pub(super) host: Host,
    port: u16,
}

/// The scheme of a page; each has a default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// `host [ ":" port ]`: the value of `Host`, or the authority of an absolute target (RFC 9110, 4.2
/// and 7.2).
#[derive(Debug, PartialEq)]
pub(super) struct Authority {
    pub(super) host: Host,
    port: Option<u16>,
}

/// A host in canonical form: an address as its bits, a name in lower case without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Origin {
    /// Parses an origin as an operator writes it: `http://` or `https://`, a host, perhaps a port.
    ///
    /// One slash at the end is permitted.
    ///
    /// # Errors
    /// For any other text, in one sentence for the operator.
    pub fn parse(text: &str) -> Result<Origin, String> {
        Origin::parse_serialized(text.strip_suffix('/').unwrap_or(text)).ok_or_else(|| {
            format!(
                "{text:?} is not an origin: http:// or https://, a host (in ASCII), \
                 perhaps a port, nothing else"
            )
        })
    }

    /// Parses an origin as browsers write it (RFC 6454, 6.2).
    ///
    /// `None` also for `null`, which browsers send for a page without an origin.
    pub(super) fn parse_serialized(text: &str) -> Option<Origin> {
        let (scheme, authority) = split_scheme(text)?;
        let Authority { host, port } = Authority::parse(authority)?;
        Some(Origin { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    /// Returns `true` if a page of this origin was served by the server addressed as `authority`.
    ///
    /// Behind a proxy that ends TLS this server cannot know the scheme that browsers see, so a port
    /// that `authority` leaves out is the default one of the origin's scheme. If this server speaks
    /// TLS itself, only an `https` origin can be its own.
    pub(super) fn is_at(&self, authority: &Authority, has_tls: bool) -> bool {
        self.host == authority.host
            && self.port == authority.port.unwrap_or(self.scheme.port())
            && (self.scheme == Scheme::Https || !has_tls)
    }

    /// Returns `true` if an operator that lists this origin wants browsers to reach the host over
    /// TLS only.
    ///
    /// Browsers apply that to all ports of a host (RFC 6797, 8.3): an origin at another port says
    /// nothing about its neighbours. And they keep it for a year, which no name without a public
    /// owner can promise: another device may have it by then.
    pub(super) fn pledges_tls(&self, host: &Host) -> bool {
        self.tls_port(host) == Some(Scheme::Https.port()) && !host.is_private()
    }

    /// Returns the port of an `https` origin on this host.
    pub(super) fn tls_port(&self, host: &Host) -> Option<u16> {
        (self.host == *host && self.scheme == Scheme::Https).then_some(self.port)
    }
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Authority {
    /// Parses an authority without user information.
    pub(super) fn parse(text: &str) -> Option<Authority> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (Host::Ip(address.parse::<Ipv6Addr>().ok()?.into()), port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (Host::parse(name)?, port)
            }
        };
        let port = match port {
            // RFC 3986, 3.2.3: an empty port is a missing one.
            "" | ":" => None,
            _ => Some(parse_port(port.strip_prefix(':')?)?),
        };
        Some(Authority { host, port })
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Ip(IpAddr::V4(address)) => address.fmt(f),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl Host {
    /// Parses an IPv4 address or a name.
    ///
    /// RFC 3986 allows more characters in a name than these, but no host on the Internet has them.
    fn parse(text: &str) -> Option<Host> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Host::Ip(address.into()));
        }
        let is_label = |label: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(is_allowed)
        };
        name.split('.').all(is_label).then(|| Host::Name(name.to_ascii_lowercase()))
    }

    /// Returns `true` if the host is an address, or a name that public DNS cannot hold.
    ///
    /// The owner of any other name can let it resolve to this server's address. A page of theirs
    /// would then be same-origin with this server, which is the attack called DNS rebinding.
    pub(super) fn is_private(&self) -> bool {
        match self {
            Host::Ip(_) => true,
            Host::Name(name) => {
                !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|end| name.ends_with(end))
            }
        }
    }
}

/// Splits `http://` or `https://` from the rest of an address.
pub(super) fn split_scheme(text: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((Scheme::Http, rest)),
        "https" => Some((Scheme::Https, rest)),
        _ => None,
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `u16::from_str` alone would also accept a plus sign.
    is_digits(text).then(|| text.parse().ok()).flatten()
}

/// Returns `true` if the text is a number without a sign: 1*DIGIT.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
