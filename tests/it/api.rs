//! The API for backends, over the wire: messages, presence, the end of a connection, tokens.
//!
//! - `guide.rs`: the commands of the guide, as they stand there.
//! - `framing.rs`: requests that come in pieces, too many, too long, or without a token.
//! - `restart.rs`: what the next server knows.
//!
//! **Invariants**
//!
//! - Each test has a folder of its own, which is removed at its end.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, Server, read_head, sotto};

mod framing;
mod guide;
#[cfg(feature = "store")]
mod restart;

const TOKEN: &str = "a-token-of-more-than-16-bytes";
const NEW_TOKEN: &str = "another/token+of=16~bytes";
const KEY: &str = "a key of 16 bytes or more";

/// A folder with the file `token` in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("api-{}-{count}", std::process::id());
        let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&folder.0).expect("a folder");
        folder.write_token(&format!("{TOKEN}\n"));
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write_token(&self, text: &str) {
        fs::write(self.0.join("token"), text).expect("a file");
    }

    /// Starts a server with an API on a free port.
    fn start(&self, options: &[&str]) -> (Server, String) {
        let token = self.path("token");
        let api = ["--api", "127.0.0.1:0", "--api-token-file", &token];
        let server = Server::start(&[&api, options].concat());
        let address = server.wait_for_log("API on http://");
        let address = address.strip_prefix("API on http://").expect("the line").to_owned();
        (server, address)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A connection of a backend.
struct Backend {
    stream: TcpStream,
    token: &'static str,
}

impl Backend {
    fn connect(address: &str) -> Backend {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Backend { stream, token: TOKEN }
    }

    fn request(&self, line: &str, body: &str) -> String {
        let (token, length) = (self.token, body.len());
        format!(
            "{line} HTTP/1.1\r\nHost: any.example\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Makes a call, and returns the status and the JSON of its answer.
    fn call(&mut self, line: &str, body: &str) -> (u16, Value) {
        self.write(&self.request(line, body));
        let (_, status, json) = self.read_answer();
        (status, json)
    }

    fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it reads");
    }

    fn read_answer(&mut self) -> (String, u16, Value) {
        let head = read_head(&mut self.stream);
        let status = head[9..12].parse().expect("a status");
        let (_, behind) = head.split_once("Content-Length: ").expect("a length");
        let length = behind.split('\r').next().and_then(|digits| digits.parse().ok());
        let mut body = vec![0; length.expect("a length")];
        self.stream.read_exact(&mut body).expect("a body");
        (head, status, serde_json::from_slice(&body).expect("JSON"))
    }

    fn send(&mut self, message: Value) -> (u16, Value) {
        self.call("POST /send", &message.to_string())
    }

    /// Sends a message that has to be taken.
    #[track_caller]
    fn send_taken(&mut self, message: Value) -> Value {
        let (status, answer) = self.send(message);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Makes a call that has to be refused.
    #[track_caller]
    fn refused(&mut self, line: &str, body: &str, status: u16, code: &str) {
        let (found, answer) = self.call(line, body);
        assert_eq!((found, &answer["code"]), (status, &code.into()), "{answer}");
        assert!(answer["text"].is_string(), "{answer}");
    }
}

fn message(reference: &str) -> Value {
    json!({"from": "shop", "to": "bob", "body": {"order": 17}, "ref": reference})
}

#[test]
fn message_is_sent_once_and_its_fate_told_when_repeated() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let (mut bob, _) = Client::join_owned(&server, "bob", KEY);
    let sent = backend.send_taken(message("order-17"));
    assert_eq!(sent["held"], false);
    let heard = bob.hear_type("message");
    assert_eq!((&heard["from"], &heard["body"]), (&"shop".into(), &json!({"order": 17})));
    assert_eq!((&heard["mid"], &heard["at"]), (&sent["mid"], &sent["at"]));
    // Also on another connection.
    assert_eq!(Backend::connect(&address).send_taken(message("order-17")), sent);
    // Other content makes it another message.
    let mut other = message("order-17");
    other["body"] = "other".into();
    assert_ne!(backend.send_taken(other)["mid"], sent["mid"]);
    assert_eq!(bob.hear_type("message")["body"], "other");
    bob.say(json!({"type": "ack", "to": "shop", "mids": [sent["mid"]]}));
    bob.say(json!({"type": "watch", "ids": ["shop"]}));
    assert_eq!(bob.hear_type("presence")["online"], false, "a sender without a connection");
    let mut repeated = backend.send_taken(message("order-17"));
    assert_eq!(repeated["fate"].take(), "delivered");
    assert_eq!(repeated["mid"], sent["mid"]);
    bob.say(json!({"type": "leave"}));
    bob.hear_close();
    let mut other = message("order-17");
    other["body"] = "other".into();
    assert_eq!(backend.send_taken(other)["fate"], "expired");
}

#[test]
fn message_for_an_owner_that_is_away_is_held() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    drop(Client::join_owned(&server, "bob", KEY));
    let held = |backend: &mut Backend, count: usize| {
        (0..count).map(|n| backend.send_taken(message(&n.to_string()))).collect::<Vec<_>>()
    };
    let sent = held(&mut backend, 3);
    assert_eq!(sent[2]["held"], true);
    let (mut bob, joined) = Client::join_owned(&server, "bob", KEY);
    assert_eq!(joined["held"], 3);
    for sent in &sent {
        assert_eq!(bob.hear_type("message")["mid"], sent["mid"]);
    }
    assert_eq!(held(&mut backend, 3), sent, "nothing is sent twice");
}

#[test]
fn client_without_a_key_gets_messages_while_it_is_here() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let mut bob = Client::join(&server, "bob");
    assert_eq!(backend.send_taken(message("1"))["held"], false);
    bob.hear_type("message");
    drop(bob);
    let gone = || Backend::connect(&address).send(message("2")).0 == 404;
    while !gone() {}
    backend.refused("POST /send", &message("3").to_string(), 404, "offline");
    // Without a ref it is answered, but not remembered.
    let mut bob = Client::join(&server, "bob");
    let mut unnamed = message("");
    unnamed.as_object_mut().expect("an object").remove("ref");
    let first = backend.send_taken(unnamed.clone());
    assert_ne!(backend.send_taken(unnamed)["mid"], first["mid"]);
    assert_eq!(bob.hear_type("message")["mid"], first["mid"]);
}

