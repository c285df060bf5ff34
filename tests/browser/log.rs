//! The messages of a conversation: their days, the clipboard, the way to each of them.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, END, ENTER, ESCAPE, HOME, fits, wait_for};

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

/// Returns what comes to the clipboard.
fn copied(alice: &Browser, first: &str, last: &str) -> String {
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
}

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
    let texts = copied(&alice, "one and a half", "three and more");
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
    assert_eq!(copied(&alice, "one and a half", "one and a half"), "and ");
}

#[test]
fn folded_message_is_copied_and_printed_as_a_whole() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("before");
    let long = (1..=50).map(|n| format!("long {n}")).collect::<Vec<_>>().join("\n");
    bob.say(json!({"type": "send", "to": "alice", "body": long}));
    alice.find("button", "Show all");
    alice.write("behind it");
    alice.wait_for_state("behind it", &["Sent"]);
    assert!(!alice.texts("log").concat().contains("long 31"));
    let texts = copied(&alice, "before", "behind it");
    let paragraphs: Vec<&str> = texts.split("\n\n").collect();
    assert!(paragraphs[1].ends_with(&long), "{texts}");

    alice.run("dispatchEvent(new Event('beforeprint'));", json!([]));
    alice.devtools("Emulation.setEmulatedMedia", json!({"media": "print"}));
    assert!(alice.texts("log").concat().contains(&long));
    alice.wait_until_gone("button", "…");
    alice.devtools("Emulation.setEmulatedMedia", json!({"media": ""}));
    alice.run("dispatchEvent(new Event('afterprint'));", json!([]));
    alice.find("button", "Show all");
    assert!(!alice.texts("log").concat().contains("long 31"));
}

#[test]
fn search_unfolds_a_long_message() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    let long = (1..=50).map(|n| format!("long {n}")).collect::<Vec<_>>().join("\n");
    bob.say(json!({"type": "send", "to": "alice", "body": long}));
    alice.find("button", "Show all");
    alice.click("button", "More about this conversation");
    alice.click("button", "Search in this conversation");
    alice.press("long 40");
    alice.wait_for_text("log", "…long 40…");
    alice.find("button", "Show less");
}

/// Messages of a conversation that is far longer than the rows of a page.
const MANY: usize = 10_000;

/// So many are held for a client at once.
const PART: usize = 500;

/// Returns a page that was loaded again, with the end of so many messages of Bob's in view.
fn many_messages(server: &Server, many: usize) -> (Browser, Client) {
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.write("hello");
    let mut bob = Client::join(server, "bob");
    for part in 0..many / PART {
        for n in 1..=PART {
            let body = format!("line {}", part * PART + n);
            bob.say(json!({"type": "send", "to": "alice", "body": body}));
        }
        let mut delivered = 0;
        while delivered < PART {
            delivered += bob.hear()["mids"].as_array().map_or(0, Vec::len);
        }
    }
    alice.wait_for_message(&format!("line {many}"));
    alice.reload();
    alice.wait_for_text("status", "Connected");
    alice.wait_for_message(&format!("line {many}"));
    alice.wait_for_end();
    (alice, bob)
}

#[test]
fn home_and_end_reach_the_ends_of_10000_messages() {
    let server = Server::start(&["--rate", "0"]);
    let (alice, _bob) = many_messages(&server, MANY);
    alice.click("textbox", "Message");
    alice.press(HOME);
    alice.wait_for_message("line 1");
    assert!(alice.top_of("line 1") > 0.0);
    assert!(alice.told("line…").len() < 400);
    alice.press(END);
    alice.wait_for_end();
    alice.wait_for_message(&format!("line {MANY}"));
}

#[test]
fn search_finds_a_message_that_has_no_row() {
    let server = Server::start(&["--rate", "0"]);
    let (alice, _bob) = many_messages(&server, 2 * PART);
    let is_in_view = |body: &str| {
        let is_there = !alice.told(body).is_empty();
        is_there && (0.0..600.0).contains(&alice.top_of(body))
    };
    alice.click("button", "More about this conversation");
    alice.click("button", "Search in this conversation");
    alice.press("LINE 30");
    // 30, and 300 to 309.
    alice.wait_for_text("status", "11 of 11");
    wait_for("last match", || is_in_view("line 309").then_some(()));
    alice.press(ENTER);
    alice.wait_for_text("status", "10 of 11");
    wait_for("match before it", || is_in_view("line 308").then_some(()));
    for match_number in [11, 1] {
        alice.click("button", "Later match");
        alice.wait_for_text("status", &format!("{match_number} of 11"));
    }
    wait_for("first match", || is_in_view("line 30").then_some(()));
    alice.press(ESCAPE);
    alice.wait_until_gone("button", "Later match");
    assert!(is_in_view("line 30"), "the reader stays at the match");
    alice.click("button", "To the end");
    alice.wait_for_end();
    alice.wait_until_gone("button", "To the end");
}

#[test]
fn printer_gets_the_whole_conversation_and_nothing_else() {
    let server = Server::start(&["--rate", "0"]);
    let (alice, _bob) = many_messages(&server, 2 * PART);
    let note = "
        addEventListener('beforeprint', () => { globalThis.printed = document.body.innerText; });
        globalThis.print = () => {
          dispatchEvent(new Event('beforeprint'));
          dispatchEvent(new Event('afterprint'));
        };
    ";
    alice.run(note, json!([]));
    let key = json!({"type": "rawKeyDown", "key": "p", "code": "KeyP", "modifiers": 2});
    alice.devtools("Input.dispatchKeyEvent", key);
    let printed = wait_for("print", || {
        alice.run("return globalThis.printed;", json!([])).as_str().map(str::to_owned)
    });
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    for n in 1..=2 * PART {
        assert!(
            lines.iter().any(|line| line.contains(&format!("line {n}"))),
            "line {n} is missing"
        );
    }
    alice.wait_for_end();
    assert!(alice.told("line…").len() < 400);
    alice.devtools("Emulation.setEmulatedMedia", json!({"media": "print"}));
    alice.wait_until_gone("textbox", "…");
    alice.wait_until_gone("button", "…");
    let told = alice.run(
        "const { scrollHeight, clientHeight } = arguments[0]; return scrollHeight <= clientHeight;",
        json!([alice.find("log", "Messages").argument()]),
    );
    assert_eq!(told, true, "all of the log is on paper");
}
