//! A page and a second implementation of its encryption: the bot of `examples/sealed.rs`.
//!
//! **Invariant**: the bot reaches the server through the tap, like the page, so the tap has all
//! lines of both.

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::Value;

use crate::encryption::{ENCRYPTED, Stage};
use crate::engine::Engine;
use crate::example::Program;
use crate::webdriver::{Browser, wait_for};

/// Starts the bot under the id `echo`, and returns it with its safety number.
fn start_bot(stage: &Stage) -> (Program, String) {
    let mut bot = Program::start("sealed", &[&format!("ws://{}/ws", stage.tap.address), "echo"]);
    let number = bot.read_line().strip_prefix("echo is ").expect("its number").to_owned();
    assert_eq!(bot.read_line(), "joined");
    (bot, number)
}

/// Writes a text, and waits for its echo.
#[track_caller]
fn write_and_hear(page: &Browser, text: &str) {
    page.write(text);
    wait_for(&format!("echo of {text}"), || (page.told(text).len() == 2).then_some(()));
    page.wait_for_state(text, &["Delivered"]);
}

/// Asserts that sealed messages went both ways, and none of these words.
#[track_caller]
fn assert_sealed(stage: &Stage, words: &[&str]) {
    for to in ["alice", "echo"] {
        let said = stage.tap.said();
        let mut sends = said.iter().filter(|line| line["type"] == "send" && line["to"] == to);
        assert!(sends.clone().count() > 0, "nothing to {to}");
        assert!(sends.all(|line| line["body"]["sealed"] == 1), "{said:?}");
    }
    let wire = stage.tap.all();
    for word in words {
        assert!(!wire.contains(word), "{word}: {wire}");
    }
}

#[test]
fn page_gets_the_echo_of_its_texts_sealed() {
    let stage = Stage::new(Engine::Chromium);
    let (_bot, number) = start_bot(&stage);
    let alice = stage.join("alice");
    alice.chat_with("echo");
    alice.wait_for_text("paragraph", ENCRYPTED);
    let texts = ["hello echo", "Grüße an alle 🎉 \"quoted\" \\", &"long ".repeat(60)];
    for text in texts {
        write_and_hear(&alice, text.trim_end());
    }
    alice.wait_for_text("paragraph", ENCRYPTED);
    assert_eq!(alice.told("…ncrypted…"), [""; 0], "a mark");
    assert_eq!(alice.told("…missing…"), [""; 0]);
    assert_sealed(&stage, &["hello", "quoted", "long long"]);
    alice.click("button", "More about this conversation");
    alice.open_part("Compare safety numbers");
    wait_for("the bot's number", || alice.numbers().contains(&number).then_some(()));
}

#[test]
fn bot_writes_first_to_an_open_page_and_is_answered() {
    let stage = Stage::new(Engine::Chromium);
    let (mut bot, _) = start_bot(&stage);
    let alice = stage.join("alice");
    bot.write_line("alice good morning");
    alice.open("echo…");
    alice.wait_for_message("good morning");
    alice.click("button", "Accept");
    alice.wait_for_text("paragraph", ENCRYPTED);
    write_and_hear(&alice, "same to you");
    bot.write_line("alice what a day");
    alice.wait_for_message("what a day");
    assert_eq!(alice.told("…ncrypted…"), [""; 0], "a mark");
    assert_sealed(&stage, &["morning", "same to you", "what a day"]);
}

#[test]
fn damaged_messages_are_asked_for_and_sealed_again() {
    let stage = Stage::new(Engine::Chromium);
    let (_bot, _) = start_bot(&stage);
    let alice = stage.join("alice");
    alice.chat_with("echo");
    alice.wait_for_text("paragraph", ENCRYPTED);
    // The first message of each is damaged once on its way from the server.
    let damaged = Mutex::new(HashSet::new());
    stage.tap.change(move |line: &mut Value| {
        let from = line["from"].as_str().unwrap_or_default().to_owned();
        if line["type"] == "message" && damaged.lock().expect("one thread").insert(from) {
            line["body"]["enc"] = line["body"]["for"].clone();
        }
    });
    write_and_hear(&alice, "hello echo");
    assert_eq!(alice.told("Could not be decrypted…"), [""; 0]);
    assert_eq!(stage.tap.said().iter().filter(|line| line["type"] == "send").count(), 4);
    assert_sealed(&stage, &["hello", "lost"]);
}
