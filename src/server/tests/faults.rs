//! Random faults: numbered messages between all participants, over sockets that cut, block and
//! interrupt, until each message has arrived, once and in order.

use std::collections::BTreeMap;

use super::*;

/// Seeds, one for each run.
const SEEDS: std::ops::Range<u64> = 0..100;
/// Messages that each participant sends.
const MESSAGES: usize = 60;

/// A generator of random numbers that repeats them from its seed (splitmix64, by Sebastiano Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns `true` with this probability.
    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The faults of one socket, and the probability of each, in percent.
pub(super) struct Faults {
    random: Random,
    percent_interrupted: usize,
    percent_short: usize,
    percent_blocked: usize,
}

impl Faults {
    fn new(random: &mut Random) -> Faults {
        Faults {
            percent_interrupted: random.below(50),
            percent_short: random.below(100),
            percent_blocked: random.below(60),
            random: Random(random.next()),
        }
    }

    pub(super) fn interrupts(&mut self) -> bool {
        self.random.happens(self.percent_interrupted)
    }

    pub(super) fn blocks(&mut self) -> bool {
        self.random.happens(self.percent_blocked)
    }

    pub(super) fn shorten(&mut self, len: usize) -> usize {
        if self.random.happens(self.percent_short) { 1 + self.random.below(len) } else { len }
    }
}

/// Prints the seed when a run fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.0);
        }
    }
}

/// A client that sends numbered messages, and records those it receives.
struct Participant {
    client: Client,
    /// Bytes still to be sent.
    script: VecDeque<u8>,
    /// The beginning of a frame.
    unread: Vec<u8>,
    /// Numbers of the messages received, by sender.
    received: BTreeMap<String, Vec<usize>>,
    /// Numbers of its own messages that the server answered as sent.
    sent: Vec<usize>,
}

impl Participant {
    /// Sends some bytes or none, and reads all that arrived or nothing.
    fn act(&mut self, random: &mut Random) {
        if !self.script.is_empty() && random.happens(50) {
            let len = 1 + random.below(self.script.len().min(500));
            let bytes: Vec<u8> = self.script.drain(..len).collect();
            self.client.send_bytes(&bytes);
        }
        if random.happens(50) {
            self.unread.extend(self.client.read());
            let (received, rest) = split_frames(&self.unread);
            self.unread = rest.to_vec();
            received
                .iter()
                .filter(|frame| *frame != "pong")
                .for_each(|text| text.lines().for_each(|line| self.receive(line)));
        }
    }

    fn receive(&mut self, line: &str) {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| line[key].as_str().expect("a string").to_owned();
        match &*text("type") {
            "message" => {
                let number = line["body"][0].as_u64().expect("a number") as usize;
                self.received.entry(text("from")).or_default().push(number);
            }
            "sent" => self.sent.push(text("ref").parse().expect("a number")),
            _ => panic!("an error: {line}"),
        }
    }

    fn received_count(&self) -> usize {
        self.sent.len() + self.received.values().map(Vec::len).sum::<usize>()
    }
}

/// Returns the bytes of messages to random participants, and the recipient of each message. A frame
/// has one line or several, is whole or in fragments, and then has a ping in between.
fn script(participants: usize, random: &mut Random) -> (VecDeque<u8>, Vec<String>) {
    let (mut bytes, mut recipients, mut text) = (VecDeque::new(), Vec::new(), String::new());
    for number in 0..MESSAGES {
        let (to, padding) =
            (format!("t{}", random.below(participants)), "x".repeat(random.below(300)));
        text += &format!(
            r#"{{"type":"send","to":"{to}","body":[{number},"{padding}"],"ref":"{number}"}}"#
        );
        text += "\n";
        recipients.push(to);
        if number + 1 < MESSAGES && random.happens(50) {
            continue;
        }
        if random.happens(30) {
            let (front, rest) = text.as_bytes().split_at(random.below(text.len()));
            bytes.extend(frame_of(TEXT, front, false));
            bytes.extend(frame(OpCode::Control(Control::Ping), b"!"));
            bytes.extend(frame(OpCode::Data(Data::Continue), rest));
        } else {
            bytes.extend(frame(TEXT, text.as_bytes()));
        }
        text.clear();
    }
    (bytes, recipients)
}

