//! A client without a socket: lines of the server go in, lines for the server come out.
//!
//! **Invariants**
//!
//! - A peer with a pinned identity gets no plain text, and only cards of that identity count.
//! - Each message of an identity is taken once, however often the server repeats it.
//! - A repeated `send` has the same bytes, so the server knows it again.
//! - Every list and table has a bound with a name.
//!
//! Time is an argument, in microseconds since 1970. The caller decides the texts.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem::take;

use log::{info, warn};
use serde_json::{Value, json};

use super::crypto::{
    Card, Content, HOLD_S_MAX, Identity, Kind, SealKey, Sender, is_sealed, lifetimes, new_seed,
    open, whole,
};

/// Peers that are known. A forgotten pin would be a way to slip another identity in, so further
/// peers get no answer instead.
const PEERS_MAX: usize = 1024;
/// Texts for one peer that wait for the answer to a `lookup`.
const WAITING_MAX: usize = 16;
/// Sends without an answer: the server remembers as many.
const SENDS_MAX: usize = 128;
/// Messages that can be sealed again if their recipient asks.
const SAID_MAX: usize = 128;
/// Numbers of one identity that are known one by one. All lower ones count as taken.
const TAKEN_MAX: usize = 1024;
/// A message is sealed again for a day.
const AGAIN_MICROS_MAX: u64 = 86_400_000_000;
const MICROS: u64 = 1_000_000;

pub struct Bot {
    me: Identity,
    /// Ours, the newest last: that one is on the card. Earlier ones open what was sealed for them.
    keys: Vec<OwnKey>,
    card: Card,
    /// The last number that was given to a message or signal.
    number: u64,
    peers: HashMap<String, Peer>,
    /// In the order in which they were said.
    sends: VecDeque<Send>,
    said: VecDeque<Said>,
    server: Server,
    is_joined: bool,
    lines: Vec<String>,
}

/// The latest `joined`.
#[derive(Default)]
struct Server {
    /// Seconds.
    hold: u64,
    /// Bytes of the longest line.
    line_max: usize,
    has_cards: bool,
    ownership: Value,
}

struct OwnKey {
    key: SealKey,
    /// Seconds since 1970.
    made: u64,
}

#[derive(Default)]
struct Peer {
    pin: Option<Pin>,
    /// Texts that wait for the peer's card.
    waiting: Vec<String>,
    /// The number of our last message, or 0.
    messaged: u64,
}

/// The identity of a peer, and all that is counted by it.
struct Pin {
    /// Its latest card.
    card: Card,
    /// The highest number of a message.
    got: u64,
    taken: BTreeSet<u64>,
    /// All numbers up to this one count as taken.
    floor: u64,
}

/// A `send` without an answer.
struct Send {
    reference: String,
    line: String,
    /// What was sealed; `None` for plain text, and for a message that was sealed again.
    said: Option<Said>,
    is_sealed: bool,
}

struct Said {
    mid: String,
    to: String,
    text: String,
    number: u64,
    after: u64,
}

/// A text that has come.
#[derive(Debug, PartialEq)]
pub struct Heard {
    pub from: String,
    pub text: String,
    pub is_sealed: bool,
}

impl Bot {
    pub fn new(id: &str, now: u64) -> Bot {
        let me = Identity::new(id, &new_seed());
        let first = OwnKey { key: SealKey::random(), made: now / MICROS };
        let card = me.card(&first.key.seal, first.made + lifetimes(0).1);
        Bot {
            me,
            keys: vec![first],
            card,
            number: 0,
            peers: HashMap::new(),
            sends: VecDeque::new(),
            said: VecDeque::new(),
            server: Server::default(),
            is_joined: false,
            lines: Vec::new(),
        }
    }

    pub fn identity(&self) -> &Identity {
        &self.me
    }

    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Returns the lines to say now.
    pub fn take_lines(&mut self) -> Vec<String> {
        take(&mut self.lines)
    }

    /// Returns the first line of a new connection.
    pub fn join(&mut self, now: u64) -> String {
        self.is_joined = false;
        self.lines.clear();
        self.renew(now);
        let Identity { id, key, .. } = &self.me;
        json!({"type": "join", "id": id, "key": key, "card": self.card.json}).to_string()
    }

