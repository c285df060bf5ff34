//! Ownership of an id, from `join` with a key to its end, and the presence of owned ids.

use super::shorthand::{check, long};
use super::*;

#[test]
fn id_with_key_is_owned_for_hold_after_its_connection() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        alice lost
        after 599 s
        other > {"type":"join","id":"alice"}
        other < error id_taken
        other > {"type":"join","id":"alice","key":"another key of 16 bytes"}
        other < error id_taken
        alice' joins
        alice' < joined true 0
        alice' closes
        after 599 s
        alice'' joins
        alice'' < joined true 0
        alice'' lost
        after 600 s
        other > {"type":"join","id":"alice"}
        other < joined alice
        "#,
    );
}

#[test]
fn leave_releases_the_id_and_expires_its_messages() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > send alice 1
        alice < message bob 1 1
        bob > send alice 2
        alice < message bob 2 2
        alice > ack bob 2
        bob < delivered alice 2
        alice > leave
        alice < closed 1000
        bob < expired alice 1
        bob > send alice 3
        bob < error offline alice
        alice' joins
        alice' < joined false 0
        "#,
    );
}

#[test]
fn replaced_connection_is_not_heard_and_does_no_harm() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        bob > watch alice
        bob < offline alice
        alice joins
        alice < joined false 0
        bob < online alice
        alice' joins
        alice < closed 4001
        alice' < joined true 0
        alice > send bob 1 r
        alice > leave
        alice lost
        after 700 s
        bob > send alice 2
        alice' < message bob 2 1
        "#,
    );
}

#[test]
fn expired_message_never_reaches_a_later_owner() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        alice lost
        bob > send alice 1 r
        bob < sent r 1 held
        bob > send alice 2
        after 600 s
        bob < expired alice 1 2
        bob > send alice 3
        bob < error offline alice
        alice' joins
        alice' < joined false 0
        bob lost
        bob' joins
        bob' < joined true 0
        bob' < expired alice 1
        "#,
    );
}

#[test]
fn id_gives_way_a_day_after_its_owner_was_here() {
    let hold = Duration::from_secs(999_999);
    let script = r#"
        a joins
        a < joined false 0
        b joins
        b < joined false 0
        c joins
        c < joined false 0
        d joins
        d < error too_many
        d joins keyless
        d < joined keyless
        a lost
        after 1 s
        b lost
        after 1 s
        c lost
        d > send a 1
        e joins
        e < error too_many
        after 86398 s
        e joins
        e < error too_many
        after 1 s
        e joins
        e < joined false 0
        d > send b 2
        d < error offline b
        f joins
        f < error too_many
        after 1 s
        f joins
        f < joined false 0
        d > send c 3
        d < error offline c
        b' joins
        b' < error too_many
        a' joins
        a' < joined true 1
        a' < message d 1 1
    "#;
    let script = long(script).replace("\"hold\":600", "\"hold\":999999");
    Chat::new(Limits { owned_max: 3, hold, ..LIMITS }).check(&script);
}

#[test]
fn id_never_gives_way_within_a_shorter_hold() {
    check(
        Limits { owned_max: 1, ..LIMITS },
        r#"
        a joins
        a < joined false 0
        a closes
        after 599 s
        b joins
        b < error too_many
        after 1 s
        b joins
        b < joined false 0
        "#,
    );
}

#[test]
fn dropped_messages_count_in_the_budget_of_a_turn() {
    let limits = Limits { held_bytes_max: 1 << 20, held_bytes_total: 1 << 30, ..LIMITS };
    let mut chat = Chat::new(limits);
    chat.join(&["bob"]);
    for name in ["a", "b", "c"] {
        chat.check(&long(&format!("{name} joins\n {name} < joined false 0\n {name} closes")));
    }
    let sends = vec![send("a", "1"); EXPIRIES_PER_TURN - 1].join("\n");
    chat.say("bob", &sends);
    chat.now.instant += LIMITS.hold;
    // One step for each id, and one for each of its messages.
    chat.hub.expire(chat.now);
    let owned = chat.hub.owned_ids();
    chat.hub.expire(chat.now);
    assert_eq!((owned, chat.hub.owned_ids()), (2, 0), "a uses up the budget, whenever it comes");
}

#[test]
fn lost_client_appears_offline_10_seconds_later() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice lost
        after 9 s
        bob > watch alice
        bob < online alice
        after 1 s
        bob < offline alice
        alice' joins
        alice' < joined true 0
        bob < online alice
        alice' closes
        bob < offline alice
        after 1000 s
        "#,
    );
}

#[test]
fn return_within_10_seconds_is_not_told_to_watchers() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice lost
        after 9 s
        alice' joins
        alice' < joined true 0
        after 9 s
        alice'' joins
        alice' < closed 4001
        alice'' < joined true 0
        after 100 s
        alice'' lost
        after 9 s
        alice''' joins
        alice''' < joined true 0
        alice''' lost
        after 9 s
        after 1 s
        bob < offline alice
        "#,
    );
}

#[test]
fn lost_client_appears_offline_after_a_shorter_hold() {
    let hold = Duration::from_secs(4);
    let script = r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice lost
        after 3 s
        after 1 s
        bob < offline alice
        other > {"type":"join","id":"alice"}
        other < joined alice
        bob < online alice
    "#;
    Chat::new(Limits { hold, ..LIMITS }).check(&long(script).replace("\"hold\":600", "\"hold\":4"));
}
