//! The rules of ownership, without a hub and without lines.

use std::iter;
use std::ops::{Deref, DerefMut};

use proptest::prelude::*;

use super::*;
use crate::limits::{CARDS_BYTES_TOTAL, SENDS_BYTES_TOTAL, SENDS_MAX};
use crate::memory::{Payer, assert_size};

const SECOND: Duration = Duration::from_secs(1);
const HOLD: Duration = Duration::from_secs(600);

/// A table, and the accounts that pay for its entries.
struct Table {
    owners: Owners,
    payers: Payers,
}

impl Deref for Table {
    type Target = Owners;
    fn deref(&self) -> &Owners {
        &self.owners
    }
}

impl DerefMut for Table {
    fn deref_mut(&mut self) -> &mut Owners {
        &mut self.owners
    }
}

/// The functions of [`Owners`] that charge, for clients that are exempt.
impl Table {
    fn claim(&mut self, name: &str, client: Token) -> OwnerToken {
        let (key, account) = (KeyHash::of(name), AccountKey::EXEMPT);
        self.owners.claim(id(name), key, client, account, &mut self.payers)
    }

    fn vacancy(&self, now: Instant) -> Vacancy {
        self.owners.vacancy(AccountKey::EXEMPT, &self.payers, now)
    }

    fn release(&mut self, owner: OwnerToken) -> Option<Released> {
        self.owners.release(owner, &mut self.payers)
    }

    fn expect_repeats(&mut self, owner: OwnerToken, unix_ms: u64) {
        self.owners.expect_repeats(owner, unix_ms, &mut self.payers);
    }

    fn remember_send(&mut self, owner: OwnerToken, hash: u64, sent: Sent) {
        self.owners.remember_send(owner, hash, sent, &mut self.payers);
    }

    fn used(&self, total: Total) -> usize {
        self.payers.budget(total).used()
    }

    #[track_caller]
    fn check_tables(&self) {
        self.owners.check_tables();
        self.payers.check_sums(iter::empty(), self.owners.charges());
    }
}

impl<J: Journal> Owners<J> {
    /// Checks that each index and pool agrees with the entries.
    #[track_caller]
    pub fn check_tables(&self) {
        let (mut evictable, mut forgettable) = (BTreeSet::new(), BTreeSet::new());
        for (token, entry) in self.slots.iter() {
            let owner = OwnerToken(token);
            entry.held.check();
            assert!(entry.held.is_compact() || self.fragmented.contains(&owner));
            assert!(entry.held.counted_bytes() <= self.bytes_max);
            let kept = usize::from(entry.kept_sends);
            assert!(kept <= SENDS_MAX && (kept..=kept + SENDS_MAX).contains(&entry.sends.len()));
            assert_eq!(entry.sends.len(), entry.hashes.len());
            if let ClientState::Away { since, .. } = entry.client {
                assert!(entry.timer != Timer::default(), "{:?} is kept for ever", entry.id);
                evictable.extend(entry.held.is_empty().then_some((since, owner)));
                forgettable.extend((!entry.sends.is_empty()).then_some((since, owner)));
            }
        }
        assert_eq!(evictable, self.evictable);
        assert_eq!(forgettable, self.forgettable);
        self.pool.check(self.slots.iter().map(|(_, entry)| &entry.held));
    }

    /// Iterates over everything that is charged for ownerships.
    pub fn charges(&self) -> impl Iterator<Item = (AccountKey, Total, usize)> {
        self.slots.iter().flat_map(|(_, entry)| {
            let held = entry.held.charges().map(|(account, bytes)| (account, Total::Held, bytes));
            let own = [
                (Total::Owned, 1),
                (Total::Blocks, entry.blocked.len()),
                (Total::Sends, SEND_BYTES * entry.sends.len()),
                (Total::Cards, entry.card.bytes()),
            ];
            held.chain(own.map(|(total, amount)| (entry.account, total, amount)))
        })
    }
}

