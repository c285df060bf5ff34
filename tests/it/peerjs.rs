//! The door of PeerJS clients, as they speak: ids, offers, expiry, and the end of a connection.

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{Client, Server, read_head};

const OPTIONS: [&str; 2] = ["--peerjs", "/calls"];

/// Asks for an id with a token; does not wait for an answer.
fn ask(server: &Server, id: &str, token: &str) -> Client {
    let path = format!("/calls/peerjs?key=peerjs&id={id}&token={token}&version=1.5.5");
    Client::ask(server, server.connect(), &path, "").unwrap_or_else(|head| panic!("{head}"))
}

fn open(server: &Server, id: &str, token: &str) -> Client {
    let mut client = ask(server, id, token);
    assert_eq!(client.hear(), json!({"type": "OPEN"}));
    client
}

fn expire(from: &str, to: &str) -> Value {
    json!({"type": "EXPIRE", "src": from, "dst": to})
}

/// A token that is a key.
const KEY: &str = "0123456789abcdef";

#[test]
fn id_is_given_to_a_page_of_any_origin() {
    use std::io::{Read, Write};
    let server = Server::start(&OPTIONS);
    let mut stream = server.connect();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = format!(
            "GET /calls/peerjs/id?ts=1&version=1.5.5 HTTP/1.1\r\nHost: {}\r\n\
             Origin: https://app.example\r\n\r\n",
            server.address
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let head = read_head(&mut stream);
        assert!(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{head}");
        let mut id = [0; 36];
        stream.read_exact(&mut id).expect("a body");
        ids.push(String::from_utf8(id.into()).expect("ASCII"));
    }
    assert_ne!(ids[0], ids[1]);
    open(&server, &ids[0], "t");
}

#[test]
fn offer_is_forwarded_byte_for_byte() {
    let server = Server::start(&OPTIONS);
    let (mut alice, mut bob) = (open(&server, "alice", "a"), open(&server, "bob", "b"));
    for kind in ["OFFER", "ANSWER", "CANDIDATE", "LEAVE"] {
        let payload = r#"{ "sdp":"v=0\r\n\u00e4" ,"n":1.0e2}"#;
        alice.say_text(&format!(r#"{{"type":"{kind}","payload":{payload},"dst":"bob"}}"#));
        assert_eq!(
            bob.hear_text(),
            format!(r#"{{"type":"{kind}","src":"alice","dst":"bob","payload":{payload}}}"#)
        );
    }
}

#[test]
fn each_message_comes_in_a_frame_of_its_own() {
    let server = Server::start(&OPTIONS);
    let (mut alice, mut bob) = (open(&server, "alice", "a"), open(&server, "bob", "b"));
    let before = bob.messages;
    for number in 0..200 {
        alice.say(json!({"type": "CANDIDATE", "dst": "bob", "payload": number}));
    }
    for number in 0..200 {
        assert_eq!(bob.hear()["payload"], number);
    }
    assert_eq!(bob.messages, before + 200);
}

#[test]
fn taken_id_is_refused_with_another_token() {
    let server = Server::start(&OPTIONS);
    let mut alice = open(&server, "alice", "a");
    for token in ["b", KEY] {
        let (lines, code) = ask(&server, "alice", token).hear_close();
        assert_eq!(lines, [r#"{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}"#]);
        assert_eq!(code, 1000);
    }
    // The first one goes on.
    alice.say(json!({"type": "OFFER", "dst": "alice", "payload": 1}));
    assert_eq!(alice.hear_type("OFFER")["src"], "alice");
}

#[test]
fn same_token_takes_its_id_back() {
    let server = Server::start(&OPTIONS);
    for token in ["short", KEY] {
        let mut old = open(&server, token, token);
        let mut new = open(&server, token, token);
        assert_eq!(old.hear_close().1, 4001);
        new.say(json!({"type": "OFFER", "dst": token, "payload": 1}));
        new.hear_type("OFFER");
    }
}

#[test]
fn id_is_free_after_its_connection_unless_the_token_is_a_key() {
    let server = Server::start(&OPTIONS);
    for id in ["alice", "bob"] {
        let token = if id == "alice" { "short" } else { KEY };
        let mut client = open(&server, id, token);
        client.ws.close(None).expect("it reads");
        while client.ws.read().is_ok() {}
    }
    open(&server, "alice", "another");
    ask(&server, "bob", "another").hear_type("ID-TAKEN");
    open(&server, "bob", KEY);
}

#[test]
fn message_for_a_missing_peer_expires_at_once() {
    let server = Server::start(&OPTIONS);
    let mut alice = open(&server, "alice", "a");
    alice.say(json!({"type": "LEAVE", "dst": "bob"}));
    for to in ["bob", "no id!", &"b".repeat(65)] {
        alice.say(json!({"type": "OFFER", "dst": to, "payload": 1}));
        assert_eq!(alice.hear(), expire(to, "alice"));
    }
}

#[test]
fn message_for_an_owner_waits_until_it_comes_back() {
    let server = Server::start(&OPTIONS);
    let mut alice = open(&server, "alice", "a");
    open(&server, "bob", KEY).cut();
    // Only a `sent` tells that the server has heard of the end.
    let mut watcher = Client::join(&server, "watcher");
    loop {
        watcher.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r"}));
        if watcher.hear_type("sent")["held"] == true {
            break;
        }
    }
    alice.say(json!({"type": "OFFER", "dst": "bob", "payload": "early"}));
    alice.say(json!({"type": "OFFER", "dst": "alice", "payload": "heard"}));
    alice.hear_type("OFFER");
    let mut bob = open(&server, "bob", KEY);
    assert_eq!(bob.hear_type("OFFER")["payload"], "early");
    // It was acknowledged, so it does not come again.
    bob.say(json!({"type": "ANSWER", "dst": "alice", "payload": 2}));
    assert_eq!(alice.hear_type("ANSWER")["src"], "bob");
    let mut bob = open(&server, "bob", KEY);
    alice.say(json!({"type": "OFFER", "dst": "bob", "payload": "late"}));
    assert_eq!(bob.hear_type("OFFER")["payload"], "late");
}

#[test]
fn last_messages_are_translated_before_the_close() {
    let server = Server::start(&OPTIONS);
    let mut alice = open(&server, "alice", "a");
    let offer = json!({"type": "OFFER", "dst": "alice", "payload": 1});
    for message in [offer, json!({"type": "LEAVE"})] {
        alice.ws.write(Message::text(message.to_string())).expect("room");
    }
    alice.ws.flush().expect("it reads");
    let (messages, code) = alice.hear_close();
    assert_eq!(messages, [r#"{"type":"OFFER","src":"alice","dst":"alice","payload":1}"#]);
    assert_eq!(code, 1000);
}

#[test]
fn heartbeat_is_life_and_is_not_answered() {
    let server = Server::start(&[&OPTIONS[..], &["--ping", "1", "--timeout", "2"]].concat());
    let mut alice = open(&server, "alice", "a");
    for _ in 0..50 {
        alice.say(json!({"type": "HEARTBEAT"}));
    }
    alice.say_text("not JSON");
    alice.say(json!({"type": "OFFER", "dst": "alice", "payload": 1}));
    alice.hear_type("OFFER");
}

#[test]
fn chat_and_peerjs_share_their_ids_and_messages() {
    let server = Server::start(&OPTIONS);
    let mut alice = open(&server, "alice", KEY);
    let mut bob = Client::join(&server, "bob");
    ask(&server, "bob", "b").hear_type("ID-TAKEN");
    bob.say(json!({"type": "join", "id": "alice"}));
    bob.hear_error("already_joined");
    // A page with PeerJS cannot show it, so it waits.
    bob.say(json!({"type": "send", "to": "alice", "body": "hello"}));
    let offer = json!({"peerjs": "OFFER", "payload": {"sdp": "v=0"}});
    bob.say(json!({"type": "send", "to": "alice", "body": offer, "ref": "r"}));
    let expected =
        json!({"type": "OFFER", "src": "bob", "dst": "alice", "payload": {"sdp": "v=0"}});
    assert_eq!(alice.hear(), expected);
    let mid = bob.hear_type("sent")["mid"].clone();
    assert_eq!(bob.hear_type("delivered")["mids"], json!([mid]));
    alice.say(json!({"type": "ANSWER", "dst": "bob", "payload": [1]}));
    let answer = bob.hear_type("message");
    assert_eq!(answer["body"], json!({"peerjs": "ANSWER", "payload": [1]}));
    let (mut alice, joined) = Client::join_owned(&server, "alice", KEY);
    assert_eq!(joined["held"], 1);
    assert_eq!(alice.hear_type("message")["body"], "hello");
}

#[test]
fn bad_handshake_is_told_and_closed() {
    let server = Server::start(&OPTIONS);
    let check = |path: &str, words: &str| {
        let client = Client::ask(&server, server.connect(), path, "");
        let (lines, code) = client.unwrap_or_else(|head| panic!("{head}")).hear_close();
        assert!(lines[0].starts_with(r#"{"type":"ERROR","payload":{"msg":""#), "{lines:?}");
        assert!(lines.len() == 1 && lines[0].contains(words) && code == 1000, "{lines:?}");
    };
    check("/calls/peerjs", "No id");
    check("/calls/peerjs?key=other&id=alice&token=t", "Invalid key");
    check("/calls/peerjs?key=peerjs&id=a%20b&token=t", "");
}

#[test]
fn foreign_page_needs_an_origin() {
    let options = [&OPTIONS[..], &["--origin", "https://app.example"]].concat();
    let server = Server::start(&options);
    let path = "/calls/peerjs?key=peerjs&id=alice&token=t";
    let ask = |origin: &str| {
        let fields = format!("Origin: {origin}\r\n");
        Client::ask(&server, server.connect(), path, &fields)
    };
    assert!(ask("https://other.example").is_err_and(|head| head.starts_with("HTTP/1.1 403 ")));
    assert!(ask("https://app.example").is_ok());
}

#[test]
fn server_without_the_option_has_no_such_address() {
    let server = Server::start(&[]);
    let path = "/peerjs?key=peerjs&id=alice&token=t";
    let refused = Client::ask(&server, server.connect(), path, "");
    assert!(refused.is_err_and(|head| head.starts_with("HTTP/1.1 404 ")));
}

#[cfg(feature = "store")]
#[test]
fn owned_id_survives_a_restart_with_a_store() {
    let folder = format!("{}/peerjs-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let options = [&OPTIONS[..], &["--store", &folder]].concat();
    open(&Server::start(&options), "alice", KEY);
    let server = Server::start(&options);
    ask(&server, "alice", "another").hear_type("ID-TAKEN");
    let mut alice = open(&server, "alice", KEY);
    alice.say(json!({"type": "OFFER", "dst": "alice", "payload": 1}));
    alice.hear_type("OFFER");
    drop(server);
    std::fs::remove_dir_all(&folder).expect("a folder");
}
