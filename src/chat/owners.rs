//! Owned ids: for each its key, its client, its held messages, remembered sends, blocks and card.
//!
//! Everything that outlives a connection is here. Each change of it is a function of [`Owners`],
//! which tells the change to a [`Journal`], for a store on disk. `restore.rs` is the way back.
//!
//! The states of an ownership, and the functions that lead from one to the next:
//!
//! ```text
//!  claim
//!    │
//!    ▼        depart(Lost)                  next_due, AWAY_GRACE later
//! Connected ───────────────► Away, appears ─────────────────────────┐
//!   ▲   │                    online                                 ▼
//!   │   └────────────────────────────────────────────────────► Away, appears ──► release
//!   │         depart(Normal)    │                              offline     next_due, `hold`
//!   └───────────────────────────┴────────────────────────────────┘         after the depart
//!                             resume
//! ```
//!
//! `release` may also come sooner: by the client's `leave`, or to evict it for another id.
//!
//! **Invariants**
//! - A key is never kept, compared or logged. Only its SHA-256 is kept, and compared in constant
//!   time.
//! - Each ownership, remembered send and held message is charged to an account of [`Payers`], and
//!   a charge ends with its cause. The account of an ownership is that of the client that claimed
//!   it, on whichever connection its client is now.
//! - `evictable` has an entry for each ownership that is away and has no held message,
//!   `forgettable` for each that is away and has remembered sends, and no others.
//! - A change is recorded in the function that makes it, after the checks that could refuse it.
//!
//! Which clients hear of a change, and in which line, is not known here.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::chat::blocked::Blocked;
use crate::chat::card::Card;
use crate::chat::journal::{Change, Journal, NoJournal};
use crate::chat::outbox::Pieces;
use crate::chat::payers::{AccountKey, Excess, Payers, Total};
use crate::chat::protocol::Id;
use crate::limits::{
    AWAY_GRACE, BATCH_BYTES_MAX, DEADLINES_SPARE, EVICTION_AGE, GAPS_SHARE, GAPS_SHARE_WHEN_FULL,
    HELD_BYTES, HELD_RESERVE, SEND_BYTES, TABLE_CAPACITY_MIN,
};
use crate::memory::tighten;
use crate::time::{Deadlines, Timer, Uptime};
use crate::token::{Slots, Token};

#[cfg(feature = "api")]
mod absent;
mod held;
mod holding;
pub mod restore;
mod sends;

use held::{Held, HeldPool, QUEUE_BYTES_MAX};

/// Names one ownership of an id. A later owner of the same id has another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerToken(Token);

impl OwnerToken {
    /// Returns the token as a number, to sort by, and to name the ownership in a store.
    pub fn number(self) -> u64 {
        usize::from(self.0) as u64
    }

    /// Returns the token with this number.
    pub fn from_number(number: u64) -> OwnerToken {
        OwnerToken(Token::from(number as usize))
    }
}

/// The SHA-256 of a key.
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &str) -> KeyHash {
        KeyHash(hmac_sha256::Hash::hash(key.as_bytes()))
    }

    /// Returns `true` if both are hashes of one key. Runs as long for any two hashes, so its time
    /// tells an attacker nothing.
    pub fn matches(&self, other: &KeyHash) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

/// The holder of an id, at the time when it sent a message: the address for reports on that
/// message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A client without a key. After its connection ends, the token finds no client.
    Client(Token),
    /// An ownership, on whichever connection its client is.
    Owner(OwnerToken),
}

impl Holder {
    /// Returns the ownership, if it is one.
    pub fn owner(self) -> Option<OwnerToken> {
        match self {
            Holder::Client(_) => None,
            Holder::Owner(owner) => Some(owner),
        }
    }
}

/// The sender of a message.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Its id.
    pub id: &'a Id,
    /// The address for reports on the message.
    pub holder: Holder,
    /// The account that pays for the message while it is held.
    pub account: AccountKey,
}

/// How a connection ended, as far as it matters for presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The client closed with 1000: it chose to be away, so it appears offline at once.
    Normal,
    /// The connection ended otherwise, as in a lost network or a reloaded page. The client may be
    /// back within [`AWAY_GRACE`], and appears online until then.
    Lost,
}