/// Plays the ghost: a client that connects, sends a part of its input and resets, again and again,
/// so that keys of slots are reused.
fn haunt(play: &mut Play, ghost: &mut Option<Client>, random: &mut Random) {
    match ghost.take() {
        Some(client) if random.happens(30) => client.reset(),
        Some(client) => *ghost = Some(client),
        None if random.happens(20) => {
            let client = play.connect();
            let bytes = [
                HANDSHAKE.as_bytes(),
                &frame(TEXT, join("ghost").as_bytes()),
                &frame(TEXT, &[b' '; 50]),
            ];
            let bytes = bytes.concat();
            client.send_bytes(&bytes[..1 + random.below(bytes.len())]);
            *ghost = Some(client);
        }
        None => {}
    }
}

/// Returns all events, in random order, and at times a spurious one, which may have the stale token
/// of a removed connection.
fn events(play: &Play, random: &mut Random) -> Vec<Ready> {
    let mut ready: Vec<Ready> = play.clients.iter().filter_map(edges).collect();
    if random.happens(20) {
        let token = play.clients[random.below(play.clients.len())].token;
        let [readable, writable] = [50, 50].map(|percent| random.happens(percent));
        ready.push(Ready { token, readable, writable, closed: false, failed: false });
    }
    ready.sort_by_cached_key(|_| random.next());
    ready
}

/// Runs one conversation until every message has arrived, and checks that nothing is left behind.
fn run(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random(seed);
    // In half of the runs participants send faster than their rate.
    let rate = if seed.is_multiple_of(2) { 0 } else { 100 };
    let mut play = Play::with(100, |config| (config.rate, config.burst) = (rate, 5));
    let count = 2 + random.below(5);
    let mut participants = Vec::new();
    // Numbers of messages, by recipient and sender.
    let mut expected = BTreeMap::<(String, String), Vec<usize>>::new();
    for from in (0..count).map(|n| format!("t{n}")) {
        let [client] = play.join([&*from]);
        client.set_window(50 + random.below(3000));
        client.socket.borrow_mut().faults = Some(Faults::new(&mut random));
        let (script, recipients) = script(count, &mut random);
        for (number, to) in recipients.into_iter().enumerate() {
            expected.entry((to, from.clone())).or_default().push(number);
        }
        participants.push(Participant {
            client,
            script,
            unread: Vec::new(),
            received: BTreeMap::new(),
            sent: Vec::new(),
        });
    }

    let (mut ghost, mut turns) = (None, 0);
    while participants.iter().map(Participant::received_count).sum::<usize>() < 2 * count * MESSAGES
    {
        turns += 1;
        // A turn takes a millisecond, so within these no client is pinged.
        assert!(turns < 20_000, "messages are missing");
        participants.iter_mut().for_each(|participant| participant.act(&mut random));
        haunt(&mut play, &mut ghost, &mut random);
        let ready = events(&play, &mut random);
        play.pass(Duration::from_millis(1));
        play.server.turn(play.now, &ready);
    }

    for (n, participant) in participants.into_iter().enumerate() {
        assert!(participant.sent.into_iter().eq(0..MESSAGES));
        for (from, numbers) in participant.received {
            assert_eq!(Some(numbers), expected.remove(&(format!("t{n}"), from)));
        }
    }
    assert!(expected.is_empty());
    play.clients.iter().for_each(Client::reset);
    play.run();
    // The end of a paused client is found when it is read again.
    play.pass(60 * SECOND);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn every_message_arrives_once_in_order_over_faulty_sockets() {
    SEEDS.for_each(run);
}
