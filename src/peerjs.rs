//! PeerJS without its server: translates between the messages of a PeerJS client and the lines of
//! sotto's protocol.
//!
//! ```text
//! PeerJS                                  sotto
//! …?key=peerjs&id=alice&token=…       →   {"type":"join","id":"alice"}, with a key for some tokens
//! {"type":"OPEN"}                     ←   joined
//! {"type":"OFFER","dst":"bob",…}      →   {"type":"send","to":"bob","body":{"peerjs":"OFFER",…}}
//! {"type":"OFFER","src":"bob",…}      ←   message; for an owned id, answered with ack
//! {"type":"EXPIRE","src":"bob",…}     ←   error, or `sent` with `held` and no more for 5 s
//! {"type":"ID-TAKEN",…}, the end      ←   error id_taken
//! {"type":"HEARTBEAT"}                    not passed on: it shows that the client is alive
//! ```
//!
//! **Tokens.** A token of 16 to 128 bytes is the key of the id, which is then owned. A shorter one,
//! such as PeerJS makes up for each `Peer`, gives no ownership: a page that is loaded anew has
//! another token, and would not get its own id back before `--hold` is over.
//!
//! **Invariants**
//! - A payload is passed on byte for byte, but for raw line breaks between its tokens.
//! - A message that a PeerJS client cannot read is not acknowledged, so it waits for a client that
//!   can.
//! - A sender hears EXPIRE, or its message was handed to the recipient within [`PEERJS_EXPIRY_MS`].
//! - At most [`PEERJS_RECIPIENTS_MAX`] recipients are remembered.
//!
//! It does not know sockets, the clock, nor how lines are routed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::limits::{ID_BYTES_MAX, KEY_BYTES, LIST_MAX, PEERJS_EXPIRY_MS, PEERJS_RECIPIENTS_MAX};

mod handshake;

pub use handshake::Handshake;

/// The texts that a translation makes, for both sides.
#[derive(Debug, Default, PartialEq)]
pub struct Output {
    /// Lines for the hub, in the name of this client.
    pub lines: Vec<String>,
    /// Messages for the PeerJS client, one for each WebSocket message.
    pub messages: Vec<String>,
    /// The connection is to be closed behind the messages.
    pub is_over: bool,
}

/// The translator of one connection.
pub struct Translator {
    /// The id, as JSON.
    id: String,
    /// The token, if it is long enough to be a key.
    key: Option<String>,
    /// The longest line that the hub is given, in bytes.
    line_bytes_max: usize,
    /// The time of the handshake: the refs of no two connections of one id are alike.
    began: u64,
    /// The number of the last message that was sent.
    last: u64,
    has_joined: bool,
    /// Recipients of messages that are unanswered or held, oldest first.
    recipients: Vec<Recipient>,
}

/// A recipient of messages that are unanswered or held.
struct Recipient {
    id: String,
    /// The number of the last message to it.
    last: u64,
    /// The time since which a message is held for it, in milliseconds since 1970 UTC.
    held_since: Option<u64>,
}

/// An object of JSON, with its values as they stand.
type Object<'t> = BTreeMap<String, &'t RawValue>;

/// The kinds of messages that PeerJS clients exchange.
const KINDS: [&str; 4] = ["OFFER", "ANSWER", "CANDIDATE", "LEAVE"];

