//! Two clients that seal, and a server that repeats, forgets and lies.

#[cfg(not(feature = "tls"))]
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{NOW, Person, plain, sealed};
use crate::support::{Client, Server};

fn two_people(server: &Server) -> [Person; 2] {
    ["alice", "bob"].map(|id| Person::join(server, id))
}

/// Returns the lines of this type that a person has said.
fn said<'a>(person: &'a Person, kind: &str) -> Vec<&'a str> {
    let is_kind = |line: &&str| line.contains(&format!("\"type\":\"{kind}\""));
    person.said.iter().map(String::as_str).filter(is_kind).collect()
}

/// Returns the body of the next message to a client that seals nothing.
fn next_body(client: &mut Client) -> Value {
    loop {
        let line = client.hear();
        if line["type"] == "message" {
            return line["body"].clone();
        }
    }
}

/// Writes a first message, and hears it.
fn meet(alice: &mut Person, bob: &mut Person) {
    alice.write("bob", "hello");
    alice.hear_line("card");
    assert_eq!(bob.hear(), sealed("alice", "hello"));
    alice.hear_line("sent");
}

#[test]
fn first_text_waits_for_the_card_and_goes_sealed() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    assert_eq!(said(&alice, "lookup").len(), 1);
    bob.write("alice", "good morning");
    assert_eq!(alice.hear(), sealed("bob", "good morning"));
    assert_eq!(said(&bob, "lookup").len(), 0, "the card came with the message");
    for line in [alice.said, bob.said, alice.heard, bob.heard].concat() {
        assert!(!line.contains("hello") && !line.contains("morning"), "{line}");
    }
}

#[test]
fn text_to_an_unclaimed_id_goes_nowhere() {
    let server = Server::start(&[]);
    let mut alice = Person::join(&server, "alice");
    alice.write("bob", "hello");
    alice.hear_line("card");
    assert_eq!(said(&alice, "send").len(), 0);
}

#[test]
fn client_without_a_card_gets_plain_text() {
    let server = Server::start(&[]);
    let mut alice = Person::join(&server, "alice");
    let mut old = Client::join(&server, "old");
    old.say(json!({"type": "send", "to": "alice", "body": "hello"}));
    assert_eq!(alice.hear(), plain("old", "hello"));
    alice.write("old", "good morning");
    alice.hear_line("card");
    assert_eq!(next_body(&mut old), "good morning");
}

#[test]
fn peer_with_a_pinned_identity_gets_no_plain_text() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    // A server that lies can write plain text, and hide the card once it is out of date.
    let forged = json!({"type": "message", "from": "bob", "body": "forged", "mid": "1", "at": 1});
    assert_eq!(alice.take(&forged.to_string()), None);
    let count = said(&alice, "send").len();
    alice.now += 30 * 86_400_000_000;
    alice.write("bob", "secret");
    for line in [
        json!({"type": "card", "id": "bob", "claimed": true}),
        json!({"type": "joined", "id": "alice", "max_message": 65536, "hold": 0}),
    ] {
        alice.take(&line.to_string());
        alice.write("bob", "secret");
    }
    assert_eq!(said(&alice, "send").len(), count, "{:?}", alice.said);
}

#[test]
fn card_that_is_out_of_date_is_looked_up_again() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    for person in [&mut alice, &mut bob] {
        person.now += 30 * 86_400_000_000;
        person.bot.renew(person.now);
        person.say_lines();
    }
    bob.client.say(json!({"type": "lookup", "id": "bob"}));
    bob.hear_line("card");
    alice.write("bob", "a month later");
    alice.hear_line("card");
    assert_eq!(bob.hear(), sealed("alice", "a month later"));
}

#[test]
fn replaced_seal_key_opens_what_was_sealed_for_it() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    bob.now += 2 * 86_400_000_000;
    bob.bot.renew(bob.now);
    bob.say_lines();
    assert_eq!(said(&bob, "card").len(), 2, "for the hold, and for the new key");
    alice.write("bob", "for the old key");
    assert_eq!(bob.hear(), sealed("alice", "for the old key"));
}

#[test]
fn message_that_comes_again_is_taken_once() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    alice.write("bob", "hello");
    alice.hear_line("card");
    let (line, heard) = bob.hear_line("message");
    assert_eq!(heard, sealed("alice", "hello"));
    let mut again: Value = serde_json::from_str(&line).expect("JSON");
    again["mid"] = json!("another");
    for line in [line, again.to_string()] {
        assert_eq!(bob.take(&line), None);
        let mids = serde_json::from_str::<Value>(bob.said.last().expect("a line"));
        assert_eq!(mids.expect("JSON")["type"], "ack", "{:?}", bob.said);
    }
}

#[test]
fn messages_out_of_order_are_all_taken_once() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    let lines: [String; 3] = std::array::from_fn(|index| {
        alice.write("bob", &index.to_string());
        bob.client.hear_text()
    });
    for index in [2, 0, 1] {
        assert_eq!(bob.take(&lines[index]), sealed("alice", &index.to_string()));
    }
    for line in &lines {
        assert_eq!(bob.take(line), None);
    }
}

