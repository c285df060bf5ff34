//! Any sequence of connections, lines, writes and ends, against a model of ids and owed lines.
//!
//! No client acknowledges and no time passes here: `ownership_properties.rs` tests those.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Few slots, ids and keys, so that they collide.
const SLOTS: usize = 6;
const IDS: &[&str] = &["alice", "bob", "carol", "dave", "not an id"];
const KEYS: &[&str] =
    &["", r#","key":"0123456789abcdef""#, r#","key":"fedcba9876543210""#, r#","key":"short""#];

/// So small that both one outbox and the total fill up.
const LIMITS: Limits = Limits {
    message_bytes_max: 512,
    outbox_bytes_max: 700,
    outbox_bytes_total: 4000,
    ..super::LIMITS
};

#[derive(Clone, Debug)]
enum Step {
    /// A new connection in this slot; the connection before is lost.
    Open(usize),
    Close(usize),
    /// The client sends a line, in which `%` stands for the number of the step.
    Say(usize, String),
    /// The loop writes the lines of this client, and at most this many bytes stay unsent.
    Write(usize, usize),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || prop::sample::select(IDS);
    let send = |to, x| format!(r#"{{"type":"send","to":"{to}","body":["%","{x}"],"ref":"%"}}"#);
    let send_without_ref = |to, x| format!(r#"{{"type":"send","to":"{to}","body":["%","{x}"]}}"#);
    let watch = |a, b| format!(r#"{{"type":"watch","ids":["{a}","{b}"],"ref":"%"}}"#);
    let line = prop_oneof![
        4 => (id(), prop::sample::select(KEYS))
            .prop_map(|(id, key)| format!(r#"{{"type":"join","id":"{id}"{key},"ref":"%"}}"#)),
        4 => (id(), "x{0,150}").prop_map(move |(to, x)| send(to, x)),
        4 => (id(), "x{0,150}").prop_map(move |(to, x)| send_without_ref(to, x)),
        2 => id().prop_map(|to| format!(r#"{{"type":"signal","to":"{to}","body":1,"ref":"%"}}"#)),
        2 => (id(), id()).prop_map(move |(a, b)| watch(a, b)),
        1 => id().prop_map(|id| format!(r#"{{"type":"unwatch","ids":["{id}"],"ref":"%"}}"#)),
        1 => Just(r#"{"type":"leave","ref":"%"}"#.to_owned()),
        1 => Just(r#"{"type":"sing","ref":"%"}"#.to_owned()),
    ];
    let step = prop_oneof![
        2 => (0..SLOTS).prop_map(Step::Open),
        1 => (0..SLOTS).prop_map(Step::Close),
        20 => (0..SLOTS, line).prop_map(|(slot, line)| Step::Say(slot, line)),
        5 => (0..SLOTS, 0usize..100).prop_map(|(slot, unsent)| Step::Write(slot, unsent)),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..250)
}

/// A client, and the lines that it still has to get.
#[derive(Default)]
struct Peer {
    id: Option<String>,
    /// Lines in order and in short, without signals and presence, which may be dropped or late.
    owed: Vec<String>,
    /// Held messages for its id, of which it gets as many as fit.
    held: VecDeque<String>,
    /// The state of each watched id that it was told last.
    watched: BTreeMap<String, Option<bool>>,
    bad_requests: usize,
    unsent: usize,
}

/// An owned id: its key as it stands in the line, and the messages to it.
struct Owned {
    key: Value,
    messages: Vec<String>,
}

struct Model {
    hub: Hub,
    now: Now,
    owned: BTreeMap<String, Owned>,
    peers: BTreeMap<Token, Peer>,
    slots: [Option<Token>; SLOTS],
    /// Numbers connections and lines.
    count: u32,
    /// The message that each mid names.
    mids: BTreeMap<String, String>,
}

impl Model {
    fn step(&mut self, step: Step) {
        self.count += 1;
        match step {
            Step::Open(slot) => {
                self.close(slot);
                let token = Token::new(slot, self.count);
                self.slots[slot] = Some(token);
                self.hub.open(token, None);
                self.peers.insert(token, Peer::default());
            }
            Step::Close(slot) => self.close(slot),
            Step::Say(slot, line) => self.say(slot, &line.replace('%', &self.count.to_string())),
            Step::Write(slot, unsent) => self.write(slot, unsent),
            Step::Flush => self.hub.flush(self.now),
        }
        self.hear_disconnects();
        self.check();
    }

    fn close(&mut self, slot: usize) {
        if let Some(token) = self.slots[slot].take() {
            self.hub.disconnected(token, Departure::Normal, self.now);
            self.peers.remove(&token);
        }
    }

    /// A removed client may go on sending, and is not heard.
    fn say(&mut self, slot: usize, line: &str) {
        let Some(from) = self.slots[slot] else { return };
        self.hub.clients.pressing.clear();
        assert_eq!(self.hub.receive(from, line, usize::MAX, self.now), "");
        if self.peers.contains_key(&from) {
            self.expect(from, &serde_json::from_str(line).expect("JSON"));
        }
    }

    /// Works out the lines that each client is owed after a line of `from`.
    fn expect(&mut self, from: Token, line: &Value) {
        let reference = &line["ref"];
        let has_bad_id =
            |ids: &[&Value]| ids.iter().any(|id| !Id::is_valid(id.as_str().expect("a string")));
        let ids: Vec<&Value> = match line["ids"].as_array() {
            Some(ids) => ids.iter().collect(),
            None => [&line["id"], &line["to"]].into_iter().filter(|id| id.is_string()).collect(),
        };
        let joined = self.peer(from).id.is_some();
        let kind = line["type"].as_str().expect("a string");
        let refusal = match kind {
            "sing" => Some("bad_request"),
            "join" if joined => Some("already_joined"),
            "join" => None,
            _ if !joined => Some("not_joined"),
            _ => None,
        };
        let refusal = refusal.or(has_bad_id(&ids).then_some("bad_id"));
        if let Some(code) = refusal {
            self.owe(from, format!("{code} {reference}"));
        } else {
            match kind {
                "join" => self.expect_join(from, line),
                "send" => self.expect_send(from, line),
                "watch" => self.peer(from).watched.extend(ids.iter().map(|id| (string(id), None))),
                "unwatch" => {
                    self.peer(from).watched.retain(|id, _| !ids.iter().any(|other| *other == id))
                }
                "leave" => {
                    self.owe(from, "closed 1000".to_owned());
                    let id = self.peer(from).id.clone().expect("it has joined");
                    self.owned.remove(&id);
                }
                _ => {}
            }
        }
        let peer = self.peer(from);
        peer.bad_requests = if kind == "sing" { peer.bad_requests + 1 } else { 0 };
        if peer.bad_requests == 16 {
            self.owe(from, "closed 4000".to_owned());
        }
    }

    fn expect_join(&mut self, from: Token, line: &Value) {
        let reference = &line["ref"];
        if line["key"] == "short" {
            return self.owe(from, format!("bad_key {reference}"));
        }
        let (id, key) = (string(&line["id"]), &line["key"]);
        let holder = self.holder(&line["id"]);
        let owned = self.owned.get(&id);
        if owned.map_or(holder.is_some(), |owned| owned.key != *key) {
            return self.owe(from, format!("id_taken {reference}"));
        }
        let resumed = owned.is_some();
        let held: VecDeque<String> =
            owned.map(|owned| owned.messages.clone().into()).unwrap_or_default();
        if let Some(replaced) = holder {
            self.owe(replaced, "closed 4001".to_owned());
            self.peer(replaced).id = None;
        }
        if key.is_string() && !resumed {
            self.owned.insert(id.clone(), Owned { key: key.clone(), messages: Vec::new() });
        }
        self.owe(from, format!("joined {id} {resumed} {}", held.len()));
        let peer = self.peer(from);
        (peer.id, peer.held) = (Some(id), held);
    }

    fn expect_send(&mut self, from: Token, line: &Value) {
        let (reference, body) = (&line["ref"], &line["body"][0]);
        let holder = self.holder(&line["to"]);
        if let Some(owned) = self.owned.get_mut(line["to"].as_str().expect("a string")) {
            owned.messages.push(format!("message {body}"));
            if let Some(to) = holder {
                self.peer(to).held.push_back(format!("message {body}"));
            }
        } else {
            let Some(to) = holder else { return self.owe(from, format!("offline {reference}")) };
            // The one thing that the model asks the hub: for which client a line was too much.
            if self
                .hub
                .disconnects
                .iter()
                .any(|disconnect| disconnect.token == to && is_slow(disconnect))
            {
                return self.owe(from, format!("slow {reference}"));
            }
            self.owe(to, format!("message {body}"));
        }
        if reference.is_string() {
            self.owe(from, format!("sent {reference}"));
        }
    }

    fn write(&mut self, slot: usize, unsent: usize) {
        let Some(token) = self.slots[slot] else { return };
        let waiting = self.hub.clients.waiting(token);
        let text = self.hub.take_text(token);
        self.hub.clients.pending_write.retain(|pending| *pending != token);
        if !self.peers.contains_key(&token) {
            return assert!(text.is_empty());
        }
        assert_eq!(waiting, self.peer(token).unsent + text.len());
        let unsent = unsent.min(waiting);
        self.hub.written(token, Vec::new(), unsent);
        self.peer(token).unsent = unsent;
        let heard = self.hear(token, &text);
        assert_eq!(heard, std::mem::take(&mut self.peer(token).owed));
    }

    /// Checks that each disconnected client got all that it was owed, except slow ones.
    fn hear_disconnects(&mut self) {
        for disconnect in std::mem::take(&mut self.hub.disconnects) {
            if !is_slow(&disconnect) {
                let mut heard = self.hear(disconnect.token, &disconnect.text);
                heard.push(format!("closed {}", u16::from(disconnect.code)));
                assert_eq!(heard, self.peer(disconnect.token).owed);
            }
            self.peers.remove(&disconnect.token);
        }
    }

    fn hear(&mut self, token: Token, text: &[u8]) -> Vec<String> {
        let mut heard = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("JSON");
            match line["type"].as_str().expect("a string") {
                "joined" => {
                    heard.push(format!(
                        "joined {} {} {}",
                        string(&line["id"]),
                        line["resumed"],
                        line["held"]
                    ));
                }
                "message" => {
                    let message = format!("message {}", line["body"][0]);
                    let known = self.mids.insert(string(&line["mid"]), message.clone());
                    assert!(known.is_none_or(|known| known == message), "a mid is used twice");
                    let held = &mut self.peer(token).held;
                    if held.front() == Some(&message) {
                        held.pop_front();
                    } else {
                        heard.push(message);
                    }
                }
                "sent" => heard.push(format!("sent {}", line["ref"])),
                "error" => heard.push(format!("{} {}", string(&line["code"]), line["ref"])),
                "presence" => {
                    let watched = &mut self.peer(token).watched;
                    if let Some(told) = watched.get_mut(line["id"].as_str().expect("a string")) {
                        *told = line["online"].as_bool();
                    }
                }
                kind => assert!(kind == "signal" || kind == "expired", "{kind}"),
            }
        }
        heard
    }

    fn check(&self) {
        self.hub.check_tables();
        assert_eq!(self.hub.clients.checked().count(), self.peers.len());
        assert_eq!(self.hub.owners.len(), self.owned.len());
        for (token, peer) in &self.peers {
            let client = self.hub.clients.get(*token).expect("it is here");
            assert_eq!(client.id.as_deref(), peer.id.as_deref());
            let waiting = self.hub.clients.waiting(*token);
            assert!(waiting == peer.unsent || self.hub.clients.pending_write.contains(token));
        }
    }

    /// Writes all lines, and checks that watchers know the true states after 10 seconds. Then all
    /// clients close, time passes, and nothing is left.
    fn finish(mut self) {
        // Twice: a notice may be the line that finds an owner's client too slow. That id then
        // appears online for 10 seconds more.
        for _ in 0..2 {
            self.now.instant += Duration::from_secs(10);
            while self.hub.is_busy(self.now.instant) {
                self.hub.expire(self.now);
                self.hub.sweep(SLOTS);
                self.hub.clients.pressing.clear();
                self.hub.flush(self.now);
                self.hear_disconnects();
                self.hub.clients.pending_write.clear();
                (0..SLOTS).for_each(|slot| self.write(slot, 0));
            }
            (0..SLOTS).for_each(|slot| self.write(slot, 0));
        }
        for peer in self.peers.values() {
            assert!(peer.held.is_empty(), "all held messages have been written");
            for (id, told) in &peer.watched {
                let online = self.peers.values().any(|peer| peer.id.as_deref() == Some(id));
                assert_eq!(*told, Some(online), "{id}");
            }
        }
        assert_eq!(self.hub.waiting_bytes(), 0);
        (0..SLOTS).for_each(|slot| self.close(slot));
        self.now.instant += LIMITS.hold;
        while self.hub.is_busy(self.now.instant) {
            self.hub.expire(self.now);
            self.hub.sweep(SLOTS);
            self.hub.clients.pressing.clear();
            self.hub.flush(self.now);
        }
        assert!(
            self.hub.ids.is_empty() && self.hub.owners.is_empty() && self.hub.held_bytes() == 0
        );
        assert!(self.hub.clients.checked().next().is_none() && self.hub.disconnects.is_empty());
        assert_eq!(self.hub.payers.budget(Total::Watches).used(), 0);
    }

    fn peer(&mut self, token: Token) -> &mut Peer {
        self.peers.get_mut(&token).expect("it is here")
    }

    fn holder(&self, id: &Value) -> Option<Token> {
        self.peers
            .iter()
            .find(|(_, peer)| peer.id.as_deref() == id.as_str())
            .map(|(token, _)| *token)
    }

    fn owe(&mut self, token: Token, line: String) {
        self.peer(token).owed.push(line);
    }
}

fn is_slow(disconnect: &Disconnect) -> bool {
    disconnect.code == CloseCode::TryAgainLater
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_client_gets_its_owed_lines_once_and_in_order(steps in steps()) {
        let mut model = Model {
            hub: Hub::new(LIMITS, 0xabc),
            peers: BTreeMap::new(),
            slots: [None; SLOTS],
            count: 0,
            mids: BTreeMap::new(),
            owned: BTreeMap::new(),
            now: Now { instant: Instant::now(), unix_ms: 5 },
        };
        for step in steps {
            model.step(step);
        }
        model.finish();
    }
}
