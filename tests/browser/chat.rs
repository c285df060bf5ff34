//! Two people write to each other, and each looks at their own page.

use serde_json::json;

use crate::page::{home, next_message};
use crate::support::{Client, Server};
use crate::webdriver::{Browser, ENTER, ESCAPE, wait_for};

#[test]
fn two_browsers_get_each_others_messages() {
    let server = Server::start(&[]);
    let [alice, bob] = ["alice", "bob"].map(|id| Browser::join(server.address, id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.write("hello bob");
    bob.wait_for_message("hello bob");
    alice.wait_for_state("hello bob", &["Delivered", "Read"]);
    bob.write("hello alice");
    alice.wait_for_message("hello alice");
    assert_eq!(alice.told("hello…"), ["hello bob", "hello alice"]);
    assert_eq!(bob.told("hello…"), ["hello bob", "hello alice"]);
}

#[test]
fn message_is_read_once_it_comes_into_view() {
    let server = Server::start(&[]);
    let [alice, bob] = ["alice", "bob"].map(|id| Browser::join(server.address, id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    bob.write("are you there?");
    bob.wait_for_state("are you there?", &["Read"]);
    alice.chat_with("carol");
    for body in ["and now?", "still not?"] {
        bob.write(body);
        bob.wait_for_state(body, &["Delivered"]);
    }
    assert!(!bob.beside("and now?").contains("Read"));
    alice.open("bob…");
    for body in ["and now?", "still not?"] {
        bob.wait_for_state(body, &["Read"]);
    }
}

#[test]
fn taken_id_is_refused_and_another_can_be_tried() {
    let server = Server::start(&[]);
    let _alice = Browser::join(server.address, "alice");
    let other = Browser::visit(server.address);
    other.enter("textbox", "Your ID", "alice");
    other.click("button", "Join");
    other.wait_for_alert();
    other.find("textbox", "Your ID");
    assert!(!other.has("textbox", "Chat with"));
    // The refused id stays, to be edited.
    other.join_as("2");
}

#[test]
fn message_to_an_offline_peer_fails_and_can_be_retried() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.write("anybody?");
    alice.wait_for_state("anybody?", &["Failed"]);
    assert!(alice.beside("anybody?").contains("bob is offline"));
    let mut bob = Client::join(&server, "bob");
    alice.click("button", "Retry…");
    assert_eq!(next_message(&mut bob), "anybody?");
    alice.wait_for_state("anybody?", &["Sent"]);
    alice.wait_until_gone("button", "Retry…");
}

#[test]
fn unread_messages_are_counted_in_the_list_and_the_title() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let [mut bob, mut carol] = ["bob", "carol"].map(|id| Client::join(&server, id));
    for peer in ["bob", "carol"] {
        alice.chat_with(peer);
        alice.write("hello");
        alice.wait_for_state("hello", &["Sent"]);
    }
    for body in ["one", "two"] {
        bob.say(json!({"type": "send", "to": "alice", "body": body}));
    }
    carol.say(json!({"type": "send", "to": "alice", "body": "seen at once"}));
    wait_for("count in the list", || alice.has_conversation("bob…2 unread…").then_some(()));
    wait_for("count in the title", || alice.title().starts_with("(2) ").then_some(()));
    alice.wait_for_message("seen at once");
    assert!(!alice.has_conversation("carol…unread…"));
    alice.open("bob…");
    wait_for("end of the counts", || {
        (!alice.has_conversation("…unread…") && !alice.title().starts_with('(')).then_some(())
    });
}

#[test]
fn keyboard_alone_is_enough_for_the_main_path() {
    let server = Server::start(&[]);
    let alice = Browser::visit(server.address);
    let [_bob, mut carol] = ["bob", "carol"].map(|id| Client::join(&server, id));
    alice.tab_to("textbox", "Your ID");
    alice.press(&format!("alice{ENTER}"));
    alice.wait_for_text("status", "Connected");
    for peer in ["bob", "carol"] {
        alice.tab_to("textbox", "Chat with");
        alice.press(&format!("{peer}{ENTER}"));
        alice.tab_to("textbox", "Message");
        alice.press(&format!("hello {peer}{ENTER}"));
        alice.wait_for_state(&format!("hello {peer}"), &["Sent"]);
        assert_eq!(alice.focus(), ("textbox".into(), "Message".into()), "the focus stays");
    }
    assert_eq!(next_message(&mut carol), "hello carol");
    alice.tab_to("button", "bob…");
    alice.press(ENTER);
    alice.wait_for_message("hello bob");
    alice.tab_to("button", "Send");
}

#[test]
fn escape_leads_back_to_the_list_and_keeps_the_focus() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.resize(320, 568);
    alice.chat_with("bob");
    alice.press(ESCAPE);
    alice.wait_until_gone("log", "Messages");
    alice.find("textbox", "Chat with");
    let (role, name) = alice.focus();
    assert!(["button", "textbox"].contains(&role.as_str()), "the focus is on {role} {name}");
}

#[test]
fn enter_in_an_input_method_does_not_send() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.click("textbox", "Message");
    let composing = json!({"text": "にほん", "selectionStart": 3, "selectionEnd": 3});
    alice.devtools("Input.imeSetComposition", composing);
    // The input method takes the key, and the page gets it with a code that says so.
    for kind in ["rawKeyDown", "keyUp"] {
        let key =
            json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229});
        alice.devtools("Input.dispatchKeyEvent", key);
    }
    alice.devtools("Input.insertText", json!({"text": "日本"}));
    alice.press(&format!("語{ENTER}"));
    assert_eq!(next_message(&mut bob), "日本語");
    alice.wait_for_message("日本語");
    assert_eq!(alice.told("…本…").len(), 1);
}

