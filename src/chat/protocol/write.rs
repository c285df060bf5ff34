//! The lines of the server as text.
//!
//! The lines of each message are put together by hand: `format_args!` takes 900 instructions more
//! for a `message`.
//!
//! **Invariants**
//! - A line is valid JSON without a newline, as long as each `body` and `card` in it is. An [`Id`]
//!   needs no escapes.
//!
//! The buffer, and the client it is for, are not known here.
//!
//! [`Id`]: super::Id

use std::fmt;
use std::io::Write as _;

use super::{ErrorCode, Id, Mid, Mids, Tag, ToClient};
use crate::limits::{CARD_BYTES_MAX, MID_BYTES_MAX};

impl ToClient<'_> {
    /// Appends the line, without a newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            ToClient::Joined { id, resumed, ownership, held, hold, max_message } => {
                put(out, [r#"{"type":"joined","id":""#, id]);
                append(out, format_args!(r#"","resumed":{resumed}"#));
                if let Some(ownership) = ownership {
                    append(out, format_args!(r#","ownership":"{ownership:016x}""#));
                }
                append(out, format_args!(r#","held":{held},"max_message":{max_message}"#));
                append(out, format_args!(r#","hold":{hold},"card":{CARD_BYTES_MAX}}}"#));
            }
            ToClient::Message { from, body, mid, at } => {
                put(out, [MESSAGE_FROM, from, BODY, body, r#","mid":""#]);
                put_all(out, [mid.write(&mut [0; MID_BYTES_MAX]), br#"","at":"#]);
                put(out, [itoa::Buffer::new().format(*at)]);
                out.push(b'}');
            }
            ToClient::Sent { reference, mid, at, held } => {
                put(out, [r#"{"type":"sent","ref":"#]);
                put_string(out, reference);
                put_all(out, [br#","mid":""#, mid.write(&mut [0; MID_BYTES_MAX]), br#"","at":"#]);
                put(out, [itoa::Buffer::new().format(*at)]);
                put(out, [if *held { r#","held":true}"# } else { "}" }]);
            }
            ToClient::Delivered { from, mids } => {
                put_report(out, r#"{"type":"delivered","from":""#, from, mids);
            }
            ToClient::Expired { to, mids } => {
                put_report(out, r#"{"type":"expired","to":""#, to, mids);
            }
            ToClient::Signal { from, body } => {
                put(out, [r#"{"type":"signal","from":""#, from, r#"","body":"#, body, "}"]);
            }
            ToClient::Presence { id, online } => {
                let online = if *online { "true}" } else { "false}" };
                put(out, [r#"{"type":"presence","id":""#, id, r#"","online":"#, online]);
            }
            ToClient::Card { id, claimed, card } => {
                let claimed = if *claimed { "true" } else { "false" };
                let (key, card) = card.map_or(("", ""), |card| (r#","card":"#, card));
                put(
                    out,
                    [r#"{"type":"card","id":""#, id, r#"","claimed":"#, claimed, key, card, "}"],
                );
            }
            ToClient::Error { code, tag, text } => {
                put_error(out, *code, tag, text);
            }
        }
    }
}

fn put_error(out: &mut Vec<u8>, code: ErrorCode, tag: &Tag, text: &str) {
    put(out, [r#"{"type":"error","code":""#, code.name(), "\""]);
    for (key, value) in [(r#","ref":"#, &tag.reference), (r#","to":"#, &tag.to)] {
        if let Some(value) = value {
            put(out, [key]);
            put_string(out, value);
        }
    }
    put(out, [r#","text":"#]);
    put_string(out, text);
    out.push(b'}');
}

/// Appends a line about messages: its beginning, the id and the mids.
fn put_report(out: &mut Vec<u8>, beginning: &str, id: &str, mids: &Mids<'_>) {
    put(out, [beginning, id, r#"","mids":["#]);
    mids.write(out);
    put(out, ["]}"]);
}

const MESSAGE_FROM: &str = r#"{"type":"message","from":""#;
const BODY: &str = r#"","body":"#;

/// Appends a `message` line without its body, and returns the position of the body in it.
///
/// A long body goes from the read buffer straight to the recipient's lines.
pub fn put_message_around(out: &mut Vec<u8>, from: &Id, mid: Mid, at: u64) -> usize {
    let start = out.len();
    ToClient::Message { from, body: "", mid, at }.write(out);
    start + MESSAGE_FROM.len() + from.len() + BODY.len()
}

/// Appends parts of text.
fn put<const N: usize>(out: &mut Vec<u8>, parts: [&str; N]) {
    put_all(out, parts.map(str::as_bytes));
}

/// Appends parts of text, and reserves capacity for all of them once.
#[inline]
pub fn put_all<const N: usize>(out: &mut Vec<u8>, parts: [&[u8]; N]) {
    out.reserve(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

// Writing to a vector cannot fail, nor can writing a string as JSON.

fn append(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}
