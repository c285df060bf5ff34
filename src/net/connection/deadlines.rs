//! The deadlines of a [`Connection`]: the next one, and the action when it has passed.
//!
//! Invariants:
//! - While the kernel refuses output, only [`WRITE_STALL`] counts, and the deadlines that a peer
//!   cannot extend: to join, and to be gone. The peer is not read then, so its silence means
//!   nothing.
//! - [`Connection::expire`] does nothing before a deadline has passed, so it may be called early.
//!
//! The clock, and the queue of all deadlines, are not known here.

use std::time::Instant;

use super::websocket::{Due, Liveness};
use super::{Connection, End, Goodbye, Shared, State};
use crate::limits::WRITE_STALL;
use crate::net::frames::{CloseCode, Opcode};
use crate::net::http;
use crate::net::stream::Stream;
use crate::time::Now;

impl<S: Stream> Connection<S> {
    /// Returns the time at which [`Connection::expire`] is due if nothing happens until then.
    pub fn deadline(&self, shared: &Shared) -> Option<Instant> {
        let limits = &shared.limits;
        let due = match &self.state {
            State::WebSocket(socket) => socket.deadline(self.is_stalled(), limits),
            State::Closing(Goodbye { until, .. }) | State::Lingering(Goodbye { until, .. }) => {
                Some(*until)
            }
            _ if self.is_stalled() => None,
            State::Http(http) => Some(http.deadline),
            State::Gone(_) => None,
        };
        due.into_iter().chain(self.stall_deadline()).min()
    }

    fn stall_deadline(&self) -> Option<Instant> {
        self.pipe.stalled_since().map(|since| since + WRITE_STALL)
    }

    /// Returns `true` if a deadline has passed.
    pub fn is_due(&self, now: Now, shared: &Shared) -> bool {
        self.deadline(shared).is_some_and(|due| due <= now.instant)
    }

    /// Acts on the deadline that has passed, if one has.
    pub fn expire(&mut self, now: Now, shared: &mut Shared) {
        if !self.is_due(now, shared) {
            return;
        }
        if self.stall_deadline().is_some_and(|due| due <= now.instant) {
            return self.finish(State::Gone(End::Stalled), shared);
        }
        match &mut self.state {
            #[cfg(feature = "api")]
            State::Http(http) if http.calls().is_some() => self.expire_call(now, shared),
            State::Http(http) if http.head.is_empty() => {
                self.finish(State::Gone(End::Silent), shared);
            }
            State::Http(_) => self.respond(http::timed_out(now.unix_ms), now, shared),
            State::WebSocket(socket) => match socket.due(now, &shared.limits) {
                Due::Resume => socket.is_paused = false,
                Due::Close => self.close(CloseCode::Policy.into(), now, shared),
                Due::Ping => {
                    // It leaves in this turn's flush. If the kernel refuses it, silence does not
                    // count from then on.
                    socket.liveness = Liveness::Pinged(now.instant);
                    self.send(Opcode::Ping, b"", shared);
                }
                Due::End => self.finish(State::Gone(End::Silent), shared),
            },
            State::Closing(_) | State::Lingering(_) => {
                self.finish(State::Gone(End::Silent), shared);
            }
            State::Gone(_) => {}
        }
    }
}
