//! Messages that begin and do not end: their time runs from the first byte on, while they are
//! listened to.

use super::*;
use crate::limits::MESSAGE_TIMEOUT;

const CONTINUES: u8 = 0x00;

/// What is due comes when the message is this old, and is our goodbye.
#[track_caller]
fn is_refused_in(mut talk: Talk, time: Duration) {
    talk.taken();
    talk.is_due_in(time);
    assert_eq!(talk.taken(), goodbye(1008));
    talk.is_lingering();
}

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

#[test]
fn a_pause_is_no_silence_and_ends_when_the_debt_is_paid() {
    let mut talk = Talk::open();
    talk.pass(PING - MOMENT);
    let debt = 3 * TIMEOUT;
    talk.connection.charge(1 + debt.as_secs() as usize, talk.now, &talk.shared);
    talk.hear(frame(TEXT, "one"));
    assert!(talk.heard.is_empty());
    talk.is_due_in(debt);
    assert_eq!(talk.heard, [text("one")], "heard without another event");
    assert_eq!(talk.taken(), ours(TEXT, "one"), "and no ping");
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn a_pause_does_not_end_because_bytes_have_left() {
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.hear(frame(TEXT, "one"));
    talk.connection.charge(1 + 5, talk.now, &talk.shared);
    talk.hear(frame(TEXT, "two"));
    talk.pass(Duration::from_secs(4));
    talk.set_window(None);
    assert_eq!(talk.heard, [text("one")]);
    talk.is_due_in(Duration::from_secs(1));
    assert_eq!(talk.heard, [text("one"), text("two")]);

    // Nor is it forgotten when it ends first.
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.hear(frame(TEXT, "one"));
    talk.connection.charge(1 + 5, talk.now, &talk.shared);
    talk.hear(frame(TEXT, "two"));
    talk.is_due_in(Duration::from_secs(5));
    assert!(!talk.connection.is_paused());
    talk.set_window(None);
    assert_eq!(talk.heard, [text("one"), text("two")]);
}

#[test]
fn who_is_not_admitted_gets_no_more_time_by_talking_too_fast() {
    let mut talk = Talk::joining();
    talk.connection.charge(1000, talk.now, &talk.shared);
    is_refused_in(talk, JOIN_TIMEOUT);
}

#[test]
fn a_close_frame_of_ours_ends_a_pause() {
    let mut talk = Talk::open();
    talk.connection.charge(1000, talk.now, &talk.shared);
    talk.close(1001);
    talk.visit();
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(1001));
}

#[test]
fn the_end_of_the_stream_is_not_forgotten_in_a_pause() {
    let mut talk = Talk::open();
    talk.connection.charge(1 + 5, talk.now, &talk.shared);
    talk.hear_last(frame(TEXT, "last"));
    assert!(talk.heard.is_empty());
    talk.is_due_in(Duration::from_secs(5));
    assert_eq!(talk.heard, [text("last")]);
    talk.is_gone(END_OF_STREAM);
}
