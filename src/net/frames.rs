//! WebSocket frames: bytes as they arrive → whole messages (RFC 6455, section 5), by tungstenite.
//!
//! A frame is a header of 2 to 14 bytes and a payload. The first byte has a bit for the last frame
//! of a message, three reserved bits, and the opcode: text, binary, continuation, or a control
//! frame (close, ping, pong). The second has a bit for a masked payload, which a client's has to
//! be, and 7 bits of length; 126 and 127 mean that the length follows in 2 or 8 bytes. Then come 4
//! bytes of mask: byte `n` of the payload was combined with byte `n % 4` of the mask by exclusive
//! or.
//!
//! Invariants:
//! - Only whole frames reach tungstenite, which allocates for a frame as soon as it has seen the
//!   header. The beginning of a frame waits in `partial` as it came, so memory follows the bytes
//!   that arrived, never the length that was announced.
//! - A context belongs to one connection only while a fragmented message is open there. For every
//!   other frame one spare context serves all connections: a whole frame in, a message out, and
//!   nothing stays behind.
//! - A text in one frame, as almost all are, needs no context: it is unmasked and validated where
//!   it came, in the read buffer or in `partial`. Its meaning is the same either way.
//! - No other file names a type of tungstenite's.
//!
//! The connection of a frame, and the meaning of its message, are not known here.

use std::io::{self, Cursor, ErrorKind, Read, Write};

use tungstenite::error::Error;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Message as Assembled, Utf8Bytes};

use crate::limits::{
    CONTEXT_FRAME_BYTES_MAX, CONTEXT_READ_BYTES, FRAME_HEADER_BYTES_MAX, OPEN_MESSAGE_BYTES,
};
use crate::memory::{Budget, extend_tightly};

mod input;

pub use input::{Input, Text};

/// A whole message, or a control frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'b> {
    /// A text.
    Text(Text<'b>),
    /// Bytes.
    Binary(Vec<u8>),
    /// A ping. Its answer is queued.
    Ping,
    /// A pong.
    Pong,
    /// A frame that completes no message.
    Fragment,
    /// A close frame: its code, or 1005 if it had none. Its answer is appended to the output.
    Close(u16),
}

/// The kinds of frames that a server sends unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A ping.
    Ping,
    /// A close frame.
    Close,
}

impl From<Opcode> for OpCode {
    fn from(opcode: Opcode) -> OpCode {
        match opcode {
            Opcode::Text => OpCode::Data(Data::Text),
            Opcode::Binary => OpCode::Data(Data::Binary),
            Opcode::Ping => OpCode::Control(Control::Ping),
            Opcode::Close => OpCode::Control(Control::Close),
        }
    }
}

/// The close codes that the socket half gives by itself (RFC 6455, 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The peer broke the protocol.
    Protocol = 1002,
    /// The peer's close frame had no code. Never sent.
    NoStatus = 1005,
    /// A text is not UTF-8.
    NotUtf8 = 1007,
    /// A deadline passed.
    Policy = 1008,
    /// A message is longer than allowed.
    TooLong = 1009,
    /// The server lacks memory.
    TryAgainLater = 1013,
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code as u16
    }
}

/// The part of the frame parser that all connections of a loop share, because the loop reads from
/// one at a time.
pub struct Codec {
    message_bytes_max: usize,
    /// Bytes of heads, frames and messages that have not come whole, of all connections.
    pub incomplete: Budget,
    spare: Option<Box<Assembler>>,
}

impl Codec {
    /// Creates a codec for messages of at most `message_bytes_max` bytes. Incomplete input of all
    /// connections may take `incomplete_bytes_total` bytes.
    pub fn new(message_bytes_max: usize, incomplete_bytes_total: usize) -> Codec {
        let incomplete = Budget::new(incomplete_bytes_total);
        Codec { message_bytes_max, incomplete, spare: None }
    }

    /// Returns `true` if incomplete input of `bytes` may grow by `more`.
    fn fits(&self, bytes: usize, more: usize) -> bool {
        bytes + more <= self.incomplete.limit(usize::MAX)
    }

