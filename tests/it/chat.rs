//! What people say to each other, and what they hear when it cannot be.

use serde_json::json;
use tungstenite::Message;

use crate::support::{Client, Server};

#[test]
fn two_clients_talk_and_a_body_comes_through_byte_for_byte() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = ["alice", "bob"].map(|id| Client::join(&server, id));
    let body = "{\"z\": 1.50, \"a\":[\"\\u00e9\\n\", null]}";
    alice.say_text(&format!("{{\"type\":\"send\",\"to\":\"bob\",\"body\":{body},\"ref\":\"r1\"}}"));
    let heard = bob.hear_text();
    assert!(heard.contains(&format!("\"from\":\"alice\",\"body\":{body},\"mid\":\"")), "{heard}");
    let sent = alice.hear_type("sent");
    assert_eq!(sent["ref"], "r1");
    let message: serde_json::Value = serde_json::from_str(&heard).expect("JSON");
    assert_eq!((&message["mid"], &message["at"]), (&sent["mid"], &sent["at"]));
    bob.say(json!({"type": "send", "to": "alice", "body": null}));
    assert_eq!(alice.hear_type("message")["body"], json!(null));
    bob.say(json!({"type": "signal", "to": "alice", "body": {"typing": true}}));
    assert_eq!(alice.hear_type("signal")["body"], json!({"typing": true}));
}

#[test]
fn a_join_is_answered_with_what_the_server_holds_to() {
    let server = Server::start(&["--max-message", "1000"]);
    let mut client = Client::connect(&server);
    client.say_text("{\"type\":\"join\",\"id\":\"संजय\",\"key\":\"0123456789abcdef\"}");
    let expected =
        json!({"type": "joined", "id": "संजय", "resumed": false, "held": 0, "max_message": 1000, "hold": 0});
    assert_eq!(client.hear(), expected);
}

#[test]
fn a_hundred_clients_reach_one_whole_and_in_order_in_far_fewer_messages() {
    let server = Server::start(&[]);
    let mut bob = Client::join(&server, "bob");
    // He listens all the while: what is under way is far more than may wait for one client.
    let bob = std::thread::spawn(move || {
        let mut next = [0; 100];
        for _ in 0..10_000 {
            let message = bob.hear_type("message");
            let n = message["body"][0].as_u64().expect("a number") as usize;
            assert_eq!(message["from"], format!("s{n}"));
            assert_eq!(message["body"][1], next[n], "of {n}");
            next[n] += 1;
        }
        bob.messages
    });
    let mut senders: Vec<Client> = (0..100).map(|n| Client::join(&server, &format!("s{n}"))).collect();
    for (n, sender) in senders.iter_mut().enumerate() {
        let lines: Vec<String> =
            (0..100).map(|i| json!({"type": "send", "to": "bob", "body": [n, i]}).to_string()).collect();
        sender.say_text(&lines.join("\n"));
    }
    let messages = bob.join().expect("he heard all of it");
    assert!(messages < 2_000, "{messages} WebSocket messages for 10000 lines");
}

#[test]
fn refusals_say_what_was_refused() {
    let server = Server::start(&[]);
    let mut alice = Client::connect(&server);
    alice.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r0"}));
    assert_eq!(alice.hear_error("not_joined")["ref"], "r0");
    alice.say(json!({"type": "join", "id": "a b"}));
    alice.hear_error("bad_id");
    alice.say(json!({"type": "join", "id": "alice", "key": "short"}));
    alice.hear_error("bad_key");
    alice.say(json!({"type": "join", "id": "alice"}));
    alice.hear_type("joined");
    alice.say(json!({"type": "join", "id": "other"}));
    alice.hear_error("already_joined");
    alice.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r1"}));
    let offline = alice.hear_error("offline");
    assert_eq!(
        (&offline["ref"], &offline["to"], &offline["text"]),
        (&json!("r1"), &json!("bob"), &json!("bob is not here"))
    );
    alice.say_text("no JSON");
    alice.hear_error("bad_request");
    alice.say(json!({"type": "watch", "ids": (0..256).map(|n| n.to_string()).collect::<Vec<_>>()}));
    for _ in 0..256 {
        alice.hear_type("presence");
    }
    alice.say(json!({"type": "watch", "ids": ["one-more"]}));
    alice.hear_error("too_many");
    let mut other = Client::connect(&server);
    other.say(json!({"type": "join", "id": "alice"}));
    other.hear_error("id_taken");
    other.say(json!({"type": "join", "id": "bob"}));
    other.hear_type("joined");
}

