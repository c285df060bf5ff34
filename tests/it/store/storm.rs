//! Owners that send to each other while their server is killed and started again all the time: each
//! message is shown once and in order, and each send has one mid for ever.
//!
//! The server is killed when a random number of messages has been shown, and some of its starts are
//! cut short.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Folder, round_trip};
use crate::storm::Chance;
use crate::support::{Client, PATIENCE, Server, sotto};

const PEOPLE: usize = 6;
/// As many sends as the server remembers: of the newest ones each can be repeated.
const REMEMBERED: usize = 128;

/// A server that is killed and started again at one address.
struct World {
    folder: Folder,
    address: SocketAddr,
    /// The messages of each person.
    messages: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the server that runs.
    run: usize,
    is_up: bool,
    /// A person or the killer has panicked.
    is_over: bool,
    /// The messages shown to all persons together.
    shown: usize,
    /// Mids of messages that their recipients have acknowledged, or are about to.
    acknowledged: HashSet<String>,
    /// Sends that were repeated after they had been answered.
    repeated: usize,
}

impl World {
    /// Starts the first server.
    fn new(messages: usize) -> (World, Server) {
        // No other program has this address, so its ports are free at each start.
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let free = format!("127.{}.{b}.{c}:0", a | 128);
        let folder = Folder::new();
        let server = Server::start(&["--listen", &free, "--store", folder.path(), "--rate", "0"]);
        let state = Mutex::new(State { is_up: true, ..State::default() });
        let address = server.address;
        (World { folder, address, messages, state, changed: Condvar::new() }, server)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes the state, and wakes all threads that wait for a change.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until the state is as expected.
    fn wait(&self, what: &str, expected: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let mut progress = (state.shown, state.run, Instant::now());
        while !expected(&state) && !state.is_over {
            let waited = self.changed.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            if (progress.0, progress.1) != (state.shown, state.run) {
                progress = (state.shown, state.run, Instant::now());
            }
            assert!(progress.2.elapsed() < PATIENCE, "waited for {what}, after {progress:?}");
        }
        assert!(!state.is_over, "another thread has panicked");
        state
    }

    fn start(&self) -> Server {
        let address = self.address.to_string();
        Server::start(&["--listen", &address, "--store", self.folder.path(), "--rate", "0"])
    }

    /// Starts a program as [`World::start`] does, without TLS and without waiting for it.
    fn start_blindly(&self) -> Child {
        let address = self.address.to_string();
        let mut command = sotto(&["--listen", &address, "--store", self.folder.path()]);
        command.stderr(std::process::Stdio::null()).spawn().expect("it starts")
    }

    /// Kills the server `kills` times, at random moments between the first message and the last.
    fn rage(&self, mut server: Server, kills: usize, mut chance: Chance) -> Server {
        let total = (PEOPLE * self.messages) as u64;
        let mut moments: Vec<usize> = (0..kills).map(|_| chance.below(total) as usize).collect();
        moments.sort_unstable();
        let (mut made, mut cut_short) = (0, 0);
        while made < kills {
            drop(self.wait("messages", |state| state.shown >= moments[made]));
            // The wait above is for the event. This is the random moment behind it.
            std::thread::sleep(Duration::from_micros(chance.below(5000)));
            self.change(|state| state.is_up = false);
            drop(server);
            made += 1;
            while made < kills && chance.below(5) == 0 {
                let mut child = self.start_blindly();
                std::thread::sleep(Duration::from_micros(chance.below(30_000)));
                child.kill().expect("our own child");
                child.wait().expect("our own child");
                (made, cut_short) = (made + 1, cut_short + 1);
            }
            server = self.start();
            self.change(|state| (state.run, state.is_up) = (state.run + 1, true));
        }
        println!("{made} kills, {cut_short} of them at the start");
        server
    }
}

/// Ends the wait of all other threads if its own one panics.
struct Alarm<'a>(&'a World);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.change(|state| state.is_over = true);
        }
    }
}

/// A page and its user: it owns an id, repeats unanswered sends, and shows each message once.
struct Person<'a> {
    world: &'a World,
    name: usize,
    chance: Chance,
    client: Client,
    /// Whether a `joined` was ever heard.
    has_joined: bool,
    /// The mid of each send, once it is told.
    mids: Vec<Option<String>>,
    /// The most sends without an answer, drawn anew for each connection: with many a kill finds
    /// long batches, with few all other persons have something left to say.
    window: usize,
    /// The numbers of the sends without an answer.
    unanswered: BTreeSet<usize>,
    /// Mids of all shown messages.
    known: HashSet<String>,
    /// The number of the next message from each person.
    next: [usize; PEOPLE],
    shown: usize,
    /// Senders and mids of messages that came on this connection and are not acknowledged.
    to_acknowledge: Vec<(String, String)>,
}

