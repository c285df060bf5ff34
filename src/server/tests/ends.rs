//! Connections that end: by our close code, by a reset or an end at any byte, with the server.

use super::*;
use crate::limits::{LINGER, WRITE_STALL};

#[test]
fn each_end_has_its_close_code() {
    #[track_caller]
    fn check(said: &[u8], close: &str) {
        let mut play = Play::new();
        let [alice, bob] = play.join(["alice", "bob"]);
        alice.send_bytes(said);
        alice.send_bytes(&frame(TEXT, send("bob", "behind the end").as_bytes()));
        bob.say(r#"{"type":"watch","ids":["alice"]}"#);
        play.run();
        assert_eq!(alice.hears(), [close]);
        assert!(bob.hears().concat().ends_with(r#""online":false}"#));
        assert!(!alice.is_dropped() && alice.socket.borrow().shut, "it reads on for a while");
        play.pass(LINGER);
        play.run();
        assert!(alice.is_dropped());
        assert_eq!(play.held(), (0, 0));
    }
    check(&frame(TEXT, br#"{"type":"leave"}"#), "close 1000");
    check(&frame(OpCode::Data(Data::Binary), b""), "close 1003");
    check(&frame(TEXT, b"\xff"), "close 1007");
    check(&frame(TEXT, " ".repeat(65_537).as_bytes()), "close 1009");
    check(&[0x81, 0], "close 1002");
    // The first end counts, also when another stands behind it in the same segment.
    check(&[frame(TEXT, br#"{"type":"leave"}"#), vec![0x81, 0]].concat(), "close 1000");
}

#[test]
fn lines_said_before_an_end_leave_in_front_of_the_close_frame() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.say(&[send("alice", "1"), r#"{"type":"leave"}"#.into(), send("alice", "2")].join("\n"));
    play.turn();
    assert_eq!(alice.hears(), [message("alice", "1", 1), "close 1000".into()]);
}

#[test]
fn when_the_server_stops_everybody_hears_1001_and_those_who_never_read_keep_it_for_a_while_only() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    let [half, http] = [play.open(), play.connect()];
    bob.set_window(0);
    alice.say(&[send("bob", "1"), send("alice", "2")].join("\n"));
    play.turn();
    assert_eq!(play.held().0, 2 + message("alice", "1", 1).len());
    alice.hears();
    play.server.shut_down(play.now);
    assert_eq!(play.server.sleep(play.now.instant), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.hears(), ["close 1001"]);
    assert_eq!(half.hears(), ["close 1001"]);
    assert!(http.is_dropped());
    for client in [&alice, &half] {
        client.send_bytes(&frame(OpCode::Control(Control::Close), &1001u16.to_be_bytes()));
        client.end();
    }
    play.run();
    assert_eq!(play.server.len(), 1, "bob");
    play.pass(WRITE_STALL);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_reset_at_any_call_ends_one_connection_and_no_other() {
    let talk = |play: &mut Play, alice: &Client, bob: &Client| {
        bob.say(&join("bob"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, send("alice", "1").as_bytes(), true));
        alice.say(&send("bob", "2"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, b" ", false));
        bob.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
        bob.send_bytes(&frame(TEXT, b" ")[..3]);
        bob.set_window(5);
        alice.say(&send("bob", "3"));
        play.turn();
        alice.say(&send("bob", "4"));
        play.turn();
        bob.read();
        play.turn();
    };
    for calls in 0..40 {
        let mut play = Play::new();
        let [alice] = play.join(["alice"]);
        let bob = play.connect();
        bob.socket.borrow_mut().calls_left = Some(calls);
        bob.send_bytes(HANDSHAKE.as_bytes());
        play.turn();
        talk(&mut play, &alice, &bob);
        bob.reset();
        play.run();
        assert!(bob.is_dropped(), "{calls}");
        assert_eq!((play.server.len(), play.held()), (1, (0, 0)), "{calls}");
        alice.hears();
        alice.say(&send("alice", "still here"));
        play.run();
        assert!(alice.hears().concat().contains("still here"), "{calls}");
        play.join(["bob"]);
    }
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
