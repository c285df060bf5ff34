//! The memory of a server before, with and after ten thousand clients.
//!
//! This is a test program of its own, because it needs all the descriptors that a process may have.

#[path = "it/support.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod support;

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use support::{PATIENCE, Server, Wire, read_head};

/// Clients, if the limit of open descriptors allows as many.
const CLIENTS: usize = 10_000;
/// Clients that join at once: fewer than the backlog, in which the kernel keeps connections until
/// they are accepted.
const BATCH: usize = 100;
/// Descriptors that server and test need for anything but clients.
const DESCRIPTORS_RESERVED: usize = 100;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Lets one test run at a time: there are not enough descriptors for two.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

/// Starts a server that lets clients be silent for as long as a test takes.
fn start() -> Server {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the maximum one may");
    Server::start(&["--rate", "0", "--ping", "3600", "--timeout", "7200", "--join-timeout", "3600"])
}

/// Joins all clients, a batch at a time. A client sends `join` before the answer to its upgrade has
/// come.
fn join(server: &Server) -> Vec<Wire> {
    let descriptors =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    let count = CLIENTS.min(descriptors - DESCRIPTORS_RESERVED) / 2 * 2;
    let mut clients = Vec::new();
    while clients.len() < count {
        let here = clients.len();
        for n in here..count.min(here + BATCH) {
            let mut client = server.connect();
            client.write_all(UPGRADE.as_bytes()).expect("it reads");
            say(&mut client, &format!(r#"{{"type":"join","id":"client-{n}"}}"#));
            clients.push(client);
        }
        for client in &mut clients[here..] {
            assert!(read_head(client).starts_with("HTTP/1.1 101 "));
            assert!(hear(client).starts_with(r#"{"type":"joined""#));
        }
    }
    clients
}

/// Sends a line in one frame. Its mask is zeros, so the frame is made quickly.
fn say(client: &mut Wire, line: &str) {
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend((line.len() as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(line.as_bytes());
    client.write_all(&frame).expect("it reads");
}

/// Waits for the next text, of less than 64 KiB.
fn hear(client: &mut Wire) -> String {
    let mut head = [0; 2];
    client.read_exact(&mut head).expect("a frame");
    let len = match head {
        [0x81, len @ ..126] => usize::from(len),
        [0x81, 126] => {
            let mut len = [0; 2];
            client.read_exact(&mut len).expect("a frame");
            usize::from(u16::from_be_bytes(len))
        }
        _ => panic!("a short text was to come, not {head:?}"),
    };
    let mut text = vec![0; len];
    client.read_exact(&mut text).expect("a frame");
    String::from_utf8(text).expect("UTF-8")
}

/// Waits until the server's memory is `at_most` bytes: the server may be behind the test.
fn wait_for_memory(server: &Server, at_most: usize) {
    let start = Instant::now();
    while server.memory_bytes() > at_most {
        assert!(start.elapsed() < PATIENCE, "{} bytes, more than {at_most}", server.memory_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("{} bytes, at most {at_most}", server.memory_bytes());
}

#[test]
fn clients_silent_after_60_kb_cost_what_they_cost_before() {
    let _guard = DESCRIPTORS.lock();
    let server = start();
    let mut clients = join(&server);
    let before = server.memory_bytes();
    println!("{} clients: {before} bytes", clients.len());
    let body = "x".repeat(60_000);
    for n in 0..clients.len() {
        let to = n ^ 1;
        say(&mut clients[n], &format!(r#"{{"type":"send","to":"client-{to}","body":"{body}"}}"#));
        assert!(hear(&mut clients[to]).len() > body.len());
    }
    wait_for_memory(&server, before + before / 10);
}

/// Some memory does not come back: tables keep spare capacity, and the allocator keeps pages of
/// short allocations.
#[test]
fn most_memory_comes_back_when_a_crowd_has_left() {
    let _guard = DESCRIPTORS.lock();
    let server = start();
    let (descriptors, before) = (server.descriptors(), server.memory_bytes());
    let clients = join(&server);
    let with_all = server.memory_bytes();
    println!("{} clients: {with_all} bytes, {before} before", clients.len());
    drop(clients);
    server.wait_for_descriptors(descriptors);
    wait_for_memory(&server, before + (with_all - before) / 2);
    server.assert_alive();
}
