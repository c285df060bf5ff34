//! The calls of backends: a message in the name of an id without a connection, a look at presence,
//! the end of a connection.
//!
//! **Invariants**
//! - The id in whose name a message is sent is owned, so the message is remembered by its `ref`,
//!   and answers to that id are held. The first message claims it; it then looks offline.
//! - A message is promised once it would survive a power cut: [`Posted::waits_for`].
//! - A refused message changes nothing, but that its sender's id may be claimed by it.
//!
//! The way in which a call comes and its answer leaves is not known here.

use std::borrow::Cow;

use super::Hub;
use super::requests::{DISK_BUSY, Refusal, Sender, parse_id, refuse};
use crate::chat::journal::Journal;
use crate::chat::owners::{Departure, Fate, Holder, KeyHash, OwnerToken};
use crate::chat::payers::AccountKey;
use crate::chat::protocol::{CloseCode, ErrorCode, Id, Mid, Post, ToClient};
use crate::time::Now;
use crate::token::Token;

/// A message of a backend that the hub has taken, now or when it came for the first time.
#[derive(Debug)]
pub struct Posted {
    /// The name of the message.
    pub mid: Mid,
    /// The time at which it was taken, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Whether the recipient was away.
    pub held: bool,
    /// Its fate, as far as it is known.
    pub fate: Fate,
    /// The mid that has to be on disk before the message is promised ([`Hub::has_stored`]).
    pub waits_for: Option<u64>,
}

/// The reason why a call was refused.
#[derive(Debug)]
pub struct Refused {
    /// The reason, for programs.
    pub code: ErrorCode,
    /// The reason and the remedy, for people.
    pub text: Cow<'static, str>,
}

impl<J: Journal> Hub<J> {
    /// Sends a message in the name of the id `post.from`, which is claimed with the first of
    /// `keys`, or owned by one of them. `caller` is a token that no client has.
    ///
    /// # Errors
    /// If the message is refused.
    pub fn post(
        &mut self,
        caller: Token,
        post: &Post<'_>,
        keys: &[String],
        now: Now,
    ) -> Result<Posted, Refused> {
        let posted = self.take_post(caller, post, keys, now);
        posted.map_err(|refusal| self.refused(refusal))
    }

    /// Returns `true` if all messages up to this mid are on disk.
    pub fn has_stored(&self, mid: u64) -> bool {
        mid <= self.stored_mid()
    }

    /// Returns `true` if an id appears online, to watchers that its holder does not block.
    ///
    /// # Errors
    /// If it is no id.
    pub fn is_online(&mut self, id: &str) -> Result<bool, Refused> {
        parse_id(id).map(|id| self.appears_online(&id)).map_err(|refusal| self.refused(refusal))
    }

    /// Disconnects the client of an id. Returns `false` if there is none.
    ///
    /// # Errors
    /// If it is no id.
    pub fn disconnect(&mut self, id: &str, now: Now) -> Result<bool, Refused> {
        let id = parse_id(id).map_err(|refusal| self.refused(refusal))?;
        let client = self.ids.get(&id).copied().and_then(|holder| self.client_of(holder));
        if let Some(token) = client {
            self.close(token, CloseCode::Dismissed, now);
        }
        Ok(client.is_some())
    }

    fn refused(&mut self, Refusal { code, text }: Refusal) -> Refused {
        self.clients.counters.refusals[code as usize] += 1;
        Refused { code, text }
    }

    fn take_post(
        &mut self,
        caller: Token,
        post: &Post<'_>,
        keys: &[String],
        now: Now,
    ) -> Result<Posted, Refusal> {
        let Post { from, to, body, reference } = post;
        let (id, owner) = self.owner_for(caller, from, keys, now)?;
        let sender = Sender { token: caller, id, owner: Some(owner), account: AccountKey::EXEMPT };
        let repeatable = self.repeatable(&sender, to, body, reference.as_deref());
        let known = repeatable.and_then(|(owner, hash)| self.owners.find_send(owner, hash));
        let posted = if let Some(sent) = known {
            let mid = self.prefixes.mid(sent.mid);
            Posted { mid, at: sent.at, held: sent.held, fate: sent.fate, waits_for: Some(sent.mid) }
        } else {
            let taken = self.take(&sender, to, body, repeatable, now)?;
            let waits_for = taken.leaves_change.then_some(taken.mid.count);
            let fate = Fate::Open;
            Posted { mid: taken.mid, at: taken.at, held: taken.held, fate, waits_for }
        };
        self.owners.note_use(owner, now.instant);
        let waits_for = posted.waits_for.filter(|mid| !self.has_stored(*mid));
        if waits_for.is_some() {
            self.commit_soon(now);
        }
        Ok(Posted { waits_for, ..posted })
    }

    /// Returns the ownership of an id that one of these keys owns. A free id is claimed with the
    /// first.
    fn owner_for(
        &mut self,
        caller: Token,
        id: &str,
        keys: &[String],
        now: Now,
    ) -> Result<(Id, OwnerToken), Refusal> {
        let id = parse_id(id)?;
        let mut hashes = keys.iter().map(|key| KeyHash::of(key));
        match (self.ids.get_key_value(&id), keys.first()) {
            (Some((id, Holder::Owner(owner))), _)
                if hashes.any(|hash| self.owners.key_matches(*owner, &hash)) =>
            {
                Ok((id.clone(), *owner))
            }
            (None, Some(key)) => {
                let owner = self.claim_for(caller, &id, KeyHash::of(key), now)?;
                Ok((id, owner))
            }
            _ => refuse(ErrorCode::IdTaken, "somebody else has this id: send from another"),
        }
    }

    /// Claims a free id for a client that is away.
    fn claim_for(
        &mut self,
        caller: Token,
        id: &Id,
        hash: KeyHash,
        now: Now,
    ) -> Result<OwnerToken, Refusal> {
        let account = AccountKey::EXEMPT;
        if !self.can_record(account) {
            return refuse(ErrorCode::TooMany, DISK_BUSY);
        }
        self.vacate(account, now)?;
        let owner = self.owners.claim(id.clone(), hash, caller, account, &mut self.payers);
        self.ids.insert(id.clone(), Holder::Owner(owner));
        self.owners.depart(owner, caller, Departure::Normal, now.instant);
        if !self.owners.is_stored(owner) {
            // A client that joins before the claim is on disk is answered with this line.
            let line = ToClient::Joined {
                id,
                resumed: false,
                ownership: Some(self.owners.journal().hash_owner(owner.number())),
                held: 0,
                hold: self.limits.hold.as_secs(),
                max_message: self.limits.message_bytes_max,
            };
            self.defer_joined(owner, &line);
        }
        Ok(owner)
    }
}
