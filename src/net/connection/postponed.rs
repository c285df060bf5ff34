//! Input that was read and waits, because its peer has no tokens for it.
//!
//! A read may bring thousands of lines. Those beyond the peer's tokens wait here, so each line is
//! heard once the peer can pay for it, and no read takes longer than its tokens.
//!
//! **Invariants**
//! - The order is kept: first the rest of a text, then the bytes behind its frame.
//! - No byte is copied more than twice, however often the input goes on: used bytes are skipped.
//!
//! It does not know tokens.

use crate::net::frames::{Input, Text};

/// The unused rest of a read.
pub struct Postponed {
    /// The rest of a text message.
    text: Option<Text<'static>>,
    /// The bytes of the read behind it.
    bytes: Vec<u8>,
    /// Bytes at the beginning of `bytes` that are used.
    used: usize,
    /// A part of it was handed on already, after it had waited.
    has_waited: bool,
}

impl Postponed {
    /// Keeps the rest of a text, and the unused input behind it.
    pub fn new(text: Option<Text<'static>>, input: &mut Input<'_>) -> Postponed {
        Postponed { text, bytes: input.take_all().to_vec(), used: 0, has_waited: false }
    }

    /// Returns the rest of the text, and the bytes behind it.
    pub fn parts(&mut self) -> (Option<Text<'static>>, &mut [u8]) {
        (self.text.take(), &mut self.bytes[self.used..])
    }

    /// Keeps the rest that is still unused: of a text, and the last `len` bytes.
    pub fn keep(&mut self, text: Option<Text<'static>>, len: usize) {
        self.text = text;
        self.used = self.bytes.len() - len;
        self.has_waited = true;
    }

    /// Returns `true` if it was kept before, and memory counted for it.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Returns `true` if all is used.
    pub fn is_empty(&self) -> bool {
        self.text.is_none() && self.rest().is_empty()
    }

    /// Returns the unused bytes behind the text.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Returns the memory in bytes that it takes. The buffer of a text that came in fragments may
    /// be twice as long as the text.
    pub fn counted(&self) -> usize {
        let text = self.text.as_ref().map_or(0, Text::buffer_len);
        size_of::<Postponed>() + 2 * text + self.bytes.len()
    }
}
