//! A disk without room, by a limit on the bytes of a file, and by a small file system: nothing that
//! was promised is lost, and what needs no disk goes on.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::{Folder, KEY_A, KEY_B, round_trip};
use crate::metrics::Watched;
use crate::support::{Client, PATIENCE, Server};

/// The start of the line in the log when the disk fails, behind what SQLite says.
const FAILS: &str = "cannot use ";
const WORKS: &str = "the disk of --store takes writes again";
const NOTHING: [Value; 0] = [];

/// Limits the bytes of each file that the server writes; `None`: as many as this program may write.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let Rlimit { current, maximum } = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: bytes.or(current), maximum };
    prlimit(Some(server.pid()), Resource::Fsize, limit).expect("our own child");
}

/// A server with a store, and two clients that own their ids. Bob has heard a message of Alice's
/// and has not acknowledged it.
struct Chat {
    watched: Watched,
    alice: Client,
    bob: Client,
    /// The mid of the message.
    mid: Value,
}

impl Chat {
    fn start(folder: &str) -> Chat {
        let watched = Watched::start(&["--store", folder]);
        let [mut alice, mut bob] = [("alice", KEY_A), ("bob", KEY_B)]
            .map(|(id, key)| Client::join_owned(&watched.server, id, key).0);
        alice.say(send("bob", "before"));
        alice.hear_type("sent");
        let mid = bob.hear_type("message")["mid"].clone();
        Chat { watched, alice, bob, mid }
    }

    /// Takes all room on the disk, and lets Alice send a message that waits for it.
    fn fail(&mut self) {
        limit_files(&self.watched.server, Some(0));
        self.alice.say(send("bob", "waits"));
        self.watched.server.wait_for_log(FAILS);
    }

    /// Gives the room back, and waits until the server has found it.
    fn heal(&mut self) {
        limit_files(&self.watched.server, None);
        self.watched.server.wait_for_log(WORKS);
    }
}

/// Returns a send with its body as its `ref`.
fn send(to: &str, body: &str) -> Value {
    json!({"type": "send", "to": to, "body": body, "ref": body})
}

fn status(server: &Server, path: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    server.exchange(&request).split(' ').nth(1).expect("a status").to_owned()
}

#[test]
fn promises_of_a_failing_disk_wait_and_are_kept() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    chat.fail();
    assert_eq!(round_trip(&mut chat.alice), NOTHING, "no answer yet");
    assert_eq!(round_trip(&mut chat.bob), NOTHING, "no message yet");
    chat.heal();
    let sent = chat.alice.hear_type("sent");
    let message = chat.bob.hear_type("message");
    assert_eq!((&sent["ref"], &message["body"]), (&"waits".into(), &"waits".into()));
    assert_eq!(sent["mid"], message["mid"]);
    // Nothing was acknowledged, so a server that is killed now tells both again.
    drop(chat.watched);
    let server = Server::start(&["--store", folder.path()]);
    let (mut bob, joined) = Client::join_owned(&server, "bob", KEY_B);
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &2.into()));
    let mids = [(); 2].map(|()| bob.hear_type("message")["mid"].clone());
    assert_eq!(mids, [chat.mid, sent["mid"].clone()]);
    let (mut alice, _) = Client::join_owned(&server, "alice", KEY_A);
    alice.say(send("bob", "waits"));
    assert_eq!(alice.hear(), sent);
    assert_eq!(round_trip(&mut bob), NOTHING, "a repeated send is not routed");
}

#[test]
fn kill_while_the_disk_fails_loses_nothing_that_was_told() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    chat.fail();
    drop(chat.watched);
    let server = Server::start(&["--store", folder.path()]);
    let (mut bob, joined) = Client::join_owned(&server, "bob", KEY_B);
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &1.into()));
    assert_eq!(bob.hear_type("message")["mid"], chat.mid);
    let (mut alice, joined) = Client::join_owned(&server, "alice", KEY_A);
    assert_eq!(joined["resumed"], true);
    // It was not answered, so its sender repeats it.
    alice.say(send("bob", "waits"));
    let sent = alice.hear_type("sent");
    assert_ne!(sent["mid"], chat.mid);
    assert_eq!(bob.hear_type("message")["mid"], sent["mid"]);
}

