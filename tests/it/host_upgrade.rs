//! An upgrade under open clients: with sockets of a manager and a store, each of them is back at
//! once, and no message is lost.
//!
//! How long the pages of browsers wait before they connect again is not known here.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::host_service::activated;
use crate::store::Folder;
use crate::support::{Client, Server};

/// Clients that are connected while the server is replaced.
const CLIENTS: usize = 1000;
/// Threads that play the clients.
const THREADS: usize = 8;

/// Returns the id and the key of a client.
fn identity(number: usize) -> (String, String) {
    (format!("client-{number}"), format!("the key of client {number:03}"))
}

/// Joins by the first server that answers at this address.
fn join(address: SocketAddr, number: usize) -> Client {
    let (id, key) = identity(number);
    Client::try_join_owned(address, &id, &key).expect("no connection is refused").0
}

/// Waits for a line of this type, past those that come whenever another client acts, each once.
fn hear_past_news(client: &mut Client, kind: &str) -> Value {
    loop {
        let line = client.hear();
        match line["type"].as_str() {
            Some(known) if known == kind => return line,
            Some("delivered") => {}
            // The message of the client before, which came first.
            Some("message") if kind == "sent" => {}
            _ => panic!("{line}"),
        }
    }
}

#[test]
fn upgrade_refuses_no_client_and_loses_no_message() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let start = || Server::spawn(&mut activated(&listener, &["--store", folder.path()]));
    let mut old = start();
    let address = old.address;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| join(address, number)).collect();
    // Each client is written to, and does not acknowledge it before the upgrade.
    for (number, client) in clients.iter_mut().enumerate() {
        let (to, _) = identity((number + 1) % CLIENTS);
        client.say(json!({"type": "send", "to": to, "body": number, "ref": "1"}));
        hear_past_news(client, "sent");
    }
    old.signal(Signal::TERM);
    let begun = Instant::now();
    let mut parts: Vec<Vec<(usize, Client)>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (number, client) in clients.into_iter().enumerate() {
        parts[number % THREADS].push((number, client));
    }
    let (sender, gaps) = channel();
    thread::scope(|scope| {
        for part in parts {
            let sender = sender.clone();
            scope.spawn(move || {
                let closed: Vec<_> = part
                    .into_iter()
                    .map(|(number, mut client)| {
                        client.hear_close();
                        (number, Instant::now())
                    })
                    .collect();
                for (number, since) in closed {
                    let mut client = join(address, number);
                    let _ = sender.send(since.elapsed());
                    let line = hear_past_news(&mut client, "message");
                    assert_eq!(line["body"], (number + CLIENTS - 1) % CLIENTS, "{line}");
                    let ack = json!({"type": "ack", "to": line["from"], "mids": [line["mid"]]});
                    client.say(ack);
                    // The answer to a send that is repeated is the one from before.
                    let (to, _) = identity((number + 1) % CLIENTS);
                    client.say(json!({"type": "send", "to": to, "body": number, "ref": "1"}));
                    hear_past_news(&mut client, "sent");
                }
            });
        }
        drop(sender);
        assert!(old.wait_for_exit().success());
        let new = start();
        // It runs until all threads have ended.
        let gaps: Vec<Duration> = gaps.iter().collect();
        let (longest, sum) = (gaps.iter().max().expect("gaps"), gaps.iter().sum::<Duration>());
        assert_eq!(gaps.len(), CLIENTS);
        println!(
            "{CLIENTS} clients were away for {:?} on average, {longest:?} at most; all were back \
             {:?} after the signal",
            sum / CLIENTS as u32,
            begun.elapsed()
        );
        drop(new);
    });
}
