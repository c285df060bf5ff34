//! A chat in scripts: one line for each text that a client sends, and for each line that it gets.
//!
//! [`Chat`] plays the loop. The tests are in the files below, by topic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::RandomState;
use std::time::{Duration, Instant};

use super::*;
use crate::chat::journal::image::Image;
use crate::chat::journal::{Batch, Recorder};
use crate::chat::protocol::Mid;

mod blocks;
mod cards;
mod crashes;
#[cfg(feature = "host")]
mod door;
mod fairness;
mod fates;
mod gate;
mod held;
mod outboxes;
mod ownership;
mod ownership_properties;
#[cfg(feature = "api")]
mod post;
mod properties;
mod requests;
mod shorthand;

const LIMITS: Limits = Limits {
    message_bytes_max: 65_536,
    outbox_bytes_max: 100_000,
    outbox_bytes_total: 10_000_000,
    hold: Duration::from_secs(600),
    held_bytes_max: 100_000,
    held_bytes_total: 10_000_000,
    owned_max: 1000,
};

/// A hub, and clients with names.
struct Chat<J = NoJournal> {
    hub: Hub<J>,
    /// The disk of a hub that records. It stores each batch at once, unless it is stopped.
    disk: Image,
    is_disk_stopped: bool,
    /// A batch that a stopped disk has been given.
    under_way: Option<Batch>,
    now: Now,
    tokens: BTreeMap<String, Token>,
    /// Lines that each client has got and the script has not yet named.
    heard: BTreeMap<String, VecDeque<String>>,
    /// Clients with a socket that accepts no bytes, and the text that it refused.
    stuck: BTreeMap<String, Vec<u8>>,
}

impl Chat {
    fn new(limits: Limits) -> Chat {
        Chat::with(Hub::new(limits, 0xabc), Image::default(), Now::start())
    }
}

impl Chat<Recorder<RandomState>> {
    fn with_store(limits: Limits) -> Chat<Recorder<RandomState>> {
        let (mut disk, now) = (Image::default(), Now::start());
        Chat::with(disk.start(limits, 0xabc, now), disk, now)
    }
}

impl Now {
    /// The time at which each test begins.
    fn start() -> Now {
        Now { instant: Instant::now(), unix_ms: 5 }
    }
}

impl Chat {
    /// Makes a chat of clients that have joined under their names, without a key.
    fn of(names: &[&str]) -> Chat {
        let mut chat = Chat::new(LIMITS);
        chat.join(names);
        chat
    }
}

impl<J: Journal> Chat<J> {
    fn with(hub: Hub<J>, disk: Image, now: Now) -> Chat<J> {
        Chat {
            hub,
            disk,
            is_disk_stopped: false,
            under_way: None,
            now,
            tokens: BTreeMap::new(),
            heard: BTreeMap::new(),
            stuck: BTreeMap::new(),
        }
    }

