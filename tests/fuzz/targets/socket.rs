//! A socket that a check plays: the kernel's view of one connection, and the client's bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use sotto::net::http::assets::Files;
use sotto::net::http::{Access, Endpoint, Site};
use sotto::net::stream::Stream;

pub const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The kernel's state of one connection.
#[derive(Default)]
pub struct Socket {
    /// Bytes from the client that the server has not read yet.
    pub inward: VecDeque<u8>,
    /// Count of all bytes that the client has ever sent.
    pub said: usize,
    /// Bytes that the server has written and the check has not taken.
    pub outward: Vec<u8>,
    /// Bytes that the kernel still takes from the server before it refuses.
    pub capacity: usize,
    /// The client has ended the stream, behind the bytes in `inward`.
    pub ended: bool,
    /// Every read and write fails.
    pub reset: bool,
    /// The server has ended its side.
    pub shut: bool,
    /// Readiness to be reported in the next turn.
    pub readable: bool,
    pub writable: bool,
    pub closed: bool,
}

/// The server's end of a [`Socket`]; a clone is the same socket.
#[derive(Clone, Default)]
pub struct Wire(pub Rc<RefCell<Socket>>);

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
        let len = bytes.len().min(socket.capacity);
        match (socket.reset, len) {
            (true, _) => Err(ErrorKind::ConnectionReset.into()),
            (_, 0) => Err(ErrorKind::WouldBlock.into()),
            _ => {
                socket.capacity -= len;
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

/// The chat's site, as `src/server.rs` serves it by default.
pub fn site() -> Site {
    Site::new(
        Files::BuiltIn,
        Access::Pages(Vec::new()),
        Endpoint { path: Some("/ws"), subprotocol: None },
    )
}

/// Sends bytes as the client, and has the server told.
pub fn send(wire: &Wire, bytes: &[u8]) {
    let mut socket = wire.0.borrow_mut();
    socket.inward.extend(bytes);
    socket.said += bytes.len();
    socket.readable = true;
}

/// Lets the kernel take bytes from the server again, `capacity` at most.
pub fn unblock(wire: &Wire, capacity: usize) {
    let mut socket = wire.0.borrow_mut();
    (socket.capacity, socket.writable) = (capacity, true);
}

/// Ends the stream as the client, in good order.
pub fn end(wire: &Wire) {
    let mut socket = wire.0.borrow_mut();
    (socket.ended, socket.readable, socket.closed) = (true, true, true);
}

/// Resets the connection.
pub fn reset(wire: &Wire) {
    let mut socket = wire.0.borrow_mut();
    (socket.reset, socket.readable, socket.writable, socket.closed) = (true, true, true, true);
}

/// Returns a frame as a client sends it, with a mask of zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut bytes = vec![first, 0x80 | 126];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
