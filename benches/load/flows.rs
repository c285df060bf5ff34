//! Flows of messages from one client to another, in a closed loop: a message that has come makes
//! way for the next one.
//!
//! **Invariant**: each message comes once, in order and unchanged. A body names its flow and its
//! number in the flow, so the next line is known byte for byte.
//!
//! The numbers of flows and of messages under way are chosen by the scenarios.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clients::{Clients, MASK, Outcome, Scene, text_frame};
use crate::server::{Server, own_cpu_ns};

/// The rest of a body behind flow and number, which makes it 32 bytes long.
const PADDING: &str = "abcdefghijklmnop";
/// Digits of a flow, and of a number.
const DIGITS: usize = 8;
/// The place at which a line names its flow: behind
/// `{"type":"message","from":"client-00000000","body":"`.
const FLOW_AT: usize = 51;
/// The most mids that the protocol allows in an `ack`.
const MIDS_IN_LINE: usize = 256;
/// The most lines of this length that make a text short enough for any server.
const LINES_IN_TEXT: usize = 8;
/// How long a run waits at its end for messages that come twice.
const LINGER: Duration = Duration::from_millis(50);

/// The result of one run.
#[derive(Clone, Copy)]
pub struct Measured {
    pub figure: f64,
    /// The shares of their cores that the server and the generator used.
    pub busy: [f64; 2],
}

/// Bytes with a number in them that changes.
pub struct Numbered {
    bytes: Vec<u8>,
    /// The place of the number.
    at: usize,
    /// The mask over the number, from its first digit on; zeros where the bytes are not masked.
    mask: [u8; 4],
}

impl Numbered {
    /// Returns the bytes with this number in them.
    pub fn with(&mut self, number: u32) -> &[u8] {
        for (place, byte) in self.bytes[self.at..self.at + DIGITS].iter_mut().enumerate() {
            let digit = b"0123456789abcdef"[(number >> (28 - 4 * place)) as usize & 15];
            *byte = digit ^ self.mask[place % 4];
        }
        &self.bytes
    }
}

struct Flow {
    /// The `send` of a message, in its frame.
    send: Numbered,
    /// The `message` line that must come, up to its mid.
    line: Numbered,
    sent: u32,
    came: u32,
    /// When the last message was sent.
    sent_at: Instant,
    from: usize,
    to: usize,
    /// The flow that sends when a message of this one has come.
    next: usize,
    /// The start of the `delivered` line for the sender.
    told: String,
    /// Acknowledged mids without a `delivered` yet.
    untold: VecDeque<String>,
}

/// All flows of a run.
pub struct Flows {
    flows: Vec<Flow>,
    /// The flow on which each client sends, if there is one.
    by_sender: Vec<Option<usize>>,
    /// For each flow, the mids from the current text that are to be acknowledged.
    acks: Vec<Vec<String>>,
    /// Flows that have any in `acks`.
    acking: Vec<usize>,
    /// Messages that come make way for others.
    is_running: bool,
    /// Messages that have come.
    delivered: u64,
    /// The longest way of a message so far, where each flow has one under way.
    pub longest: Duration,
}

impl Flows {
    pub fn new() -> Flows {
        let (by_sender, acks, acking) = (Vec::new(), Vec::new(), Vec::new());
        let longest = Duration::ZERO;
        Flows {
            flows: Vec::new(),
            by_sender,
            acks,
            acking,
            is_running: true,
            delivered: 0,
            longest,
        }
    }

    /// Adds a flow: its next message leaves when the last has come.
    pub fn one_way(&mut self, clients: &Clients, from: usize, to: usize) {
        self.add(clients, from, to, self.flows.len());
    }

    /// Adds two flows that answer each other.
    pub fn both_ways(&mut self, clients: &Clients, one: usize, other: usize) {
        let first = self.flows.len();
        self.add(clients, one, other, first + 1);
        self.add(clients, other, one, first);
    }

