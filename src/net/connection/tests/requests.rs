//! HTTP: requests one after another, pipelined, refused, and cut off by the end of the stream.

use super::*;

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let mut talk = Talk::new();
    talk.arrive("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = Files::BuiltIn.find("index.html", Coding::Identity).unwrap().unwrap().bytes;
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&page));
    for byte in HEALTH.bytes() {
        talk.arrive([byte]);
    }
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    assert_eq!(talk.shared.incomplete_bytes(), 0);
    talk.arrive_with_end(CLOSE_REQUEST);
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 200");
    talk.assert_gone(End::Refused(200));
}

#[test]
fn connection_close_request_is_the_last_one_answered() {
    let mut talk = Talk::new();
    talk.arrive([CLOSE_REQUEST, HEALTH].concat());
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.assert_lingering();
    talk.arrive_end();
    talk.assert_gone(End::Refused(200));
}

#[test]
fn pipelined_requests_are_answered_one_at_a_time() {
    let mut one = Talk::new();
    one.arrive(HEALTH);
    let answer = one.taken();

    let mut talk = Talk::new();
    talk.arrive(HEALTH.repeat(5000));
    assert_eq!(talk.unsent_max, answer.len());
    assert!(talk.shared.incomplete_bytes() == 0 && talk.taken() == answer.repeat(5000));

    // The same with a kernel that takes one byte at a time.
    talk.unsent_max = 0;
    talk.wire().window = Some(0);
    talk.arrive([HEALTH.repeat(20), UPGRADE.into()].concat());
    while talk.received.is_empty() || talk.connection.unsent() > 0 {
        assert!(talk.shared.incomplete_bytes() < HEAD_BYTES_MAX);
        talk.set_window(1);
    }
    assert_eq!(talk.unsent_max, answer.len());
    assert!(talk.taken().starts_with(&answer.repeat(20)));
}

#[test]
fn requests_before_the_end_of_the_stream_are_answered() {
    for count in [1, 3] {
        let mut talk = Talk::new();
        talk.wire().window = Some(0);
        talk.arrive_with_end(HEALTH.repeat(count));
        while talk.connection.unsent() > 0 {
            talk.set_window(1);
        }
        assert_eq!(String::from_utf8(talk.taken()).unwrap().matches("HTTP/1.1 200").count(), count);
        talk.assert_gone(END_OF_STREAM);
    }
}

#[test]
fn close_frame_before_the_end_of_the_stream_is_answered() {
    // The response to the first request keeps the rest for a read that also finds the end.
    let mut talk = Talk::new();
    talk.arrive_with_end([HEALTH.as_bytes(), UPGRADE.as_bytes(), &frame(CLOSE, b"")].concat());
    assert!(talk.taken().ends_with(&[b"\r\n\r\n", &ours(CLOSE, b"")[..]].concat()));
    talk.assert_gone(End::Closed(1005));
}

#[test]
fn end_of_stream_within_a_head_ends_the_connection() {
    let mut talk = Talk::new();
    talk.arrive_with_end(HEALTH.to_owned() + "GET");
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 200");
    talk.assert_gone(END_OF_STREAM);
}

#[test]
fn head_over_8_kib_is_answered_431() {
    let mut talk = Talk::new();
    talk.arrive("GET / HTTP/1.1\r\nX: ".to_owned() + &"x".repeat(HEAD_BYTES_MAX));
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 431");
    talk.assert_lingering();
}

#[test]
fn refused_connection_gets_503_for_any_request() {
    let refused = || {
        let mut talk = Talk::new();
        talk.connection = Connection::refused(Scripted(talk.wire.clone()), talk.now);
        talk
    };
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in [UPGRADE, page, &HEALTH.replace("healthz", "readyz")] {
        let mut talk = refused();
        talk.arrive(request);
        assert_eq!(status_line(&talk.taken()), "HTTP/1.1 503");
        talk.assert_lingering();
        talk.arrive(HEALTH);
        assert!(talk.taken().is_empty());
        talk.assert_lingering();
        talk.arrive_end();
        talk.assert_gone(End::Refused(503));
    }
    // The one request that asks for a sign of life gets it, whole or in pieces, and the end.
    let mut talk = refused();
    for byte in HEALTH.bytes() {
        talk.arrive([byte]);
    }
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.assert_lingering();
    talk.arrive_end();
    talk.assert_gone(End::Refused(200));
}

#[test]
fn refused_connection_keeps_its_place_for_a_short_time_only() {
    for (beginning, answer) in [("", ""), (&HEALTH[..10], "HTTP/1.1 408")] {
        let mut talk = Talk::new();
        talk.connection = Connection::refused(Scripted(talk.wire.clone()), talk.now);
        talk.arrive(beginning);
        talk.pass(LINGER - MOMENT);
        assert!(!talk.connection.is_gone() && talk.taken().is_empty());
        talk.pass(MOMENT);
        talk.visit();
        assert!(talk.taken().starts_with(answer.as_bytes()));
        talk.pass(LINGER);
        assert!(talk.connection.is_gone());
    }
}

#[test]
fn head_over_the_memory_budget_is_answered_503() {
    let mut talk = Talk::with_memory(100);
    talk.arrive("GET / HTTP/1.1\r\nHost: localhost\r\n");
    assert_eq!(status_line(&talk.taken()), "HTTP/1.1 503");
    talk.assert_lingering();
}

#[test]
fn pipelined_head_over_the_budget_ends_after_the_response() {
    let mut talk = Talk::with_memory(100);
    talk.arrive(HEALTH.repeat(2));
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.assert_lingering();
    talk.arrive_end();
    talk.assert_gone(End::Refused(503));
}

#[test]
fn close_before_the_upgrade_lets_a_response_leave_first() {
    let mut talk = Talk::new();
    talk.wire().window = Some(5);
    talk.arrive(HEALTH);
    talk.close(1001);
    talk.set_window(None);
    assert!(talk.taken().ends_with(b"ok\n"));
    talk.assert_lingering();

    let mut talk = Talk::new();
    talk.arrive(&HEALTH[..20]);
    talk.close(1001);
    talk.assert_gone(End::Refused(1001));
}