    fn assembler(&mut self) -> Box<Assembler> {
        self.spare.take().unwrap_or_else(|| {
            let config = WebSocketConfig::default()
                .read_buffer_size(CONTEXT_READ_BYTES)
                .write_buffer_size(0)
                .max_frame_size(Some(self.message_bytes_max))
                .max_message_size(Some(self.message_bytes_max));
            let context = WebSocketContext::new(Role::Server, Some(config));
            Box::new(Assembler { context, payload_bytes: 0, has_grown: false })
        })
    }
}

/// A context of tungstenite's, and the size of the message that is open in it.
struct Assembler {
    context: WebSocketContext,
    /// Payload bytes of the open message.
    payload_bytes: usize,
    /// It took a long frame, and has kept a large buffer since.
    has_grown: bool,
}

/// The incomplete input of one connection's frames. At rest it owns nothing.
#[derive(Default)]
pub struct Frames {
    /// The beginning of a frame, as it came.
    partial: Vec<u8>,
    /// A message of which not all frames have come.
    open: Option<Box<Assembler>>,
}

/// The end of a frame that has begun to arrive, as far as it is known.
enum Extent {
    /// The header is incomplete. It has at least this many bytes.
    Header(usize),
    /// The header is whole.
    Frame(Shape),
}

/// The contents of a frame header.
#[derive(Clone, Copy)]
struct Shape {
    /// Bytes of header and payload.
    len: usize,
    payload: usize,
    opcode: OpCode,
    is_final: bool,
}

impl Shape {
    /// Returns `true` if the frame is a text message by itself.
    fn is_text(self) -> bool {
        self.is_final && self.opcode == OpCode::Data(Data::Text)
    }
}

