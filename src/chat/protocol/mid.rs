//! Mids, which name messages: one, several in a line of ours, several in a line of a client's.

use std::borrow::Cow;

use super::write::put_all;
use crate::limits::MID_BYTES_MAX;

/// Names a message: a prefix made at the start of the server and a counter, so neither a restart
/// nor a clock set back repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// Random.
    pub prefix: Prefix,
    /// Counts from 1.
    pub count: u64,
}

/// What all mids of a server begin with, as text: twelve digits and a dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix([u8; PREFIX_BYTES]);

const PREFIX_BYTES: usize = 13;

/// Which bytes may stand in a mid. A table, because a list of mids is looked at byte by byte, for
/// each message.
const IN_MID: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    table
};

impl From<u64> for Prefix {
    /// Its low 48 bits count.
    fn from(number: u64) -> Prefix {
        let mut text = [b'-'; PREFIX_BYTES];
        put_hex(number, &mut text[..PREFIX_BYTES - 1]);
        Prefix(text)
    }
}

impl Mid {
    /// Does `text` have a mid's syntax, on any server?
    pub fn is_valid(text: &str) -> bool {
        Mid::leading_len(text.as_bytes()) == Some(text.len())
    }

    /// How long the mid is that a text begins with, if it begins with one.
    pub fn leading_len(text: &[u8]) -> Option<usize> {
        let len = text.iter().take_while(|byte| IN_MID[usize::from(**byte)]).count();
        (1..=MID_BYTES_MAX).contains(&len).then_some(len)
    }

    /// The count in the mid of this server's that a text begins with, and what stands behind it.
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
        // Only one spelling is ours.
        let is_ours = (1..=16).contains(&len) && (digits[0] != b'0' || len == 1);
        is_ours.then(|| (count, &digits[len..]))
    }

    /// The mid as text, in `scratch`. By hand, because `format!` takes ten times as many instructions.
    pub fn write<'r>(&self, scratch: &'r mut [u8; MID_BYTES_MAX]) -> &'r [u8] {
        // A zero has one digit, too.
        let len = PREFIX_BYTES + ((self.count | 1).ilog2() / 4 + 1) as usize;
        scratch[..PREFIX_BYTES].copy_from_slice(&self.prefix.0);
        put_hex(self.count, &mut scratch[PREFIX_BYTES..len]);
        &scratch[..len]
    }
}

/// Fills a place with the last digits of a number.
fn put_hex(mut number: u64, place: &mut [u8]) {
    for byte in place.iter_mut().rev() {
        *byte = b"0123456789abcdef"[number as usize & 0xf];
        number >>= 4;
    }
}

/// The mids of an `ack`, each known to be one: as they stand in a line, with quotes, and commas
/// between them, without white space.
#[derive(Clone, Debug, PartialEq)]
pub struct MidList<'a>(Cow<'a, str>);

impl<'a> MidList<'a> {
    /// Those of a list, which are valid.
    pub fn new(mids: &[Cow<'_, str>]) -> MidList<'a> {
        let quoted: Vec<String> = mids.iter().map(|mid| format!("\"{mid}\"")).collect();
        MidList(Cow::Owned(quoted.join(",")))
    }

    /// Those of a list that stands in a line just so.
    pub(super) fn verbatim(list: &'a str) -> MidList<'a> {
        MidList(Cow::Borrowed(list))
    }

    /// What each counts, one after the other; none for one of another server's.
    ///
    /// A mid's end is found by reading its count: to look for the quotes first takes twice as long.
    pub fn counts(&self, prefix: Prefix) -> impl Iterator<Item = Option<u64>> {
        let mut rest = self.0.as_bytes();
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

/// Several mids in a line.
#[derive(Debug)]
pub enum Mids<'a> {
    /// Of this server, by their counts.
    Counts {
        /// What all of them begin with.
        prefix: Prefix,
        /// How each goes on.
        counts: &'a [u64],
    },
    /// As a client said them, whoever's they are.
    List(&'a MidList<'a>),
}

impl Mids<'_> {
    /// Appends them as they stand in a list.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Mids::Counts { prefix, counts } => {
                for (n, &count) in counts.iter().enumerate() {
                    let before: &[u8] = if n == 0 { b"\"" } else { b",\"" };
                    let mid = Mid { prefix: *prefix, count };
                    put_all(out, [before, mid.write(&mut [0; MID_BYTES_MAX]), b"\""]);
                }
            }
            Mids::List(mids) => out.extend_from_slice(mids.0.as_bytes()),
        }
    }
}
