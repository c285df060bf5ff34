//! Input: full reads, pieces, segments with more than one thing in them, and the end of the stream.

use super::*;

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
