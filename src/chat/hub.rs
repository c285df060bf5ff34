//! The hub: the chat without sockets. Clients send lines, the hub answers and routes messages.
//!
//! ```text
//!  text of a client                                                 text for a client
//!        │ receive                                                take_text │ written
//!        ▼                                                                  │
//!  Line::first ──► handle_request ──► `owners`, for an owned id ──► outbox in `clients`
//!                  (requests.rs)      (holds, then push_held)               ▲
//!                        └───────── all other lines: push ──────────────────┘
//! ```
//!
//! No function returns an answer: all lines go to outboxes, so one may come turns later. The loop
//! calls [`Hub::receive`], [`Hub::expire`], [`Hub::flush`] and [`Hub::sweep`] at the stages of its
//! turn. After each of the first three it empties two lists, because the clients on them cannot
//! wait for the end of the turn: [`Hub::next_pressing`] and [`Hub::next_disconnect`].
//!
//! **Invariants**
//! - `ids` has each id that is taken, with its one holder: a client without a key, or an ownership.
//!   A client's id is free when that client is removed, an owned id when its ownership ends.
//! - A client is in the hub from [`Hub::open`] until it is removed. Removal takes it out of all
//!   tables at once, so a join later in the same turn finds its id free.
//! - A message for an owned id is held first, and goes in order from there to the outbox of its
//!   client. So a full outbox never loses one, and a client that comes back gets the messages that
//!   it had not acknowledged before any new one.
//!
//! Sockets, WebSocket and the clock are not known here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::chat::blocked::Blocked;
use crate::chat::clients::{Client, Clients, Counters, Urgency};
use crate::chat::journal::{Journal, NoJournal};
pub use crate::chat::owners::Departure;
use crate::chat::owners::{Due, Holder, OwnerToken, Owners};
use crate::chat::payers::{AccountKey, Payers, Total};
use crate::chat::presence::Presence;
use crate::chat::protocol::{CloseCode, ErrorCode, FromClient, Id, Line, Prefixes, ToClient};
use crate::limits::{
    BAD_REQUESTS_MAX, BLOCKED_TOTAL, CARDS_BYTES_TOTAL, EXPIRIES_PER_TURN, NOTICES_PER_TURN,
    SENDS_BYTES_TOTAL, STORE_RETRY_MAX, TABLE_CAPACITY_MIN, TOKENS_PER_LINE, WATCHED_TOTAL,
};
use crate::memory::{Payer, tighten};
use crate::time::Now;
use crate::token::Token;

#[cfg(feature = "host")]
use door::Door;
use gate::Gate;
#[cfg(feature = "host")]
use joins::Joins;
#[cfg(feature = "host")]
pub use joins::{JoinLine, JoinOutcome};
#[cfg(feature = "api")]
pub use post::{Posted, Refused};
use requests::{Refusal, Sender, refuse};

mod cards;
mod delivery;
#[cfg(feature = "host")]
mod door;
mod gate;
#[cfg(feature = "host")]
mod joins;
#[cfg(feature = "api")]
mod post;
mod requests;
mod restore;

/// Limits of the chat.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the longest message, as clients are told.
    pub message_bytes_max: usize,
    /// Most bytes that may wait for one client.
    pub outbox_bytes_max: usize,
    /// Most bytes that may wait for all clients.
    pub outbox_bytes_total: usize,
    /// The time for which an owned id is kept after its client's connection ended.
    pub hold: Duration,
    /// Most bytes held for one owned id.
    pub held_bytes_max: usize,
    /// Most bytes held for all owned ids.
    pub held_bytes_total: usize,
    /// Most owned ids.
    pub owned_max: usize,
}

/// A client that the hub has removed; the loop has to close its connection.
#[derive(Debug)]
pub struct Disconnect {
    /// The client's token.
    pub token: Token,
    /// The close code.
    pub code: CloseCode,
    /// The lines that still waited for the client, as one text. They leave before the close.
    pub text: Vec<u8>,
}

