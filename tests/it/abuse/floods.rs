//! More of something than anybody needs.

use std::io::Write;

use serde_json::json;

use super::http::taken;
use super::{FLAT_BYTES, Watched};
use crate::raw::{CONTINUATION, FIN, PING, PONG, TEXT, answer, connect, frame};
use crate::support::{Client, Wire};

#[test]
fn a_million_empty_fragments_take_no_memory() {
    let watched = Watched::start(&["--rate", "0"]);
    let mut client = Client::join(&watched.server, "flood");
    let many = frame(CONTINUATION, b"").repeat(10_000);
    client.ws.get_mut().write_all(&frame(TEXT, b"")).expect("it reads");
    for _ in 0..100 {
        client.ws.get_mut().write_all(&many).expect("it reads");
    }
    watched.server.assert_alive();
    watched.assert_flat(FLAT_BYTES);
    drop(client);
    watched.assert_as_before();
}

#[test]
fn at_the_default_rate_a_flood_of_fragments_soon_waits_in_the_kernel() {
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
fn a_message_in_one_byte_fragments_is_heard_and_one_that_never_ends_is_too_long() {
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
fn a_ping_flood_is_answered_to_who_reads_and_waits_in_the_kernel_for_who_does_not() {
    let watched = Watched::start(&["--rate", "0"]);
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
fn who_sends_faster_than_it_may_is_slower_and_nothing_is_lost() {
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
fn who_fills_what_may_be_held_stops_nobody_elses_chat() {
    let watched = Watched::start(&["--held", "140000", "--held-total", "1100000", "--rate", "0"]);
    let key = "0123456789abcdef";
    let mut mallory = Client::join(&watched.server, "mallory");
    for n in 0..100 {
        drop(Client::join_owned(&watched.server, &format!("heap{n}"), key));
        loop {
            mallory
                .say(json!({"type": "send", "to": format!("heap{n}"), "body": "x".repeat(5000), "ref": "r"}));
            let answer = mallory.hear();
            // The same send is answered the same only to who owns its id.
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