    /// Replaces a seal key that is too old, and destroys those for which nothing can be held any
    /// more. So a thief of this memory opens only the last hours of recorded traffic.
    pub fn renew(&mut self, now: u64) {
        let (seconds, hold) = (now / MICROS, self.server.hold);
        let (rotate_after, until_after) = lifetimes(hold);
        self.keys.retain(|own| seconds <= own.made + until_after + hold);
        if self.keys.last().is_none_or(|own| seconds >= own.made + rotate_after) {
            self.keys.push(OwnKey { key: SealKey::random(), made: seconds });
        }
        let Some(OwnKey { key, made }) = self.keys.last() else { return };
        let until = made + until_after;
        if (&self.card.seal, self.card.until) != (&key.seal, until) {
            self.card = self.me.card(&key.seal, until);
            if self.is_joined && self.server.has_cards {
                self.say(&json!({"type": "card", "card": self.card.json}));
            }
        }
    }

    /// Writes a text to a peer: sealed, if the peer has a card or ever had one.
    pub fn write(&mut self, to: &str, text: &str, now: u64) {
        let is_room = self.peers.len() < PEERS_MAX || self.peers.contains_key(to);
        // An echo to oneself would never end.
        if !is_room || to == self.me.id {
            return warn!("nothing goes to {to}: it is this client, or one peer too many");
        }
        let peer = self.peers.entry(to.to_owned()).or_default();
        let card = peer.pin.as_ref().map(|pin| &pin.card);
        let card = card.filter(|card| card.may_seal(now / MICROS)).cloned();
        match card {
            Some(card) if self.is_joined && peer.waiting.is_empty() => {
                self.send_sealed(to, text, &card, now);
            }
            // A text never goes out as plain text because nobody has asked.
            _ if peer.waiting.len() < WAITING_MAX => {
                peer.waiting.push(text.to_owned());
                if peer.waiting.len() == 1 {
                    self.look_up(to, now);
                }
            }
            _ => warn!("too much waits for {to}"),
        }
    }

    /// Takes a line of the server, and returns the text in it. `Err`: the server refuses the join.
    pub fn receive(&mut self, line: &str, now: u64) -> Result<Option<Heard>, String> {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        match text("type") {
            "joined" => self.joined(&line, now),
            "message" => return Ok(self.message(text("from"), &line["body"], text("mid"), now)),
            "signal" => self.signal(text("from"), &line["body"], now),
            "card" => self.looked_up(text("id"), &line, now),
            "sent" => self.sent(text("ref"), text("mid")),
            "error" if !self.is_joined => return Err(text("text").to_owned()),
            "error" => {
                warn!("{}: {}", text("code"), text("text"));
                self.sends.retain(|send| send.reference != text("ref"));
            }
            _ => {}
        }
        Ok(None)
    }

    // ---- the connection ----

    fn say(&mut self, line: &Value) {
        self.lines.push(line.to_string());
    }

