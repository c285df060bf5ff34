//! Peers in debt, which are not read until the debt is paid.

use super::*;

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
