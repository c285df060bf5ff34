//! The loop: the one place that knows both the sockets and the chat.
//!
//! Instead of a thread for each client there is one thread that asks the kernel: which of my
//! sockets can be read or written now, without waiting? That is *readiness*. The sockets are
//! non-blocking: a read with nothing there, or a write with no room, gives `WouldBlock` at once,
//! and the thread goes on with the next. mio reports *edges*: an event comes when a socket
//! *becomes* readable or writable, once. So whoever stops before `WouldBlock`, or before a read
//! that came back short, owes that socket a visit: no event will remind him. Each such debt is kept
//! here as a token on a list, and while there is one, the loop does not sleep.
//!
//! One pass is a *turn* ([`Server::turn`]): dispatch → expire → flush → sweep. Where readiness and
//! new connections come from is not known here ([`crate::event_loop`]), so a test can play the
//! kernel.
//!
//! Invariants:
//! - Nothing blocks, and no client's trouble gets out of its connection.
//! - A connection is *marked* as ended anywhere and *removed* in `sweep`, so no key changes hands
//!   within a turn; the hub hears of an end where it is marked.
//! - Nothing is written where it is made: `flush` writes once a turn, and all lines that wait leave
//!   as one message. It is written to earlier only where waiting would do harm: to a reader for
//!   whom so much waits that it would be taken for slow (`flush_pressing`), after a read that queued many
//!   answers (`read`), and before a deadline is acted upon (`expire`). What nobody waits for may
//!   leave a few turns later, for company.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::debug;
use slab::Slab;

use crate::chat::hub::{self, Departure, Disconnect, Hub};
use crate::chat::protocol::CloseCode;
use crate::limits::{
    DEADLINES_PER_TURN, DEADLINES_SPARE, ENDS_PER_TURN, HANDSHAKES_PER_TURN,
    METRICS_CONNECTIONS_MAX, QUEUED_BYTES_MAX, READ_BYTES, REFUSALS_MAX, TABLE_CAPACITY_MIN,
    UNSENT_BYTES_TOTAL,
};
use crate::memory::Budget;
use crate::memory::tighten;
use crate::metrics::{self, Counters};
use crate::net::addresses::Addresses;
use crate::net::connection::{self, Connection, End, Incoming, Shared, Stream, View};
use crate::net::rate::Rate;
use crate::time::Now;
use crate::time::{Deadlines, Timer};
use crate::token::Token;

/// What the kernel reports of one socket.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Which.
    pub token: Token,
    /// Something has come.
    pub readable: bool,
    /// After it refused bytes, the kernel takes some again.
    pub writable: bool,
    /// The end of the stream has come, or an error: both are found by reading.
    pub closed: bool,
}

/// What became of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is here.
    Taken,
    /// There is no room for it, which it is told if there is room for that.
    Full,
    /// There is none for more from its address, which it is told likewise.
    AddressFull,
}

/// All connections, and the chat that goes on over them.
pub struct Server<S> {
    connections_max: usize,
    addresses: Addresses,
    hub: Hub,
    shared: Shared,
    slots: Slab<Slot<S>>,
    generation: u32,
    deadlines: Deadlines<Token>,
    /// What the kernel has refused.
    refused: Budget,
    /// How many connections there are in each [`SlotKind`].
    taken: [usize; 3],
    read_buffer: Box<[u8]>,
    /// Connections to be visited in the next turn: readiness was reported, or the last read was not
    /// the end.
    pending_read: Vec<Token>,
    /// The same, of those that have time: their end has come, or they still have to agree on how to
    /// speak.
    pending_low: VecDeque<Token>,
    /// Connections for which something is queued.
    pending_write: Vec<Token>,
    /// Connections to be removed.
    gone: Vec<Token>,
    /// What has happened so far.
    pub counters: Counters,
    /// How many lines the log could not write: a question, because the log is the program's.
    pub log_lines_dropped: fn() -> u64,
}

/// Whose room a connection takes. There is room for so many of each, so none takes another's.
#[derive(Clone, Copy, PartialEq)]
enum SlotKind {
    /// Of those who see the page, or are sent there.
    Chat,
    /// Of those who see the metrics.
    Metrics,
    /// Of those who are told that there is none.
    Refusal,
}

impl SlotKind {
    fn of(view: View) -> SlotKind {
        if view == View::Metrics { SlotKind::Metrics } else { SlotKind::Chat }
    }
}

struct Slot<S> {
    token: Token,
    connection: Connection<S>,
    timer: Timer,
    on_pending_read: bool,
    /// What of its bytes is counted in `refused`.
    refused: usize,
    kind: SlotKind,
}

