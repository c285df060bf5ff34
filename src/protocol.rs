//! The wire protocol as types: one line ↔ one value. Who says what when is the hub's.
//!
//! Invariant: a line that parses into a [`FromClient`] has every key it needs, of its type, none twice, and a `body`
//! no deeper than allowed; an [`Id`] holds nothing that JSON would have to escape.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::fmt;
use std::io::Write as _;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::config::{BODY_DEPTH_MAX, ID_BYTES_MAX, LIST_MAX, MID_BYTES_MAX, REF_BYTES_MAX};

/// What a client says in one line.
#[derive(Debug, PartialEq)]
pub enum FromClient<'a> {
    /// Claim an id; with a key, also from a connection that still holds it.
    Join {
        /// The id to claim, not yet looked at.
        id: Cow<'a, str>,
        /// The client's secret, not yet looked at.
        key: Option<Cow<'a, str>>,
    },
    /// Route a message to one client.
    Send {
        /// Whom to.
        to: Cow<'a, str>,
        /// Any JSON value, as it came.
        body: &'a str,
        /// What the client wants it called in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Route something of passing interest.
    Signal {
        /// Whom to.
        to: Cow<'a, str>,
        /// Any JSON value, as it came.
        body: &'a str,
    },
    /// These messages have reached my user.
    Ack {
        /// Who sent them.
        to: Cow<'a, str>,
        /// Their names.
        mids: Vec<Cow<'a, str>>,
    },
    /// Tell me whether these are here, now and at every change.
    Watch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Stop telling me.
    Unwatch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Refuse what these say, and look offline to them.
    Block {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// End that.
    Unblock {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Give the id up.
    Leave,
}

/// What an answer needs to say which request it answers: `ref` and `to`, where they are strings that are not too long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tag<'a> {
    /// The request's `ref`.
    pub reference: Option<Cow<'a, str>>,
    /// The request's `to`.
    pub to: Option<Cow<'a, str>>,
}

/// One line: what it says, or what is wrong with it in a sentence for people, and how to refer to it.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// How to refer to it.
    pub tag: Tag<'a>,
    /// What it says; an error is a `bad_request`.
    pub said: Result<FromClient<'a>, String>,
}

impl<'a> Line<'a> {
    /// Reads one line, which is not blank.
    pub fn parse(line: &'a str) -> Line<'a> {
        let keys: Keys = match serde_json::from_str(line) {
            Ok(keys) => keys,
            Err(wrong) => {
                let sentence = format!("not a JSON object, from column {} on", wrong.column());
                return Line { tag: Tag::default(), said: Err(sentence) };
            }
        };
        let short = |text: Option<Cow<'a, str>>| text.filter(|text| text.len() <= REF_BYTES_MAX);
        let tag =
            Tag { reference: short(keys.reference.and_then(string)), to: short(keys.to.and_then(string)) };
        Line { tag, said: keys.said() }
    }
}

/// The keys that mean something, each as it came.
#[derive(Default)]
struct Keys<'a> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
    to: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
    reference: Option<&'a RawValue>,
    ids: Option<&'a RawValue>,
    mids: Option<&'a RawValue>,
    /// Some key, known or unknown, stands twice.
    repeated: bool,
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys<'de>, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

/// Takes a line apart by hand: a derived struct would accept an array for an object, overlook an unknown key that comes
/// twice, and take a `body` of `null` for none.
struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
        let mut keys = Keys::default();
        // Made only for keys that the protocol does not know; a list would be searched for each of thousands.
        let mut unknown: Option<HashSet<Cow<'de, str>>> = None;
        while let Some(Key(name)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            let twice = match &*name {
                "type" => keys.kind.replace(value).is_some(),
                "id" => keys.id.replace(value).is_some(),
                "key" => keys.key.replace(value).is_some(),
                "to" => keys.to.replace(value).is_some(),
                "body" => keys.body.replace(value).is_some(),
                "ref" => keys.reference.replace(value).is_some(),
                "ids" => keys.ids.replace(value).is_some(),
                "mids" => keys.mids.replace(value).is_some(),
                _ => !unknown.get_or_insert_default().insert(name),
            };
            keys.repeated |= twice;
        }
        Ok(keys)
    }
}

