//! What has to hold whatever comes. A fuzzer gives the bytes; an ordinary test gives those that a fuzzer has found to be
//! worth keeping.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::Value;
use sotto::addresses::Addresses;
use sotto::assets::Files;
use sotto::clock::Now;
use sotto::config::Config;
use sotto::connection::{Shared, Stream};
use sotto::frames::{Arrival, Codec, Frames, Input};
use sotto::http::{self, Access, Endpoint, Parsed, Site};
use sotto::hub::Hub;
use sotto::protocol::{FromClient, Line};
use sotto::server::{Place, Ready, Server, limits};
use sotto::token::Token;
use tungstenite::Message;

fn site() -> Site {
    Site::new(Files::BuiltIn, Access::Pages(Vec::new()), Endpoint { path: Some("/ws"), subprotocol: None })
}

// ---- a head ----

/// What a head comes to does not depend on the pieces in which it comes, but that a broken one may be found out earlier.
pub fn http(bytes: &[u8]) {
    let site = site();
    let whole = http::parse(bytes, &site, 0);
    if let Parsed::Complete { used, .. } = &whole {
        assert!(*used <= bytes.len() && *used > 0);
    }
    for end in 0..bytes.len().min(9000) {
        let Parsed::Complete { used, answer } = http::parse(&bytes[..end], &site, 0) else { continue };
        assert!(used <= end);
        let Parsed::Complete { used: used_of_whole, answer: answer_to_whole } = whole else {
            panic!("refused after {end} bytes, and not after all");
        };
        // A broken head takes all that there is.
        assert!(used == used_of_whole || used == end, "{used} {used_of_whole}");
        assert!(answer == answer_to_whole || used == end, "{answer:?} {answer_to_whole:?}");
        return;
    }
}

// ---- frames ----

/// What a stream says does not depend on the pieces in which it comes. The first bytes say how it is cut.
pub fn frames(bytes: &[u8]) {
    let Some((cuts, stream)) = bytes.split_at_checked(8) else { return };
    let whole = hear([stream].into_iter());
    let mut rest = stream;
    let pieces = cuts.iter().cycle().map_while(|cut| {
        let (piece, behind) = rest.split_at(rest.len().min(1 + usize::from(*cut)));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(whole, hear(pieces));
}

/// Messages, answers and the close code that a stream comes to.
fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, Option<String>) {
    let mut codec = Codec::new(1 << 16, 1 << 20);
    let (mut frames, mut messages, mut answers) = (Frames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match frames.next(&mut input, &mut codec, &mut answers) {
                Ok(Some(Arrival::InPlace(text))) => messages.push(format!("{:?}", Message::text(text))),
                Ok(Some(Arrival::Assembled(message))) => messages.push(format!("{message:?}")),
                Ok(None) => break,
                Err(code) => return (messages, answers, Some(format!("{code:?}"))),
            }
            if messages.last().is_some_and(|message| message.starts_with("Close(")) {
                return (messages, answers, None);
            }
        }
    }
    (messages, answers, None)
}

// ---- a line ----

/// What is understood is a JSON object with a `type`; a body is a part of the line, and JSON by itself.
pub fn line(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if text.contains('\n') {
        return;
    }
    let (Some(Line { said: Ok(said), .. }), "") = Line::first(text) else { return };
    serde_json::from_str::<IgnoredAny>(text).expect("what is understood is JSON");
    assert!(text.trim_start().starts_with('{'));
    if let FromClient::Send { body, .. } | FromClient::Signal { body, .. } = said {
        assert!(text.contains(body));
        serde_json::from_str::<IgnoredAny>(body).expect("a body is JSON");
    }
}

// ---- the loop ----

const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// So many are there at once, and as many ids.
const PEERS: usize = 4;

/// What the kernel has of one connection.
#[derive(Default)]
struct Socket {
    inward: VecDeque<u8>,
    outward: Vec<u8>,
    /// So many more bytes are taken from the server.
    room: usize,
    ended: bool,
    reset: bool,
    shut: bool,
    /// To be told in the next turn.
    readable: bool,
    writable: bool,
    closed: bool,
}

