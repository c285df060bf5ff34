//! The end of a server, by a signal.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Client, Server};

#[test]
fn signal_closes_clients_with_1001_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let clients = ["a", "b"].map(|id| Client::join(&server, id));
        let _silent = server.connect();
        server.signal(signal);
        for mut client in clients {
            assert_eq!(client.hear_close(), (vec![], 1001));
        }
        assert_eq!(server.wait_for_exit().code(), Some(0));
    }
}

#[test]
fn client_that_never_reads_does_not_prevent_the_exit() {
    let mut server = Server::start(&[]);
    let _stuck = Client::join(&server, "stuck");
    let mut sender = Client::join(&server, "sender");
    // More bytes than the sockets take, and fewer than the outbox: when the signal comes, bytes
    // wait for the stuck client.
    let line = json!({"type": "send", "to": "stuck", "body": "x".repeat(50_000), "ref": "r"});
    for _ in 0..8 {
        sender.say(line.clone());
        sender.hear_type("sent");
    }
    server.signal(Signal::TERM);
    assert_eq!(sender.hear_close().1, 1001);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn second_signal_ends_the_server_at_once() {
    let mut server = Server::start(&[]);
    // This client never answers the close frame, so the server would wait for it.
    let _silent = Client::join(&server, "silent");
    server.signal(Signal::TERM);
    server.wait_for_log("stopping");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
