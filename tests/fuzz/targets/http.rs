//! The parser of request heads, given a head whole and in pieces.

use sotto::net::http::{Parsed, parse};

use super::socket::site;

/// Longest beginning of a head that is tried: beyond this every head is refused as too long.
const BEGINNING_BYTES_MAX: usize = 9000;

/// Checks that the answer to a head does not depend on how much of the head is there, except that
/// a broken head may be refused early.
pub fn check(bytes: &[u8]) {
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
