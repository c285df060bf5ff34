//! The WebSocket state of a [`Connection`](super::Connection): liveness, rate and incomplete input.
//!
//! Invariants:
//! - While the kernel refuses our output the peer is not read, and neither its silence counts nor
//!   the time for its incomplete message.
//! - A peer in debt is not read either, for [`DEBT_MAX`](crate::limits::DEBT_MAX) at most. Both go
//!   on, so a dead peer is found in time.
//! - While input waits for tokens nothing is read, so no pong is. Pings go on: a peer that does not
//!   take them is found dead by the kernel, after `--timeout` (TCP_USER_TIMEOUT).
//!
//! The connection decides how to act on a deadline that has passed.

use std::time::Instant;

use super::Limits;
use super::postponed::Postponed;
use crate::limits::MESSAGE_TIMEOUT;
use crate::net::frames::{CloseCode, CloseSearch, Codec, Frames, Input, Message};
use crate::net::rate::Bucket;
use crate::time::Now;

/// A WebSocket connection's own state.
pub struct WebSocket {
    pub liveness: Liveness,
    /// In a box, because most peers are idle, and this field is in each of them.
    kept: Option<Box<Kept>>,
    pub bucket: Bucket,
    /// The peer is not read until the debt of its bucket is paid.
    pub is_paused: bool,
}

/// Input that waits for more, or for tokens.
struct Kept {
    /// The beginning of a message.
    frames: Frames,
    /// The time of its first byte.
    since: Instant,
    /// Input that its peer has no tokens for. In a box, because few peers have any.
    postponed: Option<Box<Postponed>>,
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.frames.is_at_rest() && self.postponed.is_none()
    }
}

/// The evidence that the peer is alive.
pub enum Liveness {
    /// It has to join by this time.
    Joining(Instant),
    /// It sent bytes at this time.
    Heard(Instant),
    /// A ping for it was queued at this time, and left with the flush of that turn.
    Pinged(Instant),
    /// It has closed its side while it was in debt. Its input is read until this time.
    Ending(Instant),
}

/// The action that is due when a deadline has passed.
pub enum Due {
    /// Read the peer again: its debt is paid.
    Resume,
    /// Close: it has not joined, or its message is not whole.
    Close,
    /// Ping: it is silent.
    Ping,
    /// End: it stayed silent after a ping.
    End,
}

impl Liveness {
    /// Returns `true` if the join timeout no longer applies.
    pub fn has_joined(&self) -> bool {
        !matches!(self, Liveness::Joining(_))
    }

    /// Ends the join timeout.
    pub fn mark_joined(&mut self, now: Instant) {
        if !self.has_joined() {
            *self = Liveness::Heard(now);
        }
    }

    /// Notes that bytes arrived. They extend neither the join timeout nor an end.
    pub fn note_heard(&mut self, now: Instant) {
        if let Liveness::Heard(_) | Liveness::Pinged(_) = self {
            *self = Liveness::Heard(now);
        }
    }

    /// Sets the latest end of a peer that has closed its side, unless there is one.
    pub fn end_by(&mut self, by: Instant) {
        if let Liveness::Heard(_) | Liveness::Pinged(_) = self {
            *self = Liveness::Ending(by);
        }
    }
}

impl WebSocket {
    /// Begins a WebSocket. Its peer has to join by `join_by`.
    pub fn new(join_by: Instant, now: Now) -> WebSocket {
        WebSocket {
            liveness: Liveness::Joining(join_by),
            kept: None,
            bucket: Bucket::full(now.instant),
            is_paused: false,
        }
    }

