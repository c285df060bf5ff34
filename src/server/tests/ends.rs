//! Ends: with a close code of ours, by a reset or an end of the stream at any byte, by a shutdown.

use super::*;
use crate::limits::{LINGER, WRITE_STALL};

#[test]
fn each_end_has_its_close_code() {
    #[track_caller]
    fn check(input: &[u8], close: &str) {
        let mut play = Play::new();
        let [alice, bob] = play.join(["alice", "bob"]);
        alice.send_bytes(input);
        alice.send_bytes(&frame(TEXT, send("bob", "behind the end").as_bytes()));
        bob.send_text(r#"{"type":"watch","ids":["alice"]}"#);
        play.run();
        assert_eq!(alice.receive(), [close]);
        assert!(bob.receive().concat().ends_with(r#""online":false}"#));
        assert!(!alice.is_dropped() && !alice.socket.borrow().shut, "hers is waited for");
        play.pass(LINGER);
        play.run();
        assert!(alice.is_dropped());
        assert_eq!(play.buffered_bytes(), (0, 0));
    }
    check(&frame(TEXT, br#"{"type":"leave"}"#), "close 1000");
    check(&frame(OpCode::Data(Data::Binary), b""), "close 1003");
    check(&frame(TEXT, b"\xff"), "close 1007");
    check(&frame(TEXT, " ".repeat(65_537).as_bytes()), "close 1009");
    check(&[0x81, 0], "close 1002");
    // The first end counts, even if another follows in the same segment.
    check(&[frame(TEXT, br#"{"type":"leave"}"#), vec![0x81, 0]].concat(), "close 1000");
}

#[test]
fn our_side_is_shut_after_both_close_frames() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.send_text(r#"{"type":"leave"}"#);
    play.run();
    assert_eq!(alice.receive(), ["close 1000"]);
    assert!(!alice.socket.borrow().shut);
    alice.send_bytes(&frame(OpCode::Control(Control::Close), &1000u16.to_be_bytes()));
    play.run();
    assert!(alice.socket.borrow().shut && !alice.is_dropped());
    alice.end();
    play.run();
    assert!(alice.is_dropped());
}

#[test]
fn answers_leave_before_the_answer_to_a_close_frame() {
    let mut play = Play::new();
    let bob = play.open();
    bob.send_text(&join_with_key("bob"));
    play.run();
    bob.receive();
    // All of a client's life in one segment.
    let alice = play.connect();
    let close = frame(OpCode::Control(Control::Close), &1000u16.to_be_bytes());
    let send = r#"{"type":"send","to":"bob","body":"hi","ref":"r"}"#;
    let lines = [&join("alice"), send, "nonsense"].join("\n");
    alice.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, lines.as_bytes()), &close[..]].concat());
    play.run();
    let bytes = alice.read();
    let (texts, rest) = split_frames(&bytes[bytes.len() - frames_len(&bytes)..]);
    assert!(rest.is_empty());
    let [answers, close] = &texts[..] else { panic!("{texts:?}") };
    let kinds = ["joined", "sent", "error"].map(|kind| format!(r#"{{"type":"{kind}""#));
    assert!(answers.lines().zip(&kinds).all(|(line, kind)| line.starts_with(kind)), "{answers}");
    assert_eq!((answers.lines().count(), &**close), (3, "close 1000"));
    assert_eq!(bob.receive(), [message("alice", "hi", 1)]);
}

/// Returns the length of the frames behind the response to a handshake.
fn frames_len(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a response");
    bytes.len() - head - 4
}

#[test]
fn lines_before_an_end_leave_before_the_close_frame() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    alice.send_text(
        &[send("alice", "1"), r#"{"type":"leave"}"#.into(), send("alice", "2")].join("\n"),
    );
    play.turn();
    assert_eq!(alice.receive(), [message("alice", "1", 1), "close 1000".into()]);
}

#[test]
fn shutdown_sends_1001_and_drops_stalled_clients_in_time() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    let [half, http] = [play.open(), play.connect()];
    bob.set_window(0);
    alice.send_text(&[send("bob", "1"), send("alice", "2")].join("\n"));
    play.turn();
    assert_eq!(play.buffered_bytes().0, 2 + message("alice", "1", 1).len());
    alice.receive();
    play.server.shut_down(play.now);
    assert_eq!(play.sleep(), Some(Duration::ZERO));
    play.turn();
    assert_eq!(alice.receive(), ["close 1001"]);
    assert_eq!(half.receive(), ["close 1001"]);
    assert!(http.is_dropped());
    for client in [&alice, &half] {
        client.send_bytes(&frame(OpCode::Control(Control::Close), &1001u16.to_be_bytes()));
        client.end();
    }
    play.run();
    assert_eq!(play.server.len(), 1, "bob is left");
    play.pass(WRITE_STALL);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn reset_at_any_call_ends_that_connection_alone() {
    let talk = |play: &mut Play, alice: &Client, bob: &Client| {
        bob.send_text(&join("bob"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, send("alice", "1").as_bytes(), true));
        alice.send_text(&send("bob", "2"));
        play.turn();
        bob.send_bytes(&frame_of(TEXT, b" ", false));
        bob.send_bytes(&frame(OpCode::Control(Control::Ping), b""));
        bob.send_bytes(&frame(TEXT, b" ")[..3]);
        bob.set_window(5);
        alice.send_text(&send("bob", "3"));
        play.turn();
        alice.send_text(&send("bob", "4"));
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
        assert_eq!((play.server.len(), play.buffered_bytes()), (1, (0, 0)), "{calls}");
        alice.receive();
        alice.send_text(&send("alice", "still here"));
        play.run();
        assert!(alice.receive().concat().contains("still here"), "{calls}");
        play.join(["bob"]);
    }
}

/// Returns a client's whole input, with every state that an end can cut: a request, a handshake,
/// lines, a fragmented message with a ping in it, and a close frame.
fn conversation() -> Vec<u8> {
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
fn end_behind_any_byte_ends_that_connection_alone() {
    let conversation = conversation();
    for at in 0..=conversation.len() {
        for is_reset in [false, true] {
            let mut play = Play::new();
            let [alice] = play.join(["alice"]);
            let bob = play.connect();
            bob.send_bytes(&conversation[..at]);
            if !is_reset {
                bob.end();
            }
            play.run();
            if is_reset {
                bob.reset();
                play.run();
            }
            assert!(bob.is_dropped(), "{at}");
            assert_eq!((play.server.len(), play.buffered_bytes().1), (1, 0), "{at}");
            alice.receive();
            alice.send_text(&send("alice", "still here"));
            play.run();
            assert!(alice.receive().concat().contains("still here"), "{at}");
            // The id is free again, or still owned under the same key.
            let again = play.open();
            again.send_text(&join_with_key("bob"));
            play.run();
            assert!(again.receive().concat().contains(r#""type":"joined""#), "{at}");
        }
    }
}
