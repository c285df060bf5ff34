//! Close frames from both sides, lingering, and abandoned connections.

use super::*;
use crate::limits::OPEN_MESSAGE_BYTES;

#[test]
fn close_from_the_peer_is_echoed_and_later_input_discarded() {
    let mut talk = Talk::open();
    talk.arrive([frame(CLOSE, b"\x03\xe8bye"), frame(TEXT, "not received")].concat());
    assert_eq!(talk.taken(), ours(CLOSE, b"\x03\xe8bye"));
    talk.assert_lingering();
    talk.arrive_with_end(frame(PING_FRAME, "?"));
    assert_eq!((talk.taken().len(), talk.received.len()), (0, 0));
    talk.assert_gone(End::Closed(1000));
}

#[test]
fn close_frame_without_a_code_ends_with_1005() {
    let mut talk = Talk::open();
    talk.arrive(frame(CLOSE, b""));
    assert_eq!(talk.taken(), ours(CLOSE, b""));
    talk.arrive_end();
    talk.assert_gone(End::Closed(1005));
}

#[test]
fn our_close_waits_for_the_end_of_the_peers_stream() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    assert_eq!(talk.taken(), close_frame(1001));
    talk.assert_closing();
    talk.arrive([frame(TEXT, "not received"), frame(CLOSE, b"\x03\xe9")].concat());
    talk.assert_lingering();
    talk.arrive_end();
    assert_eq!((talk.taken().len(), talk.received.len()), (0, 0));
    talk.assert_gone(End::Refused(1001));
}

#[test]
fn invalid_frame_gets_its_close_code_behind_earlier_output() {
    let mut talk = Talk::open();
    talk.arrive(
        [frame(TEXT, "one"), frame(PING_FRAME, "?"), frame(0x83, ""), frame(TEXT, "two")].concat(),
    );
    assert_eq!(talk.taken(), [ours(TEXT, "one"), ours(PONG, "?"), close_frame(1002)].concat());
    assert_eq!(talk.received, [text("one")]);
    talk.assert_closing();
    talk.arrive_end();
    talk.assert_gone(End::Refused(1002));
}

#[test]
fn output_after_a_close_frame_is_never_sent() {
    let mut talk = Talk::open();
    talk.connection.send_text(b"one", &mut talk.shared);
    talk.close(1001);
    talk.connection.send_text(b"two", &mut talk.shared);
    talk.close(1008);
    talk.visit();
    assert_eq!(talk.taken(), [ours(TEXT, "one"), close_frame(1001)].concat());

    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.arrive(frame(CLOSE, b""));
    talk.connection.send_text(b"two", &mut talk.shared);
    talk.close(1008);
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(CLOSE, b""));
}

#[test]
fn partly_written_close_frame_is_completed() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1);
    talk.close(1001);
    talk.visit();
    assert_eq!((talk.taken(), talk.wire().shut), (close_frame(1001)[..1].to_vec(), false));
    talk.pass(WRITE_STALL / 2);
    talk.set_window(None);
    assert_eq!(talk.taken(), close_frame(1001)[1..]);
    talk.assert_closing();
}

#[test]
fn stalled_close_frame_is_given_up_after_the_write_stall() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1);
    talk.close(1001);
    talk.visit();
    talk.expire_after(WRITE_STALL);
    talk.assert_gone(End::Refused(1001));
}

#[test]
fn input_behind_our_close_frame_is_discarded_at_any_length() {
    let mut talk = Talk::open();
    talk.close(1009);
    talk.visit();
    let message = frame(0x82, vec![7; 60_000]).repeat(100);
    for segment in message.chunks(READ_BYTES) {
        talk.arrive(segment);
        talk.assert_closing();
    }
    talk.arrive(frame(CLOSE, b"\x03\xf1"));
    talk.assert_lingering();
}

#[test]
fn close_frame_is_found_behind_frames_of_any_length() {
    let rest = [frame(0x82, [0x88; 70]), frame(TEXT, vec![b'x'; 300]), frame(PING_FRAME, "")];
    let input = [&rest.concat()[..], &frame(CLOSE, b"\x03\xe9")].concat();
    let close_at = input.len() - frame(CLOSE, b"\x03\xe9").len();
    // A frame that had begun before our close frame counts, too.
    for begun in [0, 1, 5, 20] {
        for cut in 1..input.len() - begun {
            let mut talk = Talk::open();
            talk.arrive(&input[..begun]);
            talk.close(1001);
            talk.visit();
            talk.taken();
            for segment in input[begun..].chunks(cut) {
                talk.arrive(segment);
            }
            talk.assert_lingering();
        }
    }
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.arrive(&input[..close_at]);
    talk.assert_closing();
}

#[test]
fn lingering_connection_that_still_sends_ends_in_2_seconds() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.pass(LINGER - MOMENT);
    talk.arrive("anything");
    assert_eq!(talk.deadline(), Some(MOMENT));
    talk.pass(MOMENT);
    talk.assert_gone(End::Refused(1001));
}

#[test]
fn abandon_sends_a_close_frame_only_if_nothing_is_unsent() {
    let mut talk = Talk::open();
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    assert_eq!(talk.taken(), close_frame(1013));
    talk.assert_gone(End::Refused(1013));

    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.arrive(frame(TEXT, "one"));
    talk.wire().window = None;
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    assert_eq!(talk.taken(), ours(TEXT, "one")[..2]);
    talk.assert_gone(End::Refused(1013));
}

#[test]
fn abandon_gives_back_incomplete_input() {
    let mut talk = Talk::open();
    talk.arrive([frame(FIRST_FRAGMENT, "one"), vec![0]].concat());
    assert_eq!(talk.shared.incomplete_bytes(), OPEN_MESSAGE_BYTES + 2 * 3 + 1);
    talk.connection.abandon(1013, talk.now, &mut talk.shared);
    talk.assert_gone(End::Refused(1013));
}