/// The whole state of the chat.
pub struct Hub<J = NoJournal> {
    limits: Limits,
    /// The count of the newest mid.
    mid: u64,
    prefixes: Prefixes,
    ids: HashMap<Id, Holder>,
    owners: Owners<J>,
    gate: Gate,
    presence: Presence,
    payers: Payers,
    /// Scratch for a line that is not yet in an outbox.
    line: Vec<u8>,
    /// Scratch for the senders and mids of the messages that an `ack` names.
    acknowledged: Vec<(Holder, u64)>,
    /// Scratch for the mids of one sender among them.
    counts: Vec<u64>,
    /// The tokens that all lines heard have cost.
    tokens_charged: usize,
    clients: Clients,
    disconnects: Vec<Disconnect>,
    #[cfg(feature = "host")]
    door: Door,
    #[cfg(feature = "host")]
    joins: Joins,
}

impl Hub {
    /// Creates a hub without clients and without a store. `mid_prefix` has to be random, or mids
    /// repeat after a restart.
    pub fn new(limits: Limits, mid_prefix: u64) -> Hub {
        Hub::with_journal(limits, mid_prefix.into(), NoJournal::default())
    }
}

impl<J: Journal> Hub<J> {
    /// Creates a hub without clients, which records its changes in `journal`.
    pub fn with_journal(limits: Limits, prefixes: Prefixes, journal: J) -> Hub<J> {
        Hub {
            mid: 0,
            prefixes,
            ids: HashMap::new(),
            owners: Owners::new(limits.hold, limits.held_bytes_max, journal),
            gate: Gate::default(),
            presence: Presence::default(),
            payers: Payers::new([
                limits.held_bytes_total,
                SENDS_BYTES_TOTAL,
                WATCHED_TOTAL,
                BLOCKED_TOTAL,
                limits.owned_max,
                CARDS_BYTES_TOTAL,
            ]),
            line: Vec::new(),
            acknowledged: Vec::new(),
            counts: Vec::new(),
            tokens_charged: 0,
            clients: Clients::new(limits.outbox_bytes_max, limits.outbox_bytes_total),
            disconnects: Vec::new(),
            #[cfg(feature = "host")]
            door: Door::default(),
            #[cfg(feature = "host")]
            joins: Joins::default(),
            limits,
        }
    }

    // ---- dispatch ----

    /// Adds a client, which has not joined. Its charges are on the account of its payer; a client
    /// without one is bounded by the totals only.
    pub fn open(&mut self, token: Token, payer: Option<Payer>) {
        self.clients.insert(token, self.payers.open(payer));
    }

