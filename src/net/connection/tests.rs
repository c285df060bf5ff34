//! One connection over a scripted stream, in a loop that echoes every message.
//!
//! A [`Talk`] plays the kernel, the peer and the clock. Each trap of non-blocking I/O has a test of
//! its own, and a whole conversation is repeated with a fault at every step (`faults`).

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::limits::READ_BYTES;
use crate::memory::assert_size;
use crate::net::http::assets::{Coding, Files};
use crate::net::http::{Access, Endpoint, Site};
use crate::net::rate::Rate;
use crate::net::stream::scripted::{Fault, Scripted, Wire};

mod closing;
mod deadlines;
mod faults;
mod incomplete;
mod pauses;
mod reading;
mod requests;
mod writing;

const MESSAGE_BYTES_MAX: usize = 65_536;
const PING: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(40);
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// A time shorter than all others here.
const MOMENT: Duration = Duration::from_millis(1);

pub(crate) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CLOSE_REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

// ---- the loop ----

/// A loop of one connection, which echoes every message, and the peer's end of its stream.
struct Talk {
    wire: Rc<RefCell<Wire>>,
    connection: Connection<Scripted>,
    shared: Shared,
    buffer: Vec<u8>,
    now: Now,
    /// Events of the conversation so far.
    received: Vec<Incoming<'static>>,
    /// The most bytes that were ever unsent.
    unsent_max: usize,
}

/// Lines that a peer may send at once; then one a second.
const BURST: usize = 20_000;

impl Talk {
    /// Creates a connection that was just accepted.
    fn new() -> Talk {
        Talk::with_memory(1 << 20)
    }

    /// Likewise, with this budget for incomplete input.
    fn with_memory(incomplete_bytes_total: usize) -> Talk {
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Anyone, endpoint);
        let limits = Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            incomplete_bytes_total,
            connections_per_address: 0,
            ping: PING,
            timeout: TIMEOUT,
            join_timeout: JOIN_TIMEOUT,
            rate: Rate::new(1, BURST),
        };
        let shared = Shared::new(site, limits);
        let now = Now { instant: Instant::now(), unix_ms: 0 };
        let wire = Rc::new(RefCell::new(Wire::default()));
        let connection = Connection::new(Scripted(wire.clone()), View::Page, now, &shared);
        let buffer = vec![0; READ_BYTES];
        Talk { wire, connection, shared, buffer, now, received: Vec::new(), unsent_max: 0 }
    }

    /// Creates a connection with an open WebSocket, and a peer that has joined.
    fn open() -> Talk {
        let mut talk = Talk::joining();
        talk.connection.mark_joined(talk.now);
        talk
    }

    /// Creates a connection with an open WebSocket, and a peer that has not joined yet.
    fn joining() -> Talk {
        let mut talk = Talk::new();
        talk.arrive(UPGRADE);
        assert!(talk.taken().starts_with(b"HTTP/1.1 101 "));
        assert_eq!(std::mem::take(&mut talk.received), [Incoming::Open(None)]);
        talk
    }

    fn wire(&self) -> std::cell::RefMut<'_, Wire> {
        self.wire.borrow_mut()
    }

    /// Reports readiness once, as the kernel does, and with it the end of the stream or a reset.
    fn event(&mut self) {
        self.connection.note_readable();
        let is_closed = self.wire().end || self.wire().reset;
        if is_closed {
            self.connection.note_read_closed(self.now);
        }
        self.visit();
    }

    /// Does everything that needs no further event: writes, and reads as long as a read is owed.
    fn visit(&mut self) {
        self.flush();
        while self.connection.wants_read() {
            self.read();
            self.flush();
        }
    }

    /// Reads once, unless input waits, and echoes the messages that the input completes.
    fn read(&mut self) {
        let Talk { connection, shared, buffer, now, received, .. } = self;
        let mut waited = connection.take_postponed(*now, shared);
        let tokens = connection.tokens(*now, shared);
        let mut input = match &mut waited {
            Some(postponed) => Input::new(postponed.parts().1, tokens),
            None => connection.receive(buffer, *now, shared),
        };
        while let Some(incoming) = connection.next(&mut input, *now, shared) {
            match &incoming {
                Incoming::Open(_) | Incoming::Closed => {}
                Incoming::Text(text) => connection.send_text(text.as_bytes(), shared),
                Incoming::Binary(bytes) => connection.send(Opcode::Binary, bytes, shared),
                #[cfg(feature = "api")]
                Incoming::Call(_) => {}
            }
            received.push(match incoming {
                Incoming::Open(client) => Incoming::Open(client),
                // Seen by its answer.
                Incoming::Closed => continue,
                Incoming::Text(payload) => text(&payload),
                Incoming::Binary(bytes) => Incoming::Binary(bytes),
                #[cfg(feature = "api")]
                Incoming::Call(call) => Incoming::Call(call),
            });
        }
        let (spent, is_overdrawn) = (input.spent(), input.is_overdrawn());
        let rest = Postponed::new(None, &mut input);
        assert!(connection.is_gone() || is_overdrawn || rest.is_empty(), "input is left behind");
        if !rest.is_empty() {
            connection.postpone(rest, *now, shared);
        }
        connection.charge(spent, *now, shared);
    }

    fn flush(&mut self) {
        self.unsent_max = self.unsent_max.max(self.connection.unsent());
        self.connection.flush(self.now, &mut self.shared);
    }

    /// One segment arrives, and an event reports it.
    fn arrive(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire().coming.extend(bytes.as_ref());
        self.event();
    }

    /// One segment arrives with the end of the stream behind it, and one event reports both.
    fn arrive_with_end(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire().coming.extend(bytes.as_ref());
        self.arrive_end();
    }

    /// The end of the stream arrives, and an event reports it.
    fn arrive_end(&mut self) {
        self.wire().end = true;
        self.event();
    }

    /// Lets the kernel take this many bytes more, or any number, and visits the connection as after
    /// a writable event.
    fn set_window(&mut self, window: impl Into<Option<usize>>) {
        self.wire().window = window.into();
        self.visit();
    }

    /// Returns the bytes that reached the peer since the last call.
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire().taken)
    }

    fn close(&mut self, code: u16) {
        self.connection.close(code, self.now, &mut self.shared);
    }

    /// Lets time pass, and acts on the deadline if it has passed.
    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.connection.expire(self.now, &mut self.shared);
        self.visit();
    }

    /// Asserts that the deadline is this far away and not acted upon early; then lets it pass.
    #[track_caller]
    fn expire_after(&mut self, time: Duration) {
        assert_eq!(self.deadline(), Some(time));
        self.pass(time - MOMENT);
        assert_eq!(self.deadline(), Some(MOMENT), "the deadline moved, or was acted upon too soon");
        self.pass(MOMENT);
    }

    /// Likewise, and asserts that the deadline closes the connection with 1008.
    #[track_caller]
    fn expire_with_1008(mut self, time: Duration) {
        self.taken();
        self.expire_after(time);
        assert_eq!(self.taken(), close_frame(1008));
        self.assert_closing();
    }

    /// Returns the time that is left until the deadline.
    fn deadline(&self) -> Option<Duration> {
        self.connection.deadline(&self.shared).map(|due| due - self.now.instant)
    }

    /// Asserts that the connection is gone for this reason, and owns and owes nothing.
    #[track_caller]
    fn assert_gone(&self, end: End) {
        assert!(self.connection.is_gone());
        assert_eq!(self.connection.end(), Some(end));
        assert_eq!(self.shared.incomplete_bytes(), 0);
        assert_eq!((self.connection.unsent(), self.connection.pipe.out_capacity()), (0, 0));
        assert_eq!(self.deadline(), None);
        assert!(!self.connection.wants_read());
    }

    /// Our close frame has left, our side is open, and the peer's close frame is waited for.
    #[track_caller]
    fn assert_closing(&self) {
        assert!(!self.connection.is_gone());
        assert!(!self.wire().shut);
        assert_eq!(self.deadline(), Some(LINGER));
        assert_eq!(self.shared.incomplete_bytes(), 0);
    }

    /// Asserts that our side is shut, and that the connection reads on for [`LINGER`].
    #[track_caller]
    fn assert_lingering(&self) {
        assert!(!self.connection.is_gone());
        assert!(self.wire().shut);
        assert_eq!(self.deadline(), Some(LINGER));
        assert_eq!(self.shared.incomplete_bytes(), 0);
    }
}

