//! A server behind a proxy: addresses of clients, a Unix socket, and a page below a path.

use std::io::{Read, Write};

use serde_json::json;

use crate::support::{Client, Server, read_head};

const BY_FIELD: [&str; 4] = ["--forwarded", "x-forwarded-for", "--per-address", "2"];
const BY_PREAMBLE: [&str; 4] = ["--forwarded", "proxy", "--per-address", "2"];

/// Connects as a proxy does for its client at this address.
fn through_field(server: &Server, client: &str) -> Result<Client, String> {
    Client::ask(server, server.connect(), "/ws", &format!("X-Forwarded-For: {client}\r\n"))
}

/// Likewise, by a preamble of the PROXY protocol, in pieces.
fn through_preamble(server: &Server, pieces: &[&[u8]]) -> Result<Client, String> {
    let wire = server.knock();
    for piece in pieces {
        wire.socket().write_all(piece).expect("it reads");
    }
    Client::ask(server, server.enter(wire), "/ws", "")
}

fn preamble(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n").into_bytes()
}

/// Version 2 of the same.
fn binary_preamble(client: [u8; 4]) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&head[..], &client, &[198, 51, 100, 1, 0x12, 0x67, 1, 187]].concat()
}

#[track_caller]
fn assert_503(answer: Result<Client, String>) {
    let head = answer.err().expect("a refusal");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

/// Checks that a third client of one address is refused until another of them has left.
fn check_limit(server: &Server, log: &str, connect: impl Fn(&str) -> Result<Client, String>) {
    let mut clients: Vec<Client> =
        ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(|at| connect(at).expect("a place")).into();
    for (client, id) in clients.iter_mut().zip(["a", "b", "c"]) {
        client.say(json!({"type": "join", "id": id}));
        client.hear_type("joined");
    }
    assert_503(connect("192.0.2.1"));
    server.wait_for_log(log);
    let mut left = clients.remove(0);
    left.say(json!({"type": "leave"}));
    left.hear_close();
    drop(left);
    // The place is free as soon as the server has seen the end.
    while connect("192.0.2.1").is_err() {}
}

#[test]
fn address_in_a_field_counts_for_per_address() {
    let server = Server::start(&BY_FIELD);
    let log = "refused 192.0.2.1: --per-address";
    check_limit(&server, log, |client| through_field(&server, client));
}

#[test]
fn address_in_a_preamble_counts_for_per_address() {
    let server = Server::start(&BY_PREAMBLE);
    let log = "no room for more connections from 192.0.2.1";
    check_limit(&server, log, |client| through_preamble(&server, &[&preamble(client)]));
}

#[test]
fn preamble_may_come_in_pieces_and_in_either_version() {
    let server = Server::start(&BY_PREAMBLE);
    let bytes = preamble("192.0.2.1");
    let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
    let _first = through_preamble(&server, &pieces).expect("a place");
    let bytes = binary_preamble([192, 0, 2, 1]);
    let _second = through_preamble(&server, &[&bytes[..20], &bytes[20..]]).expect("a place");
    assert_503(through_preamble(&server, &[&preamble("192.0.2.1")]));
    // A check of health by the proxy itself has no client, and no limit.
    for _ in 0..3 {
        through_preamble(&server, &[b"PROXY UNKNOWN\r\n"]).expect("a place");
    }
}

#[test]
fn trusted_proxy_without_a_preamble_is_dropped_and_logged() {
    let server = Server::start(&BY_PREAMBLE);
    let wire = server.knock();
    wire.socket().write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a connection");
    let mut byte = [0];
    assert!(matches!(wire.socket().read(&mut byte), Ok(0) | Err(_)));
    server.wait_for_log("dropped a connection of a trusted proxy");
    // One that says nothing goes by a deadline.
    let silent = server.knock();
    assert_eq!(silent.socket().read(&mut byte).expect("an end"), 0);
}

#[test]
fn address_of_an_untrusted_peer_is_not_believed() {
    let options = [&BY_FIELD[..], &["--trusted-proxy", "192.0.2.0/24"]].concat();
    let server = Server::start(&options);
    let clients: Vec<Client> =
        (0..3).map(|_| through_field(&server, "192.0.2.1").expect("no limit")).collect();
    assert_eq!(clients.len(), 3, "connections of this machine are exempt");
    let line = server.wait_for_log("no limits per address");
    assert!(line.contains("--forwarded"), "{line}");
}

#[test]
fn client_pays_for_its_claims_whatever_its_connection() {
    let server = Server::start(&["--forwarded", "x-forwarded-for"]);
    let claim = |client: &str, n: usize| {
        let mut client = through_field(&server, client).expect("a place");
        let id = format!("id-{n}");
        client.say(json!({"type": "join", "id": id, "key": "0123456789abcdef"}));
        client.hear()["type"].as_str().map(str::to_owned)
    };
    for n in 0..20 {
        // The client sends a list of its own; what the proxy appended counts.
        assert_eq!(claim(&format!("198.51.100.{n}, 192.0.2.1"), n).as_deref(), Some("joined"));
    }
    assert_eq!(claim("198.51.100.99, 192.0.2.1", 20).as_deref(), Some("error"));
    assert_eq!(claim("198.51.100.99, 192.0.2.2", 20).as_deref(), Some("joined"));
}

#[test]
fn log_names_the_client_and_not_the_proxy() {
    let server = Server::start(&["--forwarded", "forwarded"]);
    let fields = "Forwarded: for=\"[2001:db8::7]:4711\"\r\nOrigin: https://evil.example\r\n";
    let answer = Client::ask(&server, server.connect(), "/ws", fields);
    assert!(answer.err().expect("a refusal").starts_with("HTTP/1.1 403 "));
    let line = server.wait_for_log("refused 2001:db8::7: Origin");
    assert!(line.contains("evil.example"), "{line}");

    let server = Server::start(&BY_PREAMBLE);
    let wire = server.knock();
    wire.socket().write_all(&preamble("192.0.2.7")).expect("it reads");
    let fields = "Origin: https://evil.example\r\n";
    let answer = Client::ask(&server, server.enter(wire), "/ws", fields);
    assert!(answer.err().expect("a refusal").starts_with("HTTP/1.1 403 "));
    server.wait_for_log("refused 192.0.2.7: Origin");
}

#[test]
fn requests_on_one_connection_are_those_of_different_clients() {
    let server = Server::start(&BY_FIELD);
    let _clients: Vec<Client> =
        (0..2).map(|_| through_field(&server, "192.0.2.1").expect("a place")).collect();
    let mut wire = server.connect();
    for (client, status) in [("192.0.2.2", "200"), ("192.0.2.1", "503")] {
        let request =
            format!("GET /readyz HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\n\r\n");
        wire.write_all(request.as_bytes()).expect("it reads");
        let head = read_head(&mut wire);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {head}");
        let mut body = [0; 3];
        wire.read_exact(&mut body).expect("a body");
    }
}

#[test]
fn page_and_chat_lie_below_the_base() {
    let server = Server::start(&["--base", "/chat/"]);
    let get = |path: &str| {
        let host = server.address;
        server
            .exchange(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    assert!(get("/chat/").contains("<!doctype html>"));
    assert!(get("/chat/main.js").starts_with("HTTP/1.1 200 "));
    let redirect = get("/chat");
    assert!(redirect.starts_with("HTTP/1.1 308 ") && redirect.contains("\r\nLocation: /chat/\r\n"));
    for path in ["/", "/main.js", "/chatter/", "/ws"] {
        assert!(get(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    for path in ["/healthz", "/readyz", "/chat/healthz", "/chat/readyz"] {
        assert!(get(path).ends_with("ok\n"), "{path}");
    }
    let refused = Client::ask(&server, server.connect(), "/ws", "");
    assert!(refused.err().expect("a refusal").starts_with("HTTP/1.1 404 "));
    Client::ask(&server, server.connect(), "/chat/ws", "").expect("a WebSocket");
}

// Over TLS only the wire would be another.
#[cfg(not(feature = "tls"))]
mod unix {
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};

    use rustix::process::Signal;

    use super::*;
    use crate::support::sotto;

    fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.sock", std::process::id()))
    }

    fn start(path: &Path, options: &[&str]) -> Server {
        let listen = format!("unix:{}", path.display());
        Server::spawn(&mut sotto(&[&["--listen", &listen], options].concat()))
    }

    fn get(path: &Path, field: &str) -> String {
        let mut stream = UnixStream::connect(path).expect("a server");
        let request =
            format!("GET /readyz HTTP/1.1\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an orderly end");
        answer
    }

    #[test]
    fn unix_socket_is_served_and_removed_at_the_end() {
        let path = path("serve");
        let mut server = start(&path, &[]);
        assert!(get(&path, "").ends_with("ok\n"));
        let second = sotto(&["--listen", &format!("unix:{}", path.display())]).output();
        let second = second.expect("it runs");
        assert_eq!(second.status.code(), Some(1));
        let sentence = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(sentence.contains("cannot listen on unix:"), "{sentence}");
        server.signal(Signal::TERM);
        assert!(server.wait_for_exit().success() && !path.exists());
    }

    #[test]
    fn server_that_was_killed_leaves_a_socket_that_is_replaced() {
        let path = path("stale");
        let mut server = start(&path, &[]);
        server.signal(Signal::KILL);
        server.wait_for_exit();
        assert!(path.exists());
        let _server = start(&path, &[]);
        assert!(get(&path, "").ends_with("ok\n"));
    }

    #[test]
    fn proxy_on_a_unix_socket_is_trusted() {
        let path = path("proxy");
        let server = start(&path, &["--forwarded", "x-forwarded-for", "--trusted-proxy", "::1"]);
        let mut stream = UnixStream::connect(&path).expect("a server");
        let request =
            "GET /ws HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it reads");
        server.wait_for_log("refused 192.0.2.7: Host");
    }
}
