//! Ids from a login elsewhere: tokens that openssl has signed, and ids that a proxy has named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Client, Server, sotto};

const KEY: &str = "0123456789abcdef";
const BY_HEADER: [&str; 4] = ["--forwarded", "x-forwarded-for", "--id-header", "Remote-User"];

/// A login that signs tokens, with its keys in files of its own, removed when dropped.
struct Login {
    algorithm: &'static str,
    folder: PathBuf,
}

impl Login {
    fn new(algorithm: &'static str) -> Login {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("login-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let login = Login { algorithm, folder };
        login.make_key();
        login
    }

    /// Makes a new key, in the place of the one before.
    fn make_key(&self) {
        let generate = match self.algorithm {
            "HS256" => return self.openssl("rand -hex -out key 32"),
            "EdDSA" => "genpkey -algorithm ed25519 -out private",
            _ => "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out private",
        };
        self.openssl(generate);
        self.openssl("pkey -in private -pubout -out key");
    }

    fn openssl(&self, arguments: &str) {
        let status = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&self.folder)
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("openssl").success(), "{arguments}");
    }

    fn options(&self) -> [String; 2] {
        ["--auth".into(), format!("jwt:{}", self.folder.join("key").display())]
    }

    fn start(&self, more: &[&str]) -> Server {
        let [option, file] = self.options();
        Server::start(&[&[option.as_str(), file.as_str()], more].concat())
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "typ": "JWT"});
        let [header, claims] = [header.to_string(), claims.to_string()]
            .map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
        let message = format!("{header}.{claims}");
        fs::write(self.folder.join("message"), &message).expect("a file");
        match self.algorithm {
            "HS256" => {
                let secret = fs::read_to_string(self.folder.join("key")).expect("a secret");
                let secret = secret.trim_end();
                self.openssl(&format!(
                    "dgst -sha256 -hmac {secret} -binary -out signature message"
                ));
            }
            "EdDSA" => {
                self.openssl("pkeyutl -sign -rawin -inkey private -in message -out signature")
            }
            _ => self.openssl("dgst -sha256 -sign private -out signature message"),
        }
        let mut signature = fs::read(self.folder.join("signature")).expect("a signature");
        if self.algorithm == "ES256" {
            signature = fixed(&signature);
        }
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    /// Makes a token for this id, for an hour.
    fn token_for(&self, id: &str) -> String {
        self.token(&json!({"sub": id, "exp": now() + 3600}))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Turns a signature of ECDSA from two numbers in DER into two of 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let bytes = &der[at + 2..at + 2 + length];
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        ([&vec![0; 32 - bytes.len()][..], bytes].concat(), at + 2 + length)
    };
    let (first, end) = number(2);
    [first, number(end).0].concat()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// Says a `join`, and returns the answer.
fn try_join(client: &mut Client, id: &str, token: impl Into<Value>) -> Value {
    client.say(json!({"type": "join", "id": id, "key": KEY, "token": token.into()}));
    client.hear()
}

/// Checks an answer to a `join`: `joined`, or the code and a part of the sentence of an error.
#[track_caller]
fn assert_answer(answer: &Value, expected: &str, words: &str) {
    let kind = if answer["type"] == "error" { &answer["code"] } else { &answer["type"] };
    assert_eq!(kind, expected, "{answer}");
    assert!(words.is_empty() || answer["text"].as_str().is_some_and(|text| text.contains(words)));
}

/// Checks tokens that openssl has signed in one way.
fn check_tokens(algorithm: &'static str) {
    let login = Login::new(algorithm);
    let server = login.start(&[]);
    let [mut alice, mut bob] = [Client::connect(&server), Client::connect(&server)];
    let token = login.token_for("alice");
    assert_answer(&try_join(&mut alice, "alice", Value::Null), "forbidden", "asks for a token");
    assert_answer(&try_join(&mut alice, "bob", token.as_str()), "forbidden", "for another id");
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{message}.{first}{}", &signature[1..]);
    assert_answer(&try_join(&mut alice, "alice", tampered), "forbidden", "not signed with");
    let unsigned = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    let unsigned = format!("{unsigned}.{}.", message.split_once('.').expect("two parts").1);
    assert_answer(&try_join(&mut alice, "alice", unsigned), "forbidden", "in another way");
    let expired = login.token(&json!({"sub": "alice", "exp": now() - 61}));
    assert_answer(&try_join(&mut alice, "alice", expired), "forbidden", "has expired");
    assert_answer(&try_join(&mut alice, "alice", token), "joined", "");
    assert_answer(&try_join(&mut bob, "bob", login.token_for("bob")), "joined", "");
    bob.say(json!({"type": "send", "to": "alice", "body": "it is me"}));
    assert_eq!(alice.hear_type("message")["body"], "it is me");
}

