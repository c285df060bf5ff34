//! Calls on a [`Connection`] to the API: one is under way at a time, and its answer may come turns
//! later.
//!
//! **Invariants**
//! - Unread requests and the beginning of the next one are in `Http::head`, counted in
//!   `Codec::incomplete`. While a call is under way, or its answer unsent, no more is read.
//! - The end of the stream is found by a read, so never while a call is under way: a backend that
//!   has closed its side is answered.
//! - Each call gets one answer: [`Connection::answer_call`], or that of its deadline, which ends
//!   the connection.
//!
//! The meaning of a call is not known here.

use super::*;
use crate::limits::{API_ANSWER_TIMEOUT, READ_BYTES};
use crate::memory::extend_tightly;
use crate::net::http::calls::{self, CallHead, ParsedCall};
use crate::net::http::{LogLine, Response};

/// A whole request to the API.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// The method: `GET` or `POST`.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The query, empty if there is none.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The state of a connection to the API.
#[derive(Default)]
pub struct Calls {
    /// The call under way: whether the connection is to end after its answer.
    under_way: Option<bool>,
    /// The client was told to go on with the body of the request that has begun.
    is_continued: bool,
    /// The connection is over its quota: it gets one answer.
    is_full: bool,
}

impl<S: Stream> Connection<S> {
    /// Begins the conversation with a backend, on a stream just accepted.
    pub fn for_calls(stream: S, now: Now, shared: &Shared) -> Connection<S> {
        Connection::with_calls(stream, now.instant + shared.limits.join_timeout, Calls::default())
    }

    /// Begins one over a quota: one request is answered, with 503.
    pub fn for_refused_call(stream: S, now: Now) -> Connection<S> {
        let calls = Calls { is_full: true, ..Calls::default() };
        Connection::with_calls(stream, now.instant + LINGER, calls)
    }

    fn with_calls(stream: S, deadline: Instant, calls: Calls) -> Connection<S> {
        let mut http = Http::new(View::Api, deadline);
        http.more = Some(Box::new(More::Calls(calls)));
        Connection { pipe: Pipe::new(stream), state: State::Http(http) }
    }

    /// Returns `true` if this is a connection to the API, before its end.
    pub(super) fn serves_calls(&self) -> bool {
        matches!(&self.state, State::Http(http) if http.calls().is_some())
    }

    fn calls_mut(&mut self) -> Option<&mut Calls> {
        match &mut self.state {
            State::Http(http) => http.calls_mut(),
            _ => None,
        }
    }

    /// Returns `true` while a call waits for its answer.
    pub fn is_calling(&self) -> bool {
        matches!(&self.state, State::Http(http) if http.is_calling())
    }

