//! A WebSocket as a [`Connection`](super::Connection) keeps it: how its peer is known to be alive,
//! how fast it talks, what it has begun to say; and when something of that is due. What is done
//! then is the connection's.
//!
//! Invariant: while a peer is not listened to, because it does not read or is in debt, neither its
//! silence counts nor the time for what it has begun.

use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;

use super::Limits;
use crate::limits::MESSAGE_TIMEOUT;
use crate::net::frames::{Arrival, Codec, Frames, Input};
use crate::net::rate::Bucket;
use crate::time::Now;

pub struct WebSocket {
    pub liveness: Liveness,
    /// What has come of a message that is not whole. In a box, because most peers are idle, and
    /// this is in each of them.
    pub partial: Option<Box<PartialMessage>>,
    pub bucket: Bucket,
    /// It is not read until the debt of its bucket is paid.
    pub is_paused: bool,
}

pub struct PartialMessage {
    pub frames: Frames,
    pub since: Instant,
}

/// How the peer of a WebSocket is known to be alive.
pub enum Liveness {
    /// Nobody has admitted it yet; by then somebody must.
    Unadmitted(Instant),
    /// When it was last heard.
    Heard(Instant),
    /// When a ping was queued; the flush of that turn hands it to the kernel.
    Pinged(Instant),
}

/// What is due for a WebSocket whose deadline has passed.
pub enum Due {
    /// Its debt is paid.
    Listening,
    /// Nobody has admitted it, or its message is not whole.
    Policy,
    /// It is silent.
    Ping,
    /// It stays silent.
    End,
}

impl WebSocket {
    /// [`Frames::next`], and what is not whole after it is kept.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Arrival<'b>>, CloseCode> {
        match &mut self.partial {
            Some(partial) => {
                let result = partial.frames.next(input, codec, out);
                self.partial.take_if(|partial| partial.frames.is_at_rest());
                result
            }
            None => {
                let mut frames = Frames::default();
                let result = frames.next(input, codec, out);
                if !frames.is_at_rest() {
                    self.partial = Some(Box::new(PartialMessage { frames, since: now.instant }));
                }
                result
            }
        }
    }

    /// Until it is admitted nothing gives it more time. Else its silence and what it has begun to
    /// say count only while it is listened to.
    pub fn deadline(&self, is_stalled: bool, limits: &Limits) -> Option<Instant> {
        let unadmitted = match self.liveness {
            Liveness::Unadmitted(until) => Some(until),
            _ => None,
        };
        let listening = match limits.rate {
            Some(rate) if self.is_paused => self.bucket.paid_at(rate),
            _ if is_stalled => None,
            _ => self.listening_deadline(limits),
        };
        unadmitted.into_iter().chain(listening).min()
    }

    fn listening_deadline(&self, limits: &Limits) -> Option<Instant> {
        let silent = match self.liveness {
            Liveness::Unadmitted(_) => None,
            Liveness::Heard(at) => Some(at + limits.ping),
            Liveness::Pinged(at) => Some(at + (limits.timeout - limits.ping)),
        };
        let partial = self.partial.as_ref().map(|partial| partial.since + MESSAGE_TIMEOUT);
        silent.into_iter().chain(partial).min()
    }

    /// What is due, one deadline having passed.
    pub fn due(&self, now: Now, limits: &Limits) -> Due {
        let is_late = |partial: &PartialMessage| partial.since + MESSAGE_TIMEOUT <= now.instant;
        let is_in_debt = limits.rate.is_some_and(|rate| self.bucket.is_in_debt(rate, now.instant));
        match self.liveness {
            _ if self.is_paused && !is_in_debt => Due::Listening,
            Liveness::Unadmitted(_) => Due::Policy,
            _ if self.partial.as_deref().is_some_and(is_late) => Due::Policy,
            Liveness::Heard(_) => Due::Ping,
            Liveness::Pinged(_) => Due::End,
        }
    }
}
