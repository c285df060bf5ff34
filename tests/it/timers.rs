//! Deadlines: the events of clients that send nothing.

use std::io::{Read, Write};

use serde_json::json;
use tungstenite::Message;

use crate::support::{Client, Server};

#[test]
fn client_without_a_join_in_time_gets_1008() {
    let server = Server::start(&["--join-timeout", "3"]);
    let mut client = Client::connect(&server);
    // A refused join gives no more time.
    client.say(json!({"type": "join", "id": "a b"}));
    let (lines, code) = client.hear_close();
    assert_eq!((lines.len(), code), (1, 1008));
}

#[test]
fn partial_head_gets_408_and_a_silent_connection_gets_nothing() {
    let server = Server::start(&["--join-timeout", "3"]);
    let mut silent = server.connect();
    assert!(server.exchange("GET / HT").starts_with("HTTP/1.1 408 "));
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).expect("an orderly end");
    assert_eq!(answer, b"");
}

#[test]
fn client_that_answers_pings_stays_and_silent_one_is_dropped() {
    let server = Server::start(&["--ping", "1", "--timeout", "5"]);
    let mut watcher = Client::join(&server, "watcher");
    let silent = Client::join(&server, "silent");
    watcher.say(json!({"type": "watch", "ids": ["silent"]}));
    assert_eq!(watcher.hear_type("presence")["online"], true);
    // The watcher answers pings while it waits; the silent client never reads.
    assert_eq!(watcher.hear_type("presence")["online"], false);
    drop(silent);
    watcher.say(json!({"type": "send", "to": "watcher", "body": 1}));
    watcher.hear_type("message");
}

#[test]
fn idle_server_wakes_up_for_its_pings_only() {
    let server = Server::start(&["--ping", "1", "--timeout", "3600"]);
    let mut clients = ["a", "b", "c"].map(|id| Client::join(&server, id));
    let mut ping_round = || {
        for client in &mut clients {
            while !matches!(client.ws.read().expect("a ping"), Message::Ping(_)) {}
            client.ws.flush().expect("a pong");
        }
    };
    ping_round();
    let before = server.sleeps();
    for _ in 0..3 {
        ping_round();
    }
    let wakes = server.sleeps() - before;
    // At most one wake for each ping and one for each pong.
    assert!(wakes <= 3 * 3 * 2, "{wakes} times awake in 3 rounds of 3 pings");
}

#[test]
fn partial_frame_does_not_keep_other_clients_waiting() {
    let server = Server::start(&[]);
    let mut slow = Client::join(&server, "slow");
    // The beginning of a masked text frame of 60,000 bytes.
    slow.ws.get_mut().write_all(&[0x81, 0xfe, 0xea, 0x60, 1, 2, 3, 4, 5]).expect("it reads");
    server.assert_alive();
}
