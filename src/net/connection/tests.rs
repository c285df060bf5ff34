//! A loop of one connection over a scripted stream: each trap of non-blocking I/O by itself, then
//! one conversation with a fault at every step.

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::limits::{OPEN_MESSAGE_BYTES, READ_BYTES};
use crate::memory::assert_size;
use crate::net::http::assets::Files;
use crate::net::http::{Access, Endpoint, Site};
use crate::net::rate::Rate;
use crate::net::stream::scripted::{Fault, Scripted, Wire};

mod unfinished;

const LIMIT: usize = 65_536;
const PING: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(40);
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);

pub(crate) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CLOSE_REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

// ---- the loop ----

/// A loop of one connection, which sends back what it hears.
struct Talk {
    wire: Rc<RefCell<Wire>>,
    connection: Connection<Scripted>,
    shared: Shared,
    buffer: Vec<u8>,
    now: Now,
    heard: Vec<Incoming<'static>>,
    /// The most that ever waited to be written.
    unsent_max: usize,
}

impl Talk {
    /// Just accepted.
    fn new() -> Talk {
        Talk::with_memory(1 << 20)
    }

    fn with_memory(incomplete_bytes_total: usize) -> Talk {
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Anyone, endpoint);
        let limits = Limits {
            message_bytes_max: LIMIT,
            incomplete_bytes_total,
            ping: PING,
            timeout: TIMEOUT,
            join_timeout: JOIN_TIMEOUT,
            rate: Rate::new(1, 1),
        };
        let shared = Shared::new(site, limits);
        let now = Now { instant: Instant::now(), unix_ms: 0 };
        let wire = Rc::new(RefCell::new(Wire::default()));
        let connection = Connection::new(Scripted(wire.clone()), View::Page, now, &shared);
        let buffer = vec![0; READ_BYTES];
        Talk { wire, connection, shared, buffer, now, heard: Vec::new(), unsent_max: 0 }
    }

    /// Upgraded and admitted.
    fn open() -> Talk {
        let mut talk = Talk::joining();
        talk.connection.mark_joined(talk.now);
        talk
    }

    fn joining() -> Talk {
        let mut talk = Talk::new();
        talk.hear(UPGRADE);
        assert!(talk.taken().starts_with(b"HTTP/1.1 101 "));
        assert_eq!(std::mem::take(&mut talk.heard), [Incoming::Open]);
        talk
    }

    fn wire(&self) -> std::cell::RefMut<'_, Wire> {
        self.wire.borrow_mut()
    }

    /// The kernel reports readiness, once.
    fn event(&mut self, closed: bool) {
        self.connection.note_readable();
        if closed {
            self.connection.note_read_closed();
        }
        self.visit();
    }

    /// All that can be done without another event.
    fn visit(&mut self) {
        self.flush();
        while self.connection.wants_read() {
            self.read();
            self.flush();
        }
    }

    fn read(&mut self) {
        let Talk { connection, shared, buffer, now, heard, .. } = self;
        let mut input = connection.receive(buffer, *now, shared);
        while let Some(incoming) = connection.next(&mut input, *now, shared) {
            match &incoming {
                Incoming::Open => {}
                Incoming::Text(text) => connection.send_text(text.as_bytes(), shared),
                Incoming::Binary(bytes) => connection.send(Opcode::Binary, bytes, shared),
            }
            heard.push(match incoming {
                Incoming::Open => Incoming::Open,
                Incoming::Text(said) => text(&said),
                Incoming::Binary(bytes) => Incoming::Binary(bytes),
            });
        }
        assert!(connection.is_gone() || input.rest().is_empty(), "it stopped too soon");
    }

    fn flush(&mut self) {
        self.unsent_max = self.unsent_max.max(self.connection.unsent());
        self.connection.flush(self.now, &mut self.shared);
    }

    /// One segment comes.
    fn hear(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire().coming.extend(bytes.as_ref());
        self.event(false);
    }

    /// One segment comes, and with it the end of the stream: one event tells of both.
    fn hear_last(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire().coming.extend(bytes.as_ref());
        self.hear_end();
    }

    fn hear_end(&mut self) {
        self.wire().end = true;
        self.event(true);
    }

    /// From now on the kernel takes so many bytes more; none: as many as there are.
    fn set_window(&mut self, window: impl Into<Option<usize>>) {
        self.wire().window = window.into();
        self.visit();
    }

    /// What has reached the peer since it was last asked.
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire().taken)
    }

    fn close(&mut self, code: u16) {
        self.connection.close(code, self.now, &mut self.shared);
    }

    /// Time passes, and what is due is done.
    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.connection.expire(self.now, &mut self.shared);
        self.visit();
    }

    /// Nothing happens until this time has passed: then what is due is done.
    #[track_caller]
    fn is_due_in(&mut self, time: Duration) {
        assert_eq!(self.deadline(), Some(time));
        self.pass(time - MOMENT);
        assert_eq!(self.deadline(), Some(MOMENT), "it did not wait");
        self.pass(MOMENT);
    }

    fn deadline(&self) -> Option<Duration> {
        self.connection.deadline(&self.shared).map(|due| due - self.now.instant)
    }

    /// It is over, for this reason, and nothing is left.
    #[track_caller]
    fn is_gone(&self, end: End) {
        assert!(self.connection.is_gone());
        assert_eq!(self.connection.end(), Some(end));
        assert_eq!(self.shared.incomplete_bytes(), 0);
        assert_eq!((self.connection.unsent(), self.connection.pipe.out_capacity()), (0, 0));
        assert_eq!(self.deadline(), None);
        assert!(!self.connection.wants_read());
    }

    /// Our last word has left, our end is shut, and the peer's is waited for.
    #[track_caller]
    fn is_lingering(&self) {
        assert!(!self.connection.is_gone());
        assert!(self.wire().shut);
        assert_eq!(self.deadline(), Some(LINGER));
        assert_eq!(self.shared.incomplete_bytes(), 0);
    }
}