#[test]
fn id_of_a_backend_and_of_a_client_exclude_each_other() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let _bob = Client::join(&server, "bob");
    let _alice = Client::join_owned(&server, "alice", KEY);
    for id in ["alice", "bob"] {
        let mut message = message("1");
        message["from"] = id.into();
        backend.refused("POST /send", &message.to_string(), 409, "id_taken");
    }
    backend.send_taken(message("1"));
    for join in [
        json!({"type": "join", "id": "shop"}),
        json!({"type": "join", "id": "shop", "key": KEY}),
        json!({"type": "join", "id": "shop", "key": TOKEN}),
    ] {
        let mut client = Client::connect(&server);
        client.say(join);
        client.hear_error("id_taken");
    }
}

#[test]
fn body_of_several_lines_reaches_a_client_as_one() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut bob = Client::join(&server, "bob");
    let body = "{\r\n\t\"from\": \"shop\",\n\"to\": \"bob\",\n\"body\": [\n1,\r\n\"a\\nb\"\n]\n}\n";
    assert_eq!(Backend::connect(&address).call("POST /send", body).0, 200);
    assert_eq!(bob.hear_type("message")["body"], json!([1, "a\nb"]));
}

#[test]
fn presence_and_disconnect_are_those_of_a_client() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let presence = |backend: &mut Backend, query: &str| {
        let (status, answer) = backend.call(&format!("GET /presence?{query}"), "");
        assert_eq!(status, 200);
        answer
    };
    assert_eq!(presence(&mut backend, "id=bob"), json!({"id": "bob", "online": false}));
    let mut bob = Client::join(&server, "bob");
    let _plus = Client::join(&server, "a+é");
    let expected = json!([{"id": "bob", "online": true}, {"id": "a+é", "online": true}]);
    assert_eq!(presence(&mut backend, "id=bob&id=a+%C3%A9"), expected);
    backend.refused("GET /presence", "", 400, "bad_request");
    backend.refused("GET /presence?id=a%20b", "", 400, "bad_id");
    assert_eq!(backend.send_taken(message("1"))["held"], false);
    let disconnect = |backend: &mut Backend| backend.call("POST /disconnect", r#"{"id":"bob"}"#);
    assert_eq!(disconnect(&mut backend), (200, json!({"id": "bob", "disconnected": true})));
    let (lines, code) = bob.hear_close();
    assert_eq!((lines.len(), code), (1, 4002), "its last line comes before the end");
    assert_eq!(disconnect(&mut backend), (200, json!({"id": "bob", "disconnected": false})));
    backend.refused("POST /disconnect", r#"{"id":"a b"}"#, 400, "bad_id");
    backend.refused("POST /disconnect", "{}", 400, "bad_request");
}

#[test]
fn refused_message_has_the_code_of_the_protocol() {
    let folder = Folder::new();
    // A queue for two messages of 512 bytes.
    let (server, address) = folder.start(&["--max-message", "512", "--held", "2000"]);
    let mut backend = Backend::connect(&address);
    let send = |to: &str| json!({"from": "shop", "to": to, "body": 1}).to_string();
    backend.refused("POST /send", &send("nobody"), 404, "offline");
    backend.refused("POST /send", &send("no body"), 400, "bad_id");
    backend.refused("POST /send", &send("a").replace("shop", ""), 400, "bad_id");
    backend.refused("POST /send", "not JSON", 400, "bad_request");
    backend.refused("GET /ids?prefix=a", "", 404, "not_found");
    backend.refused("GET /send", "", 405, "bad_request");
    let (mut bob, _) = Client::join_owned(&server, "bob", KEY);
    bob.say(json!({"type": "block", "ids": ["shop"]}));
    bob.say(json!({"type": "watch", "ids": ["bob"]}));
    bob.hear_type("presence");
    backend.refused("POST /send", &send("bob"), 404, "offline");
    bob.say(json!({"type": "unblock", "ids": ["shop"]}));
    bob.say(json!({"type": "unwatch", "ids": ["bob"]}));
    bob.say(json!({"type": "watch", "ids": ["bob"]}));
    bob.hear_type("presence");
    let is_taken = |backend: &mut Backend| backend.call("POST /send", &send("bob")).0 == 200;
    let taken = (0..100).take_while(|_| is_taken(&mut backend)).count();
    assert!((2..99).contains(&taken), "{taken}");
    backend.write(&backend.request("POST /send", &send("bob")));
    let (head, status, answer) = backend.read_answer();
    assert_eq!((status, &answer["code"]), (429, &"full".into()), "{answer}");
    assert!(head.contains("\r\nRetry-After: 5\r\n"), "{head}");
}

#[test]
fn new_token_opens_the_api_and_the_old_one_keeps_its_ids() {
    let folder = Folder::new();
    let (server, address) = folder.start(&[]);
    let mut backend = Backend::connect(&address);
    let (_bob, _) = Client::join_owned(&server, "bob", KEY);
    let sent = backend.send_taken(message("1"));
    let renew = |text: &str, said: &str| {
        folder.write_token(text);
        server.signal(Signal::HUP);
        server.wait_for_log(said)
    };
    renew(&format!("{NEW_TOKEN}\n{TOKEN}\n"), "the API token was read anew");
    backend.refused("GET /presence?id=bob", "", 401, "unauthorized");
    let mut backend = Backend { token: NEW_TOKEN, ..Backend::connect(&address) };
    assert_eq!(backend.send_taken(message("1")), sent);
    let line = renew("short", "the API token stays as it was");
    assert!(line.contains("16 to 256 bytes") && !line.contains("short"), "{line}");
    assert_eq!(backend.send_taken(message("1")), sent);
    renew(NEW_TOKEN, "the API token was read anew");
    backend.refused("POST /send", &message("1").to_string(), 409, "id_taken");
}

#[test]
fn bad_token_file_is_one_sentence_and_exit_code_2() {
    let folder = Folder::new();
    let token = folder.path("token");
    let check = |options: &[&str], words: &str| {
        let output = sotto(options).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(words), "{said}");
    };
    check(&["--api", "127.0.0.1:0"], "--api and --api-token-file belong together");
    check(&["--api-token-file", &token], "--api and --api-token-file belong together");
    check(&["--api", "8081", "--api-token-file", &token], "--api: \"8081\" is not like");
    let options = ["--api", "127.0.0.1:0", "--api-token-file", &token];
    folder.write_token("secret of spaces");
    check(&options, "other characters");
    folder.write_token("");
    check(&options, "is empty");
    fs::remove_file(&token).expect("it is there");
    check(&options, "cannot be read: No such file");
}