impl<'a> Person<'a> {
    fn new(world: &'a World, name: usize, seed: u64) -> Person<'a> {
        let mut has_joined = false;
        Person {
            world,
            name,
            chance: Chance(seed + name as u64),
            client: join(world, name, &mut has_joined),
            has_joined,
            mids: Vec::new(),
            window: 8,
            unanswered: BTreeSet::new(),
            known: HashSet::new(),
            next: [0; PEOPLE],
            shown: 0,
            to_acknowledge: Vec::new(),
        }
    }

    /// Sends, hears and loses connections, until all messages of all persons have arrived.
    fn live(mut self) -> Person<'a> {
        let _alarm = Alarm(self.world);
        let messages = self.world.messages;
        while !self.is_done_sending() || self.shown < messages {
            for _ in 0..self.chance.below(8) {
                self.send();
            }
            match self.chance.below(400) {
                // The server may have taken the last send, and its answer is lost.
                0 if !self.is_done_sending() => self.lose(),
                1 if !self.is_done_sending() => self.come_back(),
                _ => self.hear(),
            }
        }
        self
    }

    fn is_done_sending(&self) -> bool {
        self.mids.len() == self.world.messages && self.unanswered.is_empty()
    }

    /// Returns the line of a send. Messages are numbered for each recipient.
    fn line(&self, send: usize) -> Value {
        let to = (self.name + 1 + send % (PEOPLE - 1)) % PEOPLE;
        let reference = format!("{}-{send}", self.name);
        json!({"type": "send", "to": id(to), "body": send / (PEOPLE - 1), "ref": reference})
    }

    /// Sends the next message.
    fn send(&mut self) {
        let send = self.mids.len();
        let oldest = self.unanswered.first().copied().unwrap_or(send);
        if send == self.world.messages || send - oldest >= self.window {
            return;
        }
        self.client.try_say(&self.line(send));
        self.unanswered.insert(send);
        self.mids.push(None);
    }

    /// Waits for a line, if one is sure to come.
    fn hear(&mut self) {
        let messages = self.world.messages;
        let sends_more = self.mids.len() < messages || self.shown == messages;
        if self.unanswered.is_empty() && sends_more {
            return;
        }
        match self.client.try_hear() {
            Some(line) => self.heed(&line),
            None => self.come_back(),
        }
        if self.chance.below(4) == 0 {
            self.acknowledge();
        }
    }

    fn heed(&mut self, line: &Value) {
        match line["type"].as_str() {
            Some("sent") => self.note_sent(line),
            Some("message") => self.show(line),
            Some("delivered") => {
                let acknowledged = &self.world.state().acknowledged;
                for mid in line["mids"].as_array().expect("mids") {
                    assert!(acknowledged.contains(mid.as_str().expect("a mid")), "{line}");
                }
            }
            _ => panic!("{line}"),
        }
    }

    /// Notes the mid of a send, which it has for ever.
    fn note_sent(&mut self, line: &Value) {
        let (_, send) = line["ref"].as_str().expect("a ref").split_once('-').expect("two numbers");
        let send: usize = send.parse().expect("a number");
        let mid = line["mid"].as_str().expect("a mid");
        let known = self.mids[send].get_or_insert_with(|| mid.to_owned());
        assert_eq!(known, mid, "another mid of the same send: {line}");
        self.unanswered.remove(&send);
    }

    /// Shows a message, if it is new. It must be the next one of its sender.
    fn show(&mut self, line: &Value) {
        let mid = line["mid"].as_str().expect("a mid").to_owned();
        let from = line["from"].as_str().expect("an id").to_owned();
        if self.known.insert(mid.clone()) {
            let sender: usize = from["person-".len()..].parse().expect("one of us");
            assert_eq!(line["body"], self.next[sender], "of {from}");
            self.next[sender] += 1;
            self.shown += 1;
            self.world.change(|state| state.shown += 1);
        }
        self.to_acknowledge.push((from, mid));
    }

    /// Acknowledges the shown messages.
    fn acknowledge(&mut self) {
        for (from, mid) in std::mem::take(&mut self.to_acknowledge) {
            // Now and then an acknowledgement is left out, so its message comes again.
            if self.chance.below(5) > 0 {
                self.say_ack(from, mid);
            }
        }
    }

    fn say_ack(&mut self, from: String, mid: String) {
        self.world.state().acknowledged.insert(mid.clone());
        self.client.try_say(&json!({"type": "ack", "to": from, "mids": [mid]}));
    }

