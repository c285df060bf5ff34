//! The lines waiting for one client, and a pool for the buffers they wait in.
//!
//! **Invariants**
//! - `lines` holds whole lines with one newline between each two, so all of them leave as one text.
//! - [`Outbox::waiting`] is the length of that text and of all text taken but not yet sent.
//! - `bytes` of a pool is the capacity of its short buffers. It never exceeds [`POOL_BYTES_MAX`].
//!
//! The client, and the time at which its lines are taken, are not known here.

use crate::limits::{POOL_BYTES_MAX, POOLED_BUFFER_BYTES_MAX};
use crate::memory::{extend_tightly, reserve_tightly};

/// One line in up to three pieces, which are copied into one buffer where it waits.
///
/// A long body is a piece by itself, still in the buffer that it was read into. So it is copied
/// once here, and once by the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a>(pub [&'a [u8]; 3]);

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Pieces<'a> {
    fn from(line: &'a T) -> Pieces<'a> {
        Pieces([line.as_ref(), &[], &[]])
    }
}

impl Pieces<'_> {
    /// Returns the length of the line in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    /// Returns `true` if the line has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the line to a buffer.
    #[inline]
    pub fn append_to(self, buffer: &mut Vec<u8>) {
        let [head, body, tail] = self.0;
        buffer.extend_from_slice(head);
        if !body.is_empty() {
            buffer.extend_from_slice(body);
            buffer.extend_from_slice(tail);
        }
    }

    /// Appends the line to a buffer that is kept; see [`reserve_tightly`].
    pub fn append_tightly_to(self, buffer: &mut Vec<u8>) {
        reserve_tightly(buffer, self.len());
        self.append_to(buffer);
    }
}

/// The lines on their way to one client.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: Vec<u8>,
    /// Bytes taken from here that the kernel has not accepted yet.
    unsent: usize,
}

