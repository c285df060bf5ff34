//! Held messages and their acknowledgement.

use super::shorthand::{check, long};
use super::*;

#[test]
fn message_for_owned_id_is_held_until_acknowledged() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        bob > send alice 1 r1
        alice < message bob 1 1
        bob < sent r1 1
        alice lost
        bob > send alice 2 r2
        bob < sent r2 2 held
        bob > send alice 3
        alice' joins
        alice' < joined true 3
        alice' < message bob 1 1
        alice' < message bob 2 2
        alice' < message bob 3 3
        bob > send alice 4 r4
        alice' < message bob 4 4
        bob < sent r4 4
        alice' > ack bob 4 2
        bob < delivered alice 4 2
        alice'' joins
        alice' < closed 4001
        alice'' < joined true 2
        alice'' < message bob 1 1
        alice'' < message bob 3 3
        "#,
    );
}

#[test]
fn senders_to_a_client_without_acks_get_full() {
    // Two messages of 71 bytes fit, each counted with 192 more; a third does not.
    check(
        Limits { held_bytes_max: 600, ..LIMITS },
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > send alice 1
        alice < message bob 1 1
        bob > send alice 2
        alice < message bob 2 2
        bob > send alice 3 r
        bob < error full r alice
        alice > ack bob 1
        bob < delivered alice 1
        bob > send alice 3 r
        alice < message bob 3 3
        bob < sent r 3
        bob > send alice 4
        bob < error full alice
        "#,
    );
}

#[test]
fn sender_with_full_held_queue_can_still_send() {
    check(
        Limits { held_bytes_max: 600, ..LIMITS },
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > send alice 1
        alice < message bob 1 1
        bob > send alice 2
        alice < message bob 2 2
        bob > send alice 3
        bob < error full alice
        alice > send bob 4 r
        bob < message alice 4 3
        alice < sent r 3
        alice > send bob 4 r
        alice < sent r 3
        alice > send bob 5 s
        bob < message alice 5 4
        alice < sent s 4
        "#,
    );
}

#[test]
fn message_over_the_held_total_is_refused() {
    // A line of 71 bytes, counted with 192 more, is less than a quarter of 1200 bytes, and more
    // than a quarter of the bytes that it leaves.
    check(
        Limits { held_bytes_total: 1200, ..LIMITS },
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        carol joins
        carol < joined false 0
        bob > send alice 1 r1
        alice < message bob 1 1
        bob < sent r1 1
        bob > send carol 2 r2
        bob < error full r2 carol
        alice > ack bob 1
        bob < delivered alice 1
        bob > send carol 2 r2
        carol < message bob 2 2
        bob < sent r2 2
        "#,
    );
}

#[test]
fn slow_owner_is_never_disconnected_for_messages_alone() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.check(&long(
        "bob joins keyless\n bob < joined keyless\n alice joins\n alice < joined false 0",
    ));
    let body = "x".repeat(200);
    let messages: String = (1..=9)
        .map(|n| format!("alice < message bob \"{body}\" {n}\n"))
        .collect::<Vec<_>>()
        .concat();
    let sends = format!("bob > send alice \"{body}\"\n").repeat(9);
    chat.check(&long(&format!("alice stuck\n {sends}")));
    let alice = chat.token("alice");
    assert!(chat.hub.clients.waiting(alice) <= 500, "at most half of the outbox");
    assert!(chat.hub.clients.waiting(alice) > 250, "as much as fits");
    chat.check(&long(&format!("alice reads\n {messages}")));
}

#[test]
fn owner_that_reads_gets_messages_when_total_is_full() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, outbox_bytes_total: 1200, ..LIMITS });
    let script = r#"
        bob joins keyless
        bob < joined keyless
        carol joins keyless
        carol < joined keyless
        alice joins
        alice < joined false 0
        bob stuck
        carol stuck
        alice > send bob "LONG"
        alice > send carol "LONG"
        alice > send alice "LONG"
        alice < message alice "LONG" 3
        alice > send alice 2
        alice < message alice 2 4
    "#;
    chat.check(&long(&script.replace("LONG", &"x".repeat(500))));
}

#[test]
fn signal_never_overtakes_a_message_that_waits() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    let script = r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        alice stuck
        bob > send alice 1
        bob > send alice "LONG"
        bob > signal alice 3
        alice reads
        alice < message bob 1 1
        alice < message bob "LONG" 2
        bob > signal alice 4
        alice < signal bob 4
    "#;
    chat.check(&long(&script.replace("LONG", &"x".repeat(500))));
}

#[test]
fn owner_too_slow_for_other_lines_is_disconnected() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.check(&long("alice joins\n alice < joined false 0"));
    let errors = r#"{"type":"send","to":"nobody","body":1}⏎"#.repeat(20);
    chat.check(&format!("alice stuck\n alice > {errors}\n alice < closed 1013"));
    chat.check(&long("alice' joins\n alice' < joined true 0"));
}

#[test]
fn ack_counts_only_for_mids_held_from_that_sender() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        bob joins
        bob < joined false 0
        carol joins keyless
        carol < joined keyless
        bob > send alice 1
        alice < message bob 1 1
        carol > send alice 2
        alice < message carol 2 2
        bob > send bob 3
        bob < message bob 3 3
        alice > ack carol 1 3 4 000000000abc-01 00000000abc-1 other
        alice > ack nobody 1 2
        alice > ack bob 2 1 1
        bob < delivered alice 1
        alice > ack bob 1
        alice > ack carol 2
        carol < delivered alice 2
        alice > ack bob! 1
        alice < error bad_id bob!
        "#,
    );
}

#[test]
fn ack_without_key_is_passed_on_unchecked() {
    check(
        LIMITS,
        r#"
        alice joins keyless
        alice < joined keyless
        bob joins keyless
        bob < joined keyless
        bob > send alice 1
        alice < message bob 1 1
        alice > ack bob 1 9 what-ever
        bob < delivered alice 1 9 what-ever
        alice > ack bob 1
        bob < delivered alice 1
        alice > ack nobody 1
        "#,
    );
}

#[test]
fn absent_sender_without_ref_never_hears_of_an_ack() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        bob joins
        bob < joined false 0
        carol joins keyless
        carol < joined keyless
        bob > send alice 1
        alice < message bob 1 1
        carol > send alice 2
        alice < message carol 2 2
        bob lost
        carol lost
        carol' joins keyless
        carol' < joined keyless
        alice > ack bob 1
        alice > ack carol 2
        bob' joins
        bob' < joined true 0
        "#,
    );
}
