//! Blocked ids.

use super::shorthand::{check, long};
use super::*;
use crate::chat::payers::AccountKey;
use crate::limits::BLOCKED_TOTAL;

#[test]
fn send_of_a_blocked_id_is_offline_and_signal_dropped() {
    for key in ["", " keyless"] {
        let script = r#"
            bob joins keyless
            bob < joined keyless
            alice joinsKEY
            alice < joinedKEY
            alice > block bob carol
            bob > send alice 1 r
            bob < error offline r alice
            bob > signal alice 1
            alice > send bob 1
            bob < message alice 1 1
            alice > unblock bob
            bob > send alice 2
            alice < message bob 2 2
            bob > signal alice 3
            alice < signal bob 3
        "#;
        let joined = if key.is_empty() { " false 0" } else { key };
        check(LIMITS, &script.replace("joinedKEY", &format!("joined{joined}")).replace("KEY", key));
    }
}

#[test]
fn blocking_id_appears_offline_only_to_blocked_ids() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        carol joins keyless
        carol < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        carol > watch alice
        carol < online alice
        alice > block bob
        bob < offline alice
        bob > watch alice
        bob < offline alice
        alice closes
        carol < offline alice
        alice' joins
        alice' < joined true 0
        carol < online alice
        alice' > unblock bob
        bob < online alice
        alice' > block bob
        bob < offline alice
        alice' > leave
        alice' < closed 1000
        carol < offline alice
        "#,
    );
}

#[test]
fn message_taken_before_a_block_is_still_delivered() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        bob > send alice 1 r
        alice < message bob 1 1
        bob < sent r 1
        alice > block bob
        bob > send alice 1 r
        bob < sent r 1
        alice lost
        alice' joins
        alice' < joined true 1
        alice' < message bob 1 1
        alice' > ack bob 1
        "#,
    );
}

#[test]
fn blocked_sender_never_hears_of_an_ack() {
    for key in ["", " keyless"] {
        let script = r#"
            bob joins
            bob < joined false 0
            alice joinsKEY
            alice < joinedKEY
            bob > send alice 1 r
            alice < message bob 1 1
            bob < sent r 1
            bob > send alice 2 s
            alice < message bob 2 2
            bob < sent s 2
            alice > block bob
            alice > ack bob 1
            alice > unblock bob
            alice > ack bob 2
            bob < delivered alice 2
            bob lost
            bob' joins
            bob' < joined true 0
            bob' < delivered alice 2
        "#;
        let joined = if key.is_empty() { " false 0" } else { key };
        check(LIMITS, &script.replace("joinedKEY", &format!("joined{joined}")).replace("KEY", key));
    }
}

#[test]
fn ack_without_key_never_reaches_a_client_that_blocks_it() {
    for key in ["", " keyless"] {
        let script = r#"
            alice joins keyless
            alice < joined keyless
            bob joinsKEY
            bob < joinedKEY
            bob > send alice 1
            alice < message bob 1 1
            bob > block alice
            alice > ack bob 1
            bob > unblock alice
            alice > ack bob 1
            bob < delivered alice 1
        "#;
        let joined = if key.is_empty() { " false 0" } else { key };
        check(LIMITS, &script.replace("joinedKEY", &format!("joined{joined}")).replace("KEY", key));
    }
}

#[test]
fn blocks_last_as_long_as_the_ownership_or_connection() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        carol joins keyless
        carol < joined keyless
        carol > block bob
        alice joins
        alice < joined false 0
        alice > block bob
        alice lost
        bob > send alice 1
        bob < error offline alice
        alice' joins
        alice' < joined true 0
        bob > send alice 2
        bob < error offline alice
        bob > send carol 3
        bob < error offline carol
        carol lost
        carol' joins keyless
        carol' < joined keyless
        bob > send carol 4
        carol' < message bob 4 1
        alice' lost
        after 600 s
        alice'' joins
        alice'' < joined false 0
        bob > send alice 5
        alice'' < message bob 5 2
        "#,
    );
}

#[test]
fn blocks_over_256_or_over_the_total_are_refused() {
    let block = |ids: std::ops::Range<usize>| watch(ids).replace("watch", "block");
    let mut chat = Chat::new(LIMITS);
    chat.check(&long(
        "alice joins\n alice < joined false 0\n bob joins keyless\n bob < joined keyless",
    ));
    let too_many = |name: &str| format!("{name} < {{\"type\":\"error\",\"code\":\"too_many\"}}");
    chat.check(&format!(
        "alice > {}\n alice > {}\n{}",
        block(0..255),
        block(255..257),
        too_many("alice")
    ));
    chat.check(&format!(
        "alice > {}\n alice > {}\n{}",
        block(254..256),
        block(256..257),
        too_many("alice")
    ));
    chat.check(&format!(
        "alice > {}\n alice > {}",
        block(0..1).replace("block", "unblock"),
        block(256..257)
    ));
    let blocked = |chat: &Chat| chat.hub.payers.budget(Total::Blocks).used();
    assert_eq!(blocked(&chat), 256);

    chat.hub.payers.take(AccountKey::EXEMPT, Total::Blocks, BLOCKED_TOTAL - 257);
    chat.say("bob", &block(0..2));
    chat.say("bob", &block(0..1));
    chat.hub.payers.give(AccountKey::EXEMPT, Total::Blocks, BLOCKED_TOTAL - 257);
    chat.check(&too_many("bob"));
    assert_eq!(blocked(&chat), 257);
    chat.check(&long("bob lost\n alice > leave\n alice < closed 1000"));
    assert_eq!(blocked(&chat), 0);
}
