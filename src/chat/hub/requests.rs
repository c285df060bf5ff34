//! The requests of clients, one function for each.
//!
//! **Invariants**
//! - A refused request changes nothing, and its client gets one `error` line: all checks come
//!   before the first change. Only `slow` has an effect, on the recipient. A `join` stands if its
//!   card is refused.
//! - Each request but `join` is one of a client that has joined, its [`Sender`].
//!
//! The syntax of a line is not known here, nor the way from a held message to its recipient.

use std::borrow::Cow;

use super::Hub;
use crate::chat::clients::{Awaits, Urgency};
use crate::chat::journal::Journal;
use crate::chat::outbox::Pieces;
use crate::chat::owners::{Fate, HeldLimit, Holder, KeyHash, Origin, OwnerToken, Sent, Vacancy};
use crate::chat::payers::{AccountKey, Excess, Total};
use crate::chat::protocol::{CloseCode, ErrorCode, Id, Mid, MidList, ToClient, put_message_around};
use crate::limits::{BLOCKED_MAX, KEY_BYTES, WATCHED_MAX};
use crate::time::Now;
use crate::token::Token;

/// Length in bytes from which a body is not copied into its line first. Below it, one copy of the
/// whole line costs less than three copies of its pieces.
const SEPARATE_BODY_BYTES: usize = 256;

/// The disk is slow or fails, so nothing more can be promised.
pub(super) const DISK_BUSY: &str =
    "this server can't write to its disk at the moment: try again later";

const BAD_ID: &str = "an id is 1 to 64 bytes of letters, digits and . _ - @ +";

/// A client that has joined, as its requests need to know it.
#[derive(Clone)]
pub(super) struct Sender {
    pub token: Token,
    pub id: Id,
    pub owner: Option<OwnerToken>,
    pub account: AccountKey,
}

impl Sender {
    pub fn holder(&self) -> Holder {
        self.owner.map_or(Holder::Client(self.token), Holder::Owner)
    }
}

/// The reason why a request is refused: an error line without its tag.
pub(super) struct Refusal {
    pub code: ErrorCode,
    /// A sentence for people: the reason, then the remedy.
    pub text: Cow<'static, str>,
}

