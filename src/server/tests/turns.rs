//! The rules of one turn: an edge is reported once and the rest is an owed visit, stale tokens,
//! removal at the end of the turn, and fairness.

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
    assert_eq!(play.sleep(), Some(Duration::ZERO), "a visit is owed to alice");
    // No event reports the rest: it is read because a visit is owed.
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
    assert_eq!(carol.token.key(), alice.token.key(), "the slab reuses its keys");
    // The kernel reported these before the old connection was removed.
    let spurious =
        Ready { token: alice.token, readable: true, writable: true, closed: true, failed: false };
    play.server.turn(play.now, &[spurious, spurious]);
    bob.send_text(&send("carol", "still here"));
    play.run();
    assert_eq!(carol.receive(), [message("bob", "still here", 1)]);
}

#[test]
fn ended_connection_is_removed_only_at_the_end_of_the_turn() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.reset();
    let ready = edges(&alice).expect("a reset raises edges");
    play.server.dispatch(play.now, &[ready]);
    // Marked as ended, and not removed: later stages may still have the token on their lists.
    assert!(!play.server.hub.has_joined(alice.token) && !alice.is_dropped());
    assert_ne!(play.connect().token.key(), alice.token.key(), "the key is taken");
    play.server.sweep();
    assert!(alice.is_dropped());
    assert_eq!(play.connect().token.key(), alice.token.key(), "the key is free");
}

#[test]
fn id_left_and_rejoined_in_one_turn_reaches_the_new_client() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    // In one turn alice leaves, joins over another connection, and is sent a message.
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
    assert_eq!(play.sleep(), None, "no connection, no deadline");
    let [alice] = play.join(["alice"]);
    play.pass(15 * SECOND);
    let client = play.connect();
    // The entry of alice's join timeout comes up, and goes in again as one for a ping.
    play.run();
    assert_eq!(play.sleep(), Some(10 * SECOND));
    client.end();
    alice.send_text(r#"{"type":"watch","ids":["bob"]}"#);
    play.run();
    assert!(client.is_dropped());
    play.pass(10 * SECOND);
    play.run();
    assert_eq!(play.sleep(), Some(15 * SECOND), "alice sent a line 10 seconds ago");
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
    // Without an edge, so only the write finds it.
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
    assert_eq!(play.sleep(), Some(Duration::ZERO), "visits are owed to the others");
    play.run();
    assert_eq!(gone(), leaving.len());
}