    /// Returns the next message; see [`Frames::next`]. Incomplete input is kept.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Message<'b>>, CloseCode> {
        match &mut self.kept {
            Some(kept) => {
                let result = kept.frames.next(input, codec, out);
                self.kept.take_if(|kept| kept.is_empty());
                result
            }
            None => {
                let mut frames = Frames::default();
                let result = frames.next(input, codec, out);
                if !frames.is_at_rest() {
                    let since = now.instant;
                    self.kept = Some(Box::new(Kept { frames, since, postponed: None }));
                }
                result
            }
        }
    }

    /// Returns the bytes that kept input is counted as.
    pub fn incomplete(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| {
            kept.frames.counted()
                + kept.postponed.as_ref().map_or(0, |postponed| postponed.counted())
        })
    }

    /// Keeps input that the peer has no tokens for. Returns it if there is no memory for it; there
    /// is for input that was kept before.
    pub fn postpone(
        &mut self,
        postponed: Postponed,
        now: Now,
        codec: &mut Codec,
    ) -> Result<(), Postponed> {
        let counted = postponed.counted();
        if !postponed.has_waited() && counted > codec.incomplete.limit(usize::MAX) {
            return Err(postponed);
        }
        codec.incomplete.take(counted);
        let kept = self.kept.get_or_insert_with(|| {
            Box::new(Kept { frames: Frames::default(), since: now.instant, postponed: None })
        });
        kept.postponed = Some(Box::new(postponed));
        Ok(())
    }

    /// Returns `true` if input waits for tokens.
    pub fn has_postponed(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.postponed.is_some())
    }

    /// Takes the input that waited for tokens. A message that has begun gets its time anew: its
    /// rest may have waited here.
    pub fn take_postponed(&mut self, now: Now, codec: &mut Codec) -> Option<Postponed> {
        let kept = self.kept.as_mut()?;
        let postponed = kept.postponed.take()?;
        kept.since = now.instant;
        codec.incomplete.give(postponed.counted());
        self.kept.take_if(|kept| kept.is_empty());
        Some(*postponed)
    }

    /// Gives kept input back to the codec's budget.
    ///
    /// Returns a search for the peer's close frame behind that input.
    pub fn release(&mut self, codec: &mut Codec) -> CloseSearch {
        let Some(mut kept) = self.kept.take() else { return CloseSearch::default() };
        let mut search = kept.frames.release(codec);
        if let Some(postponed) = kept.postponed {
            codec.incomplete.give(postponed.counted());
            search.find(postponed.rest());
        }
        search
    }

    /// Begins the peer's silence, and the time for its incomplete message, anew: it was not read
    /// for a while.
    pub fn resume_reading(&mut self, now: Now) {
        self.liveness.note_heard(now.instant);
        if let Some(kept) = &mut self.kept {
            kept.since = now.instant;
        }
    }

    /// Returns the next deadline. Nothing extends the one for joining, nor that of an end.
    pub fn deadline(&self, is_stalled: bool, limits: &Limits) -> Option<Instant> {
        let fixed = match self.liveness {
            Liveness::Joining(by) | Liveness::Ending(by) => Some(by),
            _ => None,
        };
        let other = match limits.rate {
            Some(rate) if self.is_paused => {
                // A message that has begun holds memory, in debt or not.
                let silent = self.silent_deadline(limits).filter(|_| self.has_postponed());
                [self.bucket.paid_at(rate), self.message_deadline(), silent]
                    .into_iter()
                    .flatten()
                    .min()
            }
            _ if is_stalled => None,
            _ => self.reading_deadline(limits),
        };
        fixed.into_iter().chain(other).min()
    }

    /// The next deadline of a peer that is being read.
    fn reading_deadline(&self, limits: &Limits) -> Option<Instant> {
        self.silent_deadline(limits).into_iter().chain(self.message_deadline()).min()
    }

    fn silent_deadline(&self, limits: &Limits) -> Option<Instant> {
        match self.liveness {
            Liveness::Joining(_) | Liveness::Ending(_) => None,
            Liveness::Heard(at) => Some(at + limits.ping),
            Liveness::Pinged(at) => Some(at + (limits.timeout - limits.ping)),
        }
    }

    fn message_deadline(&self) -> Option<Instant> {
        // The rest of the message may be in the input that waits.
        let kept = self.kept.as_ref()?;
        let is_due = !kept.frames.is_at_rest() && kept.postponed.is_none();
        is_due.then(|| kept.since + MESSAGE_TIMEOUT)
    }

    /// Returns the action that is due, after a deadline has passed.
    pub fn due(&self, now: Now, limits: &Limits) -> Due {
        let is_late = self.message_deadline().is_some_and(|at| at <= now.instant);
        let is_in_debt = limits.rate.is_some_and(|rate| self.bucket.is_in_debt(rate, now.instant));
        let is_silent = self.silent_deadline(limits).is_some_and(|at| at <= now.instant);
        match self.liveness {
            Liveness::Joining(by) if by <= now.instant => Due::Close,
            // Input may wait for longer than the peer may be silent, and its pong behind that.
            _ if self.has_postponed() && is_silent => Due::Ping,
            _ if self.is_paused && !is_in_debt => Due::Resume,
            Liveness::Joining(_) => Due::Close,
            _ if is_late => Due::Close,
            Liveness::Heard(_) => Due::Ping,
            Liveness::Pinged(_) | Liveness::Ending(_) => Due::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::assert_size;

    #[test]
    fn websocket_costs_56_bytes() {
        assert_size!(WebSocket = 56: WebSocket {
            liveness: 24 "when it was last heard, or by when it must join",
            kept: 8 "a pointer: most peers have sent no half message",
            bucket: 16 "its rate",
            is_paused: 1 "it sent too fast",
        } empty: 7);
    }
}
