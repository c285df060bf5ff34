//! Dialogs: each is whole on any screen, and goes with the conversation it is about.

use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, ESCAPE, wait_for};

#[test]
fn question_shows_both_buttons_on_any_screen() {
    let server = Server::start(&[]);
    let languages = [
        ("en-US", ["Join", "More about…", "Delete this…", "Cancel", "Delete"]),
        ("de-DE", ["Los", "Mehr zu…", "Diese…löschen", "Abbrechen", "Löschen"]),
    ];
    for (language, [join, more, delete, cancel, confirm]) in languages {
        let arguments = ["lang", "accept-lang"].map(|name| format!("--{name}={language}"));
        let reader = Browser::start(&[&arguments[0], &arguments[1]]);
        reader.go(&home(server.address));
        reader.enter("textbox", "…", language);
        reader.click("button", join);
        reader.find("navigation", "…");
        reader.run("location.hash = '#to=' + 'W'.repeat(64);", json!([]));
        for (width, text) in [(320, "100%"), (320, "200%"), (390, "200%"), (1000, "200%")] {
            reader.resize(width, 768);
            reader.run("document.documentElement.style.fontSize = arguments[0];", json!([text]));
            reader.click("button", more);
            reader.click("button", delete);
            let [left, top, right, bottom] = reader.place_of("dialog", "…");
            assert!(bottom - top < 700.0, "the dialog is as high as the window");
            for button in [cancel, confirm] {
                let place = reader.place_of("button", button);
                assert!(
                    place[0] > left && place[1] > top && place[2] < right && place[3] < bottom,
                    "{button} at {place:?} on {width} px with text of {text}"
                );
            }
            reader.press(ESCAPE);
            reader.wait_until_gone("dialog", "…");
        }
    }
}

#[test]
fn back_on_a_phone_closes_a_dialog_before_its_conversation() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.resize(390, 844);
    alice.click("button", "Settings");
    alice.find("dialog", "Settings");
    alice.go_back();
    alice.wait_until_gone("dialog", "Settings");
    alice.chat_with("bob");
    for _ in 0..2 {
        alice.click("button", "More…");
        alice.find("dialog", "bob");
        alice.go_back();
        alice.wait_until_gone("dialog", "bob");
        alice.find("log", "Messages");
    }
    alice.go_back();
    alice.wait_until_gone("log", "Messages");
    alice.find("textbox", "Chat with");
}

#[test]
fn turned_phone_goes_back_to_the_list_and_not_away() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let _bob = Client::join(&server, "bob");
    alice.resize(844, 390);
    alice.chat_with("bob");
    // Nothing else is on its way that might remind the page of its history.
    wait_for("presence", || alice.has_conversation("bob…online…").then_some(()));
    alice.resize(390, 844);
    alice.wait_until_gone("textbox", "Chat with");
    alice.go_back();
    alice.wait_until_gone("log", "Messages");
    alice.find("textbox", "Chat with");
}

#[test]
fn question_goes_with_its_conversation() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.write("hello bob");
    alice.click("button", "More…");
    alice.click("button", "Clear this conversation");
    alice.find("button", "Cancel");
    // As a notification does, or another way into the page.
    alice.run("location.hash = '#to=carol';", json!([]));
    alice.find("heading", "carol");
    alice.wait_until_gone("button", "Cancel");
    alice.open("bob…");
    alice.wait_for_message("hello bob");
}

#[test]
fn dialog_goes_when_another_tab_takes_the_id() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.click("button", "More…");
    let first = alice.tab();
    alice.new_tab();
    alice.go(&home(server.address));
    alice.click("button", "Use here");
    alice.wait_for_text("status", "Connected");
    alice.turn_to(&first);
    alice.find("button", "Use here");
    assert!(!alice.has("dialog", "…"));
}

#[test]
fn alert_is_shown_in_the_dialog_that_covers_the_page() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let drop_file = "
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['x'], 'cat.png'));
        dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
    ";
    for closes in [false, true] {
        alice.click("button", "Settings");
        alice.run(drop_file, json!([]));
        alice.wait_for_text("alert", "Pictures and files can’t be sent here yet…");
        let dialog = alice.find("dialog", "Settings");
        assert_eq!(alice.all_in(&dialog, "alert", "…").len(), 1);
        if closes {
            alice.press(ESCAPE);
        } else {
            alice.click("button", "Dismiss");
            alice.wait_until_gone("button", "Dismiss");
            alice.click("button", "Close");
        }
        alice.wait_until_gone("dialog", "…");
    }
    // An alert outlives the dialog.
    alice.click("button", "Dismiss");
    alice.wait_until_gone("button", "Dismiss");
}

impl Browser {
    #[track_caller]
    fn go_back(&self) {
        // A browser tells of another width before it draws the next frame.
        let script = "return new Promise(requestAnimationFrame).then(() => {
            if (history.state) history.back();
            return history.state !== null;
        });";
        assert_eq!(self.run(script, json!([])), json!(true), "Back would leave the page");
    }
}
