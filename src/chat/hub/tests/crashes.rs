//! Crashes: at each step of a conversation the program ends, and starts again with what its disk
//! has stored. Clients come back and go on as the page does, and the program crashes again.
//!
//! Each message is shown once and in order, or its sender is told that it expired or was refused.
//! No line names a message that is not on disk, and each id keeps its owner.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::chat::payers::AccountKey;

const LIMITS: Limits = Limits { hold: Duration::from_secs(3600), ..super::LIMITS };
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Steps of one conversation; at each of them the program crashes once.
const STEPS: usize = 120;
/// Steps after the first crash until the second.
const UNTIL_SECOND: [usize; 3] = [3, 11, 31];

/// xorshift64: the same conversation for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// A client that keeps what the page keeps: unanswered sends, and the mids that it has shown.
#[derive(Default)]
struct Page {
    token: Option<Token>,
    /// Its `joined` came on this connection.
    is_joined: bool,
    /// This connection is not its first one.
    has_resumed: bool,
    /// It has been told that it owns its id.
    owns: bool,
    /// Numbers of its sends without an answer, oldest first.
    unanswered: Vec<usize>,
    /// The numbers of the messages that it has shown, by mid.
    shown: BTreeMap<String, usize>,
}

struct Send {
    from: usize,
    to: usize,
    mid: Option<String>,
    is_delivered: bool,
    is_expired: bool,
    is_refused: bool,
    /// Its sender has left since, so a repeat would be another message.
    is_over: bool,
    /// It was refused, and the page may not know: then its repeat comes behind later sends.
    was_refused: bool,
}

struct World {
    random: Random,
    disk: Image,
    hub: Hub<Recorder<RandomState>>,
    under_way: Option<Batch>,
    now: Now,
    starts: u64,
    generation: u32,
    pages: Vec<Page>,
    sends: Vec<Send>,
    /// Each message that was shown first, in order: recipient and number.
    log: Vec<(usize, usize)>,
}

impl World {
    fn new(seed: u64) -> World {
        let (mut disk, now) = (Image::default(), Now::start());
        let hub = disk.start(LIMITS, 1, now);
        World {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            disk,
            hub,
            under_way: None,
            now,
            starts: 1,
            generation: 0,
            pages: NAMES.map(|_| Page::default()).into(),
            sends: Vec::new(),
            log: Vec::new(),
        }
    }

    // ---- steps ----

    fn step(&mut self) {
        let page = self.random.below(NAMES.len());
        match self.random.below(20) {
            0..6 => self.send(page),
            6..10 => self.read(page),
            10..12 => self.begin_commit(),
            12..15 => self.finish_commit(),
            15 => self.hub.commit_failed(),
            16 => self.lose(page),
            17 => self.repeat(page),
            18 if self.random.below(8) == 0 => self.leave(page),
            _ => self.now.instant += Duration::from_millis(300),
        }
        self.turn();
    }

    fn turn(&mut self) {
        self.hub.expire(self.now);
        self.hub.clients.pressing.clear();
        self.hub.flush(self.now);
        self.hub.clients.pending_write.clear();
        self.hub.sweep(NAMES.len());
        self.hear_disconnects();
        self.hub.check_tables();
    }

    fn crash(&mut self, is_stored: bool) {
        // A batch may be on disk without the loop having heard of it.
        if let Some(batch) = self.under_way.take()
            && is_stored
        {
            self.disk.apply(&batch);
        }
        self.starts += 1;
        self.hub = self.disk.start(LIMITS, self.starts, self.now);
        for page in &mut self.pages {
            (page.token, page.is_joined) = (None, false);
        }
        self.hub.check_tables();
    }

    fn begin_commit(&mut self) {
        if let Ok(batch) = self.hub.begin_commit(Batch::default(), self.now) {
            assert!(self.under_way.replace(batch).is_none(), "one batch at a time");
        }
    }

    fn finish_commit(&mut self) {
        if let Some(batch) = self.under_way.take() {
            self.disk.apply(&batch);
            self.hub.commit_finished();
            while self.hub.let_through(self.now) {
                self.hub.clients.pressing.clear();
            }
        }
    }

    // ---- what clients do ----

