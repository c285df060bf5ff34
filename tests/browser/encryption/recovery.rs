//! The keys of a page: what of them lies in the browser, and how another browser takes them over.

use serde_json::json;

use super::{ENCRYPTED, Stage};
use crate::engine::Engine;
use crate::webdriver::{Browser, wait_for};

/// Returns what the databases and the storages of the page hold of keys.
const KEPT: &str = "
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const kinds = new Set();
    const look = (value) => {
      kinds.add(Object.prototype.toString.call(value).slice(8, -1));
      if (Array.isArray(value) || value?.constructor === Object) Object.values(value).forEach(look);
    };
    return (async () => {
      const counts = {};
      for (const { name } of await indexedDB.databases()) {
        const database = await done(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
          const all = await done(database.transaction(store).objectStore(store).getAll());
          counts[`${name}/${store}`] = all.length;
          look(all);
        }
        database.close();
      }
      return { counts, kinds: [...kinds], names: Object.keys(localStorage).sort() };
    })();
";

#[test]
fn keys_lie_in_the_browser_as_bytes_until_the_id_is_given_up() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, _bob] = stage.pair();
    alice.write("hello");
    alice.wait_for_state("hello", &["Read"]);
    let kept = wait_for("kept keys and messages", || {
        let kept = alice.run(KEPT, json!([]));
        let counts = kept["counts"].as_object()?;
        (!counts.is_empty() && counts.values().any(|count| *count != 0)).then_some(kept)
    });
    assert_eq!(kept["counts"]["sotto keys/keys"], 1);
    let kinds = kept["kinds"].as_array().expect("kinds");
    assert!(kinds.contains(&json!("Uint8Array")) && !kinds.contains(&json!("CryptoKey")), "{kept}");
    assert_eq!(kept["names"], json!(["id", "key alice", "pins alice", "seed alice"]));
    alice.give_up();
    wait_for("empty storage", || {
        let kept = alice.run(KEPT, json!([]));
        let counts = kept["counts"].as_object()?;
        (kept["names"] == json!([]) && counts.values().all(|count| *count == 0)).then_some(())
    });
}

#[test]
fn recovery_code_takes_the_id_to_another_browser() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    alice.write("from the old browser");
    bob.wait_for_message("from the old browser");
    let code = alice.recovery_code();
    alice.wait_for_text("paragraph", "Write it down…");
    drop(alice);
    let alice = stage.visit();
    alice.enter_code("alice", &code.to_lowercase().replace('-', " "));
    alice.wait_for_text("status", "Connected");
    alice.chat_with("bob");
    alice.wait_for_text("paragraph", ENCRYPTED);
    alice.write("from the new browser");
    bob.wait_for_message("from the new browser");
    bob.write("hello");
    alice.wait_for_message("hello");
    bob.wait_for_text("paragraph", ENCRYPTED);
    bob.assert_not_asked();
    assert_eq!(bob.told("From another device…"), [""; 0]);
    assert_eq!(alice.recovery_code(), code);
}

#[test]
fn shown_code_is_in_view_on_a_small_screen() {
    let stage = Stage::new(Engine::Chromium);
    let alice = stage.join("alice");
    alice.resize(390, 640);
    let code = alice.recovery_code();
    let script = "
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode() && walker.currentNode.data !== arguments[0]);
        const range = document.createRange();
        range.selectNode(walker.currentNode);
        const { left, top, width, height } = range.getBoundingClientRect();
        const seen = document.elementFromPoint(left + width / 2, top + height / 2);
        return seen === walker.currentNode.parentElement;
    ";
    wait_for("code in view", || (alice.run(script, json!([code])) == true).then_some(()));
}

#[test]
fn wrong_code_is_told_and_leaves_the_fields() {
    let stage = Stage::new(Engine::Chromium);
    let carol = stage.join("carol");
    let code = carol.recovery_code();
    let alice = stage.visit();
    alice.enter_code("alice", &code);
    alice.wait_for_text("alert", "This code doesn’t belong to this ID. Check both.");
    for (field, text) in [("Your ID", "alice"), ("Recovery code", &code)] {
        let field = alice.find("textbox", field);
        assert_eq!(alice.run("return arguments[0].value;", json!([field.argument()])), text);
    }
    assert!(!stage.tap.said().iter().any(|line| line["id"] == "alice"));
}

#[test]
fn message_for_lost_keys_is_sealed_again_and_takes_its_place() {
    let stage = Stage::new(Engine::Chromium);
    let [alice, bob] = stage.pair();
    let code = alice.recovery_code();
    drop(alice);
    bob.wait_for_text("paragraph", "away · encrypted");
    for line in ["line 1", "line 2"] {
        bob.write(line);
        bob.wait_for_state(line, &["Sent"]);
    }
    let alice = stage.visit();
    alice.enter_code("alice", &code);
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    alice.wait_for_message("Could not be decrypted here. bob’s page is asked to send it again.");
    alice.click("button", "Accept");
    alice.wait_for_message("line 2");
    wait_for("both in their places", || {
        (alice.told("…line…") == ["line 1", "line 2"]).then_some(())
    });
    assert_eq!(alice.told("Could not…"), [""; 0]);
    for line in ["line 1", "line 2"] {
        bob.wait_for_state(line, &["Delivered", "Read"]);
        assert_eq!(bob.told(line).len(), 1);
    }
    bob.assert_not_asked();
}

impl Browser {
    /// Joins under an id by its recovery code.
    #[track_caller]
    fn enter_code(&self, id: &str, code: &str) {
        self.click("button", "I have a recovery code");
        self.enter("textbox", "Your ID", id);
        self.enter("textbox", "Recovery code", code);
        self.click("button", "Join");
    }
}
