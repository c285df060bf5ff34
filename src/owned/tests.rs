//! The rules of ownership, without clients and lines.

use super::*;

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

#[test]
fn only_the_same_key_matches() {
    let hash = KeyHash::of("9f2c6a0000000000");
    assert!(hash.matches(&KeyHash::of("9f2c6a0000000000")));
    assert!(!hash.matches(&KeyHash::of("9f2c6a0000000001")));
    // FIPS 180-4: the hash of "abc".
    assert_eq!(KeyHash::of("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(format!("{hash:?}"), "KeyHash");
}
