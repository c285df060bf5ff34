//! Connections of trusted proxies that have not sent their preamble (`--forwarded proxy`).
//!
//! A preamble comes before TLS and HTTP, so no other part of the server knows of it: a connection
//! waits here until its preamble is whole, which is then taken off the stream.
//!
//! **Invariants**
//! - A connection waits for [`PREAMBLE_TIMEOUT`] at most, and no longer than until
//!   [`PREAMBLES_MAX`] others have come. So no more wait, and their tokens differ.
//! - The bytes of a preamble are looked at where they lie in the kernel, and read once they are
//!   whole. No byte behind them is read.
//!
//! It does not know how the connection goes on.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry};

use crate::limits::{PREAMBLE_BYTES_MAX, PREAMBLE_TIMEOUT, PREAMBLES_MAX};
use crate::net::proxies::preamble::{self, Preamble};

/// The greatest token of a waiting connection. Listeners and signals have greater ones, and
/// connections of the server far lower ones.
const TOKEN_MAX: usize = usize::MAX - 16;

/// The waiting connections.
#[derive(Default)]
pub struct Preambles {
    /// In the order in which they came, so also of their numbers and deadlines.
    waiting: VecDeque<Waiting>,
    /// The numbers of connections with an event.
    ready: Vec<usize>,
    /// The number of the next connection.
    next: usize,
}

struct Waiting {
    number: usize,
    stream: TcpStream,
    /// The token of the listener that accepted it.
    listener: mio::Token,
    deadline: Instant,
}

/// A connection behind its preamble.
pub struct Announced {
    /// The stream, of which no byte behind the preamble has been read.
    pub stream: TcpStream,
    /// The token of the listener that accepted it.
    pub listener: mio::Token,
    /// The client; `None` if the connection is the proxy's own.
    pub client: Option<IpAddr>,
}

impl Preambles {
    /// Returns `true` if a token is that of a waiting connection.
    pub fn owns(token: mio::Token) -> bool {
        (TOKEN_MAX - PREAMBLES_MAX + 1..=TOKEN_MAX).contains(&token.0)
    }

    fn token(number: usize) -> mio::Token {
        mio::Token(TOKEN_MAX - number % PREAMBLES_MAX)
    }

    /// Takes a connection in, to wait for its preamble. The one that came [`PREAMBLES_MAX`] before
    /// it is dropped, if it still waits.
    ///
    /// # Errors
    /// If the kernel does not watch it; it is dropped.
    pub fn admit(
        &mut self,
        mut stream: TcpStream,
        listener: mio::Token,
        now: Instant,
        registry: &Registry,
    ) -> io::Result<()> {
        if self.waiting.front().is_some_and(|first| self.next - first.number >= PREAMBLES_MAX) {
            self.waiting.pop_front();
        }
        let number = self.next;
        registry.register(&mut stream, Preambles::token(number), Interest::READABLE)?;
        self.next += 1;
        let deadline = now + PREAMBLE_TIMEOUT;
        self.waiting.push_back(Waiting { number, stream, listener, deadline });
        Ok(())
    }

    /// Notes an event of a waiting connection.
    pub fn note_ready(&mut self, token: mio::Token) {
        let found = self.waiting.iter().find(|one| Preambles::token(one.number) == token);
        self.ready.extend(found.map(|one| one.number));
    }

    /// Returns how long the loop may sleep; `None`: until an event.
    pub fn sleep(&self, now: Instant) -> Option<Duration> {
        self.waiting.front().map(|first| first.deadline.saturating_duration_since(now))
    }

    /// Returns the next connection with an event and a whole preamble. Late ones are dropped.
    ///
    /// # Errors
    /// The stream broke, or its first bytes are no preamble; it is dropped.
    pub fn next(&mut self, now: Instant, registry: &Registry) -> Option<io::Result<Announced>> {
        while let Some(number) = self.ready.pop() {
            let at = self.waiting.binary_search_by_key(&number, |one| one.number);
            let Some(Waiting { stream, .. }) = at.ok().and_then(|at| self.waiting.get_mut(at))
            else {
                continue;
            };
            let result = match take_off(stream) {
                Ok(None) => continue,
                Ok(Some(client)) => registry.deregister(stream).map(|()| client),
                Err(error) => Err(error),
            };
            let Waiting { stream, listener, .. } = self.waiting.remove(at.ok()?)?;
            return Some(result.map(|client| Announced { stream, listener, client }));
        }
        while self.waiting.front().is_some_and(|first| first.deadline <= now) {
            self.waiting.pop_front();
        }
        None
    }

    /// Drops all waiting connections, because the server goes away.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// Takes the preamble off a stream, if it is whole, and returns the client that it tells.
///
/// # Errors
/// The stream broke or ended, or its first bytes are no preamble.
pub fn take_off(stream: &mut TcpStream) -> io::Result<Option<Option<IpAddr>>> {
    let mut bytes = [0; PREAMBLE_BYTES_MAX];
    let len = match stream.peek(&mut bytes) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(len) => len,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match preamble::parse(&bytes[..len]) {
        Preamble::Incomplete => Ok(None),
        Preamble::Complete { used, client } => {
            // The bytes are in the kernel, so this does not block.
            stream.read_exact(&mut bytes[..used])?;
            Ok(Some(client))
        }
        Preamble::Invalid => Err(ErrorKind::InvalidData.into()),
    }
}
