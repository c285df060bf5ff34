//! The page by its contract: roles, names and texts.
//!
//! It does not know any class, id or tag, so any page that keeps the contract would pass.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::Client;
use crate::webdriver::{Browser, ENTER, Element, fits, wait_for};

/// Functions for scripts that get the log as their first argument. Everything that people wrote has
/// to be a text node.
const IN_LOG: &str = "
    const [log, body] = arguments;
    const nodes = [];
    const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) nodes.push(walker.currentNode);
    const found = () => nodes.find((node) => node.data === body);
    const scroller = () => {
      let box = log;
      while (
        box.scrollHeight <= box.clientHeight || getComputedStyle(box).overflowY === 'visible'
      ) {
        box = box.parentElement;
      }
      return box;
    };
";

impl Browser {
    /// Starts a browser whose person has joined.
    #[track_caller]
    pub fn join(address: SocketAddr, id: &str) -> Browser {
        let browser = Browser::visit(address);
        browser.join_as(id);
        browser
    }

    /// Starts a browser at the join screen.
    #[track_caller]
    pub fn visit(address: SocketAddr) -> Browser {
        let browser = Browser::start(&[]);
        browser.go(&home(address));
        browser
    }

    #[track_caller]
    pub fn join_as(&self, id: &str) {
        self.enter("textbox", "Your ID", id);
        self.click("button", "Join");
        self.wait_for_text("status", "Connected");
    }

    #[track_caller]
    pub fn chat_with(&self, peer: &str) {
        self.enter("textbox", "Chat with", peer);
        self.click("button", "Open");
        self.find("textbox", "Message");
    }

    /// Writes to the open conversation.
    #[track_caller]
    pub fn write(&self, text: &str) {
        self.enter("textbox", "Message", &format!("{text}{ENTER}"));
    }

    /// Opens a conversation from the list.
    #[track_caller]
    pub fn open(&self, pattern: &str) {
        wait_for(&format!("conversation {pattern}"), || {
            let found = self.conversation(pattern)?;
            self.try_act(&found, "click", &json!({})).then_some(())
        });
    }

    pub fn has_conversation(&self, pattern: &str) -> bool {
        self.conversation(pattern).is_some()
    }

    fn conversation(&self, pattern: &str) -> Option<Element> {
        let list = self.all("navigation", "Conversations").pop()?;
        self.all_in(&list, "button", pattern).into_iter().next()
    }

    /// Waits for an alert.
    #[track_caller]
    pub fn wait_for_alert(&self) {
        wait_for("alert", || self.texts("alert").into_iter().find(|text| !text.trim().is_empty()));
    }

    /// Returns all texts in the log that fit the pattern, in their order.
    #[track_caller]
    pub fn told(&self, pattern: &str) -> Vec<String> {
        let texts = self.in_log("return nodes.map((node) => node.data);", "");
        let texts = texts.as_array().expect("an array").iter().filter_map(Value::as_str);
        texts.filter(|text| fits(text, pattern)).map(str::to_owned).collect()
    }

    /// Waits for a message.
    #[track_caller]
    pub fn wait_for_message(&self, body: &str) {
        wait_for(&format!("message {body}"), || self.told(body).pop());
    }

    /// Returns the text beside one of the reader's own messages, with the state in it.
    #[track_caller]
    pub fn beside(&self, body: &str) -> String {
        let script = "
            let part = found()?.parentElement;
            const isState = /Sending|Waiting|Withdrawn|Sent|Delivered|Read|Failed/;
            while (part && part !== log && !isState.test(part.textContent)) {
              part = part.parentElement;
            }
            return part?.textContent ?? '';
        ";
        self.in_log(script, body).as_str().expect("a text").replace(body, "")
    }

    /// Waits for one of these states of a message.
    #[track_caller]
    pub fn wait_for_state(&self, body: &str, states: &[&str]) {
        wait_for(&format!("{body}: {states:?}"), || {
            let beside = self.beside(body);
            states.iter().any(|state| beside.contains(state)).then_some(())
        });
    }

    /// Returns the distance of a message from the top of the screen, in pixels.
    #[track_caller]
    pub fn top_of(&self, body: &str) -> f64 {
        let script = "
            const range = document.createRange();
            range.selectNode(found());
            return range.getBoundingClientRect().top;
        ";
        self.in_log(script, body).as_f64().expect("a number")
    }

    /// Scrolls the messages up, halfway to the first.
    #[track_caller]
    pub fn scroll_up(&self) {
        self.in_log("scroller().scrollTop /= 2;", "");
    }

    /// Waits until the last message is in view.
    #[track_caller]
    pub fn wait_for_end(&self) {
        let script = "
            const box = scroller();
            return box.scrollHeight - box.scrollTop - box.clientHeight < 4;
        ";
        wait_for("end of the log in view", || {
            self.in_log(script, "").as_bool().filter(|at_end| *at_end)
        });
    }

    #[track_caller]
    fn in_log(&self, script: &str, body: &str) -> Value {
        let log: Element = self.find("log", "Messages");
        self.run(&format!("{IN_LOG}{script}"), json!([log.argument(), body]))
    }

    /// Returns the left, top, right and bottom of an element on the screen, in pixels.
    #[track_caller]
    pub fn place_of(&self, role: &str, name: &str) -> [f64; 4] {
        let script = "
            const { left, top, right, bottom } = arguments[0].getBoundingClientRect();
            return [left, top, right, bottom];
        ";
        let place = self.run(script, json!([self.find(role, name).argument()]));
        std::array::from_fn(|side| place[side].as_f64().expect("a number"))
    }

    #[track_caller]
    pub fn height_of(&self, role: &str, name: &str) -> f64 {
        let [_, top, _, bottom] = self.place_of(role, name);
        bottom - top
    }

    /// Asserts that nothing is wider than the screen.
    #[track_caller]
    pub fn assert_not_sideways(&self) {
        let root = "const root = document.documentElement;";
        let widths =
            self.run(&format!("{root} return [root.scrollWidth, root.clientWidth];"), json!([]));
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{widths}");
    }
}

/// Returns the body of the next message to a client of the wire. Signals of pages are passed over.
pub fn next_message(client: &mut Client) -> Value {
    loop {
        let line = client.hear();
        if line["type"] == "message" {
            return line["body"].clone();
        }
    }
}

pub fn home(address: SocketAddr) -> String {
    format!("http://{}/", address)
}
