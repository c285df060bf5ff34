//! Owned ids: the key, where its client is, the messages held for it, the sends it will not do
//! twice, whom it blocks.
//!
//! Everything that outlives a connection is here, and each change of it is one of these functions:
//! a store on disk would have to write down these and nothing else. Whom to tell of a change, and
//! how, is not known here.
//!
//! Invariants:
//! - A key is never kept, compared or logged; only its SHA-256 is, compared in constant time.
//! - `budget` has the sum of what the messages held for each are counted as.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::chat::blocked::Blocked;
use crate::chat::protocol::Id;
use crate::limits::{
    AWAY_GRACE, DEADLINES_SPARE, GAPS_SHARE, GAPS_SHARE_WHEN_FULL, HELD_BYTES, SEND_BYTES,
    SENDS_BYTES_TOTAL, SENDS_MAX, TABLE_CAPACITY_MIN,
};
use crate::memory::Budget;
use crate::memory::tighten;
use crate::time::{Deadlines, Timer};
use crate::token::{Slots, Token};

mod held;

use held::{Held, HeldPool};

/// Names one ownership of an id. Never given out twice, so it finds nobody after the id was given
/// up, whoever has the name then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerToken(Token);

impl OwnerToken {
    /// A number that no other ownership has.
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

    /// Are these the hashes of one key? Takes as long for any two, so that the time tells nothing.
    pub fn matches(&self, other: &KeyHash) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

/// Who has an id, or had one when it sent a message: whom to tell what became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A client without a key: nobody, when its connection is gone.
    Client(Token),
    /// An owned id, wherever its client is.
    Owner(OwnerToken),
}

/// What became of a remembered send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is known yet.
    Open,
    /// Acknowledged.
    Delivered,
    /// Dropped undelivered.
    Expired,
}

/// A send with a `ref`, as far as it has to be known to answer it again.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The count of its mid.
    pub mid: u64,
    /// When it was taken, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Its recipient.
    pub to: Id,
    /// It was answered `"held":true`.
    pub held: bool,
    /// What became of it.
    pub fate: Fate,
}

/// Where the client of an owned id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// On this connection.
    Connected(Token),
    /// Away since then; until `online_until` it still looks online.
    Away { since: Instant, online_until: Option<Instant> },
}

struct Owner {
    id: Id,
    hash: KeyHash,
    client: ClientState,
    timer: Timer,
    held: Held,
    /// Hashes of ref, recipient and body, in the order of `sends`: by themselves, so that looking
    /// for one is quick.
    hashes: VecDeque<u64>,
    sends: VecDeque<Sent>,
    blocked: Blocked,
}

/// Whether one more id can be owned.
#[derive(Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// Yes.
    Free,
    /// If this one is given up: longest away, and nothing is held for it.
    Evict(OwnerToken),
    /// No: all are here, or something is held for them.
    Full,
}

/// What is due for an owned id.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// It looks offline from now on.
    Offline(OwnerToken),
    /// Its time is over.
    Release(OwnerToken),
}

/// What is left of an owned id that was given up.
pub struct Released {
    /// The id, free from now on.
    pub id: Id,
    /// It looked online until now.
    pub appeared_online: bool,
    /// How many ids it blocked.
    pub blocked: usize,
    /// What was held, and is dropped: whom to tell, and which mids, in order.
    pub expired: Vec<(Holder, u64)>,
}

/// All owned ids.
pub struct Owners {
    hold: Duration,
    bytes_max: usize,
    owned_max: usize,
    slots: Slots<Owner>,
    held_budget: Budget,
    pool: HeldPool,
    /// Who may have gaps between held messages.
    fragmented: Vec<OwnerToken>,
    sends_budget: Budget,
    deadlines: Deadlines<OwnerToken>,
    /// Those who are away and for whom nothing is held: who may give way, longest away first.
    evictable: BTreeSet<(Instant, OwnerToken)>,
}

