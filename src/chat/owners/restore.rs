//! Ownerships as a store has kept them, and the way back into memory at the start of the program.
//!
//! **Invariants**
//! - Nothing is recorded, because the store has it already, and no limit drops anything: an option
//!   may have been lowered since.
//! - An ownership has the number that it had before, so messages and sends that name it find it,
//!   and never a later holder of its id.
//! - After [`Owners::finish_restore`] the indexes and pools are as if all had happened in this run.
//!
//! Files and databases are not known here.

use super::sends::reserve_for_one;
use super::*;
use crate::limits::RESTART_GRACE;
use crate::memory::Payer;

/// An ownership, as a store has kept it.
#[derive(Clone, Debug)]
pub struct SavedOwner {
    /// Its number.
    pub number: u64,
    /// Its id.
    pub id: Id,
    /// The SHA-256 of its key.
    pub key_hash: [u8; 32],
    /// The number of its payer; `None`: exempt.
    pub payer: Option<u64>,
    /// The time at which its client went away, in milliseconds of the uptime; `None`: it was
    /// connected when the server stopped.
    pub away_ms: Option<u64>,
    /// The ids that it blocks.
    pub blocked: Vec<Id>,
    /// Its card.
    pub card: Option<String>,
}

/// A message, as a store has kept it.
#[derive(Clone, Debug)]
pub struct SavedMessage<'a> {
    /// The count of its mid.
    pub mid: u64,
    /// The number of its sender's ownership; `None`: a client without a key.
    pub sender: Option<u64>,
    /// The message as it is held for its recipient.
    pub held: Option<SavedHeld<'a>>,
    /// The message as its sender's ownership remembers it.
    pub sent: Option<SavedSend>,
}

/// The held part of a message.
#[derive(Clone, Debug)]
pub struct SavedHeld<'a> {
    /// The number of the recipient's ownership.
    pub owner: u64,
    /// The id of the sender.
    pub from: Id,
    /// The number of the payer; `None`: exempt.
    pub payer: Option<u64>,
    /// The line.
    pub line: &'a [u8],
}

/// The remembered part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSend {
    /// The hash that finds it.
    pub hash: u64,
    /// The time at which the server took it, in milliseconds since 1970 UTC.
    pub at: u64,
    /// The id of its recipient.
    pub to: Id,
    /// Whether it was answered with `"held":true`.
    pub held: bool,
    /// Its fate.
    pub fate: Fate,
}

impl<J: Journal> Owners<J> {
    /// Adds the ownerships that a store has kept, to an empty table. All are away. `generation` is
    /// that of the newest ownership of all runs.
    pub fn restore_owners(
        &mut self,
        saved: Vec<SavedOwner>,
        generation: u32,
        now: Instant,
        payers: &mut Payers,
    ) {
        self.expire_from = Some(now + RESTART_GRACE);
        let uptime = self.journal.uptime();
        let entries = saved.into_iter().map(|saved| {
            let since = saved.away_ms.zip(uptime).map_or(now, |(ms, uptime)| uptime.instant(ms));
            let card = saved.card.as_deref().map_or_else(Card::default, Card::new);
            let charges = [
                (Total::Owned, 1),
                (Total::Blocks, saved.blocked.len()),
                (Total::Cards, card.bytes()),
            ];
            let account = charge(saved.payer, payers, charges);
            let mut blocked = Blocked::default();
            blocked.insert_all(saved.blocked);
            let owner = Owner {
                id: saved.id,
                account,
                key_hash: KeyHash(saved.key_hash),
                client: ClientState::Away { since, online_until: None },
                is_stored: true,
                timer: Timer::default(),
                held: Held::default(),
                hashes: VecDeque::new(),
                sends: VecDeque::new(),
                kept_sends: 0,
                resumed_at: 0,
                blocked,
                card,
            };
            (OwnerToken::from_number(saved.number).0, owner)
        });
        self.slots = Slots::restore(entries, generation);
    }

    /// Adds a message. Its ownerships must have been added before, and all older messages. Returns
    /// `false`, and adds nothing, if it is held for an ownership that was not.
    pub fn restore_message(&mut self, saved: SavedMessage<'_>, payers: &mut Payers) -> bool {
        let SavedMessage { mid, sender, held, sent } = saved;
        let sender = sender.map(OwnerToken::from_number);
        if let Some(SavedHeld { owner, from, payer, line }) = held {
            let owner = OwnerToken::from_number(owner);
            let Some(entry) = self.slots.get_mut(owner.0) else { return false };
            let bytes = HELD_BYTES + line.len();
            let account = charge(payer, payers, [(Total::Held, bytes)]);
            let holder = sender.map_or(Holder::Client(Token::NONE), Holder::Owner);
            entry.held.push(mid, &Origin { id: &from, holder, account }, line);
        }
        if let Some((sender, SavedSend { hash, at, to, held, fate })) = sender.zip(sent)
            && let Some(entry) = self.slots.get_mut(sender.0)
        {
            payers.take(entry.account, Total::Sends, SEND_BYTES);
            reserve_for_one(&mut entry.hashes);
            reserve_for_one(&mut entry.sends);
            entry.hashes.push_back(hash);
            entry.sends.push_back(Sent { mid, at, to, held, fate });
        }
        true
    }

    /// Brings indexes, deadlines and pools in line with the restored entries.
    pub fn finish_restore(&mut self) {
        let owners: Vec<OwnerToken> =
            self.slots.iter().map(|(token, _)| OwnerToken(token)).collect();
        for owner in owners {
            let Some(entry) = self.slots.get_mut(owner.0) else { continue };
            self.pool.reclaim(&mut entry.held);
            if let ClientState::Away { since, .. } = entry.client {
                if entry.held.is_empty() {
                    self.evictable.insert((since, owner));
                }
                if !entry.sends.is_empty() {
                    self.forgettable.insert((since, owner));
                }
            }
            self.schedule(owner);
        }
    }

    /// Iterates over the ids and the ownerships of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, OwnerToken)> {
        self.slots.iter().map(|(token, entry)| (&entry.id, OwnerToken(token)))
    }
}

/// Charges the account of a payer, which may have no client, and returns it.
fn charge<const N: usize>(
    payer: Option<u64>,
    payers: &mut Payers,
    charges: [(Total, usize); N],
) -> AccountKey {
    let account = payers.open(payer.map(|number| Payer::new(number as usize)));
    charges.into_iter().for_each(|(total, amount)| payers.take(account, total, amount));
    payers.close(account);
    account
}
