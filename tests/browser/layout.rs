//! The places of elements on the screen.

use serde_json::json;

use crate::encryption::Stage;
use crate::engine::Engine;
use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, ENTER, ESCAPE, wait_for};

#[test]
fn narrow_screen_shows_one_pane_and_leads_back() {
    let server = Server::start(&[]);
    let alice = Browser::start(&[]);
    alice.resize(320, 568);
    alice.go(&home(server.address));
    alice.find("textbox", "Your ID");
    alice.assert_not_sideways();
    alice.join_as("alice");
    alice.find("textbox", "Chat with");
    alice.assert_not_sideways();
    alice.chat_with("a.peer.with.a.rather.long.id.as.long.as.they.may.be.which.is.64.");
    alice.write(&"a long message ".repeat(20));
    alice.find("button", "Retry…");
    assert!(!alice.has("textbox", "Chat with"));
    alice.assert_not_sideways();
    alice.click("button", "Back");
    alice.find("textbox", "Chat with");
    alice.wait_until_gone("log", "Messages");
    alice.assert_not_sideways();
}

/// Names of buttons in English and German, in the order in which they are needed.
const KEY_WORDS: [(&str, [&str; 8]); 2] = [
    (
        "en-US",
        [
            "I have a recovery code",
            "Join",
            "Settings",
            "Encryption and recovery code",
            "Show the recovery code",
            "More about…",
            "Compare safety numbers",
            "Yes, it’s bob",
        ],
    ),
    (
        "de-DE",
        [
            "Ich habe einen Rettungscode",
            "Los",
            "Einstellungen",
            "Verschlüsselung und…",
            "Rettungscode zeigen",
            "Mehr zu…",
            "Sicherheitsnummern vergleichen",
            "Ja, es ist bob",
        ],
    ),
];

#[test]
fn texts_about_keys_fit_any_screen_in_each_language() {
    for (language, [have_code, join, settings, about, show, more, compare, yes]) in KEY_WORDS {
        let stage = Stage::new(Engine::Chromium);
        let bob = stage.join("bob");
        let arguments = ["lang", "accept-lang"].map(|name| format!("--{name}={language}"));
        let alice = Browser::start(&[&arguments[0], &arguments[1]]);
        alice.go(&stage.home());
        alice.click("button", have_code);
        alice.assert_fits_any_screen();
        assert!(alice.try_act(&alice.all("textbox", "…")[0], "value", &json!({"text": "alice"})));
        alice.click("button", join);
        alice.click("button", settings);
        alice.open_part(about);
        alice.click("button", show);
        wait_for("code", || alice.shown_code());
        alice.assert_fits_any_screen();
        alice.press(ESCAPE);
        alice.run("location.hash = '#to=bob';", json!([]));
        alice.compare_numbers([more, compare]);
        alice.assert_fits_any_screen();
        alice.press(ESCAPE);
        let _bob = stage.replaced(bob);
        alice.find("button", yes);
        alice.assert_fits_any_screen();
    }
}

#[test]
fn wide_screen_shows_both_panes() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    for width in [640, 1440] {
        alice.resize(width, 900);
        alice.chat_with("bob");
        alice.find("textbox", "Chat with");
        assert!(!alice.has("button", "Back"));
        alice.assert_not_sideways();
    }
}

#[test]
fn long_ids_leave_the_status_in_one_line() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, &"A".repeat(24));
    alice.resize(320, 568);
    let line = alice.height_of("status", "…");
    alice.chat_with(&"B".repeat(24));
    assert_eq!(alice.height_of("status", "…"), line);
}

#[test]
fn composer_stands_below_the_messages_of_any_screen() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.write("hello");
    for width in [320, 1000, 2560] {
        alice.resize(width, 900);
        let [_, _, message, _] = alice.place_of("article", "…");
        let [_, _, composer, _] = alice.place_of("button", "Send");
        assert!((message - composer).abs() < 16.0, "{message} above {composer} on {width} px");
    }
}

#[test]
fn composer_grows_with_its_text_and_the_log_follows() {
    let server = Server::start(&[]);
    let (alice, _bob) = long_conversation(&server);
    let line = alice.height_of("textbox", "Message");
    alice.click("textbox", "Message");
    let mut lines = 1;
    while lines < 5 {
        alice.devtools("Input.insertText", json!({"text": "line\n"}));
        lines += 1;
        wait_for(&format!("{lines} lines"), || {
            let height = alice.height_of("textbox", "Message");
            (height > line + 16.0 * f64::from(lines - 1)).then_some(())
        });
        alice.wait_for_end();
    }
    alice.write("");
    wait_for("one line", || (alice.height_of("textbox", "Message") == line).then_some(()));
    alice.wait_for_end();
}

