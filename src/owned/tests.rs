//! The rules of ownership, without clients and lines.

use super::*;

impl Owners {
    /// What is counted is what is there.
    #[track_caller]
    pub fn check_tables(&self) {
        let mut idle = BTreeSet::new();
        for (_, owner) in &self.slots {
            let open = owner.held.iter().filter_map(|held| held.line.as_ref());
            let lines: usize = open.clone().map(|line| line.len()).sum();
            let counted = lines + HELD_BYTES * owner.held.len() + SEND_BYTES * owner.sends.len();
            assert_eq!((owner.bytes, owner.unacknowledged), (counted, open.count()));
            assert!(owner.bytes <= self.bytes_max, "{} bytes are held for {:?}", owner.bytes, owner.id);
            assert!(owner.held.front().is_none_or(|held| held.line.is_some()));
            assert!(owner.next <= owner.held.len());
            assert!(owner.held.iter().is_sorted_by_key(|held| held.mid));
            assert!(owner.sends.len() <= SENDS_MAX && owner.sends.len() == owner.hashes.len());
            if let Whereabouts::Away { since, .. } = owner.whereabouts {
                assert!(owner.timer != Timer::default(), "{:?} is kept for ever", owner.id);
                idle.extend((owner.unacknowledged == 0).then_some((since, owner.key)));
            }
        }
        assert_eq!(idle, self.idle);
        assert_eq!(self.slots.iter().map(|(_, owner)| owner.bytes).sum::<usize>(), self.held_bytes());
        assert!(self.len() <= self.owned_max);
    }
}

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