    /// Loses the connection and joins again.
    fn lose(&mut self) {
        // The server may have ended it.
        let _ = self.client.ws.get_mut().shutdown(std::net::Shutdown::Both);
        self.come_back();
    }

    /// Joins again, and repeats all unanswered sends and some that are answered. If the old
    /// connection is still there, the new one replaces it.
    fn come_back(&mut self) {
        self.client = join(self.world, self.name, &mut self.has_joined);
        self.to_acknowledge.clear();
        self.window = 1 << self.chance.below(8);
        for send in self.mids.len().saturating_sub(REMEMBERED)..self.mids.len() {
            let is_answered = !self.unanswered.contains(&send);
            if !is_answered || self.chance.below(4) == 0 {
                self.client.try_say(&self.line(send));
                self.world.state().repeated += usize::from(is_answered);
            }
        }
    }

    /// Joins a server that is not killed any more, and acknowledges all messages.
    fn finish(&mut self) {
        self.client = join(self.world, self.name, &mut self.has_joined);
        self.to_acknowledge.clear();
        for line in round_trip(&mut self.client) {
            self.heed(&line);
        }
        for (from, mid) in std::mem::take(&mut self.to_acknowledge) {
            self.say_ack(from, mid);
        }
        round_trip(&mut self.client);
        self.client.cut();
    }

    /// Joins a server that was started when everything had arrived.
    fn check(&self, server: &Server) {
        let (mut client, joined) = Client::join_owned(server, &id(self.name), &key(self.name));
        assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &0.into()), "{joined}");
        let mut delivered = HashSet::new();
        for line in round_trip(&mut client) {
            assert_eq!(line["type"], "delivered", "{line}");
            let mids = line["mids"].as_array().expect("mids");
            delivered.extend(mids.iter().map(|mid| mid.as_str().expect("a mid").to_owned()));
        }
        let newest = self.mids.iter().rev().take(REMEMBERED).flatten().cloned();
        assert_eq!(delivered, newest.collect(), "the fates of the newest sends");
    }
}

fn id(name: usize) -> String {
    format!("person-{name}")
}

fn key(name: usize) -> String {
    format!("the key of person {name}")
}

/// Joins the server that runs, or the next one, until one has answered.
fn join(world: &World, name: usize, has_joined: &mut bool) -> Client {
    let mut tried = None;
    loop {
        let state = world.wait("a server", |state| state.is_up && Some(state.run) != tried);
        tried = Some(state.run);
        drop(state);
        if let Some((client, joined)) = Client::try_join_owned(world.address, &id(name), &key(name))
        {
            assert!(!*has_joined || joined["resumed"] == true, "{joined}");
            *has_joined = true;
            return client;
        }
    }
}

/// Lets persons chat with so many messages each, beside so many kills.
fn storm(messages: usize, kills: usize) {
    let seed = RandomState::new().hash_one(()) >> 1;
    println!("seed {seed}");
    let start = Instant::now();
    let (world, server) = World::new(messages);
    let (mut server, mut people) = chat(&world, server, kills, seed);
    people.iter_mut().for_each(Person::finish);
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let server = world.start();
    people.iter().for_each(|person| person.check(&server));
    let State { shown, repeated, .. } = *world.state();
    println!("{shown} messages, {repeated} repeats of answered sends, {:?}", start.elapsed());
}

/// Lets persons chat until all messages have arrived. Returns the last server and the persons.
fn chat(world: &World, server: Server, kills: usize, seed: u64) -> (Server, Vec<Person<'_>>) {
    // All persons have to join before the first one sends, or a message to an id without an owner
    // is refused.
    let people: Vec<Person> = (0..PEOPLE).map(|name| Person::new(world, name, seed)).collect();
    std::thread::scope(|scope| {
        let killer = scope.spawn(move || {
            let _alarm = Alarm(world);
            world.rage(server, kills, Chance(seed + PEOPLE as u64))
        });
        let lives: Vec<_> =
            people.into_iter().map(|person| scope.spawn(|| person.live())).collect();
        let people = lives.into_iter().map(|life| life.join().expect("no panic")).collect();
        (killer.join().expect("no panic"), people)
    })
}

#[test]
fn messages_under_kills_are_shown_once_and_in_order() {
    storm(340, 30);
}

/// `cargo test --features store --test it -- --ignored --nocapture under_hundreds_of_kills`
#[test]
#[ignore = "takes ten seconds, and more on a slow disk"]
fn messages_under_hundreds_of_kills_are_shown_once_in_order() {
    storm(2000, 330);
}
