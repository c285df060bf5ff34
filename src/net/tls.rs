//! TLS between a connection and its socket: a [`Stream`] over another [`Stream`].
//!
//! Input goes through a rustls session before the connection sees it, and output before the kernel
//! does. Neither side knows.
//!
//! Invariants:
//! - rustls buffers no outgoing ciphertext between calls, except a KeyUpdate reply, which leaves
//!   with the next write. Ciphertext that the kernel refused is kept in `refused`, counted, and
//!   flushed before more plaintext is accepted.
//! - `read` fails with `WouldBlock` only when the socket did. If a full buffer or the end stops it
//!   sooner, [`Stream::may_have_more`] says so.
//! - The input that a session keeps has a bound, however much a peer sends without completing a
//!   record.
//!
//! Which connections speak TLS, where certificates come from (`identity.rs`) and the meaning of the
//! plaintext are not known here.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use log::debug;
use rustls::server::ServerConnection;

use crate::limits::{TLS_READ_BYTES, TLS_RECORD_BYTES_MAX, TLS_UNREAD_BYTES_MAX, TLS_WRITE_BYTES};
use crate::memory::extend_tightly;
use crate::net::stream::Stream;

mod identity;

pub use identity::Identity;

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, 5.1). No HTTP
/// request begins with it.
const HANDSHAKE: u8 = 0x16;
/// Bytes of a record header: type, version and length (RFC 8446, 5.1).
const RECORD_HEADER_BYTES: u8 = 5;

/// A socket with TLS over it, or without.
pub struct TlsStream<S: Stream> {
    socket: S,
    /// In a box, so that a plain connection does not pay for it.
    session: Option<Box<Session>>,
}

struct Session {
    tls: ServerConnection,
    peer: Peer,
    records: Records,
    /// Ciphertext that the kernel refused.
    refused: Vec<u8>,
    /// Plaintext bytes that can be read without the socket.
    plain: usize,
    /// The socket may have more input, or an end, that no event will report.
    more: bool,
    /// The peer sent close_notify, or broke the protocol.
    closed: bool,
    /// Bytes that arrived since the last plaintext.
    unread: usize,
    /// The most bytes of input that rustls may still keep.
    kept: usize,
}

/// The peer's language, as its first byte shows.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Unknown,
    SpeaksTls,
    /// It is answered in plain text.
    SpeaksPlaintext,
}

impl<S: Stream> TlsStream<S> {
    /// Wraps a socket without TLS.
    pub fn plain(socket: S) -> TlsStream<S> {
        TlsStream { socket, session: None }
    }

    /// Wraps a socket with a peer that has to speak TLS.
    ///
    /// # Errors
    /// Those of rustls, which has none for an [`Identity`].
    pub fn new(socket: S, identity: &Identity) -> io::Result<TlsStream<S>> {
        let mut tls =
            ServerConnection::new(Arc::clone(identity.config())).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(TLS_WRITE_BYTES));
        let session = Session {
            tls,
            peer: Peer::Unknown,
            records: Records::default(),
            refused: Vec::new(),
            plain: 0,
            more: false,
            closed: false,
            unread: 0,
            kept: 0,
        };
        Ok(TlsStream { socket, session: Some(Box::new(session)) })
    }

    /// Returns the socket.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Returns the session and its socket, or `None` if bytes pass unchanged.
    fn session(&mut self) -> Option<(&mut Session, &mut S)> {
        let session =
            self.session.as_deref_mut().filter(|session| session.peer != Peer::SpeaksPlaintext)?;
        Some((session, &mut self.socket))
    }
}

impl<S: Stream> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((session, socket)) = self.session() else { return self.socket.read(buffer) };
        if session.peer == Peer::Unknown {
            // A read of its own, because the first byte decides how the rest is read.
            let mut first = [0];
            if socket.read(&mut first)? == 0 {
                return Ok(0);
            }
            if first != [HANDSHAKE] {
                (session.peer, session.more) = (Peer::SpeaksPlaintext, true);
                buffer[..1].copy_from_slice(&first);
                return Ok(1);
            }
            session.peer = Peer::SpeaksTls;
            session.records.pass(&first);
            session.tls.read_tls(&mut &first[..])?;
        }
        let (mut got, mut taken) = (0, 0);
        loop {
            got += session.take_plain(&mut buffer[got..])?;
            // The ciphertext has the same bound as the plaintext: in records of one byte it is 23
            // times as long.
            let is_enough = got == buffer.len() || taken >= buffer.len();
            if got > 0 && (is_enough || !session.more) {
                session.free_record_buffer();
                return Ok(got);
            }
            match session.receive(socket) {
                Ok(len) if len > 0 => taken += len,
                result if got == 0 => return result,
                result => {
                    // Plaintext comes first; the next read finds the end or the error. Records that
                    // came in the same read as a broken one are lost.
                    session.more =
                        !matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock);
                    return Ok(got);
                }
            }
        }
    }
}

