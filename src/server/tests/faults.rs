//! Numbered messages from everybody to everybody over sockets that cut, block and interrupt, and
//! clients that vanish; until each message has arrived, once and in order.

use std::collections::BTreeMap;

use super::*;

/// So many runs, each from a seed of its own.
const SEEDS: std::ops::Range<u64> = 0..100;
const MESSAGES: usize = 60;

/// Chance that is the same at each run (splitmix64, by Sebastiano Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Any number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What goes wrong on a socket, and how often.
pub(super) struct Faults {
    random: Random,
    percent_interrupted: usize,
    percent_short: usize,
    percent_refused: usize,
}

impl Faults {
    fn new(random: &mut Random) -> Faults {
        Faults {
            percent_interrupted: random.below(50),
            percent_short: random.below(100),
            percent_refused: random.below(60),
            random: Random(random.next()),
        }
    }

    pub(super) fn interrupts(&mut self) -> bool {
        self.random.happens(self.percent_interrupted)
    }

    pub(super) fn refuses(&mut self) -> bool {
        self.random.happens(self.percent_refused)
    }

    pub(super) fn shorten(&mut self, len: usize) -> usize {
        if self.random.happens(self.percent_short) { 1 + self.random.below(len) } else { len }
    }
}

/// Says which seed it was when a run fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.0);
        }
    }
}

/// One who talks and listens.
struct Participant {
    client: Client,
    /// Bytes it has still to send.
    script: VecDeque<u8>,
    /// What it has read and not yet understood.
    unread: Vec<u8>,
    /// By sender the numbers of its messages, as they came.
    received: BTreeMap<String, Vec<usize>>,
    /// The numbers of its own messages, as they were answered.
    sent: Vec<usize>,
}

impl Participant {
    /// Sends some of its bytes, and reads what there is or leaves it for later.
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
            _ => panic!("nobody is refused anything: {line}"),
        }
    }

    fn received_count(&self) -> usize {
        self.sent.len() + self.received.values().map(Vec::len).sum::<usize>()
    }
}

/// The bytes of messages to some of `participants`, lines alone or together, frames whole or in
/// fragments, pings between; and for each message whom it is for.
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

/// Somebody who comes, says half a thing and vanishes, again and again, so that keys of slots are
/// used again.
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

/// All that the kernel has to tell, in any order, and at times something behind which there is
/// nothing, also about somebody who is gone.
fn events(play: &Play, random: &mut Random) -> Vec<Ready> {
    let mut ready: Vec<Ready> = play.clients.iter().filter_map(edges).collect();
    if random.happens(20) {
        let token = play.clients[random.below(play.clients.len())].token;
        let [readable, writable] = [50, 50].map(|percent| random.happens(percent));
        ready.push(Ready { token, readable, writable, closed: false });
    }
    ready.sort_by_cached_key(|_| random.next());
    ready
}

fn run(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random(seed);
    // In half of the runs they talk faster than they may.
    let rate = if seed.is_multiple_of(2) { 0 } else { 100 };
    let mut play = Play::with(100, |config| (config.rate, config.burst) = (rate, 5));
    let count = 2 + random.below(5);
    let mut participants = Vec::new();
    // By recipient and sender.
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
        // So few milliseconds that nobody is pinged.
        assert!(turns < 20_000, "it does not end");
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
    // Of who is paused the end is found when it is read again.
    play.pass(60 * SECOND);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn every_message_arrives_once_in_order_over_faulty_sockets() {
    SEEDS.for_each(run);
}
