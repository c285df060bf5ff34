//! The protocol between clients: messages, refusals, ownership, presence and blocks.

use std::sync::mpsc::channel;

use serde_json::json;
use tungstenite::Message;

use crate::support::{Client, PATIENCE, Server};

#[test]
fn body_between_two_clients_comes_through_byte_for_byte() {
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
fn join_is_answered_with_the_limits_of_the_server() {
    let server = Server::start(&["--max-message", "1000"]);
    let mut client = Client::connect(&server);
    client.say_text("{\"type\":\"join\",\"id\":\"संजय\",\"key\":\"0123456789abcdef\"}");
    let expected = json!({"type": "joined", "id": "संजय", "resumed": false, "held": 0, "max_message": 1000, "hold": 604_800, "card": 2048});
    let mut joined = client.hear();
    let ownership = joined.as_object_mut().and_then(|line| line.remove("ownership"));
    assert_eq!(ownership.as_ref().and_then(|name| name.as_str()).map(str::len), Some(16));
    assert_eq!(joined, expected);
}

#[test]
fn lines_of_100_senders_arrive_in_order_in_few_messages() {
    let server = Server::start(&[]);
    let mut bob = Client::join(&server, "bob");
    // All lines together are far more than may wait for one client. Bob reads all the while, and
    // no sender begins while 3,000 lines, which do fit, are under way to him.
    let (heard, hears) = channel();
    let bob = std::thread::spawn(move || {
        let mut next = [0; 100];
        for _ in 0..10_000 {
            let message = bob.hear_type("message");
            heard.send(()).expect("the senders wait for it");
            let n = message["body"][0].as_u64().expect("a number") as usize;
            assert_eq!(message["from"], format!("s{n}"));
            assert_eq!(message["body"][1], next[n], "of {n}");
            next[n] += 1;
        }
        bob.messages
    });
    let mut senders: Vec<Client> =
        (0..100).map(|n| Client::join(&server, &format!("s{n}"))).collect();
    for (n, sender) in senders.iter_mut().enumerate() {
        let lines: Vec<String> = (0..100)
            .map(|i| json!({"type": "send", "to": "bob", "body": [n, i]}).to_string())
            .collect();
        sender.say_text(&lines.join("\n"));
        if n >= 29 {
            (0..100).for_each(|_| hears.recv_timeout(PATIENCE).expect("bob hears more"));
        }
    }
    let messages = bob.join().expect("he heard all of it");
    assert!(messages < 2_000, "{messages} WebSocket messages for 10000 lines");
}

#[test]
fn refusal_names_the_refused_request() {
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
fn equal_key_replaces_the_old_connection_unnoticed_by_others() {
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
    let message = new.hear_type("message");
    assert_eq!(message["body"], "still there?");
    new.say(json!({"type": "ack", "to": "bob", "mids": [message["mid"]]}));
    assert_eq!(
        bob.hear_type("delivered"),
        json!({"type": "delivered", "from": "alice", "mids": [message["mid"]]})
    );
    new.say(json!({"type": "leave"}));
    assert_eq!(new.hear_close().1, 1000);
    assert_eq!(bob.hear_type("presence")["online"], false, "the first that is heard of it");
}

#[test]
fn messages_for_an_absent_owner_wait_and_come_first() {
    let server = Server::start(&[]);
    let key = "0123456789abcdef";
    drop(Client::join_owned(&server, "bob", key));
    let (mut alice, _) = Client::join_owned(&server, "alice", "fedcba9876543210");
    // The server may not have noticed yet that bob is gone. His messages wait all the same.
    for n in 0..3 {
        alice.say(json!({"type": "send", "to": "bob", "body": n, "ref": n.to_string()}));
        alice.hear_type("sent");
    }
    let (mut bob, joined) = Client::join_owned(&server, "bob", key);
    assert_eq!((&joined["resumed"], &joined["held"]), (&json!(true), &json!(3)));
    alice.say(json!({"type": "send", "to": "bob", "body": 3}));
    let messages: Vec<_> = (0..4).map(|_| bob.hear_type("message")).collect();
    assert!(messages.iter().enumerate().all(|(n, message)| message["body"] == n), "{messages:?}");
    bob.say(
        json!({"type": "ack", "to": "alice", "mids": [messages[1]["mid"], messages[0]["mid"]]}),
    );
    assert_eq!(
        alice.hear_type("delivered")["mids"],
        json!([messages[1]["mid"], messages[0]["mid"]])
    );
    bob.say(json!({"type": "leave"}));
    assert_eq!(bob.hear_close().1, 1000);
    assert_eq!(alice.hear_type("expired")["mids"], json!([messages[2]["mid"], messages[3]["mid"]]));
}

#[test]
fn repeated_send_gets_the_same_answer_and_is_routed_once() {
    let server = Server::start(&[]);
    let key = "0123456789abcdef";
    let mut bob = Client::join(&server, "bob");
    let (mut alice, _) = Client::join_owned(&server, "alice", key);
    let send = json!({"type": "send", "to": "bob", "body": "once", "ref": "r1"});
    alice.say(send.clone());
    let sent = alice.hear_type("sent");
    alice.cut();
    let (mut alice, _) = Client::join_owned(&server, "alice", key);
    alice.say(send);
    assert_eq!(alice.hear_type("sent"), sent);
    alice.say(json!({"type": "send", "to": "bob", "body": "another", "ref": "r1"}));
    assert_ne!(alice.hear_type("sent")["mid"], sent["mid"]);
    assert_eq!([bob.hear()["body"].clone(), bob.hear()["body"].clone()], ["once", "another"]);
}

#[test]
fn owner_that_stops_reading_loses_nothing() {
    let server = Server::start(&["--held", "10000000", "--held-total", "100000000"]);
    let key = "0123456789abcdef";
    let (mut bob, _) = Client::join_owned(&server, "bob", key);
    let mut alice = Client::join(&server, "alice");
    // Far more bytes than an outbox and the sockets take.
    let body = "x".repeat(50_000);
    for n in 0..100 {
        alice.say(json!({"type": "send", "to": "bob", "body": [n, body], "ref": n.to_string()}));
        alice.hear_type("sent");
    }
    for n in 0..100 {
        assert_eq!(bob.hear_type("message")["body"][0], n);
    }
}

#[test]
fn held_messages_are_bounded_and_the_sender_is_told() {
    let server = Server::start(&["--max-message", "2000", "--held", "10000"]);
    drop(Client::join_owned(&server, "bob", "0123456789abcdef"));
    let mut alice = Client::join(&server, "alice");
    let mut taken = 0;
    loop {
        alice.say(json!({"type": "send", "to": "bob", "body": "x".repeat(1000), "ref": "r"}));
        match alice.hear() {
            answer if answer["type"] == "sent" => taken += 1,
            answer => {
                break assert_eq!((&answer["code"], &answer["ref"]), (&json!("full"), &json!("r")));
            }
        }
    }
    assert!((7..10).contains(&taken), "{taken} times 1000 bytes in 10000");
}

#[test]
fn owned_id_is_free_again_after_its_hold_time() {
    let server = Server::start(&["--hold", "1"]);
    let mut alice = Client::join(&server, "alice");
    alice.say(json!({"type": "watch", "ids": ["bob"]}));
    alice.hear_type("presence");
    let bob = Client::join_owned(&server, "bob", "0123456789abcdef");
    assert_eq!(alice.hear_type("presence")["online"], true);
    alice.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r"}));
    let sent = alice.hear_type("sent");
    drop(bob);
    // A presence line may come before or behind other lines.
    let mut lines = [alice.hear(), alice.hear()];
    lines.sort_by_key(|line| line["type"].to_string());
    assert_eq!(lines[0], json!({"type": "expired", "to": "bob", "mids": [sent["mid"]]}));
    assert_eq!(lines[1], json!({"type": "presence", "id": "bob", "online": false}));
    let mut other = Client::join(&server, "bob");
    other.say(json!({"type": "leave"}));
    assert_eq!(other.hear_close(), (vec![], 1000), "no message for the former owner");
}

#[test]
fn blocked_client_finds_its_blocker_offline() {
    let server = Server::start(&[]);
    let [mut mallory, mut bob] = ["mallory", "bob"].map(|id| Client::join(&server, id));
    mallory.say(json!({"type": "watch", "ids": ["bob"]}));
    assert_eq!(mallory.hear_type("presence")["online"], true);
    bob.say(json!({"type": "block", "ids": ["mallory"]}));
    assert_eq!(mallory.hear_type("presence")["online"], false);
    mallory.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r"}));
    mallory.hear_error("offline");
    bob.say(json!({"type": "unblock", "ids": ["mallory"]}));
    assert_eq!(mallory.hear_type("presence")["online"], true);
    mallory.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r"}));
    mallory.hear_type("sent");
}

#[test]
fn watcher_is_told_presence_at_once_and_at_each_change() {
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
fn id_without_a_key_is_free_when_its_connection_ends() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        let mut alice = Client::join(&server, "alice");
        alice.ws.close(None).expect("a close frame");
        while alice.ws.read().is_ok() {}
    }
}

#[test]
fn sixteenth_bad_request_in_a_row_closes_with_4000() {
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
fn binary_or_too_long_message_is_closed_with_its_code() {
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
