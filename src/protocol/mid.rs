//! Mids, which name messages: one, several in a line of ours, several in a line of a client's.

use std::borrow::Cow;

use super::write::put_all;
use crate::config::MID_BYTES_MAX;

/// Names a message: a prefix made at the start of the server and a counter, so neither a restart nor a clock set back
/// repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// Random; its low 48 bits count.
    pub prefix: u64,
    /// Counts from 1.
    pub count: u64,
}

/// Letters of the prefix.
const PREFIX_BYTES: usize = 12;

impl Mid {
    /// Does `text` have a mid's syntax, on any server?
    pub fn is_valid(text: &str) -> bool {
        let may_stand_in_mid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=MID_BYTES_MAX).contains(&text.len()) && text.bytes().all(may_stand_in_mid)
    }

    /// The count in a mid of this server's; none if it is another's.
    pub fn count_in(text: &str, prefix: u64) -> Option<u64> {
        let digits = text.get(PREFIX_BYTES + 1..)?;
        let count = u64::from_str_radix(digits, 16).ok()?;
        // Only one spelling is ours.
        let mut room = [0; MID_BYTES_MAX];
        (Mid { prefix, count }.write(&mut room) == text.as_bytes()).then_some(count)
    }

    /// The mid as text, in `room`. By hand, because `format!` takes five times as many instructions.
    pub fn write<'r>(&self, room: &'r mut [u8; MID_BYTES_MAX]) -> &'r [u8] {
        let digit = |number: u64, place: usize| b"0123456789abcdef"[(number >> (4 * place)) as usize & 0xf];
        for (at, byte) in room[..PREFIX_BYTES].iter_mut().enumerate() {
            *byte = digit(self.prefix, PREFIX_BYTES - 1 - at);
        }
        room[PREFIX_BYTES] = b'-';
        // A zero has one digit, too.
        let digits = ((self.count | 1).ilog2() / 4 + 1) as usize;
        for (at, byte) in room[PREFIX_BYTES + 1..][..digits].iter_mut().enumerate() {
            *byte = digit(self.count, digits - 1 - at);
        }
        &room[..PREFIX_BYTES + 1 + digits]
    }
}

/// The mids of an `ack`, each known to be one: as they stand in a line, with quotes, and commas between them, without
/// white space.
#[derive(Clone, Debug, PartialEq)]
pub struct SaidMids<'a>(Cow<'a, str>);

impl<'a> SaidMids<'a> {
    /// Those of a list, which are valid.
    pub fn new(mids: &[Cow<'_, str>]) -> SaidMids<'a> {
        let quoted: Vec<String> = mids.iter().map(|mid| format!("\"{mid}\"")).collect();
        SaidMids(Cow::Owned(quoted.join(",")))
    }

    /// Those of a list that stands in a line just so.
    pub(super) fn as_they_came(list: &'a str) -> SaidMids<'a> {
        SaidMids(Cow::Borrowed(list))
    }

    /// One after the other. No comma or quote stands in a mid.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').map(|mid| mid.trim_matches('"'))
    }
}

/// Several mids in a line.
#[derive(Debug)]
pub enum Mids<'a> {
    /// Of this server, by their counts.
    Ours {
        /// What all of them begin with.
        prefix: u64,
        /// How each goes on.
        counts: &'a [u64],
    },
    /// As a client said them, whoever's they are.
    Said(&'a SaidMids<'a>),
}

impl Mids<'_> {
    /// Appends them as they stand in a list.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Mids::Ours { prefix, counts } => {
                for (n, &count) in counts.iter().enumerate() {
                    let before: &[u8] = if n == 0 { b"\"" } else { b",\"" };
                    let mid = Mid { prefix: *prefix, count };
                    put_all(out, [before, mid.write(&mut [0; MID_BYTES_MAX]), b"\""]);
                }
            }
            Mids::Said(mids) => out.extend_from_slice(mids.0.as_bytes()),
        }
    }
}