    fn join(&mut self, names: &[&str]) {
        for name in names {
            self.say(name, &format!(r#"{{"type":"join","id":"{name}"}}"#));
            self.collect();
            self.heard.clear();
        }
    }

    /// Returns the client of this name, and opens it if the name is new.
    ///
    /// A name that ends with `@` and a number is that of a client with this payer; all others are
    /// exempt.
    fn token(&mut self, name: &str) -> Token {
        let key = self.tokens.len();
        *self.tokens.entry(name.to_owned()).or_insert_with(|| {
            let token = Token::new(key, 1);
            let payer = name.rsplit_once('@').and_then(|(_, number)| number.parse().ok());
            self.hub.open(token, payer.map(Payer::new));
            token
        })
    }

    fn say(&mut self, name: &str, text: &str) {
        let token = self.token(name);
        let mut rest = text;
        while !rest.is_empty() {
            rest = self.hub.receive(token, rest, usize::MAX, self.now);
            self.collect();
        }
    }

    /// Lets time pass, and handles all deadlines until then.
    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        while self.hub.next_deadline(self.now.instant).is_some_and(|due| due <= self.now.instant) {
            self.hub.expire(self.now);
            self.hub.sweep(self.tokens.len());
            self.collect();
        }
    }

    /// Has the disk store what was recorded, and lets the lines go that waited for it.
    fn commit(&mut self) {
        loop {
            if self.under_way.is_none() {
                self.under_way = self.hub.begin_commit(Batch::default(), self.now).ok();
            }
            let Some(batch) = self.under_way.take_if(|_| !self.is_disk_stopped) else { return };
            self.disk.apply(&batch);
            self.hub.commit_finished();
            while self.hub.let_through(self.now) {
                self.hub.clients.pressing.clear();
            }
        }
    }

    /// Brings all lines that wait to their clients. A disconnected client gets `closed` and the
    /// code last.
    fn collect(&mut self) {
        loop {
            self.commit();
            while self.hub.presence.has_notices() {
                self.hub.flush(self.now);
            }
            self.hub.clients.pressing.clear();
            self.hub.clients.pending_write.clear();
            for (name, token) in self.tokens.clone() {
                match self.stuck.get_mut(&name) {
                    None => {
                        let text = self.hub.take_text(token);
                        self.deliver(&name, text);
                    }
                    Some(refused) if refused.is_empty() => *refused = self.hub.take_text(token),
                    Some(_) => {}
                }
                self.hub.written(token, Vec::new(), self.stuck.get(&name).map_or(0, Vec::len));
                let index =
                    self.hub.disconnects.iter().position(|disconnect| disconnect.token == token);
                if let Some(index) = index {
                    let Disconnect { code, text, .. } = self.hub.disconnects.remove(index);
                    let refused =
                        self.stuck.remove(&name).filter(|_| code != CloseCode::TryAgainLater);
                    self.deliver(&name, refused.unwrap_or_default());
                    self.deliver(&name, text);
                    self.deliver(&name, format!("closed {}", u16::from(code)).into());
                }
            }
            // Lines that left may have made capacity for held ones.
            if self.hub.clients.pending_write.is_empty() {
                return;
            }
        }
    }

    fn reads(&mut self, name: &str) {
        let refused = self.stuck.remove(name).expect("it is stuck");
        self.deliver(name, refused);
    }

    fn deliver(&mut self, name: &str, text: Vec<u8>) {
        let text = String::from_utf8(text).expect("UTF-8");
        let lines = text.split('\n').filter(|line| !line.is_empty()).map(without_text);
        self.heard.entry(name.to_owned()).or_default().extend(lines);
    }

    /// Runs a script, and checks that each client gets the lines that the script names:
    ///
    /// - `bob > TEXT`: sends a text, in which `⏎` is a newline;
    /// - `bob < LINE`: gets this line, without the `text` of an error, which is for people;
    /// - `bob < joined ID`: gets the `joined` of a new id;
    /// - `bob < closed CODE`: is disconnected, and gets this last;
    /// - `bob lost`, `bob closes`: loses its connection, closes it with 1000;
    /// - `bob stuck`, `bob reads`: its socket accepts no bytes, accepts all again;
    /// - `after 10 s`: this much time passes;
    /// - `disk stops`, `disk fails`, `disk works`: batches wait, are told to have failed, are stored.
    ///
    /// Each line that a client gets has to be named before the next step of another kind.
    #[track_caller]
    fn check(&mut self, script: &str) {
        self.run(script);
        self.hub.check_tables();
    }

    /// Does the same, without a look at the tables.
    #[track_caller]
    fn run(&mut self, script: &str) {
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            let (name, action) = step.split_once(' ').expect("a name and an action");
            if let Some(line) = action.trim_start().strip_prefix("< ") {
                let id = line.trim().strip_prefix("joined ");
                let line = id.map_or(line.trim().to_owned(), |id| joined(id, "false", "0"));
                let heard = self.heard.get_mut(name).and_then(VecDeque::pop_front);
                assert_eq!(heard, Some(line), "{step}");
                continue;
            }
            self.check_silence(step);
            if name == "after" {
                let seconds = action.strip_suffix(" s").and_then(|seconds| seconds.parse().ok());
                self.pass(Duration::from_secs(seconds.expect("seconds")));
                self.collect();
                continue;
            }
            if name == "disk" {
                self.is_disk_stopped = action != "works";
                if action == "fails" {
                    self.hub.commit_failed();
                }
                self.collect();
                continue;
            }
            let token = self.token(name);
            match action.trim_start() {
                "lost" => self.hub.disconnected(token, Departure::Lost, self.now),
                "closes" => self.hub.disconnected(token, Departure::Normal, self.now),
                "stuck" => drop(self.stuck.insert(name.to_owned(), Vec::new())),
                "reads" => self.reads(name),
                text => {
                    self.say(name, &text.strip_prefix("> ").expect("a sign").replace('⏎', "\n"))
                }
            }
            self.collect();
        }
        self.check_silence("the end");
    }