impl Owners {
    /// No owned ids: at most `owned_max`, kept for `hold`, holding so many bytes each and together.
    pub fn new(hold: Duration, bytes_max: usize, bytes_total: usize, owned_max: usize) -> Owners {
        Owners {
            hold,
            bytes_max,
            owned_max,
            slots: Slots::default(),
            held_budget: Budget::new(bytes_total),
            pool: HeldPool::default(),
            fragmented: Vec::new(),
            sends_budget: Budget::new(SENDS_BYTES_TOTAL),
            deadlines: Deadlines::default(),
            evictable: BTreeSet::new(),
        }
    }

    // ---- who owns what, and is where ----

    /// An id that nobody had is owned from now on. There has to be [room](Owners::vacancy) for it.
    pub fn claim(&mut self, id: Id, hash: KeyHash, token: Token) -> OwnerToken {
        OwnerToken(self.slots.insert(Owner {
            id,
            hash,
            client: ClientState::Connected(token),
            timer: Timer::default(),
            held: Held::default(),
            hashes: VecDeque::new(),
            sends: VecDeque::new(),
            blocked: Blocked::default(),
        }))
    }

    /// Is there room for one more?
    pub fn vacancy(&self) -> Vacancy {
        if self.slots.len() < self.owned_max {
            return Vacancy::Free;
        }
        self.evictable.first().map_or(Vacancy::Full, |(_, key)| Vacancy::Evict(*key))
    }

    /// Does this key open this id?
    pub fn key_matches(&self, key: OwnerToken, hash: &KeyHash) -> bool {
        self.get(key).is_some_and(|owner| owner.hash.matches(hash))
    }

    /// The client is back, or on another connection: all that is held comes again from the first.
    /// Gives the connection that is replaced, and whether the id looked offline.
    pub fn resume(&mut self, key: OwnerToken, token: Token) -> (Option<Token>, bool) {
        self.remove_evictable(key);
        let Some(owner) = self.get_mut(key) else { return (None, false) };
        owner.held.rewind();
        match std::mem::replace(&mut owner.client, ClientState::Connected(token)) {
            ClientState::Connected(replaced) => (Some(replaced), false),
            ClientState::Away { online_until, .. } => (None, online_until.is_none()),
        }
    }

    /// The connection of the client has ended: `at_once`, it looks offline. False: it had been
    /// replaced before.
    pub fn depart(&mut self, key: OwnerToken, token: Token, at_once: bool, now: Instant) -> bool {
        let grace = AWAY_GRACE.min(self.hold);
        let online_until = (!at_once).then(|| now + grace);
        let Some(owner) = self.slots.get_mut(key.0) else { return false };
        if owner.client != ClientState::Connected(token) {
            return false;
        }
        owner.client = ClientState::Away { since: now, online_until };
        self.pool.reclaim(&mut owner.held);
        if owner.held.is_empty() {
            self.evictable.insert((now, key));
        }
        self.schedule(key);
        true
    }

    /// Where its client is, if it is here.
    pub fn token(&self, key: OwnerToken) -> Option<Token> {
        match self.get(key)?.client {
            ClientState::Connected(token) => Some(token),
            ClientState::Away { .. } => None,
        }
    }

    /// Does it look online?
    pub fn appears_online(&self, key: OwnerToken) -> bool {
        self.get(key).is_some_and(|owner| match owner.client {
            ClientState::Connected(_) => true,
            ClientState::Away { online_until, .. } => online_until.is_some(),
        })
    }

    /// The id.
    pub fn id(&self, key: OwnerToken) -> Option<&Id> {
        self.get(key).map(|owner| &owner.id)
    }

    /// Whom it blocks.
    pub fn blocked(&self, key: OwnerToken) -> Option<&Blocked> {
        self.get(key).map(|owner| &owner.blocked)
    }

    /// Whom it blocks, to be changed.
    pub fn blocked_mut(&mut self, key: OwnerToken) -> Option<&mut Blocked> {
        self.get_mut(key).map(|owner| &mut owner.blocked)
    }

    /// Ends an ownership: the id is free, and what was held for it is dropped.
    pub fn release(&mut self, key: OwnerToken) -> Option<Released> {
        let appeared_online = self.appears_online(key);
        self.remove_evictable(key);
        let owner = self.slots.remove(key.0)?;
        self.held_budget.give(owner.held.counted_bytes());
        self.sends_budget.give(SEND_BYTES * owner.sends.len());
        let expired = owner.held.iter().collect();
        self.pool.put(owner.held);
        Some(Released { id: owner.id, appeared_online, blocked: owner.blocked.len(), expired })
    }

