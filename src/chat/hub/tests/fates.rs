//! Remembered sends, and reports on the fate of messages.

use super::shorthand::{check, long};
use super::*;

#[test]
fn repeated_send_gets_the_same_sent_and_no_new_route() {
    let mut chat = Chat::new(LIMITS);
    chat.check(&long(
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        alice lost
        bob > send alice 1 r
        bob < sent r 1 held
        "#,
    ));
    chat.now.unix_ms = 7;
    chat.check(&long(
        r#"
        bob > send alice 1 r
        bob < sent r 1 held
        bob lost
        bob' joins
        bob' < joined true 0
        bob' > send alice 1 r
        bob' < sent r 1 held
        alice' joins
        alice' < joined true 1
        alice' < message bob 1 1
        bob' > send alice 1 r
        bob' < sent r 1 held
        bob'' joins
        bob' < closed 4001
        bob'' < joined true 0
        bob'' > send alice 1 r
        bob'' < sent r 1 held
        alice' > leave
        alice' < closed 1000
        bob'' < expired alice 1
        bob'' > send alice 1 r
        bob'' < sent r 1 held
        bob'' < expired alice 1
        bob'' > send alice 2 r
        bob'' < error offline r alice
        "#,
    ));
}

#[test]
fn same_ref_with_other_content_is_a_new_message() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        alice joins keyless
        alice < joined keyless
        carol joins keyless
        carol < joined keyless
        bob > send alice 1 r
        alice < message bob 1 1
        bob < sent r 1
        bob > send alice 2 r
        alice < message bob 2 2
        bob < sent r 2
        bob > send carol 1 r
        carol < message bob 1 3
        bob < sent r 3
        bob > send alice 1 s
        alice < message bob 1 4
        bob < sent s 4
        bob > send alice 1
        alice < message bob 1 5
        bob > send alice 1 r
        bob < sent r 1
        alice > send bob 1 r
        bob < message alice 1 6
        alice < sent r 6
        alice > send bob 1 r
        bob < message alice 1 7
        alice < sent r 7
        "#,
    );
}

#[test]
fn last_128_sends_with_ref_are_remembered() {
    let mut chat = Chat::new(LIMITS);
    chat.check(&long(
        "bob joins\n bob < joined false 0\n alice joins keyless\n alice < joined keyless",
    ));
    for n in 1..=129 {
        chat.check(&long(&format!(
            "bob > send alice 1 {n}\n alice < message bob 1 {n}\n bob < sent {n} {n}"
        )));
    }
    chat.check(&long(
        r#"
        bob > send alice 1 2
        bob < sent 2 2
        bob > send alice 1 1
        alice < message bob 1 130
        bob < sent 1 130
        bob > send alice 1 2
        alice < message bob 1 131
        bob < sent 2 131
        "#,
    ));
}

#[test]
fn repeats_beyond_128_push_out_no_other_repeat() {
    for unanswered in [128, 129, 200, 256, 257, 400] {
        let mut chat = Chat::new(LIMITS);
        chat.check(&long(
            "bob joins\n bob < joined false 0\n alice joins keyless\n alice < joined keyless",
        ));
        let mut mid = 0;
        let send = |bob: &str, n: usize, mid: usize| {
            long(&format!(
                "{bob} > send alice 1 {n}\n alice < message bob 1 {mid}\n {bob} < sent {n} {mid}"
            ))
        };
        for n in 1..=unanswered {
            mid += 1;
            chat.check(&send("bob", n, mid));
        }
        chat.check(&long("bob lost\n bob' joins\n bob' < joined true 0"));
        let forgotten = unanswered - 128;
        for n in 1..=forgotten {
            mid += 1;
            chat.check(&send("bob'", n, mid));
        }
        for n in forgotten + 1..=unanswered {
            chat.check(&long(&format!("bob' > send alice 1 {n}\n bob' < sent {n} {n}")));
        }
    }
}

#[test]
fn refused_send_is_not_remembered() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        bob > send alice 1 r
        bob < error offline r alice
        alice joins
        alice < joined false 0
        bob > send alice 1 r
        alice < message bob 1 1
        bob < sent r 1
        "#,
    );
}

#[test]
fn resumed_client_hears_fates_again_after_joined() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        carol joins
        carol < joined false 0
        dave joins keyless
        dave < joined keyless
        bob joins
        bob < joined false 0
        bob > send alice 1 r1
        alice < message bob 1 1
        bob < sent r1 1
        bob > send alice 2
        alice < message bob 2 2
        bob > send alice 3 r3
        alice < message bob 3 3
        bob < sent r3 3
        bob > send carol 4 r4
        carol < message bob 4 4
        bob < sent r4 4
        bob > send carol 5 r5
        carol < message bob 5 5
        bob < sent r5 5
        bob > send dave 6 r6
        dave < message bob 6 6
        bob < sent r6 6
        carol > send bob 7
        bob < message carol 7 7
        alice > ack bob 1
        bob < delivered alice 1
        bob lost
        alice > ack bob 2 3
        carol > leave
        carol < closed 1000
        dave > ack bob 6
        bob' joins
        bob' < joined true 1
        bob' < delivered alice 1 3
        bob' < expired carol 4 5
        bob' < delivered dave 6
        bob' < message carol 7 7
        bob'' joins
        bob' < closed 4001
        bob'' < joined true 1
        bob'' < delivered alice 1 3
        bob'' < expired carol 4 5
        bob'' < delivered dave 6
        bob'' < message carol 7 7
        "#,
    );
}

#[test]
fn fate_of_a_message_is_decided_once() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        bob joins
        bob < joined false 0
        bob > send alice 1 r
        alice < message bob 1 1
        bob < sent r 1
        alice > leave
        alice < closed 1000
        bob < expired alice 1
        bob lost
        alice' joins keyless
        alice' < joined keyless
        alice' > ack bob 1
        bob' joins
        bob' < joined true 0
        bob' < expired alice 1
        "#,
    );
}

#[test]
fn reports_never_reach_a_later_holder_of_the_senders_id() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        bob joins
        bob < joined false 0
        bob > send alice 1 r
        alice < message bob 1 1
        bob < sent r 1
        bob > send alice 2 s
        alice < message bob 2 2
        bob < sent s 2
        bob > leave
        bob < closed 1000
        bob' joins
        bob' < joined false 0
        alice > ack bob 1
        alice > leave
        alice < closed 1000
        bob'' joins
        bob' < closed 4001
        bob'' < joined true 0
        "#,
    );
}
