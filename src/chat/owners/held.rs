//! The messages held for one owned id, oldest first, each until it is acknowledged. Whose they are
//! to be, and how many may be, is not known here.
//!
//! Their lines stand one behind the other in one buffer, so that holding a message allocates
//! nothing once there is room. What is acknowledged out of that leaves a gap. Gaps are closed when
//! they are half of all: each byte is moved O(1) times.
//!
//! Invariants:
//! - `messages` is in the order of arrival, so mids grow along it; the line of each ends at its
//!   `end`, where that of the next one begins.
//! - What stands before `next` has been given out. `gaps` is what the acknowledged in `messages`
//!   are counted as.

use super::Holder;
use crate::chat::protocol::Id;
use crate::limits::{HELD_BYTES, HELD_POOL_BYTES_MAX};
use crate::memory::extend_tightly;

/// Messages that wait for their acknowledgement.
#[derive(Debug, Default)]
pub struct Held {
    messages: Vec<Message>,
    lines: Vec<u8>,
    /// The first that has not been given out.
    next: usize,
    gaps: Gaps,
    /// Behind the message that was acknowledged last: most are acknowledged in the order in which
    /// they came.
    ack_hint: usize,
    /// The room that it was charged by [`HeldPool`], in bytes.
    charged: usize,
}

#[derive(Debug)]
struct Message {
    /// The count of its mid.
    mid: u64,
    /// None: acknowledged.
    from: Option<Id>,
    sender: Holder,
    end: usize,
}

#[derive(Debug, Default)]
struct Gaps {
    messages: usize,
    bytes: usize,
}

/// Room that is not counted as messages: empty queues for the next owners for whom something is
/// held, so that nothing is allocated for that, and one for whom nothing is held still owns
/// nothing; and what queues were charged, or are left with when much is acknowledged.
///
/// Invariant: `bytes` is the room of those that are here, and all that is charged. It is never above
/// [`HELD_POOL_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct HeldPool {
    queues: Vec<Held>,
    bytes: usize,
}

impl HeldPool {
    /// The one that was given back last; without one, one that owns nothing.
    pub fn take(&mut self) -> Held {
        self.queues.pop().unwrap_or_default()
    }

    /// Keeps the room of one that is of no more use, if it is not too much.
    pub fn put(&mut self, held: Held) {
        self.bytes -= held.charged;
        let charged = held.capacity_bytes();
        if charged > 0 && self.bytes + charged <= HELD_POOL_BYTES_MAX {
            let Held { mut messages, mut lines, .. } = held;
            messages.clear();
            lines.clear();
            self.bytes += charged;
            self.queues.push(Held { messages, lines, charged, ..Held::default() });
        }
    }

    /// Lends to a queue the room that it has beyond its messages, if that is not too much; else it
    /// is given up.
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

    /// Nothing is charged to this queue any more: who is away acknowledges nothing for a long time.
    pub fn reclaim(&mut self, held: &mut Held) {
        self.bytes -= std::mem::take(&mut held.charged);
        held.shrink();
    }
}

impl Held {
    /// Adds a message, whose line is kept as it leaves.
    pub fn push(&mut self, mid: u64, from: Id, sender: Holder, line: &[u8]) {
        extend_tightly(&mut self.lines, line);
        if self.messages.capacity() == 0 {
            // By itself a vector takes room for four at first, and for many nothing but one is
            // held.
            self.messages.reserve_exact(2);
        }
        self.messages.push(Message { mid, from: Some(from), sender, end: self.lines.len() });
    }

