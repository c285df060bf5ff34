//! Messages between two pages are sealed, and no other way is taken without a word of the reader.
//!
//! **Invariants**
//! - A server that lies is played by a `Tap`, which also shows that a text has not left a page.
//! - Each page has `WITNESS`, so its errors end the test in each engine.

mod identity;
mod recovery;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engines::in_each_engine;
use crate::page::{home, next_message};
use crate::support::{Client, Server};
use crate::tap::Tap;
use crate::webdriver::{Browser, ENTER, WITNESS, wait_for};
use crate::wire::Wire;

/// What opens the safety numbers: a button, and a part of its dialog.
pub const COMPARE: [&str; 2] = ["More about this conversation", "Compare safety numbers"];
pub const ENCRYPTED: &str = "online · encrypted";
pub const CHANGED: &str = "Is this still bob?…";
const STOPPED: &str = "online · encryption stopped";
const GONE: &str = "Nothing you write to bob is sent…";

in_each_engine![
    two_pages_seal_texts_and_signals_and_say_so,
    restarted_server_gets_sealed_messages_again_once,
];

fn two_pages_seal_texts_and_signals_and_say_so(engine: Engine) {
    let stage = Stage::new(engine);
    let [alice, bob] = stage.pair();
    bob.chat_with("carol");
    alice.write("hello bob");
    alice.wait_for_state("hello bob", &["Delivered"]);
    bob.open("alice…");
    bob.wait_for_message("hello bob");
    alice.wait_for_state("hello bob", &["Read"]);
    bob.write("hello alice");
    alice.wait_for_message("hello alice");
    bob.wait_for_state("hello alice", &["Read"]);
    for page in [&alice, &bob] {
        assert_eq!(page.told("hello…"), ["hello bob", "hello alice"]);
        assert_eq!(page.told("…ncrypted…"), [""; 0], "a mark");
    }
    let wire = stage.tap.all();
    assert!(wire.contains("\"sealed\":1") && wire.contains("\"delivered\""));
    for secret in ["hello", "typing", "\"read\""] {
        assert!(!wire.contains(secret), "{secret}: {wire}");
    }
}

fn restarted_server_gets_sealed_messages_again_once(engine: Engine) {
    let mut stage = Stage::new(engine);
    let [alice, bob] = stage.pair();
    alice.write("line 1");
    alice.wait_for_state("line 1", &["Read"]);
    bob.go("about:blank");
    alice.wait_for_words("away · encrypted");
    alice.write("line 2");
    alice.wait_for_state("line 2", &["Sent"]);
    alice.reload();
    alice.open("bob…");
    alice.wait_for_state("line 2", &["Sent"]);
    stage.server().signal(Signal::STOP);
    alice.write("line 3");
    alice.wait_for_state("line 3", &["Sending"]);
    stage.restart();
    bob.go(&stage.home());
    bob.wait_for_message("line 3");
    for line in ["line 2", "line 3"] {
        alice.wait_for_state(line, &["Delivered", "Read"]);
    }
    for page in [&alice, &bob] {
        page.reload();
        page.wait_for_text("status", "Connected");
        page.wait_for_message("line 3");
        assert_eq!(page.told("line…"), ["line 1", "line 2", "line 3"]);
        assert_eq!(page.told("…lost…"), [""; 0]);
        assert!(!page.has("button", "Retry"));
        page.assert_not_asked();
    }
}

/// Makes long waits of a page ten times as short.
const HURRIED: &str = "
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (call, ms) => setTimeout(call, ms < 5000 ? ms : ms / 10);
";

#[test]
fn idle_page_keeps_its_connection_through_probes() {
    let stage = Stage::with_script(Engine::Chromium, HURRIED);
    let _alice = stage.join("alice");
    let count = |kind: &str| stage.tap.said().iter().filter(|line| line["type"] == kind).count();
    wait_for("three probes", || (count("watch") >= 3).then_some(()));
    assert_eq!(count("join"), 1);
}

#[test]
fn peer_without_a_card_gets_plain_text_and_is_marked() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    let mut bob = Client::join(stage.server(), "bob");
    alice.chat_with("bob");
    alice.wait_for_text("paragraph", "online · not encrypted");
    alice.write("hello bob");
    assert_eq!(next_message(&mut bob), "hello bob");
    bob.say(json!({"type": "send", "to": "alice", "body": "hello alice"}));
    alice.wait_for_message("hello alice");
    assert_eq!(alice.told("…ncrypted…"), [""; 0]);
    alice.click("button", "More about this conversation");
    alice.wait_for_text("paragraph", "Not encrypted: bob doesn’t use a page that can do it…");
    assert!(alice.numbers().is_empty());
}