impl Frames {
    /// Takes in the next frame that the input completes, and returns its message, or `None` when
    /// the input is used up.
    /// The answer to a control frame is appended to `out`.
    ///
    /// # Errors
    /// The code to close with: 1002, 1007, 1009, or 1013 if there is no memory for the input.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Message<'b>>, CloseCode> {
        while !input.rest().is_empty() {
            if self.is_at_rest()
                && let Some(text) = whole_text(input, codec)
            {
                return text.map(|text| Some(Text::from(text).into()));
            }
            if self.partial.is_empty() {
                match self.extent(input.rest(), codec)? {
                    Extent::Frame(shape) if shape.len <= input.rest().len() => {
                        return self.take_frame(input.take(shape.len), shape, codec, out).map(Some);
                    }
                    _ => self.keep(input.take_all(), codec)?,
                }
            } else if let Some(shape) = self.complete(input, codec)? {
                let frame = self.take_partial(codec);
                if self.open.is_none() && shape.is_text() {
                    return text_in_frame(frame, shape).map(|text| Some(text.into()));
                }
                return self.take_frame(&frame, shape, codec, out).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns `true` if nothing incomplete is kept.
    pub fn is_at_rest(&self) -> bool {
        self.partial.is_empty() && self.open.is_none()
    }

    /// Returns the bytes that incomplete input is counted as.
    pub fn counted(&self) -> usize {
        self.partial.len() + self.open.as_ref().map_or(0, |open| open.counted())
    }

    /// Drops incomplete input, and gives its bytes back to the budget. Returns a search that goes
    /// on behind the beginning of the frame that was dropped.
    pub fn release(&mut self, codec: &mut Codec) -> CloseSearch {
        let mut search = CloseSearch::default();
        search.find(&self.take_partial(codec));
        if let Some(open) = self.open.take() {
            codec.incomplete.give(open.counted());
        }
        search
    }

    /// Moves input into `partial` until its frame is whole, or the input is used up.
    fn complete(
        &mut self,
        input: &mut Input<'_>,
        codec: &mut Codec,
    ) -> Result<Option<Shape>, CloseCode> {
        loop {
            let len = match self.extent(&self.partial, codec)? {
                Extent::Frame(shape) if shape.len == self.partial.len() => return Ok(Some(shape)),
                Extent::Frame(shape) => shape.len,
                Extent::Header(len) => len,
            };
            if input.rest().is_empty() {
                return Ok(None);
            }
            let found = (len - self.partial.len()).min(input.rest().len());
            self.keep(input.take(found), codec)?;
        }
    }

    fn keep(&mut self, bytes: &[u8], codec: &mut Codec) -> Result<(), CloseCode> {
        if !codec.fits(self.partial.len(), bytes.len()) {
            return Err(CloseCode::TryAgainLater);
        }
        codec.incomplete.take(bytes.len());
        extend_tightly(&mut self.partial, bytes);
        Ok(())
    }

    fn take_partial(&mut self, codec: &mut Codec) -> Vec<u8> {
        codec.incomplete.give(self.partial.len());
        std::mem::take(&mut self.partial)
    }

    /// Returns how far the frame reaches that `bytes` begins with.
    fn extent(&self, bytes: &[u8], codec: &Codec) -> Result<Extent, CloseCode> {
        let &[_, second, ..] = bytes else { return Ok(Extent::Header(2)) };
        let mut cursor = Cursor::new(bytes);
        let Some((header, payload)) =
            FrameHeader::parse(&mut cursor).map_err(|_| CloseCode::Protocol)?
        else {
            let length = match second & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            return Ok(Extent::Header(2 + length + 4 * usize::from(second >> 7)));
        };
        let payload = self.check(&header, payload, codec)?;
        let len = cursor.position() as usize + payload;
        Ok(Extent::Frame(Shape { len, payload, opcode: header.opcode, is_final: header.is_final }))
    }

    /// Refuses a frame by its header, before its payload takes any memory.
    fn check(&self, header: &FrameHeader, payload: u64, codec: &Codec) -> Result<usize, CloseCode> {
        let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, ref mask } = *header;
        if rsv1 || rsv2 || rsv3 || mask.is_none() {
            return Err(CloseCode::Protocol);
        }
        let so_far = match opcode {
            OpCode::Control(_) if !is_final || payload > 125 => return Err(CloseCode::Protocol),
            OpCode::Control(_) => return Ok(payload as usize),
            OpCode::Data(_) => self.open.as_ref().map_or(0, |open| open.payload_bytes),
        };
        match usize::try_from(payload) {
            Ok(payload) if payload <= codec.message_bytes_max - so_far => Ok(payload),
            _ => Err(CloseCode::TooLong),
        }
    }

    /// Takes in one whole frame, and returns the message that it completes.
    fn take_frame(
        &mut self,
        frame: &[u8],
        shape: Shape,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Message<'static>, CloseCode> {
        if shape.opcode == OpCode::Control(Control::Close) {
            self.release(codec);
            return answer_close(frame, shape, out).map(Message::Close);
        }
        Ok(self.feed(frame, shape, codec, out)?.map_or(Message::Fragment, Message::from))
    }

    /// Puts one whole frame through the context it belongs to.
    fn feed(
        &mut self,
        frame: &[u8],
        shape: Shape,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Assembled>, CloseCode> {
        let was_open = self.open.is_some();
        let mut assembler = self.open.take().unwrap_or_else(|| codec.assembler());
        let mut outcome = assembler.read(frame, out);
        let goes_on = outcome.is_ok();
        let (stays_open, more) = match shape.opcode {
            OpCode::Data(_) => (!shape.is_final, shape.payload),
            OpCode::Control(_) => (was_open, 0),
        };
        if goes_on && stays_open {
            let counted = if was_open { assembler.counted() } else { 0 };
            assembler.payload_bytes += more;
            let growth = assembler.counted() - counted;
            // A ping between fragments does not grow the message, however short memory is.
            if growth == 0 || codec.fits(counted, growth) {
                codec.incomplete.take(growth);
                self.open = Some(assembler);
                return outcome;
            }
            assembler.payload_bytes -= more;
            outcome = Err(CloseCode::TryAgainLater);
        }
        if was_open {
            codec.incomplete.give(assembler.counted());
        }
        assembler.payload_bytes = 0;
        // After an error a context cannot be used again.
        if goes_on && outcome.is_ok() && !assembler.has_grown {
            codec.spare = Some(assembler);
        }
        outcome
    }
}

/// The opcode of a close frame (RFC 6455, 5.2).
const OPCODE_CLOSE: u8 = 8;

/// A search for the peer's close frame in input that is thrown away otherwise.
///
/// After our close frame the peer may go on for a while, with a message that is too long as with
/// whole ones. None of it takes memory here: only the header of each frame is looked at.
#[derive(Default)]
pub struct CloseSearch {
    /// The beginning of a header, up to its length field.
    header: [u8; 10],
    header_len: u8,
    /// Bytes of mask and payload that follow before the next header.
    skip: u64,
    is_found: bool,
}

impl CloseSearch {
    /// A search that has ended.
    pub fn found() -> CloseSearch {
        CloseSearch { is_found: true, ..CloseSearch::default() }
    }

    /// Returns `true` if a close frame has begun.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// Goes on with more input; returns `true` once a close frame has begun.
    pub fn find(&mut self, mut input: &[u8]) -> bool {
        while !input.is_empty() {
            let skipped = self.skip.min(input.len() as u64);
            self.skip -= skipped;
            input = &input[skipped as usize..];
            let Some((&byte, rest)) = input.split_first() else { break };
            self.header[usize::from(self.header_len)] = byte;
            self.header_len += 1;
            input = rest;
            self.is_found |= self.header_len == 1 && byte & 0x0f == OPCODE_CLOSE;
            if let Some(len) = self.announced_len() {
                self.header_len = 0;
                self.skip = len;
            }
        }
        self.is_found
    }

    /// Returns the length of mask and payload, if the header is whole.
    fn announced_len(&self) -> Option<u64> {
        let header = &self.header[..self.header_len.into()];
        let second = *header.get(1)?;
        let payload = match (second & 0x7f, &header[2..]) {
            (126, [high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
            (127, len) => u64::from_be_bytes(len.try_into().ok()?),
            (126, _) => return None,
            (len, _) => len.into(),
        };
        Some(payload.saturating_add(if second & 0x80 == 0 { 0 } else { 4 }))
    }
}

/// Returns the text of the first frame of the input, if that is a whole text message and not too
/// long. For a hundred bytes this takes a quarter of the time of a context, which copies them
/// twice, and into a buffer filled with zeros.
fn whole_text<'b>(input: &mut Input<'b>, codec: &mut Codec) -> Option<Result<&'b str, CloseCode>> {
    const FINAL_TEXT: u8 = 0x81;
    // The mask bit is the highest of the byte that has the length.
    let (header, payload) = match *input.rest() {
        [FINAL_TEXT, short @ 0x80..=0xfd, ..] => (6, usize::from(short & 0x7f)),
        [FINAL_TEXT, 0xfe, high, low, ..] => (8, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    if payload > codec.message_bytes_max || header + payload > input.rest().len() {
        return None;
    }
    let (header, payload) = input.take(header + payload).split_at_mut(header);
    unmask(payload, *header.last_chunk()?);
    Some(str::from_utf8(payload).map_err(|_| CloseCode::NotUtf8))
}

/// Returns the text of a whole frame that came in several reads, in the buffer that it came into.
fn text_in_frame<'b>(mut frame: Vec<u8>, shape: Shape) -> Result<Text<'b>, CloseCode> {
    let header_len = shape.len - shape.payload;
    let (header, payload) = frame.split_at_mut(header_len);
    // The mask is the last field of a header.
    unmask(payload, *header.last_chunk().ok_or(CloseCode::Protocol)?);
    let text = Utf8Bytes::try_from(Bytes::from(frame).slice(header_len..));
    text.map(Text::from).map_err(|_| CloseCode::NotUtf8)
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (chunks, rest) = payload.as_chunks_mut::<4>();
    // By words, which the compiler turns into vector instructions.
    let word = u32::from_ne_bytes(mask);
    for chunk in chunks {
        *chunk = (u32::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

impl Assembler {
    /// Returns the bytes that an open message is counted as: twice its payload, because its buffer
    /// grows by doubling, and its context.
    fn counted(&self) -> usize {
        OPEN_MESSAGE_BYTES + 2 * self.payload_bytes
    }

    /// Takes in one whole frame, all of it, and returns the message that it completes.
    fn read(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<Option<Assembled>, CloseCode> {
        self.has_grown |= frame.len() > CONTEXT_FRAME_BYTES_MAX;
        let mut through = Through { frame, out };
        let message = match self.context.read(&mut through) {
            // The pong leaves the context with the next call, which may be for another connection.
            Ok(ping @ Assembled::Ping(_)) => self.context.flush(&mut through).map(|()| Some(ping)),
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        };
        let message = message.map_err(|error| close_code(&error))?;
        assert!(through.frame.is_empty(), "a context goes on only when its frame is used up");
        Ok(message)
    }
}

/// The stream of a context: it reads one frame, and writes to the output buffer.
struct Through<'a> {
    frame: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Read for Through<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.frame.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.frame.read(buffer)
    }
}

impl Write for Through<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the code to close with, because tungstenite answers no error by itself.
fn close_code(error: &Error) -> CloseCode {
    match error {
        Error::Utf8(_) => CloseCode::NotUtf8,
        Error::Capacity(_) => CloseCode::TooLong,
        _ => CloseCode::Protocol,
    }
}

/// Answers a whole close frame with its own payload (RFC 6455, 5.5.1), and returns its code, or
/// 1005 if it has none (7.1.5).
///
/// tungstenite would answer 1014 with 1002: that code came to the registry after the RFC.
fn answer_close(frame: &[u8], shape: Shape, out: &mut Vec<u8>) -> Result<u16, CloseCode> {
    let (header, masked) = frame.split_at(shape.len - shape.payload);
    let mask = *header.last_chunk().ok_or(CloseCode::Protocol)?;
    let mut payload = masked.to_vec();
    unmask(&mut payload, mask);
    let code = match payload[..] {
        [] => CloseCode::NoStatus.into(),
        [high, low, ref reason @ ..] => {
            str::from_utf8(reason).map_err(|_| CloseCode::NotUtf8)?;
            match u16::from_be_bytes([high, low]) {
                // Codes that may be in a frame (7.4), as far as they are registered or private.
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => code,
                _ => return Err(CloseCode::Protocol),
            }
        }
        _ => return Err(CloseCode::Protocol),
    };
    put_frame(out, Opcode::Close, &payload);
    Ok(code)
}

/// Appends one whole frame, unmasked as a server's frames are.
pub fn put_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.extend_from_slice(frame_header(opcode, payload.len(), &mut [0; FRAME_HEADER_BYTES_MAX]));
    out.extend_from_slice(payload);
}

/// Writes the header of such a frame into `scratch`, and returns it.
pub fn frame_header(
    opcode: Opcode,
    len: usize,
    scratch: &mut [u8; FRAME_HEADER_BYTES_MAX],
) -> &[u8] {
    let header = FrameHeader { opcode: opcode.into(), ..FrameHeader::default() };
    let mut rest = &mut scratch[..];
    // Writing cannot fail: the longest header fits.
    let _ = header.format(len as u64, &mut rest);
    let unused = rest.len();
    &scratch[..FRAME_HEADER_BYTES_MAX - unused]
}

impl<'b> From<Text<'b>> for Message<'b> {
    fn from(text: Text<'b>) -> Message<'b> {
        Message::Text(text)
    }
}

impl From<Assembled> for Message<'_> {
    fn from(message: Assembled) -> Self {
        match message {
            Assembled::Text(text) => Message::Text(text.into()),
            // Takes the bytes over: nothing else refers to them.
            Assembled::Binary(bytes) => Message::Binary(bytes.into()),
            Assembled::Ping(_) => Message::Ping,
            // tungstenite reads no bare frames.
            Assembled::Pong(_) | Assembled::Frame(_) => Message::Pong,
            // Never: `take_frame` answers close frames.
            Assembled::Close(_) => Message::Close(CloseCode::NoStatus.into()),
        }
    }
}

#[cfg(test)]
mod tests;
