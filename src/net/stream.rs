//! The seam between a connection and its bytes: a non-blocking stream of any kind.
//!
//! A socket, TLS over a socket, and a script in a test are all a [`Stream`]. The meaning of the
//! bytes is not known here.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown};

#[cfg(test)]
pub(crate) mod scripted;

/// A non-blocking byte stream: a read or write that would wait fails with `WouldBlock` instead.
///
/// The default methods suit a stream without a buffer of its own. TLS has two: ciphertext that the
/// kernel refused, and records that have not come whole.
pub trait Stream: Read + Write {
    /// Returns `true` if bytes may be waiting that no event will report, after a read that asked
    /// for `asked` bytes and got `got`.
    ///
    /// A short read has emptied the kernel's buffer (epoll(7), question 9). A stream with a buffer
    /// of its own knows better.
    fn may_have_more(&self, asked: usize, got: usize) -> bool {
        asked == got
    }

    /// Returns the bytes that the stream has taken and the kernel has refused. Nothing else can be
    /// written until `flush` has handed them on.
    fn unsent(&self) -> usize {
        0
    }

    /// Returns the memory, in bytes, that the stream keeps of input which is not readable yet.
    fn buffered_bytes(&self) -> usize {
        0
    }

    /// Returns `true` until both peers agree on how they speak. Until then it can only be read.
    fn is_handshaking(&self) -> bool {
        false
    }

    /// Returns `true` if the peer sent plain text to a TLS port. It is then answered in plain text.
    fn spoke_plaintext(&self) -> bool {
        false
    }

    /// Returns the peer's address, for the log; `None` if it is not known, or no longer.
    ///
    /// It is asked for when a line is written, which is rare, and so takes no memory before.
    fn peer_address(&self) -> Option<IpAddr> {
        None
    }

    /// Closes our side of the stream. Reading goes on, but may return the peer's bytes undecrypted.
    ///
    /// # Errors
    /// Those of shutdown(2). After `WouldBlock` the caller has to flush, and then to try again.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

impl Stream for mio::net::TcpStream {
    fn peer_address(&self) -> Option<IpAddr> {
        self.peer_addr().ok().map(|address| address.ip().to_canonical())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