/// The fate of a sent message, as its sender has to learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not yet decided.
    Open,
    /// Acknowledged by the recipient.
    Delivered,
    /// Dropped undelivered, which is not on disk yet, so a crash could take it back. A line that
    /// tells it waits already.
    Expiring,
    /// Dropped undelivered.
    Expired,
}

/// A remembered send: one with a `ref`, and the parts of its answer. If the client repeats it, it
/// is answered again and not routed again.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The count of its mid.
    pub mid: u64,
    /// The time at which the server took it, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Its recipient.
    pub to: Id,
    /// Whether it was answered with `"held":true`.
    pub held: bool,
    /// Its fate, as far as it is known.
    pub fate: Fate,
}

/// The connection of an ownership's client, or its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// The client is on this connection.
    Connected(Token),
    /// The last connection ended at `since`. The id appears online until `online_until`; `None`: it
    /// appears offline.
    Away { since: Instant, online_until: Option<Instant> },
}

/// One ownership. There may be a hundred thousand, so each byte counts.
struct Owner {
    id: Id,
    /// The account that pays for the ownership, its blocks, its card and its remembered sends.
    account: AccountKey,
    key_hash: KeyHash,
    client: ClientState,
    /// The ownership is on disk, or there is no store.
    is_stored: bool,
    timer: Timer,
    held: Held,
    /// Hashes of `ref`, recipient and body of each of `sends`, in the same order. Apart from them,
    /// so that a search reads 8 bytes for each.
    hashes: VecDeque<u64>,
    sends: VecDeque<Sent>,
    /// The sends among them from before the present connection, which may be repeated.
    kept_sends: u8,
    /// The time at which that connection joined, in seconds, of which the low half is enough.
    resumed_at: u16,
    blocked: Blocked,
    card: Card,
}

/// Whether one more id can be owned.
#[derive(Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// It can.
    Free,
    /// It can after this ownership is released: it has been away the longest of those without held
    /// messages, and for longer than [`EVICTION_AGE`].
    Evict(OwnerToken),
    /// It cannot: every ownership is connected, was so a short time ago, or has held messages.
    Full,
    /// It cannot: this payer has its share.
    ShareFull,
}

/// The limit that keeps one more message from being held.
#[derive(Debug, PartialEq, Eq)]
pub enum HeldLimit {
    /// That of its recipient's queue.
    Queue,
    /// That of the sender's payer in this queue.
    QueueShare,
    /// That of the sender's payer.
    Payer,
    /// The total.
    Total,
}

/// A step that is due for an ownership.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Its id appears offline from now on.
    Offline(OwnerToken),
    /// It has to be [released](Owners::release).
    Release(OwnerToken),
}

/// The remains of a released ownership.
pub struct Released {
    /// The id, which is free from now on.
    pub id: Id,
    /// Whether the id appeared online until now.
    pub appeared_online: bool,
    /// The dropped messages, oldest first: each sender, and the count of the mid.
    pub expired: Vec<(Holder, u64)>,
}

/// All owned ids.
pub struct Owners<J = NoJournal> {
    hold: Duration,
    /// No ownership ends before this time: the clients of a server that was just started have to
    /// find it first, and a disk that fails cannot record the end.
    expire_from: Option<Instant>,
    bytes_max: usize,
    journal: J,
    /// A client came or went while more changes waited than may, so that was not recorded.
    has_unrecorded: bool,
    slots: Slots<Owner>,
    pool: HeldPool,
    /// Ownerships that may have gaps between held messages.
    fragmented: Vec<OwnerToken>,
    deadlines: Deadlines<OwnerToken>,
    /// Ownerships that may be evicted for another id, the longest away first.
    evictable: BTreeSet<(Instant, OwnerToken)>,
    /// Ownerships with remembered sends that may be forgotten, the longest away first.
    forgettable: BTreeSet<(Instant, OwnerToken)>,
}

impl<J: Journal> Owners<J> {
    /// Creates an empty table. Each id is kept for `hold`, and up to `bytes_max` bytes of messages
    /// are held for it. Changes are recorded in `journal`.
    pub fn new(hold: Duration, bytes_max: usize, journal: J) -> Owners<J> {
        Owners {
            hold,
            expire_from: None,
            journal,
            has_unrecorded: false,
            bytes_max: bytes_max.min(QUEUE_BYTES_MAX),
            slots: Slots::default(),
            pool: HeldPool::default(),
            fragmented: Vec::new(),
            deadlines: Deadlines::default(),
            evictable: BTreeSet::new(),
            forgettable: BTreeSet::new(),
        }
    }