#[test]
fn missing_card_stops_messages_until_the_reader_allows() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    let bob = stage.join_untapped("bob");
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.wait_for_text("paragraph", ENCRYPTED);
    stage.tap.change(without_card);
    alice.reload();
    alice.wait_for_text("alert", GONE);
    alice.wait_for_text("paragraph", STOPPED);
    alice.write("secret");
    alice.wait_for_state("secret", &["Failed: it couldn’t be encrypted for bob"]);
    assert!(!stage.tap.all().contains("secret"), "it left the page");
    assert!(stage.sends().is_empty());
    alice.click("button", "Write unencrypted");
    alice.wait_for_text("paragraph", "online · not encrypted");
    alice.click("button", "Retry");
    bob.wait_for_message("secret");
    bob.wait_for_message("Not encrypted: the server could have written it");
    alice.wait_for_state("secret", &[" · not encrypted"]);
    stage.tap.be_honest();
    alice.reload();
    alice.wait_for_text("paragraph", ENCRYPTED);
    alice.write("sealed again");
    bob.wait_for_message("sealed again");
    assert!(!stage.tap.all().contains("sealed again"));
}

#[test]
fn card_of_another_id_counts_as_none() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, _bob] = stage.pair();
    let card = stage.card_of("alice");
    stage.tap.change(move |line| replace_card(line, &card));
    alice.reload();
    alice.wait_for_text("paragraph", STOPPED);
    alice.write("secret");
    alice.wait_for_state("secret", &["Failed: it couldn’t be encrypted for bob"]);
    assert!(stage.sends().is_empty());
}

#[test]
fn swapped_card_leads_to_the_question() {
    // The bob of another server, which has a card for the same id.
    let other = Stage::new(Engine::Chromium);
    drop(other.join("bob"));
    let card = other.card_of("bob");
    let stage = Stage::new(Engine::Chromium);
    let [alice, _bob] = stage.pair();
    stage.tap.change(move |line| replace_card(line, &card));
    alice.reload();
    alice.wait_for_text("alert", CHANGED);
    alice.wait_for_text("paragraph", "online · from another device");
    alice.write("secret");
    alice.wait_for_state("secret", &["Failed: it may not be bob any more"]);
    assert!(stage.sends().is_empty());
}

#[test]
fn other_identity_is_asked_about_once_beside_the_typing() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    let count = "
        globalThis.announced = [];
        const note = (changes) => announced.push(...changes.map(({ target }) => {
          return target.closest?.('[role=alert]')?.textContent;
        }).filter((text) => text));
        new MutationObserver(note).observe(document.body, { subtree: true, childList: true });
    ";
    alice.run(count, json!([]));
    let bob = stage.replaced(bob);
    alice.enter("textbox", "Message", "half ");
    bob.chat_with("alice");
    bob.write("new phone");
    alice.wait_for_text("alert", CHANGED);
    assert_eq!(alice.focus(), ("textbox".into(), "Message".into()));
    alice.wait_for_message("From another device: it may not be bob");
    alice.enter("textbox", "Message", &format!("a word{ENTER}"));
    alice.wait_for_state("half a word", &["Failed: it may not be bob any more"]);
    bob.write("are you there?");
    alice.wait_for_message("are you there?");
    let announced = alice.run("return announced;", json!([]));
    assert_eq!(announced.as_array().map(Vec::len), Some(1), "{announced}");
    assert!(stage.sends_of("alice").is_empty());
}

#[test]
fn accepted_identity_gets_the_message_sealed_by_a_retry() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    let bob = stage.replaced(bob);
    alice.wait_for_text("alert", CHANGED);
    alice.write("still you?");
    alice.wait_for_state("still you?", &["Failed"]);
    alice.click("button", "Yes, it’s bob");
    alice.wait_for_text("paragraph", ENCRYPTED);
    alice.wait_for_state("still you?", &["Failed"]);
    alice.click("button", "Retry");
    bob.open("alice…");
    bob.wait_for_message("still you?");
    alice.wait_for_state("still you?", &["Delivered", "Read"]);
    assert!(!stage.tap.all().contains("still you?"));
    assert_eq!(stage.sends_of("alice")[0]["for"], stage.card_of("bob")["seal"]);
    bob.write("it is");
    alice.wait_for_message("it is");
    assert_eq!(alice.told("From another device…"), [""; 0]);
}

#[test]
fn refused_identity_gets_nothing_that_it_could_open() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    let before = stage.card_of("bob")["seal"].clone();
    let bob = stage.replaced(bob);
    alice.wait_for_text("alert", CHANGED);
    alice.click("button", "No, or not sure");
    alice.wait_until_gone("button", "No, or not sure");
    alice.write("for the first bob");
    bob.open("alice…");
    bob.wait_for_message("Could not be decrypted here…");
    assert_eq!(stage.sends_of("alice")[0]["for"], before);
    bob.write("let me in");
    alice.wait_for_text("alert", CHANGED);
}

/// A server, and browsers of one engine that reach it through a tap.
pub struct Stage {
    engine: Engine,
    server: Option<Server>,
    pub tap: Tap,
    wire: Wire,
}

impl Stage {
    pub fn new(engine: Engine) -> Stage {
        Stage::with_script(engine, "")
    }

    /// Runs this script before those of the page.
    pub fn with_script(engine: Engine, script: &str) -> Stage {
        let server = Server::start(&[]);
        let tap = Tap::on(server.address);
        let wire = Wire::with_script(tap.address, &format!("{WITNESS}{{ {script} }}"));
        Stage { engine, server: Some(server), tap, wire }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it is being started again")
    }

