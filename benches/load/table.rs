//! The table of results: the median of each figure, and of the ratios by round with their spread.
//!
//! Which scenarios there are, and how many rounds each takes, is not known here.

use crate::flows::Measured;
use crate::scenarios::{Extent, SCENARIOS, Scenario};
use crate::server::Kind;

/// Prints the rows of all scenarios that were measured, as Markdown.
pub fn print(results: &[Vec<[Measured; 2]>], extent: &Extent) {
    let measured = || SCENARIOS.iter().zip(results).filter(|(_, rounds)| !rounds.is_empty());
    if measured().next().is_none() {
        return;
    }
    println!("\n| scenario | | sotto | beside | ratio | least to most | rounds | busy |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for (scenario, rounds) in measured() {
        print_row(scenario, rounds, extent);
    }
}

fn print_row(scenario: &Scenario, rounds: &[[Measured; 2]], extent: &Extent) {
    let of = |side: usize, value: fn(&Measured) -> f64| {
        median(rounds.iter().map(|round| value(&round[side])))
    };
    let [ours, theirs] = [0, 1].map(|side| figure(of(side, |measured| measured.figure)));
    let beside = match scenario.sides[1].kind {
        Kind::Peer => "peer",
        Kind::Sotto => "without keys",
    };
    let busy = [0, 1].map(|side| {
        let server = of(side, |measured| measured.busy[0]);
        let generator = of(side, |measured| measured.busy[1]);
        format!("{:.0} / {:.0}", server * 100.0, generator * 100.0)
    });
    let ratios = ratios(rounds);
    println!(
        "| {} | {} | {ours} | {theirs} {beside} | {:.2} | {:.2} to {:.2} | {} | {} |",
        scenario.name,
        scenario.about(extent),
        median(ratios.iter().copied()),
        ratios[0],
        ratios[ratios.len() - 1],
        rounds.len(),
        busy.join(", ")
    );
}

/// Returns the ratio of each round, sorted: the figure of the first side by that of the second.
pub fn ratios(rounds: &[[Measured; 2]]) -> Vec<f64> {
    let ratio = |[ours, theirs]: &[Measured; 2]| ours.figure / theirs.figure;
    let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// Formats a figure with three digits.
pub fn figure(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Returns the median of at least one value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Formats a number with commas: 19,000.
pub fn grouped(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}
