//! The lines waiting for one client; who fills and who empties it is not known here.
//!
//! Invariant: `lines` holds whole lines with a newline between each two, so all of them leave as
//! one text; `waiting` is the length of that text and of what was taken but has not left.

use crate::limits::{POOL_BYTES_MAX, POOLED_BUFFER_BYTES_MAX};
use crate::memory::extend_tightly;

/// Lines on their way to one client.
///
/// What waits for a client is one number: what is in here, and what was taken from here and the
/// kernel has not taken.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: Vec<u8>,
    unsent: usize,
}

/// Empty buffers that have room already, for the next outboxes that get a line: where much is said
/// nothing is allocated for it, and a client for whom nothing waits still owns nothing.
///
/// Short ones, and one of any length, which is for whoever outgrows a short one: whoever gets a
/// line has no more room for it than that.
#[derive(Debug, Default)]
pub struct BufferPool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    large: Vec<u8>,
}

impl BufferPool {
    fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// The large one for a short one that is not enough.
    fn enlarge(&mut self, lines: &mut Vec<u8>) {
        if self.large.capacity() > lines.capacity() {
            let mut large = std::mem::take(&mut self.large);
            large.extend_from_slice(lines);
            self.put(std::mem::replace(lines, large));
        }
    }

    /// Keeps the room of a text that has left, if it is not too much.
    pub fn put(&mut self, mut text: Vec<u8>) {
        let bytes = text.capacity();
        text.clear();
        if bytes > POOLED_BUFFER_BYTES_MAX {
            if bytes > self.large.capacity() {
                self.large = text;
            }
        } else if bytes > 0 && self.bytes + bytes <= POOL_BYTES_MAX {
            self.bytes += bytes;
            self.buffers.push(text);
        }
    }
}

impl Outbox {
    /// Bytes that wait for the client.
    pub fn waiting(&self) -> usize {
        self.lines.len() + self.unsent
    }

    /// Are there no lines to take?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Was something taken that has not left?
    pub fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// Adds a line, unless more than `bytes_max` would wait then; says whether it did.
    ///
    /// The bound is an argument because it depends on what waits for everybody.
    #[must_use]
    pub fn push(&mut self, line: &[u8], bytes_max: usize, pool: &mut BufferPool) -> bool {
        let newline = usize::from(!self.lines.is_empty());
        if self.waiting() + newline + line.len() > bytes_max {
            return false;
        }
        let newline = &b"\n"[..newline];
        if self.has_unsent() {
            // Nobody knows for how long.
            extend_tightly(&mut self.lines, newline);
            extend_tightly(&mut self.lines, line);
        } else {
            if self.lines.is_empty() {
                self.lines = pool.take();
            }
            let len = self.lines.len() + newline.len() + line.len();
            if len > POOLED_BUFFER_BYTES_MAX && len > self.lines.capacity() {
                pool.enlarge(&mut self.lines);
            }
            self.lines.extend_from_slice(newline);
            self.lines.extend_from_slice(line);
        }
        true
    }

    /// Takes all lines as one text, oldest first. They go on waiting until [`Outbox::set_unsent`]
    /// says that they left.
    pub fn take(&mut self) -> Vec<u8> {
        self.unsent += self.lines.len();
        std::mem::take(&mut self.lines)
    }

    /// Says how many bytes of what was taken have not left.
    pub fn set_unsent(&mut self, bytes: usize) {
        self.unsent = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_leave_together_in_order() {
        let mut outbox = Outbox::default();
        assert!(outbox.is_empty());
        for line in ["a", "bb", "ccc"] {
            assert!(outbox.push(line.as_bytes(), 100, &mut BufferPool::default()));
        }
        assert_eq!(outbox.waiting(), 8);
        assert_eq!(outbox.take(), b"a\nbb\nccc");
        assert!(outbox.is_empty());
        assert_eq!(outbox.waiting(), 8, "taken is not yet gone");
        outbox.set_unsent(0);
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn a_line_too_many_is_refused_and_changes_nothing() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(b"12345", 8, &mut BufferPool::default()));
        assert!(!outbox.push(b"678", 8, &mut BufferPool::default()), "the newline counts");
        assert!(outbox.push(b"67", 8, &mut BufferPool::default()));
        assert_eq!(outbox.take(), b"12345\n67");
        assert!(!outbox.push(b"x", 8, &mut BufferPool::default()), "what has not left counts");
    }

