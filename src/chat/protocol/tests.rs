//! The examples of the protocol page, then each rule of a line, with one case a line.

use super::parse::depth;
use super::*;
use crate::limits::{LIST_MAX, MID_BYTES_MAX};
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Reads one line, which is not blank.
fn read(line: &str) -> Line<'_> {
    match Line::first(line) {
        (Some(read), "") => read,
        other => panic!("{line} was taken for {other:?}"),
    }
}

fn request(line: &str) -> FromClient<'_> {
    read(line).request.unwrap_or_else(|wrong| panic!("{line}: {wrong}"))
}

/// Checks that the line is a `bad_request`, with `word` in its sentence.
fn bad(line: &str, word: &str) {
    match read(line).request {
        Err(sentence) => assert!(sentence.contains(word), "{line}: {sentence}"),
        Ok(request) => panic!("{line} was taken for {request:?}"),
    }
}

fn written(line: &ToClient<'_>) -> String {
    let mut out = Vec::new();
    line.write(&mut out);
    String::from_utf8(out).expect("lines are UTF-8")
}

/// Returns a `join` without a password.
fn joining<'a>(id: &'a str, key: Option<&'a str>, card: Card) -> FromClient<'a> {
    let credentials = Credentials::Key(key.map(Cow::from));
    FromClient::Join { id: id.into(), credentials, card }
}

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

