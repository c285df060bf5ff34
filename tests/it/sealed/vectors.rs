//! Cards, bodies, identities and numbers, held against `tests/page/sealed.json`.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hpke::Deserializable;
use serde_json::Value;

use super::crypto::{
    Card, Identity, Kind, SealKey, Secret, Sender, is_good_point, lifetimes, open, padded,
    safety_number, whole,
};

/// Coordinates that pages refuse, because WebKitGTK stumbles over them. dalek does not, and does
/// not tell x: the head of `crypto.rs` says so.
const SHORT_X: [&str; 2] = ["x = 2", "x = 6"];

/// Every bit takes a minute without optimization; a step prime to 8 meets each place in a byte.
const BIT_STEP: usize = 41;

/// Returns the vectors of this name, which are not fewer than `least`.
fn vectors(name: &str, least: usize) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../page/sealed.json")).expect("JSON");
    let vectors = all[name].as_array().expect("a list").clone();
    assert!(vectors.len() >= least, "{} of {name}", vectors.len());
    vectors
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} of {vector}"))
}

fn hex(vector: &Value, key: &str) -> Vec<u8> {
    HEXLOWER.decode(text(vector, key).as_bytes()).expect("hexadecimal")
}

fn json(vector: &Value, key: &str) -> Value {
    serde_json::from_str(text(vector, key)).expect("JSON")
}

fn identity(vector: &Value) -> Identity {
    Identity::new(text(vector, "id"), &hex(vector, "seed").try_into().expect("16 bytes"))
}

fn seal_key(vector: &Value, key: &str) -> SealKey {
    SealKey::new(Secret::from_bytes(&hex(vector, key)).expect("32 bytes"))
}

/// Returns an identity of which only the public part counts.
fn recipient(vector: &Value) -> Identity {
    let mut me = Identity::new(text(vector, "to"), &[0; 16]);
    me.sign = text(vector, "recipient_sign").into();
    me
}

fn kind(vector: &Value) -> Kind {
    match text(vector, "kind") {
        "message" => Kind::Message,
        "signal" => Kind::Signal,
        other => panic!("{other}"),
    }
}

#[test]
fn identities_and_numbers_come_out() {
    for vector in vectors("identities", 9) {
        let identity = identity(&vector);
        assert_eq!(identity.sign, text(&vector, "sign"), "{vector}");
        assert_eq!(identity.key, text(&vector, "key"), "{vector}");
        assert_eq!(safety_number(&identity.id, &identity.sign), text(&vector, "number"));
    }
    for vector in vectors("numbers", 2) {
        let number = safety_number(text(&vector, "id"), text(&vector, "sign"));
        assert_eq!(number, text(&vector, "number"), "{vector}");
    }
}

#[test]
fn lengths_and_lifetimes_come_out() {
    let all: Value = serde_json::from_str(include_str!("../../page/sealed.json")).expect("JSON");
    let lengths = all["padding"]["lengths"].as_array().expect("a list");
    assert!(lengths.len() >= 45);
    for pair in lengths {
        let len = |index: usize| whole(&pair[index]).expect("a length") as usize;
        assert_eq!(padded(len(0)), len(1), "{pair}");
    }
    for vector in vectors("rotation", 16) {
        let expected = ["rotate_after", "until_minus_made"].map(|key| whole(&vector[key]));
        let (rotate_after, until_after) = lifetimes(whole(&vector["hold"]).unwrap_or(0));
        assert_eq!([Some(rotate_after), Some(until_after)], expected, "{vector}");
    }
}

#[test]
fn cards_come_out_byte_for_byte() {
    for vector in vectors("cards", 7) {
        let until = whole(&vector["until"]).expect("a time");
        let seal = seal_key(&vector, "seal_secret").seal;
        let made = identity(&vector).card(&seal, until);
        assert_eq!(made.json, json(&vector, "card"), "{vector}");
        assert!(Card::check(text(&vector, "id"), &made.json).is_some(), "{vector}");
    }
}

#[test]
fn bad_cards_are_refused_and_good_ones_taken() {
    let [checks, hostile] = [vectors("card_checks", 59), vectors("hostile_signs", 13)];
    for vector in checks.iter().chain(&hostile) {
        let card = Card::check(text(vector, "id"), &json(vector, "card"));
        let now = whole(&vector["now"]).expect("a time");
        match vector["reason"].as_str() {
            None => assert!(card.is_some_and(|card| card.may_seal(now)), "{vector}"),
            Some("expired") => assert!(card.is_some_and(|card| !card.may_seal(now)), "{vector}"),
            Some(_) => assert!(card.is_none(), "{vector}"),
        }
    }
    // Their signatures are bad, too, so the points are looked at alone.
    for vector in &hostile {
        let sign = json(vector, "card")["sign"].as_str().expect("a text").to_owned();
        let point = BASE64URL_NOPAD.decode(sign.as_bytes()).expect("base64url");
        let is_let_in = SHORT_X.iter().any(|about| text(vector, "about").starts_with(about));
        let is_good = is_good_point(&point.try_into().expect("32 bytes"));
        assert_eq!(is_good, is_let_in, "{vector}");
    }
}