/// A key, borrowed from the line unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'a> Keys<'a> {
    fn said(&self) -> Result<FromClient<'a>, String> {
        if self.repeated {
            return Err("a key stands twice".into());
        }
        let kind = needed("type", self.kind)?;
        Ok(match &*kind {
            "send" => FromClient::Send {
                to: needed("to", self.to)?,
                body: self.body()?,
                reference: self.reference()?,
            },
            "signal" => FromClient::Signal { to: needed("to", self.to)?, body: self.body()? },
            "join" => FromClient::Join { id: needed("id", self.id)?, key: optional("key", self.key)? },
            "ack" => FromClient::Ack { to: needed("to", self.to)?, mids: self.mids()? },
            "watch" => FromClient::Watch { ids: list("ids", self.ids)? },
            "unwatch" => FromClient::Unwatch { ids: list("ids", self.ids)? },
            "block" => FromClient::Block { ids: list("ids", self.ids)? },
            "unblock" => FromClient::Unblock { ids: list("ids", self.ids)? },
            "leave" => FromClient::Leave,
            _ => return Err("unknown `type`".into()),
        })
    }

    fn body(&self) -> Result<&'a str, String> {
        let body = self.body.ok_or("`body` is missing")?.get();
        if depth(body) > BODY_DEPTH_MAX {
            return Err(format!("`body` is nested more than {BODY_DEPTH_MAX} deep"));
        }
        Ok(body)
    }

    fn mids(&self) -> Result<Vec<Cow<'a, str>>, String> {
        let mids = list("mids", self.mids)?;
        if !mids.iter().all(|mid| Mid::is_valid(mid)) {
            return Err(format!("a mid is 1 to {MID_BYTES_MAX} ASCII letters, digits and -"));
        }
        Ok(mids)
    }

    fn reference(&self) -> Result<Option<Cow<'a, str>>, String> {
        match optional("ref", self.reference)? {
            Some(text) if text.is_empty() || text.len() > REF_BYTES_MAX => {
                Err(format!("`ref` must be 1 to {REF_BYTES_MAX} bytes long"))
            }
            reference => Ok(reference),
        }
    }
}

fn list<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Vec<Cow<'a, str>>, String> {
    let value = value.ok_or_else(|| format!("`{name}` is missing"))?;
    let not_strings = || format!("`{name}` must be a list of strings");
    let list: Vec<&'a RawValue> = serde_json::from_str(value.get()).map_err(|_| not_strings())?;
    if list.is_empty() || list.len() > LIST_MAX {
        return Err(format!("`{name}` must have 1 to {LIST_MAX} entries"));
    }
    list.into_iter().map(|entry| string(entry).ok_or_else(not_strings)).collect()
}

fn needed<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, String> {
    optional(name, value)?.ok_or_else(|| format!("`{name}` is missing"))
}

fn optional<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, String> {
    value.map(|raw| string(raw).ok_or_else(|| format!("`{name}` must be a string"))).transpose()
}

/// The string that a raw value is; none if it is something else, or has a lone surrogate.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// How deep arrays and objects are nested in a valid JSON text: 0 for a string or a number.
fn depth(json: &str) -> usize {
    if !json.starts_with(['[', '{']) {
        return 0;
    }
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            // Brackets in strings do not count; an escaped quote does not end one.
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

/// The name a client claims: 1 to 64 bytes, each character a Unicode letter, mark or number or one of `. _ - @ +`, the
/// first not a mark, none invisible. Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Rc<str>);

impl Id {
    /// The id that `text` is, if it is one.
    pub fn new(text: &str) -> Option<Id> {
        Id::is_valid(text).then(|| Id(text.into()))
    }

    /// Does `text` have an id's syntax?
    pub fn is_valid(text: &str) -> bool {
        let first_may_lead = text.chars().next().is_some_and(|first| !is_mark(first));
        first_may_lead && text.len() <= ID_BYTES_MAX && text.chars().all(may_stand_in_id)
    }
}

impl std::ops::Deref for Id {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

fn may_stand_in_id(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    }
    matches!(c.general_category_group(), Letter | Mark | Number) && !is_default_ignorable(c)
}

/// The letters and marks among Unicode's Default_Ignorable_Code_Points (DerivedCoreProperties.txt): fillers and
/// variation selectors, with which two ids would look the same.
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34F}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Names a message: a prefix made at the start of the server and a counter, so neither a restart nor a clock set back
/// repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// Random; its low 48 bits count.
    pub prefix: u64,
    /// Counts from 1.
    pub count: u64,
}