/// Returns the message that refuses a client, with a sentence for people.
pub fn refusal(sentence: &str) -> String {
    format!(r#"{{"type":"ERROR","payload":{{"msg":{}}}}}"#, quoted(sentence))
}

impl Translator {
    /// Begins a conversation at this time, in milliseconds since 1970 UTC. A line for the hub is
    /// at most `line_bytes_max` long.
    pub fn new(handshake: &Handshake, line_bytes_max: usize, unix_ms: u64) -> Translator {
        let is_key = handshake.token.len() >= *KEY_BYTES.start();
        Translator {
            id: quoted(&handshake.id),
            key: is_key.then(|| quoted(&handshake.token)),
            line_bytes_max,
            began: unix_ms,
            last: 0,
            has_joined: false,
            recipients: Vec::new(),
        }
    }

    /// Returns `true` if the token is a key, so that the id is owned.
    pub fn is_owned(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the first line for the hub. The key is not kept.
    pub fn join(&mut self) -> String {
        let key = self.key.as_mut().map(std::mem::take);
        let key = key.map_or(String::new(), |key| format!(r#","key":{key}"#));
        format!(r#"{{"type":"join","id":{}{key}}}"#, self.id)
    }

    // ---- from the client ----

    /// Translates a message of the client. One that is no message of PeerJS is ignored, as
    /// PeerServer does.
    pub fn hear(&mut self, text: &str, unix_ms: u64, out: &mut Output) {
        self.expire_held(unix_ms, out);
        let Some(message) = object(text) else { return };
        let kind = string(&message, "type").unwrap_or_default();
        if KINDS.contains(&kind.as_str()) {
            match string(&message, "dst") {
                Some(to) => self.send(&kind, &to, message.get("payload").copied(), out),
                None if kind == "LEAVE" => out.lines.push(r#"{"type":"leave"}"#.into()),
                None => {}
            }
        }
    }

    fn send(&mut self, kind: &str, to: &str, payload: Option<&RawValue>, out: &mut Output) {
        let is_leave = kind == "LEAVE";
        if to.len() > ID_BYTES_MAX {
            // No error of the hub would name it.
            if !is_leave {
                out.messages.push(self.expiry(to));
            }
            return;
        }
        self.last += 1;
        // A LEAVE is of no interest to a recipient that is away, so nothing is told of its fate.
        let reference = match is_leave {
            true => String::new(),
            false => format!(r#","ref":"{:x}-{:x}""#, self.began, self.last),
        };
        let payload = payload.map_or(String::new(), |payload| {
            format!(r#","payload":{}"#, payload.get().replace(['\n', '\r'], " "))
        });
        let line = format!(
            r#"{{"type":"send","to":{}{reference},"body":{{"peerjs":"{kind}"{payload}}}}}"#,
            quoted(to)
        );
        if line.len() > self.line_bytes_max {
            out.messages.push(refusal("This message is too long for the server."));
            return;
        }
        if !is_leave {
            self.remember(to, out);
        }
        out.lines.push(line);
    }

    /// Remembers the recipient of the message sent last. If there are too many, the oldest is
    /// forgotten; a message held for it counts as expired.
    fn remember(&mut self, to: &str, out: &mut Output) {
        let last = self.last;
        if let Some(known) = self.recipient(to) {
            known.last = last;
            return;
        }
        if self.recipients.len() == PEERJS_RECIPIENTS_MAX {
            let oldest = self.recipients.remove(0);
            if oldest.held_since.is_some() {
                out.messages.push(self.expiry(&oldest.id));
            }
        }
        self.recipients.push(Recipient { id: to.to_owned(), last, held_since: None });
    }

    fn recipient(&mut self, id: &str) -> Option<&mut Recipient> {
        self.recipients.iter_mut().find(|recipient| recipient.id == id)
    }

    /// Tells the client of recipients for which a message has been held too long. The client's
    /// HEARTBEAT every five seconds is the clock of this.
    fn expire_held(&mut self, unix_ms: u64, out: &mut Output) {
        let is_over = |held: &mut Recipient| held.held_since.is_some_and(|at| is_late(at, unix_ms));
        while let Some(at) = self.recipients.iter_mut().position(is_over) {
            let expired = self.recipients.remove(at);
            out.messages.push(self.expiry(&expired.id));
        }
    }

    // ---- from the hub ----

    /// Translates lines for the client.
    pub fn tell(&mut self, text: &str, unix_ms: u64, out: &mut Output) {
        let mut acks: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.split('\n') {
            let Some(line) = object(line) else { continue };
            if out.is_over {
                break;
            }
            match string(&line, "type").unwrap_or_default().as_str() {
                "joined" => {
                    self.has_joined = true;
                    out.messages.push(r#"{"type":"OPEN"}"#.into());
                }
                "message" => self.tell_message(&line, unix_ms, &mut acks, out),
                "sent" => self.note_sent(&line),
                "delivered" => self.note_fate(string(&line, "from"), Some(unix_ms), out),
                "expired" => self.note_fate(string(&line, "to"), None, out),
                "error" => self.tell_error(&line, out),
                // Signals, presence and cards have no counterpart.
                _ => {}
            }
        }
        let quoted_ack = |(to, mids): (String, Vec<String>)| {
            format!(r#"{{"type":"ack","to":{to},"mids":[{}]}}"#, mids.join(","))
        };
        out.lines.extend(acks.into_iter().map(quoted_ack));
    }

    /// Hands a message on that a PeerJS client sent. For an owned id it is acknowledged, and one
    /// that is late is acknowledged only: its sender has heard EXPIRE.
    fn tell_message(
        &self,
        line: &Object<'_>,
        unix_ms: u64,
        acks: &mut Vec<(String, Vec<String>)>,
        out: &mut Output,
    ) {
        let (Some(from), Some(mid)) = (line.get("from"), line.get("mid")) else { return };
        let Some(body) = line.get("body").and_then(|body| object(body.get())) else { return };
        let kind = string(&body, "peerjs").unwrap_or_default();
        if !KINDS.contains(&kind.as_str()) {
            return;
        }
        if self.is_owned() {
            match acks.last_mut() {
                Some((to, mids)) if to == from.get() && mids.len() < LIST_MAX => {
                    mids.push(mid.get().into());
                }
                _ => acks.push((from.get().into(), vec![mid.get().into()])),
            }
            if number(line, "at").is_some_and(|at| is_late(at, unix_ms)) {
                return;
            }
        }
        let payload = body
            .get("payload")
            .map_or(String::new(), |payload| format!(r#","payload":{}"#, payload.get()));
        let (from, id) = (from.get(), &self.id);
        out.messages.push(format!(r#"{{"type":"{kind}","src":{from},"dst":{id}{payload}}}"#));
    }

    fn note_sent(&mut self, line: &Object<'_>) {
        let reference = string(line, "ref").unwrap_or_default();
        let Some((_, sent)) = reference.split_once('-') else { return };
        let Ok(sent) = u64::from_str_radix(sent, 16) else { return };
        let is_held = line.get("held").is_some_and(|held| held.get() == "true");
        let Some(at) = self.recipients.iter().position(|known| known.last == sent) else { return };
        if is_held {
            let recipient = &mut self.recipients[at];
            recipient.held_since = recipient.held_since.or(number(line, "at"));
        } else {
            self.recipients.remove(at);
        }
    }

    /// Notes that a recipient has acknowledged messages at this time, or that they were dropped.
    fn note_fate(&mut self, id: Option<String>, acknowledged: Option<u64>, out: &mut Output) {
        let at = self.recipients.iter().position(|known| Some(&known.id) == id.as_ref());
        let Some(at) = at else { return };
        let held_since = self.recipients[at].held_since;
        let recipient = self.recipients.remove(at);
        let is_shown = match (acknowledged, held_since) {
            (Some(now), Some(since)) => !is_late(since, now),
            (acknowledged, _) => acknowledged.is_some(),
        };
        if !is_shown {
            out.messages.push(self.expiry(&recipient.id));
        }
    }

    fn tell_error(&mut self, line: &Object<'_>, out: &mut Output) {
        let code = string(line, "code").unwrap_or_default();
        let sentence = string(line, "text").unwrap_or_default();
        if !self.has_joined {
            out.messages.push(match code.as_str() {
                "id_taken" => r#"{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}"#.into(),
                _ => refusal(&sentence),
            });
            out.is_over = true;
            return;
        }
        match string(line, "to") {
            Some(to) if line.contains_key("ref") && code != "bad_request" => {
                self.recipients.retain(|known| known.id != to);
                out.messages.push(self.expiry(&to));
            }
            // Nothing is told of the fate of a LEAVE.
            Some(_) if !line.contains_key("ref") => {}
            _ => out.messages.push(refusal(&sentence)),
        }
    }

    /// Returns the message that a recipient was not reached.
    fn expiry(&self, recipient: &str) -> String {
        format!(r#"{{"type":"EXPIRE","src":{},"dst":{}}}"#, quoted(recipient), self.id)
    }
}

/// Returns `true` if a message that the server took at one time is too old at another.
fn is_late(taken: u64, unix_ms: u64) -> bool {
    unix_ms.saturating_sub(taken) >= PEERJS_EXPIRY_MS
}

fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str(text).ok()
}

fn string(object: &Object<'_>, key: &str) -> Option<String> {
    serde_json::from_str(object.get(key)?.get()).ok()
}

fn number(object: &Object<'_>, key: &str) -> Option<u64> {
    object.get(key)?.get().parse().ok()
}

/// Returns a text as a string of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
