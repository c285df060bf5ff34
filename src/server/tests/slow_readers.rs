//! Backpressure: clients that read slowly or not at all, and clients not to be mistaken for them.

use std::iter;

use super::*;
use crate::limits::{PRESSING_BYTES, TOKENS_PER_LINE, TOKENS_PER_TURN, WRITE_STALL};

/// Returns this many short lines. Hundreds fit into one read, and each grows on its way, by its
/// sender, a mid and a time.
fn flood(to: &str, lines: usize) -> String {
    vec![format!(r#"{{"type":"send","to":"{to}","body":1}}"#); lines].join("\n")
}

#[test]
fn lines_for_a_stalled_client_wait_and_leave_together() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    // The kernel takes 10 bytes of the first message, and no more.
    bob.set_window(10);
    for n in 1..=4 {
        alice.send_text(&send("bob", &n.to_string()));
        play.run();
    }
    let len = message("alice", "1", 1).len();
    assert_eq!(
        play.buffered_bytes().0,
        2 + len - 10 + 3 * len + 2,
        "a header, four lines and two newlines, less the 10 bytes that left"
    );

    // The rest of the first message leaves first, and the other lines behind it as one message.
    let mut bytes = bob.read();
    bob.set_window(usize::MAX);
    bob.socket.borrow_mut().writable = true;
    play.turn();
    bytes.extend(bob.read());
    let [first, rest] = &*split_frames(&bytes).0 else { panic!("two messages") };
    assert_eq!(*first, message("alice", "1", 1));
    assert_eq!(*rest, [2, 3, 4].map(|n| message("alice", &n.to_string(), n)).join("\n"));
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn reader_flooded_by_200_senders_in_one_turn_is_not_slow() {
    let mut play = Play::with(500, |_| {});
    let [bob] = play.join(["bob"]);
    let senders: Vec<Client> =
        (0..200).map(|n| play.join([&*format!("sender{n}")])).map(|[client]| client).collect();
    senders.iter().for_each(|sender| sender.send_text(&flood("bob", 700)));
    play.turn();
    play.run();
    let received = bob.receive();
    assert_eq!(count_lines(&received), 200 * 700);
    assert!(received.iter().map(String::len).sum::<usize>() > 20 * Config::default().outbox);
    assert!(received.len() < 500, "{} messages: lines were not coalesced", received.len());
    assert!(senders.iter().all(|sender| sender.receive().is_empty()), "no sender gets an error");
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn reader_is_not_slow_because_others_fill_the_outbox_total() {
    let outbox = 262_144;
    let mut play =
        Play::with(100, |config| (config.outbox, config.outbox_total) = (outbox, 4 * outbox));
    let [alice, bob, last] = play.join(["alice", "bob", "last"]);
    let pairs: Vec<[Client; 2]> =
        (0..20).map(|n| play.join([&*format!("from{n}"), &*format!("to{n}")])).collect();
    // As many lines as are heard in a turn.
    let lines = TOKENS_PER_TURN / TOKENS_PER_LINE;
    let flood = |to: &str, len: usize| vec![send(to, &"x".repeat(len)); lines].join("\n");
    alice.send_text(&flood("bob", 150));
    for (n, [from, _]) in pairs.iter().enumerate() {
        from.send_text(&flood(&format!("to{n}"), 160));
    }
    last.send_text(&send("bob", "one line more"));
    let first: Vec<&Client> =
        iter::once(&alice).chain(pairs.iter().map(|[from, _]| from)).collect();
    play.turn_in_order(&[&*first, &[&last]].concat());

    let received = bob.receive().join("\n");
    assert_eq!(received.lines().count(), lines + 1);
    assert!(received.len() < outbox / 2, "the outbox of bob was less than half full");
    assert_eq!(last.receive(), [""; 0], "no sender gets an error");
    assert!(pairs.iter().all(|[from, to]| from.receive().is_empty() && !to.receive().is_empty()));
}

#[test]
fn stuck_reader_is_dropped_and_its_senders_are_told() {
    let mut play = Play::new();
    let [alice, bob, carol, dave] = play.join(["alice", "bob", "carol", "dave"]);
    bob.set_window(1000);
    // The server also keeps the beginning of a message from bob.
    bob.send_bytes(&frame(TEXT, send("carol", "half").as_bytes())[..20]);
    play.run();
    assert_ne!(play.buffered_bytes().1, 0);
    for _ in 0..10 {
        alice.send_text(&flood("bob", 1500));
        carol.send_text(&send("dave", "we go on"));
        play.run();
    }
    let errors: Vec<String> = alice.receive();
    assert!(errors[0].starts_with(r#"{"type":"error","code":"slow","to":"bob""#), "{}", errors[0]);
    assert_eq!(errors.join("\n").matches(r#""code":"slow""#).count(), 1);
    assert!(errors.join("\n").contains(r#""code":"offline","to":"bob""#));
    assert!(bob.is_dropped());
    assert_eq!(dave.receive().len(), 10);
    assert_eq!(carol.receive(), [""; 0]);
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn unsent_output_of_replaced_connections_is_bounded() {
    let mut play = Play::new();
    play.server.unsent = Budget::new(10_000);
    let [bob] = play.join(["bob"]);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let alice = play.open();
        alice.set_window(1);
        alice.send_text(&join_with_key("alice"));
        bob.send_text(&send("alice", &"x".repeat(1000)));
        play.run();
        stuck.push(alice);
    }
    assert!(play.server.unsent.used() <= 10_000);
    let dropped = stuck.iter().filter(|alice| alice.is_dropped()).count();
    assert!((5..20).contains(&dropped), "{dropped} of 20 were over the total of unsent bytes");
    play.pass(Duration::from_secs(60));
    play.run();
    assert_eq!(play.server.unsent.used(), 0);
}

#[test]
fn unsent_pongs_of_all_connections_are_bounded_together() {
    let mut play = Play::new();
    play.server.unsent = Budget::new(10_000);
    let clients = play.join(["a", "b", "c", "d", "e", "f"]);
    for client in &clients {
        client.set_window(1);
        client.send_bytes(&frame(OpCode::Control(Control::Ping), &[b'x'; 100]).repeat(20));
    }
    play.run();
    assert!(play.server.unsent.used() <= 10_000);
    assert!(clients.iter().any(Client::is_dropped) && !clients.iter().all(Client::is_dropped));
}

#[test]
fn unsent_output_that_does_not_grow_is_kept_in_any_case() {
    let mut play = Play::new();
    play.server.unsent = Budget::new(10_000);
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.set_window(1);
    bob.send_text(&send("alice", &"x".repeat(2000)));
    play.run();
    let left = play.server.unsent.left();
    play.server.unsent.take(left);
    // An event has the server look at her again.
    alice.send_text(&send("bob", "not read before her output has left"));
    play.run();
    assert!(!alice.is_dropped());
}

#[test]
fn client_that_takes_nothing_for_10_seconds_is_dropped() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.set_window(0);
    alice.send_text(&send("alice", "1"));
    play.run();
    play.pass(WRITE_STALL - SECOND);
    play.run();
    assert!(!alice.is_dropped());
    assert_eq!(play.server.counters.slow, 0);
    play.pass(SECOND);
    play.run();
    assert!(alice.is_dropped());
    assert_eq!(play.server.counters.slow, 1);
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn client_that_takes_a_little_now_and_then_stays() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.set_window(10);
    alice.send_text(&send("alice", "1"));
    for _ in 0..5 {
        play.run();
        play.pass(WRITE_STALL - SECOND);
        alice.read();
    }
    play.run();
    assert!(!alice.is_dropped());
}

#[test]
fn watcher_too_slow_for_presence_is_dropped_in_the_same_turn() {
    let mut play = Play::with(100, |config| config.outbox = 500);
    let [alice] = play.join(["alice"]);
    alice.send_text(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    alice.set_window(0);
    while play.server.hub.has_joined(alice.token) {
        assert!(!alice.is_dropped());
        let [bob] = play.join(["bob"]);
        bob.end();
        play.turn();
    }
    assert!(alice.is_dropped());
}

#[test]
fn long_lines_leave_before_the_end_of_the_turn() {
    let mut play = Play::with(100, |_| {});
    let [alice, bob] = play.join(["alice", "bob"]);
    let lines = 2 * PRESSING_BYTES / 10_000 + 2;
    for _ in 0..lines {
        alice.send_text(&send("bob", &"x".repeat(10_000)));
    }
    play.run();
    let texts = bob.receive();
    assert_eq!(count_lines(&texts), lines);
    assert!(texts.iter().all(|text| text.len() < PRESSING_BYTES + 11_000), "one text is too long");
    assert!(texts.len() > 1);
}
