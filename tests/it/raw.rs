//! WebSocket as bytes, so that a test can send frames that no client would.
//!
//! Lines, and the meaning of close codes, are not known here.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::support::{Server, Wire, read_head};

pub const CONTINUATION: u8 = 0x00;
pub const TEXT: u8 = 0x01;
pub const BINARY: u8 = 0x02;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// Added to the first byte of a data frame: no more frames of this message follow.
pub const FIN: u8 = 0x80;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Returns a frame as clients send it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, 0x80, payload.len());
    bytes.extend(MASK);
    for four in payload.chunks(MASK.len()) {
        bytes.extend(four.iter().zip(MASK).map(|(byte, mask)| byte ^ mask));
    }
    bytes
}

/// Returns a frame as servers send it.
pub fn answer(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, 0, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

fn header(first: u8, masked: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(masked | len as u8),
        126..=0xffff => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes
}

/// Returns the payload of a close frame.
pub fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// Connects and upgrades to WebSocket. Written bytes leave at once.
pub fn connect(server: &Server) -> Wire {
    upgrade(server.connect(), server.address)
}

/// Upgrades any stream to a server at this address.
pub fn upgrade<S: Read + Write>(mut stream: S, address: SocketAddr) -> S {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}
