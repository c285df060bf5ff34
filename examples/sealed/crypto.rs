//! The cryptography of a client: identities, cards and sealed bodies.
//!
//! **Invariants**
//!
//! - A `Card` is valid: its identity has signed it for its id.
//! - Both ids, both identities and the kind are part of each sealed body, so a server cannot
//!   readdress it, reflect it, or pass a signal off as a message.
//!
//! Time, sockets and trust are not known here. `src/guide/encryption.md` is the contract, and
//! `tests/it/sealed.rs` holds this file against numbers of another implementation. Two rules of the
//! contract protect pages in WebKitGTK only, and are left out here: to draw a secret again that
//! begins with a zero byte, and to refuse an identity of which x is below 2^192 (dalek does not
//! tell x, and honest keys have such an x once in 2^63).

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Digest, Sha512, Signature, Signer, SigningKey, VerifyingKey};
use hmac_sha256::{HKDF, Hash};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use serde_json::{Map, Value, json};

pub type Secret = <Kem as hpke::Kem>::PrivateKey;
type Public = <Kem as hpke::Kem>::PublicKey;
type Encapped = <Kem as hpke::Kem>::EncappedKey;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;
/// The server's hold counts as no longer than this.
pub const HOLD_S_MAX: u64 = 7 * DAY_S;
/// Short texts all have this length, so "yes" and "no" look the same.
const CONTENT_BYTES_MIN: usize = 256;
const BODY_DEPTH_MAX: usize = 64;
/// The largest whole number that JSON holds exactly everywhere.
const WHOLE_MAX: u64 = (1 << 53) - 1;

/// The long-lived keys of an id. Both follow from one seed, and never one from the other: the
/// server knows `key`.
pub struct Identity {
    pub id: String,
    /// The public part, by which peers know this client.
    pub sign: String,
    /// The key of the `join`.
    pub key: String,
    signer: SigningKey,
}

impl Identity {
    pub fn new(id: &str, seed: &[u8; 16]) -> Identity {
        let derive = |info: &str| {
            let mut secret = [0; 32];
            HKDF::expand(&mut secret, HKDF::extract([0; 32], seed), info);
            secret
        };
        let signer = SigningKey::from_bytes(&derive("sotto identity 1\n"));
        let key = BASE64URL_NOPAD.encode(&derive(&format!("sotto key 1\n{id}")));
        let sign = BASE64URL_NOPAD.encode(signer.verifying_key().as_bytes());
        Identity { id: id.to_owned(), sign, key, signer }
    }

    /// Signs a seal key for this id.
    pub fn card(&self, seal: &str, until: u64) -> Card {
        let by = self.signer.sign(signed_text(&self.id, &self.sign, seal, until).as_bytes());
        let by = BASE64URL_NOPAD.encode(&by.to_bytes());
        let json = json!({"v": 1, "sign": self.sign, "seal": seal, "until": until, "by": by});
        Card { sign: self.sign.clone(), seal: seal.to_owned(), until, json }
    }
}

/// Returns a random seed. HPKE draws its keys from the kernel, so one of them is hashed.
pub fn new_seed() -> [u8; 16] {
    let random = Hash::hash(&Kem::gen_keypair().0.to_bytes());
    std::array::from_fn(|index| random[index])
}

/// Returns the number by which two people compare an identity, in six groups of five digits.
pub fn safety_number(id: &str, sign: &str) -> String {
    let hash = Sha512::digest(format!("sotto number 1\n{id}\n{sign}"));
    let group = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let groups = hash[..30].chunks(5).map(|bytes| format!("{:05}", group(bytes) % 100_000));
    groups.collect::<Vec<_>>().join(" ")
}

/// A short-lived key for which peers seal.
pub struct SealKey {
    secret: Secret,
    public: Public,
    /// The public part, by which a body names it.
    pub seal: String,
}

impl SealKey {
    pub fn random() -> SealKey {
        SealKey::new(Kem::gen_keypair().0)
    }

    pub fn new(secret: Secret) -> SealKey {
        let public = Kem::sk_to_pk(&secret);
        let seal = BASE64URL_NOPAD.encode(&public.to_bytes());
        SealKey { secret, public, seal }
    }
}

