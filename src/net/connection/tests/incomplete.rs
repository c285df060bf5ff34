//! Messages that begin and do not end: their time runs from the first byte on, while they are
//! listened to.

use super::*;
use crate::limits::MESSAGE_TIMEOUT;

const CONTINUES: u8 = 0x00;

#[test]
fn a_frame_that_trickles_in_has_ten_seconds_from_its_first_byte() {
    let mut talk = Talk::open();
    talk.pass(PING / 2);
    let frame = frame(TEXT, "never whole");
    for byte in &frame[..9] {
        talk.hear([*byte]);
        talk.pass(MESSAGE_TIMEOUT / 10);
    }
    is_refused_in(talk, MESSAGE_TIMEOUT / 10);
}

#[test]
fn a_message_in_fragments_has_ten_seconds_from_its_first_byte() {
    let mut talk = Talk::open();
    talk.hear(&frame(TEXT_BEGINS, "one")[..3]);
    talk.pass(MESSAGE_TIMEOUT / 2);
    talk.hear(&frame(TEXT_BEGINS, "one")[3..]);
    talk.pass(MESSAGE_TIMEOUT / 4);
    // Neither fragments nor pings between them give more time.
    talk.hear(
        [frame(CONTINUES, ""), frame(PING_FRAME, "?"), frame(CONTINUES, "two")[..4].to_vec()]
            .concat(),
    );
    is_refused_in(talk, MESSAGE_TIMEOUT / 4);
}

#[test]
fn each_message_has_its_own_time() {
    let mut talk = Talk::open();
    let cut = |at| (frame(TEXT, "one")[..at].to_vec(), frame(TEXT, "one")[at..].to_vec());
    for at in 1..9 {
        let (begins, ends) = cut(at);
        talk.hear(&begins);
        talk.pass(MESSAGE_TIMEOUT - MOMENT);
        // The end of this one and the beginning of the next in one segment.
        talk.hear([&ends[..], &begins].concat());
        talk.pass(MESSAGE_TIMEOUT - MOMENT);
        talk.hear(&ends);
    }
    assert_eq!(talk.heard.len(), 16);
    assert_eq!(talk.deadline(), Some(PING), "nothing is left of them");
}

#[test]
fn who_is_not_admitted_gets_no_more_time_by_beginning_a_message() {
    let mut talk = Talk::joining();
    talk.pass(JOIN_TIMEOUT / 2);
    talk.hear([TEXT]);
    is_refused_in(talk, JOIN_TIMEOUT / 2);
}

#[test]
fn the_time_in_which_it_is_not_listened_to_does_not_count() {
    // Because it does not read.
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.hear([frame(TEXT, "one"), frame(TEXT_BEGINS, "tw")].concat());
    for _ in 0..5 {
        talk.pass(MESSAGE_TIMEOUT / 2);
        talk.set_window(1);
    }
    assert!(!talk.connection.is_gone());
    talk.set_window(None);
    is_refused_in(talk, MESSAGE_TIMEOUT);

    // Because it talks too fast: a line a second.
    let mut talk = Talk::open();
    talk.hear(frame(TEXT_BEGINS, "one"));
    talk.connection.charge(31, talk.now, &talk.shared);
    talk.is_due_in(3 * MESSAGE_TIMEOUT);
    assert!(!talk.connection.is_paused());
    is_refused_in(talk, MESSAGE_TIMEOUT);
}
