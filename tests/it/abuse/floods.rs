//! Floods: far more fragments, pings, lines or held messages than a client needs.

use std::io::Write;
use std::time::Instant;

use serde_json::json;
use sotto::limits::MESSAGE_TIMEOUT;

use super::http::taken;
use super::{FLAT_BYTES, Watched};
use crate::raw::{CONTINUATION, FIN, PING, PONG, TEXT, answer, connect, frame};
use crate::support::{Client, Wire};

#[test]
fn million_empty_fragments_take_no_memory() {
    let watched = Watched::start(&["--rate", "0"]);
    let begin = || {
        let mut client = Client::join(&watched.server, "flood");
        client.ws.get_mut().write_all(&frame(TEXT, b"")).expect("it reads");
        (client, Instant::now())
    };
    let many = frame(CONTINUATION, b"").repeat(10_000);
    let (mut client, mut begun) = begin();
    let mut floods = 0;
    while floods < 100 {
        if client.ws.get_mut().write_all(&many).is_ok() {
            floods += 1;
        } else {
            // The server gives a message 10 s. On a busy machine that is too little for a million
            // fragments, so the rest of them goes into another message.
            assert!(begun.elapsed() >= MESSAGE_TIMEOUT, "the server refuses a fragment");
            (client, begun) = begin();
        }
        watched.assert_flat(FLAT_BYTES);
    }
    watched.server.assert_alive();
    watched.assert_flat(FLAT_BYTES);
    drop(client);
    watched.assert_as_before();
}

#[test]
fn fragment_flood_at_the_default_rate_waits_in_the_kernel() {
    let watched = Watched::start(&[]);
    let mut client = Client::join(&watched.server, "flood");
    let stream = client.ws.get_mut();
    stream.socket().set_nonblocking(true).expect("a socket");
    let many = [frame(TEXT, b""), frame(CONTINUATION, b"").repeat(10_000_000)].concat();
    let mut sent = 0;
    while let Some(len) = taken(stream.write(&many[sent..])) {
        sent += len;
    }
    assert!(sent < many.len());
    watched.server.assert_alive();
    watched.assert_flat(FLAT_BYTES);
}

#[test]
fn message_in_one_byte_fragments_is_heard_up_to_the_limit() {
    let watched = Watched::start(&["--rate", "0"]);
    let leave = br#"{"type":"leave"}"#;
    let mut said = frame(TEXT, b" ");
    (0..65_535 - leave.len()).for_each(|_| said.extend(frame(CONTINUATION, b" ")));
    leave.iter().for_each(|byte| said.extend(frame(CONTINUATION, &[*byte])));
    let mut whole = Client::join(&watched.server, "whole");
    whole
        .ws
        .get_mut()
        .write_all(&[&said[..], &frame(CONTINUATION | FIN, b"")].concat())
        .expect("it reads");
    assert_eq!(whole.hear_close(), (vec![], 1000));
    let mut endless = Client::join(&watched.server, "endless");
    endless
        .ws
        .get_mut()
        .write_all(&[&said[..], &frame(CONTINUATION, b"!")].concat())
        .expect("it reads");
    assert_eq!(endless.hear_close(), (vec![], 1009));
    watched.assert_as_before();
}

#[test]
fn ping_flood_is_answered_or_waits_unread_in_the_kernel() {
    let watched = Watched::start(&["--rate", "0", "--join-timeout", "3600"]);
    let pings = frame(PING, b"").repeat(100_000);
    let heard = connect(&watched.server).converse(&pings);
    assert!(heard == answer(PONG, b"").repeat(100_000));
    let mut stuck: Vec<Wire> = (0..20).map(|_| connect(&watched.server)).collect();
    for stream in &mut stuck {
        stream.socket().set_nonblocking(true).expect("a socket");
        while taken(stream.write(&pings)).is_some() {}
    }
    watched.server.assert_alive();
    watched.assert_flat(FLAT_BYTES);
    drop(stuck);
    watched.assert_as_before();
}

#[test]
fn sender_above_the_rate_is_slowed_and_loses_nothing() {
    let watched = Watched::start(&["--rate", "500", "--burst", "100"]);
    let [mut alice, mut bob] = ["alice", "bob"].map(|id| Client::join(&watched.server, id));
    for n in 0..1000 {
        alice.say(json!({"type": "send", "to": "bob", "body": [n, "x".repeat(500)]}));
    }
    watched.server.assert_alive();
    for n in 0..1000 {
        assert_eq!(bob.hear_type("message")["body"][0], n);
    }
    drop((alice, bob));
    watched.assert_as_before();
}

#[test]
fn full_held_total_stops_no_other_conversation() {
    let watched = Watched::start(&["--held", "140000", "--held-total", "1100000", "--rate", "0"]);
    let key = "0123456789abcdef";
    let mut mallory = Client::join(&watched.server, "mallory");
    for n in 0..100 {
        drop(Client::join_owned(&watched.server, &format!("heap{n}"), key));
        loop {
            mallory
                .say(json!({"type": "send", "to": format!("heap{n}"), "body": "x".repeat(5000), "ref": "r"}));
            let answer = mallory.hear();
            // Mallory owns no id, so each send with the same `ref` is a new one.
            if answer["type"] == "error" {
                assert_eq!(answer["code"], "full");
                break;
            }
        }
    }
    let (mut alice, _) = Client::join_owned(&watched.server, "alice", key);
    let (mut bob, _) = Client::join_owned(&watched.server, "bob", key);
    for n in 0..100 {
        alice.say(
            json!({"type": "send", "to": "bob", "body": "a line of people", "ref": n.to_string()}),
        );
        alice.hear_type("sent");
        let message = bob.hear_type("message");
        bob.say(json!({"type": "ack", "to": "alice", "mids": [message["mid"]]}));
        alice.hear_type("delivered");
    }
    watched.server.assert_alive();
}
