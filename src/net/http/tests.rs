//! Bytes in, bytes out: one line per case, and every head whole, byte by byte, and with more bytes
//! behind it.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::net::http::assets::FILES;

/// Sun, 06 Nov 1994 08:49:37 GMT: the example of RFC 9110.
const NOW: u64 = 784_111_777_000;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

/// The chat's own site, with two origins besides.
fn site() -> Site {
    let origins = ["https://chat.example", "http://other.example:8080"];
    let origins = origins.map(|origin| Origin::parse(origin).unwrap());
    site_for(Access::Pages(origins.into()))
}

fn site_for(access: Access) -> Site {
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: Some("sotto.v1") };
    Site::new(Files::BuiltIn, access, endpoint)
}

/// A GET with these fields behind `Host: localhost:8080`.
fn get(target: &str, fields: &str) -> String {
    request("GET", target, fields)
}

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost:8080\r\n{fields}\r\n")
}

/// A whole handshake with these fields besides.
fn handshake(fields: &str) -> String {
    get("/ws", &format!("{UPGRADE}{KEY}{VERSION}{fields}"))
}

/// A GET of `/` whose only fields are these.
fn bare(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\n{fields}\r\n")
}

/// A well-formed head gets this answer: a status; `close` if and only if the connection ends; parts
/// of the response, all separated by ` | `. Gives the response as text.
#[track_caller]
fn check(head: &str, expected: &str) -> String {
    check_at(&site(), head, expected)
}

#[track_caller]
fn check_at(site: &Site, head: &str, expected: &str) -> String {
    let answer = answer_to(site, head.as_bytes(), head.len());
    for end in 0..head.len() {
        let parsed = parse(&head.as_bytes()[..end], site, NOW);
        assert_eq!(parsed, Parsed::Incomplete, "after {end} bytes of {head:?}");
    }
    for behind in ["\r\n", "\n\0", "GET / HTTP/1.1\r\n\r\n", "\u{81}\u{80}"] {
        let bytes = [head, behind].concat();
        assert_eq!(answer, answer_to(site, bytes.as_bytes(), head.len()));
    }
    check_answer(answer, head, expected)
}