#[test]
fn links_lead_to_the_web_and_to_mail_only() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("hello");
    let body = "see https://example.org/a?b=c#d, javascript:alert(1), data:text/html,x and mailto:bob@example.org";
    bob.say(json!({"type": "send", "to": "alice", "body": body}));
    let link = alice.find("link", "https://example.org/a?b=c#d…");
    let told =
        alice.run("const a = arguments[0]; return [a.href, a.rel];", json!([link.argument()]));
    assert_eq!(told, json!(["https://example.org/a?b=c#d", "noopener noreferrer nofollow"]));
    alice.find("link", "mailto:bob@example.org…");
    assert_eq!(alice.all_in(&alice.find("log", "Messages"), "link", "…").len(), 2);
}

#[test]
fn german_reader_gets_a_german_page() {
    let server = Server::start(&[]);
    let reader = Browser::start(&["--lang=de-DE", "--accept-lang=de-DE,de"]);
    reader.go(&home(server.address));
    reader.find("textbox", "…");
    let told =
        reader.run("return [document.documentElement.lang, navigator.languages[0]];", json!([]));
    assert_eq!(told, json!(["de", "de-DE"]));
    reader.wait_until_gone("button", "Join");
    assert!(!reader.has("textbox", "Your ID"));
}

#[test]
fn window_without_the_focus_reads_nothing() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("hello");
    // A window beside it gets the focus, and this one stays in view.
    let focus = |has: bool| {
        let script = "
            const [has] = arguments;
            document.hasFocus = () => has;
            dispatchEvent(new Event(has ? 'focus' : 'blur'));
        ";
        alice.run(script, json!([has]));
    };
    focus(false);
    bob.say(json!({"type": "send", "to": "alice", "body": "are you there?"}));
    wait_for("count in the title", || alice.title().starts_with("(1) ").then_some(()));
    alice.wait_for_message("are you there?");
    assert!(alice.title().starts_with("(1) "), "the message does not count as read");
    focus(true);
    wait_for("end of the count", || (!alice.title().starts_with('(')).then_some(()));
}
