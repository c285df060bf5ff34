//! Requests on a [`Connection`]: one is answered at a time, and what has come of the next is kept
//! until that has left.
//!
//! Invariant: what is kept of heads is counted in `incomplete`, and is no longer than a head may
//! be.

use std::borrow::Cow;
use std::time::Instant;

use super::shared::status;
use super::websocket::{Liveness, WebSocket};
use super::{Connection, End, Shared, State, Stream, View};
use crate::limits::HEAD_BYTES_MAX;
use crate::net::frames::Input;
use crate::net::http::{self, Answer, Parsed, Response};
use crate::net::rate::Bucket;
use crate::time::Now;

/// HTTP as a connection keeps it.
pub struct Http {
    /// What has come of the next request, or of several: then `pipelined`.
    pub head: Vec<u8>,
    pub pipelined: bool,
    /// By when the head has to be whole, or a kept-alive connection has to say something.
    pub deadline: Instant,
    /// A head has begun, or is due because the connection is new.
    pub started: bool,
    /// What leaves behind the response head in `out`.
    pub body: Option<Box<Body>>,
    /// The connection ends when the response has left.
    pub last: Option<End>,
    /// What it sees.
    pub view: View,
}

/// What leaves behind a head, and how much of it has.
pub struct Body {
    pub bytes: Cow<'static, [u8]>,
    pub at: usize,
}

impl<S: Stream> Connection<S> {
    /// Answers the next request; true: it is for frames.
    pub(super) fn next_request(
        &mut self,
        input: &mut Input<'_>,
        now: Now,
        shared: &mut Shared,
    ) -> bool {
        let State::Http(Http { view, .. }) = self.state else { return false };
        if self.unsent() > 0 {
            // The answer was there before the request.
            self.keep_head(input.take_all(), true, now, shared);
            return false;
        }
        if self.stream.spoke_plaintext() {
            input.take_all();
            self.respond(http::not_https(now.unix_ms), now, shared);
            return false;
        }
        let (used, answer) = match http::parse(input.rest(), shared.site(view), now.unix_ms) {
            Parsed::Complete { used, answer } => (used, answer),
            Parsed::Incomplete => {
                self.keep_head(input.take_all(), false, now, shared);
                return false;
            }
        };
        input.take(used);
        match answer {
            Answer::Upgrade(response) => {
                let State::Http(http) = &self.state else { return false };
                let until = if http.started {
                    http.deadline
                } else {
                    now.instant + shared.limits.join_timeout
                };
                let (liveness, bucket) = (Liveness::Unadmitted(until), Bucket::full(now.instant));
                self.state = State::WebSocket(WebSocket {
                    liveness,
                    partial: None,
                    bucket,
                    is_paused: false,
                });
                shared.counters.count_response(&response);
                self.out_buffer(shared).extend_from_slice(&response);
                true
            }
            Answer::Respond(response) => {
                self.respond(response, now, shared);
                // The next request waits until this answer has left: pipelining makes nothing grow.
                self.keep_head(input.take_all(), true, now, shared);
                false
            }
        }
    }

    /// Keeps what has come of a request, or of the next ones.
    fn keep_head(&mut self, bytes: &[u8], pipelined: bool, now: Now, shared: &mut Shared) {
        let State::Http(http) = &mut self.state else { return };
        if bytes.is_empty() || http.last.is_some() {
            return;
        }
        if bytes.len() > shared.codec.incomplete.limit(HEAD_BYTES_MAX) {
            if pipelined {
                // The answer to the request before has not left, and stays as it is: it is the
                // last.
                http.last = Some(End::Refused(503));
                return;
            }
            return self.respond(http::unavailable(now.unix_ms), now, shared);
        }
        shared.codec.incomplete.take(bytes.len());
        http.head = bytes.to_vec();
        http.pipelined = pipelined;
        if !http.started {
            (http.started, http.deadline) = (true, now.instant + shared.limits.join_timeout);
        }
    }

    /// Queues a response; its body leaves behind what is queued.
    pub(super) fn respond(&mut self, response: Response, now: Now, shared: &mut Shared) {
        let Response { head, body, close } = response;
        let State::Http(http) = &mut self.state else { return };
        shared.counters.count_response(&head);
        http.last = close.then(|| End::Refused(status(&head)));
        http.body = (!body.is_empty()).then(|| Box::new(Body { bytes: body, at: 0 }));
        (http.started, http.deadline) = (false, now.instant + shared.limits.join_timeout);
        self.out_buffer(shared).extend_from_slice(&head);
    }
}
