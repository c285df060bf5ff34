//! The store of a real server: what survives its end, and what it does while its disk fails.
//!
//! - `start.rs`: folders and files with which a server starts, or refuses to.
//! - `restart.rs`: what the next server knows.
//! - `disk.rs`: a disk without room.
//! - `storm.rs`: owners that chat while their server is killed all the time.
//!
//! **Invariants**
//!
//! - Each test has a folder of its own, which is removed at its end.
//!
//! Tables and changes are not known here. Of the files only the names are.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::metrics::Watched;
use crate::support::Client;

mod disk;
mod restart;
mod start;
mod storm;

const KEY_A: &str = "alice's key, 16 bytes or more";
const KEY_B: &str = "bob's key, 16 bytes or more";

/// A folder for a store, on the disk of the build. It is not made before a server makes it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("store-{}-{count}", std::process::id());
        Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// Returns the path of the database.
    fn database(&self) -> PathBuf {
        self.0.join("sotto.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until the server has heard all lines of a client and told all it had to tell. Returns the
/// lines that came meanwhile.
fn round_trip(client: &mut Client) -> Vec<Value> {
    client.say(json!({"type": "send", "to": "nobody", "body": 0, "ref": "well?"}));
    let mut lines = Vec::new();
    loop {
        let line = client.hear();
        if line["ref"] == "well?" {
            assert_eq!(line["code"], "offline", "{line}");
            return lines;
        }
        lines.push(line);
    }
}

#[test]
fn families_of_the_store_are_scraped_with_a_store_only() {
    let folder = Folder::new();
    for (options, expected) in [(&["--store", folder.path()][..], true), (&[], false)] {
        let mut watched = Watched::start(options);
        let metrics = watched.scrape();
        for name in [
            "sotto_store_bytes_total",
            "sotto_store_failures_total",
            "sotto_store_failing",
            "sotto_store_waiting_bytes",
            "sotto_store_commit_seconds_count",
        ] {
            assert_eq!(metrics.0.contains_key(name), expected, "{name}");
        }
        let stores = metrics.0.keys().any(|name| name.starts_with("sotto_store"));
        assert_eq!(stores, expected);
    }
}

#[test]
fn commits_and_bytes_of_the_store_are_counted() {
    let folder = Folder::new();
    let mut watched = Watched::start(&["--store", folder.path()]);
    let names = ["sotto_store_commit_seconds_count", "sotto_store_bytes_total"];
    let before = watched.scrape();
    let (mut alice, _) = Client::join_owned(&watched.server, "alice", KEY_A);
    let claimed = watched.scrape();
    let [commits, bytes] = claimed.since(&before, names);
    assert!(commits == 1.0 && (40.0..200.0).contains(&bytes), "{commits} commits, {bytes} bytes");
    let body = "x".repeat(1000);
    alice.say(json!({"type": "send", "to": "alice", "body": body, "ref": "r"}));
    alice.hear_type("sent");
    let [commits, bytes] = watched.scrape().since(&claimed, names);
    assert!(commits == 1.0 && (1000.0..2000.0).contains(&bytes), "{commits}, {bytes} bytes");
    let metrics = watched.scrape();
    assert_eq!((metrics["sotto_store_failing"], metrics["sotto_store_failures_total"]), (0.0, 0.0));
}
