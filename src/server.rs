//! The loop: one turn over all sockets, and the chat between them.
//!
//! Instead of a thread for each client there is one thread that asks the kernel: which of my
//! sockets can be read or written now, without waiting? That is *readiness*. The sockets are
//! non-blocking: a read with nothing there, or a write that the kernel has no room for, fails with
//! `WouldBlock` at once, and the thread goes on with the next socket.
//!
//! mio reports *edges*. Side by side with the other way, *level-triggered* readiness:
//!
//! ```text
//!                        level-triggered: poll(2)          edge-triggered: mio
//! an event comes         at every wait while input is      once, when new input arrives
//!                        unread
//! after a part is read   nothing to remember: the next     the rest is owed a visit: no
//!                        wait reports the rest             event reports it
//! interest in output     is switched on and off with it    stays on: one event comes after
//!                                                          a refused write
//! ```
//!
//! A thread that stops before `WouldBlock`, or before a short read, owes that socket a visit. Each
//! such debt is kept here as a token on a list, and while there is one, the loop does not sleep.
//!
//! One pass is a *turn* ([`Server::turn`]): dispatch → expire → commit → flush → sweep. The stages
//! work off lists of tokens:
//!
//! ```text
//! list             a token is put on by           and taken off by            may stand twice?
//! pending_read     enlist: a read is owed         dispatch: one read each     no: is_on_read_list
//! pending_low      enlist: likewise, during a     dispatch_low: some a turn,  no: likewise
//!                  handshake or near the end      longest waiting first
//! pending_write    enlist: output is unsent;      flush: all                  yes: a 2nd write
//!                  dispatch: writable again;                                  finds nothing
//!                  the hub: a line to deliver
//! pending_removal  settle: the connection is      sweep: all                  yes: a 2nd
//!                  gone                                                       look-up is in vain
//! deadlines        enlist: an earlier deadline    expire: some a turn         yes: one is live
//! pressing (hub)   the hub: much waits in an      flush_pressing: all         yes: a 2nd write
//!                  outbox                                                     finds nothing
//! disconnects      the hub: a client has to go    send_disconnects: all       no: a client goes
//! (hub)                                                                       once
//! ```
//!
//! Invariants:
//! - Nothing blocks the loop, and no client's trouble leaves its connection. With a store, one
//!   other thread writes to the disk ([`Disk`]): a file is always ready, and still it blocks.
//! - A connection is *marked* as ended anywhere and *removed* in `sweep`, so no key changes hands
//!   within a turn. The hub hears of the end where it is marked.
//! - Output is not written where it is made: `flush` writes once a turn, and all lines that wait
//!   for a client leave as one message. Earlier writes happen only where waiting would do harm: to
//!   a client with an outbox about to overflow (`flush_pressing`), after a read that queued many
//!   answers (`read`), and before a deadline is acted upon (`expire`).
//!
//! Where readiness and new connections come from is not known here ([`crate::event_loop`]), so a
//! test can play the kernel.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::debug;

use crate::chat::hub::{self, Departure, Disconnect, Hub};
use crate::chat::journal::Batch;
use crate::chat::protocol::CloseCode;
#[cfg(feature = "auth")]
use crate::chat::vouching::Voucher;
use crate::config::Config;
#[cfg(feature = "api")]
use crate::limits::API_CONNECTIONS_MAX;
use crate::limits::{
    DEADLINES_PER_TURN, DEADLINES_SPARE, ENDS_PER_TURN, HANDSHAKES_PER_TURN,
    METRICS_CONNECTIONS_MAX, READ_BYTES, REFUSALS_MAX, TABLE_CAPACITY_MIN, UNSENT_BYTES_TOTAL,
};
use crate::memory::{Budget, tighten};
use crate::metrics::{self, Counters, LogLines};
use crate::net::connection::{self, Connection, End, Shared, View};
use crate::net::proxies::Forwarding;
use crate::net::rate::Rate;
use crate::net::stream::Stream;
use crate::throttle::Throttle;
use crate::time::{Deadlines, Now};
use crate::token::{Slots, Token};