#[test]
fn token_with_a_shared_secret_opens_its_id() {
    check_tokens("HS256");
}

#[test]
#[cfg(feature = "tls")]
fn token_signed_with_ed25519_opens_its_id() {
    check_tokens("EdDSA");
}

#[test]
#[cfg(feature = "tls")]
fn token_signed_with_ecdsa_opens_its_id() {
    check_tokens("ES256");
}

#[test]
#[cfg(feature = "tls")]
fn public_key_is_no_secret_to_sign_with() {
    let login = Login::new("EdDSA");
    let server = login.start(&[]);
    let forger = Login::new("HS256");
    fs::copy(login.folder.join("key"), forger.folder.join("key")).expect("it is public");
    let message = {
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256"}"#);
        let claims = json!({"sub": "alice", "exp": now() + 60}).to_string();
        format!("{header}.{}", BASE64URL_NOPAD.encode(claims.as_bytes()))
    };
    let secret = fs::read(forger.folder.join("key")).expect("a key");
    let mac = hmac_sha256::HMAC::mac(&message, &secret);
    let forged = format!("{message}.{}", BASE64URL_NOPAD.encode(&mac));
    let answer = try_join(&mut Client::connect(&server), "alice", forged);
    assert_answer(&answer, "forbidden", "in another way");
}

#[test]
fn key_decides_takeovers_within_an_id() {
    let login = Login::new("HS256");
    let server = login.start(&[]);
    let token = login.token_for("alice");
    let [mut first, mut second] = [Client::connect(&server), Client::connect(&server)];
    assert_answer(&try_join(&mut first, "alice", token.as_str()), "joined", "");
    let other = json!({"type": "join", "id": "alice", "key": "another key of 16", "token": token});
    second.say(other);
    second.hear_error("id_taken");
    assert_eq!(try_join(&mut second, "alice", token)["resumed"], true);
    assert_eq!(first.hear_close().1, 4001);
}

#[test]
fn audience_of_a_token_is_that_of_the_option() {
    let login = Login::new("HS256");
    let server = login.start(&["--auth-audience", "chat.example"]);
    let token =
        |audience: Value| login.token(&json!({"sub": "alice", "exp": now() + 60, "aud": audience}));
    let mut client = Client::connect(&server);
    for foreign in [json!("mail.example"), json!(["mail.example"]), json!(null)] {
        let answer = try_join(&mut client, "alice", token(foreign));
        assert_answer(&answer, "forbidden", "for another service");
    }
    let answer = try_join(&mut client, "alice", token(json!(["mail.example", "chat.example"])));
    assert_answer(&answer, "joined", "");
}

#[test]
fn expired_token_ends_nothing_but_a_new_join_needs_another() {
    let login = Login::new("HS256");
    let server = login.start(&["--rate", "0"]);
    // Good for some more seconds.
    let token = login.token(&json!({"sub": "alice", "exp": now() - 57}));
    let [mut alice, mut again] = [Client::connect(&server), Client::connect(&server)];
    assert_answer(&try_join(&mut alice, "alice", token.as_str()), "joined", "");
    let line = json!({"type": "join", "id": "alice", "key": "another key of 16", "token": token});
    loop {
        again.say(line.clone());
        let answer = again.hear();
        if answer["code"] == "forbidden" {
            assert_answer(&answer, "forbidden", "has expired");
            break;
        }
        assert_answer(&answer, "id_taken", "");
    }
    alice.say(json!({"type": "send", "to": "alice", "body": "still here"}));
    assert_eq!(alice.hear_type("message")["body"], "still here");
    assert_answer(&try_join(&mut again, "alice", login.token_for("alice")), "joined", "");
}

#[test]
fn sighup_reads_the_key_of_tokens_anew() {
    let login = Login::new("HS256");
    let server = login.start(&[]);
    let old = login.token_for("alice");
    login.make_key();
    server.signal(Signal::HUP);
    server.wait_for_log("the key of --auth was read anew");
    let mut client = Client::connect(&server);
    assert_answer(&try_join(&mut client, "alice", old), "forbidden", "not signed with");
    // A bad file changes nothing.
    let new = login.token_for("alice");
    fs::write(login.folder.join("key"), "short").expect("a file");
    server.signal(Signal::HUP);
    let line = server.wait_for_log("the key of --auth stays as it was");
    assert!(line.starts_with("WARN") && line.contains("fewer than 32 bytes"), "{line}");
    assert_answer(&try_join(&mut client, "alice", new), "joined", "");
}

