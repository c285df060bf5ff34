//! What sotto costs, beside a peer on tokio and tungstenite (`examples/peer.rs`): the same clients, the same work, in turn.
//!
//! `cargo bench` takes some minutes, prints a table and draws `benches/load.svg`; `cargo bench -- --quick` takes less than
//! one and draws nothing; `--only NAME` runs one scenario (`clients` is the picture). Each message is checked: one that is
//! lost, comes twice, out of order or changed ends everything with a sentence and exit code 1.
//!
//! The figure to compare is CPU time of the server, user and kernel: on the loopback the kernel delivers what a server
//! writes within that very write, so its work for the receiver is part of it, for both servers alike.

#![forbid(unsafe_code)]

#[path = "load/clients.rs"]
mod clients;
#[path = "load/flows.rs"]
mod flows;
#[path = "load/picture.rs"]
mod picture;
#[path = "load/scenarios.rs"]
mod scenarios;
#[path = "load/server.rs"]
mod server;

use std::process::ExitCode;
use std::time::Duration;

use flows::Measured;
use picture::Point;
use scenarios::{Extent, Scenario};
use server::{Kind, Server};
use sotto::listener::{connections_possible, raise_descriptor_limit};

/// What a scenario's figure is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Peer,
    /// The peer knows no keys: sotto is compared with itself, in the scenario of this name.
    Unkeyed(&'static str),
}

const SCENARIOS: [(&str, &str, Scenario, Beside); 8] = [
    ("pingpong", "100 pairs, 1 under way: CPU µs a message", scenarios::pingpong, Beside::Peer),
    ("pipeline", "100 pairs, 32 under way each: CPU µs a message", scenarios::pipeline, Beside::Peer),
    ("fan-in", "64 to one, 32 under way each: CPU µs a message", scenarios::fan_in, Beside::Peer),
    ("churn", "connect, join, a message, close: CPU µs a cycle", scenarios::churn, Beside::Peer),
    ("idle", "many joined and silent: resident bytes a client", scenarios::idle, Beside::Peer),
    ("rush", "a crowd comes and goes: longest delay, ms", scenarios::rush, Beside::Peer),
    (
        "keyed-pingpong",
        "the same, ids owned and messages acknowledged",
        scenarios::pingpong_keyed,
        Beside::Unkeyed("pingpong"),
    ),
    (
        "keyed-pipeline",
        "the same, ids owned and messages acknowledged",
        scenarios::pipeline_keyed,
        Beside::Unkeyed("pipeline"),
    ),
];

/// Of clients in the picture.
const COUNTS: [usize; 4] = [200, 2_000, 10_000, 19_000];
const CROWD_QUICK: usize = 4_000;
/// Descriptors that the generator needs besides the crowd's.
const DESCRIPTORS_OTHER: usize = 100;

struct Plan {
    extent: Extent,
    rounds: usize,
    is_quick: bool,
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("load: measures with `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match plan(&arguments).and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("load: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    raise_descriptor_limit().map_err(|error| format!("cannot raise the limit of descriptors: {error}"))?;
    let crowd_max = connections_possible().saturating_sub(DESCRIPTORS_OTHER);
    let [.., crowd] = COUNTS;
    let mut plan = Plan {
        extent: Extent { duration: Duration::from_secs(2), idle: 10_000, rush: crowd },
        rounds: 4,
        is_quick: false,
        only: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => {
                plan.is_quick = true;
                plan.rounds = 2;
                plan.extent.duration = Duration::from_secs(1);
                plan.extent.rush = CROWD_QUICK;
            }
            "--only" => plan.only = arguments.next().cloned(),
            _ => return Err(format!("what is {argument}? There are --quick and --only NAME")),
        }
    }
    if let Some(only) = &plan.only
        && only != "clients"
        && !SCENARIOS.iter().any(|(name, ..)| name == only)
    {
        let names: Vec<_> = SCENARIOS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("no scenario {only}; there are {} and clients", names.join(", ")));
    }
    plan.extent.idle = plan.extent.idle.min(crowd_max);
    plan.extent.rush = plan.extent.rush.min(crowd_max);
    Ok(plan)
}