#[test]
fn new_messages_for_owners_and_new_claims_are_refused() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    chat.fail();
    let mut carol = Client::join(&chat.watched.server, "carol");
    for (client, reference) in [(&mut chat.alice, "again"), (&mut carol, "once")] {
        client.say(send("bob", reference));
        let error = client.hear_error("full");
        assert_eq!((&error["ref"], &error["to"]), (&reference.into(), &"bob".into()));
    }
    let mut dave = Client::connect(&chat.watched.server);
    let join = json!({"type": "join", "id": "dave", "key": "dave's key, 16 bytes or more"});
    dave.say(join.clone());
    dave.hear_error("too_many");
    chat.heal();
    dave.say(join);
    assert_eq!(dave.hear_type("joined")["resumed"], false);
    assert_eq!(chat.bob.hear_type("message")["body"], "waits");
    assert_eq!(chat.alice.hear_type("sent")["ref"], "waits");
    chat.alice.say(send("bob", "again"));
    assert_eq!(chat.alice.hear_type("sent")["ref"], "again");
    assert_eq!(chat.bob.hear_type("message")["body"], "again", "and the refused ones never come");
}

#[test]
fn owners_acknowledge_signal_and_come_back_on_a_failing_disk() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    chat.fail();
    chat.bob.say(json!({"type": "ack", "to": "alice", "mids": [chat.mid]}));
    let delivered = chat.alice.hear_type("delivered");
    assert_eq!(delivered["mids"], json!([chat.mid]));
    // None to Bob: it would overtake the message that waits.
    chat.bob.say(json!({"type": "signal", "to": "alice", "body": "typing"}));
    assert_eq!(chat.alice.hear_type("signal")["body"], "typing");
    // Bob loses his connection. What he has acknowledged does not come again.
    chat.bob = Client::join_owned(&chat.watched.server, "bob", KEY_B).0;
    assert_eq!(round_trip(&mut chat.bob), NOTHING);
    chat.heal();
    assert_eq!(chat.alice.hear_type("sent")["ref"], "waits");
    assert_eq!(chat.bob.hear_type("message")["body"], "waits");
}

#[test]
fn clients_without_keys_chat_while_the_disk_fails() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    chat.fail();
    let [mut carol, mut dave] = ["carol", "dave"].map(|id| Client::join(&chat.watched.server, id));
    for number in 0..100 {
        carol.say(json!({"type": "send", "to": "dave", "body": number, "ref": "r"}));
        let mid = carol.hear_type("sent")["mid"].clone();
        let message = dave.hear_type("message");
        assert_eq!((&message["body"], &message["mid"]), (&number.into(), &mid));
        dave.say(json!({"type": "ack", "to": "carol", "mids": [mid]}));
        assert_eq!(carol.hear_type("delivered")["mids"], json!([mid]));
    }
    // An owner may send to them, too, if it wants no answer: nothing has to be remembered.
    chat.alice.say(json!({"type": "send", "to": "dave", "body": "hello"}));
    assert_eq!(dave.hear_type("message")["body"], "hello");
    assert_eq!(chat.watched.scrape()["sotto_store_failing"], 1.0);
}

#[test]
fn failing_disk_is_seen_in_readyz_metrics_and_one_log_line() {
    let folder = Folder::new();
    let mut chat = Chat::start(folder.path());
    let statuses = |server: &Server| ["/healthz", "/readyz"].map(|path| status(server, path));
    assert_eq!(statuses(&chat.watched.server), ["200", "200"]);
    chat.fail();
    assert_eq!(statuses(&chat.watched.server), ["200", "503"]);
    let metrics = chat.watched.scrape_until(|metrics| metrics["sotto_store_failures_total"] >= 2.0);
    assert_eq!(metrics["sotto_store_failing"], 1.0);
    limit_files(&chat.watched.server, None);
    let lines = chat.watched.server.log_until(WORKS);
    assert_eq!(lines.len(), 1, "besides the line that Chat::fail waits for: {lines:?}");
    assert_eq!(statuses(&chat.watched.server), ["200", "200"]);
    let metrics = chat.watched.scrape();
    assert_eq!(metrics["sotto_store_failing"], 0.0);
    assert!(metrics["sotto_store_failures_total"] >= 2.0);
}

// ---- a small file system ----

/// A small file system in memory, at this folder.
struct SmallDisk(Folder);