const RESET: End = End::Lost(ErrorKind::ConnectionReset);
const END_OF_STREAM: End = End::Lost(ErrorKind::UnexpectedEof);

// ---- what is said ----

pub(crate) const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
pub(crate) const CLOSE: u8 = 0x88;
const PING_FRAME: u8 = 0x89;
const PONG: u8 = 0x8a;
const OUR_PING: &[u8] = &[PING_FRAME, 0];

/// A frame from a client. Masked with zeros, so that it can be read.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    put(first, 0x80, &[0; 4], payload.as_ref())
}

/// A frame from us.
pub(crate) fn ours(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    put(first, 0, &[], payload.as_ref())
}

fn put(first: u8, masked: u8, mask: &[u8], payload: &[u8]) -> Vec<u8> {
    let long = (payload.len() as u16).to_be_bytes();
    match payload.len() {
        len @ 0..=125 => [&[first, masked | len as u8], mask, payload].concat(),
        _ => [&[first, masked | 126], &long[..], mask, payload].concat(),
    }
}

/// Our close frame.
fn goodbye(code: u16) -> Vec<u8> {
    ours(CLOSE, code.to_be_bytes())
}

fn text(text: &str) -> Incoming<'static> {
    Incoming::Text(text.to_owned().into())
}

fn starts(response: &[u8]) -> String {
    String::from_utf8_lossy(&response[..response.len().min(12)]).into_owned()
}

// ---- reading ----

#[test]
fn what_is_left_after_a_full_read_is_read_without_another_event() {
    let mut talk = Talk::open();
    talk.buffer.truncate(16);
    let letters = "x".repeat(100);
    talk.hear(frame(TEXT, &letters));
    assert_eq!(talk.heard, [text(&letters)]);

    // A read that the end of what came fills exactly has to be followed by one that finds nothing.
    talk.hear(frame(TEXT, "0123456789"));
    assert_eq!(talk.heard[1..], [text("0123456789")]);
    assert!(!talk.connection.wants_read());
}

#[test]
fn several_frames_in_one_read_are_all_heard_and_answered_in_order() {
    let mut talk = Talk::open();
    talk.hear([frame(TEXT, "one"), frame(PING_FRAME, "?"), frame(0x82, "two")].concat());
    assert_eq!(talk.heard, [text("one"), Incoming::Binary(b"two".to_vec())]);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(PONG, "?"), ours(0x82, "two")].concat());
}

