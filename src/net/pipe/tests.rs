//! One read, one write and one flush at a time, each over a scripted stream.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::memory::assert_size;
use crate::net::stream::scripted::{Fault, Scripted, Wire};

impl<S> Pipe<S> {
    /// Returns the memory, in bytes, that unsent output takes.
    pub(crate) fn out_capacity(&self) -> usize {
        self.out.capacity()
    }
}

/// A pipe, and the peer's end of its stream.
struct Ends {
    wire: Rc<RefCell<Wire>>,
    pipe: Pipe<Scripted>,
    now: Instant,
}

impl Ends {
    fn new() -> Ends {
        let wire = Rc::new(RefCell::new(Wire::default()));
        Ends { pipe: Pipe::new(Scripted(wire.clone())), wire, now: Instant::now() }
    }

    fn wire(&self) -> RefMut<'_, Wire> {
        self.wire.borrow_mut()
    }

    /// The peer sends bytes, and an event reports them.
    fn arrive(&mut self, bytes: &[u8]) {
        self.wire().coming.extend(bytes);
        self.pipe.note_readable();
    }

    /// Reads once, into a buffer of this length.
    fn read(&mut self, len: usize) -> ReadOutcome {
        self.pipe.read(&mut vec![0; len])
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.pipe.out_mut().extend_from_slice(bytes);
    }

    fn flush(&mut self) -> WriteOutcome {
        self.pipe.flush(self.now)
    }
}

#[test]
fn full_read_leaves_the_pipe_readable() {
    let mut ends = Ends::new();
    assert!(!ends.pipe.is_readable(), "no event has come");
    ends.arrive(b"12345678");
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Bytes(4), true));
    // The second read is full, too, so only a third can tell that nothing is left.
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Bytes(4), true));
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Nothing, false));
}

#[test]
fn short_read_drains_the_pipe() {
    let mut ends = Ends::new();
    ends.arrive(b"123");
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Bytes(3), false));
}

#[test]
fn interrupted_read_stays_due() {
    let mut ends = Ends::new();
    ends.wire().faults.insert(0, Fault::IsInterrupted);
    ends.arrive(b"123");
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Nothing, true));
    assert_eq!(ends.read(4), ReadOutcome::Bytes(3));
}

#[test]
fn reported_end_keeps_the_pipe_readable_until_it_is_reached() {
    let mut ends = Ends::new();
    ends.wire().end = true;
    ends.wire().coming.extend(b"123");
    ends.pipe.note_read_closed();
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Bytes(3), true));
    assert!(ends.pipe.is_ending() && !ends.pipe.is_ended());
    assert_eq!((ends.read(4), ends.pipe.is_readable()), (ReadOutcome::Nothing, false));
    assert!(ends.pipe.is_ended());
}

#[test]
fn partial_write_goes_on_where_it_stopped() {
    let mut ends = Ends::new();
    ends.queue(b"0123456789");
    ends.wire().window = Some(4);
    assert_eq!(ends.flush(), WriteOutcome::Refused);
    assert_eq!((ends.pipe.queued(), ends.pipe.is_stalled()), (6, true));
    ends.queue(b"!");
    ends.wire().window = None;
    assert_eq!(ends.flush(), WriteOutcome::Drained);
    assert_eq!(ends.wire().taken, b"0123456789!");
    assert_eq!((ends.pipe.unsent(), ends.pipe.is_stalled()), (0, false));
}

#[test]
fn short_write_is_tried_again_at_once() {
    let mut ends = Ends::new();
    ends.wire().faults.insert(0, Fault::TakesOneByte);
    ends.wire().faults.insert(1, Fault::IsInterrupted);
    ends.queue(b"123");
    assert_eq!(ends.flush(), WriteOutcome::Drained);
    let wire = ends.wire();
    assert_eq!((wire.writes, wire.calls), (2, 3));
}

#[test]
fn stall_is_counted_from_the_last_progress() {
    let mut ends = Ends::new();
    ends.wire().window = Some(0);
    ends.queue(b"123");
    let start = ends.now;
    ends.flush();
    ends.now += Duration::from_secs(1);
    ends.flush();
    assert_eq!(ends.pipe.stalled_since(), Some(start));
    ends.wire().window = Some(1);
    ends.flush();
    assert_eq!(ends.pipe.stalled_since(), Some(ends.now));
}

#[test]
fn reset_is_reported_by_reads_and_writes() {
    let mut ends = Ends::new();
    ends.wire().reset = true;
    ends.queue(b"123");
    assert_eq!(ends.read(4), ReadOutcome::Lost(ErrorKind::ConnectionReset));
    assert_eq!(ends.flush(), WriteOutcome::Lost(ErrorKind::ConnectionReset));
}

#[test]
fn write_from_moves_its_mark_and_queues_nothing() {
    let mut ends = Ends::new();
    ends.wire().window = Some(2);
    let mut at = 1;
    assert_eq!(ends.pipe.write_from(b"01234", &mut at, ends.now), WriteOutcome::Refused);
    assert_eq!((at, ends.pipe.queued(), ends.pipe.is_stalled()), (3, 0, true));
    ends.wire().window = None;
    assert_eq!(ends.pipe.write_from(b"01234", &mut at, ends.now), WriteOutcome::Drained);
    assert_eq!((at, ends.pipe.is_stalled()), (5, false));
    assert_eq!(ends.wire().taken, b"1234");
}

#[test]
fn write_once_takes_what_fits_and_leaves_the_stall_to_a_flush() {
    let mut ends = Ends::new();
    ends.wire().window = Some(4);
    assert_eq!(ends.pipe.write_once([b"012", b"345"]), Ok(4));
    assert_eq!((ends.pipe.write_once([b"4", b"5"]), ends.pipe.is_stalled()), (Ok(0), false));
    assert_eq!(ends.wire().taken, b"0123");
}

#[test]
fn trim_moves_unsent_output_into_a_buffer_of_its_length() {
    let mut ends = Ends::new();
    ends.queue(&[b'x'; 1000]);
    assert!(ends.pipe.trim().is_none(), "nothing to gain");
    ends.wire().window = Some(900);
    ends.flush();
    let old = ends.pipe.trim().expect("nine tenths are free");
    assert!(old.capacity() >= 1000 && ends.pipe.out_mut().capacity() < 200);
    ends.wire().window = None;
    assert_eq!(ends.flush(), WriteOutcome::Drained);
    assert_eq!(ends.wire().taken, [b'x'; 1000]);
}

#[test]
fn pipe_costs_56_bytes() {
    type Tcp = std::net::TcpStream;
    assert_size!(Pipe<Tcp> = 56: Pipe {
        stream: 4 "the descriptor",
        out: 24 "unsent output; owns nothing while there is none",
        out_at: 8 "the part of it that has left",
        stalled_since: 16 "the time since which the kernel takes nothing",
        readable: 1 "an edge is reported once",
        input_end: 1 "and so is the end of the stream",
    } empty: 2);
}