/// Returns the seconds after which a seal key is replaced, and those after which its card is out of
/// date. A message is held for up to `hold` seconds, so the key has to live that much longer.
pub fn lifetimes(hold: u64) -> (u64, u64) {
    let hold = hold.min(HOLD_S_MAX);
    let rotate_after = HOUR_S.max(hold / 8);
    (rotate_after, rotate_after + HOUR_S + hold)
}

/// A valid card.
#[derive(Clone)]
pub struct Card {
    pub sign: String,
    pub seal: String,
    /// Seconds since 1970.
    pub until: u64,
    /// All of it, as it is published.
    pub json: Value,
}

impl Card {
    /// Returns the card, if it is valid for this id.
    pub fn check(id: &str, json: &Value) -> Option<Card> {
        let text = |key: &str| json.get(key)?.as_str();
        let (sign, seal) = (text("sign")?, text("seal")?);
        let until = whole(json.get("until")?)?;
        let (point, _): ([u8; 32], [u8; 32]) = (decoded(sign)?, decoded(seal)?);
        if whole(json.get("v")?) != Some(1) || !is_good_point(&point) {
            return None;
        }
        let by = Signature::from_bytes(&decoded(text("by")?)?);
        let signed = signed_text(id, sign, seal, until);
        // A lax check takes several signatures for one.
        VerifyingKey::from_bytes(&point).ok()?.verify_strict(signed.as_bytes(), &by).ok()?;
        Some(Card { sign: sign.into(), seal: seal.into(), until, json: json.clone() })
    }

    /// Returns `true` until a day past its time. `now` is in seconds since 1970.
    pub fn may_seal(&self, now: u64) -> bool {
        now <= self.until + DAY_S
    }
}

fn signed_text(id: &str, sign: &str, seal: &str, until: u64) -> String {
    format!("sotto card 1\n{id}\n{sign}\n{seal}\n{until}")
}

/// Returns `true` for the one form of a point of the curve that is not of small order: with a point
/// of small order anybody can make signatures. `y` has to be from 2^192 to p − 1.
pub fn is_good_point(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    let is_short = y[24..].iter().all(|byte| *byte == 0);
    let is_below_p = y[0] < 0xed || y[31] < 0x7f || y[1..31].iter().any(|byte| *byte < 0xff);
    !is_short && is_below_p && VerifyingKey::from_bytes(bytes).is_ok_and(|point| !point.is_weak())
}

/// Decodes base64url, in its canonical form only: each value has one text.
fn decoded<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Returns a whole number by its value: JSON may write 1 as 1.0.
pub fn whole(value: &Value) -> Option<u64> {
    let is_whole =
        |float: &f64| *float >= 0.0 && *float <= WHOLE_MAX as f64 && float.fract() == 0.0;
    let number =
        value.as_u64().or_else(|| value.as_f64().filter(is_whole).map(|float| float as u64));
    number.filter(|number| *number <= WHOLE_MAX)
}

/// The kind of a line with a sealed body.
#[derive(Clone, Copy)]
pub enum Kind {
    Message,
    Signal,
}

/// Returns the text that both ends have to agree about.
fn info(kind: Kind, from: &str, to: &str, sender: &str, recipient: &str) -> String {
    let kind = match kind {
        Kind::Message => "message",
        Kind::Signal => "signal",
    };
    format!("sotto sealed 1\n{kind}\n{from}\n{to}\n{sender}\n{recipient}")
}

/// Returns the length of a content once it is padded: it tells the length within 12 % (Padmé).
pub fn padded(len: usize) -> usize {
    let len = len.max(CONTENT_BYTES_MIN);
    let exponent = len.ilog2();
    len.next_multiple_of(1 << (exponent - exponent.ilog2() - 1))
}

/// The sender of a body: its id, and its card with the seal key on it.
pub struct Sender<'a> {
    pub id: &'a str,
    pub card: &'a Card,
    pub key: &'a SealKey,
}

