//! Cards of ids, published and looked up.

use serde_json::{Value, json};

use crate::support::{Client, Server};

const KEY: &str = "0123456789abcdef";

/// A card as the page publishes it, with spaces and escapes that have to stay.
const CARD: &str = r#"{"v":1, "sign":"AA_-", "é":"\u00e9","until":1795478400.0}"#;

/// Joins under this id with a key and a card.
fn join(server: &Server, id: &str, card: &str) -> Client {
    let mut client = Client::connect(server);
    client.say_text(&format!(r#"{{"type":"join","id":"{id}","key":"{KEY}","card":{card}}}"#));
    assert_eq!(client.hear_type("joined")["card"], 2048, "the longest card");
    client
}

/// Looks an id up, and returns the line as it came.
fn lookup(client: &mut Client, id: &str) -> String {
    client.say(json!({"type": "lookup", "id": id}));
    client.hear_text()
}

fn with_card(id: &str, card: &str) -> String {
    format!(r#"{{"type":"card","id":"{id}","claimed":true,"card":{card}}}"#)
}

#[test]
fn card_is_passed_on_byte_for_byte() {
    let server = Server::start(&[]);
    let mut bob = Client::join(&server, "bob");
    assert_eq!(lookup(&mut bob, "alice"), r#"{"type":"card","id":"alice","claimed":false}"#);
    let mut alice = join(&server, "alice", CARD);
    assert_eq!(lookup(&mut bob, "alice"), with_card("alice", CARD));
    let longest = format!(r#"{{"x":"{}"}}"#, "é".repeat(1020));
    alice.say_text(&format!(r#"{{"type":"card","card":{longest}}}"#));
    assert_eq!(lookup(&mut alice, "alice"), with_card("alice", &longest));
    assert_eq!(lookup(&mut bob, "alice"), with_card("alice", &longest));
    alice.say(json!({"type": "card"}));
    assert_eq!(lookup(&mut alice, "alice"), r#"{"type":"card","id":"alice","claimed":true}"#);
}

#[test]
fn card_of_an_owner_that_is_away_is_found() {
    let server = Server::start(&[]);
    let mut bob = Client::join(&server, "bob");
    drop(join(&server, "alice", CARD));
    let mut carol = Client::connect(&server);
    carol.say_text(r#"{"type":"join","id":"carol","card":{"c":1}}"#);
    carol.hear_type("joined");
    assert_eq!(lookup(&mut bob, "carol"), with_card("carol", r#"{"c":1}"#));
    carol.say(json!({"type": "leave"}));
    carol.hear_close();
    assert_eq!(lookup(&mut bob, "carol"), r#"{"type":"card","id":"carol","claimed":false}"#);
    assert_eq!(lookup(&mut bob, "alice"), with_card("alice", CARD));
}

#[test]
fn bad_card_refuses_the_line_and_the_join_with_it() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server);
    let long = json!({"x": "x".repeat(2041)});
    for card in [json!([]), json!("{}"), Value::Null, long] {
        client.say(json!({"type": "join", "id": "alice", "key": KEY, "card": card}));
        client.hear_error("bad_request");
    }
    client.say(json!({"type": "lookup", "id": "alice"}));
    client.hear_error("not_joined");
    let mut alice = join(&server, "alice", CARD);
    alice.say(json!({"type": "card", "card": [CARD]}));
    alice.hear_error("bad_request");
    alice.say(json!({"type": "lookup", "id": "a/b", "ref": "r"}));
    assert_eq!(alice.hear_error("bad_id")["ref"], "r");
    assert_eq!(lookup(&mut alice, "alice"), with_card("alice", CARD));
}

/// All answers together are four times what may wait for one client. It reads those of each text
/// before it asks for more, so it is not too slow, however the two processes take turns.
#[test]
fn thousand_lookups_in_ten_texts_are_all_answered() {
    let server = Server::start(&["--rate", "0"]);
    let card = format!(r#"{{"x":"{}"}}"#, "x".repeat(2040));
    let mut alice = join(&server, "alice", &card);
    for _ in 0..10 {
        alice.say_text(&[r#"{"type":"lookup","id":"alice"}"#; 100].join("\n"));
        for _ in 0..100 {
            assert_eq!(alice.hear_text(), with_card("alice", &card));
        }
    }
}
