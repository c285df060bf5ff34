//! Requests on a [`Connection`]: one is answered at a time, and the input behind it is kept until
//! the response has left.
//!
//! Invariants:
//! - The kept bytes of heads are counted in `Codec::incomplete`, and are no longer than a head may
//!   be.
//! - A response is queued only after the one before has left, so pipelining makes nothing grow.
//!
//! The contents of a response are not known here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use log::Level;

#[cfg(feature = "api")]
use super::calls::Calls;
use super::shared::status;
use super::websocket::WebSocket;
use super::{Connection, End, Incoming, Shared, State, View};
use crate::limits::HEAD_BYTES_MAX;
use crate::net::frames::Input;
use crate::net::http::{self, Answer, LogLine, Parsed, Response};
use crate::net::stream::Stream;
use crate::time::Now;

/// A connection's HTTP state.
pub struct Http {
    /// The beginning of the next request; or, if `pipelined`, of several.
    pub head: Vec<u8>,
    /// `head` may hold a whole request, which waits for the response before it to leave.
    pub pipelined: bool,
    /// The time by which the head has to be whole. A kept-alive connection has to begin one by
    /// then.
    pub deadline: Instant,
    /// A head has begun, or is due because the connection is new.
    pub started: bool,
    /// The body that leaves behind the response head in the output buffer.
    pub body: Option<Box<Body>>,
    /// The reason why the connection ends when the response has left.
    pub last: Option<End>,
    /// The part of the server that this connection sees.
    pub view: View,
    /// In a box, because few have it.
    pub more: Option<Box<More>>,
}

/// The state that few connections have.
pub enum More {
    /// The client that a preamble has told, for the log.
    Announced(IpAddr),
    /// That of a connection to the API.
    #[cfg(feature = "api")]
    Calls(Calls),
}

/// A response body. It leaves from where it lies.
pub struct Body {
    pub bytes: Cow<'static, [u8]>,
    /// The bytes before this one have left.
    pub at: usize,
}

impl Http {
    /// Waits for the first request. Its head has to be whole by `deadline`.
    pub fn new(view: View, deadline: Instant) -> Http {
        Http {
            head: Vec::new(),
            pipelined: false,
            deadline,
            started: true,
            body: None,
            last: None,
            view,
            more: None,
        }
    }
}

impl<S: Stream> Connection<S> {
    /// Answers the next request; returns [`Incoming::Open`] if that made the connection a
    /// WebSocket.
    pub(super) fn next_request<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'b>> {
        let State::Http(Http { mut view, .. }) = self.state else { return None };
        if self.pipe.stream().spoke_plaintext() {
            input.take_all();
            self.respond(http::not_https(now.unix_ms), now, shared);
            return None;
        }
        let mut parsed = http::parse(input.rest(), shared.site(view), now.unix_ms);
        let mut client = None;
        if let (View::Proxied, Parsed::Complete { used, .. }) = (view, &parsed) {
            client = self.forwarded_client(&input.rest()[..*used], shared);
            if shared.addresses.is_full(client) {
                view = View::Refused;
                parsed = http::parse(input.rest(), shared.site(view), now.unix_ms);
                let text = "--per-address limits its connections".into();
                shared.log_refusal(&LogLine { level: Level::Warn, text }, client, now);
            }
        }
        let Parsed::Complete { used, answer } = parsed else {
            self.keep_head(input.take_all(), false, now, shared);
            return None;
        };
        #[cfg(any(feature = "auth", feature = "peerjs"))]
        if matches!(answer, Answer::Upgrade(_)) {
            shared.note_handshake(&input.rest()[..used], view);
        }
        input.take(used);
        match answer {
            Answer::Upgrade(response) => {
                self.upgrade(&response, now, shared);
                Some(Incoming::Open(client))
            }
            Answer::Respond(mut response) => {
                if let Some(line) = response.log_line.take() {
                    let client = client
                        .or_else(|| self.announced())
                        .or_else(|| self.pipe.stream().peer_address());
                    shared.log_refusal(&line, client, now);
                }
                self.respond(response, now, shared);
                self.keep_head(input.take_all(), true, now, shared);
                None
            }
        }
    }

    /// Returns the client that a trusted proxy has told in a request head. A request without one is
    /// the peer's own.
    fn forwarded_client(&self, head: &[u8], shared: &mut Shared) -> Option<IpAddr> {
        http::forwarded_client(head, &shared.proxies).or_else(|| {
            shared.addresses.log_exemption();
            self.pipe.stream().peer_address()
        })
    }

    /// Returns the client that a preamble has told.
    fn announced(&self) -> Option<IpAddr> {
        match &self.state {
            State::Http(Http { more: Some(more), .. }) => match **more {
                More::Announced(client) => Some(client),
                #[cfg(feature = "api")]
                More::Calls(_) => None,
            },
            _ => None,
        }
    }

    fn upgrade(&mut self, response: &[u8], now: Now, shared: &mut Shared) {
        let State::Http(http) = &self.state else { return };
        // The time to join runs from accept, unless the connection has already been kept alive.
        let join_timeout = shared.limits.join_timeout;
        let join_by = if http.started { http.deadline } else { now.instant + join_timeout };
        self.state = State::WebSocket(WebSocket::new(join_by, now));
        shared.counters.count_response(response);
        self.out_buffer(shared).extend_from_slice(response);
    }

    /// Keeps the beginning of the next request, or of the next ones.
    fn keep_head(&mut self, bytes: &[u8], pipelined: bool, now: Now, shared: &mut Shared) {
        let State::Http(http) = &mut self.state else { return };
        if bytes.is_empty() || http.last.is_some() {
            return;
        }
        if bytes.len() > shared.codec.incomplete.limit(HEAD_BYTES_MAX) {
            if pipelined {
                // The response before has not left, so it is the last one.
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

    /// Queues a response; its body leaves behind the queued head.
    pub(super) fn respond(&mut self, response: Response, now: Now, shared: &mut Shared) {
        let Response { head, body, close, log_line: _ } = response;
        let State::Http(http) = &mut self.state else { return };
        shared.counters.count_response(&head);
        http.last = close.then(|| End::Refused(status(&head)));
        http.body = (!body.is_empty()).then(|| Box::new(Body { bytes: body, at: 0 }));
        (http.started, http.deadline) = (false, now.instant + shared.limits.join_timeout);
        self.out_buffer(shared).extend_from_slice(&head);
    }
}
