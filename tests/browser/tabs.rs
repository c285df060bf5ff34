//! Two tabs of one profile are one person, and one of them is active.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};

#[test]
fn second_tab_takes_the_id_when_asked_and_keeps_it() {
    let server = Server::start(&[]);
    take_over(&server, &Browser::start(&[]), &home(server.address), true);
}

/// Over plain HTTP, and by another name than the loopback's, browsers have no Web Locks, no
/// clipboard and more. So a tab knows of another one only after it has taken the id from it.
#[test]
fn second_tab_takes_the_id_without_a_secure_context() {
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

/// The page that is left still has the lock of the id for a moment, or for long in the browser's
/// back-forward cache.
#[test]
fn page_that_is_left_is_not_taken_for_another_tab() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let status_told = "const seen = []; window.seen = seen;
        new MutationObserver(() => seen.push(document.body.innerText))
          .observe(document.body, { subtree: true, childList: true, characterData: true });";
    for _ in 0..3 {
        alice.reload();
        alice.run(status_told, json!([]));
        alice.wait_for_text("status", "Connected");
        assert!(!alice.run("return seen.join();", json!([])).to_string().contains("another tab"));
    }
    alice.go("about:blank");
    alice.go(&home(server.address));
    alice.wait_for_text("status", "Connected");
    alice.run("history.go(-2);", json!([]));
    alice.wait_for_text("status", "Connected");
}

/// `asks`: the second tab leaves the id to the first until its reader asks for it.
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
        // If the tabs took the id from each other by turns, one of these would find it gone.
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

#[test]
fn replaced_tab_loses_its_count_of_unread_messages() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "hello"}));
    let icon = || alice.run("return document.querySelector('[rel=icon]').href;", json!([]));
    wait_for("count", || alice.title().starts_with("(1) ").then_some(()));
    assert!(icon().as_str().is_some_and(|icon| icon.ends_with("/icon-unread.svg")));
    let first = alice.tab();
    alice.new_tab();
    alice.go(&home(server.address));
    alice.click("button", "Use here");
    alice.wait_for_text("status", "Connected");
    alice.turn_to(&first);
    alice.wait_for_text("status", "Open in another tab…");
    assert!(!alice.title().starts_with('('));
    assert!(icon().as_str().is_some_and(|icon| icon.ends_with("/icon.svg")));
}
