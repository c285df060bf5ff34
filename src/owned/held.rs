//! The messages held for one owned id, oldest first, each until it is acknowledged. Whose they are to be, and how many may
//! be, is not known here.
//!
//! Their lines stand one behind the other in one buffer, so that holding a message allocates nothing once there is room. What
//! is acknowledged out of that leaves a gap. Gaps are closed when they are half of all: each byte is moved O(1) times.
//!
//! Invariants:
//! - `messages` is in the order of arrival, so mids grow along it; the line of each ends at its `end`, where that of the
//!   next one begins.
//! - What stands before `next` has been given out. `gaps` is what the acknowledged in `messages` are counted as.

use super::Holder;
use crate::budget::extend_tightly;
use crate::config::HELD_BYTES;
use crate::protocol::Id;
use crate::rooms::Room;

/// Messages that wait for their acknowledgement.
#[derive(Debug, Default)]
pub struct Held {
    messages: Vec<Message>,
    lines: Vec<u8>,
    /// The first that has not been given out.
    next: usize,
    gaps: Gaps,
    /// Behind the message that was acknowledged last: most are acknowledged in the order in which they came.
    likely: usize,
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

impl Room for Held {
    fn bytes(&self) -> usize {
        self.lines.capacity() + self.messages.capacity() * size_of::<Message>()
    }

    fn clear(&mut self) {
        let Held { mut messages, mut lines, .. } = std::mem::take(self);
        messages.clear();
        lines.clear();
        *self = Held { messages, lines, ..Held::default() };
    }
}

impl Held {
    /// Adds a message, whose line is kept as it leaves.
    pub fn push(&mut self, mid: u64, from: Id, sender: Holder, line: &[u8]) {
        extend_tightly(&mut self.lines, line);
        self.messages.push(Message { mid, from: Some(from), sender, end: self.lines.len() });
    }

    /// The next line that was not given out.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        // What was acknowledged before it was given out again, to a client that knew it, is passed over.
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
        let place = match self.messages.get(self.likely) {
            Some(message) if message.mid == mid => self.likely,
            _ => self.messages.binary_search_by_key(&mid, |message| message.mid).ok()?,
        };
        let start = self.start(place);
        let message = &mut self.messages[place];
        message.from.take_if(|sender| **sender == *from)?;
        self.likely = place + 1;
        self.gaps.messages += 1;
        self.gaps.bytes += HELD_BYTES + message.end - start;
        Some(message.sender)
    }

    /// Closes the gaps if they are one part in `share` of all.
    pub fn close_gaps(&mut self, share: usize) {
        if self.is_empty() {
            return self.clear();
        }
        if self.gaps.bytes == 0 || self.gaps.bytes < self.counted() / share {
            return;
        }
        let Held { messages, lines, next, .. } = self;
        let (mut start, mut end, mut place, mut given) = (0, 0, 0, 0);
        messages.retain_mut(|message| {
            let line = std::mem::replace(&mut start, message.end)..message.end;
            let is_open = message.from.is_some();
            if is_open {
                lines.copy_within(line.clone(), end);
                end += line.len();
                message.end = end;
                given += usize::from(place < *next);
            }
            place += 1;
            is_open
        });
        lines.truncate(end);
        (self.next, self.likely, self.gaps) = (given, 0, Gaps::default());
        // What held much gives room back, as it empties.
        if self.lines.len() < self.lines.capacity() / 4 {
            self.lines.shrink_to(self.lines.capacity() / 2);
        }
        if self.messages.len() < self.messages.capacity() / 4 {
            self.messages.shrink_to(self.messages.capacity() / 2);
        }
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
    pub fn counted(&self) -> usize {
        HELD_BYTES * self.messages.len() + self.lines.len()
    }

    /// Whose they are and which, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Holder, u64)> {
        let open = self.messages.iter().filter(|message| message.from.is_some());
        open.map(|message| (message.sender, message.mid))
    }

    fn start(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.messages[before].end)
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
            gaps.clone().map(|(place, message)| HELD_BYTES + message.end - self.start(place)).sum();
        assert_eq!((self.gaps.messages, self.gaps.bytes), (gaps.count(), bytes));
        assert!(self.next <= self.messages.len());
    }

    /// Are less than half of it gaps?
    pub fn is_tidy(&self) -> bool {
        self.gaps.bytes == 0 || self.gaps.bytes < self.counted() / 2
    }
}
