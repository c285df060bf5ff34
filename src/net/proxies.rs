//! Proxies in front of the server, and the address of a client that they tell.
//!
//! A proxy opens connections of its own, so the kernel knows its address only. It tells the address
//! of its client in a field of each request, or before the first byte of each connection
//! (`preamble.rs`). Any client could send the same, so an address is believed only from a proxy
//! that the operator trusts.
//!
//! **Invariants**
//! - No address is taken from a peer that is not trusted.
//! - Each proxy appends the peer that *it* saw, so a list of addresses is read from its end: the
//!   first one that is not a trusted proxy is the client, whatever stands before it.
//!
//! It does not know the limits on an address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

pub mod preamble;

/// The address that stands for all clients with an address that cannot be read: hidden by their
/// proxy, or behind bad input of their own. They count as one.
const UNREADABLE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The way in which trusted proxies tell the address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// In the field `X-Forwarded-For`, which most proxies write.
    XForwardedFor,
    /// In the field `Forwarded` (RFC 7239).
    Forwarded,
    /// In a preamble of the PROXY protocol, version 1 or 2, before TLS and HTTP.
    ProxyProtocol,
}

impl Forwarding {
    /// The value of `--forwarded` for each way.
    pub const NAMES: [(&str, Forwarding); 3] = [
        ("x-forwarded-for", Forwarding::XForwardedFor),
        ("forwarded", Forwarding::Forwarded),
        ("proxy", Forwarding::ProxyProtocol),
    ];

    /// Returns the name of the request field that has the address.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Forwarding::XForwardedFor => Some("X-Forwarded-For"),
            Forwarding::Forwarded => Some("Forwarded"),
            Forwarding::ProxyProtocol => None,
        }
    }
}

/// A range of addresses with a common prefix, such as `10.0.0.0/8` (CIDR, RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address without the bits behind the prefix.
    bits: u128,
    /// The number of leading bits that the addresses of the range have in common.
    prefix: u32,
}

impl Network {
    /// The bits of an address; IPv4 addresses are mapped into IPv6 (RFC 4291, 2.5.5.2).
    fn bits(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    fn mask(prefix: u32) -> u128 {
        u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
    }

    /// Returns `true` if the address is in this range.
    pub fn contains(&self, address: IpAddr) -> bool {
        Network::bits(address) & Network::mask(self.prefix) == self.bits
    }
}

impl FromStr for Network {
    type Err = String;

    /// Parses an address, or an address with a slash and the length of its prefix.
    ///
    /// # Errors
    /// For any other text, and for an address with bits behind its prefix, in one sentence for the
    /// operator.
    fn from_str(text: &str) -> Result<Network, String> {
        let refusal = || format!("\"{text}\" is not like 192.0.2.7, 10.0.0.0/8 or fd00::/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refusal())?;
        let length = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // `u32::from_str` alone would also accept a plus sign.
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= length).ok_or_else(refusal)?
            }
            Some(_) => return Err(refusal()),
            None => length,
        };
        let network = Network { bits: Network::bits(address), prefix: 128 - length + prefix };
        if !network.contains(address) {
            return Err(format!(
                "\"{text}\" has bits behind its prefix: did you mean a longer one?"
            ));
        }
        Ok(network)
    }
}

/// The trusted proxies, and the way in which they tell the address of a client.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// `None`: no proxy is believed.
    pub forwarding: Option<Forwarding>,
    /// Empty: the proxies on this machine.
    pub trusted: Vec<Network>,
}

impl Proxies {
    /// Returns `true` if a peer is a trusted proxy. `None` is a peer on a Unix socket, which only
    /// programs of this machine can reach that may open its file.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else { return self.forwarding.is_some() };
        let peer = peer.to_canonical();
        self.forwarding.is_some()
            && match self.trusted.as_slice() {
                [] => peer.is_loopback(),
                trusted => trusted.iter().any(|network| network.contains(peer)),
            }
    }

    /// Returns the client's address in the values of the field, one for each line of the field.
    ///
    /// `None` if they have no member. If all addresses belong to proxies, the first is the client:
    /// a program on the same network as the proxies.
    pub fn client(&self, values: &[&str]) -> Option<IpAddr> {
        let mut client = None;
        let way = self.forwarding?;
        for member in values.iter().rev().flat_map(|value| members(value, way).into_iter().rev()) {
            let address = match way {
                Forwarding::XForwardedFor => parse_node(member),
                Forwarding::Forwarded => {
                    parameter(member, "for").and_then(|node| parse_node(&node))
                }
                Forwarding::ProxyProtocol => None,
            };
            let Some(address) = address else { return client.or(Some(UNREADABLE)) };
            client = Some(address);
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// Splits the value of a list field at its commas. In `Forwarded` a comma may be quoted (RFC 9110,
/// 5.6.1). If a quote is left open, it is a client's, to take in the member that its proxy has
/// appended: then no comma counts as quoted.
fn members(value: &str, way: Forwarding) -> Vec<&str> {
    let mut quotes = Quotes::default();
    let is_open = value.chars().fold(false, |_, char| quotes.pass(char));
    let members: Vec<&str> = if way == Forwarding::Forwarded && !is_open {
        split_outside_quotes(value, ',').collect()
    } else {
        value.split(',').map(|part| part.trim_matches([' ', '\t'])).collect()
    };
    members.into_iter().filter(|member| !member.is_empty()).collect()
}

/// Follows the quoted strings of a text (RFC 9110, 5.6.4).
#[derive(Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Passes one more character. Returns `true` if a quoted string is open behind it.
    fn pass(&mut self, char: char) -> bool {
        let is_plain = !std::mem::take(&mut self.is_escaped);
        self.is_escaped = is_plain && self.is_open && char == '\\';
        self.is_open ^= is_plain && char == '"';
        self.is_open
    }
}

/// Splits a text at a separator outside of quoted strings, and trims the parts.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quotes = Quotes::default();
    text.split(move |char| !quotes.pass(char) && char == separator)
        .map(|part| part.trim_matches([' ', '\t']))
}