    #[test]
    fn while_something_has_not_left_little_room_is_kept_to_spare() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(b"first", usize::MAX, &mut BufferPool::default()));
        drop(outbox.take());
        for _ in 0..1000 {
            assert!(outbox.push(&[b'x'; 100], usize::MAX, &mut BufferPool::default()));
            assert!(outbox.lines.capacity() <= outbox.lines.len() / 8 * 9 + 101);
        }
    }

    #[test]
    fn nothing_is_kept_when_it_is_empty() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(&[b'x'; 10_000], 20_000, &mut BufferPool::default()));
        drop(outbox.take());
        assert_eq!(outbox.lines.capacity(), 0);
    }

    #[test]
    fn a_room_goes_round_and_few_are_kept() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        assert!(outbox.push(&[b'x'; 1000], 2000, &mut pool));
        let text = outbox.take();
        let place = text.as_ptr();
        outbox.set_unsent(0);
        pool.put(text);
        assert!(!outbox.push(b"a line too long", 10, &mut pool));
        assert_eq!(outbox.lines.capacity(), 0, "who gets no line gets no room");
        assert!(outbox.push(b"a line", 10, &mut pool));
        assert_eq!((outbox.lines.as_ptr(), pool.bytes), (place, 0));

        for _ in 0..2000 {
            pool.put(Vec::with_capacity(1000));
        }
        assert_eq!(pool.bytes, pool.buffers.iter().map(Vec::capacity).sum::<usize>());
        assert!(pool.bytes <= POOL_BYTES_MAX && pool.bytes > POOL_BYTES_MAX / 2);
    }

    #[test]
    fn the_large_room_is_for_whoever_needs_it() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        let large = Vec::with_capacity(100_000);
        let place = large.as_ptr();
        pool.put(large);
        pool.put(Vec::with_capacity(POOLED_BUFFER_BYTES_MAX + 1));
        pool.put(Vec::with_capacity(10));
        assert!(outbox.push(&[b'x'; 1000], usize::MAX, &mut pool));
        assert!(outbox.lines.capacity() <= POOLED_BUFFER_BYTES_MAX);
        assert!(outbox.push(&[b'y'; POOLED_BUFFER_BYTES_MAX], usize::MAX, &mut pool));
        assert_eq!((outbox.lines.as_ptr(), pool.large.capacity()), (place, 0));
        assert!(outbox.push(b"z", usize::MAX, &mut pool));
        let text = outbox.take();
        assert_eq!(
            (text.len(), text[999], text[1001], text[text.len() - 1]),
            (1003 + POOLED_BUFFER_BYTES_MAX, b'x', b'y', b'z')
        );
    }

    proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a model: a list of lines, and a number.
        #[test]
        fn keeps_order_counts_right_and_stays_below_its_mark(
            steps in prop::collection::vec((0u8..4, 1usize..50), 0..200), bytes_max in 10usize..300,
        ) {
            let (mut outbox, mut model, mut unsent) = (Outbox::default(), Vec::<String>::new(), 0);
            for (n, (step, size)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let line = format!("{n:0>size$}");
                        if outbox.push(line.as_bytes(), bytes_max, &mut BufferPool::default()) {
                            model.push(line);
                        }
                    }
                    2 => {
                        let text = outbox.take();
                        let expected = model.join("\n");
                        prop_assert_eq!(&text, expected.as_bytes());
                        unsent += text.len();
                        model.clear();
                    }
                    _ => {
                        unsent -= size.min(unsent);
                        outbox.set_unsent(unsent);
                    }
                }
                prop_assert_eq!(outbox.waiting(), model.join("\n").len() + unsent);
                prop_assert_eq!(outbox.is_empty(), model.is_empty());
                prop_assert!(outbox.waiting() <= bytes_max);
            }
        }
    }
}
