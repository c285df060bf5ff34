//! Clients that stop reading, for a while or for ever.

use serde_json::json;

use crate::support::{Client, Server};

#[test]
fn client_that_stops_reading_is_dropped_and_others_go_on() {
    let server = Server::start(&["--rate", "0"]);
    let mut stuck = Client::join(&server, "stuck");
    let mut sender = Client::join(&server, "sender");
    let mut watcher = Client::join(&server, "watcher");
    watcher.say(json!({"type": "watch", "ids": ["stuck"]}));
    assert_eq!(watcher.hear_type("presence")["online"], true);
    let line = json!({"type": "send", "to": "stuck", "body": "x".repeat(50_000), "ref": "r"});
    // The kernel buffers some bytes at both ends of the loopback; then the outbox fills.
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
    // Lines in the kernel's buffers still come. Then the stream ends, without a close frame, for
    // which there was no space.
    let mut came = 0;
    while stuck.ws.read().is_ok() {
        came += 1;
    }
    assert!(came > 0 && came < taken);
    let _free_again = Client::join(&server, "stuck");
}

#[test]
fn reader_that_pauses_gets_every_message_when_it_goes_on() {
    let server = Server::start(&["--rate", "0"]);
    let mut reader = Client::join(&server, "reader");
    let mut sender = Client::join(&server, "sender");
    // Two outboxes' worth in all, while the reader pauses and goes on; each part fits into an
    // outbox.
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
