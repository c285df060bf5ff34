//! The table of connected clients, with the outbox of each.
//!
//! **Invariants**
//! - A client is in the table from [`Clients::insert`] to [`Clients::remove`]. Afterwards its token
//!   finds no client, even when its key is used again.
//! - `waiting` is the sum of the bytes that wait for all clients. A line is accepted only if at
//!   most `outbox_bytes_max` bytes wait for its client then.
//! - A client with lines in its outbox has `on_pending_write` or `on_gathering` set, so the loop
//!   will write to it.
//!
//! The text of a line, and the meaning of a request, are not known here.

use std::time::Instant;

use crate::chat::blocked::Blocked;
use crate::chat::card::Card;
use crate::chat::outbox::{BufferPool, Outbox, Pieces};
use crate::chat::owners::{Holder, OwnerToken};
use crate::chat::payers::AccountKey;
use crate::chat::protocol::{ErrorCode, Id};
use crate::limits::{COPIED_BYTES_MAX, GATHERING, PRESSING_BYTES, TABLE_CAPACITY_MIN};
use crate::memory::{Budget, tighten};
use crate::token::{Token, TokenMap};

/// All connected clients.
pub struct Clients {
    table: TokenMap<Client>,
    waiting: Budget,
    outbox_bytes_max: usize,
    pool: BufferPool,
    /// Clients that have got a line since the loop last took their text, each once.
    pub(super) pending_write: Vec<Token>,
    /// Clients with a line that is held back to leave with others, each once.
    gathering: Vec<Token>,
    /// The time at which those lines leave.
    gather_until: Option<Instant>,
    /// Clients for which more than half of their share waits, or more than [`PRESSING_BYTES`] with
    /// a long line. One of them may be here many times.
    pub(super) pressing: Vec<Token>,
    pub(super) counters: Counters,
}

/// Counts for the metrics. Nothing in the chat depends on them.
#[derive(Default)]
pub struct Counters {
    /// Connected clients that have joined.
    pub joined: usize,
    /// Joins that were granted, ever.
    pub joins: u64,
    /// Messages taken, ever.
    pub messages: u64,
    /// Lines put into outboxes, ever.
    pub lines: u64,
    /// Requests refused, ever, by the number of the [`ErrorCode`].
    pub refusals: [u64; ErrorCode::ALL.len()],
}

/// When a line leaves, and how much of its recipient's outbox it may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Leaves in this turn, and may fill the outbox.
    Now,
    /// May fill the outbox, but is held back for up to [`GATHERING`], counted from this time, so
    /// that it leaves in one write with other lines. It leaves sooner with a line that does.
    Gather(Instant),
    /// Leaves in this turn, but yields capacity to lines that cannot be dropped or kept elsewhere:
    /// it may fill half of the outbox. While nothing waits for a client one such line always fits,
    /// so a client that reads is never starved; only then can it make its recipient pressing.
    Yielding,
}

/// The line that a client's own request has promised, and that waits for the disk of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// None.
    Nothing,
    /// Its `joined`. Other lines for the client wait in its outbox until then.
    Joined,
    /// The close after its `leave`. The client's lines are no longer heard.
    Close,
    /// Both.
    JoinedAndClose,
}

impl Awaits {
    /// Returns `true` if the client has not got its `joined` yet.
    pub fn joined(self) -> bool {
        matches!(self, Awaits::Joined | Awaits::JoinedAndClose)
    }

    /// Returns `true` if the client has left.
    pub fn close(self) -> bool {
        matches!(self, Awaits::Close | Awaits::JoinedAndClose)
    }
}

/// One connected client. There may be tens of thousands, so each byte counts.
pub struct Client {
    /// The id it has joined under.
    pub id: Option<Id>,
    /// The ownership of that id, if it joined with a key.
    pub owner: Option<OwnerToken>,
    /// The ids that it blocks, if it does not own its id.
    pub blocked: Blocked,
    /// Its card, if it does not own its id.
    pub card: Card,
    /// The account of its charges.
    pub account: AccountKey,
    /// The number of `bad_request` answers in a row.
    pub bad_requests: u8,
    /// The line that it waits for.
    pub awaits: Awaits,
    /// The key of the client that it wrote to last: a one-entry cache for
    /// [`Clients::cached_holder`].
    pub cached_recipient: u32,
    /// It is on `pending_write`, or the loop has it on a list of its own, until its text is taken.
    on_pending_write: bool,
    on_gathering: bool,
    outbox: Outbox,
}

impl Client {
    /// Returns the holder of this client's id. `token` is the client's own.
    pub fn holder(&self, token: Token) -> Holder {
        self.owner.map_or(Holder::Client(token), Holder::Owner)
    }
}

