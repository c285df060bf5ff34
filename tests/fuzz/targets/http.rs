//! The parsers of request heads, of the addresses in them, and of preambles, given their input
//! whole and in pieces.

use std::net::IpAddr;

use sotto::net::http::{Parsed, forwarded_client, parse};
use sotto::net::proxies::preamble::{self, Preamble};
use sotto::net::proxies::{Forwarding, Proxies};

use super::socket::site;

/// Longest beginning of a head that is tried: beyond this every head is refused as too long.
const BEGINNING_BYTES_MAX: usize = 9000;

/// Checks that the answer to a head does not depend on how much of the head is there, except that
/// a broken head may be refused early.
pub fn check(bytes: &[u8]) {
    check_preamble(bytes);
    check_client(bytes);
    let site = site();
    let whole = parse(bytes, &site, 0);
    if let Parsed::Complete { used, .. } = &whole {
        assert!(*used <= bytes.len() && *used > 0);
    }
    for end in 0..bytes.len().min(BEGINNING_BYTES_MAX) {
        let Parsed::Complete { used, answer } = parse(&bytes[..end], &site, 0) else {
            continue;
        };
        assert!(used <= end);
        let Parsed::Complete { used: used_of_whole, answer: answer_to_whole } = whole else {
            panic!("refused after {end} bytes, and not after all");
        };
        // A broken head uses up all bytes that are there.
        assert!(used == used_of_whole || used == end, "{used} {used_of_whole}");
        assert!(answer == answer_to_whole || used == end, "{answer:?} {answer_to_whole:?}");
        return;
    }
}

/// Checks that a preamble is complete with its last byte, and no sooner and no other later.
fn check_preamble(bytes: &[u8]) {
    let whole = preamble::parse(bytes);
    for end in 0..bytes.len().min(BEGINNING_BYTES_MAX) {
        match preamble::parse(&bytes[..end]) {
            Preamble::Incomplete => {}
            Preamble::Complete { used, client } => {
                assert_eq!(whole, Preamble::Complete { used, client });
                return assert_eq!(used, end);
            }
            Preamble::Invalid => return assert_eq!(whole, Preamble::Invalid),
        }
    }
}

/// Checks that a client cannot hide: whatever it sends, the member that its proxy appends decides.
fn check_client(bytes: &[u8]) {
    let real: IpAddr = [192, 0, 2, 1].into();
    let sent = String::from_utf8_lossy(bytes).replace(['\r', '\n', '\0'], "");
    for (way, member) in
        [(Forwarding::XForwardedFor, "192.0.2.1"), (Forwarding::Forwarded, "for=192.0.2.1")]
    {
        let proxies = Proxies { forwarding: Some(way), trusted: Vec::new() };
        assert_eq!(proxies.client(&[&format!("{sent}, {member}")]), Some(real), "{sent:?}");
        assert_eq!(proxies.client(&[&sent, member]), Some(real), "{sent:?}");
        forwarded_client(bytes, &proxies);
    }
}
