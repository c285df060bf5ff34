//! TLS between a connection and its socket: what comes goes through a session before the connection
//! sees it, and what leaves goes through it before the kernel does. Neither side knows: this is a
//! [`Stream`] over another.
//!
//! Invariants:
//! - The session keeps nothing that is to leave, but its answer to new keys until the next write.
//!   What the kernel refuses lies in `refused`, is counted, and has to go before more is taken.
//! - `read` says `WouldBlock` only when the socket did: whatever stops it sooner, bytes or the end,
//!   is told by [`Stream::may_have_more`].
//! - A peer that says much and means nothing is refused: what the session keeps of it has a bound.
//!
//! What is said in plain, by whom, and until when, is not known here.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::path::Path;
use std::sync::Arc;

use log::debug;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConnection};
use rustls::{Error, ServerConfig};

use crate::limits::{TLS_READ_BYTES, TLS_RECORD_BYTES_MAX, TLS_UNREAD_BYTES_MAX, TLS_WRITE_BYTES};
use crate::memory::extend_tightly;
use crate::net::stream::Stream;

/// The first byte of a TLS connection: a handshake record (RFC 8446, 5.1). No request of HTTP
/// begins with it.
const HANDSHAKE: u8 = 0x16;
/// Bytes of a record's header: its type, its version, and its length in two.
const RECORD_HEADER_BYTES: u8 = 5;

/// Certificate and key, and all that new sessions begin with.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Identity {
    /// Reads a certificate with its chain, and its key. This waits for a disk.
    ///
    /// # Errors
    /// One sentence for the person who runs the server, naming the option whose file is to blame.
    pub fn load(certificate: &Path, key: &Path) -> Result<Identity, String> {
        let tickets =
            ring::Ticketer::new().map_err(|error| format!("no keys for tickets: {error}"))?;
        Identity::with_tickets(certificate, key, tickets)
    }

    /// The same files as they are now. Who has a ticket from before can go on using it.
    ///
    /// # Errors
    /// Those of [`Identity::load`]; this identity is as good as before.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<Identity, String> {
        Identity::with_tickets(certificate, key, Arc::clone(&self.0.ticketer))
    }

    fn with_tickets(
        certificate: &Path,
        key: &Path,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Identity, String> {
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(
                |chain| if chain.is_empty() { Err(PemError::NoItemsFound) } else { Ok(chain) },
            )
            .map_err(|error| {
                format!("--tls-cert: {}", unreadable(certificate, "certificate", &error))
            })?;
        let secret = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("--tls-key: {}", unreadable(key, "key", &error)))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => {
                    "--tls-key is not the key of the certificate in --tls-cert".into()
                }
                error => format!("--tls-cert and --tls-key cannot be used: {error}"),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // What is needed to resume a session is in the client's ticket; nothing is kept for it
        // here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = tickets;
        Ok(Identity(Arc::new(config)))
    }
}

/// Nothing of what stands in the file: it may be the key.
fn unreadable(path: &Path, what: &str, error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("{} cannot be read: {error}", path.display()),
        _ => format!("{} holds no {what} in PEM", path.display()),
    }
}

/// A stream over a socket, with TLS or without.
pub struct TlsStream<S: Stream> {
    socket: S,
    /// In a box, because who has none should not pay for it.
    session: Option<Box<Session>>,
}

struct Session {
    tls: ServerConnection,
    peer: Peer,
    records: Records,
    /// Ciphertext that the kernel has refused.
    refused: Vec<u8>,
    /// Bytes that can be read without the socket.
    plain: usize,
    /// The socket may have more, or an end, that no event will tell of.
    more: bool,
    /// The peer has said close, or what it said was no TLS.
    closed: bool,
    /// Bytes that have come since any could be read.
    unheard: usize,
    /// As many of what has come rustls may still keep.
    kept: usize,
}

/// What the first byte has shown.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Unknown,
    SpeaksTls,
    /// Then so do we.
    SpeaksPlainly,
}

impl<S: Stream> TlsStream<S> {
    /// A stream that changes nothing.
    pub fn plain(socket: S) -> TlsStream<S> {
        TlsStream { socket, session: None }
    }

    /// A stream whose peer has to speak TLS.
    ///
    /// # Errors
    /// Those of rustls, which has none for an [`Identity`].
    pub fn new(socket: S, identity: &Identity) -> io::Result<TlsStream<S>> {
        let mut tls = ServerConnection::new(Arc::clone(&identity.0)).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(TLS_WRITE_BYTES));
        let session = Session {
            tls,
            peer: Peer::Unknown,
            records: Records::default(),
            refused: Vec::new(),
            plain: 0,
            more: false,
            closed: false,
            unheard: 0,
            kept: 0,
        };
        Ok(TlsStream { socket, session: Some(Box::new(session)) })
    }

    /// The socket below.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// The session, and the socket for it; none: bytes are what they are.
    fn session(&mut self) -> Option<(&mut Session, &mut S)> {
        let session =
            self.session.as_deref_mut().filter(|session| session.peer != Peer::SpeaksPlainly)?;
        Some((session, &mut self.socket))
    }
}

