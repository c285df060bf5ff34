//! The page and all other answers over HTTP.

use std::io::{Read, Write};
use std::net::Shutdown;

use serde_json::json;

use crate::support::{Client, PATIENCE, Server, read_head, sotto};

/// Asks for a path with these fields, and returns the response.
fn get(server: &Server, path: &str, fields: &str) -> String {
    ask(server, "GET", path, fields)
}

fn ask(server: &Server, method: &str, path: &str, fields: &str) -> String {
    let host = server.address;
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n");
    server.exchange(&head)
}

/// Returns the value of a field of a response.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[test]
fn page_and_its_files_are_served_with_types_and_a_policy() {
    let server = Server::start(&[]);
    let page = get(&server, "/", "");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<!doctype html>"), "{page}");
    assert!(field(&page, "Content-Security-Policy").contains("default-src 'none'"));
    let mut found = 0;
    let after = |attribute| page.split(attribute).skip(1).map(|text: &str| text.split('"').next());
    for name in after("href=\"").chain(after("src=\"")).flatten() {
        // HEAD, because some files are no text.
        let file = ask(&server, "HEAD", &format!("/{name}"), "");
        assert!(file.starts_with("HTTP/1.1 200 "), "{name}: {file}");
        assert_eq!(field(&file, "X-Content-Type-Options"), "nosniff");
        found += 1;
    }
    assert!(found > 30, "the page names its style and its script");
    let tag = field(&page, "ETag");
    let same = get(&server, "/", &format!("If-None-Match: {tag}\r\n"));
    assert!(same.starts_with("HTTP/1.1 304 ") && same.ends_with("\r\n\r\n"), "{same}");
    assert!(get(&server, "/healthz", "").ends_with("\r\n\r\nok\n"));
    assert!(get(&server, "/../Cargo.toml", "").starts_with("HTTP/1.1 404 "));
}

/// Returns the content of a file as it comes without a coding.
fn content(server: &Server, name: &str) -> Vec<u8> {
    let mut stream = server.connect();
    let host = server.address;
    write!(stream, "GET /{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {head}");
    let mut content = Vec::new();
    stream.read_to_end(&mut content).expect("an orderly end");
    content
}

/// Checks that `--page-hash` prints the SHA-256 of each file that a server with the same options
/// serves, and returns the names.
#[track_caller]
fn check_sums(options: &[&str]) -> Vec<String> {
    let output = sotto(&[options, &["--page-hash"]].concat()).output().expect("it runs");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    let sums = String::from_utf8(output.stdout).expect("UTF-8");
    let server = Server::start(options);
    let mut names = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("two spaces");
        let hash = hmac_sha256::Hash::hash(&content(&server, name));
        assert_eq!(sum, data_encoding::HEXLOWER.encode(&hash), "{name}");
        names.push(name.to_owned());
    }
    assert!(sums.ends_with('\n'));
    names.sort();
    names
}

#[test]
fn page_hash_has_the_sum_of_each_file_as_it_is_served() {
    let www = concat!(env!("CARGO_MANIFEST_DIR"), "/www");
    let entries = std::fs::read_dir(www).expect("a folder");
    let mut expected: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    expected.sort();
    assert_eq!(check_sums(&[]), expected);
    // The files of the folder have their comments.
    assert_eq!(check_sums(&["--www", www]), expected);
    let page = content(&Server::start(&[]), "");
    assert_eq!(page, content(&Server::start(&[]), "index.html"), "the page has its sum, too");
}

