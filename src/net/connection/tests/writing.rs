//! Output: partial writes, order, and the memory that unsent output takes.

use super::*;

#[test]
fn partial_write_resumes_where_it_stopped() {
    let mut talk = Talk::open();
    let letters = "x".repeat(1000);
    // The kernel takes no byte of the echo, and then one at a time.
    talk.wire().window = Some(0);
    talk.arrive(frame(TEXT, &letters));
    for left in (0..1004).rev() {
        assert!(talk.connection.is_stalled());
        talk.set_window(1);
        assert_eq!(talk.connection.unsent(), left);
    }
    assert_eq!(talk.taken(), ours(TEXT, &letters));
    assert!(!talk.connection.is_stalled());
}

#[test]
fn unsent_output_is_kept_with_little_spare_capacity() {
    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.arrive(frame(TEXT, "x".repeat(10_000)));
    while talk.connection.unsent() > 8 {
        let (left, capacity) = (talk.connection.unsent(), talk.connection.pipe.out_capacity());
        assert!(capacity <= left / 7 * 8 + 16, "{capacity} bytes for {left}");
        talk.set_window(left / 10 + 1);
    }
}

#[test]
fn pong_leaves_in_order_behind_unsent_output() {
    let mut talk = Talk::open();
    talk.wire().window = Some(2);
    talk.arrive([frame(TEXT, "one"), frame(PING_FRAME, "?")].concat());
    talk.connection.send_text(b"two", &mut talk.shared);
    assert_eq!(talk.taken(), ours(TEXT, "one")[..2]);
    talk.set_window(None);
    assert_eq!(
        talk.taken(),
        [&ours(TEXT, "one")[2..], &ours(PONG, "?"), &ours(TEXT, "two")].concat()
    );
}

#[test]
fn stalled_connection_queues_the_pongs_of_one_read_only() {
    let mut talk = Talk::open();
    talk.shared.limits.rate = None;
    talk.wire().window = Some(0);
    let pings = frame(PING_FRAME, "").repeat(READ_BYTES / 6);
    for _ in 0..10 {
        talk.arrive(&pings);
    }
    assert_eq!(talk.unsent_max, READ_BYTES / 6 * 2);
    talk.set_window(None);
    assert_eq!(talk.taken(), ours(PONG, "").repeat(READ_BYTES / 6 * 10));
}

#[test]
fn idle_connection_owns_no_buffers_after_traffic() {
    let mut talk = Talk::open();
    talk.wire().window = Some(1000);
    talk.arrive(frame(TEXT, "x".repeat(20_000)));
    talk.arrive(frame(PING_FRAME, "?"));
    talk.set_window(None);
    assert_eq!(talk.connection.pipe.out_capacity(), 0);
    assert!(
        talk.shared.out.is_empty() && talk.shared.out.capacity() > 0,
        "the buffer was given back to all connections"
    );

    let mut talk = Talk::new();
    talk.arrive([HEALTH, &HEALTH[..20]].concat());
    talk.arrive(&HEALTH[20..]);
    assert_eq!(talk.connection.pipe.out_capacity(), 0);
    let State::Http(http) = &talk.connection.state else { panic!("not HTTP") };
    assert!(http.head.capacity() == 0 && http.body.is_none());
}
