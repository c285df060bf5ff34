//! One connection: the conversation on a [`Pipe`], HTTP until a request asks for WebSocket, then
//! frames, then a goodbye.
//!
//! ```text
//!  new, refused
//!       │
//!       ▼   next_request: 101       next: close frame from the peer
//!     Http ───────────────▶ WebSocket ────────────────────────────▶ Closing
//!       │                       │       close: our close frame         │
//!       │ linger: the last      │                                      │ linger: all has left,
//!       │ response has left     │                                      │ the peer's close came
//!       ├──────────────────────────────────▶ Lingering ◀───────────────┘
//!       │                       │                │
//!       ▼                       ▼                ▼ end_of_stream, expire
//!     Gone ◀──────────────────────────────────────
//!        end_of_stream, expire, abandon, a reset: any state
//! ```
//!
//! | state | input | output | deadline |
//! |---|---|---|---|
//! | Http | requests, one at a time | the response to the last one | a whole head in time |
//! | WebSocket | messages | frames | a join in time, then liveness |
//! | Closing | a close frame is looked for | queued bytes leave | `WRITE_STALL`, then `LINGER` |
//! | Lingering | read and thrown away | our side is shut | `LINGER` |
//! | Gone | none | none | none: [`Server`](crate::server::Server) removes it |
//!
//! Invariants:
//! - Every transition to `Closing`, `Lingering` or `Gone` is made by `Connection::finish`, which
//!   gives back the incomplete input. The first reason for an end stays the reason.
//! - While output is unsent nothing is read: pongs and HTTP responses have no other bound. Nor is a
//!   peer in debt read, which sent faster than its rate.
//! - After a close frame, in or out, nothing more is queued, and input is ignored.
//!
//! The meaning of messages, other connections and the clock are not known here.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{
    COPIED_BYTES_MAX, DEBT_MAX, FRAME_HEADER_BYTES_MAX, HEAD_BYTES_MAX, LINGER, TOKENS_PER_LINE,
    TOKENS_PER_TURN, WRITE_STALL,
};
use crate::net::frames::{
    CloseCode, CloseSearch, Input, Message, Opcode, Text, frame_header, put_frame,
};
use crate::net::pipe::{Pipe, ReadOutcome, WriteOutcome};
use crate::net::rate::Bucket;
use crate::net::stream::Stream;
use crate::time::Now;

#[cfg(feature = "api")]
mod calls;
mod deadlines;
mod postponed;
mod requests;
mod shared;
mod websocket;

#[cfg(feature = "api")]
pub use calls::Call;
pub use postponed::Postponed;
use requests::{Http, More};
pub use shared::{Counters, Limits, Shared, View};
use websocket::WebSocket;

/// An event of the conversation, for the caller to act on.
#[derive(Debug, PartialEq)]
pub enum Incoming<'b> {
    /// The peer asked for WebSocket and got it. The address is that of the client, if a trusted
    /// proxy has told it.
    Open(Option<IpAddr>),
    /// A text message.
    Text(Text<'b>),
    /// A binary message.
    Binary(Vec<u8>),
    /// A request to the API, for [`Connection::answer_call`].
    #[cfg(feature = "api")]
    Call(Call),
    /// The peer sent a close frame. Our answer is queued; [`Connection::send_before_close`] can put
    /// a last text in front of it.
    Closed,
}

/// The reason why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer sent a close frame with this code; 1005 if it gave none (RFC 6455, 7.1.5).
    Closed(u16),
    /// The peer asked for nothing more, or its stream broke.
    Lost(ErrorKind),
    /// The peer stayed silent for too long.
    Silent,
    /// The peer took no bytes for too long.
    Stalled,
    /// We ended it, with this close code or HTTP status.
    Refused(u16),
}

/// One stream, and the state of the conversation on it.
pub struct Connection<S> {
    pipe: Pipe<S>,
    state: State,
}

enum State {
    Http(Http),
    WebSocket(WebSocket),
    /// The last bytes leave, and the peer's close frame comes.
    Closing(Goodbye),
    /// Both close frames have passed, or the last response: our side is shut.
    Lingering(Goodbye),
    Gone(End),
}

