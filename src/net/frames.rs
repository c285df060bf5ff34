//! What comes over a WebSocket: bytes as they arrive → whole messages (RFC 6455, section 5),
//! through tungstenite.
//!
//! Invariants:
//! - Only whole frames reach tungstenite, which makes room for a frame as soon as it has seen the
//!   header. The beginning of a frame waits in `partial` as it came, so memory follows what
//!   arrived, never what was announced.
//! - A context belongs to one connection only while a fragmented message is open there. For every
//!   other frame one spare context serves all connections: a whole frame in, a message out, and
//!   nothing stays behind.
//! - A text in one frame that came whole, which almost all are, needs none: it is unmasked and
//!   looked at where it came. It means what it means by way of a context.

use std::io::{self, Cursor, ErrorKind, Read, Write};

use tungstenite::Message;
use tungstenite::error::Error;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::limits::{
    CONTEXT_FRAME_BYTES_MAX, CONTEXT_READ_BYTES, FRAME_HEADER_BYTES_MAX, OPEN_MESSAGE_BYTES,
};
use crate::memory::{Budget, extend_tightly};

/// What is not used yet of the bytes of one read.
pub struct Input<'b>(&'b mut [u8]);

impl<'b> Input<'b> {
    /// Bytes none of which is used yet.
    pub fn new(bytes: &'b mut [u8]) -> Input<'b> {
        Input(bytes)
    }

    /// What is not used yet.
    pub fn rest(&self) -> &[u8] {
        self.0
    }

    /// Uses the next `len` bytes, of which there are as many.
    pub fn take(&mut self, len: usize) -> &'b mut [u8] {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        taken
    }

    /// Uses all that is left.
    pub fn take_all(&mut self) -> &'b mut [u8] {
        std::mem::take(&mut self.0)
    }
}

/// A message that has come whole.
pub enum Arrival<'b> {
    /// A text, where it came.
    InPlace(&'b str),
    /// Any other, as a context put it together; control frames among them.
    Assembled(Message),
}

/// What all WebSockets of a loop share, because only one of them is listened to at a time.
pub struct Codec {
    message_bytes_max: usize,
    /// Bytes of heads, frames and messages that have not come whole, of all connections.
    pub incomplete: Budget,
    /// Frames that have come whole, of all connections.
    pub frames: u64,
    spare: Option<Box<Assembler>>,
}

impl Codec {
    /// A codec for messages of at most so many bytes, of which so many bytes in all may be
    /// incomplete.
    pub fn new(message_bytes_max: usize, incomplete_bytes_total: usize) -> Codec {
        Codec {
            message_bytes_max,
            incomplete: Budget::new(incomplete_bytes_total),
            frames: 0,
            spare: None,
        }
    }

    /// May an incomplete thing of `held` bytes grow by `more`?
    fn fits(&self, held: usize, more: usize) -> bool {
        held + more <= self.incomplete.limit(usize::MAX)
    }

    fn assembler(&mut self) -> Box<Assembler> {
        self.spare.take().unwrap_or_else(|| {
            let config = WebSocketConfig::default()
                .read_buffer_size(CONTEXT_READ_BYTES)
                .write_buffer_size(0)
                .max_frame_size(Some(self.message_bytes_max))
                .max_message_size(Some(self.message_bytes_max));
            let context = WebSocketContext::new(Role::Server, Some(config));
            Box::new(Assembler { context, payload_bytes: 0, grown: false })
        })
    }
}

/// A context, and what the open message in it holds.
struct Assembler {
    context: WebSocketContext,
    /// Payload bytes of the open message.
    payload_bytes: usize,
    /// It took a long frame, and has a large buffer since.
    grown: bool,
}

/// What has come of one connection's frames and is not yet a message. At rest it owns nothing.
#[derive(Default)]
pub struct Frames {
    /// The beginning of a frame, as it came.
    partial: Vec<u8>,
    /// A message of which not all frames have come.
    open: Option<Box<Assembler>>,
}

/// Where a frame ends that has begun to arrive.
enum Extent {
    /// The header is not whole; it has so many bytes, as far as it tells.
    Header(usize),
    /// The frame is known.
    Frame(Shape),
}

