//! Deadlines: to join, to answer a ping, and many of them at once.

use super::*;

#[test]
fn client_that_does_not_join_in_time_is_closed_with_1008() {
    let mut play = Play::new();
    let client = play.open();
    client.send_text(&join("not an id"));
    play.run();
    client.receive();
    play.pass(9 * SECOND);
    play.run();
    assert_eq!(client.receive(), [""; 0]);
    play.pass(SECOND);
    play.run();
    assert_eq!(client.receive(), ["close 1008"]);
}

#[test]
fn silent_client_is_pinged_and_then_dropped() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.send_text(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.receive();
    play.pass(25 * SECOND);
    play.run();
    assert_eq!(alice.receive(), ["ping"]);
    assert_eq!(bob.receive(), ["ping"]);
    bob.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    play.run();
    play.pass(14 * SECOND);
    play.run();
    assert!(!alice.is_dropped());
    play.pass(SECOND);
    play.run();
    assert!(alice.is_dropped() && alice.read().is_empty(), "dropped without a close frame");
    assert_eq!(bob.receive(), [r#"{"type":"presence","id":"alice","online":false}"#]);
}

#[test]
fn pause_of_the_server_drops_no_client_that_sent_in_time() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let late = play.connect();
    play.run();
    play.pass(Duration::from_secs(26));
    play.run();
    assert_eq!(alice.receive(), ["ping"]);
    let [bob] = play.join(["bob"]);
    play.pass(Duration::from_secs(60));
    // Bytes sent in time wait in the kernel, which has not reported them yet: the first turn after
    // the pause has no events.
    alice.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    bob.send_text(&send("alice", "still there?"));
    play.server.turn(play.now, &[]);
    assert!(!alice.is_dropped() && !bob.is_dropped() && late.is_dropped());
    play.run();
    assert_eq!(alice.receive(), [message("bob", "still there?", 1)]);
}

#[test]
fn deadlines_of_removed_connections_do_not_pile_up() {
    let mut play = Play::new();
    for _ in 0..5000 {
        let client = play.connect();
        client.reset();
        play.turn();
        play.clients.clear();
    }
    assert!(play.server.deadlines.len() <= DEADLINES_SPARE + 1);
}

/// As after a sleep of the machine: a client that sends does not wait until all others have been
/// pinged.
#[test]
fn deadlines_due_at_once_are_spread_over_several_turns() {
    let mut play = Play::with(1000, |_| {});
    let silent: Vec<Client> = (0..2 * DEADLINES_PER_TURN)
        .map(|n| {
            let client = play.open();
            client.send_text(&join(&format!("silent{n}")));
            play.run();
            client.read();
            client
        })
        .collect();
    let pinged = || silent.iter().filter(|client| client.read() == [0x89, 0]).count();
    // The entries in the list are those of the join timeout. They come up, and go in again for the
    // pings.
    play.now.instant += Duration::from_secs(26);
    play.run();
    assert_eq!(pinged(), silent.len(), "every client is pinged");
    silent.iter().for_each(|client| client.send_bytes(&frame(OpCode::Control(Control::Pong), b"")));
    play.run();
    play.now.instant += Duration::from_secs(26);
    for _ in 0..2 {
        play.turn();
        assert_eq!(pinged(), DEADLINES_PER_TURN);
    }
    play.turn();
    assert_eq!(pinged(), 0);
}

#[test]
fn clock_changes_move_no_deadline_and_repeat_no_mid() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    let (hour, year) = (3_600_000, 365 * 24 * 3_600_000);
    let mut mids = std::collections::HashSet::new();
    for unix_ms in [2 * hour, hour, hour + year, 0, hour] {
        play.now.unix_ms = unix_ms;
        let due = play.sleep();
        alice.send_text(&send("bob", "what time is it?"));
        play.run();
        assert_eq!(play.sleep(), due);
        let received: serde_json::Value =
            serde_json::from_str(&bob.receive().concat()).expect("JSON");
        assert_eq!(received["at"], unix_ms);
        assert!(mids.insert(received["mid"].clone()), "{received}");
    }
    assert!(!alice.is_dropped() && !bob.is_dropped());
}
