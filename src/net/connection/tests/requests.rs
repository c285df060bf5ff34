//! HTTP: requests one after another, pipelined, refused, and cut off by the end of the stream.

use super::*;

#[test]
fn requests_are_answered_one_after_another_on_one_connection() {
    let mut talk = Talk::new();
    talk.hear("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = Files::BuiltIn.find("index.html").unwrap().unwrap().bytes;
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&page));
    for byte in HEALTH.bytes() {
        talk.hear([byte]);
    }
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    assert_eq!(talk.shared.incomplete_bytes(), 0);
    talk.hear_last(CLOSE_REQUEST);
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 200");
    talk.is_gone(End::Refused(200));
}

#[test]
fn a_request_that_asks_for_the_end_gets_it_behind_its_answer() {
    let mut talk = Talk::new();
    talk.hear([CLOSE_REQUEST, HEALTH].concat());
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(200));
}

#[test]
fn thousands_of_requests_at_once_are_answered_one_at_a_time() {
    let mut one = Talk::new();
    one.hear(HEALTH);
    let answer = one.taken();

    let mut talk = Talk::new();
    talk.hear(HEALTH.repeat(5000));
    assert_eq!(talk.unsent_max, answer.len());
    assert!(talk.shared.incomplete_bytes() == 0 && talk.taken() == answer.repeat(5000));

    // Refused at every byte, too.
    talk.unsent_max = 0;
    talk.wire().window = Some(0);
    talk.hear([HEALTH.repeat(20), UPGRADE.into()].concat());
    while talk.heard.is_empty() || talk.connection.unsent() > 0 {
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
        talk.hear_last(HEALTH.repeat(count));
        while talk.connection.unsent() > 0 {
            talk.set_window(1);
        }
        assert_eq!(String::from_utf8(talk.taken()).unwrap().matches("HTTP/1.1 200").count(), count);
        talk.is_gone(END_OF_STREAM);
    }
}

#[test]
fn a_close_before_the_end_of_the_stream_is_answered() {
    // One request in front keeps the rest for a read that finds the end.
    let mut talk = Talk::new();
    talk.hear_last([HEALTH.as_bytes(), UPGRADE.as_bytes(), &frame(CLOSE, b"")].concat());
    assert!(talk.taken().ends_with(&[b"\r\n\r\n", &ours(CLOSE, b"")[..]].concat()));
    talk.is_gone(End::Closed(1005));
}

#[test]
fn the_end_of_the_stream_within_a_head_is_the_end() {
    let mut talk = Talk::new();
    talk.hear_last(HEALTH.to_owned() + "GET");
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 200");
    talk.is_gone(END_OF_STREAM);
}

#[test]
fn a_head_that_is_too_long_is_refused_when_8_kib_have_come() {
    let mut talk = Talk::new();
    talk.hear("GET / HTTP/1.1\r\nX: ".to_owned() + &"x".repeat(HEAD_BYTES_MAX));
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 431");
    talk.is_lingering();
}

#[test]
fn who_finds_no_room_is_told_so_whatever_it_asks() {
    let mut talk = Talk::new();
    talk.connection = Connection::refused(Scripted(talk.wire.clone()), talk.now, &mut talk.shared);
    talk.visit();
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 503");
    talk.is_lingering();
    talk.hear(UPGRADE);
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(503));
}

#[test]
fn a_head_for_which_there_is_no_memory_is_answered_503() {
    let mut talk = Talk::with_memory(100);
    talk.hear("GET / HTTP/1.1\r\nHost: localhost\r\n");
    assert_eq!(starts(&talk.taken()), "HTTP/1.1 503");
    talk.is_lingering();
}

#[test]
fn a_request_behind_another_for_which_there_is_no_memory_is_not_answered_and_the_first_one_is() {
    let mut talk = Talk::with_memory(100);
    talk.hear(HEALTH.repeat(2));
    let answer = talk.taken();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\nok\n"));
    talk.is_lingering();
    talk.hear_end();
    talk.is_gone(End::Refused(503));
}

#[test]
fn going_away_before_the_upgrade_lets_an_answer_leave_first() {
    let mut talk = Talk::new();
    talk.wire().window = Some(5);
    talk.hear(HEALTH);
    talk.close(1001);
    talk.set_window(None);
    assert!(talk.taken().ends_with(b"ok\n"));
    talk.is_lingering();

    let mut talk = Talk::new();
    talk.hear(&HEALTH[..20]);
    talk.close(1001);
    talk.is_gone(End::Refused(1001));
}
