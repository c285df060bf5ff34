//! Translations as they are: one helper for each direction, one line for each case.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_795_392_000_000;
const KEY: &str = "0123456789abcdef";

fn translator(token: &str) -> Translator {
    let handshake = Handshake { id: "alice".into(), token: token.into() };
    Translator::new(&handshake, 512, NOW)
}

/// Returns a translator of a client that has joined.
fn joined(token: &str) -> Translator {
    let mut translator = translator(token);
    let said = told_at(&mut translator, NOW, r#"{"type":"joined","id":"alice","resumed":false}"#);
    assert_eq!(said.messages, [r#"{"type":"OPEN"}"#]);
    translator
}

fn heard_at(translator: &mut Translator, unix_ms: u64, text: &str) -> Output {
    let mut out = Output::default();
    translator.hear(text, unix_ms, &mut out);
    out
}

fn told_at(translator: &mut Translator, unix_ms: u64, text: &str) -> Output {
    let mut out = Output::default();
    translator.tell(text, unix_ms, &mut out);
    out
}

/// Checks the lines that a message of the client becomes; `REF` stands for the ref.
#[track_caller]
fn check_heard(text: &str, lines: &[&str]) {
    let out = heard_at(&mut joined("short"), NOW, text);
    let reference = format!("{NOW:x}-1");
    let heard: Vec<String> = out.lines.iter().map(|line| line.replace(&reference, "REF")).collect();
    assert_eq!(heard, lines, "{text}");
    assert_eq!((out.messages.as_slice(), out.is_over), (&[][..], false), "{text}");
}

/// Checks the messages and lines that lines of the hub become, for a client that has joined.
#[track_caller]
fn check_told(token: &str, text: &str, messages: &[&str], lines: &[&str]) {
    let out = told_at(&mut joined(token), NOW, text);
    assert_eq!((out.messages, out.lines), (texts(messages), texts(lines)), "{text}");
    assert!(!out.is_over, "{text}");
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn message(body: &str, at: u64) -> String {
    format!(r#"{{"type":"message","from":"bob","body":{body},"mid":"m-1","at":{at}}}"#)
}

#[test]
fn join_has_a_key_if_the_token_is_long_enough() {
    let check = |token: &str, line: &str| {
        let mut translator = translator(token);
        assert_eq!(
            (translator.join().as_str(), translator.is_owned()),
            (line, line.contains("key"))
        );
    };
    check("short", r#"{"type":"join","id":"alice"}"#);
    check(&KEY[1..], r#"{"type":"join","id":"alice"}"#);
    check(KEY, r#"{"type":"join","id":"alice","key":"0123456789abcdef"}"#);
    check(r#"a"quote\and more!"#, r#"{"type":"join","id":"alice","key":"a\"quote\\and more!"}"#);
}

#[test]
fn payload_of_a_message_is_passed_on_byte_for_byte() {
    for kind in ["OFFER", "ANSWER", "CANDIDATE"] {
        check_heard(
            &format!(
                r#"{{"payload": {{ "sdp":"a\r\nb\u00e4" ,"n":1.0e2}},"type":"{kind}","dst":"bob"}}"#
            ),
            &[&format!(
                r#"{{"type":"send","to":"bob","ref":"REF","body":{{"peerjs":"{kind}","payload":{{ "sdp":"a\r\nb\u00e4" ,"n":1.0e2}}}}}}"#
            )],
        );
    }
    // A line of the protocol ends at a line break.
    check_heard(
        "{\"type\":\"OFFER\",\"dst\":\"b\\\"ob\",\"payload\":{\n\r\"a\":1}}",
        &[
            r#"{"type":"send","to":"b\"ob","ref":"REF","body":{"peerjs":"OFFER","payload":{  "a":1}}}"#,
        ],
    );
}

#[test]
fn leave_is_sent_without_a_ref_or_ends_the_client() {
    check_heard(
        r#"{"type":"LEAVE","dst":"bob"}"#,
        &[r#"{"type":"send","to":"bob","body":{"peerjs":"LEAVE"}}"#],
    );
    check_heard(r#"{"type":"LEAVE"}"#, &[r#"{"type":"leave"}"#]);
}

#[test]
fn other_messages_of_a_client_are_ignored() {
    for text in [
        r#"{"type":"HEARTBEAT"}"#,
        r#"{"type":"EXPIRE","dst":"bob"}"#,
        r#"{"type":"OFFER","payload":{}}"#,
        r#"{"type":"OFFER","dst":7,"payload":{}}"#,
        r#"{"type":"OFFER","dst":"bob","payload":}"#,
        r#"{"type":"join","id":"bob"}"#,
        "{\"type\":\"OFFER\",\"dst\":\"bob\",\"payload\":\"\n\"}",
        "[]",
        "",
        "\n",
    ] {
        check_heard(text, &[]);
    }
}

#[test]
fn message_of_peerjs_is_handed_on_and_acknowledged_if_owned() {
    let offer = message(r#"{"peerjs":"OFFER","payload":{ "a":1}}"#, NOW);
    let told = r#"{"type":"OFFER","src":"bob","dst":"alice","payload":{ "a":1}}"#;
    check_told("short", &offer, &[told], &[]);
    check_told(KEY, &offer, &[told], &[r#"{"type":"ack","to":"bob","mids":["m-1"]}"#]);
    let leave = message(r#"{"peerjs":"LEAVE"}"#, NOW);
    let left = r#"{"type":"LEAVE","src":"bob","dst":"alice"}"#;
    check_told(
        KEY,
        &format!("{offer}\n{leave}"),
        &[told, left],
        &[r#"{"type":"ack","to":"bob","mids":["m-1","m-1"]}"#],
    );
}

#[test]
fn message_that_peerjs_cannot_read_is_not_acknowledged() {
    for body in [r#""hello""#, "7", "{}", r#"{"peerjs":"OPEN"}"#, r#"{"peerjs":7}"#, "null"] {
        check_told(KEY, &message(body, NOW), &[], &[]);
    }
    for line in [
        r#"{"type":"signal","from":"bob","body":{"peerjs":"OFFER"}}"#,
        r#"{"type":"presence","id":"bob","online":true}"#,
        "",
    ] {
        check_told(KEY, line, &[], &[]);
    }
}

#[test]
fn late_message_is_acknowledged_and_not_handed_on() {
    let ack = r#"{"type":"ack","to":"bob","mids":["m-1"]}"#;
    let body = r#"{"peerjs":"OFFER","payload":1}"#;
    check_told(KEY, &message(body, NOW - 5000), &[], &[ack]);
    let told = r#"{"type":"OFFER","src":"bob","dst":"alice","payload":1}"#;
    check_told(KEY, &message(body, NOW - 4999), &[told], &[ack]);
    check_told("short", &message(body, NOW - 5000), &[told], &[]);
}

#[test]
fn refused_join_is_told_and_ends_the_connection() {
    let check = |code: &str, expected: &str| {
        let line = format!(r#"{{"type":"error","code":"{code}","text":"no \"way\""}}"#);
        let out = told_at(&mut translator("short"), NOW, &format!("{line}\n{line}"));
        assert_eq!((out.messages, out.is_over), (texts(&[expected]), true), "{code}");
    };
    check("id_taken", r#"{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}"#);
    check("bad_id", r#"{"type":"ERROR","payload":{"msg":"no \"way\""}}"#);
    check("forbidden", r#"{"type":"ERROR","payload":{"msg":"no \"way\""}}"#);
}

#[test]
fn refused_message_expires_unless_it_is_a_leave() {
    for code in ["offline", "slow", "full", "bad_id"] {
        let line =
            format!(r#"{{"type":"error","code":"{code}","ref":"1-1","to":"bob","text":"no"}}"#);
        check_told("short", &line, &[r#"{"type":"EXPIRE","src":"bob","dst":"alice"}"#], &[]);
        check_told("short", &line.replace(r#""ref":"1-1","#, ""), &[], &[]);
    }
    let bad = r#"{"type":"error","code":"bad_request","ref":"1-1","to":"bob","text":"too deep"}"#;
    check_told("short", bad, &[r#"{"type":"ERROR","payload":{"msg":"too deep"}}"#], &[]);
}

#[test]
fn message_that_no_line_can_carry_is_refused_at_once() {
    let to = "b".repeat(65);
    let long_id = format!(r#"{{"type":"OFFER","dst":"{to}","payload":1}}"#);
    let out = heard_at(&mut joined("short"), NOW, &long_id);
    assert_eq!(out.messages, [format!(r#"{{"type":"EXPIRE","src":"{to}","dst":"alice"}}"#)]);
    assert!(out.lines.is_empty());
    let long = format!(r#"{{"type":"OFFER","dst":"bob","payload":"{}"}}"#, "x".repeat(450));
    let out = heard_at(&mut joined("short"), NOW, &long);
    assert!(out.messages[0].starts_with(r#"{"type":"ERROR""#) && out.lines.is_empty());
}

/// Sends an offer that the hub takes: held, or on its way.
fn hold(translator: &mut Translator, to: &str, held: bool) {
    let offer = format!(r#"{{"type":"OFFER","dst":"{to}","payload":1}}"#);
    assert_eq!(heard_at(translator, NOW, &offer).lines.len(), 1);
    let reference = format!("{:x}-{:x}", translator.began, translator.last);
    let held = if held { r#","held":true"# } else { "" };
    let sent = format!(r#"{{"type":"sent","ref":"{reference}","mid":"m-1","at":{NOW}{held}}}"#);
    assert_eq!(told_at(translator, NOW, &sent), Output::default());
}

const HEARTBEAT: &str = r#"{"type":"HEARTBEAT"}"#;
const EXPIRE: &str = r#"{"type":"EXPIRE","src":"bob","dst":"alice"}"#;
const DELIVERED: &str = r#"{"type":"delivered","from":"bob","mids":["m-1"]}"#;

#[test]
fn held_message_expires_with_a_heartbeat_after_5_seconds() {
    let mut alice = joined("short");
    hold(&mut alice, "bob", true);
    assert_eq!(heard_at(&mut alice, NOW + 4999, HEARTBEAT), Output::default());
    assert_eq!(heard_at(&mut alice, NOW + 5000, HEARTBEAT).messages, [EXPIRE]);
    assert_eq!(heard_at(&mut alice, NOW + 9999, HEARTBEAT), Output::default(), "told once");
    assert_eq!(told_at(&mut alice, NOW + 9999, DELIVERED), Output::default(), "told once");
}

#[test]
fn held_message_expires_unless_delivered_in_time() {
    let mut alice = joined("short");
    hold(&mut alice, "bob", true);
    assert_eq!(told_at(&mut alice, NOW + 4000, DELIVERED), Output::default());
    assert_eq!(heard_at(&mut alice, NOW + 9000, HEARTBEAT), Output::default());
    hold(&mut alice, "bob", true);
    assert_eq!(told_at(&mut alice, NOW + 5000, DELIVERED).messages, [EXPIRE], "not handed on");
    hold(&mut alice, "bob", true);
    let expired = r#"{"type":"expired","to":"bob","mids":["m-1"]}"#;
    assert_eq!(told_at(&mut alice, NOW, expired).messages, [EXPIRE]);
    hold(&mut alice, "bob", false);
    assert_eq!(heard_at(&mut alice, NOW + 9000, HEARTBEAT), Output::default(), "on its way");
}

#[test]
fn fate_of_the_last_message_to_a_recipient_counts() {
    let mut alice = joined("short");
    // Sent while bob was here, then held, then refused because he left for good.
    hold(&mut alice, "bob", false);
    let offer = r#"{"type":"OFFER","dst":"bob","payload":1}"#;
    heard_at(&mut alice, NOW, offer);
    hold(&mut alice, "bob", true);
    let refused = r#"{"type":"error","code":"offline","ref":"1-1","to":"bob","text":"no"}"#;
    assert_eq!(told_at(&mut alice, NOW, refused).messages, [EXPIRE]);
    assert_eq!(heard_at(&mut alice, NOW + 5000, HEARTBEAT), Output::default(), "told once");
    heard_at(&mut alice, NOW, offer);
    hold(&mut alice, "bob", true);
    assert_eq!(heard_at(&mut alice, NOW + 5000, HEARTBEAT).messages, [EXPIRE]);
}

#[test]
fn recipients_are_bounded_and_the_oldest_held_expires() {
    let mut alice = joined("short");
    hold(&mut alice, "bob", true);
    for number in 1..PEERJS_RECIPIENTS_MAX {
        hold(&mut alice, &format!("bob-{number}"), true);
    }
    let offer = r#"{"type":"OFFER","dst":"carol","payload":1}"#;
    assert_eq!(heard_at(&mut alice, NOW, offer).messages, [EXPIRE]);
    assert_eq!(alice.recipients.len(), PEERJS_RECIPIENTS_MAX);
    assert!(alice.recipients.capacity() <= PEERJS_RECIPIENTS_MAX);
}

proptest! {
    #[test]
    fn any_text_becomes_lines_and_messages_of_json(
        kind in "(OFFER|LEAVE|HEARTBEAT|message|sent|error|delivered)",
        key in "(dst|from|to|ref|peerjs)",
        payload in r#"[\[\]{}":,0-9a-c\\\n\r ]{0,12}"#,
        token in "(short|0123456789abcdef)",
    ) {
        let text = format!(
            "{{\"type\":\"{kind}\",\n\"{key}\":\"bob\",\"dst\":\"bob\",\"payload\":{payload}}}"
        );
        let mut alice = joined(&token);
        let mut out = heard_at(&mut alice, NOW, &text);
        out.lines.append(&mut heard_at(&mut alice, NOW, &payload).lines);
        let told = told_at(&mut alice, NOW, &text.replace('\n', " "));
        for json in out.lines.iter().chain(&out.messages).chain(&told.lines).chain(&told.messages) {
            prop_assert!(!json.contains(['\n', '\r']), "{json}");
            prop_assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
    }
}
