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
/// restart, nor a clock that is set back, nor a store restored from a backup repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// The random part.
    pub prefix: Prefix,
    /// The number of the message, from 1. With a store it goes on from run to run.
    pub count: u64,
}

/// The beginning of all mids of one run of the server, as text: twelve hexadecimal digits and a
/// dash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The prefixes of all mids that the server knows: that of this run, and those of earlier runs,
/// with messages that a store has kept.
///
/// Counts go on from run to run, so a count alone names a message. It belongs to the last run that
/// began at this count or below.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    current: Prefix,
    /// The first count of this run.
    first: u64,
    /// The first count and the prefix of each earlier run, oldest first.
    earlier: Vec<(u64, Prefix)>,
}

impl From<u64> for Prefixes {
    /// Makes the prefixes of a server without earlier runs.
    fn from(number: u64) -> Prefixes {
        Prefixes { current: number.into(), first: 0, earlier: Vec::new() }
    }
}

impl Prefixes {
    /// Adds a run that begins with this count, as the present one. Each count has to be above the
    /// one before.
    pub fn begin(&mut self, first: u64, prefix: Prefix) {
        self.earlier.push((self.first, self.current));
        (self.first, self.current) = (first, prefix);
    }

    /// Returns the mid with this count.
    pub fn mid(&self, count: u64) -> Mid {
        Mid { prefix: self.of(count), count }
    }

    fn of(&self, count: u64) -> Prefix {
        if count >= self.first {
            return self.current;
        }
        let index = self.earlier.partition_point(|(first, _)| *first <= count);
        index.checked_sub(1).map_or(self.current, |index| self.earlier[index].1)
    }

    /// Returns the count of the mid that `text` begins with, and the rest of the text; `None` if
    /// the mid is of another server.
    fn leading_count<'t>(&self, text: &'t [u8]) -> Option<(u64, &'t [u8])> {
        let (prefix, digits) = text.split_first_chunk::<PREFIX_BYTES>()?;
        if *prefix == self.current.0 {
            return leading_hex(digits).filter(|(count, _)| *count >= self.first);
        }
        if !self.earlier.iter().any(|(_, earlier)| *prefix == earlier.0) {
            return None;
        }
        leading_hex(digits).filter(|(count, _)| self.of(*count).0 == *prefix)
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

/// Returns the hexadecimal number that `text` begins with, and the rest of the text.
fn leading_hex(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut count, mut len) = (0, 0);
    for digit in text {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => break,
        };
        count = count << 4 | u64::from(value);
        len += 1;
    }
    // Without leading zeros, so that a mid has one spelling.
    let is_count = (1..=16).contains(&len) && (text[0] != b'0' || len == 1);
    is_count.then(|| (count, &text[len..]))
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
    pub fn counts<'s>(&'s self, prefixes: &'s Prefixes) -> impl Iterator<Item = Option<u64>> {
        let mut rest = self.list.as_bytes();
        std::iter::from_fn(move || {
            let mid = rest.strip_prefix(b"\"")?;
            let ours =
                prefixes.leading_count(mid).filter(|(_, behind)| behind.first() == Some(&b'"'));
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
        /// The prefixes of all of them.
        prefixes: &'a Prefixes,
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
            Mids::Counts { prefixes, counts } => {
                for (n, &count) in counts.iter().enumerate() {
                    let before: &[u8] = if n == 0 { b"\"" } else { b",\"" };
                    put_all(
                        out,
                        [before, prefixes.mid(count).write(&mut [0; MID_BYTES_MAX]), b"\""],
                    );
                }
            }
            Mids::List(mids) => out.extend_from_slice(mids.list.as_bytes()),
        }
    }
}
