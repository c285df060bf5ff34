//! Who is here, and what each line does: the chat without sockets.
//!
//! Texts come in with the token they came from and with the time; what the hub has to say goes to outboxes, and whom the
//! loop has to look at to three lists: [`Hub::pending_write`], [`Hub::pressing`], [`Hub::closing`]. Functions return no
//! answers, so one may come turns later.
//!
//! Invariants:
//! - `ids` holds each id with one token, that of the client that has the id; a client's id is released by that client.
//! - A client is in here from [`Hub::open`] until it ends, and from then on its token is nobody's. Ending takes it out
//!   of all tables at once, so a join later in the same turn finds the id free.
//! - A line is pushed by `Hub::push` only, which keeps the bounds.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::budget::Budget;
use crate::clock::Now;
use crate::config::{BAD_REQUESTS_MAX, KEY_BYTES, NOTICES_PER_TURN, WATCHED_MAX, WATCHED_TOTAL};
use crate::outbox::Outbox;
use crate::owned::KeyHash;
use crate::presence::Presence;
use crate::protocol::{CloseCode, ErrorCode, FromClient, Id, Line, Mid, ToClient};
use crate::token::Token;

/// Limits of the chat.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What clients are told about the longest message.
    pub message_bytes_max: usize,
    /// Most bytes that may wait for one client.
    pub outbox_bytes_max: usize,
    /// Most bytes that may wait for all of them.
    pub outbox_bytes_total: usize,
}

/// A client that has been taken out, and what to say last.
#[derive(Debug)]
pub struct Closing {
    /// Whose connection ends.
    pub token: Token,
    /// The close code.
    pub code: CloseCode,
    /// The lines that still waited for it, as one text.
    pub text: Vec<u8>,
}

/// All clients.
pub struct Hub {
    limits: Limits,
    mid: Mid,
    /// By the key of their token.
    clients: Vec<Option<Client>>,
    ids: HashMap<Id, Token>,
    presence: Presence,
    waiting: Budget,
    /// Where a line is put together before it is known to fit.
    line: Vec<u8>,
    /// Clients whose outbox was empty and now holds a line.
    pub pending_write: Vec<Token>,
    /// Clients for which more than half of what is allowed waits: write to them before anybody says more.
    pub pressing: Vec<Token>,
    /// Clients that have been taken out and have to be told.
    pub closing: Vec<Closing>,
}

