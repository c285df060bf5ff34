//! The messages held for one owned id, oldest first, each until it is acknowledged; and a pool for
//! their memory.
//!
//! All lines of a queue lie in one buffer, one behind the other, so holding a message allocates
//! nothing while the buffer has capacity. An acknowledged message leaves a gap. Gaps are closed
//! when they are half of the queue, so each byte is moved O(1) times.
//!
//! **Invariants**
//! - `messages` is in the order of arrival, so its mids ascend. The line of each message ends at
//!   its `end`, where the line of the next one begins.
//! - Messages before `next` have been accepted on the present connection.
//! - `gaps` counts the acknowledged messages in `messages`.
//! - `charges` has the counted bytes of each account but the exempt one, by account; gaps count.
//! - `bytes` of a pool is the capacity of its own queues and the sum of `charged` of all others. It
//!   never exceeds [`HELD_POOL_BYTES_MAX`].
//!
//! The owner of the messages, and the limit for them, are not known here.

use super::{Holder, Origin};
use crate::chat::outbox::Pieces;
use crate::chat::payers::AccountKey;
use crate::chat::protocol::Id;
use crate::limits::{HELD_BYTES, HELD_POOL_BYTES_MAX};

/// The held messages of one owned id.
#[derive(Debug, Default)]
pub struct Held {
    messages: Vec<Message>,
    lines: Vec<u8>,
    /// Index of the first message not yet accepted on this connection.
    next: usize,
    gaps: Gaps,
    /// The part of each payer, to be looked up by a binary search. Empty for most queues: behind a
    /// proxy all payers are exempt.
    charges: Vec<Charge>,
    /// Index behind the message that was acknowledged last, which is most often acknowledged next.
    ack_hint: usize,
    /// Bytes of this queue's capacity that count in [`HeldPool`].
    charged: usize,
}

#[derive(Debug)]
struct Message {
    /// The count of its mid.
    mid: u64,
    /// The id of its sender, or `None` once it is acknowledged.
    from: Option<Id>,
    sender: Holder,
    /// The end of its line in `lines`, which are shorter than [`QUEUE_BYTES_MAX`].
    end: u32,
    /// The account that pays for it.
    account: AccountKey,
}

/// The counted bytes of one account.
#[derive(Debug)]
struct Charge {
    account: AccountKey,
    bytes: u32,
}

/// The longest queue in bytes, as it is counted: positions in it are 32 bits, because there may be
/// hundreds of thousands.
pub const QUEUE_BYTES_MAX: usize = u32::MAX as usize;

#[derive(Debug, Default)]
struct Gaps {
    messages: usize,
    /// Bytes that these messages are counted as.
    bytes: usize,
}

/// Memory for held messages that is not counted as messages: empty queues, kept for the next owners
/// that need one, and the spare capacity of queues in use.
///
/// With it, holding a first message allocates nothing, and still an ownership without held messages
/// owns no memory. Spare capacity comes from a queue out of the pool, or is left when many messages
/// of a queue are acknowledged.
#[derive(Debug, Default)]
pub struct HeldPool {
    queues: Vec<Held>,
    bytes: usize,
}

impl HeldPool {
    /// Takes the queue that was put back last, or else one that owns no memory.
    pub fn take(&mut self) -> Held {
        self.queues.pop().unwrap_or_default()
    }

    /// Puts back a queue that is no longer needed. Its memory is kept if the pool's bound allows.
    pub fn put(&mut self, held: Held) {
        self.bytes -= held.charged;
        let charged = held.capacity_bytes();
        if charged > 0 && self.bytes + charged <= HELD_POOL_BYTES_MAX {
            let Held { mut messages, mut lines, mut charges, .. } = held;
            messages.clear();
            lines.clear();
            charges.clear();
            self.bytes += charged;
            self.queues.push(Held { messages, lines, charges, charged, ..Held::default() });
        }
    }

    /// Charges the capacity of a queue to the pool if the queue has more than its messages are
    /// counted for. If the pool's bound does not allow it, shrinks the queue instead.
    pub fn charge_spare(&mut self, held: &mut Held) {
        self.bytes -= std::mem::take(&mut held.charged);
        if held.has_spare_capacity() {
            if self.bytes + held.capacity_bytes() > HELD_POOL_BYTES_MAX {
                return held.shrink();
            }
            held.charged = held.capacity_bytes();
            self.bytes += held.charged;
        }
    }

    /// Takes the spare capacity of a queue away.
    pub fn reclaim(&mut self, held: &mut Held) {
        self.bytes -= std::mem::take(&mut held.charged);
        held.shrink();
    }
}