impl Clients {
    /// Creates an empty table. Up to `outbox_bytes_max` bytes may wait for one client, and
    /// `outbox_bytes_total` for all of them.
    pub fn new(outbox_bytes_max: usize, outbox_bytes_total: usize) -> Clients {
        Clients {
            table: TokenMap::default(),
            waiting: Budget::new(outbox_bytes_total),
            outbox_bytes_max,
            pool: BufferPool::default(),
            pending_write: Vec::new(),
            gathering: Vec::new(),
            gather_until: None,
            pressing: Vec::new(),
            counters: Counters::default(),
        }
    }

    // ---- the table ----

    /// Adds a client that has not joined.
    pub fn insert(&mut self, token: Token, account: AccountKey) {
        let client = Client {
            id: None,
            owner: None,
            blocked: Blocked::default(),
            card: Card::default(),
            account,
            bad_requests: 0,
            awaits: Awaits::Nothing,
            cached_recipient: 0,
            on_pending_write: false,
            on_gathering: false,
            outbox: Outbox::default(),
        };
        self.table.insert(token, client);
    }

    /// Removes a client, and returns it with the lines of its outbox, as one text.
    pub fn remove(&mut self, token: Token) -> Option<(Client, Vec<u8>)> {
        let mut client = self.table.remove(token)?;
        self.waiting.give(client.outbox.waiting());
        let text = client.outbox.take();
        Some((client, text))
    }

    /// Returns the client with this token.
    pub fn get(&self, token: Token) -> Option<&Client> {
        self.table.get(token)
    }

