//! Delivery of messages: held lines go to outboxes, and senders learn the fate of each message.
//!
//! The fate of a message to an owned id, and the function that decides it:
//!
//! ```text
//!  Open ──► Delivered   acknowledge_held: its recipient acknowledged it
//!    └────► Expired     release: the ownership it was held for has ended; with a store `Expiring`
//!                       until that is on disk
//! ```
//!
//! A message to an id without a key is not held, so only its sender knows of it. An `ack` for such
//! messages is passed on unchecked (`pass_ack_on`).
//!
//! **Invariants**
//! - A fate is decided once, and reported to the holder that sent the message, never to a later
//!   holder of the same id. An `ack` from a recipient that blocks the sender decides no fate.
//! - Held lines reach an outbox in order, and fill half of it at most, so other lines still fit.
//!
//! The limits of held messages are not known here.

use super::Hub;
use super::requests::Sender;
use crate::chat::clients::Urgency;
use crate::chat::journal::Journal;
use crate::chat::owners::{Fate, Holder, OwnerToken, Sent};
use crate::chat::protocol::{Id, MidList, Mids, ToClient};
use crate::limits::{LIST_MAX, TABLE_CAPACITY_MIN};
use crate::memory::{sorted, tighten};
use crate::time::Now;

impl<J: Journal> Hub<J> {
    /// Moves held lines that are on disk to the outbox of their client, until half of it is full.
    /// Called again when lines of that outbox have left.
    ///
    /// Returns `false` if the client is away.
    pub(super) fn push_held(&mut self, owner: OwnerToken) -> bool {
        let stored_mid = self.stored_mid();
        let Hub { owners, clients, .. } = self;
        owners.offer_lines(owner, stored_mid, |token, line| {
            clients.push(token, line, Urgency::Yielding)
        })
    }

    /// Forgets held messages that their recipient has acknowledged, and reports them to their
    /// senders, unless the recipient blocks them: they would see that it is here. The recipient is
    /// `owner` with the id `id`; the senders had the id `from`.
    pub(super) fn acknowledge_held(
        &mut self,
        owner: OwnerToken,
        id: &Id,
        from: &str,
        mids: &MidList<'_>,
        now: Now,
    ) {
        let mut listed = 0;
        let counts = mids.counts(&self.prefixes).inspect(|_| listed += 1).flatten();
        let mut acknowledged = std::mem::take(&mut self.acknowledged);
        self.owners.acknowledge(owner, from, counts, &mut acknowledged);
        let list = (acknowledged.len() == listed).then_some(mids);
        if !self.owners.blocked(owner).is_some_and(|blocked| blocked.contains(from)) {
            self.report_fates(id, &mut acknowledged, Fate::Delivered, list, now);
        }
        acknowledged.clear();
        self.acknowledged = acknowledged;
    }

    /// Passes the `ack` of a client without a key on to the holder of `to`, unless one blocks the
    /// other.
    pub(super) fn pass_ack_on(&mut self, from: &Sender, to: &str, mids: &MidList<'_>, now: Now) {
        let Some(&holder) = self.ids.get(to) else { return };
        if self.blocked(from.holder()).is_some_and(|blocked| blocked.contains(to)) {
            return;
        }
        let mut newest = 0;
        if let Holder::Owner(sender) = holder {
            for mid in mids.counts(&self.prefixes).flatten() {
                // Others are not of this sender, or were told before.
                if self.owners.record_fate(sender, &from.id, mid, Fate::Delivered) {
                    newest = newest.max(mid);
                }
            }
        }
        // The list is unchecked, so it must not be able to disconnect a client: like a signal, it
        // is dropped if it does not fit.
        if let Some(token) = self.client_of(holder)
            && !self.holder_blocks(holder, &from.id)
        {
            let line = ToClient::Delivered { from: &from.id, mids: Mids::List(mids) };
            if newest > self.stored_mid() && self.defer_yielding(holder, &line) {
                return;
            }
            self.push(token, &line, Urgency::Yielding, now);
        }
    }

    /// Ends an ownership, and reports the messages that were held for it as expired.
    pub(super) fn release(&mut self, owner: OwnerToken, now: Now) {
        let Some(mut released) = self.owners.release(owner, &mut self.payers) else { return };
        self.ids.remove(&released.id);
        tighten(&mut self.ids, TABLE_CAPACITY_MIN);
        if released.appeared_online {
            self.presence.changed(&released.id, false);
        }
        self.report_fates(&released.id, &mut released.expired, Fate::Expired, None, now);
    }