pub(super) fn refuse<T>(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Result<T, Refusal> {
    Err(Refusal { code, text: text.into() })
}

impl<J: Journal> Hub<J> {
    // ---- join and leave ----

    /// Claims an id for a client, or resumes the ownership that the client's key belongs to.
    pub(super) fn join(
        &mut self,
        from: Token,
        id: &str,
        key: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        if key.is_some_and(|key| !KEY_BYTES.contains(&key.len())) {
            return refuse(ErrorCode::BadKey, "a key is 16 to 128 bytes long: choose another");
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
            _ => return refuse(ErrorCode::IdTaken, "somebody else has this id: try another"),
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
        let Some(account) = self.clients.get(from).map(|client| client.account) else {
            return Ok(());
        };
        if !self.can_record(account) {
            return refuse(ErrorCode::TooMany, DISK_BUSY);
        }
        if !self.payers.may_claim(account, now.instant) {
            let text = "too many new ids come from your network: try again in a minute";
            return refuse(ErrorCode::TooMany, text);
        }
        match self.owners.vacancy(account, &self.payers, now.instant) {
            Vacancy::Free => {}
            Vacancy::Evict(owner) => self.release(owner, now),
            Vacancy::Full => {
                let text = "too many ids are owned on this server: try again later";
                return refuse(ErrorCode::TooMany, text);
            }
            Vacancy::ShareFull => {
                let text = "too many ids are owned from your network: leave with one of them first";
                return refuse(ErrorCode::TooMany, text);
            }
        }
        self.payers.count_claim(account, now.instant);
        let owner = self.owners.claim(id.clone(), hash, from, account, &mut self.payers);
        self.ids.insert(id.clone(), Holder::Owner(owner));
        self.presence.changed(&id, true);
        self.complete_join(from, id, Some(owner), false, now);
        Ok(())
    }

    fn join_resuming(&mut self, from: Token, id: Id, owner: OwnerToken, now: Now) {
        // The new connection first. So the id always has a client, and no watcher is told that it
        // went and came back.
        let (replaced, appeared_offline) = self.owners.resume(owner, from);
        self.owners.expect_repeats(owner, now.unix_ms, &mut self.payers);
        if let Some(replaced) = replaced {
            self.close(replaced, CloseCode::Replaced, now);
        }
        if appeared_offline {
            self.presence.changed(&id, true);
        }
        self.complete_join(from, id, Some(owner), true, now);
        if self.owners.is_stored(owner) {
            self.replay_fates(owner, now);
            self.push_held(owner);
        }
    }

    fn complete_join(
        &mut self,
        token: Token,
        id: Id,
        owner: Option<OwnerToken>,
        resumed: bool,
        now: Now,
    ) {
        let is_stored = owner.is_none_or(|owner| self.owners.is_stored(owner));
        let Some(client) = self.clients.get_mut(token) else { return };
        (client.id, client.owner) = (Some(id.clone()), owner);
        if !is_stored {
            client.awaits = Awaits::Joined;
        }
        self.clients.counters.joins += 1;
        self.clients.counters.joined += 1;
        let line = ToClient::Joined {
            id: &id,
            resumed,
            ownership: owner.map(|owner| self.owners.journal().hash_owner(owner.number())),
            held: owner.map_or(0, |owner| self.owners.unacknowledged(owner)),
            hold: self.limits.hold.as_secs(),
            max_message: self.limits.message_bytes_max,
        };
        match owner {
            // The answer to the claim waits already, and finds its way to this connection.
            Some(_) if !is_stored && resumed => {}
            Some(owner) if !is_stored => self.defer_joined(owner, &line),
            _ => self.answer(token, &line, now),
        }
    }

    /// Disconnects the client, and frees its id.
    pub(super) fn leave(&mut self, from: &Sender, now: Now) -> Result<(), Refusal> {
        if let Some(owner) = from.owner {
            if !self.can_record(from.account) {
                return refuse(ErrorCode::TooMany, DISK_BUSY);
            }
            self.release(owner, now);
            if self.defer_close(from.token, owner) {
                return Ok(());
            }
        }
        self.close(from.token, CloseCode::Normal, now);
        Ok(())
    }

    // ---- messages ----

    /// Routes a message to its recipient, or answers a repeated send as it was answered before.
    pub(super) fn send(
        &mut self,
        from: &Sender,
        to: &str,
        body: &str,
        reference: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        // Only an owner is recognized after its connection was lost, so only an owner's sends are
        // remembered.
        let repeatable = from.owner.zip(reference).map(|(owner, reference)| {
            (owner, self.owners.journal().hash_send(reference, to, body))
        });
        if let (Some((owner, hash)), Some(reference)) = (repeatable, reference)
            && let Some(sent) = self.owners.find_send(owner, hash).cloned()
        {
            self.answer_repeated(from, reference, sent, now);
            return Ok(());
        }
        let recipient = self.recipient(from, to)?;
        let leaves_change = repeatable.is_some() || recipient.owner().is_some();
        if leaves_change && !self.can_record(from.account) {
            return refuse(ErrorCode::Full, DISK_BUSY);
        }
        let (mid, at) = (self.prefixes.mid(self.mid + 1), now.unix_ms);
        let held = self.route_body(from, to, recipient, body, mid, now)?;
        self.mid = mid.count;
        self.clients.counters.messages += 1;
        if let Some((owner, hash)) = repeatable
            && let Some(to) = self.id_of(recipient).cloned()
        {
            let sent = Sent { mid: mid.count, at, to, held, fate: Fate::Open };
            self.owners.remember_send(owner, hash, sent, &mut self.payers);
        }
        if let Some(reference) = reference {
            let line = ToClient::Sent { reference, mid, at, held };
            if !(leaves_change && self.defer(from.holder(), &line)) {
                self.answer(from.token, &line, now);
            }
        }
        Ok(())
    }

    /// Makes a message of a body and routes it. A long body is not copied on the way to the line.
    fn route_body(
        &mut self,
        from: &Sender,
        to: &str,
        recipient: Holder,
        body: &str,
        mid: Mid,
        now: Now,
    ) -> Result<bool, Refusal> {
        let at = now.unix_ms;
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let held = if body.len() < SEPARATE_BODY_BYTES {
            ToClient::Message { from: &from.id, body, mid, at }.write(&mut line);
            self.route(from, to, recipient, mid, &line[..], now)
        } else {
            let body_at = put_message_around(&mut line, &from.id, mid, at);
            let pieces = Pieces([&line[..body_at], body.as_bytes(), &line[body_at..]]);
            self.route(from, to, recipient, mid, pieces, now)
        };
        self.line = line;
        held
    }

    fn answer_repeated(&mut self, from: &Sender, reference: &str, sent: Sent, now: Now) {
        let Sent { mid: count, at, to, held, fate } = sent;
        if count > self.stored_mid() {
            // Its answer waits for the disk, and finds its way to this connection.
            return;
        }
        let mid = self.prefixes.mid(count);
        self.answer(from.token, &ToClient::Sent { reference, mid, at, held }, now);
        // An earlier report may have meant nothing to the client: it had not read which mid its
        // message has.
        if fate != Fate::Expiring {
            self.report_fate(from.holder(), &to, &[count], fate, now);
        }
    }

    /// Puts a message into the recipient's outbox, or holds it for an owned id. Returns `true` if
    /// the recipient is away.
    fn route<'l>(
        &mut self,
        from: &Sender,
        to: &str,
        recipient: Holder,
        mid: Mid,
        line: impl Into<Pieces<'l>> + Copy,
        now: Now,
    ) -> Result<bool, Refusal> {
        match recipient {
            Holder::Client(token) if self.clients.push(token, line, Urgency::Now) => Ok(false),
            Holder::Client(token) => {
                self.close(token, CloseCode::TryAgainLater, now);
                let text = format!("{to} was too slow to read and has been disconnected");
                refuse(ErrorCode::Slow, text)
            }
            Holder::Owner(owner) => {
                let origin = Origin { id: &from.id, holder: from.holder(), account: from.account };
                match self.owners.hold(owner, mid.count, &origin, line, &mut self.payers) {
                    Ok(()) => {
                        self.offer_when_stored(owner);
                        Ok(!self.push_held(owner))
                    }
                    Err(limit) => refuse(ErrorCode::Full, full(&limit, to)),
                }
            }
        }
    }

    /// Passes a signal on. One that cannot be delivered now is dropped without an answer: it is of
    /// no use later, and its sender does not wait for one. That includes a signal that would
    /// overtake held messages.
    pub(super) fn signal(
        &mut self,
        from: &Sender,
        to: &str,
        body: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        match self.recipient(from, to) {
            Ok(Holder::Owner(owner)) if self.owners.has_lines_to_offer(owner) => Ok(()),
            Ok(holder) => {
                if let Some(token) = self.client_of(holder) {
                    let line = ToClient::Signal { from: &from.id, body };
                    self.push(token, &line, Urgency::Yielding, now);
                }
                Ok(())
            }
            Err(Refusal { code: ErrorCode::Offline, .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Notes that messages of `to` have reached the page of `from`.
    pub(super) fn ack(
        &mut self,
        from: &Sender,
        to: &str,
        mids: &MidList<'_>,
        now: Now,
    ) -> Result<(), Refusal> {
        if !Id::is_valid(to) {
            return refuse(ErrorCode::BadId, BAD_ID);
        }
        match from.owner {
            Some(owner) => self.acknowledge_held(owner, &from.id, to, mids, now),
            None => self.pass_ack_on(from, to, mids, now),
        }
        Ok(())
    }

    // ---- watches and blocks ----

    /// Tells a client which of these ids are online, now and at each change.
    pub(super) fn watch(
        &mut self,
        from: &Sender,
        ids: &[Cow<'_, str>],
        now: Now,
    ) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        let new = wanted.iter().filter(|id| !self.presence.watches(from.token, id)).count();
        if self.presence.count(from.token) + new > WATCHED_MAX {
            let text = format!("you can watch {WATCHED_MAX} ids: unwatch some first");
            return refuse(ErrorCode::TooMany, text);
        }
        self.payers.check(from.account, Total::Watches, new).or_else(|excess| {
            let text = match excess {
                Excess::Payer => "too many ids are watched from your network: unwatch some first",
                Excess::Total => "too many ids are watched on this server: try again later",
            };
            refuse(ErrorCode::TooMany, text)
        })?;
        self.payers.take(from.account, Total::Watches, new);
        for id in &wanted {
            let (online, seen) = (self.appears_online(id), self.appears_online_to(id, from.token));
            self.presence.watch(from.token, id, online, seen);
        }
        // Answers come after all watches, because an answer that does not fit removes the client
        // from all tables.
        for id in &wanted {
            let online = self.appears_online_to(id, from.token);
            self.answer(from.token, &ToClient::Presence { id, online }, now);
        }
        Ok(())
    }

    /// Stops telling a client about these ids.
    pub(super) fn unwatch(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        for id in &parse_ids(ids)? {
            let ended = self.presence.unwatch(from.token, id);
            self.payers.give(from.account, Total::Watches, usize::from(ended));
        }
        Ok(())
    }

    /// Refuses messages from these ids, and appears offline to them.
    pub(super) fn block(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        let Some(blocked) = self.blocked(from.holder()) else { return Ok(()) };
        let new = wanted.iter().filter(|id| !blocked.contains(id)).count();
        // A page names all that it blocks after each join: that changes nothing.
        if new > 0 && from.owner.is_some() && !self.can_record(from.account) {
            return refuse(ErrorCode::TooMany, DISK_BUSY);
        }
        if blocked.len() + new > BLOCKED_MAX {
            let text = format!("you can block {BLOCKED_MAX} ids: unblock some first");
            return refuse(ErrorCode::TooMany, text);
        }
        let account = self.account_of_id(from);
        self.payers.check(account, Total::Blocks, new).or_else(|excess| {
            let text = match excess {
                Excess::Payer => "too many ids are blocked from your network: unblock some first",
                Excess::Total => "too many ids are blocked on this server: try again later",
            };
            refuse(ErrorCode::TooMany, text)
        })?;
        self.payers.take(account, Total::Blocks, new);
        match from.owner {
            Some(owner) => self.owners.block(owner, wanted),
            None => self.clients.block(from.token, wanted),
        }
        // The round over the watchers finds those that the id appears offline to from now on.
        self.presence.changed(&from.id, true);
        Ok(())
    }

    /// Ends the block of these ids.
    pub(super) fn unblock(&mut self, from: &Sender, ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
        let wanted = parse_ids(ids)?;
        let blocked = self.blocked(from.holder());
        let ends = blocked.is_some_and(|blocked| wanted.iter().any(|id| blocked.contains(id)));
        if ends && from.owner.is_some() && !self.can_record(from.account) {
            return refuse(ErrorCode::TooMany, DISK_BUSY);
        }
        let ended = match from.owner {
            Some(owner) => self.owners.unblock(owner, &wanted),
            None => self.clients.unblock(from.token, &wanted),
        };
        self.payers.give(self.account_of_id(from), Total::Blocks, ended);
        self.presence.changed(&from.id, true);
        Ok(())
    }

    /// Returns the account that pays for the blocks and the card of a client: they last as long as
    /// its ownership.
    pub(super) fn account_of_id(&self, from: &Sender) -> AccountKey {
        from.owner.and_then(|owner| self.owners.account(owner)).unwrap_or(from.account)
    }

    // ---- recipients ----

    /// Returns the holder of the id `to`, unless it blocks the sender.
    fn recipient(&mut self, from: &Sender, to: &str) -> Result<Holder, Refusal> {
        let holder = match self.clients.cached_holder(from.token, to) {
            Some(holder) => Some(holder),
            None => {
                let holder = self.ids.get(to).copied();
                holder.inspect(|holder| self.cache_recipient(from.token, *holder))
            }
        };
        match holder {
            Some(holder) if !self.holder_blocks(holder, &from.id) => Ok(holder),
            // An id with a holder is valid; only for others the letters have to be checked.
            None if !Id::is_valid(to) => refuse(ErrorCode::BadId, BAD_ID),
            _ => refuse(ErrorCode::Offline, format!("{to} is not here")),
        }
    }

    fn cache_recipient(&mut self, from: Token, holder: Holder) {
        if let Some(to) = self.client_of(holder)
            && let Some(client) = self.clients.get_mut(from)
        {
            client.cached_recipient = to.key() as u32;
        }
    }
}

/// Returns the sentence for a message to `to` that this limit keeps from being held.
fn full(limit: &HeldLimit, to: &str) -> String {
    match limit {
        HeldLimit::Queue => format!("too much waits for {to} already: try again later"),
        HeldLimit::QueueShare => {
            format!("too much from your network waits for {to} already: try again later")
        }
        HeldLimit::Payer => "too much from your network waits already: try again later".into(),
        HeldLimit::Total => "too much waits on this server already: try again later".into(),
    }
}

pub(super) fn parse_id(id: &str) -> Result<Id, Refusal> {
    Id::new(id).map_or_else(|| refuse(ErrorCode::BadId, BAD_ID), Ok)
}

/// Returns the ids of a list, sorted, each once.
fn parse_ids(ids: &[Cow<'_, str>]) -> Result<Vec<Id>, Refusal> {
    let mut set = ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<Id>, Refusal>>()?;
    set.sort_unstable();
    set.dedup();
    Ok(set)
}