impl Held {
    /// Adds a message. `line` is kept as it will leave.
    pub fn push<'l>(&mut self, mid: u64, origin: &Origin<'_>, line: impl Into<Pieces<'l>>) {
        let Origin { id, holder, account } = *origin;
        let line = line.into();
        let bytes = (HELD_BYTES + line.len()) as u32;
        line.append_tightly_to(&mut self.lines);
        if self.messages.capacity() == 0 {
            // A vector would reserve four entries at first; for many owners one message is all that
            // is ever held.
            self.messages.reserve_exact(2);
        }
        let end = self.lines.len() as u32;
        self.messages.push(Message { mid, from: Some(id.clone()), sender: holder, end, account });
        self.charge(account, bytes);
    }

    /// Returns the bytes of the queue that this account pays for; 0 for the exempt one.
    pub fn bytes_of(&self, account: AccountKey) -> usize {
        self.find_charge(account).map_or(0, |index| self.charges[index].bytes as usize)
    }

    /// Iterates over all accounts that pay for this queue, each with its bytes.
    pub fn charges(&self) -> impl Iterator<Item = (AccountKey, usize)> {
        let charged: usize = self.charges.iter().map(|charge| charge.bytes as usize).sum();
        let exempt = (AccountKey::EXEMPT, self.counted_bytes() - charged);
        let others = self.charges.iter().map(|charge| (charge.account, charge.bytes as usize));
        others.chain([exempt])
    }

    fn find_charge(&self, account: AccountKey) -> Result<usize, usize> {
        self.charges.binary_search_by_key(&account, |charge| charge.account)
    }

    fn charge(&mut self, account: AccountKey, bytes: u32) {
        match self.find_charge(account) {
            _ if account == AccountKey::EXEMPT => {}
            Ok(index) => self.charges[index].bytes += bytes,
            Err(index) => {
                if self.charges.len() == self.charges.capacity() {
                    self.charges.reserve_exact(1 + self.charges.len() / 8);
                }
                self.charges.insert(index, Charge { account, bytes });
            }
        }
    }

    fn uncharge(charges: &mut Vec<Charge>, account: AccountKey, bytes: u32) {
        if let Ok(index) = charges.binary_search_by_key(&account, |charge| charge.account) {
            charges[index].bytes -= bytes;
            if charges[index].bytes == 0 {
                charges.remove(index);
            }
        }
    }

    /// Returns the next line to offer on this connection, if its message is not newer than
    /// `newest_mid`: with a store, the newest message on disk.
    pub fn next_line(&mut self, newest_mid: u64) -> Option<&[u8]> {
        // A client may acknowledge a message on this connection that it got on the one before. Such
        // a message is skipped.
        while self.messages.get(self.next)?.from.is_none() {
            self.next += 1;
        }
        let message = &self.messages[self.next];
        if message.mid > newest_mid {
            return None;
        }
        self.lines.get(self.start(self.next)..message.end as usize)
    }

    /// Marks the next line as accepted.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// Starts again at the oldest message, for a new connection.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Forgets the message `mid` from `from`, and returns its sender; `None` if it is not held.
    pub fn acknowledge(&mut self, mid: u64, from: &str) -> Option<Holder> {
        let index = match self.messages.get(self.ack_hint) {
            Some(message) if message.mid == mid => self.ack_hint,
            _ => self.messages.binary_search_by_key(&mid, |message| message.mid).ok()?,
        };
        let start = self.start(index);
        let message = &mut self.messages[index];
        message.from.take_if(|sender| **sender == *from)?;
        self.ack_hint = index + 1;
        self.gaps.messages += 1;
        self.gaps.bytes += HELD_BYTES + message.end as usize - start;
        Some(message.sender)
    }

    /// Closes the gaps if they are at least one part in `share` of all counted bytes. `give` gets
    /// each account that pays for less then, and the bytes.
    pub fn compact(&mut self, share: usize, mut give: impl FnMut(AccountKey, usize)) {
        if self.is_empty() {
            self.charges().for_each(|(account, bytes)| give(account, bytes));
            self.messages.clear();
            self.lines.clear();
            self.charges.clear();
            (self.next, self.ack_hint, self.gaps) = (0, 0, Gaps::default());
            return;
        }
        if self.gaps.bytes == 0 || self.gaps.bytes < self.counted_bytes() / share {
            return;
        }
        let Held { messages, lines, next, charges, .. } = self;
        let (mut start, mut end, mut index, mut accepted) = (0, 0, 0, 0);
        messages.retain_mut(|message| {
            let message_end = message.end as usize;
            let line = std::mem::replace(&mut start, message_end)..message_end;
            let is_open = message.from.is_some();
            if is_open {
                lines.copy_within(line.clone(), end);
                end += line.len();
                message.end = end as u32;
                accepted += usize::from(index < *next);
            } else {
                let bytes = HELD_BYTES + line.len();
                Held::uncharge(charges, message.account, bytes as u32);
                give(message.account, bytes);
            }
            index += 1;
            is_open
        });
        lines.truncate(end);
        (self.next, self.ack_hint, self.gaps) = (accepted, 0, Gaps::default());
    }

    /// Returns the number of messages that are not acknowledged.
    pub fn len(&self) -> usize {
        self.messages.len() - self.gaps.messages
    }

    /// Returns `true` if all messages are acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes that the messages and the gaps between them are counted as.
    pub fn counted_bytes(&self) -> usize {
        HELD_BYTES * self.messages.len() + self.lines.len()
    }

    /// Iterates over sender and mid of the messages that are not acknowledged, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Holder, u64)> {
        let open = self.messages.iter().filter(|message| message.from.is_some());
        open.map(|message| (message.sender, message.mid))
    }

    /// Returns the bytes that the queue has allocated, for messages present and future.
    pub fn capacity_bytes(&self) -> usize {
        self.lines.capacity()
            + self.messages.capacity() * size_of::<Message>()
            + self.charges.capacity() * size_of::<Charge>()
    }

    /// Returns `true` if the capacity exceeds the part that messages are counted for: an eighth
    /// more than their lines, as many messages again, and two charges for each message.
    fn has_spare_capacity(&self) -> bool {
        self.lines.capacity() > self.lines.len() + self.lines.len() / 8
            || self.messages.capacity() > 2 * self.messages.len()
            || self.charges.capacity() > 2 * self.messages.len()
    }

    fn shrink(&mut self) {
        self.lines.shrink_to(self.lines.len() + self.lines.len() / 8);
        self.messages.shrink_to(2 * self.messages.len());
        self.charges.shrink_to(self.charges.len());
    }

    /// Returns the start of a message's line in `lines`.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.messages[before].end as usize)
    }
}

