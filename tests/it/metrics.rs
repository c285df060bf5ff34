//! The metrics of a server: a scraper can read them, and each number moves when its event happens.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Index;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::support::{Client, PATIENCE, Server, Wire, read_head, sotto};

/// A server with a listener for metrics, and a connection to that listener.
pub struct Watched {
    pub server: Server,
    address: SocketAddr,
    scraper: TcpStream,
}

impl Watched {
    pub fn start(options: &[&str]) -> Watched {
        // A scraper may be silent for as long as a busy machine needs.
        let server = Server::start(
            &[&["--metrics", "127.0.0.1:0", "--join-timeout", "3600"], options].concat(),
        );
        let line = server.wait_for_log("metrics on http://");
        let address = metrics_address(&line);
        Watched { server, address, scraper: connect(address) }
    }

    /// Asks for the metrics.
    pub fn scrape(&mut self) -> Metrics {
        scrape(&mut self.scraper)
    }

    /// Asks for the metrics until they are as expected.
    pub fn scrape_until(&mut self, expected: impl Fn(&Metrics) -> bool) -> Metrics {
        let start = Instant::now();
        loop {
            let metrics = self.scrape();
            if expected(&metrics) {
                return metrics;
            }
            assert!(start.elapsed() < PATIENCE, "{:?}", metrics.0);
        }
    }
}

fn metrics_address(line: &str) -> SocketAddr {
    let address =
        line.strip_prefix("metrics on http://").and_then(|rest| rest.strip_suffix("/metrics"));
    address.expect("a line with an address").parse().expect("an address")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends a request, and returns the head and the body of its response. The connection stays open.
fn ask(stream: &mut TcpStream, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).expect("it reads");
    let head = read_head(stream);
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    if !request.starts_with("HEAD ") {
        stream.read_exact(&mut body).expect("a whole body");
    }
    (head, String::from_utf8(body).expect("UTF-8"))
}

/// Asks for the metrics as Prometheus does, which uses the host name of its own configuration.
fn scrape(stream: &mut TcpStream) -> Metrics {
    let (head, body) = ask(stream, "GET /metrics HTTP/1.1\r\nHost: chat.corp.example:9100\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    Metrics::parse(&body)
}

/// All samples, by their names with labels.
pub struct Metrics(pub HashMap<String, f64>);

impl Index<&str> for Metrics {
    type Output = f64;
    fn index(&self, name: &str) -> &f64 {
        self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.0))
    }
}

impl Metrics {
    /// Parses the text format and checks its rules: HELP, TYPE and samples of a metric stand
    /// together and in this order, each metric and each sample stands once, and names are as
    /// Prometheus recommends.
    fn parse(text: &str) -> Metrics {
        assert!(text.ends_with('\n'));
        let mut samples = HashMap::new();
        let mut kinds = HashMap::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) =
                line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')).expect(line);
            assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
            let kind =
                lines.next().and_then(|l| l.strip_prefix(&format!("# TYPE {name} "))).expect(line);
            check_name(name, kind);
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            let before = samples.len();
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                let (series, value) = sample.rsplit_once(' ').expect(sample);
                check_series(series, name, kind);
                let value: f64 = value.parse().expect(sample);
                assert!(value >= 0.0 && value.is_finite(), "{sample}");
                assert!(samples.insert(series.to_owned(), value).is_none(), "{sample} twice");
            }
            assert!(samples.len() > before, "{name} has no value");
            if kind == "histogram" {
                check_histogram(text, name, &samples);
            }
        }
        Metrics(samples)
    }

    /// Returns how much each of these samples has grown since `before`.
    pub fn since<const N: usize>(&self, before: &Metrics, names: [&str; N]) -> [f64; N] {
        names.map(|name| self[name] - before[name])
    }
}