    /// Takes in the input, and returns the next call if that may begin.
    pub(super) fn next_call(
        &mut self,
        input: &mut Input<'_>,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'static>> {
        let is_unsent = self.unsent() > 0;
        let State::Http(http) = &mut self.state else { return None };
        let bytes = input.take_all();
        if http.last.is_some() {
            return None;
        }
        if !bytes.is_empty() && !http.started {
            (http.started, http.deadline) = (true, now.instant + shared.limits.join_timeout);
        }
        if !keep(&mut http.head, bytes, shared) {
            self.end_with(calls::call_unavailable(now.unix_ms), now, shared);
            return None;
        }
        if http.is_calling() || is_unsent {
            http.pipelined = !http.head.is_empty();
            return None;
        }
        if http.head.is_empty() {
            return None;
        }
        if http.calls().is_some_and(|calls| calls.is_full) {
            self.end_with(calls::call_unavailable(now.unix_ms), now, shared);
            return None;
        }
        let body_bytes_max = shared.limits.message_bytes_max;
        let bearer = shared.bearer.as_ref()?;
        match calls::parse_call(&http.head, bearer, body_bytes_max, now.unix_ms) {
            ParsedCall::Incomplete { expects_continue } => {
                self.go_on(expects_continue, shared);
                None
            }
            ParsedCall::Refused(response) => {
                self.end_with(response, now, shared);
                None
            }
            ParsedCall::Complete { head, body_at, used } => {
                self.begin_call(head, body_at, used, now, shared)
            }
        }
    }

    /// Tells a client once that it may send the body (RFC 9110, 10.1.1).
    fn go_on(&mut self, expects_continue: bool, shared: &mut Shared) {
        let Some(calls) = self.calls_mut() else { return };
        if expects_continue && !std::mem::replace(&mut calls.is_continued, true) {
            self.out_buffer(shared).extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn begin_call(
        &mut self,
        head: CallHead,
        body_at: usize,
        used: usize,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'static>> {
        let State::Http(http) = &mut self.state else { return None };
        let behind = http.head.split_off(used);
        shared.codec.incomplete.give(used);
        let body = std::mem::replace(&mut http.head, behind).split_off(body_at);
        let CallHead { method, path, query, closes } = head;
        let calls = http.calls_mut()?;
        (calls.under_way, calls.is_continued) = (Some(closes), false);
        http.pipelined = !http.head.is_empty();
        http.deadline = now.instant + API_ANSWER_TIMEOUT;
        Some(Incoming::Call(Call { method, path, query, body }))
    }

    /// Answers the call under way, with one field that other answers do not have. Does nothing if
    /// there is none.
    pub fn answer_call(
        &mut self,
        status: u16,
        field: Option<(&str, &str)>,
        json: String,
        now: Now,
        shared: &mut Shared,
    ) {
        let under_way = self.calls_mut().and_then(|calls| calls.under_way.take());
        let Some(closes) = under_way else { return };
        let response = calls::write_answer(status, field, json, closes, now.unix_ms);
        if closes {
            return self.end_with(response, now, shared);
        }
        self.respond_to_call(response, now, shared);
    }

    /// Acts on the deadline of a connection to the API.
    pub(super) fn expire_call(&mut self, now: Now, shared: &mut Shared) {
        let State::Http(http) = &mut self.state else { return };
        if http.is_calling() {
            self.end_with(calls::call_unanswered(now.unix_ms), now, shared);
        } else if http.head.is_empty() {
            self.finish(State::Gone(End::Silent), shared);
        } else {
            self.end_with(calls::call_timed_out(now.unix_ms), now, shared);
        }
    }

    /// Queues the last response of the connection. The input behind it is dropped.
    fn end_with(&mut self, mut response: Response, now: Now, shared: &mut Shared) {
        let State::Http(http) = &mut self.state else { return };
        shared.codec.incomplete.give(http.head.len());
        (http.head, http.pipelined) = (Vec::new(), false);
        if let Some(calls) = http.calls_mut() {
            calls.under_way = None;
        }
        if let Some(line) = response.log_line.take() {
            self.log_refused_call(&line, now, shared);
        }
        response.close = true;
        self.respond_to_call(response, now, shared);
    }

    fn log_refused_call(&self, line: &LogLine, now: Now, shared: &mut Shared) {
        shared.log_refusal(line, self.pipe.stream().peer_address(), now);
    }

    fn respond_to_call(&mut self, response: Response, now: Now, shared: &mut Shared) {
        shared.counters.count_call(&response.head);
        self.respond(response, now, shared);
        if let State::Http(http) = &mut self.state {
            // A request behind this one has begun.
            http.started = !http.head.is_empty();
        }
    }
}

impl Http {
    /// Returns `true` while a call waits for its answer.
    pub(super) fn is_calling(&self) -> bool {
        self.calls().is_some_and(|calls| calls.under_way.is_some())
    }

    /// Returns the state of a connection to the API.
    pub(super) fn calls(&self) -> Option<&Calls> {
        match self.more.as_deref() {
            Some(More::Calls(calls)) => Some(calls),
            _ => None,
        }
    }

    fn calls_mut(&mut self) -> Option<&mut Calls> {
        match self.more.as_deref_mut() {
            Some(More::Calls(calls)) => Some(calls),
            _ => None,
        }
    }
}

/// Appends input to the beginning of a request. Returns `false` if there is no memory for it.
fn keep(head: &mut Vec<u8>, bytes: &[u8], shared: &mut Shared) -> bool {
    if bytes.is_empty() {
        return true;
    }
    // One request, and the rest of the read in which it ends.
    let bytes_max = HEAD_BYTES_MAX + shared.limits.message_bytes_max + READ_BYTES;
    shared.codec.incomplete.give(head.len());
    let fits = head.len() + bytes.len() <= shared.codec.incomplete.limit(bytes_max);
    if fits {
        extend_tightly(head, bytes);
    }
    shared.codec.incomplete.take(head.len());
    fits
}