#[test]
fn a_frame_over_many_reads_is_heard_when_it_is_whole() {
    let mut talk = Talk::open();
    let frame = frame(TEXT, "one");
    for (n, byte) in frame.iter().enumerate() {
        assert_eq!((talk.heard.len(), talk.shared.incomplete_bytes()), (0, n));
        talk.hear([*byte]);
    }
    assert_eq!((&talk.heard[..], talk.shared.incomplete_bytes()), (&[text("one")][..], 0));
}

#[test]
fn text_and_end_of_stream_in_one_segment_are_both_heard() {
    let mut talk = Talk::open();
    talk.hear_last(frame(TEXT, "last"));
    assert_eq!(talk.heard, [text("last")]);
    assert_eq!(talk.taken(), ours(TEXT, "last"));
    talk.is_gone(END_OF_STREAM);
}

#[test]
fn the_end_of_the_stream_is_not_forgotten_while_bytes_are_refused() {
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.hear_last(frame(TEXT, "last"));
    assert!(!talk.connection.is_gone());
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(TEXT, "last"));
    talk.is_gone(END_OF_STREAM);
}

#[test]
fn nothing_is_read_while_refused_bytes_wait() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1);
    talk.hear(frame(TEXT, "one"));
    talk.hear(frame(TEXT, "two"));
    assert_eq!((talk.heard.len(), talk.wire().coming.len()), (1, frame(TEXT, "two").len()));
    assert!(!talk.connection.wants_read());
    talk.set_window(None);
    assert_eq!(talk.heard, [text("one"), text("two")]);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(TEXT, "two")].concat());
}

#[test]
fn frames_in_the_same_segment_as_the_upgrade_are_heard() {
    let mut talk = Talk::new();
    let frames = [frame(TEXT, "one"), frame(TEXT, "tw")].concat();
    let (frames, rest) = frames.split_at(frames.len() - 1);
    talk.hear([UPGRADE.as_bytes(), frames].concat());
    assert_eq!(talk.heard, [Incoming::Open, text("one")]);
    assert!(talk.taken().ends_with(&[b"\r\n\r\n", &ours(TEXT, "one")[..]].concat()));
    talk.hear(rest);
    assert_eq!(talk.heard[2..], [text("tw")]);
}

#[test]
fn an_upgrade_and_a_long_frame_in_one_segment_are_read_in_several_reads() {
    let mut talk = Talk::new();
    let letters = "x".repeat(20_000);
    talk.hear([UPGRADE.as_bytes(), &frame(TEXT, &letters)].concat());
    assert_eq!(talk.heard, [Incoming::Open, text(&letters)]);
}

// ---- writing ----

#[test]
fn a_write_that_takes_a_part_is_resumed_where_it_stopped() {
    let mut talk = Talk::open();
    let letters = "x".repeat(1000);
    talk.wire().window = Some(0);
    talk.hear(frame(TEXT, &letters));
    for left in (0..1004).rev() {
        assert!(talk.connection.is_stalled());
        talk.set_window(1);
        assert_eq!(talk.connection.unsent(), left);
    }
    assert_eq!(talk.taken(), ours(TEXT, &letters));
    assert!(!talk.connection.is_stalled());
}

#[test]
fn what_was_refused_is_kept_with_little_room_to_spare() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.hear(frame(TEXT, "x".repeat(10_000)));
    while talk.connection.unsent() > 8 {
        let (left, room) = (talk.connection.unsent(), talk.connection.pipe.out_capacity());
        assert!(room <= left / 7 * 8 + 16, "{room} bytes for {left}");
        talk.set_window(left / 10 + 1);
    }
}

#[test]
fn a_pong_leaves_behind_what_was_refused_before_it() {
    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.hear([frame(TEXT, "one"), frame(PING_FRAME, "?")].concat());
    talk.connection.send_text(b"two", &mut talk.shared);
    assert_eq!(talk.taken(), ours(TEXT, "one")[..2]);
    talk.set_window(None);
    assert_eq!(
        talk.taken(),
        [&ours(TEXT, "one")[2..], &ours(PONG, "?"), &ours(TEXT, "two")].concat()
    );
}