#[cfg(feature = "api")]
mod api;
mod commit;
mod input;
#[cfg(feature = "host")]
mod joins;
mod lines;
#[cfg(feature = "peerjs")]
mod peerjs;
mod slot;

#[cfg(feature = "api")]
use api::Api;
pub use commit::{Disk, NoDisk, Outcome};
#[cfg(feature = "host")]
pub use joins::JoinLog;
use slot::{Slot, SlotKind};

/// Readiness of one socket, as the kernel reported it.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The socket's token.
    pub token: Token,
    /// Input has arrived.
    pub readable: bool,
    /// The kernel takes output again, after it refused some.
    pub writable: bool,
    /// The end of the stream has come, or an error: both are found by reading.
    pub closed: bool,
    /// An error has come: a reset, or the kernel found the peer dead.
    pub failed: bool,
}

/// The outcome of accepting a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It has a slot.
    Taken,
    /// All slots are taken. Its request is answered 503 if a slot for refusals is free.
    Full,
    /// All slots for its address are taken. It is answered likewise.
    AddressFull,
}

/// All connections, and the chat that goes on over them.
pub struct Server<S, D: Disk = NoDisk> {
    connections_max: usize,
    hub: Hub<D::Journal>,
    disk: D,
    /// The buffer of the batch that was stored last.
    spare: Batch,
    /// The time at which the disk was given the batch under way.
    submitted: Option<Instant>,
    /// The time at which the log last said that the disk fails.
    last_failure_logged: Option<Instant>,
    shared: Shared,
    slots: Slots<Slot<S>>,
    /// Connections of each [`SlotKind`].
    taken: [usize; SlotKind::COUNT],
    deadlines: Deadlines<Token>,
    /// Bytes that the kernel has refused, of all connections.
    unsent: Budget,
    read_buffer: Box<[u8]>,
    pending_read: Vec<Token>,
    pending_low: VecDeque<Token>,
    pending_write: Vec<Token>,
    pending_removal: Vec<Token>,
    /// Numbers for the operator.
    pub counters: Counters,
    /// Lines of the log about connections that could not be taken in.
    pub warnings: Throttle,
    /// Returns how many lines the log could not write. The log belongs to the program.
    pub log_lines_dropped: fn() -> u64,
    /// Lines of the log about joins.
    #[cfg(feature = "host")]
    pub joins: JoinLog,
    #[cfg(feature = "api")]
    api: Api,
    #[cfg(feature = "peerjs")]
    peers: peerjs::Peers,
}

impl<S: Stream> Server<S> {
    /// Creates a server without connections and without a store: at most `connections_max` of them,
    /// and as many from one address as `addresses` allows.
    pub fn new(connections_max: usize, hub: Hub, shared: Shared) -> Server<S> {
        Server::with_disk(connections_max, hub, NoDisk, shared)
    }
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Creates a server that has a disk for the changes of its hub.
    pub fn with_disk(
        connections_max: usize,
        hub: Hub<D::Journal>,
        disk: D,
        shared: Shared,
    ) -> Server<S, D> {
        Server {
            connections_max,
            hub,
            disk,
            spare: Batch::default(),
            submitted: None,
            last_failure_logged: None,
            shared,
            slots: Slots::default(),
            taken: [0; SlotKind::COUNT],
            deadlines: Deadlines::default(),
            unsent: Budget::new(UNSENT_BYTES_TOTAL),
            read_buffer: vec![0; READ_BYTES].into(),
            pending_read: Vec::new(),
            pending_low: VecDeque::new(),
            pending_write: Vec::new(),
            pending_removal: Vec::new(),
            counters: Counters::default(),
            warnings: Throttle::default(),
            log_lines_dropped: || 0,
            #[cfg(feature = "host")]
            joins: JoinLog::default(),
            #[cfg(feature = "api")]
            api: Api::default(),
            #[cfg(feature = "peerjs")]
            peers: peerjs::Peers::default(),
        }
    }

    /// Makes one turn: reads where the kernel reported input, acts on deadlines, exchanges changes
    /// and lines with the disk, writes, and removes.
    pub fn turn(&mut self, now: Now, ready: &[Ready]) {
        self.dispatch(now, ready);
        self.expire(now);
        self.commit(now);
        self.flush(now);
        self.sweep();
    }

