//! Cards: who sees which, for how long, and who pays for them.

use super::shorthand::{check, long};
use super::*;
use crate::limits::{BATCH_BYTES_MAX, CARD_BYTES, CARD_BYTES_MAX, CARDS_BYTES_TOTAL, PAYER_SHARES};

/// A card of the greatest length.
fn longest() -> String {
    format!(r#"{{"x":"{}"}}"#, "x".repeat(CARD_BYTES_MAX - 8))
}

#[test]
fn lookup_is_answered_with_the_card_of_the_id() {
    for key in ["", "keyless "] {
        let script = r#"
            bob joins keyless
            bob < joined keyless
            bob > lookup alice
            bob < free alice
            alice joinsKEY{"n":1}
            alice < joinedKEY
            bob > lookup alice
            bob < card alice {"n":1}
            alice > card {"n":[2,"\u00e9"]}
            bob > lookup alice
            bob < card alice {"n":[2,"\u00e9"]}
            alice > lookup alice
            alice < card alice {"n":[2,"\u00e9"]}
            alice > card
            bob > lookup alice
            bob < taken alice
            alice > card
            alice > card {}
            alice > leave
            alice < closed 1000
            bob > lookup alice
            bob < free alice
        "#;
        let joined = if key.is_empty() { " false 0" } else { " keyless" };
        let script = script.replace("joinedKEY", &format!("joined{joined}"));
        check(LIMITS, &script.replace("KEY", &format!(" {key}")));
    }
}

#[test]
fn card_lasts_as_long_as_the_ownership_or_connection() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        carol joins keyless {"c":1}
        carol < joined keyless
        alice joins {"a":1}
        alice < joined false 0
        carol lost
        alice lost
        bob > lookup carol
        bob < free carol
        bob > lookup alice
        bob < card alice {"a":1}
        after 600 s
        bob > lookup alice
        bob < free alice
        carol' joins keyless
        carol' < joined keyless
        alice' joins
        alice' < joined false 0
        bob > lookup alice
        bob < taken alice
        bob > lookup carol
        bob < taken carol
        "#,
    );
}

#[test]
fn join_replaces_or_withdraws_the_card_of_an_owned_id() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins {"a":1}
        alice < joined false 0
        alice' joins {"a":2}
        alice < closed 4001
        alice' < joined true 0
        bob > lookup alice
        bob < card alice {"a":2}
        alice'' joins
        alice' < closed 4001
        alice'' < joined true 0
        bob > lookup alice
        bob < taken alice
        "#,
    );
}

#[test]
fn blocked_id_finds_its_blocker_free() {
    for key in ["", "keyless "] {
        let script = r#"
            bob joins keyless
            bob < joined keyless
            alice joinsKEY{"n":1}
            alice < joinedKEY
            alice > block bob
            bob > lookup alice
            bob < free alice
            alice > lookup bob
            alice < taken bob
            alice > unblock bob
            bob > lookup alice
            bob < card alice {"n":1}
        "#;
        let joined = if key.is_empty() { " false 0" } else { " keyless" };
        let script = script.replace("joinedKEY", &format!("joined{joined}"));
        check(LIMITS, &script.replace("KEY", &format!(" {key}")));
    }
}

#[test]
fn refused_card_line_changes_nothing() {
    check(
        LIMITS,
        &r#"
        bob > card {}
        bob < error not_joined
        bob > lookup alice
        bob < error not_joined
        bob joins keyless [1]
        bob < error bad_request
        bob joins keyless LONG
        bob < error bad_request
        bob joins keyless {"b":1}
        bob < joined keyless
        bob > card []
        bob < error bad_request
        bob > card LONG
        bob < error bad_request
        bob > lookup a/b
        bob < error bad_id
        bob > lookup bob
        bob < card bob {"b":1}
        "#
        .replace("LONG", &longest().replace("xx", "xxx")),
    );
}