impl<S: Stream> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some((session, socket)) = self.session() else { return self.socket.write(bytes) };
        session.check_writable()?;
        let taken = session.tls.writer().write(bytes)?;
        session.send(socket)?;
        Ok(taken)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some((session, socket)) = self.session() else {
            return self.socket.write_vectored(parts);
        };
        session.check_writable()?;
        // One behind the other, in the same records.
        let taken = session.tls.writer().write_vectored(parts)?;
        session.send(socket)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some((session, socket)) = self.session() else { return self.socket.flush() };
        while !session.refused.is_empty() {
            match socket.write(&session.refused)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                // Moves the rest, which is short, into a buffer of its length.
                taken => session.refused = session.refused.split_off(taken),
            }
        }
        Ok(())
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn may_have_more(&self, asked: usize, got: usize) -> bool {
        match &self.session {
            Some(session) => session.more || session.plain > 0,
            None => self.socket.may_have_more(asked, got),
        }
    }

    fn unsent(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.refused.len())
    }

    fn buffered_bytes(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.buffered_bytes())
    }

    fn is_handshaking(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| {
            session.peer != Peer::SpeaksPlaintext && session.tls.is_handshaking()
        })
    }

    fn spoke_plaintext(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.peer == Peer::SpeaksPlaintext)
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.socket.peer_address()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if let Some((session, socket)) = self.session() {
            session.tls.send_close_notify();
            session.send(socket)?;
            if !session.refused.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        // Further input is thrown away, so it need not be decrypted.
        self.session = None;
        self.socket.shutdown_write()
    }
}

impl<S: Stream> Drop for TlsStream<S> {
    /// Sends close_notify, so that the peer knows that nothing was cut off on the way; but only if
    /// that can be written at once.
    fn drop(&mut self) {
        if let Some((session, socket)) = self.session()
            && session.check_writable().is_ok()
        {
            session.tls.send_close_notify();
            let _ = session.send(socket);
        }
    }
}

impl Session {
    /// Moves plaintext into `buffer`.
    fn take_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.plain.min(buffer.len());
        self.tls.reader().read_exact(&mut buffer[..len])?;
        self.plain -= len;
        Ok(len)
    }

    /// Reads from the socket once, at most as much as rustls takes, and decrypts; 0 is the end.
    fn receive<S: Stream>(&mut self, socket: &mut S) -> io::Result<usize> {
        if self.closed {
            return Ok(0);
        }
        let mut tap = Tap { socket, records: &mut self.records, more: false };
        let got = self.tls.read_tls(&mut tap)?;
        let more = tap.more;
        let state = self.tls.process_new_packets();
        // The next message of the handshake, or an alert.
        self.send(socket)?;
        let state = state.map_err(|error| self.broken(error))?;
        (self.plain, self.closed) = (state.plaintext_bytes_to_read(), state.peer_has_closed());
        self.more = more || self.closed;
        self.unread = if self.plain > 0 { 0 } else { self.unread + got };
        if self.unread > TLS_UNREAD_BYTES_MAX {
            return Err(self.broken("the peer sends much without completing a record"));
        }
        let is_at_rest = self.plain > 0 && self.records.is_whole();
        self.kept = if is_at_rest { 0 } else { (self.kept + got).min(TLS_UNREAD_BYTES_MAX) };
        Ok(got)
    }

    /// Ends the input with an error.
    fn broken(&mut self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
        self.closed = true;
        let error = io::Error::new(ErrorKind::InvalidData, why);
        debug!("TLS: {error}");
        error
    }

    /// Lets rustls free the buffer of a long record. It does that only at its next read, which may
    /// be far away.
    fn free_record_buffer(&mut self) {
        let _ = self.tls.read_tls(&mut Drained);
    }

    /// Fails with `WouldBlock` while no plaintext may be accepted: refused ciphertext goes first,
    /// and during the handshake rustls would only buffer it.
    fn check_writable(&self) -> io::Result<()> {
        if self.refused.is_empty() && !self.tls.is_handshaking() {
            return Ok(());
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Hands all pending records to the kernel in one write, and keeps the refused bytes.
    fn send<S: Stream>(&mut self, socket: &mut S) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut Valve { socket, refused: &mut self.refused })?;
        }
        Ok(())
    }

    /// Returns the memory, in bytes, that the session keeps of its input.
    fn buffered_bytes(&self) -> usize {
        // A buffer may be twice as long as its content, and all of a record but its last byte may
        // have been read.
        2 * self.kept + if self.plain > 0 { TLS_RECORD_BYTES_MAX } else { 0 }
    }
}

/// The socket as rustls reads from it: at most [`TLS_READ_BYTES`] at once.
struct Tap<'a, S> {
    socket: &'a mut S,
    records: &'a mut Records,
    more: bool,
}

impl<S: Stream> Read for Tap<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(TLS_READ_BYTES);
        let got = self.socket.read(&mut buffer[..len])?;
        self.more = self.socket.may_have_more(len, got);
        self.records.pass(&buffer[..got]);
        Ok(got)
    }
}

/// A socket without input.
struct Drained;

impl Read for Drained {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// The socket as rustls writes to it: every byte is accepted, and a refused one kept.
struct Valve<'a, S> {
    socket: &'a mut S,
    refused: &'a mut Vec<u8>,
}

impl<S: Stream> Write for Valve<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut taken = 0;
        if self.refused.is_empty() {
            match self.socket.write_vectored(parts) {
                Ok(len) => taken = len,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        for part in parts {
            let of_part = taken.min(part.len());
            extend_tightly(self.refused, &part[of_part..]);
            taken -= of_part;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The position in the stream of records.
#[derive(Default)]
struct Records {
    /// Bytes of the current header that have arrived.
    header: u8,
    /// Bytes of the current record that have not arrived.
    left: u16,
}

impl Records {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.header < RECORD_HEADER_BYTES {
                // The length is the last field: earlier bytes are shifted out.
                self.left = self.left << 8 | u16::from(first);
                self.header += 1;
                bytes = rest;
            } else {
                let len = bytes.len().min(self.left.into());
                self.left -= len as u16;
                bytes = &bytes[len..];
            }
            if self.header == RECORD_HEADER_BYTES && self.left == 0 {
                self.header = 0;
            }
        }
    }

    /// Returns `true` between two records.
    fn is_whole(&self) -> bool {
        self.header == 0
    }
}

#[cfg(test)]
mod tests;
