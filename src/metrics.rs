//! The page `/metrics`: everything the server counts, in Prometheus' text format, version 0.0.4.
//!
//! **Invariants**
//! - Each metric is named `sotto_…`; its HELP and TYPE lines stand in front of its samples.
//! - A sample that can ever have a value is on the page from the start, if only as 0, so that a
//!   rate over it is right from the first event on.
//! - No counter is kept here for the hot path: both halves and the loop count in plain integers of
//!   their own, and this file writes these down once for each scrape.
//!
//! It reads the counters of both halves, `chat` and `net`, and does not know when a scrape comes.

use std::fmt::{Arguments, Display, Write};
use std::time::Duration;

use crate::chat::hub::Hub;
use crate::chat::journal::Journal;
use crate::chat::protocol::ErrorCode;
use crate::limits::TURN_BUCKETS_US;
use crate::net::connection::Shared;
use crate::net::http::STATUSES;

/// The loop's own counters, besides those of `chat` and `net`.
#[derive(Default)]
pub struct Counters {
    /// Connections dropped because the peer did not take the bytes waiting for it.
    pub slow: u64,
    /// Times no connection could be accepted: the machine lacked a descriptor or memory, or there
    /// was no room even to answer 503.
    pub accept_failures: u64,
    /// Durations of turns, sleep left out.
    pub turns: Histogram,
    /// Certificates, keys and the like that could not be read anew.
    pub reload_failures: u64,
    /// The end of the certificate in use, in seconds since 1970 UTC; none: no TLS.
    pub certificate_expiry: Option<u64>,
    /// Counters of the store.
    pub store: StoreCounters,
}

/// Counters of the store.
#[derive(Default)]
pub struct StoreCounters {
    /// Durations of commits.
    pub commits: Histogram,
    /// Bytes of all changes that were stored.
    pub bytes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// The last attempt failed.
    pub is_failing: bool,
}

/// Lines that are missing from the log.
#[derive(Clone, Copy)]
pub struct LogLines {
    /// Lines that could not be written.
    pub dropped: u64,
    /// Lines left out because clients caused too many of them.
    pub suppressed: u64,
}

/// Durations, counted in the buckets of [`TURN_BUCKETS_US`].
#[derive(Default)]
pub struct Histogram {
    /// Durations per bucket: above the bound of the bucket before, and not above its own. The last
    /// bucket has no bound.
    counts: [u64; TURN_BUCKETS_US.len() + 1],
    /// All durations added up.
    sum: Duration,
}

impl Histogram {
    /// Counts one duration. Most turns are short, so the search ends in the first few buckets.
    pub fn add(&mut self, time: Duration) {
        let bucket = TURN_BUCKETS_US.iter().position(|bound| time <= Duration::from_micros(*bound));
        self.counts[bucket.unwrap_or(TURN_BUCKETS_US.len())] += 1;
        self.sum += time;
    }
}

/// Returns the page as it is now.
///
/// `connections` is the number of open connections of every kind.
#[inline(never)]
pub fn text(
    hub: &Hub<impl Journal>,
    shared: &Shared,
    counters: &Counters,
    connections: usize,
    log_lines: LogLines,
) -> String {
    let mut page = Page::default();
    page.gauges(hub, connections);
    page.totals(hub, shared, counters, log_lines);
    page.refusals(hub);
    page.responses(shared);
    #[cfg(feature = "api")]
    page.calls(shared);
    page.histogram(
        "sotto_turn_seconds",
        "Time of one turn of the loop, sleep left out.",
        &counters.turns,
    );
    page.store(hub, &counters.store);
    page.certificate(counters);
    page.text
}