    // ---- ownerships and their clients ----

    /// Makes the client the owner of a free id. [`Owners::vacancy`] must have been `Free`.
    pub fn claim(
        &mut self,
        id: Id,
        key_hash: KeyHash,
        client: Token,
        account: AccountKey,
        payers: &mut Payers,
    ) -> OwnerToken {
        payers.take(account, Total::Owned, 1);
        let slot = self.slots.vacant();
        let owner = OwnerToken(slot.token());
        self.journal.record(&Change::Claimed {
            owner: owner.number(),
            id: &id,
            key_hash: key_hash.0,
            payer: payers.payer_number(account),
        });
        slot.insert(Owner {
            id,
            account,
            key_hash,
            client: ClientState::Connected(client),
            is_stored: !J::RECORDS,
            timer: Timer::default(),
            held: Held::default(),
            hashes: VecDeque::new(),
            sends: VecDeque::new(),
            kept_sends: 0,
            resumed_at: 0,
            blocked: Blocked::default(),
            card: Card::default(),
        });
        owner
    }

    /// Returns `true` if a crash would leave this ownership as it is.
    pub fn is_stored(&self, owner: OwnerToken) -> bool {
        self.get(owner).is_none_or(|entry| entry.is_stored)
    }

    /// Notes that an ownership is on disk.
    pub fn mark_stored(&mut self, owner: OwnerToken) {
        if let Some(entry) = self.get_mut(owner) {
            entry.is_stored = true;
        }
    }

    /// Puts off the end of ownerships until this time at least.
    pub fn postpone_releases(&mut self, until: Instant) {
        self.expire_from = self.expire_from.max(Some(until));
    }

    /// Returns the journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    /// Returns the journal, for its changes to be taken.
    pub fn journal_mut(&mut self) -> &mut J {
        &mut self.journal
    }

    /// Returns the generation of the newest ownership.
    pub fn generation(&self) -> u32 {
        self.slots.generation()
    }

    /// Says whether one more id can be owned at the expense of this account.
    pub fn vacancy(&self, account: AccountKey, payers: &Payers, now: Instant) -> Vacancy {
        match (payers.check(account, Total::Owned, 1), self.evictable.first()) {
            (Ok(()), _) => Vacancy::Free,
            (Err(Excess::Payer), _) => Vacancy::ShareFull,
            (Err(Excess::Total), Some((since, owner)))
                if *since + EVICTION_AGE.min(self.hold) <= now
                    && self.expire_from.is_none_or(|from| from <= now) =>
            {
                Vacancy::Evict(*owner)
            }
            (Err(Excess::Total), _) => Vacancy::Full,
        }
    }

    /// Returns the account that pays for an ownership.
    pub fn account(&self, owner: OwnerToken) -> Option<AccountKey> {
        self.get(owner).map(|entry| entry.account)
    }

    /// Returns `true` if this is the hash of the owner's key.
    pub fn key_matches(&self, owner: OwnerToken, key_hash: &KeyHash) -> bool {
        self.get(owner).is_some_and(|entry| entry.key_hash.matches(key_hash))
    }

    /// Moves an ownership to another connection. All held messages are offered again, from the
    /// first.
    ///
    /// Returns the connection that is replaced, and whether the id appeared offline.
    pub fn resume(&mut self, owner: OwnerToken, client: Token) -> (Option<Token>, bool) {
        self.remove_from_away(owner);
        let Some(entry) = self.slots.get_mut(owner.0) else { return (None, false) };
        entry.held.rewind();
        match std::mem::replace(&mut entry.client, ClientState::Connected(client)) {
            ClientState::Connected(replaced) => (Some(replaced), false),
            ClientState::Away { online_until, .. } => {
                self.record_presence(owner);
                (None, online_until.is_none())
            }
        }
    }

