//! The messages of a conversation: their days, the clipboard, the way to each of them.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};

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
