//! Whole conversations over streams in memory, turn by turn.
//!
//! A [`Play`] has a server, and plays the kernel, all clients and the clock. To learn the loop,
//! read `turns` first, then `slow_readers`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Cursor, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::*;
use crate::config::Config;
#[cfg(not(feature = "peerjs"))]
use crate::memory::assert_size;
use crate::net::http::assets::Files;
use crate::net::http::{Access, Endpoint, Site};

mod abuse;
mod accepting;
#[cfg(feature = "api")]
mod api;
mod chat;
mod commit;
mod deadlines;
mod ends;
mod fairness;
mod faults;
#[cfg(feature = "peerjs")]
mod peerjs;
mod rate;
mod slow_readers;
mod turns;

const TEXT: OpCode = OpCode::Data(Data::Text);

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// ---- the kernel ----

/// One connection as the kernel knows it: bytes on their way, and events not yet reported.
#[derive(Default)]
struct Socket {
    /// Bytes that the client sent and the server has not read.
    to_server: VecDeque<u8>,
    /// Bytes that the server wrote and the client has not read.
    to_client: Vec<u8>,
    /// Bytes that fit into `to_client`.
    window: usize,
    /// The client closed its side: the stream ends behind `to_server`.
    ended: bool,
    /// The client reset the connection: every call fails.
    reset: bool,
    /// The server shut its side.
    shut: bool,
    /// The server dropped its end.
    dropped: bool,
    /// A write was blocked, so an event will report when the kernel takes more.
    stalled: bool,
    /// Edges, each of which the next event reports once.
    readable: bool,
    writable: bool,
    closed: bool,
    failed: bool,
    /// Calls that still succeed before the client resets the connection.
    calls_left: Option<usize>,
    /// Random faults.
    faults: Option<faults::Faults>,
}

/// The server's end of a connection.
struct ServerEnd(Rc<RefCell<Socket>>);

