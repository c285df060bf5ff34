//! Deadlines: to join, to send a head, to answer a ping, and to take output.

use super::*;

#[test]
fn peer_that_does_not_join_in_time_is_closed_with_1008() {
    let mut talk = Talk::new();
    talk.pass(JOIN_TIMEOUT / 2);
    talk.arrive(UPGRADE);
    talk.taken();
    talk.pass(MOMENT);
    // Neither the peer's messages nor its unread output extend the join timeout.
    talk.wire().window = Some(2);
    talk.arrive(frame(TEXT, "one"));
    talk.expire_after(JOIN_TIMEOUT / 2 - MOMENT);
    talk.set_window(None);
    assert_eq!(talk.taken(), [ours(TEXT, "one"), close_frame(1008)].concat());
    talk.assert_closing();
}

#[test]
fn incomplete_head_is_answered_408_after_the_join_timeout() {
    let mut talk = Talk::new();
    talk.arrive("GET / HT");
    talk.pass(JOIN_TIMEOUT / 2);
    // More bytes of the head do not extend the timeout.
    talk.arrive("TP/1.1\r\n");
    talk.expire_after(JOIN_TIMEOUT / 2);
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 408");
    talk.assert_lingering();
    talk.arrive_end();
    talk.assert_gone(End::Refused(408));
}

#[test]
fn silent_http_connection_ends_without_a_response() {
    let mut talk = Talk::new();
    talk.expire_after(JOIN_TIMEOUT);
    assert_eq!(talk.taken(), b"");
    talk.assert_gone(End::Silent);
}

#[test]
fn each_request_of_a_connection_has_the_whole_join_timeout() {
    let mut talk = Talk::new();
    for _ in 0..3 {
        talk.pass(JOIN_TIMEOUT - MOMENT);
        talk.arrive(&HEALTH[..20]);
        assert_eq!(talk.taken(), b"");
        talk.pass(MOMENT / 2);
        talk.arrive(&HEALTH[20..]);
        assert_eq!(status_line(&talk.taken()), "HTTP/1.1 200");
    }
    talk.pass(JOIN_TIMEOUT / 2);
    talk.arrive(&HEALTH[..20]);
    talk.expire_after(JOIN_TIMEOUT);
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 408");

    // The join timeout starts when the response has left, however long the peer took to read it.
    let mut talk = Talk::new();
    talk.wire().window = Some(0);
    talk.arrive(HEALTH);
    talk.pass(WRITE_STALL / 2);
    talk.set_window(None);
    talk.taken();
    talk.expire_after(JOIN_TIMEOUT);
    assert_eq!(talk.taken(), b"");
    talk.assert_gone(End::Silent);
}

#[test]
fn silent_peer_is_pinged_and_stays_if_it_sends_a_pong() {
    let mut talk = Talk::open();
    for _ in 0..3 {
        talk.expire_after(PING);
        assert_eq!(talk.taken(), OUR_PING);
        talk.pass(TIMEOUT - PING - MOMENT);
        talk.arrive(frame(PONG, ""));
    }
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn peer_still_silent_after_a_ping_is_gone() {
    let mut talk = Talk::open();
    // The loop is late. The time to answer starts with the ping, not with the last byte.
    talk.pass(PING + TIMEOUT);
    assert_eq!(talk.taken(), OUR_PING);
    talk.expire_after(TIMEOUT - PING);
    assert_eq!(talk.taken(), b"");
    talk.assert_gone(End::Silent);
}

#[test]
fn any_byte_shows_that_the_peer_is_alive() {
    let mut talk = Talk::open();
    let pong = frame(PONG, "");
    talk.pass(PING - MOMENT);
    talk.arrive(&pong[..1]);
    talk.pass(MOMENT);
    assert_eq!(talk.taken(), b"", "no ping is due");
    talk.arrive(&pong[1..]);
    talk.expire_after(PING);
    assert_eq!(talk.taken(), OUR_PING);
    talk.pass(TIMEOUT - PING - MOMENT);
    talk.arrive(&pong[..1]);
    talk.pass(MOMENT);
    talk.arrive(&pong[1..]);
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn silence_does_not_count_while_output_is_unsent() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.arrive(frame(TEXT, "0123456789"));
    for _ in 0..10 {
        // A byte before the write stall counts as progress.
        assert_eq!(talk.deadline(), Some(WRITE_STALL));
        talk.pass(WRITE_STALL - MOMENT);
        talk.set_window(1);
    }
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(TEXT, "0123456789"), "and no ping");
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn unsent_ping_counts_as_a_write_stall_not_as_silence() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.pass(PING);
    talk.pass(WRITE_STALL - MOMENT);
    talk.set_window(None);
    assert_eq!(talk.taken(), OUR_PING);
    assert_eq!(talk.deadline(), Some(PING));
}

#[test]
fn peer_that_takes_no_output_for_10_seconds_is_gone() {
    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.arrive(frame(TEXT, "one"));
    talk.pass(WRITE_STALL / 2);
    talk.set_window(1);
    talk.expire_after(WRITE_STALL);
    talk.assert_gone(End::Stalled);

    let mut talk = Talk::new();
    talk.wire().window = Some(2);
    talk.arrive(HEALTH);
    talk.expire_after(WRITE_STALL);
    talk.assert_gone(End::Stalled);
}
