//! The page in a real browser: Chromium, driven over WebDriver. One module per topic, one behaviour
//! per test, its name a sentence. Each browser has a profile of its own, so it is one person; a
//! second tab of it is the same person again.
//!
//! After every test the browser's console must hold no error. A test that failed leaves a picture
//! of each browser.
//!
//! No test starts more than two browsers, and no more tests run at once than there are cores: that
//! is limit enough.

mod accessibility;
mod chat;
#[cfg(feature = "tls")]
mod https;
mod layout;
mod page;
mod strangers;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod support;
mod tabs;
mod trouble;
mod webdriver;
mod wire;
