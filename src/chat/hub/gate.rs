//! The gate: lines that promise or reveal what a crash could take back wait here for the disk.
//!
//! ```text
//!  hold_back        begin_commit        commit_finished       let_through
//!     │                   │                     │                 │
//!     ▼                   ▼                     ▼                 ▼
//! `gathering` ──────► `under_way` ────────► `passing` ──────► outboxes
//!   behind changes      behind a batch        behind a batch
//!   recorded so far     given to the disk     that is on disk
//! ```
//!
//! One batch is under way at a time. While the disk is at work the next one gathers: so with more
//! traffic batches grow, and their number does not.
//!
//! Messages for owned ids do not wait as lines: they are held anyway, and are offered up to the
//! newest mid on disk. The gate only remembers the owners to offer them to.
//!
//! **Invariants**
//! - A line that waits is behind the changes made before it, and leaves in the order in which lines
//!   were held back: `sent` before the `delivered` of the same message.
//! - A line for an owner goes to the connection on which its client is when the line leaves.
//! - The bytes that wait are bounded: beyond [`BATCH_BYTES_MAX`], beyond a payer's part of that, or
//!   while the disk fails, a request whose answer would wait is refused ([`Hub::can_record`]).
//!   Changes that no line waits for go on; each undoes a claim, a message or a remembered send.
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
    BATCH_BYTES_KEPT, BATCH_BYTES_MAX, LAZY_COMMIT, PAYER_SHARES, TABLE_CAPACITY_MIN,
};
use crate::memory::tighten;
use crate::time::Now;

/// All lines that wait for the disk.
#[derive(Default)]
pub struct Gate {
    gathering: Waiting,
    under_way: Option<Waiting>,
    passing: Waiting,
    /// The next entries of `passing`.
    next_line: usize,
    next_owner: usize,
    /// The newest mid on disk.
    stored_mid: u64,
    /// The time by which changes that no line waits for have to be given to the disk.
    commit_by: Option<Instant>,
    /// The last attempt to write failed.
    is_failing: bool,
}

/// What waits for one batch.
#[derive(Default)]
struct Waiting {
    /// The lines, one behind the other.
    lines: Vec<u8>,
    entries: Vec<Entry>,
    /// Owners with a message in this batch.
    owners: Vec<OwnerToken>,
    /// The bytes of changes and lines that the clients of each account have caused.
    caused: HashMap<AccountKey, usize>,
    newest_mid: u64,
}

/// One line that waits.
struct Entry {
    to: Holder,
    /// The end of the line in `lines`.
    end: usize,
    effect: Effect,
}

/// What happens behind a line.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    /// Nothing.
    Nothing,
    /// Its client has joined, and may get other lines.
    Joins,
    /// Its client is disconnected; there is no line.
    Closes,
}

impl Gate {
    /// Notes that all messages up to this one are on disk.
    pub(super) fn note_stored(&mut self, newest_mid: u64) {
        self.stored_mid = self.stored_mid.max(newest_mid);
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.owners.is_empty()
    }

    fn bytes(&self) -> usize {
        self.lines.len()
            + size_of::<Entry>() * self.entries.len()
            + size_of::<OwnerToken>() * self.owners.len()
    }

    /// Empties the lists, and keeps some of their memory.
    fn clear(&mut self) {
        self.lines.clear();
        self.entries.clear();
        self.owners.clear();
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
        let own = self.gate.gathering.caused.get(&account);
        !self.gate.is_failing
            && self.unstored_bytes() <= BATCH_BYTES_MAX
            && own.is_none_or(|bytes| *bytes <= BATCH_BYTES_MAX / PAYER_SHARES)
    }

    /// Counts the bytes that a line of a client has added to `before`, on its account.
    pub(super) fn count_caused(&mut self, account: AccountKey, before: usize) {
        let bytes = self.unstored_bytes().saturating_sub(before);
        if bytes > 0 && account != AccountKey::EXEMPT {
            *self.gate.gathering.caused.entry(account).or_default() += bytes;
        }
    }

