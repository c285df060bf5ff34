//! One listening socket, and the connections accepted from it.
//!
//! **Invariants**
//! - No error of `accept` ends the server. If the machine lacks a descriptor or memory, accepting
//!   is tried again later, and the log has a few lines a second about it.
//! - To stop accepting before `WouldBlock` is to owe the listener a visit (`Accepting::Owed`).
//!
//! It does not know how a connection is served: [`Server::accept`] takes it or refuses it.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::warn;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use rustix::net::sockopt;

use super::preambles::{self, Preambles};
use super::socket::{self, Identity, Socket};
use super::unix_socket::UnixSocket;
use crate::config::{Config, ListenAddress};
use crate::limits::{ACCEPT_RETRY, ACCEPTS_PER_TURN, BACKLOG, SEND_BUFFER_BYTES};
use crate::net::connection::View;
use crate::server::{Accepted, Disk, Server};
use crate::time::Now;
use crate::token::Token;

/// A listening socket.
pub struct Listener {
    /// The token that its events carry.
    pub token: mio::Token,
    acceptor: Acceptor,
    /// The part of the server that its connections see.
    view: View,
    accepting: Accepting,
}

/// A listening socket that no loop watches yet.
pub struct Acceptor(Kind);

enum Kind {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// When `accept` is to be tried.
#[derive(Clone, Copy, PartialEq)]
enum Accepting {
    /// After the next event: the last `accept` returned `WouldBlock`.
    OnEvent,
    /// In this turn: more connections may be waiting, and no event will tell of them.
    Owed,
    /// At `retry_at`, or as soon as fewer than `connections` are open: the machine had no
    /// descriptor or no memory for one more.
    Exhausted { retry_at: Instant, connections: usize },
}

impl Acceptor {
    /// Listens at an address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn bind(address: &ListenAddress, config: &Config) -> io::Result<Acceptor> {
        match address {
            ListenAddress::Tcp(address) => Acceptor::tcp(TcpListener::bind(*address)?, config),
            ListenAddress::Unix(path) => Acceptor::unix(UnixSocket::bind(path)?),
        }
    }

    /// Takes over a listening socket of another program.
    ///
    /// # Errors
    /// Those of fcntl(2) and setsockopt(2).
    #[cfg(feature = "host")]
    pub fn adopt(
        inherited: crate::host::sockets::Inherited,
        config: &Config,
    ) -> io::Result<Acceptor> {
        use crate::host::sockets::Inherited;
        match inherited {
            Inherited::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Acceptor::tcp(TcpListener::from_std(socket), config)
            }
            Inherited::Unix(socket) => Acceptor::unix(UnixSocket::adopt(socket)?),
        }
    }

    fn tcp(socket: TcpListener, config: &Config) -> io::Result<Acceptor> {
        // On Linux each accepted connection inherits these options, so they cost no system call per
        // connection. Elsewhere connections keep the system's defaults.
        sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_user_timeout(
            &socket,
            config.timeout.as_millis().min(i32::MAX as u128) as u32,
        )?;
        // It listens already, with a backlog of 128: the second call only changes that.
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Acceptor(Kind::Tcp(socket)))
    }

    fn unix(socket: UnixSocket) -> io::Result<Acceptor> {
        rustix::net::listen(&socket.listener, BACKLOG)?;
        Ok(Acceptor(Kind::Unix(socket)))
    }
}