    #[track_caller]
    fn check_silence(&self, before: &str) {
        for (name, lines) in &self.heard {
            assert!(lines.is_empty(), "before {before}: {name} has got {lines:?}");
        }
    }
}

/// Runs a script with clients that have joined under these names, without a key.
#[track_caller]
fn check(names: &[&str], script: &str) {
    Chat::of(names).check(script);
    let mut stored = Chat::with_store(LIMITS);
    stored.join(names);
    stored.check(script);
}

/// Returns an error line without its `text`, a `joined` without its `ownership`, and any other line
/// as it is.
fn without_text(line: &str) -> String {
    if line.starts_with(r#"{"type":"joined""#) {
        let ownership = ownership(line);
        return line.replace(&format!(r#","ownership":"{ownership}""#), "");
    }
    match line.split_once(r#","text":"#) {
        Some((front, _)) if front.starts_with(r#"{"type":"error""#) => format!("{front}}}"),
        _ => line.to_owned(),
    }
}

/// Returns the name of the ownership in a `joined`; empty: it has none.
fn ownership(joined: &str) -> &str {
    let behind = joined.split_once(r#""ownership":""#).map_or("", |(_, behind)| behind);
    behind.split_once('"').map_or("", |(name, _)| name)
}

fn joined(id: &str, resumed: &str, held: &str) -> String {
    let limits = r#""max_message":65536,"hold":600,"card":2048"#;
    format!(r#"{{"type":"joined","id":"{id}","resumed":{resumed},"held":{held},{limits}}}"#)
}

fn send(to: &str, body: &str) -> String {
    format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#)
}

fn watch(ids: impl Iterator<Item = usize>) -> String {
    let ids: Vec<String> = ids.map(|n| format!(r#""id{n}""#)).collect();
    format!(r#"{{"type":"watch","ids":[{}]}}"#, ids.join(","))
}

impl<J: Journal> Hub<J> {
    /// Checks that facts kept in two places agree.
    #[track_caller]
    fn check_tables(&self) {
        self.owners.check_tables();
        let clients = || self.clients.checked();
        for (id, &holder) in &self.ids {
            assert_eq!(self.id_of(holder), Some(id));
        }
        for (token, client) in clients() {
            let holder = client.holder(token);
            assert_eq!(
                client.id.as_ref().map(|id| self.ids[id]),
                client.id.as_ref().map(|_| holder)
            );
            assert_eq!(self.client_of(holder), Some(token));
        }
        let unowned =
            clients().filter(|(_, client)| client.id.is_some() && client.owner.is_none()).count();
        assert_eq!(unowned + self.owners.len(), self.ids.len());
        let charges = clients().flat_map(|(token, client)| {
            let watches = (client.account, Total::Watches, self.presence.count(token));
            let blocks = (client.account, Total::Blocks, client.blocked.len());
            [watches, blocks, (client.account, Total::Cards, client.card.bytes())]
        });
        let accounts = clients().map(|(_, client)| client.account);
        self.payers.check_sums(accounts, charges.chain(self.owners.charges()));
    }
}