#[test]
fn nothing_is_sealed_for_a_key_of_low_order() {
    let [sender, ..] = &vectors("messages", 1)[..] else { panic!("one") };
    let id = text(sender, "from");
    let card = Card::check(id, &json(sender, "sender_card")).expect("a good card");
    let key = seal_key(sender, "sender_seal_secret");
    let sender = Sender { id, card: &card, key: &key };
    let content = serde_json::json!({"number": 1, "body": "x"});
    for vector in vectors("low_order", 14) {
        let id = text(&vector, "id");
        let card = Card::check(id, &json(&vector, "card")).expect("it is signed well");
        assert!(sender.seal(Kind::Message, id, &card, &content).is_none(), "{vector}");
    }
}

#[test]
fn bodies_of_another_implementation_open() {
    for vector in [vectors("messages", 16), vectors("signals", 5)].concat() {
        let key = seal_key(&vector, "recipient_seal_secret");
        let body = json(&vector, "body");
        let opened = open(kind(&vector), text(&vector, "from"), &body, &recipient(&vector), [&key]);
        let Ok((card, content)) = opened else { panic!("{vector}") };
        assert_eq!(card.json, json(&vector, "sender_card"), "{vector}");
        assert_eq!(Value::Object(content.fields), json(&vector, "text"), "{vector}");
        assert_eq!(Some(content.number), whole(&vector["content"]["number"]), "{vector}");
    }
}

/// HPKE's crate takes no ephemeral key from outside, so our own bodies are compared in shape and
/// length, and opened again.
#[test]
fn bodies_have_the_length_of_another_implementation() {
    for vector in [vectors("messages", 16), vectors("signals", 5)].concat() {
        let (from, to) = (text(&vector, "from"), text(&vector, "to"));
        let key = seal_key(&vector, "sender_seal_secret");
        let card = Card::check(from, &json(&vector, "sender_card")).expect("a good card");
        let recipient_key = seal_key(&vector, "recipient_seal_secret");
        let me = recipient(&vector);
        // Of a recipient's card only the two keys count.
        let mut recipient = card.clone();
        recipient.sign = me.sign.clone();
        recipient.seal = text(&vector, "recipient_seal").into();
        let content = json(&vector, "text");
        let sender = Sender { id: from, card: &card, key: &key };
        let seal = || sender.seal(kind(&vector), to, &recipient, &content).expect("it is sealed");
        let (body, again) = (seal(), seal());
        assert!(body["enc"] != again["enc"] && body["box"] != again["box"], "never the same twice");
        let mut expected = json(&vector, "body");
        // One text has another form than ours.
        if content.to_string().len() == text(&vector, "text").len() {
            assert_eq!(body.to_string().len(), expected.to_string().len(), "{vector}");
        }
        for key in ["enc", "box"] {
            expected[key] = body[key].clone();
        }
        assert_eq!(body, expected, "{vector}");
        let Ok((_, opened)) = open(kind(&vector), from, &body, &me, [&recipient_key]) else {
            panic!("{vector}")
        };
        assert_eq!(Value::Object(opened.fields), content, "{vector}");
    }
}

#[test]
fn bad_bodies_are_refused_and_good_ones_opened() {
    for vector in vectors("body_checks", 73) {
        let key = seal_key(&vector, "recipient_seal_secret");
        let body = json(&vector, "body");
        let opened = open(kind(&vector), text(&vector, "from"), &body, &recipient(&vector), [&key]);
        assert_eq!(opened.is_ok(), vector["reason"].is_null(), "{vector}");
    }
}

#[test]
fn any_changed_bit_id_or_kind_keeps_a_body_shut() {
    let vector = &vectors("messages", 1)[0];
    let key = seal_key(vector, "recipient_seal_secret");
    let (from, me) = (text(vector, "from"), recipient(vector));
    let body = json(vector, "body");
    let opens =
        |kind, from: &str, body: &Value, me: &Identity| open(kind, from, body, me, [&key]).is_ok();
    assert!(opens(Kind::Message, from, &body, &me));
    assert!(!opens(Kind::Signal, from, &body, &me));
    assert!(!opens(Kind::Message, "bob", &body, &me));
    let mut other = recipient(vector);
    other.id = "carol".into();
    assert!(!opens(Kind::Message, from, &body, &other));
    other = recipient(vector);
    other.sign = Identity::new("bob", &[1; 16]).sign;
    assert!(!opens(Kind::Message, from, &body, &other));
    for part in ["enc", "box"] {
        let bytes = BASE64URL_NOPAD.decode(text(&body, part).as_bytes()).expect("base64url");
        for bit in (0..bytes.len() * 8).step_by(BIT_STEP) {
            let mut changed = (bytes.clone(), body.clone());
            changed.0[bit / 8] ^= 1 << (bit % 8);
            changed.1[part] = BASE64URL_NOPAD.encode(&changed.0).into();
            assert!(!opens(Kind::Message, from, &changed.1, &me), "bit {bit} of {part}");
        }
    }
}