    // ---- held messages ----

    /// Holds a message; false: what is held for this id, or for all, has reached its limit.
    #[must_use]
    pub fn hold(
        &mut self,
        key: OwnerToken,
        mid: u64,
        from: &Id,
        sender: Holder,
        line: &[u8],
    ) -> bool {
        let bytes = HELD_BYTES + line.len();
        if !self.fits(key, bytes) {
            self.compact_all();
            self.compact(key, GAPS_SHARE_WHEN_FULL);
            if !self.fits(key, bytes) {
                return false;
            }
        }
        let Some(owner) = self.slots.get_mut(key.0) else { return false };
        if owner.held.is_empty()
            && let ClientState::Away { since, .. } = owner.client
        {
            self.evictable.remove(&(since, key));
        }
        if owner.held.counted_bytes() == 0 && matches!(owner.client, ClientState::Connected(_)) {
            owner.held = self.pool.take();
        }
        owner.held.push(mid, from.clone(), sender, line);
        self.held_budget.take(bytes);
        true
    }

    /// Gives held lines that its client has not been given, oldest first, to whoever takes them: as
    /// many as it does. False: its client is not here.
    pub fn offer_lines(
        &mut self,
        key: OwnerToken,
        mut takes: impl FnMut(Token, &[u8]) -> bool,
    ) -> bool {
        let Some(Owner { client: ClientState::Connected(token), held, .. }) = self.get_mut(key)
        else {
            return false;
        };
        while held.next_line().is_some_and(|line| takes(*token, line)) {
            held.advance();
        }
        true
    }

    /// How many messages are held and not acknowledged.
    pub fn unacknowledged(&self, key: OwnerToken) -> usize {
        self.get(key).map_or(0, |owner| owner.held.len())
    }

    /// These messages from `from` have reached the page: forgets them, and adds their senders to
    /// `acknowledged`, each with its mid. What is not held is passed over.
    pub fn acknowledge(
        &mut self,
        key: OwnerToken,
        from: &str,
        mids: impl Iterator<Item = u64>,
        acknowledged: &mut Vec<(Holder, u64)>,
    ) {
        let Some(owner) = self.get_mut(key) else { return };
        acknowledged.extend(mids.filter_map(|mid| Some((owner.held.acknowledge(mid, from)?, mid))));
        if self.fragmented.last() != Some(&key) {
            self.fragmented.push(key);
        }
    }

    /// Gives back what acknowledged messages and given up ids have left, at the end of a turn: in
    /// the middle of one, more is often to follow.
    pub fn sweep(&mut self) {
        self.compact_all();
        tighten(&mut self.fragmented, TABLE_CAPACITY_MIN);
        self.slots.shrink();
    }

    fn compact_all(&mut self) {
        while let Some(key) = self.fragmented.pop() {
            self.compact(key, GAPS_SHARE);
        }
    }

    /// Closes the gaps between held messages if they are one part in `share` of all.
    fn compact(&mut self, key: OwnerToken, share: usize) {
        let Some(owner) = self.slots.get_mut(key.0) else { return };
        let counted = owner.held.counted_bytes();
        owner.held.compact(share);
        self.held_budget.give(counted - owner.held.counted_bytes());
        if owner.held.counted_bytes() == 0 {
            self.pool.put(std::mem::take(&mut owner.held));
        } else {
            self.pool.charge_spare(&mut owner.held);
        }
    }

    // ---- remembered sends ----

    /// Was this sent before? What it was answered with.
    pub fn find_send(&self, key: OwnerToken, hash: u64) -> Option<&Sent> {
        let owner = self.get(key)?;
        let index = owner.hashes.iter().position(|known| *known == hash)?;
        owner.sends.get(index)
    }

    /// Is there room to remember one more send? What is held for its sender does not matter: that
    /// others fill up.
    pub fn can_remember_send(&self, key: OwnerToken) -> bool {
        let limit = self.sends_budget.limit(SENDS_MAX * SEND_BYTES);
        self.get(key).is_some_and(|owner| {
            owner.sends.len() == SENDS_MAX || (owner.sends.len() + 1) * SEND_BYTES <= limit
        })
    }