/// The server's end of it.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Socket>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        match (socket.reset, socket.inward.is_empty(), socket.ended) {
            (true, ..) => Err(ErrorKind::ConnectionReset.into()),
            (_, true, true) => Ok(0),
            (_, true, false) => Err(ErrorKind::WouldBlock.into()),
            _ => socket.inward.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>().concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        assert!(!socket.shut, "nothing is written after the end");
        let len = bytes.len().min(socket.room);
        match (socket.reset, len) {
            (true, _) => Err(ErrorKind::ConnectionReset.into()),
            (_, 0) => Err(ErrorKind::WouldBlock.into()),
            _ => {
                socket.room -= len;
                socket.outward.write(&bytes[..len])
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Wire {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

/// A server, and who is at the other ends.
struct Play {
    server: Server<Wire>,
    peers: Vec<(Token, Wire)>,
    now: Now,
}

impl Play {
    fn new(rate: usize) -> Play {
        // Small limits are reached by few bytes.
        let config = Config { rate, burst: 5, owned: 3, held: 2000, held_total: 4000, ..Config::default() };
        let (hub, connection) = limits(&config);
        let shared = Shared::new(site(), connection);
        let server = Server::new(PEERS, Addresses::new(0), Hub::new(hub, 1), shared);
        Play { server, peers: Vec::new(), now: Now { instant: Instant::now(), unix_ms: 5 } }
    }

    fn connect(&mut self, place: Place) -> Wire {
        let wire = Wire::default();
        wire.0.borrow_mut().room = usize::MAX;
        let mut registered = None;
        let register = |_: &mut Wire, token| {
            registered = Some(token);
            Ok(())
        };
        let address = [127, 0, 0, 1].into();
        self.server.accept(wire.clone(), address, place, self.now, register).expect("nothing fails here");
        if let Some(token) = registered {
            self.peers.push((token, wire.clone()));
        }
        wire
    }

    /// One turn, in which all is told that there is to tell.
    fn turn(&mut self) {
        let tell = |(token, wire): &(Token, Wire)| {
            let socket = &mut *wire.0.borrow_mut();
            let [readable, writable, closed] =
                [&mut socket.readable, &mut socket.writable, &mut socket.closed].map(std::mem::take);
            (readable || writable || closed).then_some(Ready { token: *token, readable, writable, closed })
        };
        let ready: Vec<Ready> = self.peers.iter().filter_map(tell).collect();
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

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.unix_ms += seconds * 1000;
    }

    fn peer(&self, number: u8) -> Option<&Wire> {
        let at = usize::from(number) % self.peers.len().max(1);
        self.peers.get(at).map(|(_, wire)| wire)
    }
}

fn send(wire: &Wire, bytes: &[u8]) {
    let mut socket = wire.0.borrow_mut();
    socket.inward.extend(bytes);
    socket.readable = true;
}

/// A frame as a client sends it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut bytes = vec![first, 0x80 | 126];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A line that somebody may say: two bytes choose it.
fn said(what: u8, about: u8) -> String {
    let id = about % PEERS as u8;
    match what % 9 {
        0 => format!(r#"{{"type":"join","id":"p{id}"}}"#),
        1 => format!(r#"{{"type":"join","id":"p{id}","key":"0123456789abcdef"}}"#),
        2 => format!(
            r#"{{"type":"send","to":"p{id}","body":"{}","ref":"r{about}"}}"#,
            "x".repeat(about.into())
        ),
        3 => format!(r#"{{"type":"ack","to":"p{id}","mids":["000000000001-{}","?"]}}"#, about / 4),
        4 => format!(r#"{{"type":"watch","ids":["p{id}","p0"]}}"#),
        5 => format!(r#"{{"type":"block","ids":["p{id}"]}}"#),
        6 => format!(r#"{{"type":"unblock","ids":["p{id}"]}}"#),
        7 => format!(r#"{{"type":"signal","to":"p{id}","body":{about}}}"#),
        _ => r#"{"type":"leave"}"#.into(),
    }
}

/// Whatever peers and the kernel do: nothing panics, the loop comes to rest, all that is written is what the protocol says,
/// and when all are gone and forgotten nothing of them is left.
pub fn turns(bytes: &[u8]) {
    let Some((rate, steps)) = bytes.split_first() else { return };
    let mut play = Play::new(usize::from(rate % 2) * 100);
    for step in steps.chunks_exact(4).take(400) {
        let [what, who, a, b] = [step[0], step[1], step[2], step[3]];
        if let Some(wire) = play.peer(who) {
            match what % 12 {
                0 => send(wire, HANDSHAKE),
                1..=4 => send(wire, &frame(0x81, said(a, b).as_bytes())),
                5 => send(wire, &frame(0x81, format!("{}\n{}", said(a, b), said(b, a)).as_bytes())),
                6 => send(wire, &frame(a, &[b; 3])),
                7 => send(wire, &step[1..4]),
                8 => {
                    let mut socket = wire.0.borrow_mut();
                    (socket.room, socket.writable) = (usize::from(a) * usize::from(b), true);
                }
                9 => {
                    let mut socket = wire.0.borrow_mut();
                    (socket.ended, socket.readable, socket.closed) = (true, true, true);
                }
                10 => {
                    let mut socket = wire.0.borrow_mut();
                    (socket.reset, socket.readable, socket.writable, socket.closed) =
                        (true, true, true, true);
                }
                _ => {}
            }
        }
        match what / 16 {
            0 if play.server.len() < 2 * PEERS => drop(play.connect(Place::Chat)),
            1 => play.pass(b.into()),
            2..=8 => play.turn(),
            _ => {}
        }
    }
    play.run();
    for (_, wire) in &play.peers {
        let mut socket = wire.0.borrow_mut();
        check_written(&socket.outward);
        (socket.reset, socket.readable, socket.writable, socket.closed) = (true, true, true, true);
    }
    play.run();
    // Of who is paused the end is found when it is read again; of who owns an id, when its time is over.
    for _ in 0..3 {
        play.pass(1000);
        play.run();
    }
    assert!(play.server.is_empty());
    check_nothing_left(&mut play);
}

/// HTTP responses, and behind a 101 whole frames with JSON in them; the last of all may be cut.
fn check_written(mut bytes: &[u8]) {
    while bytes.starts_with(b"HTTP/1.1 ") {
        let is_upgrade = bytes.starts_with(b"HTTP/1.1 101 ");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return };
        let head = str::from_utf8(&bytes[..end]).expect("a head is text");
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |len| len.parse().unwrap());
        let Some(rest) = bytes.get(end + 4 + len..) else { return };
        bytes = rest;
        if is_upgrade {
            return check_frames(bytes);
        }
    }
    assert!(b"HTTP/1.1 ".starts_with(bytes), "{:?}", String::from_utf8_lossy(bytes));
}

fn check_frames(mut bytes: &[u8]) {
    while let [first, len, ..] = *bytes {
        let (at, len) = match (len, bytes) {
            (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [_, _, len @ ..]) if len.len() >= 8 => {
                (10, u64::from_be_bytes(len[..8].try_into().unwrap()) as usize)
            }
            (0..=125, _) => (2, usize::from(len)),
            _ => return,
        };
        let Some(payload) = bytes.get(at..at + len) else { return };
        match first {
            0x81 => {
                for line in payload.split(|byte| *byte == b'\n') {
                    let line: Value = serde_json::from_slice(line).expect("a line is JSON");
                    assert!(line["type"].is_string());
                }
            }
            0x88..=0x8a => assert!(len <= 125),
            _ => panic!("a server sends no frame {first:#x}"),
        }
        bytes = &bytes[at + len..];
    }
}

fn check_nothing_left(play: &mut Play) {
    let scraper = play.connect(Place::Metrics);
    send(&scraper, METRICS);
    play.run();
    let outward = scraper.0.borrow().outward.clone();
    let text = String::from_utf8(outward).expect("metrics are text");
    for name in ["clients", "owned_ids", "outbox_bytes", "held_bytes"] {
        assert!(text.contains(&format!("\nsotto_{name} 0\n")), "{name}: {text}");
    }
}
