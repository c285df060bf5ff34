//! Pauses: a peer that sent faster than its rate is not read until the debt is paid.

use super::*;

#[test]
fn paused_peer_is_not_pinged_and_is_read_once_debt_is_paid() {
    let mut talk = Talk::open();
    talk.pass(PING - MOMENT);
    talk.connection.charge((BURST + 5) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(frame(TEXT, "one"));
    assert!(talk.received.is_empty());
    talk.expire_after(Duration::from_secs(5));
    assert_eq!(talk.received, [text("one")], "read without another event");
    assert_eq!(talk.taken(), ours(TEXT, "one"), "and no ping");
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn pause_has_a_bound_whatever_the_debt() {
    let mut talk = Talk::open();
    talk.connection.charge(READ_BYTES * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(frame(TEXT, "one"));
    talk.expire_after(DEBT_MAX);
    assert_eq!(talk.received, [text("one")]);
}

#[test]
fn pause_counts_as_silence() {
    let mut talk = Talk::open();
    talk.pass(PING - DEBT_MAX);
    talk.connection.charge((BURST + 5) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.expire_after(Duration::from_secs(5));
    assert_eq!(talk.deadline(), Some(DEBT_MAX - Duration::from_secs(5)));
}

#[test]
fn reset_ends_a_paused_connection_at_once() {
    let mut talk = Talk::open();
    talk.connection.charge(2 * BURST * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(frame(TEXT, "unread"));
    talk.connection.note_failed(&mut talk.shared);
    talk.assert_gone(RESET);
    // Of a peer that is read, the input comes first, and the reset behind it.
    let mut talk = Talk::open();
    talk.connection.note_failed(&mut talk.shared);
    assert!(!talk.connection.is_gone());
}

#[test]
fn paused_peer_that_closed_its_side_is_gone_soon() {
    let mut talk = Talk::open();
    talk.connection.charge(2 * BURST * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive_with_end(frame(TEXT, "unread"));
    talk.pass(DEBT_MAX / 2);
    // The debt is longer than the time that is left.
    talk.connection.charge(2 * BURST * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.expire_after(DEBT_MAX / 2);
    talk.assert_gone(End::Silent);
}

#[test]
fn peer_is_read_only_after_both_its_pause_and_its_stall() {
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.arrive(frame(TEXT, "one"));
    talk.connection.charge((BURST + 5) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(frame(TEXT, "two"));
    talk.pass(Duration::from_secs(4));
    talk.set_window(None);
    assert_eq!(talk.received, [text("one")]);
    talk.expire_after(Duration::from_secs(1));
    assert_eq!(talk.received, [text("one"), text("two")]);

    // Here the pause ends before the stall, which still keeps the peer from being read.
    let mut talk = Talk::open();
    talk.wire().window = Some(3);
    talk.arrive(frame(TEXT, "one"));
    talk.connection.charge((BURST + 5) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(frame(TEXT, "two"));
    talk.expire_after(Duration::from_secs(5));
    assert!(!talk.connection.is_paused());
    talk.set_window(None);
    assert_eq!(talk.received, [text("one"), text("two")]);
}

#[test]
fn debt_does_not_extend_the_join_timeout() {
    let mut talk = Talk::joining();
    talk.connection.charge(2 * BURST * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.expire_with_1008(JOIN_TIMEOUT);
}

#[test]
fn our_close_frame_ends_a_pause() {
    let mut talk = Talk::open();
    talk.connection.charge(2 * BURST * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.close(1001);
    talk.visit();
    talk.assert_closing();
    talk.arrive_end();
    talk.assert_gone(End::Refused(1001));
}

#[test]
fn end_of_stream_is_found_after_a_pause() {
    let mut talk = Talk::open();
    talk.connection.charge((BURST + 5) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive_with_end(frame(TEXT, "last"));
    assert!(talk.received.is_empty());
    talk.expire_after(Duration::from_secs(5));
    assert_eq!(talk.received, [text("last")]);
    talk.assert_gone(END_OF_STREAM);
}

/// Returns pings that cost more than a turn's tokens, and the peer's close frame behind them.
fn pings_and_a_close() -> Vec<u8> {
    let pings = frame(PING_FRAME, "").repeat(2 * TOKENS_PER_TURN / TOKENS_PER_LINE);
    [pings, frame(CLOSE, 1000u16.to_be_bytes())].concat()
}

#[test]
fn input_that_no_memory_is_left_for_ends_the_connection() {
    let mut talk = Talk::with_memory(4 * UPGRADE.len());
    talk.arrive(UPGRADE);
    talk.taken();
    talk.arrive(pings_and_a_close());
    // The peer's close frame is found in the input that was not kept.
    assert!(talk.taken().ends_with(&close_frame(1013)));
    assert_eq!(talk.connection.end(), Some(End::Refused(1013)));
    talk.assert_lingering();
}

#[test]
fn close_by_us_finds_the_close_frame_in_input_that_waits() {
    let mut talk = Talk::open();
    talk.connection.charge((BURST - 1) * TOKENS_PER_LINE, talk.now, &talk.shared);
    talk.arrive(pings_and_a_close());
    assert!(talk.shared.incomplete_bytes() > 0, "it waits");
    talk.close(1001);
    talk.visit();
    talk.assert_lingering();
    assert_eq!(talk.shared.incomplete_bytes(), 0);
}
