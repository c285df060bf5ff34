//! The log: lines that clients cause, and a log that cannot be written.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, read_head};

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
            std::io::Read::read_exact(&mut stream, &mut vec![0; length]).expect("the body");
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
