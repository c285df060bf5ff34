//! A machine that has no more descriptors, sleeps for a while, or does not read the log.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::json;
use tungstenite::Message;

use super::Watched;
use crate::support::{Client, PATIENCE, Server, read_head, sotto};

fn set_descriptor_limit(server: &Server, limit: u64) {
    let limit = Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) };
    prlimit(Some(server.pid()), Resource::Nofile, limit).expect("it is ours");
}

#[test]
fn without_descriptors_server_stays_quiet_until_one_is_free() {
    let watched = Watched::start(&["--max-clients", "1000"]);
    let server = &watched.server;
    let mut clients: Vec<Client> = (0..5).map(|n| Client::join(server, &n.to_string())).collect();
    server.wait_for_descriptors(watched.descriptors + clients.len());
    // As many as are open now. A lowered limit closes none of them.
    set_descriptor_limit(server, server.descriptors() as u64);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let waiting: Vec<_> = (0..10).map(|_| server.knock()).collect();
    // The server tries again every 100 ms, and logs it some times a second.
    let times = loop {
        let line = server.wait_for_log("cannot accept connections");
        if let Some((line, _)) = line.split_once(" times more") {
            break line.rsplit('(').next().and_then(|times| times.parse::<u32>().ok());
        }
    };
    assert!(times.is_some_and(|times| times <= 20), "{times:?}");
    // Joined clients are served all the while. When one leaves, a waiting connection is accepted.
    clients[0].say(json!({"type": "send", "to": "1", "body": "still there?"}));
    clients[1].hear_type("message");
    for mut client in clients {
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
    for mut stream in waiting.into_iter().map(|stream| server.enter(stream)) {
        stream.write_all(request.as_bytes()).expect("it reads");
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 "));
    }
    set_descriptor_limit(server, 1000);
    watched.assert_as_before();
}

#[test]
fn with_few_descriptors_surplus_connections_get_503() {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_sotto");
    command.args([
        "-c",
        "ulimit -n 80; exec \"$0\" --listen 127.0.0.1:0 --max-clients 100",
        program,
    ]);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let server = Server::spawn(&mut command);
    let mut clients: Vec<_> = (0..32).map(|n| Client::join(&server, &n.to_string())).collect();
    for _ in 0..100 {
        assert!(server.exchange("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 503 "));
    }
    let log = server.log_until("no room for more connections");
    assert_eq!(log.iter().filter(|line| line.contains("no room")).count(), 1);
    let others = log.iter().filter(|line| !line.ends_with("a client joined")).count();
    assert!(others <= 2, "besides it, one line on connections from this machine: {log:?}");
    for mut client in clients.drain(..2) {
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
    server.assert_alive();
}

#[test]
fn after_machine_sleep_clients_are_pinged_before_being_dropped() {
    // No client is pinged before the machine sleeps, and each has 3 s to answer afterwards.
    let watched = Watched::start(&["--ping", "3", "--timeout", "6"]);
    let mut clients = ["a", "b", "c"].map(|id| Client::join(&watched.server, id));
    watched.server.signal(Signal::STOP);
    // A sleep longer than the timeout is the event that the test is about.
    std::thread::sleep(Duration::from_secs(7));
    watched.server.signal(Signal::CONT);
    for client in &mut clients {
        while !matches!(client.ws.read().expect("a ping, and no end"), Message::Ping(_)) {}
        client.ws.flush().expect("a pong");
    }
    let [mut a, mut b, _c] = clients;
    a.say(json!({"type": "send", "to": "b", "body": "good morning"}));
    assert_eq!(b.hear_type("message")["body"], "good morning");
}

#[test]
fn signal_under_load_closes_with_1001_and_exits_with_0() {
    let mut server = Server::start(&["--rate", "0"]);
    let _stuck = Client::join(&server, "stuck");
    let mut listener = Client::join(&server, "listener");
    let mut senders: Vec<Client> = (0..4).map(|n| Client::join(&server, &n.to_string())).collect();
    std::thread::scope(|scope| {
        // While 2,000 lines are under way to the listener, the senders wait for it: on a busy
        // machine 4,000 would be there, which do not fit into its outbox.
        let (sent, heard) = sync_channel(2000);
        for sender in &mut senders {
            let sent = sent.clone();
            scope.spawn(move || {
                let line =
                    json!({"type": "send", "to": "listener", "body": "x".repeat(100)}).to_string();
                let to_stuck =
                    json!({"type": "send", "to": "stuck", "body": "x".repeat(100)}).to_string();
                let text = [line, to_stuck].join("\n");
                // Until the server does not read any more.
                while sender.ws.send(Message::text(text.as_str())).is_ok() {
                    let _ = sent.send(());
                }
            });
        }
        for _ in 0..1000 {
            assert!(listener.hear_type("message")["body"].is_string());
            heard.recv().expect("a sender that waits");
        }
        server.signal(Signal::TERM);
        // From now on no sender waits.
        drop(heard);
        assert_eq!(listener.hear_close().1, 1001);
    });
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

/// A process that ends with the test, even with one that fails.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The log is at its most talkative level, so few requests fill its pipe.
#[test]
fn unread_log_stops_no_server_and_dropped_lines_are_counted() {
    let child = sotto(&["--listen", "127.0.0.1:0", "--log", "trace"]).spawn().expect("it starts");
    let mut child = Ending(child);
    let mut log = BufReader::new(child.0.stderr.take().expect("it was piped"));
    let address = loop {
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        if let Some(address) = line.trim().strip_prefix("listening on http://") {
            break address.to_owned();
        }
    };
    let ask = || {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    // More lines than a pipe holds: each request is a line at least.
    (0..3000).for_each(|_| ask());
    let mut line = String::new();
    // Each request logs a line, and the first line that the pipe takes again counts the dropped
    // ones.
    let counted = (0..10_000).any(|n| {
        line.clear();
        log.read_line(&mut line).expect("a line");
        if n % 10 == 0 {
            ask();
        }
        line.contains(" lines dropped before this one)")
    });
    assert!(counted, "{line}");
    // Then the reader of the log is gone.
    drop(log);
    (0..10).for_each(|_| ask());
}