#[test]
fn card_without_room_is_full_and_the_one_before_stays() {
    let mut chat = Chat::new(LIMITS);
    chat.check(&long(
        r#"
        alice joins {"a":1}
        alice < joined false 0
        bob joins keyless {"b":1}
        bob < joined keyless
        "#,
    ));
    let used = |chat: &Chat| chat.hub.payers.budget(Total::Cards).used();
    assert_eq!(used(&chat), 2 * (CARD_BYTES + 7));
    let others = CARDS_BYTES_TOTAL - used(&chat) - 1;
    chat.hub.payers.take(AccountKey::EXEMPT, Total::Cards, others);
    // The tables are checked at the end: that charge has no cause.
    chat.run(&long(
        r#"
        alice > card {"a":123}
        alice < error full
        bob > card {"b":123}
        bob < error full
        bob > lookup alice
        bob < card alice {"a":1}
        bob > lookup bob
        bob < card bob {"b":1}
        alice > send alice 1 r
        alice < message alice 1 1
        alice < sent r 1
        alice' joins {"a":123}
        alice < closed 4001
        alice' < joined true 1
        alice' < message alice 1 1
        alice' < error full
        carol joins keyless {}
        carol < joined keyless
        carol < error full
        carol > lookup carol
        carol < taken carol
        alice' > card {"a":2}
        alice' > card {}
        bob > card
        "#,
    ));
    chat.hub.payers.give(AccountKey::EXEMPT, Total::Cards, others);
    chat.check(&long("bob > lookup alice\n bob < card alice {}"));
    assert_eq!(used(&chat), CARD_BYTES + 2);
    chat.check(&long("alice' > leave\n alice' < closed 1000"));
    assert_eq!(used(&chat), 0);
}

#[test]
fn payer_has_cards_for_an_eighth_of_the_total() {
    let mut chat = Chat::new(LIMITS);
    let card = longest();
    let join = |chat: &mut Chat, name: &str| {
        chat.say(name, &format!(r#"{{"type":"join","id":"{name}","card":{card}}}"#));
        chat.collect();
        let heard = chat.heard.remove(name).unwrap_or_default();
        heard.iter().any(|line| line.contains(r#""code":"full""#))
    };
    let count = (0..).take_while(|n| !join(&mut chat, &format!("m{n}@1"))).count();
    assert_eq!(count, CARDS_BYTES_TOTAL / PAYER_SHARES / (CARD_BYTES + CARD_BYTES_MAX));
    assert!(!join(&mut chat, "alice@2"));
    let token = chat.token("m0@1");
    chat.hub.disconnected(token, Departure::Lost, chat.now);
    assert!(!join(&mut chat, "one-more@1"), "the card went with its connection");
    chat.hub.check_tables();
}

#[test]
fn card_is_paid_for_by_the_claimer_wherever_its_client_is() {
    check(
        LIMITS,
        r#"
        alice@1 joins {"a":1}
        alice@1 < joined false 0
        alice@1' joins {"a":22}
        alice@1 < closed 4001
        alice@1' < joined true 0
        alice@1' > card {"a":333}
        alice@1' > lookup alice@1
        alice@1' < card alice@1 {"a":333}
        "#,
    );
}

#[test]
fn lookup_and_card_are_charged_as_one_line() {
    let mut chat = Chat::of(&["alice"]);
    for text in [r#"{"type":"lookup","id":"bob"}"#, r#"{"type":"card","card":{"a":1}}"#] {
        let before = chat.hub.tokens_charged();
        chat.say("alice", text);
        assert_eq!(chat.hub.tokens_charged() - before, TOKENS_PER_LINE, "{text}");
    }
}

// ---- with a store ----

#[test]
fn card_survives_a_restart_and_so_does_its_end() {
    let mut chat = Chat::with_store(LIMITS);
    chat.check(&long(
        r#"
        alice joins {"a":1}
        alice < joined false 0
        bob joins {"b":1}
        bob < joined false 0
        alice > card {"a":2}
        bob > card
        after 1 s
        "#,
    ));
    let (mut disk, now) = (chat.disk, chat.now);
    let mut chat = Chat::with(disk.start(LIMITS, 0xabc, now), disk, now);
    chat.check(&long(
        r#"
        carol joins keyless
        carol < joined keyless
        carol > lookup alice
        carol < card alice {"a":2}
        carol > lookup bob
        carol < taken bob
        alice joins {"a":2}
        alice < joined true 0
        "#,
    ));
    // One number, and its kind: that alice has returned.
    assert_eq!(chat.hub.unstored_bytes(), 9, "a card that is known already changes nothing");
}

#[test]
fn new_card_is_full_while_the_disk_fails_and_its_end_is_not() {
    let mut chat = Chat::with_store(LIMITS);
    chat.check(&long(
        r#"
        carol joins keyless
        carol < joined keyless
        alice joins {"a":1}
        alice < joined false 0
        disk fails
        alice > card {"a":2}
        alice < error full
        alice' joins {"a":2}
        alice < closed 4001
        alice' < joined true 0
        alice' < error full
        carol > lookup alice
        carol < card alice {"a":1}
        carol > card {"c":1}
        carol > lookup carol
        carol < card carol {"c":1}
        alice' > card
        carol > lookup alice
        carol < taken alice
        alice' > card {"a":3}
        alice' < error full
        disk works
        "#,
    ));
    assert!(chat.hub.unstored_bytes() < BATCH_BYTES_MAX);
}