    /// The next line that was not given out.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        // What was acknowledged before it was given out again, to a client that knew it, is passed
        // over.
        while self.messages.get(self.next)?.from.is_none() {
            self.next += 1;
        }
        self.lines.get(self.start(self.next)..self.messages[self.next].end)
    }

    /// That line was given out.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// All are to be given out again.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Forgets message `mid` from `from`, and gives its sender; none: it is not held.
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
        self.gaps.bytes += HELD_BYTES + message.end - start;
        Some(message.sender)
    }

    /// Closes the gaps if they are one part in `share` of all.
    pub fn compact(&mut self, share: usize) {
        if self.is_empty() {
            self.messages.clear();
            self.lines.clear();
            (self.next, self.ack_hint, self.gaps) = (0, 0, Gaps::default());
            return;
        }
        if self.gaps.bytes == 0 || self.gaps.bytes < self.counted_bytes() / share {
            return;
        }
        let Held { messages, lines, next, .. } = self;
        let (mut start, mut end, mut index, mut given) = (0, 0, 0, 0);
        messages.retain_mut(|message| {
            let line = std::mem::replace(&mut start, message.end)..message.end;
            let is_open = message.from.is_some();
            if is_open {
                lines.copy_within(line.clone(), end);
                end += line.len();
                message.end = end;
                given += usize::from(index < *next);
            }
            index += 1;
            is_open
        });
        lines.truncate(end);
        (self.next, self.ack_hint, self.gaps) = (given, 0, Gaps::default());
    }

    /// How many are not acknowledged.
    pub fn len(&self) -> usize {
        self.messages.len() - self.gaps.messages
    }

    /// Are none left?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all are counted as, the gaps they stand between included.
    pub fn counted_bytes(&self) -> usize {
        HELD_BYTES * self.messages.len() + self.lines.len()
    }

    /// Whose they are and which, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Holder, u64)> {
        let open = self.messages.iter().filter(|message| message.from.is_some());
        open.map(|message| (message.sender, message.mid))
    }

    /// Bytes that it takes, however many messages there are.
    pub fn capacity_bytes(&self) -> usize {
        self.lines.capacity() + self.messages.capacity() * size_of::<Message>()
    }

    /// Is it more than its messages are counted for: an eighth of their lines, and as many messages
    /// again?
    fn has_spare_capacity(&self) -> bool {
        self.lines.capacity() > self.lines.len() + self.lines.len() / 8
            || self.messages.capacity() > 2 * self.messages.len()
    }

    fn shrink(&mut self) {
        self.lines.shrink_to(self.lines.len() + self.lines.len() / 8);
        self.messages.shrink_to(2 * self.messages.len());
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.messages[before].end)
    }
}

#[cfg(test)]
impl HeldPool {
    /// What is counted is what is here, and what these were charged.
    #[track_caller]
    pub fn check<'h>(&self, lent_to: impl Iterator<Item = &'h Held>) {
        let charged: usize = lent_to.map(|held| held.charged).sum();
        assert_eq!(
            self.bytes,
            self.queues.iter().map(Held::capacity_bytes).sum::<usize>() + charged
        );
        assert!(self.bytes <= HELD_POOL_BYTES_MAX);
    }
}

#[cfg(test)]
impl Held {
    /// What is counted is what is there, and it is in order.
    #[track_caller]
    pub fn check(&self) {
        assert!(self.messages.is_sorted_by_key(|message| message.mid));
        assert!(self.messages.is_sorted_by_key(|message| message.end));
        assert_eq!(self.messages.last().map_or(0, |message| message.end), self.lines.len());
        let gaps = self.messages.iter().enumerate().filter(|(_, message)| message.from.is_none());
        let bytes: usize =
            gaps.clone().map(|(index, message)| HELD_BYTES + message.end - self.start(index)).sum();
        assert_eq!((self.gaps.messages, self.gaps.bytes), (gaps.count(), bytes));
        assert!(self.next <= self.messages.len());
        let counted_for = self.lines.len()
            + self.lines.len() / 8
            + 2 * self.messages.len() * size_of::<Message>();
        assert!(
            self.capacity_bytes() <= self.charged + counted_for,
            "{} for {counted_for}",
            self.capacity_bytes()
        );
    }

    /// Are less than half of it gaps?
    pub fn is_tidy(&self) -> bool {
        self.gaps.bytes == 0 || self.gaps.bytes < self.counted_bytes() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    fn held(lines: usize) -> Held {
        let mut held = Held::default();
        let (from, sender) = (Id::new("bob").expect("an id"), Holder::Client(Token::new(1, 1)));
        (0..lines as u64).for_each(|mid| held.push(mid, from.clone(), sender, &[b'x'; 1000]));
        held
    }

    #[test]
    fn rooms_go_round_and_those_that_are_lent_are_counted() {
        let mut pool = HeldPool::default();
        pool.put(held(100));
        let (charged, bytes) = (pool.take(), pool.bytes);
        assert!(
            bytes > 100_000
                && (charged.capacity_bytes(), charged.len(), charged.counted_bytes())
                    == (bytes, 0, 0)
        );
        let mut hoard = vec![charged];
        for _ in 0..100 {
            pool.put(held(100));
            hoard.push(pool.take());
        }
        let hoarded: usize = hoard.iter().map(Held::capacity_bytes).sum();
        assert_eq!(pool.bytes, hoarded);
        assert!((HELD_POOL_BYTES_MAX / 2..HELD_POOL_BYTES_MAX).contains(&hoarded), "{hoarded}");
        // One that has grown is counted as it is then.
        hoard.truncate(1);
        let mut pool = HeldPool { queues: Vec::new(), bytes: hoard[0].charged };
        let mut charged = hoard.remove(0);
        charged.lines.reserve(200_000);
        pool.put(charged);
        assert_eq!(pool.bytes, pool.queues[0].capacity_bytes());
    }
}
