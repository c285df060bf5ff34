//! Who is connected, and what waits for each: the table of clients with their outboxes.
//!
//! Invariants: a client is found by its token only, so nobody is taken for the one whose key it
//! has. The bytes that wait for all clients are counted, and what is pushed stays within the bounds
//! of one and of all.

use std::time::Instant;

use crate::chat::blocked::Blocked;
use crate::chat::outbox::{BufferPool, Outbox};
use crate::chat::owners::{Holder, OwnerToken};
use crate::chat::protocol::{ErrorCode, Id};
use crate::limits::{GATHERING, TABLE_CAPACITY_MIN};
use crate::memory::Budget;
use crate::memory::tighten;
use crate::token::{Token, TokenMap};

/// All clients, by the key of their token.
pub struct Clients {
    table: TokenMap<Client>,
    waiting: Budget,
    outbox_bytes_max: usize,
    pool: BufferPool,
    /// Clients that have got a line since they were last written to.
    pub(super) pending_write: Vec<Token>,
    /// Clients that have got a line that may wait for others, each once; and by when they are
    /// written to.
    gathering: Vec<Token>,
    gather_until: Option<Instant>,
    /// Clients for which more than half of what is allowed waits.
    pub(super) pressing: Vec<Token>,
    /// What has happened so far.
    pub(super) counters: Counters,
}

/// What the chat counts for whoever watches the server; nothing depends on it.
#[derive(Default)]
pub struct Counters {
    /// Clients that have joined and are here.
    pub joined: usize,
    /// Claims that stood.
    pub joins: u64,
    /// Messages taken.
    pub messages: u64,
    /// Lines put into outboxes.
    pub lines: u64,
    /// Requests refused, by the number of their code.
    pub refusals: [u64; ErrorCode::ALL.len()],
}

/// When a line leaves, and how much of its recipient's outbox it may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Leaves in this turn, and may fill the outbox.
    Now,
    /// May fill the outbox, but is held back for up to [`GATHERING`], counted from this time, so
    /// that it leaves in one write with other lines. A line that leaves sooner takes it along.
    Gather(Instant),
    /// Leaves in this turn, but yields capacity to lines that cannot be dropped or kept elsewhere:
    /// it may fill half of the outbox, and never makes its recipient pressing. Into an empty outbox
    /// one such line always fits, so a client that reads is never starved.
    Yielding,
}

/// One client. What is here is what it costs, ten thousand times over.
pub struct Client {
    /// Set by `join`.
    pub id: Option<Id>,
    /// Set by `join` with a key.
    pub owner: Option<OwnerToken>,
    /// Whom it blocks, if it does not own its id.
    pub blocked: Blocked,
    /// `bad_request`s in a row.
    pub bad_requests: u8,
    /// The key of the client it wrote to last: a hint, by which most need not be looked for again.
    pub cached_recipient: u32,
    /// It is on `pending_write`, or waits for its socket.
    on_pending_write: bool,
    /// It is on `gathering`.
    on_gathering: bool,
    outbox: Outbox,
}

impl Client {
    /// Who has the id of this client, whose token is `token`, if it has one.
    pub fn holder(&self, token: Token) -> Holder {
        self.owner.map_or(Holder::Client(token), Holder::Owner)
    }
}

impl Clients {
    /// No clients; so many bytes may wait for one, and for all.
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

    /// A new client.
    pub fn insert(&mut self, token: Token) {
        let client = Client {
            id: None,
            owner: None,
            blocked: Blocked::default(),
            bad_requests: 0,
            cached_recipient: 0,
            on_pending_write: false,
            on_gathering: false,
            outbox: Outbox::default(),
        };
        self.table.insert(token, client);
    }

    /// Takes a client out, and with it the lines that wait for it, as one text.
    pub fn remove(&mut self, token: Token) -> Option<(Client, Vec<u8>)> {
        let mut client = self.table.remove(token)?;
        self.waiting.give(client.outbox.waiting());
        let text = client.outbox.take();
        Some((client, text))
    }

    /// Gives unused capacity back. `key_end` is above the key of every token in use.
    pub fn sweep(&mut self, key_end: usize) {
        self.table.shrink(key_end);
        tighten(&mut self.pending_write, TABLE_CAPACITY_MIN);
        tighten(&mut self.pressing, TABLE_CAPACITY_MIN);
    }

    /// The client with this token.
    pub fn get(&self, token: Token) -> Option<&Client> {
        self.table.get(token)
    }

