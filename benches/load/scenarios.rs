//! The scenarios: each run has a server of its own, and gives one figure.
//!
//! **Invariant**: a scenario does the same work on both of its sides.
//!
//! How often a scenario runs, and how its figures are compared, is not known here.

use std::time::{Duration, Instant};

use crate::clients::{Clients, Outcome, Scene, Silence};
use crate::flows::{Flows, Measured, Numbered, Usage, complaint, message};
use crate::server::{Kind, Server};
use crate::table::grouped;

/// Pairs that talk.
const PAIRS: usize = 100;
/// Messages under way on each flow of `pipeline` and `fan-in`.
const WINDOW: usize = 32;
/// Clients that send to one in `fan-in`.
const SENDERS: usize = 64;
/// Clients that are in a cycle of `churn` at once.
const CHURN_AT_ONCE: usize = 64;
/// Pairs that talk while a crowd rushes in and out; few, so that there is time for the crowd.
const RUSH_PAIRS: usize = 10;
/// Clients of a crowd that come or go before the talking pairs are read again.
const RUSH_AT_ONCE: usize = 16;
/// Clients of a crowd that are connecting or joining at once. On a busy machine more of them would
/// wait until their join timeout is over.
const RUSH_UNDER_WAY: usize = 2_000;

/// The size of all scenarios.
pub struct Extent {
    /// Time for which messages are counted.
    pub duration: Duration,
    /// Clients in `idle`.
    pub idle: usize,
    /// Clients that come and go in `rush`.
    pub rush: usize,
}

/// The server and the clients of one run.
#[derive(Clone, Copy)]
pub struct Side {
    pub kind: Kind,
    /// Clients own their ids, so messages are held, acknowledged, and told to their senders.
    pub is_keyed: bool,
}

const SOTTO: Side = Side { kind: Kind::Sotto, is_keyed: false };
const PEER: Side = Side { kind: Kind::Peer, is_keyed: false };
const KEYED: Side = Side { kind: Kind::Sotto, is_keyed: true };

/// Work to be measured on two sides, of which the first is sotto's.
pub struct Scenario {
    pub name: &'static str,
    /// The work and the unit of its figure. `IDLE` and `RUSH` stand for numbers of the extent.
    about: &'static str,
    pub run: Run,
    pub sides: [Side; 2],
}

type Run = fn(&mut Clients, &Server, &Extent) -> Result<Measured, String>;

/// All scenarios. The peer knows no keys, so there sotto is beside itself without them.
pub static SCENARIOS: [Scenario; 9] = [
    Scenario::new("pingpong", "100 pairs, 1 under way: CPU µs a message", pingpong, [SOTTO, PEER]),
    Scenario::new(
        "pipeline",
        "100 pairs, 32 under way each: CPU µs a message",
        pipeline,
        [SOTTO, PEER],
    ),
    Scenario::new(
        "fan-in",
        "64 to one, 32 under way each: CPU µs a message",
        fan_in,
        [SOTTO, PEER],
    ),
    Scenario::new("churn", "connect, join, a message, close: CPU µs a cycle", churn, [SOTTO, PEER]),
    Scenario::new("idle", "IDLE joined and silent: resident bytes a client", idle, [SOTTO, PEER]),
    Scenario::new("rush", "RUSH come and go: longest delay of others, ms", rush, [SOTTO, PEER]),
    Scenario::new("keyed-pingpong", KEYED_ABOUT, pingpong, [KEYED, SOTTO]),
    Scenario::new("keyed-pipeline", KEYED_ABOUT, pipeline, [KEYED, SOTTO]),
    Scenario::new("keyed-fan-in", KEYED_ABOUT, fan_in, [KEYED, SOTTO]),
];
const KEYED_ABOUT: &str = "ids owned, each message acknowledged and told";

impl Scenario {
    const fn new(name: &'static str, about: &'static str, run: Run, sides: [Side; 2]) -> Scenario {
        Scenario { name, about, run, sides }
    }

    /// Tells the work and the unit of its figure, with the numbers of clients really used.
    pub fn about(&self, extent: &Extent) -> String {
        self.about.replace("IDLE", &grouped(extent.idle)).replace("RUSH", &grouped(extent.rush))
    }
}

/// Pairs that answer each other: microseconds of CPU for a message.
fn pingpong(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    clients.open(2 * PAIRS, &mut Silence)?;
    talk(clients, PAIRS, 1).measure(clients, server, extent.duration)
}

/// Starts `pairs` conversations, a message under way in each. Of every `spread` clients one talks.
fn talk(clients: &mut Clients, pairs: usize, spread: usize) -> Flows {
    let mut flows = Flows::new();
    (0..pairs)
        .for_each(|pair| flows.both_ways(clients, 2 * pair * spread, (2 * pair + 1) * spread));
    clients.is_eager = true;
    flows.start(clients, 1, 2);
    flows
}

/// Pairs of which one sends: microseconds of CPU for a message.
fn pipeline(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    clients.open(2 * PAIRS, &mut Silence)?;
    let mut flows = Flows::new();
    (0..PAIRS).for_each(|pair| flows.one_way(clients, 2 * pair, 2 * pair + 1));
    flows.start(clients, WINDOW, 1);
    flows.measure(clients, server, extent.duration)
}