#[test]
fn pings_of_one_read_cannot_pile_up_answers_over_several() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    let pings = frame(PING_FRAME, "").repeat(READ_BYTES / 6);
    for _ in 0..10 {
        talk.hear(&pings);
    }
    assert_eq!(talk.unsent_max, READ_BYTES / 6 * 2);
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(PONG, "").repeat(READ_BYTES / 6 * 10));
}

#[test]
fn a_quiet_connection_owns_no_buffers_whatever_it_did_before() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1000);
    talk.hear(frame(TEXT, "x".repeat(20_000)));
    talk.hear(frame(PING_FRAME, "?"));
    talk.set_window(None);
    assert_eq!(talk.connection.pipe.out_capacity(), 0);
    assert!(talk.shared.out.is_empty() && talk.shared.out.capacity() > 0, "it goes round");

    let mut talk = Talk::new();
    talk.hear([HEALTH, &HEALTH[..20]].concat());
    talk.hear(&HEALTH[20..]);
    assert_eq!(talk.connection.pipe.out_capacity(), 0);
    let State::Http(http) = &talk.connection.state else { panic!("it speaks HTTP") };
    assert!(http.head.capacity() == 0 && http.body.is_none());
}

// ---- closing ----

#[test]
fn a_close_from_the_peer_is_answered_and_what_still_comes_is_thrown_away() {
    let mut talk = Talk::open();
    talk.hear([frame(CLOSE, b"\x03\xe8bye"), frame(TEXT, "not heard")].concat());
    assert_eq!(talk.taken(), ours(CLOSE, b"\x03\xe8bye"));
    talk.is_lingering();
    talk.hear_last(frame(PING_FRAME, "?"));
    assert_eq!((talk.taken().len(), talk.heard.len()), (0, 0));
    talk.is_gone(End::Closed(1000));
}

#[test]
fn a_close_without_a_code_ends_with_1005() {
    let mut talk = Talk::open();
    talk.hear(frame(CLOSE, b""));
    assert_eq!(talk.taken(), ours(CLOSE, b""));
    talk.hear_end();
    talk.is_gone(End::Closed(1005));
}

#[test]
fn our_close_waits_for_the_peers_and_for_the_end_of_its_stream() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    assert_eq!(talk.taken(), goodbye(1001));
    talk.is_lingering();
    talk.hear([frame(TEXT, "not heard"), frame(CLOSE, b"\x03\xe9")].concat());
    talk.is_lingering();
    talk.hear_end();
    assert_eq!((talk.taken().len(), talk.heard.len()), (0, 0));
    talk.is_gone(End::Refused(1001));
}

#[test]
fn a_refused_frame_is_answered_with_its_code_behind_what_was_said_before() {
    let mut talk = Talk::open();
    talk.hear(
        [frame(TEXT, "one"), frame(PING_FRAME, "?"), frame(0x83, ""), frame(TEXT, "two")].concat(),
    );
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(PONG, "?"), goodbye(1002)].concat());
    assert_eq!(talk.heard, [text("one")]);
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(1002));
}

#[test]
fn what_is_queued_behind_a_close_frame_never_leaves() {
    let mut talk = Talk::open();
    talk.connection.send_text(b"one", &mut talk.shared);
    talk.close(1001);
    talk.connection.send_text(b"two", &mut talk.shared);
    talk.close(1008);
    talk.visit();
    assert_eq!(talk.taken(), [ours(TEXT, "one"), goodbye(1001)].concat());

    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.hear(frame(CLOSE, b""));
    talk.connection.send_text(b"two", &mut talk.shared);
    talk.close(1008);
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(CLOSE, b""));
}

#[test]
fn a_close_frame_that_is_half_written_is_written_to_its_end() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1);
    talk.close(1001);
    talk.visit();
    assert_eq!((talk.taken(), talk.wire().shut), (goodbye(1001)[..1].to_vec(), false));
    talk.pass(WRITE_STALL / 2);
    talk.set_window(None);
    assert_eq!(talk.taken(), goodbye(1001)[1..]);
    talk.is_lingering();
}

