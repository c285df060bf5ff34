//! Owned ids: for each its key, its client, its held messages, its remembered sends and its blocks.
//!
//! Everything that outlives a connection is here, and each change of it is a function of
//! [`Owners`]: a store on disk would have to record these calls and nothing else.
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
//!
//! Which clients hear of a change, and in which line, is not known here.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::chat::blocked::Blocked;
use crate::chat::outbox::Pieces;
use crate::chat::payers::{AccountKey, Excess, Payers, Total};
use crate::chat::protocol::Id;
use crate::limits::{
    AWAY_GRACE, DEADLINES_SPARE, EVICTION_AGE, GAPS_SHARE, GAPS_SHARE_WHEN_FULL, HELD_BYTES,
    HELD_RESERVE, SEND_BYTES, SENDS_MAX, TABLE_CAPACITY_MIN,
};
use crate::memory::tighten;
use crate::time::{Deadlines, Timer};
use crate::token::{Slots, Token};

mod held;

use held::{Held, HeldPool, QUEUE_BYTES_MAX};

/// Names one ownership of an id. A later owner of the same id has another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerToken(Token);

impl OwnerToken {
    /// Returns the token as a number, to sort by.
    pub fn number(self) -> usize {
        self.0.into()
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A client without a key. After its connection ends, the token finds no client.
    Client(Token),
    /// An ownership, on whichever connection its client is.
    Owner(OwnerToken),
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
    /// The account that pays for the ownership, its blocks and its remembered sends.
    account: AccountKey,
    key_hash: KeyHash,
    client: ClientState,
    timer: Timer,
    held: Held,
    /// Hashes of `ref`, recipient and body of each of `sends`, in the same order. Apart from them,
    /// so that a search reads 8 bytes for each.
    hashes: VecDeque<u64>,
    sends: VecDeque<Sent>,
    blocked: Blocked,
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
pub struct Owners {
    hold: Duration,
    bytes_max: usize,
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

impl Owners {
    /// Creates an empty table. Each id is kept for `hold`, and up to `bytes_max` bytes of messages
    /// are held for it.
    pub fn new(hold: Duration, bytes_max: usize) -> Owners {
        Owners {
            hold,
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
        OwnerToken(self.slots.insert(Owner {
            id,
            account,
            key_hash,
            client: ClientState::Connected(client),
            timer: Timer::default(),
            held: Held::default(),
            hashes: VecDeque::new(),
            sends: VecDeque::new(),
            blocked: Blocked::default(),
        }))
    }

    /// Says whether one more id can be owned at the expense of this account.
    pub fn vacancy(&self, account: AccountKey, payers: &Payers, now: Instant) -> Vacancy {
        match (payers.check(account, Total::Owned, 1), self.evictable.first()) {
            (Ok(()), _) => Vacancy::Free,
            (Err(Excess::Payer), _) => Vacancy::ShareFull,
            (Err(Excess::Total), Some((since, owner)))
                if *since + EVICTION_AGE.min(self.hold) <= now =>
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
        let Some(entry) = self.get_mut(owner) else { return (None, false) };
        entry.held.rewind();
        match std::mem::replace(&mut entry.client, ClientState::Connected(client)) {
            ClientState::Connected(replaced) => (Some(replaced), false),
            ClientState::Away { online_until, .. } => (None, online_until.is_none()),
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
        if entry.held.is_empty() {
            self.evictable.insert((now, owner));
        }
        if !entry.sends.is_empty() {
            self.forgettable.insert((now, owner));
        }
        self.schedule(owner);
        true
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
        payers.give(entry.account, Total::Owned, 1);
        let expired = entry.held.iter().collect();
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
        if let Some(entry) = self.get_mut(owner) {
            entry.blocked.insert_all(ids);
        }
    }

    /// Unblocks these ids for the owner, and returns how many of them were blocked.
    pub fn unblock(&mut self, owner: OwnerToken, ids: &[Id]) -> usize {
        self.get_mut(owner).map_or(0, |entry| entry.blocked.remove_all(ids))
    }

    // ---- held messages ----

    /// Holds a message, or returns the limit that it would exceed.
    pub fn hold<'l>(
        &mut self,
        owner: OwnerToken,
        mid: u64,
        origin: &Origin<'_>,
        line: impl Into<Pieces<'l>>,
        payers: &mut Payers,
    ) -> Result<(), HeldLimit> {
        let line = line.into();
        let bytes = HELD_BYTES + line.len();
        if self.check_held(owner, origin.account, bytes, payers).is_err() {
            self.compact_all(payers);
            self.compact(owner, GAPS_SHARE_WHEN_FULL, payers);
            self.check_held(owner, origin.account, bytes, payers)?;
        }
        let Some(entry) = self.slots.get_mut(owner.0) else { return Err(HeldLimit::Queue) };
        if entry.held.is_empty()
            && let ClientState::Away { since, .. } = entry.client
        {
            self.evictable.remove(&(since, owner));
        }
        if entry.held.counted_bytes() == 0 && matches!(entry.client, ClientState::Connected(_)) {
            entry.held = self.pool.take();
        }
        entry.held.push(mid, origin, line);
        payers.take(origin.account, Total::Held, bytes);
        Ok(())
    }

    /// Checks the limits of held messages for one more of this many bytes.
    fn check_held(
        &self,
        owner: OwnerToken,
        account: AccountKey,
        bytes: usize,
        payers: &Payers,
    ) -> Result<(), HeldLimit> {
        let Some(entry) = self.get(owner) else { return Err(HeldLimit::Queue) };
        let is_here = matches!(entry.client, ClientState::Connected(_));
        let budget = payers.budget(Total::Held);
        let (reserve, reserved) = if is_here { (0, 0) } else { (HELD_RESERVE, budget.total()) };
        let left = budget.left().saturating_sub(reserved.checked_div(reserve).unwrap_or(0));
        if bytes > payers.payer_left(account, Total::Held, reserve) {
            return Err(HeldLimit::Payer);
        }
        // As the total fills, long queues are refused first.
        let queue_max = self.bytes_max.min(left / 4);
        let queue = entry.held.counted_bytes() + bytes;
        if queue > queue_max {
            return Err(if queue > self.bytes_max { HeldLimit::Queue } else { HeldLimit::Total });
        }
        // No look at the payers while half of the queue is free.
        if queue > queue_max / 2 && account != AccountKey::EXEMPT {
            let own = entry.held.bytes_of(account) + bytes;
            let others = queue - own;
            if own > (queue_max - others) / 2 {
                return Err(HeldLimit::QueueShare);
            }
        }
        Ok(())
    }

    /// Returns `true` if a held message has not yet reached the outbox of the owner's client.
    pub fn has_lines_to_offer(&mut self, owner: OwnerToken) -> bool {
        self.get_mut(owner).is_some_and(|entry| entry.held.next_line().is_some())
    }

    /// Offers held lines to `accept`, oldest first, with the connection they are for. Starts at the
    /// first that was not accepted on this connection, and stops when `accept` returns `false`.
    ///
    /// Returns `false` if the owner's client is away.
    pub fn offer_lines(
        &mut self,
        owner: OwnerToken,
        mut accept: impl FnMut(Token, &[u8]) -> bool,
    ) -> bool {
        let Some(Owner { client: ClientState::Connected(client), held, .. }) = self.get_mut(owner)
        else {
            return false;
        };
        while held.next_line().is_some_and(|line| accept(*client, line)) {
            held.advance();
        }
        true
    }

    /// Returns the number of held messages that are not acknowledged.
    pub fn unacknowledged(&self, owner: OwnerToken) -> usize {
        self.get(owner).map_or(0, |entry| entry.held.len())
    }

    /// Forgets the messages from `from` that have these mids, and appends the sender and mid of
    /// each to `acknowledged`. Mids that are not held are skipped.
    pub fn acknowledge(
        &mut self,
        owner: OwnerToken,
        from: &str,
        mids: impl Iterator<Item = u64>,
        acknowledged: &mut Vec<(Holder, u64)>,
    ) {
        let Some(entry) = self.get_mut(owner) else { return };
        acknowledged.extend(mids.filter_map(|mid| Some((entry.held.acknowledge(mid, from)?, mid))));
        if self.fragmented.last() != Some(&owner) {
            self.fragmented.push(owner);
        }
    }

    /// Gives memory of acknowledged messages and released ids back. For the end of a turn: in the
    /// middle of one, more of both often follow.
    pub fn sweep(&mut self, payers: &mut Payers) {
        self.compact_all(payers);
        tighten(&mut self.fragmented, TABLE_CAPACITY_MIN);
        self.slots.shrink();
    }

    fn compact_all(&mut self, payers: &mut Payers) {
        while let Some(owner) = self.fragmented.pop() {
            self.compact(owner, GAPS_SHARE, payers);
        }
    }

    /// Closes the gaps between held messages if they are at least one part in `share` of all.
    fn compact(&mut self, owner: OwnerToken, share: usize, payers: &mut Payers) {
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        entry.held.compact(share, |account, bytes| payers.give(account, Total::Held, bytes));
        if entry.held.counted_bytes() == 0 {
            self.pool.put(std::mem::take(&mut entry.held));
        } else {
            self.pool.charge_spare(&mut entry.held);
        }
    }

    // ---- remembered sends ----

    /// Returns the remembered send with this hash.
    pub fn find_send(&self, owner: OwnerToken, hash: u64) -> Option<&Sent> {
        let entry = self.get(owner)?;
        let index = entry.hashes.iter().position(|known| *known == hash)?;
        entry.sends.get(index)
    }

    /// Remembers a send. If there are [`SENDS_MAX`] already, the oldest is forgotten.
    ///
    /// If the total is used up, the sends of the ownership that is away longest are forgotten for
    /// it. If none is away, or the account has its share, this ownership's own oldest is. Without
    /// one the new send is not remembered: a repeat of it will be routed a second time.
    pub fn remember_send(&mut self, owner: OwnerToken, hash: u64, sent: Sent, payers: &mut Payers) {
        let Some(&Owner { account, ref sends, .. }) = self.get(owner) else { return };
        let makes_room = sends.len() == SENDS_MAX
            || match payers.check(account, Total::Sends, SEND_BYTES) {
                Ok(()) => false,
                Err(Excess::Total) => !self.forget_longest_away(payers),
                Err(Excess::Payer) => true,
            };
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        if makes_room {
            if entry.sends.pop_front().is_none() {
                return;
            }
            entry.hashes.pop_front();
        } else {
            payers.take(account, Total::Sends, SEND_BYTES);
        }
        reserve_for_one(&mut entry.hashes);
        reserve_for_one(&mut entry.sends);
        entry.hashes.push_back(hash);
        entry.sends.push_back(sent);
    }

    /// Forgets all sends of the ownership that is away longest. Returns `false` if there is none.
    fn forget_longest_away(&mut self, payers: &mut Payers) -> bool {
        let Some((_, owner)) = self.forgettable.pop_first() else { return false };
        let Some(entry) = self.slots.get_mut(owner.0) else { return false };
        payers.give(entry.account, Total::Sends, SEND_BYTES * entry.sends.len());
        (entry.hashes, entry.sends) = Default::default();
        true
    }

    /// Records the fate of a send to `to`, if it is remembered and its fate is still open.
    pub fn record_fate(&mut self, owner: OwnerToken, to: &str, mid: u64, fate: Fate) {
        let Some(entry) = self.get_mut(owner) else { return };
        let Ok(index) = entry.sends.binary_search_by_key(&mid, |sent| sent.mid) else { return };
        let sent = &mut entry.sends[index];
        if *sent.to == *to && sent.fate == Fate::Open {
            sent.fate = fate;
        }
    }

    /// Iterates over the remembered sends, oldest first.
    pub fn sends(&self, owner: OwnerToken) -> impl Iterator<Item = &Sent> {
        self.get(owner).into_iter().flat_map(|entry| &entry.sends)
    }

    // ---- time ----

    /// Returns the time by which [`Owners::next_due`] has to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Returns the next step that is due, or `None`. Makes the id of an `Offline` appear offline.
    pub fn next_due(&mut self, now: Instant) -> Option<Due> {
        while let Some((at, owner)) = self.deadlines.pop(now) {
            let hold = self.hold;
            let Some(entry) = self.get_mut(owner) else { continue };
            if !entry.timer.fired(at) {
                continue;
            }
            if entry.deadline(hold).is_some_and(|due| due <= now) {
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
        let hold = self.hold;
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        let due = entry.deadline(hold);
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
    /// Returns the time of its next step: to appear offline, or to be released.
    fn deadline(&self, hold: Duration) -> Option<Instant> {
        match self.client {
            ClientState::Connected(_) => None,
            ClientState::Away { since, online_until } => Some(online_until.unwrap_or(since + hold)),
        }
    }
}

/// Reserves capacity for one more entry, and spares a quarter at most, as [`SEND_BYTES`] counts.
fn reserve_for_one<T>(list: &mut VecDeque<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
}

#[cfg(test)]
mod tests;
