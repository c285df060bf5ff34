//! The preamble of the PROXY protocol: the address of a client, in front of its first byte.
//!
//! Version 1 is a line of text, version 2 is binary (HAProxy, `doc/proxy-protocol.txt`). A proxy
//! sends it at once, before TLS, and the client cannot send a byte before it.
//!
//! **Invariants**
//! - A preamble is whole as soon as its last byte is there; no byte behind it is looked at.
//!
//! It does not know whether its sender is trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PREAMBLE_BYTES_MAX;

/// The beginning of every preamble of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of version 2 before the addresses: signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// The longest line of version 1, with its CRLF.
const LINE_BYTES_MAX: usize = 107;

/// The result of [`parse`].
#[derive(Debug, PartialEq, Eq)]
pub enum Preamble {
    /// The bytes are the beginning of a preamble.
    Incomplete,
    /// The bytes begin with a whole preamble.
    Complete {
        /// Its length in bytes.
        used: usize,
        /// The client; `None` if the connection is the proxy's own, such as a check of health.
        client: Option<IpAddr>,
    },
    /// The bytes are no preamble.
    Invalid,
}

/// Parses the preamble at the beginning of a connection.
pub fn parse(bytes: &[u8]) -> Preamble {
    let begins_with = |start: &[u8]| {
        let len = start.len().min(bytes.len());
        bytes[..len] == start[..len]
    };
    let parsed = if begins_with(SIGNATURE) {
        parse_binary(bytes)
    } else if begins_with(b"PROXY ") {
        parse_line(bytes)
    } else {
        None
    };
    parsed.unwrap_or(Preamble::Invalid)
}

/// Parses version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443` and CRLF. `None`: it is invalid.
fn parse_line(bytes: &[u8]) -> Option<Preamble> {
    let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return (bytes.len() < LINE_BYTES_MAX).then_some(Preamble::Incomplete);
    };
    let line = str::from_utf8(bytes[..end].strip_suffix(b"\r")?).ok()?;
    let fields: Vec<&str> = line.split(' ').collect();
    let client = match fields[..] {
        [_, "UNKNOWN", ..] => None,
        [_, "TCP4", client, _, _, _] => Some(client.parse::<Ipv4Addr>().ok()?.into()),
        [_, "TCP6", client, _, _, _] => Some(client.parse::<Ipv6Addr>().ok()?.into()),
        _ => return None,
    };
    Some(Preamble::Complete { used: end + 1, client })
}

/// Parses version 2. `None`: it is invalid, or longer than any that is of use.
fn parse_binary(bytes: &[u8]) -> Option<Preamble> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else {
        return Some(Preamble::Incomplete);
    };
    let [version_and_command, family, high, low] = *fixed.last_chunk()?;
    let used = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if used > PREAMBLE_BYTES_MAX {
        return None;
    }
    if bytes.len() < used {
        return Some(Preamble::Incomplete);
    }
    let addresses = &rest[..used - FIXED_BYTES];
    let client = match (version_and_command, family) {
        // LOCAL: whatever follows is skipped.
        (0x20, _) => None,
        // PROXY over TCP, IPv4 or IPv6: the client's address comes first.
        (0x21, 0x11) if addresses.len() >= 12 => Some(IpAddr::from(*addresses.first_chunk::<4>()?)),
        (0x21, 0x21) if addresses.len() >= 36 => {
            Some(IpAddr::from(*addresses.first_chunk::<16>()?))
        }
        (0x21, 0x11 | 0x21) => return None,
        // PROXY over anything else: a Unix socket, or unknown.
        (0x21, _) => None,
        _ => return None,
    };
    Some(Preamble::Complete { used, client })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(used: usize, client: &str) -> Preamble {
        let client = (!client.is_empty()).then(|| client.parse().expect("an address"));
        Preamble::Complete { used, client }
    }

    /// Checks the result for the bytes whole, byte by byte, and with more bytes behind them.
    #[track_caller]
    fn check(bytes: &[u8], client: &str) {
        let expected = complete(bytes.len(), client);
        assert_eq!(parse(bytes), expected);
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()), expected);
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Preamble::Incomplete, "{end} bytes");
        }
    }

    fn binary(version_and_command: u8, family: u8, behind: &[u8]) -> Vec<u8> {
        let [high, low] = (behind.len() as u16).to_be_bytes();
        [SIGNATURE, &[version_and_command, family, high, low], behind].concat()
    }

    #[test]
    fn line_of_version_1_tells_the_client() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1");
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "2001:db8::1");
        check(b"PROXY UNKNOWN\r\n", "");
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "");
    }

    #[test]
    fn preamble_of_version_2_tells_the_client() {
        let ipv4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 187];
        check(&binary(0x21, 0x11, &ipv4), "192.0.2.1");
        let mut ipv6 = [0; 36];
        ipv6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        check(&binary(0x21, 0x21, &ipv6), "2001:db8::1");
        // Further information (TLV) behind the addresses is skipped.
        check(&binary(0x21, 0x11, &[&ipv4[..], &[4, 0, 1, 0]].concat()), "192.0.2.1");
        check(&binary(0x20, 0x00, b""), "");
        check(&binary(0x20, 0x11, &ipv4), "");
        check(&binary(0x21, 0x31, &[0; 216]), "");
        check(&binary(0x21, 0x00, b""), "");
    }

    #[test]
    fn other_bytes_are_no_preamble() {
        let long = format!("PROXY UNKNOWN {}", "x".repeat(LINE_BYTES_MAX));
        let longer = binary(0x21, 0x11, &[0; PREAMBLE_BYTES_MAX]);
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            b"PROXY\r\n",
            long.as_bytes(),
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x22, 0x11, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
            &binary(0x21, 0x21, &[0; 35]),
            &longer,
        ] {
            assert_eq!(parse(bytes), Preamble::Invalid, "{}", bytes.escape_ascii());
        }
    }
}
