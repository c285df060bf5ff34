//! The socket half alone: a WebSocket echo server from mio, a slab and `net/connection.rs`.
//!
//! `cargo run --release --example echo -- 127.0.0.1:9001`, then speak to ws://127.0.0.1:9001/. Each
//! text and each binary message comes back as it is. No chat, no outbox, no budgets, and no
//! deadlines: a peer that stays silent keeps its connection.
//! Read `examples/lines.rs` first. Two short cuts that `src/server.rs` forbids are marked.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use sotto::limits::READ_BYTES;
use sotto::net::connection::{Connection, Incoming, Limits, Shared, View};
use sotto::net::frames::Opcode;
use sotto::net::http::assets::Files;
use sotto::net::http::{Access, Endpoint, Site};
use sotto::time::Now;

const LISTENER: Token = Token(usize::MAX);
const MESSAGE_BYTES_MAX: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into()).parse()?;
    let site =
        Site::new(Files::BuiltIn, Access::Anyone, Endpoint { path: None, subprotocol: None });
    let hour = Duration::from_secs(3600);
    let limits = Limits {
        message_bytes_max: MESSAGE_BYTES_MAX,
        incomplete_bytes_total: 64 * MESSAGE_BYTES_MAX,
        connections_per_address: 0,
        ping: hour,
        timeout: 2 * hour,
        join_timeout: hour,
        rate: None,
    };
    let mut shared = Shared::new(site, limits);
    let mut connections: Slab<Connection<TcpStream>> = Slab::new();
    let mut buffer = vec![0; READ_BYTES];

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("echoing on ws://{}/", listener.local_addr()?);
    loop {
        // The only place that sleeps.
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        let now = Now::read();
        for event in &events {
            let key = event.token().0;
            if event.token() == LISTENER {
                // One edge for any number of connections. Short cut: an error such as "no
                // descriptor left" ends this loop, too, and the rest wait for the next edge.
                // `src/event_loop.rs` tries again.
                while let Ok((mut stream, _)) = listener.accept() {
                    let token = Token(connections.vacant_key());
                    poll.registry().register(
                        &mut stream,
                        token,
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    connections.insert(Connection::new(stream, View::Page, now, &shared));
                }
            } else if let Some(connection) = connections.get_mut(key) {
                if event.is_readable() || event.is_error() {
                    connection.note_readable();
                }
                if event.is_read_closed() || event.is_error() {
                    connection.note_read_closed(now);
                }
                // Unsent output goes first: while the kernel refuses it, nothing is read.
                connection.flush(now, &mut shared);
                // Short cut: this client is read until it is empty, and all others wait. The server
                // reads each once a turn, and puts its token on a list of owed visits.
                while connection.wants_read() {
                    let mut input = connection.receive(&mut buffer, now, &mut shared);
                    while let Some(incoming) = connection.next(&mut input, now, &mut shared) {
                        let (opcode, payload) = match &incoming {
                            Incoming::Text(text) => (Opcode::Text, text.as_bytes()),
                            Incoming::Binary(bytes) => (Opcode::Binary, &bytes[..]),
                            // The connection opened or closed.
                            _ => continue,
                        };
                        connection.send(opcode, payload, &mut shared);
                    }
                    connection.flush(now, &mut shared);
                }
                if connection.is_gone() {
                    connections.remove(key);
                }
            }
        }
    }
}