    /// Remembers a send; the oldest of [`SENDS_MAX`] is forgotten for it.
    pub fn remember_send(&mut self, key: OwnerToken, hash: u64, sent: Sent) {
        let Some(owner) = self.slots.get_mut(key.0) else { return };
        if owner.sends.len() == SENDS_MAX {
            owner.hashes.pop_front();
            owner.sends.pop_front();
        } else {
            self.sends_budget.take(SEND_BYTES);
        }
        owner.hashes.push_back(hash);
        owner.sends.push_back(sent);
    }

    /// Writes down what became of a send to `to`, if it is remembered and nothing became of it
    /// before.
    pub fn record_fate(&mut self, key: OwnerToken, to: &str, mid: u64, fate: Fate) {
        let Some(owner) = self.get_mut(key) else { return };
        let Ok(index) = owner.sends.binary_search_by_key(&mid, |sent| sent.mid) else { return };
        let sent = &mut owner.sends[index];
        if *sent.to == *to && sent.fate == Fate::Open {
            sent.fate = fate;
        }
    }

    /// All remembered sends, oldest first.
    pub fn sends(&self, key: OwnerToken) -> impl Iterator<Item = &Sent> {
        self.get(key).into_iter().flat_map(|owner| &owner.sends)
    }

    // ---- time ----

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What is due next, if something is.
    pub fn next_due(&mut self, now: Instant) -> Option<Due> {
        while let Some((at, key)) = self.deadlines.pop(now) {
            let hold = self.hold;
            let Some(owner) = self.get_mut(key) else { continue };
            if !owner.timer.fired(at) {
                continue;
            }
            if owner.deadline(hold).is_some_and(|due| due <= now) {
                let ClientState::Away { online_until: online_until @ Some(_), .. } =
                    &mut owner.client
                else {
                    return Some(Due::Release(key));
                };
                *online_until = None;
                self.schedule(key);
                return Some(Due::Offline(key));
            }
            self.schedule(key);
        }
        None
    }

    fn schedule(&mut self, key: OwnerToken) {
        let hold = self.hold;
        let Some(owner) = self.slots.get_mut(key.0) else { return };
        let due = owner.deadline(hold);
        self.deadlines.set(key, &mut owner.timer, due);
        // Whoever claims ids only to give them up leaves entries for as long as `hold`. Half of all
        // are dropped at least, so it costs O(1) each.
        if self.deadlines.len() > DEADLINES_SPARE + 2 * self.slots.len() {
            let slots = &self.slots;
            self.deadlines
                .retain(|at, key| slots.get(key.0).is_some_and(|owner| owner.timer.is_live(at)));
        }
    }

    // ---- tables ----

    /// Bytes of messages held for all.
    pub fn held_bytes(&self) -> usize {
        self.held_budget.used()
    }

    /// How many ids are owned.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Is no id owned?
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn fits(&self, key: OwnerToken, bytes: usize) -> bool {
        self.get(key).is_some_and(|owner| {
            owner.held.counted_bytes() + bytes <= self.held_budget.limit(self.bytes_max)
        })
    }

    /// It is here, something is held for it, or it is no more: nobody for whom to give way.
    fn remove_evictable(&mut self, key: OwnerToken) {
        if let Some(Owner { client: ClientState::Away { since, .. }, .. }) = self.get(key) {
            let entry = (*since, key);
            self.evictable.remove(&entry);
        }
    }

    fn get(&self, key: OwnerToken) -> Option<&Owner> {
        self.slots.get(key.0)
    }

    fn get_mut(&mut self, key: OwnerToken) -> Option<&mut Owner> {
        self.slots.get_mut(key.0)
    }
}

impl Owner {
    fn deadline(&self, hold: Duration) -> Option<Instant> {
        match self.client {
            ClientState::Connected(_) => None,
            ClientState::Away { since, online_until } => Some(online_until.unwrap_or(since + hold)),
        }
    }
}

#[cfg(test)]
mod tests;
