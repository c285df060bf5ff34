//! Who is here, and what each line does: the chat without sockets.
//!
//! Texts come in with the token they came from and with the time; what the hub has to say goes to
//! outboxes, and whom the loop has to look at to three lists, which it takes from one by one:
//! [`Hub::drain_pending_write`], [`Hub::next_pressing`], [`Hub::next_disconnect`]. Functions return
//! no answers, so one may come turns later.
//!
//! Invariants:
//! - `ids` holds each id with its one holder: a client without a key, or an ownership. A client's
//!   id is released by that client, an owned one when its ownership ends.
//! - A client is in here from [`Hub::open`] until it ends, and from then on its token is nobody's.
//!   Ending takes it out of all tables at once, so a join later in the same turn finds the id free.
//! - A message for an owned id goes into its held queue and from there, in order, to its client's
//!   outbox: so a full outbox never loses one, and a client that comes back gets what it had not
//!   acknowledged before anything new.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::chat::blocked::Blocked;
use crate::chat::clients::{Client, Clients, Counters, Urgency};
pub use crate::chat::owners::Departure;
use crate::chat::owners::{Due, Fate, Holder, KeyHash, OwnerToken, Owners, Sent, Vacancy};
use crate::chat::presence::Presence;
use crate::chat::protocol::{CloseCode, ErrorCode, FromClient, Id, Line, Mid, ToClient};
use crate::limits::{
    BAD_REQUESTS_MAX, BLOCKED_MAX, BLOCKED_TOTAL, EXPIRIES_PER_TURN, KEY_BYTES, NOTICES_PER_TURN,
    TABLE_CAPACITY_MIN, WATCHED_MAX, WATCHED_TOTAL,
};
use crate::memory::tighten;
use crate::time::Now;
use crate::token::Token;

mod delivery;

/// Limits of the chat.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What clients are told about the longest message.
    pub message_bytes_max: usize,
    /// Most bytes that may wait for one client.
    pub outbox_bytes_max: usize,
    /// Most bytes that may wait for all of them.
    pub outbox_bytes_total: usize,
    /// How long an owned id is kept after its client's connection ended.
    pub hold: Duration,
    /// Most bytes held for one owned id.
    pub held_bytes_max: usize,
    /// Most bytes held for all of them.
    pub held_bytes_total: usize,
    /// Owned ids.
    pub owned_max: usize,
}

/// A client that has been taken out, and what to say last.
#[derive(Debug)]
pub struct Disconnect {
    /// Whose connection ends.
    pub token: Token,
    /// The close code.
    pub code: CloseCode,
    /// The lines that still waited for it, as one text.
    pub text: Vec<u8>,
}

/// All clients, and all that is kept for those who are away.
pub struct Hub {
    limits: Limits,
    mid: Mid,
    /// Hashes sends: with keys of its own, so that nobody can make up two that look the same.
    hasher: RandomState,
    ids: HashMap<Id, Holder>,
    owners: Owners,
    presence: Presence,
    /// Ids blocked by all.
    blocked_total: usize,
    /// Where a line is put together before it is known to fit.
    line: Vec<u8>,
    /// What became of messages, and which, while it is told; empty but for its room.
    fates: Vec<(Holder, u64)>,
    counts: Vec<u64>,
    /// Lines that clients have said, blank ones too.
    lines_heard: u64,
    /// Who is connected, with their outboxes.
    clients: Clients,
    /// Clients that have been taken out and have to be told.
    disconnects: Vec<Disconnect>,
}

/// A client that has joined, as its requests need to know it.
#[derive(Clone)]
struct Sender {
    token: Token,
    id: Id,
    owner: Option<OwnerToken>,
}

impl Sender {
    fn holder(&self) -> Holder {
        self.owner.map_or(Holder::Client(self.token), Holder::Owner)
    }
}

/// An error line without its tag: why a request is refused.
struct Refusal {
    code: ErrorCode,
    text: Cow<'static, str>,
}

