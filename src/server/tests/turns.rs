//! The rules of one turn: owed visits, stale tokens, removal at its end, and fairness.

use super::*;
use crate::limits::WRITE_STALL;

#[test]
fn a_connection_is_read_once_a_turn_and_what_is_left_is_read_without_another_event() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    let frames: Vec<u8> =
        (0..200).flat_map(|_| frame(TEXT, send("carol", &"x".repeat(1000)).as_bytes())).collect();
    alice.send_bytes(&frames);
    bob.say(&send("carol", "in between"));
    play.turn();
    assert_eq!(frames.len() - alice.socket.borrow().inward.len(), READ_BYTES);
    assert!(carol.hears().concat().contains("in between"));
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    for _ in 0..frames.len() / READ_BYTES {
        play.server.turn(play.now, &[]);
    }
    assert!(alice.socket.borrow().inward.is_empty());
    assert_ne!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    assert_eq!(carol.hears().join("\n").lines().count(), 200 - READ_BYTES / (frames.len() / 200));
}

#[test]
fn who_cannot_be_written_to_is_not_read() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.set_window(0);
    alice.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
    play.run();
    alice.say(&send("bob", "behind a ping"));
    play.run();
    assert_eq!(bob.hears(), [""; 0]);
    alice.set_window(100);
    alice.read();
    play.run();
    assert_eq!(alice.hears(), ["pong"]);
    assert_eq!(bob.hears(), [message("alice", "behind a ping", 1)]);
}

#[test]
fn an_event_for_a_connection_that_is_gone_finds_nobody() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.end();
    play.run();
    let [carol] = play.join(["carol"]);
    assert_eq!(carol.token.key(), alice.token.key(), "the slab gives its keys out again");
    let ghost = Ready { token: alice.token, readable: true, writable: true, closed: true };
    play.server.turn(play.now, &[ghost, ghost]);
    bob.say(&send("carol", "still here"));
    play.run();
    assert_eq!(carol.hears(), [message("bob", "still here", 1)]);
}

#[test]
fn a_key_is_not_used_again_within_the_turn_in_which_it_is_freed() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    // Alice leaves, joins again elsewhere, and is written to: all in one turn.
    let new = play.open();
    alice.say(r#"{"type":"leave"}"#);
    new.say(&join("alice"));
    bob.say(&send("alice", "which one?"));
    play.turn_in_order(&[&alice, &new, &bob]);
    assert_eq!(alice.hears(), ["close 1000"]);
    assert_eq!(new.hears(), [[joined("alice"), message("bob", "which one?", 1)].join("\n")]);
}

#[test]
fn the_loop_sleeps_until_the_nearest_deadline_and_not_at_all_while_a_visit_is_owed() {
    let mut play = Play::new();
    assert_eq!(play.server.sleep(play.now.instant), None, "nobody is here");
    let [alice] = play.join(["alice"]);
    play.pass(15 * SECOND);
    let client = play.connect();
    // The entry of the join timeout comes up early, and goes in again as one for a ping.
    play.run();
    assert_eq!(play.server.sleep(play.now.instant), Some(10 * SECOND));
    client.end();
    alice.say(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    assert!(client.is_dropped());
    play.pass(10 * SECOND);
    play.run();
    assert_eq!(
        play.server.sleep(play.now.instant),
        Some(15 * SECOND),
        "alice spoke 10 seconds ago"
    );
    alice.set_window(0);
    alice.read();
    alice.say(&send("alice", "1"));
    play.run();
    assert_eq!(play.server.sleep(play.now.instant), Some(WRITE_STALL));
}

#[test]
fn an_end_that_is_found_while_writing_is_told_in_the_next_turn() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    alice.hears();
    alice.say(&send("bob", "1"));
    bob.socket.borrow_mut().reset = true;
    play.turn();
    assert_eq!(alice.hears(), [""; 0]);
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.hears(), [r#"{"type":"presence","id":"bob","online":false}"#]);
}

#[test]
fn who_talks_does_not_wait_for_those_who_leave() {
    let mut play = Play::with(1000, |_| {});
    let leaving: Vec<Client> = (0..2 * ENDS_PER_TURN + 1).map(|_| play.open()).collect();
    let [alice, bob] = play.join(["alice", "bob"]);
    leaving.iter().for_each(Client::end);
    alice.say(&send("bob", "hello"));
    play.turn_in_order(&leaving.iter().chain([&alice]).collect::<Vec<_>>());
    assert_eq!(bob.hears().len(), 1);
    let gone = || leaving.iter().filter(|client| client.is_dropped()).count();
    assert_eq!(gone(), ENDS_PER_TURN);
    assert_eq!(
        play.server.sleep(play.now.instant),
        Some(Duration::ZERO),
        "the others are not forgotten"
    );
    play.run();
    assert_eq!(gone(), leaving.len());
}
