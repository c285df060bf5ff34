//! One stream and what is spoken on it: HTTP until a request asks for WebSocket, then frames, then
//! a goodbye.
//!
//! Bytes come in by [`Connection::receive`], one read at a time, and are taken apart by
//! [`Connection::next`], which hands texts *and* binaries up one by one; what they mean is decided
//! elsewhere. What is to leave is queued, and goes out in [`Connection::flush`]. Nothing here
//! blocks, looks at a clock, or knows who else is connected.
//!
//! Invariants:
//! - While bytes wait that the kernel has refused, nothing is read: pongs and HTTP answers have no
//!   other bound. Nor is it while the peer is in debt, having talked too fast. What the stream
//!   keeps because the kernel refused it counts as ours.
//! - After a close frame, in or out, nothing more is queued, and nothing that still comes is heard.
//! - A connection ends in `Connection::finish` only, which gives back what it held.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::{Bytes, Message, Utf8Bytes};

use crate::limits::{
    COPIED_BYTES_MAX, FRAME_HEADER_BYTES_MAX, HEAD_BYTES_MAX, LINGER, LINGER_BYTES, WRITE_STALL,
};
use crate::net::frames::{Arrival, Input, frame_header, put_frame};
use crate::net::http;
use crate::time::Now;

mod requests;
mod shared;
mod websocket;

use requests::Http;
pub use shared::{Counters, Limits, Shared, View};
use websocket::{Due, Liveness, WebSocket};

/// What a connection speaks through: a non-blocking TCP stream, one with TLS over it, or a script
/// in a test.
///
/// The defaults are those of a stream that has no buffer of its own.
pub trait Stream: Read + Write {
    /// After a read that asked for `asked` bytes and got `got`: may more be waiting that no event
    /// will tell of?
    ///
    /// A short read has emptied the kernel's buffer (epoll(7), question 9); a stream with a buffer
    /// of its own knows better.
    fn may_have_more(&self, asked: usize, got: usize) -> bool {
        asked == got
    }

    /// Bytes that it has taken and the kernel has refused. Until `flush` has handed them on,
    /// nothing else can be written.
    fn unsent(&self) -> usize {
        0
    }

    /// Bytes of memory that it keeps of what has come, until more does.
    fn buffered_bytes(&self) -> usize {
        0
    }

    /// Can it be written to? Where two have to agree first on how they speak, it can only be read
    /// until they have.
    fn is_ready(&self) -> bool {
        true
    }

    /// Has the peer shown that it speaks otherwise than it should? Then it hears us as it speaks.
    fn spoke_plaintext(&self) -> bool {
        false
    }

