//! The full parser for a line of a client: all of JSON, by way of serde_json.
//!
//! **Invariants**
//! - A `body` or a `card` is passed on byte for byte, so it is never parsed into a value.
//! - An error is one sentence for people. It repeats no text of the line, so it stays short.
//!
//! Blank lines and line ends are not known here.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

#[cfg(feature = "host")]
use super::Private;
use super::{Credentials, FromClient, Line, Mid, MidList, Tag};
use crate::chat::card::Card;
#[cfg(feature = "host")]
use crate::chat::password::Password;
#[cfg(feature = "auth")]
use crate::chat::vouching::IdToken;
use crate::limits::{BODY_DEPTH_MAX, CARD_BYTES_MAX, LIST_MAX, MID_BYTES_MAX, REF_BYTES_MAX};

#[cfg(feature = "api")]
pub mod call;

/// Parses one line, which is not blank.
pub fn parse(line: &str) -> Line<'_> {
    let keys: Keys = match serde_json::from_str(line) {
        Ok(keys) => keys,
        Err(error) => {
            let sentence = format!("this is not a JSON object: see column {}", error.column());
            return Line { tag: Tag::default(), request: Err(sentence) };
        }
    };
    let short = |raw: Option<_>| raw.and_then(string).filter(|text| text.len() <= REF_BYTES_MAX);
    let tag = Tag { reference: short(keys.reference), to: short(keys.to) };
    Line { tag, request: keys.request() }
}

/// The values of the keys that the protocol knows, each as it came.
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
    card: Option<&'a RawValue>,
    #[cfg(feature = "host")]
    password: Option<&'a RawValue>,
    /// The sender of a message from a backend.
    #[cfg(feature = "api")]
    from: Option<&'a RawValue>,
    #[cfg(feature = "auth")]
    token: Option<&'a RawValue>,
    /// Whether a key, known or unknown, appears twice.
    repeated: bool,
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys<'de>, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

/// Collects the keys by hand. A derived struct would accept an array for an object, miss an unknown
/// key that appears twice, and take a `body` of `null` for a missing one.
struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
        let mut keys = Keys::default();
        // For keys that the protocol does not know, made only if there is one. A set, because a
        // line may have thousands.
        let mut unknown: Option<HashSet<Cow<'de, str>>> = None;
        while let Some(name) = map.next_key::<&'de RawValue>()? {
            let value: &'de RawValue = map.next_value()?;
            // An unknown key may be any JSON string. One with a lone surrogate is no Rust string,
            // and goes by the name it has in the line.
            let name = string(name).unwrap_or(Cow::Borrowed(name.get()));
            let is_repeated = match &*name {
                "type" => keys.kind.replace(value).is_some(),
                "id" => keys.id.replace(value).is_some(),
                "key" => keys.key.replace(value).is_some(),
                "to" => keys.to.replace(value).is_some(),
                "body" => keys.body.replace(value).is_some(),
                "ref" => keys.reference.replace(value).is_some(),
                "ids" => keys.ids.replace(value).is_some(),
                "mids" => keys.mids.replace(value).is_some(),
                "card" => keys.card.replace(value).is_some(),
                #[cfg(feature = "host")]
                "password" => keys.password.replace(value).is_some(),
                #[cfg(feature = "api")]
                "from" => keys.from.replace(value).is_some(),
                #[cfg(feature = "auth")]
                "token" => keys.token.replace(value).is_some(),
                _ => !unknown.get_or_insert_default().insert(name),
            };
            keys.repeated |= is_repeated;
        }
        Ok(keys)
    }
}

impl<'a> Keys<'a> {
    fn request(&self) -> Result<FromClient<'a>, String> {
        if self.repeated {
            return Err("a key appears twice: name each key once".into());
        }
        let kind = required("type", self.kind)?;
        Ok(match &*kind {
            "send" => FromClient::Send {
                to: required("to", self.to)?,
                body: self.body()?,
                reference: self.reference()?,
            },
            "signal" => FromClient::Signal { to: required("to", self.to)?, body: self.body()? },
            "join" => FromClient::Join {
                id: required("id", self.id)?,
                credentials: self.credentials()?,
                card: self.card()?,
            },
            "ack" => FromClient::Ack { to: required("to", self.to)?, mids: self.mids()? },
            "watch" => FromClient::Watch { ids: list("ids", self.ids)? },
            "unwatch" => FromClient::Unwatch { ids: list("ids", self.ids)? },
            "block" => FromClient::Block { ids: list("ids", self.ids)? },
            "unblock" => FromClient::Unblock { ids: list("ids", self.ids)? },
            "card" => FromClient::Card { card: self.card()? },
            "lookup" => FromClient::Lookup { id: required("id", self.id)? },
            "leave" => FromClient::Leave,
            _ => return Err("unknown `type`".into()),
        })
    }

    fn credentials(&self) -> Result<Credentials<'a>, String> {
        let key = optional("key", self.key)?;
        #[cfg(feature = "host")]
        if let Some(secrets) = self.private() {
            return Ok(Credentials::Private(Box::new(Private { key, ..secrets })));
        }
        Ok(Credentials::Key(key))
    }

    /// Returns the secrets for a private server, if there are any. One that is no string counts as
    /// none: servers that do not ask for it ignore any.
    #[cfg(feature = "host")]
    fn private(&self) -> Option<Private<'a>> {
        let secrets = Private {
            key: None,
            password: self.password.and_then(string).map(Password::new),
            #[cfg(feature = "auth")]
            token: self.token.and_then(string).map(IdToken::new),
        };
        (secrets != Private::default()).then_some(secrets)
    }

    fn body(&self) -> Result<&'a str, String> {
        let body = self.body.ok_or("`body` is missing")?.get();
        if depth(body) > BODY_DEPTH_MAX {
            return Err(format!("`body` is nested more than {BODY_DEPTH_MAX} deep"));
        }
        Ok(body)
    }

    fn card(&self) -> Result<Card, String> {
        let Some(card) = self.card.map(RawValue::get) else { return Ok(Card::default()) };
        if !card.starts_with('{') {
            return Err("`card` must be an object".into());
        }
        if card.len() > CARD_BYTES_MAX {
            return Err(format!("`card` is longer than {CARD_BYTES_MAX} bytes"));
        }
        if depth(card) > BODY_DEPTH_MAX {
            return Err(format!("`card` is nested more than {BODY_DEPTH_MAX} deep"));
        }
        Ok(Card::new(card))
    }

    fn mids(&self) -> Result<MidList<'a>, String> {
        let mids = list("mids", self.mids)?;
        if !mids.iter().all(|mid| Mid::is_valid(mid)) {
            return Err(format!("a mid is 1 to {MID_BYTES_MAX} ASCII letters, digits and -"));
        }
        Ok(MidList::new(&mids))
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

fn required<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, String> {
    optional(name, value)?.ok_or_else(|| format!("`{name}` is missing"))
}

fn optional<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, String> {
    value.map(|raw| string(raw).ok_or_else(|| format!("`{name}` must be a string"))).transpose()
}

/// Returns the string that a raw value is. `None`: it has another type, or a lone surrogate.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Returns how deep arrays and objects are nested in a valid JSON text: 0 for a string or a number.
pub(super) fn depth(json: &str) -> usize {
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
            // Brackets in strings do not count; an escaped quote does not end a string.
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