    /// Handles the lines of a text from a client, until a line makes a client pressing, or the
    /// lines have cost more than `tokens`. A line costs [`TOKENS_PER_LINE`], a list as many lines
    /// as it has ids; blank lines cost a token for each byte.
    ///
    /// Returns the rest of the text. The loop calls again with it, once it has written to the
    /// pressing clients, and the client has tokens.
    #[inline]
    pub fn receive<'t>(&mut self, from: Token, text: &'t str, tokens: usize, now: Now) -> &'t str {
        let (mut rest, mut cost) = (text, 0);
        while !rest.is_empty()
            && cost <= tokens
            && self.clients.pressing.is_empty()
            && self.hears(from)
        {
            let (line, behind) = Line::first(rest);
            let bytes = rest.len() - behind.len();
            rest = behind;
            cost += line.as_ref().map_or(bytes, |line| TOKENS_PER_LINE * line.cost());
            if let Some(line) = line {
                self.handle_line(from, line, now);
            }
        }
        self.tokens_charged = self.tokens_charged.wrapping_add(cost);
        if self.hears(from) { rest } else { "" }
    }

    /// Returns `true` if the lines of a client are still heard.
    #[inline]
    fn hears(&self, token: Token) -> bool {
        self.clients.get(token).is_some_and(|client| !client.awaits.close())
    }

    /// Removes a client after its connection has ended, if the hub did not remove it before.
    pub fn disconnected(&mut self, token: Token, departure: Departure, now: Now) {
        self.remove(token, departure, now);
    }

    /// Removes a client, and has the loop close its connection.
    pub fn close(&mut self, token: Token, code: CloseCode, now: Now) {
        let Some((client, mut text)) = self.remove(token, Departure::Lost, now) else { return };
        // A slow client would not read the lines that wait, and one without its `joined` must not.
        // For any other they are its last ones.
        if code == CloseCode::TryAgainLater || client.awaits.joined() {
            text = Vec::new();
        }
        self.disconnects.push(Disconnect { token, code, text });
    }

    /// Returns `true` if this client has joined.
    pub fn has_joined(&self, token: Token) -> bool {
        self.clients.get(token).is_some_and(|client| client.id.is_some())
    }

    // ---- expire ----

    /// Returns `true` if the hub has work for the next turn, so the loop must not sleep.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.presence.has_notices()
            || !self.clients.pending_write.is_empty()
            || self.owners.next_deadline().is_some_and(|due| due <= now)
            || self.next_commit(now).is_some_and(|due| due <= now)
    }

    /// Returns the time by which the loop has to call [`Hub::expire`], even if nothing happens.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let commit = self.next_commit(now);
        [self.owners.next_deadline(), self.clients.next_deadline(), commit]
            .into_iter()
            .flatten()
            .min()
    }

    /// Handles deadlines: lets gathered lines leave, makes owned ids appear offline, releases them.
    ///
    /// Stops when the budget of a turn is used up or a client is pressing. The rest is still due,
    /// so it is handled in the next turn.
    pub fn expire(&mut self, now: Now) {
        self.clients.end_gathering(now.instant);
        if !self.can_record(AccountKey::EXEMPT) {
            self.owners.postpone_releases(now.instant + STORE_RETRY_MAX);
        }
        let mut budget = EXPIRIES_PER_TURN;
        while budget > 0 && self.clients.pressing.is_empty() {
            budget -= 1;
            match self.owners.next_due(now.instant) {
                Some(Due::Offline(owner)) => self.announce_offline(owner),
                Some(Due::Release(owner)) => {
                    budget = budget.saturating_sub(self.owners.unacknowledged(owner));
                    self.release(owner, now);
                }
                None => return,
            }
        }
    }

    // ---- flush ----

    /// Tells watchers which ids came and went, as many as the budget of a turn allows.
    pub fn flush(&mut self, now: Now) {
        let mut budget = NOTICES_PER_TURN;
        let Hub { presence, clients, ids, owners, .. } = self;
        let appears_online = |watcher: Token, id: &Id, online: bool| {
            online && !blocks(ids, clients, owners, id, watcher)
        };
        let mut notices = Vec::new();
        while let Some(notice) = presence.next_notice(&mut budget, appears_online) {
            notices.push(notice);
        }
        for (token, id, online) in notices {
            self.push(token, &ToClient::Presence { id: &id, online }, Urgency::Now, now);
        }
    }

    /// Moves the clients that have got a line since their text was last taken to `tokens`.
    pub fn drain_pending_write(&mut self, tokens: &mut Vec<Token>) {
        tokens.append(&mut self.clients.pending_write);
    }

    /// Takes the lines that wait for a client as one text, to be given back to [`Hub::written`].
    pub fn take_text(&mut self, token: Token) -> Vec<u8> {
        self.clients.take_text(token)
    }

    /// Notes that all but `unsent` bytes of the texts taken for a client have left, and moves held
    /// lines into the capacity that they leave.
    ///
    /// Takes the text back to use its buffer again; an empty one if none was taken.
    pub fn written(&mut self, token: Token, text: Vec<u8>, unsent: usize) {
        self.clients.written(token, text, unsent);
        if let Some(owner) = self.clients.get(token).and_then(|client| client.owner) {
            self.push_held(owner);
        }
    }

    // ---- after each stage ----

    /// Returns a client that the loop has to write to at once: more than half of its share of the
    /// outboxes waits for it, and the next line could find it too slow.
    pub fn next_pressing(&mut self) -> Option<Token> {
        self.clients.pressing.pop()
    }

    /// Returns a client that the hub has removed and the loop has to close.
    pub fn next_disconnect(&mut self) -> Option<Disconnect> {
        self.disconnects.pop()
    }

    // ---- sweep ----

    /// Gives unused capacity back. `key_end` is above the key of every token in use.
    ///
    /// Called once at the end of a turn, because in the middle of one more clients and messages
    /// often come and go.
    pub fn sweep(&mut self, key_end: usize) {
        self.owners.sweep(&mut self.payers);
        self.payers.sweep();
        self.presence.sweep();
        self.clients.sweep(key_end);
        tighten(&mut self.disconnects, TABLE_CAPACITY_MIN);
    }

    // ---- counts ----

    /// Returns the counts for the metrics.
    pub fn counters(&self) -> &Counters {
        &self.clients.counters
    }

    /// Returns the tokens that the lines of all clients have cost so far. The number wraps around.
    pub fn tokens_charged(&self) -> usize {
        self.tokens_charged
    }

    /// Returns the bytes that wait for all clients.
    pub fn waiting_bytes(&self) -> usize {
        self.clients.waiting_bytes()
    }

    /// Returns the bytes held for all owned ids.
    pub fn held_bytes(&self) -> usize {
        self.payers.budget(Total::Held).used()
    }

    /// Returns the number of owned ids.
    pub fn owned_ids(&self) -> usize {
        self.owners.len()
    }

    // ---- one line ----

    fn handle_line(&mut self, from: Token, line: Line<'_>, now: Now) {
        let Line { tag, request } = line;
        let is_bad = request.is_err();
        let before = if J::RECORDS { self.unstored_bytes() } else { 0 };
        let result = match request {
            Ok(request) => self.handle_request(from, request, now),
            Err(sentence) => refuse(ErrorCode::BadRequest, sentence),
        };
        if let Err(Refusal { code, text }) = result {
            self.clients.counters.refusals[code as usize] += 1;
            self.answer(from, &ToClient::Error { code, tag: &tag, text: &text }, now);
        }
        if J::RECORDS
            && let Some(account) = self.clients.get(from).map(|client| client.account)
        {
            self.count_caused(account, before);
        }
        let Some(client) = self.clients.get_mut(from) else { return };
        client.bad_requests = if is_bad { client.bad_requests + 1 } else { 0 };
        if client.bad_requests == BAD_REQUESTS_MAX {
            self.close(from, CloseCode::BadRequests, now);
        }
    }

    fn handle_request(
        &mut self,
        from: Token,
        request: FromClient<'_>,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(sender) = self.sender(from) else {
            let FromClient::Join { id, credentials, card } = request else {
                return refuse(ErrorCode::NotJoined, "you haven't joined yet: send a join first");
            };
            #[cfg(feature = "host")]
            self.join_by_door(from, &id, &credentials, now)?;
            #[cfg(not(feature = "host"))]
            self.join(from, &id, credentials.key(), now)?;
            return self.sender(from).map_or(Ok(()), |sender| self.set_card(&sender, card));
        };
        match request {
            FromClient::Join { .. } => {
                refuse(ErrorCode::AlreadyJoined, "you have joined already: go on with this id")
            }
            FromClient::Send { to, body, reference } => {
                self.send(&sender, &to, body, reference.as_deref(), now)
            }
            FromClient::Ack { to, mids } => self.ack(&sender, &to, &mids, now),
            FromClient::Signal { to, body } => self.signal(&sender, &to, body, now),
            FromClient::Watch { ids } => self.watch(&sender, &ids, now),
            FromClient::Unwatch { ids } => self.unwatch(&sender, &ids),
            FromClient::Block { ids } => self.block(&sender, &ids),
            FromClient::Unblock { ids } => self.unblock(&sender, &ids),
            FromClient::Card { card } => self.set_card(&sender, card),
            FromClient::Lookup { id } => self.lookup(&sender, &id, now),
            FromClient::Leave => self.leave(&sender, now),
        }
    }

    // ---- look-ups ----

    fn sender(&self, token: Token) -> Option<Sender> {
        let client = self.clients.get(token)?;
        let (owner, account) = (client.owner, client.account);
        Some(Sender { token, id: client.id.clone()?, owner, account })
    }

    fn id_of(&self, holder: Holder) -> Option<&Id> {
        match holder {
            Holder::Client(token) => self.clients.get(token)?.id.as_ref(),
            Holder::Owner(owner) => self.owners.id(owner),
        }
    }

    /// Returns the client of a holder; `None` while an owner's client is away.
    fn client_of(&self, holder: Holder) -> Option<Token> {
        match holder {
            Holder::Client(token) => Some(token),
            Holder::Owner(owner) => self.owners.client(owner),
        }
    }

    fn blocked(&self, holder: Holder) -> Option<&Blocked> {
        blocked_by(holder, &self.clients, &self.owners)
    }

    #[inline]
    fn holder_blocks(&self, holder: Holder, id: &Id) -> bool {
        self.blocked(holder).is_some_and(|blocked| blocked.contains(id))
    }

    /// Returns `true` if the id appears online, to watchers that its holder does not block.
    fn appears_online(&self, id: &str) -> bool {
        match self.ids.get(id) {
            Some(Holder::Client(_)) => true,
            Some(Holder::Owner(owner)) => self.owners.appears_online(*owner),
            None => false,
        }
    }

    fn appears_online_to(&self, id: &Id, watcher: Token) -> bool {
        self.appears_online(id) && !blocks(&self.ids, &self.clients, &self.owners, id, watcher)
    }

    // ---- lines for a client ----

    /// Writes a line to the scratch buffer.
    fn write_line(&mut self, line: &ToClient<'_>) {
        self.line.clear();
        line.write(&mut self.line);
    }

    /// Puts a line into the outbox of `to`. If it does not fit, a yielding line is dropped; for any
    /// other line the client is too slow, and is disconnected.
    fn push(&mut self, to: Token, line: &ToClient<'_>, urgency: Urgency, now: Now) {
        self.write_line(line);
        if !self.clients.push(to, &self.line, urgency) && urgency != Urgency::Yielding {
            self.close(to, CloseCode::TryAgainLater, now);
        }
    }

    /// Puts the answer to a request into the outbox of the client that made it.
    fn answer(&mut self, to: Token, line: &ToClient<'_>, now: Now) {
        self.push(to, line, Urgency::Now, now);
    }

    // ---- the end of a client ----

    /// Removes a client from all tables. Its id is free from now on, unless it is owned.
    fn remove(
        &mut self,
        token: Token,
        departure: Departure,
        now: Now,
    ) -> Option<(Client, Vec<u8>)> {
        let (client, text) = self.clients.remove(token)?;
        #[cfg(feature = "auth")]
        self.door.forget(token);
        let watched = self.presence.remove_watcher(token);
        self.payers.give(client.account, Total::Watches, watched);
        self.clients.counters.joined -= usize::from(client.id.is_some());
        match (&client.id, client.owner) {
            (Some(_), Some(owner)) => {
                if self.owners.depart(owner, token, departure, now.instant)
                    && departure == Departure::Normal
                {
                    self.announce_offline(owner);
                }
            }
            (Some(id), None) => {
                self.ids.remove(id);
                tighten(&mut self.ids, TABLE_CAPACITY_MIN);
                self.payers.give(client.account, Total::Blocks, client.blocked.len());
                self.payers.give(client.account, Total::Cards, client.card.bytes());
                self.presence.changed(id, false);
            }
            (None, _) => {}
        }
        self.payers.close(client.account);
        Some((client, text))
    }

    /// Lets watchers know that an owned id appears offline.
    fn announce_offline(&mut self, owner: OwnerToken) {
        if let Some(id) = self.owners.id(owner) {
            self.presence.changed(id, false);
        }
    }
}

// Functions of the tables alone, for use while another part of the hub is borrowed.

/// Returns the ids that a holder blocks.
fn blocked_by<'a, J: Journal>(
    holder: Holder,
    clients: &'a Clients,
    owners: &'a Owners<J>,
) -> Option<&'a Blocked> {
    match holder {
        Holder::Client(token) => clients.get(token).map(|client| &client.blocked),
        Holder::Owner(owner) => owners.blocked(owner),
    }
}

/// Returns `true` if the holder of `id` blocks this watcher.
fn blocks<J: Journal>(
    ids: &HashMap<Id, Holder>,
    clients: &Clients,
    owners: &Owners<J>,
    id: &Id,
    watcher: Token,
) -> bool {
    let blocked = ids.get(id).and_then(|holder| blocked_by(*holder, clients, owners));
    let Some(blocked) = blocked.filter(|blocked| !blocked.is_empty()) else { return false };
    let watcher = clients.get(watcher).and_then(|client| client.id.as_ref());
    watcher.is_some_and(|watcher| blocked.contains(watcher))
}

#[cfg(test)]
mod tests;
