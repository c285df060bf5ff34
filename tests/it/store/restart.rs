//! What the next server knows, after an orderly end and after none.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Folder, KEY_A, KEY_B, round_trip};
use crate::support::{Client, Server};

/// The ends of a server.
const ENDS: [Signal; 2] = [Signal::TERM, Signal::KILL];

fn start(folder: &Folder) -> Server {
    Server::start(&["--store", folder.path()])
}

/// Ends a server by a signal, and starts the next one.
fn restart(mut server: Server, folder: &Folder, end: Signal) -> Server {
    server.signal(end);
    let status = server.wait_for_exit();
    assert_eq!(status.code(), (end == Signal::TERM).then_some(0));
    start(folder)
}

fn join(server: &Server, id: &str, key: &str) -> Client {
    Client::join_owned(server, id, key).0
}

/// Joins an id that is owned since an earlier server, and returns the `joined` line, too.
fn resume(server: &Server, id: &str, key: &str) -> (Client, Value) {
    let (client, joined) = Client::join_owned(server, id, key);
    assert_eq!(joined["resumed"], true, "{joined}");
    (client, joined)
}

fn send(to: &str, reference: &str) -> Value {
    json!({"type": "send", "to": to, "body": "hello", "ref": reference})
}

#[test]
fn held_messages_come_again_under_their_mids() {
    for end in ENDS {
        let folder = Folder::new();
        let server = start(&folder);
        let (mut alice, bob) = (join(&server, "alice", KEY_A), join(&server, "bob", KEY_B));
        drop(bob);
        let lines = ["1", "2", "3"].map(|reference| {
            alice.say(send("bob", reference));
            alice.hear_type("sent")
        });
        let server = restart(server, &folder, end);
        let (mut bob, joined) = resume(&server, "bob", KEY_B);
        assert_eq!(joined["held"], 3);
        for sent in &lines {
            let message = bob.hear_type("message");
            assert_eq!((&message["mid"], &message["at"]), (&sent["mid"], &sent["at"]));
            assert_eq!((&message["from"], &message["body"]), (&"alice".into(), &"hello".into()));
        }
        let new = {
            let mut alice = resume(&server, "alice", KEY_A).0;
            alice.say(send("bob", "4"));
            alice.hear_type("sent")["mid"].clone()
        };
        assert!(lines.iter().all(|sent| sent["mid"] != new), "a mid is never used twice");
        assert_eq!(bob.hear_type("message")["mid"], new);
    }
}

#[test]
fn repeated_send_gets_its_mid_and_fate_of_the_server_before() {
    let folder = Folder::new();
    let server = start(&folder);
    let (mut alice, mut bob) = (join(&server, "alice", KEY_A), join(&server, "bob", KEY_B));
    alice.say(send("bob", "r"));
    let sent = alice.hear_type("sent");
    let mid = bob.hear_type("message")["mid"].clone();
    bob.say(json!({"type": "ack", "to": "alice", "mids": [mid]}));
    let delivered = alice.hear_type("delivered");
    // An orderly end: after a crash an acknowledgement may be given again.
    let server = restart(server, &folder, Signal::TERM);
    let mut alice = resume(&server, "alice", KEY_A).0;
    assert_eq!(alice.hear(), delivered, "behind `joined`");
    alice.say(send("bob", "r"));
    assert_eq!([alice.hear(), alice.hear()], [sent, delivered], "behind the repetition");
    let (mut bob, joined) = resume(&server, "bob", KEY_B);
    assert_eq!((&joined["held"], round_trip(&mut bob)), (&0.into(), vec![]), "not routed again");
}

#[test]
fn send_of_a_killed_server_is_delivered_by_the_next_one() {
    let folder = Folder::new();
    let server = start(&folder);
    let (mut alice, bob) = (join(&server, "alice", KEY_A), join(&server, "bob", KEY_B));
    drop(bob);
    alice.say(send("bob", "r"));
    let sent = alice.hear_type("sent");
    let server = restart(server, &folder, Signal::KILL);
    let mut alice = resume(&server, "alice", KEY_A).0;
    alice.say(send("bob", "r"));
    assert_eq!(alice.hear(), sent);
    let mut bob = resume(&server, "bob", KEY_B).0;
    let mid = bob.hear_type("message")["mid"].clone();
    bob.say(json!({"type": "ack", "to": "alice", "mids": [mid]}));
    assert_eq!(alice.hear_type("delivered")["mids"], json!([sent["mid"]]));
}

