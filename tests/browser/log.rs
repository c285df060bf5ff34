//! The messages of a conversation: their days, the clipboard, the way to each of them.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, fits, wait_for};

/// Gives pages a clock that a test can set, and timers that come at once.
const CLOCK: &str = "
    const [now, repeat] = [Date.now, setInterval];
    let ahead = 0;
    Date.now = () => now() + ahead;
    globalThis.setInterval = (call) => repeat(call, 20);
    globalThis.setAhead = (ms) => { ahead = ms; };
";

/// Starts a browser with this script in front of each page, whose person has joined as alice.
fn alice_with(script: &str, server: &Server) -> Browser {
    let alice = Browser::start(&[]);
    alice.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    alice.go(&home(server.address));
    alice.join_as("alice");
    alice
}

#[test]
fn day_of_a_message_follows_a_clock_that_jumps() {
    let server = Server::start(&[]);
    let alice = alice_with(CLOCK, &server);
    let _bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("hello");
    alice.wait_for_state("hello", &["Sent"]);
    assert_eq!(alice.told("Today"), ["Today"]);
    let day_ms = 86_400_000;
    for (ahead, day) in [(day_ms, "Yesterday"), (0, "Today"), (-3 * day_ms, "…day, …")] {
        alice.run("setAhead(arguments[0]);", json!([ahead]));
        wait_for(day, || {
            (alice.told("…day…").len() == 1 && alice.told(day).len() == 1).then_some(())
        });
    }
}

/// Selects from one text in the log to another, each from its middle on, and copies.
const COPY: &str = "
    const [log, first, last] = arguments;
    const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
    const find = (text) => {
      while (walker.nextNode()) if (walker.currentNode.data === text) return walker.currentNode;
    };
    const from = find(first);
    getSelection().setBaseAndExtent(from, 4, first === last ? from : find(last), 8);
    document.addEventListener('copy', ({ clipboardData }) => {
      globalThis.copied = clipboardData.getData('text/plain');
    }, { once: true });
";

#[test]
fn copied_messages_are_paragraphs_with_name_and_time() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("one and a half");
    bob.say(json!({"type": "send", "to": "alice", "body": "two\nlines, and https://example.org/"}));
    alice.wait_for_message("https://example.org/");
    alice.write("three and more");
    alice.wait_for_state("three and more", &["Sent"]);
    let copied = |first: &str, last: &str| {
        let log = alice.find("log", "Messages");
        alice.run(COPY, json!([log.argument(), first, last]));
        let copy = json!({"type": "rawKeyDown", "key": "c", "modifiers": 2, "commands": ["copy"]});
        alice.devtools("Input.dispatchKeyEvent", copy);
        let copied = wait_for("copy", || {
            let copied = alice.run("return globalThis.copied;", json!([]));
            copied.as_str().map(str::to_owned)
        });
        alice.run("delete globalThis.copied;", json!([]));
        copied
    };
    let texts = copied("one and a half", "three and more");
    let paragraphs: Vec<&str> = texts.split("\n\n").collect();
    let expected = [
        "alice, …M: and a half",
        "bob, …M: two\nlines, and https://example.org/",
        "alice, …M: three an",
    ];
    for (paragraph, expected) in paragraphs.iter().zip(expected) {
        assert!(fits(paragraph, expected), "{paragraph}");
    }
    assert_eq!(paragraphs.len(), expected.len());
    assert_eq!(copied("one and a half", "one and a half"), "and ");
}
