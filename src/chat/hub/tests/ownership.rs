//! The rules of *Ownership*, in the words of the protocol page, one script for each.

use super::*;
use crate::limits::BLOCKED_TOTAL;

/// Runs a script in short against a new hub. Names of connections are those of ids with strokes
/// behind them.
///
/// - `alice' joins`, `alice' joins keyless`: with the key of `alice`, or with none;
/// - `bob > send alice 1 r`, `bob < message alice 1 1`: words are the values of the protocol page's
///   lines, in order; the number of a mid stands for it.
#[track_caller]
fn check(limits: Limits, script: &str) {
    Chat::new(limits).check(&long(script));
}

/// A script with whole lines.
fn long(script: &str) -> String {
    script
        .lines()
        .map(|step| long_step(&step.split_whitespace().collect::<Vec<_>>()) + "\n")
        .collect()
}

fn long_step(words: &[&str]) -> String {
    let [name, sign, ..] = *words else { return String::new() };
    let id = name.trim_end_matches('\'');
    let line = match words[1..] {
        ["joins"] => {
            return format!(
                r#"{name} > {{"type":"join","id":"{id}","key":"the key of {id} 0123"}}"#
            );
        }
        ["joins", "keyless"] => return format!(r#"{name} > {{"type":"join","id":"{id}"}}"#),
        [">", "send", to, body] => format!(r#"{{"type":"send","to":"{to}","body":{body}}}"#),
        [">", "send", to, body, r] => {
            format!(r#"{{"type":"send","to":"{to}","body":{body},"ref":"{r}"}}"#)
        }
        [">", "signal", to, body] => format!(r#"{{"type":"signal","to":"{to}","body":{body}}}"#),
        [">", "ack", to, ref numbers @ ..] => {
            format!(r#"{{"type":"ack","to":"{to}","mids":{}}}"#, mids(numbers))
        }
        [">", "leave"] => r#"{"type":"leave"}"#.to_owned(),
        [">", kind @ ("watch" | "unwatch" | "block" | "unblock"), ref ids @ ..] => {
            format!(r#"{{"type":"{kind}","ids":{ids:?}}}"#)
        }
        ["<", "joined", "keyless"] => {
            format!(
                r#"{{"type":"joined","id":"{id}","resumed":false,"held":0,"max_message":65536,"hold":600}}"#
            )
        }
        ["<", "joined", resumed, held] => format!(
            r#"{{"type":"joined","id":"{id}","resumed":{resumed},"held":{held},"max_message":65536,"hold":600}}"#
        ),
        ["<", "message", from, body, n] => {
            format!(
                r#"{{"type":"message","from":"{from}","body":{body},"mid":"{}","at":5}}"#,
                mid(n)
            )
        }
        ["<", "sent", r, n] => {
            format!(r#"{{"type":"sent","ref":"{r}","mid":"{}","at":5}}"#, mid(n))
        }
        ["<", "sent", r, n, "held"] => {
            format!(r#"{{"type":"sent","ref":"{r}","mid":"{}","at":5,"held":true}}"#, mid(n))
        }
        ["<", "delivered", from, ref numbers @ ..] => {
            format!(r#"{{"type":"delivered","from":"{from}","mids":{}}}"#, mids(numbers))
        }
        ["<", "expired", to, ref numbers @ ..] => {
            format!(r#"{{"type":"expired","to":"{to}","mids":{}}}"#, mids(numbers))
        }
        ["<", "signal", from, body] => {
            format!(r#"{{"type":"signal","from":"{from}","body":{body}}}"#)
        }
        ["<", "online", id] => format!(r#"{{"type":"presence","id":"{id}","online":true}}"#),
        ["<", "offline", id] => format!(r#"{{"type":"presence","id":"{id}","online":false}}"#),
        ["<", "error", code] => format!(r#"{{"type":"error","code":"{code}"}}"#),
        ["<", "error", code, to] => format!(r#"{{"type":"error","code":"{code}","to":"{to}"}}"#),
        ["<", "error", code, r, to] => {
            format!(r#"{{"type":"error","code":"{code}","ref":"{r}","to":"{to}"}}"#)
        }
        _ => return words.join(" "),
    };
    format!("{name} {sign} {}", line.replace("\", \"", "\",\""))
}

fn mid(number: &str) -> String {
    number
        .parse()
        .map_or(number.to_owned(), |count: u64| Mid { prefix: 0xabc.into(), count }.to_string())
}

fn mids(numbers: &[&str]) -> String {
    format!("{:?}", numbers.iter().map(|number| mid(number)).collect::<Vec<String>>())
}

// ---- who owns an id ----

#[test]
fn an_id_with_a_key_is_owned_until_hold_seconds_after_its_last_connection_ended() {
    check(
        LIMITS,
        r#"
        alice joins
        alice < joined false 0
        alice gone
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
        alice'' gone
        after 600 s
        other > {"type":"join","id":"alice"}
        other < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        "#,
    );
}

#[test]
fn leave_gives_the_id_up_now_with_what_is_held_for_it() {
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
fn what_the_replaced_one_says_is_dropped_and_the_ghost_is_never_in_the_way() {
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
        alice gone
        after 700 s
        bob > send alice 2
        alice' < message bob 2 1
        "#,
    );
}

// ---- held messages ----

#[test]
fn every_message_for_an_owned_id_is_held_while_its_client_is_away_and_while_it_is_here() {
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
        alice gone
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
fn a_client_that_does_not_ack_fills_what_is_held_for_it_and_its_senders_get_full() {
    // Two lines of 71 bytes fit, with 192 for each, and a third does not.
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
fn what_is_held_for_a_sender_does_not_keep_it_from_sending() {
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
fn when_what_is_held_for_everybody_has_reached_its_limit_the_message_is_not_taken() {
    // A line of 71 bytes, with 192 for it, is less than a quarter of 1200 bytes, and more than one
    // of what is left then.
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
fn a_slow_client_that_owns_its_id_is_never_dropped_for_its_messages_alone() {
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
fn an_owned_client_that_reads_is_fed_however_much_waits_for_others() {
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
fn an_owned_client_is_too_slow_for_lines_that_cannot_wait() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.check(&long("alice joins\n alice < joined false 0"));
    let errors = r#"{"type":"send","to":"nobody","body":1}⏎"#.repeat(20);
    chat.check(&format!("alice stuck\n alice > {errors}\n alice < closed 1013"));
    chat.check(&long("alice' joins\n alice' < joined true 0"));
}

// ---- ack ----

#[test]
fn only_mids_held_from_that_sender_count_and_others_are_ignored() {
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
fn for_an_id_without_a_key_the_server_passes_them_on_unchecked() {
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
fn who_is_not_here_hears_of_no_ack_without_a_ref() {
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
        bob gone
        carol gone
        carol' joins keyless
        carol' < joined keyless
        alice > ack bob 1
        alice > ack carol 2
        bob' joins
        bob' < joined true 0
        "#,
    );
}

// ---- repeats ----

#[test]
fn a_repeated_send_is_answered_with_the_same_sent_and_not_routed_twice() {
    let mut chat = Chat::new(LIMITS);
    chat.check(&long(
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        alice gone
        bob > send alice 1 r
        bob < sent r 1 held
        "#,
    ));
    chat.now.unix_ms = 7;
    chat.check(&long(
        r#"
        bob > send alice 1 r
        bob < sent r 1 held
        bob gone
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
fn the_same_ref_with_other_content_is_a_new_message() {
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
fn the_last_128_sends_with_a_ref_are_remembered() {
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
fn sends_that_were_refused_are_not_remembered() {
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
fn delivered_and_expired_of_remembered_messages_are_told_once_more_behind_joined() {
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
        bob gone
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
fn what_became_of_a_message_is_decided_once() {
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
        bob gone
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
fn notices_never_reach_a_later_holder_of_the_senders_id() {
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

// ---- the end of an ownership ----

#[test]
fn when_hold_has_passed_messages_are_expired_and_never_reach_a_later_owner_of_the_same_name() {
    check(
        LIMITS,
        r#"
        bob joins
        bob < joined false 0
        alice joins
        alice < joined false 0
        alice gone
        bob > send alice 1 r
        bob < sent r 1 held
        bob > send alice 2
        after 600 s
        bob < expired alice 1 2
        bob > send alice 3
        bob < error offline alice
        alice' joins
        alice' < joined false 0
        bob gone
        bob' joins
        bob' < joined true 0
        bob' < expired alice 1
        "#,
    );
}

#[test]
fn when_as_many_ids_are_owned_as_may_be_the_longest_away_with_nothing_held_gives_way() {
    check(
        Limits { owned_max: 3, ..LIMITS },
        r#"
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
        a gone
        after 1 s
        b gone
        after 1 s
        c gone
        d > send a 1
        d > watch b
        d < online b
        e joins
        e < joined false 0
        d < offline b
        d > send b 2
        d < error offline b
        f joins
        f < joined false 0
        d > send c 3
        d < error offline c
        b' joins
        b' < error too_many
        a' joins
        a' < joined true 1
        a' < message d 1 1
        "#,
    );
}

// ---- presence ----

#[test]
fn an_id_whose_connection_broke_is_shown_offline_10_seconds_later_and_one_closed_with_1000_at_once()
{
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice gone
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
fn a_return_within_10_seconds_and_a_takeover_never_flicker() {
    check(
        LIMITS,
        r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice gone
        after 9 s
        alice' joins
        alice' < joined true 0
        after 9 s
        alice'' joins
        alice' < closed 4001
        alice'' < joined true 0
        after 100 s
        alice'' gone
        after 9 s
        alice''' joins
        alice''' < joined true 0
        alice''' gone
        after 9 s
        after 1 s
        bob < offline alice
        "#,
    );
}

#[test]
fn it_is_shown_offline_when_hold_ends_if_that_is_sooner() {
    let hold = Duration::from_secs(4);
    let script = r#"
        bob joins keyless
        bob < joined keyless
        alice joins
        alice < joined false 0
        bob > watch alice
        bob < online alice
        alice gone
        after 3 s
        after 1 s
        bob < offline alice
        other > {"type":"join","id":"alice"}
        other < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        bob < online alice
    "#;
    Chat::new(Limits { hold, ..LIMITS }).check(&long(script).replace("\"hold\":600", "\"hold\":4"));
}

// ---- blocks ----

#[test]
fn whatever_a_blocked_id_sends_is_refused_as_offline_and_its_signals_are_dropped() {
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
fn who_blocks_looks_offline_to_those_it_blocks_and_to_nobody_else() {
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
fn what_was_taken_from_a_blocked_id_before_is_still_delivered() {
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
        alice gone
        alice' joins
        alice' < joined true 1
        alice' < message bob 1 1
        alice' > ack bob 1
        bob < delivered alice 1
        "#,
    );
}

#[test]
fn blocks_last_as_long_as_the_id_is_owned_and_without_a_key_as_long_as_the_connection() {
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
        alice gone
        bob > send alice 1
        bob < error offline alice
        alice' joins
        alice' < joined true 0
        bob > send alice 2
        bob < error offline alice
        bob > send carol 3
        bob < error offline carol
        carol gone
        carol' joins keyless
        carol' < joined keyless
        bob > send carol 4
        carol' < message bob 4 1
        alice' gone
        after 600 s
        alice'' joins
        alice'' < joined false 0
        bob > send alice 5
        alice'' < message bob 5 2
        "#,
    );
}

#[test]
fn a_client_blocks_256_ids_in_all_and_all_clients_a_million() {
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
    assert_eq!(chat.hub.blocked_total, 256);

    chat.hub.blocked_total += BLOCKED_TOTAL - 257;
    chat.say("bob", &block(0..2));
    chat.say("bob", &block(0..1));
    chat.hub.blocked_total -= BLOCKED_TOTAL - 257;
    chat.check(&too_many("bob"));
    assert_eq!(chat.hub.blocked_total, 257);
    chat.check(&long("bob gone\n alice > leave\n alice < closed 1000"));
    assert_eq!(chat.hub.blocked_total, 0);
}