#[test]
fn a_close_frame_that_nobody_takes_is_given_up_after_the_write_stall() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1);
    talk.close(1001);
    talk.visit();
    talk.is_due_in(WRITE_STALL);
    talk.is_gone(End::Refused(1001));
}

#[test]
fn a_peer_that_goes_on_talking_is_listened_to_for_64_kib_after_our_last_word() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.hear([0; LINGER_BYTES]);
    talk.is_lingering();
    talk.hear([0]);
    talk.is_gone(End::Refused(1001));
}

#[test]
fn a_peer_that_goes_on_talking_is_listened_to_for_2_seconds_after_our_last_word() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.pass(LINGER - MOMENT);
    talk.hear("anything");
    assert_eq!(talk.deadline(), Some(MOMENT));
    talk.pass(MOMENT);
    talk.is_gone(End::Refused(1001));
}

#[test]
fn abandoning_says_close_if_that_can_be_written_at_once() {
    let mut talk = Talk::open();
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    assert_eq!(talk.taken(), goodbye(1013));
    talk.is_gone(End::Refused(1013));

    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.hear(frame(TEXT, "one"));
    talk.wire().window = None;
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    assert_eq!(talk.taken(), ours(TEXT, "one")[..2]);
    talk.is_gone(End::Refused(1013));
}

#[test]
fn abandoning_gives_back_what_has_not_come_whole() {
    let mut talk = Talk::open();
    talk.hear([frame(TEXT_BEGINS, "one"), vec![0]].concat());
    assert_eq!(talk.shared.incomplete_bytes(), OPEN_MESSAGE_BYTES + 2 * 3 + 1);
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    talk.is_gone(End::Refused(1013));
}

// ---- time ----

#[test]
fn who_is_not_admitted_in_time_is_closed_with_1008() {
    let mut talk = Talk::new();
    talk.pass(JOIN_TIMEOUT / 2);
    talk.hear(UPGRADE);
    talk.taken();
    talk.pass(MOMENT);
    // Neither talking nor not reading gives more time.
    talk.wire().window = Some(2);
    talk.hear(frame(TEXT, "one"));
    talk.is_due_in(JOIN_TIMEOUT / 2 - MOMENT);
    talk.set_window(None);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), goodbye(1008)].concat());
    talk.is_lingering();
}

#[test]
fn a_head_that_does_not_become_whole_in_time_is_answered_408() {
    let mut talk = Talk::new();
    talk.hear("GET / HT");
    talk.pass(JOIN_TIMEOUT / 2);
    // A trickle gives no more time.
    talk.hear("TP/1.1\r\n");
    talk.is_due_in(JOIN_TIMEOUT / 2);
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 408");
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(408));
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let mut talk = Talk::new();
    talk.is_due_in(JOIN_TIMEOUT);
    assert_eq!(talk.taken(), b"");
    talk.is_gone(End::Silent);
}

#[test]
fn a_kept_alive_connection_has_the_same_time_for_each_request() {
    let mut talk = Talk::new();
    for _ in 0..3 {
        talk.pass(JOIN_TIMEOUT - MOMENT);
        talk.hear(&HEALTH[..20]);
        assert_eq!(talk.taken(), b"");
        talk.pass(MOMENT / 2);
        talk.hear(&HEALTH[20..]);
        assert_eq!(starts(&talk.taken()), "HTTP/1.1 200");
    }
    talk.pass(JOIN_TIMEOUT / 2);
    talk.hear(&HEALTH[..20]);
    talk.is_due_in(JOIN_TIMEOUT);
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 408");

    // The time in which it takes an answer is not its own.
    let mut talk = Talk::new();
    talk.wire().window = Some(0);
    talk.hear(HEALTH);
    talk.pass(WRITE_STALL / 2);
    talk.set_window(None);
    talk.taken();
    talk.is_due_in(JOIN_TIMEOUT);
    assert_eq!(talk.taken(), b"");
    talk.is_gone(End::Silent);
}

