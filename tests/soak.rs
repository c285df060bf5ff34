//! Minutes of churn, floods, stuck readers and cuts, beside pairs of clients that check every
//! message.
//!
//! **Invariants**
//!
//! - No message of a pair is lost, comes twice or comes out of order.
//! - The server's memory stays flat, and its descriptors come back.
//!
//! Latencies are printed, not judged. `tests/soak SECONDS` runs it; with the other tests it is a
//! short run.

#[path = "it/support.rs"]
#[expect(dead_code, reason = "the tests of the wire need more of it")]
mod support;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Client, Server};

/// Length of a run with the other tests, in seconds: long enough to show that the soak works.
const SECONDS_DEFAULT: u64 = 3;
/// The shortest run, in seconds, whose memory is judged: earlier, memory still grows to its size.
const SECONDS_FOR_MEMORY: u64 = 30;
/// KiB by which memory may grow from one third of the run to the next: allocators keep some pages.
const MEMORY_KIB_MORE: u64 = 2048;
/// Pairs of clients that check every message.
const PAIRS: usize = 4;

fn main() {
    // Some test runners ask for a list of tests first. Arguments are theirs, so the length of the
    // run is in the environment.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let seconds = std::env::var("SOAK_SECONDS")
        .map_or(SECONDS_DEFAULT, |text| text.parse().expect("seconds"));
    let seed = RandomState::new().hash_one(());
    println!("soak: {seconds} s, seed {seed}");
    let server = Server::start(&[
        "--outbox",
        "262144",
        "--ping",
        "2",
        "--timeout",
        "12",
        "--join-timeout",
        "10",
    ]);
    let descriptors = server.descriptors();
    let end = Instant::now() + Duration::from_secs(seconds);
    let latencies = Mutex::new(Vec::new());
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        let mut chance = Chance(seed);
        for pair in 0..PAIRS {
            let (server, latencies, chance) = (&server, &latencies, Chance(chance.next()));
            scope.spawn(move || Pair::new(server, pair, chance).talk_until(end, latencies));
        }
        for trouble in [come_and_go, flood, read_nothing, talk_nonsense] {
            let (server, chance) = (&server, Chance(chance.next()));
            scope.spawn(move || trouble(server, chance, end));
        }
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(500));
            memory.push(server.status("VmRSS"));
        }
    });
    server.wait_for_descriptors(descriptors);
    server.assert_alive();
    report(&mut latencies.into_inner().expect("no thread panicked"), &memory, seconds);
}

/// Prints latencies and memory, and checks that memory is flat.
fn report(latencies: &mut [Duration], memory: &[u64], seconds: u64) {
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{} messages, each once and in order; latency p50 {:?}, p99 {:?}, longest {:?}",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let thirds: Vec<u64> = memory.chunks(memory.len().div_ceil(3)).map(median).collect();
    println!("memory by thirds, KiB: {thirds:?}");
    if seconds >= SECONDS_FOR_MEMORY {
        assert!(thirds[2] <= thirds[1] + MEMORY_KIB_MORE, "memory grows");
    }
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort();
    values[values.len() / 2]
}

/// SplitMix64: random numbers that a seed repeats.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns `true` in so many of 100 cases.
    fn happens(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

// ---- pairs that check ----

/// The key of all ids that pairs own.
const KEY: &str = "the key of a pair that checks";

/// A sender and a recipient, both under ids that they own. One message is under way at a time.
struct Pair<'a> {
    server: &'a Server,
    ids: [String; 2],
    chance: Chance,
    sender: Client,
    recipient: Client,
    /// The number of the last message that has come.
    last: u64,
}

