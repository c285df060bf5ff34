//! The places of elements on the screen.

use serde_json::json;

use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn narrow_screen_shows_one_pane_and_leads_back() {
    let server = Server::start(&[]);
    let alice = Browser::start(&[]);
    alice.resize(320, 568);
    alice.go(&crate::page::home(server.address));
    alice.find("textbox", "Your ID");
    alice.assert_not_sideways();
    alice.join_as("alice");
    alice.find("textbox", "Chat with");
    alice.assert_not_sideways();
    alice.chat_with("a.peer.with.a.rather.long.id.as.long.as.they.may.be.which.is.64.");
    alice.write(&"a long message ".repeat(20));
    alice.find("button", "Retry…");
    assert!(!alice.has("textbox", "Chat with"));
    alice.assert_not_sideways();
    alice.click("button", "Back");
    alice.find("textbox", "Chat with");
    alice.wait_until_gone("log", "Messages");
    alice.assert_not_sideways();
}

#[test]
fn wide_screen_shows_both_panes() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    for width in [640, 1440] {
        alice.resize(width, 900);
        alice.chat_with("bob");
        alice.find("textbox", "Chat with");
        assert!(!alice.has("button", "Back"));
        alice.assert_not_sideways();
    }
}

#[test]
fn log_at_its_end_follows_new_messages() {
    let server = Server::start(&[]);
    let (alice, mut bob) = long_conversation(&server);
    bob.say(json!({"type": "send", "to": "alice", "body": "the newest"}));
    alice.wait_for_message("the newest");
    alice.wait_for_end();
    assert!(!alice.has("button", "…new message…"));
}

#[test]
fn log_that_is_scrolled_up_stays_and_reports_new_messages() {
    let server = Server::start(&[]);
    let (alice, mut bob) = long_conversation(&server);
    alice.scroll_up();
    let top = alice.top_of("line 20");
    bob.say(json!({"type": "send", "to": "alice", "body": "the newest\n\n\n\nof all"}));
    alice.find("button", "…new message…");
    assert_eq!(alice.top_of("line 20"), top);
    alice.click("button", "…new message…");
    alice.wait_for_end();
    alice.wait_until_gone("button", "…new message…");
}

#[test]
fn sending_scrolls_the_log_to_its_end() {
    let server = Server::start(&[]);
    let (alice, _bob) = long_conversation(&server);
    alice.scroll_up();
    alice.write("mine");
    alice.wait_for_message("mine");
    alice.wait_for_end();
}

/// Returns a conversation with more lines from Bob than any screen shows, its end in view.
fn long_conversation(server: &Server) -> (Browser, Client) {
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    let mut bob = Client::join(server, "bob");
    for n in 1..=40 {
        bob.say(json!({"type": "send", "to": "alice", "body": format!("line {n}")}));
    }
    alice.wait_for_message("line 40");
    alice.wait_for_end();
    (alice, bob)
}