impl<S: Stream> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((session, socket)) = self.session() else { return self.socket.read(buffer) };
        if session.peer == Peer::Unknown {
            // By itself: behind it all is TLS, or nothing.
            let mut first = [0];
            if socket.read(&mut first)? == 0 {
                return Ok(0);
            }
            if first != [HANDSHAKE] {
                (session.peer, session.more) = (Peer::SpeaksPlainly, true);
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
            // Records of one byte each are 23 times the work: what comes has the same bound as what
            // it says.
            let is_enough = got == buffer.len() || taken >= buffer.len();
            if got > 0 && (is_enough || !session.more) {
                session.give_back();
                return Ok(got);
            }
            match session.receive(socket) {
                Ok(len) if len > 0 => taken += len,
                result if got == 0 => return result,
                result => {
                    // The end and what breaks the stream come behind what was said before; what
                    // came in the very read that breaks it is not heard.
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
        // Behind each other in the same records.
        let taken = session.tls.writer().write_vectored(parts)?;
        session.send(socket)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some((session, socket)) = self.session() else { return self.socket.flush() };
        while !session.refused.is_empty() {
            match socket.write(&session.refused)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                // Moves the rest, which is short, and gives back what it no longer needs.
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
            session.peer != Peer::SpeaksPlainly && session.tls.is_handshaking()
        })
    }

    fn spoke_plaintext(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.peer == Peer::SpeaksPlainly)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if let Some((session, socket)) = self.session() {
            session.tls.send_close_notify();
            session.send(socket)?;
            if !session.refused.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        // Nobody hears what still comes, so nobody has to understand it.
        self.session = None;
        self.socket.shutdown_write()
    }
}

impl<S: Stream> Drop for TlsStream<S> {
    /// However it ends: nothing was cut off by somebody on the way. If that cannot be said at once
    /// it is not said.
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
    /// Hands on what can be read in plain.
    fn take_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.plain.min(buffer.len());
        self.tls.reader().read_exact(&mut buffer[..len])?;
        self.plain -= len;
        Ok(len)
    }

    /// Reads from the socket once, as much as rustls takes at once, and works out what it means. 0:
    /// the end.
    fn receive<S: Stream>(&mut self, socket: &mut S) -> io::Result<usize> {
        if self.closed {
            return Ok(0);
        }
        let mut tap = Tap { socket, records: &mut self.records, more: false };
        let got = self.tls.read_tls(&mut tap)?;
        let more = tap.more;
        let state = self.tls.process_new_packets();
        // Answers of the handshake, or an alert that says what is wrong.
        self.send(socket)?;
        let state = state.map_err(|error| self.broken(error))?;
        (self.plain, self.closed) = (state.plaintext_bytes_to_read(), state.peer_has_closed());
        self.more = more || self.closed;
        self.unheard = if self.plain > 0 { 0 } else { self.unheard + got };
        if self.unheard > TLS_UNREAD_BYTES_MAX {
            return Err(self.broken("the peer sends much and says nothing"));
        }
        let is_at_rest = self.plain > 0 && self.records.is_whole();
        self.kept = if is_at_rest { 0 } else { (self.kept + got).min(TLS_UNREAD_BYTES_MAX) };
        Ok(got)
    }

    /// Nothing more is heard.
    fn broken(&mut self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
        self.closed = true;
        let error = io::Error::new(ErrorKind::InvalidData, why);
        debug!("TLS: {error}");
        error
    }

    /// rustls gives back what a long record took when it reads again, and with that it waits for
    /// the next record.
    fn give_back(&mut self) {
        let _ = self.tls.read_tls(&mut Nothing);
    }

    /// Is this the time to write? What was refused goes first, and in the handshake it would only
    /// be kept.
    fn check_writable(&self) -> io::Result<()> {
        if self.refused.is_empty() && !self.tls.is_handshaking() {
            return Ok(());
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Hands all records that wait to the kernel in one write, and keeps what it refuses.
    fn send<S: Stream>(&mut self, socket: &mut S) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut Valve { socket, refused: &mut self.refused })?;
        }
        Ok(())
    }

    /// Bytes of memory that are kept of what has come.
    fn buffered_bytes(&self) -> usize {
        // A buffer may be twice as long as what is in it; a record may have been handed on but for
        // its last byte.
        2 * self.kept + if self.plain > 0 { TLS_RECORD_BYTES_MAX } else { 0 }
    }
}

/// The socket as rustls reads from it.
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

/// A socket with nothing to read.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// The socket as rustls writes to it: all is taken.
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

/// Where records end in what has come.
#[derive(Default)]
struct Records {
    /// Bytes of the header that have come.
    header: u8,
    /// Bytes of the record that are to come behind it.
    left: u16,
}

impl Records {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.header < RECORD_HEADER_BYTES {
                // The length stands last; what was shifted in before it is shifted out.
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

    /// Has no record begun that has not ended?
    fn is_whole(&self) -> bool {
        self.header == 0
    }
}

#[cfg(test)]
mod tests;
