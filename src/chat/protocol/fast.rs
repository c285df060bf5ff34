//! A fast path for the lines of each message, `send` and `ack`: one pass, and no copy.
//!
//! It reads them as programs write them: without white space, and with the keys in the order of the
//! protocol page. (Keys in any order would be twice the work.)
//!
//! **Invariants**
//! - A line that is read here is read as [`super::parse`] would read it.
//! - Every other line is left to that: other types, other keys, another order, a key that appears
//!   twice, an escape outside of `body`, a `body` that is not a string, any error.
//!
//! The whole of JSON is not known here.

use std::borrow::Cow;

use super::{FromClient, Line, Mid, MidList, Tag};
use crate::limits::{LIST_MAX, REF_BYTES_MAX};

/// Reads the first line of a text, and returns it with the rest of the text. `None`: the line has
/// to go through [`super::parse`].
pub fn first(text: &str) -> Option<(Line<'_>, &str)> {
    let mut scan = Scan { text, at: 0 };
    let (tag, request) = if scan.eat(r#"{"type":"send","to":"#) {
        scan.send()?
    } else if scan.eat(r#"{"type":"ack","to":"#) {
        scan.ack()?
    } else {
        return None;
    };
    // The end of the line is found in passing. To search for it first would take as long as to read
    // a third of the line.
    let rest = match &text[scan.at..] {
        "" => "",
        more => more.strip_prefix('\n')?,
    };
    Some((Line { tag, request: Ok(request) }, rest))
}

/// A text, and the position up to which it is read. A function that does not find the expected
/// bytes returns `None`, which ends the scan.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Reads a `send` from the value of `to` on.
    fn send(&mut self) -> Option<(Tag<'a>, FromClient<'a>)> {
        let to = self.tag_string()?;
        self.eat(r#","body":"#).then_some(())?;
        let body = self.string()?;
        let reference = match self.eat(r#","ref":"#) {
            true => Some(self.tag_string().filter(|text| !text.is_empty())?),
            false => None,
        };
        self.expect(b'}')?;
        let tag = Tag { reference: reference.clone(), to: Some(to.clone()) };
        Some((tag, FromClient::Send { to, body, reference }))
    }

    /// Reads an `ack` from the value of `to` on.
    fn ack(&mut self) -> Option<(Tag<'a>, FromClient<'a>)> {
        let to = self.tag_string()?;
        self.eat(r#","mids":"#).then_some(())?;
        let mids = self.mids()?;
        self.expect(b'}')?;
        Some((Tag { reference: None, to: Some(to.clone()) }, FromClient::Ack { to, mids }))
    }

    /// Returns `true` if the text goes on with `expected`, and skips it.
    fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.text.as_bytes()[self.at..].starts_with(expected.as_bytes());
        self.at += if is_next { expected.len() } else { 0 };
        is_next
    }

    /// Reads a string without escapes that is short enough for a [`Tag`].
    fn tag_string(&mut self) -> Option<Cow<'a, str>> {
        self.plain_string().filter(|text| text.len() <= REF_BYTES_MAX).map(Cow::Borrowed)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Reads a string without escapes, and returns it without its quotes.
    fn plain_string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let from = self.at;
        self.at += plain_len(&self.text.as_bytes()[from..]);
        self.expect(b'"')?;
        self.text.get(from..self.at - 1)
    }

    /// Reads a string, and returns it with its quotes. It may have escapes of two characters;
    /// `\u` escapes have to be checked by the full parser.
    fn string(&mut self) -> Option<&'a str> {
        let from = self.at;
        self.expect(b'"')?;
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.next()? {
                b'"' => return self.text.get(from..self.at),
                b'\\'
                    if matches!(
                        self.next()?,
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'
                    ) => {}
                _ => return None,
            }
        }
    }

    /// Reads a list of mids, and returns it without its brackets.
    fn mids(&mut self) -> Option<MidList<'a>> {
        self.expect(b'[')?;
        let from = self.at;
        for len in 1..=LIST_MAX {
            self.expect(b'"')?;
            self.at += Mid::leading_len(&self.text.as_bytes()[self.at..])?;
            self.expect(b'"')?;
            match self.next()? {
                b',' => {}
                b']' => {
                    let list = self.text.get(from..self.at - 1)?;
                    return Some(MidList::verbatim(list, len));
                }
                _ => return None,
            }
        }
        None
    }
}

/// Returns the number of bytes before the first quote, backslash or control character.
///
/// Most strings are short, so the first bytes are checked eight at a time, which takes a third of
/// the time of one by one. A long body goes on by blocks.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Sets the highest bit of each byte that is less than `bound`, and maybe that of the bytes
        // behind it.
        let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let found = (below(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7);
        if found != 0 {
            return 8 * n + found.trailing_zeros() as usize / 8;
        }
        if n == WORDS_MAX {
            return plain_len_by_blocks(bytes);
        }
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Words that are checked before blocks pay.
const WORDS_MAX: usize = 8;

/// Does the same for long input. The compiler turns the check of a block into vector instructions:
/// a third of the instructions that words take.
#[cold]
fn plain_len_by_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    let is_plain =
        |block: &&[u8; 64]| !block.iter().fold(false, |any, byte| any | is_special(*byte));
    let len = blocks.iter().take_while(is_plain).count() * 64;
    len + bytes[len..].iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    // Without short cuts, so that a block of these needs no jumps.
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_len_ends_at_quote_escape_or_control_character() {
        for len in (0..40).chain([63, 64, 65, 127, 128, 129, 200]) {
            let text = "é!\u{7f}~#]".repeat(40);
            let text = &text.as_bytes()[..len];
            assert_eq!(plain_len(text), len);
            for special in [b'"', b'\\', 0, 10, 0x1f] {
                for rest in ["", "x", "\"\\\n", " !\"#[\\]", "12345678é"] {
                    let bytes = [text, &[special], rest.as_bytes()].concat();
                    assert_eq!(plain_len(&bytes), len, "{bytes:?}");
                }
            }
        }
    }
}
