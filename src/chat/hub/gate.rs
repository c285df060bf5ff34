//! The gate: lines that promise or reveal a change wait here until the change is on disk.
//!
//! ```text
//!   defer           begin_commit         commit_finished       let_through
//!     │                  │                     │                    │
//!     ▼                  ▼                     ▼                    ▼
//!  `next` ─────────► `under_way` ────────► `passing` ──────────► outboxes
//!  behind changes    behind a batch        behind a batch
//!  recorded so far   given to the disk     that is on disk
//! ```
//!
//! One batch is under way at a time. While the disk is at work the next one grows: so with more
//! traffic batches get longer, and not more.
//!
//! Messages for owned ids do not wait as lines: they are held anyway, and are offered up to the
//! newest mid on disk. The gate only remembers the owners to offer them to.
//!
//! **Invariants**
//! - A deferred line is behind the changes made before it. Deferred lines leave in the order in
//!   which they were deferred: `sent` before the `delivered` of the same message.
//! - A line for an owner goes to the connection on which its client is when the line leaves.
//! - Changes and lines are bounded: beyond [`BATCH_BYTES_MAX`], beyond a payer's part of that, or
//!   while the disk fails, a request is refused if its answer would wait ([`Hub::can_record`]).
//!   Other changes each end a claim, a message or a remembered send, or tell that a client came or
//!   went; those are put off instead.
//!
//! The disk is not known here, nor how a change is recorded.

use std::collections::HashMap;
use std::time::Instant;

use super::Hub;
use crate::chat::clients::{Awaits, Urgency};
use crate::chat::journal::{Batch, Journal};
use crate::chat::owners::{Holder, OwnerToken};
use crate::chat::payers::AccountKey;
use crate::chat::protocol::{CloseCode, ToClient};
use crate::limits::{
    BATCH_BYTES_KEPT, BATCH_BYTES_MAX, LAZY_COMMIT, LIST_MAX, PAYER_SHARES, TABLE_CAPACITY_MIN,
};
use crate::memory::tighten;
use crate::time::Now;
use crate::token::Token;

/// All deferred lines.
#[derive(Default)]
pub struct Gate {
    next: Deferred,
    under_way: Option<Deferred>,
    passing: Deferred,
    /// The index of the next line in `passing`, and that of the next owner.
    passing_line: usize,
    passing_owner: usize,
    /// The newest mid on disk.
    stored_mid: u64,
    /// The time by which changes that no line waits for have to be given to the disk.
    commit_by: Option<Instant>,
    /// The last attempt to write failed.
    is_failing: bool,
}

/// The lines behind one batch.
#[derive(Default)]
struct Deferred {
    /// The lines, one behind the other.
    lines: Vec<u8>,
    entries: Vec<Entry>,
    /// Owners with a message in this batch.
    owners: Vec<OwnerToken>,
    /// Remembered sends that expire with this batch: the sender's ownership, and the mid.
    expiring: Vec<(OwnerToken, u64)>,
    /// The bytes of changes and lines that the clients of each account have caused.
    caused: HashMap<AccountKey, usize>,
    newest_mid: u64,
}

/// One deferred line.
struct Entry {
    to: Holder,
    /// The end of the line in `lines`.
    end: usize,
    effect: Effect,
}

/// The way in which a deferred line leaves.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    /// As an answer: a client that it does not fit for is too slow.
    Answers,
    /// Like a signal: it is dropped if it does not fit.
    Yields,
    /// As the `joined` of an ownership, which is on disk from now on.
    Joins,
    /// There is no line: the client is disconnected.
    Closes,
}

impl Gate {
    /// Notes that all messages up to this one are on disk.
    pub(super) fn note_stored(&mut self, newest_mid: u64) {
        self.stored_mid = self.stored_mid.max(newest_mid);
    }
}

impl Deferred {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.owners.is_empty()
    }

    fn bytes(&self) -> usize {
        self.lines.len()
            + size_of::<Entry>() * self.entries.len()
            + size_of::<OwnerToken>() * self.owners.len()
            + size_of::<(OwnerToken, u64)>() * self.expiring.len()
    }

    /// Empties the lists, and keeps some of their memory.
    fn clear(&mut self) {
        self.lines.clear();
        self.entries.clear();
        self.owners.clear();
        self.expiring.clear();
        self.expiring.shrink_to(LIST_MAX);
        self.caused.clear();
        tighten(&mut self.caused, TABLE_CAPACITY_MIN);
        self.lines.shrink_to(BATCH_BYTES_KEPT);
        self.entries.shrink_to(BATCH_BYTES_KEPT / size_of::<Entry>());
        self.owners.shrink_to(BATCH_BYTES_KEPT / size_of::<OwnerToken>());
    }
}