impl<S: Stream> Server<S> {
    /// A server that nobody is connected to: for so many connections, so many of them from one
    /// address.
    pub fn new(
        connections_max: usize,
        addresses: Addresses,
        hub: Hub,
        shared: Shared,
    ) -> Server<S> {
        Server {
            connections_max,
            addresses,
            hub,
            shared,
            slots: Slab::new(),
            generation: 0,
            deadlines: Deadlines::default(),
            refused: Budget::new(UNSENT_BYTES_TOTAL),
            taken: [0; 3],
            read_buffer: vec![0; READ_BYTES].into(),
            pending_read: Vec::new(),
            pending_low: VecDeque::new(),
            pending_write: Vec::new(),
            gone: Vec::new(),
            counters: Counters::default(),
            log_lines_dropped: || 0,
        }
    }

    /// One turn: what the kernel has reported is read, what is due is done, what was said leaves.
    pub fn turn(&mut self, now: Now, ready: &[Ready]) {
        self.dispatch(now, ready);
        self.expire(now);
        self.flush(now);
        self.sweep();
    }

    /// How long the loop may sleep: not at all while a visit is owed; none: until something
    /// happens.
    pub fn sleep(&self, now: Instant) -> Option<Duration> {
        let is_owed = !self.pending_read.is_empty() || !self.pending_low.is_empty();
        if is_owed || !self.pending_write.is_empty() || self.hub.is_busy(now) {
            return Some(Duration::ZERO);
        }
        let due = self.deadlines.next().into_iter().chain(self.hub.next_deadline()).min();
        due.map(|due| due.saturating_duration_since(now))
    }

    /// Takes a new connection in, or tells it that there is no room; with room not even for that,
    /// it is dropped. `register` asks the kernel to report readiness under the token.
    ///
    /// # Errors
    /// Those of `register`; the stream is dropped.
    pub fn accept(
        &mut self,
        mut stream: S,
        address: IpAddr,
        view: View,
        now: Now,
        register: impl FnOnce(&mut S, Token) -> io::Result<()>,
    ) -> io::Result<Accepted> {
        let wanted = SlotKind::of(view);
        let accepted = if !self.has_vacancy(wanted) {
            Accepted::Full
        } else if wanted == SlotKind::Chat && self.addresses.is_full(address) {
            Accepted::AddressFull
        } else {
            Accepted::Taken
        };
        let kind = if accepted == Accepted::Taken { wanted } else { SlotKind::Refusal };
        if !self.has_vacancy(kind) {
            self.counters.accept_failures += 1;
            return Ok(accepted);
        }
        self.generation = self.generation.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let token = Token::new(entry.key(), self.generation);
        register(&mut stream, token)?;
        self.taken[kind as usize] += 1;
        if kind == SlotKind::Chat {
            self.addresses.enter(token.key(), address);
        }
        let connection = match kind {
            SlotKind::Chat | SlotKind::Metrics => Connection::new(stream, view, now, &self.shared),
            SlotKind::Refusal => Connection::refused(stream, now, &mut self.shared),
        };
        let timer = Timer::default();
        entry.insert(Slot { token, connection, timer, on_pending_read: false, refused: 0, kind });
        self.settle(token, now);
        Ok(accepted)
    }