impl Mid {
    /// Does `text` have a mid's syntax, on any server?
    pub fn is_valid(text: &str) -> bool {
        let may_stand_in_mid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=MID_BYTES_MAX).contains(&text.len()) && text.bytes().all(may_stand_in_mid)
    }

    /// The count in a mid of this server's; none if it is another's.
    pub fn count_in(text: &str, prefix: u64) -> Option<u64> {
        let (prefix_text, count_text) = text.split_once('-')?;
        let count = u64::from_str_radix(count_text, 16).ok()?;
        let mid = Mid { prefix, count };
        // Only one spelling is ours.
        let is_ours = prefix_text.as_bytes() == mid.prefix_digits().bytes()
            && count_text.as_bytes() == Digits::new::<16>(count).bytes();
        is_ours.then_some(count)
    }

    /// Appends it. One goes with each message, and `format!` took a tenth of the time that a message takes.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix_digits().bytes());
        out.push(b'-');
        out.extend_from_slice(Digits::new::<16>(self.count).bytes());
    }

    /// All twelve, zeros too: the digit in front, which keeps them, is left out.
    fn prefix_digits(&self) -> Digits {
        let mut digits = Digits::new::<16>(1 << 48 | self.prefix & 0xffff_ffff_ffff);
        digits.start += 1;
        digits
    }
}

/// The digits of a number, without an allocation.
struct Digits {
    /// They stand at its end. No number has more: 20 in decimal.
    buffer: [u8; 20],
    start: usize,
}

impl Digits {
    fn new<const BASE: u64>(mut number: u64) -> Digits {
        let mut digits = Digits { buffer: [0; 20], start: 20 };
        loop {
            digits.start -= 1;
            digits.buffer[digits.start] = b"0123456789abcdef"[(number % BASE) as usize];
            number /= BASE;
            if number == 0 {
                return digits;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// What the server says in one line.
#[derive(Debug)]
pub enum ToClient<'a> {
    /// The claim stands.
    Joined {
        /// The id that was claimed.
        id: &'a Id,
        /// The server still knew the id with this key: nothing was lost in between.
        resumed: bool,
        /// How many messages are not acknowledged, and follow.
        held: usize,
        /// How long the id is kept after its connection ended, in seconds.
        hold: u64,
        /// Bytes of the longest WebSocket message that the server takes.
        max_message: usize,
    },
    /// Somebody's `send`.
    Message {
        /// Whose.
        from: &'a Id,
        /// As it came.
        body: &'a str,
        /// Its name.
        mid: Mid,
        /// When the server took it, in milliseconds since 1970 UTC.
        at: u64,
    },
    /// The server has taken a message.
    Sent {
        /// What its sender calls it.
        reference: &'a str,
        /// Its name.
        mid: Mid,
        /// When, in milliseconds since 1970 UTC.
        at: u64,
        /// The recipient is away, and the message waits for it.
        held: bool,
    },
    /// The recipient's page has acknowledged these.
    Delivered {
        /// The recipient.
        from: &'a Id,
        /// Which.
        mids: Mids<'a>,
    },
    /// These were held and dropped undelivered.
    Expired {
        /// The recipient.
        to: &'a Id,
        /// Which.
        mids: Mids<'a>,
    },
    /// Somebody's `signal`.
    Signal {
        /// Whose.
        from: &'a Id,
        /// As it came.
        body: &'a str,
    },
    /// The state of a watched id.
    Presence {
        /// Whose.
        id: &'a Id,
        /// Whether it is here.
        online: bool,
    },
    /// Something the client said was refused.
    Error {
        /// Why, for programs.
        code: ErrorCode,
        /// What.
        tag: &'a Tag<'a>,
        /// Why, for people.
        text: &'a str,
    },
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
    /// As a client said them, unchecked.
    Said(&'a [Cow<'a, str>]),
}

impl Mids<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Mids::Ours { prefix, counts } => {
                for (n, &count) in counts.iter().enumerate() {
                    out.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
                    Mid { prefix: *prefix, count }.write(out);
                    out.push(b'"');
                }
            }
            Mids::Said(texts) => {
                for (n, text) in texts.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    append_string(out, text);
                }
            }
        }
    }
}