    fn connect(&mut self, page: usize) -> Token {
        if let Some(token) = self.pages[page].token {
            return token;
        }
        self.generation += 1;
        let token = Token::new(page, self.generation);
        self.hub.open(token, None);
        self.pages[page].token = Some(token);
        let name = NAMES[page];
        self.say(
            page,
            &format!(r#"{{"type":"join","id":"{name}","key":"the key of {name} 0123"}}"#),
        );
        token
    }

    fn say(&mut self, page: usize, line: &str) {
        let Some(token) = self.pages[page].token else { return };
        self.hub.clients.pressing.clear();
        assert_eq!(self.hub.receive(token, line, usize::MAX, self.now), "");
    }

    fn say_send(&mut self, number: usize) {
        let is_failing = !self.hub.can_record(AccountKey::EXEMPT);
        let Send { from, to, ref mut was_refused, .. } = self.sends[number];
        let to = NAMES[to];
        *was_refused |= is_failing || !self.hub.ids.contains_key(to);
        self.say(
            from,
            &format!(r#"{{"type":"send","to":"{to}","body":{number},"ref":"{number}"}}"#),
        );
    }

    /// Sends a new message, once the page has joined.
    fn send(&mut self, page: usize) {
        self.connect(page);
        if !self.pages[page].is_joined || self.pages[page].unanswered.len() > 20 {
            return;
        }
        let (number, to) = (self.sends.len(), self.random.below(NAMES.len()));
        self.sends.push(Send {
            from: page,
            to,
            mid: None,
            is_delivered: false,
            is_expired: false,
            is_refused: false,
            is_over: false,
            was_refused: false,
        });
        self.pages[page].unanswered.push(number);
        self.say_send(number);
    }

    /// Repeats one of the newest sends, which is answered already.
    fn repeat(&mut self, page: usize) {
        let mine = self.sends.iter().enumerate().rev().filter(|(_, send)| send.from == page);
        let Some((number, send)) = mine.take(20).nth(self.random.below(20)) else { return };
        if self.pages[page].is_joined && send.mid.is_some() && !send.is_over {
            self.say_send(number);
        }
    }

    fn lose(&mut self, page: usize) {
        if let Some(token) = self.pages[page].token.take() {
            self.pages[page].is_joined = false;
            self.hub.disconnected(token, Departure::Lost, self.now);
        }
    }

    fn leave(&mut self, page: usize) {
        if self.pages[page].is_joined {
            self.say(page, r#"{"type":"leave"}"#);
            // From now on the id may be free, and nothing of this ownership is shown.
            (self.pages[page].owns, self.pages[page].is_joined) = (false, false);
            self.pages[page].unanswered.clear();
            for send in self.sends.iter_mut().filter(|send| send.from == page) {
                // Nobody is left who could be told.
                (send.is_delivered, send.is_expired, send.is_over) = (false, true, true);
            }
        }
    }

    // ---- what clients hear ----

    fn read(&mut self, page: usize) {
        let token = self.connect(page);
        let text = String::from_utf8(self.hub.take_text(token)).expect("UTF-8");
        self.hub.written(token, Vec::new(), 0);
        self.hear(page, &text);
    }

    fn hear_disconnects(&mut self) {
        for Disconnect { token, text, code } in std::mem::take(&mut self.hub.disconnects) {
            let page = token.key();
            if self.pages[page].token != Some(token) {
                continue;
            }
            self.hear(page, &String::from_utf8(text).expect("UTF-8"));
            if code == CloseCode::Normal {
                let name = NAMES[page];
                assert!(!self.is_owned_by(page), "{name} has left, and the disk knows it still");
            }
            (self.pages[page].token, self.pages[page].is_joined) = (None, false);
        }
    }

    fn is_owned_by(&self, page: usize) -> bool {
        self.disk.owners.values().any(|owner| *owner.id == *NAMES[page])
    }

    fn hear(&mut self, page: usize, text: &str) {
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in lines {
            match line["type"].as_str().expect("a type") {
                "joined" => self.hear_joined(page, &line),
                "sent" => self.hear_sent(page, &line),
                "message" => self.hear_message(page, &line),
                "delivered" => self.hear_fate(page, &line, |send| send.is_delivered = true),
                "expired" => self.hear_fate(page, &line, |send| send.is_expired = true),
                "error" => self.hear_error(page, &line),
                kind => panic!("{kind}"),
            }
        }
    }

    fn hear_joined(&mut self, page: usize, line: &Value) {
        assert!(self.is_owned_by(page), "{line} before the claim is on disk");
        let Page { owns, is_joined, has_resumed, unanswered, .. } = &mut self.pages[page];
        assert!(!*owns || line["resumed"] == true, "{line}: {} lost its id", NAMES[page]);
        (*has_resumed, *owns, *is_joined) = (line["resumed"] == true, true, true);
        for number in unanswered.clone() {
            self.say_send(number);
        }
    }

    fn hear_sent(&mut self, page: usize, line: &Value) {
        let number: usize = line["ref"].as_str().expect("a ref").parse().expect("a number");
        self.pages[page].unanswered.retain(|unanswered| *unanswered != number);
        let mid = line["mid"].as_str().expect("a mid").to_owned();
        self.check_stored(&mid);
        let send = &mut self.sends[number];
        if send.mid.is_some() && self.pages[page].owns {
            assert_eq!(send.mid, Some(mid), "{number} got another mid");
        } else {
            send.mid = Some(mid);
        }
    }

    /// Checks that a crash would not take a message back.
    fn check_stored(&self, mid: &str) {
        let count = mid.split_once('-').expect("a mid").1;
        let count = u64::from_str_radix(count, 16).expect("a count");
        assert!(count <= self.disk.newest_mid, "{mid} is not on disk");
    }

    fn hear_message(&mut self, page: usize, line: &Value) {
        let (mid, from) = (line["mid"].as_str().expect("a mid"), line["from"].as_str());
        self.check_stored(mid);
        let number = line["body"].as_u64().expect("a number") as usize;
        if !self.pages[page].is_joined {
            // It has left, and shows nothing more.
            return;
        }
        if self.pages[page].shown.insert(mid.to_owned(), number).is_none() {
            self.log.push((page, number));
        }
        let from = from.expect("an id");
        self.say(page, &format!(r#"{{"type":"ack","to":"{from}","mids":["{mid}"]}}"#));
    }

    fn hear_fate(&mut self, page: usize, line: &Value, note: impl Fn(&mut Send)) {
        for mid in line["mids"].as_array().expect("a list") {
            let mid = mid.as_str();
            match self.sends.iter_mut().find(|send| send.mid.as_deref() == mid) {
                Some(send) => note(send),
                // Its `sent` was lost with an earlier connection, and comes with the repeat.
                None => assert!(self.pages[page].has_resumed, "the sent comes first: {line}"),
            }
        }
    }

    fn hear_error(&mut self, page: usize, line: &Value) {
        match line["code"].as_str() {
            // A claim, while the disk fails.
            Some("too_many") => self.lose(page),
            Some("full" | "offline") => {
                let number: usize = line["ref"].as_str().expect("a ref").parse().expect("a number");
                self.pages[page].unanswered.retain(|unanswered| *unanswered != number);
                self.sends[number].is_refused = true;
            }
            _ => panic!("{line}"),
        }
    }

    // ---- the end ----

    /// Lets all come back, and checks each send.
    fn finish(mut self) {
        for _ in 0..40 {
            for page in 0..NAMES.len() {
                self.read(page);
                self.now.instant += Duration::from_secs(1);
                self.begin_commit();
                self.finish_commit();
                self.turn();
            }
        }
        for (number, send) in self.sends.iter().enumerate() {
            let shown = self.log.iter().filter(|(_, shown)| *shown == number).count();
            assert!(shown <= 1, "{number} is shown {shown} times");
            let is_told = send.is_expired || send.is_refused;
            assert!(shown == 1 || is_told, "{number} is lost");
            assert!(!send.is_delivered || shown == 1, "{number} is delivered, and not shown");
            assert!(!(send.is_refused && shown == 1), "{number} is refused, and shown");
        }
        let mut newest = BTreeMap::new();
        let log = self.log.iter().filter(|(_, number)| !self.sends[*number].was_refused);
        for (to, number) in log {
            let before = newest.insert((*to, self.sends[*number].from), *number);
            assert!(before < Some(*number), "{number} is out of order");
        }
    }
}

#[test]
fn message_is_shown_once_whenever_the_server_crashes() {
    for seed in 1..5 {
        for first in 0..STEPS {
            let second = first + UNTIL_SECOND[first % UNTIL_SECOND.len()];
            let mut world = World::new(seed);
            for step in 0..STEPS.max(second + 20) {
                if step == first || step == second {
                    world.crash((step + seed as usize).is_multiple_of(2));
                }
                world.step();
            }
            println!("seed {seed}, crashes before {first} and {second}");
            world.finish();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Likewise with crashes at any rate, as often as it likes.
    #[test]
    fn message_is_shown_once_however_often_the_server_crashes(
        seed in any::<u64>(), steps in 50usize..400, rate in 2usize..100,
    ) {
        let mut world = World::new(seed);
        for _ in 0..steps {
            if world.random.below(rate) == 0 {
                let is_stored = world.random.below(2) == 0;
                world.crash(is_stored);
            }
            world.step();
        }
        world.finish();
    }
}