#[test]
fn long_message_is_short_until_all_of_it_is_shown() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    let mut bob = Client::join(&server, "bob");
    let body = format!("above{}https://example.org/", "\n".repeat(20_000));
    bob.say(json!({"type": "send", "to": "alice", "body": body}));
    let whole = alice.find("button", "Show all");
    assert!(alice.height_of("article", "…") < 1000.0);
    alice.click("button", "Show all");
    assert!(alice.height_of("article", "…") > 100_000.0);
    alice.find("link", "https://example.org/…");
    // The reader is in the middle of it now, so the log stays there.
    let top = alice.place_of("button", "Show less")[1];
    bob.say(json!({"type": "send", "to": "alice", "body": "the newest"}));
    alice.find("button", "…new message…");
    assert_eq!(alice.place_of("button", "Show less")[1], top);
    assert_eq!(alice.focus(), ("button".into(), "Show less".into()));
    assert!(alice.try_act(&whole, "click", &json!({})));
    alice.find("button", "Show all");
    assert!(alice.height_of("article", "…") < 1000.0);
}

#[test]
fn buttons_of_a_tab_that_is_not_active_keep_apart() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    alice.new_tab();
    alice.go(&home(server.address));
    for width in [320, 1000] {
        alice.resize(width, 768);
        let [_, _, right, bottom] = alice.place_of("button", "Use here");
        let [left, top, ..] = alice.place_of("button", "Use another ID");
        assert!(left - right >= 8.0 || top - bottom >= 8.0, "on {width} px");
    }
}

#[test]
fn no_ring_is_drawn_after_a_phone_keyboards_go() {
    let server = Server::start(&[]);
    let alice = Browser::start(&[]);
    alice.resize(390, 844);
    alice.devtools("Emulation.setTouchEmulationEnabled", json!({"enabled": true}));
    alice.go(&home(server.address));
    let outline = || {
        let script = "return getComputedStyle(document.activeElement).outlineStyle;";
        alice.run(script, json!([]))
    };
    alice.enter("textbox", "Your ID", &format!("alice{ENTER}"));
    alice.wait_for_text("status", "Connected");
    assert_eq!(outline(), "none", "in the list");
    alice.enter("textbox", "Chat with", &format!("bob{ENTER}"));
    alice.find("log", "Messages");
    assert_eq!(outline(), "none", "in the conversation");
    assert_eq!(alice.focus(), ("heading".into(), "bob".into()));
}

#[test]
fn status_dot_stays_in_the_readers_own_colours() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let features = json!([{"name": "forced-colors", "value": "active"}]);
    alice.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    // Grounds are replaced by the reader's, so only a border can be seen.
    let script = "
        const dot = getComputedStyle(arguments[0], '::before');
        return parseFloat(dot.borderTopWidth) > 0 && dot.borderTopColor !== dot.backgroundColor;
    ";
    let is_seen = alice.run(script, json!([alice.find("status", "…").argument()]));
    assert_eq!(is_seen, json!(true));
}

#[test]
fn log_at_its_end_follows_new_messages() {
    let server = Server::start(&[]);
    let (alice, mut bob) = long_conversation(&server);
    bob.say(json!({"type": "send", "to": "alice", "body": "the newest"}));
    alice.wait_for_message("the newest");
    alice.wait_for_end();
    assert!(!alice.has("button", "…new message…"));
}

#[test]
fn log_that_is_scrolled_up_stays_and_reports_new_messages() {
    let server = Server::start(&[]);
    let (alice, mut bob) = long_conversation(&server);
    alice.scroll_up();
    let top = alice.top_of("line 20");
    bob.say(json!({"type": "send", "to": "alice", "body": "the newest\n\n\n\nof all"}));
    alice.find("button", "…new message…");
    assert_eq!(alice.top_of("line 20"), top);
    alice.click("button", "…new message…");
    alice.wait_for_end();
    alice.wait_until_gone("button", "…new message…");
}

#[test]
fn sending_scrolls_the_log_to_its_end() {
    let server = Server::start(&[]);
    let (alice, _bob) = long_conversation(&server);
    alice.scroll_up();
    alice.write("mine");
    alice.wait_for_message("mine");
    alice.wait_for_end();
}

impl Browser {
    /// Asserts that nothing in view is wider than its box: texts, buttons, and the page itself.
    #[track_caller]
    fn assert_fits_any_screen(&self) {
        let script = "
            const place = document.querySelector('dialog[open]') ?? document.body;
            return [place, ...place.querySelectorAll('p, button, input')]
              .filter((element) => element.checkVisibility())
              .filter((element) => element.scrollWidth > element.clientWidth + 1
                || element.getBoundingClientRect().right > innerWidth)
              .map((element) => element.outerHTML.slice(0, 200));
        ";
        for (width, height) in [(320, 568), (390, 844), (1440, 900)] {
            self.resize(width, height);
            self.assert_not_sideways();
            let wide = self.run(script, json!([]));
            assert_eq!(wide, json!([]), "on {width} px");
        }
    }
}

/// Returns a conversation with more lines from Bob than any screen shows, its end in view.
fn long_conversation(server: &Server) -> (Browser, Client) {
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    let mut bob = Client::join(server, "bob");
    for n in 1..=40 {
        bob.say(json!({"type": "send", "to": "alice", "body": format!("line {n}")}));
    }
    alice.wait_for_message("line 40");
    alice.wait_for_end();
    (alice, bob)
}