    /// Kills the server, and starts another at its address.
    fn restart(&mut self) {
        let address = self.server().address.to_string();
        drop(self.server.take());
        self.server = Some(Server::start(&["--listen", &address]));
    }

    pub fn home(&self) -> String {
        home(self.wire.address)
    }

    #[track_caller]
    pub fn visit(&self) -> Browser {
        let browser = Browser::start_in(self.engine);
        browser.go(&self.home());
        browser
    }

    #[track_caller]
    pub fn join(&self, id: &str) -> Browser {
        let browser = self.visit();
        browser.join_as(id);
        browser
    }

    /// Starts a browser that reaches the server past the tap.
    #[track_caller]
    fn join_untapped(&self, id: &str) -> Browser {
        let browser = Browser::start_in(self.engine);
        browser.go(&home(self.server().address));
        browser.join_as(id);
        browser
    }

    /// Returns alice and bob, who have opened their conversation and know each other's card.
    #[track_caller]
    pub fn pair(&self) -> [Browser; 2] {
        let pair = ["alice", "bob"].map(|id| self.join(id));
        pair[0].chat_with("bob");
        pair[1].chat_with("alice");
        for page in &pair {
            page.wait_for_words(ENCRYPTED);
        }
        pair
    }

    /// Has bob give up his id, which another browser claims.
    #[track_caller]
    pub fn replaced(&self, bob: Browser) -> Browser {
        bob.give_up();
        drop(bob);
        self.join("bob")
    }

    /// Returns the latest card that a page has published for an id.
    #[track_caller]
    fn card_of(&self, id: &str) -> Value {
        let said = self.tap.said();
        let join = said.iter().rfind(|line| line["type"] == "join" && line["id"] == id);
        join.expect("a page has joined")["card"].clone()
    }

    /// Returns the bodies of all messages that pages have sent.
    fn sends(&self) -> Vec<Value> {
        let sends = self.tap.said().into_iter().filter(|line| line["type"] == "send");
        sends.map(|line| line["body"].clone()).collect()
    }

    /// Returns the sealed bodies of the messages of one page.
    fn sends_of(&self, id: &str) -> Vec<Value> {
        let sign = &self.card_of(id)["sign"];
        self.sends().into_iter().filter(|body| body["card"]["sign"] == *sign).collect()
    }
}

/// The server claims that a peer has no card.
fn without_card(line: &mut Value) {
    if line["type"] == "card" {
        line.as_object_mut().expect("a line").remove("card");
    }
}

/// The server passes another card off as bob's.
fn replace_card(line: &mut Value, card: &Value) {
    if line["type"] == "card" && line["id"] == "bob" {
        line["card"] = card.clone();
    }
}

impl Browser {
    #[track_caller]
    pub fn give_up(&self) {
        self.click("button", "Settings");
        self.click("button", "Delete everything here and give up this ID");
        self.click("button", "Delete");
        self.find("textbox", "Your ID");
    }

    /// Opens the safety numbers of the open conversation. Returns the peer's, and our own.
    #[track_caller]
    pub fn compare_numbers(&self, words: [&str; 2]) -> [String; 2] {
        self.click("button", words[0]);
        self.open_part(words[1]);
        wait_for("two numbers", || self.numbers().try_into().ok())
    }

    /// Returns the safety numbers in view.
    pub fn numbers(&self) -> Vec<String> {
        let is_group = |group: &str| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit());
        let is_number =
            |text: &String| text.split(' ').count() == 6 && text.split(' ').all(is_group);
        self.texts("paragraph").into_iter().filter(is_number).collect()
    }

    /// Waits for the recovery code, with the settings open.
    #[track_caller]
    pub fn recovery_code(&self) -> String {
        self.click("button", "Settings");
        self.open_part("Encryption and recovery code");
        self.click("button", "Show the recovery code");
        wait_for("recovery code", || self.shown_code())
    }

    /// Returns the recovery code in view.
    pub fn shown_code(&self) -> Option<String> {
        let mut texts = self.texts("status").into_iter();
        texts.find(|text| text.len() == 39 && text.split('-').count() == 8)
    }

    /// Opens a part of a dialog that is folded up.
    #[track_caller]
    pub fn open_part(&self, name: &str) {
        self.click("DisclosureTriangle", name);
    }

    /// Waits for words in view that are no part of a longer text. Firefox gives not every paragraph
    /// its role.
    #[track_caller]
    pub fn wait_for_words(&self, words: &str) {
        let script = "
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
              const { data, parentElement } = walker.currentNode;
              if (data === arguments[0] && parentElement.checkVisibility()) return true;
            }
            return false;
        ";
        wait_for(words, || (self.run(script, json!([words])) == true).then_some(()));
    }

    /// Asserts that nothing is asked, of keys or anything else.
    #[track_caller]
    fn assert_not_asked(&self) {
        let asked = self.texts("alert").into_iter().filter(|text| !text.trim().is_empty());
        assert_eq!(asked.collect::<Vec<_>>(), [""; 0]);
    }
}
