//! Input: full reads, frames in pieces, segments with several frames, and the end of the stream.

use super::*;

#[test]
fn input_left_by_a_full_read_is_read_without_an_event() {
    let mut talk = Talk::open();
    // One event reports 106 bytes. Reads of 16 bytes leave some, which no other event reports.
    talk.buffer.truncate(16);
    let letters = "x".repeat(100);
    talk.arrive(frame(TEXT, &letters));
    assert_eq!(talk.received, [text(&letters)]);

    // Here the input fills the buffer exactly. The read cannot know that nothing is left, so one
    // more has to follow, which finds nothing.
    talk.arrive(frame(TEXT, "0123456789"));
    assert_eq!(talk.received[1..], [text("0123456789")]);
    assert!(!talk.connection.wants_read());
}

#[test]
fn frames_in_one_read_are_answered_in_order() {
    let mut talk = Talk::open();
    talk.arrive([frame(TEXT, "one"), frame(PING_FRAME, "?"), frame(0x82, "two")].concat());
    assert_eq!(talk.received, [text("one"), Incoming::Binary(b"two".to_vec())]);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(PONG, "?"), ours(0x82, "two")].concat());
}

#[test]
fn frame_byte_by_byte_is_received_when_it_is_whole() {
    let mut talk = Talk::open();
    let frame = frame(TEXT, "one");
    for (n, byte) in frame.iter().enumerate() {
        assert_eq!((talk.received.len(), talk.shared.incomplete_bytes()), (0, n));
        talk.arrive([*byte]);
    }
    assert_eq!((&talk.received[..], talk.shared.incomplete_bytes()), (&[text("one")][..], 0));
}

#[test]
fn text_in_one_segment_with_the_end_is_received() {
    let mut talk = Talk::open();
    talk.arrive_with_end(frame(TEXT, "last"));
    assert_eq!(talk.received, [text("last")]);
    assert_eq!(talk.taken(), ours(TEXT, "last"));
    talk.assert_gone(END_OF_STREAM);
}

#[test]
fn end_of_stream_is_found_after_unsent_output_has_left() {
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.arrive_with_end(frame(TEXT, "last"));
    assert!(!talk.connection.is_gone());
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(TEXT, "last"));
    talk.assert_gone(END_OF_STREAM);
}

#[test]
fn connection_with_unsent_output_is_not_read() {
    let mut talk = Talk::open();
    // Backpressure: the peer does not take its echo, so its second message stays in the kernel.
    talk.wire().window = Some(1);
    talk.arrive(frame(TEXT, "one"));
    talk.arrive(frame(TEXT, "two"));
    assert_eq!((talk.received.len(), talk.wire().coming.len()), (1, frame(TEXT, "two").len()));
    assert!(!talk.connection.wants_read());
    talk.set_window(None);
    assert_eq!(talk.received, [text("one"), text("two")]);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(TEXT, "two")].concat());
}

#[test]
fn frames_in_one_segment_with_the_upgrade_are_received() {
    let mut talk = Talk::new();
    let frames = [frame(TEXT, "one"), frame(TEXT, "tw")].concat();
    let (frames, rest) = frames.split_at(frames.len() - 1);
    talk.arrive([UPGRADE.as_bytes(), frames].concat());
    assert_eq!(talk.received, [Incoming::Open(None), text("one")]);
    assert!(talk.taken().ends_with(&[b"\r\n\r\n", &ours(TEXT, "one")[..]].concat()));
    talk.arrive(rest);
    assert_eq!(talk.received[2..], [text("tw")]);
}

#[test]
fn long_frame_behind_the_upgrade_takes_several_reads() {
    let mut talk = Talk::new();
    let letters = "x".repeat(20_000);
    talk.arrive([UPGRADE.as_bytes(), &frame(TEXT, &letters)].concat());
    assert_eq!(talk.received, [Incoming::Open(None), text(&letters)]);
}