#[test]
fn folder_stands_in_for_the_built_in_page() {
    let folder = std::env::temp_dir().join(format!("sotto-www-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("index.html"), "first").expect("a file");
    let server = Server::start(&["--www", folder.to_str().expect("UTF-8")]);
    assert!(
        get(&server, "/main.js", "").starts_with("HTTP/1.1 404 "),
        "the built-in one does not stand in"
    );
    assert!(get(&server, "/", "").ends_with("first"));
    for text in ["second", "third"] {
        std::fs::write(folder.join("index.html"), text).expect("a file");
        assert!(get(&server, "/", "").ends_with(text), "read anew");
    }
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn connection_answers_many_requests_one_after_the_other() {
    let server = Server::start(&[]);
    let host = server.address;
    let mut stream = server.connect();
    let request = format!("HEAD /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).expect("it reads");
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 "));
    }
    // A thousand requests at once, before any response is read.
    stream.write_all(request.repeat(1000).as_bytes()).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an orderly end");
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1000);
}

#[test]
fn unanswerable_request_gets_the_status_of_its_reason() {
    let server = Server::start(&[]);
    let host = server.address;
    let check = |request: String, status: &str| {
        let answer = server.exchange(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request} {answer}");
    };
    check("GET / HTTP/1.1\r\n\r\n".into(), "400");
    check("\x16\x03\x01\x02\x00".into(), "400");
    check(format!("GET / HTTP/1.1\nHost: {host}\n\n"), "400");
    check(format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(8192)), "431");
    check(format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(9000)), "414");
    check(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx"), "413");
    let close = "Connection: close\r\n\r\n";
    check(format!("DELETE / HTTP/1.1\r\nHost: {host}\r\n{close}"), "405");
    check(format!("GET / HTTP/1.1\r\nHost: evil.example\r\n{close}"), "421");
    check(format!("GET /ws HTTP/1.1\r\nHost: {host}\r\n{close}"), "426");
    server.assert_alive();
}

#[test]
fn page_of_a_foreign_origin_is_refused() {
    let server = Server::start(&["--origin", "https://chat.example"]);
    let status = |host: &str, origin: &str| {
        let mut stream = server.connect();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        read_head(&mut stream)[9..12].to_owned()
    };
    let own = server.address.to_string();
    assert_eq!(status(&own, ""), "101");
    assert_eq!(status(&own, &format!("Origin: {}://{own}\r\n", server.scheme())), "101");
    assert_eq!(status(&own, "Origin: https://chat.example\r\n"), "101");
    assert_eq!(status("chat.example", "Origin: https://chat.example\r\n"), "101");
    assert_eq!(status(&own, "Origin: https://evil.example\r\n"), "403");
    assert_eq!(status(&own, "Origin: null\r\n"), "403");
    assert_eq!(status("evil.example", "Origin: http://evil.example\r\n"), "421");
}

#[test]
fn connection_above_the_maximum_gets_503() {
    let server = Server::start(&["--max-clients", "2"]);
    let clients = ["a", "b"].map(|id| Client::join(&server, id));
    let refused = server.exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("Retry-After: "), "{refused}");
    for mut client in clients {
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
    server.assert_alive();
}

#[test]
fn connections_from_this_machine_are_not_limited() {
    let server = Server::start(&["--per-address", "1"]);
    let clients = ["a", "b"].map(|id| Client::join(&server, id));
    server.wait_for_log("no limits per address for connections from this machine");
    for mut client in clients {
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
    server.assert_alive();
}

#[test]
fn full_server_is_alive_and_not_ready() {
    let server = Server::start(&["--max-clients", "2"]);
    let ask = |path| get(&server, path, "");
    let mut only = Client::join(&server, "only");
    for path in ["/healthz", "/readyz"] {
        assert!(ask(path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    let _last = Client::join(&server, "last");
    // More than are answered at one time, one after the other.
    for _ in 0..20 {
        let alive = ask("/healthz");
        assert!(alive.starts_with("HTTP/1.1 200 ") && alive.ends_with("\r\n\r\nok\n"), "{alive}");
        let ready = ask("/readyz");
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("Retry-After: "), "{ready}");
    }
    only.say(json!({"type": "leave"}));
    only.hear_close();
    let began = std::time::Instant::now();
    while !ask("/readyz").starts_with("HTTP/1.1 200 ") {
        assert!(began.elapsed() < PATIENCE);
    }
}