    fn joined(&mut self, line: &Value, now: u64) {
        let ownership = line["ownership"].clone();
        // Another ownership: the server remembers no send of ours. To repeat plain text could show
        // it twice; of a sealed message the recipient knows the number.
        if ownership != self.server.ownership {
            self.sends.retain(|send| send.is_sealed);
        }
        self.server = Server {
            // A lying server must not keep our keys alive.
            hold: whole(&line["hold"]).unwrap_or(0).min(HOLD_S_MAX),
            line_max: whole(&line["max_message"]).unwrap_or(0) as usize,
            has_cards: line.get("card").is_some(),
            ownership,
        };
        self.is_joined = true;
        self.renew(now);
        self.lines.extend(self.sends.iter().map(|send| send.line.clone()));
        let waiting = self.peers.iter().filter(|(_, peer)| !peer.waiting.is_empty());
        for id in waiting.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.look_up(&id, now);
        }
    }

    fn look_up(&mut self, id: &str, now: u64) {
        match (self.is_joined, self.server.has_cards) {
            (true, true) => self.say(&json!({"type": "lookup", "id": id})),
            (true, false) => self.write_waiting(id, true, now),
            // Asked when joined.
            (false, _) => {}
        }
    }

    fn looked_up(&mut self, id: &str, line: &Value, now: u64) {
        let is_claimed = line["claimed"] == true;
        let card = line.get("card").and_then(|card| Card::check(id, card));
        // A card of another identity is as good as none.
        let is_other = card.is_some_and(|card| self.meet(id, &card).is_none());
        self.write_waiting(id, is_claimed && !is_other, now);
    }

    /// Writes all that waited for the card of a peer; as plain text if it has none and never had.
    fn write_waiting(&mut self, id: &str, may_be_plain: bool, now: u64) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let card = peer.pin.as_ref().map(|pin| pin.card.clone());
        for text in take(&mut peer.waiting) {
            match &card {
                Some(card) if card.may_seal(now / MICROS) => {
                    self.send_sealed(id, &text, card, now);
                }
                None if may_be_plain => self.send_plain(id, &text, now),
                _ => warn!("nothing goes to {id}: it has no good card"),
            }
        }
    }

    // ---- to peers ----

    /// Returns a number for a message or signal: it grows, over restarts, too.
    fn next_number(&mut self, now: u64) -> u64 {
        self.number = now.max(self.number + 1);
        self.number
    }

    fn seal(&self, kind: Kind, to: &str, card: &Card, content: &Value) -> Option<Value> {
        let key = &self.keys.last()?.key;
        Sender { id: &self.me.id, card: &self.card, key }.seal(kind, to, card, content)
    }

    fn send_sealed(&mut self, to: &str, text: &str, card: &Card, now: u64) {
        let number = self.next_number(now);
        let Some(peer) = self.peers.get_mut(to) else { return };
        let after = std::mem::replace(&mut peer.messaged, number);
        let (to, text) = (to.to_owned(), text.to_owned());
        self.send_said(Said { mid: String::new(), to, text, number, after }, card, now);
    }

    /// Seals a message. One with a mid is sealed again: its recipient could not open that mid.
    fn send_said(&mut self, said: Said, card: &Card, now: u64) {
        let Said { mid, to, text, number, after } = &said;
        let got = self.peers.get(to).and_then(|peer| peer.pin.as_ref()).map_or(0, |pin| pin.got);
        let mut content = json!({"number": number, "after": after, "got": got, "body": text});
        if !mid.is_empty() {
            content["was"] = json!(mid);
        }
        let Some(body) = self.seal(Kind::Message, to, card, &content) else {
            return warn!("{to} has a key that nothing can be sealed for");
        };
        let to = to.clone();
        self.send(&to, &body, Some(said).filter(|said| said.mid.is_empty()), true, now);
    }

    fn send_plain(&mut self, to: &str, text: &str, now: u64) {
        self.send(to, &json!(text), None, false, now);
    }

    fn send(&mut self, to: &str, body: &Value, said: Option<Said>, is_sealed: bool, now: u64) {
        let reference = self.next_number(now).to_string();
        let line = json!({"type": "send", "to": to, "body": body, "ref": reference}).to_string();
        if self.sends.len() == SENDS_MAX || line.len() > self.server.line_max {
            return warn!("nothing goes to {to}: too many messages, or one that is too long");
        }
        self.lines.push(line.clone());
        self.sends.push_back(Send { reference, line, said, is_sealed });
    }

    fn sent(&mut self, reference: &str, mid: &str) {
        let index = self.sends.iter().position(|send| send.reference == reference);
        let send = index.and_then(|index| self.sends.remove(index));
        if let Some(said) = send.and_then(|send| send.said) {
            if self.said.len() == SAID_MAX {
                self.said.pop_front();
            }
            self.said.push_back(Said { mid: mid.to_owned(), ..said });
        }
    }

    // ---- from peers ----

    /// Pins the identity of a peer that has none, and returns its numbers. `None`: the peer has
    /// another identity. A person would compare numbers and decide; this bot stays with the first.
    fn meet(&mut self, id: &str, card: &Card) -> Option<&mut Pin> {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(id) {
            warn!("no room for {id}");
            return None;
        }
        let first = || Pin { card: card.clone(), got: 0, taken: BTreeSet::new(), floor: 0 };
        let pin = self.peers.entry(id.to_owned()).or_default().pin.get_or_insert_with(first);
        if pin.card.sign != card.sign {
            warn!("{id} has another identity than before");
            return None;
        }
        if card.until >= pin.card.until {
            pin.card = card.clone();
        }
        Some(pin)
    }

    fn open(&self, kind: Kind, from: &str, body: &Value) -> Result<(Card, Content), Option<Card>> {
        open(kind, from, body, &self.me, self.keys.iter().map(|own| &own.key)).map_err(|refusal| {
            info!("{from}: {}", refusal.reason);
            refusal.card
        })
    }

    fn message(&mut self, from: &str, body: &Value, mid: &str, now: u64) -> Option<Heard> {
        // All that is kept of a message is in memory when this line leaves.
        self.say(&json!({"type": "ack", "to": from, "mids": [mid]}));
        let from = from.to_owned();
        if !is_sealed(body) {
            let is_pinned = self.peers.get(&from).is_some_and(|peer| peer.pin.is_some());
            if is_pinned {
                // The server could have written it.
                warn!("{from} has a key, so its plain text does not count");
                return None;
            }
            let text = body.as_str()?.to_owned();
            return Some(Heard { from, text, is_sealed: false });
        }
        match self.open(Kind::Message, &from, body) {
            Ok((card, content)) => {
                let pin = self.meet(&from, &card)?;
                if pin.got > 0 && pin.misses(content.after) {
                    warn!("a message of {from} is missing, or late");
                }
                let is_new = pin.take(content.number);
                let text = content.fields["body"].as_str().filter(|_| is_new)?.to_owned();
                Some(Heard { from, text, is_sealed: true })
            }
            Err(card) => {
                self.ask_again(&from, &card?, mid, now);
                None
            }
        }
    }

    /// Asks for a message that could not be opened: maybe it was sealed for a destroyed key.
    fn ask_again(&mut self, from: &str, card: &Card, mid: &str, now: u64) {
        let pin = self.peers.get(from).and_then(|peer| peer.pin.as_ref());
        if pin.is_some_and(|pin| pin.card.sign != card.sign) || !card.may_seal(now / MICROS) {
            return;
        }
        let content = json!({"number": self.next_number(now), "lost": [mid]});
        if let Some(body) = self.seal(Kind::Signal, from, card, &content) {
            self.say(&json!({"type": "signal", "to": from, "body": body}));
        }
    }

    /// Of signals only `lost` counts: the peer could not open these messages. Each is sealed again
    /// once, for the card that came with the signal, so two clients cannot ask each other for ever,
    /// and a repeated signal does nothing: that is why its number need not be looked at.
    fn signal(&mut self, from: &str, body: &Value, now: u64) {
        if !is_sealed(body) {
            return;
        }
        let Ok((card, content)) = self.open(Kind::Signal, from, body) else { return };
        if self.meet(from, &card).is_none() {
            return;
        }
        for mid in content.fields.get("lost").and_then(Value::as_array).into_iter().flatten() {
            let is_it = |said: &Said| said.to == from && *mid == said.mid;
            let index = self.said.iter().position(is_it);
            let Some(said) = index.and_then(|index| self.said.remove(index)) else { continue };
            if now.saturating_sub(said.number) < AGAIN_MICROS_MAX {
                self.send_said(said, &card, now);
            }
        }
    }
}

impl Pin {
    fn misses(&self, number: u64) -> bool {
        number > self.floor && !self.taken.contains(&number)
    }

    /// Takes the number of a message. Returns `false` if it was taken before.
    fn take(&mut self, number: u64) -> bool {
        let is_new = self.misses(number);
        self.taken.insert(number);
        if self.taken.len() > TAKEN_MAX {
            self.floor = self.floor.max(self.taken.pop_first().unwrap_or(0));
        }
        self.got = self.got.max(number);
        is_new
    }
}
