//! Messages that flow from one client to another: who sends when, and whether each comes exactly
//! once, in order and unchanged.
//!
//! Each body names its flow and its number in it, so it is known byte for byte which line must come
//! next. In a closed loop a message that came makes way for the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clients::{Clients, MASK, Outcome, Scene, text_frame};
use crate::server::{Server, own_cpu_ns};

/// What follows flow and number in a body, to make it 32 bytes long.
const PADDING: &str = "abcdefghijklmnop";
const DIGITS: usize = 8;
/// Where a line names its flow: behind `{"type":"message","from":"client-00000000","body":"`.
const FLOW_AT: usize = 51;
/// As the protocol allows; and so many of the longest of these lines make a text that is short
/// enough for any server.
const MIDS_IN_LINE: usize = 256;
const LINES_IN_TEXT: usize = 8;
/// For so long a message that comes twice has time to show.
const LINGER: Duration = Duration::from_millis(50);

/// What one run measured.
#[derive(Clone, Copy)]
pub struct Measured {
    pub figure: f64,
    /// The shares of their cores that the server and the generator used.
    pub busy: [f64; 2],
}

/// Bytes with a number in them that changes.
pub struct Numbered {
    bytes: Vec<u8>,
    at: usize,
    mask: [u8; 4],
}

impl Numbered {
    pub fn with(&mut self, number: u32) -> &[u8] {
        for (place, byte) in self.bytes[self.at..self.at + DIGITS].iter_mut().enumerate() {
            let digit = b"0123456789abcdef"[(number >> (28 - 4 * place)) as usize & 15];
            *byte = digit ^ self.mask[place % 4];
        }
        &self.bytes
    }
}

struct Flow {
    /// What it sends, in its frame.
    send: Numbered,
    /// The line that comes of it, up to its mid.
    line: Numbered,
    sent: u32,
    came: u32,
    /// When the last one was sent.
    sent_at: Instant,
    from: usize,
    to: usize,
    /// The flow that sends when one of this has come.
    next: usize,
    /// The start of the `delivered` that it is due.
    told: String,
    /// Mids of which it has not been told yet.
    untold: VecDeque<String>,
}

pub struct Flows {
    flows: Vec<Flow>,
    /// The flow on which each client sends, if it does.
    by_sender: Vec<Option<usize>>,
    /// For each flow the mids to acknowledge that the text that is being heard has brought, and the
    /// flows that have any.
    acks: Vec<Vec<String>>,
    acking: Vec<usize>,
    is_running: bool,
    delivered: u64,
    /// The longest that a message took, where each flow has one under way.
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

    /// One sends to another, and once more when that has come.
    pub fn one_way(&mut self, clients: &Clients, from: usize, to: usize) {
        self.add(clients, from, to, self.flows.len());
    }

    /// Each answers with one.
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

    /// Lets them run, first to get warm and then to be measured: microseconds of the server's CPU
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

    /// Nothing more is sent. Whatever is due must come, and nothing else.
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

    /// Every mid that is told must be one that was acknowledged and not told yet; they mostly come
    /// in order.
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

    /// One line for each sender, the lines together.
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

/// A `send` in its frame, and the line that must come of it; both take the message's number.
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

pub fn complaint(client: usize, line: &str, due: u32) -> String {
    let what = match number(line, FLOW_AT + DIGITS) {
        Some(number) if number < due => "it has come before",
        Some(number) if number > due => "one before it has not come",
        _ => "it is not as it was sent",
    };
    format!("client {client} was due number {due:08x}, and {line} came: {what}")
}

fn number(line: &str, at: usize) -> Option<u32> {
    u32::from_str_radix(line.get(at..at + DIGITS)?, 16).ok()
}

/// What was used up since the start of a measurement.
pub struct Usage {
    start: Instant,
    server_ns: u64,
    own_ns: u64,
}

impl Usage {
    pub fn start(server: &Server) -> Usage {
        Usage { start: Instant::now(), server_ns: server.cpu_ns(), own_ns: own_cpu_ns() }
    }

    /// Microseconds of the server's CPU for each of so many.
    pub fn measured(&self, server: &Server, count: u64) -> Measured {
        let used =
            [server.cpu_ns() - self.server_ns, own_cpu_ns() - self.own_ns].map(|ns| ns as f64);
        let busy = used.map(|ns| ns / self.start.elapsed().as_nanos() as f64);
        Measured { figure: used[0] / 1e3 / count as f64, busy }
    }
}