#[test]
fn another_identity_under_the_same_id_is_not_heard() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    bob.client.say(json!({"type": "leave"}));
    bob.client.hear_close();
    let mut other = Person::join(&server, "bob");
    assert_ne!(bob.bot.identity().sign, other.bot.identity().sign);
    other.write("alice", "I have lost my phone");
    other.hear_line("card");
    assert_eq!(alice.hear(), None);
    // It cannot open what is for the other, and is not told it when it asks.
    alice.write("bob", "secret");
    assert_eq!(other.hear(), None);
    assert_eq!(said(&other, "signal").len(), 1);
    let count = said(&alice, "send").len();
    alice.hear_line("signal");
    assert_eq!(said(&alice, "send").len(), count);
}

#[test]
fn message_that_cannot_be_opened_is_sealed_again_once() {
    // The sender's card is still good when the recipient has destroyed the key before.
    let server = Server::start(&["--hold", "60"]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    bob.now += 3 * 3_600_000_000;
    bob.bot.renew(bob.now);
    bob.say_lines();
    alice.write("bob", "for a destroyed key");
    let (line, heard) = bob.hear_line("message");
    assert_eq!(heard, None);
    alice.hear_line("signal");
    let (again, heard) = bob.hear_line("message");
    assert_eq!(heard, sealed("alice", "for a destroyed key"));
    alice.hear_line("sent");
    // Asked for either once more, alice says nothing: one try is enough.
    let count = said(&alice, "send").len();
    let mid = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["mid"].clone();
    let unreadable = line.replace(mid(&line).as_str().unwrap(), mid(&again).as_str().unwrap());
    for line in [line, unreadable] {
        assert_eq!(bob.take(&line), None);
        alice.hear_line("signal");
        assert_eq!(said(&alice, "send").len(), count);
    }
    assert_eq!(said(&bob, "signal").len(), 3);
}

#[test]
fn unanswered_send_is_repeated_byte_for_byte_and_heard_once() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    alice.write("bob", "one");
    assert_eq!(bob.hear(), sealed("alice", "one"));
    // The answer has not been taken when the connection ends.
    alice.rejoin(&server);
    let sends = said(&alice, "send");
    assert_eq!(sends[sends.len() - 2], sends[sends.len() - 1]);
    alice.hear_line("sent");
    alice.rejoin(&server);
    assert_eq!(said(&alice, "send").len(), 3, "hello, and one twice");
    alice.write("bob", "two");
    assert_eq!(bob.hear(), sealed("alice", "two"), "one came once");
}

#[test]
fn send_that_a_restarted_server_forgot_is_taken_once() {
    let first = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&first);
    meet(&mut alice, &mut bob);
    alice.write("bob", "one");
    assert_eq!(bob.hear(), sealed("alice", "one"));
    drop(first);
    let second = Server::start(&[]);
    bob.rejoin(&second);
    alice.rejoin(&second);
    assert_eq!(bob.hear(), None, "the number is known");
    alice.write("bob", "two");
    assert_eq!(bob.hear(), sealed("alice", "two"));
}

/// The server would end the connection for a longer line.
#[test]
fn text_that_is_too_long_when_sealed_is_not_sent() {
    let server = Server::start(&[]);
    let [mut alice, mut bob] = two_people(&server);
    meet(&mut alice, &mut bob);
    let count = said(&alice, "send").len();
    // Padding and base64 make 66,000 bytes of these.
    alice.write("bob", &"x".repeat(48_500));
    assert_eq!(said(&alice, "send").len(), count);
    let long = "x".repeat(45_000);
    alice.write("bob", &long);
    assert_eq!(bob.hear(), sealed("alice", &long));
}

#[test]
fn refused_join_ends_the_client() {
    let server = Server::start(&[]);
    let _alice = Person::join(&server, "alice");
    let mut other = super::Bot::new("alice", NOW);
    let mut client = Client::connect(&server);
    client.say_text(&other.join(NOW));
    let line = client.hear_text();
    assert!(other.receive(&line, NOW).is_err(), "{line}");
}

// The examples speak no TLS.
#[cfg(not(feature = "tls"))]
#[test]
fn program_echoes_sealed_text_and_writes_first_when_told() {
    let server = Server::start(&[]);
    let url = format!("ws://{}/ws", server.address);
    let mut echo = crate::example::Program::start("sealed", &[&url, "echo"]);
    let number = echo.read_line();
    assert_eq!(echo.read_line(), "joined");
    // The program has a clock of its own.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as u64;
    let [mut alice, mut bob] = ["alice", "bob"].map(|id| Person::join_at(&server, id, now));
    alice.write("echo", "hello");
    let (card, _) = alice.hear_line("card");
    let card: Value = serde_json::from_str(&card).expect("JSON");
    let sign = card["card"]["sign"].as_str().expect("a card");
    assert_eq!(number, format!("echo is {}", super::crypto::safety_number("echo", sign)));
    assert_eq!(alice.hear(), sealed("echo", "hello"));
    echo.write_line("bob good morning");
    assert_eq!(bob.hear(), sealed("echo", "good morning"));
    let mut old = Client::join(&server, "old");
    old.say(json!({"type": "send", "to": "echo", "body": "hello"}));
    assert_eq!(next_body(&mut old), "hello");
}
