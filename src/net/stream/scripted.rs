//! A stream that a test plays: bytes in memory, and a fault at chosen calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use super::Stream;

/// The peer's end of a scripted stream: its bytes, and ours that have reached it.
#[derive(Default)]
pub(crate) struct Wire {
    /// Bytes from the peer that are not read yet.
    pub(crate) coming: VecDeque<u8>,
    /// The stream ends behind these bytes.
    pub(crate) end: bool,
    /// How many bytes more writes take before they block; `None`: any number.
    pub(crate) window: Option<usize>,
    /// Our bytes, as far as writes took them.
    pub(crate) taken: Vec<u8>,
    /// Our side has been shut down.
    pub(crate) shut: bool,
    /// From now on every call fails.
    pub(crate) reset: bool,
    /// Faults by the number of the call that meets them, counted from 0.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// Calls so far: reads, writes and shutdowns.
    pub(crate) calls: usize,
    /// A fault cut a call short, so the kernel will report readiness once more.
    pub(crate) owes_event: bool,
    /// Writes that took bytes.
    pub(crate) writes: usize,
}

/// A fault of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Blocks,
    IsInterrupted,
    TakesOneByte,
    Resets,
}

/// Our end of the stream.
pub(crate) struct Scripted(pub(crate) Rc<RefCell<Wire>>);

impl Wire {
    /// Counts a call, and returns how many of its `len` bytes it may move.
    fn call(&mut self, len: usize) -> io::Result<usize> {
        let fault = self.faults.get(&self.calls);
        self.calls += 1;
        self.reset |= matches!(fault, Some(Fault::Resets));
        self.owes_event |= matches!(fault, Some(Fault::Blocks | Fault::TakesOneByte));
        match fault {
            _ if self.reset => Err(ErrorKind::ConnectionReset.into()),
            Some(Fault::Blocks) => Err(ErrorKind::WouldBlock.into()),
            Some(Fault::IsInterrupted) => Err(ErrorKind::Interrupted.into()),
            Some(Fault::TakesOneByte) => Ok(len.min(1)),
            _ => Ok(len),
        }
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let len = wire.call(buffer.len())?;
        if wire.coming.is_empty() && !wire.end {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.coming.read(&mut buffer[..len])
    }
}

impl Write for Scripted {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>().concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        assert!(!wire.shut, "a write behind the end");
        let len = wire.call(bytes.len())?.min(wire.window.unwrap_or(usize::MAX));
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.taken.extend_from_slice(&bytes[..len]);
        wire.writes += 1;
        wire.window = wire.window.map(|window| window - len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Scripted {
    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        wire.call(0)?;
        wire.shut = true;
        Ok(())
    }
}
