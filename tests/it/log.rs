//! The log: lines that clients cause, and a log that cannot be written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::support::{PATIENCE, Server, read_head, sotto};

/// A handshake from a foreign page, and a request under a foreign name, each with much to log.
fn refused_requests(server: &Server) -> [(String, &'static str); 2] {
    let long = format!("{}.example", "x".repeat(4000));
    let origin = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Origin: https://{long}\r\n\r\n",
        server.address
    );
    let host = format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n");
    [(origin, "refused 127.0.0.1: Origin \"https://xxx"), (host, "refused 127.0.0.1: Host \"xxx")]
}

#[test]
fn flood_of_refused_requests_makes_a_few_short_lines() {
    let server = Server::start(&[]);
    for (request, start) in refused_requests(&server) {
        let mut stream = server.connect();
        let began = Instant::now();
        let mut ask = || {
            stream.write_all(request.as_bytes()).expect("it reads");
            let head = read_head(&mut stream);
            let length = head.split("Content-Length: ").nth(1).expect("a body");
            let length = length.split("\r\n").next().expect("a line").parse().expect("a number");
            stream.read_exact(&mut vec![0; length]).expect("the body");
        };
        (0..200).for_each(|_| ask());
        // In the next second another line comes, which tells how many did not.
        while began.elapsed() < Duration::from_secs(1) {
            ask();
        }
        (0..5).for_each(|_| ask());
        let mut lines = vec![server.wait_for_log(start)];
        while !lines.last().expect("one").contains(" times more since the last such line)") {
            lines.push(server.wait_for_log(start));
            assert!(began.elapsed() < PATIENCE, "{lines:?}");
        }
        let seconds = began.elapsed().as_secs() as usize + 1;
        assert!(lines.len() <= 5 * seconds, "{} lines in {seconds} s", lines.len());
        assert!(lines.iter().all(|line| line.len() < 500), "{lines:?}");
    }
}

/// A server with its log in a file, killed when dropped.
struct Logging(Child);

impl Drop for Logging {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a file has a line that begins like this, and returns the rest of the line.
fn wait_for_line(file: &Path, start: &str) -> String {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(file).expect("it is there");
        // A line that is still being written has no end.
        if let Some((_, rest)) = text.split_once(start)
            && let Some((rest, _)) = rest.split_once('\n')
        {
            return rest.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "no {start} in {text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn log_file_at_its_size_limit_does_not_end_the_server() {
    const LIMIT: u64 = 4096;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("full.log");
    let options = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log", "trace"];
    let log = File::create(&path).expect("a file");
    let mut server = Logging(sotto(&options).stderr(log).spawn().expect("it starts"));
    let metrics = wait_for_line(&path, "metrics on http://");
    let metrics = metrics.strip_suffix("/metrics").expect("an address");
    let limit = Rlimit { current: Some(LIMIT), ..getrlimit(Resource::Fsize) };
    let pid = Pid::from_child(&server.0);
    prlimit(Some(pid), Resource::Fsize, limit).expect("it is ours");
    // Each connection is some lines of the log.
    let began = Instant::now();
    loop {
        let mut stream = TcpStream::connect(metrics).expect("it listens");
        let request = "GET /metrics HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let dropped =
            text.lines().find_map(|line| line.strip_prefix("sotto_dropped_log_lines_total "));
        if dropped.expect("a number").parse::<u64>().expect("a number") > 10 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
    }
    assert_eq!(fs::metadata(&path).expect("it is there").len(), LIMIT);
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(server.0.wait().expect("our own child").code(), Some(0));
}