#[test]
fn bad_key_file_is_one_sentence_and_exit_code_2() {
    let login = Login::new("HS256");
    let [option, value] = login.options();
    let check = |more: &[&str], words: &str| {
        let output = sotto(&[&[option.as_str(), value.as_str()], more].concat()).output();
        let output = output.expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(words) && !said.contains("sesame"), "{said}");
    };
    check(&["--password-file", "x"], "--auth and --password-file exclude each other");
    check(&["--id-header", "x", "--forwarded", "forwarded"], "--auth and --id-header exclude");
    fs::write(login.folder.join("key"), "sesame").expect("a file");
    check(&[], "fewer than 32 bytes");
    fs::remove_file(login.folder.join("key")).expect("it is there");
    check(&[], "cannot be read: No such file");
    if cfg!(not(feature = "tls")) {
        let pem = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n";
        fs::write(login.folder.join("key"), pem).expect("a file");
        check(&[], "build it with `--features auth,tls`");
    }
}

#[test]
fn token_is_not_in_the_log() {
    let login = Login::new("HS256");
    let mut server = login.start(&["--log", "trace", "--log-ids", "--log-addresses"]);
    let mut client = Client::connect(&server);
    let token = login.token_for("alice");
    assert_answer(&try_join(&mut client, "bob", token.as_str()), "forbidden", "");
    assert_answer(&try_join(&mut client, "alice", token.as_str()), "joined", "");
    server.signal(Signal::TERM);
    client.hear_close();
    drop(client);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let log = server.log_rest();
    let reason = "forbidden, login for another id, id \"bob\"";
    assert!(log.iter().any(|line| line.contains(reason)), "{log:?}");
    let parts: Vec<&str> = token.split('.').collect();
    assert!(!log.iter().any(|line| parts.iter().any(|part| line.contains(part))), "{log:?}");
}

/// Opens the chat with these fields, as a proxy does.
fn through(server: &Server, fields: &str) -> Client {
    Client::ask(server, server.connect(), "/ws", fields).expect("an upgrade")
}

fn whoami(server: &Server, fields: &str) -> String {
    let host = server.address;
    server.exchange(&format!(
        "GET /whoami HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"
    ))
}

#[test]
fn id_in_the_header_of_a_proxy_is_the_only_one_to_join() {
    let server = Server::start(&BY_HEADER);
    let mut alice = through(&server, "Remote-User: alice\r\n");
    for other in ["bob", "Alice", "alice2"] {
        let answer = try_join(&mut alice, other, Value::Null);
        assert_answer(&answer, "forbidden", "for another id");
    }
    assert_answer(&try_join(&mut alice, "alice", Value::Null), "joined", "");
    let mut thief = through(&server, "remote-user: alice\r\n");
    thief.say(json!({"type": "join", "id": "alice", "key": "another key of 16"}));
    thief.hear_error("id_taken");
    for fields in [
        "",
        "Remote-User:\r\n",
        "Remote_User: bob\r\n",
        "Remote-User: bob\r\nRemote-User: bob\r\n",
        "Remote-User: mallory\r\nRemote-User: bob\r\n",
    ] {
        let answer = try_join(&mut through(&server, fields), "bob", Value::Null);
        assert_answer(&answer, "forbidden", "no login has named your id");
    }
    let answer = whoami(&server, "Remote-User: alice\r\n");
    assert!(answer.ends_with("\r\n\r\nalice\n") && answer.contains("no-store"), "{answer}");
    assert!(whoami(&server, "").starts_with("HTTP/1.1 204 "));
}

#[test]
fn id_in_the_header_of_any_other_peer_is_ignored() {
    let server = Server::start(&[&BY_HEADER[..], &["--trusted-proxy", "192.0.2.7"]].concat());
    let mut client = through(&server, "Remote-User: alice\r\nX-Forwarded-For: 192.0.2.7\r\n");
    let answer = try_join(&mut client, "alice", Value::Null);
    assert_answer(&answer, "forbidden", "no login has named your id");
    assert!(whoami(&server, "Remote-User: alice\r\n").starts_with("HTTP/1.1 204 "));
}

#[test]
fn other_servers_ignore_header_and_token() {
    let server = Server::start(&BY_HEADER[..2]);
    let mut client = through(&server, "Remote-User: alice\r\n");
    assert_answer(&try_join(&mut client, "bob", "any"), "joined", "");
    assert!(whoami(&server, "Remote-User: alice\r\n").starts_with("HTTP/1.1 404 "));
}

// Over TLS only the wire would be another.
#[cfg(not(feature = "tls"))]
#[test]
fn proxy_on_a_unix_socket_names_ids() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("auth-{}", std::process::id()));
    let listen = format!("unix:{}", path.display());
    let options = [&BY_HEADER[..], &["--trusted-proxy", "192.0.2.7", "--listen", &listen]].concat();
    let _server = Server::spawn(&mut sotto(&options));
    let mut stream = UnixStream::connect(&path).expect("a server");
    let fields = "Host: localhost\r\nRemote-User: alice\r\nConnection: close\r\n";
    stream.write_all(format!("GET /whoami HTTP/1.1\r\n{fields}\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\r\n\r\nalice\n"), "{answer}");
}