    /// Says that nothing more will be written; reading goes on, but what is read may be as it came.
    ///
    /// # Errors
    /// Those of shutdown(2). `WouldBlock`: something has to leave before, and then it has to be
    /// said again.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

impl Stream for mio::net::TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

/// What was heard on a connection.
#[derive(Debug, PartialEq)]
pub enum Incoming<'b> {
    /// The peer has asked for WebSocket and got it.
    Open,
    /// A text message.
    Text(Text<'b>),
    /// A binary message.
    Binary(Bytes),
}

/// A text message: still in the read buffer, or put together.
#[derive(Debug)]
pub enum Text<'b> {
    /// Where it came.
    InPlace(&'b str),
    /// From several frames or reads.
    Assembled(Utf8Bytes),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Text::InPlace(text) => text,
            Text::Assembled(text) => text,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Text<'_>) -> bool {
        **self == **other
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer said close: the code it gave; 1005, as the RFC has it, if it gave none.
    Closed(u16),
    /// The peer asked for nothing more, or its stream broke.
    Lost(ErrorKind),
    /// It stayed silent for too long.
    Silent,
    /// It took no bytes for too long.
    Stalled,
    /// We ended it, with this close code or HTTP status.
    Refused(u16),
}

/// One stream, and where the conversation on it stands.
pub struct Connection<S> {
    stream: S,
    state: State,
    /// Bytes that are to leave, from `out_at` on. A front that has left is not cut off: that would
    /// move the rest.
    out: Vec<u8>,
    out_at: usize,
    /// Since when the kernel has taken nothing of what waits.
    stalled: Option<Instant>,
    /// Bytes may be waiting that no event will tell of again.
    readable: bool,
    /// The kernel has said that the end of the stream is near: read on until it comes.
    read_closed: bool,
    /// The end of the stream has come.
    ended: bool,
}

enum State {
    /// Requests are answered one at a time.
    Http(Http),
    /// Frames go both ways.
    WebSocket(WebSocket),
    /// Nothing more is heard. What is queued leaves, and then our end of the stream.
    Closing(Closing),
    /// Over: the stream can be dropped.
    Gone(End),
}

impl State {
    fn closing(end: End, now: Now, at_most: Duration) -> State {
        State::Closing(Closing { end, until: now.instant + at_most, discarded: 0 })
    }
}

struct Closing {
    end: End,
    /// By when it is over in any case.
    until: Instant,
    /// Bytes read and thrown away.
    discarded: usize,
}

impl<S: Stream> Connection<S> {
    /// A connection just accepted. What may have come with it is told by the first event.
    pub fn new(stream: S, view: View, now: Now, shared: &Shared) -> Connection<S> {
        let deadline = now.instant + shared.limits.join_timeout;
        let http = Http {
            head: Vec::new(),
            pipelined: false,
            deadline,
            started: true,
            body: None,
            last: None,
            view,
        };
        Connection {
            stream,
            state: State::Http(http),
            out: Vec::new(),
            out_at: 0,
            stalled: None,
            readable: false,
            read_closed: false,
            ended: false,
        }
    }

    /// A connection for which there is no room: it is told so, whatever it asks.
    pub fn refused(stream: S, now: Now, shared: &mut Shared) -> Connection<S> {
        let mut connection = Connection::new(stream, View::Page, now, shared);
        connection.respond(http::unavailable(now.unix_ms), now, shared);
        #[cfg(feature = "tls")]
        if let State::Http(http) = &mut connection.state {
            // There is room for few who are refused: who has to agree first on how to speak is to
            // do it soon.
            http.deadline = now.instant + LINGER;
        }
        connection
    }