impl<J: Journal> Hub<J> {
    // ---- lines ----

    /// Returns `true` if one more change of a client with this account, and a line behind it, may
    /// wait for the disk.
    pub(super) fn can_record(&self, account: AccountKey) -> bool {
        if !J::RECORDS {
            return true;
        }
        let own = self.gate.next.caused.get(&account);
        !self.gate.is_failing
            && self.unstored_bytes() <= BATCH_BYTES_MAX
            && own.is_none_or(|bytes| *bytes <= BATCH_BYTES_MAX / PAYER_SHARES)
    }

    /// Counts the bytes that a line of a client has added to `before`, on its account.
    pub(super) fn count_caused(&mut self, account: AccountKey, before: usize) {
        let bytes = self.unstored_bytes().saturating_sub(before);
        if bytes > 0 && account != AccountKey::EXEMPT {
            *self.gate.next.caused.entry(account).or_default() += bytes;
        }
    }

    /// Returns the bytes of changes, and of lines behind them, that no batch has taken yet.
    pub fn unstored_bytes(&self) -> usize {
        self.owners.journal().recorded_bytes() + self.gate.next.bytes()
    }

    /// Returns the newest mid that may be offered to its recipient.
    pub(super) fn stored_mid(&self) -> u64 {
        if J::RECORDS { self.gate.stored_mid } else { u64::MAX }
    }

    /// Returns `true` if a change has been made that is not on disk.
    fn has_changes(&self) -> bool {
        self.gate.under_way.is_some() || self.owners.journal().recorded_bytes() > 0
    }

    /// Sends a line to a holder once all changes made so far are on disk. Returns `false` if they
    /// are: then the caller sends it.
    pub(super) fn defer(&mut self, to: Holder, line: &ToClient<'_>) -> bool {
        let waits = J::RECORDS && self.has_changes();
        if waits {
            self.enqueue(to, line, Effect::Answers);
        }
        waits
    }

    /// Like [`Hub::defer`], for a line that may be dropped. It is if too much waits already.
    pub(super) fn defer_yielding(&mut self, to: Holder, line: &ToClient<'_>) -> bool {
        let waits = J::RECORDS && self.has_changes();
        if waits && self.unstored_bytes() <= BATCH_BYTES_MAX {
            self.enqueue(to, line, Effect::Yields);
        }
        waits
    }

    /// Sends the `joined` of a new ownership once its claim is on disk. All other lines for its
    /// client wait behind it, in the client's outbox.
    pub(super) fn defer_joined(&mut self, owner: OwnerToken, line: &ToClient<'_>) {
        self.enqueue(Holder::Owner(owner), line, Effect::Joins);
    }

    fn enqueue(&mut self, to: Holder, line: &ToClient<'_>, effect: Effect) {
        let Deferred { lines, entries, .. } = &mut self.gate.next;
        line.write(lines);
        entries.push(Entry { to, end: lines.len(), effect });
    }

    /// Disconnects a client that has left, once the end of its ownership is on disk, and behind the
    /// lines that are deferred for `left`, the ownership. Returns `false` if nothing has to wait:
    /// then the caller does so.
    pub(super) fn defer_close(&mut self, token: Token, left: OwnerToken) -> bool {
        if !J::RECORDS || !self.has_changes() {
            return false;
        }
        let Gate { next, under_way, .. } = &mut self.gate;
        let entries = under_way.iter_mut().flat_map(|batch| &mut batch.entries);
        for entry in entries.chain(&mut next.entries) {
            if entry.to == Holder::Owner(left) {
                entry.to = Holder::Client(token);
            }
        }
        next.entries.push(Entry {
            to: Holder::Client(token),
            end: next.lines.len(),
            effect: Effect::Closes,
        });
        if let Some(client) = self.clients.get_mut(token) {
            // Its id is free already, so it is no longer one that has joined.
            let had_joined = client.id.is_some();
            (client.id, client.owner) = (None, None);
            client.awaits =
                if client.awaits.joined() { Awaits::JoinedAndClose } else { Awaits::Close };
            self.clients.counters.joined -= usize::from(had_joined);
        }
        true
    }

    /// Notes that a remembered send has expired, which is final once it is on disk.
    pub(super) fn note_expiring(&mut self, owner: OwnerToken, mid: u64) {
        if J::RECORDS {
            self.gate.next.expiring.push((owner, mid));
        }
    }

    /// Offers a message to its recipient once it is on disk.
    pub(super) fn offer_when_stored(&mut self, owner: OwnerToken) {
        let owners = &mut self.gate.next.owners;
        if J::RECORDS && owners.last() != Some(&owner) {
            owners.push(owner);
        }
    }

    // ---- commit ----

