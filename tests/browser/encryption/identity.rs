//! The identity of a peer: known from its invite link, compared by numbers, kept over a reload.

use super::{COMPARE, ENCRYPTED, Stage};
use crate::engine::Engine;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};

const VERIFIED: &str = "online · encrypted, verified";

#[test]
fn link_with_the_right_key_makes_its_page_verified() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    let link = alice.invite_link();
    let bob = stage.visit();
    bob.go(&link);
    bob.reload();
    bob.join_as("bob");
    bob.wait_for_text("paragraph", VERIFIED);
    bob.write("hello alice");
    alice.open("bob…");
    alice.wait_for_message("hello alice");
    bob.assert_not_asked();
}

#[test]
fn link_with_another_key_leads_to_the_question() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    let link = alice.invite_link();
    let (start, key) = link.split_at(link.len() - 43);
    let bob = stage.visit();
    bob.go(&format!("{start}{}", key.chars().rev().collect::<String>()));
    bob.reload();
    bob.join_as("bob");
    bob.wait_for_text("alert", "Is this still alice?…");
    bob.write("hello alice");
    bob.wait_for_state("hello alice", &["Failed"]);
    assert!(stage.sends().is_empty());
}

#[test]
fn link_with_a_key_sends_nothing_to_a_client_without() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    let link = alice.invite_link();
    alice.give_up();
    let _plain = Client::join(stage.server(), "alice");
    let bob = stage.visit();
    bob.go(&link);
    bob.reload();
    bob.join_as("bob");
    bob.wait_for_text("alert", "Nothing you write to alice is sent…");
    bob.write("hello alice");
    bob.wait_for_state("hello alice", &["Failed: it couldn’t be encrypted for alice"]);
    assert!(stage.sends().is_empty());
}

#[test]
fn numbers_of_both_pages_agree_and_verify_the_peer() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    let [of_alice, of_bob] = [&alice, &bob].map(|page| page.compare_numbers(COMPARE));
    assert_eq!(of_alice, [of_bob[1].clone(), of_bob[0].clone()]);
    assert_ne!(of_alice[0], of_alice[1]);
    alice.click("button", "Both numbers match");
    alice.wait_for_text("paragraph", "Encrypted, and you’ve verified who it is.");
    alice.click("button", "Close");
    alice.wait_for_text("paragraph", VERIFIED);
    alice.reload();
    alice.wait_for_text("paragraph", VERIFIED);
    assert_eq!(alice.compare_numbers(COMPARE), of_alice);
    alice.click("button", "No longer verified");
    alice.click("button", "Close");
    alice.wait_for_text("paragraph", ENCRYPTED);
}

#[test]
fn page_over_plain_http_says_so_and_writes_plain_text() {
    let server = Server::start(&["--origin", "http://sotto.test"]);
    let rule = format!("--host-resolver-rules=MAP sotto.test:80 {}", server.address);
    let alice = Browser::start(&[&rule]);
    alice.go("http://sotto.test/");
    alice.wait_for_text("paragraph", "Not encrypted: this page came over http…");
    alice.join_as("alice");
    let bob = Browser::join(server.address, "bob");
    alice.chat_with("bob");
    bob.chat_with("alice");
    for page in [&alice, &bob] {
        page.wait_for_text("paragraph", "online · not encrypted");
    }
    alice.write("hello bob");
    bob.wait_for_message("hello bob");
    bob.write("hello alice");
    alice.wait_for_message("hello alice");
    alice.wait_for_state("hello bob", &["Read"]);
    alice.click("button", "More about this conversation");
    alice.wait_for_text("paragraph", "Not encrypted: this page came over http…");
}

impl Browser {
    /// Returns the invite link, which an empty list shows.
    #[track_caller]
    fn invite_link(&self) -> String {
        wait_for("invite link with a key", || {
            self.texts("paragraph").into_iter().find(|text| text.contains("&key="))
        })
    }
}
