//! Pages with the real PeerJS, which use the server in place of a PeerServer. They come from
//! another server, as pages with PeerJS do.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};

use crate::support::Server;
use crate::webdriver::{Browser, wait_for};

/// A page that does nothing by itself.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>PeerJS</title>\
    <link rel=icon href='data:,'><script src=peerjs.min.js></script>";

/// Without them Chromium tells pages neither its addresses nor that of the loopback.
const ARGUMENTS: [&str; 2] =
    ["--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection"];

/// The beginning of each script: notes all that happens to a peer and to its connections.
const NOTES: &str = "
    const [address, id, options] = arguments;
    const [host, port] = address.split(':');
    globalThis.notes ??= [];
    const note = (...words) => notes.push(words.join(' '));
    globalThis.watch ??= (connection) => {
      globalThis.connection = connection;
      connection.on('open', () => note('channel with', connection.peer));
      connection.on('data', (data) => note('data', data));
      connection.on('close', () => note('channel closed'));
    };
";

/// A server, and a second one for the page.
struct Stage {
    server: Server,
    page: String,
}

impl Stage {
    fn start() -> Stage {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let page = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || serve(&listener));
        let server = Server::start(&["--peerjs", "/calls", "--origin", &page]);
        Stage { server, page }
    }

    /// Starts a browser whose page has a peer, and waits until that is open.
    #[track_caller]
    fn peer(&self, id: &str) -> Browser {
        let browser = self.visit();
        self.open(&browser, id, json!({}));
        wait_for_note(&browser, &format!("open {id}"));
        browser
    }

    fn visit(&self) -> Browser {
        let browser = Browser::start(&ARGUMENTS);
        browser.go(&format!("{}/", self.page));
        browser
    }

    /// Makes a peer. Without an id, the server is asked for one.
    fn open(&self, browser: &Browser, id: &str, options: Value) {
        let script = "
            const all = { host, port, path: '/calls/', config: { iceServers: [] }, ...options };
            const peer = id ? new Peer(id, all) : new Peer(all);
            globalThis.peer = peer;
            peer.on('open', (id) => note('open', id));
            peer.on('error', (error) => note('error', error.type, error.message));
            peer.on('disconnected', () => note('disconnected'));
            peer.on('connection', watch);
        ";
        let address = self.server.address.to_string();
        browser.run(&format!("{NOTES}{script}"), json!([address, id, options]));
    }
}

/// Serves the page and PeerJS, until the test program ends.
fn serve(listener: &TcpListener) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/browser/node_modules/peerjs/dist/peerjs.min.js"
    );
    let script = std::fs::read_to_string(path).expect("tests/run installs it");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let Some(request) = lines.next() else { continue };
        lines.find(String::is_empty);
        let (kind, body) = match request.starts_with("GET /peerjs.min.js ") {
            true => ("text/javascript", script.as_str()),
            false => ("text/html", PAGE),
        };
        // A browser may have gone, or have asked in advance for nothing.
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

fn notes(browser: &Browser) -> Vec<String> {
    let notes = browser.run("return globalThis.notes;", json!([]));
    notes.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Waits until something has happened that begins so, and takes all notes up to it.
#[track_caller]
fn wait_for_note(browser: &Browser, start: &str) -> String {
    let mut seen = Vec::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(start, || {
            seen = notes(browser);
            let at = seen.iter().position(|note| note.starts_with(start))?;
            browser.run("notes.splice(0, arguments[0]);", json!([at + 1]));
            Some(seen[at].clone())
        })
    }));
    found.unwrap_or_else(|_| panic!("{start} did not come, but {seen:?}"))
}

/// Calls a peer, and waits for the channel on both sides.
#[track_caller]
fn connect(caller: &Browser, called: &Browser, [from, to]: [&str; 2]) {
    call(caller, to);
    wait_for_note(caller, &format!("channel with {to}"));
    wait_for_note(called, &format!("channel with {from}"));
}

fn call(caller: &Browser, to: &str) {
    caller.run("watch(peer.connect(arguments[0], { reliable: true }));", json!([to]));
}

#[track_caller]
fn check_channel(from: &Browser, to: &Browser, text: &str) {
    from.run("connection.send(arguments[0]);", json!([text]));
    wait_for_note(to, &format!("data {text}"));
}

#[test]
fn pages_open_a_data_channel_and_reconnect_to_the_server() {
    let stage = Stage::start();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    connect(&alice, &bob, ["alice", "bob"]);
    check_channel(&alice, &bob, "hello");
    check_channel(&bob, &alice, "hello yourself");

    // The channel does without the server, and the id is taken back.
    alice.run("peer.disconnect(); peer.reconnect();", json!([]));
    wait_for_note(&alice, "open alice");
    check_channel(&bob, &alice, "still there?");
    alice.run("connection.close();", json!([]));
    wait_for_note(&bob, "channel closed");
    connect(&bob, &alice, ["bob", "alice"]);
    check_channel(&alice, &bob, "yes");
}

#[test]
fn page_hears_of_taken_ids_and_missing_peers() {
    let stage = Stage::start();
    let alice = stage.peer("alice");
    call(&alice, "nobody");
    let error = wait_for_note(&alice, "error ");
    assert_eq!(error, "error peer-unavailable Could not connect to peer nobody");

    let bob = stage.visit();
    stage.open(&bob, "alice", json!({}));
    assert_eq!(wait_for_note(&bob, "error "), "error unavailable-id ID \"alice\" is taken");

    // The id is free again as soon as its page has gone.
    alice.reload();
    stage.open(&alice, "alice", json!({}));
    wait_for_note(&alice, "open alice");
    stage.open(&bob, "", json!({}));
    let id = wait_for_note(&bob, "open ").replace("open ", "");
    assert_eq!(id.len(), 36, "{id}");
    connect(&alice, &bob, ["alice", &id]);
}

#[test]
fn owned_id_is_kept_for_pages_with_its_token() {
    let stage = Stage::start();
    let (alice, bob) = (stage.peer("alice"), stage.visit());
    let token = json!({"token": "0123456789abcdef"});
    stage.open(&bob, "bob", token.clone());
    wait_for_note(&bob, "open bob");
    bob.run("peer.disconnect();", json!([]));
    wait_for_note(&bob, "disconnected");

    // Its calls wait, and the caller hears in time that nobody has answered.
    call(&alice, "bob");
    assert_eq!(
        wait_for_note(&alice, "error "),
        "error peer-unavailable Could not connect to peer bob"
    );
    call(&alice, "bob");
    stage.open(&alice, "bob", json!({}));
    assert_eq!(wait_for_note(&alice, "error "), "error unavailable-id ID \"bob\" is taken");
    stage.open(&bob, "bob", token);
    wait_for_note(&bob, "open bob");
}