impl ToClient<'_> {
    /// Appends the line, without a newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            ToClient::Joined { id, resumed, held, hold, max_message } => append(
                out,
                format_args!(
                    r#"{{"type":"joined","id":"{}","resumed":{resumed},"held":{held},"max_message":{max_message},"hold":{hold}}}"#,
                    id.0
                ),
            ),
            ToClient::Message { from, body, mid, at } => {
                append_all(out, [r#"{"type":"message","from":""#, &from.0, r#"","body":"#, body]);
                append_mid_and_at(out, mid, *at);
                out.push(b'}');
            }
            ToClient::Sent { reference, mid, at, held } => {
                append_all(out, [r#"{"type":"sent","ref":"#]);
                append_string(out, reference);
                append_mid_and_at(out, mid, *at);
                append_all(out, [if *held { r#","held":true}"# } else { "}" }]);
            }
            ToClient::Delivered { from, mids } => {
                append_all(out, [r#"{"type":"delivered","from":""#, &from.0, r#"","mids":["#]);
                mids.write(out);
                out.extend_from_slice(b"]}");
            }
            ToClient::Expired { to, mids } => {
                append(out, format_args!(r#"{{"type":"expired","to":"{}","mids":["#, to.0));
                mids.write(out);
                out.extend_from_slice(b"]}");
            }
            ToClient::Signal { from, body } => {
                append(out, format_args!(r#"{{"type":"signal","from":"{}","body":{body}}}"#, from.0));
            }
            ToClient::Presence { id, online } => {
                append(out, format_args!(r#"{{"type":"presence","id":"{}","online":{online}}}"#, id.0));
            }
            ToClient::Error { code, tag, text } => {
                append(out, format_args!(r#"{{"type":"error","code":"{}""#, code.name()));
                for (key, value) in [("ref", &tag.reference), ("to", &tag.to)] {
                    if let Some(value) = value {
                        append(out, format_args!(r#","{key}":"#));
                        append_string(out, value);
                    }
                }
                append(out, format_args!(r#","text":"#));
                append_string(out, text);
                out.push(b'}');
            }
        }
    }
}

// Writing into a vector cannot fail, and neither can writing a string as JSON.

/// What goes with each message is put together from its parts; for the rest `append` is fast enough.
fn append_all<const N: usize>(out: &mut Vec<u8>, parts: [&str; N]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn append_mid_and_at(out: &mut Vec<u8>, mid: &Mid, at: u64) {
    append_all(out, [r#","mid":""#]);
    mid.write(out);
    append_all(out, [r#"","at":"#]);
    out.extend_from_slice(Digits::new::<10>(at).bytes());
}

fn append(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn append_string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Not a line of this protocol.
    BadRequest,
    /// Anything but `join` before `joined`.
    NotJoined,
    /// A second `join`.
    AlreadyJoined,
    /// An id outside the syntax.
    BadId,
    /// A key that is too short or too long.
    BadKey,
    /// Somebody else holds this id.
    IdTaken,
    /// The recipient is not here.
    Offline,
    /// The recipient was too slow to read, and has been disconnected.
    Slow,
    /// What is held for the recipient, or for everybody, has reached its limit.
    Full,
    /// A limit on this client was reached.
    TooMany,
}

impl ErrorCode {
    /// All of them, each at its own number.
    pub const ALL: [ErrorCode; 10] = [
        ErrorCode::BadRequest,
        ErrorCode::NotJoined,
        ErrorCode::AlreadyJoined,
        ErrorCode::BadId,
        ErrorCode::BadKey,
        ErrorCode::IdTaken,
        ErrorCode::Offline,
        ErrorCode::Slow,
        ErrorCode::Full,
        ErrorCode::TooMany,
    ];

    /// The code as it goes over the wire.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::NotJoined => "not_joined",
            ErrorCode::AlreadyJoined => "already_joined",
            ErrorCode::BadId => "bad_id",
            ErrorCode::BadKey => "bad_key",
            ErrorCode::IdTaken => "id_taken",
            ErrorCode::Offline => "offline",
            ErrorCode::Slow => "slow",
            ErrorCode::Full => "full",
            ErrorCode::TooMany => "too_many",
        }
    }
}

/// Why the chat ends a connection. What WebSocket itself finds wrong has codes of its own (RFC 6455, 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client left.
    Normal,
    /// The server is shutting down.
    GoingAway,
    /// A binary message; the protocol is text.
    Unsupported,
    /// No `join` in time.
    Policy,
    /// The client was too slow to read what was sent to it.
    TryAgainLater,
    /// Too many refused lines in a row.
    BadRequests,
    /// The same id joined again elsewhere, with the same key.
    Replaced,
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        match code {
            CloseCode::Normal => 1000,
            CloseCode::GoingAway => 1001,
            CloseCode::Unsupported => 1003,
            CloseCode::Policy => 1008,
            CloseCode::TryAgainLater => 1013,
            CloseCode::BadRequests => 4000,
            CloseCode::Replaced => 4001,
        }
    }
}

#[cfg(test)]
mod tests;
