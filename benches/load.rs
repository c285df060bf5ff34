//! What sotto costs, beside a peer on tokio and tungstenite (`examples/peer.rs`): the same clients,
//! the same work, in turn.
//!
//! `cargo bench` takes some minutes, prints a table and draws `benches/load.svg`; `cargo bench --
//! --quick` takes less than one and draws nothing; `--only NAME` runs one scenario (`clients` is
//! the picture). Each message is checked: one that is lost, comes twice, out of order or changed
//! ends everything with a sentence and exit code 1.
//!
//! The figure to compare is CPU time of the server, user and kernel: on the loopback the kernel
//! delivers what a server writes within that very write, so its work for the receiver is part of
//! it, for both servers alike. Linux alone tells it to the nanosecond, so this is for Linux alone.

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

use clients::Clients;
use flows::Measured;
use picture::Point;
use scenarios::{Extent, Scenario};
use server::{KINDS, Server};
use sotto::event_loop::{connections_possible, raise_descriptor_limit};

/// The peer knows no keys: where ids are owned, sotto is compared with itself without them.
const KEYED: &str = "keyed-";
const SCENARIOS: [(&str, &str, Scenario); 9] = [
    ("pingpong", "100 pairs, 1 under way: CPU µs a message", scenarios::pingpong),
    ("pipeline", "100 pairs, 32 under way each: CPU µs a message", scenarios::pipeline),
    ("fan-in", "64 to one, 32 under way each: CPU µs a message", scenarios::fan_in),
    ("churn", "connect, join, a message, close: CPU µs a cycle", scenarios::churn),
    ("idle", "many joined and silent: resident bytes a client", scenarios::idle),
    ("rush", "a crowd comes and goes: longest delay of others, ms", scenarios::rush),
    ("keyed-pingpong", "ids owned, each message acknowledged and told", scenarios::pingpong),
    ("keyed-pipeline", "ids owned, each message acknowledged and told", scenarios::pipeline),
    ("keyed-fan-in", "ids owned, each message acknowledged and told", scenarios::fan_in),
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
    raise_descriptor_limit()
        .map_err(|error| format!("cannot raise the limit of descriptors: {error}"))?;
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
    let mut results = [const { [const { Vec::new() }; 2] }; SCENARIOS.len()];
    for round in 1..=plan.rounds {
        for ((name, _, scenario), results) in SCENARIOS.iter().zip(&mut results) {
            if !is_wanted(name) {
                continue;
            }
            let is_keyed = name.starts_with(KEYED);
            let kinds = if is_keyed { &KINDS[..1] } else { &KINDS };
            for (&kind, results) in kinds.iter().zip(results) {
                let server = Server::start(kind)?;
                let mut clients = Clients::new(server.address, is_keyed)?;
                let measured = scenario(&mut clients, &server, &plan.extent)
                    .map_err(|error| format!("{name}, {}: {error}", kind.name()))?;
                eprintln!("round {round}: {name}, {}: {}", kind.name(), figure(measured.figure));
                results.push(measured);
            }
        }
    }
    table(&results);
    if is_wanted("clients") && !plan.is_quick { draw(plan) } else { Ok(()) }
}

fn table(results: &[[Vec<Measured>; 2]]) {
    if results.iter().all(|[sotto, _]| sotto.is_empty()) {
        return;
    }
    println!("\n| scenario | | sotto | peer | ratio | busy |\n|---|---|--:|--:|--:|--:|");
    let of = |all: &[Measured], what: fn(&Measured) -> f64| median(all.iter().map(what));
    for ((name, what, _), [sotto, peer]) in SCENARIOS.iter().zip(results) {
        let Some(ours) = of(sotto, |measured| measured.figure) else { continue };
        let theirs = of(peer, |measured| measured.figure);
        let unkeyed = name.strip_prefix(KEYED).and_then(|name| {
            let place = SCENARIOS.iter().position(|(other, ..)| *other == name)?;
            of(&results[place][0], |measured| measured.figure)
        });
        let ratio = match (theirs, unkeyed) {
            (Some(theirs), _) => format!("{:.2}", ours / theirs),
            (None, Some(unkeyed)) => format!("{:.2} of unkeyed", ours / unkeyed),
            (None, None) => String::new(),
        };
        let busy: Vec<_> = [sotto, peer]
            .into_iter()
            .filter_map(|all| {
                let [server, generator] =
                    [of(all, |measured| measured.busy[0])?, of(all, |measured| measured.busy[1])?];
                Some(format!("{:.0} / {:.0}", server * 100.0, generator * 100.0))
            })
            .collect();
        let theirs = theirs.map_or("–".into(), figure);
        println!(
            "| {name} | {what} | {} | {theirs} | {ratio} | {} |",
            figure(ours),
            busy.join(", ")
        );
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
    let mut rounds = vec![[const { Vec::new() }; 2]; counts.len()];
    for round in 1..=plan.rounds.div_ceil(2) {
        for (&count, results) in counts.iter().zip(&mut rounds) {
            for (kind, results) in KINDS.into_iter().zip(results) {
                let [cpu, bytes] = scenarios::among(&Server::start(kind)?, &plan.extent, count)
                    .map_err(|error| format!("{count} clients, {}: {error}", kind.name()))?;
                eprintln!(
                    "round {round}: {count} clients, {}: {cpu:.2} µs, {bytes:.0} bytes",
                    kind.name()
                );
                results.push([cpu, bytes]);
            }
        }
    }
    let of = |rounds: &[[f64; 2]], what: usize| {
        median(rounds.iter().map(|round| round[what])).unwrap_or_default()
    };
    let point = |(count, kinds): (usize, &[Vec<_>; 2])| {
        let [cpu, bytes] = [0, 1].map(|what| [0, 1].map(|kind| of(&kinds[kind], what)));
        Point { count, cpu, bytes }
    };
    let points: Vec<Point> = counts.into_iter().zip(&rounds).map(point).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load.svg");
    std::fs::write(path, picture::svg(&points)).map_err(|error| format!("{path}: {error}"))?;
    println!("\ndrawn: benches/load.svg");
    Ok(())
}