    /// Returns the time by which [`Hub::begin_commit`] has to be called, even if nothing happens.
    pub(super) fn next_commit(&self, now: Instant) -> Option<Instant> {
        if !J::RECORDS || self.gate.under_way.is_some() {
            return None;
        }
        if !self.gate.next.is_empty() {
            return Some(now);
        }
        let has_changes = self.owners.journal().recorded_bytes() > 0;
        has_changes.then(|| self.gate.commit_by.unwrap_or(now))
    }

    /// Has the changes made so far given to the disk in this turn, or behind the batch under way.
    #[cfg(feature = "api")]
    pub(super) fn commit_soon(&mut self, now: Now) {
        self.gate.commit_by = Some(now.instant);
    }

    /// Takes the changes that were made since the last call, if a line waits for them, or if they
    /// have waited for [`LAZY_COMMIT`]. `spare` is an earlier batch, to use its buffer again.
    ///
    /// # Errors
    /// Gives `spare` back if nothing has to be written now, or a batch is under way.
    pub fn begin_commit(&mut self, spare: Batch, now: Now) -> Result<Batch, Batch> {
        if self.owners.journal().recorded_bytes() > 0 {
            self.gate.commit_by.get_or_insert(now.instant + LAZY_COMMIT);
        }
        match self.next_commit(now.instant) {
            Some(due) if due <= now.instant => Ok(self.take_changes(spare, now)),
            _ => Err(spare),
        }
    }

    /// Takes all changes that no batch has taken, however few they are: also the last ones, when
    /// the program ends.
    pub fn take_changes(&mut self, spare: Batch, now: Now) -> Batch {
        let gate = &mut self.gate;
        gate.commit_by = None;
        gate.next.newest_mid = self.mid;
        let empty = std::mem::take(&mut gate.passing);
        gate.under_way = Some(std::mem::replace(&mut gate.next, empty));
        self.owners.record_unrecorded();
        let generation = self.owners.generation();
        let journal = self.owners.journal_mut();
        let mut batch = journal.take(spare);
        batch.newest_mid = self.mid;
        batch.generation = generation;
        batch.uptime_ms = journal.uptime().map_or(0, |uptime| uptime.at(now.instant));
        batch
    }

    /// Notes that the batch under way could not be written, and will be tried again.
    pub fn commit_failed(&mut self) {
        self.gate.is_failing = true;
    }

    /// Notes that the batch under way is on disk. [`Hub::let_through`] is to be called until it
    /// returns `false`.
    pub fn commit_finished(&mut self) {
        self.gate.is_failing = false;
        (self.gate.passing_line, self.gate.passing_owner) = (0, 0);
        self.gate.passing = self.gate.under_way.take().unwrap_or_default();
        for (owner, mid) in &self.gate.passing.expiring {
            self.owners.mark_expired(*owner, *mid);
        }
    }

    /// Moves lines that waited for the disk to the outboxes of their clients, until a client is
    /// pressing. Returns `false` if no line is left.
    pub fn let_through(&mut self, now: Now) -> bool {
        let mut passing = std::mem::take(&mut self.gate.passing);
        while let Some(entry) = passing.entries.get(self.gate.passing_line)
            && self.clients.pressing.is_empty()
        {
            let before = self.gate.passing_line.checked_sub(1);
            let start = before.map_or(0, |before| passing.entries[before].end);
            self.gate.passing_line += 1;
            self.let_line_through(entry, &passing.lines[start..entry.end], now);
        }
        if self.gate.passing_line == passing.entries.len() {
            self.gate.note_stored(passing.newest_mid);
            while let Some(owner) = passing.owners.get(self.gate.passing_owner)
                && self.clients.pressing.is_empty()
            {
                self.gate.passing_owner += 1;
                self.push_held(*owner);
            }
        }
        let is_left = self.gate.passing_line < passing.entries.len()
            || self.gate.passing_owner < passing.owners.len();
        if !is_left {
            passing.clear();
        }
        self.gate.passing = passing;
        is_left
    }

    fn let_line_through(&mut self, entry: &Entry, line: &[u8], now: Now) {
        if let (Holder::Owner(owner), Effect::Joins) = (entry.to, entry.effect) {
            self.owners.mark_stored(owner);
        }
        let Some(token) = self.client_of(entry.to) else { return };
        match entry.effect {
            Effect::Closes => self.close(token, CloseCode::Normal, now),
            Effect::Joins => self.clients.push_joined(token, line),
            Effect::Yields => {
                let _dropped = !self.clients.push(token, line, Urgency::Yielding);
            }
            Effect::Answers => {
                if !self.clients.push(token, line, Urgency::Now) {
                    self.close(token, CloseCode::TryAgainLater, now);
                }
            }
        }
    }
}
