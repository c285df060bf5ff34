//! The end of a server, by a signal.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Client, Server, sotto};

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

#[test]
fn sighup_without_a_certificate_is_logged_and_ignored() {
    // A server without TLS, in both builds.
    let mut child = sotto(&["--listen", "127.0.0.1:0"]).spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("it was piped")).lines();
    let mut wait_for = |words: &str| {
        log.by_ref().map(|line| line.expect("a line")).find(|line| line.contains(words))
    };
    let pid = Pid::from_child(&child);
    assert!(wait_for("listening on http://").is_some());
    for _ in 0..2 {
        kill_process(pid, Signal::HUP).expect("it runs");
        assert!(wait_for("SIGHUP is ignored").is_some());
    }
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
}
