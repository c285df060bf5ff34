//! Requests that come in pieces, too many, too long, or without a token.

use super::*;
use crate::support::Wire;

const PRESENCE: &str = "GET /presence?id=a";

/// Writes this on a new connection, and returns all that comes until the server ends the stream.
fn exchange(address: &str, text: &str) -> String {
    let mut backend = Backend::connect(address);
    backend.write(text);
    let mut answer = String::new();
    backend.stream.read_to_string(&mut answer).expect("an orderly end");
    answer
}

#[test]
fn requests_byte_by_byte_and_in_one_piece_are_answered_in_order() {
    let folder = Folder::new();
    let (_server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let ids = ["a", "b", "c", "d"];
    let requests = ids.map(|id| {
        backend.request("POST /disconnect", &json!({"id": id, "more": "x".repeat(30)}).to_string())
    });
    backend.stream.set_nodelay(true).expect("a socket");
    for byte in requests.concat().chars() {
        backend.write(&byte.to_string());
    }
    let expect = |backend: &mut Backend| {
        for id in ids {
            let (_, status, answer) = backend.read_answer();
            assert_eq!((status, &answer["id"]), (200, &id.into()));
        }
    };
    expect(&mut backend);
    backend.write(&requests.concat());
    expect(&mut backend);
    // The answers come, too, if the backend has closed its side.
    let mut wire = Wire::plain(address.parse().expect("an address"));
    let answers = String::from_utf8(wire.converse(requests.concat().as_bytes())).expect("UTF-8");
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 4, "{answers}");
    // A flood of them is answered, too.
    let flood = requests.concat().repeat(500);
    let mut wire = Wire::plain(address.parse().expect("an address"));
    let answers = String::from_utf8(wire.converse(flood.as_bytes())).expect("UTF-8");
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2000);
}

#[test]
fn long_body_comes_whole_within_max_message() {
    let folder = Folder::new();
    let (server, address) =
        folder.start(&["--max-message", "1000000", "--outbox", "4000000", "--held", "4000000"]);
    let mut bob = Client::join(&server, "bob");
    let mut backend = Backend::connect(&address);
    let text = "x".repeat(999_900);
    backend.send_taken(json!({"from": "shop", "to": "bob", "body": text}));
    assert_eq!(bob.hear_type("message")["body"], text.as_str());
    let (status, answer) =
        backend.send(json!({"from": "shop", "to": "bob", "body": "x".repeat(1_000_000)}));
    assert_eq!((status, &answer["code"]), (413, &"bad_request".into()));
}

