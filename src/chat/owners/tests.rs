//! The rules of ownership, without clients and lines.

use proptest::prelude::*;

use super::*;
use crate::memory::assert_size;

const HOLD: Duration = Duration::from_secs(600);

impl Owners {
    /// What is counted is what is there.
    #[track_caller]
    pub fn check_tables(&self) {
        let mut evictable = BTreeSet::new();
        for (token, owner) in self.slots.iter() {
            let key = OwnerToken(token);
            owner.held.check();
            assert!(owner.held.is_tidy() || self.fragmented.contains(&key));
            assert!(owner.held.counted_bytes() <= self.bytes_max);
            assert!(owner.sends.len() <= SENDS_MAX && owner.sends.len() == owner.hashes.len());
            if let ClientState::Away { since, .. } = owner.client {
                assert!(owner.timer != Timer::default(), "{:?} is kept for ever", owner.id);
                evictable.extend(owner.held.is_empty().then_some((since, key)));
            }
        }
        assert_eq!(evictable, self.evictable);
        self.pool.check(self.slots.iter().map(|(_, owner)| &owner.held));
        assert_eq!(
            self.slots.iter().map(|(_, owner)| owner.held.counted_bytes()).sum::<usize>(),
            self.held_bytes()
        );
        let sends: usize = self.slots.iter().map(|(_, owner)| owner.sends.len()).sum();
        assert_eq!(SEND_BYTES * sends, self.sends_budget.used());
        assert!(self.len() <= self.owned_max);
    }
}

/// Owned ids of these names, all here: on connections 0, 1 and so on.
fn owned(names: &[&str], bytes_max: usize, bytes_total: usize) -> (Owners, Vec<OwnerToken>) {
    let mut owners = Owners::new(HOLD, bytes_max, bytes_total, names.len());
    let claim = |(n, name): (usize, &&str)| owners.claim(id(name), KeyHash::of(name), token(n));
    let keys = names.iter().enumerate().map(claim).collect();
    (owners, keys)
}

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

fn token(n: usize) -> Token {
    Token::new(n, 1)
}

/// What a message of [`hold`] is counted as.
const HELD: usize = HELD_BYTES + 4;

/// Holds a message from bob; its line is its mid.
fn hold(owners: &mut Owners, key: OwnerToken, mid: u64) -> bool {
    owners.hold(key, mid, &id("bob"), Holder::Client(token(9)), format!("{mid:04}").as_bytes())
}

/// Acknowledges one message.
fn acknowledge(owners: &mut Owners, key: OwnerToken, from: &str, mid: u64) -> Option<Holder> {
    let mut acknowledged = Vec::new();
    owners.acknowledge(key, from, [mid].into_iter(), &mut acknowledged);
    owners.sweep();
    assert!(acknowledged.iter().all(|(_, other)| *other == mid));
    acknowledged.pop().map(|(sender, _)| sender)
}

/// Gives out so many lines.
fn lines(owners: &mut Owners, key: OwnerToken, count: usize) -> Vec<u64> {
    let mut lines = Vec::new();
    owners.offer_lines(key, |_, line| {
        let takes = lines.len() < count;
        if takes {
            lines.push(String::from_utf8_lossy(line).parse().expect("a mid"));
        }
        takes
    });
    lines
}

fn sent(mid: u64, to: &str) -> Sent {
    Sent { mid, at: 5, to: id(to), held: false, fate: Fate::Open }
}

// ---- keys ----