    /// Who has the id `to`, if it is whom this client wrote to last. In a conversation it is, and a
    /// look at two places of a table costs a fifth of a look-up by name, most of which is SipHash.
    pub fn cached_holder(&self, from: Token, to: &str) -> Option<Holder> {
        let hint = self.get(from)?.cached_recipient as usize;
        let (token, client) = self.table.at_key(hint)?;
        (client.id.as_deref() == Some(to)).then(|| client.holder(token))
    }

    /// The client with this token.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut Client> {
        self.table.get_mut(token)
    }

    /// Adds a line to the outbox of `to`, and returns `false` if it does not fit. A client that is
    /// gone takes every line.
    ///
    /// Only a client with unsent bytes is held to its share of the total: its socket refuses bytes,
    /// so its outbox may stay full. Any other client is written to within the turn, and may fill
    /// its own outbox whatever waits for others. So the total can be exceeded for that long:
    ///
    /// - By the lines of one request, one expiry or one flush of notices. Once the total is used
    ///   up, each of these lines makes its recipient pressing, and the loop writes to it before the
    ///   hub goes on. Bytes that the kernel refuses count in the server's own total
    ///   ([`UNSENT_BYTES_TOTAL`]), and their client is held to its share from then on.
    /// - By one [yielding](Urgency::Yielding) line for each client whose outbox is empty. It does
    ///   not press, so only the input of one turn bounds how many of them there are. They are not
    ///   in [`Config::memory_bytes_max`](crate::config::Config::memory_bytes_max).
    ///
    /// [`UNSENT_BYTES_TOTAL`]: crate::limits::UNSENT_BYTES_TOTAL
    #[must_use]
    pub fn push(&mut self, to: Token, line: &[u8], urgency: Urgency) -> bool {
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
        if after > share / 2 && urgency != Urgency::Yielding {
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

    /// By when [`Clients::gather`] has to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.gather_until
    }

    /// If it is time, what has waited for company leaves in this turn.
    pub fn end_gathering(&mut self, now: Instant) {
        if self.gather_until.is_none_or(|by| by > now) {
            return;
        }
        self.gather_until = None;
        tighten(&mut self.gathering, TABLE_CAPACITY_MIN);
        for token in self.gathering.drain(..) {
            let Some(client) = self.table.get_mut(token) else { continue };
            client.on_gathering = false;
            // Something else may have taken it along.
            if !client.on_pending_write && !client.outbox.is_empty() {
                client.on_pending_write = true;
                self.pending_write.push(token);
            }
        }
    }

    /// Takes what waits for a client as one text, whose room is to be [given
    /// back](Clients::written).
    pub fn take_text(&mut self, token: Token) -> Vec<u8> {
        let Some(client) = self.table.get_mut(token) else { return Vec::new() };
        client.on_pending_write = false;
        client.outbox.take()
    }

    /// The text has left, or was copied. Of what was taken for this client, `unsent` bytes have
    /// not left.
    pub fn written(&mut self, token: Token, text: Vec<u8>, unsent: usize) {
        self.pool.put(text);
        let Some(client) = self.table.get_mut(token) else { return };
        self.waiting.give(client.outbox.waiting());
        client.outbox.set_unsent(unsent);
        self.waiting.take(client.outbox.waiting());
    }

    /// Bytes that wait for all clients.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::assert_size;

    #[test]
    fn what_a_client_costs() {
        assert_size!(Client = 80: Client {
            id: 16 "it is said in each message; the text is shared with the table of ids",
            owner: 16 "what it does is done for its owned id",
            blocked: 8 "a pointer: most block nobody",
            bad_requests: 1 "broken clients are found out",
            cached_recipient: 4 "most messages need no look-up by name",
            on_pending_write: 1 "it is written to once a turn",
            on_gathering: 1 "it is once on the list of those who are written to soon",
            outbox: 32 "its lines, which own nothing while none wait, and what has not left",
        } empty: 1);
        assert_eq!(
            TokenMap::<Client>::slot_bytes(),
            88,
            "8 more for its token: whoever has the key later is not taken for it"
        );
    }

    impl Clients {
        /// Bytes that wait for this client.
        pub fn waiting(&self, token: Token) -> usize {
            self.get(token).map_or(0, |client| client.outbox.waiting())
        }

        /// All clients; they, and what waits for them, are what is counted, and it is within the
        /// bound.
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
