//! A server, peers that a fuzzer moves, and two witnesses that the peers must not harm.
//!
//! **Invariants**
//!
//! - The witness `ann` sends a message at a time to the witness `ben`. Each arrives once and in
//!   order.
//! - A witness hears nothing else, except the fate of messages that a check sends to peers.
//!
//! The peers' bytes, and the order of events, are chosen by [`super::turns`].

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use sotto::chat::hub::Hub;
use sotto::config::Config;
use sotto::net::connection::{Shared, View};
use sotto::server::{Ready, Server, limits};
use sotto::time::Now;
use sotto::token::Token;

use super::socket::{HANDSHAKE, Wire, frame, send, site};
use super::written::{lines_in, response, split_frames};

/// Peers that are connected at once, and ids that they may join under.
pub const PEERS: usize = 4;
/// The key of every peer that has one.
pub const KEY: &str = "0123456789abcdef";
const WITNESS_KEY: &str = "a key that no peer has";
/// How long ids are owned where nothing may be forgotten: longer than any play.
pub const LONG_HOLD: Duration = Duration::from_secs(1_000_000);

/// The rules of a play.
pub struct Mode {
    /// Lines that a client may send in a second; 0: any number.
    pub rate: usize,
    /// Before the end every kernel takes bytes again. Otherwise stuck connections end stuck.
    pub all_recover: bool,
    /// All ids are owned, and no peer acknowledges, leaves or stays away for too long, so no
    /// message may be forgotten.
    pub keep_all: bool,
}

/// A server with its peers and witnesses, at one time.
pub struct Play {
    pub server: Server<Wire>,
    pub peers: Vec<(Token, Wire)>,
    pub witnesses: Vec<Witness>,
    /// Messages that `ann` has sent to `ben`.
    pub asked: u64,
    /// Messages from `ann` that `ben` has heard.
    pub came: u64,
    /// Messages that `ann` was told are delivered to `ben`.
    pub delivered: u64,
    /// Ids that refused a message from `ann`.
    pub refused: HashSet<String>,
    pub now: Now,
}

/// A client that reads all lines, acknowledges messages and answers pings.
pub struct Witness {
    pub token: Token,
    pub wire: Wire,
    /// Its upgrade has been answered.
    is_open: bool,
}

impl Witness {
    /// Takes the lines that have come. Answers pings.
    fn hear(&mut self) -> Vec<Value> {
        let outward = std::mem::take(&mut self.wire.0.borrow_mut().outward);
        let mut lines = Vec::new();
        let at = if self.is_open { 0 } else { response(&outward).expect("an upgrade").1 };
        self.is_open = true;
        for (first, payload) in split_frames(&outward[at..]) {
            match first {
                0x81 => lines.extend(lines_in(payload)),
                0x89 => send(&self.wire, &frame(0x8a, payload)),
                _ => panic!("a witness is not told {first:#x} {payload:?}"),
            }
        }
        lines
    }

    pub fn say(&self, line: &str) {
        send(&self.wire, &frame(0x81, line.as_bytes()));
    }
}

impl Play {
    /// Starts a server whose limits are so small that few bytes reach them.
    pub fn new(mode: &Mode) -> Play {
        let config = Config {
            rate: mode.rate,
            burst: 5,
            // The witnesses' ids, and one less than the peers may want.
            owned: PEERS - 1 + 2,
            // More than half an outbox, so held messages have to wait for capacity, too.
            held: 8000,
            held_total: 64_000,
            max_message: 1024,
            outbox: 4096,
            hold: if mode.keep_all { LONG_HOLD } else { Config::default().hold },
            ..Config::default()
        };
        let (hub, connection) = limits(&config);
        let shared = Shared::new(site(), connection);
        let server = Server::new(PEERS + 2, Hub::new(hub, 1), shared);
        let now = Now { instant: Instant::now(), unix_ms: 5 };
        let (peers, witnesses) = (Vec::new(), Vec::new());
        let mut play = Play {
            server,
            peers,
            witnesses,
            asked: 0,
            came: 0,
            delivered: 0,
            refused: HashSet::new(),
            now,
        };
        for id in ["ann", "ben"] {
            let wire = play.connect(View::Page);
            send(&wire, HANDSHAKE);
            send(&wire, &frame(0x81, join(id, WITNESS_KEY).as_bytes()));
            play.turn();
            let (token, wire) = play.peers.pop().expect("the server takes it in");
            play.witnesses.push(Witness { token, wire, is_open: false });
            play.listen();
        }
        play
    }

