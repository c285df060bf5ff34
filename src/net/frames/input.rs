//! The input of one read, and the texts in it.
//!
//! **Invariants**
//! - A text that lies in the read buffer is not copied before its rest has to wait.
//!
//! It does not know frames, nor the price of a line.

use std::fmt;
use std::ops::Deref;

use tungstenite::Utf8Bytes;

/// The unused bytes of one read, and the tokens that their peer may spend on them.
pub struct Input<'b> {
    bytes: &'b mut [u8],
    /// Tokens that the peer may spend on it.
    tokens: usize,
    /// Tokens that the input has cost so far.
    spent: usize,
}

impl<'b> Input<'b> {
    /// Wraps bytes none of which is used yet, from a peer with this many tokens.
    pub fn new(bytes: &'b mut [u8], tokens: usize) -> Input<'b> {
        Input { bytes, tokens, spent: 0 }
    }

    /// Returns the unused bytes.
    pub fn rest(&self) -> &[u8] {
        self.bytes
    }

    /// Uses the next `len` bytes. There have to be as many.
    pub fn take(&mut self, len: usize) -> &'b mut [u8] {
        let (taken, rest) = std::mem::take(&mut self.bytes).split_at_mut(len);
        self.bytes = rest;
        taken
    }

    /// Uses all remaining bytes.
    pub fn take_all(&mut self) -> &'b mut [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// Counts tokens that a part of the input has cost.
    pub fn spend(&mut self, tokens: usize) {
        self.spent += tokens;
    }

    /// Returns the tokens that the input has cost so far.
    pub fn spent(&self) -> usize {
        self.spent
    }

    /// Returns the tokens that are left.
    pub fn tokens_left(&self) -> usize {
        self.tokens.saturating_sub(self.spent)
    }

    /// Returns `true` if the input has cost more tokens than its peer had. The rest has to wait.
    pub fn is_overdrawn(&self) -> bool {
        self.spent > self.tokens
    }
}

/// A text message, or the rest of one: still in the read buffer, or assembled from several frames
/// or reads.
#[derive(Clone)]
pub struct Text<'b>(TextBytes<'b>);

#[derive(Clone)]
enum TextBytes<'b> {
    /// In the read buffer.
    InPlace(&'b str),
    /// In a buffer of its own: the message came in several reads or frames. In a box, because a
    /// text is moved several times on its way, and most are in the read buffer.
    Assembled(Box<Assembled>),
}

#[derive(Clone)]
struct Assembled {
    text: Utf8Bytes,
    /// Bytes at the beginning that are used.
    used: usize,
}

impl Text<'_> {
    /// Uses all but the last `len` bytes. That has to be where a character begins.
    pub fn leave(&mut self, len: usize) {
        match &mut self.0 {
            TextBytes::InPlace(text) => *text = &text[text.len() - len..],
            TextBytes::Assembled(assembled) => assembled.used = assembled.text.len() - len,
        }
    }

    /// Returns the unused rest in a buffer of its own. One that has its own buffer keeps it.
    pub fn into_owned(self) -> Text<'static> {
        match self.0 {
            TextBytes::InPlace(text) => text.to_owned().into(),
            TextBytes::Assembled(assembled) => Text(TextBytes::Assembled(assembled)),
        }
    }

    /// Returns the bytes of memory that a text with a buffer of its own takes.
    pub fn buffer_len(&self) -> usize {
        match &self.0 {
            TextBytes::InPlace(text) => text.len(),
            TextBytes::Assembled(assembled) => assembled.text.len(),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match &self.0 {
            TextBytes::InPlace(text) => text,
            TextBytes::Assembled(assembled) => &assembled.text[assembled.used..],
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<'b> From<&'b str> for Text<'b> {
    fn from(text: &'b str) -> Text<'b> {
        Text(TextBytes::InPlace(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Utf8Bytes::from(text).into()
    }
}

impl From<Utf8Bytes> for Text<'_> {
    fn from(text: Utf8Bytes) -> Self {
        Text(TextBytes::Assembled(Box::new(Assembled { text, used: 0 })))
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Text<'_>) -> bool {
        **self == **other
    }
}