    /// Records the fate of messages to `id`, and reports it to their senders, in as few lines as
    /// possible.
    ///
    /// `list` has the mids of all these messages as one line named them. If all have one sender,
    /// as in almost every case, the list is passed on as it is.
    fn report_fates(
        &mut self,
        id: &Id,
        messages: &mut [(Holder, u64)],
        fate: Fate,
        list: Option<&MidList<'_>>,
        now: Now,
    ) {
        let mut counts = std::mem::take(&mut self.counts);
        let told = if J::RECORDS && fate == Fate::Expired { Fate::Expiring } else { fate };
        // By sender, and the mids of each in order.
        if messages.iter().any(|(sender, _)| *sender != messages[0].0) {
            let sorted = sorted(messages.to_vec());
            messages.copy_from_slice(&sorted);
        }
        for group in messages.chunk_by(|(a, _), (b, _)| a == b) {
            let sender = group[0].0;
            counts.clear();
            counts.extend(group.iter().map(|(_, mid)| *mid));
            if let Holder::Owner(owner) = sender {
                for mid in &counts {
                    let is_new = self.owners.record_fate(owner, id, *mid, fate);
                    if is_new && fate == Fate::Expired {
                        self.note_expiring(owner, *mid);
                    }
                }
            }
            match list {
                Some(list) if counts.len() == messages.len() => {
                    let newest = counts.iter().copied().max().unwrap_or(0);
                    self.report(sender, id, Mids::List(list), newest, told, now);
                }
                _ => self.report_fate(sender, id, &counts, told, now),
            }
        }
        // An ownership may drop thousands of messages, once; a line names no more than a list may.
        counts.shrink_to(LIST_MAX);
        self.counts = counts;
    }

    /// Reports the fate that messages from `to` to `id` share, in lists of at most [`LIST_MAX`]
    /// mids.
    pub(super) fn report_fate(
        &mut self,
        to: Holder,
        id: &Id,
        counts: &[u64],
        fate: Fate,
        now: Now,
    ) {
        for counts in counts.chunks(LIST_MAX) {
            let prefixes = std::mem::take(&mut self.prefixes);
            let newest = counts.iter().copied().max().unwrap_or(0);
            self.report(to, id, Mids::Counts { prefixes: &prefixes, counts }, newest, fate, now);
            self.prefixes = prefixes;
        }
    }

    /// Reports the fate of some messages, of which `newest` is the newest mid.
    ///
    /// `expired` is a promise, so it waits for the disk, also for an owner that is away: it may be
    /// back by then. `delivered` is none, because a lost acknowledgement is given again: it only
    /// waits behind the `sent` of its message.
    fn report(&mut self, to: Holder, id: &Id, mids: Mids<'_>, newest: u64, fate: Fate, now: Now) {
        let (line, urgency, is_deferred) = match fate {
            Fate::Open => return,
            Fate::Delivered => {
                let line = ToClient::Delivered { from: id, mids };
                let is_early = newest > self.stored_mid() && self.client_of(to).is_some();
                let is_deferred = is_early && self.defer(to, &line);
                (line, Urgency::Gather(now.instant), is_deferred)
            }
            Fate::Expiring | Fate::Expired => {
                let line = ToClient::Expired { to: id, mids };
                let is_deferred = fate == Fate::Expiring && self.defer(to, &line);
                (line, Urgency::Now, is_deferred)
            }
        };
        if let Some(token) = self.client_of(to).filter(|_| !is_deferred) {
            self.push(token, &line, urgency, now);
        }
    }

    /// Reports all decided fates of remembered sends to their sender, which is on a new connection.
    /// Of those that are not on disk yet, the lines wait already.
    pub(super) fn replay_fates(&mut self, owner: OwnerToken, now: Now) {
        let is_decided = |fate| matches!(fate, Fate::Delivered | Fate::Expired);
        let decided = self.owners.sends(owner).filter(|sent| is_decided(sent.fate));
        let decided: Vec<Sent> = decided.cloned().collect();
        for group in decided.chunk_by(|a, b| a.fate == b.fate && a.to == b.to) {
            let counts: Vec<u64> = group.iter().map(|sent| sent.mid).collect();
            self.report_fate(Holder::Owner(owner), &group[0].to, &counts, group[0].fate, now);
        }
    }
}
