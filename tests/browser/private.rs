//! A private server: its password is asked for once, kept, and carried by invite links. And a
//! server that its operator has not told its address.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::engine::Engine;
use crate::engines::in_each_engine;
use crate::page::{home, next_message};
use crate::support::{Client, Server, sotto};
use crate::webdriver::{Browser, ENTER, TAB, WITNESS, wait_for};
use crate::wire::Wire;

const WORD: &str = "our family wörd & more";

/// A server with a password, and the file of it.
struct Private {
    server: Server,
    file: PathBuf,
}

impl Private {
    fn start(name: &str) -> Private {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("password-{name}"));
        std::fs::write(&file, WORD).expect("a file");
        let server = Server::start(&["--password-file", file.to_str().expect("UTF-8")]);
        Private { server, file }
    }
}

/// Joins as alice, and says the password.
fn join_as_alice(server: &Server) -> Browser {
    let alice = Browser::visit(server.address);
    alice.enter("textbox", "Your ID", "alice");
    alice.enter("textbox", "Password of this server", WORD);
    alice.click("button", "Join");
    alice.wait_for_text("status", "Connected");
    alice
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

in_each_engine![password_is_kept_over_a_reload,];

fn password_is_kept_over_a_reload(engine: Engine) {
    let Private { server, .. } = &Private::start(&format!("{engine:?}"));
    let wire = Wire::with_script(server.address, WITNESS);
    let alice = Browser::start_in(engine);
    alice.go(&home(wire.address));
    alice.enter("textbox", "Your ID", "alice");
    // Firefox has no role for a password.
    alice.press(TAB);
    alice.press(WORD);
    alice.press(ENTER);
    alice.wait_for_text("status", "Connected");
    alice.reload();
    alice.wait_for_text("status", "Connected");
}

#[test]
fn password_is_asked_for_once_and_carried_by_a_link() {
    let Private { server, .. } = &Private::start("link");
    let alice = Browser::visit(server.address);
    alice.wait_for_text("paragraph", "This server is private: ask…");
    alice.enter("textbox", "Your ID", "alice");
    alice.enter("textbox", "Password of this server", "guess");
    alice.click("button", "Join");
    alice.wait_for_text("alert", "That isn’t this server’s password…");
    alice.enter("textbox", "Password of this server", WORD);
    alice.click("button", "Join");
    alice.find("heading", "alice");
    alice.reload();
    alice.wait_for_text("status", "Connected");
    let link = format!(
        "{}#to=alice&key=…&password=our%20family%20w%C3%B6rd%20%26%20more",
        home(server.address)
    );
    alice.wait_for_text("paragraph", &link);
    let invite = alice.texts("paragraph").into_iter().find(|text| text.contains("#to=alice"));

    let bob = Browser::start(&[]);
    bob.go(&invite.expect("a link"));
    bob.wait_for_text("paragraph", "alice invites you…");
    bob.enter("textbox", "Your ID", "bob");
    bob.click("button", "Join");
    bob.find("heading", "alice");
    bob.write("thanks for the word");
    alice.open("bob…");
    alice.wait_for_message("thanks for the word");
}

#[test]
fn link_leaves_the_password_out_if_told_so() {
    let Private { server, .. } = &Private::start("switch");
    let alice = join_as_alice(server);
    alice.click("button", "Settings");
    alice.click("switch", "Put this server’s password into my invite links");
    alice.click("button", "Close");
    let has_password = |text: &String| text.contains("&password=");
    wait_for("a link without a password", || {
        let texts = alice.texts("paragraph");
        let link = texts.iter().find(|text| text.contains("#to=alice"))?;
        (!has_password(link)).then_some(())
    });
}

#[test]
fn link_with_another_password_throws_nobody_out() {
    let Private { server, .. } = &Private::start("hostile");
    let alice = join_as_alice(server);
    alice.go(&format!("{}#to=mallory&password=wrong", home(server.address)));
    alice.find("heading", "mallory");
    alice.reload();
    alice.wait_for_text("status", "Connected");
}

#[test]
fn password_that_changes_is_asked_for_and_no_message_is_lost() {
    let Private { server, file } = &Private::start("change");
    let alice = join_as_alice(server);
    alice.chat_with("bob");
    alice.write("kept");
    std::fs::write(file, "another").expect("a file");
    server.signal(Signal::HUP);
    server.wait_for_log("the password was read anew");
    alice.reload();
    alice.wait_for_text("alert", "That isn’t this server’s password…");
    alice.enter("textbox", "Password of this server", "another");
    alice.click("button", "Join");
    alice.open("bob…");
    alice.wait_for_message("kept");
}

#[test]
fn open_server_asks_for_no_password() {
    let server = Server::start(&[]);
    let alice = Browser::visit(server.address);
    alice.join_as("alice");
    alice.click("button", "Settings");
    assert!(!alice.has("switch", "Put this server’s password…"));
    assert!(!alice.has("textbox", "Password…"));
    let mut bob = Client::join(&server, "bob");
    alice.click("button", "Close");
    alice.chat_with("bob");
    alice.write("hi");
    next_message(&mut bob);
}

#[test]
fn page_tells_which_origin_its_server_has_to_be_given() {
    let port = Server::start(&[]).address.port();
    let listen = format!("127.0.0.1:{port}");
    let origin = format!("http://chat.test:{port}");
    let mut server = Server::spawn(&mut sotto(&["--listen", &listen, "--origin", &origin]));
    let alice = Browser::start(&["--host-resolver-rules=MAP chat.test 127.0.0.1"]);
    alice.go(&format!("{origin}/"));
    alice.join_as("alice");
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit().success());
    let server = Server::spawn(&mut sotto(&["--listen", &listen]));
    let sentence = format!("This server doesn’t know its public address…--origin {origin}");
    alice.wait_for_text("status", &sentence);
    server.wait_for_log("refused 127.0.0.1: Host \"chat.test\"");
}
