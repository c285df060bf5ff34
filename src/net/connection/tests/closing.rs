//! Close frames from both sides, lingering, and abandoned connections.

use super::*;
use crate::limits::OPEN_MESSAGE_BYTES;

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
