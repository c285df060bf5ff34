//! The rules of ownership, without a hub and without lines.

use proptest::prelude::*;

use super::*;
use crate::memory::assert_size;

const HOLD: Duration = Duration::from_secs(600);

impl Owners {
    /// Checks that each index, budget and pool agrees with the entries.
    #[track_caller]
    pub fn check_tables(&self) {
        let mut evictable = BTreeSet::new();
        for (token, entry) in self.slots.iter() {
            let owner = OwnerToken(token);
            entry.held.check();
            assert!(entry.held.is_compact() || self.fragmented.contains(&owner));
            assert!(entry.held.counted_bytes() <= self.bytes_max);
            assert!(entry.sends.len() <= SENDS_MAX && entry.sends.len() == entry.hashes.len());
            if let ClientState::Away { since, .. } = entry.client {
                assert!(entry.timer != Timer::default(), "{:?} is kept for ever", entry.id);
                evictable.extend(entry.held.is_empty().then_some((since, owner)));
            }
        }
        assert_eq!(evictable, self.evictable);
        self.pool.check(self.slots.iter().map(|(_, entry)| &entry.held));
        let held: usize = self.slots.iter().map(|(_, entry)| entry.held.counted_bytes()).sum();
        assert_eq!(held, self.held_bytes());
        let sends: usize = self.slots.iter().map(|(_, entry)| entry.sends.len()).sum();
        assert_eq!(SEND_BYTES * sends, self.sends_budget.used());
        assert!(self.len() <= self.owned_max);
    }
}

/// Owns ids of these names, with clients on connections 0, 1 and so on. The key of each is its
/// name.
fn owned(names: &[&str], bytes_max: usize, bytes_total: usize) -> (Owners, Vec<OwnerToken>) {
    let mut owners = Owners::new(HOLD, bytes_max, bytes_total, names.len());
    let claim = |(n, name): (usize, &&str)| owners.claim(id(name), KeyHash::of(name), token(n));
    let tokens = names.iter().enumerate().map(claim).collect();
    (owners, tokens)
}

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

fn token(n: usize) -> Token {
    Token::new(n, 1)
}

/// The bytes that a message of [`hold`] is counted as.
const HELD: usize = HELD_BYTES + 4;

/// Holds a message from bob. Its line is its mid.
fn hold(owners: &mut Owners, owner: OwnerToken, mid: u64) -> bool {
    owners.hold(owner, mid, &id("bob"), Holder::Client(token(9)), &format!("{mid:04}"))
}

/// Acknowledges one message, and returns its sender.
fn acknowledge(owners: &mut Owners, owner: OwnerToken, from: &str, mid: u64) -> Option<Holder> {
    let mut acknowledged = Vec::new();
    owners.acknowledge(owner, from, [mid].into_iter(), &mut acknowledged);
    owners.sweep();
    assert!(acknowledged.iter().all(|(_, other)| *other == mid));
    acknowledged.pop().map(|(sender, _)| sender)
}

/// Accepts the next `count` held lines, and returns their mids.
fn lines(owners: &mut Owners, owner: OwnerToken, count: usize) -> Vec<u64> {
    let mut lines = Vec::new();
    owners.offer_lines(owner, |_, line| {
        let accepts = lines.len() < count;
        if accepts {
            lines.push(String::from_utf8_lossy(line).parse().expect("a mid"));
        }
        accepts
    });
    lines
}

fn sent(mid: u64, to: &str) -> Sent {
    Sent { mid, at: 5, to: id(to), held: false, fate: Fate::Open }
}

// ---- keys ----

