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

/// How long and how much.
pub struct Extent {
    pub duration: Duration,
    pub idle: usize,
    pub rush: usize,
}

pub type Scenario = fn(&Server, &Extent) -> Result<Measured, String>;

pub fn pingpong(server: &Server, extent: &Extent) -> Result<Measured, String> {
    pairs(Clients::new(server.address)?, server, extent, Pairs::PingPong)
}

pub fn pingpong_keyed(server: &Server, extent: &Extent) -> Result<Measured, String> {
    pairs(keyed(server)?, server, extent, Pairs::PingPong)
}

pub fn pipeline(server: &Server, extent: &Extent) -> Result<Measured, String> {
    pairs(Clients::new(server.address)?, server, extent, Pairs::Pipeline)
}

pub fn pipeline_keyed(server: &Server, extent: &Extent) -> Result<Measured, String> {
    pairs(keyed(server)?, server, extent, Pairs::Pipeline)
}

fn keyed(server: &Server) -> Result<Clients, String> {
    let mut clients = Clients::new(server.address)?;
    clients.is_keyed = true;
    Ok(clients)
}

#[derive(Clone, Copy, PartialEq)]
enum Pairs {
    PingPong,
    Pipeline,
}

fn pairs(mut clients: Clients, server: &Server, extent: &Extent, how: Pairs) -> Result<Measured, String> {
    clients.open(2 * PAIRS, &mut Silence)?;
    let mut flows = Flows::new();
    for one in (0..2 * PAIRS).step_by(2) {
        match how {
            Pairs::PingPong => flows.both_ways(&clients, one, one + 1),
            Pairs::Pipeline => flows.one_way(&clients, one, one + 1),
        }
    }
    clients.is_eager = how == Pairs::PingPong;
    match how {
        Pairs::PingPong => flows.start(&mut clients, 1, 2),
        Pairs::Pipeline => flows.start(&mut clients, WINDOW, 1),
    }
    flows.measure(&mut clients, server, extent.duration)
}

pub fn fan_in(server: &Server, extent: &Extent) -> Result<Measured, String> {
    let mut clients = Clients::new(server.address)?;
    clients.open(SENDERS + 1, &mut Silence)?;
    let mut flows = Flows::new();
    (0..SENDERS).for_each(|sender| flows.one_way(&clients, sender, SENDERS));
    flows.start(&mut clients, WINDOW, 1);
    flows.measure(&mut clients, server, extent.duration)
}

/// Resident bytes for each of many clients that have joined and say nothing.
pub fn idle(server: &Server, extent: &Extent) -> Result<Measured, String> {
    let usage = Usage::start(server);
    let figure = gather(&mut Clients::new(server.address)?, server, extent.idle)?;
    Ok(Measured { figure, ..usage.measured(server, 1) })
}

/// Resident bytes for each of so many clients, and what a message between [`PAIRS`] among them costs.
pub fn among(server: &Server, extent: &Extent, count: usize) -> Result<(f64, f64), String> {
    let mut clients = Clients::new(server.address)?;
    let bytes = gather(&mut clients, server, count)?;
    let mut flows = Flows::new();
    for pair in 0..PAIRS {
        let [one, other] = [2 * pair, 2 * pair + 1].map(|client| client * (count / (2 * PAIRS)));
        flows.both_ways(&clients, one, other);
    }
    clients.is_eager = true;
    flows.start(&mut clients, 1, 2);
    Ok((bytes, flows.measure(&mut clients, server, extent.duration)?.figure))
}

/// What the server sets up once, for its first client, is not counted.
fn gather(clients: &mut Clients, server: &Server, count: usize) -> Result<f64, String> {
    clients.open(1, &mut Silence)?;
    let before = server.resident_bytes()?;
    clients.open(count - 1, &mut Silence)?;
    clients.run(Duration::from_millis(200), &mut Silence)?;
    Ok((server.resident_bytes()? - before) as f64 / (count - 1) as f64)
}

/// Milliseconds: the longest that a message between some took, while a crowd came within a second and left within another.
pub fn rush(server: &Server, extent: &Extent) -> Result<Measured, String> {
    let mut clients = Clients::new(server.address)?;
    let (talkers, all) = (2 * RUSH_PAIRS, 2 * RUSH_PAIRS + extent.rush);
    clients.open(talkers, &mut Silence)?;
    let mut flows = Flows::new();
    (0..talkers).step_by(2).for_each(|one| flows.both_ways(&clients, one, one + 1));
    clients.is_eager = true;
    flows.start(&mut clients, 1, 2);
    clients.run(Duration::from_millis(200), &mut flows)?;
    flows.longest = Duration::ZERO;
    let usage = Usage::start(server);
    let due = |start: Instant| (start.elapsed().as_secs_f64() * extent.rush as f64) as usize;

    let start = Instant::now();
    while clients.joined < all {
        let due = (talkers + due(start)).min(all).min(clients.len() + RUSH_AT_ONCE);
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
    flows.finish(&mut clients)?;
    Ok(Measured { figure: flows.longest.as_secs_f64() * 1e3, ..measured })
}

/// Clients that come, say one thing to themselves, hear it, and go: microseconds of CPU for each.
pub fn churn(server: &Server, extent: &Extent) -> Result<Measured, String> {
    let mut clients = Clients::new(server.address)?;
    let mut churn = Churn { due: Vec::new(), cycles: 0, is_running: true };
    churn.due.resize_with(CHURN_AT_ONCE, || None);
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
