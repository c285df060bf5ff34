//! A day of two people: one with a phone that sleeps and a network that comes and goes, one with a
//! laptop. The clock of both pages is turned; the day takes minutes.

use std::time::Duration;

use serde_json::json;

use crate::page::home;
use crate::support::Server;
use crate::webdriver::{Browser, WITNESS};
use crate::wire::Wire;

/// The hours of the day at which something happens: every other one.
const HOURS: std::ops::Range<u32> = 0..12;
const BETWEEN: Duration = Duration::from_secs(2 * 60 * 60);

/// A person with a browser, on a wire of their own.
struct Person {
    id: &'static str,
    peer: &'static str,
    page: Browser,
    wire: Wire,
}

impl Person {
    fn new(server: &Server, id: &'static str, peer: &'static str) -> Person {
        let wire = Wire::with_script(server.address, WITNESS);
        let page = Browser::visit(wire.address);
        page.join_as(id);
        page.chat_with(peer);
        Person { id, peer, page, wire }
    }

    fn write(&self, hour: u32) {
        // With a touch screen the return key begins a new line.
        self.page.enter("textbox", "Message", &self.words(hour));
        self.page.click("button", "Send");
    }

    fn words(&self, hour: u32) -> String {
        format!("hour {hour:02}, {}", self.id)
    }

    /// Loads the page again, after it was away, and opens the conversation.
    fn come_back(&self) {
        self.page.go(&home(self.wire.address));
        self.page.wait_for_text("status", "Connected");
        if !self.page.has("textbox", "Message") {
            self.page.open(&format!("{}…", self.peer));
        }
    }

    fn wait_for(&self, words: &str) {
        self.page.wait_for_message(words);
    }
}

/// Gives the current tab a phone's screen, and fingers on it.
fn be_a_phone(page: &Browser) {
    let screen = json!({"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": true});
    page.devtools("Emulation.setDeviceMetricsOverride", screen);
    page.devtools("Emulation.setTouchEmulationEnabled", json!({"enabled": true}));
}

/// Plays the trouble of an hour: the phone is away, and both write meanwhile if they can.
fn play(hour: u32, phone: &Person, laptop: &Person) {
    match hour % 6 {
        0 => {
            phone.write(hour);
            laptop.write(hour);
        }
        // No network, and the phone knows.
        1 => {
            phone.wire.cut();
            phone.write(hour);
            laptop.write(hour);
            phone.wire.mend();
        }
        // A network that swallows everything, and later forgets the flow.
        2 => {
            phone.wire.swallow();
            phone.write(hour);
            laptop.write(hour);
            phone.page.wait_for_text("status", "Reconnecting…");
            phone.wire.mend();
        }
        // The tab is closed, and opened again.
        3 => {
            phone.write(hour);
            phone.page.go("about:blank");
            laptop.write(hour);
            phone.come_back();
        }
        // The phone sleeps, and gives the memory of the tab to others.
        4 => {
            phone.write(hour);
            phone.page.wait_for_state(&phone.words(hour), &["Sent", "Delivered", "Read"]);
            let asleep = phone.page.tab();
            let next = phone.page.new_tab();
            phone.page.turn_to(&asleep);
            phone.page.crash_tab();
            phone.page.turn_to(&next);
            be_a_phone(&phone.page);
            laptop.write(hour);
            phone.come_back();
        }
        // The laptop is shut, and opened again.
        _ => {
            laptop.write(hour);
            laptop.page.go("about:blank");
            phone.write(hour);
            laptop.come_back();
        }
    }
}

#[test]
fn phone_and_laptop_lose_double_and_retry_nothing_in_a_day() {
    let server = Server::start(&[]);
    let phone = Person::new(&server, "phone", "laptop");
    be_a_phone(&phone.page);
    let laptop = Person::new(&server, "laptop", "phone");
    for hour in HOURS {
        play(hour, &phone, &laptop);
        for [writer, reader] in [[&phone, &laptop], [&laptop, &phone]] {
            let words = writer.words(hour);
            reader.wait_for(&words);
            writer.page.wait_for_state(&words, &["Delivered", "Read"]);
            assert!(!writer.page.has("button", "Retry"), "hour {hour}, {}", writer.id);
        }
        [&phone, &laptop].iter().for_each(|person| person.page.turn_clock(BETWEEN * (hour + 1)));
    }
    for person in [&phone, &laptop] {
        let told = person.page.told("hour…");
        for writer in [&phone, &laptop] {
            let expected: Vec<String> = HOURS.map(|hour| writer.words(hour)).collect();
            let of_writer: Vec<_> =
                told.iter().filter(|words| words.ends_with(writer.id)).cloned().collect();
            assert_eq!(of_writer, expected, "{} as {} has it", writer.id, person.id);
        }
    }
}