#[test]
fn examples_of_the_protocol_page_are_read() {
    assert_eq!(
        request(r#"{"type":"join","id":"alice","key":"9f2c6a"}"#),
        joining("alice", Some("9f2c6a"), Card::default())
    );
    assert_eq!(
        request(r#"{"type":"join","id":"alice","card":{"v":1}}"#),
        joining("alice", None, Card::new(r#"{"v":1}"#))
    );
    assert_eq!(
        request(r#"{"type":"card","card":{"v":1}}"#),
        FromClient::Card { card: Card::new(r#"{"v":1}"#) }
    );
    assert_eq!(request(r#"{"type":"card"}"#), FromClient::Card { card: Card::default() });
    assert_eq!(request(r#"{"type":"lookup","id":"bob"}"#), FromClient::Lookup { id: "bob".into() });
    assert_eq!(
        request(r#"{"type":"send","to":"bob","body":"hello","ref":"kX9q"}"#),
        FromClient::Send { to: "bob".into(), body: r#""hello""#, reference: Some("kX9q".into()) }
    );
    assert_eq!(
        request(r#"{"type":"signal","to":"bob","body":{"typing":true}}"#),
        FromClient::Signal { to: "bob".into(), body: r#"{"typing":true}"# }
    );
    assert_eq!(
        request(r#"{"type":"watch","ids":["bob","carol"]}"#),
        FromClient::Watch { ids: vec!["bob".into(), "carol".into()] }
    );
    assert_eq!(
        request(r#"{"type":"unwatch","ids":["carol"]}"#),
        FromClient::Unwatch { ids: vec!["carol".into()] }
    );
    assert_eq!(
        request(r#"{"type":"ack","to":"bob","mids":["abc-1"]}"#),
        FromClient::Ack { to: "bob".into(), mids: MidList::new(&["abc-1".into()]) }
    );
    assert_eq!(
        request(r#"{"type":"block","ids":["mallory"]}"#),
        FromClient::Block { ids: vec!["mallory".into()] }
    );
    assert_eq!(
        request(r#"{"type":"unblock","ids":["mallory"]}"#),
        FromClient::Unblock { ids: vec!["mallory".into()] }
    );
    assert_eq!(request(r#"{"type":"leave"}"#), FromClient::Leave);
}

#[test]
fn examples_of_the_protocol_page_are_written() {
    let (alice, mid) = (id("alice"), Mid { prefix: 0xabc.into(), count: 31 });
    assert_eq!(
        written(&ToClient::Joined {
            id: &alice,
            resumed: true,
            ownership: Some(0xabc),
            held: 3,
            hold: 600,
            max_message: 65536
        }),
        concat!(
            r#"{"type":"joined","id":"alice","resumed":true,"ownership":"0000000000000abc","#,
            r#""held":3,"max_message":65536,"hold":600,"card":2048}"#
        )
    );
    let card = |claimed, card| written(&ToClient::Card { id: &alice, claimed, card });
    assert_eq!(
        card(true, Some(r#"{ "v":1}"#)),
        r#"{"type":"card","id":"alice","claimed":true,"card":{ "v":1}}"#
    );
    assert_eq!(card(true, None), r#"{"type":"card","id":"alice","claimed":true}"#);
    assert_eq!(card(false, None), r#"{"type":"card","id":"alice","claimed":false}"#);
    assert_eq!(
        written(&ToClient::Message {
            from: &alice,
            body: r#""hello""#,
            mid,
            at: 1_795_392_000_000
        }),
        concat!(
            r#"{"type":"message","from":"alice","body":"hello","mid":"000000000abc-1f","#,
            r#""at":1795392000000}"#
        )
    );
    assert_eq!(
        written(&ToClient::Sent { reference: "k\"X", mid, at: 7, held: false }),
        r#"{"type":"sent","ref":"k\"X","mid":"000000000abc-1f","at":7}"#
    );
    assert_eq!(
        written(&ToClient::Sent { reference: "r", mid, at: 7, held: true }),
        r#"{"type":"sent","ref":"r","mid":"000000000abc-1f","at":7,"held":true}"#
    );
    assert_eq!(
        written(&ToClient::Delivered {
            from: &alice,
            mids: Mids::List(&MidList::new(&["a-1".into(), "b".into()]))
        }),
        r#"{"type":"delivered","from":"alice","mids":["a-1","b"]}"#
    );
    assert_eq!(
        written(&ToClient::Expired {
            to: &alice,
            mids: Mids::Counts { prefixes: &0xabc.into(), counts: &[1, 255] }
        }),
        r#"{"type":"expired","to":"alice","mids":["000000000abc-1","000000000abc-ff"]}"#
    );
    assert_eq!(
        written(&ToClient::Signal { from: &alice, body: "null" }),
        r#"{"type":"signal","from":"alice","body":null}"#
    );
    assert_eq!(
        written(&ToClient::Presence { id: &alice, online: true }),
        r#"{"type":"presence","id":"alice","online":true}"#
    );
    let tag = Tag { reference: Some("kX9q".into()), to: Some("bob".into()) };
    assert_eq!(
        written(&ToClient::Error { code: ErrorCode::Offline, tag: &tag, text: "bob is not here" }),
        r#"{"type":"error","code":"offline","ref":"kX9q","to":"bob","text":"bob is not here"}"#
    );
    assert_eq!(
        written(&ToClient::Error { code: ErrorCode::BadRequest, tag: &Tag::default(), text: "" }),
        r#"{"type":"error","code":"bad_request","text":""}"#
    );
}

#[test]
fn body_is_kept_byte_for_byte() {
    for body in [
        "null",
        "\"\"",
        "-0.0e+10",
        "{ \"z\": 1.50, \"a\":[\"\\u00e9\\n\", null],\"a\":1}",
        "\"\\ud800\"",
        "[[], {}]",
        "\"[[[\"",
    ] {
        let line = format!("{{\"type\":\"send\" , \"body\": {body}\t,\"to\":\"bob\"}}");
        assert_eq!(request(&line), FromClient::Send { to: "bob".into(), body, reference: None });
    }
}

#[test]
fn unknown_key_is_ignored_but_repeated_key_is_refused() {
    assert_eq!(request(r#"{"x":1,"type":"leave","y":[2],"Type":3}"#), FromClient::Leave);
    bad(r#"{"type":"leave","type":"leave"}"#, "twice");
    bad(r#"{"type":"leave","x":1,"x":2}"#, "twice");
    bad(r#"{"type":"leave","x":1,"\u0078":2}"#, "twice");
    bad(r#"{"type":"send","to":"bob","to":"bob","body":1}"#, "twice");
}

#[test]
fn unknown_key_with_a_lone_surrogate_is_ignored() {
    assert_eq!(request(r#"{"\ud800":1,"type":"leave","x\udc00":2}"#), FromClient::Leave);
    bad(r#"{"\ud800":1,"type":"leave","\ud800":2}"#, "twice");
    let line = read(r#"{"\ud800":1,"type":"nonsense","to":"bob","ref":"r1"}"#);
    assert_eq!(line.tag, Tag { reference: Some("r1".into()), to: Some("bob".into()) });
    // Escapes in the name of a known key are read.
    assert_eq!(request(r#"{"t\u0079pe":"leave"}"#), FromClient::Leave);
}

#[test]
fn line_that_is_not_a_json_object_is_refused() {
    for line in [
        "x",
        "{",
        "{}x",
        "[]",
        r#"["leave"]"#,
        "null",
        "\"leave\"",
        "\"a long string, of which no word comes back\"",
        r#"{"type":"leave",}"#,
        r#"{type:"leave"}"#,
        r#"{1:2,"type":"leave"}"#,
        r#"{"\x":1,"type":"leave"}"#,
        r#"{"\ud80":1,"type":"leave"}"#,
        "{\"\u{1}\":1,\"type\":\"leave\"}",
        r#"{"type":"leave"} {"type":"leave"}"#,
        r#"{"type":"send","to":"b","body":01}"#,
        r#"{"type":"send","to":"b","body":"\x"}"#,
        r#"{"type":"send","to":"b","body":tru}"#,
        "{\"type\":\"send\",\"to\":\"b\",\"body\":\"\u{1}\"}",
    ] {
        bad(line, "not a JSON object");
    }
}

#[test]
fn missing_or_mistyped_key_is_refused_by_name() {
    bad("{}", "`type` is missing");
    bad(r#"{"type":null}"#, "`type`");
    bad(r#"{"type":"leave "}"#, "unknown");
    bad(r#"{"type":"join"}"#, "`id` is missing");
    bad(r#"{"type":"join","id":7}"#, "`id`");
    bad(r#"{"type":"join","id":"a","key":null}"#, "`key`");
    bad(r#"{"type":"send","body":1}"#, "`to` is missing");
    bad(r#"{"type":"send","to":["bob"],"body":1}"#, "`to`");
    bad(r#"{"type":"send","to":"bob"}"#, "`body` is missing");
    bad(r#"{"type":"send","to":"bob","body":1,"ref":null}"#, "`ref`");
    bad(r#"{"type":"send","to":"bob","body":1,"ref":""}"#, "`ref`");
    bad(&format!(r#"{{"type":"send","to":"bob","body":1,"ref":"{}"}}"#, "r".repeat(65)), "`ref`");
    bad(r#"{"type":"ack","to":"bob"}"#, "`mids` is missing");
    bad(r#"{"type":"ack","to":"bob","mids":[]}"#, "`mids`");
    bad(r#"{"type":"ack","to":"bob","mids":[7]}"#, "`mids`");
    bad(r#"{"type":"ack","to":"bob","mids":["a_b"]}"#, "a mid is");
    bad(&format!(r#"{{"type":"ack","to":"bob","mids":["{}"]}}"#, "a".repeat(33)), "a mid is");
    bad(r#"{"type":"block","ids":[]}"#, "`ids`");
    bad(r#"{"type":"watch"}"#, "`ids` is missing");
    bad(r#"{"type":"watch","ids":[]}"#, "`ids`");
    bad(r#"{"type":"watch","ids":"bob"}"#, "`ids`");
    bad(r#"{"type":"watch","ids":["bob",1]}"#, "`ids`");
    bad(&format!(r#"{{"type":"watch","ids":["a"{}]}}"#, ",\"a\"".repeat(256)), "`ids`");
}

#[test]
fn lone_surrogate_is_refused_outside_of_body() {
    for key in ["id", "key"] {
        let other = if key == "id" { "key" } else { "id" };
        bad(&format!(r#"{{"type":"join","{other}":"a","{key}":"\ud800"}}"#), key);
    }
    bad(r#"{"type":"send","to":"\udc00x","body":1}"#, "`to`");
    bad(r#"{"type":"send","to":"b","body":1,"ref":"\ud800\ud800"}"#, "`ref`");
    bad(r#"{"type":"watch","ids":["\ud800"]}"#, "`ids`");
    assert_eq!(
        request(r#"{"type":"send","to":"\ud83d\ude00","body":1}"#),
        FromClient::Send { to: "😀".into(), body: "1", reference: None }
    );
}

#[test]
fn body_nested_more_than_64_deep_is_refused() {
    let nested = |n: usize| {
        format!(r#"{{"type":"send","to":"b","body":{}{}}}"#, "[".repeat(n), "]".repeat(n))
    };
    request(&nested(64));
    bad(&nested(65), "deep");
    bad(&nested(60_000), "deep");
    for (json, expected) in [
        ("1", 0),
        ("[]", 1),
        (r#"[{"a":[1]},[2]]"#, 3),
        (r#"["[[[", "\"[[", "\\", [1]]"#, 2),
        (r#"{"[":"{"}"#, 1),
    ] {
        assert_eq!(depth(json), expected, "{json}");
    }
}

#[test]
fn request_is_no_longer_than_a_send() {
    assert_eq!(size_of::<FromClient<'_>>(), 64, "two strings and a body");
}

#[test]
#[cfg(feature = "host")]
fn password_is_read_if_it_is_a_string_and_never_refused() {
    let password = |value: &str| {
        let line = format!(r#"{{"type":"join","id":"a","password":{value}}}"#);
        let FromClient::Join { credentials, .. } = request(&line) else { panic!("{line}") };
        credentials.password().map(|said| said.text().to_owned())
    };
    assert_eq!(password(r#""open \u0073esame""#).as_deref(), Some("open sesame"));
    assert_eq!(password(r#""""#).as_deref(), Some(""));
    for no_string in ["null", "1", "[\"x\"]", "{}", r#""\ud800""#] {
        assert_eq!(password(no_string), None, "{no_string}");
    }
    bad(r#"{"type":"join","id":"a","password":"x","password":"x"}"#, "a key appears twice");
}

#[test]
#[cfg(feature = "auth")]
fn token_is_read_beside_a_password_and_costs_20_lines() {
    let join = |more: &str| {
        let line = format!(r#"{{"type":"join","id":"a"{more}}}"#);
        let request = request(&line);
        let cost = request.cost();
        let FromClient::Join { credentials, .. } = request else { panic!("{line}") };
        let text = |text: Option<&str>| text.unwrap_or("none").to_owned();
        let password = text(credentials.password().map(Password::text));
        let token = text(credentials.token().map(IdToken::text));
        (text(credentials.key()), password, token, cost)
    };
    let check = |more: &str, key: &str, password: &str, token: &str, cost| {
        assert_eq!(join(more), (key.into(), password.into(), token.into(), cost), "{more}");
    };
    check(r#","key":"k""#, "k", "none", "none", 1);
    check(r#","key":"k","token":"a.\u0062.c""#, "k", "none", "a.b.c", 20);
    check(r#","token":"","password":"p""#, "none", "p", "", 20);
    check(r#","token":7,"password":"p""#, "none", "p", "none", 1);
    check(r#","token":null,"password":null"#, "none", "none", "none", 1);
    bad(r#"{"type":"join","id":"a","token":"x","token":"x"}"#, "a key appears twice");
}

#[test]
fn card_is_an_object_of_2048_bytes_and_64_deep() {
    let card = |len: usize| format!(r#"{{"x":"{}"}}"#, "é".repeat((len - 8) / 2));
    let nested = |n: usize| format!(r#"{}{{}}{}"#, r#"{"a":"#.repeat(n - 1), "}".repeat(n - 1));
    for line in [r#"{"type":"card","card":CARD}"#, r#"{"type":"join","id":"a","card": CARD }"#] {
        let line = |card: &str| line.replace("CARD", card);
        for card in ["{}", r#"{ "a" : [ "\u00e9\"" , 1e3 ] }"#, &card(2048), &nested(64)] {
            match request(&line(card)) {
                FromClient::Card { card: read } | FromClient::Join { card: read, .. } => {
                    assert_eq!(read, Card::new(card), "byte for byte");
                }
                other => panic!("{other:?}"),
            }
        }
        for card in ["null", "[]", r#""{}""#, "1", "true"] {
            bad(&line(card), "`card` must be an object");
        }
        bad(&line(&card(2050)), "`card` is longer than 2048 bytes");
        bad(&line(&format!("{{{}}}", " ".repeat(2047))), "`card` is longer");
        request(&line(&format!("{{{}}}", " ".repeat(2046))));
        bad(&line(&nested(65)), "`card` is nested more than 64 deep");
        bad(&line(r#"{"a":}"#), "not a JSON object");
        bad(&line(r#"{},"card":{}"#), "twice");
    }
    bad(r#"{"type":"lookup"}"#, "`id` is missing");
    bad(r#"{"type":"lookup","id":["bob"]}"#, "`id`");
    bad(r#"{"type":"lookup","id":"\ud800"}"#, "`id`");
    // Other lines do not use the key, so it is not looked at.
    assert_eq!(request(r#"{"type":"leave","card":7}"#), FromClient::Leave);
}

#[test]
fn refused_line_keeps_its_ref_and_to_as_tag() {
    let tag = |reference: Option<&'static str>, to: Option<&'static str>| Tag {
        reference: reference.map(Cow::from),
        to: to.map(Cow::from),
    };
    let check = |line: &str, expected: Tag| assert_eq!(read(line).tag, expected, "{line}");
    check(r#"{"type":"send","to":"bob","ref":"r1"}"#, tag(Some("r1"), Some("bob")));
    check(r#"{"type":"nonsense","to":"a\nb","ref":""}"#, tag(Some(""), Some("a\nb")));
    check(r#"{"type":"send","to":7,"ref":"r1","body":1}"#, tag(Some("r1"), None));
    check(&format!(r#"{{"type":"send","to":"{}","ref":[]}}"#, "b".repeat(65)), tag(None, None));
    check(r#"{"type":"send","to":"bob""#, tag(None, None));
}

#[test]
fn id_has_letters_marks_numbers_and_five_signs() {
    for good in [
        "a",
        "alice",
        "Zoë",
        "संजय",
        "李",
        "a.b_c-d@e+f",
        "1",
        "½",
        "é",
        "ọ\u{301}", // there is no one character for it
        &"x".repeat(64),
    ] {
        assert!(Id::is_valid(good), "{good:?}");
    }
    for bad in [
        "",
        &"x".repeat(65),
        &"é".repeat(33),
        "a b",
        "a\n",
        "\"",
        "a/b",
        "\\",
        "😀",
        "e\u{301}",   // two characters for é
        "\u{301}e",   // a mark in front
        "a\u{200b}",  // zero width space
        "a\u{ad}",    // soft hyphen
        "a\u{34f}",   // combining grapheme joiner
        "\u{3164}",   // hangul filler
        "a\u{fe0f}",  // variation selector
        "a\u{e0101}", // variation selector supplement
        "a\u{202e}b", // right-to-left override
        "a\u{180e}",
        "<img>",
    ] {
        assert!(!Id::is_valid(bad), "{bad:?}");
    }
}

#[test]
fn longest_mid_is_a_valid_one() {
    let longest = Mid { prefix: u64::MAX.into(), count: u64::MAX }.to_string();
    assert!(Mid::is_valid(&longest), "{longest}");
}

#[test]
fn mid_of_this_server_is_known_only_by_its_spelling() {
    let mid = Mid { prefix: 0xabc.into(), count: 0x1f };
    let ours = Prefixes::from(0xabc);
    let count_in = |text: &str| MidList::new(&[text.into()]).counts(&ours).collect::<Vec<_>>();
    assert_eq!(count_in(&mid.to_string()), [Some(0x1f)]);
    for foreign in [
        "000000000abd-1f",
        "abc-1f",
        "000000000abc-1F",
        "000000000abc-01f",
        "000000000abc-1-",
        "000000000abc-",
        "x",
    ] {
        assert_eq!(count_in(foreign), [None], "{foreign}");
    }
    let all =
        ["000000000abc-0", "x", "000000000abc-10000000000000000", "000000000abc-a"].map(Into::into);
    assert_eq!(
        MidList::new(&all).counts(&ours).collect::<Vec<_>>(),
        [Some(0), None, None, Some(10)]
    );
}

#[test]
fn line_in_pieces_is_refused_until_it_is_whole() {
    for line in [
        r#"{"type":"send","to":"bob","body":{"a":["\"]"]},"ref":"r"}"#,
        r#"{"type":"join","id":"a","card":{"a":["\"]"]},"key":"0123456789abcdef"}"#,
        r#"{"type":"card","card":{"a":["\"]"]}}"#,
        r#"{"type":"lookup","id":"bob"}"#,
    ] {
        for cut in 1..line.len() {
            bad(&line[..cut], "not a JSON object");
        }
        request(line);
        bad(&format!("{line}{{"), "not a JSON object");
    }
}

/// Any JSON value, with the white space that a client might write.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|s| serde_json::to_string(&s).expect("a string")),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|v| format!("[ {} ]", v.join(" ,"))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|v| {
                let members: Vec<String> = v
                    .into_iter()
                    .map(|(k, v)| format!("{} :{v}", serde_json::to_string(&k).expect("a string")))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

#[test]
fn error_codes_are_listed_by_their_numbers() {
    for (number, code) in ErrorCode::ALL.into_iter().enumerate() {
        assert_eq!(code as usize, number, "{code:?}");
    }
}

/// Lines that are almost common: of keys and values, each of which may be unusual or wrong.
fn almost_common() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &["to", "to", "body", "ref", "mids", "x", "t\\u006f", "type"];
    let string = prop_oneof![
        4 => "[a-z0-9-]{0,40}".prop_map(|s| format!("\"{s}\"")),
        2 => r#"([a-z\[,:é] ?|\\[nu"\\/x0]|\\u00e9|\\ud83d){0,30}"#
            .prop_map(|s| format!("\"{s}\"")),
        1 => Just(format!("\"{}\"", "r".repeat(65))),
    ];
    let list =
        (prop::collection::vec(string.clone(), 0..4), prop_oneof![9 => Just(","), 1 => Just(", ")])
            .prop_map(|(mids, comma)| format!("[{}]", mids.join(comma)));
    let value = prop_oneof![3 => string, 3 => list, 1 => json(), 1 => any::<String>()];
    let kind =
        prop_oneof![Just("send"), Just("ack"), Just("signal"), Just("leave"), Just("\\u0061ck")];
    let members = prop::collection::vec((prop::sample::select(KEYS), value), 0..5);
    let end = prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("}"), 1 => Just(",")];
    (kind, members, any::<prop::sample::Index>(), end).prop_map(|(kind, members, place, end)| {
        let mut members: Vec<String> =
            members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        members.insert(place.index(members.len() + 1), format!("\"type\":\"{kind}\""));
        format!("{{{}}}{end}", members.join(","))
    })
}

/// Lines as programs write them, all of which take the fast path.
fn common_line() -> impl Strategy<Value = String> {
    let quoted = |s: String| serde_json::to_string(&s).expect("a string");
    let body = r#"[ -~é€\n\t\\"]{0,80}"#.prop_map(quoted);
    let reference = prop::option::of("[a-zé]{1,32}");
    let send = ("[a-zé.@ ]{0,16}", body, reference).prop_map(|(to, body, reference)| {
        let reference = reference.map_or(String::new(), |text| format!(r#","ref":"{text}""#));
        format!(r#"{{"type":"send","to":"{to}","body":{body}{reference}}}"#)
    });
    let ack = prop::collection::vec("[a-zA-Z0-9-]{1,32}", 1..5).prop_map(|mids| {
        format!(r#"{{"type":"ack","to":"bob","mids":["{}"]}}"#, mids.join("\",\""))
    });
    prop_oneof![3 => send, 1 => ack]
}

/// A common line with one character removed or replaced.
fn mistyped_line() -> impl Strategy<Value = String> {
    const LETTERS: &[&str] =
        &["", "\"", "\\", "{", "}", "[", ",", ":", " ", "x", "é", "\u{1}", "\\u0041", "\"\""];
    (common_line(), any::<prop::sample::Index>(), prop::sample::select(LETTERS)).prop_map(
        |(mut line, place, letter)| {
            let (at, old) =
                line.char_indices().nth(place.index(line.chars().count())).expect("a letter");
            line.replace_range(at..at + old.len_utf8(), letter);
            line
        },
    )
}

#[test]
fn list_over_its_bound_is_refused_by_both_parsers() {
    for (len, is_read) in [(LIST_MAX, true), (LIST_MAX + 1, false)] {
        let line =
            format!(r#"{{"type":"ack","to":"bob","mids":["a"{}]}}"#, ",\"a\"".repeat(len - 1));
        assert_eq!((fast::first(&line).is_some(), read(&line).request.is_ok()), (is_read, is_read));
    }
}

proptest! {
    // A case that fails is printed, and becomes an ordinary test; it is not kept in a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_send_keeps_its_values_in_both_directions(
        to in any::<String>(), reference in "[^\"]{1,16}", body in json(),
    ) {
        let quoted = |s: &str| serde_json::to_string(s).expect("a string");
        let (quoted_to, quoted_reference) = (quoted(&to), quoted(&reference));
        let line = format!(
            r#"{{"ref":{quoted_reference},"body":{body},"to":{quoted_to},"type":"send"}}"#
        );
        prop_assert_eq!(
            request(&line),
            FromClient::Send { to: to.into(), body: &body, reference: Some(reference.into()) }
        );
        let mid = Mid { prefix: 1.into(), count: 1 };
        let out = written(&ToClient::Message { from: &id("a"), body: &body, mid, at: 5 });
        prop_assert!(!out.contains('\n') || body.contains('\n'));
        let back: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&out).expect("JSON");
        prop_assert_eq!(back["body"].get(), body.as_str());
    }

    #[test]
    fn fast_path_and_full_parser_agree(
        line in prop_oneof![almost_common(), mistyped_line(), common_line()],
    ) {
        for behind in ["", "\n", "\n{\"type\":", " \n", "\r\n"] {
            let text = format!("{line}{behind}");
            if let Some((read, rest)) = fast::first(&text) {
                prop_assert_eq!(read, parse::parse(&line));
                prop_assert_eq!(Some(rest), behind.strip_prefix('\n').or(Some(behind)));
            }
        }
    }

    #[test]
    fn common_line_takes_the_fast_path_only_if_whole(line in common_line()) {
        prop_assert!(fast::first(&line).is_some());
        for (cut, _) in line.char_indices() {
            prop_assert_eq!(fast::first(&line[..cut]), None);
        }
    }

    #[test]
    fn any_text_is_read_without_panic_and_written_escaped(
        line in any::<String>(), text in any::<String>(),
    ) {
        let _ = Line::first(&line).0.is_some();
        let tag = Tag { reference: Some(line.clone().into()), to: Some(text.clone().into()) };
        let out = written(&ToClient::Error { code: ErrorCode::Slow, tag: &tag, text: &text });
        let back: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        prop_assert_eq!(back["ref"].as_str(), Some(line.as_str()));
        prop_assert_eq!(back["text"].as_str(), Some(text.as_str()));
        prop_assert!(!out.contains('\n'));
    }
}

#[test]
fn mid_of_an_earlier_run_is_known_within_the_counts_of_that_run() {
    let mut prefixes = Prefixes::from(0xa);
    prefixes.begin(5, 0xb.into());
    prefixes.begin(9, 0xc.into());
    for (count, prefix) in [(0, 0xa), (4, 0xa), (5, 0xb), (8, 0xb), (9, 0xc), (99, 0xc)] {
        assert_eq!(prefixes.mid(count), Mid { prefix: prefix.into(), count });
        for other in [0xa, 0xb, 0xc, 0xd] {
            let text = Mid { prefix: other.into(), count }.to_string();
            let list = MidList::new(&[text.into()]);
            let expected = (other == prefix).then_some(count);
            assert_eq!(list.counts(&prefixes).collect::<Vec<_>>(), [expected], "{other}");
        }
    }
}

/// The text of a mid, for tests.
impl std::fmt::Display for Mid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(str::from_utf8(self.write(&mut [0; MID_BYTES_MAX])).expect("ASCII"))
    }
}

#[test]
fn mid_is_written_as_format_would_write_it() {
    for number in [0, 1, 9, 10, 15, 16, 0xabc, 0xffff_ffff_ffff, 1 << 48, u64::MAX] {
        let mid = Mid { prefix: number.into(), count: number };
        let expected = format!("{:012x}-{number:x}", number & 0xffff_ffff_ffff);
        assert_eq!(mid.write(&mut [0; MID_BYTES_MAX]), expected.as_bytes());
        let list = MidList::new(&[expected.as_str().into()]);
        assert_eq!(list.counts(&number.into()).collect::<Vec<_>>(), [Some(number)]);
    }
}

#[test]
fn message_around_a_body_equals_the_line_with_it() {
    let (from, mid) = (Id::new("alice").expect("an id"), Mid { prefix: 0xabc.into(), count: 7 });
    let mut around = b"before".to_vec();
    let body_at = put_message_around(&mut around, &from, mid, 5);
    let (body, mut whole) = (r#"{"any":"body"}"#, b"before".to_vec());
    ToClient::Message { from: &from, body, mid, at: 5 }.write(&mut whole);
    assert_eq!([&around[..body_at], body.as_bytes(), &around[body_at..]].concat(), whole);
}
