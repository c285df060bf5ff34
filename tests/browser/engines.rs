//! The main path of two people, and the faults that engines take differently, in each engine.
//!
//! **Invariants**
//! - A behaviour is one function, run by a test for each engine.
//! - Each page has `WITNESS`, so its errors end the test in each engine.

use std::time::Duration;

use serde_json::json;

use crate::engine::Engine;
use crate::page::{home, next_message};
use crate::support::{Client, Server};
use crate::webdriver::{Browser, ENTER, ESCAPE, SHIFT, WITNESS, wait_for};
use crate::wire::Wire;

/// Makes a test for each behaviour and engine.
macro_rules! in_each_engine {
    ($($behaviour:ident,)*) => {$(
        mod $behaviour {
            use super::{Engine, $behaviour};

            #[test]
            fn chromium() {
                $behaviour(Engine::Chromium);
            }

            #[test]
            fn firefox() {
                $behaviour(Engine::Firefox);
            }

            #[test]
            fn webkit() {
                $behaviour(Engine::WebKit);
            }
        }
    )*};
}

pub(crate) use in_each_engine;

in_each_engine![
    error_in_a_page_reaches_its_test,
    two_people_get_each_others_messages,
    reload_keeps_history_id_and_drafts,
    restarted_server_gets_messages_written_meanwhile,
    second_tab_gets_the_id_when_asked,
    storage_that_does_not_open_is_told,
    storage_that_throws_once_keeps_what_follows,
    storage_that_never_opens_lets_people_write,
    lock_that_is_granted_late_is_waited_for,
    back_leads_to_the_list_and_into_the_page_again,
    dialogs_fit_the_screen_and_can_be_left,
    composer_grows_and_leaves_the_last_message_in_view,
    swallowed_message_is_sent_again_once,
    message_after_midnight_has_a_day_of_its_own,
];

fn error_in_a_page_reaches_its_test(engine: Engine) {
    let stage = Stage::with_fault(engine, "setTimeout(() => { throw new Error('played'); });");
    let page = stage.visit();
    wait_for("error", || {
        page.console_errors().iter().any(|error| error.contains("played")).then_some(())
    });
}

