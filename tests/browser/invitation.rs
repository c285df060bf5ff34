//! Invite links, on the way out and on the way in.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn newcomer_is_told_of_the_inviter_also_after_a_reload() {
    let server = Server::start(&[]);
    let newcomer = Browser::start(&[]);
    newcomer.go(&format!("{}#to=b%C3%B6b", home(server.address)));
    for _ in 0..2 {
        newcomer.find("textbox", "Your ID");
        newcomer.wait_for_text("paragraph", "böb invites you to a private chat.");
        newcomer.reload();
    }
    newcomer.join_as("carol");
    newcomer.find("heading", "böb");
    // From now on a reload opens the last conversation.
    newcomer.chat_with("dave");
    newcomer.reload();
    newcomer.find("heading", "dave");
}

#[test]
fn invitation_outlives_a_refused_id() {
    let server = Server::start(&[]);
    let _carol = Client::join(&server, "carol");
    let newcomer = Browser::start(&[]);
    newcomer.go(&format!("{}#to=bob", home(server.address)));
    newcomer.enter("textbox", "Your ID", "carol");
    newcomer.click("button", "Join");
    newcomer.wait_for_alert();
    newcomer.wait_for_text("paragraph", "bob invites you…");
    newcomer.join_as("2");
    newcomer.find("heading", "bob");
}

#[test]
fn link_to_no_id_invites_nobody() {
    let server = Server::start(&[]);
    let newcomer = Browser::start(&[]);
    newcomer.go(&format!("{}#to=%3Cb%3Eyou%20won", home(server.address)));
    newcomer.find("textbox", "Your ID");
    assert!(!newcomer.texts("paragraph").iter().any(|text| text.contains("invites you")));
}

#[test]
fn first_screen_tells_where_messages_are_stored() {
    let server = Server::start(&[]);
    let newcomer = Browser::visit(server.address);
    newcomer.wait_for_text("paragraph", "A private chat for two…");
    newcomer.wait_for_text("paragraph", "Messages between two pages…but can’t read them.");
}

#[test]
fn empty_list_offers_the_link_in_words_and_as_a_code() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.wait_for_text("button", "Copy invite link");
    alice.find("image", "Your invite link as a QR code");
    alice.wait_for_text("paragraph", &format!("{}#to=alice&key=…", home(server.address)));
    alice.chat_with("bob");
    alice.wait_until_gone("image", "…");
    assert!(!alice.texts("button").contains(&"Copy invite link".to_owned()));
}

#[test]
fn file_that_is_dropped_or_pasted_is_refused_kindly() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    for event in ["drop", "paste"] {
        let script = "
            const [type] = arguments;
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(['x'], 'cat.png', { type: 'image/png' }));
            const more = { bubbles: true, cancelable: true };
            const send = (event) => document.activeElement.dispatchEvent(event);
            if (type === 'paste') {
              send(new ClipboardEvent(type, { clipboardData: dataTransfer, ...more }));
              return true;
            }
            return !send(new DragEvent('dragover', { dataTransfer, ...more }))
              && !send(new DragEvent('drop', { dataTransfer, ...more }));
        ";
        let is_caught = alice.run(script, json!([event]));
        assert_eq!(is_caught, json!(true), "the browser would leave the page");
        alice.wait_for_text("alert", "Pictures and files can’t be sent here yet…");
        alice.click("button", "Dismiss");
        alice.wait_until_gone("button", "Dismiss");
    }
}
