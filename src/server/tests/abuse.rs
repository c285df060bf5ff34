//! Abuse: a client, or many at once, that must not delay the others or take their memory.

use super::*;
use crate::limits::NOTICES_PER_TURN;

#[test]
fn popular_id_that_comes_and_goes_delays_no_other_chat() {
    const WATCHERS: usize = 2000;
    let mut play = Play::with(WATCHERS + 10, |_| {});
    let [alice, bob] = play.join(["alice", "bob"]);
    let watchers: Vec<Client> =
        (0..WATCHERS).map(|n| play.join([&*format!("w{n}")])).map(|[client]| client).collect();
    watchers.iter().for_each(|watcher| watcher.send_text(r#"{"type":"watch","ids":["star"]}"#));
    play.run();
    watchers.iter().for_each(|watcher| drop(watcher.receive()));

    let mut notices = 0;
    for turn in 1..=4 {
        let star = play.connect();
        star.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, join("star").as_bytes())].concat());
        play.turn();
        star.end();
        alice.send_text(&send("bob", "meanwhile"));
        play.turn();
        assert_eq!(
            bob.receive(),
            [message("alice", "meanwhile", turn)],
            "delivered in the same turn"
        );
        let now: usize = watchers.iter().map(|watcher| watcher.receive().len()).sum();
        assert!(now <= 2 * NOTICES_PER_TURN, "{now} notices in two turns");
        notices += now;
    }
    assert!(notices > 0);
    let [_star] = play.join(["star"]);
    let is_last =
        |watcher: &Client| watcher.receive().concat().ends_with(r#""id":"star","online":true}"#);
    assert!(watchers.iter().all(is_last), "each watcher ends with the final state");
}

#[test]
fn announced_frames_take_only_the_memory_of_their_headers() {
    let mut play = Play::with(10_000, |_| {});
    let announced = &frame(TEXT, &[b'x'; 65_536])[..14];
    for _ in 0..10_000 {
        let client = play.connect();
        client.send_bytes(&[HANDSHAKE.as_bytes(), announced].concat());
    }
    play.run();
    assert_eq!(play.buffered_bytes(), (0, 10_000 * announced.len()));
    // No client has joined or completed its message, so all of them are closed.
    play.pass(10 * SECOND);
    play.run();
    assert!(play.clients.iter().all(|client| client.read().ends_with(&1008u16.to_be_bytes())));
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn reader_of_one_byte_a_second_is_dropped_at_a_full_outbox() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.set_window(1);
    let mut seconds = 0;
    while !bob.is_dropped() {
        alice.send_text(&send("bob", &"x".repeat(10_000)));
        play.run();
        bob.read();
        play.pass(SECOND);
        seconds += 1;
        assert!(seconds < 60, "more than an outbox is waiting");
    }
    assert!(seconds > 50, "dropped before the outbox was full");
    assert!(alice.receive().concat().contains(r#""code":"slow","to":"bob""#));
    assert_eq!(play.buffered_bytes(), (0, 0));
}
