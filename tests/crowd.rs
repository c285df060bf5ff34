//! Ten thousand clients, and what the server's memory is before and after. A program of its own,
//! because the connections are as many as a process may have.

#[path = "it/support.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod support;

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use support::{PATIENCE, Server, Wire, read_head};

/// Clients, where the limit of open descriptors allows so many.
const CLIENTS: usize = 10_000;
/// How many join at once: fewer than the kernel keeps until they are accepted.
const BATCH: usize = 100;
/// Descriptors that server and test need besides.
const DESCRIPTORS_RESERVED: usize = 100;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// One test at a time, or there are not descriptors enough.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

/// A server whose clients may be silent for as long as a test takes.
fn start() -> Server {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the maximum one may");
    Server::start(&["--rate", "0", "--ping", "3600", "--timeout", "7200", "--join-timeout", "3600"])
}

/// So many of them join, a batch at a time: who asks for WebSocket need not wait for the answer
/// before it joins.
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

/// Says something in one frame, quickly made: its mask is zeros.
fn say(client: &mut Wire, line: &str) {
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend((line.len() as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(line.as_bytes());
    client.write_all(&frame).expect("it reads");
}

/// The next text, of less than 64 KiB.
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

/// Waits until the server's memory is at most so much. It need not have noticed all that was done
/// to it.
fn wait_for_memory(server: &Server, at_most: usize) {
    let start = Instant::now();
    while server.memory_bytes() > at_most {
        assert!(start.elapsed() < PATIENCE, "{} bytes, more than {at_most}", server.memory_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("{} bytes, at most {at_most}", server.memory_bytes());
}

#[test]
fn who_sent_and_received_60_kb_and_fell_silent_costs_what_it_did_before() {
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

/// Not all of it comes back: tables keep a little room, and the allocator keeps the pages that
/// short things were in.
#[test]
fn when_a_crowd_has_left_most_of_its_memory_has_come_back() {
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
