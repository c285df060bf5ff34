//! The feature `host`: a server of its own for a few people.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::{Client, Server};

mod joins;
mod password;

/// A file with a password, removed when dropped.
struct PasswordFile(PathBuf);

impl PasswordFile {
    fn new(content: impl AsRef<[u8]>) -> PasswordFile {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("password-{}-{count}", std::process::id());
        let file = PasswordFile(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        file.write(content);
        file
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.0, content).expect("a file");
    }

    /// Returns the options of a private server.
    fn options(&self) -> [&str; 2] {
        ["--password-file", self.0.to_str().expect("UTF-8")]
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Connects as the proxy of a client at this address (`--forwarded x-forwarded-for`).
fn from_address(server: &Server, address: &str) -> Client {
    let field = format!("X-Forwarded-For: {address}\r\n");
    Client::ask(server, server.connect(), "/ws", &field).expect("an upgrade")
}

/// Says a `join` with this password, and returns the answer.
fn try_join(client: &mut Client, id: &str, password: impl Into<Value>) -> Value {
    client.say(json!({"type": "join", "id": id, "password": password.into()}));
    client.hear()
}