/// The end of a conversation, while its connection still exists.
struct Goodbye {
    end: End,
    /// The latest time at which the connection is gone.
    until: Instant,
    /// Position of our close frame in the output buffer, until the next flush.
    close_at: usize,
    /// The peer's close frame: found, or looked for in its input.
    peer_close: CloseSearch,
}

impl Goodbye {
    fn new(end: End, now: Now, at_most: Duration) -> Goodbye {
        let until = now.instant + at_most;
        Goodbye { end, until, close_at: 0, peer_close: CloseSearch::default() }
    }
}

impl<S: Stream> Connection<S> {
    /// Begins the conversation on a stream just accepted. The first event reports its input.
    pub fn new(stream: S, view: View, now: Now, shared: &Shared) -> Connection<S> {
        let http = Http::new(view, now.instant + shared.limits.join_timeout);
        Connection { pipe: Pipe::new(stream), state: State::Http(http) }
    }

    /// Notes the client that a preamble has told, for the log.
    pub fn announce(&mut self, client: IpAddr) {
        if let State::Http(http) = &mut self.state {
            http.more = Some(Box::new(More::Announced(client)));
        }
    }

    /// Begins a conversation that has no place: one request is answered, with 503 unless it asks
    /// for a sign of life.
    ///
    /// Few of these fit at a time, so a slow one must not keep the place of another for long.
    pub fn refused(stream: S, now: Now) -> Connection<S> {
        let http = Http::new(View::Refused, now.instant + LINGER);
        Connection { pipe: Pipe::new(stream), state: State::Http(http) }
    }