#[test]
fn a_silent_peer_is_pinged_and_a_pong_is_enough() {
    let mut talk = Talk::open();
    for _ in 0..3 {
        talk.is_due_in(PING);
        assert_eq!(talk.taken(), OUR_PING);
        talk.pass(TIMEOUT - PING - MOMENT);
        talk.hear(frame(PONG, ""));
    }
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn a_peer_that_stays_silent_after_the_ping_is_gone() {
    let mut talk = Talk::open();
    // The loop was late: what counts is when the ping left.
    talk.pass(PING + TIMEOUT);
    assert_eq!(talk.taken(), OUR_PING);
    talk.is_due_in(TIMEOUT - PING);
    assert_eq!(talk.taken(), b"");
    talk.is_gone(End::Silent);
}

#[test]
fn any_byte_shows_that_the_peer_is_alive() {
    let mut talk = Talk::open();
    let pong = frame(PONG, "");
    talk.pass(PING - MOMENT);
    talk.hear(&pong[..1]);
    talk.pass(MOMENT);
    assert_eq!(talk.taken(), b"", "no ping is due");
    talk.hear(&pong[1..]);
    talk.is_due_in(PING);
    assert_eq!(talk.taken(), OUR_PING);
    talk.pass(TIMEOUT - PING - MOMENT);
    talk.hear(&pong[..1]);
    talk.pass(MOMENT);
    talk.hear(&pong[1..]);
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn silence_does_not_count_while_bytes_are_refused() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.hear(frame(TEXT, "0123456789"));
    for _ in 0..10 {
        // Slow, but it takes something.
        assert_eq!(talk.deadline(), Some(WRITE_STALL));
        talk.pass(WRITE_STALL - MOMENT);
        talk.set_window(1);
    }
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(TEXT, "0123456789"), "and no ping");
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn a_ping_that_is_refused_is_a_write_stall_and_no_silence() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.pass(PING);
    talk.pass(WRITE_STALL - MOMENT);
    talk.set_window(None);
    assert_eq!(talk.taken(), OUR_PING);
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn a_peer_that_takes_nothing_for_10_seconds_is_gone() {
    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.hear(frame(TEXT, "one"));
    talk.pass(WRITE_STALL / 2);
    talk.set_window(1);
    talk.is_due_in(WRITE_STALL);
    talk.is_gone(End::Stalled);

    let mut talk = Talk::new();
    talk.wire().window = Some(2);
    talk.hear(HEALTH);
    talk.is_due_in(WRITE_STALL);
    talk.is_gone(End::Stalled);
}

// ---- HTTP ----

#[test]
fn requests_are_answered_one_after_another_on_one_connection() {
    let mut talk = Talk::new();
    talk.hear("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = Files::BuiltIn.find("index.html").unwrap().unwrap().bytes;
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&page));
    for byte in HEALTH.bytes() {
        talk.hear([byte]);
    }
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    assert_eq!(talk.shared.incomplete_bytes(), 0);
    talk.hear_last(CLOSE_REQUEST);
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 200");
    talk.is_gone(End::Refused(200));
}

#[test]
fn a_request_that_asks_for_the_end_gets_it_behind_its_answer() {
    let mut talk = Talk::new();
    talk.hear([CLOSE_REQUEST, HEALTH].concat());
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(200));
}

#[test]
fn thousands_of_requests_at_once_are_answered_one_at_a_time() {
    let mut one = Talk::new();
    one.hear(HEALTH);
    let answer = one.taken();

    let mut talk = Talk::new();
    talk.hear(HEALTH.repeat(5000));
    assert_eq!(talk.unsent_max, answer.len());
    assert!(talk.shared.incomplete_bytes() == 0 && talk.taken() == answer.repeat(5000));

    // Refused at every byte, too.
    talk.unsent_max = 0;
    talk.wire().window = Some(0);
    talk.hear([HEALTH.repeat(20), UPGRADE.into()].concat());
    while talk.heard.is_empty() || talk.connection.unsent() > 0 {
        assert!(talk.shared.incomplete_bytes() < HEAD_BYTES_MAX);
        talk.set_window(1);
    }
    assert_eq!(talk.unsent_max, answer.len());
    assert!(talk.taken().starts_with(&answer.repeat(20)));
}