/// Owns ids of these names, with clients on connections 0, 1 and so on. The key of each is its
/// name.
fn owned(names: &[&str], bytes_max: usize, bytes_total: usize) -> (Table, Vec<OwnerToken>) {
    let payers =
        Payers::new([bytes_total, SENDS_BYTES_TOTAL, 0, 0, names.len(), CARDS_BYTES_TOTAL]);
    let mut table = Table { owners: Owners::new(HOLD, bytes_max, NoJournal::default()), payers };
    let tokens = names.iter().enumerate().map(|(n, name)| table.claim(name, token(n))).collect();
    (table, tokens)
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
fn hold(table: &mut Table, owner: OwnerToken, mid: u64) -> bool {
    let holder = Holder::Client(token(9));
    let origin = Origin { id: &id("bob"), holder, account: AccountKey::EXEMPT };
    let line = format!("{mid:04}");
    table.owners.hold(owner, mid, &origin, &line, &mut table.payers).is_ok()
}

/// Acknowledges one message, and returns its sender.
fn acknowledge(table: &mut Table, owner: OwnerToken, from: &str, mid: u64) -> Option<Holder> {
    let mut acknowledged = Vec::new();
    table.acknowledge(owner, from, [mid].into_iter(), &mut acknowledged);
    table.owners.sweep(&mut table.payers);
    assert!(acknowledged.iter().all(|(_, other)| *other == mid));
    acknowledged.pop().map(|(sender, _)| sender)
}

/// Accepts the next `count` held lines, and returns their mids.
fn lines(owners: &mut Owners, owner: OwnerToken, count: usize) -> Vec<u64> {
    let mut lines = Vec::new();
    owners.offer_lines(owner, u64::MAX, |_, line| {
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
    let new = owners.claim("alice", token(1));
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
    assert_eq!((owners.used(Total::Held), owners.unacknowledged(tokens[0])), (4 * HELD, 4));
    // The gap of 3 is counted until the gaps are half of the queue.
    for (mid, left) in [(3, 4 * HELD), (1, 2 * HELD), (2, HELD), (4, 0)] {
        assert_eq!(acknowledge(&mut owners, tokens[0], "bob", mid), Some(Holder::Client(token(9))));
        assert_eq!(owners.used(Total::Held), left, "after {mid}");
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
    assert_eq!((capacity(&owners), owners.used(Total::Held)), (0, 0));
}

// ---- remembered sends ----

#[test]
fn last_128_sends_are_remembered_and_counted() {
    let (mut owners, tokens) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=129 {
        owners.remember_send(tokens[0], mid * 1000, sent(mid, "bob"));
    }
    assert!(owners.find_send(tokens[0], 1000).is_none(), "forgotten for the 129th");
    for mid in 2..=129 {
        assert_eq!(owners.find_send(tokens[0], mid * 1000).map(|sent| sent.mid), Some(mid));
    }
    assert_eq!(owners.used(Total::Sends), 128 * SEND_BYTES);
    owners.check_tables();
    owners.release(tokens[0]);
    assert_eq!(owners.used(Total::Sends), 0);
}

#[test]
fn sends_from_before_a_break_give_way_after_60_seconds() {
    let (mut owners, tokens) = owned(&["alice"], 10_000, 100_000);
    let alice = tokens[0];
    let send = |owners: &mut Table, mid: u64, at: u64| {
        owners.remember_send(alice, mid, Sent { at, ..sent(mid, "bob") });
        owners.check_tables();
    };
    for mid in 1..=200 {
        send(&mut owners, mid, 1000);
    }
    // The clock is about to go round.
    owners.expect_repeats(alice, (65_536 * 9 - 30) * 1000);
    for mid in 201..=400 {
        send(&mut owners, mid, (65_536 * 9 - 1) * 1000);
    }
    let expected: Vec<u64> = (73..=200).chain(273..=400).collect();
    assert_eq!(remembered(&owners, alice), expected, "both halves are whole");
    send(&mut owners, 401, (65_536 * 9 + 30) * 1000);
    assert_eq!(remembered(&owners, alice).len(), 256, "a minute is not over");
    send(&mut owners, 402, (65_536 * 9 + 31) * 1000);
    assert_eq!(remembered(&owners, alice), (275..=402).collect::<Vec<u64>>());
    owners.expect_repeats(alice, 0);
    owners.expect_repeats(alice, 0);
    assert_eq!(remembered(&owners, alice).len(), 128);
}

/// Creates a table in which this many sends can be remembered.
fn with_sends_total(names: &[&str], sends: usize) -> (Table, Vec<OwnerToken>) {
    let (mut table, _) = owned(&[], 10_000, 100_000);
    table.payers = Payers::new([100_000, sends * SEND_BYTES, 0, 0, names.len(), 0]);
    let tokens = names.iter().enumerate().map(|(n, name)| table.claim(name, token(n))).collect();
    (table, tokens)
}

fn remembered(table: &Table, owner: OwnerToken) -> Vec<u64> {
    table.sends(owner).map(|sent| sent.mid).collect()
}

#[test]
fn sends_of_the_longest_away_are_forgotten_first() {
    let start = Instant::now();
    let (mut table, tokens) = with_sends_total(&["a", "b", "c", "d"], 6);
    for (n, owner) in tokens[..3].iter().enumerate() {
        for mid in [1, 2] {
            table.remember_send(*owner, mid, sent(mid, "bob"));
        }
        let at = start + (3 - n as u32) * SECOND;
        assert!(n == 1 || table.depart(*owner, token(n), Departure::Lost, at));
    }
    table.remember_send(tokens[3], 3, sent(3, "bob"));
    let mids = |table: &Table| tokens.iter().map(|o| remembered(table, *o)).collect::<Vec<_>>();
    assert_eq!(mids(&table), [vec![1, 2], vec![1, 2], vec![], vec![3]], "c is away longest");
    table.check_tables();
    (4..=6).for_each(|mid| table.remember_send(tokens[3], mid, sent(mid, "bob")));
    assert_eq!(mids(&table), [vec![], vec![1, 2], vec![], vec![3, 4, 5, 6]]);
    // Nobody with sends is away now, so d forgets its own.
    table.remember_send(tokens[3], 7, sent(7, "bob"));
    assert_eq!(mids(&table), [vec![], vec![1, 2], vec![], vec![4, 5, 6, 7]]);
    assert!(table.find_send(tokens[3], 3).is_none() && table.find_send(tokens[3], 7).is_some());
    table.resume(tokens[0], token(4));
    table.remember_send(tokens[0], 8, sent(8, "bob"));
    assert!(remembered(&table, tokens[0]).is_empty(), "it has none of its own to forget");
    table.check_tables();
}

#[test]
fn payer_with_its_share_of_sends_forgets_its_own_oldest() {
    let (mut table, tokens) = with_sends_total(&["a"], 16);
    let account = table.payers.open(Some(Payer::new(1)));
    table.release(tokens[0]);
    let Table { owners, payers } = &mut table;
    let owner = owners.claim(id("a"), KeyHash::of("a"), token(1), account, payers);
    (1..=5).for_each(|mid| table.remember_send(owner, mid, sent(mid, "bob")));
    assert_eq!(remembered(&table, owner), [4, 5], "an eighth of 16");
    table.owners.check_tables();
}

#[test]
fn remembered_send_takes_no_more_than_it_is_counted_as() {
    // The allocator adds 8 bytes to each block, and makes 16 of its sum or more, at least 32.
    let block =
        |bytes: usize| if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) };
    let (mut table, tokens) = owned(&["alice"], 10_000, 100_000);
    for mid in 1..=SENDS_MAX {
        table.remember_send(tokens[0], mid as u64, sent(mid as u64, &"x".repeat(64)));
        let entry = table.get(tokens[0]).expect("an entry");
        let lists = block(entry.hashes.capacity() * size_of::<u64>())
            + block(entry.sends.capacity() * size_of::<Sent>());
        // The text of an id has two counts of 8 bytes before it.
        let taken = lists + mid * block(16 + 64);
        assert!(taken <= mid * SEND_BYTES, "{taken} for {mid}");
    }
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
        let owner = owners.claim("bob", token(n));
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
    let later = start + HOLD + 2 * SECOND;
    let (mut owners, tokens) = owned(&["a", "b", "c"], 1000, 10_000);
    assert_eq!(owners.vacancy(later), Vacancy::Full);
    for (n, owner) in tokens.iter().enumerate() {
        assert!(owners.depart(
            *owner,
            token(n),
            Departure::Normal,
            start + Duration::from_secs(n as u64)
        ));
    }
    assert_eq!(owners.vacancy(later), Vacancy::Evict(tokens[0]));
    assert!(hold(&mut owners, tokens[0], 1));
    assert_eq!(owners.vacancy(later), Vacancy::Evict(tokens[1]), "a has a held message");
    owners.resume(tokens[1], token(3));
    assert_eq!(owners.vacancy(later), Vacancy::Evict(tokens[2]), "b is connected");
    owners.resume(tokens[2], token(4));
    assert_eq!(owners.vacancy(later), Vacancy::Full);
    owners.check_tables();
    owners.release(tokens[2]);
    assert_eq!(owners.vacancy(later), Vacancy::Free);
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
fn owned_id_costs_304_bytes() {
    assert_size!(Owner = 296: Owner {
        id: 16 "its text is shared with the table of ids",
        account: 4 "each charge for it is on it",
        key_hash: 32 "a client with this key may join under the id",
        client: 32 "its connection; or since when it is away, and until when it appears online",
        is_stored: 1 "what is not on disk is not promised",
        timer: 16 "the deadline that is live",
        held: 112 "messages that are not acknowledged, the next to offer, and the gaps",
        hashes: 32 "finds a repeated send",
        sends: 32 "answers it",
        kept_sends: 1 "a new send does not push out one that may be repeated",
        resumed_at: 2 "but only for a minute",
        blocked: 8 "a pointer: most block no id",
        card: 8 "a pointer: old clients have none",
    } empty: 0);
    assert_eq!(Slots::<Owner>::slot_bytes(), 304, "8 more for its token");
}