    /// Returns the bytes of changes, and of lines behind them, that no batch has taken yet.
    pub fn unstored_bytes(&self) -> usize {
        self.owners.journal().recorded_bytes() + self.gate.gathering.bytes()
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
    pub(super) fn hold_back(&mut self, to: Holder, line: &ToClient<'_>) -> bool {
        if !J::RECORDS || !self.has_changes() {
            return false;
        }
        self.enqueue(to, line, Effect::Nothing);
        true
    }

    /// Sends the `joined` of a new owner once its claim is on disk. All other lines for its client
    /// wait behind it.
    pub(super) fn hold_joined_back(&mut self, owner: OwnerToken, line: &ToClient<'_>) {
        self.enqueue(Holder::Owner(owner), line, Effect::Joins);
    }

    fn enqueue(&mut self, to: Holder, line: &ToClient<'_>, effect: Effect) {
        let Waiting { lines, entries, .. } = &mut self.gate.gathering;
        line.write(lines);
        entries.push(Entry { to, end: lines.len(), effect });
    }

    /// Disconnects a client that leaves, once the end of its ownership is on disk. Returns `false`
    /// if it is: then the caller does so.
    pub(super) fn hold_close_back(&mut self, to: Holder) -> bool {
        let Holder::Client(token) = to else { return false };
        if !J::RECORDS || !self.has_changes() {
            return false;
        }
        if let Some(client) = self.clients.get_mut(token) {
            // Its id is free already, so it is no longer one that has joined.
            let had_joined = client.id.is_some();
            (client.id, client.owner, client.awaits) = (None, None, Awaits::Close);
            self.clients.counters.joined -= usize::from(had_joined);
        }
        let Waiting { lines, entries, .. } = &mut self.gate.gathering;
        entries.push(Entry { to, end: lines.len(), effect: Effect::Closes });
        true
    }

    /// Offers a message to its recipient once it is on disk.
    pub(super) fn offer_when_stored(&mut self, owner: OwnerToken) {
        let owners = &mut self.gate.gathering.owners;
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
        if !self.gate.gathering.is_empty() {
            return Some(now);
        }
        let has_changes = self.owners.journal().recorded_bytes() > 0;
        has_changes.then(|| self.gate.commit_by.unwrap_or(now))
    }

    /// Takes the changes that were made since the last call, if a line waits for them, or if they
    /// have waited for [`LAZY_COMMIT`]. `spare` is an earlier batch, to use its buffer again.
    ///
    /// # Errors
    /// Gives `spare` back if nothing has to be written now, or a batch is under way.
    pub fn begin_commit(&mut self, spare: Batch, now: Now) -> Result<Batch, Batch> {
        let has_changes = self.owners.journal().recorded_bytes() > 0;
        let gate = &mut self.gate;
        if gate.under_way.is_some() || (!has_changes && gate.gathering.is_empty()) {
            return Err(spare);
        }
        if gate.gathering.is_empty()
            && *gate.commit_by.get_or_insert(now.instant + LAZY_COMMIT) > now.instant
        {
            return Err(spare);
        }
        Ok(self.take_changes(spare, now))
    }

    /// Takes the changes of the end, when all connections are closed, however few they are.
    pub fn take_changes(&mut self, spare: Batch, now: Now) -> Batch {
        let gate = &mut self.gate;
        gate.commit_by = None;
        gate.gathering.newest_mid = self.mid;
        let empty = std::mem::take(&mut gate.passing);
        gate.under_way = Some(std::mem::replace(&mut gate.gathering, empty));
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
        (self.gate.next_line, self.gate.next_owner) = (0, 0);
        self.gate.passing = self.gate.under_way.take().unwrap_or_default();
    }

    /// Moves lines that waited for the disk to the outboxes of their clients, until a client is
    /// pressing. Returns `false` if no line is left.
    pub fn let_through(&mut self, now: Now) -> bool {
        let mut passing = std::mem::take(&mut self.gate.passing);
        while let Some(entry) = passing.entries.get(self.gate.next_line)
            && self.clients.pressing.is_empty()
        {
            let before = self.gate.next_line.checked_sub(1);
            let start = before.map_or(0, |before| passing.entries[before].end);
            self.gate.next_line += 1;
            self.let_line_through(entry, &passing.lines[start..entry.end], now);
        }
        if self.gate.next_line == passing.entries.len() {
            self.gate.note_stored(passing.newest_mid);
            while let Some(owner) = passing.owners.get(self.gate.next_owner)
                && self.clients.pressing.is_empty()
            {
                self.gate.next_owner += 1;
                self.push_held(*owner);
            }
        }
        let is_left = self.gate.next_line < passing.entries.len()
            || self.gate.next_owner < passing.owners.len();
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
            Effect::Closes => return self.close(token, CloseCode::Normal, now),
            Effect::Joins => {
                if let Some(client) = self.clients.get_mut(token) {
                    client.awaits = Awaits::Nothing;
                }
            }
            Effect::Nothing => {}
        }
        if !self.clients.push(token, line, Urgency::Now) {
            self.close(token, CloseCode::TryAgainLater, now);
        }
    }
}
