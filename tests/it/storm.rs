//! Owners that send to each other and lose their connections all the time: each message is shown
//! once, in order.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use serde_json::{Value, json};

use crate::support::{Client, Server};

const PEOPLE: usize = 6;
const MESSAGES: usize = 150;
/// The most sends without an answer: as many as the server remembers. Of more, some might be routed
/// twice.
const UNANSWERED_MAX: usize = 128;

/// SplitMix64: random numbers that a seed repeats.
pub struct Chance(pub u64);

impl Chance {
    /// Returns a number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A page and its user: it owns an id, repeats unanswered sends, and shows each message once.
struct Person<'a> {
    server: &'a Server,
    name: usize,
    chance: Chance,
    client: Client,
    /// Sends without an answer, oldest first.
    unanswered: VecDeque<Value>,
    sent: usize,
    /// Mids of all shown messages.
    known: HashSet<String>,
    /// The number of the next message from each person.
    next: [usize; PEOPLE],
    shown: usize,
    /// Senders and mids of messages that came on this connection and are not acknowledged.
    to_acknowledge: Vec<(String, String)>,
}

impl<'a> Person<'a> {
    fn new(server: &'a Server, name: usize, seed: u64) -> Person<'a> {
        Person {
            server,
            name,
            chance: Chance(seed + name as u64),
            client: join(server, name, false),
            unanswered: VecDeque::new(),
            sent: 0,
            known: HashSet::new(),
            next: [0; PEOPLE],
            shown: 0,
            to_acknowledge: Vec::new(),
        }
    }

    /// Sends, hears and loses connections, until all messages of all persons have arrived.
    fn live(mut self) {
        while self.sent < MESSAGES || !self.unanswered.is_empty() || self.shown < MESSAGES {
            for _ in 0..self.chance.below(8) {
                self.send();
            }
            // On average a connection has to last for more lines than come again on it, or no
            // person makes progress.
            match self.chance.below(200) {
                // The server may have taken the last send, and its answer is lost.
                0 if !self.is_done_sending() => self.lose(),
                1 if !self.is_done_sending() => self.take_over(),
                _ => self.hear(),
            }
        }
    }

    fn is_done_sending(&self) -> bool {
        self.sent == MESSAGES && self.unanswered.is_empty()
    }

    /// Sends a message to the next person, numbered for each recipient.
    fn send(&mut self) {
        if self.sent == MESSAGES || self.unanswered.len() == UNANSWERED_MAX {
            return;
        }
        let to = (self.name + 1 + self.sent % (PEOPLE - 1)) % PEOPLE;
        let number = self.sent / (PEOPLE - 1);
        let reference = format!("{}-{}", self.name, self.sent);
        let line = json!({"type": "send", "to": id(to), "body": number, "ref": reference});
        self.client.try_say(&line);
        self.unanswered.push_back(line);
        self.sent += 1;
    }

    /// Waits for a line, if one is sure to come.
    fn hear(&mut self) {
        let all_is_heard = self.shown == MESSAGES;
        if self.unanswered.is_empty() && (self.sent < MESSAGES || all_is_heard) {
            return;
        }
        let line = self.client.hear();
        match line["type"].as_str() {
            Some("sent") => self.unanswered.retain(|send| send["ref"] != line["ref"]),
            Some("message") => self.show(&line),
            Some("delivered") => {}
            _ => panic!("{line}"),
        }
        if self.chance.below(4) == 0 {
            self.acknowledge();
        }
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
        }
        self.to_acknowledge.push((from, mid));
    }

    /// Acknowledges the shown messages.
    fn acknowledge(&mut self) {
        for (from, mid) in std::mem::take(&mut self.to_acknowledge) {
            // Now and then an acknowledgement is left out, so its message comes again.
            if self.chance.below(5) > 0 {
                self.client.try_say(&json!({"type": "ack", "to": from, "mids": [mid]}));
            }
        }
    }

    /// Loses the connection and joins again.
    fn lose(&mut self) {
        self.client.cut();
        self.client = join(self.server, self.name, true);
        self.come_back();
    }

    /// Joins again while the old connection is still there. The new one replaces it.
    fn take_over(&mut self) {
        let mut old = std::mem::replace(&mut self.client, join(self.server, self.name, true));
        assert_eq!(old.hear_close().1, 4001);
        self.come_back();
    }

    /// Repeats all unanswered sends.
    fn come_back(&mut self) {
        self.to_acknowledge.clear();
        for line in &self.unanswered {
            self.client.try_say(line);
        }
    }
}

fn id(name: usize) -> String {
    format!("person-{name}")
}

fn join(server: &Server, name: usize, resumed: bool) -> Client {
    let (client, joined) =
        Client::join_owned(server, &id(name), &format!("the key of person {name}"));
    assert_eq!(joined["resumed"], resumed, "{joined}");
    client
}

#[test]
fn messages_under_random_cuts_are_shown_once_and_in_order() {
    let server = Server::start(&["--rate", "0"]);
    let seed = RandomState::new().hash_one(()) >> 1;
    println!("seed {seed}");
    std::thread::scope(|scope| {
        // All persons have to join before the first one sends, or a message to an id without an
        // owner is refused.
        let people: Vec<Person> =
            (0..PEOPLE).map(|name| Person::new(&server, name, seed)).collect();
        for person in people {
            scope.spawn(move || person.live());
        }
    });
}