#[test]
fn only_the_same_key_opens_an_id() {
    let (owners, keys) = owned(&["alice"], 1000, 10_000);
    assert!(owners.key_matches(keys[0], &KeyHash::of("alice")));
    assert!(!owners.key_matches(keys[0], &KeyHash::of("alicf")));
    // FIPS 180-4: the hash of "abc".
    assert_eq!(KeyHash::of("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(format!("{:?}", KeyHash::of("abc")), "KeyHash");
}

#[test]
fn hashes_that_differ_in_any_byte_do_not_match() {
    for place in 0..32 {
        let mut other = KeyHash::of("alice");
        other.0[place] ^= 1;
        assert!(!other.matches(&KeyHash::of("alice")), "{place}");
    }
}

#[test]
fn the_key_of_an_ownership_that_has_ended_finds_nobody() {
    let (mut owners, keys) = owned(&["alice"], 1000, 10_000);
    let old = keys[0];
    assert!(owners.release(old).is_some_and(|released| released.appeared_online));
    let new = owners.claim(id("alice"), KeyHash::of("alice"), token(1));
    assert_eq!(old.0.key(), new.0.key(), "the slot is used again");
    assert!(!hold(&mut owners, old, 1) && hold(&mut owners, new, 1));
    assert!(owners.id(old).is_none() && owners.release(old).is_none());
    assert_eq!(acknowledge(&mut owners, old, "bob", 1), None);
    assert_eq!((owners.token(old), owners.token(new)), (None, Some(token(1))));
}

// ---- held messages ----

#[test]
fn what_is_acknowledged_in_whatever_order_is_counted_no_more() {
    let (mut owners, keys) = owned(&["alice"], 1000, 10_000);
    for mid in 1..=4 {
        assert!(hold(&mut owners, keys[0], mid));
    }
    assert_eq!((owners.held_bytes(), owners.unacknowledged(keys[0])), (4 * HELD, 4));
    // The gap that 3 leaves is counted until there are as many as messages.
    for (mid, left) in [(3, 4 * HELD), (1, 2 * HELD), (2, HELD), (4, 0)] {
        assert_eq!(acknowledge(&mut owners, keys[0], "bob", mid), Some(Holder::Client(token(9))));
        assert_eq!(owners.held_bytes(), left, "after {mid}");
        assert_eq!(acknowledge(&mut owners, keys[0], "bob", mid), None, "only once");
        owners.check_tables();
    }
}

#[test]
fn only_mids_that_are_held_from_that_sender_count() {
    let (mut owners, keys) = owned(&["alice", "carol"], 1000, 10_000);
    assert!(hold(&mut owners, keys[0], 2));
    for (key, from, mid) in [(0, "bob", 1), (0, "bob", 3), (0, "carol", 2), (1, "bob", 2)] {
        assert_eq!(acknowledge(&mut owners, keys[key], from, mid), None);
    }
    assert_eq!(owners.unacknowledged(keys[0]), 1);
}

#[test]
fn on_joining_again_all_that_is_not_acknowledged_comes_again_oldest_first() {
    let (mut owners, keys) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=6 {
        assert!(hold(&mut owners, keys[0], mid));
    }
    assert_eq!(lines(&mut owners, keys[0], 3), [1, 2, 3]);
    for mid in [2, 4, 1] {
        assert!(acknowledge(&mut owners, keys[0], "bob", mid).is_some());
    }
    assert_eq!(lines(&mut owners, keys[0], 1), [5], "4 is known, from an earlier connection");
    assert_eq!(owners.resume(keys[0], token(1)), (Some(token(0)), false));
    assert_eq!(lines(&mut owners, keys[0], 9), [3, 5, 6]);
    assert!(hold(&mut owners, keys[0], 7));
    assert_eq!(lines(&mut owners, keys[0], 9), [7]);
}

#[test]
fn what_is_held_for_one_and_for_all_has_a_limit() {
    // Two fit for one of them; of the total, each may have a quarter of what is left.
    let (mut owners, keys) = owned(&["alice", "bob", "carol"], 2 * HELD, 6 * HELD);
    assert!(hold(&mut owners, keys[0], 1));
    assert!(hold(&mut owners, keys[1], 2));
    assert!(hold(&mut owners, keys[2], 3), "a quarter of four");
    assert!(!hold(&mut owners, keys[0], 4), "more than a quarter of three");
    let (mut owners, keys) = owned(&["alice"], 2 * HELD, 100 * HELD);
    assert!(hold(&mut owners, keys[0], 1) && hold(&mut owners, keys[0], 2));
    assert!(!hold(&mut owners, keys[0], 3));
    assert!(acknowledge(&mut owners, keys[0], "bob", 1).is_some());
    assert!(hold(&mut owners, keys[0], 3));
    owners.check_tables();
}

#[test]
fn what_is_acknowledged_makes_room_before_half_of_it_is() {
    let (mut owners, keys) = owned(&["alice"], 8 * HELD, 1000 * HELD);
    for mid in 1..=8 {
        assert!(hold(&mut owners, keys[0], mid));
    }
    assert!(!hold(&mut owners, keys[0], 9));
    for mid in [3, 5] {
        assert!(acknowledge(&mut owners, keys[0], "bob", mid).is_some());
    }
    assert!(
        hold(&mut owners, keys[0], 9)
            && hold(&mut owners, keys[0], 10)
            && !hold(&mut owners, keys[0], 11)
    );
    owners.check_tables();
    assert_eq!(lines(&mut owners, keys[0], 9), [1, 2, 4, 6, 7, 8, 9, 10]);
}

#[test]
fn who_is_away_is_lent_no_room() {
    let (mut owners, keys) = owned(&["alice", "bob"], usize::MAX, usize::MAX);
    let room =
        |owners: &Owners, key| owners.get(key).map_or(0, |owner| owner.held.capacity_bytes());
    for mid in 0..100 {
        assert!(hold(&mut owners, keys[0], mid));
    }
    let long = room(&owners, keys[0]);
    for mid in 0..100 {
        assert!(acknowledge(&mut owners, keys[0], "bob", mid).is_some());
    }
    assert!(hold(&mut owners, keys[1], 100));
    assert_eq!(room(&owners, keys[1]), long, "the room goes round");
    assert!(owners.depart(keys[1], token(1), true, Instant::now()));
    assert!(room(&owners, keys[1]) < 300, "{}", room(&owners, keys[1]));
    assert!(owners.depart(keys[0], token(0), true, Instant::now()));
    assert!(hold(&mut owners, keys[0], 101));
    assert!(room(&owners, keys[0]) < 300, "{}", room(&owners, keys[0]));
    owners.check_tables();
}

#[test]
fn memory_is_given_back_when_messages_are_acknowledged() {
    let (mut owners, keys) = owned(&["alice"], usize::MAX, usize::MAX);
    for mid in 0..1000 {
        assert!(hold(&mut owners, keys[0], mid));
    }
    let room = |owners: &Owners| owners.get(keys[0]).map_or(0, |owner| owner.held.capacity_bytes());
    assert!(room(&owners) >= 1000 * 52);
    for mid in 0..990 {
        assert!(acknowledge(&mut owners, keys[0], "bob", mid).is_some());
    }
    owners.check_tables();
    for mid in 990..1000 {
        assert!(acknowledge(&mut owners, keys[0], "bob", mid).is_some());
    }
    assert_eq!((room(&owners), owners.held_bytes()), (0, 0));
}

// ---- remembered sends ----

#[test]
fn the_last_128_sends_are_remembered_and_counted() {
    let (mut owners, keys) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=129 {
        assert!(owners.can_remember_send(keys[0]));
        owners.remember_send(keys[0], mid * 1000, sent(mid, "bob"));
    }
    assert!(owners.find_send(keys[0], 1000).is_none(), "the 129th pushes out the first");
    for mid in 2..=129 {
        assert_eq!(owners.find_send(keys[0], mid * 1000).map(|sent| sent.mid), Some(mid));
    }
    assert_eq!(owners.sends_budget.used(), 128 * SEND_BYTES);
    owners.check_tables();
    owners.release(keys[0]);
    assert_eq!(owners.sends_budget.used(), 0);
}

#[test]
fn what_is_remembered_has_a_total_of_its_own() {
    let (mut owners, keys) = owned(&["alice", "bob"], 10_000, 1000);
    owners.sends_budget = Budget::new(16 * SEND_BYTES);
    let mut mids = 1..;
    while owners.can_remember_send(keys[0]) {
        let mid = mids.next().unwrap_or(0);
        owners.remember_send(keys[0], mid, sent(mid, "carol"));
    }
    // The fourth would be over a quarter of what is left then.
    assert_eq!(owners.sends_budget.used(), 3 * SEND_BYTES);
    assert!(hold(&mut owners, keys[1], 9), "nobody else has less for it");
    owners.check_tables();
}

#[test]
fn what_became_of_a_send_is_written_down_once_and_only_by_its_recipient() {
    let (mut owners, keys) = owned(&["alice"], 10_000, 100_000);
    for mid in [3, 5, 7] {
        owners.remember_send(keys[0], mid, sent(mid, "bob"));
    }
    owners.record_fate(keys[0], "carol", 3, Fate::Delivered);
    owners.record_fate(keys[0], "bob", 4, Fate::Delivered);
    owners.record_fate(keys[0], "bob", 5, Fate::Expired);
    owners.record_fate(keys[0], "bob", 5, Fate::Delivered);
    owners.record_fate(keys[0], "bob", 7, Fate::Delivered);
    let fates: Vec<Fate> = owners.sends(keys[0]).map(|sent| sent.fate).collect();
    assert_eq!(fates, [Fate::Open, Fate::Expired, Fate::Delivered]);
}

// ---- time ----

/// All that is due `seconds` after the start.
fn due(owners: &mut Owners, start: Instant, seconds: u64) -> Vec<Due> {
    std::iter::from_fn(|| owners.next_due(start + Duration::from_secs(seconds))).collect()
}

#[test]
fn an_id_whose_connection_broke_looks_online_for_10_seconds_and_is_owned_for_hold() {
    let start = Instant::now();
    let (mut owners, keys) = owned(&["alice", "bob"], 1000, 10_000);
    let [alice, bob] = [keys[0], keys[1]];
    assert_eq!(owners.next_deadline(), None, "nothing is due for who is here");
    assert!(owners.depart(alice, token(0), false, start));
    assert!(owners.depart(bob, token(1), true, start));
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
fn who_came_back_has_all_the_time_again() {
    let start = Instant::now();
    let (mut owners, keys) = owned(&["alice"], 1000, 10_000);
    assert!(owners.depart(keys[0], token(0), false, start));
    assert_eq!(owners.resume(keys[0], token(1)), (None, false));
    assert_eq!(due(&mut owners, start, 5), []);
    assert!(!owners.depart(keys[0], token(0), true, start), "the one before is not missed");
    assert!(owners.depart(keys[0], token(1), false, start + Duration::from_secs(5)));
    assert_eq!(due(&mut owners, start, 14), []);
    assert_eq!(due(&mut owners, start, 15), [Due::Offline(keys[0])]);
    assert_eq!(owners.resume(keys[0], token(2)), (None, true));
    assert_eq!(due(&mut owners, start, 700), []);
    assert_eq!(owners.next_deadline(), None);
}

#[test]
fn deadlines_of_those_who_are_no_more_do_not_pile_up() {
    let start = Instant::now();
    let (mut owners, _) = owned(&["alice"], 1000, 10_000);
    for n in 1..10_000 {
        let key = owners.claim(id("bob"), KeyHash::of("bob"), token(n));
        assert!(owners.depart(key, token(n), true, start));
        // It comes back and breaks, so that a nearer deadline overtakes the one before.
        owners.resume(key, token(n + 1));
        assert!(owners.depart(key, token(n + 1), false, start));
        assert!(owners.deadlines.len() <= DEADLINES_SPARE + 2 * 2);
        owners.release(key);
    }
}

#[test]
fn when_all_are_owned_the_longest_away_with_nothing_held_gives_way() {
    let start = Instant::now();
    let (mut owners, keys) = owned(&["a", "b", "c"], 1000, 10_000);
    assert_eq!(owners.vacancy(), Vacancy::Full);
    for (n, key) in keys.iter().enumerate() {
        assert!(owners.depart(*key, token(n), true, start + Duration::from_secs(n as u64)));
    }
    assert_eq!(owners.vacancy(), Vacancy::Evict(keys[0]));
    assert!(hold(&mut owners, keys[0], 1));
    assert_eq!(owners.vacancy(), Vacancy::Evict(keys[1]), "something is held for a");
    owners.resume(keys[1], token(3));
    assert_eq!(owners.vacancy(), Vacancy::Evict(keys[2]), "b is here");
    owners.resume(keys[2], token(4));
    assert_eq!(owners.vacancy(), Vacancy::Full);
    owners.check_tables();
    owners.release(keys[2]);
    assert_eq!(owners.vacancy(), Vacancy::Free);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a model: the mids that are held, and those among them that were given out.
    #[test]
    fn what_is_held_is_given_out_once_a_connection_and_in_order(
        steps in prop::collection::vec((0u8..8, 0usize..40), 0..300),
    ) {
        let (mut owners, keys) = owned(&["alice"], 3000, 100_000);
        let (key, mut held, mut given) = (keys[0], Vec::<u64>::new(), 0);
        for (mid, (step, n)) in steps.into_iter().enumerate() {
            match step {
                0..4 => {
                    if hold(&mut owners, key, mid as u64) {
                        held.push(mid as u64);
                    }
                }
                4 | 5 => {
                    let mid = held.get(n).copied().unwrap_or(n as u64);
                    prop_assert_eq!(acknowledge(&mut owners, key, "bob", mid).is_some(), held.contains(&mid));
                    held.retain(|other| *other != mid);
                }
                6 => {
                    let behind: Vec<u64> = held.iter().copied().filter(|mid| *mid >= given).take(n).collect();
                    prop_assert_eq!(&lines(&mut owners, key, n), &behind);
                    given = behind.last().map_or(given, |last| last + 1);
                }
                _ => {
                    owners.resume(key, token(mid));
                    given = 0;
                }
            }
            prop_assert_eq!(owners.unacknowledged(key), held.len());
            owners.check_tables();
        }
    }
}

#[test]
fn what_an_owned_id_costs() {
    assert_size!(Owner = 256: Owner {
        id: 16 "the text is shared with the table of ids",
        hash: 32 "who knows its key may join under it",
        client: 32 "its connection; or since when it is away, and until when that is not shown",
        timer: 16 "which of its deadlines is live",
        held: 88 "messages that are not acknowledged, which its client was given, and where gaps are",
        hashes: 32 "how a repeated send is known",
        sends: 32 "and answered",
        blocked: 8 "a pointer: most block nobody",
    } empty: 0);
    assert_eq!(
        Slots::<Owner>::slot_bytes(),
        264,
        "8 more for its token: whoever has the name later is not taken for it"
    );
}