/// Empty buffers for the next outboxes that get a line. With it, no line allocates where many are
/// sent, and still a client that nothing waits for owns no memory.
///
/// It keeps short buffers, and one of any length for an outbox that outgrows a short one. So an
/// outbox gets no more capacity for its first line than a short buffer has.
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

    /// Moves `lines` from their short buffer into the large one, if that is larger.
    fn enlarge(&mut self, lines: &mut Vec<u8>) {
        if self.large.capacity() > lines.capacity() {
            let mut large = std::mem::take(&mut self.large);
            large.extend_from_slice(lines);
            self.put(std::mem::replace(lines, large));
        }
    }

    /// Puts back the buffer of a text that has left. It is kept if the pool's bounds allow.
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
    /// Returns the bytes that wait for the client.
    pub fn waiting(&self) -> usize {
        self.lines.len() + self.unsent
    }

    /// Returns `true` if there are no lines to take.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns `true` if bytes were taken that have not left.
    pub fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// Adds a line. Returns `false`, and adds nothing, if more than `bytes_max` bytes would wait.
    ///
    /// The bound is an argument because it depends on the bytes that wait for other clients.
    #[must_use]
    pub fn push<'l>(
        &mut self,
        line: impl Into<Pieces<'l>>,
        bytes_max: usize,
        pool: &mut BufferPool,
    ) -> bool {
        let line = line.into();
        let newline = usize::from(!self.lines.is_empty());
        if self.waiting() + newline + line.len() > bytes_max {
            return false;
        }
        let newline = &b"\n"[..newline];
        if self.has_unsent() {
            // The socket refuses bytes, so these lines may wait for long: spare no capacity.
            extend_tightly(&mut self.lines, newline);
            line.append_tightly_to(&mut self.lines);
        } else {
            if self.lines.is_empty() {
                self.lines = pool.take();
            }
            let len = self.lines.len() + newline.len() + line.len();
            if len > POOLED_BUFFER_BYTES_MAX && len > self.lines.capacity() {
                pool.enlarge(&mut self.lines);
            }
            self.lines.extend_from_slice(newline);
            line.append_to(&mut self.lines);
        }
        true
    }

    /// Takes all lines as one text, oldest first. They go on waiting, as unsent bytes, until
    /// [`Outbox::set_unsent`].
    pub fn take(&mut self) -> Vec<u8> {
        self.unsent += self.lines.len();
        std::mem::take(&mut self.lines)
    }

    /// Sets the number of bytes that were taken and have not left.
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
        assert_eq!(outbox.waiting(), 8, "taken, but not sent");
        outbox.set_unsent(0);
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn line_in_pieces_waits_as_one_line() {
        let mut outbox = Outbox::default();
        for has_unsent in [false, true] {
            outbox.set_unsent(usize::from(has_unsent));
            assert!(outbox.push("first", 100, &mut BufferPool::default()));
            let line = Pieces([b"a", b"body", b"z"]);
            assert!(!outbox.push(line, 11 + usize::from(has_unsent), &mut BufferPool::default()));
            assert!(outbox.push(line, 100, &mut BufferPool::default()));
            assert_eq!(outbox.take(), b"first\nabodyz");
        }
    }

    #[test]
    fn line_over_the_bound_is_refused_and_changes_nothing() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(b"12345", 8, &mut BufferPool::default()));
        assert!(!outbox.push(b"678", 8, &mut BufferPool::default()), "the newline counts");
        assert!(outbox.push(b"67", 8, &mut BufferPool::default()));
        assert_eq!(outbox.take(), b"12345\n67");
        assert!(!outbox.push(b"x", 8, &mut BufferPool::default()), "unsent bytes count");
    }

    #[test]
    fn outbox_with_unsent_bytes_has_little_spare_capacity() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(b"first", usize::MAX, &mut BufferPool::default()));
        drop(outbox.take());
        for _ in 0..1000 {
            assert!(outbox.push(&[b'x'; 100], usize::MAX, &mut BufferPool::default()));
            assert!(outbox.lines.capacity() <= outbox.lines.len() / 8 * 9 + 101);
        }
    }

    #[test]
    fn empty_outbox_owns_no_memory() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(&[b'x'; 10_000], 20_000, &mut BufferPool::default()));
        drop(outbox.take());
        assert_eq!(outbox.lines.capacity(), 0);
    }

    #[test]
    fn short_buffers_are_reused_within_the_bound() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        assert!(outbox.push(&[b'x'; 1000], 2000, &mut pool));
        let text = outbox.take();
        let address = text.as_ptr();
        outbox.set_unsent(0);
        pool.put(text);
        assert!(!outbox.push(b"a line too long", 10, &mut pool));
        assert_eq!(outbox.lines.capacity(), 0, "a refused line takes no buffer");
        assert!(outbox.push(b"a line", 10, &mut pool));
        assert_eq!((outbox.lines.as_ptr(), pool.bytes), (address, 0));

        for _ in 0..2000 {
            pool.put(Vec::with_capacity(1000));
        }
        assert_eq!(pool.bytes, pool.buffers.iter().map(Vec::capacity).sum::<usize>());
        assert!(pool.bytes <= POOL_BYTES_MAX && pool.bytes > POOL_BYTES_MAX / 2);
    }

    #[test]
    fn large_buffer_is_taken_only_when_a_short_one_is_full() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        let large = Vec::with_capacity(100_000);
        let address = large.as_ptr();
        pool.put(large);
        pool.put(Vec::with_capacity(POOLED_BUFFER_BYTES_MAX + 1));
        pool.put(Vec::with_capacity(10));
        assert!(outbox.push(&[b'x'; 1000], usize::MAX, &mut pool));
        assert!(outbox.lines.capacity() <= POOLED_BUFFER_BYTES_MAX);
        assert!(outbox.push(&[b'y'; POOLED_BUFFER_BYTES_MAX], usize::MAX, &mut pool));
        assert_eq!((outbox.lines.as_ptr(), pool.large.capacity()), (address, 0));
        assert!(outbox.push(b"z", usize::MAX, &mut pool));
        let text = outbox.take();
        assert_eq!(
            (text.len(), text[999], text[1001], text[text.len() - 1]),
            (1003 + POOLED_BUFFER_BYTES_MAX, b'x', b'y', b'z')
        );
    }

    proptest! {
        // A case that fails is printed, and becomes an ordinary test; it is not kept in a file.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Against a model: a list of lines, and a number of unsent bytes.
        #[test]
        fn outbox_keeps_order_counts_and_bound(
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
