//! Lines that wait for the disk, and lines that do not.

use super::shorthand::long;
use super::*;
use crate::chat::journal::Change;
use crate::chat::outbox::Pieces;
use crate::limits::{BATCH_BYTES_MAX, LAZY_COMMIT, RESTART_GRACE, STORE_RETRY_MAX};

/// Runs a script in shorthand with a store. alice and bob own their ids, carol has no key.
#[track_caller]
fn check(script: &str) -> Chat<Recorder<RandomState>> {
    check_with(LIMITS, script)
}

#[track_caller]
fn check_with(limits: Limits, script: &str) -> Chat<Recorder<RandomState>> {
    let mut chat = Chat::with_store(limits);
    let joins = "
        alice joins
        alice < joined false 0
        bob joins
        bob < joined false 0
        carol joins keyless
        carol < joined keyless
    ";
    chat.check(&long(joins));
    chat.check(&long(script));
    chat
}

/// Starts the hub of a chat again, with what its disk has stored. All clients are gone.
fn restart(chat: Chat<Recorder<RandomState>>, limits: Limits) -> Chat<Recorder<RandomState>> {
    let (mut disk, now) = (chat.disk, chat.now);
    Chat::with(disk.start(limits, 0xabc, now), disk, now)
}

#[test]
fn message_for_an_owner_and_its_sent_wait_for_the_disk() {
    check(
        "
        disk stops
        bob > send alice 1 r
        carol > send alice 2 s
        disk works
        bob < sent r 1
        carol < sent s 2
        alice < message bob 1 1
        alice < message carol 2 2
        ",
    );
}

#[test]
fn lines_that_promise_nothing_never_wait() {
    check(
        "
        dave joins keyless
        dave < joined keyless
        disk stops
        bob > send alice 1 r
        carol > send dave 2 s
        dave < message carol 2 2
        carol < sent s 2
        dave > ack carol 2
        carol < delivered dave 2
        carol > watch alice dave
        carol < online alice
        carol < online dave
        carol > signal bob 3
        bob < signal carol 3
        bob > send nobody 4 t
        bob < error offline t nobody
        disk works
        bob < sent r 1
        alice < message bob 1 1
        ",
    );
}

#[test]
fn signal_does_not_overtake_a_message_that_waits_for_the_disk() {
    check(
        "
        disk stops
        bob > send alice 1
        bob > signal alice 2
        disk works
        alice < message bob 1 1
        ",
    );
}

#[test]
fn delivered_waits_behind_the_sent_of_its_message_only() {
    check(
        "
        bob > send alice 1 r
        bob < sent r 1
        alice < message bob 1 1
        disk stops
        bob > send carol 2 s
        carol < message bob 2 2
        carol > ack bob 2
        alice > ack bob 1
        bob < delivered alice 1
        disk works
        bob < sent s 2
        bob < delivered carol 2
        ",
    );
}

#[test]
fn acknowledgement_of_a_guessed_mid_comes_behind_the_sent() {
    check(
        "
        disk stops
        bob > send alice 1 r
        alice > ack bob 1
        disk works
        bob < sent r 1
        bob < delivered alice 1
        ",
    );
}

#[test]
fn new_owner_hears_nothing_before_its_joined() {
    check(
        "
        disk stops
        dave joins
        dave > watch alice
        carol > signal dave 1
        carol > send dave 2
        disk works
        dave < joined dave
        dave < online alice
        dave < signal carol 1
        dave < message carol 2 1
        ",
    );
}

#[test]
fn lines_behind_a_joined_keep_their_order() {
    let mut chat = check("disk stops\ncarol > send alice 1");
    // The claim is in the second batch. The first one is stored, and the second under way, when
    // the answer comes.
    chat.check(&long("dave joins\ndave > watch carol"));
    chat.check(&long("carol lost"));
    chat.is_disk_stopped = false;
    chat.collect();
    let kinds =
        |line: &String| line.split('"').nth(3).map(|kind| (kind.to_owned(), line.contains("true")));
    let kinds: Vec<_> = chat.heard["dave"].iter().filter_map(kinds).collect();
    let presence = |online| ("presence".to_owned(), online);
    assert_eq!(kinds, [("joined".to_owned(), false), presence(true), presence(false)]);
}

