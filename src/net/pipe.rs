//! A byte pump over one non-blocking stream: its unread input and its unsent output.
//!
//! The kernel reports *edges*: one event when a socket becomes readable, one when it becomes
//! writable again. This is the state to keep between two events. After an edge the socket may be
//! read until a read fails with `WouldBlock`, or comes back short. After a refused write there will
//! be an edge; until it comes, another try is in vain.
//!
//! Invariants:
//! - `readable` is `false` only if an event will report the next input. The edge is not lost,
//!   whether or not the caller may read now.
//! - The end of the stream is kept until it has been read, because it is reported once, too.
//! - Output leaves in the order in which it was queued, and none of it is dropped.
//! - `stalled_since` is `Some` only after the kernel refused output, so an event will report when
//!   it takes more.
//!
//! HTTP, WebSocket, budgets and deadlines are not known here.

use std::io::{ErrorKind, IoSlice};
use std::time::Instant;

use crate::net::stream::Stream;

/// One stream, with its unread input and its unsent output.
pub struct Pipe<S> {
    stream: S,
    /// Output, of which the bytes from `out_at` on are unsent. Sent bytes are not cut off at the
    /// front, because that would move all others.
    out: Vec<u8>,
    out_at: usize,
    /// The time since which the kernel has taken nothing.
    stalled_since: Option<Instant>,
    /// Input may be waiting that no event will report again.
    readable: bool,
    input_end: InputEnd,
}

/// How near the end of the input is.
#[derive(Clone, Copy, PartialEq)]
enum InputEnd {
    /// No end has been reported.
    Open,
    /// The kernel reported the end, or an error. Input may still stand before it.
    Reported,
    /// A read returned 0: no more input will come.
    Reached,
}

/// The outcome of one read.
#[derive(Debug, PartialEq)]
pub enum ReadOutcome {
    /// This many bytes came.
    Bytes(usize),
    /// No bytes came: the input is drained for now, the end was reached, or a signal interrupted.
    Nothing,
    /// The stream broke.
    Lost(ErrorKind),
}

/// The outcome of writing unsent output.
#[derive(Debug, PartialEq)]
pub enum WriteOutcome {
    /// All of it left.
    Drained,
    /// A part of it waits: for the kernel, or for the end of a handshake.
    Refused,
    /// The stream broke.
    Lost(ErrorKind),
}

impl<S: Stream> Pipe<S> {
    /// Wraps a stream. The first event reports input that has arrived before.
    pub fn new(stream: S) -> Pipe<S> {
        Pipe {
            stream,
            out: Vec::new(),
            out_at: 0,
            stalled_since: None,
            readable: false,
            input_end: InputEnd::Open,
        }
    }

    /// The stream, for questions about it.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Closes our side of the stream; see [`Stream::shutdown_write`].
    ///
    /// # Errors
    /// Those of [`Stream::shutdown_write`].
    pub fn shutdown_write(&mut self) -> std::io::Result<()> {
        self.stream.shutdown_write()
    }

    // ---- input ----

    /// Notes that the kernel reported input.
    pub fn note_readable(&mut self) {
        self.readable = true;
    }

    /// Notes that the kernel reported the end of the stream, or an error. Both are found by
    /// reading.
    pub fn note_read_closed(&mut self) {
        self.readable = true;
        if self.input_end == InputEnd::Open {
            self.input_end = InputEnd::Reported;
        }
    }

    /// Returns `true` if input may be waiting that no event will report again.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns `true` if the end of the stream was reported or reached.
    pub fn is_ending(&self) -> bool {
        self.input_end != InputEnd::Open
    }

    /// Returns `true` if the end of the stream was reached: no more input will come.
    pub fn is_ended(&self) -> bool {
        self.input_end == InputEnd::Reached
    }

    /// Reads once, at most as much as `buffer` holds.
    pub fn read(&mut self, buffer: &mut [u8]) -> ReadOutcome {
        match self.stream.read(buffer) {
            Ok(0) => {
                (self.readable, self.input_end) = (false, InputEnd::Reached);
                ReadOutcome::Nothing
            }
            Ok(len) => {
                let is_unread = self.stream.may_have_more(buffer.len(), len);
                self.readable = is_unread || self.input_end == InputEnd::Reported;
                ReadOutcome::Bytes(len)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                ReadOutcome::Nothing
            }
            // Nothing was read, and nothing was said about the socket: the next read is still due.
            Err(error) if error.kind() == ErrorKind::Interrupted => ReadOutcome::Nothing,
            Err(error) => ReadOutcome::Lost(error.kind()),
        }
    }

