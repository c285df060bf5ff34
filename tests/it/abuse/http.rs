//! Requests that are malformed, too long, too slow, or too many.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use super::{FLAT_BYTES, Watched};
use crate::support::{Wire, over_tls};

#[test]
fn malformed_request_gets_400_and_the_end_of_the_stream() {
    let watched = Watched::start(&[]);
    let host = watched.server.address;
    let check = |request: &str, status: &str| {
        let answer = watched.server.exchange(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{request:?} {answer}");
    };
    let line = "GET / HTTP/1.1\r\n";
    let fields = |fields: &str| format!("{line}Host: {host}\r\n{fields}\r\n");
    check("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03", "400");
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0", "400");
    check("SSH-2.0-OpenSSH_9.2\r\n", "400");
    check("\0", "400");
    check("{\"type\":\"join\",\"id\":\"alice\"}\r\n\r\n", "400");
    check(&fields("").replace("\r\n", "\n"), "400");
    check(&fields("").replacen("\r\n", "\n", 1), "400");
    check(&fields("").replace("GET ", " GET "), "400");
    check(&fields("").replace(" HTTP", "  HTTP"), "400");
    check(&fields("").replace("/ ", "/a b "), "400");
    check(&fields("").replace("/ ", "/\0 "), "400");
    check(&fields("").replace("GET", "G\0T"), "400");
    check(&fields("").replace("Host:", "Host :"), "400");
    check(&fields("").replace("Host:", " Host:"), "400");
    check(&fields("X: \0\r\n"), "400");
    check(&fields(": x\r\n"), "400");
    check(&fields(&format!("Host: {host}\r\n")), "400");
    check(&fields("Content-Length: 1\r\nContent-Length: 1\r\n"), "400");
    check(&fields("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "400");
    check(&fields("Content-Length: +1\r\n"), "400");
    watched.assert_as_before();
}

#[test]
fn too_long_head_is_refused_and_takes_no_memory() {
    let watched = Watched::start(&[]);
    let host = watched.server.address;
    let uri = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(9000));
    let long = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: x\r\n".repeat(64));
    for _ in 0..100 {
        for (request, status) in [(&uri, "414"), (&long, "431"), (&many, "431")] {
            let answer = watched.server.exchange(request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }
    watched.assert_as_before();
}

#[test]
fn thousand_trickling_and_thousand_silent_peers_end_in_time() {
    // Handshakes cost this program as much as the server.
    let count = if over_tls() { 250 } else { 1000 };
    // All pieces have to be written before the first head has had its time. A machine that is too
    // busy for that gets more time.
    let (watched, silent, trickles) = [5, 20, 80, 320]
        .into_iter()
        .find_map(|seconds| {
            let watched =
                Watched::start_after(2 * count, &["--join-timeout", &seconds.to_string()]);
            let start = Instant::now();
            let silent: Vec<Wire> = (0..count).map(|_| watched.server.knock()).collect();
            let mut trickles: Vec<Wire> = (0..count).map(|_| watched.server.connect()).collect();
            let is_written = "GET / HTTP".split_inclusive(' ').all(|piece| {
                let write = |stream: &mut Wire| stream.write_all(piece.as_bytes()).is_ok();
                let is_written = trickles.iter_mut().all(write);
                watched.server.assert_alive();
                is_written
            });
            let is_in_time = start.elapsed().as_secs() < seconds;
            assert!(is_written || !is_in_time, "the server refuses a piece");
            is_in_time.then_some((watched, silent, trickles))
        })
        .expect("a machine that writes 2,000 pieces in 5 minutes");
    let rest = |mut stream: Wire| {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("an orderly end");
        heard
    };
    assert!(trickles.into_iter().map(rest).all(|heard| heard.starts_with("HTTP/1.1 408 ")));
    assert!(silent.into_iter().map(rest).all(|heard| heard.is_empty()));
    watched.assert_as_before();
}

#[test]
fn requests_of_a_peer_that_never_reads_wait_in_the_kernel() {
    let watched = Watched::start(&[]);
    let request = format!("GET /main.js HTTP/1.1\r\nHost: {}\r\n\r\n", watched.server.address);
    let requests = request.repeat(1000);
    let mut streams: Vec<Wire> = (0..20).map(|_| watched.server.connect()).collect();
    for stream in &mut streams {
        stream.socket().set_nonblocking(true).expect("a socket");
        // Until the kernel refuses more, at both ends.
        while let Some(len) = taken(stream.write(requests.as_bytes())) {
            assert!(len > 0);
        }
    }
    watched.assert_flat(FLAT_BYTES);
    drop(streams);
    watched.assert_as_before();
}

/// Returns how many bytes the kernel took, or `None` if it would block.
pub fn taken(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        result => Some(result.expect("it takes some")),
    }
}