/// A head that is wrong as bytes gets this answer as soon as that can be seen, and whatever stands
/// behind it.
#[track_caller]
fn check_broken(head: impl AsRef<[u8]>, expected: &str) {
    let (site, head) = (site(), head.as_ref());
    let answer = answer_to(&site, head, head.len());
    for end in 0..head.len() {
        if let Parsed::Complete { used, answer: early } = parse(&head[..end], &site, NOW) {
            assert_eq!((used, &early), (end, &answer), "after {end} bytes");
        }
    }
    let bytes = [head, b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(answer, answer_to(&site, &bytes, bytes.len()));
    check_answer(answer, &String::from_utf8_lossy(head), expected);
}

#[track_caller]
fn answer_to(site: &Site, bytes: &[u8], expected_used: usize) -> Answer {
    match parse(bytes, site, NOW) {
        Parsed::Complete { used, answer } => {
            assert_eq!(used, expected_used, "of {:?}", bytes.escape_ascii().to_string());
            answer
        }
        Parsed::Incomplete => panic!("incomplete: {:?}", bytes.escape_ascii().to_string()),
    }
}

#[track_caller]
fn check_answer(answer: Answer, head: &str, expected: &str) -> String {
    let (text, close) = match answer {
        Answer::Upgrade(response) => (String::from_utf8(response).unwrap(), false),
        Answer::Respond(response) => (check_response(&response, head), response.close),
    };
    let mut parts = expected.split(" | ");
    let code = parts.next().unwrap();
    assert!(STATUSES.contains(&code.parse().unwrap()), "{code} is not counted");
    let status = format!("HTTP/1.1 {code} ");
    assert!(text.starts_with(&status), "{status}to {head:?}, not {text}");
    assert_eq!(close, expected.contains(" | close"), "{head:?}: {text}");
    for part in parts.filter(|part| *part != "close") {
        assert!(text.contains(part), "{part:?} to {head:?}, not in {text}");
    }
    text
}

/// What holds for every response but a 101.
#[track_caller]
fn check_response(response: &Response, head: &str) -> String {
    let written = String::from_utf8(response.head.clone()).unwrap();
    assert!(written.ends_with("\r\n\r\n") && written.matches("\r\n\r\n").count() == 1);
    assert!(
        written.contains(SECURITY_FIELDS) && written.contains("\r\nCache-Control: no-cache\r\n")
    );
    assert!(written.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    assert_eq!(written.contains("\r\nConnection: close\r\n"), response.close);
    let length = written.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: "));
    assert_eq!(length.is_some(), written.contains("\r\nContent-Type: "));
    if written.starts_with("HTTP/1.1 304 ") {
        assert!(length.is_none() && response.body.is_empty());
    } else if head.starts_with("HEAD ") {
        assert!(length.is_some() && response.body.is_empty());
    } else {
        assert_eq!(length, Some(response.body.len().to_string().as_str()));
    }
    written + &String::from_utf8_lossy(&response.body)
}

#[test]
fn files_and_health() {
    for asset in &FILES {
        let text = String::from_utf8_lossy(asset.bytes);
        let expected = format!("200 | Content-Type: {}\r\n | {text}", asset.media_type);
        check(&get(&format!("/{}", asset.name), ""), &expected);
    }
    let index = String::from_utf8_lossy(FILES[0].bytes);
    check(&get("/", ""), &format!("200 | Content-Type: text/html; charset=utf-8 | {index}"));
    check(&get("/?a=/b?c", ""), &format!("200 | {index}"));
    check(
        &get("/main.js?v=2", ""),
        "200 | Content-Type: text/javascript; charset=utf-8 | ETag: \"",
    );
    let health =
        check(&get("/healthz?", ""), "200 | text/plain | Content-Length: 3\r\n | \r\n\r\nok\n");
    assert!(!health.contains("ETag"));
    let head = check(&request("HEAD", "/healthz", ""), "200 | Content-Length: 3\r\n");
    assert!(head.ends_with("\r\n\r\n"));
}

#[test]
fn head_is_get_without_a_body() {
    let whole = check(&get("/main.js", ""), "200");
    let head = check(&request("HEAD", "/main.js", ""), "200");
    assert_eq!(head, whole[..whole.find("\r\n\r\n").unwrap() + 4]);
}

#[test]
fn paths_that_name_nothing() {
    check(&get("/nothing", ""), "404 | Content-Type: text/plain; charset=utf-8");
    check(&get("//", ""), "404");
    check(&get("//main.js", ""), "404");
    check(&get("/../Cargo.toml", ""), "404");
    check(&get("/www/../main.js", ""), "404");
    check(&get("/%6dain.js", ""), "404");
    check(&get("/MAIN.JS", ""), "404");
    check(&get("/main.js/", ""), "404");
    check(&get("/healthz/", ""), "404");
    check(&get("/ws/", ""), "404");
    check(&get("/é", ""), "404");
    check(&request("OPTIONS", "*", ""), "404");
    check(&request("HEAD", "/nothing", ""), "404");
    check(&request("POST", "/nothing", ""), "404");
}

#[test]
fn only_get_and_head() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "BREW"] {
        for target in ["/", "/healthz", "/ws", "/main.js"] {
            check(&request(method, target, ""), "405 | Allow: GET, HEAD\r\n");
        }
    }
    check(&request("POST", "/ws", &format!("{UPGRADE}{KEY}{VERSION}")), "405");
}

#[test]
fn forms_of_the_target() {
    check(&get("http://localhost:8080/main.js?x", ""), "200 | text/javascript");
    check(&get("HTTPS://localhost", ""), "200 | text/html");
    check(&get("http://localhost?x=/nothing", ""), "200 | text/html");
    check(&get("http://[::1]:8080/healthz", ""), "200 | ok");
    check("GET http://localhost/ HTTP/1.0\r\n\r\n", "200 | close");
    // The authority of the target stands before `Host`, which must be there all the same.
    check(&get("http://evil.example/", ""), "421");
    check("GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", "200");
    check("GET http://localhost/ HTTP/1.1\r\n\r\n", "400 | close | no Host");
    check("GET http://localhost/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400 | close");
    check("GET http://evil.example/ HTTP/1.0\r\n\r\n", "421 | close");
    for target in ["main.js", "localhost:8080", "?x", "#", "ftp://localhost/", "http:/localhost/"] {
        check(&get(target, ""), "400 | close | target");
    }
    for target in
        ["http://", "http:///", "http://u@localhost/", "http://localhost:x/", "http://a#/"]
    {
        check(&get(target, ""), "400 | close | target");
    }
    check(&request("CONNECT", "localhost:80", ""), "400 | close | target");
}