    /// Notes that the connection `client` has ended. Returns `false` if another had replaced it.
    pub fn depart(
        &mut self,
        owner: OwnerToken,
        client: Token,
        departure: Departure,
        now: Instant,
    ) -> bool {
        let grace = AWAY_GRACE.min(self.hold);
        let Some(entry) = self.slots.get_mut(owner.0) else { return false };
        if entry.client != ClientState::Connected(client) {
            return false;
        }
        let online_until = (departure == Departure::Lost).then(|| now + grace);
        entry.client = ClientState::Away { since: now, online_until };
        // A client that is away acknowledges nothing for a long time.
        self.pool.reclaim(&mut entry.held);
        self.note_away(owner, now);
        true
    }

    /// Brings indexes, journal and deadline in line with an ownership that is away since `now`.
    fn note_away(&mut self, owner: OwnerToken, now: Instant) {
        let Some(entry) = self.slots.get(owner.0) else { return };
        if entry.held.is_empty() {
            self.evictable.insert((now, owner));
        }
        if !entry.sends.is_empty() {
            self.forgettable.insert((now, owner));
        }
        self.record_presence(owner);
        self.schedule(owner);
    }

    /// Records that a client came or went. Alone among the changes nothing bounds how often that
    /// happens while the disk hangs, so it is put off then.
    fn record_presence(&mut self, owner: OwnerToken) {
        let Some(uptime) = self.journal.uptime() else { return };
        let Some(entry) = self.slots.get(owner.0) else { return };
        if self.journal.recorded_bytes() > BATCH_BYTES_MAX {
            self.has_unrecorded = true;
            return;
        }
        self.journal.record(&entry.presence(owner, uptime));
    }

    /// Records for each ownership whether its client is away, if that was put off.
    pub fn record_unrecorded(&mut self) {
        let Some(uptime) = self.journal.uptime().filter(|_| self.has_unrecorded) else { return };
        self.has_unrecorded = false;
        for (token, entry) in self.slots.iter() {
            self.journal.record(&entry.presence(OwnerToken(token), uptime));
        }
    }

    /// Returns the connection of the owner's client, or `None` while it is away.
    pub fn client(&self, owner: OwnerToken) -> Option<Token> {
        match self.get(owner)?.client {
            ClientState::Connected(client) => Some(client),
            ClientState::Away { .. } => None,
        }
    }

    /// Returns `true` if the id appears online, to watchers that it does not block.
    pub fn appears_online(&self, owner: OwnerToken) -> bool {
        self.get(owner).is_some_and(|entry| match entry.client {
            ClientState::Connected(_) => true,
            ClientState::Away { online_until, .. } => online_until.is_some(),
        })
    }

    /// Returns the id.
    pub fn id(&self, owner: OwnerToken) -> Option<&Id> {
        self.get(owner).map(|entry| &entry.id)
    }

    /// Ends an ownership: frees the id, and drops its held messages.
    pub fn release(&mut self, owner: OwnerToken, payers: &mut Payers) -> Option<Released> {
        let appeared_online = self.appears_online(owner);
        self.remove_from_away(owner);
        let entry = self.slots.remove(owner.0)?;
        for (account, bytes) in entry.held.charges() {
            payers.give(account, Total::Held, bytes);
        }
        payers.give(entry.account, Total::Sends, SEND_BYTES * entry.sends.len());
        payers.give(entry.account, Total::Blocks, entry.blocked.len());
        payers.give(entry.account, Total::Cards, entry.card.bytes());
        payers.give(entry.account, Total::Owned, 1);
        let expired: Vec<(Holder, u64)> = entry.held.iter().collect();
        if J::RECORDS {
            for (_, mid) in &expired {
                self.journal.record(&Change::Unheld { mid: *mid });
            }
            for sent in &entry.sends {
                self.journal.record(&Change::Forgotten { mid: sent.mid });
            }
            self.journal.record(&Change::Released { owner: owner.number() });
        }
        self.pool.put(entry.held);
        Some(Released { id: entry.id, appeared_online, expired })
    }

    // ---- blocks ----

    /// Returns the ids that the owner blocks.
    pub fn blocked(&self, owner: OwnerToken) -> Option<&Blocked> {
        self.get(owner).map(|entry| &entry.blocked)
    }