#[cfg(test)]
impl HeldPool {
    /// Checks that `bytes` is the sum of all charges. `in_use`: all queues outside of the pool.
    #[track_caller]
    pub fn check<'h>(&self, in_use: impl Iterator<Item = &'h Held>) {
        let charged: usize = in_use.map(|held| held.charged).sum();
        let own: usize = self.queues.iter().map(Held::capacity_bytes).sum();
        assert_eq!(self.bytes, own + charged);
        assert!(self.bytes <= HELD_POOL_BYTES_MAX);
    }
}

#[cfg(test)]
impl Held {
    /// Checks order, gaps, and that the capacity is either counted for or charged.
    #[track_caller]
    pub fn check(&self) {
        assert!(self.messages.is_sorted_by_key(|message| message.mid));
        assert!(self.messages.is_sorted_by_key(|message| message.end));
        assert_eq!(self.start(self.messages.len()), self.lines.len());
        let gaps = self.messages.iter().enumerate().filter(|(_, message)| message.from.is_none());
        let bytes = |index: usize| HELD_BYTES + self.start(index + 1) - self.start(index);
        let gap_bytes: usize = gaps.clone().map(|(index, _)| bytes(index)).sum();
        assert_eq!((self.gaps.messages, self.gaps.bytes), (gaps.count(), gap_bytes));
        let mut sums = std::collections::BTreeMap::new();
        for (index, message) in self.messages.iter().enumerate() {
            *sums.entry(message.account).or_insert(0) += bytes(index);
        }
        sums.remove(&AccountKey::EXEMPT);
        let charges = self.charges.iter().map(|charge| (charge.account, charge.bytes as usize));
        assert!(charges.eq(sums), "the bytes of each account, in order");
        assert!(self.next <= self.messages.len());
        let counted_for = self.lines.len()
            + self.lines.len() / 8
            + 2 * self.messages.len() * (size_of::<Message>() + size_of::<Charge>());
        assert!(
            self.capacity_bytes() <= self.charged + counted_for,
            "{} for {counted_for}",
            self.capacity_bytes()
        );
    }

    /// Returns `true` if less than half of the queue is gaps.
    pub fn is_compact(&self) -> bool {
        self.gaps.bytes == 0 || self.gaps.bytes < self.counted_bytes() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    fn held(lines: usize) -> Held {
        let mut held = Held::default();
        let (id, holder) = (Id::new("bob").expect("an id"), Holder::Client(Token::new(1, 1)));
        let origin = Origin { id: &id, holder, account: AccountKey::EXEMPT };
        (0..lines as u64).for_each(|mid| held.push(mid, &origin, &[b'x'; 1000]));
        held
    }

    #[test]
    fn pooled_queues_are_reused_and_charged_within_the_bound() {
        let mut pool = HeldPool::default();
        pool.put(held(100));
        let (queue, bytes) = (pool.take(), pool.bytes);
        assert!(bytes > 100_000);
        assert_eq!((queue.capacity_bytes(), queue.len(), queue.counted_bytes()), (bytes, 0, 0));
        let mut taken = vec![queue];
        for _ in 0..100 {
            pool.put(held(100));
            taken.push(pool.take());
        }
        let taken_bytes: usize = taken.iter().map(Held::capacity_bytes).sum();
        assert_eq!(pool.bytes, taken_bytes);
        assert!(
            (HELD_POOL_BYTES_MAX / 2..HELD_POOL_BYTES_MAX).contains(&taken_bytes),
            "{taken_bytes}"
        );
        // A queue that has grown in use is charged for its present capacity when it is put back.
        taken.truncate(1);
        let mut pool = HeldPool { queues: Vec::new(), bytes: taken[0].charged };
        let mut queue = taken.remove(0);
        queue.lines.reserve(200_000);
        pool.put(queue);
        assert_eq!(pool.bytes, pool.queues[0].capacity_bytes());
    }
}