impl Sender<'_> {
    /// Seals a content for the owner of a card. `None`: the card has a seal key of low order, with
    /// which no secret can be shared.
    pub fn seal(&self, kind: Kind, to: &str, card: &Card, content: &Value) -> Option<Value> {
        let mut text = content.to_string();
        text.extend(std::iter::repeat_n(' ', padded(text.len()) - text.len()));
        let info = info(kind, self.id, to, &self.card.sign, &card.sign);
        // The mode proves to the recipient that the sender has the secret of its seal key. It makes
        // a new ephemeral key each time, so one text never looks the same twice.
        let mode = OpModeS::Auth((self.key.secret.clone(), self.key.public.clone()));
        let recipient = Public::from_bytes(&decoded::<32>(&card.seal)?).ok()?;
        let (enc, sealed) = hpke::single_shot_seal::<AesGcm128, HkdfSha256, Kem>(
            &mode,
            &recipient,
            info.as_bytes(),
            text.as_bytes(),
            b"",
        )
        .ok()?;
        let [enc, sealed] = [&enc.to_bytes()[..], &sealed].map(|part| BASE64URL_NOPAD.encode(part));
        let own = &self.card.json;
        Some(json!({"sealed": 1, "card": own, "for": card.seal, "enc": enc, "box": sealed}))
    }
}

/// An opened content.
#[derive(Debug)]
pub struct Content {
    pub number: u64,
    /// The number of the sender's message before this one, or 0.
    pub after: u64,
    pub fields: Map<String, Value>,
}

/// The reason why a body was not opened.
pub struct Refusal {
    pub reason: &'static str,
    /// The card that came with the body, if that was valid.
    pub card: Option<Card>,
}

/// Returns `true` for a body that says it is sealed, in whatever version.
pub fn is_sealed(body: &Value) -> bool {
    body.get("sealed").is_some()
}

/// Opens a body that came from `from` for `me`, of which `keys` are the seal keys.
pub fn open<'a>(
    kind: Kind,
    from: &str,
    body: &Value,
    me: &Identity,
    keys: impl IntoIterator<Item = &'a SealKey>,
) -> Result<(Card, Content), Refusal> {
    let refusal = |reason| Refusal { reason, card: None };
    if body.get("sealed").and_then(whole) != Some(1) {
        return Err(refusal("another version"));
    }
    // A card is taken however old it is: the message may have been held.
    let card = Card::check(from, &body["card"]).ok_or(refusal("no valid card"))?;
    let text = |key: &str| body.get(key)?.as_str();
    let opened = (|| {
        let key = keys.into_iter().find(|key| text("for") == Some(&key.seal));
        let key = key.ok_or("not for a seal key of ours")?;
        let enc = text("enc").and_then(decoded::<32>).ok_or("no enc")?;
        let sealed = text("box").and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
        let sealed = sealed.ok_or("no box")?;
        let info = info(kind, from, &me.id, &card.sign, &me.sign);
        let plain = unseal(key, &card, &enc, &info, &sealed).ok_or("it does not open")?;
        content(kind, &plain)
    })();
    match opened {
        Ok(content) => Ok((card, content)),
        Err(reason) => Err(Refusal { reason, card: Some(card) }),
    }
}

fn unseal(key: &SealKey, card: &Card, enc: &[u8], info: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let sender = Public::from_bytes(&decoded::<32>(&card.seal)?).ok()?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, Kem>(
        &OpModeR::Auth(sender),
        &key.secret,
        &Encapped::from_bytes(enc).ok()?,
        info.as_bytes(),
        sealed,
        b"",
    )
    .ok()
}

fn content(kind: Kind, plain: &[u8]) -> Result<Content, &'static str> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(plain) else {
        return Err("the content is no JSON object");
    };
    let number = |key: &str| fields.get(key).map_or(Some(0), whole);
    let (Some(number @ 1..), Some(after), Some(_)) =
        (number("number"), number("after"), number("got"))
    else {
        return Err("the content has no good numbers");
    };
    match (kind, fields.get("body")) {
        (Kind::Message, None) => Err("the content has no body"),
        (_, Some(body)) if is_deeper(body, BODY_DEPTH_MAX) => Err("the body is too deep"),
        _ => Ok(Content { number, after, fields }),
    }
}

fn is_deeper(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(all) => depth == 0 || all.iter().any(|one| is_deeper(one, depth - 1)),
        Value::Object(all) => depth == 0 || all.values().any(|one| is_deeper(one, depth - 1)),
        _ => false,
    }
}