/// Senders with one recipient: microseconds of CPU for a message.
fn fan_in(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    clients.open(SENDERS + 1, &mut Silence)?;
    let mut flows = Flows::new();
    (0..SENDERS).for_each(|sender| flows.one_way(clients, sender, SENDERS));
    flows.start(clients, WINDOW, 1);
    flows.measure(clients, server, extent.duration)
}

/// Many clients that have joined and are silent: resident bytes for each.
fn idle(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    let usage = Usage::start(server);
    let figure = gather(clients, server, extent.idle)?;
    Ok(Measured { figure, ..usage.measured(server, 1) })
}

/// Measures pairs that talk among `count` clients: microseconds of CPU for a message, and resident
/// bytes for each client.
pub fn among(server: &Server, extent: &Extent, count: usize) -> Result<[f64; 2], String> {
    let mut clients = Clients::new(server.address, false)?;
    let bytes = gather(&mut clients, server, count)?;
    let mut flows = talk(&mut clients, PAIRS, count / (2 * PAIRS));
    Ok([flows.measure(&mut clients, server, extent.duration)?.figure, bytes])
}

/// Joins `count` clients and returns the resident bytes for each. Memory that a server takes once,
/// for its first client, is not counted.
fn gather(clients: &mut Clients, server: &Server, count: usize) -> Result<f64, String> {
    clients.open(1, &mut Silence)?;
    let before = server.resident_bytes()?;
    clients.open(count - 1, &mut Silence)?;
    clients.run(Duration::from_millis(200), &mut Silence)?;
    Ok((server.resident_bytes()? - before) as f64 / (count - 1) as f64)
}

/// Pairs that talk while a crowd comes and leaves: milliseconds of the longest way of a message.
///
/// The crowd comes within a second, if it can be connected as fast, and leaves within another.
fn rush(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    let (talkers, all) = (2 * RUSH_PAIRS, 2 * RUSH_PAIRS + extent.rush);
    clients.open(talkers, &mut Silence)?;
    let mut flows = talk(clients, RUSH_PAIRS, 1);
    clients.run(Duration::from_millis(200), &mut flows)?;
    flows.longest = Duration::ZERO;
    let usage = Usage::start(server);
    let due = |start: Instant| (start.elapsed().as_secs_f64() * extent.rush as f64) as usize;

    let start = Instant::now();
    while clients.joined < all {
        let due = (talkers + due(start)).min(all).min(clients.len() + RUSH_AT_ONCE);
        let due = due.min(clients.joined + RUSH_UNDER_WAY);
        (clients.len()..due).try_for_each(|_| clients.add())?;
        clients.turn(Duration::ZERO, &mut flows)?;
    }
    let (start, mut leaving) = (Instant::now(), 0);
    while clients.connected > talkers {
        let due = due(start).min(extent.rush).min(leaving + RUSH_AT_ONCE);
        (leaving..due).for_each(|client| clients.leave(talkers + client));
        leaving = due;
        clients.turn(Duration::ZERO, &mut flows)?;
    }
    let measured = usage.measured(server, 1);
    flows.finish(clients)?;
    Ok(Measured { figure: flows.longest.as_secs_f64() * 1e3, ..measured })
}

/// Clients that connect, send themselves a message, and close: microseconds of CPU for each.
fn churn(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    let due = std::iter::repeat_with(|| None).take(CHURN_AT_ONCE).collect();
    let mut churn = Churn { due, cycles: 0, is_running: true };
    clients.is_eager = true;
    (0..CHURN_AT_ONCE).try_for_each(|_| clients.add())?;
    clients.run(extent.duration / 4, &mut churn)?;
    let (cycles, usage) = (churn.cycles, Usage::start(server));
    clients.run(extent.duration, &mut churn)?;
    let measured = usage.measured(server, churn.cycles - cycles);
    churn.is_running = false;
    while clients.connected > 0 {
        clients.turn(Duration::MAX, &mut churn)?;
    }
    Ok(measured)
}

struct Churn {
    /// The number and the line that must come next, for each client.
    due: Vec<Option<(u32, Numbered)>>,
    cycles: u64,
    is_running: bool,
}

impl Scene for Churn {
    fn joined(&mut self, clients: &mut Clients, client: usize) -> Outcome {
        let id = clients.id(client);
        let (mut send, line) = message(&id, &id, client);
        clients.say(client, send.with(self.cycles as u32));
        self.due[client] = Some((self.cycles as u32, line));
        Ok(())
    }

    fn line(&mut self, clients: &mut Clients, client: usize, line: &str) -> Outcome {
        let Some((number, mut due)) = self.due[client].take() else {
            return Err(format!("client {client} is not due {line}"));
        };
        if !line.as_bytes().starts_with(due.with(number)) {
            return Err(complaint(client, line, number));
        }
        clients.leave(client);
        Ok(())
    }

    fn left(&mut self, clients: &mut Clients, client: usize) -> Outcome {
        self.cycles += 1;
        if self.is_running { clients.connect(client) } else { Ok(()) }
    }
}