    /// Do frames go both ways?
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::WebSocket(_))
    }

    /// Is nothing left to be written or waited for?
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }

    /// Why it ended, if it did.
    pub fn end(&self) -> Option<End> {
        match &self.state {
            State::Closing(Closing { end, .. }) | State::Gone(end) => Some(*end),
            State::Http(_) | State::WebSocket(_) => None,
        }
    }

    /// Bytes queued that the kernel has not taken.
    pub fn unsent(&self) -> usize {
        let body = match &self.state {
            State::Http(Http { body: Some(body), .. }) => body.bytes.len() - body.at,
            _ => 0,
        };
        self.queued() + body
    }

    /// Bytes in memory that are to leave: [`Connection::unsent`] without the body of a file.
    pub fn queued(&self) -> usize {
        self.out.len() - self.out_at + self.stream.unsent()
    }

    /// Is a visit owed: has something come, or may it have, that can be heard now?
    pub fn wants_read(&self) -> bool {
        let pipelined = matches!(&self.state, State::Http(http) if http.pipelined);
        let is_free = self.unsent() == 0 || !self.stream.is_ready() && !self.is_stalled();
        (self.readable || pipelined) && is_free && !self.is_paused() && !self.is_gone()
    }

    /// Is something queued that the kernel may take now?
    pub fn wants_write(&self) -> bool {
        let can_leave = self.stream.is_ready() || self.stream.unsent() > 0;
        self.unsent() > 0 && can_leave && !self.is_stalled()
    }

    /// Is it still being agreed on how to speak?
    pub fn is_handshaking(&self) -> bool {
        !self.stream.is_ready()
    }

    /// Has the kernel said that the end of the stream is near?
    pub fn is_ending(&self) -> bool {
        self.read_closed
    }

    /// Is it not read because it talked too fast?
    pub fn is_paused(&self) -> bool {
        matches!(&self.state, State::WebSocket(WebSocket { is_paused: true, .. }))
    }

    /// Has the kernel refused bytes? Then an event tells when it takes some again.
    pub fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// The kernel says that something has come, and if `closed`, that the end of the stream has.
    ///
    /// Both are kept as state: whatever stops us from reading now, they are not told again.
    pub fn set_readable(&mut self, closed: bool) {
        self.readable = true;
        self.read_closed |= closed;
    }

    /// Somebody vouches for the peer: from now on only its silence ends the connection.
    pub fn admit(&mut self, now: Now) {
        if let State::WebSocket(socket) = &mut self.state {
            socket.liveness = Liveness::Heard(now.instant);
        }
    }

    /// Has it been admitted?
    pub fn is_admitted(&self) -> bool {
        matches!(&self.state, State::WebSocket(socket) if !matches!(socket.liveness, Liveness::Unadmitted(_)))
    }

    /// In one read the peer has said so many lines, or frames that brought none. If that was faster
    /// than it may, it is read again when the debt is paid: slower, and nothing is lost.
    pub fn charge(&mut self, lines: usize, now: Now, shared: &Shared) {
        if let (State::WebSocket(socket), Some(rate)) = (&mut self.state, shared.limits.rate) {
            socket.bucket.take(lines, rate, now.instant);
            socket.is_paused = socket.bucket.is_in_debt(rate, now.instant);
        }
    }

    // ---- in ----

    /// Reads once, at most what `buffer` holds. The input has to be handed to [`Connection::next`]
    /// until that gives none.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [u8],
        now: Now,
        shared: &mut Shared,
    ) -> Input<'b> {
        let (kept, end) = match &mut self.state {
            // A head is looked at as a whole: what has come of it is put in front of what comes.
            State::Http(http) => {
                let head = std::mem::take(&mut http.head);
                shared.codec.incomplete.give(head.len());
                http.pipelined = false;
                buffer[..head.len()].copy_from_slice(&head);
                (head.len(), HEAD_BYTES_MAX)
            }
            _ => (0, buffer.len()),
        };
        let got = if self.readable { self.read(&mut buffer[kept..end], now, shared) } else { 0 };
        Input::new(&mut buffer[..kept + got])
    }

    fn read(&mut self, buffer: &mut [u8], now: Now, shared: &mut Shared) -> usize {
        if buffer.is_empty() {
            return 0;
        }
        let held = self.stream.buffered_bytes();
        let result = self.stream.read(buffer);
        shared.codec.incomplete.give(held);
        let (held, before) = (self.stream.buffered_bytes(), held);
        let is_too_much = held > before && held > shared.codec.incomplete.limit(usize::MAX);
        shared.codec.incomplete.take(held);
        if is_too_much {
            self.abandon(CloseCode::Again.into(), now, shared);
            return 0;
        }
        match result {
            Ok(0) => (self.readable, self.ended) = (false, true),
            Ok(got) => {
                self.readable = self.read_closed || self.stream.may_have_more(buffer.len(), got);
                shared.counters.bytes_in += got as u64;
                self.note_heard(now);
                return got;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) => self.finish(State::Gone(End::Lost(error.kind())), shared),
        }
        0
    }

    fn note_heard(&mut self, now: Now) {
        if let State::WebSocket(WebSocket {
            liveness: liveness @ (Liveness::Heard(_) | Liveness::Pinged(_)),
            ..
        }) = &mut self.state
        {
            *liveness = Liveness::Heard(now.instant);
        }
    }

    /// It was not listened to for a while: its silence begins now, and so does the time for what it
    /// has begun to say.
    fn listen_again(&mut self, now: Now) {
        self.note_heard(now);
        if let State::WebSocket(WebSocket { partial: Some(partial), .. }) = &mut self.state {
            partial.since = now.instant;
        }
    }

    /// What the input says next; none: it is used up, and the next step is somebody else's.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        now: Now,
        shared: &mut Shared,
    ) -> Option<Incoming<'b>> {
        if let State::Http(_) = self.state
            && self.next_request(input, now, shared)
        {
            return Some(Incoming::Open);
        }
        if self.is_open()
            && let Some(incoming) = self.next_message(input, now, shared)
        {
            return Some(incoming);
        }
        if let State::Closing(closing) = &mut self.state {
            closing.discarded += input.take_all().len();
            if closing.discarded > LINGER_BYTES {
                let end = closing.end;
                self.finish(State::Gone(end), shared);
            }
        }
        if self.ended {
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
            let message = match socket.next(input, now, &mut shared.codec, &mut self.out) {
                Ok(Some(Arrival::InPlace(text))) => {
                    return Some(Incoming::Text(Text::InPlace(text)));
                }
                Ok(Some(Arrival::Assembled(message))) => message,
                Ok(None) => return None,
                Err(code) => {
                    self.close(code.into(), now, shared);
                    continue;
                }
            };
            match message {
                Message::Text(text) => return Some(Incoming::Text(Text::Assembled(text))),
                Message::Binary(bytes) => return Some(Incoming::Binary(bytes)),
                Message::Close(frame) => self.closed_by_peer(frame, now, shared),
                // tungstenite has answered a ping; a pong has shown that the peer is alive by being
                // read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The peer has said close, and the answer is queued.
    fn closed_by_peer(&mut self, frame: Option<CloseFrame>, now: Now, shared: &mut Shared) {
        let end = End::Closed(frame.map_or(CloseCode::Status, |frame| frame.code).into());
        self.finish(State::closing(end, now, WRITE_STALL), shared);
    }

    /// The peer says nothing more. What it asked for before is still answered.
    fn end_of_stream(&mut self, shared: &mut Shared) {
        let unsent = self.unsent() > 0 && self.stream.is_ready();
        match &mut self.state {
            State::Http(http) if http.pipelined => {}
            State::Http(http) if unsent => http.last = Some(End::Lost(ErrorKind::UnexpectedEof)),
            State::Closing(_) if unsent => {}
            State::Closing(_) | State::Http(_) | State::WebSocket(_) => {
                self.finish(State::Gone(End::Lost(ErrorKind::UnexpectedEof)), shared);
            }
            State::Gone(_) => {}
        }
    }

    // ---- out ----

    /// Queues one frame; the peer of a connection that is not open hears nothing more.
    pub fn send(&mut self, opcode: OpCode, payload: &[u8], shared: &mut Shared) {
        if self.is_open() {
            put_frame(self.out_buffer(shared), opcode, payload);
        }
    }

    /// [`Connection::send`] for a text that is known to be one.
    pub fn send_text(&mut self, text: &[u8], shared: &mut Shared) {
        shared.counters.frames_out += u64::from(self.is_open());
        self.send(OpCode::Data(Data::Text), text, shared);
    }

    /// [`Connection::send_text`], but a long text, where nothing is queued, is handed to the kernel
    /// without a copy: only what it does not take at once is queued.
    pub fn write_text(&mut self, text: &[u8], now: Now, shared: &mut Shared) {
        if text.len() < COPIED_BYTES_MAX || self.queued() > 0 || !self.is_open() {
            return self.send_text(text, shared);
        }
        shared.counters.frames_out += 1;
        let mut scratch = [0; FRAME_HEADER_BYTES_MAX];
        let header = frame_header(OpCode::Data(Data::Text), text.len(), &mut scratch);
        let taken = match self.stream.write_vectored(&[IoSlice::new(header), IoSlice::new(text)]) {
            Ok(taken) => taken,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                0
            }
            Err(error) => return self.finish(State::Gone(End::Lost(error.kind())), shared),
        };
        shared.counters.bytes_out += taken as u64;
        let (header, text) =
            (&header[taken.min(header.len())..], &text[taken.saturating_sub(header.len())..]);
        if header.len() + text.len() + self.stream.unsent() > 0 {
            // Whether the kernel is full is found out by trying the rest.
            let out = self.out_buffer(shared);
            out.extend_from_slice(header);
            out.extend_from_slice(text);
            self.flush(now, shared);
        }
    }

    /// Says close with this code (RFC 6455, 7.4). Before the upgrade, and after a goodbye, it just
    /// ends.
    pub fn close(&mut self, code: u16, now: Now, shared: &mut Shared) {
        if self.is_open() {
            let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::default() };
            // Writing into a vector cannot fail.
            let _ = Frame::close(Some(frame)).format(self.out_buffer(shared));
        }
        let unsent = self.unsent() > 0;
        match &mut self.state {
            State::WebSocket(_) => {
                self.finish(State::closing(End::Refused(code), now, WRITE_STALL), shared)
            }
            State::Http(http) if unsent => {
                http.last.get_or_insert(End::Refused(code));
            }
            State::Http(_) => self.finish(State::Gone(End::Refused(code)), shared),
            State::Closing(_) | State::Gone(_) => {}
        }
    }

    /// Says close if that can be written at once, and is gone in any case.
    pub fn abandon(&mut self, code: u16, now: Now, shared: &mut Shared) {
        if self.unsent() == 0 {
            self.close(code, now, shared);
            self.flush(now, shared);
        }
        self.finish(State::Gone(End::Refused(code)), shared);
    }

    /// Hands what is queued to the kernel, as much as it takes: one write, unless it takes a part.
    pub fn flush(&mut self, now: Now, shared: &mut Shared) {
        if self.unsent() == 0 {
            return;
        }
        loop {
            if self.stream.unsent() > 0
                && let Err(error) = self.flush_stream(now)
            {
                match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => return self.keep_refused(shared),
                    kind => return self.finish(State::Gone(End::Lost(kind)), shared),
                }
            }
            if !self.stream.is_ready() {
                // What is queued here waits until it is.
                self.stalled = None;
                return;
            }
            let body = match &mut self.state {
                State::Http(http) => http.body.as_deref_mut(),
                _ => None,
            };
            let (bytes, at) = match body {
                _ if self.out_at < self.out.len() => (&self.out[..], &mut self.out_at),
                Some(body) if body.at < body.bytes.len() => (&body.bytes[..], &mut body.at),
                _ => break,
            };
            match self.stream.write(&bytes[*at..]) {
                Ok(0) => return self.finish(State::Gone(End::Lost(ErrorKind::WriteZero)), shared),
                Ok(taken) => {
                    shared.counters.bytes_out += taken as u64;
                    *at += taken;
                    self.stalled = self.stalled.map(|_| now.instant);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert(now.instant);
                    return self.keep_refused(shared);
                }
                Err(error) => return self.finish(State::Gone(End::Lost(error.kind())), shared),
            }
        }
        self.drained(now, shared);
    }

    /// Hands on what the stream has kept.
    fn flush_stream(&mut self, now: Now) -> io::Result<()> {
        let before = self.stream.unsent();
        let result = self.stream.flush();
        if self.stream.unsent() < before {
            self.stalled = self.stalled.map(|_| now.instant);
        }
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.stalled.get_or_insert(now.instant);
        }
        result
    }

    /// Keeps what the kernel refused and little more. Each time at least an eighth of the room is
    /// given back, so bytes are moved O(1) times.
    fn keep_refused(&mut self, shared: &mut Shared) {
        if self.out.len() - self.out_at <= self.out.capacity() / 8 * 7 {
            let refused = self.out[self.out_at..].to_vec();
            self.out_at = 0;
            shared.return_buffer(std::mem::replace(&mut self.out, refused));
        }
    }

    /// Nothing waits to be written.
    fn drained(&mut self, now: Now, shared: &mut Shared) {
        self.out_at = 0;
        shared.return_buffer(std::mem::take(&mut self.out));
        let was_stalled = self.stalled.take().is_some();
        match &mut self.state {
            State::Http(http) => {
                http.body = None;
                http.deadline = now.instant + shared.limits.join_timeout;
                if let Some(end) = http.last {
                    self.linger(end, now, shared);
                }
            }
            State::WebSocket(_) if was_stalled => self.listen_again(now),
            State::WebSocket(_) => {}
            State::Closing(closing) => {
                let end = closing.end;
                self.linger(end, now, shared);
            }
            State::Gone(_) => {}
        }
    }

    /// Our last byte has left: says so, and reads on for a while. A stream that is dropped with
    /// bytes unread is reset, and a reset can eat what the peer has not read yet.
    fn linger(&mut self, end: End, now: Now, shared: &mut Shared) {
        // What the stream keeps of what has come may go with that.
        shared.codec.incomplete.give(self.stream.buffered_bytes());
        let shut = if self.ended { Ok(()) } else { self.stream.shutdown_write() };
        shared.codec.incomplete.take(self.stream.buffered_bytes());
        if matches!(&shut, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            // Once the stream's own last word has left, we are here again.
            return;
        }
        let gone = self.ended || shut.is_err();
        self.finish(if gone { State::Gone(end) } else { State::closing(end, now, LINGER) }, shared);
    }

    /// The one way out: gives back what was held for the conversation. Why it ended is what ended
    /// it first: whatever happens to a connection that is closing does not change that.
    fn finish(&mut self, state: State, shared: &mut Shared) {
        match &mut self.state {
            State::Http(http) => shared.codec.incomplete.give(http.head.len()),
            State::WebSocket(WebSocket { partial: Some(partial), .. }) => {
                partial.frames.release(&mut shared.codec)
            }
            State::WebSocket(_) | State::Closing(_) | State::Gone(_) => {}
        }
        if !self.is_gone() && matches!(state, State::Gone(_)) {
            shared.codec.incomplete.give(self.stream.buffered_bytes());
        }
        self.state = match (self.end(), state) {
            (Some(end), State::Gone(_)) => State::Gone(end),
            (_, state) => state,
        };
        if self.is_gone() {
            (self.out, self.out_at, self.stalled) = (Vec::new(), 0, None);
        }
    }

    /// The buffer to queue in. An empty one is lent by all.
    fn out_buffer(&mut self, shared: &mut Shared) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = std::mem::take(&mut shared.out);
        }
        &mut self.out
    }

    // ---- time ----

    /// When [`Connection::expire`] has to be called if nothing happens until then.
    pub fn deadline(&self, shared: &Shared) -> Option<Instant> {
        let limits = &shared.limits;
        let due = match &self.state {
            State::WebSocket(socket) => socket.deadline(self.stalled.is_some(), limits),
            State::Closing(closing) => Some(closing.until),
            // While it cannot be written to it is not listened to, so its silence does not count.
            _ if self.stalled.is_some() => None,
            State::Http(http) => Some(http.deadline),
            State::Gone(_) => None,
        };
        let stall = self.stalled.map(|since| since + WRITE_STALL);
        due.into_iter().chain(stall).min()
    }

    /// Has a deadline passed?
    pub fn is_due(&self, now: Now, shared: &Shared) -> bool {
        self.deadline(shared).is_some_and(|due| due <= now.instant)
    }

    /// Does what is due, if something is.
    pub fn expire(&mut self, now: Now, shared: &mut Shared) {
        if !self.is_due(now, shared) {
            return;
        }
        if self.stalled.is_some_and(|since| since + WRITE_STALL <= now.instant) {
            return self.finish(State::Gone(End::Stalled), shared);
        }
        match &mut self.state {
            State::Http(http) if http.head.is_empty() => {
                self.finish(State::Gone(End::Silent), shared)
            }
            State::Http(_) => self.respond(http::timed_out(now.unix_ms), now, shared),
            State::WebSocket(socket) => match socket.due(now, &shared.limits) {
                Due::Listening => {
                    socket.is_paused = false;
                    self.listen_again(now);
                }
                Due::Policy => self.close(CloseCode::Policy.into(), now, shared),
                Due::Ping => {
                    // It leaves in this turn's flush. If the kernel refuses it, silence does not
                    // count from then on.
                    socket.liveness = Liveness::Pinged(now.instant);
                    self.send(OpCode::Control(Control::Ping), b"", shared);
                }
                Due::End => self.finish(State::Gone(End::Silent), shared),
            },
            State::Closing(_) => self.finish(State::Gone(End::Silent), shared),
            State::Gone(_) => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