    /// Blocks these ids for the owner.
    pub fn block(&mut self, owner: OwnerToken, ids: Vec<Id>) {
        if let Some(entry) = self.slots.get_mut(owner.0) {
            for id in ids.iter().filter(|id| !entry.blocked.contains(id)) {
                self.journal.record(&Change::Blocked { owner: owner.number(), id });
            }
            entry.blocked.insert_all(ids);
        }
    }

    /// Unblocks these ids for the owner, and returns how many of them were blocked.
    pub fn unblock(&mut self, owner: OwnerToken, ids: &[Id]) -> usize {
        let Some(entry) = self.slots.get_mut(owner.0) else { return 0 };
        for id in ids.iter().filter(|id| entry.blocked.contains(id)) {
            self.journal.record(&Change::Unblocked { owner: owner.number(), id });
        }
        entry.blocked.remove_all(ids)
    }

    // ---- cards ----

    /// Returns the card of the id.
    pub fn card(&self, owner: OwnerToken) -> Option<&Card> {
        self.get(owner).map(|entry| &entry.card)
    }

    /// Replaces or withdraws the card of the id, and returns the one before.
    pub fn set_card(&mut self, owner: OwnerToken, card: Card) -> Card {
        let Some(entry) = self.slots.get_mut(owner.0) else { return Card::default() };
        let owner = owner.number();
        self.journal.record(&match card.text() {
            Some(card) => Change::Published { owner, card },
            None => Change::Withdrawn { owner },
        });
        std::mem::replace(&mut entry.card, card)
    }

    // ---- time ----

    /// Returns the time by which [`Owners::next_due`] has to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Returns the next step that is due, or `None`. Makes the id of an `Offline` appear offline.
    pub fn next_due(&mut self, now: Instant) -> Option<Due> {
        while let Some((at, owner)) = self.deadlines.pop(now) {
            let (hold, expire_from) = (self.hold, self.expire_from);
            let Some(entry) = self.get_mut(owner) else { continue };
            if !entry.timer.fired(at) {
                continue;
            }
            if entry.deadline(hold, expire_from).is_some_and(|due| due <= now) {
                let ClientState::Away { online_until: online_until @ Some(_), .. } =
                    &mut entry.client
                else {
                    return Some(Due::Release(owner));
                };
                *online_until = None;
                self.schedule(owner);
                return Some(Due::Offline(owner));
            }
            self.schedule(owner);
        }
        None
    }

    fn schedule(&mut self, owner: OwnerToken) {
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        let due = entry.deadline(self.hold, self.expire_from);
        self.deadlines.set(owner, &mut entry.timer, due);
        // A client that claims ids only to release them leaves an entry behind for as long as
        // `hold`. When they are purged at least half of all go, so it costs O(1) for each.
        if self.deadlines.len() > DEADLINES_SPARE + 2 * self.slots.len() {
            let slots = &self.slots;
            self.deadlines.retain(|at, owner| {
                slots.get(owner.0).is_some_and(|entry| entry.timer.is_live(at))
            });
        }
    }

    // ---- tables ----

    /// Returns the number of owned ids.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns `true` if no id is owned.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes an ownership off the lists of those that are away.
    fn remove_from_away(&mut self, owner: OwnerToken) {
        if let Some(Owner { client: ClientState::Away { since, .. }, .. }) = self.get(owner) {
            let entry = (*since, owner);
            self.evictable.remove(&entry);
            self.forgettable.remove(&entry);
        }
    }

    fn get(&self, owner: OwnerToken) -> Option<&Owner> {
        self.slots.get(owner.0)
    }

    fn get_mut(&mut self, owner: OwnerToken) -> Option<&mut Owner> {
        self.slots.get_mut(owner.0)
    }
}

impl Owner {
    /// Returns where its client is, as a change.
    fn presence(&self, owner: OwnerToken, uptime: Uptime) -> Change<'static> {
        let owner = owner.number();
        match self.client {
            ClientState::Connected(_) => Change::Returned { owner },
            ClientState::Away { since, .. } => Change::Left { owner, uptime_ms: uptime.at(since) },
        }
    }

    /// Returns the time of its next step: to appear offline, or to be released.
    fn deadline(&self, hold: Duration, expire_from: Option<Instant>) -> Option<Instant> {
        match self.client {
            ClientState::Connected(_) => None,
            ClientState::Away { since, online_until } => {
                online_until.or(expire_from.max(Some(since + hold)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