#[test]
fn an_equal_key_replaces_the_old_connection_and_nobody_notices() {
    let server = Server::start(&[]);
    let join = json!({"type": "join", "id": "alice", "key": "0123456789abcdef"});
    let mut old = Client::connect(&server);
    old.say(join.clone());
    old.hear_type("joined");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "watch", "ids": ["alice"]}));
    assert_eq!(bob.hear_type("presence")["online"], true);

    let mut thief = Client::connect(&server);
    thief.say(json!({"type": "join", "id": "alice", "key": "fedcba9876543210"}));
    thief.hear_error("id_taken");
    let mut new = Client::connect(&server);
    new.say(join);
    new.hear_type("joined");
    assert_eq!(old.hear_close(), (vec![], 4001));

    bob.say(json!({"type": "send", "to": "alice", "body": "still there?"}));
    assert_eq!(new.hear_type("message")["body"], "still there?");
    new.say(json!({"type": "leave"}));
    assert_eq!(new.hear_close().1, 1000);
    assert_eq!(bob.hear_type("presence")["online"], false, "the first that is heard of it");
}

#[test]
fn presence_is_told_on_watch_and_at_each_change() {
    let server = Server::start(&[]);
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "watch", "ids": ["alice"]}));
    assert_eq!(bob.hear(), json!({"type": "presence", "id": "alice", "online": false}));
    let alice = Client::join(&server, "alice");
    assert_eq!(bob.hear(), json!({"type": "presence", "id": "alice", "online": true}));
    drop(alice);
    assert_eq!(bob.hear(), json!({"type": "presence", "id": "alice", "online": false}));
    bob.say(json!({"type": "unwatch", "ids": ["alice"]}));
    bob.say(json!({"type": "send", "to": "bob", "body": "in order"}));
    bob.hear_type("message");
    let _alice = Client::join(&server, "alice");
    bob.say(json!({"type": "send", "to": "bob", "body": "not a presence"}));
    bob.hear_type("message");
}

#[test]
fn an_id_without_a_key_is_free_when_its_connection_ends() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        let mut alice = Client::join(&server, "alice");
        alice.ws.close(None).expect("a close frame");
        while alice.ws.read().is_ok() {}
    }
}

#[test]
fn the_sixteenth_bad_request_in_a_row_is_the_last() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server);
    client.say_text(&["x"; 15].join("\n"));
    client.say(json!({"type": "leave"}));
    client.say_text(&["x"; 17].join("\n"));
    let (lines, code) = client.hear_close();
    assert_eq!((lines.len(), code), (15 + 1 + 16, 4000));
    server.assert_alive();
}

#[test]
fn what_is_no_text_or_too_long_is_closed_with_its_code() {
    let server = Server::start(&["--max-message", "1000"]);
    let check = |message: Message, expected: u16| {
        let mut client = Client::join(&server, "alice");
        client.ws.send(message).expect("it reads");
        assert_eq!(client.hear_close(), (vec![], expected));
    };
    check(Message::binary("x"), 1003);
    check(Message::text("x".repeat(1001)), 1009);
    let mut client = Client::join(&server, "alice");
    client.say_text(&" ".repeat(1000));
    client.say(json!({"type": "leave"}));
    assert_eq!(client.hear_close(), (vec![], 1000), "1000 bytes are not too long");
}