impl Socket {
    /// Counts a call, and fails it if a fault is due.
    fn call(&mut self) -> io::Result<()> {
        if self.calls_left == Some(0) {
            self.reset = true;
        }
        self.calls_left = self.calls_left.map(|calls| calls.saturating_sub(1));
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let interrupted = self.faults.as_mut().is_some_and(faults::Faults::interrupts);
        if interrupted { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Returns how many of `len` bytes a call moves.
    fn shorten(&mut self, len: usize) -> usize {
        self.faults.as_mut().map_or(len, |faults| faults.shorten(len))
    }
}

impl Read for ServerEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.call()?;
        if socket.to_server.is_empty() {
            return if socket.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let len = buffer.len().min(socket.to_server.len());
        let len = socket.shorten(len);
        for (to, from) in buffer.iter_mut().zip(socket.to_server.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }
}

impl Write for ServerEnd {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>().concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.call()?;
        assert!(!socket.shut, "a write behind the end");
        let left = socket.window.saturating_sub(socket.to_client.len());
        if left == 0 || socket.faults.as_mut().is_some_and(faults::Faults::blocks) {
            socket.stalled = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = socket.shorten(bytes.len().min(left));
        socket.to_client.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for ServerEnd {
    fn may_have_more(&self, asked: usize, got: usize) -> bool {
        let socket = self.0.borrow();
        asked == got || (socket.faults.is_some() && !socket.to_server.is_empty())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

// ---- the clients ----

/// The client at the other end of a connection.
#[derive(Clone)]
struct Client {
    token: Token,
    socket: Rc<RefCell<Socket>>,
}

impl Client {
    /// Sends bytes, and raises an edge for them.
    fn send_bytes(&self, bytes: &[u8]) {
        let mut socket = self.socket.borrow_mut();
        socket.to_server.extend(bytes);
        socket.readable = true;
    }

    /// Sends a text in one frame. It may have several lines.
    fn send_text(&self, text: &str) {
        self.send_bytes(&frame(TEXT, text.as_bytes()));
    }

    /// Reads all bytes that the server wrote. If the server is stalled, that raises an edge.
    fn read(&self) -> Vec<u8> {
        let mut socket = self.socket.borrow_mut();
        let bytes = std::mem::take(&mut socket.to_client);
        if socket.stalled && socket.window > 0 {
            (socket.stalled, socket.writable) = (false, true);
        }
        bytes
    }

    /// Reads whole frames: the payload of a text; the name of a ping, a pong or a close frame.
    fn receive(&self) -> Vec<String> {
        let bytes = self.read();
        let (received, rest) = split_frames(&bytes);
        assert!(rest.is_empty(), "a frame is cut off");
        received
    }

    /// Sets how many bytes that the client has not read fit into the kernel.
    fn set_window(&self, window: usize) {
        self.socket.borrow_mut().window = window;
    }

    /// Closes the client's side.
    fn end(&self) {
        let mut socket = self.socket.borrow_mut();
        (socket.ended, socket.readable, socket.closed) = (true, true, true);
    }

    /// Resets the connection. The kernel reports that as every kind of readiness.
    fn reset(&self) {
        let mut socket = self.socket.borrow_mut();
        (socket.reset, socket.readable, socket.writable) = (true, true, true);
        (socket.closed, socket.failed) = (true, true);
    }

    /// Returns `true` if the server dropped its end.
    fn is_dropped(&self) -> bool {
        self.socket.borrow().dropped
    }
}

/// Returns a frame from a client, which is masked.
fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    frame_of(opcode, payload, true)
}

/// Likewise; more fragments of the message follow unless `is_final`.
fn frame_of(opcode: OpCode, payload: &[u8], is_final: bool) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let header = FrameHeader { opcode, is_final, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("a vector takes all");
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Returns the whole frames that `bytes` begins with, and the rest behind them.
fn split_frames(mut bytes: &[u8]) -> (Vec<String>, &[u8]) {
    let mut frames = Vec::new();
    loop {
        let mut cursor = Cursor::new(bytes);
        let Some((header, len)) = FrameHeader::parse(&mut cursor).expect("a frame") else { break };
        let (at, len) = (cursor.position() as usize, len as usize);
        let Some(payload) = bytes.get(at..at + len) else { break };
        frames.push(match header.opcode {
            TEXT => String::from_utf8(payload.to_vec()).expect("UTF-8"),
            OpCode::Control(Control::Close) => {
                format!("close {}", u16::from_be_bytes([payload[0], payload[1]]))
            }
            OpCode::Control(Control::Ping) => "ping".to_owned(),
            OpCode::Control(Control::Pong) => "pong".to_owned(),
            opcode => panic!("a server sends no {opcode:?}"),
        });
        bytes = &bytes[at + len..];
    }
    (frames, bytes)
}

// ---- the play ----

/// Returns a server for 100 connections over streams of any kind, with the default limits.
#[cfg(feature = "tls")]
pub(crate) fn server_over<S: Stream>(shared: Shared) -> Server<S> {
    let (hub_limits, _) = limits(&Config::default());
    Server::new(100, Hub::new(hub_limits, 1), shared)
}

/// A server, its clients, and the clock.
struct Play<D: Disk = NoDisk> {
    server: Server<ServerEnd, D>,
    clients: Vec<Client>,
    now: Now,
}

impl Play {
    fn new() -> Play {
        Play::with(100, |_| {})
    }

    /// Creates a play with this many slots, and a changed configuration.
    fn with(connections_max: usize, change: impl FnOnce(&mut Config)) -> Play {
        let (hub, shared) = halves(change);
        let server = Server::new(connections_max, Hub::new(hub, 0xabc), shared);
        Play { server, clients: Vec::new(), now: Now { instant: Instant::now(), unix_ms: 5 } }
    }
}

/// Returns what both halves of a server need, with a changed configuration.
fn halves(change: impl FnOnce(&mut Config)) -> (hub::Limits, Shared) {
    // Without a rate, because most tests send many lines at once.
    let mut config = Config { rate: 0, ..Config::default() };
    change(&mut config);
    let (hub, connection) = limits(&config);
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
    let site = Site::new(Files::BuiltIn, Access::Pages(Vec::new()), endpoint);
    (hub, Shared::new(site, connection))
}

impl<D: Disk> Play<D> {
    fn connect(&mut self) -> Client {
        self.connect_from("127.0.0.1")
    }

    fn connect_from(&mut self, address: &str) -> Client {
        self.connect_as(address, View::Page)
    }

    /// Connects to a listener with this view.
    fn connect_as(&mut self, address: &str, view: View) -> Client {
        let socket = Socket { window: usize::MAX, ..Socket::default() };
        let socket = Rc::new(RefCell::new(socket));
        let mut registered = None;
        let register = |_: &mut ServerEnd, token| {
            registered = Some(token);
            Ok(())
        };
        let address = address.parse().expect("an address");
        self.server
            .accept(ServerEnd(socket.clone()), Some(address), view, self.now, register)
            .expect("nothing to refuse");
        let client = Client { token: registered.unwrap_or(Token::new(0, 0)), socket };
        self.clients.push(client.clone());
        client
    }

    /// Connects a client, and opens its WebSocket.
    fn open(&mut self) -> Client {
        let client = self.connect();
        client.send_bytes(HANDSHAKE.as_bytes());
        self.run();
        assert!(client.read().starts_with(b"HTTP/1.1 101 "));
        client
    }

    /// Connects clients that join with these ids.
    fn join<const N: usize>(&mut self, ids: [&str; N]) -> [Client; N] {
        ids.map(|id| {
            let client = self.open();
            client.send_text(&join(id));
            self.run();
            assert_eq!(client.receive(), [joined(id)]);
            client
        })
    }

    /// Makes one turn with all edges raised so far.
    fn turn(&mut self) {
        let ready: Vec<Ready> = self.clients.iter().filter_map(edges).collect();
        self.server.turn(self.now, &ready);
    }

    /// Makes one turn with the edges of these clients only, in this order.
    fn turn_in_order(&mut self, clients: &[&Client]) {
        let ready: Vec<Ready> = clients.iter().filter_map(|client| edges(client)).collect();
        self.server.turn(self.now, &ready);
    }

    /// Makes turns until no visit is owed.
    fn run(&mut self) {
        for _ in 0..1000 {
            self.turn();
            if self.sleep() != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("the loop never sleeps");
    }

    /// Returns how long the loop may sleep now: not at all while a visit is owed.
    fn sleep(&self) -> Option<Duration> {
        self.server.sleep(self.now.instant)
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
    }

    /// Returns the bytes of lines that wait in outboxes, and those of incomplete input.
    fn buffered_bytes(&self) -> (usize, usize) {
        (self.server.hub.waiting_bytes(), self.server.shared.incomplete_bytes())
    }
}

/// Returns the event that reports the edges of a client, and clears them.
fn edges(client: &Client) -> Option<Ready> {
    let mut socket = client.socket.borrow_mut();
    let socket = &mut *socket;
    let ready = Ready {
        token: client.token,
        readable: std::mem::take(&mut socket.readable),
        writable: std::mem::take(&mut socket.writable),
        closed: std::mem::take(&mut socket.closed),
        failed: std::mem::take(&mut socket.failed),
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
        r#"{{"type":"joined","id":"{id}","resumed":false,"held":0,"max_message":65536,"hold":604800,"card":2048}}"#
    )
}

fn send(to: &str, body: &str) -> String {
    format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#)
}

/// Returns a line without the name of an ownership.
fn without_ownership(line: &str) -> String {
    let Some((front, behind)) = line.split_once(r#","ownership":""#) else { return line.into() };
    format!("{front}{}", behind.split_once('"').map_or("", |(_, behind)| behind))
}

fn message(from: &str, body: &str, mid: usize) -> String {
    format!(
        r#"{{"type":"message","from":"{from}","body":"{body}","mid":"000000000abc-{mid:x}","at":5}}"#
    )
}

fn count_lines(texts: &[String]) -> usize {
    texts.iter().map(|text| text.lines().count()).sum()
}

const SECOND: Duration = Duration::from_secs(1);

// One with PeerJS has a pointer more.
#[cfg(not(feature = "peerjs"))]
#[test]
fn slot_costs_152_bytes() {
    // Over the standard library's stream: in a debug build mio's has more than a descriptor.
    type Tcp = std::net::TcpStream;
    assert_size!(Slot<Tcp> = 152: Slot {
        connection: 120 "the stream, and what is spoken on it",
        timer: 16 "the entry of the deadline that counts",
        is_on_read_list: 1 "it is on a read list, once",
        unsent: 8 "its share of the total of unsent bytes",
        kind: 1 "the quota that it counts against",
    } empty: 6);
    assert_eq!(
        size_of::<Option<Slot<Tcp>>>(),
        size_of::<Slot<Tcp>>(),
        "an empty slot costs no more"
    );
}
