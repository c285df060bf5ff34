//! Deadlines: to join, to answer a ping, and many of them at once.

use super::*;

#[test]
fn a_client_that_does_not_join_in_time_hears_1008() {
    let mut play = Play::new();
    let client = play.open();
    client.say(&join("not an id"));
    play.run();
    client.hears();
    play.pass(9 * SECOND);
    play.run();
    assert_eq!(client.hears(), [""; 0]);
    play.pass(SECOND);
    play.run();
    assert_eq!(client.hears(), ["close 1008"]);
}

#[test]
fn a_silent_client_is_pinged_and_then_gone() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.say(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.hears();
    play.pass(25 * SECOND);
    play.run();
    assert_eq!(alice.hears(), ["ping"]);
    assert_eq!(bob.hears(), ["ping"]);
    bob.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    play.run();
    play.pass(14 * SECOND);
    play.run();
    assert!(!alice.is_dropped());
    play.pass(SECOND);
    play.run();
    assert!(alice.is_dropped() && alice.read().is_empty(), "without a close frame");
    assert_eq!(bob.hears(), [r#"{"type":"presence","id":"alice","online":false}"#]);
}

#[test]
fn nobody_is_dropped_for_a_pause_of_the_servers() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let late = play.connect();
    play.run();
    play.pass(Duration::from_secs(26));
    play.run();
    assert_eq!(alice.hears(), ["ping"]);
    let [bob] = play.join(["bob"]);
    play.pass(Duration::from_secs(60));
    // What was said in time lies in the kernel, which has not told of it: the first turn has no
    // events.
    alice.send_bytes(&frame(OpCode::Control(Control::Pong), b""));
    bob.say(&send("alice", "still there?"));
    play.server.turn(play.now, &[]);
    assert!(!alice.is_dropped() && !bob.is_dropped() && late.is_dropped());
    play.run();
    assert_eq!(alice.hears(), [message("bob", "still there?", 1)]);
}

#[test]
fn deadlines_of_those_who_are_gone_do_not_pile_up() {
    let mut play = Play::new();
    for _ in 0..5000 {
        let client = play.connect();
        client.reset();
        play.turn();
        play.clients.clear();
    }
    assert!(play.server.deadlines.len() <= DEADLINES_SPARE + 1);
}

/// The machine slept, say. Who talks does not wait until all others have been pinged.
#[test]
fn deadlines_that_come_up_all_at_once_are_looked_at_a_few_at_a_time() {
    let mut play = Play::with(1000, |_| {});
    let silent: Vec<Client> = (0..2 * DEADLINES_PER_TURN)
        .map(|n| {
            let client = play.open();
            client.say(&join(&format!("silent{n}")));
            play.run();
            client.read();
            client
        })
        .collect();
    let pinged = || silent.iter().filter(|client| client.read() == [0x89, 0]).count();
    // Entries were made for the time to join in: they come up, and go in again for the pings.
    play.now.instant += Duration::from_secs(26);
    play.run();
    assert_eq!(pinged(), silent.len(), "nobody is forgotten");
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
fn clocks_that_are_set_change_no_deadline_and_repeat_no_mid() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    let (hour, year) = (3_600_000, 365 * 24 * 3_600_000);
    let mut mids = std::collections::HashSet::new();
    for unix_ms in [2 * hour, hour, hour + year, 0, hour] {
        play.now.unix_ms = unix_ms;
        let due = play.server.sleep(play.now.instant);
        alice.say(&send("bob", "what time is it?"));
        play.run();
        assert_eq!(play.server.sleep(play.now.instant), due);
        let heard: serde_json::Value = serde_json::from_str(&bob.hears().concat()).expect("JSON");
        assert_eq!(heard["at"], unix_ms);
        assert!(mids.insert(heard["mid"].clone()), "{heard}");
    }
    assert!(!alice.is_dropped() && !bob.is_dropped());
}