    /// Returns how long the loop may sleep: not at all while a visit is owed; `None` is until the
    /// next event.
    pub fn sleep(&self, now: Instant) -> Option<Duration> {
        let is_owed = !self.pending_read.is_empty() || !self.pending_low.is_empty();
        #[cfg(feature = "peerjs")]
        let is_owed = is_owed || !self.peers.owed.is_empty();
        if is_owed || !self.pending_write.is_empty() || self.hub.is_busy(now) {
            return Some(Duration::ZERO);
        }
        let due = [self.deadlines.next(), self.hub.next_deadline(now), self.hang_deadline()];
        let due = due.into_iter().flatten().min();
        due.map(|due| due.saturating_duration_since(now))
    }

    // ---- connections come ----

    /// Takes a new connection in. One over its quota is answered 503, as long as that has a slot
    /// free, and dropped otherwise. `register` asks the kernel to report readiness under the token.
    ///
    /// `peer` is `None` on a Unix socket. A connection of a trusted proxy is counted for its client
    /// once a request has told that.
    ///
    /// # Errors
    /// Those of `register`; the stream is dropped.
    pub fn accept(
        &mut self,
        mut stream: S,
        peer: Option<IpAddr>,
        view: View,
        now: Now,
        register: impl FnOnce(&mut S, Token) -> io::Result<()>,
    ) -> io::Result<Accepted> {
        let wanted = SlotKind::of(view);
        let view = self.view_through_proxy(peer, view);
        let is_counted = wanted == SlotKind::Chat && view != View::Proxied;
        let accepted = if !self.has_vacancy(wanted) {
            Accepted::Full
        } else if is_counted && self.shared.addresses.is_full(peer) {
            Accepted::AddressFull
        } else {
            Accepted::Taken
        };
        let kind = if accepted == Accepted::Taken { wanted } else { SlotKind::Refusal };
        if !self.has_vacancy(kind) {
            self.counters.accept_failures += 1;
            return Ok(accepted);
        }
        let slot = self.slots.vacant();
        let token = slot.token();
        register(&mut stream, token)?;
        self.taken[kind as usize] += 1;
        if is_counted && accepted == Accepted::Taken {
            self.shared.addresses.enter(token.key(), peer);
        }
        #[cfg(feature = "host")]
        self.joins.enter(token.key(), peer);
        let mut connection = match kind {
            SlotKind::Chat | SlotKind::Metrics => Connection::new(stream, view, now, &self.shared),
            #[cfg(feature = "api")]
            SlotKind::Api => Connection::for_calls(stream, now, &self.shared),
            #[cfg(feature = "api")]
            SlotKind::Refusal if view == View::Api => Connection::for_refused_call(stream, now),
            SlotKind::Refusal => Connection::refused(stream, now),
        };
        if self.shared.proxies.forwarding == Some(Forwarding::ProxyProtocol)
            && let Some(client) = peer
        {
            connection.announce(client);
        }
        slot.insert(Slot::new(connection, kind));
        self.settle(token, now);
        Ok(accepted)
    }

    /// Returns `true` if a connection from this peer begins with the address of its client, which
    /// is to be given to [`Server::accept`] as the peer.
    pub fn expects_preamble(&self, peer: Option<IpAddr>, view: View) -> bool {
        let proxies = &self.shared.proxies;
        matches!(view, View::Page | View::Redirect)
            && proxies.forwarding == Some(Forwarding::ProxyProtocol)
            && proxies.trusts(peer)
    }

    /// Returns the view of a connection from this peer: that of a client, if a trusted proxy tells
    /// its address in each request.
    fn view_through_proxy(&self, peer: Option<IpAddr>, view: View) -> View {
        let proxies = &self.shared.proxies;
        let tells_in_field = proxies.forwarding.is_some_and(|way| way.field().is_some());
        if view == View::Page && tells_in_field && proxies.trusts(peer) {
            return View::Proxied;
        }
        view
    }

