//! The cost of sotto beside a peer on tokio and tungstenite (`examples/peer.rs`): the same clients,
//! the same work, in turn.
//!
//! `cargo bench` takes some minutes, prints a table and draws a picture into `target/load.svg`.
//! Options stand behind `cargo bench --`:
//!
//! - `--picture FILE` draws into this file: `benches/load.svg` is in the guide.
//! - `--quick` takes about a minute: two short rounds, a small crowd, and no picture that is not
//!   asked for. Its figures do not compare with those of a whole run.
//! - `--only NAME` runs one scenario; `clients` is the picture.
//!
//! Each message is checked: one that is lost, changed, out of order or there twice ends everything
//! with a sentence and exit code 1.
//!
//! The figure to compare is CPU time of the server, user and kernel. On the loopback the kernel
//! delivers a written message within that very write, so its work for the receiver is part of the
//! figure, for both servers alike. Linux alone tells CPU time to the nanosecond, so this is for
//! Linux alone.

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
#[path = "load/table.rs"]
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clients::Clients;
use flows::Measured;
use picture::Point;
use scenarios::{Extent, SCENARIOS, Scenario, Side};
use server::{KINDS, Server};
use sotto::event_loop::{connections_possible, raise_descriptor_limit};
use table::{figure, median, print, ratios};

/// Numbers of clients in the picture.
const COUNTS: [usize; 4] = [200, 2_000, 10_000, 19_000];
/// Clients that come and go in `rush` with `--quick`.
const CROWD_QUICK: usize = 4_000;
/// Descriptors that the generator needs besides those of its clients.
const DESCRIPTORS_OTHER: usize = 100;
/// The largest ratio of a scenario by its least, beyond which it is measured in more rounds.
const SPREAD_MAX: f64 = 1.25;
/// The most rounds of such a scenario, in rounds of the others.
const ROUNDS_TIMES_MAX: usize = 3;

struct Plan {
    extent: Extent,
    rounds: usize,
    rounds_max: usize,
    /// The name of the only scenario that is wanted.
    only: Option<String>,
    /// Where to draw the picture.
    picture: Option<PathBuf>,
}

impl Plan {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }
}

fn main() -> ExitCode {
    // `cargo bench` adds an argument of its own, behind all others.
    let (cargos, arguments): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument == "--bench");
    if cargos.is_empty() {
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
    let clients_max = connections_possible().saturating_sub(DESCRIPTORS_OTHER);
    let [.., crowd] = COUNTS;
    let mut plan = Plan {
        extent: Extent { duration: Duration::from_secs(2), idle: 10_000, rush: crowd },
        rounds: 4,
        rounds_max: 4 * ROUNDS_TIMES_MAX,
        only: None,
        picture: None,
    };
    let mut is_quick = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => {
                (plan.rounds, plan.rounds_max) = (2, 2);
                plan.extent.duration = Duration::from_secs(1);
                plan.extent.rush = CROWD_QUICK;
                is_quick = true;
            }
            "--only" => plan.only = Some(value()?),
            "--picture" => plan.picture = Some(value()?.into()),
            _ => {
                return Err(format!(
                    "there is no {argument}, but --quick, --only NAME and --picture FILE"
                ));
            }
        }
    }
    if let Some(only) = &plan.only
        && only != "clients"
        && !SCENARIOS.iter().any(|scenario| scenario.name == only)
    {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario {only}; there are {} and clients", names.join(", ")));
    }
    if plan.picture.is_none() && !is_quick {
        plan.picture = Some(server::target_directory().join("load.svg"));
    }
    plan.extent.idle = plan.extent.idle.min(clients_max);
    plan.extent.rush = plan.extent.rush.min(clients_max);
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
    let mut results = [const { Vec::new() }; SCENARIOS.len()];
    for round in 1..=plan.rounds_max {
        for (scenario, results) in SCENARIOS.iter().zip(&mut results) {
            if plan.wants(scenario.name) && (round <= plan.rounds || has_spread(results)) {
                results.push(measure(scenario, round, &plan.extent)?);
            }
        }
    }
    print(&results, &plan.extent);
    match &plan.picture {
        Some(path) if plan.wants("clients") => draw(plan, path),
        _ => Ok(()),
    }
}

/// Returns `true` if the ratios of a scenario differ so much by round that their median means
/// little.
fn has_spread(results: &[[Measured; 2]]) -> bool {
    let ratios = ratios(results);
    ratios[ratios.len() - 1] > SPREAD_MAX * ratios[0]
}

/// Runs a scenario once on each side, one right after the other: the machine changes its speed by a
/// quarter from one minute to the next.
fn measure(scenario: &Scenario, round: usize, extent: &Extent) -> Result<[Measured; 2], String> {
    let name = scenario.name;
    let run = |Side { kind, is_keyed }| -> Result<Measured, String> {
        let server = Server::start(kind)?;
        let mut clients = Clients::new(server.address, is_keyed)?;
        let measured = (scenario.run)(&mut clients, &server, extent)
            .map_err(|error| format!("{name}, {}: {error}", kind.name()))?;
        let keys = if is_keyed { " with keys" } else { "" };
        let figure = figure(measured.figure);
        eprintln!("round {round}: {name}, {}{keys}: {figure}", kind.name());
        Ok(measured)
    };
    let [first, second] = scenario.sides;
    Ok([run(first)?, run(second)?])
}

/// Measures among ever more clients, and writes the picture.
fn draw(plan: &Plan, path: &Path) -> Result<(), String> {
    let clients_max = connections_possible().saturating_sub(DESCRIPTORS_OTHER);
    let counts: Vec<usize> = COUNTS.into_iter().filter(|&count| count <= clients_max).collect();
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
    let of = |rounds: &[[f64; 2]], index: usize| median(rounds.iter().map(|round| round[index]));
    let point = |(count, kinds): (usize, &[Vec<_>; 2])| {
        let [cpu, bytes] = [0, 1].map(|index| [0, 1].map(|kind| of(&kinds[kind], index)));
        Point { count, cpu, bytes }
    };
    let points: Vec<Point> = counts.into_iter().zip(&rounds).map(point).collect();
    std::fs::write(path, picture::svg(&points))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("\ndrawn: {}", path.display());
    Ok(())
}
