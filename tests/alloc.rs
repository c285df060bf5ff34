//! Allocations and system calls of a turn: routing a message allocates nothing once each client has
//! spoken, and a turn touches only the clients it is about.
//!
//! This is a test program of its own, because a program has one allocator, and because counting its
//! calls takes the crate's only `unsafe`: two functions that hand on to the system's allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sotto::chat::hub::Hub;
use sotto::config::Config;
use sotto::limits::GATHERING;
use sotto::net::connection::{Shared, View};
use sotto::net::http::assets::Files;
use sotto::net::http::{Access, Endpoint, Site};
use sotto::net::stream::Stream;
use sotto::server::{Ready, Server, limits};
use sotto::time::Now;
use sotto::token::Token;

/// The system's allocator, which counts allocations by thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work. A counter without a destructor can be reached
// as long as its thread lives. The provided `realloc` allocates anew, so growth is counted, too.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The server's end of a [`Socket`]; a clone is the same socket.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Socket>>);

/// A socket in memory, which takes every write.
#[derive(Default)]
struct Socket {
    /// Bytes from the client that the server has not read yet.
    inward: Vec<u8>,
    /// Bytes that the server has written and the test has not taken.
    outward: Vec<u8>,
    /// The client has ended the stream.
    has_ended: bool,
    /// Count of reads and writes.
    calls: u64,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Socket { inward, has_ended, calls, .. } = &mut *self.0.borrow_mut();
        *calls += 1;
        if inward.is_empty() {
            if *has_ended {
                return Ok(0);
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = inward.len().min(buffer.len());
        buffer[..len].copy_from_slice(&inward[..len]);
        inward.drain(..len);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Socket { outward, calls, .. } = &mut *self.0.borrow_mut();
        *calls += 1;
        outward.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Wire {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server and its clients, at one time.
struct Play {
    server: Server<Wire>,
    peers: Vec<(Token, Wire)>,
    now: Now,
}

impl Play {
    /// Starts a server with clients p0, p1 and so on, which own their ids if `is_owned`.
    fn new(peers: usize, is_owned: bool) -> Play {
        let config = Config { rate: 1_000_000, burst: 1_000_000, ..Config::default() };
        let (hub, connection) = limits(&config);
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Pages(Vec::new()), endpoint);
        let server =
            Server::new(config.max_clients, Hub::new(hub, 7), Shared::new(site, connection));
        let mut play = Play {
            server,
            peers: Vec::new(),
            now: Now { instant: Instant::now(), unix_ms: 1_795_392_000_000 },
        };
        for n in 0..peers {
            play.join(n, if is_owned { r#","key":"0123456789abcdef""# } else { "" });
        }
        play
    }

    /// Connects and joins a client, in a turn of its own.
    fn join(&mut self, n: usize, key: &str) {
        self.connect(n, key);
        assert!(self.turn().0.contains("joined"), "p{n} joins");
    }

    /// Connects a client, with its upgrade and its `join` already sent.
    fn connect(&mut self, n: usize, key: &str) {
        let (wire, mut found) = (Wire::default(), None);
        let register = |_: &mut Wire, token| {
            found = Some(token);
            Ok(())
        };
        let address = [127, 0, 0, 1].into();
        self.server
            .accept(wire.clone(), Some(address), View::Page, self.now, register)
            .expect("no registration fails");
        self.peers.push((found.expect("the server takes it in"), wire.clone()));
        let head = "GET /ws HTTP/1.1\r\nHost: localhost\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        wire.0.borrow_mut().inward.extend(head.as_bytes());
        self.say(n, &format!(r#"{{"type":"join","id":"p{n}"{key}}}"#));
    }

    /// Sends lines of a client in one frame.
    fn say(&self, n: usize, text: &str) {
        let mask = [1, 2, 3, 4];
        let mut socket = self.peers[n].1.0.borrow_mut();
        socket.inward.extend([0x81, 0xfe]);
        socket.inward.extend((text.len() as u16).to_be_bytes());
        socket.inward.extend(mask);
        socket
            .inward
            .extend(text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }

    /// Runs a turn in which all clients are readable. Returns the written bytes as text, and the
    /// count of allocations.
    fn turn(&mut self) -> (String, u64) {
        self.turn_for(0..self.peers.len())
    }

    /// Runs a turn in which these clients are readable.
    fn turn_for(&mut self, clients: std::ops::Range<usize>) -> (String, u64) {
        let ready = |(token, _): &(Token, Wire)| Ready {
            token: *token,
            readable: true,
            writable: false,
            closed: false,
            failed: false,
        };
        let ready: Vec<Ready> = self.peers[clients.clone()].iter().map(ready).collect();
        let before = ALLOCATIONS.get();
        self.server.turn(self.now, &ready);
        let allocations = ALLOCATIONS.get() - before;
        let mut written = String::new();
        for (_, wire) in &self.peers[clients] {
            // Its capacity stays, because a kernel's buffer is not counted either.
            let outward = &mut wire.0.borrow_mut().outward;
            written.push_str(&String::from_utf8_lossy(outward));
            outward.clear();
        }
        (written, allocations)
    }

    /// Counts the allocations of a turn in which each client sends 8 messages to the next one,
    /// after some turns of the same kind. `behind` is the text behind the body of the nth message.
    fn allocations_of_turn(&mut self, behind: impl Fn(usize) -> String) -> u64 {
        let mut count = 0;
        for round in 0..20 {
            for from in 0..self.peers.len() {
                let to = (from + 1) % self.peers.len();
                let line = |n: usize| {
                    format!(
                        r#"{{"type":"send","to":"p{to}","body":"hé, \"you\"\n"{}}}"#,
                        behind(8 * round + n)
                    )
                };
                self.say(from, &(0..8_usize).map(line).collect::<Vec<String>>().join("\n"));
            }
            let (written, allocations) = self.turn();
            assert_eq!(
                written.matches(r#""type":"message""#).count(),
                8 * self.peers.len(),
                "{written}"
            );
            count = allocations;
        }
        count
    }
}

#[test]
fn routing_a_message_allocates_nothing() {
    for peers in [1, 2, 50] {
        assert_eq!(
            Play::new(peers, false).allocations_of_turn(|_| String::new()),
            0,
            "{peers} peers"
        );
        let with_ref = |n| format!(r#","ref":"r{n}""#);
        assert_eq!(
            Play::new(peers, false).allocations_of_turn(with_ref),
            0,
            "{peers} peers, with a ref"
        );
    }
}

#[test]
fn holding_a_message_until_it_is_acknowledged_allocates_nothing() {
    let mut play = Play::new(2, true);
    let mut count = 0;
    for n in 1..200 {
        let mid = format!("000000000007-{n:x}");
        play.say(0, r#"{"type":"send","to":"p1","body":"hello"}"#);
        let (written, sending) = play.turn();
        assert!(written.contains(&mid), "{written}");
        play.say(1, &format!(r#"{{"type":"ack","to":"p0","mids":["{mid}"]}}"#));
        let (_, acknowledging) = play.turn();
        play.now.instant += GATHERING;
        let (written, telling) = play.turn();
        assert!(written.contains("delivered") && written.contains(&mid), "{written}");
        count = sending + acknowledging + telling;
    }
    assert_eq!(count, 0);
}

/// Two clients talk. The cost of their turn does not depend on 2,000 other clients, which are idle,
/// watch each other, are away, and have messages held for them. (A look at each of them that
/// neither allocates nor touches a socket is not seen.)
#[test]
fn turn_touches_only_the_clients_that_it_is_about() {
    let cost = |others: usize| {
        let mut play = Play::new(2, false);
        for n in 2..2 + others {
            play.connect(n, r#","key":"0123456789abcdef""#);
            let before = (n - 1).max(2);
            let watch = format!(r#"{{"type":"watch","ids":["p{before}","p{n}"]}}"#);
            let send = format!(r#"{{"type":"send","to":"p{before}","body":"hello"}}"#);
            play.say(n, &format!("{watch}\n{send}"));
            assert!(play.turn_for(n..n + 1).0.contains("joined"), "p{n} joins");
        }
        // Every second client leaves, and time passes until no deadline is near.
        for n in (2..2 + others).step_by(2) {
            play.peers[n].1.0.borrow_mut().has_ended = true;
            play.turn_for(n..n + 1);
        }
        for _ in 0..2 {
            play.now.instant += Duration::from_secs(11);
            while play.server.sleep(play.now.instant).is_some_and(|time| time.is_zero()) {
                play.turn_for(0..0);
            }
        }
        let calls =
            |play: &Play| play.peers.iter().map(|(_, wire)| wire.0.borrow().calls).sum::<u64>();
        let mut cost = (0, 0);
        for _ in 0..20 {
            play.say(0, r#"{"type":"send","to":"p1","body":"hello"}"#);
            play.say(1, r#"{"type":"send","to":"p0","body":"hello"}"#);
            let before = calls(&play);
            let (written, allocations) = play.turn_for(0..2);
            assert_eq!(written.matches(r#""type":"message""#).count(), 2, "{written}");
            cost = (calls(&play) - before, allocations);
        }
        cost
    };
    assert_eq!(cost(0), (4, 0), "each client is read and written once");
    assert_eq!(cost(2000), (4, 0));
}