/// One client. What is here is what it costs, ten thousand times over.
struct Client {
    token: Token,
    /// Set by `join`.
    id: Option<Id>,
    /// Set by `join` with a key.
    key: Option<Box<KeyHash>>,
    outbox: Outbox,
    /// `bad_request`s in a row.
    bad_requests: u8,
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
            waiting: Budget::new(limits.outbox_bytes_total),
            limits,
            mid: Mid { prefix: mid_prefix, count: 0 },
            clients: Vec::new(),
            ids: HashMap::new(),
            presence: Presence::default(),
            line: Vec::new(),
            pending_write: Vec::new(),
            pressing: Vec::new(),
            closing: Vec::new(),
        }
    }

    // ---- from the loop ----

    /// A client is here, and has not joined.
    pub fn open(&mut self, token: Token) {
        let key = token.key();
        if self.clients.len() <= key {
            self.clients.resize_with(key + 1, || None);
        }
        debug_assert!(
            self.clients[key].is_none(),
            "the loop uses a key again before it said that its client ended"
        );
        self.clients[key] =
            Some(Client { token, id: None, key: None, outbox: Outbox::default(), bad_requests: 0 });
    }

    /// A client says something: one line or more. Gives what was not looked at because somebody is [pressing]: after
    /// writing to them, hand it in again.
    ///
    /// [pressing]: Hub::pressing
    pub fn receive<'t>(&mut self, from: Token, text: &'t str, now: Now) -> &'t str {
        let mut rest = text;
        while !rest.is_empty() && self.pressing.is_empty() && self.client(from).is_some() {
            let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = behind;
            if !line.bytes().all(is_json_space) {
                self.line(from, line, now);
            }
        }
        if self.client(from).is_some() { rest } else { "" }
    }

    /// The connection of a client has ended. It may have been taken out before.
    pub fn gone(&mut self, token: Token) {
        self.remove(token);
    }

    /// Takes a client out and says so to it.
    pub fn close(&mut self, token: Token, code: CloseCode) {
        let Some(mut client) = self.remove(token) else { return };
        // A slow client would not read what waits; for the others it is the last thing that they hear.
        let text = if code == CloseCode::TryAgainLater { Vec::new() } else { client.outbox.take() };
        self.closing.push(Closing { token, code, text });
    }

    /// Has this client joined?
    pub fn has_joined(&self, token: Token) -> bool {
        self.client(token).is_some_and(|client| client.id.is_some())
    }

    /// Takes what waits for a client as one text. The loop then says by [`Hub::set_unsent`] what became of it.
    pub fn take(&mut self, token: Token) -> Vec<u8> {
        self.client_mut(token).map(|client| client.outbox.take()).unwrap_or_default()
    }

    /// Of what was taken for this client, so many bytes have not left.
    pub fn set_unsent(&mut self, token: Token, bytes: usize) {
        let Some(client) = slot(&mut self.clients, token) else { return };
        self.waiting.give(client.outbox.waiting());
        client.outbox.set_unsent(bytes);
        self.waiting.take(client.outbox.waiting());
    }

    /// Is somebody to be told who came or went?
    pub fn has_notices(&self) -> bool {
        self.presence.has_notices()
    }

    /// Tells some watchers who came and went; what is left over is for the next turn.
    pub fn tell_notices(&mut self) {
        let mut budget = NOTICES_PER_TURN;
        while let Some((token, id, online)) = self.presence.next_notice(&mut budget) {
            self.answer(token, &ToClient::Presence { id: &id, online });
        }
    }

    /// Bytes that wait for all clients.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.used()
    }

    // ---- what each line does ----

    fn line(&mut self, from: Token, line: &str, now: Now) {
        let Line { tag, said } = Line::parse(line);
        let is_bad = said.is_err();
        let result = match said {
            Ok(request) => self.request(from, request, now),
            Err(sentence) => refuse(ErrorCode::BadRequest, sentence),
        };
        if let Err(Refusal { code, text }) = result {
            self.answer(from, &ToClient::Error { code, tag: &tag, text: &text });
        }
        let Some(client) = self.client_mut(from) else { return };
        client.bad_requests = if is_bad { client.bad_requests + 1 } else { 0 };
        if client.bad_requests == BAD_REQUESTS_MAX {
            self.close(from, CloseCode::BadRequests);
        }
    }

    fn request(&mut self, from: Token, request: FromClient<'_>, now: Now) -> Result<(), Refusal> {
        let id = self.client(from).and_then(|client| client.id.clone());
        match (request, id) {
            (FromClient::Join { id, key }, None) => self.join(from, &id, key.as_deref()),
            (FromClient::Join { .. }, Some(_)) => refuse(ErrorCode::AlreadyJoined, "you have joined already"),
            (_, None) => refuse(ErrorCode::NotJoined, "join first"),
            (FromClient::Send { to, body, reference }, Some(id)) => {
                self.send(from, &id, &to, body, reference.as_deref(), now)
            }
            (FromClient::Signal { to, body }, Some(id)) => self.signal(&id, &to, body),
            (FromClient::Watch { ids }, Some(_)) => self.watch(from, &ids),
            (FromClient::Unwatch { ids }, Some(_)) => self.unwatch(from, &ids),
            (FromClient::Leave, Some(_)) => {
                self.close(from, CloseCode::Normal);
                Ok(())
            }
        }
    }

    fn join(&mut self, from: Token, id: &str, key: Option<&str>) -> Result<(), Refusal> {
        let Some(mut id) = Id::new(id) else { return refuse(ErrorCode::BadId, BAD_ID) };
        if key.is_some_and(|key| !KEY_BYTES.contains(&key.len())) {
            return refuse(ErrorCode::BadKey, "a key is 16 to 128 bytes long");
        }
        let key = key.map(KeyHash::of);
        if let Some((held, &holder)) = self.ids.get_key_value(&id) {
            let holders_key = self.client(holder).and_then(|holder| holder.key.as_ref());
            if !holders_key.zip(key.as_ref()).is_some_and(|(a, b)| a.matches(b)) {
                return refuse(ErrorCode::IdTaken, "somebody else has this id");
            }
            // The map keeps the id it has, so the client shares that one.
            id = held.clone();
        }
        // The new holder first: the id never has nobody, so nobody is told that it came or went.
        let replaced = self.ids.insert(id.clone(), from);
        let Some(client) = self.client_mut(from) else { return Ok(()) };
        client.id = Some(id.clone());
        client.key = key.map(Box::new);
        match replaced {
            Some(holder) => self.close(holder, CloseCode::Replaced),
            None => self.presence.changed(&id, true),
        }
        let max_message = self.limits.message_bytes_max;
        self.answer(from, &ToClient::Joined { id: &id, max_message });
        Ok(())
    }

    fn send(
        &mut self,
        from: Token,
        id: &Id,
        to: &str,
        body: &str,
        reference: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let recipient = self.recipient(to)?;
        let mid = Mid { count: self.mid.count + 1, ..self.mid };
        let at = now.unix_ms;
        if !self.push(recipient, &ToClient::Message { from: id, body, mid, at }) {
            self.close(recipient, CloseCode::TryAgainLater);
            return refuse(ErrorCode::Slow, format!("{to} was too slow to read and has been disconnected"));
        }
        self.mid = mid;
        if let Some(reference) = reference {
            self.answer(from, &ToClient::Sent { reference, mid, at });
        }
        Ok(())
    }

    /// A signal that cannot be delivered now is of no use later, and its sender does not wait for an answer.
    fn signal(&mut self, id: &Id, to: &str, body: &str) -> Result<(), Refusal> {
        match self.recipient(to) {
            Ok(recipient) => drop(self.push(recipient, &ToClient::Signal { from: id, body })),
            Err(Refusal { code: ErrorCode::Offline, .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn recipient(&self, to: &str) -> Result<Token, Refusal> {
        match self.ids.get(to) {
            Some(token) => Ok(*token),
            // An id that somebody has is one; only others need a look at their letters.
            None if Id::is_valid(to) => refuse(ErrorCode::Offline, format!("{to} is not here")),
            None => refuse(ErrorCode::BadId, BAD_ID),
        }
    }

    fn watch(&mut self, from: Token, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        let mut wanted = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(id) = Id::new(id) else { return refuse(ErrorCode::BadId, BAD_ID) };
            wanted.push(id);
        }
        wanted.sort_unstable();
        wanted.dedup();
        let new = wanted.iter().filter(|id| !self.presence.watches(from, id)).count();
        if self.presence.count(from) + new > WATCHED_MAX {
            return refuse(ErrorCode::TooMany, format!("you can watch {WATCHED_MAX} ids"));
        }
        if self.presence.total() + new > WATCHED_TOTAL {
            return refuse(ErrorCode::TooMany, "too many ids are watched on this server");
        }
        for id in &wanted {
            self.presence.watch(from, id, self.ids.contains_key(id));
        }
        // Not before all are watched: an answer that does not fit takes the client out of all tables.
        for id in &wanted {
            self.answer(from, &ToClient::Presence { id, online: self.ids.contains_key(id) });
        }
        Ok(())
    }

    fn unwatch(&mut self, from: Token, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        if !ids.iter().all(|id| Id::is_valid(id)) {
            return refuse(ErrorCode::BadId, BAD_ID);
        }
        for id in ids {
            self.presence.unwatch(from, id);
        }
        Ok(())
    }

    // ---- outboxes and tables ----

    /// Says something to a client that has to hear it: one for which it does not fit is too slow.
    fn answer(&mut self, to: Token, line: &ToClient<'_>) {
        if !self.push(to, line) {
            self.close(to, CloseCode::TryAgainLater);
        }
    }

    /// Puts a line into a client's outbox; false: it does not fit.
    fn push(&mut self, to: Token, line: &ToClient<'_>) -> bool {
        let Some(client) = slot(&mut self.clients, to) else { return true };
        self.line.clear();
        line.write(&mut self.line);
        let limit = self.waiting.limit(self.limits.outbox_bytes_max);
        // In a turn in which much is said to many, the total can run out before anybody was written to. Only those whose
        // sockets have refused bytes are held to their share of it; the others press, and are written to next.
        let bytes_max = if client.outbox.has_unsent() { limit } else { self.limits.outbox_bytes_max };
        let (before, was_empty) = (client.outbox.waiting(), client.outbox.is_empty());
        if !client.outbox.push(&self.line, bytes_max) {
            return false;
        }
        self.waiting.take(client.outbox.waiting() - before);
        if was_empty {
            self.pending_write.push(to);
        }
        if client.outbox.waiting() > limit / 2 {
            self.pressing.push(to);
        }
        true
    }

    /// Takes a client out of all tables. Its id is free from now on, unless somebody has taken it over.
    fn remove(&mut self, token: Token) -> Option<Client> {
        let client = self.clients.get_mut(token.key())?.take_if(|client| client.token == token)?;
        self.waiting.give(client.outbox.waiting());
        self.presence.forget(token);
        if let Some(id) = &client.id
            && self.ids.get(id) == Some(&token)
        {
            self.ids.remove(id);
            self.presence.changed(id, false);
        }
        Some(client)
    }

    fn client(&self, token: Token) -> Option<&Client> {
        self.clients.get(token.key())?.as_ref().filter(|client| client.token == token)
    }

    fn client_mut(&mut self, token: Token) -> Option<&mut Client> {
        slot(&mut self.clients, token)
    }
}

/// The client with this token: a function of the table alone, so that the hub's other fields stay free.
fn slot(clients: &mut [Option<Client>], token: Token) -> Option<&mut Client> {
    clients.get_mut(token.key())?.as_mut().filter(|client| client.token == token)
}

const BAD_ID: &str = "an id is 1 to 64 bytes of letters, digits and . _ - @ +";

fn is_json_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
