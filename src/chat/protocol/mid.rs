//! Mids, the names of messages: one mid, a list in a line of the server, a list in a line of a
//! client.
//!
//! **Invariants**
//! - A mid of this server has one spelling, so two mids name one message only if they are equal.
//! - A [`MidList`] can be put into a line as it is: it has quoted valid mids with commas between.
//!
//! The messages are not known here.

use std::borrow::Cow;

use super::write::put_all;
use crate::limits::MID_BYTES_MAX;

/// The name of a message: a prefix drawn when the server starts, and a counter. So neither a
/// restart nor a clock that is set back repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// The random part.
    pub prefix: Prefix,
    /// The number of the message, from 1.
    pub count: u64,
}

/// The beginning of all mids of one server, as text: twelve hexadecimal digits and a dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix([u8; PREFIX_BYTES]);

const PREFIX_BYTES: usize = 13;

/// The bytes that are allowed in a mid. A table, because each message brings a list of mids that
/// is checked byte by byte.
const IN_MID: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    table
};

impl From<u64> for Prefix {
    /// Makes a prefix of the low 48 bits.
    fn from(number: u64) -> Prefix {
        let mut text = [b'-'; PREFIX_BYTES];
        put_hex(number, &mut text[..PREFIX_BYTES - 1]);
        Prefix(text)
    }
}

impl Mid {
    /// Returns `true` if `text` has the syntax of a mid, on any server.
    pub fn is_valid(text: &str) -> bool {
        Mid::leading_len(text.as_bytes()) == Some(text.len())
    }

    /// Returns the length of the mid that `text` begins with, if it does.
    pub fn leading_len(text: &[u8]) -> Option<usize> {
        let len = text.iter().take_while(|byte| IN_MID[usize::from(**byte)]).count();
        (1..=MID_BYTES_MAX).contains(&len).then_some(len)
    }

    /// Returns the count of the mid that `text` begins with, and the rest of the text; `None` if
    /// the mid is not of the server with this prefix.
    fn leading_count<'t>(text: &'t [u8], prefix: &Prefix) -> Option<(u64, &'t [u8])> {
        let digits = text.strip_prefix(&prefix.0)?;
        let (mut count, mut len) = (0, 0);
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => break,
            };
            count = count << 4 | u64::from(value);
            len += 1;
        }
        // Without leading zeros, so that a mid has one spelling.
        let is_ours = (1..=16).contains(&len) && (digits[0] != b'0' || len == 1);
        is_ours.then(|| (count, &digits[len..]))
    }

    /// Writes the mid as text to `scratch`. By hand, because `format!` takes ten times as many
    /// instructions.
    pub fn write<'r>(&self, scratch: &'r mut [u8; MID_BYTES_MAX]) -> &'r [u8] {
        // `| 1`: zero has one digit, too.
        let len = PREFIX_BYTES + ((self.count | 1).ilog2() / 4 + 1) as usize;
        scratch[..PREFIX_BYTES].copy_from_slice(&self.prefix.0);
        put_hex(self.count, &mut scratch[PREFIX_BYTES..len]);
        &scratch[..len]
    }
}

/// Fills `out` with the last hexadecimal digits of a number.
fn put_hex(mut number: u64, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = b"0123456789abcdef"[number as usize & 0xf];
        number >>= 4;
    }
}

/// The valid mids of an `ack`, as text: each in quotes, with commas between them and no white
/// space.
#[derive(Clone, Debug, PartialEq)]
pub struct MidList<'a> {
    list: Cow<'a, str>,
    len: usize,
}

impl<'a> MidList<'a> {
    /// Makes a list of valid mids.
    pub fn new(mids: &[Cow<'_, str>]) -> MidList<'a> {
        let quoted: Vec<String> = mids.iter().map(|mid| format!("\"{mid}\"")).collect();
        MidList { list: Cow::Owned(quoted.join(",")), len: mids.len() }
    }

    /// Makes a list of text that has this form already, and this many mids.
    pub(super) fn verbatim(list: &'a str, len: usize) -> MidList<'a> {
        MidList { list: Cow::Borrowed(list), len }
    }

    /// Returns the number of mids.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if there is no mid.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Iterates over the counts of the mids; `None` for a mid of another server.
    ///
    /// The end of a mid is found by reading its count. To search for the quote first would take
    /// twice as long.
    pub fn counts(&self, prefix: Prefix) -> impl Iterator<Item = Option<u64>> {
        let mut rest = self.list.as_bytes();
        std::iter::from_fn(move || {
            let mid = rest.strip_prefix(b"\"")?;
            let ours = Mid::leading_count(mid, &prefix)
                .filter(|(_, behind)| behind.first() == Some(&b'"'));
            let behind = match ours {
                Some((_, behind)) => behind,
                None => &mid[mid.iter().position(|byte| *byte == b'"')?..],
            };
            rest = behind.strip_prefix(b"\",").unwrap_or_default();
            Some(ours.map(|(count, _)| count))
        })
    }
}

/// A list of mids in a line of the server.
#[derive(Debug)]
pub enum Mids<'a> {
    /// Mids of this server, by their counts.
    Counts {
        /// The prefix of all of them.
        prefix: Prefix,
        /// The count of each.
        counts: &'a [u64],
    },
    /// The list of a client, passed on as it is.
    List(&'a MidList<'a>),
}

impl Mids<'_> {
    /// Appends the mids, without brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Mids::Counts { prefix, counts } => {
                for (n, &count) in counts.iter().enumerate() {
                    let before: &[u8] = if n == 0 { b"\"" } else { b",\"" };
                    let mid = Mid { prefix: *prefix, count };
                    put_all(out, [before, mid.write(&mut [0; MID_BYTES_MAX]), b"\""]);
                }
            }
            Mids::List(mids) => out.extend_from_slice(mids.list.as_bytes()),
        }
    }
}
