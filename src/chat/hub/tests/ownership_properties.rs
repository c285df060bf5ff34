//! Any sequence of lost connections, repeats, acks, blocks and time, against a model of messages.
//!
//! Each message that the hub takes is shown once and in order to the owner it was for, or expires,
//! and its sender hears which. The model asks the hub only for the owner of an id, and whether a
//! send was taken.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::chat::owners::Fate;
use crate::limits::LIST_MAX;

/// Few slots, ids and keys, so that they collide.
const SLOTS: usize = 5;
const IDS: &[&str] = &["alice", "bob", "carol"];
const KEYS: &[&str] = &["", r#","key":"0123456789abcdef""#, r#","key":"fedcba9876543210""#];

/// So small that each bound is reached, for one id and for all.
const LIMITS: Limits = Limits {
    outbox_bytes_max: 4000,
    outbox_bytes_total: 16_000,
    hold: Duration::from_secs(30),
    held_bytes_max: 3000,
    held_bytes_total: 8000,
    owned_max: 2,
    ..super::LIMITS
};

#[derive(Clone, Debug)]
enum Step {
    /// A new connection in this slot claims an id; the connection before is lost.
    Join {
        slot: usize,
        id: usize,
        key: usize,
    },
    /// The connection ends before the client has got the text under way.
    Cut {
        slot: usize,
        departure: Departure,
    },
    /// A new message, with a `ref` or without.
    Send {
        slot: usize,
        to: usize,
        len: usize,
        has_ref: bool,
    },
    /// A repeat of a send that was made under this id before, answered or not.
    Repeat {
        slot: usize,
        which: usize,
    },
    /// An ack of some messages shown before, newest or oldest first. Those of others are ignored.
    Ack {
        slot: usize,
        to: usize,
        every: usize,
        newest_first: bool,
    },
    Block {
        slot: usize,
        id: usize,
        ends: bool,
    },
    Watch {
        slot: usize,
        id: usize,
        ends: bool,
    },
    /// A new card of this length, or none.
    Card {
        slot: usize,
        len: Option<usize>,
    },
    Leave {
        slot: usize,
    },
    /// The loop writes, and this many bytes of the text stay unsent, so it is not heard yet.
    Write {
        slot: usize,
        unsent: usize,
    },
    /// The loop ends a turn.
    Turn,
    Pass {
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (slot, id, key) = (0..SLOTS, 0..IDS.len(), prop::sample::select(vec![0, 1, 1, 1, 1, 2]));
    let departure = prop::sample::select(vec![Departure::Lost, Departure::Normal]);
    let step = prop_oneof![
        6 => (slot.clone(), id.clone(), key)
            .prop_map(|(slot, id, key)| Step::Join { slot, id, key }),
        2 => (slot.clone(), departure).prop_map(|(slot, departure)| Step::Cut { slot, departure }),
        12 => (slot.clone(), id.clone(), 0usize..300, any::<bool>())
            .prop_map(|(slot, to, len, has_ref)| Step::Send { slot, to, len, has_ref }),
        3 => (slot.clone(), 0usize..20).prop_map(|(slot, which)| Step::Repeat { slot, which }),
        6 => (slot.clone(), id.clone(), 1usize..4, any::<bool>())
            .prop_map(|(slot, to, every, newest_first)| {
                Step::Ack { slot, to, every, newest_first }
            }),
        1 => (slot.clone(), id.clone(), any::<bool>())
            .prop_map(|(slot, id, ends)| Step::Block { slot, id, ends }),
        1 => (slot.clone(), id, any::<bool>())
            .prop_map(|(slot, id, ends)| Step::Watch { slot, id, ends }),
        2 => (slot.clone(), prop::option::of(0usize..100))
            .prop_map(|(slot, len)| Step::Card { slot, len }),
        1 => slot.clone().prop_map(|slot| Step::Leave { slot }),
        8 => (slot, prop::sample::select(vec![0, 0, 50, 500]))
            .prop_map(|(slot, unsent)| Step::Write { slot, unsent }),
        2 => Just(Step::Turn),
        2 => prop::sample::select(vec![1, 9, 31]).prop_map(|seconds| Step::Pass { seconds }),
    ];
    prop::collection::vec(step, 0..200)
}

/// A sender or recipient: one ownership, or one connection without a key.
type Party = Holder;

struct Connection {
    token: Token,
    /// Id and key of its `join`, and the holder it became by it.
    id: usize,
    key: usize,
    party: Option<Party>,
    /// The text under way, and the bytes of it that are unsent.
    text: String,
    unsent: usize,
    /// The newest message shown on this connection; each further one must be newer.
    newest: u64,
}

/// A message that the hub took, by its mid.
struct Message {
    number: usize,
    from: Party,
    from_id: usize,
    to: Party,
    has_ref: bool,
    fate: Fate,
    /// Whether its sender knows the fate.
    is_told: bool,
    /// Whether its recipient blocked its sender at the `ack`, so the sender never hears of it.
    is_secret: bool,
    is_shown: bool,
}

/// A send as its client remembers it, to repeat it.
struct Draft {
    id: usize,
    key: usize,
    to: usize,
    body: String,
}

struct Model {
    hub: Hub,
    now: Now,
    connections: [Option<Connection>; SLOTS],
    count: u32,
    messages: BTreeMap<u64, Message>,
    drafts: BTreeMap<usize, Draft>,
    /// The ids that each party blocks.
    blocked: HashMap<Party, BTreeSet<usize>>,
    /// The card of each party.
    cards: HashMap<Party, String>,
    /// The newest message that each party was shown.
    newest: HashMap<Party, u64>,
    /// Each holder of an id, and the time since when its client is away.
    owners: HashMap<Party, Option<Instant>>,
    /// Id and key of each owner.
    names: HashMap<Party, (usize, usize)>,
}

impl Model {
    fn step(&mut self, step: Step) {
        let mut leaving = None;
        match step {
            Step::Join { slot, id, key } => self.join(slot, id, key),
            Step::Cut { slot, departure } => self.cut(slot, departure),
            Step::Send { slot, to, len, has_ref } => {
                let Some(Connection { id, key, .. }) = self.connections[slot] else { return };
                let number = self.count as usize;
                let body = format!(r#"[{number},"{}"]"#, "x".repeat(len));
                if has_ref {
                    self.drafts.insert(number, Draft { id, key, to, body: body.clone() });
                }
                self.send(slot, number, to, &body, has_ref);
            }
            Step::Repeat { slot, which } => {
                let Some(Connection { id, key, .. }) = self.connections[slot] else { return };
                let mine =
                    self.drafts.iter().filter(|(_, draft)| draft.id == id && draft.key == key);
                if let Some((&number, draft)) = mine.rev().nth(which) {
                    let (to, body) = (draft.to, draft.body.clone());
                    self.send(slot, number, to, &body, true);
                }
            }
            Step::Ack { slot, to, every, newest_first } => self.ack(slot, to, every, newest_first),
            Step::Block { slot, id, ends } => self.block(slot, id, ends),
            Step::Watch { slot, id, ends } => {
                let kind = if ends { "unwatch" } else { "watch" };
                self.say(slot, &format!(r#"{{"type":"{kind}","ids":["{}"]}}"#, IDS[id]));
            }
            Step::Card { slot, len } => self.publish(slot, len),
            Step::Leave { slot } => {
                leaving = self.party(slot);
                self.say(slot, r#"{"type":"leave"}"#);
            }
            Step::Write { slot, unsent } => self.write(slot, unsent),
            Step::Turn => self.turn(),
            Step::Pass { seconds } => {
                self.now.instant += Duration::from_secs(seconds);
                self.hub.expire(self.now);
                self.hub.sweep(SLOTS);
                self.hub.clients.pressing.clear();
            }
        }
        self.count += 1;
        self.look_for_ends(leaving);
        self.hear_disconnects();
        self.hub.check_tables();
        self.check_cards();
        assert!(self.hub.held_bytes() <= LIMITS.held_bytes_total);
    }

    // ---- clients ----

    fn join(&mut self, slot: usize, id: usize, key: usize) {
        self.cut(slot, Departure::Lost);
        let token = Token::new(slot, self.count + 1);
        // Two slots share a payer, two have one of their own, and one is exempt.
        let payer = [None, Some(1), Some(1), Some(2), Some(3)][slot];
        self.hub.open(token, payer.map(Payer::new));
        let (text, unsent, newest) = (String::new(), 0, 0);
        self.connections[slot] =
            Some(Connection { token, id, key, party: None, text, unsent, newest });
        self.say(slot, &format!(r#"{{"type":"join","id":"{}"{}}}"#, IDS[id], KEYS[key]));
        if self.hub.has_joined(token) {
            let party = self.hub.ids[IDS[id]];
            self.connection(slot).party = Some(party);
            self.cards.remove(&party);
            if matches!(party, Holder::Owner(_)) {
                self.names.insert(party, (id, key));
            }
        }
    }

    fn cut(&mut self, slot: usize, departure: Departure) {
        if let Some(connection) = self.connections[slot].take() {
            self.hub.disconnected(connection.token, departure, self.now);
        }
    }

    fn send(&mut self, slot: usize, number: usize, to: usize, body: &str, has_ref: bool) {
        let Some(from) = self.party(slot) else { return };
        let from_id = self.connection(slot).id;
        let recipient = self.hub.ids.get(IDS[to]).copied();
        let known =
            self.messages.values().any(|message| message.number == number && message.from == from);
        let before = self.hub.mid;
        let reference = if has_ref { format!(r#","ref":"{number}""#) } else { String::new() };
        self.say(
            slot,
            &format!(r#"{{"type":"send","to":"{}","body":{body}{reference}}}"#, IDS[to]),
        );
        if self.hub.mid == before {
            return;
        }
        assert!(!known || matches!(from, Holder::Client(_)), "{number} is routed twice");
        let to = recipient.expect("a holder of the id");
        assert!(
            !self.blocked.get(&to).is_some_and(|ids| ids.contains(&from_id)),
            "{number} was blocked"
        );
        let message = Message {
            number,
            from,
            from_id,
            to,
            has_ref,
            fate: Fate::Open,
            is_told: false,
            is_secret: false,
            is_shown: false,
        };
        self.messages.insert(self.hub.mid, message);
    }

    fn ack(&mut self, slot: usize, to: usize, every: usize, newest_first: bool) {
        let Some(party @ Holder::Owner(_)) = self.party(slot) else { return };
        let shown = self.messages.iter().filter(|(_, message)| message.is_shown);
        let mut mids: Vec<u64> = shown.map(|(mid, _)| *mid).step_by(every).take(LIST_MAX).collect();
        if newest_first {
            mids.reverse();
        }
        let blocks_sender = self.blocked.get(&party).is_some_and(|ids| ids.contains(&to));
        for mid in &mids {
            let message = self.messages.get_mut(mid).expect("a message");
            if message.to == party && message.from_id == to && message.fate == Fate::Open {
                message.fate = Fate::Delivered;
                message.is_secret = blocks_sender;
            }
        }
        let mids: Vec<String> =
            mids.iter().map(|count| self.hub.prefixes.mid(*count).to_string()).collect();
        if !mids.is_empty() {
            self.say(slot, &format!(r#"{{"type":"ack","to":"{}","mids":{mids:?}}}"#, IDS[to]));
        }
    }

    fn block(&mut self, slot: usize, id: usize, ends: bool) {
        let Some(party) = self.party(slot) else { return };
        let blocked = self.blocked.entry(party).or_default();
        let kind = if ends { "unblock" } else { "block" };
        if ends {
            blocked.remove(&id)
        } else {
            blocked.insert(id)
        };
        self.say(slot, &format!(r#"{{"type":"{kind}","ids":["{}"]}}"#, IDS[id]));
    }

    fn publish(&mut self, slot: usize, len: Option<usize>) {
        let Some(party) = self.party(slot) else { return };
        let card = len.map(|len| format!(r#"{{"x":"{}"}}"#, "x".repeat(len)));
        let key = card.as_ref().map_or(String::new(), |card| format!(r#","card":{card}"#));
        self.say(slot, &format!(r#"{{"type":"card"{key}}}"#));
        match card {
            Some(card) => self.cards.insert(party, card),
            None => self.cards.remove(&party),
        };
    }

    /// Checks that each id has the last card that its party has published, and no other.
    fn check_cards(&self) {
        for (id, holder) in &self.hub.ids {
            let card = self.hub.card(*holder).and_then(|card| card.text());
            assert_eq!(card, self.cards.get(holder).map(String::as_str), "{id:?}");
        }
    }

    fn say(&mut self, slot: usize, line: &str) {
        let Some(connection) = &self.connections[slot] else { return };
        self.hub.clients.pressing.clear();
        assert_eq!(self.hub.receive(connection.token, line, usize::MAX, self.now), "");
    }

    // ---- the loop ----

    fn write(&mut self, slot: usize, unsent: usize) {
        let Some(connection) = &mut self.connections[slot] else { return };
        if connection.unsent == 0 {
            connection.text =
                String::from_utf8(self.hub.take_text(connection.token)).expect("UTF-8");
            connection.unsent = connection.text.len();
        }
        connection.unsent = connection.unsent.min(unsent);
        self.hub.written(connection.token, Vec::new(), connection.unsent);
        if connection.unsent == 0 {
            let text = std::mem::take(&mut connection.text);
            self.hear(slot, &text);
        }
    }

    fn turn(&mut self) {
        // A pressing client may have left some expiries over.
        self.hub.expire(self.now);
        self.hub.sweep(SLOTS);
        self.hub.clients.pressing.clear();
        self.hub.flush(self.now);
        self.hub.clients.pending_write.clear();
    }

    /// Brings the last text to disconnected clients, unless unsent bytes are before it.
    fn hear_disconnects(&mut self) {
        for Disconnect { token, text, .. } in std::mem::take(&mut self.hub.disconnects) {
            let slot = token.key();
            if self.connections[slot].as_ref().is_some_and(|c| c.token == token && c.unsent == 0) {
                self.hear(slot, &String::from_utf8(text).expect("UTF-8"));
            }
            self.connections[slot].take_if(|connection| connection.token == token);
        }
    }

    fn hear(&mut self, slot: usize, text: &str) {
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let party = self.party(slot);
            match line["type"].as_str().expect("a string") {
                "message" => self.hear_message(slot, &line),
                "sent" => {
                    let message = &self.messages[&count(&line["mid"])];
                    assert_eq!(message.number.to_string(), line["ref"]);
                    assert_eq!(Some(message.from), party, "the send of another party");
                }
                kind @ ("delivered" | "expired") => {
                    let fate = if kind == "expired" { Fate::Expired } else { Fate::Delivered };
                    for mid in line["mids"].as_array().expect("a list") {
                        let message = self.messages.get_mut(&count(mid)).expect("a message");
                        assert_eq!((Some(message.from), message.fate), (party, fate), "{line}");
                        assert!(!message.is_secret, "{line} tells that a blocker is here");
                        message.is_told = true;
                    }
                }
                _ => {}
            }
        }
    }

    fn hear_message(&mut self, slot: usize, line: &Value) {
        let mid = count(&line["mid"]);
        let message = self.messages.get_mut(&mid).expect("a message");
        let connection = self.connections[slot].as_mut().expect("it is here");
        assert_eq!(message.number, line["body"][0], "a mid is used twice");
        assert_eq!(Some(message.to), connection.party, "the message of another party");
        assert!(connection.newest < mid, "in order, and once on one connection");
        connection.newest = mid;
        if !message.is_shown {
            message.is_shown = true;
            let newest = self.newest.entry(message.to).or_default();
            assert!(*newest < mid, "a message shown first is newer than all shown before");
            *newest = mid;
        }
    }

    /// Finds ownerships that have ended, and marks their unacknowledged messages as expired.
    fn look_for_ends(&mut self, leaving: Option<Party>) {
        let before = std::mem::take(&mut self.owners);
        for holder in self.hub.ids.values() {
            let (party, is_away) = (*holder, self.hub.client_of(*holder).is_none());
            let since = before.get(&party).copied().flatten().unwrap_or(self.now.instant);
            self.owners.insert(party, is_away.then_some(since));
        }
        for message in self.messages.values_mut() {
            let is_owned = matches!(message.to, Holder::Owner(_));
            if is_owned && message.fate == Fate::Open && !self.owners.contains_key(&message.to) {
                let is_over = before[&message.to]
                    .is_some_and(|since| since + LIMITS.hold <= self.now.instant);
                assert!(is_over || leaving == Some(message.to), "{} was dropped", message.number);
                message.fate = Fate::Expired;
            }
        }
    }

    /// Lets all owners come back twice and acknowledge all, and checks the fates. Then all clients
    /// close, and nothing is left.
    fn finish(mut self) {
        for _ in 0..2 {
            (0..SLOTS).for_each(|slot| self.cut(slot, Departure::Lost));
            let owners: Vec<Party> = self.owners.keys().copied().collect();
            let owners = owners.into_iter().filter_map(|party| self.names.get(&party).copied());
            for (slot, (id, key)) in owners.collect::<Vec<_>>().into_iter().enumerate() {
                self.join(slot, id, key);
                assert!(self.connection(slot).party.is_some(), "it is known again");
            }
            self.run_until_idle();
            for to in 0..IDS.len() {
                (0..SLOTS).for_each(|slot| self.ack(slot, to, 1, false));
            }
            self.run_until_idle();
        }
        for message in self.messages.values() {
            let owns =
                |party| matches!(party, Holder::Owner(_)) && self.owners.contains_key(&party);
            if owns(message.to) {
                assert!(
                    message.is_shown && message.fate == Fate::Delivered,
                    "{} is lost",
                    message.number
                );
            }
            let is_public = message.fate != Fate::Open && !message.is_secret;
            if owns(message.from) && message.has_ref && is_public {
                assert!(message.is_told, "the sender of {} heard no fate", message.number);
            }
        }
        (0..SLOTS).for_each(|slot| self.cut(slot, Departure::Lost));
        self.now.instant += LIMITS.hold;
        while self.hub.is_busy(self.now.instant) {
            self.turn();
        }
        self.hub.check_tables();
        assert!(self.hub.ids.is_empty() && self.hub.owners.is_empty());
        assert_eq!((self.hub.held_bytes(), self.hub.waiting_bytes()), (0, 0));
        assert!(self.hub.clients.checked().next().is_none() && self.hub.disconnects.is_empty());
    }

    /// Runs turns until no line waits.
    fn run_until_idle(&mut self) {
        while self.hub.is_busy(self.now.instant) {
            self.turn();
            (0..SLOTS).for_each(|slot| self.write(slot, 0));
            self.hear_disconnects();
        }
    }

    fn connection(&mut self, slot: usize) -> &mut Connection {
        self.connections[slot].as_mut().expect("it is here")
    }

    fn party(&self, slot: usize) -> Option<Party> {
        self.connections[slot].as_ref()?.party
    }
}

fn count(mid: &Value) -> u64 {
    let digits = mid.as_str().and_then(|mid| mid.strip_prefix("000000000abc-"));
    u64::from_str_radix(digits.expect("one of ours"), 16).expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn message_is_shown_once_in_order_or_expires_and_is_told(
        steps in steps(),
    ) {
        let mut model = Model {
            hub: Hub::new(LIMITS, 0xabc),
            now: Now { instant: Instant::now(), unix_ms: 5 },
            connections: Default::default(),
            count: 0,
            messages: BTreeMap::new(),
            drafts: BTreeMap::new(),
            blocked: HashMap::new(),
        cards: HashMap::new(),
            newest: HashMap::new(),
            owners: HashMap::new(),
            names: HashMap::new(),
        };
        for step in steps {
            model.step(step);
        }
        model.finish();
    }
}
