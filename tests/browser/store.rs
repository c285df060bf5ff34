//! A server with a store ends and comes back: its people see a short break, and nothing else.
//!
//! **Invariants**
//! - Each page has `WITNESS`, so its errors end the test in each engine.
//! - A server that comes back has the address and the folder of the one before.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engines::in_each_engine;
use crate::page::{home, next_message};
use crate::support::{Client, Server};
use crate::webdriver::{Browser, WITNESS, wait_for};
use crate::wire::Wire;

const CAROLS_KEY: &str = "0123456789abcdef";
const DAVES_KEY: &str = "fedcba9876543210";

/// What alice and bob write to each other, in this order.
const LINES: [&str; 5] = ["line 1", "line 2", "line 3", "line 4", "line 5"];

in_each_engine![
    stopped_server_with_a_store_costs_nobody_anything,
    killed_server_with_a_store_costs_nobody_anything,
    message_on_disk_whose_answer_is_lost_arrives_once,
];

fn stopped_server_with_a_store_costs_nobody_anything(engine: Engine) {
    assert_end_is_survived(engine, Signal::TERM, "Reconnecting: the server is restarting");
}

fn killed_server_with_a_store_costs_nobody_anything(engine: Engine) {
    assert_end_is_survived(engine, Signal::KILL, "Reconnecting…");
}

/// Ends the server with this signal while alice and bob write to each other. `status` is what their
/// pages show until it is back.
fn assert_end_is_survived(engine: Engine, signal: Signal, status: &str) {
    let mut stage = Stage::new(engine);
    // Her id is owned, and she is away.
    Client::join_owned(stage.server(), "carol", CAROLS_KEY).0.cut();
    let [alice, bob] = ["alice", "bob"].map(|id| stage.join(id));
    alice.chat_with("carol");
    alice.write("for carol");
    alice.wait_for_state("for carol", &["Sent"]);
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.write(LINES[0]);
    bob.wait_for_message(LINES[0]);
    bob.write(LINES[1]);
    alice.wait_for_message(LINES[1]);
    // Whether the server takes this one before its end is not to be seen later.
    stage.server().signal(Signal::STOP);
    alice.write(LINES[2]);
    alice.wait_for_state(LINES[2], &["Sending"]);
    stage.end(signal);
    for page in [&alice, &bob] {
        page.wait_for_text("status", status);
    }
    alice.write(LINES[3]);
    alice.wait_for_state(LINES[3], &["Sending"]);
    for page in [&alice, &bob] {
        page.assert_nothing_is_asked();
    }
    stage.come_back();
    bob.wait_for_message(LINES[3]);
    bob.write(LINES[4]);
    bob.wait_for_state(LINES[4], &["Delivered", "Read"]);
    alice.wait_for_state(LINES[3], &["Delivered", "Read"]);
    for (page, peer) in [(&alice, "bob…"), (&bob, "alice…")] {
        page.assert_all_is_well();
        page.reload();
        page.open(peer);
        page.wait_for_message(LINES[4]);
        page.assert_all_is_well();
    }
    assert_carol_gets_hers(&stage, &alice);
}

