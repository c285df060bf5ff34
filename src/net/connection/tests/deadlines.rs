//! Deadlines: to join, to send a head, to answer a ping, and to take output.

use super::*;

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