#[test]
fn hosts_that_are_answered() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost:8080",
        "localhost.",
        "chat",
        "my-host_2:1",
        "host:",
        "host:00080",
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.0.0.1.",
        "192.168.1.20",
        "8.8.8.8:65535",
        "[::1]",
        "[::1]:8080",
        "[fe80::1]",
        "[2001:db8::1]:",
        "pi.local",
        "Pi.Local.:8080",
        "a.b.localhost",
        "nas.home.arpa",
        "x.internal",
        "chat.example",
        "CHAT.example.",
        "chat.example:1234",
        "other.example",
    ] {
        check(&bare(&format!("Host: {host}\r\n")), "200");
    }
}

#[test]
fn hosts_that_are_not() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "local.evil.example",
        "x.local.evil.example",
        "x.internalevil",
        "evil-local.com",
        "home.arpa",
        "sub.chat.example",
        "chat.example.evil",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
    ] {
        for target in ["/", "/healthz", "/ws", "/nothing"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            check(&head, "421 | --origin");
        }
    }
    check("HEAD / HTTP/1.0\r\nHost: evil.example\r\n\r\n", "421 | close");
    let head = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    check_at(&site_for(Access::Anyone), head, "200");
    check_at(&site_for(Access::Pages(Vec::new())), &head.replace("evil", "chat"), "421");
}

#[test]
fn hosts_that_are_none() {
    for host in [
        "",
        " ",
        ".",
        "..",
        "a..b",
        ".local",
        "localhost..",
        "user@localhost",
        "localhost/",
        "http://localhost",
        "a b",
        "a,b",
        "a\tb",
        "localhost:x",
        "localhost:+80",
        "localhost:65536",
        "localhost:-1",
        "localhost:80:80",
        ":8080",
        "[::1",
        "::1",
        "[]",
        "[::1]x",
        "[127.0.0.1]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "é",
        "%6c",
        "a?b",
        "a#b",
        "a\\b",
    ] {
        check(&bare(&format!("Host: {host}\r\n")), "400 | close | not a host name");
    }
    check(&bare(""), "400 | close | no Host");
    check(&bare("Host: a\r\nHost: a\r\n"), "400 | close | more than one Host");
    check(&bare("Host: a\r\nhOST:\r\n"), "400 | close | more than one Host");
    check("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 | close");
    check("GET / HTTP/1.0\r\n\r\n", "200 | close");
    check_at(&site_for(Access::Anyone), &bare(""), "400 | close");
}

#[test]
fn hosts_that_are_not_utf8() {
    let head = b"GET / HTTP/1.1\r\nHost: local\xffhost\r\n\r\n";
    let answer = answer_to(&site(), head, head.len());
    check_answer(answer, "GET", "400 | close | not a host name");
}

#[test]
fn bodies() {
    check(&get("/", "Content-Length: 0\r\n"), "200");
    check(&get("/", "Content-Length: 000\r\n"), "200");
    check(&get("/", "Content-Length: 1\r\n"), "413 | close | no body");
    check(&get("/", "Content-Length: 99999999999999999999999\r\n"), "413 | close");
    check(&get("/", "Transfer-Encoding: chunked\r\n"), "413 | close");
    check(&get("/", "Transfer-Encoding:\r\n"), "413 | close");
    check(&request("POST", "/nothing", "Content-Length: 5\r\n"), "413 | close");
    check(&request("HEAD", "/", "Content-Length: 5\r\n"), "413 | close");
    check(&handshake("Content-Length: 5\r\n"), "413 | close");
    for lengths in ["", "-1", "+1", "0x5", "5, 5", "5 5", "1.0", "é"] {
        check(&get("/", &format!("Content-Length: {lengths}\r\n")), "400 | close | in doubt");
    }
    let length = "Content-Length: 0\r\n";
    check(&get("/", &length.repeat(2)), "400 | close | in doubt");
    check(&get("/", &format!("{length}Transfer-Encoding: chunked\r\n")), "400 | close");
    check(&get("/", &format!("Transfer-Encoding: identity\r\n{length}")), "400 | close");
}

