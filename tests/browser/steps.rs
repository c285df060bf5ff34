//! The last step for learners, in the console of the page.

use serde_json::json;

use crate::page::home;
use crate::support::Server;
use crate::webdriver::{Browser, wait_for};

#[test]
fn step_5_opens_a_channel_between_two_ids() {
    let server = Server::start(&[]);
    // Otherwise addresses are hidden behind names that only a network with mDNS resolves.
    let browser = Browser::start(&["--disable-features=WebRtcHideLocalIpsWithMdns"]);
    browser.go(&home(server.address));
    browser.find("textbox", "Your ID");
    let step = include_str!("../../examples/steps/5-webrtc.mjs");
    let print = "{ log: (...said) => { document.title = said.join(' '); } }";
    browser.run(&format!("const console = {print}; (async () => {{ {step} }})();"), json!([]));
    let expected = "alice got, without a server: hello to you";
    wait_for("the answer", || (browser.title() == expected).then_some(()));
}
