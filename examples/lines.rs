//! A line echo server from mio, a slab and the byte pump: non-blocking I/O with nothing hidden.
//!
//! `cargo run --example lines -- 127.0.0.1:9000`, then `nc 127.0.0.1 9000`. Each line comes back
//! when it is whole. Start reading sotto here: the five things that every such server has to get
//! right are marked *edge*, *short read*, *`WouldBlock`*, *partial write* and *owed visit*.
//! `src/net/pipe.rs` does the reading and writing; `examples/echo.rs` puts WebSocket on top.

use std::error::Error;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use sotto::net::pipe::{Pipe, ReadOutcome, WriteOutcome};

const LISTENER: Token = Token(usize::MAX);
/// Longest line in bytes, and the most that one client is read for in one turn.
const LINE_BYTES_MAX: usize = 4096;

struct Client {
    pipe: Pipe<TcpStream>,
    /// The beginning of a line.
    incomplete: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9000".into()).parse()?;
    // `Poll` is the kernel's list of sockets that we want to hear of (epoll on Linux).
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let mut listener = TcpListener::bind(address)?;
    // Its `Registry` adds a socket, with a token of ours that events name, and our *interest*.
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("echoing lines on {}", listener.local_addr()?);

    let mut clients: Slab<Client> = Slab::new();
    // Keys of clients that are owed a visit.
    let mut owed: Vec<usize> = Vec::new();
    loop {
        // The only call that waits: not at all while a visit is owed.
        let timeout = if owed.is_empty() { None } else { Some(Duration::ZERO) };
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        let mut turn = std::mem::take(&mut owed);
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
            } else if let Some(client) = clients.get_mut(event.token().0) {
                // *Edge*: this event will not come again, so it is kept as state until it is used.
                if event.is_readable() {
                    client.pipe.note_readable();
                }
                if event.is_read_closed() || event.is_error() {
                    client.pipe.note_read_closed();
                }
                turn.push(event.token().0);
            }
        }
        // An owed visit and an event may name the same client; it is still read once.
        turn.sort_unstable();
        turn.dedup();
        for key in turn {
            let Some(client) = clients.get_mut(key) else { continue };
            match visit(client) {
                Visit::Done => {}
                Visit::Owed => owed.push(key),
                // A key on `owed` may find a new client from now on. Here that costs a look in
                // vain; sotto's tokens tell the two apart.
                Visit::Over => drop(clients.remove(key)),
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut Slab<Client>,
) -> Result<(), Box<dyn Error>> {
    // One edge for any number of connections: accept until `WouldBlock`, or another error.
    while let Ok((mut stream, _)) = listener.accept() {
        let token = Token(clients.vacant_key());
        // Both at once and for good: an edge costs nothing while nothing changes.
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, token, interest)?;
        clients.insert(Client { pipe: Pipe::new(stream), incomplete: Vec::new() });
    }
    Ok(())
}

/// The outcome of a visit to one client.
enum Visit {
    /// An event will report when there is something to do.
    Done,
    /// Input may be waiting that no event will report.
    Owed,
    /// The client is gone.
    Over,
}

/// Writes unsent output, reads once, and echoes the whole lines.
fn visit(client: &mut Client) -> Visit {
    // *Partial write*: the kernel takes what fits into its send buffer. The rest stays in the pipe,
    // and an event reports when there is space again. Until then the client is not read, or its
    // answers would pile up here: that is *backpressure*.
    match client.pipe.flush(Instant::now()) {
        WriteOutcome::Drained => {}
        WriteOutcome::Refused => return Visit::Done,
        WriteOutcome::Lost(_) => return Visit::Over,
    }
    if !client.pipe.is_readable() {
        return Visit::Done;
    }
    let mut buffer = [0; LINE_BYTES_MAX];
    match client.pipe.read(&mut buffer) {
        // *Short read*: the kernel had less than we asked for, so it has no more, and an event will
        // report new input. `read` has noted that. A full read proves nothing.
        ReadOutcome::Bytes(len) => client.incomplete.extend_from_slice(&buffer[..len]),
        // *`WouldBlock`*: nothing was there. That is noted, too.
        ReadOutcome::Nothing if client.pipe.is_ended() => return Visit::Over,
        // A signal interrupted the read, which says nothing about the socket.
        ReadOutcome::Nothing if client.pipe.is_readable() => return Visit::Owed,
        ReadOutcome::Nothing => return Visit::Done,
        ReadOutcome::Lost(_) => return Visit::Over,
    }
    let whole = client.incomplete.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    client.pipe.out_mut().extend(client.incomplete.drain(..whole));
    // Every buffer has a bound: here, one line.
    if client.incomplete.len() > LINE_BYTES_MAX {
        return Visit::Over;
    }
    match client.pipe.flush(Instant::now()) {
        WriteOutcome::Lost(_) => Visit::Over,
        // The next event is one for writing; the state of the input is kept in the pipe.
        WriteOutcome::Refused => Visit::Done,
        // *Owed visit*: one read a turn is fair to the others. The rest is read in the next turn,
        // although no event reports it.
        WriteOutcome::Drained if client.pipe.is_readable() => Visit::Owed,
        WriteOutcome::Drained => Visit::Done,
    }
}