/// The page while it is written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// Writes the values that go up and down.
    fn gauges(&mut self, hub: &Hub<impl Journal>, connections: usize) {
        let joined = hub.counters().joined;
        let waiting = hub.waiting_bytes();
        for (name, help, value) in [
            ("sotto_clients", "Clients that have joined.", joined),
            ("sotto_connections", "Open connections of every kind.", connections),
            ("sotto_owned_ids", "Owned ids.", hub.owned_ids()),
            ("sotto_outbox_bytes", "Bytes waiting for clients.", waiting),
            ("sotto_held_bytes", "Bytes held for owned ids.", hub.held_bytes()),
        ] {
            self.family(name, "gauge", help);
            self.sample(format_args!("{name} {value}"));
        }
    }

    /// Writes the values that only grow, and have no labels.
    fn totals(
        &mut self,
        hub: &Hub<impl Journal>,
        shared: &Shared,
        counters: &Counters,
        log_lines: LogLines,
    ) {
        let (chat, sockets) = (hub.counters(), &shared.counters);
        for (name, help, value) in [
            ("sotto_joins_total", "Joins granted.", chat.joins),
            ("sotto_messages_total", "Messages accepted.", chat.messages),
            ("sotto_sent_lines_total", "Lines queued for clients.", chat.lines),
            (
                "sotto_sent_frames_total",
                "WebSocket frames with lines for clients.",
                sockets.frames_out,
            ),
            ("sotto_received_bytes_total", "Bytes read from sockets.", sockets.bytes_in),
            ("sotto_sent_bytes_total", "Bytes written to sockets.", sockets.bytes_out),
            (
                "sotto_slow_clients_total",
                "Connections dropped for reading too slowly.",
                counters.slow,
            ),
            ("sotto_accept_failures_total", ACCEPT_FAILURES, counters.accept_failures),
            #[cfg(feature = "host")]
            (
                "sotto_limited_passwords_total",
                "Joins refused unheard after too many wrong passwords.",
                hub.guesses_limited(),
            ),
            (
                "sotto_dropped_log_lines_total",
                "Log lines that could not be written.",
                log_lines.dropped,
            ),
            (
                "sotto_suppressed_log_lines_total",
                "Log lines left out because clients caused too many.",
                log_lines.suppressed,
            ),
        ] {
            self.family(name, "counter", help);
            self.sample(format_args!("{name} {value}"));
        }
    }

    /// Writes the counters of the store, if there is one.
    fn store<J: Journal>(&mut self, hub: &Hub<J>, store: &StoreCounters) {
        if !J::RECORDS {
            return;
        }
        let failing = u64::from(store.is_failing);
        for (name, kind, help, value) in [
            ("sotto_store_bytes_total", "counter", "Bytes of changes written.", store.bytes),
            ("sotto_store_failures_total", "counter", "Writes that failed.", store.failures),
            ("sotto_store_failing", "gauge", "1 while the disk takes no writes.", failing),
            (
                "sotto_store_waiting_bytes",
                "gauge",
                "Bytes of changes and lines for the next commit.",
                hub.unstored_bytes() as u64,
            ),
        ] {
            self.family(name, kind, help);
            self.sample(format_args!("{name} {value}"));
        }
        self.histogram("sotto_store_commit_seconds", "Time of one commit.", &store.commits);
    }

    /// Writes the state of the files that SIGHUP reads again, in a build that has such.
    fn certificate(&mut self, counters: &Counters) {
        if cfg!(any(feature = "tls", feature = "host", feature = "api")) {
            let name = "sotto_reload_failures_total";
            self.family(name, "counter", "Files that SIGHUP could not read again.");
            self.sample(format_args!("{name} {}", counters.reload_failures));
        }
        if let Some(expiry) = counters.certificate_expiry {
            let name = "sotto_certificate_expiry_timestamp_seconds";
            self.family(name, "gauge", "End of the certificate in use, in seconds since 1970 UTC.");
            self.sample(format_args!("{name} {expiry}"));
        }
    }

    fn refusals(&mut self, hub: &Hub<impl Journal>) {
        let name = "sotto_refusals_total";
        self.family(name, "counter", "Requests answered with an error, by its code.");
        for (code, count) in ErrorCode::ALL.iter().zip(hub.counters().refusals) {
            self.sample_by_code(name, code.name(), count);
        }
    }

    fn responses(&mut self, shared: &Shared) {
        let name = "sotto_http_responses_total";
        self.family(name, "counter", "HTTP responses by status; 101 is an upgrade to WebSocket.");
        // A build without TLS has no page over https to redirect to.
        let is_possible = |status| status != 308 || cfg!(feature = "tls");
        for (status, count) in STATUSES.iter().zip(shared.counters.responses) {
            if is_possible(*status) {
                self.sample_by_code(name, status, count);
            }
        }
    }

    #[cfg(feature = "api")]
    fn calls(&mut self, shared: &Shared) {
        let name = "sotto_api_requests_total";
        self.family(name, "counter", "Requests to the API, by the first digit of their status.");
        for class in [2, 4, 5] {
            self.sample_by_code(name, format_args!("{class}xx"), shared.counters.calls[class]);
        }
    }

    fn sample_by_code(&mut self, name: &str, code: impl Display, count: u64) {
        self.sample(format_args!("{name}{{code=\"{code}\"}} {count}"));
    }

    // Out of line, here and below: a scrape is rare, and inlining would unroll the loops above
    // around it.
    #[inline(never)]
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail, here and below.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    #[inline(never)]
    fn sample(&mut self, line: Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
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

const ACCEPT_FAILURES: &str =
    "Times no connection could be accepted: no descriptor, no memory, or no room even for a 503.";

/// Formats a duration in seconds, without trailing zeros: a program that compares bucket bounds as
/// text finds them in their usual form.
fn seconds(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_written_in_seconds_without_trailing_zeros() {
        let check = |us, expected: &str| assert_eq!(seconds(Duration::from_micros(us)), expected);
        check(0, "0");
        check(50, "0.00005");
        check(2500, "0.0025");
        check(1_000_000, "1");
        check(100_000_000, "100");
        check(1_250_000, "1.25");
    }

    #[test]
    fn bucket_counts_durations_up_to_its_bound() {
        assert!(TURN_BUCKETS_US.is_sorted());
        let mut histogram = Histogram::default();
        let [first, second, ..] = TURN_BUCKETS_US;
        for us in [0, first, first + 1, second, second + 1, 1 << 40] {
            histogram.add(Duration::from_micros(us));
        }
        let mut page = Page::default();
        page.histogram("t", "help", &histogram);
        let values: Vec<&str> =
            page.text.lines().skip(2).map(|line| line.rsplit_once(' ').unwrap().1).collect();
        assert_eq!(values[..2], ["2", "4"]);
        assert_eq!(values[2..TURN_BUCKETS_US.len()], ["5"; TURN_BUCKETS_US.len() - 2]);
        let sum = format!("{}", (1u64 << 40) / 1_000_000);
        assert!(values[TURN_BUCKETS_US.len() + 1].starts_with(&sum), "{}", page.text);
        assert_eq!((values[TURN_BUCKETS_US.len()], values[TURN_BUCKETS_US.len() + 2]), ("6", "6"));
    }
}