#[test]
fn requests_before_the_end_of_the_stream_are_answered() {
    for count in [1, 3] {
        let mut talk = Talk::new();
        talk.wire().window = Some(0);
        talk.hear_last(HEALTH.repeat(count));
        while talk.connection.unsent() > 0 {
            talk.set_window(1);
        }
        assert_eq!(String::from_utf8(talk.taken()).unwrap().matches("HTTP/1.1 200").count(), count);
        talk.is_gone(END_OF_STREAM);
    }
}

#[test]
fn a_close_before_the_end_of_the_stream_is_answered() {
    // One request in front keeps the rest for a read that finds the end.
    let mut talk = Talk::new();
    talk.hear_last([HEALTH.as_bytes(), UPGRADE.as_bytes(), &frame(CLOSE, b"")].concat());
    assert!(talk.taken().ends_with(&[b"\r\n\r\n", &ours(CLOSE, b"")[..]].concat()));
    talk.is_gone(End::Closed(1005));
}

#[test]
fn the_end_of_the_stream_within_a_head_is_the_end() {
    let mut talk = Talk::new();
    talk.hear_last(HEALTH.to_owned() + "GET");
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 200");
    talk.is_gone(END_OF_STREAM);
}

#[test]
fn a_head_that_is_too_long_is_refused_when_8_kib_have_come() {
    let mut talk = Talk::new();
    talk.hear("GET / HTTP/1.1\r\nX: ".to_owned() + &"x".repeat(HEAD_BYTES_MAX));
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 431");
    talk.is_lingering();
}

#[test]
fn who_finds_no_room_is_told_so_whatever_it_asks() {
    let mut talk = Talk::new();
    talk.connection = Connection::refused(Scripted(talk.wire.clone()), talk.now, &mut talk.shared);
    talk.visit();
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 503");
    talk.is_lingering();
    talk.hear(UPGRADE);
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(503));
}

#[test]
fn a_head_for_which_there_is_no_memory_is_answered_503() {
    let mut talk = Talk::with_memory(100);
    talk.hear("GET / HTTP/1.1\r\nHost: localhost\r\n");
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 503");
    talk.is_lingering();
}

#[test]
fn a_request_behind_another_for_which_there_is_no_memory_is_not_answered_and_the_first_one_is() {
    let mut talk = Talk::with_memory(100);
    talk.hear(HEALTH.repeat(2));
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(503));
}

#[test]
fn going_away_before_the_upgrade_lets_an_answer_leave_first() {
    let mut talk = Talk::new();
    talk.wire().window = Some(5);
    talk.hear(HEALTH);
    talk.close(1001);
    talk.set_window(None);
    assert!(talk.taken().ends_with(b"ok\n"));
    talk.is_lingering();

    let mut talk = Talk::new();
    talk.hear(&HEALTH[..20]);
    talk.close(1001);
    talk.is_gone(End::Refused(1001));
}

// ---- faults ----

#[test]
fn a_reset_in_any_state_is_the_end_and_nothing_is_left() {
    type Step = fn(&mut Talk);
    let states: [(fn() -> Talk, Step); 9] = [
        (Talk::new, |_| {}),
        (Talk::new, |talk| talk.hear(&HEALTH[..20])),
        (Talk::new, |talk| talk.hear(HEALTH)),
        (Talk::joining, |_| {}),
        (Talk::open, |_| {}),
        (Talk::open, |talk| talk.hear(frame(TEXT_BEGINS, "one"))),
        (Talk::open, |talk| talk.hear(&frame(TEXT, "one")[..7])),
        (Talk::open, |talk| {
            talk.wire().window = Some(0);
            talk.hear([frame(TEXT, "one"), frame(TEXT_BEGINS, "two")].concat());
        }),
        (Talk::new, |talk| {
            talk.wire().window = Some(0);
            talk.hear(HEALTH.repeat(2));
        }),
    ];
    for (begin, step) in states {
        let mut talk = begin();
        step(&mut talk);
        talk.wire().reset = true;
        talk.event(true);
        talk.is_gone(RESET);
    }
}