/// What a header says of its frame.
#[derive(Clone, Copy)]
struct Shape {
    /// Bytes of header and payload.
    len: usize,
    payload: usize,
    opcode: OpCode,
    is_final: bool,
}

impl Frames {
    /// The next message that the input completes, control frames among them; none: the input is
    /// used up. What tungstenite has to say to that, a pong or a close frame, is appended to `out`.
    ///
    /// # Errors
    /// The code to close with (RFC 6455, 7.4.1): 1002, 1007, 1009, or 1013 when there is no memory
    /// for what came.
    pub fn next<'b>(
        &mut self,
        input: &mut Input<'b>,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Arrival<'b>>, CloseCode> {
        while !input.rest().is_empty() {
            if self.is_at_rest()
                && let Some(text) = whole_text(input, codec)
            {
                return text.map(|text| Some(Arrival::InPlace(text)));
            }
            let message = if self.partial.is_empty() {
                match self.extent(input.rest(), codec)? {
                    Extent::Frame(shape) if shape.len <= input.rest().len() => {
                        self.feed(input.take(shape.len), shape, codec, out)?
                    }
                    _ => {
                        self.keep(input.take_all(), codec)?;
                        None
                    }
                }
            } else {
                match self.complete(input, codec)? {
                    Some(shape) => {
                        let frame = self.take_partial(codec);
                        self.feed(&frame, shape, codec, out)?
                    }
                    None => None,
                }
            };
            if let Some(message) = message {
                return Ok(Some(Arrival::Assembled(message)));
            }
        }
        Ok(None)
    }

    /// Is nothing held?
    pub fn is_at_rest(&self) -> bool {
        self.partial.is_empty() && self.open.is_none()
    }

    /// Gives back what is held; what comes later starts from nothing.
    pub fn release(&mut self, codec: &mut Codec) {
        self.take_partial(codec);
        if let Some(open) = self.open.take() {
            codec.incomplete.give(open.counted());
        }
    }

    /// Adds to `partial` what its frame lacks; none: the input did not have it all.
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
            return Err(CloseCode::Again);
        }
        codec.incomplete.take(bytes.len());
        extend_tightly(&mut self.partial, bytes);
        Ok(())
    }

    fn take_partial(&mut self, codec: &mut Codec) -> Vec<u8> {
        codec.incomplete.give(self.partial.len());
        std::mem::take(&mut self.partial)
    }

    /// Where the frame ends that `bytes` begins with.
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

    /// Refuses a frame for what its header says, before its payload takes any memory.
    fn check(&self, header: &FrameHeader, payload: u64, codec: &Codec) -> Result<usize, CloseCode> {
        let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, ref mask } = *header;
        if rsv1 || rsv2 || rsv3 || mask.is_none() {
            return Err(CloseCode::Protocol);
        }
        let held = match opcode {
            OpCode::Control(_) if !is_final || payload > 125 => return Err(CloseCode::Protocol),
            OpCode::Control(_) => return Ok(payload as usize),
            OpCode::Data(_) => self.open.as_ref().map_or(0, |open| open.payload_bytes),
        };
        match usize::try_from(payload) {
            Ok(payload) if payload <= codec.message_bytes_max - held => Ok(payload),
            _ => Err(CloseCode::Size),
        }
    }

    /// Puts one whole frame through the context it belongs to.
    fn feed(
        &mut self,
        frame: &[u8],
        shape: Shape,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<Option<Message>, CloseCode> {
        codec.frames += 1;
        let was_open = self.open.is_some();
        let mut assembler = self.open.take().unwrap_or_else(|| codec.assembler());
        let mut outcome = assembler.read(frame, out);
        let goes_on =
            matches!(&outcome, Ok(message) if !matches!(message, Some(Message::Close(_))));
        let (stays_open, more) = match shape.opcode {
            OpCode::Data(_) => (!shape.is_final, shape.payload),
            OpCode::Control(_) => (was_open, 0),
        };
        if goes_on && stays_open {
            let counted = if was_open { assembler.counted() } else { 0 };
            assembler.payload_bytes += more;
            let growth = assembler.counted() - counted;
            // Who only says a ping in between does not grow, however short memory is.
            if growth == 0 || codec.fits(counted, growth) {
                codec.incomplete.take(growth);
                self.open = Some(assembler);
                return outcome;
            }
            assembler.payload_bytes -= more;
            outcome = Err(CloseCode::Again);
        }
        if was_open {
            codec.incomplete.give(assembler.counted());
        }
        assembler.payload_bytes = 0;
        // After an error or a close frame a context is of no more use to anybody.
        if goes_on && outcome.is_ok() && !assembler.grown {
            codec.spare = Some(assembler);
        }
        outcome
    }
}

