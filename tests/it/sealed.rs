//! End-to-end encryption by a second implementation: the modules of `examples/sealed.rs`.
//!
//! - `vectors.rs`: its cryptography, held against numbers of another implementation.
//! - `bots.rs`: two clients that seal, and a server that repeats, forgets and lies.
//! - `secrets.rs`: all that a server has and says, searched for a text that it passed on sealed.
//!
//! **Invariants**
//!
//! - The modules are those of the example, so a reader learns from tested code.
//! - The time of a client is an argument, so no test waits for it.

use crate::support::{Client, Server};

#[path = "../../examples/sealed/bot.rs"]
mod bot;
mod bots;
#[path = "../../examples/sealed/crypto.rs"]
mod crypto;
#[cfg(target_os = "linux")]
mod secrets;
mod vectors;

use bot::{Bot, Heard};

/// Microseconds since 1970 at which each test begins.
const NOW: u64 = 1_795_392_000_000_000;

/// A bot with a connection. It echoes nothing.
struct Person {
    bot: Bot,
    client: Client,
    now: u64,
    /// Lines that have come, as they came.
    heard: Vec<String>,
    /// Lines that were said.
    said: Vec<String>,
}

impl Person {
    fn join(server: &Server, id: &str) -> Person {
        Person::join_at(server, id, NOW)
    }

    fn join_at(server: &Server, id: &str, now: u64) -> Person {
        let bot = Bot::new(id, now);
        let client = Client::connect(server);
        let mut person = Person { bot, client, now, heard: Vec::new(), said: Vec::new() };
        person.enter();
        person
    }

    /// Joins on a new connection.
    fn rejoin(&mut self, server: &Server) {
        self.client = Client::connect(server);
        self.enter();
    }

    fn enter(&mut self) {
        let line = self.bot.join(self.now);
        self.client.say_text(&line);
        self.said.push(line);
        self.hear_line("joined");
        assert!(self.bot.is_joined());
    }

    fn write(&mut self, to: &str, text: &str) {
        self.now += 1;
        self.bot.write(to, text, self.now);
        self.say_lines();
    }

    fn say_lines(&mut self) {
        for line in self.bot.take_lines() {
            self.client.say_text(&line);
            self.said.push(line);
        }
    }

    /// Takes one line, and answers it. Returns the text in it.
    fn take(&mut self, line: &str) -> Option<Heard> {
        self.now += 1;
        let heard = self.bot.receive(line, self.now).expect("the join stands");
        self.say_lines();
        heard
    }

    /// Takes lines until one has this type, and returns that line and the text in it.
    fn hear_line(&mut self, kind: &str) -> (String, Option<Heard>) {
        loop {
            let line = self.client.hear_text();
            self.heard.push(line.clone());
            let heard = self.take(&line);
            let parsed: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
            if parsed["type"] == kind {
                return (line, heard);
            }
            assert_ne!(parsed["type"], "error", "{line}");
        }
    }

    /// Takes lines until a message has come, and returns its text.
    fn hear(&mut self) -> Option<Heard> {
        self.hear_line("message").1
    }
}

fn sealed(from: &str, text: &str) -> Option<Heard> {
    Some(Heard { from: from.into(), text: text.into(), is_sealed: true })
}

fn plain(from: &str, text: &str) -> Option<Heard> {
    Some(Heard { from: from.into(), text: text.into(), is_sealed: false })
}