const RESET: End = End::Lost(ErrorKind::ConnectionReset);
const END_OF_STREAM: End = End::Lost(ErrorKind::UnexpectedEof);

// ---- frames ----

/// The first bytes of frames: a bit that says that no fragment follows, and the opcode.
pub(crate) const TEXT: u8 = 0x81;
const FIRST_FRAGMENT: u8 = 0x01;
pub(crate) const CLOSE: u8 = 0x88;
const PING_FRAME: u8 = 0x89;
const PONG: u8 = 0x8a;
const OUR_PING: &[u8] = &[PING_FRAME, 0];

/// Returns a frame from a client, masked with zeros, so that its payload stays legible.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    encode(first, 0x80, &[0; 4], payload.as_ref())
}

/// Returns a frame from the server, which is not masked.
pub(crate) fn ours(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    encode(first, 0, &[], payload.as_ref())
}

fn encode(first: u8, masked: u8, mask: &[u8], payload: &[u8]) -> Vec<u8> {
    let long = (payload.len() as u16).to_be_bytes();
    match payload.len() {
        len @ 0..=125 => [&[first, masked | len as u8], mask, payload].concat(),
        _ => [&[first, masked | 126], &long[..], mask, payload].concat(),
    }
}

/// Returns our close frame with this code.
fn close_frame(code: u16) -> Vec<u8> {
    ours(CLOSE, code.to_be_bytes())
}

fn text(text: &str) -> Incoming<'static> {
    Incoming::Text(text.to_owned().into())
}

/// Returns the beginning of a response, up to its status.
fn status_line(response: &[u8]) -> String {
    String::from_utf8_lossy(&response[..response.len().min(12)]).into_owned()
}

#[test]
fn connection_costs_120_bytes() {
    type Tcp = std::net::TcpStream;
    assert_size!(Connection<Tcp> = 120: Connection {
        pipe: 56 "the stream, its unread input and its unsent output",
        state: 64 "the conversation",
    } empty: 0);
    assert_size!(Http = 64: Http {
        head: 24 "the beginning of a request",
        pipelined: 1 "or of several",
        deadline: 16 "the time by which the head has to be whole",
        started: 1 "whether a head is due",
        body: 8 "a pointer: the body of a response",
        last: 4 "the response is the last one",
        view: 1 "the part of the server that it sees",
        more: 8 "a pointer: the client that a preamble has told, or the state of calls",
    } empty: 1);
    assert_eq!(size_of::<State>(), 64, "the largest of them, with space for which it is");
}
