//! Strangers and attackers: they can show their words on the page, and do nothing else to it.

use serde_json::{Value, json};

use crate::page::next_message;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, ENTER, wait_for};

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
fn blocked_peer_is_shown_as_blocked_and_nothing_else() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "buy this"}));
    alice.open("bob…");
    alice.click("button", "Block");
    wait_for("blocked state", || alice.has_conversation("bob…blocked…").then_some(()));
    assert!(!alice.has_conversation("…online…") && !alice.has_conversation("…buy this…"));
    alice.click("button", "Unblock");
    wait_for("presence", || alice.has_conversation("bob…online…").then_some(()));
}

#[test]
fn deleted_conversation_is_gone_also_after_a_reload() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    for peer in ["bob", "typo"] {
        alice.chat_with(peer);
        alice.write("hello");
    }
    alice.delete_conversation("Delete the conversation with typo from this browser? …arrived.");
    assert!(alice.has_conversation("bob…") && !alice.has_conversation("typo…"));
    alice.reload();
    alice.open("bob…");
    assert!(!alice.has_conversation("typo…"));
    alice.chat_with("typo");
    assert!(alice.told("hello").is_empty());
}

#[test]
fn deleted_conversation_of_a_blocked_peer_stays_blocked() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "buy this"}));
    alice.open("bob…");
    alice.click("button", "Block");
    alice.delete_conversation("…bob stays blocked.");
    alice.reload();
    alice.wait_for_text("status", "Connected");
    assert!(!alice.has_conversation("bob…"));
    bob.say(json!({"type": "send", "to": "alice", "body": "and this", "ref": "again"}));
    let answer = std::iter::repeat_with(|| bob.hear()).find(|line| line["ref"] == "again");
    assert_eq!(answer.expect("an answer")["code"], "offline");
    alice.enter("textbox", "Chat with", "bob");
    alice.click("button", "Open");
    alice.find("button", "Unblock");
    assert!(alice.has_conversation("bob…blocked…"));
}

#[test]
fn typed_id_finds_the_known_one_without_regard_to_case() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut stranger = Client::join(&server, "bob");
    stranger.say(json!({"type": "send", "to": "alice", "body": "hi"}));
    wait_for("request", || alice.has_conversation("bob…").then_some(()));
    alice.enter("textbox", "Chat with", "Bob");
    alice.find("button", "Open bob");
    alice.click("button", "Open");
    assert_eq!(alice.focus(), ("button".into(), "Open bob".into()));
    alice.press(ENTER);
    alice.find("heading", "bob");
    // A stranger does not become a friend by a typing error.
    alice.find("button", "Accept");
    alice.wait_until_gone("button", "Open bob");
    alice.enter("textbox", "Chat with", "Bob");
    alice.click("button", "Open Bob");
    alice.find("heading", "Bob");
}

#[test]
fn id_that_no_one_holds_is_told_apart_from_one_that_is_away() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    for peer in ["typo", "bob"] {
        alice.chat_with(peer);
        wait_for("answer", || {
            alice.has_conversation(&format!("{peer}…no one here by this ID…")).then_some(())
        });
    }
    let mut bob = Client::join(&server, "bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "here I am"}));
    wait_for("presence", || alice.has_conversation("bob…online…").then_some(()));
    drop(bob);
    wait_for("absence", || alice.has_conversation("bob…away…").then_some(()));
    assert!(alice.has_conversation("typo…no one here by this ID…"));
}

#[test]
fn forgotten_id_leaves_nothing_in_the_browser() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.write("hello");
    alice.click("button", "Settings");
    alice.click("switch", "Play a sound…");
    alice.click("button", "Delete everything…");
    alice.click("button", "Delete");
    alice.find("textbox", "Your ID");
    let left = alice
        .run("return [...Object.keys(localStorage), ...Object.keys(sessionStorage)];", json!([]));
    assert_eq!(left, json!([]));
    alice.join_as("alice");
    alice.find("image", "Your invite link as a QR code");
    alice.click("button", "Settings");
    let sound = alice.find("switch", "Play a sound…");
    assert_eq!(alice.run("return arguments[0].checked;", json!([sound.argument()])), json!(false));
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
    /// Deletes the open conversation, if the question is this.
    #[track_caller]
    fn delete_conversation(&self, question: &str) {
        self.click("button", "More…");
        self.click("button", "Delete this conversation");
        self.wait_for_text("paragraph", question);
        self.click("button", "Delete");
        self.wait_until_gone("log", "Messages");
    }

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