#[test]
fn a_reset_after_the_last_word_does_not_change_why_it_ended() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.wire().reset = true;
    talk.event(true);
    talk.is_gone(End::Refused(1001));

    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.hear(frame(CLOSE, b"\x03\xe8"));
    talk.wire().reset = true;
    talk.event(true);
    talk.is_gone(End::Closed(1000));
}

/// What a peer says from its first byte to its last, in segments that cut everything there is to
/// cut.
fn conversation() -> Vec<Vec<u8>> {
    let letters = "x".repeat(300);
    let frames = [
        frame(TEXT, "one"),
        frame(TEXT_BEGINS, "tw"),
        frame(PING_FRAME, "?"),
        frame(0x80, "o"),
        frame(0x82, &letters),
        frame(CLOSE, b"\x03\xe8"),
    ];
    let all = [HEALTH.repeat(2).as_bytes(), UPGRADE.as_bytes(), &frames.concat()].concat();
    all.chunks(7).map(<[u8]>::to_vec).collect()
}

/// The conversation with these faults; the kernel reports readiness as long as there is any.
fn converse(faults: impl IntoIterator<Item = (usize, Fault)>) -> Talk {
    let mut talk = Talk::new();
    talk.buffer.truncate(HEAD_BYTES_MAX);
    talk.wire().faults.extend(faults);
    for segment in conversation() {
        talk.hear(segment);
    }
    let mut events = 0;
    while !talk.connection.is_gone() {
        talk.wire().end = events > 2;
        talk.event(events > 2);
        events += 1;
        assert!(events < 100, "it hangs");
    }
    talk
}

/// The conversation comes to the same with these faults, none of which is a reset.
#[track_caller]
fn check_faults(smooth: &Talk, faults: Vec<(usize, Fault)>) {
    let talk = converse(faults);
    talk.is_gone(End::Closed(1000));
    assert_eq!(talk.heard, smooth.heard);
    assert!(talk.wire().taken == smooth.wire().taken, "something else left");
}

#[test]
fn a_fault_at_any_step_of_a_conversation_changes_nothing_but_a_reset_that_ends_it() {
    let smooth = converse([]);
    smooth.is_gone(End::Closed(1000));
    let binary = Incoming::Binary("x".repeat(300).into());
    assert_eq!(smooth.heard, [Incoming::Open, text("one"), text("two"), binary]);

    let calls = smooth.wire().calls;
    for step in 0..calls {
        for fault in [Fault::Blocks, Fault::IsInterrupted, Fault::TakesOneByte] {
            check_faults(&smooth, vec![(step, fault)]);
        }
        let talk = converse([(step, Fault::Resets)]);
        talk.is_gone(talk.connection.end().unwrap());
        assert!(smooth.heard.starts_with(&talk.heard));
        assert!(smooth.wire().taken.starts_with(&talk.wire().taken));
    }
}

proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_faults_that_are_no_resets_change_nothing(
        faults in prop::collection::vec((0..200usize, 0..3usize), 0..100),
    ) {
        let fault = |n| [Fault::Blocks, Fault::IsInterrupted, Fault::TakesOneByte][n];
        check_faults(&converse([]), faults.into_iter().map(|(step, n)| (step, fault(n))).collect());
    }
}

#[test]
fn connection_costs_120_bytes() {
    type Tcp = std::net::TcpStream;
    assert_size!(Connection<Tcp> = 120: Connection {
        pipe: 56 "the stream, its unread input and its unsent output",
        state: 64 "the conversation",
    } empty: 0);
    assert_size!(Http = 56: Http {
        head: 24 "the beginning of a request",
        pipelined: 1 "or of several",
        deadline: 16 "the time by which the head has to be whole",
        started: 1 "whether a head is due",
        body: 8 "a pointer: the body of a response",
        last: 4 "the response is the last one",
        view: 1 "the part of the server that it sees",
    } empty: 1);
    assert_eq!(size_of::<State>(), 56 + 8, "the largest of them, and which it is");
}