#[test]
fn client_that_expects_a_100_gets_it_once() {
    let folder = Folder::new();
    let (_server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let body = r#"{"id":"a"}"#;
    let request = backend.request("POST /disconnect", body);
    let (head, _) = request.split_once("\r\n\r\n").expect("a head");
    for _ in 0..2 {
        backend.write(&format!("{head}\r\nExpect: 100-continue\r\n\r\n"));
        assert_eq!(read_head(&mut backend.stream), "HTTP/1.1 100 Continue\r\n\r\n");
        for piece in [&body[..4], &body[4..]] {
            backend.write(piece);
        }
        assert_eq!(backend.read_answer().1, 200);
    }
}

#[test]
fn request_without_the_token_is_refused_and_logged() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    for (field, words) in [
        ("", "a request to the API without a token"),
        ("Authorization: Bearer wrong\r\n", "a request to the API with a wrong token"),
        ("Authorization: Basic YTpi\r\n", "a request to the API with a wrong token"),
    ] {
        let length = "Content-Length: 9999999\r\n";
        let request = format!("POST /send HTTP/1.1\r\nHost: x\r\n{field}{length}\r\n");
        let answer = exchange(&address, &request);
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert!(answer.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{answer}");
        assert!(answer.contains(r#"{"code":"unauthorized","text":""#), "{answer}");
        let line = server.wait_for_log("refused 127.0.0.1: ");
        assert!(line.starts_with("WARN") && line.contains(words), "{line}");
        assert!(!line.contains("wrong\r") && !line.contains("YTpi"), "{line}");
    }
}

#[test]
fn request_that_cannot_be_read_ends_the_connection() {
    let folder = Folder::new();
    let (_server, address) = folder.start(&["--max-message", "512"]);
    let request = |line: &str, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{fields}\r\n")
    };
    for (text, status) in [
        (request("POST /send", ""), "411 Length Required"),
        (request("POST /send", "Transfer-Encoding: chunked\r\n"), "501 Not Implemented"),
        (request("POST /send", "Content-Length: 513\r\n"), "413 Content Too Large"),
        (request("POST /send", "Content-Length: x\r\n"), "400 Bad Request"),
        (request("HEAD /presence?id=a", ""), "405 Method Not Allowed"),
        ("\r\n\r\n\u{0}".into(), "400 Bad Request"),
        (format!("GET /{}", "x".repeat(9000)), "414 URI Too Long"),
    ] {
        let answer = exchange(&address, &text);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let json: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(json["code"], "bad_request");
    }
}

#[test]
fn connection_ends_as_its_client_asks() {
    let folder = Folder::new();
    let (_server, address) = folder.start(&[]);
    let request = |version: &str, fields: &str| {
        format!(
            "{PRESENCE} HTTP/{version}\r\nHost: x\r\nAuthorization: bearer {TOKEN}\r\n{fields}\r\n"
        )
    };
    for text in [request("1.1", "Connection: close\r\n"), request("1.0", "")] {
        let answer = exchange(&address, &text.repeat(2));
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 1, "{answer}");
        assert!(answer.ends_with("{\"id\":\"a\",\"online\":false}\n"), "{answer}");
    }
}

#[test]
fn unfinished_request_is_answered_408_in_time() {
    let folder = Folder::new();
    let (_server, address) = folder.start(&["--join-timeout", "1"]);
    let mut backend = Backend::connect(&address);
    // A connection that is kept alive has the time anew.
    assert_eq!(backend.call(PRESENCE, "").0, 200);
    let request = backend.request("POST /disconnect", r#"{"id":"a"}"#);
    backend.write(&request[..request.len() - 1]);
    let (_, status, answer) = backend.read_answer();
    assert_eq!((status, &answer["code"]), (408, &"bad_request".into()));
    assert_eq!(backend.stream.read(&mut [0]).expect("an end"), 0);
    // One that asks for nothing just ends.
    let mut silent = Backend::connect(&address);
    assert_eq!(silent.stream.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn connection_beyond_the_quota_is_answered_503() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let connect = || {
        let mut backend = Backend::connect(&address);
        (backend.call(PRESENCE, ""), backend)
    };
    let open: Vec<_> = (0..32).map(|_| connect()).collect();
    assert!(open.iter().all(|((status, _), _)| *status == 200));
    let ((status, answer), _) = connect();
    assert_eq!((status, &answer["code"]), (503, &"too_many".into()));
    server.wait_for_log("no room for more connections from 127.0.0.1: all connections for the API");
    server.assert_alive();
    drop(open);
    while connect().0.0 != 200 {}
}

#[test]
fn curl_speaks_to_a_unix_socket() {
    let folder = Folder::new();
    let (token, socket) = (folder.path("token"), folder.path("api.sock"));
    let address = format!("unix:{socket}");
    let server = Server::start(&["--api", &address, "--api-token-file", &token]);
    server.wait_for_log(&format!("API on http://{address}"));
    let output = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--unix-socket", &socket, "--header"])
        .arg(format!("Authorization: Bearer {TOKEN}"))
        .arg("http://sotto/presence?id=a")
        .output()
        .expect("curl: tests/run installs it");
    assert_eq!(output.stdout, b"{\"id\":\"a\",\"online\":false}\n", "{output:?}");
}
