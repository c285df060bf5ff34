//! The page over TLS, from the server itself.

use serde_json::json;

use crate::support::{Server, certificate, sotto};
use crate::webdriver::Browser;

/// Makes the browser accept our own certificate, for which its profile has no authority.
const ANY_CERTIFICATE: &str = "--ignore-certificate-errors";

#[test]
fn two_browsers_get_each_others_messages_over_https() {
    let server = Server::spawn_with(&mut sotto(&["--listen", "127.0.0.1:0"]), certificate());
    let [alice, bob] = ["alice", "bob"].map(|id| {
        let browser = Browser::start(&[ANY_CERTIFICATE]);
        browser.go(&format!("https://{}/", server.address));
        browser.join_as(id);
        browser
    });
    let told = alice.run("return [isSecureContext, location.protocol];", json!([]));
    assert_eq!(told, json!([true, "https:"]));
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.write("hello bob");
    bob.wait_for_message("hello bob");
    alice.wait_for_state("hello bob", &["Delivered", "Read"]);
    bob.write("hello alice");
    alice.wait_for_message("hello alice");
}