    /// Sends a message from `ann` to `ben`, if the last one was delivered.
    pub fn talk(&mut self) {
        if self.asked == self.delivered {
            self.asked += 1;
            let line =
                format!(r#"{{"type":"send","to":"ben","body":{0},"ref":"{0}"}}"#, self.asked);
            self.witnesses[0].say(&line);
        }
    }

    /// Hears the witnesses out. Checks that their messages come once and in order, and that no
    /// other line comes.
    fn listen(&mut self) {
        let heard: Vec<Value> = self.witnesses.iter_mut().flat_map(Witness::hear).collect();
        for line in heard {
            match line["type"].as_str() {
                Some("message") => {
                    self.came += 1;
                    assert_eq!(line["body"], self.came, "{line}");
                    let ack = format!(r#"{{"type":"ack","to":"ann","mids":[{}]}}"#, line["mid"]);
                    self.witnesses[1].say(&ack);
                }
                Some("delivered") if line["from"] == "ben" => self.delivered += 1,
                // The fate of messages by which a check looks for holders.
                Some("delivered") => {}
                Some("expired") if line["to"] != "ben" => {}
                Some("joined" | "sent") => {}
                Some("error") if line["to"] != "ben" => {
                    self.refused.insert(line["to"].as_str().expect("an id").into());
                }
                _ => panic!("a witness is not told {line}"),
            }
        }
        assert!(self.delivered <= self.came && self.came <= self.asked);
    }

    /// Connects a peer, if the server takes it in.
    pub fn connect(&mut self, view: View) -> Wire {
        let wire = Wire::default();
        wire.0.borrow_mut().capacity = usize::MAX;
        let mut registered = None;
        let register = |_: &mut Wire, token| {
            registered = Some(token);
            Ok(())
        };
        let address = [127, 0, 0, 1].into();
        self.server
            .accept(wire.clone(), Some(address), view, self.now, register)
            .expect("no registration fails");
        if let Some(token) = registered {
            self.peers.push((token, wire.clone()));
        }
        wire
    }

    /// Runs one turn, in which the server is told all readiness.
    pub fn turn(&mut self) {
        let tell = |(token, wire): &(Token, Wire)| {
            let socket = &mut *wire.0.borrow_mut();
            let [readable, writable, closed] =
                [&mut socket.readable, &mut socket.writable, &mut socket.closed]
                    .map(std::mem::take);
            (readable || writable || closed).then_some(Ready {
                token: *token,
                readable,
                writable,
                closed,
                failed: false,
            })
        };
        let mut ready: Vec<Ready> = self.peers.iter().filter_map(tell).collect();
        ready.extend(
            self.witnesses
                .iter()
                .filter_map(|Witness { token, wire, .. }| tell(&(*token, wire.clone()))),
        );
        self.server.turn(self.now, &ready);
        self.listen();
    }

    /// Runs turns until the server owes no visit and no witness has sent anything since.
    pub fn run(&mut self) {
        for _ in 0..1000 {
            self.turn();
            let is_told = self.witnesses.iter().any(|witness| witness.wire.0.borrow().readable);
            if !is_told && self.server.sleep(self.now.instant) != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("the loop never sleeps");
    }

    /// Runs for 15 s, after which every line is read that was sent faster than the rate.
    pub fn rest(&mut self) {
        for _ in 0..15 {
            self.pass(1);
            self.run();
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.unix_ms += seconds * 1000;
    }

    /// Returns the peer with this number, counted around. `None` if there are no peers.
    pub fn peer(&self, number: u8) -> Option<&Wire> {
        let at = usize::from(number) % self.peers.len().max(1);
        self.peers.get(at).map(|(_, wire)| wire)
    }
}

/// Returns the line by which a client joins under an id that it owns.
pub fn join(id: &str, key: &str) -> String {
    format!(r#"{{"type":"join","id":"{id}","key":"{key}"}}"#)
}