impl<'a> Pair<'a> {
    fn new(server: &'a Server, pair: usize, chance: Chance) -> Pair<'a> {
        let ids = [format!("sender-{pair}"), format!("recipient-{pair}")];
        let [sender, recipient] = [0, 1].map(|at| Client::join_owned(server, &ids[at], KEY).0);
        Pair { server, ids, chance, sender, recipient, last: 0 }
    }

    /// Sends and checks messages until the end of the run, at least one.
    fn talk_until(mut self, end: Instant, latencies: &Mutex<Vec<Duration>>) {
        loop {
            let number = self.last + 1;
            let padding = "x".repeat((self.chance.next() % 2000) as usize);
            let (to, reference) = (&self.ids[1], number.to_string());
            let line =
                json!({"type": "send", "to": to, "body": [number, padding], "ref": reference});
            let start = Instant::now();
            self.sender.say(line.clone());
            // The first message always has a latency.
            let is_cut = number > 1 && self.chance.happens(5);
            if is_cut {
                self.cut_one(&line);
            }
            while self.last < number {
                let message = self.recipient.hear_type("message");
                self.take(&message, number);
            }
            if !is_cut {
                latencies.lock().expect("no thread panicked").push(start.elapsed());
            }
            if self.chance.happens(2) {
                // The acknowledgement may be lost on the way.
                self.recipient.cut();
                self.rejoin_recipient(number);
            }
            self.hear_delivered(number);
            if Instant::now() >= end {
                return;
            }
            // Stays below the rate limit of a client.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Cuts the sender or the recipient, which joins again. The sender repeats the unanswered send.
    fn cut_one(&mut self, line: &Value) {
        if self.chance.happens(50) {
            self.sender.cut();
            self.sender = self.rejoin(0).0;
            self.sender.say(line.clone());
        } else {
            self.recipient.cut();
            self.rejoin_recipient(self.last + 1);
        }
    }

    /// Joins again under one of the two ids.
    fn rejoin(&self, at: usize) -> (Client, Value) {
        let (client, joined) = Client::join_owned(self.server, &self.ids[at], KEY);
        assert_eq!(joined["resumed"], true, "{joined}");
        (client, joined)
    }

    /// Joins again as the recipient, and takes the held messages, which come first.
    fn rejoin_recipient(&mut self, number: u64) {
        let (client, joined) = self.rejoin(1);
        self.recipient = client;
        for _ in 0..joined["held"].as_u64().expect("a number") {
            let message = self.recipient.hear_type("message");
            self.take(&message, number);
        }
    }

    /// Checks that a message is the next one or the last one again, and acknowledges it.
    fn take(&mut self, message: &Value, number: u64) {
        let came = message["body"][0].as_u64().expect("a number");
        assert!(came == self.last || came == self.last + 1, "{came} behind {}", self.last);
        assert!(came <= number, "{came} was not sent yet");
        self.last = came;
        self.recipient.say(json!({"type": "ack", "to": self.ids[0], "mids": [message["mid"]]}));
    }

    /// Waits for `sent` and `delivered` of a message, in either order: on a new connection
    /// `delivered` may come right behind `joined`.
    fn hear_delivered(&mut self, number: u64) {
        let (reference, mut mid, mut delivered) = (number.to_string(), None, HashSet::new());
        while !mid.as_ref().is_some_and(|mid| delivered.contains(mid)) {
            let line = self.sender.hear();
            match line["type"].as_str() {
                Some("sent") if line["ref"] == reference => {
                    mid = line["mid"].as_str().map(str::to_owned)
                }
                Some("delivered") => {
                    let mids = line["mids"].as_array().expect("a list");
                    delivered.extend(mids.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => panic!("{line}"),
            }
        }
    }
}

// ---- trouble ----

/// Connects, sends some lines or none, and ends the connection in one of three ways.
fn come_and_go(server: &Server, mut chance: Chance, end: Instant) {
    let mut waiting = Vec::new();
    while Instant::now() < end {
        let mut client = Client::connect(server);
        if chance.happens(70) {
            let id = format!("guest-{}", chance.next() % 50);
            client.try_say(&json!({"type": "join", "id": id}));
            client.try_say(&json!({"type": "watch", "ids": ["sender-0", "recipient-0"]}));
        }
        match chance.next() % 3 {
            0 => client.cut(),
            1 => drop(client),
            _ => waiting.push(client),
        }
        if waiting.len() > 20 {
            waiting.clear();
        }
    }
}

/// Sends as many lines as the server takes, to a client that does not read them.
fn flood(server: &Server, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let mut client = Client::connect(server);
        client.try_say(&json!({"type": "join", "id": format!("flood-{}", chance.next())}));
        let body = "x".repeat((chance.next() % 3000) as usize);
        let line = json!({"type": "send", "to": "stuck", "body": body});
        let socket = client.ws.get_ref().socket();
        socket.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        while Instant::now() < end && !chance.happens(1) {
            client.try_say(&line);
        }
    }
}

/// Joins, and reads no line.
fn read_nothing(server: &Server, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let mut client = Client::connect(server);
        client.try_say(&json!({"type": "join", "id": "stuck"}));
        std::thread::sleep(Duration::from_millis(chance.next() % 1000));
    }
}

/// Sends random bytes, behind an upgrade or without one.
fn talk_nonsense(server: &Server, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let bytes: Vec<u8> = std::iter::repeat_with(|| chance.next() as u8).take(200).collect();
        let mut stream = if chance.happens(50) {
            server.connect()
        } else {
            Client::connect(server).ws.into_inner()
        };
        let _ = stream.write_all(&bytes);
        if chance.happens(50) {
            let _ = stream.read(&mut [0; 1000]);
        }
    }
}