impl SmallDisk {
    /// Mounts one of so many megabytes. Returns `None` where that is not allowed.
    fn mount(megabytes: usize) -> Option<SmallDisk> {
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.0).expect("a folder");
        let mut mount = Command::new("mount");
        let size = format!("size={megabytes}m");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs", folder.path()]);
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then(|| SmallDisk(folder))
    }

    fn store(&self) -> String {
        format!("{}/store", self.0.path())
    }

    /// Takes all room but so many bytes.
    fn fill(&self, rest: usize) {
        let mut file = File::create(self.0.0.join("filler")).expect("a file");
        let mut written = 0;
        while let Ok(len) = file.write(&[0; 4096]) {
            written += len;
        }
        let len = written.saturating_sub(rest) as u64;
        file.set_len(len).expect("a shorter file");
    }

    /// Gives the room back.
    fn free(&self) {
        std::fs::remove_file(self.0.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", self.0.path()]).output();
    }
}

/// Says why a test with a small disk ends without a result.
fn not_tested() {
    println!("not tested: no file system may be mounted here");
}

#[test]
fn small_disk_without_room_keeps_all_and_goes_on_with_room() {
    let Some(disk) = SmallDisk::mount(4) else { return not_tested() };
    let mut chat = Chat::start(&disk.store());
    let body = "x".repeat(1000);
    let long =
        |reference: &str| json!({"type": "send", "to": "bob", "body": body, "ref": reference});
    let (mut sent, mut refused) = (vec![chat.mid.clone()], Vec::new());
    for number in 0..20 {
        chat.alice.say(long(&number.to_string()));
        sent.push(chat.alice.hear_type("sent")["mid"].clone());
    }
    disk.fill(65_536);
    (20..220).for_each(|number| chat.alice.say(long(&number.to_string())));
    chat.watched.server.wait_for_log(FAILS);
    let mut answers = round_trip(&mut chat.alice);
    assert!(answers.len() < 200, "some wait");
    disk.free();
    chat.watched.server.wait_for_log(WORKS);
    // More than one batch may have waited.
    while answers.len() < 200 {
        answers.push(chat.alice.hear());
    }
    for line in answers {
        match line["type"] == "sent" {
            true => sent.push(line["mid"].clone()),
            false => refused.push(line["ref"].as_str().expect("a ref").to_owned()),
        }
    }
    refused.iter().for_each(|reference| chat.alice.say(long(reference)));
    sent.extend(refused.iter().map(|_| chat.alice.hear_type("sent")["mid"].clone()));
    let mut shown = vec![chat.mid.clone()];
    shown.extend((0..220).map(|_| chat.bob.hear_type("message")["mid"].clone()));
    assert!(shown == sent, "{shown:?} is not {sent:?}");
    drop(chat.watched);
    let server = Server::start(&["--store", &disk.store()]);
    let (mut bob, joined) = Client::join_owned(&server, "bob", KEY_B);
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &221.into()));
    let held: Vec<Value> = (0..221).map(|_| bob.hear_type("message")["mid"].clone()).collect();
    assert!(held == sent, "{held:?} is not {sent:?}");
}

#[test]
fn small_disk_full_of_the_log_alone_frees_itself() {
    let Some(disk) = SmallDisk::mount(1) else { return not_tested() };
    let mut chat = Chat::start(&disk.store());
    // The file gets pages that are free later on.
    let body = "x".repeat(4000);
    let lines = (0..10).map(|number| {
        json!({"type": "send", "to": "bob", "body": body, "ref": number.to_string()}).to_string()
    });
    chat.alice.say_text(&lines.collect::<Vec<_>>().join("\n"));
    let mids: Vec<Value> = (0..10).map(|_| chat.bob.hear_type("message")["mid"].clone()).collect();
    chat.bob.say(json!({"type": "ack", "to": "alice", "mids": mids}));
    let start = Instant::now();
    let log = format!("{}/sotto.db-wal", disk.store());
    while std::fs::metadata(&log).expect("a log").len() > 0 {
        assert!(start.elapsed() < PATIENCE, "the log is never emptied");
        std::thread::sleep(Duration::from_millis(5));
    }
    round_trip(&mut chat.alice);
    // Now each commit makes the log some pages longer, and the file stays as it is.
    for number in 0..120 {
        chat.alice.say(json!({"type": "send", "to": "alice", "body": number, "ref": "r"}));
        chat.alice.hear_type("sent");
        let mid = chat.alice.hear_type("message")["mid"].clone();
        chat.alice.say(json!({"type": "ack", "to": "alice", "mids": [mid]}));
        chat.alice.hear_type("delivered");
    }
    assert!(chat.watched.scrape()["sotto_store_failures_total"] > 0.0, "the log was never full");
}
