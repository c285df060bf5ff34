//! What is measured: each scenario has a server of its own, and gives one figure.

use std::time::{Duration, Instant};

use crate::clients::{Clients, Outcome, Scene, Silence};
use crate::flows::{Flows, Measured, Numbered, Usage, complaint, message};
use crate::server::Server;

const PAIRS: usize = 100;
const WINDOW: usize = 32;
const SENDERS: usize = 64;
const CHURN_AT_ONCE: usize = 64;
/// Pairs that talk while a crowd rushes in and out; few, so that there is time for the crowd.
const RUSH_PAIRS: usize = 10;
/// How many of a crowd come or go between two looks at those who talk.
const RUSH_AT_ONCE: usize = 16;
/// How many are on their way in at most: on a machine that has no time, more would wait until the
/// server gives them up.
const RUSH_UNDER_WAY: usize = 2_000;

/// How long and how much.
pub struct Extent {
    pub duration: Duration,
    pub idle: usize,
    pub rush: usize,
}

pub type Scenario = fn(&mut Clients, &Server, &Extent) -> Result<Measured, String>;

pub fn pingpong(
    clients: &mut Clients,
    server: &Server,
    extent: &Extent,
) -> Result<Measured, String> {
    clients.open(2 * PAIRS, &mut Silence)?;
    talk(clients, PAIRS, 1).measure(clients, server, extent.duration)
}

/// So many pairs begin to talk, each of theirs being one of `spread` clients.
fn talk(clients: &mut Clients, pairs: usize, spread: usize) -> Flows {
    let mut flows = Flows::new();
    (0..pairs)
        .for_each(|pair| flows.both_ways(clients, 2 * pair * spread, (2 * pair + 1) * spread));
    clients.is_eager = true;
    flows.start(clients, 1, 2);
    flows
}

pub fn pipeline(
    clients: &mut Clients,
    server: &Server,
    extent: &Extent,
) -> Result<Measured, String> {
    clients.open(2 * PAIRS, &mut Silence)?;
    let mut flows = Flows::new();
    (0..PAIRS).for_each(|pair| flows.one_way(clients, 2 * pair, 2 * pair + 1));
    flows.start(clients, WINDOW, 1);
    flows.measure(clients, server, extent.duration)
}

pub fn fan_in(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    clients.open(SENDERS + 1, &mut Silence)?;
    let mut flows = Flows::new();
    (0..SENDERS).for_each(|sender| flows.one_way(clients, sender, SENDERS));
    flows.start(clients, WINDOW, 1);
    flows.measure(clients, server, extent.duration)
}

/// Resident bytes for each of many clients that have joined and say nothing.
pub fn idle(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
    let usage = Usage::start(server);
    let figure = gather(clients, server, extent.idle)?;
    Ok(Measured { figure, ..usage.measured(server, 1) })
}

/// Microseconds of CPU for a message between some pairs among so many clients, and resident bytes
/// for each of these.
pub fn among(server: &Server, extent: &Extent, count: usize) -> Result<[f64; 2], String> {
    let mut clients = Clients::new(server.address, false)?;
    let bytes = gather(&mut clients, server, count)?;
    let mut flows = talk(&mut clients, PAIRS, count / (2 * PAIRS));
    Ok([flows.measure(&mut clients, server, extent.duration)?.figure, bytes])
}

/// What the server sets up once, for its first client, is not counted.
fn gather(clients: &mut Clients, server: &Server, count: usize) -> Result<f64, String> {
    clients.open(1, &mut Silence)?;
    let before = server.resident_bytes()?;
    clients.open(count - 1, &mut Silence)?;
    clients.run(Duration::from_millis(200), &mut Silence)?;
    Ok((server.resident_bytes()? - before) as f64 / (count - 1) as f64)
}

/// Milliseconds: the longest that a message between some took, while a crowd came, within a second
/// if it can be connected as fast, and left within another.
pub fn rush(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
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

/// Clients that come, say one thing to themselves, hear it, and go: microseconds of CPU for each.
pub fn churn(clients: &mut Clients, server: &Server, extent: &Extent) -> Result<Measured, String> {
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
    /// The number and the line that each client is due.
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
