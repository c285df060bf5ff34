//! Two tabs of one profile are one person: one of them is active.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn a_second_tab_takes_over_when_asked_and_keeps_it() {
    let server = Server::start(&[]);
    take_over(&server, &Browser::start(&[]), &home(server.address), true);
}

/// Over plain http and by another name than that of the loopback, browsers have no Web Locks, no
/// clipboard and more. So a tab cannot know of another one before it has taken the id from it.
#[test]
fn a_second_tab_takes_over_without_a_secure_context_too() {
    let server = Server::start(&["--origin", "http://chat.test"]);
    let rules =
        format!("--host-resolver-rules=MAP chat.test:80 {}, MAP * ~NOTFOUND", server.address);
    let browser =
        Browser::start(&[&rules, "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode"]);
    browser.go("http://chat.test/");
    assert_eq!(
        browser.run("return [isSecureContext, location.protocol];", json!([])),
        json!([false, "http:"])
    );
    take_over(&server, &browser, "http://chat.test/", false);
}

/// `asks`: the second tab leaves the id to the first until it is told otherwise.
fn take_over(server: &Server, alice: &Browser, url: &str, asks: bool) {
    alice.go(url);
    alice.join_as("alice");
    alice.chat_with("bob");
    alice.write("hello");
    let mut bob = Client::join(server, "bob");
    let first = alice.tab();
    let second = alice.new_tab();
    alice.go(url);
    alice.wait_for_text("status", if asks { "Open in another tab…" } else { "Connected" });
    let (waiting, having) = if asks { (&second, &first) } else { (&first, &second) };
    for (active, other) in [(waiting, having), (having, waiting)] {
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
