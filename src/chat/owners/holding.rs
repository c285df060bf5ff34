//! Holding messages for ownerships: limits, the way to a client, acknowledgements, memory.
//!
//! **Invariants**
//! - Each held message is charged to its sender's account until it is acknowledged or dropped.
//! - A queue is on `fragmented` if it may have gaps, and is compact after `sweep`.
//!
//! The layout of a queue is not known here ([`Held`](super::held)).

use super::*;

impl<J: Journal> Owners<J> {
    /// Holds a message, or returns the limit that it would exceed.
    pub fn hold<'l>(
        &mut self,
        owner: OwnerToken,
        mid: u64,
        origin: &Origin<'_>,
        line: impl Into<Pieces<'l>>,
        payers: &mut Payers,
    ) -> Result<(), HeldLimit> {
        let line = line.into();
        let bytes = HELD_BYTES + line.len();
        if self.check_held(owner, origin.account, bytes, payers).is_err() {
            self.compact_all(payers);
            self.compact(owner, GAPS_SHARE_WHEN_FULL, payers);
            self.check_held(owner, origin.account, bytes, payers)?;
        }
        let Some(entry) = self.slots.get_mut(owner.0) else { return Err(HeldLimit::Queue) };
        if entry.held.is_empty()
            && let ClientState::Away { since, .. } = entry.client
        {
            self.evictable.remove(&(since, owner));
        }
        if entry.held.counted_bytes() == 0 && matches!(entry.client, ClientState::Connected(_)) {
            entry.held = self.pool.take();
        }
        entry.held.push(mid, origin, line);
        payers.take(origin.account, Total::Held, bytes);
        if J::RECORDS {
            self.journal.record(&Change::Held {
                mid,
                owner: owner.number(),
                from: origin.id,
                sender: origin.holder.owner().map(OwnerToken::number),
                payer: payers.payer_number(origin.account),
                line,
            });
        }
        Ok(())
    }

    /// Checks the limits of held messages for one more of this many bytes.
    fn check_held(
        &self,
        owner: OwnerToken,
        account: AccountKey,
        bytes: usize,
        payers: &Payers,
    ) -> Result<(), HeldLimit> {
        let Some(entry) = self.get(owner) else { return Err(HeldLimit::Queue) };
        let is_here = matches!(entry.client, ClientState::Connected(_));
        let budget = payers.budget(Total::Held);
        let (reserve, reserved) = if is_here { (0, 0) } else { (HELD_RESERVE, budget.total()) };
        let left = budget.left().saturating_sub(reserved.checked_div(reserve).unwrap_or(0));
        if bytes > payers.payer_left(account, Total::Held, reserve) {
            return Err(HeldLimit::Payer);
        }
        // As the total fills, long queues are refused first.
        let queue_max = self.bytes_max.min(left / 4);
        let queue = entry.held.counted_bytes() + bytes;
        if queue > queue_max {
            return Err(if queue > self.bytes_max { HeldLimit::Queue } else { HeldLimit::Total });
        }
        // No look at the payers while half of the queue is free.
        if queue > queue_max / 2 && account != AccountKey::EXEMPT {
            let own = entry.held.bytes_of(account) + bytes;
            let others = queue - own;
            if own > (queue_max - others) / 2 {
                return Err(HeldLimit::QueueShare);
            }
        }
        Ok(())
    }

    /// Returns `true` if a held message has not yet reached the outbox of the owner's client.
    pub fn has_lines_to_offer(&mut self, owner: OwnerToken) -> bool {
        self.get_mut(owner).is_some_and(|entry| entry.held.next_line(u64::MAX).is_some())
    }

    /// Offers held lines to `accept`, oldest first, with the connection they are for. Starts at the
    /// first that was not accepted on this connection, and stops behind `newest_mid`, or when
    /// `accept` returns `false`.
    ///
    /// Returns `false` if the owner's client is away.
    pub fn offer_lines(
        &mut self,
        owner: OwnerToken,
        newest_mid: u64,
        mut accept: impl FnMut(Token, &[u8]) -> bool,
    ) -> bool {
        let Some(Owner { client: ClientState::Connected(client), held, .. }) = self.get_mut(owner)
        else {
            return false;
        };
        while held.next_line(newest_mid).is_some_and(|line| accept(*client, line)) {
            held.advance();
        }
        true
    }

    /// Returns the number of held messages that are not acknowledged.
    pub fn unacknowledged(&self, owner: OwnerToken) -> usize {
        self.get(owner).map_or(0, |entry| entry.held.len())
    }

    /// Forgets the messages from `from` that have these mids, and appends the sender and mid of
    /// each to `acknowledged`. Mids that are not held are skipped.
    pub fn acknowledge(
        &mut self,
        owner: OwnerToken,
        from: &str,
        mids: impl Iterator<Item = u64>,
        acknowledged: &mut Vec<(Holder, u64)>,
    ) {
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        acknowledged.extend(mids.filter_map(|mid| {
            let sender = entry.held.acknowledge(mid, from)?;
            self.journal.record(&Change::Unheld { mid });
            Some((sender, mid))
        }));
        if self.fragmented.last() != Some(&owner) {
            self.fragmented.push(owner);
        }
    }

    /// Gives memory of acknowledged messages and released ids back. For the end of a turn: in the
    /// middle of one, more of both often follow.
    pub fn sweep(&mut self, payers: &mut Payers) {
        self.compact_all(payers);
        tighten(&mut self.fragmented, TABLE_CAPACITY_MIN);
        self.slots.shrink();
    }

    fn compact_all(&mut self, payers: &mut Payers) {
        while let Some(owner) = self.fragmented.pop() {
            self.compact(owner, GAPS_SHARE, payers);
        }
    }

    /// Closes the gaps between held messages if they are at least one part in `share` of all.
    fn compact(&mut self, owner: OwnerToken, share: usize, payers: &mut Payers) {
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        entry.held.compact(share, |account, bytes| payers.give(account, Total::Held, bytes));
        if entry.held.counted_bytes() == 0 {
            self.pool.put(std::mem::take(&mut entry.held));
        } else {
            self.pool.charge_spare(&mut entry.held);
        }
    }
}