fn two_people_get_each_others_messages(engine: Engine) {
    let stage = Stage::new(engine);
    let [alice, bob] = ["alice", "bob"].map(|id| stage.join(id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.write("hello bob");
    bob.wait_for_message("hello bob");
    alice.wait_for_state("hello bob", &["Delivered", "Read"]);
    bob.write("hello alice");
    alice.wait_for_message("hello alice");
    bob.wait_for_state("hello alice", &["Read"]);
    assert_eq!(alice.told("hello…"), ["hello bob", "hello alice"]);
    assert_eq!(bob.told("hello…"), ["hello bob", "hello alice"]);
}

fn reload_keeps_history_id_and_drafts(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    let mut bob = stage.client("bob");
    alice.chat_with("bob");
    alice.write("kept of mine");
    bob.say(json!({"type": "send", "to": "alice", "body": "kept of yours"}));
    alice.wait_for_message("kept of yours");
    alice.wait_for_state("kept of mine", &["Sent"]);
    alice.enter("textbox", "Message", "half a thou");
    alice.reload();
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    alice.wait_for_message("kept of yours");
    assert_eq!(alice.told("kept…"), ["kept of mine", "kept of yours"]);
    alice.enter("textbox", "Message", "ght");
    alice.write("");
    let heard = [next_message(&mut bob), next_message(&mut bob)];
    assert_eq!(heard, ["kept of mine", "half a thought"]);
}

fn restarted_server_gets_messages_written_meanwhile(engine: Engine) {
    let mut stage = Stage::new(engine);
    let alice = stage.join("alice");
    alice.chat_with("bob");
    stage.wire.cut();
    alice.wait_for_text("status", "Reconnecting…");
    for body in ["one", "two"] {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    stage.restart();
    // The new server, which does not know him yet, would refuse them.
    let mut bob = stage.client("bob");
    stage.wire.mend();
    alice.wait_for_text("status", "Connected");
    for body in ["one", "two"] {
        assert_eq!(next_message(&mut bob), body);
        alice.wait_for_state(body, &["Sent"]);
        assert_eq!(alice.told(body).len(), 1);
    }
}

fn second_tab_gets_the_id_when_asked(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    alice.chat_with("bob");
    alice.write("hello");
    let mut bob = stage.client("bob");
    let first = alice.tab();
    alice.new_tab();
    alice.go(&stage.home());
    alice.wait_for_text("status", "Open in another tab…");
    alice.click("button", "Use here");
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    bob.say(json!({"type": "send", "to": "alice", "body": "to the second"}));
    alice.wait_for_message("to the second");
    alice.turn_to(&first);
    alice.wait_for_text("status", "Open in another tab…");
    alice.find("button", "Use here");
}

fn storage_that_does_not_open_is_told(engine: Engine) {
    let stage = Stage::with_fault(
        engine,
        "IDBFactory.prototype.open = () => { throw new DOMException('played', 'UnknownError'); };",
    );
    let alice = stage.join("alice");
    alice.wait_for_text("alert", "This browser doesn’t store messages…");
    assert_conversation(&stage, &alice);
}

fn storage_that_throws_once_keeps_what_follows(engine: Engine) {
    let stage = Stage::with_fault(
        engine,
        "const { put } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = function () {
          IDBObjectStore.prototype.put = put;
          throw new DOMException('played', 'QuotaExceededError');
        };",
    );
    let alice = stage.join("alice");
    assert_conversation(&stage, &alice);
    alice.reload();
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    alice.wait_for_message("hello alice");
    alice.wait_for_message("hello bob");
}

fn storage_that_never_opens_lets_people_write(engine: Engine) {
    // A database that another page keeps from opening is such a one, too.
    let stage = Stage::with_fault(engine, "IDBFactory.prototype.open = () => new EventTarget();");
    let alice = stage.join("alice");
    assert_conversation(&stage, &alice);
}

fn lock_that_is_granted_late_is_waited_for(engine: Engine) {
    let stage = Stage::with_fault(
        engine,
        "const { request } = LockManager.prototype;
        LockManager.prototype.request = async function (...given) {
          await new Promise((resolve) => setTimeout(resolve, 1000));
          return request.apply(this, given);
        };",
    );
    let alice = stage.join("alice");
    assert_conversation(&stage, &alice);
}

fn back_leads_to_the_list_and_into_the_page_again(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.visit();
    alice.resize(390, 844);
    alice.join_as("alice");
    alice.chat_with("bob");
    alice.write("hello");
    // A window may get its size late.
    wait_for("entry in the history", || {
        alice.run("return history.state !== null;", json!([])).as_bool().filter(|there| *there)
    });
    alice.back();
    alice.find("textbox", "Chat with");
    alice.wait_until_gone("log", "Messages");
    alice.forward();
    alice.open("bob…");
    alice.wait_for_message("hello");
    alice.click("button", "Back");
    alice.find("textbox", "Chat with");
    alice.go("about:blank");
    alice.back();
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    alice.wait_for_message("hello");
}

fn dialogs_fit_the_screen_and_can_be_left(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    alice.chat_with("bob");
    alice.write("hello");
    for (width, height) in [(390, 844), (1000, 760)] {
        alice.resize(width, height);
        alice.click("button", "More about this conversation");
        alice.click("button", "Clear this conversation");
        alice.assert_dialog_fits("Cancel");
        alice.click("button", "Cancel");
        alice.wait_until_gone("dialog", "…");
        alice.wait_for_message("hello");
        alice.press(ESCAPE);
        alice.click("button", "Settings");
        alice.assert_dialog_fits("Close");
        alice.press(ESCAPE);
        alice.wait_until_gone("dialog", "…");
        alice.open("bob…");
    }
    alice.click("button", "More about this conversation");
    alice.click("button", "Clear this conversation");
    alice.click("button", "Delete");
    alice.wait_until_gone("dialog", "…");
    wait_for("end of the message", || alice.told("hello").is_empty().then_some(()));
}

fn composer_grows_and_leaves_the_last_message_in_view(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    let mut bob = stage.client("bob");
    alice.chat_with("bob");
    for n in 1..=30 {
        bob.say(json!({"type": "send", "to": "alice", "body": format!("line {n}")}));
    }
    alice.wait_for_message("line 30");
    alice.wait_for_end();
    alice.enter("textbox", "Message", "1");
    for line in ["2", "3", "4", "5", "6"] {
        alice.enter("textbox", "Message", &format!("{SHIFT}{ENTER}"));
        alice.enter("textbox", "Message", line);
    }
    alice.wait_for_end();
    alice.assert_in_view("line 30");
    bob.say(json!({"type": "send", "to": "alice", "body": "line 31"}));
    alice.wait_for_message("line 31");
    alice.wait_for_end();
    alice.assert_in_view("line 31");
    alice.write("");
    assert_eq!(next_message(&mut bob), "1\n2\n3\n4\n5\n6");
}

fn swallowed_message_is_sent_again_once(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    let mut bob = stage.client("bob");
    alice.chat_with("bob");
    alice.write("before");
    assert_eq!(next_message(&mut bob), "before");
    alice.wait_for_state("before", &["Sent"]);
    stage.wire.swallow();
    alice.write("into the void");
    alice.wait_for_state("into the void", &["Sending"]);
    alice.wait_for_text("status", "Reconnecting…");
    stage.wire.mend();
    alice.wait_for_text("status", "Connected");
    assert_eq!(next_message(&mut bob), "into the void");
    alice.write("after");
    assert_eq!(next_message(&mut bob), "after");
    for body in ["into the void", "after"] {
        alice.wait_for_state(body, &["Sent"]);
        assert_eq!(alice.told(body).len(), 1);
    }
}

fn message_after_midnight_has_a_day_of_its_own(engine: Engine) {
    let stage = Stage::new(engine);
    let alice = stage.join("alice");
    let mut bob = stage.client("bob");
    alice.chat_with("bob");
    alice.write("before midnight");
    alice.wait_for_state("before midnight", &["Sent"]);
    assert_eq!(alice.told("Today"), ["Today"]);
    alice.turn_clock(Duration::from_secs(24 * 60 * 60));
    alice.write("after midnight");
    alice.wait_for_message("after midnight");
    wait_for("days", || (alice.told("…day") == ["Yesterday", "Today"]).then_some(()));
    assert_eq!(
        [next_message(&mut bob), next_message(&mut bob)],
        ["before midnight", "after midnight"]
    );
}

/// A server, and browsers of one engine that reach it through one wire.
struct Stage {
    engine: Engine,
    server: Option<Server>,
    wire: Wire,
}

impl Stage {
    fn new(engine: Engine) -> Stage {
        Stage::with_fault(engine, "")
    }

    /// Runs this script before the page's own.
    fn with_fault(engine: Engine, script: &str) -> Stage {
        let server = Server::start(&[]);
        let wire = Wire::with_script(server.address, &format!("{WITNESS}{{ {script} }}"));
        Stage { engine, server: Some(server), wire }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is being started again")
    }

    /// Kills the server, and starts another at its address.
    fn restart(&mut self) {
        let address = self.server().address.to_string();
        drop(self.server.take());
        self.server = Some(Server::start(&["--listen", &address]));
    }

    fn home(&self) -> String {
        home(self.wire.address)
    }

    #[track_caller]
    fn visit(&self) -> Browser {
        let browser = Browser::start_in(self.engine);
        browser.go(&self.home());
        browser
    }

    #[track_caller]
    fn join(&self, id: &str) -> Browser {
        let browser = self.visit();
        browser.join_as(id);
        browser
    }

    /// Joins without a browser and past the wire.
    fn client(&self, id: &str) -> Client {
        Client::join(self.server(), id)
    }
}

/// Asserts that alice and a new bob can write to each other.
#[track_caller]
fn assert_conversation(stage: &Stage, alice: &Browser) {
    let mut bob = stage.client("bob");
    alice.chat_with("bob");
    alice.write("hello bob");
    assert_eq!(next_message(&mut bob), "hello bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "hello alice"}));
    alice.wait_for_message("hello alice");
    alice.wait_for_state("hello bob", &["Sent"]);
}

impl Browser {
    /// Waits for a dialog with this button, and asserts that the button can be read, and that the
    /// dialog is not as high as the screen.
    #[track_caller]
    fn assert_dialog_fits(&self, button: &str) {
        let button = self.find("button", button);
        let dialog = self.find("dialog", "…");
        let script = "
            const within = (inner, outer) => inner.left >= outer.left && inner.right <= outer.right
              && inner.top >= outer.top && inner.bottom <= outer.bottom;
            const [dialog, button] = arguments;
            const box = dialog.getBoundingClientRect();
            const buttonBox = button.getBoundingClientRect();
            const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
            const text = document.createRange();
            text.selectNodeContents(button);
            return within(box, screen) && box.height < 0.9 * innerHeight && within(buttonBox, box)
              && within(text.getBoundingClientRect(), buttonBox)
              || JSON.stringify([innerWidth, innerHeight, box, buttonBox]);
        ";
        let fits = self.run(script, json!([dialog.argument(), button.argument()]));
        assert_eq!(fits, json!(true));
    }

    /// Asserts that a message is above the composer.
    #[track_caller]
    fn assert_in_view(&self, body: &str) {
        let composer = self.find("textbox", "Message");
        let script = "return arguments[0].getBoundingClientRect().top;";
        let top = self.run(script, json!([composer.argument()])).as_f64().expect("a number");
        assert!(self.top_of(body) < top, "{body} is below the composer");
    }
}
