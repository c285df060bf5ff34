//! The lines that are said for each message, read in one pass and without a copy: `send` and `ack`,
//! as programs write them, which is without white space and in the order of the protocol's page.
//!
//! Invariant: what is read here means what [`super::parse`] says that it means, and whatever is
//! unusual is left to it: other types, other keys, another order, a key that stands twice, escapes
//! but in a `body`, a `body` that is no string, anything wrong. (To take the keys in any order is
//! twice the work.)

use std::borrow::Cow;

use super::{FromClient, Line, Mid, MidList, Tag};
use crate::limits::{LIST_MAX, REF_BYTES_MAX};

/// Reads the first line of a text, if it is as most are, and gives what stands behind it.
pub fn first(text: &str) -> Option<(Line<'_>, &str)> {
    let mut scan = Scan { text, at: 0 };
    let (tag, said) = if scan.eat(r#"{"type":"send","to":"#) {
        scan.send()?
    } else if scan.eat(r#"{"type":"ack","to":"#) {
        scan.ack()?
    } else {
        return None;
    };
    // Its end is found in passing: looking for it first takes as long as reading a third of the
    // line.
    let behind = match &text[scan.at..] {
        "" => "",
        more => more.strip_prefix('\n')?,
    };
    Some((Line { tag, request: Ok(said) }, behind))
}

/// A text, and how far it is read. Whatever is not found is none, and then the scan is over.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// What stands behind `to` in a `send`.
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

    /// What stands behind `to` in an `ack`.
    fn ack(&mut self) -> Option<(Tag<'a>, FromClient<'a>)> {
        let to = self.tag_string()?;
        self.eat(r#","mids":"#).then_some(())?;
        let mids = self.mids()?;
        self.expect(b'}')?;
        Some((Tag { reference: None, to: Some(to.clone()) }, FromClient::Ack { to, mids }))
    }

    /// Does this stand next? Then it is read.
    fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.text.as_bytes()[self.at..].starts_with(expected.as_bytes());
        self.at += if is_next { expected.len() } else { 0 };
        is_next
    }

    /// A string without escapes that is short enough to be repeated in an answer.
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

    /// What stands between the quotes of a string without escapes.
    fn plain_string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let from = self.at;
        self.at += plain_len(&self.text.as_bytes()[from..]);
        self.expect(b'"')?;
        self.text.get(from..self.at - 1)
    }

    /// A string with its quotes, which may have escapes of two letters: those that mean a character
    /// need a closer look.
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

    /// A list of mids, without its brackets.
    fn mids(&mut self) -> Option<MidList<'a>> {
        self.expect(b'[')?;
        let from = self.at;
        for _ in 0..LIST_MAX {
            self.expect(b'"')?;
            self.at += Mid::leading_len(&self.text.as_bytes()[self.at..])?;
            self.expect(b'"')?;
            match self.next()? {
                b',' => {}
                b']' => return self.text.get(from..self.at - 1).map(MidList::verbatim),
                _ => return None,
            }
        }
        None
    }
}

/// How many bytes may stand in a string before one that ends it, begins an escape, or may not.
///
/// Eight at once: a line's hundred bytes take a third of the time that they take one by one.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (n, chunk) in chunks.iter().enumerate() {
        let eight = u64::from_le_bytes(*chunk);
        // In each byte the highest bit is set if the byte is less than `bound`, and maybe in those
        // behind such a one.
        let below = |eight: u64, bound: u8| eight.wrapping_sub(ONES * u64::from(bound)) & !eight;
        let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
        let found = (below(eight, b' ') | is(b'"') | is(b'\\')) & (ONES << 7);
        if found != 0 {
            return 8 * n + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_plain_up_to_a_quote_an_escape_or_a_control_character() {
        for len in 0..40 {
            let text = "é!\u{7f}~#]".repeat(7);
            let text = &text.as_bytes()[..len];
            assert_eq!(plain_len(text), len);
            for special in [b'"', b'\\', 0, 10, 0x1f] {
                for behind in ["", "x", "\"\\\n", " !\"#[\\]", "12345678é"] {
                    let bytes = [text, &[special], behind.as_bytes()].concat();
                    assert_eq!(plain_len(&bytes), len, "{bytes:?}");
                }
            }
        }
    }
}
