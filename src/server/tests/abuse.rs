//! What no single client may do to the others, and what is the same however many there are.

use super::*;
use crate::limits::NOTICES_PER_TURN;

#[test]
fn a_popular_id_that_comes_and_goes_stops_nobody_elses_chat() {
    const WATCHERS: usize = 2000;
    let mut play = Play::with(WATCHERS + 10, |_| {});
    let [alice, bob] = play.join(["alice", "bob"]);
    let watchers: Vec<Client> =
        (0..WATCHERS).map(|n| play.join([&*format!("w{n}")])).map(|[client]| client).collect();
    watchers.iter().for_each(|watcher| watcher.say(r#"{"type":"watch","ids":["star"]}"#));
    play.run();
    watchers.iter().for_each(|watcher| drop(watcher.hears()));

    let mut told = 0;
    for turn in 1..=4 {
        let star = play.connect();
        star.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, join("star").as_bytes())].concat());
        play.turn();
        star.end();
        alice.say(&send("bob", "meanwhile"));
        play.turn();
        assert_eq!(bob.hears(), [message("alice", "meanwhile", turn)], "in the very turn");
        let now: usize = watchers.iter().map(|watcher| watcher.hears().len()).sum();
        assert!(now <= 2 * NOTICES_PER_TURN, "{now} were told in two turns");
        told += now;
    }
    assert!(told > 0);
    let [_star] = play.join(["star"]);
    let is_last =
        |watcher: &Client| watcher.hears().concat().ends_with(r#""id":"star","online":true}"#);
    assert!(watchers.iter().all(is_last), "each is told what lasts");
}

#[test]
fn ten_thousand_frames_that_are_announced_take_the_memory_of_their_headers() {
    let mut play = Play::with(10_000, |_| {});
    let announced = &frame(TEXT, &[b'x'; 65_536])[..14];
    for _ in 0..10_000 {
        let client = play.connect();
        client.send_bytes(&[HANDSHAKE.as_bytes(), announced].concat());
    }
    play.run();
    assert_eq!(play.held(), (0, 10_000 * announced.len()));
    // Nobody has joined, nor ended what it began.
    play.pass(10 * SECOND);
    play.run();
    assert!(play.clients.iter().all(|client| client.read().ends_with(&1008u16.to_be_bytes())));
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_reader_that_takes_a_byte_a_second_for_ever_is_dropped_when_its_outbox_is_full() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.set_window(1);
    let mut seconds = 0;
    while !bob.is_dropped() {
        alice.say(&send("bob", &"x".repeat(10_000)));
        play.run();
        bob.read();
        play.pass(SECOND);
        seconds += 1;
        assert!(seconds < 60, "more than an outbox waits for him");
    }
    assert!(seconds > 50, "it takes something all the while");
    assert!(alice.hears().concat().contains(r#""code":"slow","to":"bob""#));
    assert_eq!(play.held(), (0, 0));
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

/// What a client says in its life, with everything that a state can be cut in.
fn life() -> Vec<u8> {
    let ping = frame(OpCode::Control(Control::Ping), b"?");
    let watch = r#"{"type":"watch","ids":["alice"]}"#;
    let frames = [
        frame(TEXT, join_with_key("bob").as_bytes()),
        frame(TEXT, [watch, &send("alice", "1")].join("\n").as_bytes()),
        frame_of(TEXT, b" ", false),
        ping,
        frame(OpCode::Data(Data::Continue), b" "),
        frame(OpCode::Control(Control::Close), &1000u16.to_be_bytes()),
    ];
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    [request.as_bytes(), HANDSHAKE.as_bytes(), &frames.concat()].concat()
}

#[test]
fn an_end_behind_any_byte_of_a_life_is_the_end_of_one_connection() {
    let life = life();
    for at in 0..=life.len() {
        for is_reset in [false, true] {
            let mut play = Play::new();
            let [alice] = play.join(["alice"]);
            let bob = play.connect();
            bob.send_bytes(&life[..at]);
            if !is_reset {
                bob.end();
            }
            play.run();
            if is_reset {
                bob.reset();
                play.run();
            }
            assert!(bob.is_dropped(), "{at}");
            assert_eq!((play.server.len(), play.held().1), (1, 0), "{at}");
            alice.hears();
            alice.say(&send("alice", "still here"));
            play.run();
            assert!(alice.hears().concat().contains("still here"), "{at}");
            // The id is free, or its owner's.
            let again = play.open();
            again.say(&join_with_key("bob"));
            play.run();
            assert!(again.hears().concat().contains(r#""type":"joined""#), "{at}");
        }
    }
}
