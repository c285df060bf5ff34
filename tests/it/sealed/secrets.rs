//! All that a server has and says, searched for a text that it passed on sealed: its memory, its
//! log, its metrics, its store, and the lines of its clients.
//!
//! **Invariant**: a text that was sent plain is found in memory, store and lines, so the search
//! works. Log and metrics have no text of either kind.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use super::{Person, sealed};
use crate::support::{Client, PATIENCE, Server};

/// Sent sealed, and sent plain. No other text looks like them.
const SEALED: &str = "xylophone-quagmire-7319";
const PLAIN: &str = "zeppelin-kumquat-2846";
const KEY: &str = "0123456789abcdef";
/// Bytes that are read from memory at once.
const CHUNK: usize = 1 << 20;

/// Where a text was found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    memory: bool,
    store: bool,
    log: bool,
    metrics: bool,
    lines: bool,
}

/// Searches bytes by way of text, for which the standard library is fast without optimization.
fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

/// Searches all memory of the server that can be read.
fn memory_contains(server: &Server, texts: [&str; 2]) -> [bool; 2] {
    let folder = format!("/proc/{}", server.pid().as_raw_nonzero());
    let memory = File::open(format!("{folder}/mem")).expect("a parent may read its child");
    let maps = std::fs::read_to_string(format!("{folder}/maps")).expect("it runs");
    let (mut found, mut count) = ([false; 2], 0);
    for line in maps.lines() {
        let mut words = line.split([' ', '-']);
        let mut address = || u64::from_str_radix(words.next().expect("a word"), 16).expect("hex");
        let (start, end) = (address(), address());
        // The kernel's own pages cannot be read this way.
        if !words.next().expect("rights").starts_with('r') || line.contains("[v") {
            continue;
        }
        // One chunk begins within the one before, so no text is cut.
        for from in (start..end).step_by(CHUNK / 2) {
            let mut bytes = vec![0; CHUNK.min((end - from) as usize)];
            let Ok(len) = memory.read_at(&mut bytes, from) else { continue };
            count += len;
            for (found, text) in found.iter_mut().zip(texts) {
                *found |= contains(&bytes[..len], text);
            }
        }
    }
    assert!(count > 1 << 20, "{count} bytes of memory were read");
    found
}

fn files_contain(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten();
    let bytes = files.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"));
    bytes.into_iter().any(|bytes| contains(&bytes, text))
}

fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.contains("sotto_"), "{text}");
    text
}

/// Sends one text sealed and one plain, to a client that is away and comes back, and returns where
/// each was found.
fn talk(options: &[&str], store: &Path) -> [Found; 2] {
    let mut server =
        Server::start(&[&["--log", "trace", "--metrics", "127.0.0.1:0"], options].concat());
    let mut log = server.log_until("metrics on http://");
    let metrics = log.last().and_then(|line| line.split_once("http://")?.1.split('/').next());
    let metrics = metrics.expect("an address").to_owned();
    let [mut alice, mut bob] = ["alice", "bob"].map(|id| Person::join(&server, id));
    let mut old = Client::join_owned(&server, "old", KEY).0;
    // A third client that asks for all it can.
    let mut carol = Client::join(&server, "carol");
    carol.say(json!({"type": "watch", "ids": ["alice", "bob", "old"]}));
    bob.client.cut();
    old.cut();
    for (id, text) in [("bob", SEALED), ("old", PLAIN)] {
        alice.write(id, text);
        alice.hear_line("card");
        alice.hear_line("sent");
    }
    let texts = [SEALED, PLAIN];
    let mut found = [Found::default(), Found::default()];
    let look = |found: &mut [Found; 2]| {
        let memory = memory_contains(&server, texts);
        let metrics = scrape(&metrics);
        for index in 0..2 {
            found[index].memory |= memory[index];
            found[index].store |= files_contain(store, texts[index]);
            found[index].metrics |= metrics.contains(texts[index]);
        }
    };
    // Held, and once more when delivered.
    look(&mut found);
    bob.rejoin(&server);
    assert_eq!(bob.hear(), sealed("alice", SEALED));
    let mut old = Client::join_owned(&server, "old", KEY).0;
    assert_eq!(old.hear_type("message")["body"], PLAIN);
    look(&mut found);
    let mut told = Vec::new();
    for id in ["alice", "bob", "old"] {
        carol.say(json!({"type": "lookup", "id": id}));
        loop {
            told.push(carol.hear_text());
            if told.last().is_some_and(|line| line.starts_with(r#"{"type":"card","#)) {
                break;
            }
        }
    }
    server.signal(Signal::TERM);
    told.extend(carol.hear_close().0);
    // The log goes on while the clients go.
    drop((alice.client, bob.client, old, carol));
    log.extend(server.log_until("stopping"));
    assert_eq!(server.wait_for_exit().code(), Some(0));
    log.extend(server.log_rest());
    assert!(log.iter().any(|line| line.starts_with("DEBUG")), "{log:?}");
    for (found, text) in found.iter_mut().zip(texts) {
        found.store |= files_contain(store, text);
        found.log = log.iter().any(|line| line.contains(text));
        let lines = [&alice.said, &alice.heard, &bob.said, &bob.heard, &told];
        found.lines = lines.iter().any(|lines| lines.iter().any(|line| line.contains(text)));
    }
    found
}

#[test]
fn server_never_has_a_text_that_came_sealed() {
    let [sealed, plain] = talk(&[], Path::new("no store"));
    assert_eq!(sealed, Found::default(), "it is nowhere");
    assert_eq!(plain, Found { memory: true, lines: true, ..Found::default() }, "the search works");
}

#[cfg(feature = "store")]
#[test]
fn store_never_has_a_text_that_came_sealed() {
    let folder = crate::store::Folder::new();
    let [sealed, plain] = talk(&["--store", folder.path()], Path::new(folder.path()));
    assert_eq!(sealed, Found::default(), "it is nowhere");
    let expected = Found { memory: true, store: true, lines: true, ..Found::default() };
    assert_eq!(plain, expected, "the search works");
}
