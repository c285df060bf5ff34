//! The service worker: the page without a network, a newer page, and notifications.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::page::next_message;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};
use crate::wire::Wire;

/// Waits until the service worker has kept a page.
#[track_caller]
fn wait_until_kept(browser: &Browser) {
    let script = "
        const { controller } = navigator.serviceWorker;
        return caches.match('version').then((kept) => Boolean(kept && controller));
    ";
    wait_for("kept page", || browser.run(script, json!([])).as_bool().filter(|kept| *kept));
}

#[test]
fn page_opens_without_a_network_and_sends_later() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("written before");
    alice.wait_for_state("written before", &["Sent"]);
    assert_eq!(next_message(&mut bob), "written before");
    wait_until_kept(&alice);
    wire.cut();
    alice.reload();
    alice.wait_for_message("written before");
    alice.write("written without");
    alice.wait_for_state("written without", &["Sending"]);
    alice.reload();
    alice.wait_for_state("written without", &["Sending"]);
    wire.mend();
    alice.wait_for_state("written without", &["Sent"]);
    assert_eq!(next_message(&mut bob), "written without");
}

/// A copy of the page that a test can change, removed when dropped.
struct Www(PathBuf);

impl Www {
    fn new() -> Www {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("www-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/www")).expect("www") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
        Www(folder)
    }

    /// Gives the page a name that readers see.
    fn rename(&self, from: &str, to: &str) {
        let words = self.0.join("words.js");
        let text = fs::read_to_string(&words).expect("words");
        fs::write(&words, text.replace(&format!("\"{from}\""), &format!("\"{to}\"")))
            .expect("a file");
    }
}

impl Drop for Www {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn newer_page_is_offered_shown_at_once_and_kept() {
    let www = Www::new();
    let server = Server::start(&["--www", www.0.to_str().expect("UTF-8")]);
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    wait_until_kept(&alice);
    assert!(!alice.has("button", "Reload"));
    www.rename("Chat with", "Talk to");
    wire.cut();
    wire.mend();
    alice.click("button", "Reload");
    alice.find("textbox", "Talk to");
    alice.wait_for_text("status", "Connected");
    assert!(!alice.has("button", "Reload"));
    // A page that is newer is shown at the next visit, also if no tab was there to offer it.
    www.rename("Talk to", "Write to");
    alice.reload();
    alice.find("textbox", "Write to");
    alice.wait_for_text("status", "Connected");
    let is_kept = "
        return caches.match('words.js').then((kept) => kept.text())
          .then((text) => text.includes('Write to'));
    ";
    wait_for("newer page that is kept", || {
        alice.run(is_kept, json!([])).as_bool().filter(|is_kept| *is_kept)
    });
    wire.cut();
    alice.reload();
    alice.find("textbox", "Write to");
    wire.mend();
    alice.wait_for_text("status", "Connected");
    assert!(!alice.has("button", "Reload"));
}

fn allow_notifications(browser: &Browser, setting: &str) {
    let permission = json!({"permission": {"name": "notifications"}, "setting": setting});
    browser.devtools("Browser.setPermission", permission);
}

#[test]
fn notification_is_shown_and_leads_to_its_conversation() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    allow_notifications(&alice, "granted");
    alice.click("button", "Settings");
    alice.click("switch", "Notify me…");
    wait_for("switch that is on", || {
        alice
            .run("return JSON.parse(localStorage.settings ?? '{}').notify;", json!([]))
            .as_bool()
            .filter(|on| *on)
    });
    alice.click("button", "Close");
    // To ask for those that are shown would drop one that is still on its way to the screen.
    let listen = "
        const { showNotification } = ServiceWorkerRegistration.prototype;
        ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
          await showNotification.call(this, title, options);
          globalThis.shown = [title, options.body, options.data];
        };
        document.hasFocus = () => false;
        dispatchEvent(new Event('blur'));
    ";
    alice.run(listen, json!([]));
    bob.say(json!({"type": "send", "to": "alice", "body": "hello"}));
    wait_for("notification", || {
        let shown = alice.run("return globalThis.shown;", json!([]));
        let conversation = json!({"id": "alice", "peer": "bob"});
        (shown == json!(["New message from bob", "", conversation])).then_some(())
    });
    // The click on it, as the service worker tells of it.
    let click = "
        const event = new MessageEvent('message', { data: { id: 'alice', peer: 'bob' } });
        navigator.serviceWorker.dispatchEvent(event);
    ";
    alice.run(click, json!([]));
    alice.wait_for_message("hello");
}

#[test]
fn refused_permission_turns_the_switch_off_and_says_why() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    allow_notifications(&alice, "denied");
    alice.click("button", "Settings");
    alice.click("switch", "Notify me…");
    alice.wait_for_text("alert", "Your browser blocks notifications…");
    let is_on = |alice: &Browser| {
        let switch = alice.find("switch", "Notify me…");
        alice.run("return arguments[0].checked;", json!([switch.argument()]))
    };
    assert_eq!(is_on(&alice), false);
    // A question without an answer, as some browsers take Escape.
    alice.run("Notification.requestPermission = async () => 'default';", json!([]));
    alice.click("switch", "Notify me…");
    alice.wait_for_text("alert", "Your browser’s question wasn’t answered…");
    assert_eq!(is_on(&alice), false);
}