    /// Returns the client with this token.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut Client> {
        self.table.get_mut(token)
    }

    /// Returns the holder of the id `to`, if `from` wrote to that client last.
    ///
    /// In a conversation it has. The two look-ups by key here cost a fifth of one by id, most of
    /// which is SipHash.
    pub fn cached_holder(&self, from: Token, to: &str) -> Option<Holder> {
        let key = self.get(from)?.cached_recipient as usize;
        let (token, client) = self.table.at_key(key)?;
        (client.id.as_deref() == Some(to)).then(|| client.holder(token))
    }

    /// Blocks these ids for a client that does not own its id.
    pub fn block(&mut self, token: Token, ids: Vec<Id>) {
        if let Some(client) = self.table.get_mut(token) {
            client.blocked.insert_all(ids);
        }
    }

    /// Unblocks these ids for such a client, and returns how many of them were blocked.
    pub fn unblock(&mut self, token: Token, ids: &[Id]) -> usize {
        self.table.get_mut(token).map_or(0, |client| client.blocked.remove_all(ids))
    }

    /// Gives unused capacity back. `key_end` is above the key of every token in use.
    pub fn sweep(&mut self, key_end: usize) {
        self.table.shrink(key_end);
        tighten(&mut self.pending_write, TABLE_CAPACITY_MIN);
        tighten(&mut self.pressing, TABLE_CAPACITY_MIN);
    }

    // ---- outboxes ----

    /// Adds a line to the outbox of `to`, and returns `false` if it does not fit. A removed client
    /// accepts every line.
    ///
    /// Only a client with unsent bytes is held to its share of the total: its socket refuses bytes,
    /// so its outbox may stay full. Any other client is written to within the turn, and may fill
    /// its own outbox even if the total is used up. So the total can be exceeded for that long, by
    /// the lines of one request, one expiry or one flush of notices. Once the total is used up,
    /// each of these lines makes its recipient pressing, and the loop writes to it before the hub
    /// goes on. Bytes that the kernel refuses count in the server's own total
    /// ([`UNSENT_BYTES_TOTAL`]), and their client is held to its share from then on.
    ///
    /// [`UNSENT_BYTES_TOTAL`]: crate::limits::UNSENT_BYTES_TOTAL
    #[must_use]
    pub fn push<'l>(&mut self, to: Token, line: impl Into<Pieces<'l>>, urgency: Urgency) -> bool {
        let share = self.waiting.limit(self.outbox_bytes_max);
        let Some(client) = self.table.get_mut(to) else { return true };
        let before = client.outbox.waiting();
        let bytes_max = match urgency {
            Urgency::Yielding if before > 0 => share / 2,
            Urgency::Now | Urgency::Gather(_) if client.outbox.has_unsent() => share,
            _ => self.outbox_bytes_max,
        };
        if !client.outbox.push(line, bytes_max, &mut self.pool) {
            return false;
        }
        let after = client.outbox.waiting();
        self.waiting.take(after - before);
        self.counters.lines += 1;
        if client.awaits.joined() {
            return true;
        }
        let pressing_bytes = match urgency {
            Urgency::Yielding => share / 2,
            // The kernel refuses bytes for it, so a write for each line would be in vain.
            _ if client.outbox.has_unsent() => share / 2,
            _ if after - before < COPIED_BYTES_MAX => share / 2,
            Urgency::Now | Urgency::Gather(_) => PRESSING_BYTES.min(share / 2),
        };
        if after > pressing_bytes {
            self.pressing.push(to);
        }
        if client.on_pending_write {
            return true;
        }
        match urgency {
            Urgency::Now | Urgency::Yielding => {
                client.on_pending_write = true;
                self.pending_write.push(to);
            }
            Urgency::Gather(now) if !client.on_gathering => {
                client.on_gathering = true;
                self.gathering.push(to);
                self.gather_until.get_or_insert(now + GATHERING);
            }
            Urgency::Gather(_) => {}
        }
        true
    }

    /// Puts the `joined` of a client in front of the lines that wait for it, and lets all leave.
    pub fn push_joined(&mut self, token: Token, line: &[u8]) {
        let Some(client) = self.table.get_mut(token) else { return };
        client.awaits = if client.awaits.close() { Awaits::Close } else { Awaits::Nothing };
        self.waiting.give(client.outbox.waiting());
        let behind = client.outbox.take();
        client.outbox.set_unsent(0);
        let lines = [line, &behind];
        for line in lines.into_iter().filter(|line| !line.is_empty()) {
            // Lines that fitted before fit again, and a `joined` is not refused for them.
            let fits = client.outbox.push(line, usize::MAX, &mut self.pool);
            debug_assert!(fits, "there is no bound");
        }
        self.pool.put(behind);
        self.waiting.take(client.outbox.waiting());
        self.counters.lines += 1;
        if !client.on_pending_write {
            client.on_pending_write = true;
            self.pending_write.push(token);
        }
    }

    /// Takes the lines of a client as one text; none while its `joined` waits. Their bytes go on
    /// waiting until [`Clients::written`].
    pub fn take_text(&mut self, token: Token) -> Vec<u8> {
        let Some(client) = self.table.get_mut(token) else { return Vec::new() };
        if client.awaits.joined() {
            return Vec::new();
        }
        client.on_pending_write = false;
        client.outbox.take()
    }

    /// Puts the buffer of a taken text back into the pool, and notes that `unsent` bytes of all
    /// texts taken for this client have not left.
    pub fn written(&mut self, token: Token, text: Vec<u8>, unsent: usize) {
        self.pool.put(text);
        let Some(client) = self.table.get_mut(token) else { return };
        self.waiting.give(client.outbox.waiting());
        client.outbox.set_unsent(unsent);
        self.waiting.take(client.outbox.waiting());
    }

    /// Returns the bytes that wait for all clients: outboxes and unsent bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.used()
    }

    // ---- lines that are held back ----

    /// Returns the time by which [`Clients::end_gathering`] has to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.gather_until
    }

    /// Moves all clients from `gathering` to `pending_write`, if it is time.
    pub fn end_gathering(&mut self, now: Instant) {
        if self.gather_until.is_none_or(|until| until > now) {
            return;
        }
        self.gather_until = None;
        tighten(&mut self.gathering, TABLE_CAPACITY_MIN);
        for token in self.gathering.drain(..) {
            let Some(client) = self.table.get_mut(token) else { continue };
            client.on_gathering = false;
            // The line may have left already, with another one.
            if !client.on_pending_write && !client.outbox.is_empty() {
                client.on_pending_write = true;
                self.pending_write.push(token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::assert_size;

    #[test]
    fn client_costs_104_bytes() {
        assert_size!(Client = 96: Client {
            id: 16 "it stands in each message; its text is shared with the table of ids",
            owner: 16 "requests of the client concern its owned id",
            blocked: 8 "a pointer: most block no id",
            card: 8 "a pointer: most own their id, which has the card then",
            account: 4 "each charge that it causes is on it",
            bad_requests: 1 "finds broken clients",
            awaits: 1 "keeps its lines in order while it waits for the disk",
            cached_recipient: 4 "most messages need no look-up by id",
            on_pending_write: 1 "it is on that list once",
            on_gathering: 1 "it is on that list once",
            outbox: 32 "owns no memory while no line waits; counts unsent bytes",
        } empty: 4);
        assert_eq!(TokenMap::<Client>::slot_bytes(), 104, "8 more for its token");
    }

    impl Clients {
        /// Returns the bytes that wait for this client.
        pub fn waiting(&self, token: Token) -> usize {
            self.get(token).map_or(0, |client| client.outbox.waiting())
        }

        /// Checks that totals agree with the table and bounds are kept, and iterates over it.
        #[track_caller]
        pub fn checked(&self) -> impl Iterator<Item = (Token, &Client)> {
            let clients = || self.table.iter().map(|(_, client)| client);
            assert_eq!(
                clients().map(|client| client.outbox.waiting()).sum::<usize>(),
                self.waiting.used()
            );
            assert!(clients().all(|client| client.outbox.waiting() <= self.outbox_bytes_max));
            assert_eq!(
                clients().filter(|client| client.id.is_some()).count(),
                self.counters.joined
            );
            self.table.iter()
        }
    }
}
