//! Messages that begin and do not end: each has 10 seconds from its first byte, counted while the
//! peer is read.

use super::*;
use crate::limits::MESSAGE_TIMEOUT;

const CONTINUATION: u8 = 0x00;

#[test]
fn trickling_frame_has_10_seconds_from_its_first_byte() {
    let mut talk = Talk::open();
    talk.pass(PING / 2);
    let frame = frame(TEXT, "never whole");
    for byte in &frame[..9] {
        talk.arrive([*byte]);
        talk.pass(MESSAGE_TIMEOUT / 10);
    }
    talk.expire_with_1008(MESSAGE_TIMEOUT / 10);
}

#[test]
fn fragmented_message_has_10_seconds_from_its_first_byte() {
    let mut talk = Talk::open();
    talk.arrive(&frame(FIRST_FRAGMENT, "one")[..3]);
    talk.pass(MESSAGE_TIMEOUT / 2);
    talk.arrive(&frame(FIRST_FRAGMENT, "one")[3..]);
    talk.pass(MESSAGE_TIMEOUT / 4);
    // Neither further fragments nor a ping between them give more time.
    talk.arrive(
        [frame(CONTINUATION, ""), frame(PING_FRAME, "?"), frame(CONTINUATION, "two")[..4].to_vec()]
            .concat(),
    );
    talk.expire_with_1008(MESSAGE_TIMEOUT / 4);
}

#[test]
fn each_message_has_10_seconds_of_its_own() {
    let mut talk = Talk::open();
    let cut = |at| (frame(TEXT, "one")[..at].to_vec(), frame(TEXT, "one")[at..].to_vec());
    for at in 1..9 {
        let (begins, ends) = cut(at);
        talk.arrive(&begins);
        talk.pass(MESSAGE_TIMEOUT - MOMENT);
        // The end of this message and the beginning of the next arrive in one segment.
        talk.arrive([&ends[..], &begins].concat());
        talk.pass(MESSAGE_TIMEOUT - MOMENT);
        talk.arrive(&ends);
    }
    assert_eq!(talk.received.len(), 16);
    assert_eq!(talk.deadline(), Some(PING), "no message is incomplete");
}

#[test]
fn incomplete_message_does_not_extend_the_join_timeout() {
    let mut talk = Talk::joining();
    talk.pass(JOIN_TIMEOUT / 2);
    talk.arrive([TEXT]);
    talk.expire_with_1008(JOIN_TIMEOUT / 2);
}

#[test]
fn time_for_a_message_stops_in_a_stall_and_not_in_debt() {
    // Not read because its output is unsent.
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.arrive([frame(TEXT, "one"), frame(FIRST_FRAGMENT, "tw")].concat());
    for _ in 0..5 {
        talk.pass(MESSAGE_TIMEOUT / 2);
        talk.set_window(1);
    }
    assert!(!talk.connection.is_gone());
    talk.set_window(None);
    talk.expire_with_1008(MESSAGE_TIMEOUT);

    // A peer in debt has no more time than others: its message holds memory.
    let mut talk = Talk::open();
    talk.arrive(frame(FIRST_FRAGMENT, "one"));
    talk.pass(MESSAGE_TIMEOUT / 2);
    talk.connection.charge((BURST + 30) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.expire_with_1008(MESSAGE_TIMEOUT / 2);
}