    fn has_vacancy(&self, kind: SlotKind) -> bool {
        let most = match kind {
            SlotKind::Chat => self.connections_max,
            SlotKind::Metrics => METRICS_CONNECTIONS_MAX,
            SlotKind::Refusal => REFUSALS_MAX,
            #[cfg(feature = "api")]
            SlotKind::Api => API_CONNECTIONS_MAX,
        };
        self.taken[kind as usize] < most
    }

    /// Makes the server private: from now on a join has to say this password. `key` has to be
    /// random. Clients that have joined stay.
    #[cfg(feature = "host")]
    pub fn require_password(&mut self, password: &str, key: [u8; 32]) {
        self.hub.require_password(password, key);
    }

    /// Makes the server private: from now on a login has to vouch for the id of a join. Clients
    /// that have joined stay.
    #[cfg(feature = "auth")]
    pub fn require_login(&mut self, voucher: Voucher) {
        self.hub.require_login(voucher);
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the number of clients that have joined.
    pub fn clients(&self) -> usize {
        self.hub.counters().joined
    }

    /// Returns `true` if there are no connections.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Closes every connection, because the server goes away.
    pub fn shut_down(&mut self, now: Now) {
        let tokens: Vec<Token> = self.slots.iter().map(|(token, _)| token).collect();
        for token in tokens {
            self.hub.close(token, CloseCode::GoingAway, now);
            self.send_disconnects(now);
            if let Some(slot) = self.slots.get_mut(token) {
                slot.connection.close(CloseCode::GoingAway.into(), now, &mut self.shared);
            }
            self.settle(token, now);
        }
    }

    // ---- dispatch ----

    fn dispatch(&mut self, now: Now, ready: &[Ready]) {
        for ready in ready {
            // A token that finds nothing is spurious: its connection was removed after the kernel
            // had reported it.
            let Some(slot) = self.slots.get_mut(ready.token) else { continue };
            if ready.readable {
                slot.connection.note_readable();
            }
            if ready.closed {
                slot.connection.note_read_closed(now);
            }
            if ready.failed {
                slot.connection.note_failed(&mut self.shared);
            }
            if ready.writable && slot.connection.is_stalled() {
                self.pending_write.push(ready.token);
            }
            self.settle(ready.token, now);
        }
        // One read for each. A connection with input left is on a list again, for the next turn.
        let low = self.pending_low.len();
        let mut pending = std::mem::take(&mut self.pending_read);
        for token in pending.drain(..) {
            self.read(token, now);
        }
        pending.append(&mut self.pending_read);
        self.pending_read = pending;
        #[cfg(feature = "peerjs")]
        self.hear_owed(now);
        self.dispatch_low(low, now);
    }

    /// Reads from some of the first `low` connections that have time, longest waiting first, up to
    /// the last handshake that fits into the turn.
    fn dispatch_low(&mut self, low: usize, now: Now) {
        let mut handshakes = 0;
        for _ in 0..low.min(ENDS_PER_TURN) {
            let Some(token) = self.pending_low.pop_front() else { break };
            let slot = self.slots.get(token);
            let is_handshaking = slot.is_some_and(|slot| slot.connection.is_handshaking());
            self.read(token, now);
            handshakes += usize::from(is_handshaking);
            if handshakes == HANDSHAKES_PER_TURN {
                break;
            }
        }
    }

    /// Reads from one connection once, and acts on its input.
    fn read(&mut self, token: Token, now: Now) {
        let connections = self.slots.len();
        let Some(reader) = self.slots.get_mut(token) else { return };
        reader.is_on_read_list = false;
        if reader.connection.wants_read() {
            if reader.kind == SlotKind::Metrics {
                // Before it is known whether the read asks for them: a text too many costs less
                // than a way to ask for it in between.
                let log_lines = LogLines {
                    dropped: (self.log_lines_dropped)(),
                    suppressed: self.log_lines_suppressed(),
                };
                let text =
                    metrics::text(&self.hub, &self.shared, &self.counters, connections, log_lines);
                self.shared.set_metrics(text);
            }
            self.receive(token, now);
            self.count_incomplete(token, now);
        }
        self.settle(token, now);
    }

    /// Returns how many lines of the log were left out because clients caused too many.
    fn log_lines_suppressed(&self) -> u64 {
        let suppressed = self.warnings.suppressed + self.shared.refusals.suppressed;
        #[cfg(feature = "host")]
        let suppressed = suppressed + self.hub.join_lines_suppressed();
        suppressed
    }

    /// Counts the incomplete input of a connection in the part of its address, and ends the
    /// connection if that has grown too far.
    fn count_incomplete(&mut self, token: Token, now: Now) {
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        let bytes = connection.incomplete();
        if !self.shared.addresses.count_incomplete(token.key(), bytes) {
            connection.abandon(CloseCode::TryAgainLater.into(), now, &mut self.shared);
        }
    }

    /// Writes at once to clients for which much waits. The rest of the turn may
    /// bring more lines than fit, and their sockets may be writable. A client is written to after
    /// each line that presses, so none is taken for slow without a try.
    fn flush_pressing(&mut self, now: Now) {
        while let Some(token) = self.hub.next_pressing() {
            self.write(token, now);
        }
    }

    /// Closes the connections of clients that the hub has taken out, behind their last lines.
    fn send_disconnects(&mut self, now: Now) {
        while let Some(Disconnect { token, code, text }) = self.hub.next_disconnect() {
            let Some(slot) = self.slots.get_mut(token) else { continue };
            if code == CloseCode::TryAgainLater {
                self.counters.slow += 1;
                slot.connection.abandon(code.into(), now, &mut self.shared);
            } else {
                if !text.is_empty() {
                    slot.queue_lines(&text, now, &mut self.shared);
                }
                slot.connection.close(code.into(), now, &mut self.shared);
            }
            self.settle(token, now);
        }
    }

    // ---- expire ----

    fn expire(&mut self, now: Now) {
        self.hub.expire(now);
        self.flush_pressing(now);
        self.send_disconnects(now);
        // The rest is still due, so the loop does not sleep.
        for _ in 0..DEADLINES_PER_TURN {
            let Some((at, token)) = self.deadlines.pop(now.instant) else { break };
            let Some(slot) = self.slots.get_mut(token) else { continue };
            if slot.timer.fired(at) {
                self.expire_connection(token, now);
            }
        }
    }

    fn expire_connection(&mut self, token: Token, now: Now) {
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        if connection.is_due(now, &self.shared) {
            // The machine may have slept. Bytes that arrived meanwhile, or can leave now, count
            // first; but a handshake is over, even if more of it has arrived.
            let is_handshaking = connection.is_handshaking();
            connection.note_readable();
            self.write(token, now);
            if !is_handshaking {
                self.read(token, now);
            }
        }
        if let Some(Slot { connection, .. }) = self.slots.get_mut(token) {
            connection.expire(now, &mut self.shared);
        }
        self.settle(token, now);
    }

    // ---- flush ----

    fn flush(&mut self, now: Now) {
        self.hub.flush(now);
        self.flush_pressing(now);
        self.send_disconnects(now);
        self.hub.drain_pending_write(&mut self.pending_write);
        while let Some(token) = self.pending_write.pop() {
            self.write(token, now);
        }
    }

    /// Writes to one connection: first refused bytes, alone; then, once those have left, all lines
    /// that wait for its client, as one message.
    fn write(&mut self, token: Token, now: Now) {
        let Some(slot) = self.slots.get_mut(token) else { return };
        if slot.connection.is_stalled() {
            slot.connection.flush(now, &mut self.shared);
        }
        let mut text = Vec::new();
        if !slot.connection.is_stalled() {
            if slot.connection.is_open() {
                text = self.hub.take_text(token);
                if !text.is_empty() {
                    slot.write_lines(&text, now, &mut self.shared);
                }
            }
            // A long text that the kernel refused in part has been flushed already.
            if !slot.connection.is_stalled() {
                slot.connection.flush(now, &mut self.shared);
            }
        }
        self.hub.written(token, text, slot.connection.unsent());
        self.settle(token, now);
    }

    // ---- sweep ----

    fn sweep(&mut self) {
        while let Some(token) = self.pending_removal.pop() {
            if let Some(slot) = self.slots.remove(token) {
                debug!("{token:?} ended: {:?}", slot.connection.end());
                self.counters.slow += u64::from(slot.connection.end() == Some(End::Stalled));
                self.taken[slot.kind as usize] -= 1;
                #[cfg(feature = "peerjs")]
                self.peers.remove(token, slot.peer.as_deref());
                self.shared.addresses.leave(token.key());
            }
        }
        self.shrink();
        // Connections that come only to go leave deadlines behind. At least half of all entries are
        // dropped, so it costs O(1) each.
        if self.deadlines.len() > DEADLINES_SPARE + 2 * self.slots.len() {
            let slots = &self.slots;
            self.deadlines
                .retain(|at, token| slots.get(token).is_some_and(|slot| slot.timer.is_live(at)));
        }
    }

    /// Gives back the capacity that a crowd has left behind.
    fn shrink(&mut self) {
        for list in [&mut self.pending_read, &mut self.pending_write, &mut self.pending_removal] {
            tighten(list, TABLE_CAPACITY_MIN);
        }
        tighten(&mut self.pending_low, TABLE_CAPACITY_MIN);
        self.slots.shrink();
        self.hub.sweep(self.slots.key_end());
        self.shared.addresses.truncate(self.slots.key_end());
        #[cfg(feature = "host")]
        self.joins.truncate(self.slots.key_end());
        #[cfg(feature = "peerjs")]
        self.peers.shrink();
    }

    // ---- after anything that was done with a connection ----

    /// Brings everything in line with a connection that may have changed: the total of unsent
    /// bytes, the hub, the lists and the deadline.
    fn settle(&mut self, token: Token, now: Now) {
        let Some(slot) = self.slots.get_mut(token) else { return };
        if !slot.count_unsent(&mut self.unsent) {
            self.counters.slow += 1;
            slot.connection.abandon(CloseCode::TryAgainLater.into(), now, &mut self.shared);
        }
        if let Some(end) = slot.connection.end() {
            self.shared.addresses.count_incomplete(token.key(), 0);
            self.hub.disconnected(token, departure(end), now);
        }
        if slot.connection.is_gone() {
            self.pending_removal.push(token);
            return;
        }
        self.enlist(token);
    }

    /// Puts a connection on the lists that its state asks for, and sets its deadline.
    fn enlist(&mut self, token: Token) {
        let Some(slot) = self.slots.get_mut(token) else { return };
        #[cfg(feature = "peerjs")]
        if slot.peer.as_ref().is_some_and(|peer| peer.owes()) {
            self.peers.owed.push(token);
        }
        let connection = &slot.connection;
        if connection.wants_write() {
            self.pending_write.push(token);
        }
        if connection.wants_read() && !slot.is_on_read_list {
            slot.is_on_read_list = true;
            if connection.is_ending() || connection.is_handshaking() {
                self.pending_low.push_back(token);
            } else {
                self.pending_read.push(token);
            }
        }
        self.deadlines.set(token, &mut slot.timer, connection.deadline(&self.shared));
    }
}

/// Returns how a client departed, as far as presence cares.
fn departure(end: End) -> Departure {
    let is_normal = end == End::Closed(CloseCode::Normal.into());
    if is_normal { Departure::Normal } else { Departure::Lost }
}

/// Splits one configuration into the limits of both halves.
pub fn limits(config: &Config) -> (hub::Limits, connection::Limits) {
    let hub = hub::Limits {
        message_bytes_max: config.max_message,
        outbox_bytes_max: config.outbox,
        outbox_bytes_total: config.outbox_total,
        hold: config.hold,
        held_bytes_max: config.held,
        held_bytes_total: config.held_total,
        owned_max: config.owned,
    };
    let connection = connection::Limits {
        message_bytes_max: config.max_message,
        incomplete_bytes_total: config.incomplete_bytes_total(),
        connections_per_address: config.per_address,
        ping: config.ping,
        timeout: config.timeout,
        join_timeout: config.join_timeout,
        rate: Rate::new(config.rate, config.burst),
    };
    (hub, connection)
}

#[cfg(test)]
pub(crate) mod tests;
