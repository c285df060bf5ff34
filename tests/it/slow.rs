//! Clients that do not read.

use serde_json::json;

use crate::support::{Client, Server};

#[test]
fn a_client_that_stops_reading_is_dropped_and_nobody_else_notices() {
    let server = Server::start(&["--rate", "0"]);
    let mut stuck = Client::join(&server, "stuck");
    let mut sender = Client::join(&server, "sender");
    let mut watcher = Client::join(&server, "watcher");
    watcher.say(json!({"type": "watch", "ids": ["stuck"]}));
    assert_eq!(watcher.hear_type("presence")["online"], true);
    let line = json!({"type": "send", "to": "stuck", "body": "x".repeat(50_000), "ref": "r"});
    // Both ends of the loopback buffer some; then the outbox fills.
    let mut taken = 0;
    let refusal = loop {
        sender.say(line.clone());
        let answer = sender.hear();
        if answer["type"] == "error" {
            break answer;
        }
        assert_eq!(answer["type"], "sent");
        taken += 1;
        assert!(taken < 1000, "50 MB wait for one client");
    };
    assert_eq!((&refusal["code"], &refusal["to"]), (&json!("slow"), &json!("stuck")));
    assert!(taken > 10, "half a megabyte may wait");
    assert_eq!(watcher.hear_type("presence")["online"], false);
    sender.say(line);
    sender.hear_error("offline");
    server.assert_alive();
    // What the kernel had taken still comes, then the stream ends, without a close frame that did
    // not fit.
    let mut came = 0;
    while stuck.ws.read().is_ok() {
        came += 1;
    }
    assert!(came > 0 && came < taken);
    let _free_again = Client::join(&server, "stuck");
}

#[test]
fn a_reader_that_pauses_gets_everything_when_it_goes_on() {
    let server = Server::start(&["--rate", "0"]);
    let mut reader = Client::join(&server, "reader");
    let mut sender = Client::join(&server, "sender");
    // Two outboxes' worth in all, as the reader is on and off; each part fits into what may wait.
    let mut next = 0;
    for round in 0..10 {
        for i in 0..100 {
            let body = json!([round * 100 + i, "x".repeat(1000)]);
            sender.say(json!({"type": "send", "to": "reader", "body": body, "ref": "r"}));
        }
        for _ in 0..100 {
            sender.hear_type("sent");
        }
        for _ in 0..100 {
            assert_eq!(reader.hear_type("message")["body"][0], next);
            next += 1;
        }
    }
}