impl Listener {
    /// Watches a socket; its events carry `token`.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn new(
        mut acceptor: Acceptor,
        view: View,
        token: mio::Token,
        registry: &Registry,
    ) -> io::Result<Listener> {
        match &mut acceptor.0 {
            Kind::Tcp(socket) => registry.register(socket, token, Interest::READABLE)?,
            Kind::Unix(UnixSocket { listener, .. }) => {
                registry.register(listener, token, Interest::READABLE)?;
            }
        }
        // An inherited socket may have connections from before, of which no event tells.
        Ok(Listener { token, acceptor, view, accepting: Accepting::Owed })
    }

    /// Returns the address it listens on; the port is known even if 0 was asked for.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn address(&self) -> io::Result<ListenAddress> {
        Ok(match &self.acceptor.0 {
            Kind::Tcp(socket) => ListenAddress::Tcp(socket.local_addr()?),
            Kind::Unix(socket) => ListenAddress::Unix(socket.path().into()),
        })
    }

    /// Notes an event: connections are waiting.
    pub fn note_readable(&mut self) {
        self.accepting = Accepting::Owed;
    }

    /// Returns how long the loop may sleep before `accept` is due; `None`: until an event.
    pub fn sleep(&self, now: Instant) -> Option<Duration> {
        match self.accepting {
            Accepting::OnEvent => None,
            Accepting::Owed => Some(Duration::ZERO),
            Accepting::Exhausted { retry_at, .. } => Some(retry_at.saturating_duration_since(now)),
        }
    }

    /// Accepts the waiting connections, at most [`ACCEPTS_PER_TURN`] of them.
    pub fn accept(
        &mut self,
        now: Now,
        server: &mut Server<Socket, impl Disk>,
        identity: Option<&Identity>,
        preambles: &mut Preambles,
        registry: &Registry,
    ) {
        if !self.is_due(now.instant, server.len()) {
            return;
        }
        self.accepting = Accepting::Owed;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.accept_one(now, server, identity, preambles, registry) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accepting = Accepting::OnEvent;
                    return;
                }
                // The peer gave up while it waited, or a signal came: the next one may be fine.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    let retry_at = now.instant + ACCEPT_RETRY;
                    self.accepting = Accepting::Exhausted { retry_at, connections: server.len() };
                    server.counters.accept_failures += 1;
                    if let Some(skipped) = server.warnings.admit(now) {
                        warn!("cannot accept connections, trying again: {error}{skipped}");
                    }
                    return;
                }
            }
        }
    }

    fn is_due(&self, now: Instant, connections_now: usize) -> bool {
        match self.accepting {
            Accepting::OnEvent => false,
            Accepting::Owed => true,
            Accepting::Exhausted { retry_at, connections } => {
                now >= retry_at || connections_now < connections
            }
        }
    }

    fn accept_one(
        &self,
        now: Now,
        server: &mut Server<Socket, impl Disk>,
        identity: Option<&Identity>,
        preambles: &mut Preambles,
        registry: &Registry,
    ) -> io::Result<()> {
        let (mut stream, peer) = match &self.acceptor.0 {
            Kind::Tcp(socket) => socket.accept().map(|(stream, peer)| (stream, Some(peer.ip())))?,
            Kind::Unix(socket) => (socket.accept()?, None),
        };
        if !server.expects_preamble(peer, self.view) {
            return self.admit(stream, peer, identity, now, server, registry);
        }
        match preambles::take_off(&mut stream) {
            Ok(Some(client)) => self.admit(stream, client, identity, now, server, registry),
            Ok(None) => preambles.admit(stream, self.token, now.instant, registry),
            Err(error) => {
                warn_of_preamble(&error, now, server);
                Ok(())
            }
        }
    }

    /// Hands a connection from this address on to the server; one to the chat has to speak TLS, if
    /// there is an identity.
    ///
    /// # Errors
    /// If the kernel does not watch it, or TLS has no memory for it; it is dropped.
    pub fn admit(
        &self,
        stream: TcpStream,
        peer: Option<IpAddr>,
        identity: Option<&Identity>,
        now: Now,
        server: &mut Server<Socket, impl Disk>,
        registry: &Registry,
    ) -> io::Result<()> {
        let stream = socket::wrap(stream, identity.filter(|_| self.view == View::Page))?;
        let register = |stream: &mut Socket, token: Token| {
            let both = Interest::READABLE | Interest::WRITABLE;
            registry.register(socket::tcp_of(stream), mio::Token(token.into()), both)
        };
        let accepted = server.accept(stream, peer, self.view, now, register)?;
        self.warn_if_full(accepted, peer, now, server);
        Ok(())
    }

    fn warn_if_full(
        &self,
        accepted: Accepted,
        peer: Option<IpAddr>,
        now: Now,
        server: &mut Server<Socket, impl Disk>,
    ) {
        let reason = match (accepted, self.view) {
            (Accepted::Taken, _) => return,
            (Accepted::AddressFull, _) => "--per-address limits them",
            #[cfg(feature = "api")]
            (Accepted::Full, View::Api) => "all connections for the API are taken",
            (Accepted::Full, View::Metrics) => "all connections for metrics are taken",
            (Accepted::Full, _) => "--max-clients or the limit of open descriptors is reached",
        };
        if let Some(skipped) = server.warnings.admit(now) {
            let from = peer.map_or("a proxy".into(), |peer| peer.to_canonical().to_string());
            warn!("no room for more connections from {from}: {reason}{skipped}");
        }
    }
}

/// Tells in the log that a trusted proxy did not begin with a preamble. A proxy that gave up is
/// only counted.
pub fn warn_of_preamble(error: &io::Error, now: Now, server: &mut Server<Socket, impl Disk>) {
    server.counters.accept_failures += 1;
    if error.kind() == ErrorKind::InvalidData
        && let Some(skipped) = server.warnings.admit(now)
    {
        warn!(
            "dropped a connection of a trusted proxy: it does not begin as --forwarded proxy \
             expects it{skipped}"
        );
    }
}
