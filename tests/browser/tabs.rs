//! Two tabs of one profile are one person: one of them is active.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn a_second_tab_takes_over_when_asked_and_keeps_it() {
    let server = Server::start(&[]);
    take_over(&server, &Browser::start(&[]), &home(server.address));
}

/// Over plain http and by another name than that of the loopback, browsers have no Web Locks, no clipboard and more.
#[test]
fn a_second_tab_takes_over_without_a_secure_context_too() {
    let server = Server::start(&["--origin", "http://chat.test"]);
    let rules = format!("--host-resolver-rules=MAP chat.test:80 {}, MAP * ~NOTFOUND", server.address);
    let browser = Browser::start(&[&rules, "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode"]);
    browser.go("http://chat.test/");
    assert_eq!(
        browser.run("return [isSecureContext, location.protocol];", json!([])),
        json!([false, "http:"])
    );
    take_over(&server, &browser, "http://chat.test/");
}

fn take_over(server: &Server, alice: &Browser, url: &str) {
    alice.go(url);
    alice.join_as("alice");
    alice.chat_with("bob");
    alice.write("hello");
    let mut bob = Client::join(server, "bob");
    let first = alice.tab();
    let second = alice.new_tab();
    alice.go(url);
    alice.wait_for_text("status", "Open in another tab…");
    for (active, other) in [(&second, &first), (&first, &second)] {
        alice.turn_to(active);
        alice.click("button", "Use here");
        alice.wait_for_text("status", "Connected");
        alice.open("bob…");
        alice.turn_to(other);
        alice.wait_for_text("status", "Open in another tab…");
        alice.find("button", "Use here");
        alice.turn_to(active);
        // Were they to take it from each other by turns, one of these would find it gone.
        for n in 1..=20 {
            let body = format!("{n} for {active}");
            bob.say(json!({"type": "send", "to": "alice", "body": body}));
            alice.wait_for_message(&body);
            assert!(alice.texts("status").iter().any(|status| status == "Connected"));
        }
        alice.turn_to(other);
        assert!(alice.has("button", "Use here"));
    }
}
