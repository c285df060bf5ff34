//! Whole chats: messages, joins, and an id that changes hands.

use super::*;
use crate::limits::GATHERING;

#[test]
fn two_clients_chat() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&send("bob", "hello"));
    play.turn();
    assert_eq!(bob.hears(), [message("alice", "hello", 1)]);
    bob.say(r#"{"type":"send","to":"alice","body":"hi","ref":"r"}"#);
    play.turn();
    assert_eq!(alice.hears(), [message("bob", "hi", 2)]);
    assert_eq!(bob.hears(), [r#"{"type":"sent","ref":"r","mid":"000000000abc-2","at":5}"#]);
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn a_join_may_stand_in_one_segment_with_the_handshake() {
    let mut play = Play::new();
    let alice = play.connect();
    alice.send_bytes(&[HANDSHAKE.as_bytes(), &frame(TEXT, join("alice").as_bytes())].concat());
    play.turn();
    let bytes = alice.read();
    assert!(String::from_utf8_lossy(&bytes).ends_with(&joined("alice")));
}

#[test]
fn what_is_said_to_a_client_in_one_turn_leaves_as_one_message() {
    let mut play = Play::new();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    alice.say(&[send("bob", "1"), send("bob", "2")].join("\n"));
    alice.say(&send("bob", "3"));
    carol.say(&send("bob", "4"));
    bob.say(&send("bob", "5"));
    play.turn_in_order(&[&alice, &carol, &bob]);
    let lines = [("alice", "1"), ("alice", "2"), ("alice", "3"), ("carol", "4"), ("bob", "5")];
    let lines: Vec<String> =
        (1..).zip(lines).map(|(mid, (from, body))| message(from, body, mid)).collect();
    assert_eq!(bob.hears(), [lines.join("\n")]);
}

#[test]
fn that_messages_have_arrived_is_told_together_and_soon_and_with_whatever_else_is_said() {
    let mut play = Play::new();
    let [alice] = play.join(["alice"]);
    let bob = play.open();
    bob.say(&join_with_key("bob"));
    play.run();
    bob.hears();
    let deliver = |play: &mut Play, mid: usize| {
        alice.say(&send("bob", "x"));
        play.run();
        let mid = format!("000000000abc-{mid:x}");
        bob.say(&format!(r#"{{"type":"ack","to":"alice","mids":["{mid}"]}}"#));
        play.run();
        format!(r#"{{"type":"delivered","from":"bob","mids":["{mid}"]}}"#)
    };
    let told = [deliver(&mut play, 1), deliver(&mut play, 2)];
    assert_eq!(alice.hears(), [""; 0], "not yet");
    assert_eq!(play.server.sleep(play.now.instant), Some(GATHERING));
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.hears(), [told.join("\n")]);

    let told = deliver(&mut play, 3);
    bob.say(&send("alice", "thanks"));
    play.turn();
    assert_eq!(alice.hears(), [[told, message("bob", "thanks", 4)].join("\n")], "there is company");
    play.pass(GATHERING);
    play.run();
    assert_eq!(alice.hears(), [""; 0], "and nothing is left");

    let told = deliver(&mut play, 5);
    play.server.shut_down(play.now);
    play.run();
    assert_eq!(alice.hears(), [told, "close 1001".into()], "nor is it lost at an end");
}

#[test]
fn a_text_and_the_end_in_one_segment_are_both_heard_of() {
    let mut play = Play::new();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&send("bob", "my last words"));
    alice.end();
    play.run();
    assert_eq!(bob.hears(), [message("alice", "my last words", 1)]);
    assert!(alice.is_dropped());
}

#[test]
fn an_equal_key_takes_the_id_over_within_a_turn() {
    let mut play = Play::new();
    let [bob] = play.join(["bob"]);
    let [old, new] = [play.open(), play.open()];
    old.say(&join_with_key("alice"));
    play.run();
    old.hears();
    bob.say(r#"{"type":"watch","ids":["alice"]}"#);
    play.run();
    bob.hears();

    bob.say(&send("alice", "to the old"));
    new.say(&join_with_key("alice"));
    old.say(&send("bob", "not read any more"));
    play.turn_in_order(&[&bob, &new, &old]);
    play.run();
    assert_eq!(old.hears(), [message("bob", "to the old", 1), "close 4001".into()]);
    // What was said to the old connection is held, and said to the new one, too.
    let resumed =
        joined("alice").replace(r#""resumed":false,"held":0"#, r#""resumed":true,"held":1"#);
    assert_eq!(new.hears(), [[resumed, message("bob", "to the old", 1)].join("\n")]);
    assert_eq!(bob.hears(), [""; 0], "neither a message nor a change");
    old.end();
    bob.say(&send("alice", "to the new"));
    play.run();
    assert!(old.is_dropped());
    assert_eq!(new.hears(), [message("bob", "to the new", 2)]);
    assert_eq!(bob.hears(), [""; 0]);
}
