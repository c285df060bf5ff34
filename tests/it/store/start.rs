//! Folders and files with which a server starts, or refuses to: with exit code 1, one sentence, and
//! a file that is as it was before.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Folder, KEY_A, KEY_B, round_trip};
use crate::support::{Client, PATIENCE, Server, sotto};

/// Starts a server that has to refuse this folder, and returns its sentence.
#[track_caller]
fn refusal(folder: &str) -> String {
    let options = ["--listen", "127.0.0.1:0", "--log", "off", "--store", folder];
    let mut child = sotto(&options).spawn().expect("it starts");
    let start = Instant::now();
    while child.try_wait().expect("our own child").is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().expect("our own child");
            panic!("it serves {folder}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("our own child");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix("sotto: ").expect("a sentence of the program").to_owned()
}

#[test]
fn second_server_is_refused_a_folder_and_the_first_goes_on() {
    let folder = Folder::new();
    let server = Server::start(&["--store", folder.path()]);
    let (mut alice, _) = Client::join_owned(&server, "alice", KEY_A);
    let said = refusal(folder.path());
    assert!(said.starts_with(&format!("another sotto uses {}: ", folder.path())), "{said}");
    alice.say(json!({"type": "send", "to": "alice", "body": 1, "ref": "r"}));
    alice.hear_type("sent");
    drop(server);
    let server = Server::start(&["--store", folder.path()]);
    let (_, joined) = Client::join_owned(&server, "alice", KEY_A);
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &1.into()), "its last words");
}

#[test]
fn folder_that_cannot_be_made_or_written_is_named() {
    let folder = Folder::new();
    fs::write(&folder.0, "a file").expect("a file");
    let below = format!("{}/store", folder.path());
    let said = refusal(&below);
    assert!(said.starts_with(&format!("cannot make the folder {below} of --store: ")), "{said}");
    let said = refusal(folder.path());
    assert!(said.starts_with(&format!("cannot open {}/sotto.lock: ", folder.path())), "{said}");
    fs::remove_file(&folder.0).expect("our own file");
    // Nobody can make a file there, not even root.
    let said = refusal("/proc");
    assert!(said.starts_with("cannot open /proc/sotto.lock: "), "{said}");
}

/// Makes a store with some ids and messages, and returns its file.
fn sample(folder: &Folder) -> Vec<u8> {
    let mut server = Server::start(&["--store", folder.path()]);
    let (mut alice, _) = Client::join_owned(&server, "alice", KEY_A);
    for number in 0..100 {
        let reference = number.to_string();
        let body = "x".repeat(500);
        alice.say(json!({"type": "send", "to": "alice", "body": body, "ref": reference}));
    }
    while alice.hear()["ref"] != "99" {}
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert!(!folder.0.join("sotto.db-wal").exists(), "everything is in the file");
    fs::read(folder.database()).expect("a file")
}

#[test]
fn damaged_file_is_named_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let whole = sample(&folder);
    let overwritten = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at..at + 64].fill(0xa5);
        bytes
    };
    // The fifth page begins at 16,384. The header of a page says where its cells are.
    for (what, bytes) in [
        ("a header of other bytes", overwritten(0)),
        ("tables of other bytes", overwritten(100)),
        ("a page of other bytes", overwritten(4 * 4096)),
        ("a last page of other bytes", overwritten(whole.len() - 4096)),
        ("cut in a page", whole[..whole.len() - 5000].to_vec()),
        ("cut behind a page", whole[..8192].to_vec()),
        ("cut in the header", whole[..50].to_vec()),
        ("nothing", Vec::new()),
    ] {
        fs::write(folder.database(), &bytes).expect("a file");
        let said = refusal(folder.path());
        let path = folder.database();
        assert!(said.contains(path.to_str().expect("UTF-8")), "{what}: {said}");
        assert!(said.contains("damaged"), "{what}: {said}");
        assert!(said.contains("put a backup"), "what to do about {what}: {said}");
        assert!(fs::read(&path).expect("a file") == bytes, "{what}: the file has changed");
    }
    fs::write(folder.database(), &whole).expect("a file");
    let server = Server::start(&["--store", folder.path()]);
    assert_eq!(Client::join_owned(&server, "alice", KEY_A).1["held"], 100);
}

// ---- a database of each released format ----

/// Starts a server with a file that an earlier version has written.
fn start_with(folder: &Folder, fixture: &str) -> Server {
    fs::create_dir_all(&folder.0).expect("a folder");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store");
    fs::copy(fixtures.join(fixture), folder.database()).expect("a copy");
    Server::start(&["--store", folder.path()])
}

