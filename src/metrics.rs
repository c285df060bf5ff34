//! What all of them count, as text: Prometheus' text format, version 0.0.4.
//!
//! Invariants: each name begins with `sotto_` and is told of (HELP, TYPE) before its samples;
//! whatever may have a value stands there from the start, if only as 0. Nothing here counts for the
//! hot path: it writes down what others have counted, once for each time that it is asked for.

use std::fmt::{Arguments, Write};
use std::time::Duration;

use crate::chat::hub::Hub;
use crate::chat::protocol::ErrorCode;
use crate::limits::TURN_BUCKETS_US;
use crate::net::connection::Shared;
use crate::net::http::STATUSES;

/// What the loop counts by itself, besides what its two halves count.
#[derive(Default)]
pub struct Counters {
    /// Connections dropped because their peers did not take what was for them.
    pub slow: u64,
    /// How often a connection could not be taken in, not even to be told that there is no room.
    pub accept_failures: u64,
    /// How long turns took.
    pub turns: Histogram,
}

/// Lengths of time, sorted into the buckets of [`TURN_BUCKETS_US`].
#[derive(Default)]
pub struct Histogram {
    /// How many were no longer than the bound of this bucket, and longer than the one before; the
    /// last has no bound.
    counts: [u64; TURN_BUCKETS_US.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Counts one length of time. Most are short, so most are found at once.
    pub fn add(&mut self, time: Duration) {
        let place = TURN_BUCKETS_US.iter().position(|bound| time <= Duration::from_micros(*bound));
        self.counts[place.unwrap_or(TURN_BUCKETS_US.len())] += 1;
        self.sum += time;
    }
}

/// All metrics as they are now. `connections`: how many are open; `log_lines_dropped`: what the log
/// could not write.
pub fn text(
    hub: &Hub,
    shared: &Shared,
    counters: &Counters,
    connections: usize,
    log_lines_dropped: u64,
) -> String {
    let (chat, sockets) = (&hub.clients.counters, &shared.counters);
    let gauges = [
        ("sotto_clients", "Clients that have joined.", chat.joined),
        (
            "sotto_connections",
            "Open connections, those for HTTP and metrics among them.",
            connections,
        ),
        ("sotto_owned_ids", "Ids that somebody owns.", hub.owned_ids()),
        ("sotto_outbox_bytes", "Bytes that wait for clients.", hub.clients.waiting_bytes()),
        ("sotto_held_bytes", "Bytes held for owned ids.", hub.held_bytes()),
    ];
    let totals = [
        ("sotto_joins_total", "Joins that were granted.", chat.joins),
        ("sotto_messages_total", "Messages taken.", chat.messages),
        ("sotto_sent_lines_total", "Lines queued for clients.", chat.lines),
        ("sotto_sent_frames_total", "WebSocket frames that lines left in.", sockets.frames_out),
        ("sotto_received_bytes_total", "Bytes read from sockets.", sockets.bytes_in),
        ("sotto_sent_bytes_total", "Bytes written to sockets.", sockets.bytes_out),
        ("sotto_slow_clients_total", "Connections dropped as too slow to read.", counters.slow),
        ("sotto_accept_failures_total", ACCEPT_FAILURES, counters.accept_failures),
        ("sotto_dropped_log_lines_total", "Lines that the log could not write.", log_lines_dropped),
    ];
    let mut page = Page::default();
    for (name, help, value) in gauges {
        page.family(name, "gauge", help);
        page.sample(format_args!("{name} {value}"));
    }
    for (name, help, value) in totals {
        page.family(name, "counter", help);
        page.sample(format_args!("{name} {value}"));
    }
    page.family("sotto_refusals_total", "counter", "Requests answered with an error, by its code.");
    for (code, count) in ErrorCode::ALL.iter().zip(chat.refusals) {
        page.sample(format_args!("sotto_refusals_total{{code=\"{}\"}} {count}", code.name()));
    }
    page.family(
        "sotto_http_responses_total",
        "counter",
        "HTTP responses by status, upgrades among them.",
    );
    // Without TLS there is nothing to redirect to, so 308 would only puzzle.
    let is_possible = |status| status != 308 || cfg!(feature = "tls");
    for (status, count) in STATUSES.iter().zip(sockets.responses) {
        if !is_possible(*status) {
            continue;
        }
        page.sample(format_args!("sotto_http_responses_total{{code=\"{status}\"}} {count}"));
    }
    page.histogram(
        "sotto_turn_seconds",
        "Time of a turn of the loop, sleep left out.",
        &counters.turns,
    );
    page.0
}

const ACCEPT_FAILURES: &str = "Times that no connection could be taken in for want of descriptors, of memory, or of room to refuse it.";

/// The text while it is written.
#[derive(Default)]
struct Page(String);

impl Page {
    // Not in line: this is written seldom, and the loops above would be unrolled around it.
    #[inline(never)]
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail, here and below.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    #[inline(never)]
    fn sample(&mut self, line: Arguments<'_>) {
        let _ = writeln!(self.0, "{line}");
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let mut so_far = 0;
        for (at, count) in histogram.counts.iter().enumerate() {
            so_far += count;
            let bound = TURN_BUCKETS_US
                .get(at)
                .map_or("+Inf".into(), |us| seconds(Duration::from_micros(*us)));
            self.sample(format_args!("{name}_bucket{{le=\"{bound}\"}} {so_far}"));
        }
        self.sample(format_args!("{name}_sum {}", seconds(histogram.sum)));
        self.sample(format_args!("{name}_count {so_far}"));
    }
}

/// A time in seconds, without zeros at its end: whoever compares bounds as texts finds them in
/// their usual form.
fn seconds(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_seconds() {
        let check = |us, expected: &str| assert_eq!(seconds(Duration::from_micros(us)), expected);
        check(0, "0");
        check(50, "0.00005");
        check(2500, "0.0025");
        check(1_000_000, "1");
        check(100_000_000, "100");
        check(1_250_000, "1.25");
    }

    #[test]
    fn a_bucket_holds_what_is_no_longer_than_its_bound() {
        assert!(TURN_BUCKETS_US.is_sorted());
        let mut histogram = Histogram::default();
        let [first, second, ..] = TURN_BUCKETS_US;
        for us in [0, first, first + 1, second, second + 1, 1 << 40] {
            histogram.add(Duration::from_micros(us));
        }
        let mut page = Page::default();
        page.histogram("t", "help", &histogram);
        let values: Vec<&str> =
            page.0.lines().skip(2).map(|line| line.rsplit_once(' ').unwrap().1).collect();
        assert_eq!(values[..2], ["2", "4"]);
        assert_eq!(values[2..TURN_BUCKETS_US.len()], ["5"; TURN_BUCKETS_US.len() - 2]);
        let sum = format!("{}", (1u64 << 40) / 1_000_000);
        assert!(values[TURN_BUCKETS_US.len() + 1].starts_with(&sum), "{}", page.0);
        assert_eq!((values[TURN_BUCKETS_US.len()], values[TURN_BUCKETS_US.len() + 2]), ("6", "6"));
    }
}