/// Returns the value of a parameter of a `Forwarded` member, without its quotes (RFC 7239, 4).
fn parameter<'a>(member: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let value = split_outside_quotes(member, ';').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })?;
    Some(match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        // A backslash quotes the next character. No address needs that.
        Some(quoted) => quoted.replace('\\', "").into(),
        None => value.into(),
    })
}

/// Parses an address with or without a port: `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`,
/// `[2001:db8::1]` or `[2001:db8::1]:4711`.
///
/// `None` also for the names by which a proxy hides a client (RFC 7239, 6.2 and 6.3).
fn parse_node(text: &str) -> Option<IpAddr> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        // More than one colon is an IPv6 address, which has no port without brackets.
        None if text.matches(':').count() == 1 => text.split_at(text.find(':')?),
        None => (text, ""),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    address.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn proxies(forwarding: Forwarding, trusted: &[&str]) -> Proxies {
        let trusted = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        Proxies { forwarding: Some(forwarding), trusted }
    }

    #[test]
    fn network_contains_the_addresses_of_its_prefix() {
        for (network, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
        ] {
            let network: Network = network.parse().expect("a network");
            assert!(network.contains(ip(inside)) && !network.contains(ip(outside)));
        }
        let all: Network = "::/0".parse().expect("a network");
        assert!(all.contains(ip("::1")) && all.contains(ip("192.0.2.1")));
        for bad in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "localhost"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let sentence = "10.1.0.0/8".parse::<Network>().expect_err("bits behind the prefix");
        assert!(sentence.contains("bits behind its prefix"), "{sentence}");
    }

    #[test]
    fn proxies_of_this_machine_are_trusted_unless_others_are_listed() {
        let here = proxies(Forwarding::XForwardedFor, &[]);
        assert!(here.trusts(None) && here.trusts(Some(ip("127.0.0.1"))));
        assert!(here.trusts(Some(ip("::ffff:127.0.0.1"))) && !here.trusts(Some(ip("10.0.0.1"))));
        let there = proxies(Forwarding::XForwardedFor, &["10.0.0.1", "fd00::/8"]);
        assert!(there.trusts(Some(ip("10.0.0.1"))) && there.trusts(Some(ip("fd00::1"))));
        assert!(there.trusts(Some(ip("::ffff:10.0.0.1"))) && there.trusts(None));
        assert!(!there.trusts(Some(ip("127.0.0.1"))));
        assert!(!Proxies::default().trusts(None) && !Proxies::default().trusts(Some(ip("::1"))));
    }

    fn check(proxies: &Proxies, values: &[&str], expected: &str) {
        let expected = (!expected.is_empty()).then(|| ip(expected));
        assert_eq!(proxies.client(values), expected, "{values:?}");
    }

    #[test]
    fn client_is_the_last_address_that_is_no_trusted_proxy() {
        let proxies = proxies(Forwarding::XForwardedFor, &["10.0.0.0/8"]);
        for (values, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            // Written by the client itself, to look like another.
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1,10.0.0.3 ,\t10.0.0.2"], "192.0.2.1"),
            (&["198.51.100.9", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["unknown, 10.0.0.2"], "10.0.0.2"),
            (&["\", 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, unknown"], "0.0.0.0"),
            (&["192.0.2.1, nonsense:1"], "0.0.0.0"),
            (&["192.0.2.1:x"], "0.0.0.0"),
            (&["", " , ,"], ""),
            (&[], ""),
        ] {
            check(&proxies, values, expected);
        }
    }

    #[test]
    fn forwarded_field_is_read_as_rfc_7239_has_it() {
        let proxies = proxies(Forwarding::Forwarded, &["10.0.0.0/8"]);
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("proto=https; for=192.0.2.43", "192.0.2.43"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=192.0.2.43, for=10.0.0.1;by=\"_a,b;for=10.0.0.9\"", "192.0.2.43"),
            (r#"by="a\",for=192.0.2.1";for=192.0.2.2"#, "192.0.2.2"),
            ("for=\"192.0.2.43:47011\"", "192.0.2.43"),
            ("for=unknown", "0.0.0.0"),
            ("for=\"_gazonk\"", "0.0.0.0"),
            ("for=192.0.2.43, proto=http", "0.0.0.0"),
            ("192.0.2.43", "0.0.0.0"),
            // A client's open quote must not take in the member that its proxy has appended.
            ("for=\"198.51.100.9, for=192.0.2.43", "192.0.2.43"),
            ("for=\"198.51.100.9, for=\"[2001:db8::1]\"", "2001:db8::1"),
            (r#"for="198.51.100.9\, for="192.0.2.43""#, "192.0.2.43"),
            ("\", for=192.0.2.43", "192.0.2.43"),
        ] {
            check(&proxies, &[value], expected);
        }
    }
}
