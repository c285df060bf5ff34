//! Whole chats: messages, joins, and an id that changes hands.

use super::*;
use crate::limits::GATHERING;

#[test]
fn two_clients_exchange_messages() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(&send("bob", "hello"));
    play.turn();
    assert_eq!(bob.receive(), [message("alice", "hello", 1)]);
    bob.send_text(r#"{"type":"send","to":"alice","body":"hi","ref":"r"}"#);
    play.turn();
    assert_eq!(alice.receive(), [message("bob", "hi", 2)]);
    assert_eq!(bob.receive(), [r#"{"type":"sent","ref":"r","mid":"000000000abc-2","at":5}"#]);
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn join_in_one_segment_with_the_handshake_is_answered() {
    let mut play = Play::new();
    let alice = play.connect();
    alice.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, join("alice").as_bytes())].concat());
    play.turn();
    let bytes = alice.read();
    assert!(String::from_utf8_lossy(&bytes).ends_with(&joined("alice")));
}

#[test]
fn lines_for_one_client_in_one_turn_leave_as_one_message() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    alice.send_text(&[send("bob", "1"), send("bob", "2")].join("\n"));
    alice.send_text(&send("bob", "3"));
    carol.send_text(&send("bob", "4"));
    bob.send_text(&send("bob", "5"));
    play.turn_in_order(&[&alice, &carol, &bob]);
    let lines = [("alice", "1"), ("alice", "2"), ("alice", "3"), ("carol", "4"), ("bob", "5")];
    let lines: Vec<String> =
        (1..).zip(lines).map(|(mid, (from, body))| message(from, body, mid)).collect();
    assert_eq!(bob.receive(), [lines.join("\n")]);
}

#[test]
fn delivered_lines_are_gathered_or_leave_with_other_lines() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let bob = play.open();
    bob.send_text(&join_with_key("bob"));
    play.run();
    bob.receive();
    let deliver = |play: &mut Play, mid: usize| {
        alice.send_text(&send("bob", "x"));
        play.run();
        let mid = format!("000000000abc-{mid:x}");
        bob.send_text(&format!(r#"{{"type":"ack","to":"alice","mids":["{mid}"]}}"#));
        play.run();
        format!(r#"{{"type":"delivered","from":"bob","mids":["{mid}"]}}"#)
    };
    let delivered = [deliver(&mut play, 1), deliver(&mut play, 2)];
    assert_eq!(alice.receive(), [""; 0], "gathered, not sent yet");
    assert_eq!(play.sleep(), Some(GATHERING));
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.receive(), [delivered.join("\n")]);

    let delivered = deliver(&mut play, 3);
    bob.send_text(&send("alice", "thanks"));
    play.turn();
    assert_eq!(
        alice.receive(),
        [[delivered, message("bob", "thanks", 4)].join("\n")],
        "with other lines they leave at once"
    );
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.receive(), [""; 0], "they were sent already");

    let delivered = deliver(&mut play, 5);
    play.server.shut_down(play.now);
    play.run();
    assert_eq!(
        alice.receive(),
        [delivered, "close 1001".into()],
        "gathered lines leave before a close frame"
    );
}

#[test]
fn text_in_one_segment_with_the_end_is_delivered() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(&send("bob", "my last words"));
    alice.end();
    play.run();
    assert_eq!(bob.receive(), [message("alice", "my last words", 1)]);
    assert!(alice.is_dropped());
}

#[test]
fn equal_key_takes_an_id_over_within_one_turn() {
    let mut play = Play::new();
    let [bob] = play.join(["bob"]);
    let [old, new] = [play.open(), play.open()];
    old.send_text(&join_with_key("alice"));
    play.run();
    old.receive();
    bob.send_text(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.receive();

    bob.send_text(&send("alice", "to the old"));
    new.send_text(&join_with_key("alice"));
    old.send_text(&send("bob", "not read any more"));
    play.turn_in_order(&[&bob, &new, &old]);
    play.run();
    assert_eq!(old.receive(), [message("bob", "to the old", 1), "close 4001".into()]);
    // The message to the old connection was not acknowledged, so the new one gets it, too.
    let resumed =
        joined("alice").replace(r#""resumed":false,"held":0"#, r#""resumed":true,"held":1"#);
    let texts: Vec<String> = new.receive().iter().map(|text| without_ownership(text)).collect();
    assert_eq!(texts, [[resumed, message("bob", "to the old", 1)].join("\n")]);
    assert_eq!(bob.receive(), [""; 0], "neither a message nor a change of presence");
    old.end();
    bob.send_text(&send("alice", "to the new"));
    play.run();
    assert!(old.is_dropped());
    assert_eq!(new.receive(), [message("bob", "to the new", 2)]);
    assert_eq!(bob.receive(), [""; 0]);
}
