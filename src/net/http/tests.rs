//! Requests and their answers as bytes: one line per case.
//!
//! `check` gives each head to the parser whole, cut at every byte, and with more bytes behind it.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::net::http::assets::{Coding, FILES, SECURITY_FIELDS};

mod access;
#[cfg(feature = "auth")]
mod entry;
mod handshakes;
mod heads;
mod targets;

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

/// A whole handshake with these additional fields.
fn handshake(fields: &str) -> String {
    get("/ws", &format!("{UPGRADE}{KEY}{VERSION}{fields}"))
}

/// A GET of `/` with these fields and no other.
fn bare(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\n{fields}\r\n")
}

/// Checks the answer to a well-formed head, and returns it as text.
///
/// `expected` is a status, then `close` if and only if the connection ends, then parts of the
/// response, all separated by ` | `.
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

/// Checks that a malformed head gets this answer as soon as the error can be seen, and also with
/// more bytes behind it.
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

/// Checks the properties of every response but a 101, and returns it as text.
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
    if written.starts_with("HTTP/1.1 304 ") || written.starts_with("HTTP/1.1 204 ") {
        assert!(length.is_none() && response.body.is_empty());
    } else if head.starts_with("HEAD ") {
        assert!(length.is_some() && response.body.is_empty());
    } else {
        assert_eq!(length, Some(response.body.len().to_string().as_str()));
    }
    written + &String::from_utf8_lossy(&response.body)
}

/// Concatenated pieces, from which heads can grow that pass the first checks.
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
            "Accept-Encoding: gzip;q=0.",
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
    // A failed case is printed, to become an ordinary test; no file is written for it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_get_one_answer_that_stays(
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
                let Parsed::Complete { answer: later, .. } = again else { panic!("incomplete") };
                prop_assert_eq!(later, answer);
            }
        }
    }

    #[test]
    fn arbitrary_origin_is_parsed_or_refused(text in ".*") {
        let _ = Origin::parse(&text);
        let _ = Origin::parse(&format!("http://{text}"));
    }
}