fn run(plan: &Plan) -> Result<(), String> {
    server::build_peer()?;
    match server::cores() {
        Some((core, own)) => {
            server::pin(None, own)?;
            println!("server on core {core}, generator on core {own}");
        }
        None => println!("one core only: the server shares it with the generator"),
    }
    println!("{} clients idle, {} rush", plan.extent.idle, plan.extent.rush);
    let is_wanted = |name: &str| plan.only.as_ref().is_none_or(|only| only == name);
    let mut results: Vec<_> = SCENARIOS.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for round in 1..=plan.rounds {
        for ((name, _, scenario, beside), (sotto, peer)) in SCENARIOS.iter().zip(&mut results) {
            if !is_wanted(name) {
                continue;
            }
            let measure = |kind| scenario(&Server::start(kind)?, &plan.extent);
            let one = |kind: Kind| measure(kind).map_err(|error| format!("{name}, {}: {error}", kind.name()));
            sotto.push(one(Kind::Sotto)?);
            if *beside == Beside::Peer {
                peer.push(one(Kind::Peer)?);
            }
            let last = |all: &[Measured]| all.last().map_or(String::new(), |last| figure(last.figure));
            eprintln!("round {round} of {}: {name} {} {}", plan.rounds, last(sotto), last(peer));
        }
    }
    table(&results);
    if is_wanted("clients") && !plan.is_quick { draw(plan) } else { Ok(()) }
}

fn table(results: &[(Vec<Measured>, Vec<Measured>)]) {
    println!("\n| scenario | | sotto | peer | ratio | busy |\n|---|---|--:|--:|--:|--:|");
    for ((name, what, _, beside), (sotto, peer)) in SCENARIOS.iter().zip(results) {
        let Some(ours) = median(sotto.iter().map(|measured| measured.figure)) else { continue };
        let theirs = median(peer.iter().map(|measured| measured.figure));
        let base = match beside {
            Beside::Peer => theirs,
            Beside::Unkeyed(name) => {
                let place = SCENARIOS.iter().position(|(other, ..)| other == name);
                place.and_then(|place| median(results[place].0.iter().map(|measured| measured.figure)))
            }
        };
        let note = if *beside == Beside::Peer { "" } else { " of not keyed" };
        let ratio = base.map_or(String::new(), |base| format!("{:.2}{note}", ours / base));
        let busy = |all: &[Measured]| {
            let [server, generator] =
                [0, 1].map(|who| median(all.iter().map(|measured| measured.busy[who] * 100.0)));
            server.zip(generator).map(|(server, generator)| format!("{server:.0} / {generator:.0}"))
        };
        let busy: Vec<_> = [busy(sotto), busy(peer)].into_iter().flatten().collect();
        let theirs = theirs.map_or(String::new(), figure);
        println!("| {name} | {what} | {} | {theirs} | {ratio} | {} |", figure(ours), busy.join(", "));
    }
}

/// Three digits.
fn figure(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Measures among ever more clients, and writes the picture.
fn draw(plan: &Plan) -> Result<(), String> {
    let most = connections_possible().saturating_sub(DESCRIPTORS_OTHER);
    let counts: Vec<usize> = COUNTS.into_iter().filter(|&count| count <= most).collect();
    // Of each count and kind: bytes and microseconds, of each round.
    let mut rounds = vec![[const { (Vec::new(), Vec::new()) }; 2]; counts.len()];
    for round in 1..=plan.rounds.div_ceil(2) {
        for (&count, results) in counts.iter().zip(&mut rounds) {
            for (kind, (bytes, cpu)) in [Kind::Sotto, Kind::Peer].into_iter().zip(results) {
                let (one_bytes, one_cpu) = scenarios::among(&Server::start(kind)?, &plan.extent, count)
                    .map_err(|error| format!("{count} clients, {}: {error}", kind.name()))?;
                eprintln!(
                    "round {round}: {count} clients, {}: {one_bytes:.0} bytes, {one_cpu:.2} µs",
                    kind.name()
                );
                bytes.push(one_bytes);
                cpu.push(one_cpu);
            }
        }
    }
    let of = |values: &[f64]| median(values.iter().copied()).unwrap_or_default();
    let points: Vec<Point> = counts
        .into_iter()
        .zip(&rounds)
        .map(|(count, kinds)| Point {
            count,
            cpu: [0, 1].map(|kind| of(&kinds[kind].1)),
            bytes: [0, 1].map(|kind| of(&kinds[kind].0)),
        })
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load.svg");
    std::fs::write(path, picture::svg(&points)).map_err(|error| format!("{path}: {error}"))?;
    println!("\ndrawn: benches/load.svg");
    Ok(())
}
