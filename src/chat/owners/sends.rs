//! The sends that each ownership remembers, so that a repeated one is answered again and not routed
//! again.
//!
//! **Invariants**
//! - `hashes` and `sends` of an ownership have the same order, oldest first, and the same length.
//! - The first `kept_sends` of them are from before the present connection, [`SENDS_MAX`] at most,
//!   and so are the others. A new send never pushes one out that may be repeated yet.
//! - A fate is recorded once.
//!
//! The hash that finds a send, and the lines that answer it, are not known here.

use std::collections::VecDeque;

use super::{Fate, Owner, OwnerToken, Owners, Sent};
use crate::chat::journal::{Change, Journal};
use crate::chat::payers::{Excess, Payers, Total};
use crate::limits::{REPEATS, SEND_BYTES, SENDS_MAX};
use crate::token::Slots;

impl<J: Journal> Owners<J> {
    /// Returns the remembered send with this hash.
    pub fn find_send(&self, owner: OwnerToken, hash: u64) -> Option<&Sent> {
        let entry = self.get(owner)?;
        let index = entry.hashes.iter().position(|known| *known == hash)?;
        entry.sends.get(index)
    }

    /// Keeps the last [`SENDS_MAX`] sends for a client that came back at `unix_ms` and may repeat
    /// them.
    #[cold]
    pub fn expect_repeats(&mut self, owner: OwnerToken, unix_ms: u64, payers: &mut Payers) {
        let Some(entry) = self.slots.get(owner.0) else { return };
        self.forget_oldest(owner, entry.sends.len().saturating_sub(SENDS_MAX), payers);
        if let Some(entry) = self.slots.get_mut(owner.0) {
            entry.kept_sends = entry.sends.len() as u8;
            entry.resumed_at = seconds(unix_ms);
        }
    }

    #[cold]
    fn forget_oldest(&mut self, owner: OwnerToken, count: usize, payers: &mut Payers) {
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        for _ in 0..count {
            let Some((sent, _)) = take_out(&mut entry.sends, &mut entry.hashes, 0) else { break };
            self.journal.record(&Change::Forgotten { mid: sent.mid });
            entry.kept_sends = entry.kept_sends.saturating_sub(1);
            payers.give(entry.account, Total::Sends, SEND_BYTES);
        }
    }

    /// Remembers a send. If there are [`SENDS_MAX`] of this connection already, the oldest of them
    /// is forgotten.
    ///
    /// If the total is used up, the sends of the ownership that is away longest are forgotten for
    /// it. If none is away, or the account has its share, this ownership's own oldest is. Without
    /// one the new send is not remembered: a repeat of it will be routed a second time.
    pub fn remember_send(&mut self, owner: OwnerToken, hash: u64, sent: Sent, payers: &mut Payers) {
        let Some(&Owner { ref sends, kept_sends, resumed_at, .. }) = self.get(owner) else {
            return;
        };
        let mut kept = usize::from(kept_sends);
        // There may be more after a restart with a store, which does not know the break.
        let is_full = sends.len() - kept >= SENDS_MAX;
        if is_full && seconds(sent.at).wrapping_sub(resumed_at) > REPEATS.as_secs() as u16 {
            self.forget_oldest(owner, kept, payers);
            kept = 0;
        }
        let Some(&Owner { account, .. }) = self.get(owner) else { return };
        let makes_room = is_full
            || match payers.check(account, Total::Sends, SEND_BYTES) {
                Ok(()) => false,
                Err(Excess::Total) => !self.forget_longest_away(payers),
                Err(Excess::Payer) => true,
            };
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        let mut oldest = None;
        if makes_room {
            let index = if is_full { kept } else { 0 };
            oldest = take_out(&mut entry.sends, &mut entry.hashes, index);
            if oldest.is_none() {
                return;
            }
            entry.kept_sends -= u8::from(index < kept);
        } else {
            payers.take(account, Total::Sends, SEND_BYTES);
        }
        self.journal.record(&Change::Remembered {
            mid: sent.mid,
            sender: owner.number(),
            hash,
            at: sent.at,
            to: &sent.to,
            held: sent.held,
        });
        if let Some((oldest, _)) = oldest {
            self.journal.record(&Change::Forgotten { mid: oldest.mid });
        }
        reserve_for_one(&mut entry.hashes);
        reserve_for_one(&mut entry.sends);
        entry.hashes.push_back(hash);
        entry.sends.push_back(sent);
    }

    /// Forgets all sends of the ownership that is away longest. Returns `false` if there is none.
    fn forget_longest_away(&mut self, payers: &mut Payers) -> bool {
        let Some((_, owner)) = self.forgettable.pop_first() else { return false };
        let Some(entry) = self.slots.get_mut(owner.0) else { return false };
        payers.give(entry.account, Total::Sends, SEND_BYTES * entry.sends.len());
        if J::RECORDS {
            for sent in &entry.sends {
                self.journal.record(&Change::Forgotten { mid: sent.mid });
            }
        }
        (entry.hashes, entry.sends, entry.kept_sends) = Default::default();
        true
    }

    /// Records the fate of a send to `to`: delivered, or else expired. Returns `false` if the send
    /// is not remembered, or its fate is decided already.
    pub fn record_fate(&mut self, owner: OwnerToken, to: &str, mid: u64, fate: Fate) -> bool {
        let Some(sent) = find_sent(&mut self.slots, owner, mid) else { return false };
        if *sent.to != *to || sent.fate != Fate::Open {
            return false;
        }
        let expired = fate != Fate::Delivered;
        sent.fate = match fate {
            Fate::Expired if J::RECORDS => Fate::Expiring,
            fate => fate,
        };
        self.journal.record(&Change::Decided { mid, expired });
        true
    }

    /// Notes that it is on disk that a send has expired.
    pub fn mark_expired(&mut self, owner: OwnerToken, mid: u64) {
        if let Some(sent) = find_sent(&mut self.slots, owner, mid)
            && sent.fate == Fate::Expiring
        {
            sent.fate = Fate::Expired;
        }
    }

    /// Iterates over the remembered sends, oldest first.
    pub fn sends(&self, owner: OwnerToken) -> impl Iterator<Item = &Sent> {
        self.get(owner).into_iter().flat_map(|entry| &entry.sends)
    }
}

/// Takes a send and its hash out. The oldest costs nothing. In the first minute of a connection it
/// has up to [`SENDS_MAX`] from before in front of it, which move by one place.
fn take_out(
    sends: &mut VecDeque<Sent>,
    hashes: &mut VecDeque<u64>,
    index: usize,
) -> Option<(Sent, u64)> {
    for at in (0..index).rev() {
        sends.swap(at, at + 1);
        hashes.swap(at, at + 1);
    }
    sends.pop_front().zip(hashes.pop_front())
}

/// Returns the low half of a time in seconds: it goes round in 18 hours. By chance sends may then
/// be kept for a minute that nothing will repeat.
fn seconds(unix_ms: u64) -> u16 {
    (unix_ms / 1000) as u16
}

fn find_sent(slots: &mut Slots<Owner>, owner: OwnerToken, mid: u64) -> Option<&mut Sent> {
    let entry = slots.get_mut(owner.0)?;
    let index = entry.sends.binary_search_by_key(&mid, |sent| sent.mid).ok()?;
    entry.sends.get_mut(index)
}

/// Reserves capacity for one more entry, and spares a quarter at most, as [`SEND_BYTES`] counts.
pub(super) fn reserve_for_one<T>(list: &mut VecDeque<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
}