/// The text of the frame that the input begins with, if it is a text by itself, came whole, and is
/// not too long. A quarter of what a context takes for a hundred bytes, which are copied twice
/// there, and into a buffer filled with zeros.
fn whole_text<'b>(input: &mut Input<'b>, codec: &mut Codec) -> Option<Result<&'b str, CloseCode>> {
    const FINAL_TEXT: u8 = 0x81;
    // What is masked has the highest bit set beside its length.
    let (header, payload) = match *input.rest() {
        [FINAL_TEXT, short @ 0x80..=0xfd, ..] => (6, usize::from(short & 0x7f)),
        [FINAL_TEXT, 0xfe, high, low, ..] => (8, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    if payload > codec.message_bytes_max || header + payload > input.rest().len() {
        return None;
    }
    codec.frames += 1;
    let (header, payload) = input.take(header + payload).split_at_mut(header);
    unmask(payload, *header.last_chunk()?);
    Some(str::from_utf8(payload).map_err(|_| CloseCode::Invalid))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (chunks, rest) = payload.as_chunks_mut::<4>();
    // Words, so that the compiler makes vectors of them.
    let word = u32::from_ne_bytes(mask);
    for chunk in chunks {
        *chunk = (u32::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

impl Assembler {
    /// What an open message is counted as: twice its bytes, for it grows by doubling, and what it
    /// is put together in.
    fn counted(&self) -> usize {
        OPEN_MESSAGE_BYTES + 2 * self.payload_bytes
    }

    /// Takes in one whole frame, all of it, and gives the message that it completes.
    fn read(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<Option<Message>, CloseCode> {
        self.grown |= frame.len() > CONTEXT_FRAME_BYTES_MAX;
        let mut through = Through { frame, out };
        let message = match self.context.read(&mut through) {
            // The pong leaves the context with the next call, which may be for another connection.
            Ok(ping @ Message::Ping(_)) => self.context.flush(&mut through).map(|()| Some(ping)),
            // The answer is written, and the context says that it has done its work.
            Ok(close @ Message::Close(_)) => {
                let _ = self.context.flush(&mut through);
                Ok(Some(close))
            }
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        };
        let message = message.map_err(|error| close_code(&error))?;
        assert!(through.frame.is_empty(), "a context goes on only when its frame is used up");
        Ok(message)
    }
}

/// What a context reads from and writes to: one frame, and the buffer of what is to leave.
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

/// tungstenite answers no error by itself: what to close with.
fn close_code(error: &Error) -> CloseCode {
    match error {
        Error::Utf8(_) => CloseCode::Invalid,
        Error::Capacity(_) => CloseCode::Size,
        _ => CloseCode::Protocol,
    }
}

/// Appends one whole frame, unmasked as a server's are.
pub fn put_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    out.extend_from_slice(frame_header(opcode, payload.len(), &mut [0; FRAME_HEADER_BYTES_MAX]));
    out.extend_from_slice(payload);
}

/// The header of such a frame, in `scratch`.
pub fn frame_header(
    opcode: OpCode,
    len: usize,
    scratch: &mut [u8; FRAME_HEADER_BYTES_MAX],
) -> &[u8] {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut rest = &mut scratch[..];
    // There is room for the longest.
    let _ = header.format(len as u64, &mut rest);
    let unused = rest.len();
    &scratch[..FRAME_HEADER_BYTES_MAX - unused]
}

#[cfg(test)]
mod tests;