#[test]
fn calls_are_counted_by_the_class_of_their_status() {
    let folder = Folder::new();
    let token = folder.path("token");
    let api = ["--api", "127.0.0.1:0", "--api-token-file", &token];
    let server = Server::start(&[&api[..], &["--metrics", "127.0.0.1:0"]].concat());
    let line = server.wait_for_log("metrics on http://");
    let metrics = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let line = server.wait_for_log("API on http://");
    let mut backend = Backend::connect(line.split("http://").nth(1).expect("an address"));
    for _ in 0..3 {
        assert_eq!(backend.call("GET /presence?id=a", "").0, 200);
    }
    backend.refused("POST /send", &message("1").to_string(), 404, "offline");
    backend.token = "wrong";
    backend.refused("GET /presence?id=a", "", 401, "unauthorized");
    let mut scraper = TcpStream::connect(metrics.expect("an address")).expect("it listens");
    scraper.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
    let mut text = String::new();
    scraper.read_to_string(&mut text).expect("an answer");
    for line in [
        "sotto_api_requests_total{code=\"2xx\"} 3",
        "sotto_api_requests_total{code=\"4xx\"} 2",
        "sotto_api_requests_total{code=\"5xx\"} 0",
        "sotto_http_responses_total{code=\"401\"} 1",
        "sotto_refusals_total{code=\"offline\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
}