fn message_on_disk_whose_answer_is_lost_arrives_once(engine: Engine) {
    let mut stage = Stage::new(engine);
    let [alice, bob] = ["alice", "bob"].map(|id| stage.join(id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    let (mut dave, _) = Client::join_owned(stage.server(), "dave", DAVES_KEY);
    stage.server().signal(Signal::STOP);
    // Longer than all else that the page says meanwhile.
    let long = "on disk ".repeat(40) + "once";
    alice.write(&long);
    wait_for("bytes for the server", || stage.has_unread(long.len()).then_some(()));
    stage.wire.cut();
    dave.say(json!({"type": "send", "to": "bob", "body": "line 2", "ref": "2"}));
    stage.server().signal(Signal::CONT);
    // The server read both in one turn, so they are in one batch.
    dave.hear_type("sent");
    alice.wait_for_state(&long, &["Sending"]);
    stage.end(Signal::KILL);
    stage.come_back();
    stage.wire.mend();
    alice.wait_for_state(&long, &["Delivered", "Read"]);
    alice.write("line 3");
    bob.wait_for_message("line 3");
    for page in [&alice, &bob] {
        assert_eq!(page.told("on disk…"), [&*long]);
        page.assert_nothing_is_asked();
    }
}

/// Asserts that carol, who comes back, gets the message that waited for her, and gets it once.
fn assert_carol_gets_hers(stage: &Stage, alice: &Browser) {
    alice.open("carol…");
    alice.wait_for_state("for carol", &["Sent"]);
    let (mut carol, joined) = Client::join_owned(stage.server(), "carol", CAROLS_KEY);
    assert_eq!([&joined["resumed"], &joined["held"]], [&Value::from(true), &Value::from(1)]);
    let waited = carol.hear_type("message");
    assert_eq!(waited["body"], "for carol");
    carol.say(json!({"type": "ack", "to": "alice", "mids": [waited["mid"]]}));
    alice.wait_for_state("for carol", &["Delivered"]);
    alice.write("and this");
    assert_eq!(next_message(&mut carol), "and this");
    alice.assert_nothing_is_asked();
}

/// A server with a store, and browsers of one engine that reach it through one wire.
struct Stage {
    engine: Engine,
    folder: PathBuf,
    address: SocketAddr,
    /// `None` while it is down.
    server: Option<Server>,
    wire: Wire,
}

impl Stage {
    fn new(engine: Engine) -> Stage {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("store-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let server = Server::start(&["--store", text(&folder)]);
        let address = server.address;
        let wire = Wire::with_script(address, WITNESS);
        Stage { engine, folder, address, server: Some(server), wire }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is up")
    }

    /// Returns `true` if the kernel has this many bytes of one connection that the server has not
    /// read.
    fn has_unread(&self, bytes: usize) -> bool {
        let sockets = fs::read_to_string("/proc/net/tcp").expect("a list of the kernel");
        let port = format!(":{:04X}", self.address.port());
        sockets.lines().any(|socket| {
            let mut fields = socket.split_whitespace().skip(1);
            let (local, queues) = (fields.next().unwrap_or_default(), fields.nth(2));
            let unread = queues.and_then(|queues| queues.split_once(':')).map(|(_, unread)| unread);
            let unread = unread.and_then(|unread| usize::from_str_radix(unread, 16).ok());
            local.ends_with(&port) && unread >= Some(bytes)
        })
    }

    /// Ends the server with this signal, also if it is stopped.
    fn end(&mut self, signal: Signal) {
        let mut server = self.server.take().expect("it is up");
        server.signal(signal);
        if signal != Signal::KILL {
            server.signal(Signal::CONT);
        }
        server.wait_for_exit();
    }

    /// Starts the server again, at its address and with its folder.
    fn come_back(&mut self) {
        let address = self.address.to_string();
        let options = ["--listen", &address, "--store", text(&self.folder)];
        self.server = Some(Server::start(&options));
    }

    #[track_caller]
    fn join(&self, id: &str) -> Browser {
        let browser = Browser::start_in(self.engine);
        browser.go(&home(self.wire.address));
        browser.join_as(id);
        browser
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.server.take());
        // What a failed test leaves behind lies in the folder of the build.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the folder of the build has a name in UTF-8")
}

impl Browser {
    /// Asserts that each of `LINES` is there once, in order, and that nothing is asked.
    #[track_caller]
    fn assert_all_is_well(&self) {
        self.wait_for_text("status", "Connected");
        assert_eq!(self.told("line…"), LINES);
        self.assert_nothing_is_asked();
    }

    /// Asserts that no message is shown as failed or lost, and that nobody is asked for anything.
    #[track_caller]
    fn assert_nothing_is_asked(&self) {
        assert_eq!(self.told("…Failed…"), [""; 0]);
        assert_eq!(self.told("…lost…"), [""; 0]);
        assert!(self.texts("alert").iter().all(|text| text.trim().is_empty()));
        for (role, name) in [("button", "Retry"), ("button", "Try again"), ("textbox", "Your ID")] {
            assert!(!self.has(role, name), "{role} {name}");
        }
    }
}
