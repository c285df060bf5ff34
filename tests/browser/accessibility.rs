//! axe-core objects to nothing, on any screen and in either colour scheme.

use serde_json::json;

use crate::encryption::{CHANGED, COMPARE, Stage};
use crate::engine::Engine;
use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn axe_accepts_the_page_from_joining_to_a_conversation() {
    let server = Server::start(&[]);
    let alice = Browser::visit(server.address);
    alice.find("textbox", "Your ID");
    alice.assert_accessible();
    alice.join_as("alice");
    alice.assert_accessible();
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("hello");
    alice.wait_for_state("hello", &["Sent"]);
    bob.say(json!({"type": "send", "to": "alice", "body": "see https://example.org/"}));
    bob.say(json!({"type": "send", "to": "alice", "body": {"not": "a text"}}));
    drop(bob);
    alice.write("gone already?");
    alice.wait_for_state("gone already?", &["Failed", "Waiting"]);
    alice.assert_accessible();
    alice.resize(320, 568);
    alice.assert_accessible();
}

#[test]
fn axe_accepts_a_request_of_a_stranger() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    Client::join(&server, "bob")
        .say(json!({"type": "send", "to": "alice", "body": "do you know me?"}));
    alice.open("bob…");
    alice.find("button", "Accept");
    alice.assert_accessible();
}

#[test]
fn axe_accepts_an_invitation_a_suggestion_and_a_blocked_peer() {
    let server = Server::start(&[]);
    let alice = Browser::start(&[]);
    alice.go(&format!("{}#to=bob", home(server.address)));
    alice.wait_for_text("paragraph", "bob invites you…");
    alice.assert_accessible();
    alice.join_as("alice");
    alice.enter("textbox", "Chat with", "Bob");
    alice.find("button", "Open Bob");
    alice.assert_accessible();
    alice.click("button", "More…");
    alice.find("dialog", "bob");
    alice.assert_accessible();
    alice.click("button", "Block");
    alice.find("button", "Unblock");
    alice.assert_accessible();
}

#[test]
fn axe_accepts_the_settings() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.click("button", "Settings");
    alice.find("dialog", "…");
    alice.assert_accessible();
}

#[test]
fn axe_accepts_the_question_about_keys_and_the_numbers() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    alice.compare_numbers(COMPARE);
    alice.assert_accessible();
    alice.click("button", "Close");
    let bob = stage.replaced(bob);
    bob.chat_with("alice");
    bob.write("new phone");
    alice.wait_for_text("alert", CHANGED);
    alice.wait_for_message("From another device: it may not be bob");
    alice.assert_accessible();
    alice.resize(320, 568);
    alice.assert_accessible();
}

#[test]
fn axe_accepts_the_recovery_code_and_its_field() {
    let server = Server::start(&[]);
    let alice = Browser::visit(server.address);
    alice.click("button", "I have a recovery code");
    alice.find("textbox", "Recovery code");
    alice.assert_accessible();
    alice.join_as("alice");
    alice.recovery_code();
    alice.assert_accessible();
}

#[test]
fn axe_accepts_a_tab_that_is_not_active() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.new_tab();
    alice.go(&home(server.address));
    alice.find("button", "Use here");
    alice.assert_accessible();
}

impl Browser {
    #[track_caller]
    fn assert_accessible(&self) {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path).expect("tests/run installs it");
        let script = "
            const results = await axe.run(document, { resultTypes: ['violations'] });
            return results.violations.map(({ id, help, nodes }) =>
              [id, help, ...nodes.map(({ html }) => html)]);
        ";
        for scheme in ["light", "dark"] {
            self.prefer_colours(scheme);
            let violations =
                self.run(&format!("{axe}; return (async () => {{ {script} }})();"), json!([]));
            assert_eq!(violations, json!([]), "in {scheme}: {violations:#}");
        }
    }
}
