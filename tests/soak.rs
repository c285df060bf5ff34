//! Minutes of churn, floods, stuck readers and cuts, beside people who check every message. Nothing
//! of theirs may be lost, come twice or out of order; the server's memory stays flat, and its
//! descriptors come back. Latencies are told, not judged. `tests/soak SECONDS` runs it; with the
//! other tests it is a short one.

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

/// With the other tests it only has to show that it works.
const SECONDS_DEFAULT: u64 = 3;
/// Before so much time has passed, memory is still growing to its size.
const SECONDS_FOR_MEMORY: u64 = 30;
/// What one third may need more than the one before: allocators keep a little here and there.
const MEMORY_KIB_MORE: u64 = 2048;
const PAIRS: usize = 4;

fn main() {
    // Some runners ask first what tests there are. Arguments are theirs, so ours comes another way.
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
    report(&mut latencies.into_inner().expect("nobody panicked"), &memory, seconds);
}

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

/// SplitMix64: chance that a seed can repeat.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

// ---- who checks ----

/// One who sends and one who receives, both under ids that they own, message by message.
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

    fn talk_until(mut self, end: Instant, latencies: &Mutex<Vec<Duration>>) {
        loop {
            let number = self.last + 1;
            let padding = "x".repeat((self.chance.next() % 2000) as usize);
            let line = json!({"type": "send", "to": self.ids[1], "body": [number, padding], "ref": number.to_string()});
            let start = Instant::now();
            self.sender.say(line.clone());
            // The first message always has a latency.
            let is_cut = number > 1 && self.chance.happens(5);
            if is_cut {
                self.break_somebody(&line);
            }
            while self.last < number {
                let message = self.recipient.hear_type("message");
                self.take(&message, number);
            }
            if !is_cut {
                latencies.lock().expect("nobody panicked").push(start.elapsed());
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
            // Below the rate that one client may have.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Either loses its connection, and comes back. A sender repeats what was not answered.
    fn break_somebody(&mut self, line: &Value) {
        if self.chance.happens(50) {
            self.sender.cut();
            self.sender = self.rejoin(0).0;
            self.sender.say(line.clone());
        } else {
            self.recipient.cut();
            self.rejoin_recipient(self.last + 1);
        }
    }

    fn rejoin(&self, at: usize) -> (Client, Value) {
        let (client, joined) = Client::join_owned(self.server, &self.ids[at], KEY);
        assert_eq!(joined["resumed"], true, "{joined}");
        (client, joined)
    }

    /// What is held comes first.
    fn rejoin_recipient(&mut self, number: u64) {
        let (client, joined) = self.rejoin(1);
        self.recipient = client;
        for _ in 0..joined["held"].as_u64().expect("a number") {
            let message = self.recipient.hear_type("message");
            self.take(&message, number);
        }
    }

    /// A message is the next one, or one that is known; both are acknowledged.
    fn take(&mut self, message: &Value, number: u64) {
        let came = message["body"][0].as_u64().expect("a number");
        assert!(came == self.last || came == self.last + 1, "{came} behind {}", self.last);
        assert!(came <= number, "{came} was not sent yet");
        self.last = came;
        self.recipient.say(json!({"type": "ack", "to": self.ids[0], "mids": [message["mid"]]}));
    }

    /// The notice may come before the answer: behind `joined`, where the answer was lost.
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

const KEY: &str = "the key of a pair that checks";

// ---- who makes trouble ----

/// Comes, says something or nothing, and goes in one way or another.
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

/// As many lines as the server takes, to one who does not read them.
fn flood(server: &Server, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let mut client = Client::connect(server);
        client.try_say(&json!({"type": "join", "id": format!("flood-{}", chance.next())}));
        let line = json!({"type": "send", "to": "stuck", "body": "x".repeat((chance.next() % 3000) as usize)});
        client
            .ws
            .get_ref()
            .socket()
            .set_write_timeout(Some(Duration::from_millis(100)))
            .expect("a timeout");
        while Instant::now() < end && !chance.happens(1) {
            client.try_say(&line);
        }
    }
}

/// Joins, and takes nothing of what is said to it.
fn read_nothing(server: &Server, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let mut client = Client::connect(server);
        client.try_say(&json!({"type": "join", "id": "stuck"}));
        std::thread::sleep(Duration::from_millis(chance.next() % 1000));
    }
}

/// Bytes that are no protocol at all, behind an upgrade or without one.
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