#[test]
fn broken_heads() {
    let whole = get("/", "A: b\r\n");
    check_broken(whole.replace("\r\n", "\n"), "400 | close | without CR");
    check_broken(whole.replace("A: b\r\n", "A: b\n"), "400 | close | without CR");
    check_broken("GET / HTTP/1.1\r\nHost: a\r\n\n", "400 | close | without CR");
    check_broken("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 | close | without CR");
    check_broken(whole.replace("A: b\r\n", "A: b\r"), "400 | close");
    check_broken(whole.replace("A: b", "A: b\r\n folded"), "400 | close");
    check_broken(whole.replace("A: b", "A: b\r\n\tfolded"), "400 | close");
    check_broken(whole.replace("Host", " Host"), "400 | close");
    check_broken(whole.replace("A:", "A :"), "400 | close");
    check_broken(whole.replace("A:", ":"), "400 | close");
    check_broken(whole.replace("A: b", "A b"), "400 | close");
    check_broken(whole.replace("A:", "Ä:"), "400 | close");
    check_broken(whole.replace("GET ", "GET  "), "400 | close");
    check_broken(whole.replace("GET ", "GET\t"), "400 | close");
    check_broken(whole.replace(" HTTP", "  HTTP"), "400 | close");
    check_broken(whole.replace(".1\r", ".1 \r"), "400 | close");
    check_broken(whole.replace("GET", " GET"), "400 | close");
    check_broken(whole.replace("GET", "G(T"), "400 | close");
    check_broken(whole.replace("/ HTTP", "/a b HTTP"), "400 | close");
    for version in
        ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "http/1.1", "HTTP/1.10", "ICY/1.1.", "1"]
    {
        check_broken(whole.replace("HTTP/1.1", version), "400 | close | not a request of HTTP/1.1");
    }
    for text in ["GET", "/ ", "HTTP", "Host", "localhost", "A:", " b", "b\r"] {
        check_broken(whole.replace(text, &format!("\0{text}")), "400 | close");
        check_broken(whole.replace(text, &format!("{text}\0")), "400 | close");
        check_broken(whole.replace(text, &format!("{text}\u{7f}")), "400 | close");
    }
    check_broken("GET /\r\n\r\n", "400 | close");
    check_broken(b"GET /\xff HTTP/1.1\r\n", "400 | close");
}