    // ---- output ----

    /// The output buffer, to append to.
    pub fn out_mut(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Returns the queued bytes that the stream has not taken.
    pub fn queued(&self) -> usize {
        self.out.len() - self.out_at
    }

    /// Returns the bytes that the kernel has not taken: those queued here, and those that the
    /// stream itself keeps.
    pub fn unsent(&self) -> usize {
        self.queued() + self.stream.unsent()
    }

    /// Returns `true` if the kernel refused output. An event reports when it takes more.
    pub fn is_stalled(&self) -> bool {
        self.stalled_since.is_some()
    }

    /// Returns the time since which the kernel has taken nothing.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Returns `true` if a write may succeed now.
    pub fn can_write(&self) -> bool {
        !self.is_stalled() && (!self.stream.is_handshaking() || self.stream.unsent() > 0)
    }

    /// Writes the queued output, as much of it as the kernel takes.
    pub fn flush(&mut self, now: Instant) -> WriteOutcome {
        let Pipe { stream, out, out_at, stalled_since, .. } = self;
        let outcome = write_rest(stream, out, out_at, stalled_since, now);
        if outcome == WriteOutcome::Drained {
            self.out.clear();
            self.out_at = 0;
            self.stalled_since = None;
        }
        outcome
    }

    /// Writes `bytes` from `at` on, and moves `at` behind the bytes taken. Nothing may be queued,
    /// because it would leave later.
    pub fn write_from(&mut self, bytes: &[u8], at: &mut usize, now: Instant) -> WriteOutcome {
        debug_assert_eq!(self.queued(), 0);
        let outcome = write_rest(&mut self.stream, bytes, at, &mut self.stalled_since, now);
        if outcome == WriteOutcome::Drained {
            self.stalled_since = None;
        }
        outcome
    }

    /// Tries once to write two pieces without a copy; returns how many bytes were taken. Nothing
    /// may be queued. The caller queues the rest; a flush then finds out whether the kernel is
    /// full.
    ///
    /// # Errors
    /// The stream broke.
    pub fn write_once(&mut self, pieces: [&[u8]; 2]) -> Result<usize, ErrorKind> {
        debug_assert_eq!(self.queued(), 0);
        match self.stream.write_vectored(&pieces.map(IoSlice::new)) {
            Ok(taken) => Ok(taken),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => Ok(0),
                kind => Err(kind),
            },
        }
    }

    /// Moves unsent output into a buffer of its length, if its buffer is more than an eighth
    /// longer, and returns the old buffer. An eighth goes each time, so each byte moves O(1) times.
    pub fn trim(&mut self) -> Option<Vec<u8>> {
        if self.queued() > self.out.capacity() / 8 * 7 {
            return None;
        }
        let unsent = self.out[self.out_at..].to_vec();
        self.out_at = 0;
        Some(std::mem::replace(&mut self.out, unsent))
    }

    /// Drops all output, because the connection is over.
    pub fn discard(&mut self) {
        (self.out, self.out_at, self.stalled_since) = (Vec::new(), 0, None);
    }
}

/// Writes `bytes` from `at` on until all are taken, or the kernel refuses. Ciphertext that the
/// stream keeps goes first, because nothing can be written before it has left.
///
/// A write that takes a part does not mean that the kernel is full: only `WouldBlock` does.
fn write_rest<S: Stream>(
    stream: &mut S,
    bytes: &[u8],
    at: &mut usize,
    stalled_since: &mut Option<Instant>,
    now: Instant,
) -> WriteOutcome {
    loop {
        let kept = stream.unsent();
        let result = if kept > 0 {
            let result = stream.flush();
            // Any progress begins the time for the rest anew.
            let is_progress = stream.unsent() < kept;
            *stalled_since = stalled_since.map(|since| if is_progress { now } else { since });
            result
        } else if stream.is_handshaking() {
            *stalled_since = None;
            return WriteOutcome::Refused;
        } else if *at == bytes.len() {
            return WriteOutcome::Drained;
        } else {
            stream.write(&bytes[*at..]).and_then(|taken| {
                *at += taken;
                *stalled_since = stalled_since.map(|_| now);
                if taken > 0 { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
            })
        };
        match result.map_err(|error| error.kind()) {
            Ok(()) | Err(ErrorKind::Interrupted) => {}
            Err(ErrorKind::WouldBlock) => {
                stalled_since.get_or_insert(now);
                return WriteOutcome::Refused;
            }
            Err(kind) => return WriteOutcome::Lost(kind),
        }
    }
}

#[cfg(test)]
mod tests;