#[test]
fn lines_behind_a_joined_fill_an_outbox_at_most() {
    let mut chat = check("disk stops\ndave joins");
    let line = r#"{"type":"send","to":"nobody","body":1,"ref":"r"}"#;
    for _ in 0..10_000 {
        chat.say("dave", line);
    }
    assert_eq!(chat.heard["dave"].iter().collect::<Vec<_>>(), ["closed 1013"]);
    assert!(chat.hub.unstored_bytes() < 1000 && chat.hub.waiting_bytes() == 0);
}

#[test]
fn joined_of_a_claim_under_way_finds_the_next_connection() {
    check(
        "
        disk stops
        dave joins
        dave > send alice 1 r
        dave' joins
        dave < closed 4001
        dave' > send alice 1 r
        disk works
        dave' < joined dave
        dave' < sent r 1
        alice < message dave 1 1
        dave'' joins
        dave' < closed 4001
        dave'' < joined true 0
        ",
    );
}

#[test]
fn close_after_leave_waits_and_nothing_more_is_heard() {
    let mut chat = check(
        "
        disk stops
        bob > leave
        bob > send alice 1 r
        bob > watch alice
        disk works
        bob < closed 1000
        ",
    );
    assert!(!chat.disk.owners.values().any(|owner| *owner.id == *"bob"));
    chat.check(&long("bob' joins\nbob' < joined false 0"));
}

#[test]
fn answers_to_the_lines_before_a_leave_come_before_the_close() {
    check(
        "
        disk stops
        bob > send alice 1 r
        bob > leave
        disk works
        bob < sent r 1
        bob < closed 1000
        alice < message bob 1 1
        ",
    );
}

#[test]
fn leave_before_the_joined_is_answered_with_both() {
    check(
        "
        disk stops
        dave joins
        dave > leave
        dave > watch alice
        disk works
        dave < joined dave
        dave < closed 1000
        ",
    );
}

#[test]
fn expired_reaches_an_owner_that_comes_back_before_its_batch() {
    check(
        "
        disk stops
        dave joins
        dave > send alice 1 r
        dave lost
        alice > leave
        dave' joins
        disk works
        dave' < joined dave
        dave' < sent r 1
        dave' < expired alice 1
        alice < closed 1000
        ",
    );
}

#[test]
fn expired_that_is_stored_is_told_at_once() {
    let script = "
        bob > send alice 1 r
        bob < sent r 1
        alice < message bob 1 1
        alice > leave
        bob < expired alice 1
        alice < closed 1000
        disk stops
        bob > send carol 2 s
        carol < message bob 2 2
        bob > send alice 1 r
        bob < sent r 1
        bob < expired alice 1
        bob' joins
        bob < closed 4001
        bob' < joined true 0
        bob' < expired alice 1
        ";
    let mut chat = check(script);
    let before = chat.hub.unstored_bytes();
    for _ in 0..100 {
        chat.check(&long("bob' > send alice 1 r\nbob' < sent r 1\nbob' < expired alice 1"));
    }
    assert_eq!(chat.hub.unstored_bytes(), before, "a repeat adds nothing to a batch");
}