#[test]
fn other_protocols() {
    check_broken(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 | close");
    check_broken(b"\x16", "400 | close");
    check_broken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 | close");
    check_broken("SSH-2.0-OpenSSH_9.6\r\n", "400 | close");
    check_broken("{\"type\":\"join\"}", "400 | close");
    check_broken(b"\x81\x85\0\0\0\0hello", "400 | close");
}

#[test]
fn heads_that_are_too_long() {
    let max = HEAD_BYTES_MAX;
    check_broken(format!("GET /{}", "a".repeat(9000)), "414 | close | 8192 bytes");
    check_broken(format!("GET /{}", "a".repeat(max - 5)), "414 | close");
    check_broken("A".repeat(max), "414 | close");
    check_broken(bare(&format!("A: {}", "a".repeat(max))), "431 | close | 64 fields");
    check_broken(bare(&"A: b\r\n".repeat(HEADERS_MAX + 1)), "431 | close | 64 fields");
    check(&get("/", &"A: b\r\n".repeat(HEADERS_MAX - 1)), "200");

    // The longest head is taken, one byte more is not, and one byte less is waited for.
    let fits = get("/", &format!("A: {}\r\n", "a".repeat(max - 45)));
    assert_eq!(fits.len(), max);
    check(&fits, "200");
    check_broken(fits.replace("A:", "AA:"), "431 | close");
    let unfinished = "GET /".to_owned() + &"a".repeat(max - 6);
    assert_eq!(parse(unfinished.as_bytes(), &site(), NOW), Parsed::Incomplete);
}

#[test]
fn empty_lines_in_front_are_passed_over() {
    // RFC 9112, 2.2: some old clients sent one behind a body.
    check("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "200");
}

#[test]
fn what_is_known_is_not_sent_again() {
    let etag = Files::BuiltIn.find("main.js").unwrap().unwrap().etag;
    let known = format!("304 | ETag: {etag}\r\n");
    for tags in [
        etag.clone(),
        format!("W/{etag}"),
        "*".into(),
        format!("\"a\",{etag}"),
        format!("\"a\" , W/{etag}\t,, \"b\""),
        format!("\"a\"\r\nif-none-match: {etag}"),
    ] {
        let field = format!("If-None-Match: {tags}\r\n");
        check(&get("/main.js", &field), &known);
        check(&request("HEAD", "/main.js", &field), &known);
    }
    for tags in ["", "\"\"", "\"a\"", "**", etag.trim_matches('"'), &format!("w/{etag}")] {
        let expected = format!("200 | ETag: {etag}\r\n | Content-Length");
        check(&get("/main.js", &format!("If-None-Match: {tags}\r\n")), &expected);
    }
    check(&get("/healthz", "If-None-Match: *\r\n"), "200");
}

#[test]
fn connections_are_kept_or_closed() {
    check(&get("/", "Connection: close\r\n"), "200 | close");
    check(&get("/", "connection: keep-alive, CLOSE\r\n"), "200 | close");
    check(&get("/", "Connection: a\r\nConnection: close\r\n"), "200 | close");
    check(&get("/", "Connection: closed\r\n"), "200");
    check(&get("/", "Connection: keep-alive\r\n"), "200");
    check(&get("/nothing", "Connection: close\r\n"), "404 | close");
    check("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "200 | close");
}

#[test]
fn a_handshake_as_in_rfc_6455() {
    let head = "GET /ws?x=y HTTP/1.1\r\nHost: server.local\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://server.local\r\n\
        Sec-WebSocket-Protocol: chat, sotto.v1\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sotto.v1\r\n\r\n";
    assert_eq!(check(head, "101"), response);
}

#[test]
fn handshakes_in_other_words() {
    check(&handshake(""), "101");
    check(
        &get(
            "/ws",
            &format!(
                "UPGRADE: h2c, WebSocket\r\nconnection: keep-alive, UPGRADE\r\n{KEY}{VERSION}"
            ),
        ),
        "101",
    );
    check(
        &get(
            "/ws",
            &format!("Upgrade: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n{KEY}{VERSION}"),
        ),
        "101",
    );
    check(&get("http://localhost:8080/ws", &format!("{UPGRADE}{KEY}{VERSION}")), "101");
    check(&handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "101");
    check(&handshake("Connection: close\r\n"), "101");
}

#[test]
fn handshakes_that_are_not_whole() {
    let look = "426 | Upgrade: websocket\r\n | Connection: Upgrade\r\n | WebSocket only";
    check(&get("/ws", ""), look);
    check(&get("/ws", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), look);
    check(&get("/ws", VERSION), look);
    check(&request("HEAD", "/ws", ""), "426 | Upgrade: websocket\r\n");
    check("GET /ws HTTP/1.0\r\n\r\n", "426 | close | Upgrade: websocket\r\n");
    check(&get("/ws", &format!("{KEY}{VERSION}")), "400 | close | no Upgrade");
    check(
        &get("/ws", &format!("Upgrade: websockets\r\nConnection: Upgrade\r\n{KEY}{VERSION}")),
        "400 | close",
    );
    check(
        &get("/ws", &format!("Upgrade: websocket\r\n{KEY}{VERSION}")),
        "400 | close | no Connection",
    );
    check(
        &get("/ws", &format!("Upgrade: websocket\r\nConnection: close\r\n{KEY}{VERSION}")),
        "400 | close",
    );
    check(&get("/ws", "Upgrade: websocket\r\n"), "400 | close | no Connection");
    check(&handshake("").replace("HTTP/1.1", "HTTP/1.0"), "400 | close | GET of HTTP/1.1");
    check(&handshake("").replace("GET", "HEAD"), "400 | close");
}

#[test]
fn handshakes_of_other_versions() {
    let other =
        "426 | Sec-WebSocket-Version: 13\r\n | Upgrade: websocket\r\n | Connection: Upgrade\r\n";
    for version in ["8", "14", "013", "", "13, 8", "+13"] {
        let version = format!("Sec-WebSocket-Version: {version}\r\n");
        check(&get("/ws", &format!("{UPGRADE}{KEY}{version}")), other);
        // The version is looked at before the key.
        check(&get("/ws", &format!("{UPGRADE}{version}")), other);
    }
    check(&get("/ws", &format!("{UPGRADE}{KEY}")), other);
    check(&handshake(VERSION), other);
}

#[test]
fn handshakes_without_a_good_key() {
    check(&get("/ws", &format!("{UPGRADE}{VERSION}")), "400 | close | 16 bytes");
    check(&handshake(KEY), "400 | close | 16 bytes");
    for key in [
        "",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ== x",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25-_Q==",
        "dGhlIHNhbXBsZSBub25jZQ==,a",
    ] {
        let head = get("/ws", &format!("{UPGRADE}{VERSION}Sec-WebSocket-Key: {key}\r\n"));
        check(&head, "400 | close | 16 bytes");
        // The key is looked at before the origin.
        check(&head.replace("\r\n\r\n", "\r\nOrigin: null\r\n\r\n"), "400 | close");
    }
}

#[test]
fn origins_that_may_connect() {
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("LocalHost.:8080", "HTTP://LOCALHOST:8080"),
        ("localhost:8080", "https://localhost:8080"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:80", "http://localhost"),
        ("pi.local", "https://pi.local"),
        ("pi.local:443", "https://pi.local"),
        ("[::1]:8080", "http://[0:0:0::1]:8080"),
        ("127.0.0.1:1", "http://127.0.0.1:1"),
        ("chat.example", "https://chat.example"),
        ("localhost:8080", "https://chat.example"),
        ("localhost:8080", "https://chat.example:443"),
        ("127.0.0.1:9", "http://other.example:8080"),
    ] {
        let head = handshake(&format!("Origin: {origin}\r\n"))
            .replace("localhost:8080\r\nUpg", &format!("{host}\r\nUpg"));
        check(&head, "101");
    }
}

#[test]
fn origins_that_may_not() {
    for origin in [
        "http://localhost",
        "http://localhost:8081",
        "http://127.0.0.1:8080",
        "http://evil.example:8080",
        "http://chat.example",
        "https://chat.example:8443",
        "https://sub.chat.example",
        "http://other.example",
        "null",
        "",
        "localhost:8080",
        "//localhost:8080",
        "ftp://localhost:8080",
        "http://localhost:8080/",
        "http://localhost:8080/x",
        "http://x@localhost:8080",
        "http://localhost:8080 http://localhost:8080",
        "http://localhost:8080, null",
        "http://localhost:80800",
        "file://",
        "chrome-extension://abc",
        "é",
    ] {
        let head = handshake(&format!("Origin: {origin}\r\n"));
        check(&head, "403 | --origin");
        check_at(&site_for(Access::Anyone), &head, "101");
    }
    let same = "Origin: http://localhost:8080\r\n";
    check(&handshake(same), "101");
    check(&handshake(&same.repeat(2)), "403");
    // The port that `Host` leaves out is that of the origin's scheme.
    check(&handshake(same).replace("localhost:8080\r\nUpg", "localhost\r\nUpg"), "403");
    // The authority of an absolute target is the host that counts, and files are for everybody.
    check(&handshake(same).replace("/ws", "http://chat/ws"), "403");
    check(&get("/", "Origin: http://evil.example\r\n"), "200");
}

#[test]
fn subprotocols() {
    let chosen = "101 | Sec-WebSocket-Protocol: sotto.v1\r\n";
    for offered in
        ["sotto.v1", "a,sotto.v1", "a , sotto.v1,b", "a\r\nSec-WebSocket-Protocol: sotto.v1"]
    {
        check(&handshake(&format!("Sec-WebSocket-Protocol: {offered}\r\n")), chosen);
    }
    for offered in ["", "sotto", "SOTTO.V1", "sotto.v10", "sotto.v1 x"] {
        let response = check(&handshake(&format!("Sec-WebSocket-Protocol: {offered}\r\n")), "101");
        assert!(!response.contains("Protocol:"));
    }
}

#[test]
fn upgrades_elsewhere() {
    for target in ["/", "/healthz", "/main.js", "/nothing"] {
        check(&get(target, &format!("{UPGRADE}{KEY}{VERSION}")), "404");
        check(&get(target, "Upgrade: websocket\r\n"), "404");
    }
    check(&get("/", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"), "200");
    check(&get("/", KEY), "200");
    check(&get("/", "Upgrade: websocket\r\n").replace("1.1", "1.0"), "200 | close");
}

#[test]
fn an_earlier_check_answers_for_a_later_one() {
    // Each request breaks one rule and all later ones; mended from the front, it gets the next
    // answer.
    let handshake = "Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\nOrigin: null\r\n";
    let rest = format!("Content-Length: 5\r\n{handshake}");
    check(&format!("POST /x HTTP/1.1\r\n{rest}\r\n"), "400 | close | no Host");
    check(&format!("POST /x HTTP/1.1\r\nHost: evil.example\r\n{rest}\r\n"), "421");
    check(&request("POST", "/x", &rest), "413 | close");
    check(&request("POST", "/x", handshake), "404");
    check(&request("POST", "/ws", handshake), "405");
    check(&get("/ws", handshake), "400 | close | no Connection");
    let handshake = format!("{handshake}Connection: upgrade\r\n");
    check(&get("/ws", &handshake), "426 | Sec-WebSocket-Version: 13");
    let handshake = handshake.replace(": 8", ": 13");
    check(&get("/ws", &handshake), "400 | close | Sec-WebSocket-Key");
    let handshake = handshake + KEY;
    check(&get("/ws", &handshake), "403");
    check(&get("/ws", &handshake.replace("null", "http://localhost:8080")), "101");
}

#[test]
fn an_endpoint_without_a_path_is_everywhere() {
    let endpoint = Endpoint { path: None, subprotocol: None };
    let site = Site::new(Files::BuiltIn, Access::Anyone, endpoint);
    for target in ["/", "/healthz", "/main.js", "/any/thing?x", "/ws"] {
        check_at(&site, &get(target, ""), "426");
        let head =
            get(target, &format!("{UPGRADE}{KEY}{VERSION}Sec-WebSocket-Protocol: sotto.v1\r\n"));
        assert!(!check_at(&site, &head, "101").contains("Protocol:"));
    }
}

#[test]
fn a_folder_in_place_of_the_built_in_files() {
    let folder = std::env::temp_dir().join(format!("sotto-http-{}", std::process::id()));
    // Where a file should be, a folder cannot be read; one that is not there is not found.
    std::fs::create_dir_all(folder.join("view.js")).unwrap();
    std::fs::write(folder.join("index.html"), "written just now").unwrap();
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
    let site =
        Site::new(Files::Folder(PathBuf::from(&folder)), Access::Pages(Vec::new()), endpoint);
    check_at(&site, &get("/", ""), "200 | text/html | written just now");
    check_at(&site, &get("/main.js", ""), "404");
    check_at(&site, &get("/view.js", ""), "500");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn metrics_are_served_alone_and_nowhere_else() {
    let site = Site::metrics("sotto_clients 1\n".to_owned());
    let expected = "200 | Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n | \r\n\r\nsotto_clients 1\n";
    check_at(&site, &get("/metrics", ""), expected);
    check_at(&site, &get("/metrics?x", "").replace("localhost:8080", "chat.example:9100"), "200");
    check_at(&site, &bare("Host: x\r\n"), "404");
    check_at(&site, "GET /metrics HTTP/1.1\r\n\r\n", "400 | close | no Host");
    check_at(&site, &request("POST", "/metrics", ""), "405");
    for target in ["/", "/ws", "/healthz", "/index.html", "/metrics/", "*"] {
        check_at(&site, &get(target, &format!("{UPGRADE}{KEY}{VERSION}")), "404");
    }
    check_at(&site, &get("/metrics", &format!("{UPGRADE}{KEY}{VERSION}")), "404");
    check(&get("/metrics", ""), "404");
}

#[test]
fn answers_to_no_request() {
    check_answer(Answer::Respond(timed_out(NOW)), "", "408 | close");
    check_answer(Answer::Respond(unavailable(NOW)), "", "503 | close | Retry-After: 5\r\n");
}

#[test]
fn origins_from_an_operator() {
    let origin = |text| Origin::parse(text).unwrap();
    assert_eq!(origin("https://chat.example/"), origin("HTTPS://Chat.Example.:443"));
    assert_eq!(origin("http://[::1]"), origin("http://[0::1]:80/"));
    assert_ne!(origin("http://chat.example"), origin("https://chat.example"));
    assert_ne!(origin("http://chat.example"), origin("http://chat.example:8080"));
    for text in [
        "",
        "*",
        "null",
        "chat.example",
        "https://",
        "https:///",
        "https://chat.example//",
        "https://chat.example/x",
        "https://chat.example?x",
        "https://a@chat.example",
        "https://chat.example:x",
        "wss://chat.example",
        "https://chat.example https://b",
        " https://chat.example",
        "https://чат.example",
        "https://*.example",
    ] {
        let error = Origin::parse(text).unwrap_err();
        assert!(error.starts_with(&format!("{text:?} is not an origin")), "{error}");
    }
}

#[test]
fn dates() {
    for (seconds, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (68_169_599, "Mon, 28 Feb 1972 23:59:59 GMT"),
        (68_169_600, "Tue, 29 Feb 1972 00:00:00 GMT"),
        (68_256_000, "Wed, 01 Mar 1972 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (1_795_392_000, "Mon, 23 Nov 2026 00:00:00 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ] {
        assert_eq!(imf_fixdate(seconds * 1000 + 999), expected);
    }
    imf_fixdate(u64::MAX);
}

#[test]
fn dates_follow_the_calendar_for_a_thousand_years() {
    let mut today = (1970, 0, 1);
    for days in 0..365_250 {
        assert_eq!(civil_date(days), today);
        let (year, month, day) = today;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        today = match (day == lengths[month], month) {
            (false, _) => (year, month, day + 1),
            (true, 11) => (year + 1, 0, 1),
            (true, _) => (year, month + 1, 1),
        };
    }
}

/// Pieces from which heads can grow that get past the first checks.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "GET ",
            "HEAD ",
            "PRI ",
            "/ws",
            "/",
            "*",
            "?",
            "http://",
            " HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            "\r\n",
            "\n",
            "\r",
            "Host: ",
            "localhost",
            "[::1]",
            ":",
            "80",
            ".",
            "\r\nContent-Length: ",
            "Transfer-Encoding: x\r\n",
            UPGRADE,
            KEY,
            VERSION,
            "Origin: ",
            "https://chat.example",
            "If-None-Match: ",
            "\"a\"",
            ", ",
            " ",
            "\t",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered_once_and_for_all(
        bytes in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..9000)],
        more in prop::collection::vec(any::<u8>(), 0..32),
        unix_ms: u64,
    ) {
        let site = site();
        match parse(&bytes, &site, unix_ms) {
            Parsed::Incomplete => prop_assert!(bytes.len() < HEAD_BYTES_MAX),
            Parsed::Complete { used, answer } => {
                prop_assert!(used <= bytes.len());
                let again = parse(&[bytes, more].concat(), &site, unix_ms);
                let is_same = matches!(again, Parsed::Complete { answer: later, .. } if later == answer);
                prop_assert!(is_same);
            }
        }
    }

    #[test]
    fn arbitrary_origins_do_no_harm(text in ".*") {
        let _ = Origin::parse(&text);
        let _ = Origin::parse(&format!("http://{text}"));
    }
}

// ---- TLS ----

#[test]
fn over_tls_browsers_are_told_to_come_back_with_it_and_no_page_without_it_is_ours() {
    let over_tls = site().over_tls();
    let check = |head: &str, expected: &str| check_at(&over_tls, head, expected);
    for target in ["/", "/healthz", "/nothing", "/ws"] {
        let response = answer_to(&over_tls, get(target, "").as_bytes(), get(target, "").len());
        let Answer::Respond(response) = response else { panic!("{target} is no upgrade") };
        let text = check_response(&response, "");
        assert!(text.contains("\r\nStrict-Transport-Security: max-age=31536000\r\n"), "{text}");
    }
    check(&handshake("Origin: https://localhost:8080\r\n"), "101");
    check(&handshake("Origin: http://localhost:8080\r\n"), "403");
    check(&handshake("Origin: http://other.example:8080\r\n"), "101");
    let at = |host: &str, origin: &str| {
        handshake(&format!("Origin: {origin}\r\n")).replace("localhost:8080", host)
    };
    check(&at("chat.example", "https://chat.example"), "101");
    check(&at("chat.example", "https://chat.example:443"), "101");
    check(&at("localhost", "http://localhost"), "403");
    check(&at("localhost", "http://localhost:443"), "403");
}

#[test]
fn who_comes_without_tls_is_sent_to_the_same_address_with_it() {
    let origin = Origin::parse("https://chat.example").unwrap();
    let to = |port: u16, host: &str, target: &str, expected: &str| {
        let site = Site::redirect(port, Access::Pages(vec![origin.clone()]));
        let head = get(target, "").replace("localhost:8080", host);
        check_at(&site, &head, &format!("308 | \r\nLocation: {expected}\r\n"));
    };
    to(443, "chat.example", "/", "https://chat.example/");
    to(443, "Chat.Example.:80", "/a?b=c", "https://chat.example/a?b=c");
    to(8443, "localhost:8080", "/ws", "https://localhost:8443/ws");
    to(8443, "[::1]:80", "//evil.example/", "https://[::1]:8443//evil.example/");
    to(8443, "192.0.2.1", "*", "https://192.0.2.1:8443/");
    to(443, "localhost", "http://chat.example?a", "https://chat.example/?a");
    to(443, "localhost", "http://chat.example", "https://chat.example/");
    // Which port leads there from elsewhere is said by --origin.
    to(8443, "chat.example", "/", "https://chat.example/");
    let site = Site::redirect(443, Access::Pages(vec![origin.clone()]));
    check_at(&site, &get("/", "").replace("localhost", "evil.example"), "421");
    check_at(&site, &get("http://evil.example/", ""), "421");
    check_at(&site, &bare(""), "400 | close");
    check_at(&site, "GET / HTTP/1.0\r\n\r\n", "400 | close");
    check_at(&site, &request("HEAD", "/", ""), "308");
    check_at(&site, &request("POST", "/", "Content-Length: 1\r\n"), "413 | close");
}
