//! The event loop: it waits for readiness, new connections and signals, and runs one turn for them.
//!
//! mio's `Poll` is the kernel's list of watched sockets (epoll on Linux, kqueue on the BSDs).
//! `Poll::poll` is the call that sleeps until one of them becomes ready, and it fills `Events` with
//! the ready ones. A socket is put on that list through the list's `Registry`, together with a
//! token, which its events carry, and an `Interest`, the kinds of readiness that are watched:
//! readable, writable or both. Events are *edges*: one comes when a socket *becomes* ready, and no
//! second one while it stays so (see [`crate::server`]). So a connection is registered once, for
//! both kinds: a socket that stays writable does not wake the loop, and the interest never changes.
//!
//! **Invariants**
//! - Nothing here blocks except `wait`; only after SIGHUP are files read from disk:
//!   certificate and key, password, API token, and the key of tokens.
//! - No error of `accept` ends the server (`listener.rs`).
//!
//! It does not read or write a connection: [`Server::turn`] does.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::info;
#[cfg(any(feature = "host", feature = "api"))]
use log::warn;
use mio::{Events, Interest, Poll, Waker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

#[cfg(feature = "api")]
use crate::api::token::Tokens;
#[cfg(feature = "auth")]
use crate::auth;
#[cfg(feature = "auth")]
use crate::chat::vouching::Voucher;
use crate::config::ListenAddress;
#[cfg(feature = "host")]
use crate::host::password;
use crate::limits::{DESCRIPTORS_RESERVED, EVENTS_MAX, LISTENERS_MAX, SHUTDOWN, WAITS_PER_TURN};
use crate::memory::tighten;
use crate::net::connection::View;
use crate::server::{Disk, Ready, Server};
use crate::time::Now;
use crate::token::Token;

mod certificate;
mod listener;
mod preambles;
mod service;
mod socket;
mod unix_socket;

use certificate::Tls;
pub use listener::Acceptor;
use listener::{Listener, warn_of_preamble};
use preambles::{Announced, Preambles};
use service::Service;
pub use socket::{Identity, Socket, WITHOUT_TLS};

// The low half of a connection's token is its slab key, and no key gets as high as these.
const SIGNALS: mio::Token = mio::Token(usize::MAX);
const DISK: mio::Token = mio::Token(usize::MAX - 1);
/// The greatest token of a listener: that of the first. The others have the ones below.
const LISTENER_TOKEN_MAX: usize = usize::MAX - 2;

/// The listening sockets, and everything else that wakes the loop.
pub struct EventLoop {
    poll: Poll,
    /// The events of the last `poll`, kept so that each call fills the same buffer.
    events: Events,
    /// The listening sockets. Empty while the server stops.
    listeners: Vec<Listener>,
    /// The certificate of the chat; none: it is served over plain TCP.
    tls: Option<Tls>,
    /// The manager of services that has started the program.
    service: Service,
    preambles: Preambles,
    signals: Signals,
    /// The file of the password; none: any client may join.
    #[cfg(feature = "host")]
    pub password_file: Option<PathBuf>,
    /// The file of the API's tokens; none: there is no API.
    #[cfg(feature = "api")]
    pub api_token_file: Option<PathBuf>,
    /// The source of the key that tokens are signed with; none: no token is asked for.
    #[cfg(feature = "auth")]
    pub auth: Option<auth::Source>,
    /// Signals have arrived that [`EventLoop::heed_signals`] has not read yet.
    signalled: bool,
    /// The ready connections of this turn.
    ready: Vec<Ready>,
    /// The time at which the loop ends even if clients are still connected. The first signal sets
    /// it.
    stop_by: Option<Instant>,
}

impl EventLoop {
    /// Takes over SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// If the machine lacks descriptors or memory for a loop.
    pub fn new() -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners: Vec::new(),
            tls: None,
            service: Service::from_env(),
            preambles: Preambles::default(),
            #[cfg(feature = "host")]
            password_file: None,
            #[cfg(feature = "api")]
            api_token_file: None,
            #[cfg(feature = "auth")]
            auth: None,
            signals,
            signalled: false,
            ready: Vec::with_capacity(EVENTS_MAX),
            stop_by: None,
        })
    }

    /// Accepts connections from one more socket, and returns its address, with its port even if 0
    /// was asked for.
    ///
    /// # Errors
    /// Those of epoll_ctl(2) and getsockname(2); also if there are [`LISTENERS_MAX`] already.
    pub fn listen(&mut self, acceptor: Acceptor, view: View) -> io::Result<ListenAddress> {
        if self.listeners.len() == LISTENERS_MAX {
            return Err(io::Error::other("there are too many addresses"));
        }
        let token = mio::Token(LISTENER_TOKEN_MAX - self.listeners.len());
        let listener = Listener::new(acceptor, view, token, self.poll.registry())?;
        let address = listener.address()?;
        self.listeners.push(listener);
        Ok(address)
    }

    /// Returns a waker, with which the thread of a disk ends the loop's sleep when it has news.
    ///
    /// # Errors
    /// If the machine lacks descriptors or memory.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), DISK)
    }

    /// Serves the chat over TLS. From now on SIGHUP reads both files again.
    pub fn speak_tls(&mut self, identity: Identity, certificate: PathBuf, key: PathBuf) {
        self.tls = Some(Tls::new(identity, certificate, key));
    }

    /// Serves until a signal stops it and every client was told, at most [`SHUTDOWN`] later.
    ///
    /// A second signal stops it at once.
    ///
    /// # Errors
    /// If the kernel refuses to wait, which is beyond repair.
    pub fn run(mut self, server: &mut Server<Socket, impl Disk>) -> io::Result<()> {
        let mut ended = Instant::now();
        self.service.tell("READY=1");
        loop {
            let now = self.wait(ended, server)?;
            let at_once = self.heed_signals(now, server);
            self.service.beat(now.instant, || (server.clients(), server.len()));
            if let Some(tls) = &mut self.tls {
                server.counters.certificate_expiry = tls.look_at_expiry(now);
            }
            server.turn(now, &self.ready);
            // After the turn, so that connections removed in it have made room for new ones.
            self.accept(now, server);
            self.admit_announced(now, server);
            // A turn ends where the next sleep begins, so one look at the clock does for both.
            ended = Instant::now();
            server.counters.turns.add(ended.saturating_duration_since(now.instant));
            if at_once || self.stop_by.is_some_and(|by| server.is_empty() || by <= now.instant) {
                return Ok(());
            }
        }
    }

    /// Sleeps from `now` until readiness or the nearest deadline; nothing else sleeps.
    ///
    /// Collects the ready connections, and returns the time at which the loop woke up.
    fn wait(&mut self, now: Instant, server: &Server<Socket, impl Disk>) -> io::Result<Now> {
        let accept = self.listeners.iter().filter_map(|listener| listener.sleep(now)).min();
        let stop = self.stop_by.map(|at| at.saturating_duration_since(now));
        let preamble = self.preambles.sleep(now);
        let beat = self.service.sleep(now);
        let expiry = self.tls.as_ref().map(|tls| tls.sleep(now));
        let timeout = [server.sleep(now), accept, preamble, stop, beat, expiry];
        let timeout = timeout.into_iter().flatten().min();
        self.ready.clear();
        tighten(&mut self.ready, EVENTS_MAX);
        self.take_events(timeout)?;
        // If `events` was full of ended connections, the kernel is asked for more, so that a
        // message that arrived after a thousand ends does not wait for them.
        for _ in 1..WAITS_PER_TURN {
            let is_full = self.events.iter().count() == EVENTS_MAX;
            let open = self.ready.iter().filter(|ready| !ready.closed).count();
            if !is_full || open > EVENTS_MAX / 2 {
                break;
            }
            self.take_events(Some(Duration::ZERO))?;
        }
        Ok(Now::read())
    }

    /// Calls `poll` once, and sorts its events: listeners, signals, connections.
    fn take_events(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            // A signal interrupted the call; its event comes with the next one.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        for event in &self.events {
            match event.token() {
                SIGNALS => self.signalled = true,
                // The turn asks the disk for its news.
                DISK => {}
                token if token.0 > LISTENER_TOKEN_MAX - LISTENERS_MAX => {
                    if let Some(listener) = self.listeners.get_mut(LISTENER_TOKEN_MAX - token.0) {
                        listener.note_readable();
                    }
                }
                token if Preambles::owns(token) => self.preambles.note_ready(token),
                token => self.ready.push(Ready {
                    token: Token::from(token.0),
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    closed: event.is_read_closed() || event.is_error(),
                    failed: event.is_error(),
                }),
            }
        }
        Ok(())
    }

    /// Reads the signals that have arrived. Returns `true` if the loop has to end with this turn.
    ///
    /// The first SIGINT or SIGTERM tells every client goodbye, the second one ends the loop. SIGHUP
    /// reads certificate, key, password, API token and the key of tokens again, or does nothing:
    /// programs that manage services send it to any of them.
    fn heed_signals(&mut self, now: Now, server: &mut Server<Socket, impl Disk>) -> bool {
        if !std::mem::take(&mut self.signalled) {
            return false;
        }
        for signal in self.signals.pending() {
            if signal == SIGHUP {
                self.reload(server);
                continue;
            }
            if self.stop_by.is_some() {
                return true;
            }
            info!(
                "stopping: {} connections have {} seconds to end; a second signal ends them now",
                server.len(),
                SHUTDOWN.as_secs()
            );
            self.service.tell("STOPPING=1");
            self.stop_by = Some(now.instant + SHUTDOWN);
            self.listeners.clear();
            self.preambles.clear();
            server.shut_down(now);
        }
        false
    }

    fn reload(&mut self, server: &mut Server<Socket, impl Disk>) {
        #[cfg(feature = "host")]
        let has_secret = self.reload_password(server);
        #[cfg(not(feature = "host"))]
        let has_secret = false;
        #[cfg(feature = "api")]
        let has_secret = self.reload_token(server) | has_secret;
        #[cfg(feature = "auth")]
        let has_secret = self.reload_auth(server) || has_secret;
        match &mut self.tls {
            Some(tls) => {
                let has_failed = !tls.reload();
                server.counters.reload_failures += u64::from(has_failed);
            }
            None if has_secret => {}
            None => info!("SIGHUP is ignored: there is no certificate to read again"),
        }
    }

    /// Reads the password again. Returns `false` if there is none.
    ///
    /// This waits for the disk. Clients that have joined stay.
    #[cfg(feature = "host")]
    fn reload_password(&self, server: &mut Server<Socket, impl Disk>) -> bool {
        let Some(file) = &self.password_file else { return false };
        if let Some(new) = reloaded("the password", password::read(file), server) {
            server.require_password(&new, password::random_key());
        }
        true
    }

    /// Reads the API's tokens again. Returns `false` if there is no API.
    ///
    /// This waits for the disk. Calls that have begun are answered.
    #[cfg(feature = "api")]
    fn reload_token(&self, server: &mut Server<Socket, impl Disk>) -> bool {
        let Some(file) = &self.api_token_file else { return false };
        if let Some(tokens) = reloaded("the API token", Tokens::read(file), server) {
            server.open_api(tokens);
        }
        true
    }

    /// Reads the key of tokens again. Returns `false` if there is none.
    ///
    /// This waits for the disk. Clients that have joined stay.
    #[cfg(feature = "auth")]
    fn reload_auth(&self, server: &mut Server<Socket, impl Disk>) -> bool {
        let Some(source) = &self.auth else { return false };
        if let Some(jwt) = reloaded("the key of --auth", source.read(), server) {
            server.require_login(Voucher::Token(Box::new(jwt)));
        }
        true
    }

    fn accept(&mut self, now: Now, server: &mut Server<Socket, impl Disk>) {
        let identity = self.tls.as_ref().map(Tls::identity);
        for listener in &mut self.listeners {
            listener.accept(now, server, identity, &mut self.preambles, self.poll.registry());
        }
    }

    /// Hands on the connections of proxies whose preamble has come.
    fn admit_announced(&mut self, now: Now, server: &mut Server<Socket, impl Disk>) {
        let (registry, identity) = (self.poll.registry(), self.tls.as_ref().map(Tls::identity));
        while let Some(announced) = self.preambles.next(now.instant, registry) {
            let admitted = announced.and_then(|Announced { stream, listener, client }| match self
                .listeners
                .iter()
                .find(|one| one.token == listener)
            {
                Some(listener) => listener.admit(stream, client, identity, now, server, registry),
                None => Ok(()),
            });
            if let Err(error) = admitted {
                warn_of_preamble(&error, now, server);
            }
        }
    }
}

/// Tells in the log whether a secret was read again, and counts a failure.
#[cfg(any(feature = "host", feature = "api"))]
fn reloaded<T>(
    name: &str,
    read: Result<T, String>,
    server: &mut Server<Socket, impl Disk>,
) -> Option<T> {
    match &read {
        Ok(_) => info!("{name} was read anew"),
        Err(sentence) => {
            server.counters.reload_failures += 1;
            warn!("{name} stays as it was: {sentence}");
        }
    }
    read.ok()
}

/// Raises this process's limit of open descriptors (RLIMIT_NOFILE) as far as allowed.
///
/// # Errors
/// If the kernel refuses.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Returns how many connections the limit of open descriptors leaves room for.
pub fn connections_possible() -> usize {
    let descriptors =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    descriptors.saturating_sub(DESCRIPTORS_RESERVED)
}
