//! Where readiness and new connections come from: mio's `Poll`, the listening sockets, the signals.
//!
//! Invariant: nothing from `accept` ends the server. What the machine lacks is tried again, and
//! said once a second. Nothing here waits but `wait`, except for the disk when SIGHUP says that
//! certificate and key are new.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::info;
use mio::{Events, Interest, Poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::config::Config;
use crate::limits::{DESCRIPTORS_RESERVED, EVENTS_MAX, SHUTDOWN, WAITS_PER_TURN};
use crate::memory::tighten;
use crate::net::connection::View;
use crate::server::{Ready, Server};
use crate::time::Now;
use crate::token::Token;

mod listener;
mod socket;

use listener::{Listener, Throttle, Tls};
pub use socket::{Identity, Socket, WITHOUT_TLS};

// Tokens of connections have a slab key in their low half, which these are far above.
const CHAT: mio::Token = mio::Token(usize::MAX);
const METRICS: mio::Token = mio::Token(usize::MAX - 1);
const SIGNALS: mio::Token = mio::Token(usize::MAX - 2);
const REDIRECT: mio::Token = mio::Token(usize::MAX - 3);

/// The sockets that are listened on, and what wakes the loop.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    /// The first is the chat's.
    listeners: Vec<Listener>,
    signals: Signals,
    /// The kernel has reported signals that were not looked at.
    signalled: bool,
    warnings: Throttle,
    /// What the kernel reported last.
    ready: Vec<Ready>,
    /// After the first signal: by when it is over.
    stop_by: Option<Instant>,
}

impl EventLoop {
    /// Listens where the chat is served. From here on the signals SIGINT and SIGTERM are the
    /// loop's.
    ///
    /// # Errors
    /// When the address cannot be had, or the machine lacks what a loop needs.
    pub fn bind(config: &Config) -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let chat = Listener::open(config.listen, View::Page, CHAT, config, poll.registry())?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners: vec![chat],
            signals,
            signalled: false,
            warnings: Throttle::default(),
            ready: Vec::with_capacity(EVENTS_MAX),
            stop_by: None,
        })
    }

    /// Where it listens: the port is known even if 0 was asked for.
    ///
    /// # Errors
    /// Those of getsockname(2), or when the server is stopping.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listeners.first().ok_or(ErrorKind::NotConnected)?.address()
    }

    /// Listens for others than those who want the page, too; gives where.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind_also(
        &mut self,
        address: SocketAddr,
        view: View,
        config: &Config,
    ) -> io::Result<SocketAddr> {
        let token = match view {
            View::Page => CHAT,
            View::Metrics => METRICS,
            View::Redirect => REDIRECT,
        };
        let listener = Listener::open(address, view, token, config, self.poll.registry())?;
        let address = listener.address()?;
        self.listeners.push(listener);
        Ok(address)
    }

    /// Speaks TLS where the chat is served, with certificate and key from these files. From here on
    /// SIGHUP reads them anew.
    ///
    /// # Errors
    /// When the machine lacks what a signal needs.
    pub fn speak_tls(
        &mut self,
        identity: Identity,
        certificate: PathBuf,
        key: PathBuf,
    ) -> io::Result<()> {
        if let Some(chat) = self.listeners.first_mut() {
            chat.tls = Some(Tls { identity, certificate, key });
        }
        self.signals.add_signal(SIGHUP)
    }

    /// Serves until a signal says stop and everybody was told, or a second signal.
    ///
    /// # Errors
    /// When the kernel refuses to wait, which is beyond repair.
    pub fn run(mut self, server: &mut Server<Socket>) -> io::Result<()> {
        let mut ended = Instant::now();
        loop {
            let now = self.wait(ended, server)?;
            let at_once = self.heed_signals(now, server);
            server.turn(now, &self.ready);
            // Behind the turn, so that a connection that ended in it has made room.
            self.accept(now, server);
            // The end of one turn is where the next sleep begins: one look at the clock for both.
            ended = Instant::now();
            server.counters.turns.add(ended.saturating_duration_since(now.instant));
            if at_once || self.stop_by.is_some_and(|by| server.is_empty() || by <= now.instant) {
                return Ok(());
            }
        }
    }

    /// The only place that sleeps, from `now` on: until readiness, or the nearest deadline.
    fn wait(&mut self, now: Instant, server: &Server<Socket>) -> io::Result<Now> {
        let accept = self.listeners.iter().filter_map(|listener| listener.sleep(now)).min();
        let stop = self.stop_by.map(|at| at.saturating_duration_since(now));
        let timeout = [server.sleep(now), accept, stop].into_iter().flatten().min();
        self.ready.clear();
        tighten(&mut self.ready, EVENTS_MAX);
        self.take_events(timeout)?;
        // A message that has come behind a thousand ends does not wait for them.
        for _ in 1..WAITS_PER_TURN {
            let is_full = self.events.iter().count() == EVENTS_MAX;
            if !is_full || self.ready.iter().filter(|ready| !ready.closed).count() > EVENTS_MAX / 2
            {
                break;
            }
            self.take_events(Some(Duration::ZERO))?;
        }
        Ok(Now::read())
    }

    fn take_events(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        for event in &self.events {
            match event.token() {
                CHAT | METRICS | REDIRECT => {
                    for listener in
                        self.listeners.iter_mut().filter(|listener| listener.token == event.token())
                    {
                        listener.note_readable();
                    }
                }
                SIGNALS => self.signalled = true,
                token => self.ready.push(Ready {
                    token: Token::from(token.0),
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    closed: event.is_read_closed() || event.is_error(),
                }),
            }
        }
        Ok(())
    }

    /// The first signal begins the end, a second one is the end: then it gives true.
    fn heed_signals(&mut self, now: Now, server: &mut Server<Socket>) -> bool {
        if !std::mem::take(&mut self.signalled) {
            return false;
        }
        for signal in self.signals.pending() {
            if signal == SIGHUP {
                self.listeners.iter_mut().for_each(Listener::reload);
                continue;
            }
            if self.stop_by.is_some() {
                return true;
            }
            info!("stopping; connections to say goodbye to: {}", server.len());
            self.stop_by = Some(now.instant + SHUTDOWN);
            self.listeners.clear();
            server.shut_down(now);
        }
        false
    }

    fn accept(&mut self, now: Now, server: &mut Server<Socket>) {
        for listener in &mut self.listeners {
            listener.accept(now, server, self.poll.registry(), &mut self.warnings);
        }
    }
}

/// Raises the limit of open descriptors as far as this process may.
///
/// # Errors
/// When the kernel does not let it.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// How many connections the limit of open descriptors leaves room for.
pub fn connections_possible() -> usize {
    let descriptors =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    descriptors.saturating_sub(DESCRIPTORS_RESERVED)
}