/// Checks that a server has the messages and blocks of a sample: Alice has sent two messages to
/// Bob, who has acknowledged the first one, blocked Mallory and gone.
#[track_caller]
fn check_sample(server: &Server, delivered_mid: &str, held_mid: &str) {
    let (mut alice, joined) = Client::join_owned(server, "alice", KEY_A);
    assert_eq!(joined["resumed"], true);
    let delivered = json!({"type": "delivered", "from": "bob", "mids": [delivered_mid]});
    assert_eq!(alice.hear(), delivered);
    for (reference, mid) in [("first", delivered_mid), ("second", held_mid)] {
        alice.say(json!({"type": "send", "to": "bob", "body": "Grüße", "ref": reference}));
        let sent = alice.hear_type("sent");
        assert_eq!((&sent["mid"], &sent["ref"]), (&mid.into(), &reference.into()));
        let is_delivered = mid == delivered_mid;
        let fates = if is_delivered { &[delivered.clone()][..] } else { &[] };
        assert_eq!(round_trip(&mut alice), fates, "the fate once more");
    }
    let mut mallory = Client::join(server, "mallory");
    mallory.say(json!({"type": "send", "to": "bob", "body": 1, "ref": "r"}));
    mallory.hear_error("offline");
    let (mut bob, joined) = Client::join_owned(server, "bob", KEY_B);
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &1.into()));
    let message = bob.hear_type("message");
    assert_eq!((&message["mid"], &message["body"]), (&held_mid.into(), &"Grüße".into()));
    bob.say(json!({"type": "ack", "to": "alice", "mids": [held_mid]}));
    assert_eq!(alice.hear_type("delivered")["mids"], json!([held_mid]));
    alice.say(json!({"type": "send", "to": "bob", "body": "new", "ref": "third"}));
    let mid = alice.hear_type("sent")["mid"].clone();
    assert!(mid != delivered_mid && mid != held_mid);
}

/// A database of format 1 is changed to the present one.
///
/// `format-1.db` was made by the first version with a store, by the test
/// `sample_of_the_format_is_written` below as it was then. The server ends by SIGTERM, so that all
/// is in one file.
#[test]
fn database_of_format_1_is_changed_and_served() {
    let folder = Folder::new();
    let mut server = start_with(&folder, "format-1.db");
    check_sample(&server, "833b5b92e6f3-1", "833b5b92e6f3-2");
    let (mut alice, _) = Client::join_owned(&server, "alice", KEY_A);
    alice.say(json!({"type": "card", "card": {"v": 1}}));
    round_trip(&mut alice);
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    // The format stands in the header of the file (sqlite.org/fileformat.html, 1.3.9).
    assert_eq!(fs::read(folder.database()).expect("a file")[60..64], [0, 0, 0, 2]);
    let server = Server::start(&["--store", folder.path()]);
    check_card(&server, "alice", json!({"v": 1}));
}

/// A database of format 2 is served, whatever this version writes. In the sample Alice has a card.
#[test]
fn database_of_format_2_is_served() {
    let folder = Folder::new();
    let server = start_with(&folder, "format-2.db");
    check_card(&server, "alice", json!({"v": 1, "x": "Grüße"}));
    check_sample(&server, "a94831413b7c-1", "a94831413b7c-2");
}

fn check_card(server: &Server, id: &str, card: Value) {
    let mut carol = Client::join(server, "carol");
    carol.say(json!({"type": "lookup", "id": id}));
    assert_eq!(carol.hear(), json!({"type": "card", "id": id, "claimed": true, "card": card}));
}

/// Writes a database for the tests above to `format.db` in the folder for files of tests, and tells
/// its mids: `cargo test --features store --test it -- --ignored --nocapture sample_of_the_format`
#[test]
#[ignore = "for a new format"]
fn sample_of_the_format_is_written() {
    let folder = Folder::new();
    let mut server = Server::start(&["--store", folder.path()]);
    let (mut alice, _) = Client::join_owned(&server, "alice", KEY_A);
    let (mut bob, _) = Client::join_owned(&server, "bob", KEY_B);
    alice.say(json!({"type": "card", "card": {"v": 1, "x": "Grüße"}}));
    for reference in ["first", "second"] {
        alice.say(json!({"type": "send", "to": "bob", "body": "Grüße", "ref": reference}));
        println!("{reference}: {}", alice.hear_type("sent")["mid"]);
    }
    let mid = bob.hear_type("message")["mid"].clone();
    bob.say(json!({"type": "ack", "to": "alice", "mids": [mid]}));
    bob.say(json!({"type": "block", "ids": ["mallory"]}));
    alice.hear_type("delivered");
    round_trip(&mut bob);
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let sample = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format.db");
    fs::copy(folder.database(), &sample).expect("a copy");
    println!("{}", sample.display());
}
