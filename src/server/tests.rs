//! Whole conversations over streams in memory, turn by turn: the test plays the kernel and all
//! clients.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Cursor, ErrorKind, IoSlice, Read, Write};
use std::iter;
use std::rc::Rc;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::*;
use crate::config::Config;
use crate::limits::{GATHERING, LINGER, WRITE_STALL};
use crate::memory::assert_size;
use crate::net::http::assets::Files;
use crate::net::http::{Access, Endpoint, Site};

mod abuse;
mod faults;
mod rate;

const TEXT: OpCode = OpCode::Data(Data::Text);

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// ---- the kernel ----

/// What the kernel has of one connection.
struct Socket {
    /// Sent by the client and not yet read by the server.
    inward: VecDeque<u8>,
    /// Written by the server and not yet read by the client.
    outward: Vec<u8>,
    /// How long `outward` may become.
    room: usize,
    /// The client has said that nothing more comes.
    ended: bool,
    /// The client is gone without a word.
    reset: bool,
    /// The server has said that nothing more comes.
    shut: bool,
    /// The server has dropped it.
    dropped: bool,
    /// A write was refused, so there will be an edge.
    refused: bool,
    /// Edges not yet told.
    readable: bool,
    writable: bool,
    closed: bool,
    /// So many more calls, and then the client is gone.
    calls_left: Option<usize>,
    dice: Option<faults::Dice>,
}

/// The server's end of a connection.
struct Wire(Rc<RefCell<Socket>>);