fn refuse<T>(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Result<T, Refusal> {
    Err(Refusal { code, text: text.into() })
}

impl Hub {
    /// Nobody is here. `mid_prefix` has to be random, or mids repeat after a restart.
    pub fn new(limits: Limits, mid_prefix: u64) -> Hub {
        Hub {
            mid: Mid { prefix: mid_prefix.into(), count: 0 },
            hasher: RandomState::new(),
            ids: HashMap::new(),
            owners: Owners::new(
                limits.hold,
                limits.held_bytes_max,
                limits.held_bytes_total,
                limits.owned_max,
            ),
            presence: Presence::default(),
            blocked_total: 0,
            line: Vec::new(),
            fates: Vec::new(),
            counts: Vec::new(),
            lines_heard: 0,
            clients: Clients::new(limits.outbox_bytes_max, limits.outbox_bytes_total),
            disconnects: Vec::new(),
            limits,
        }
    }

    // ---- from the loop ----

    /// A client is here, and has not joined.
    pub fn open(&mut self, token: Token) {
        self.clients.insert(token);
    }

    /// A client says something: one line or more. Gives what was not looked at because somebody is
    /// pressing: after writing to them, hand it in again.
    pub fn receive<'t>(&mut self, from: Token, text: &'t str, now: Now) -> &'t str {
        let mut rest = text;
        while !rest.is_empty()
            && self.clients.pressing.is_empty()
            && self.clients.get(from).is_some()
        {
            let (line, behind) = Line::first(rest);
            rest = behind;
            self.lines_heard += 1;
            if let Some(line) = line {
                self.handle_line(from, line, now);
            }
        }
        if self.clients.get(from).is_some() { rest } else { "" }
    }

    /// The connection of a client has ended. It may have been taken out before.
    pub fn disconnected(&mut self, token: Token, departure: Departure, now: Now) {
        self.remove(token, departure, now);
    }

    /// Takes a client out and says so to it.
    pub fn close(&mut self, token: Token, code: CloseCode, now: Now) {
        let Some((_, mut text)) = self.remove(token, Departure::Lost, now) else { return };
        // A slow client would not read what waits; for the others it is the last thing that they
        // hear.
        if code == CloseCode::TryAgainLater {
            text = Vec::new();
        }
        self.disconnects.push(Disconnect { token, code, text });
    }

    /// Has this client joined?
    pub fn has_joined(&self, token: Token) -> bool {
        self.clients.get(token).is_some_and(|client| client.id.is_some())
    }

    /// Takes the lines that wait for a client, as one text. They go on waiting until
    /// [`Hub::written`] says that they left.
    pub fn take_text(&mut self, token: Token) -> Vec<u8> {
        self.clients.take_text(token)
    }

    /// Gives back a text that was taken for this client, or an empty one, and says how many bytes
    /// of what was taken have not left. What has left makes room for what is held.
    pub fn written(&mut self, token: Token, text: Vec<u8>, unsent: usize) {
        self.clients.written(token, text, unsent);
        if let Some(owner) = self.clients.get(token).and_then(|client| client.owner) {
            self.push_held(owner);
        }
    }

    /// Has the hub something to do in the next turn, whatever happens?
    pub fn is_busy(&self, now: Instant) -> bool {
        self.presence.has_notices()
            || !self.clients.pending_write.is_empty()
            || self.owners.next_deadline().is_some_and(|due| due <= now)
    }

    /// When the hub has something to do if nothing happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.owners.next_deadline().into_iter().chain(self.clients.next_deadline()).min()
    }

    /// Lets leave what has waited for company, lets some of the owned ids look offline, and gives
    /// some up, whose time has come. What is left of these is for the next turn, or, when somebody
    /// is pressing, for after writing to them.
    pub fn expire(&mut self, now: Now) {
        self.clients.end_gathering(now.instant);
        let mut budget = EXPIRIES_PER_TURN;
        while budget > 0 && self.clients.pressing.is_empty() {
            budget -= 1;
            match self.owners.next_due(now.instant) {
                Some(Due::Offline(owner)) => self.appear_offline(owner),
                Some(Due::Release(owner)) => {
                    budget = budget.saturating_sub(self.owners.unacknowledged(owner));
                    self.release(owner, now);
                }
                None => return,
            }
        }
    }

    /// Tells some watchers who came and went; what is left over is for the next turn.
    pub fn flush(&mut self, now: Now) {
        let mut budget = NOTICES_PER_TURN;
        let Hub { presence, clients, ids, owners, .. } = self;
        let sees = |watcher: Token, id: &Id, online: bool| {
            online && !blocks(ids, clients, owners, id, watcher)
        };
        let mut notices = Vec::new();
        while let Some(notice) = presence.next_notice(&mut budget, sees) {
            notices.push(notice);
        }
        for (token, id, online) in notices {
            self.push(token, &ToClient::Presence { id: &id, online }, Urgency::Now, now);
        }
    }

    /// Gives unused capacity back, at the end of a turn: in the middle of one, more is often to
    /// follow. `key_end` is above the key of every token in use.
    pub fn sweep(&mut self, key_end: usize) {
        self.owners.sweep();
        self.presence.sweep();
        self.clients.sweep(key_end);
        tighten(&mut self.disconnects, TABLE_CAPACITY_MIN);
    }

    // ---- the loop's lists ----

    /// Takes a client that has to be written to before anything else is done: more than half of
    /// what is allowed waits for it.
    pub fn next_pressing(&mut self) -> Option<Token> {
        self.clients.pressing.pop()
    }

    /// Takes a client that has been taken out and has to be told.
    pub fn next_disconnect(&mut self) -> Option<Disconnect> {
        self.disconnects.pop()
    }

    /// Moves the clients that have got a line since they were last written to into `tokens`.
    pub fn drain_pending_write(&mut self, tokens: &mut Vec<Token>) {
        tokens.append(&mut self.clients.pending_write);
    }

    // ---- what is counted ----

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.clients.counters
    }

    /// Lines that clients have said, blank ones too.
    pub fn lines_heard(&self) -> u64 {
        self.lines_heard
    }

    /// Bytes that wait for all clients.
    pub fn waiting_bytes(&self) -> usize {
        self.clients.waiting_bytes()
    }

    /// Bytes held for owned ids.
    pub fn held_bytes(&self) -> usize {
        self.owners.held_bytes()
    }

    /// How many ids are owned.
    pub fn owned_ids(&self) -> usize {
        self.owners.len()
    }

    // ---- what each line does ----

    fn handle_line(&mut self, from: Token, line: Line<'_>, now: Now) {
        let Line { tag, request } = line;
        let is_bad = request.is_err();
        let result = match request {
            Ok(request) => self.handle_request(from, request, now),
            Err(sentence) => refuse(ErrorCode::BadRequest, sentence),
        };
        if let Err(Refusal { code, text }) = result {
            self.clients.counters.refusals[code as usize] += 1;
            self.answer(from, &ToClient::Error { code, tag: &tag, text: &text }, now);
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
            let FromClient::Join { id, key } = request else {
                return refuse(ErrorCode::NotJoined, "join first");
            };
            return self.join(from, &id, key.as_deref(), now);
        };
        match request {
            FromClient::Join { .. } => refuse(ErrorCode::AlreadyJoined, "you have joined already"),
            FromClient::Send { to, body, reference } => {
                self.send(&sender, &to, body, reference.as_deref(), now)
            }
            FromClient::Ack { to, mids } => self.ack(&sender, &to, &mids, now),
            FromClient::Signal { to, body } => self.signal(&sender, &to, body, now),
            FromClient::Watch { ids } => self.watch(&sender, &ids, now),
            FromClient::Unwatch { ids } => self.unwatch(&sender, &ids),
            FromClient::Block { ids } => self.block(&sender, &ids),
            FromClient::Unblock { ids } => self.unblock(&sender, &ids),
            FromClient::Leave => {
                self.close(from, CloseCode::Normal, now);
                if let Some(owner) = sender.owner {
                    self.release(owner, now);
                }
                Ok(())
            }
        }
    }

    fn join(&mut self, from: Token, id: &str, key: Option<&str>, now: Now) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        if key.is_some_and(|key| !KEY_BYTES.contains(&key.len())) {
            return refuse(ErrorCode::BadKey, "a key is 16 to 128 bytes long");
        }
        let hash = key.map(KeyHash::of);
        let holder = self.ids.get_key_value(&id).map(|(known, holder)| (known.clone(), *holder));
        match (holder, hash) {
            (None, None) => self.join_unowned(from, id, now),
            (None, Some(hash)) => self.join_claiming(from, id, hash, now)?,
            (Some((id, Holder::Owner(owner))), Some(hash))
                if self.owners.key_matches(owner, &hash) =>
            {
                self.join_resuming(from, id, owner, now);
            }
            _ => return refuse(ErrorCode::IdTaken, "somebody else has this id"),
        }
        Ok(())
    }

    fn join_unowned(&mut self, from: Token, id: Id, now: Now) {
        self.ids.insert(id.clone(), Holder::Client(from));
        self.presence.changed(&id, true);
        self.complete_join(from, id, None, false, now);
    }

    fn join_claiming(
        &mut self,
        from: Token,
        id: Id,
        hash: KeyHash,
        now: Now,
    ) -> Result<(), Refusal> {
        match self.owners.vacancy() {
            Vacancy::Free => {}
            Vacancy::Evict(owner) => self.release(owner, now),
            Vacancy::Full => {
                return refuse(ErrorCode::TooMany, "too many ids are owned on this server");
            }
        }
        let owner = self.owners.claim(id.clone(), hash, from);
        self.ids.insert(id.clone(), Holder::Owner(owner));
        self.presence.changed(&id, true);
        self.complete_join(from, id, Some(owner), false, now);
        Ok(())
    }

    fn join_resuming(&mut self, from: Token, id: Id, owner: OwnerToken, now: Now) {
        // The new connection first: then the id is never without one, and nobody is told that it
        // came or went.
        let (replaced, looked_offline) = self.owners.resume(owner, from);
        if let Some(replaced) = replaced {
            self.close(replaced, CloseCode::Replaced, now);
        }
        if looked_offline {
            self.presence.changed(&id, true);
        }
        self.complete_join(from, id, Some(owner), true, now);
        self.replay_fates(from, owner, now);
        self.push_held(owner);
    }

    fn complete_join(
        &mut self,
        token: Token,
        id: Id,
        owner: Option<OwnerToken>,
        resumed: bool,
        now: Now,
    ) {
        let Some(client) = self.clients.get_mut(token) else { return };
        (client.id, client.owner) = (Some(id.clone()), owner);
        self.clients.counters.joins += 1;
        self.clients.counters.joined += 1;
        let line = ToClient::Joined {
            id: &id,
            resumed,
            held: owner.map_or(0, |owner| self.owners.unacknowledged(owner)),
            hold: self.limits.hold.as_secs(),
            max_message: self.limits.message_bytes_max,
        };
        self.answer(token, &line, now);
    }

    fn send(
        &mut self,
        from: &Sender,
        to: &str,
        body: &str,
        reference: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        // Only who owns its id is known again after its connection broke.
        let memory = from
            .owner
            .zip(reference)
            .map(|(owner, r)| (owner, self.hasher.hash_one((r, to, body))));
        if let (Some((owner, hash)), Some(reference)) = (memory, reference)
            && let Some(Sent { mid: count, at, to, held, fate }) =
                self.owners.find_send(owner, hash).cloned()
        {
            let mid = Mid { count, ..self.mid };
            self.answer(from.token, &ToClient::Sent { reference, mid, at, held }, now);
            // Told before, it may have meant nothing yet to a client that had not read which mid is
            // its message's.
            self.report_fate(from.token, &to, &[count], fate, now);
            return Ok(());
        }
        let recipient = self.recipient(from, to)?;
        if memory.is_some_and(|(owner, _)| !self.owners.can_remember_send(owner)) {
            return refuse(ErrorCode::Full, "what is kept for all has reached its limit");
        }
        let (mid, at) = (Mid { count: self.mid.count + 1, ..self.mid }, now.unix_ms);
        self.write_line(&ToClient::Message { from: &from.id, body, mid, at });
        let held = match recipient {
            Holder::Client(token) if self.clients.push(token, &self.line, Urgency::Now) => false,
            Holder::Client(token) => {
                self.close(token, CloseCode::TryAgainLater, now);
                return refuse(
                    ErrorCode::Slow,
                    format!("{to} was too slow to read and has been disconnected"),
                );
            }
            Holder::Owner(owner) => {
                if !self.owners.hold(owner, mid.count, &from.id, from.holder(), &self.line) {
                    return refuse(ErrorCode::Full, format!("too much waits for {to} already"));
                }
                !self.push_held(owner)
            }
        };
        self.mid = mid;
        self.clients.counters.messages += 1;
        if let Some((owner, hash)) = memory
            && let Some(to) = self.id_of(recipient).cloned()
        {
            self.owners.remember_send(
                owner,
                hash,
                Sent { mid: mid.count, at, to, held, fate: Fate::Open },
            );
        }
        if let Some(reference) = reference {
            self.answer(from.token, &ToClient::Sent { reference, mid, at, held }, now);
        }
        Ok(())
    }

    /// A signal that cannot be delivered now is of no use later, and its sender does not wait for
    /// an answer.
    fn signal(&mut self, from: &Sender, to: &str, body: &str, now: Now) -> Result<(), Refusal> {
        match self.recipient(from, to) {
            Ok(holder) => {
                if let Some(token) = self.token_of(holder) {
                    let line = ToClient::Signal { from: &from.id, body };
                    self.push(token, &line, Urgency::Yielding, now);
                }
                Ok(())
            }
            Err(Refusal { code: ErrorCode::Offline, .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    fn watch(&mut self, from: &Sender, ids: &[Cow<'_, str>], now: Now) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        let new = wanted.iter().filter(|id| !self.presence.watches(from.token, id)).count();
        if self.presence.count(from.token) + new > WATCHED_MAX {
            return refuse(ErrorCode::TooMany, format!("you can watch {WATCHED_MAX} ids"));
        }
        if self.presence.total() + new > WATCHED_TOTAL {
            return refuse(ErrorCode::TooMany, "too many ids are watched on this server");
        }
        for id in &wanted {
            self.presence.watch(
                from.token,
                id,
                self.appears_online(id),
                self.appears_online_to(id, from.token),
            );
        }
        // Not before all are watched: an answer that does not fit takes the client out of all
        // tables.
        for id in &wanted {
            let online = self.appears_online_to(id, from.token);
            self.answer(from.token, &ToClient::Presence { id, online }, now);
        }
        Ok(())
    }

    fn unwatch(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        for id in &parse_ids(ids)? {
            self.presence.unwatch(from.token, id);
        }
        Ok(())
    }

    fn block(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        let Some(blocked) = self.blocked(from.holder()) else { return Ok(()) };
        let new = wanted.iter().filter(|id| !blocked.contains(id)).count();
        if blocked.len() + new > BLOCKED_MAX {
            return refuse(ErrorCode::TooMany, format!("you can block {BLOCKED_MAX} ids"));
        }
        if self.blocked_total + new > BLOCKED_TOTAL {
            return refuse(ErrorCode::TooMany, "too many ids are blocked on this server");
        }
        self.blocked_total += new;
        match from.owner {
            Some(owner) => self.owners.block(owner, wanted),
            None => self.clients.block(from.token, wanted),
        }
        // To whom it looks offline now is found out by a round over its watchers.
        self.presence.changed(&from.id, true);
        Ok(())
    }

    fn unblock(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        self.blocked_total -= match from.owner {
            Some(owner) => self.owners.unblock(owner, &wanted),
            None => self.clients.unblock(from.token, &wanted),
        };
        self.presence.changed(&from.id, true);
        Ok(())
    }

    // ---- look-ups ----

    fn sender(&self, token: Token) -> Option<Sender> {
        let client = self.clients.get(token)?;
        Some(Sender { token, id: client.id.clone()?, owner: client.owner })
    }

    /// Who has the id `to`, for somebody who writes to it.
    fn recipient(&mut self, from: &Sender, to: &str) -> Result<Holder, Refusal> {
        let holder = match self.clients.cached_holder(from.token, to) {
            Some(holder) => Some(holder),
            None => self
                .ids
                .get(to)
                .copied()
                .inspect(|holder| self.cache_recipient(from.token, *holder)),
        };
        match holder {
            Some(holder)
                if !self.blocked(holder).is_some_and(|blocked| blocked.contains(&from.id)) =>
            {
                Ok(holder)
            }
            // An id that somebody has is one; only others need a look at their letters.
            None if !Id::is_valid(to) => refuse(ErrorCode::BadId, BAD_ID),
            _ => refuse(ErrorCode::Offline, format!("{to} is not here")),
        }
    }

    fn cache_recipient(&mut self, from: Token, holder: Holder) {
        if let Some(to) = self.token_of(holder)
            && let Some(client) = self.clients.get_mut(from)
        {
            client.cached_recipient = to.key() as u32;
        }
    }

    fn id_of(&self, holder: Holder) -> Option<&Id> {
        match holder {
            Holder::Client(token) => self.clients.get(token)?.id.as_ref(),
            Holder::Owner(owner) => self.owners.id(owner),
        }
    }

    fn token_of(&self, holder: Holder) -> Option<Token> {
        match holder {
            Holder::Client(token) => Some(token),
            Holder::Owner(owner) => self.owners.client(owner),
        }
    }

    /// Does this id look online, to those whom it does not block?
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

    fn blocked(&self, holder: Holder) -> Option<&Blocked> {
        blocked_by(holder, &self.clients, &self.owners)
    }

    // ---- outboxes and tables ----

    fn write_line(&mut self, line: &ToClient<'_>) {
        self.line.clear();
        line.write(&mut self.line);
    }

    /// Puts a line into the outbox of `to`. A yielding line that does not fit is dropped; by any
    /// other the client is found too slow, and disconnected.
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

    /// Takes a client out of all tables. Its id is free from now on, unless it is owned.
    fn remove(
        &mut self,
        token: Token,
        departure: Departure,
        now: Now,
    ) -> Option<(Client, Vec<u8>)> {
        let (client, text) = self.clients.remove(token)?;
        self.presence.remove_watcher(token);
        self.clients.counters.joined -= usize::from(client.id.is_some());
        match (&client.id, client.owner) {
            (Some(_), Some(owner)) => {
                if self.owners.depart(owner, token, departure, now.instant)
                    && departure == Departure::Normal
                {
                    self.appear_offline(owner);
                }
            }
            (Some(id), None) => {
                self.ids.remove(id);
                tighten(&mut self.ids, TABLE_CAPACITY_MIN);
                self.blocked_total -= client.blocked.len();
                self.presence.changed(id, false);
            }
            (None, _) => {}
        }
        Some((client, text))
    }
}

/// Whom the holder of an id blocks. A function of the tables alone, for use while another is
/// walked.
fn blocked_by<'a>(holder: Holder, clients: &'a Clients, owners: &'a Owners) -> Option<&'a Blocked> {
    match holder {
        Holder::Client(token) => clients.get(token).map(|client| &client.blocked),
        Holder::Owner(owner) => owners.blocked(owner),
    }
}

/// Does the holder of `id` block this watcher?
fn blocks(
    ids: &HashMap<Id, Holder>,
    clients: &Clients,
    owners: &Owners,
    id: &Id,
    watcher: Token,
) -> bool {
    let blocked = ids.get(id).and_then(|holder| blocked_by(*holder, clients, owners));
    let Some(blocked) = blocked.filter(|blocked| !blocked.is_empty()) else { return false };
    let watcher = clients.get(watcher).and_then(|client| client.id.as_ref());
    watcher.is_some_and(|watcher| blocked.contains(watcher))
}

fn parse_id(id: &str) -> Result<Id, Refusal> {
    Id::new(id).map_or_else(|| refuse(ErrorCode::BadId, BAD_ID), Ok)
}

/// The ids of a list, each once.
fn parse_ids(ids: &[Cow<'_, str>]) -> Result<Vec<Id>, Refusal> {
    let mut set = ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<Id>, Refusal>>()?;
    set.sort_unstable();
    set.dedup();
    Ok(set)
}

const BAD_ID: &str = "an id is 1 to 64 bytes of letters, digits and . _ - @ +";
#[cfg(test)]
mod tests;
