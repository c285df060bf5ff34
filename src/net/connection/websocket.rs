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
    pub life: Life,
    /// What has come of a message that is not whole. In a box, because most peers are idle, and
    /// this is in each of them.
    pub begun: Option<Box<Begun>>,
    pub bucket: Bucket,
    /// It is not read until the debt of its bucket is paid.
    pub is_paused: bool,
}

pub struct Begun {
    pub frames: Frames,
    pub since: Instant,
}

/// How the peer of a WebSocket is known to be alive.
pub enum Life {
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
        match &mut self.begun {
            Some(begun) => {
                let result = begun.frames.next(input, codec, out);
                self.begun.take_if(|begun| begun.frames.is_at_rest());
                result
            }
            None => {
                let mut frames = Frames::default();
                let result = frames.next(input, codec, out);
                if !frames.is_at_rest() {
                    self.begun = Some(Box::new(Begun { frames, since: now.instant }));
                }
                result
            }
        }
    }

    /// Until it is admitted nothing gives it more time. Else its silence and what it has begun to
    /// say count only while it is listened to.
    pub fn deadline(&self, is_stalled: bool, limits: &Limits) -> Option<Instant> {
        let unadmitted = match self.life {
            Life::Unadmitted(until) => Some(until),
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
        let silent = match self.life {
            Life::Unadmitted(_) => None,
            Life::Heard(at) => Some(at + limits.ping),
            Life::Pinged(at) => Some(at + (limits.timeout - limits.ping)),
        };
        let begun = self.begun.as_ref().map(|begun| begun.since + MESSAGE_TIMEOUT);
        silent.into_iter().chain(begun).min()
    }

    /// What is due, one deadline having passed.
    pub fn due(&self, now: Now, limits: &Limits) -> Due {
        let is_late = |begun: &Begun| begun.since + MESSAGE_TIMEOUT <= now.instant;
        let is_in_debt = limits.rate.is_some_and(|rate| self.bucket.is_in_debt(rate, now.instant));
        match self.life {
            _ if self.is_paused && !is_in_debt => Due::Listening,
            Life::Unadmitted(_) => Due::Policy,
            _ if self.begun.as_deref().is_some_and(is_late) => Due::Policy,
            Life::Heard(_) => Due::Ping,
            Life::Pinged(_) => Due::End,
        }
    }
}