impl Socket {
    /// What befalls any call, if something does.
    fn befall(&mut self) -> io::Result<()> {
        if self.calls_left == Some(0) {
            self.reset = true;
        }
        self.calls_left = self.calls_left.map(|calls| calls.saturating_sub(1));
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let interrupted = self.dice.as_mut().is_some_and(faults::Dice::interrupts);
        if interrupted { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    fn shorten(&mut self, len: usize) -> usize {
        self.dice.as_mut().map_or(len, |dice| dice.shorten(len))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.befall()?;
        if socket.inward.is_empty() {
            return if socket.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let len = buffer.len().min(socket.inward.len());
        let len = socket.shorten(len);
        for (to, from) in buffer.iter_mut().zip(socket.inward.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }
}

impl Write for Wire {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>().concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.befall()?;
        assert!(!socket.shut, "nothing is written after the end");
        let room = socket.room.saturating_sub(socket.outward.len());
        if room == 0 || socket.dice.as_mut().is_some_and(faults::Dice::refuses) {
            socket.refused = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = socket.shorten(bytes.len().min(room));
        socket.outward.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Wire {
    fn may_have_more(&self, asked: usize, got: usize) -> bool {
        let socket = self.0.borrow();
        asked == got || (socket.dice.is_some() && !socket.inward.is_empty())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

// ---- the clients ----

/// Somebody at the other end of a connection.
#[derive(Clone)]
struct Client {
    token: Token,
    socket: Rc<RefCell<Socket>>,
}

impl Client {
    fn send_bytes(&self, bytes: &[u8]) {
        let mut socket = self.socket.borrow_mut();
        socket.inward.extend(bytes);
        socket.readable = true;
    }

    /// Says a text of these lines in one frame.
    fn say(&self, text: &str) {
        self.send_bytes(&frame(TEXT, text.as_bytes()));
    }

    /// Takes all that was written to it. If the server waits for room, there is an edge.
    fn read(&self) -> Vec<u8> {
        let mut socket = self.socket.borrow_mut();
        let bytes = std::mem::take(&mut socket.outward);
        if socket.refused && socket.room > 0 {
            (socket.refused, socket.writable) = (false, true);
        }
        bytes
    }

    /// Reads whole frames: a text as it is, errors without what they say to people; anything else
    /// by its name.
    fn hears(&self) -> Vec<String> {
        let bytes = self.read();
        let (heard, rest) = split_frames(&bytes);
        assert!(rest.is_empty(), "half a frame");
        heard
    }

    /// From now on its socket holds so many bytes.
    fn set_room(&self, room: usize) {
        self.socket.borrow_mut().room = room;
    }

    /// Says that nothing more comes.
    fn end(&self) {
        let mut socket = self.socket.borrow_mut();
        (socket.ended, socket.readable, socket.closed) = (true, true, true);
    }

    /// Is gone without a word. The kernel reports all there is to report.
    fn reset(&self) {
        let mut socket = self.socket.borrow_mut();
        (socket.reset, socket.readable, socket.writable, socket.closed) = (true, true, true, true);
    }

    /// Has the server dropped its end?
    fn is_dropped(&self) -> bool {
        self.socket.borrow().dropped
    }
}

/// A frame as a client sends it.
fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    frame_of(opcode, payload, true)
}

fn frame_of(opcode: OpCode, payload: &[u8], is_final: bool) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let header = FrameHeader { opcode, is_final, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("a vector takes all");
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The whole frames that `bytes` begins with, and what stands behind them.
fn split_frames(mut bytes: &[u8]) -> (Vec<String>, &[u8]) {
    let mut heard = Vec::new();
    loop {
        let mut cursor = Cursor::new(bytes);
        let Some((header, len)) = FrameHeader::parse(&mut cursor).expect("a frame") else { break };
        let (at, len) = (cursor.position() as usize, len as usize);
        let Some(payload) = bytes.get(at..at + len) else { break };
        heard.push(match header.opcode {
            TEXT => String::from_utf8(payload.to_vec()).expect("UTF-8"),
            OpCode::Control(Control::Close) => {
                format!("close {}", u16::from_be_bytes([payload[0], payload[1]]))
            }
            OpCode::Control(Control::Ping) => "ping".to_owned(),
            OpCode::Control(Control::Pong) => "pong".to_owned(),
            opcode => panic!("a server says no {opcode:?}"),
        });
        bytes = &bytes[at + len..];
    }
    (heard, bytes)
}

// ---- the play ----

/// A server, its clients, and the time.
struct Play {
    server: Server<Wire>,
    clients: Vec<Client>,
    now: Now,
}

impl Play {
    fn new() -> Play {
        Play::with(100, |_| {})
    }

    fn with(connections_max: usize, change: impl FnOnce(&mut Config)) -> Play {
        // Most of these say a lot at once.
        let mut config = Config { rate: 0, ..Config::default() };
        change(&mut config);
        let (hub, connection) = limits(&config);
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Pages(Vec::new()), endpoint);
        let (addresses, hub) = (Addresses::new(config.per_address), Hub::new(hub, 0xabc));
        let server = Server::new(connections_max, addresses, hub, Shared::new(site, connection));
        Play { server, clients: Vec::new(), now: Now { instant: Instant::now(), unix_ms: 5 } }
    }

    fn connect(&mut self) -> Client {
        self.connect_from("127.0.0.1")
    }

    fn connect_from(&mut self, address: &str) -> Client {
        let socket = Rc::new(RefCell::new(Socket {
            inward: VecDeque::new(),
            outward: Vec::new(),
            room: usize::MAX,
            ended: false,
            reset: false,
            shut: false,
            dropped: false,
            refused: false,
            readable: false,
            writable: false,
            closed: false,
            calls_left: None,
            dice: None,
        }));
        let mut registered = None;
        let register = |_: &mut Wire, token| {
            registered = Some(token);
            Ok(())
        };
        let address = address.parse().expect("an address");
        self.server
            .accept(Wire(socket.clone()), address, View::Page, self.now, register)
            .expect("nothing to refuse");
        let client = Client { token: registered.unwrap_or(Token::new(0, 0)), socket };
        self.clients.push(client.clone());
        client
    }

    /// A client with its WebSocket open.
    fn open(&mut self) -> Client {
        let client = self.connect();
        client.send_bytes(HANDSHAKE.as_bytes());
        self.run();
        assert!(client.read().starts_with(b"HTTP/1.1 101 "));
        client
    }

    /// Clients that have joined.
    fn join<const N: usize>(&mut self, ids: [&str; N]) -> [Client; N] {
        ids.map(|id| {
            let client = self.open();
            client.say(&join(id));
            self.run();
            assert_eq!(client.hears(), [joined(id)]);
            client
        })
    }

    /// One turn, with all edges that there are.
    fn turn(&mut self) {
        let ready: Vec<Ready> = self.clients.iter().filter_map(edges).collect();
        self.server.turn(self.now, &ready);
    }

    /// One turn in which these are heard of, in this order.
    fn turn_in_order(&mut self, clients: &[&Client]) {
        let ready: Vec<Ready> = clients.iter().filter_map(|client| edges(client)).collect();
        self.server.turn(self.now, &ready);
    }

    /// Turns until nobody is owed a visit.
    fn run(&mut self) {
        for _ in 0..1000 {
            self.turn();
            if self.server.sleep(self.now.instant) != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("the loop never sleeps");
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
    }

    /// What is held for clients, lines and incomplete messages.
    fn held(&self) -> (usize, usize) {
        (self.server.hub.waiting_bytes(), self.server.shared.incomplete_bytes())
    }
}

/// What the kernel tells of a client, once.
fn edges(client: &Client) -> Option<Ready> {
    let mut socket = client.socket.borrow_mut();
    let socket = &mut *socket;
    let ready = Ready {
        token: client.token,
        readable: std::mem::take(&mut socket.readable),
        writable: std::mem::take(&mut socket.writable),
        closed: std::mem::take(&mut socket.closed),
    };
    (ready.readable || ready.writable || ready.closed).then_some(ready)
}

fn join(id: &str) -> String {
    format!(r#"{{"type":"join","id":"{id}"}}"#)
}

fn join_with_key(id: &str) -> String {
    format!(r#"{{"type":"join","id":"{id}","key":"0123456789abcdef"}}"#)
}

fn joined(id: &str) -> String {
    format!(
        r#"{{"type":"joined","id":"{id}","resumed":false,"held":0,"max_message":65536,"hold":600}}"#
    )
}

fn send(to: &str, body: &str) -> String {
    format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#)
}

fn message(from: &str, body: &str, mid: usize) -> String {
    format!(
        r#"{{"type":"message","from":"{from}","body":"{body}","mid":"000000000abc-{mid:x}","at":5}}"#
    )
}

const SECOND: Duration = Duration::from_secs(1);

// ---- what the loop does ----

#[test]
fn two_clients_chat() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&send("bob", "hello"));
    play.turn();
    assert_eq!(bob.hears(), [message("alice", "hello", 1)]);
    bob.say(r#"{"type":"send","to":"alice","body":"hi","ref":"r"}"#);
    play.turn();
    assert_eq!(alice.hears(), [message("bob", "hi", 2)]);
    assert_eq!(bob.hears(), [r#"{"type":"sent","ref":"r","mid":"000000000abc-2","at":5}"#]);
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_join_may_stand_in_one_segment_with_the_handshake() {
    let mut play = Play::new();
    let alice = play.connect();
    alice.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, join("alice").as_bytes())].concat());
    play.turn();
    let bytes = alice.read();
    assert!(String::from_utf8_lossy(&bytes).ends_with(&joined("alice")));
}

#[test]
fn what_is_said_to_a_client_in_one_turn_leaves_as_one_message() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    alice.say(&[send("bob", "1"), send("bob", "2")].join("\n"));
    alice.say(&send("bob", "3"));
    carol.say(&send("bob", "4"));
    bob.say(&send("bob", "5"));
    play.turn_in_order(&[&alice, &carol, &bob]);
    let lines = [("alice", "1"), ("alice", "2"), ("alice", "3"), ("carol", "4"), ("bob", "5")];
    let lines: Vec<String> =
        (1..).zip(lines).map(|(mid, (from, body))| message(from, body, mid)).collect();
    assert_eq!(bob.hears(), [lines.join("\n")]);
}

#[test]
fn that_messages_have_arrived_is_told_together_and_soon_and_with_whatever_else_is_said() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let bob = play.open();
    bob.say(&join_with_key("bob"));
    play.run();
    bob.hears();
    let deliver = |play: &mut Play, mid: usize| {
        alice.say(&send("bob", "x"));
        play.run();
        let mid = format!("000000000abc-{mid:x}");
        bob.say(&format!(r#"{{"type":"ack","to":"alice","mids":["{mid}"]}}"#));
        play.run();
        format!(r#"{{"type":"delivered","from":"bob","mids":["{mid}"]}}"#)
    };
    let told = [deliver(&mut play, 1), deliver(&mut play, 2)];
    assert_eq!(alice.hears(), [""; 0], "not yet");
    assert_eq!(play.server.sleep(play.now.instant), Some(GATHERING));
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.hears(), [told.join("\n")]);

    let told = deliver(&mut play, 3);
    bob.say(&send("alice", "thanks"));
    play.turn();
    assert_eq!(alice.hears(), [[told, message("bob", "thanks", 4)].join("\n")], "there is company");
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.hears(), [""; 0], "and nothing is left");

    let told = deliver(&mut play, 5);
    play.server.shut_down(play.now);
    play.run();
    assert_eq!(alice.hears(), [told, "close 1001".into()], "nor is it lost at an end");
}

#[test]
fn while_a_socket_takes_nothing_lines_wait_as_lines_and_leave_together() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.set_room(10);
    for n in 1..=4 {
        alice.say(&send("bob", &n.to_string()));
        play.run();
    }
    let len = message("alice", "1", 1).len();
    assert_eq!(
        play.held().0,
        2 + len - 10 + 3 * len + 2,
        "a header, four lines and two newlines, less what left"
    );

    // What was cut off leaves first, and the rest behind it as one message.
    let mut bytes = bob.read();
    bob.set_room(usize::MAX);
    bob.socket.borrow_mut().writable = true;
    play.turn();
    bytes.extend(bob.read());
    let [first, rest] = &*split_frames(&bytes).0 else { panic!("two messages") };
    assert_eq!(*first, message("alice", "1", 1));
    assert_eq!(*rest, [2, 3, 4].map(|n| message("alice", &n.to_string(), n)).join("\n"));
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_connection_is_read_once_a_turn_and_what_is_left_is_read_without_another_event() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    let frames: Vec<u8> =
        (0..200).flat_map(|_| frame(TEXT, send("carol", &"x".repeat(1000)).as_bytes())).collect();
    alice.send_bytes(&frames);
    bob.say(&send("carol", "in between"));
    play.turn();
    assert_eq!(frames.len() - alice.socket.borrow().inward.len(), READ_BYTES);
    assert!(carol.hears().concat().contains("in between"));
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    for _ in 0..frames.len() / READ_BYTES {
        play.server.turn(play.now, &[]);
    }
    assert!(alice.socket.borrow().inward.is_empty());
    assert_ne!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    assert_eq!(carol.hears().join("\n").lines().count(), 200 - READ_BYTES / (frames.len() / 200));
}

#[test]
fn a_text_and_the_end_in_one_segment_are_both_heard_of() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&send("bob", "my last words"));
    alice.end();
    play.run();
    assert_eq!(bob.hears(), [message("alice", "my last words", 1)]);
    assert!(alice.is_dropped());
}

#[test]
fn who_cannot_be_written_to_is_not_read() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.set_room(0);
    alice.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
    play.run();
    alice.say(&send("bob", "behind a ping"));
    play.run();
    assert_eq!(bob.hears(), [""; 0]);
    alice.set_room(100);
    alice.read();
    play.run();
    assert_eq!(alice.hears(), ["pong"]);
    assert_eq!(bob.hears(), [message("alice", "behind a ping", 1)]);
}

#[test]
fn an_event_for_a_connection_that_is_gone_finds_nobody() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.end();
    play.run();
    let [carol] = play.join(["carol"]);
    assert_eq!(carol.token.key(), alice.token.key(), "the slab gives its keys out again");
    let ghost = Ready { token: alice.token, readable: true, writable: true, closed: true };
    play.server.turn(play.now, &[ghost, ghost]);
    bob.say(&send("carol", "still here"));
    play.run();
    assert_eq!(carol.hears(), [message("bob", "still here", 1)]);
}

#[test]
fn a_key_is_not_used_again_within_the_turn_in_which_it_is_freed() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    // Alice leaves, joins again elsewhere, and is written to: all in one turn.
    let new = play.open();
    alice.say(r#"{"type":"leave"}"#);
    new.say(&join("alice"));
    bob.say(&send("alice", "which one?"));
    play.turn_in_order(&[&alice, &new, &bob]);
    assert_eq!(alice.hears(), ["close 1000"]);
    assert_eq!(new.hears(), [[joined("alice"), message("bob", "which one?", 1)].join("\n")]);
}

#[test]
fn an_equal_key_takes_the_id_over_within_a_turn() {
    let mut play = Play::new();
    let [bob] = play.join(["bob"]);
    let [old, new] = [play.open(), play.open()];
    old.say(&join_with_key("alice"));
    play.run();
    old.hears();
    bob.say(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.hears();

    bob.say(&send("alice", "to the old"));
    new.say(&join_with_key("alice"));
    old.say(&send("bob", "not read any more"));
    play.turn_in_order(&[&bob, &new, &old]);
    play.run();
    assert_eq!(old.hears(), [message("bob", "to the old", 1), "close 4001".into()]);
    // What was said to the old connection is held, and said to the new one, too.
    let resumed =
        joined("alice").replace(r#""resumed":false,"held":0"#, r#""resumed":true,"held":1"#);
    assert_eq!(new.hears(), [[resumed, message("bob", "to the old", 1)].join("\n")]);
    assert_eq!(bob.hears(), [""; 0], "neither a message nor a change");
    old.end();
    bob.say(&send("alice", "to the new"));
    play.run();
    assert!(old.is_dropped());
    assert_eq!(new.hears(), [message("bob", "to the new", 2)]);
    assert_eq!(bob.hears(), [""; 0]);
}

// ---- slow and healthy readers ----

/// Short lines, so many that one read is full of them and they grow a lot on their way.
fn flood(to: &str, lines: usize) -> String {
    vec![format!(r#"{{"type":"send","to":"{to}","body":1}}"#); lines].join("\n")
}

#[test]
fn a_healthy_reader_to_whom_hundreds_write_in_one_turn_is_never_taken_for_slow() {
    let mut play = Play::with(500, |_| {});
    let [bob] = play.join(["bob"]);
    let senders: Vec<Client> =
        (0..200).map(|n| play.join([&*format!("sender{n}")])).map(|[client]| client).collect();
    senders.iter().for_each(|sender| sender.say(&flood("bob", 700)));
    play.turn();
    play.run();
    let heard = bob.hears();
    assert_eq!(heard.iter().map(|text| text.lines().count()).sum::<usize>(), 200 * 700);
    assert!(heard.iter().map(String::len).sum::<usize>() > 20 * Config::default().outbox);
    assert!(heard.len() < 500, "{} messages are not what coalescing means", heard.len());
    assert!(senders.iter().all(|sender| sender.hears().is_empty()), "nobody is told slow");
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_healthy_reader_is_never_taken_for_slow_because_much_waits_for_others() {
    let outbox = 262_144;
    let mut play =
        Play::with(100, |config| (config.outbox, config.outbox_total) = (outbox, 4 * outbox));
    let [alice, bob, last] = play.join(["alice", "bob", "last"]);
    let pairs: Vec<[Client; 2]> =
        (0..20).map(|n| play.join([&*format!("from{n}"), &*format!("to{n}")])).collect();
    alice.say(&flood("bob", 1500));
    pairs.iter().enumerate().for_each(|(n, [from, _])| from.say(&flood(&format!("to{n}"), 750)));
    last.say(&send("bob", "one line more"));
    let first: Vec<&Client> =
        iter::once(&alice).chain(pairs.iter().map(|[from, _]| from)).collect();
    play.turn_in_order(&[&*first, &[&last]].concat());

    let said = bob.hears().join("\n");
    assert_eq!(said.lines().count(), 1501);
    assert!(said.len() < outbox / 2, "he is far from his own maximum");
    assert_eq!(last.hears(), [""; 0], "nobody is told slow");
    assert!(pairs.iter().all(|[from, to]| from.hears().is_empty() && !to.hears().is_empty()));
}

#[test]
fn a_stuck_reader_is_taken_out_and_its_senders_are_told() {
    let mut play = Play::new();
    let [alice, bob, carol, dave] = play.join(["alice", "bob", "carol", "dave"]);
    bob.set_room(1000);
    // A half message of his is held, too.
    bob.send_bytes(&frame(TEXT, send("carol", "half").as_bytes())[..20]);
    play.run();
    assert_ne!(play.held().1, 0);
    for _ in 0..10 {
        alice.say(&flood("bob", 1500));
        carol.say(&send("dave", "we go on"));
        play.run();
    }
    let told: Vec<String> = alice.hears();
    assert!(told[0].starts_with(r#"{"type":"error","code":"slow","to":"bob""#), "{}", told[0]);
    assert_eq!(told.join("\n").matches(r#""code":"slow""#).count(), 1);
    assert!(told.join("\n").contains(r#""code":"offline","to":"bob""#));
    assert!(bob.is_dropped());
    assert_eq!(dave.hears().len(), 10);
    assert_eq!(carol.hears(), [""; 0]);
    assert_eq!(play.held(), (0, 0));
}

// ---- ends ----

#[test]
fn each_end_has_its_close_code() {
    #[track_caller]
    fn check(said: &[u8], close: &str) {
        let mut play = Play::new();
        let [alice, bob] = play.join(["alice", "bob"]);
        alice.send_bytes(said);
        alice.send_bytes(&frame(TEXT, send("bob", "behind the end").as_bytes()));
        bob.say(r#"{"type":"watch","ids":["alice"]}"#);
        play.run();
        assert_eq!(alice.hears(), [close]);
        assert!(bob.hears().concat().ends_with(r#""online":false}"#));
        assert!(!alice.is_dropped() && alice.socket.borrow().shut, "it reads on for a while");
        play.pass(LINGER);
        play.run();
        assert!(alice.is_dropped());
        assert_eq!(play.held(), (0, 0));
    }
    check(&frame(TEXT, br#"{"type":"leave"}"#), "close 1000");
    check(&frame(OpCode::Data(Data::Binary), b""), "close 1003");
    check(&frame(TEXT, b"\xff"), "close 1007");
    check(&frame(TEXT, " ".repeat(65_537).as_bytes()), "close 1009");
    check(&[0x81, 0], "close 1002");
    // The first end counts, also when another stands behind it in the same segment.
    check(&[frame(TEXT, br#"{"type":"leave"}"#), vec![0x81, 0]].concat(), "close 1000");
}

#[test]
fn lines_said_before_an_end_leave_in_front_of_the_close_frame() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.say(&[send("alice", "1"), r#"{"type":"leave"}"#.into(), send("alice", "2")].join("\n"));
    play.turn();
    assert_eq!(alice.hears(), [message("alice", "1", 1), "close 1000".into()]);
}

#[test]
fn a_client_that_does_not_join_in_time_hears_1008() {
    let mut play = Play::new();
    let client = play.open();
    client.say(&join("not an id"));
    play.run();
    client.hears();
    play.pass(9 * SECOND);
    play.run();
    assert_eq!(client.hears(), [""; 0]);
    play.pass(SECOND);
    play.run();
    assert_eq!(client.hears(), ["close 1008"]);
}

#[test]
fn a_silent_client_is_pinged_and_then_gone() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.say(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.hears();
    play.pass(25 * SECOND);
    play.run();
    assert_eq!(alice.hears(), ["ping"]);
    assert_eq!(bob.hears(), ["ping"]);
    bob.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    play.run();
    play.pass(14 * SECOND);
    play.run();
    assert!(!alice.is_dropped());
    play.pass(SECOND);
    play.run();
    assert!(alice.is_dropped() && alice.read().is_empty(), "without a close frame");
    assert_eq!(bob.hears(), [r#"{"type":"presence","id":"alice","online":false}"#]);
}

#[test]
fn nobody_is_dropped_for_a_pause_of_the_servers() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let late = play.connect();
    play.run();
    play.pass(Duration::from_secs(26));
    play.run();
    assert_eq!(alice.hears(), ["ping"]);
    let [bob] = play.join(["bob"]);
    play.pass(Duration::from_secs(60));
    // What was said in time lies in the kernel, which has not told of it: the first turn has no
    // events.
    alice.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    bob.say(&send("alice", "still there?"));
    play.server.turn(play.now, &[]);
    assert!(!alice.is_dropped() && !bob.is_dropped() && late.is_dropped());
    play.run();
    assert_eq!(alice.hears(), [message("bob", "still there?", 1)]);
}

#[test]
fn deadlines_of_those_who_are_gone_do_not_pile_up() {
    let mut play = Play::new();
    for _ in 0..5000 {
        let client = play.connect();
        client.reset();
        play.turn();
        play.clients.clear();
    }
    assert!(play.server.deadlines.len() <= DEADLINES_SPARE + 1);
}

#[test]
fn what_replaced_connections_do_not_take_has_a_bound() {
    let mut play = Play::new();
    play.server.refused = Budget::new(10_000);
    let [bob] = play.join(["bob"]);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let alice = play.open();
        alice.set_room(1);
        alice.say(&join_with_key("alice"));
        bob.say(&send("alice", &"x".repeat(1000)));
        play.run();
        stuck.push(alice);
    }
    assert!(play.server.refused.used() <= 10_000);
    let dropped = stuck.iter().filter(|alice| alice.is_dropped()).count();
    assert!((5..20).contains(&dropped), "{dropped} of 20 had no room for their last words");
    play.pass(Duration::from_secs(60));
    play.run();
    assert_eq!(play.server.refused.used(), 0);
}

#[test]
fn pongs_that_are_not_taken_have_a_bound_together() {
    let mut play = Play::new();
    play.server.refused = Budget::new(10_000);
    let clients = play.join(["a", "b", "c", "d", "e", "f"]);
    for client in &clients {
        client.set_room(1);
        client.send_bytes(&frame(OpCode::Control(Control::Ping), &[b'x'; 100]).repeat(20));
    }
    play.run();
    assert!(play.server.refused.used() <= 10_000);
    assert!(clients.iter().any(Client::is_dropped) && !clients.iter().all(Client::is_dropped));
}

#[test]
fn the_loop_sleeps_until_the_nearest_deadline_and_not_at_all_while_a_visit_is_owed() {
    let mut play = Play::new();
    assert_eq!(play.server.sleep(play.now.instant), None, "nobody is here");
    let [alice] = play.join(["alice"]);
    play.pass(15 * SECOND);
    let client = play.connect();
    // The entry of the join timeout comes up early, and goes in again as one for a ping.
    play.run();
    assert_eq!(play.server.sleep(play.now.instant), Some(10 * SECOND));
    client.end();
    alice.say(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    assert!(client.is_dropped());
    play.pass(10 * SECOND);
    play.run();
    assert_eq!(
        play.server.sleep(play.now.instant),
        Some(15 * SECOND),
        "alice spoke 10 seconds ago"
    );
    alice.set_room(0);
    alice.read();
    alice.say(&send("alice", "1"));
    play.run();
    assert_eq!(play.server.sleep(play.now.instant), Some(WRITE_STALL));
}

#[test]
fn an_end_that_is_found_while_writing_is_told_in_the_next_turn() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    alice.hears();
    alice.say(&send("bob", "1"));
    bob.socket.borrow_mut().reset = true;
    play.turn();
    assert_eq!(alice.hears(), [""; 0]);
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.hears(), [r#"{"type":"presence","id":"bob","online":false}"#]);
}

#[test]
fn a_client_that_takes_nothing_for_ten_seconds_is_dropped() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.set_room(0);
    alice.say(&send("alice", "1"));
    play.run();
    play.pass(WRITE_STALL - SECOND);
    play.run();
    assert!(!alice.is_dropped());
    assert_eq!(play.server.counters.slow, 0);
    play.pass(SECOND);
    play.run();
    assert!(alice.is_dropped());
    assert_eq!(play.server.counters.slow, 1);
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_client_that_takes_a_little_now_and_then_stays() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.set_room(10);
    alice.say(&send("alice", "1"));
    for _ in 0..5 {
        play.run();
        play.pass(WRITE_STALL - SECOND);
        alice.read();
    }
    play.run();
    assert!(!alice.is_dropped());
}

#[test]
fn a_watcher_that_is_too_slow_for_presence_is_dropped_in_the_turn_in_which_that_is_found() {
    let mut play = Play::with(100, |config| config.outbox = 500);
    let [alice] = play.join(["alice"]);
    alice.say(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    alice.set_room(0);
    while play.server.hub.has_joined(alice.token) {
        assert!(!alice.is_dropped());
        let [bob] = play.join(["bob"]);
        bob.end();
        play.turn();
    }
    assert!(alice.is_dropped());
}

#[test]
fn when_the_server_stops_everybody_hears_1001_and_those_who_never_read_keep_it_for_a_while_only() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    let [half, http] = [play.open(), play.connect()];
    bob.set_room(0);
    alice.say(&[send("bob", "1"), send("alice", "2")].join("\n"));
    play.turn();
    assert_eq!(play.held().0, 2 + message("alice", "1", 1).len());
    alice.hears();
    play.server.shut_down(play.now);
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.hears(), ["close 1001"]);
    assert_eq!(half.hears(), ["close 1001"]);
    assert!(http.is_dropped());
    for client in [&alice, &half] {
        client.send_bytes(&frame(OpCode::Control(Control::Close), &1001u16.to_be_bytes()));
        client.end();
    }
    play.run();
    assert_eq!(play.server.len(), 1, "bob");
    play.pass(WRITE_STALL);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn with_too_many_connections_the_next_is_answered_503_and_a_crowd_is_dropped() {
    let mut play = Play::with(2, |_| {});
    let [alice, _bob] = play.join(["alice", "bob"]);
    let refused: Vec<Client> = (0..REFUSALS_MAX).map(|_| play.connect()).collect();
    assert!(play.connect().is_dropped());
    assert_eq!(play.server.counters.accept_failures, 1);
    play.run();
    for client in &refused {
        assert!(client.read().starts_with(b"HTTP/1.1 503 "));
    }
    play.pass(LINGER);
    play.run();
    assert_eq!(play.server.len(), 2);
    alice.end();
    play.run();
    play.join(["carol"]);
}

#[test]
fn more_connections_from_one_address_than_allowed_are_answered_503_and_others_are_not() {
    let mut play = Play::with(100, |config| config.per_address = 2);
    let first = play.connect_from("2001:db8::1");
    play.connect_from("2001:db8::2");
    let refused = play.connect_from("2001:db8::3");
    let other = play.connect_from("2001:db8:0:1::1");
    play.run();
    assert!(refused.read().starts_with(b"HTTP/1.1 503 "));
    assert!(other.read().is_empty());
    // One who was refused leaves no room, one who was here does.
    refused.end();
    play.run();
    let refused = play.connect_from("2001:db8::3");
    first.end();
    play.run();
    assert!(refused.read().starts_with(b"HTTP/1.1 503 ") && first.is_dropped());
    let next = play.connect_from("2001:db8::3");
    play.run();
    assert!(next.read().is_empty());
}

#[test]
fn a_reset_at_any_call_ends_one_connection_and_no_other() {
    let talk = |play: &mut Play, alice: &Client, bob: &Client| {
        bob.say(&join("bob"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, send("alice", "1").as_bytes(), true));
        alice.say(&send("bob", "2"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, b" ", false));
        bob.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
        bob.send_bytes(&frame(TEXT, b" ")[..3]);
        bob.set_room(5);
        alice.say(&send("bob", "3"));
        play.turn();
        alice.say(&send("bob", "4"));
        play.turn();
        bob.read();
        play.turn();
    };
    for calls in 0..40 {
        let mut play = Play::new();
        let [alice] = play.join(["alice"]);
        let bob = play.connect();
        bob.socket.borrow_mut().calls_left = Some(calls);
        bob.send_bytes(HANDSHAKE.as_bytes());
        play.turn();
        talk(&mut play, &alice, &bob);
        bob.reset();
        play.run();
        assert!(bob.is_dropped(), "{calls}");
        assert_eq!((play.server.len(), play.held()), (1, (0, 0)), "{calls}");
        alice.hears();
        alice.say(&send("alice", "still here"));
        play.run();
        assert!(alice.hears().concat().contains("still here"), "{calls}");
        play.join(["bob"]);
    }
}

/// The machine slept, say. Who talks does not wait until all others have been pinged.
#[test]
fn deadlines_that_come_up_all_at_once_are_looked_at_a_few_at_a_time() {
    let mut play = Play::with(1000, |_| {});
    let silent: Vec<Client> = (0..2 * DEADLINES_PER_TURN)
        .map(|n| {
            let client = play.open();
            client.say(&join(&format!("silent{n}")));
            play.run();
            client.read();
            client
        })
        .collect();
    let pinged = || silent.iter().filter(|client| client.read() == [0x89, 0]).count();
    // Entries were made for the time to join in: they come up, and go in again for the pings.
    play.now.instant += Duration::from_secs(26);
    play.run();
    assert_eq!(pinged(), silent.len(), "nobody is forgotten");
    silent.iter().for_each(|client| client.send_bytes(&frame(OpCode::Control(Control::Pong), b"")));
    play.run();
    play.now.instant += Duration::from_secs(26);
    for _ in 0..2 {
        play.turn();
        assert_eq!(pinged(), DEADLINES_PER_TURN);
    }
    play.turn();
    assert_eq!(pinged(), 0);
}

#[test]
fn who_talks_does_not_wait_for_those_who_leave() {
    let mut play = Play::with(1000, |_| {});
    let leaving: Vec<Client> = (0..2 * ENDS_PER_TURN + 1).map(|_| play.open()).collect();
    let [alice, bob] = play.join(["alice", "bob"]);
    leaving.iter().for_each(Client::end);
    alice.say(&send("bob", "hello"));
    play.turn_in_order(&leaving.iter().chain([&alice]).collect::<Vec<_>>());
    assert_eq!(bob.hears().len(), 1);
    let gone = || leaving.iter().filter(|client| client.is_dropped()).count();
    assert_eq!(gone(), ENDS_PER_TURN);
    assert_eq!(
        play.server.sleep(play.now.instant),
        Some(Duration::ZERO),
        "the others are not forgotten"
    );
    play.run();
    assert_eq!(gone(), leaving.len());
}

#[test]
fn what_a_slot_costs() {
    // What mio adds to a descriptor in a debug build is not in it.
    type Tcp = std::net::TcpStream;
    assert_size!(Slot<Tcp> = 160: Slot {
        token: 8 "whoever has the key later is not taken for it",
        connection: 120 "the stream, and what is spoken on it",
        timer: 16 "which of its deadlines is live",
        on_pending_read: 1 "it is visited once a turn",
        refused: 8 "its share of what the kernel has refused of all",
        kind: 1 "what it was let in for, and makes room for when it goes",
    } empty: 6);
    assert_eq!(
        size_of::<Option<Slot<Tcp>>>(),
        size_of::<Slot<Tcp>>(),
        "a place in the slab costs no more"
    );
}