#[test]
fn unchecked_acks_neither_wait_nor_disconnect() {
    let mut chat = check("disk stops\ncarol > send alice 1\nbob stuck");
    let before = chat.hub.unstored_bytes();
    let mids = vec![r#""000000000abc-ffffffffffffffff""#; 256].join(",");
    for _ in 0..1000 {
        chat.say("carol", &format!(r#"{{"type":"ack","to":"bob","mids":[{mids}]}}"#));
    }
    assert_eq!(chat.hub.unstored_bytes(), before);
    chat.is_disk_stopped = false;
    chat.collect();
    assert!(chat.hub.has_joined(chat.tokens["bob"]), "it was taken for slow");
}

#[test]
fn expired_waits_for_the_disk() {
    check(
        "
        bob > send alice 1 r
        bob < sent r 1
        alice < message bob 1 1
        disk stops
        alice > leave
        disk works
        bob < expired alice 1
        alice < closed 1000
        ",
    );
}

#[test]
fn send_repeated_before_it_is_stored_is_answered_once() {
    check(
        "
        disk stops
        bob > send alice 1 r
        bob > send alice 1 r
        bob lost
        bob' joins
        bob' < joined true 0
        bob' > send alice 1 r
        disk works
        bob' < sent r 1
        alice < message bob 1 1
        ",
    );
}

#[test]
fn failing_disk_refuses_promises_and_nothing_else() {
    let chat = check(
        "
        bob > block dave
        bob > send alice 1 r
        bob < sent r 1
        alice < message bob 1 1
        disk stops
        bob > send alice 2 s
        disk fails
        bob > send alice 3 t
        bob < error full t alice
        carol > send alice 4 u
        carol < error full u alice
        bob > send carol 5 v
        bob < error full v carol
        dave joins
        dave < error too_many
        bob > block carol
        bob < error too_many
        bob > block dave
        bob > unblock carol
        bob > unblock dave
        bob < error too_many
        bob > leave
        bob < error too_many
        bob > send carol 6
        carol < message bob 6 3
        alice > ack bob 1
        bob < delivered alice 1
        bob lost
        bob' joins
        bob' < joined true 0
        bob' < delivered alice 1
        bob' > send alice 2 s
        disk works
        bob' < sent s 2
        alice < message bob 2 2
        bob' > send alice 7 w
        bob' < sent w 4
        alice < message bob 7 4
        ",
    );
    assert_eq!(chat.hub.unstored_bytes(), 0);
}

#[test]
fn batch_on_a_slow_disk_is_bounded_and_refuses_with_full() {
    // Enough owners that no queue is full before.
    let owners: Vec<String> = (0..200).map(|n| format!("o{n}")).collect();
    let joins = |owner: &String| format!("{owner} joins\n{owner} < joined false 0\n");
    let limits = Limits { held_bytes_total: 100_000_000, ..LIMITS };
    let mut chat = check_with(limits, &owners.iter().map(joins).collect::<String>());
    chat.check("disk stops");
    let body = "x".repeat(60_000);
    let mut taken = 0;
    while chat.heard.get("carol").is_none_or(VecDeque::is_empty) {
        let owner = &owners[taken % owners.len()];
        chat.say("carol", &format!(r#"{{"type":"send","to":"{owner}","body":"{body}"}}"#));
        taken += 1;
        assert!(taken < 1000, "no send is refused");
    }
    assert!(chat.heard["carol"][0].contains(r#""code":"full""#), "{:?}", chat.heard["carol"]);
    let bytes = chat.hub.unstored_bytes();
    assert!((BATCH_BYTES_MAX..BATCH_BYTES_MAX + 70_000).contains(&bytes), "{bytes}");
}

#[test]
fn address_fills_an_eighth_of_a_batch_on_a_slow_disk() {
    let owners: Vec<String> = (0..40).map(|n| format!("o{n}")).collect();
    let joins = |owner: &String| format!("{owner} joins\n{owner} < joined false 0\n");
    let limits = Limits { held_bytes_total: 100_000_000, ..LIMITS };
    let mut chat = check_with(limits, &owners.iter().map(joins).collect::<String>());
    for name in ["one@1", "two@1", "other@2"] {
        chat.say(name, &format!(r#"{{"type":"join","id":"{}"}}"#, name.replace('@', ".")));
    }
    chat.heard.clear();
    chat.check("disk stops");
    // A batch under way, so that the next one gathers.
    chat.say("carol", r#"{"type":"send","to":"o0","body":1}"#);
    let body = "x".repeat(40_000);
    let is_refused = |chat: &mut Chat<Recorder<RandomState>>, name: &str, to: &str| {
        chat.say(name, &format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#));
        chat.heard.remove(name).is_some_and(|heard| heard.iter().any(|line| line.contains("full")))
    };
    let taken = owners.iter().take_while(|to| !is_refused(&mut chat, "one@1", to)).count();
    assert_eq!(taken, BATCH_BYTES_MAX / 8 / 40_000 + 1);
    assert!(is_refused(&mut chat, "two@1", "o39"), "of the same address");
    assert!(!is_refused(&mut chat, "other@2", "o39"));
    chat.is_disk_stopped = false;
    chat.collect();
    assert!(!is_refused(&mut chat, "one@1", "o38"), "the batch is on its way");
}

#[test]
fn acknowledgements_ride_with_the_next_batch_or_wait_a_second() {
    let mut chat = check("bob > send alice 1 r\nbob < sent r 1\nalice < message bob 1 1");
    chat.check(&long("alice > ack bob 1\nbob < delivered alice 1"));
    let is_held = |chat: &Chat<Recorder<RandomState>>| chat.disk.messages[&1].held.is_some();
    assert!(is_held(&chat));
    let due = chat.hub.next_commit(chat.now.instant).expect("a commit");
    assert_eq!(due, chat.now.instant + LAZY_COMMIT);
    chat.pass(LAZY_COMMIT);
    assert!(!is_held(&chat));
    assert_eq!(chat.hub.next_deadline(chat.now.instant), None, "nothing is left to write");
    chat.check(&long(
        "
        bob > send alice 2 s
        bob < sent s 2
        alice < message bob 2 2
        alice > ack bob 2
        bob < delivered alice 2
        carol > send bob 3
        bob < message carol 3 3
        ",
    ));
    assert!(chat.disk.messages[&2].held.is_none(), "it rides with the message of carol");
}

// ---- restarts ----

/// Joins, and returns the name of the ownership that the `joined` tells.
fn joined_ownership<J: Journal>(chat: &mut Chat<J>, name: &str, key: &str) -> String {
    let id = name.trim_end_matches('\'');
    let token = chat.token(name);
    let line = format!(r#"{{"type":"join","id":"{id}"{key}}}"#);
    assert_eq!(chat.hub.receive(token, &line, usize::MAX, chat.now), "");
    chat.commit();
    let text = String::from_utf8(chat.hub.take_text(token)).expect("UTF-8");
    chat.hub.written(token, Vec::new(), 0);
    ownership(&text).to_owned()
}

#[test]
fn ownership_keeps_its_name_as_long_as_it_lasts() {
    const KEY: &str = r#","key":"the key of alice 0123""#;
    let mut chat = Chat::with_store(LIMITS);
    let first = joined_ownership(&mut chat, "alice", KEY);
    assert_eq!(first.len(), 16);
    assert_eq!(joined_ownership(&mut chat, "alice'", KEY), first);
    let other = r#","key":"the key of bob 0123456""#;
    assert_ne!(joined_ownership(&mut chat, "bob", other), first);
    assert_eq!(joined_ownership(&mut chat, "carol", ""), "", "nothing is owned");
    let mut chat = restart(chat, LIMITS);
    assert_eq!(joined_ownership(&mut chat, "alice", KEY), first);
    chat.say("alice", r#"{"type":"leave"}"#);
    assert_ne!(joined_ownership(&mut chat, "alice'", KEY), first, "a later one");

    // Without a store numbers begin anew, and names do not.
    let [one, two] = [(); 2].map(|()| joined_ownership(&mut Chat::new(LIMITS), "alice", KEY));
    assert_ne!(one, two);
}

#[test]
fn later_holder_of_an_id_hears_no_fates_of_the_earlier_one() {
    let mut chat = check("alice > send bob 1 r\nalice < sent r 1\nbob < message alice 1 1");
    chat.check(&long("alice > leave\nalice < closed 1000"));
    let mut chat = restart(chat, LIMITS);
    let key = "another key 0123456";
    chat.check(&format!(
        r#"
        alice > {{"type":"join","id":"alice","key":"{key}"}}
        alice < joined alice
        "#
    ));
    chat.check(&long("bob joins\nbob < joined true 1\nbob < message alice 1 1"));
    chat.check(&long("bob > ack alice 1"));
}

#[test]
fn hold_counts_the_time_that_the_server_was_up() {
    let mut chat = check("bob lost\nafter 100 s");
    // A commit, so that the disk knows of this time; then a year without a server.
    chat.check(&long("carol > send alice 1\nalice < message carol 1 1\nalice lost"));
    chat.pass(LAZY_COMMIT);
    chat.now.instant += Duration::from_secs(365 * 24 * 3600);
    let mut chat = restart(chat, LIMITS);
    chat.pass(Duration::from_secs(490));
    assert_eq!(chat.hub.owned_ids(), 2);
    chat.pass(Duration::from_secs(20));
    assert_eq!(chat.hub.owned_ids(), 1, "bob was away for 600 seconds of uptime");
}

#[test]
fn nothing_expires_in_the_first_minutes_after_a_start() {
    let limits = Limits { hold: Duration::from_secs(60), ..LIMITS };
    let chat = check("bob lost\nalice lost\nafter 300 s");
    let mut chat = restart(chat, limits);
    chat.pass(RESTART_GRACE - Duration::from_secs(1));
    assert_eq!(chat.hub.owned_ids(), 2);
    chat.pass(Duration::from_secs(1));
    assert_eq!(chat.hub.owned_ids(), 0);
}

#[test]
fn no_id_gives_way_in_the_first_minutes_after_a_start() {
    let limits = Limits { owned_max: 2, hold: Duration::from_secs(60), ..LIMITS };
    let mut chat = restart(check("bob lost\nafter 5 s"), limits);
    let claim = format!(r#"{{"type":"join","id":"x","key":"{}"}}"#, "k".repeat(20));
    chat.pass(Duration::from_secs(70));
    chat.say("x", &claim);
    assert!(chat.heard["x"][0].contains("too_many"), "{:?}", chat.heard["x"]);
    chat.pass(RESTART_GRACE);
    chat.say("x", &claim);
    assert!(chat.heard["x"][1].contains("joined"), "{:?}", chat.heard["x"]);
}

#[test]
fn nothing_expires_while_the_disk_fails() {
    let mut chat = check("bob lost\ndisk stops\ncarol > send alice 1\ndisk fails");
    for _ in 0..10 {
        chat.pass(LIMITS.hold / 5);
        assert_eq!(chat.hub.owned_ids(), 2);
    }
    assert!(!chat.hub.is_busy(chat.now.instant), "the loop may sleep");
    chat.check(&long("disk works\nalice < message carol 1 1"));
    chat.pass(STORE_RETRY_MAX);
    assert_eq!(chat.hub.owned_ids(), 1);
}

#[test]
fn comings_and_goings_beyond_the_bound_are_recorded_later() {
    let mut chat = check("disk stops\ncarol > send alice 1");
    let held = Pieces([&[b'x'; BATCH_BYTES_MAX + 1], &[], &[]]);
    let journal = chat.hub.owners.journal_mut();
    let line = Change::Held { mid: 9, owner: 9, from: "x", sender: None, payer: None, line: held };
    journal.record(&line);
    let before = chat.hub.unstored_bytes();
    let connection = |n| format!("bob{}", "'".repeat(n));
    for n in 0..100 {
        let (old, new) = (connection(n), connection(n + 1));
        chat.check(&long(&format!("{old} lost\n{new} joins\n{new} < joined true 0")));
    }
    chat.check(&long("alice lost"));
    assert_eq!(chat.hub.unstored_bytes(), before);
    chat.check("disk works");
    chat.pass(LAZY_COMMIT);
    let mut away = chat.disk.owners.values().map(|owner| (&*owner.id, owner.away_ms.is_some()));
    assert!(away.by_ref().eq([("alice", true), ("bob", false)]));
}