    fn has_vacancy(&self, kind: SlotKind) -> bool {
        let most = match kind {
            SlotKind::Chat => self.connections_max,
            SlotKind::Metrics => METRICS_CONNECTIONS_MAX,
            SlotKind::Refusal => REFUSALS_MAX,
        };
        self.taken[kind as usize] < most
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Is nobody connected?
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Says to everybody that the server goes away.
    pub fn shut_down(&mut self, now: Now) {
        let tokens: Vec<Token> = self.slots.iter().map(|(_, slot)| slot.token).collect();
        for token in tokens {
            self.hub.close(token, CloseCode::GoingAway, now);
            self.send_disconnects(now);
            if let Some(slot) = slot(&mut self.slots, token) {
                slot.connection.close(CloseCode::GoingAway.into(), now, &mut self.shared);
            }
            self.settle(token, now);
        }
    }

    // ---- dispatch ----

    fn dispatch(&mut self, now: Now, ready: &[Ready]) {
        for ready in ready {
            // A token that is no longer here is spurious: its connection ended after the kernel had
            // reported it.
            let Some(slot) = slot(&mut self.slots, ready.token) else { continue };
            if ready.readable || ready.closed {
                slot.connection.set_readable(ready.closed);
            }
            if ready.writable && slot.connection.is_stalled() {
                self.pending_write.push(ready.token);
            }
            self.settle(ready.token, now);
        }
        // Each is read once; who is not through then is on the list again, for the next turn.
        let mut pending = std::mem::take(&mut self.pending_read);
        for token in pending.drain(..) {
            self.read(token, now);
        }
        pending.append(&mut self.pending_read);
        self.pending_read = pending;
        // Of those that have time some a turn, in the order in which they came to have to wait.
        let mut handshakes = 0;
        for _ in 0..self.pending_low.len().min(ENDS_PER_TURN) {
            let Some(token) = self.pending_low.pop_front() else { break };
            let is_handshaking =
                slot(&mut self.slots, token).is_some_and(|slot| slot.connection.is_handshaking());
            self.read(token, now);
            handshakes += usize::from(is_handshaking);
            if handshakes == HANDSHAKES_PER_TURN {
                break;
            }
        }
    }

    /// Reads from one connection once, and hears what it says.
    fn read(&mut self, token: Token, now: Now) {
        let connections = self.slots.len();
        let Some(reader) = slot(&mut self.slots, token) else { return };
        reader.on_pending_read = false;
        if reader.connection.wants_read() {
            if reader.kind == SlotKind::Metrics {
                // Before it is known what the read brings: a text too many costs less than a way to
                // ask for it in between.
                let dropped = (self.log_lines_dropped)();
                let text =
                    metrics::text(&self.hub, &self.shared, &self.counters, connections, dropped);
                self.shared.set_metrics(text);
            }
            let (frames, lines) = (self.shared.frames_heard(), self.hub.lines_heard());
            let mut buffer = std::mem::take(&mut self.read_buffer);
            let mut input = reader.connection.receive(&mut buffer, now, &mut self.shared);
            while let Some(speaker) = slot(&mut self.slots, token)
                && let Some(incoming) = speaker.connection.next(&mut input, now, &mut self.shared)
            {
                self.hear(token, incoming, now);
            }
            self.read_buffer = buffer;
            let Some(Slot { connection, .. }) = slot(&mut self.slots, token) else { return };
            // A frame without a line, a ping or a fragment, is as much work as one with a line.
            let said = (self.shared.frames_heard() - frames).max(self.hub.lines_heard() - lines);
            connection.charge(said as usize, now, &self.shared);
            if connection.queued() > QUEUED_BYTES_MAX {
                self.write(token, now);
            }
        }
        self.settle(token, now);
    }

    fn hear(&mut self, token: Token, incoming: Incoming<'_>, now: Now) {
        match incoming {
            Incoming::Open => self.hub.open(token),
            Incoming::Text(text) => {
                let mut rest = &*text;
                while !rest.is_empty() {
                    rest = self.hub.receive(token, rest, now);
                    self.flush_pressing(now);
                    self.send_disconnects(now);
                }
                self.admit(token, now);
            }
            Incoming::Binary(_) => {
                self.hub.close(token, CloseCode::Unsupported, now);
                self.send_disconnects(now);
            }
        }
    }

    /// Who has joined is no longer waited for.
    fn admit(&mut self, token: Token, now: Now) {
        let Some(slot) = slot(&mut self.slots, token) else { return };
        if !slot.connection.is_admitted() && self.hub.has_joined(token) {
            slot.connection.admit(now);
        }
    }

    /// Writes at once to those for whom much waits: in the rest of the turn more may be said to
    /// them than fits, and their sockets may have room. Each time a line presses, so whoever is
    /// found slow has been tried before.
    fn flush_pressing(&mut self, now: Now) {
        while let Some(token) = self.hub.next_pressing() {
            self.write(token, now);
        }
    }

    /// Says the last words to those whom the hub has taken out.
    fn send_disconnects(&mut self, now: Now) {
        while let Some(Disconnect { token, code, text }) = self.hub.next_disconnect() {
            let Some(Slot { connection, .. }) = slot(&mut self.slots, token) else { continue };
            if code == CloseCode::TryAgainLater {
                self.counters.slow += 1;
                connection.abandon(code.into(), now, &mut self.shared);
            } else {
                if !text.is_empty() {
                    connection.send_text(&text, &mut self.shared);
                }
                connection.close(code.into(), now, &mut self.shared);
            }
            self.settle(token, now);
        }
    }

    // ---- expire ----

    fn expire(&mut self, now: Now) {
        self.hub.expire(now);
        self.flush_pressing(now);
        self.send_disconnects(now);
        // What is left over is due still, so the loop does not sleep.
        for _ in 0..DEADLINES_PER_TURN {
            let Some((at, token)) = self.deadlines.pop(now.instant) else { break };
            let Some(fired) = slot(&mut self.slots, token) else { continue };
            if !fired.timer.fired(at) {
                continue;
            }
            if fired.connection.is_due(now, &self.shared) {
                // Perhaps it was us who paused: what has come or could leave meanwhile is looked at
                // first. But for a handshake the time is over, whatever has come of it.
                let is_handshaking = fired.connection.is_handshaking();
                fired.connection.set_readable(false);
                self.write(token, now);
                if !is_handshaking {
                    self.read(token, now);
                }
            }
            if let Some(slot) = slot(&mut self.slots, token) {
                slot.connection.expire(now, &mut self.shared);
            }
            self.settle(token, now);
        }
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

    /// Hands to the kernel what waits for one connection: first what was refused before, alone;
    /// then, once that is gone, all its lines as one message.
    fn write(&mut self, token: Token, now: Now) {
        let Some(Slot { connection, .. }) = slot(&mut self.slots, token) else { return };
        if connection.is_stalled() {
            connection.flush(now, &mut self.shared);
        }
        let mut text = Vec::new();
        if !connection.is_stalled() {
            if connection.is_open() {
                text = self.hub.take_text(token);
                if !text.is_empty() {
                    connection.write_text(&text, now, &mut self.shared);
                }
            }
            connection.flush(now, &mut self.shared);
        }
        self.hub.written(token, text, connection.unsent());
        self.settle(token, now);
    }

    // ---- sweep ----

    fn sweep(&mut self) {
        while let Some(token) = self.gone.pop() {
            // It may have been marked more than once; its key may belong to somebody else since.
            if let Some(slot) = slot(&mut self.slots, token) {
                debug!("{token:?} ended: {:?}", slot.connection.end());
                self.counters.slow += u64::from(slot.connection.end() == Some(End::Stalled));
                self.taken[slot.kind as usize] -= 1;
                self.addresses.leave(token.key());
                self.slots.remove(token.key());
            }
        }
        for list in [&mut self.pending_read, &mut self.pending_write, &mut self.gone] {
            tighten(list, TABLE_CAPACITY_MIN);
        }
        tighten(&mut self.pending_low, TABLE_CAPACITY_MIN);
        tighten(&mut self.slots, TABLE_CAPACITY_MIN);
        self.hub.sweep(self.slots.capacity());
        self.addresses.truncate(self.slots.capacity());
        // Whoever connects only to go leaves deadlines behind. Half of all are dropped at least, so
        // it costs O(1) each.
        if self.deadlines.len() > DEADLINES_SPARE + 2 * self.slots.len() {
            let slots = &self.slots;
            self.deadlines.retain(|at, token| {
                slots
                    .get(token.key())
                    .is_some_and(|slot| slot.token == token && slot.timer.is_live(at))
            });
        }
    }

    /// After anything that was done with a connection: puts it on the lists that its state asks
    /// for.
    fn settle(&mut self, token: Token, now: Now) {
        let Some(slot) = slot(&mut self.slots, token) else { return };
        let connection = &slot.connection;
        let refused = if connection.is_stalled() { connection.queued() } else { 0 };
        self.refused.give(slot.refused);
        if refused > slot.refused && refused > self.refused.limit(usize::MAX) {
            self.counters.slow += 1;
            slot.connection.abandon(CloseCode::TryAgainLater.into(), now, &mut self.shared);
        }
        let connection = &slot.connection;
        slot.refused = refused.min(connection.queued());
        self.refused.take(slot.refused);
        if let Some(end) = connection.end() {
            let meant = end == End::Closed(CloseCode::Normal.into());
            self.hub.disconnected(
                token,
                if meant { Departure::Normal } else { Departure::Lost },
                now,
            );
        }
        if connection.is_gone() {
            self.gone.push(token);
            return;
        }
        if connection.wants_write() {
            self.pending_write.push(token);
        }
        if connection.wants_read() && !slot.on_pending_read {
            slot.on_pending_read = true;
            if connection.is_ending() || connection.is_handshaking() {
                self.pending_low.push_back(token);
            } else {
                self.pending_read.push(token);
            }
        }
        self.deadlines.set(token, &mut slot.timer, connection.deadline(&self.shared));
    }
}

/// The slot with this token: a function of the slab alone, so that the server's other fields stay
/// free.
fn slot<S>(slots: &mut Slab<Slot<S>>, token: Token) -> Option<&mut Slot<S>> {
    slots.get_mut(token.key()).filter(|slot| slot.token == token)
}

/// The limits of both halves, from one configuration.
pub fn limits(config: &crate::config::Config) -> (hub::Limits, connection::Limits) {
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
        ping: config.ping,
        timeout: config.timeout,
        join_timeout: config.join_timeout,
        rate: Rate::new(config.rate, config.burst),
    };
    (hub, connection)
}

#[cfg(test)]
mod tests;
