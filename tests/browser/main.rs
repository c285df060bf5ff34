//! The page in real browsers, driven over WebDriver: the main path in Chromium, Firefox and WebKit,
//! everything else in Chromium. One module per topic, one behaviour per test.
//!
//! **Invariants**
//! - Each browser has a profile of its own, so it is one person. A second tab is the same person.
//! - After every test the browser's console holds no error, as far as its engine tells. A failed
//!   test leaves a picture of each browser.
//! - No test starts more than two browsers, and no more tests run at once than there are cores, so
//!   memory needs no other limit.
//!
//! The tests do not know how the page is made: they find things by role, name and text.

mod accessibility;
mod bot;
mod chat;
mod day;
mod dialogs;
mod encryption;
mod engine;
mod engines;
#[path = "../it/example.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod example;
#[cfg(feature = "tls")]
mod https;
mod invitation;
mod layout;
mod log;
#[cfg(feature = "auth")]
mod login;
mod page;
#[cfg(feature = "peerjs")]
mod peerjs;
#[cfg(feature = "host")]
mod private;
mod sealed;
mod steps;
#[cfg(feature = "store")]
mod store;
mod strangers;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod support;
mod tabs;
mod tap;
mod trouble;
mod webdriver;
mod wire;
mod worker;
