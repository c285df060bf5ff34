//! Whole conversations over streams in memory, turn by turn: the test plays the kernel and all
//! clients.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Cursor, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::*;
use crate::config::Config;
use crate::memory::assert_size;
use crate::net::http::assets::Files;
use crate::net::http::{Access, Endpoint, Site};

mod abuse;
mod accepting;
mod chat;
mod deadlines;
mod ends;
mod faults;
mod rate;
mod slow_readers;
mod turns;

const TEXT: OpCode = OpCode::Data(Data::Text);

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// ---- the kernel ----

/// What the kernel has of one connection.
#[derive(Default)]
struct Socket {
    /// Sent by the client and not yet read by the server.
    to_server: VecDeque<u8>,
    /// Written by the server and not yet read by the client.
    to_client: Vec<u8>,
    /// How long `to_client` may become.
    window: usize,
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
    faults: Option<faults::Faults>,
}

/// The server's end of a connection.
struct ServerEnd(Rc<RefCell<Socket>>);

impl Socket {
    /// What befalls any call, if something does.
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
        assert!(!socket.shut, "nothing is written after the end");
        let left = socket.window.saturating_sub(socket.to_client.len());
        if left == 0 || socket.faults.as_mut().is_some_and(faults::Faults::refuses) {
            socket.refused = true;
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

/// Somebody at the other end of a connection.
#[derive(Clone)]
struct Client {
    token: Token,
    socket: Rc<RefCell<Socket>>,
}

impl Client {
    fn send_bytes(&self, bytes: &[u8]) {
        let mut socket = self.socket.borrow_mut();
        socket.to_server.extend(bytes);
        socket.readable = true;
    }

    /// Says a text of these lines in one frame.
    fn send_text(&self, text: &str) {
        self.send_bytes(&frame(TEXT, text.as_bytes()));
    }

    /// Takes all that was written to it. If the server waits for room, there is an edge.
    fn read(&self) -> Vec<u8> {
        let mut socket = self.socket.borrow_mut();
        let bytes = std::mem::take(&mut socket.to_client);
        if socket.refused && socket.window > 0 {
            (socket.refused, socket.writable) = (false, true);
        }
        bytes
    }

    /// Reads whole frames: a text as it is, errors without what they say to people; anything else
    /// by its name.
    fn receive(&self) -> Vec<String> {
        let bytes = self.read();
        let (received, rest) = split_frames(&bytes);
        assert!(rest.is_empty(), "half a frame");
        received
    }

    /// From now on its socket holds so many bytes.
    fn set_window(&self, window: usize) {
        self.socket.borrow_mut().window = window;
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
            opcode => panic!("a server says no {opcode:?}"),
        });
        bytes = &bytes[at + len..];
    }
    (frames, bytes)
}

// ---- the play ----

/// A server, its clients, and the time.
struct Play {
    server: Server<ServerEnd>,
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
        let socket = Socket { window: usize::MAX, ..Socket::default() };
        let socket = Rc::new(RefCell::new(socket));
        let mut registered = None;
        let register = |_: &mut ServerEnd, token| {
            registered = Some(token);
            Ok(())
        };
        let address = address.parse().expect("an address");
        self.server
            .accept(ServerEnd(socket.clone()), address, View::Page, self.now, register)
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
            client.send_text(&join(id));
            self.run();
            assert_eq!(client.receive(), [joined(id)]);
            client
        })
    }

    /// One turn, with all edges that there are.
    fn turn(&mut self) {
        let ready: Vec<Ready> = self.clients.iter().filter_map(edges).collect();
        self.server.turn(self.now, &ready);
    }

    /// One turn in which these are received of, in this order.
    fn turn_in_order(&mut self, clients: &[&Client]) {
        let ready: Vec<Ready> = clients.iter().filter_map(|client| edges(client)).collect();
        self.server.turn(self.now, &ready);
    }

    /// Turns until nobody is owed a visit.
    fn run(&mut self) {
        for _ in 0..1000 {
            self.turn();
            if self.sleep() != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("the loop never sleeps");
    }

    /// How long the loop may sleep now.
    fn sleep(&self) -> Option<Duration> {
        self.server.sleep(self.now.instant)
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
    }

    /// What is held for clients, lines and incomplete messages.
    fn buffered_bytes(&self) -> (usize, usize) {
        (self.server.hub.clients.waiting_bytes(), self.server.shared.incomplete_bytes())
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

fn count_lines(texts: &[String]) -> usize {
    texts.iter().map(|text| text.lines().count()).sum()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn slot_costs_152_bytes() {
    // What mio adds to a descriptor in a debug build is not in it.
    type Tcp = std::net::TcpStream;
    assert_size!(Slot<Tcp> = 152: Slot {
        connection: 120 "the stream, and what is spoken on it",
        timer: 16 "which of its deadlines is live",
        is_on_read_list: 1 "it is read once a turn",
        unsent: 8 "its part of the total of unsent bytes",
        kind: 1 "what it was let in for, and makes room for when it goes",
    } empty: 6);
    assert_eq!(
        size_of::<Option<Slot<Tcp>>>(),
        size_of::<Slot<Tcp>>(),
        "a place in the slab costs no more"
    );
}