/// Checks the name of a metric, and that it fits its type.
fn check_name(name: &str, kind: &str) {
    assert!(
        name.starts_with("sotto_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
        "{name}"
    );
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
    assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
}

/// Checks the name and the labels of a sample.
fn check_series(series: &str, name: &str, kind: &str) {
    let rest = series.strip_prefix(name).expect(series);
    let labels = match rest {
        "" | "_sum" | "_count" => {
            return assert_eq!(!rest.is_empty(), kind == "histogram", "{series}");
        }
        _ if kind == "histogram" => rest.strip_prefix("_bucket{le=\""),
        _ => rest.strip_prefix("{code=\""),
    };
    let value = labels.and_then(|labels| labels.strip_suffix("\"}")).expect(series);
    assert!(!value.is_empty() && !value.contains(['"', '\\', ',']), "{series}");
}

/// Checks that buckets are in the order of their bounds and cumulative, and that the last has all.
fn check_histogram(text: &str, name: &str, samples: &HashMap<String, f64>) {
    let bucket = format!("{name}_bucket");
    let bounds = text.lines().filter(|line| line.starts_with(&bucket)).map(|line| {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let bound = series.split('"').nth(1).expect(line);
        if bound != "+Inf" {
            assert_eq!(
                bound.parse::<f64>().expect(line).to_string(),
                bound,
                "the usual form of a number"
            );
        }
        (bound.parse::<f64>().expect(line), value.parse::<f64>().expect(line))
    });
    let buckets: Vec<(f64, f64)> = bounds.collect();
    assert!(buckets.len() > 5);
    assert!(
        buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
        "{buckets:?}"
    );
    let last = buckets.last().expect("a bucket");
    assert_eq!((last.0, last.1), (f64::INFINITY, samples[&format!("{name}_count")]));
    assert!(samples.contains_key(&format!("{name}_sum")));
}

#[test]
fn metrics_are_off_by_default_and_never_on_the_public_port() {
    let server = Server::start(&[]);
    let request =
        |host| format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert!(server.exchange(&request(server.address)).starts_with("HTTP/1.1 404 "));
    let watched = Watched::start(&[]);
    assert!(watched.server.exchange(&request(watched.server.address)).starts_with("HTTP/1.1 404 "));
    watched.server.assert_alive();
}

#[test]
fn metrics_listener_serves_metrics_only() {
    let mut watched = Watched::start(&[]);
    for path in ["/", "/index.html", "/healthz", "/ws", "/metrics/x"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(ask(&mut watched.scraper, &request).0.starts_with("HTTP/1.1 404 "), "{path}");
    }
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert!(ask(&mut watched.scraper, upgrade).0.starts_with("HTTP/1.1 404 "));
    assert!(
        ask(&mut watched.scraper, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .0
            .starts_with("HTTP/1.1 200 ")
    );
    let metrics = watched.scrape();
    assert_eq!(metrics["sotto_http_responses_total{code=\"404\"}"], 6.0);
    assert_eq!(
        metrics["sotto_http_responses_total{code=\"200\"}"], 1.0,
        "the current response is not counted yet"
    );
    watched.scraper.write_all(b"GET\r\n\r\n").expect("it reads");
    assert!(read_head(&mut watched.scraper).starts_with("HTTP/1.1 400 "));
    assert_eq!(
        scrape(&mut connect(watched.address))["sotto_http_responses_total{code=\"400\"}"],
        1.0
    );
}

#[test]
fn joins_leaves_and_refusals_are_counted() {
    let mut watched = Watched::start(&[]);
    let start = watched.scrape();
    assert_eq!((start["sotto_clients"], start["sotto_connections"]), (0.0, 1.0));
    let mut alice = Client::join(&watched.server, "alice");
    let (_bob, _) = Client::join_owned(&watched.server, "bob", "0123456789abcdef");
    let mut stranger = Client::connect(&watched.server);
    stranger.say(json!({"type": "join", "id": "bob"}));
    stranger.hear_error("id_taken");
    alice.say(json!({"type": "send", "to": "carol", "body": 1}));
    alice.hear_error("offline");
    alice.say_text("nonsense");
    alice.hear_error("bad_request");
    let metrics = watched.scrape();
    assert_eq!(metrics["sotto_clients"], 2.0);
    assert_eq!(metrics["sotto_connections"], 4.0);
    assert_eq!(metrics["sotto_joins_total"], 2.0);
    assert_eq!(metrics["sotto_owned_ids"], 1.0);
    assert_eq!(metrics["sotto_messages_total"], 0.0, "a refused message is not taken");
    assert_eq!(metrics["sotto_http_responses_total{code=\"101\"}"], 3.0);
    let refused = |code: &str| metrics[&*format!("sotto_refusals_total{{code=\"{code}\"}}")];
    assert_eq!(["id_taken", "offline", "bad_request", "slow"].map(refused), [1.0, 1.0, 1.0, 0.0]);
    alice.say(json!({"type": "leave"}));
    alice.hear_close();
    drop(stranger);
    let metrics = watched.scrape_until(|metrics| metrics["sotto_connections"] == 2.0);
    assert_eq!((metrics["sotto_clients"], metrics["sotto_joins_total"]), (1.0, 2.0));
}

#[test]
fn lines_that_leave_together_are_counted_as_one_frame() {
    let mut watched = Watched::start(&[]);
    let mut alice = Client::join(&watched.server, "alice");
    let mut bob = Client::join(&watched.server, "bob");
    let before = watched.scrape();
    let line = json!({"type": "send", "to": "bob", "body": "hello"}).to_string();
    let text = vec![line; 100].join("\n");
    alice.say_text(&text);
    for _ in 0..100 {
        bob.hear_type("message");
    }
    assert_eq!(bob.messages, 2, "one for `joined`, one for all lines");
    let after = watched.scrape();
    let names = ["sotto_messages_total", "sotto_sent_lines_total", "sotto_sent_frames_total"];
    assert_eq!(after.since(&before, names), [100.0, 100.0, 1.0]);
    let [received, sent] =
        after.since(&before, ["sotto_received_bytes_total", "sotto_sent_bytes_total"]);
    // The texts, and one request and response for metrics.
    assert!((text.len() as f64..text.len() as f64 + 500.0).contains(&received), "{received}");
    assert!((text.len() as f64..20_000.0).contains(&sent), "{sent}");
    let [turns, time] =
        after.since(&before, ["sotto_turn_seconds_count", "sotto_turn_seconds_sum"]);
    assert!((2.0..20.0).contains(&turns) && time > 0.0, "{turns} turns, {time} seconds");
    assert_eq!(after["sotto_outbox_bytes"], 0.0);
}

#[test]
fn held_messages_are_counted_until_they_have_arrived() {
    let mut watched = Watched::start(&[]);
    let key = "0123456789abcdef";
    let (mut bob, _) = Client::join_owned(&watched.server, "bob", key);
    bob.cut();
    watched.scrape_until(|metrics| metrics["sotto_clients"] == 0.0);
    let mut alice = Client::join(&watched.server, "alice");
    alice.say(json!({"type": "send", "to": "bob", "body": "x".repeat(1000), "ref": "r"}));
    assert_eq!(alice.hear_type("sent")["held"], true);
    let metrics = watched.scrape();
    assert!(
        (1000.0..2000.0).contains(&metrics["sotto_held_bytes"]),
        "{}",
        metrics["sotto_held_bytes"]
    );
    assert_eq!((metrics["sotto_owned_ids"], metrics["sotto_outbox_bytes"]), (1.0, 0.0));
    let (mut bob, _) = Client::join_owned(&watched.server, "bob", key);
    let mid = bob.hear_type("message")["mid"].clone();
    bob.say(json!({"type": "ack", "to": "alice", "mids": [mid]}));
    alice.hear_type("delivered");
    assert_eq!(watched.scrape()["sotto_held_bytes"], 0.0);
    bob.say(json!({"type": "leave"}));
    bob.hear_close();
    assert_eq!(watched.scrape()["sotto_owned_ids"], 0.0);
}

#[test]
fn stuck_client_is_seen_to_fill_its_outbox_and_be_dropped() {
    let mut watched = Watched::start(&[]);
    let _stuck = Client::join(&watched.server, "stuck");
    let mut sender = Client::join(&watched.server, "sender");
    let line = json!({"type": "send", "to": "stuck", "body": "x".repeat(50_000), "ref": "r"});
    let mut waiting: f64 = 0.0;
    while {
        sender.say(line.clone());
        sender.hear()["type"] == "sent"
    } {
        waiting = waiting.max(watched.scrape()["sotto_outbox_bytes"]);
    }
    assert!((400_000.0..524_289.0).contains(&waiting), "{waiting}");
    let metrics = watched.scrape();
    assert_eq!(metrics["sotto_slow_clients_total"], 1.0);
    assert_eq!(metrics["sotto_refusals_total{code=\"slow\"}"], 1.0);
    assert_eq!((metrics["sotto_outbox_bytes"], metrics["sotto_clients"]), (0.0, 1.0));
}

#[test]
fn accept_failures_without_descriptors_are_counted() {
    let mut watched = Watched::start(&[]);
    assert_eq!(watched.scrape()["sotto_accept_failures_total"], 0.0);
    let limit = |current: Option<u64>| {
        let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
        let limit = Rlimit { current: current.or(maximum), maximum };
        prlimit(Some(watched.server.pid()), Resource::Nofile, limit).expect("our own child")
    };
    limit(Some(3));
    let late = watched.server.knock();
    watched.server.wait_for_log("cannot accept connections");
    limit(None);
    let metrics = watched.scrape_until(|metrics| metrics["sotto_connections"] == 2.0);
    assert!(metrics["sotto_accept_failures_total"] >= 1.0);
    drop(late);
    watched.server.assert_alive();
}

#[test]
fn four_scrapers_get_in_beside_a_full_chat_and_a_fifth_does_not() {
    let mut watched = Watched::start(&["--max-clients", "1"]);
    let _only = Client::join(&watched.server, "only");
    let mut refused: Vec<Wire> = (0..16).map(|_| watched.server.connect()).collect();
    for stream in &mut refused {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it reads");
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).expect("an answer");
        assert_eq!(&begin, b"HTTP/1.1 503");
    }
    let mut more = [(); 3].map(|()| connect(watched.address));
    more.iter_mut().for_each(|stream| assert_eq!(scrape(stream)["sotto_clients"], 1.0));
    drop(refused);
    let metrics = watched.scrape_until(|metrics| metrics["sotto_connections"] == 5.0);
    assert_eq!(metrics["sotto_http_responses_total{code=\"503\"}"], 16.0);
    let mut fifth = String::new();
    let mut stream = connect(watched.address);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it reads");
    stream.read_to_string(&mut fifth).expect("an orderly end");
    assert!(fifth.starts_with("HTTP/1.1 503 "), "{fifth}");
    drop(more);
    watched.scrape_until(|metrics| metrics["sotto_connections"] == 2.0);
    scrape(&mut connect(watched.address));
}

#[test]
fn silent_scrapers_give_way_in_time() {
    let watched = Watched::start(&["--join-timeout", "3"]);
    let mut silent = [(); 3].map(|()| connect(watched.address));
    silent[0].write_all(b"GET /metrics HTTP/1.1\r\n").expect("it reads");
    for (mut stream, answer) in silent.into_iter().zip(["HTTP/1.1 408 ", "", ""]) {
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an orderly end");
        assert!(said.starts_with(answer) && said.is_empty() == answer.is_empty(), "{said}");
    }
    scrape(&mut connect(watched.address));
}

#[test]
fn scraper_does_not_prevent_the_exit() {
    let mut watched = Watched::start(&[]);
    watched.scrape();
    watched.server.signal(Signal::TERM);
    assert_eq!(watched.server.wait_for_exit().code(), Some(0));
}

#[test]
fn dropped_log_lines_are_counted() {
    let options = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log", "trace"];
    let mut child = sotto(&options).spawn().expect("the server starts");
    let mut log = BufReader::new(child.stderr.take().expect("it was piped"));
    let address = loop {
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        if line.starts_with("metrics on ") {
            break metrics_address(line.trim_end());
        }
    };
    // Each connection logs some lines; a pipe takes 64 KiB of them.
    let start = Instant::now();
    while scrape(&mut connect(address))["sotto_dropped_log_lines_total"] == 0.0 {
        assert!(start.elapsed() < PATIENCE);
    }
    child.kill().expect("our own child");
    child.wait().expect("our own child");
}

#[test]
fn metrics_address_in_use_is_named() {
    let watched = Watched::start(&[]);
    let address = watched.address.to_string();
    let output = sotto(&["--listen", "127.0.0.1:0", "--metrics", &address, "--log", "off"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.starts_with(&format!("sotto: cannot listen on {address}: ")), "{said}");
}