    /// Returns `true` if frames go both ways.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::WebSocket(_))
    }

    /// Returns `true` if nothing is left to be written or waited for.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }

    /// Returns the reason for the end, once there is one.
    pub fn end(&self) -> Option<End> {
        match &self.state {
            State::Closing(Goodbye { end, .. })
            | State::Lingering(Goodbye { end, .. })
            | State::Gone(end) => Some(*end),
            State::Http(_) | State::WebSocket(_) => None,
        }
    }

    /// Returns the output bytes that the kernel has not taken.
    pub fn unsent(&self) -> usize {
        let body = match &self.state {
            State::Http(Http { body: Some(body), .. }) => body.bytes.len() - body.at,
            _ => 0,
        };
        self.queued() + body
    }

    /// Returns the unsent bytes that take memory: those of a file do not.
    pub fn queued(&self) -> usize {
        self.pipe.unsent()
    }

    /// Returns the bytes of input that wait for the rest of their head, record or message, as they
    /// are counted.
    pub fn incomplete(&self) -> usize {
        let kept = match &self.state {
            State::Http(http) => http.head.len(),
            State::WebSocket(socket) => socket.incomplete(),
            State::Closing(_) | State::Lingering(_) | State::Gone(_) => 0,
        };
        kept + self.pipe.stream().buffered_bytes()
    }

    /// Returns `true` if a read is owed: input may be waiting, and may be read now.
    pub fn wants_read(&self) -> bool {
        let is_pipelined = matches!(&self.state, State::Http(http) if http.pipelined);
        let is_postponed = matches!(&self.state, State::WebSocket(ws) if ws.has_postponed());
        let is_due = self.pipe.is_readable() || is_pipelined || is_postponed;
        #[cfg(feature = "api")]
        let is_due = is_due && !self.is_calling();
        is_due && self.unsent() == 0 && !self.is_paused() && !self.is_gone()
    }

    /// Returns `true` if output is unsent that the kernel may take now.
    pub fn wants_write(&self) -> bool {
        self.unsent() > 0 && self.pipe.can_write()
    }

    /// Returns `true` during a TLS handshake.
    pub fn is_handshaking(&self) -> bool {
        self.pipe.stream().is_handshaking()
    }

    /// Returns `true` if the kernel has reported the end of the stream.
    pub fn is_ending(&self) -> bool {
        self.pipe.is_ending()
    }

    /// Returns `true` if the peer is not read because it sent faster than its rate.
    pub fn is_paused(&self) -> bool {
        matches!(&self.state, State::WebSocket(WebSocket { is_paused: true, .. }))
    }

    /// Returns `true` if the kernel refused output. An event reports when it takes more.
    pub fn is_stalled(&self) -> bool {
        self.pipe.is_stalled()
    }

    /// Notes that the kernel reported input.
    pub fn note_readable(&mut self) {
        self.pipe.note_readable();
    }

    /// Notes that the kernel reported the end of the stream, or an error.
    pub fn note_read_closed(&mut self, now: Now) {
        self.pipe.note_read_closed();
        self.limit_ending(now);
    }

    /// Notes that the kernel reported an error. A peer that is not read would be found dead only
    /// when its debt is paid, or its call answered, so its connection ends at once, and its unread
    /// input with it.
    pub fn note_failed(&mut self, shared: &mut Shared) {
        let is_unread = self.is_paused();
        #[cfg(feature = "api")]
        let is_unread = is_unread || self.is_calling();
        if is_unread {
            self.finish(State::Gone(End::Lost(ErrorKind::ConnectionReset)), shared);
        }
    }

    /// Gives a peer that is in debt, and has closed its side, a last time for its unread input.
    fn limit_ending(&mut self, now: Now) {
        if let State::WebSocket(socket) = &mut self.state
            && socket.is_paused
            && self.pipe.is_ending()
        {
            socket.liveness.end_by(now.instant + DEBT_MAX);
        }
    }

    /// Marks the peer as joined: the join timeout no longer applies.
    pub fn mark_joined(&mut self, now: Now) {
        if let State::WebSocket(socket) = &mut self.state {
            socket.liveness.mark_joined(now.instant);
        }
    }

    /// Returns `true` if the peer was marked as joined.
    pub fn has_joined(&self) -> bool {
        matches!(&self.state, State::WebSocket(socket) if socket.liveness.has_joined())
    }

    /// Charges the peer for input. A peer in debt is not read until the debt is paid: slower, and
    /// nothing is lost.
    pub fn charge(&mut self, tokens: usize, now: Now, shared: &Shared) {
        if let (State::WebSocket(socket), Some(rate)) = (&mut self.state, shared.limits.rate) {
            socket.bucket.take(tokens, rate, now.instant);
            socket.is_paused = socket.bucket.is_in_debt(rate, now.instant);
        }
        self.limit_ending(now);
    }

    /// Returns the tokens that the peer may spend in this turn. One that has not asked for
    /// WebSocket yet has all.
    pub fn tokens(&self, now: Now, shared: &Shared) -> usize {
        let Some(rate) = shared.limits.rate else { return usize::MAX };
        let left = match &self.state {
            State::WebSocket(socket) => socket.bucket.left(rate, now.instant),
            _ => Bucket::full(now.instant).left(rate, now.instant),
        };
        left.min(TOKENS_PER_TURN)
    }

    /// Keeps input that the peer has no tokens for, until it has, or until the next turn. If there
    /// is no memory for it, the connection is closed.
    pub fn postpone(&mut self, postponed: Postponed, now: Now, shared: &mut Shared) {
        let State::WebSocket(socket) = &mut self.state else { return };
        if let Err(refused) = socket.postpone(postponed, now, &mut shared.codec) {
            self.close(CloseCode::TryAgainLater.into(), now, shared);
            if let State::Closing(goodbye) = &mut self.state {
                goodbye.peer_close.find(refused.rest());
            }
        }
    }

    /// Takes the input that waited for tokens. It has to be handed on before anything is read.
    pub fn take_postponed(&mut self, now: Now, shared: &mut Shared) -> Option<Postponed> {
        match &mut self.state {
            State::WebSocket(socket) => socket.take_postponed(now, &mut shared.codec),
            _ => None,
        }
    }

    // ---- input ----

    /// Reads once, at most as much as `buffer` holds. The caller has to hand the input to
    /// [`Connection::next`] until that returns `None`, and then to charge the peer for it. If the
    /// input is overdrawn, its rest is to be postponed.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [u8],
        now: Now,
        shared: &mut Shared,
    ) -> Input<'b> {
        let tokens = self.tokens(now, shared);
        let (kept, end) = match &mut self.state {
            // Requests that wait are heard before more is read.
            #[cfg(feature = "api")]
            State::Http(http) if http.calls().is_some() => {
                (0, if std::mem::take(&mut http.pipelined) { 0 } else { buffer.len() })
            }
            // A head is parsed as a whole, so its beginning is put in front of the new input.
            State::Http(http) => {
                let head = std::mem::take(&mut http.head);
                shared.codec.incomplete.give(head.len());
                http.pipelined = false;
                buffer[..head.len()].copy_from_slice(&head);
                (head.len(), HEAD_BYTES_MAX)
            }
            _ => (0, buffer.len()),
        };
        let got = self.read(&mut buffer[kept..end], now, shared);
        Input::new(&mut buffer[..kept + got], tokens)
    }

    /// Reads once, and counts the input that the stream keeps because it is not readable yet.
    fn read(&mut self, buffer: &mut [u8], now: Now, shared: &mut Shared) -> usize {
        if buffer.is_empty() || !self.pipe.is_readable() {
            return 0;
        }
        let before = self.pipe.stream().buffered_bytes();
        let outcome = self.pipe.read(buffer);
        let buffered = self.pipe.stream().buffered_bytes();
        shared.codec.incomplete.give(before);
        let is_too_much = buffered > before && buffered > shared.codec.incomplete.limit(usize::MAX);
        shared.codec.incomplete.take(buffered);
        if is_too_much {
            self.abandon(CloseCode::TryAgainLater.into(), now, shared);
            return 0;
        }
        match outcome {
            ReadOutcome::Bytes(got) => {
                shared.counters.bytes_in += got as u64;
                self.note_heard(now);
                got
            }
            ReadOutcome::Nothing => 0,
            ReadOutcome::Lost(kind) => {
                self.finish(State::Gone(End::Lost(kind)), shared);
                0
            }
        }
    }

    fn note_heard(&mut self, now: Now) {
        if let State::WebSocket(socket) = &mut self.state {
            socket.liveness.note_heard(now.instant);
        }
    }

    /// Parses the input; returns the next event, or `None` when the input is used up or overdrawn.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'b>> {
        #[cfg(feature = "api")]
        if self.serves_calls() {
            if let Some(call) = self.next_call(input, now, shared) {
                return Some(call);
            }
            if self.pipe.is_ended() {
                self.end_of_stream(shared);
            }
            return None;
        }
        if let State::Http(_) = self.state
            && let Some(open) = self.next_request(input, now, shared)
        {
            return Some(open);
        }
        if self.is_open()
            && let Some(incoming) = self.next_message(input, now, shared)
        {
            return Some(incoming);
        }
        if let State::Closing(goodbye) | State::Lingering(goodbye) = &mut self.state {
            let is_closed = goodbye.peer_close.find(input.take_all());
            let end = goodbye.end;
            if is_closed && self.unsent() == 0 && matches!(self.state, State::Closing(_)) {
                self.linger(end, now, shared);
            }
        }
        if self.pipe.is_ended() {
            self.end_of_stream(shared);
        }
        None
    }

    fn next_message<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'b>> {
        loop {
            let State::WebSocket(socket) = &mut self.state else { return None };
            if input.is_overdrawn() {
                return None;
            }
            // An answer to a close frame begins here: one call appends one answer at most.
            let close_at = self.pipe.out_mut().len();
            match socket.next(input, now, &mut shared.codec, self.pipe.out_mut()) {
                Ok(Some(Message::Text(text))) => return Some(Incoming::Text(text)),
                Ok(Some(Message::Binary(bytes))) => return Some(Incoming::Binary(bytes)),
                // A ping is answered already. A pong has shown by arriving that the peer is alive.
                Ok(Some(Message::Ping | Message::Pong | Message::Fragment)) => {
                    input.spend(TOKENS_PER_LINE);
                }
                Ok(Some(Message::Close(code))) => {
                    let mut goodbye = Goodbye::new(End::Closed(code), now, WRITE_STALL);
                    (goodbye.close_at, goodbye.peer_close) = (close_at, CloseSearch::found());
                    self.finish(State::Closing(goodbye), shared);
                    return Some(Incoming::Closed);
                }
                Ok(None) => return None,
                Err(code) => self.close(code.into(), now, shared),
            }
        }
    }

    /// Ends the conversation because no more input will come. Earlier requests are still answered.
    fn end_of_stream(&mut self, shared: &mut Shared) {
        const END: End = End::Lost(ErrorKind::UnexpectedEof);
        let is_unsent = self.unsent() > 0 && !self.is_handshaking();
        match &mut self.state {
            State::Http(http) if http.pipelined => {}
            State::Http(http) if is_unsent => http.last = Some(END),
            State::Closing(_) if is_unsent => {}
            State::Gone(_) => {}
            _ => self.finish(State::Gone(END), shared),
        }
    }

    // ---- output ----

    /// Queues one frame, if the connection is open.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8], shared: &mut Shared) {
        if self.is_open() {
            put_frame(self.out_buffer(shared), opcode, payload);
        }
    }

    /// Queues a text, which the caller knows to be UTF-8.
    pub fn send_text(&mut self, text: &[u8], shared: &mut Shared) {
        shared.counters.frames_out += u64::from(self.is_open());
        self.send(Opcode::Text, text, shared);
    }

    /// Puts a text in front of our answer to the peer's close frame, which has not been flushed
    /// yet.
    pub fn send_before_close(&mut self, text: &[u8], shared: &mut Shared) {
        let State::Closing(Goodbye { close_at, .. }) = &self.state else { return };
        let close = self.pipe.out_mut().split_off(*close_at);
        shared.counters.frames_out += 1;
        let out = self.pipe.out_mut();
        put_frame(out, Opcode::Text, text);
        out.extend_from_slice(&close);
    }

    /// Sends a text, which the caller knows to be UTF-8: queues a short one, and hands a long one
    /// to the kernel without a copy, if nothing is queued before it.
    pub fn write_text(&mut self, text: &[u8], now: Now, shared: &mut Shared) {
        if text.len() < COPIED_BYTES_MAX || self.queued() > 0 || !self.is_open() {
            return self.send_text(text, shared);
        }
        shared.counters.frames_out += 1;
        let mut scratch = [0; FRAME_HEADER_BYTES_MAX];
        let header = frame_header(Opcode::Text, text.len(), &mut scratch);
        let taken = match self.pipe.write_once([header, text]) {
            Ok(taken) => taken,
            Err(kind) => return self.finish(State::Gone(End::Lost(kind)), shared),
        };
        shared.counters.bytes_out += taken as u64;
        if taken < header.len() + text.len() {
            let out = self.out_buffer(shared);
            out.extend_from_slice(&header[taken.min(header.len())..]);
            out.extend_from_slice(&text[taken.saturating_sub(header.len())..]);
        }
        if self.unsent() > 0 {
            // Only another write finds out whether the kernel is full.
            self.flush(now, shared);
        }
    }

    /// Sends a close frame with this code (RFC 6455, 7.4). Before the upgrade the connection ends
    /// behind the response that is under way; after a goodbye this does nothing.
    pub fn close(&mut self, code: u16, now: Now, shared: &mut Shared) {
        self.send(Opcode::Close, &code.to_be_bytes(), shared);
        let (is_unsent, end) = (self.unsent() > 0, End::Refused(code));
        match &mut self.state {
            State::WebSocket(_) => {
                self.finish(State::Closing(Goodbye::new(end, now, WRITE_STALL)), shared);
            }
            State::Http(http) if is_unsent => {
                http.last.get_or_insert(end);
            }
            State::Http(_) => self.finish(State::Gone(end), shared),
            State::Closing(_) | State::Lingering(_) | State::Gone(_) => {}
        }
    }

    /// Ends the connection at once, behind a close frame if that can be written now.
    pub fn abandon(&mut self, code: u16, now: Now, shared: &mut Shared) {
        if self.unsent() == 0 {
            self.close(code, now, shared);
            self.flush(now, shared);
        }
        self.finish(State::Gone(End::Refused(code)), shared);
    }

    /// Hands unsent output to the kernel, as much as it takes: one write, unless it takes a part.
    pub fn flush(&mut self, now: Now, shared: &mut Shared) {
        let before = self.unsent();
        if before == 0 {
            return;
        }
        let (of_stream, was_stalled) = (self.pipe.stream().unsent(), self.is_stalled());
        let mut outcome = WriteOutcome::Drained;
        if self.pipe.unsent() > 0 {
            outcome = self.pipe.flush(now.instant);
        }
        if outcome == WriteOutcome::Drained
            && let State::Http(Http { body: Some(body), .. }) = &mut self.state
        {
            outcome = self.pipe.write_from(&body.bytes, &mut body.at, now.instant);
        }
        let left = self.unsent() - self.pipe.stream().unsent();
        shared.counters.bytes_out += (before - of_stream - left) as u64;
        match outcome {
            WriteOutcome::Drained => self.drained(was_stalled, now, shared),
            WriteOutcome::Refused => {
                if let Some(buffer) = self.pipe.trim() {
                    shared.return_buffer(buffer);
                }
            }
            WriteOutcome::Lost(kind) => self.finish(State::Gone(End::Lost(kind)), shared),
        }
    }

    /// Goes on after the last unsent byte has left.
    fn drained(&mut self, was_stalled: bool, now: Now, shared: &mut Shared) {
        shared.return_buffer(std::mem::take(self.pipe.out_mut()));
        match &mut self.state {
            State::Http(http) => {
                http.body = None;
                http.deadline = now.instant + shared.limits.join_timeout;
                if let Some(end) = http.last {
                    self.linger(end, now, shared);
                }
            }
            State::WebSocket(socket) if was_stalled => socket.resume_reading(now),
            State::WebSocket(_) => {}
            State::Closing(goodbye) if goodbye.peer_close.is_found() => {
                let end = goodbye.end;
                self.linger(end, now, shared);
            }
            // Closing our side now would make browsers report an unclean end (RFC 6455, 7.1.1).
            State::Closing(goodbye) => goodbye.until = now.instant + LINGER,
            State::Lingering(_) | State::Gone(_) => {}
        }
    }

    /// Shuts our side, and reads on for a while. The kernel resets a stream that is dropped with
    /// unread input, and a reset can destroy bytes that the peer has not read yet.
    fn linger(&mut self, end: End, now: Now, shared: &mut Shared) {
        // The stream may drop the input that it keeps.
        shared.codec.incomplete.give(self.pipe.stream().buffered_bytes());
        let shut = if self.pipe.is_ended() { Ok(()) } else { self.pipe.shutdown_write() };
        shared.codec.incomplete.take(self.pipe.stream().buffered_bytes());
        if matches!(&shut, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            // The stream's own last bytes are unsent. When they have left, `drained` comes again.
            return;
        }
        let is_over = self.pipe.is_ended() || shut.is_err();
        let goodbye = State::Lingering(Goodbye::new(end, now, LINGER));
        self.finish(if is_over { State::Gone(end) } else { goodbye }, shared);
    }

    /// Makes a transition towards the end, and gives back the incomplete input.
    fn finish(&mut self, mut state: State, shared: &mut Shared) {
        match (&mut self.state, &mut state) {
            (State::Http(http), _) => shared.codec.incomplete.give(http.head.len()),
            (State::WebSocket(socket), State::Closing(goodbye))
                if !goodbye.peer_close.is_found() =>
            {
                goodbye.peer_close = socket.release(&mut shared.codec);
            }
            (State::WebSocket(socket), _) => drop(socket.release(&mut shared.codec)),
            (State::Closing(_) | State::Lingering(_) | State::Gone(_), _) => {}
        }
        if !self.is_gone() && matches!(state, State::Gone(_)) {
            shared.codec.incomplete.give(self.pipe.stream().buffered_bytes());
        }
        self.state = match (self.end(), state) {
            (Some(end), State::Gone(_)) => State::Gone(end),
            (_, state) => state,
        };
        if self.is_gone() {
            self.pipe.discard();
        }
    }

    /// Returns the buffer to queue in. All connections share one as long as it is empty.
    fn out_buffer(&mut self, shared: &mut Shared) -> &mut Vec<u8> {
        let out = self.pipe.out_mut();
        if out.capacity() == 0 {
            *out = std::mem::take(&mut shared.out);
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod tests;