    fn add(&mut self, clients: &Clients, from: usize, to: usize, next: usize) {
        let flow = self.flows.len();
        let (send, line) = message(&clients.id(from), &clients.id(to), flow);
        let told = format!(r#"{{"type":"delivered","from":"{}","mids":[""#, clients.id(to));
        let (sent_at, untold) = (Instant::now(), VecDeque::new());
        self.flows.push(Flow {
            send,
            line,
            sent: 0,
            came: 0,
            sent_at,
            from,
            to,
            next,
            told,
            untold,
        });
        self.acks.push(Vec::new());
        self.by_sender.resize(clients.len(), None);
        self.by_sender[from] = Some(flow);
    }

    /// Sends `window` messages on every `step`th flow.
    pub fn start(&mut self, clients: &mut Clients, window: usize, step: usize) {
        for _ in 0..window {
            (0..self.flows.len())
                .step_by(step)
                .for_each(|flow| self.send(clients, flow, Instant::now()));
        }
    }

    /// Runs all flows, first to warm up and then to be measured: microseconds of the server's CPU
    /// for a message.
    pub fn measure(
        &mut self,
        clients: &mut Clients,
        server: &Server,
        duration: Duration,
    ) -> Result<Measured, String> {
        clients.run(duration / 4, self)?;
        let (delivered, usage) = (self.delivered, Usage::start(server));
        clients.run(duration, self)?;
        let measured = usage.measured(server, self.delivered - delivered);
        self.finish(clients)?;
        Ok(measured)
    }

    /// Stops sending, waits for all messages and notices under way, and checks that no more come.
    pub fn finish(&mut self, clients: &mut Clients) -> Outcome {
        self.is_running = false;
        let due = |flow: &Flow| flow.sent as usize - flow.came as usize + flow.untold.len();
        while self.flows.iter().any(|flow| due(flow) > 0) {
            let messages: u32 = self.flows.iter().map(|flow| flow.sent - flow.came).sum();
            let notices: usize = self.flows.iter().map(|flow| flow.untold.len()).sum();
            clients.turn(Duration::MAX, self).map_err(|error| {
                format!(
                    "{error}, with {messages} messages and {notices} notices of delivery under way"
                )
            })?;
        }
        clients.run(LINGER, self)
    }

    fn send(&mut self, clients: &mut Clients, flow: usize, now: Instant) {
        let flow = &mut self.flows[flow];
        clients.say(flow.from, flow.send.with(flow.sent));
        flow.sent += 1;
        flow.sent_at = now;
    }

    /// Checks that a `delivered` line names acknowledged mids that had none before. They mostly
    /// come in order.
    fn told(&mut self, client: usize, line: &str) -> Outcome {
        let strange = || format!("client {client} is not due {line}");
        let flow = self.by_sender[client].map(|flow| &mut self.flows[flow]).ok_or_else(strange)?;
        let mids = line.strip_prefix(&flow.told).and_then(|rest| rest.strip_suffix("\"]}"));
        for mid in mids.ok_or_else(strange)?.split("\",\"") {
            let place = flow.untold.iter().position(|untold| untold == mid).ok_or_else(strange)?;
            flow.untold.remove(place);
        }
        Ok(())
    }
}

impl Scene for Flows {
    fn line(&mut self, clients: &mut Clients, client: usize, line: &str) -> Outcome {
        let place = number(line, FLOW_AT).map_or(usize::MAX, |flow| flow as usize);
        let flow = self.flows.get_mut(place);
        let Some(flow) = flow.filter(|flow| flow.to == client) else {
            return self.told(client, line);
        };
        let due = flow.line.with(flow.came);
        if !line.as_bytes().starts_with(due) {
            return Err(complaint(client, line, flow.came));
        }
        if clients.is_keyed {
            let mid = line[due.len()..].split('"').next().unwrap_or_default();
            let ack = &mut self.acks[place];
            if ack.is_empty() {
                self.acking.push(place);
            }
            ack.push(format!("\"{mid}\""));
            flow.untold.push_back(mid.into());
        }
        flow.came += 1;
        self.delivered += 1;
        self.longest = self.longest.max(clients.now - flow.sent_at);
        if self.is_running {
            let next = flow.next;
            self.send(clients, next, clients.now);
        }
        Ok(())
    }

    /// Acknowledges the messages of a text: a line for each sender, many lines in one text.
    fn text_ended(&mut self, clients: &mut Clients, client: usize) {
        let mut lines = Vec::new();
        for flow in self.acking.drain(..) {
            let from = clients.id(self.flows[flow].from);
            for mids in self.acks[flow].chunks(MIDS_IN_LINE) {
                lines
                    .push(format!(r#"{{"type":"ack","to":"{from}","mids":[{}]}}"#, mids.join(",")));
            }
            self.acks[flow].clear();
        }
        for lines in lines.chunks(LINES_IN_TEXT) {
            clients.say(client, &text_frame(&lines.join("\n")));
        }
    }
}

/// Returns a `send` in its frame and the `message` line that must come, both without a number.
pub fn message(from: &str, to: &str, flow: usize) -> (Numbered, Numbered) {
    let body = format!("{flow:08x}{:08x}{PADDING}", 0);
    let send = format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#);
    let line = format!(r#"{{"type":"message","from":"{from}","body":"{body}","mid":""#);
    let bytes = text_frame(&send);
    let (start, at) =
        (bytes.len() - send.len(), bytes.len() - r#""}"#.len() - PADDING.len() - DIGITS);
    let mut mask = MASK;
    mask.rotate_left((at - start) % 4);
    let line = Numbered { bytes: line.into_bytes(), at: FLOW_AT + DIGITS, mask: [0; 4] };
    (Numbered { bytes, at, mask }, line)
}

/// Returns the sentence about a line that is not the message `due`.
pub fn complaint(client: usize, line: &str, due: u32) -> String {
    let fault = match number(line, FLOW_AT + DIGITS) {
        Some(number) if number < due => "it has come before",
        Some(number) if number > due => "one before it has not come",
        _ => "it is not as it was sent",
    };
    format!("client {client} was due number {due:08x}, and {line} came: {fault}")
}

fn number(line: &str, at: usize) -> Option<u32> {
    u32::from_str_radix(line.get(at..at + DIGITS)?, 16).ok()
}

/// CPU time of the server and of this process at the start of a measurement.
pub struct Usage {
    start: Instant,
    server_ns: u64,
    own_ns: u64,
}

impl Usage {
    pub fn start(server: &Server) -> Usage {
        Usage { start: Instant::now(), server_ns: server.cpu_ns(), own_ns: own_cpu_ns() }
    }

    /// Returns the microseconds of the server's CPU since the start, for each of `count` messages.
    pub fn measured(&self, server: &Server, count: u64) -> Measured {
        let used =
            [server.cpu_ns() - self.server_ns, own_cpu_ns() - self.own_ns].map(|ns| ns as f64);
        let busy = used.map(|ns| ns / self.start.elapsed().as_nanos() as f64);
        Measured { figure: used[0] / 1e3 / count as f64, busy }
    }
}