#[test]
fn id_stays_taken_for_a_wrong_key_and_for_none() {
    for end in ENDS {
        let folder = Folder::new();
        let server = start(&folder);
        drop(join(&server, "alice", KEY_A));
        let server = restart(server, &folder, end);
        let mut stranger = Client::connect(&server);
        for join in [
            json!({"type": "join", "id": "alice", "key": KEY_B}),
            json!({"type": "join", "id": "alice"}),
        ] {
            stranger.say(join);
            stranger.hear_error("id_taken");
        }
        resume(&server, "alice", KEY_A);
    }
}

#[test]
fn blocks_survive_and_their_end_does_too() {
    for end in ENDS {
        let folder = Folder::new();
        let server = start(&folder);
        let mut bob = join(&server, "bob", KEY_B);
        bob.say(json!({"type": "block", "ids": ["carol", "mallory"]}));
        bob.say(json!({"type": "unblock", "ids": ["carol"]}));
        // Blocks wait for no disk, but whatever is told later does.
        bob.say(send("bob", "r"));
        bob.hear_type("sent");
        let server = restart(server, &folder, end);
        let mut mallory = Client::join(&server, "mallory");
        mallory.say(send("bob", "r"));
        mallory.hear_error("offline");
        let mut carol = Client::join(&server, "carol");
        carol.say(send("bob", "r"));
        assert_eq!(carol.hear_type("sent")["held"], true);
    }
}

#[test]
fn cards_survive_and_their_end_does_too() {
    for end in ENDS {
        let folder = Folder::new();
        let server = start(&folder);
        let mut alice = Client::connect(&server);
        let card = r#"{"v":1, "x":"\u00e9"}"#;
        alice.say_text(&format!(r#"{{"type":"join","id":"alice","key":"{KEY_A}","card":{card}}}"#));
        alice.hear_type("joined");
        let mut bob = join(&server, "bob", KEY_B);
        bob.say(json!({"type": "card", "card": {"b": 1}}));
        bob.say(json!({"type": "card"}));
        // Cards wait for no disk, but whatever is told later does.
        bob.say(send("bob", "r"));
        bob.hear_type("sent");
        let server = restart(server, &folder, end);
        let mut carol = Client::join(&server, "carol");
        carol.say(json!({"type": "lookup", "id": "alice"}));
        let expected = format!(r#"{{"type":"card","id":"alice","claimed":true,"card":{card}}}"#);
        assert_eq!(carol.hear_text(), expected, "before alice is back");
        carol.say(json!({"type": "lookup", "id": "bob"}));
        assert_eq!(carol.hear(), json!({"type": "card", "id": "bob", "claimed": true}));
        // A page that knows nothing of cards withdraws it.
        resume(&server, "alice", KEY_A);
        carol.say(json!({"type": "lookup", "id": "alice"}));
        assert_eq!(carol.hear(), json!({"type": "card", "id": "alice", "claimed": true}));
    }
}

#[test]
fn id_that_was_left_is_free_and_its_messages_are_expired() {
    for end in ENDS {
        let folder = Folder::new();
        let server = start(&folder);
        let (mut alice, mut bob) = (join(&server, "alice", KEY_A), join(&server, "bob", KEY_B));
        alice.say(send("bob", "r"));
        let mid = alice.hear_type("sent")["mid"].clone();
        bob.hear_type("message");
        bob.say(json!({"type": "leave"}));
        assert_eq!(bob.hear_close(), (vec![], 1000));
        let expired = alice.hear_type("expired");
        assert_eq!(expired["mids"], json!([mid]));
        let server = restart(server, &folder, end);
        assert_eq!(resume(&server, "alice", KEY_A).0.hear(), expired);
        let (mut heir, joined) = Client::join_owned(&server, "bob", KEY_A);
        assert_eq!((&joined["resumed"], &joined["held"]), (&false.into(), &0.into()));
        assert_eq!(round_trip(&mut heir), [] as [Value; 0]);
    }
}
