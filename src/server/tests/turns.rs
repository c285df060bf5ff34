//! The rules of one turn: owed visits, stale tokens, removal at its end, and fairness.

use super::*;
use crate::limits::WRITE_STALL;

#[test]
fn busy_connection_is_read_once_a_turn_without_new_events() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    let frames: Vec<u8> =
        (0..200).flat_map(|_| frame(TEXT, send("carol", &"x".repeat(1000)).as_bytes())).collect();
    alice.send_bytes(&frames);
    bob.send_text(&send("carol", "in between"));
    play.turn();
    assert_eq!(frames.len() - alice.socket.borrow().to_server.len(), READ_BYTES);
    assert!(carol.receive().concat().contains("in between"));
    assert_eq!(play.sleep(), Some(Duration::ZERO));
    for _ in 0..frames.len() / READ_BYTES {
        play.server.turn(play.now, &[]);
    }
    assert!(alice.socket.borrow().to_server.is_empty());
    assert_ne!(play.sleep(), Some(Duration::ZERO));
    assert_eq!(carol.receive().join("\n").lines().count(), 200 - READ_BYTES / (frames.len() / 200));
}

#[test]
fn client_that_takes_no_output_is_not_read() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.set_window(0);
    alice.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
    play.run();
    alice.send_text(&send("bob", "behind a ping"));
    play.run();
    assert_eq!(bob.receive(), [""; 0]);
    alice.set_window(100);
    alice.read();
    play.run();
    assert_eq!(alice.receive(), ["pong"]);
    assert_eq!(bob.receive(), [message("alice", "behind a ping", 1)]);
}

#[test]
fn stale_token_does_not_reach_the_next_owner_of_its_key() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.end();
    play.run();
    let [carol] = play.join(["carol"]);
    assert_eq!(carol.token.key(), alice.token.key(), "the slab gives its keys out again");
    let spurious = Ready { token: alice.token, readable: true, writable: true, closed: true };
    play.server.turn(play.now, &[spurious, spurious]);
    bob.send_text(&send("carol", "still here"));
    play.run();
    assert_eq!(carol.receive(), [message("bob", "still here", 1)]);
}

#[test]
fn key_is_not_reused_within_the_turn_that_frees_it() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    // Alice leaves, joins again elsewhere, and is written to: all in one turn.
    let new = play.open();
    alice.send_text(r#"{"type":"leave"}"#);
    new.send_text(&join("alice"));
    bob.send_text(&send("alice", "which one?"));
    play.turn_in_order(&[&alice, &new, &bob]);
    assert_eq!(alice.receive(), ["close 1000"]);
    assert_eq!(new.receive(), [[joined("alice"), message("bob", "which one?", 1)].join("\n")]);
}

#[test]
fn loop_sleeps_until_the_next_deadline_unless_a_visit_is_owed() {
    let mut play = Play::new();
    assert_eq!(play.sleep(), None, "nobody is here");
    let [alice] = play.join(["alice"]);
    play.pass(15 * SECOND);
    let client = play.connect();
    // The entry of the join timeout comes up early, and goes in again as one for a ping.
    play.run();
    assert_eq!(play.sleep(), Some(10 * SECOND));
    client.end();
    alice.send_text(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    assert!(client.is_dropped());
    play.pass(10 * SECOND);
    play.run();
    assert_eq!(play.sleep(), Some(15 * SECOND), "alice spoke 10 seconds ago");
    alice.set_window(0);
    alice.read();
    alice.send_text(&send("alice", "1"));
    play.run();
    assert_eq!(play.sleep(), Some(WRITE_STALL));
}

#[test]
fn end_found_while_writing_is_announced_in_the_next_turn() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    alice.receive();
    alice.send_text(&send("bob", "1"));
    bob.socket.borrow_mut().reset = true;
    play.turn();
    assert_eq!(alice.receive(), [""; 0]);
    assert_eq!(play.sleep(), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.receive(), [r#"{"type":"presence","id":"bob","online":false}"#]);
}

#[test]
fn many_ending_connections_do_not_delay_a_message() {
    let mut play = Play::with(1000, |_| {});
    let leaving: Vec<Client> = (0..2 * ENDS_PER_TURN + 1).map(|_| play.open()).collect();
    let [alice, bob] = play.join(["alice", "bob"]);
    leaving.iter().for_each(Client::end);
    alice.send_text(&send("bob", "hello"));
    play.turn_in_order(&leaving.iter().chain([&alice]).collect::<Vec<_>>());
    assert_eq!(bob.receive().len(), 1);
    let gone = || leaving.iter().filter(|client| client.is_dropped()).count();
    assert_eq!(gone(), ENDS_PER_TURN);
    assert_eq!(play.sleep(), Some(Duration::ZERO), "the others are not forgotten");
    play.run();
    assert_eq!(gone(), leaving.len());
}
