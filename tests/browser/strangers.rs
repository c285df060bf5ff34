//! Strangers and attackers: they can show their words on the page, and do nothing else to it.

use serde_json::{Value, json};

use crate::page::next_message;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};

#[test]
fn links_of_a_stranger_are_inert_until_accepted() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "https://example.org/"}));
    alice.open("bob…");
    alice.find("button", "Block");
    alice.wait_for_message("https://example.org/");
    assert!(!alice.has("link", "https:…"));
    alice.click("button", "Accept");
    alice.find("link", "https://example.org/…");
    alice.wait_until_gone("button", "Accept");
    alice.write("welcome");
    assert_eq!(next_message(&mut bob), "welcome");
}

#[test]
fn blocked_stranger_is_told_that_the_reader_is_offline() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "buy this"}));
    alice.open("bob…");
    alice.click("button", "Block");
    // The `block` of her page may still be on its way.
    wait_for("refusal", || {
        bob.say(json!({"type": "send", "to": "alice", "body": "and this", "ref": "again"}));
        let answer = std::iter::repeat_with(|| bob.hear()).find(|line| line["ref"] == "again");
        answer.filter(|line| line["code"] == "offline")
    });
}

#[test]
fn hostile_ids_and_bodies_do_no_harm() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let harmful = "<img src=x onerror=\"globalThis.harmed=true\">";
    let word = "W".repeat(60_000);
    let bodies = [
        harmful,
        "<script>globalThis.harmed=true</script>",
        "javascript:globalThis.harmed=true",
        "\u{202E}gpj.exe",
        &word,
    ];
    let heaped = format!("a{}", "\u{0336}".repeat(31));
    let ids = ["__proto__", "constructor", &"W".repeat(64), "عربي.123", &heaped];
    for id in ids {
        alice.chat_with(id);
        let mut stranger = Client::join(&server, id);
        for body in bodies {
            stranger.say(json!({"type": "send", "to": "alice", "body": body}));
        }
        for body in [json!({"html": harmful}), json!([[]]), json!(null), json!(-0.5), json!("end")]
        {
            stranger.say(json!({"type": "send", "to": "alice", "body": body}));
        }
        alice.wait_for_message("end");
        assert!(alice.has_conversation(&format!("{id}…")));
        for body in &bodies[..4] {
            assert_eq!(alice.told(body).len(), 1, "{body}");
        }
        assert!(!alice.told(&format!("{}…", "W".repeat(1000))).is_empty());
        alice.assert_unharmed();
    }
    let log = alice.texts("log").concat().to_lowercase();
    assert_eq!(log.matches("unsupported message").count(), 4);
    alice.enter("textbox", "Chat with", harmful);
    alice.click("button", "Open");
    alice.wait_for_alert();
    alice.assert_unharmed();
}

#[test]
fn hostile_stranger_does_no_harm_before_being_accepted() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    for body in [
        json!("<img src=x onerror=\"globalThis.harmed=true\">"),
        json!({"a": 1}),
        json!("W".repeat(60_000)),
    ] {
        let id = format!("{}{}", "W".repeat(60), body.to_string().len() % 1000);
        let mut stranger = Client::join(&server, &id);
        stranger.say(json!({"type": "send", "to": "alice", "body": body}));
        alice.open(&format!("{id}…"));
        alice.assert_unharmed();
    }
}

impl Browser {
    /// Asserts that no script ran, nothing was fetched, no link leads into a script, and characters
    /// that turn the direction of writing turn their own text only.
    fn assert_unharmed(&self) {
        self.assert_not_sideways();
        let script = "
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const turning = [];
            while (walker.nextNode()) {
              const { data, parentElement } = walker.currentNode;
              if (data.includes('\\u202e')) turning.push(parentElement);
            }
            return [
              'harmed' in globalThis,
              document.querySelectorAll('[onerror], [src=x]').length,
              [...document.links].filter((link) => !/^(https?|mailto):/.test(link.href)).length,
              turning.filter((element) =>
                !/isolate|plaintext/.test(getComputedStyle(element).unicodeBidi)).length,
            ];
        ";
        let harm: Value = self.run(script, json!([]));
        assert_eq!(harm, json!([false, 0, 0, 0]));
    }
}

#[test]
fn look_alike_of_a_known_id_and_of_a_host_is_marked() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let [mut bob, mut forger] = ["bob", "b0b"].map(|id| Client::join(&server, id));
    alice.chat_with("bob");
    alice.write("hello");
    bob.say(json!({"type": "send", "to": "alice", "body": "see www.p\u{430}ypal.com, or www.paypal.com"}));
    forger.say(json!({"type": "send", "to": "alice", "body": "it's me"}));
    alice.wait_for_message(" (leads to www.xn--pypal-4ve.com)");
    assert_eq!(alice.told("…leads to…").len(), 1);
    alice.find("link", "www.paypal.com…");
    wait_for("mark", || alice.has_conversation("b0b…Looks like bob…").then_some(()));
    assert!(!alice.has_conversation("bob…Looks like…"));
    let is_marked =
        || alice.texts("paragraph").iter().any(|text| text.starts_with("Looks like bob"));
    assert!(!is_marked());
    alice.open("b0b…");
    wait_for("mark above the messages", || is_marked().then_some(()));
}