#[test]
fn key_of_an_id_matches_only_itself() {
    let (owners, tokens) = owned(&["alice"], 1000, 10_000);
    assert!(owners.key_matches(tokens[0], &KeyHash::of("alice")));
    assert!(!owners.key_matches(tokens[0], &KeyHash::of("alicf")));
    // FIPS 180-4: the SHA-256 of "abc".
    assert_eq!(KeyHash::of("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(format!("{:?}", KeyHash::of("abc")), "KeyHash");
}

#[test]
fn hashes_that_differ_in_one_byte_do_not_match() {
    for byte in 0..32 {
        let mut other = KeyHash::of("alice");
        other.0[byte] ^= 1;
        assert!(!other.matches(&KeyHash::of("alice")), "{byte}");
    }
}

#[test]
fn token_of_a_released_ownership_finds_nothing() {
    let (mut owners, tokens) = owned(&["alice"], 1000, 10_000);
    let old = tokens[0];
    assert!(owners.release(old).is_some_and(|released| released.appeared_online));
    let new = owners.claim(id("alice"), KeyHash::of("alice"), token(1));
    assert_eq!(old.0.key(), new.0.key(), "the slot is used again");
    assert!(!hold(&mut owners, old, 1) && hold(&mut owners, new, 1));
    assert!(owners.id(old).is_none() && owners.release(old).is_none());
    assert_eq!(acknowledge(&mut owners, old, "bob", 1), None);
    assert_eq!((owners.client(old), owners.client(new)), (None, Some(token(1))));
}

// ---- held messages ----

#[test]
fn acknowledged_messages_are_not_counted_in_any_order() {
    let (mut owners, tokens) = owned(&["alice"], 1000, 10_000);
    for mid in 1..=4 {
        assert!(hold(&mut owners, tokens[0], mid));
    }
    assert_eq!((owners.held_bytes(), owners.unacknowledged(tokens[0])), (4 * HELD, 4));
    // The gap of 3 is counted until the gaps are half of the queue.
    for (mid, left) in [(3, 4 * HELD), (1, 2 * HELD), (2, HELD), (4, 0)] {
        assert_eq!(acknowledge(&mut owners, tokens[0], "bob", mid), Some(Holder::Client(token(9))));
        assert_eq!(owners.held_bytes(), left, "after {mid}");
        assert_eq!(acknowledge(&mut owners, tokens[0], "bob", mid), None, "only once");
        owners.check_tables();
    }
}

#[test]
fn ack_counts_only_for_messages_held_from_its_sender() {
    let (mut owners, tokens) = owned(&["alice", "carol"], 1000, 10_000);
    assert!(hold(&mut owners, tokens[0], 2));
    for (key, from, mid) in [(0, "bob", 1), (0, "bob", 3), (0, "carol", 2), (1, "bob", 2)] {
        assert_eq!(acknowledge(&mut owners, tokens[key], from, mid), None);
    }
    assert_eq!(owners.unacknowledged(tokens[0]), 1);
}

#[test]
fn resume_offers_unacknowledged_messages_again_in_order() {
    let (mut owners, tokens) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=6 {
        assert!(hold(&mut owners, tokens[0], mid));
    }
    assert_eq!(lines(&mut owners, tokens[0], 3), [1, 2, 3]);
    for mid in [2, 4, 1] {
        assert!(acknowledge(&mut owners, tokens[0], "bob", mid).is_some());
    }
    assert_eq!(lines(&mut owners, tokens[0], 1), [5], "4 is acknowledged, so it is skipped");
    assert_eq!(owners.resume(tokens[0], token(1)), (Some(token(0)), false));
    assert_eq!(lines(&mut owners, tokens[0], 9), [3, 5, 6]);
    assert!(hold(&mut owners, tokens[0], 7));
    assert_eq!(lines(&mut owners, tokens[0], 9), [7]);
}

#[test]
fn held_messages_are_limited_for_one_id_and_for_all() {
    // Each id may have two messages, and a quarter of the unused part of the total.
    let (mut owners, tokens) = owned(&["alice", "bob", "carol"], 2 * HELD, 6 * HELD);
    assert!(hold(&mut owners, tokens[0], 1));
    assert!(hold(&mut owners, tokens[1], 2));
    assert!(hold(&mut owners, tokens[2], 3), "a quarter of four");
    assert!(!hold(&mut owners, tokens[0], 4), "more than a quarter of three");
    let (mut owners, tokens) = owned(&["alice"], 2 * HELD, 100 * HELD);
    assert!(hold(&mut owners, tokens[0], 1) && hold(&mut owners, tokens[0], 2));
    assert!(!hold(&mut owners, tokens[0], 3));
    assert!(acknowledge(&mut owners, tokens[0], "bob", 1).is_some());
    assert!(hold(&mut owners, tokens[0], 3));
    owners.check_tables();
}

#[test]
fn small_gaps_are_closed_when_a_message_does_not_fit() {
    let (mut owners, tokens) = owned(&["alice"], 8 * HELD, 1000 * HELD);
    for mid in 1..=8 {
        assert!(hold(&mut owners, tokens[0], mid));
    }
    assert!(!hold(&mut owners, tokens[0], 9));
    for mid in [3, 5] {
        assert!(acknowledge(&mut owners, tokens[0], "bob", mid).is_some());
    }
    assert!(
        hold(&mut owners, tokens[0], 9)
            && hold(&mut owners, tokens[0], 10)
            && !hold(&mut owners, tokens[0], 11)
    );
    owners.check_tables();
    assert_eq!(lines(&mut owners, tokens[0], 9), [1, 2, 4, 6, 7, 8, 9, 10]);
}

#[test]
fn client_that_departs_keeps_no_spare_capacity() {
    let (mut owners, tokens) = owned(&["alice", "bob"], usize::MAX, usize::MAX);
    let capacity =
        |owners: &Owners, owner| owners.get(owner).map_or(0, |entry| entry.held.capacity_bytes());
    for mid in 0..100 {
        assert!(hold(&mut owners, tokens[0], mid));
    }
    let long = capacity(&owners, tokens[0]);
    for mid in 0..100 {
        assert!(acknowledge(&mut owners, tokens[0], "bob", mid).is_some());
    }
    assert!(hold(&mut owners, tokens[1], 100));
    assert_eq!(capacity(&owners, tokens[1]), long, "bob has the queue that was alice's");
    assert!(owners.depart(tokens[1], token(1), Departure::Normal, Instant::now()));
    assert!(capacity(&owners, tokens[1]) < 300, "{}", capacity(&owners, tokens[1]));
    assert!(owners.depart(tokens[0], token(0), Departure::Normal, Instant::now()));
    assert!(hold(&mut owners, tokens[0], 101));
    assert!(capacity(&owners, tokens[0]) < 300, "{}", capacity(&owners, tokens[0]));
    owners.check_tables();
}

#[test]
fn acknowledged_messages_give_their_memory_back() {
    let (mut owners, tokens) = owned(&["alice"], usize::MAX, usize::MAX);
    for mid in 0..1000 {
        assert!(hold(&mut owners, tokens[0], mid));
    }
    let capacity =
        |owners: &Owners| owners.get(tokens[0]).map_or(0, |entry| entry.held.capacity_bytes());
    assert!(capacity(&owners) >= 1000 * 52);
    for mid in 0..990 {
        assert!(acknowledge(&mut owners, tokens[0], "bob", mid).is_some());
    }
    owners.check_tables();
    for mid in 990..1000 {
        assert!(acknowledge(&mut owners, tokens[0], "bob", mid).is_some());
    }
    assert_eq!((capacity(&owners), owners.held_bytes()), (0, 0));
}

// ---- remembered sends ----

#[test]
fn last_128_sends_are_remembered_and_counted() {
    let (mut owners, tokens) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=129 {
        assert!(owners.can_remember_send(tokens[0]));
        owners.remember_send(tokens[0], mid * 1000, sent(mid, "bob"));
    }
    assert!(owners.find_send(tokens[0], 1000).is_none(), "forgotten for the 129th");
    for mid in 2..=129 {
        assert_eq!(owners.find_send(tokens[0], mid * 1000).map(|sent| sent.mid), Some(mid));
    }
    assert_eq!(owners.sends_budget.used(), 128 * SEND_BYTES);
    owners.check_tables();
    owners.release(tokens[0]);
    assert_eq!(owners.sends_budget.used(), 0);
}

#[test]
fn remembered_sends_have_a_total_of_their_own() {
    let (mut owners, tokens) = owned(&["alice", "bob"], 10_000, 1000);
    owners.sends_budget = Budget::new(16 * SEND_BYTES);
    let mut mids = 1..;
    while owners.can_remember_send(tokens[0]) {
        let mid = mids.next().unwrap_or(0);
        owners.remember_send(tokens[0], mid, sent(mid, "carol"));
    }
    // The fourth would be more than a quarter of the unused part.
    assert_eq!(owners.sends_budget.used(), 3 * SEND_BYTES);
    assert!(hold(&mut owners, tokens[1], 9), "the total for held messages is another");
    owners.check_tables();
}

#[test]
fn fate_of_a_send_is_recorded_once_and_for_its_recipient() {
    let (mut owners, tokens) = owned(&["alice"], 10_000, 100_000);
    for mid in [3, 5, 7] {
        owners.remember_send(tokens[0], mid, sent(mid, "bob"));
    }
    owners.record_fate(tokens[0], "carol", 3, Fate::Delivered);
    owners.record_fate(tokens[0], "bob", 4, Fate::Delivered);
    owners.record_fate(tokens[0], "bob", 5, Fate::Expired);
    owners.record_fate(tokens[0], "bob", 5, Fate::Delivered);
    owners.record_fate(tokens[0], "bob", 7, Fate::Delivered);
    let fates: Vec<Fate> = owners.sends(tokens[0]).map(|sent| sent.fate).collect();
    assert_eq!(fates, [Fate::Open, Fate::Expired, Fate::Delivered]);
}

// ---- time ----

/// Returns all steps that are due `seconds` after the start.
fn due(owners: &mut Owners, start: Instant, seconds: u64) -> Vec<Due> {
    std::iter::from_fn(|| owners.next_due(start + Duration::from_secs(seconds))).collect()
}

#[test]
fn lost_client_appears_online_for_10_seconds() {
    let start = Instant::now();
    let (mut owners, tokens) = owned(&["alice", "bob"], 1000, 10_000);
    let [alice, bob] = [tokens[0], tokens[1]];
    assert_eq!(owners.next_deadline(), None, "nothing is due while all are connected");
    assert!(owners.depart(alice, token(0), Departure::Lost, start));
    assert!(owners.depart(bob, token(1), Departure::Normal, start));
    assert_eq!((owners.appears_online(alice), owners.appears_online(bob)), (true, false));
    assert_eq!(due(&mut owners, start, 9), []);
    assert_eq!(due(&mut owners, start, 10), [Due::Offline(alice)]);
    assert!(!owners.appears_online(alice));
    assert_eq!(due(&mut owners, start, 599), []);
    let due = due(&mut owners, start, 600);
    assert!(
        due.len() == 2 && due.contains(&Due::Release(alice)) && due.contains(&Due::Release(bob))
    );
}

#[test]
fn client_that_resumed_has_the_whole_time_again() {
    let start = Instant::now();
    let (mut owners, tokens) = owned(&["alice"], 1000, 10_000);
    assert!(owners.depart(tokens[0], token(0), Departure::Lost, start));
    assert_eq!(owners.resume(tokens[0], token(1)), (None, false));
    assert_eq!(due(&mut owners, start, 5), []);
    assert!(!owners.depart(tokens[0], token(0), Departure::Normal, start), "it was replaced");
    assert!(owners.depart(tokens[0], token(1), Departure::Lost, start + Duration::from_secs(5)));
    assert_eq!(due(&mut owners, start, 14), []);
    assert_eq!(due(&mut owners, start, 15), [Due::Offline(tokens[0])]);
    assert_eq!(owners.resume(tokens[0], token(2)), (None, true));
    assert_eq!(due(&mut owners, start, 700), []);
    assert_eq!(owners.next_deadline(), None);
}

#[test]
fn deadlines_of_released_ids_are_purged() {
    let start = Instant::now();
    let (mut owners, _) = owned(&["alice"], 1000, 10_000);
    for n in 1..10_000 {
        let owner = owners.claim(id("bob"), KeyHash::of("bob"), token(n));
        assert!(owners.depart(owner, token(n), Departure::Normal, start));
        // It comes back and is lost, so that its second deadline is sooner than the first.
        owners.resume(owner, token(n + 1));
        assert!(owners.depart(owner, token(n + 1), Departure::Lost, start));
        assert!(owners.deadlines.len() <= DEADLINES_SPARE + 2 * 2);
        owners.release(owner);
    }
}

#[test]
fn full_table_evicts_the_longest_away_without_messages() {
    let start = Instant::now();
    let (mut owners, tokens) = owned(&["a", "b", "c"], 1000, 10_000);
    assert_eq!(owners.vacancy(), Vacancy::Full);
    for (n, owner) in tokens.iter().enumerate() {
        assert!(owners.depart(
            *owner,
            token(n),
            Departure::Normal,
            start + Duration::from_secs(n as u64)
        ));
    }
    assert_eq!(owners.vacancy(), Vacancy::Evict(tokens[0]));
    assert!(hold(&mut owners, tokens[0], 1));
    assert_eq!(owners.vacancy(), Vacancy::Evict(tokens[1]), "a has a held message");
    owners.resume(tokens[1], token(3));
    assert_eq!(owners.vacancy(), Vacancy::Evict(tokens[2]), "b is connected");
    owners.resume(tokens[2], token(4));
    assert_eq!(owners.vacancy(), Vacancy::Full);
    owners.check_tables();
    owners.release(tokens[2]);
    assert_eq!(owners.vacancy(), Vacancy::Free);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a model: the mids that are held, and the first that was not accepted.
    #[test]
    fn held_messages_are_offered_once_a_connection_in_order(
        steps in prop::collection::vec((0u8..8, 0usize..40), 0..300),
    ) {
        let (mut owners, tokens) = owned(&["alice"], 3000, 100_000);
        let (owner, mut held, mut next) = (tokens[0], Vec::<u64>::new(), 0);
        for (mid, (step, n)) in steps.into_iter().enumerate() {
            match step {
                0..4 => {
                    if hold(&mut owners, owner, mid as u64) {
                        held.push(mid as u64);
                    }
                }
                4 | 5 => {
                    let mid = held.get(n).copied().unwrap_or(n as u64);
                    let acknowledged = acknowledge(&mut owners, owner, "bob", mid);
                    prop_assert_eq!(acknowledged.is_some(), held.contains(&mid));
                    held.retain(|other| *other != mid);
                }
                6 => {
                    let behind = held.iter().copied().filter(|mid| *mid >= next);
                    let behind: Vec<u64> = behind.take(n).collect();
                    prop_assert_eq!(&lines(&mut owners, owner, n), &behind);
                    next = behind.last().map_or(next, |last| last + 1);
                }
                _ => {
                    owners.resume(owner, token(mid));
                    next = 0;
                }
            }
            prop_assert_eq!(owners.unacknowledged(owner), held.len());
            owners.check_tables();
        }
    }
}

#[test]
fn owned_id_costs_264_bytes() {
    assert_size!(Owner = 256: Owner {
        id: 16 "its text is shared with the table of ids",
        key_hash: 32 "a client with this key may join under the id",
        client: 32 "its connection; or since when it is away, and until when it appears online",
        timer: 16 "the deadline that is live",
        held: 88 "messages that are not acknowledged, the next to offer, and the gaps",
        hashes: 32 "finds a repeated send",
        sends: 32 "answers it",
        blocked: 8 "a pointer: most block no id",
    } empty: 0);
    assert_eq!(Slots::<Owner>::slot_bytes(), 264, "8 more for its token");
}
