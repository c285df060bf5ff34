//! A private server: its password at the start, in a `join`, and at SIGHUP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{PasswordFile, from_address, try_join};
use crate::metrics::Watched;
use crate::support::{Client, Server, sotto};

const WORD: &str = "quagmire-xylophone-7319";
const KEY: &str = "0123456789abcdef";

/// Checks an answer to a `join`: `joined`, or the code and a part of the sentence of an error.
#[track_caller]
fn assert_answer(answer: &Value, expected: &str, words: &str) {
    let kind = if answer["type"] == "error" { &answer["code"] } else { &answer["type"] };
    assert_eq!(kind, expected, "{answer}");
    assert!(words.is_empty() || answer["text"].as_str().is_some_and(|text| text.contains(words)));
}

/// Says wrong passwords from this address, until they are not heard any more, and returns their
/// number. Each comes on a connection of its own.
fn guess(server: &Server, address: &str) -> usize {
    let wrong = |_: &usize| {
        let answer = try_join(&mut from_address(server, address), "guesser", "wrong");
        answer["code"] == "forbidden"
    };
    (0..100).take_while(wrong).count()
}

fn get(server: &Server, path: &str) -> String {
    let host = server.address;
    server.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

#[test]
fn join_needs_the_password_with_a_key_and_without() {
    let file = PasswordFile::new(format!("{WORD}\n"));
    let server = Server::start(&file.options());
    for key in [Value::Null, KEY.into()] {
        let mut client = Client::connect(&server);
        let mut join = |password: Value| {
            let mut line = json!({"type": "join", "id": "alice", "password": password});
            if !key.is_null() {
                line["key"] = key.clone();
            }
            client.say(line);
            client.hear()
        };
        let private = "this server is private and asks for its password";
        assert_answer(&join(Value::Null), "forbidden", private);
        assert_answer(&join("wrong".into()), "forbidden", "wrong password");
        assert_answer(&join(format!("{WORD}\n").into()), "forbidden", "wrong password");
        assert_answer(&join(WORD.into()), "joined", "");
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
}

#[test]
fn open_server_ignores_a_password() {
    let server = Server::start(&[]);
    for password in [json!("any"), json!(7), json!(null)] {
        let mut client = Client::connect(&server);
        let answer = try_join(&mut client, &format!("a-{password}").replace('"', ""), password);
        assert_answer(&answer, "joined", "");
    }
    assert!(get(&server, "/readyz").ends_with("\r\n\r\nok\n"));
}

#[test]
fn readyz_of_a_private_server_says_so() {
    let file = PasswordFile::new(WORD);
    let server = Server::start(&[&file.options()[..], &["--base", "/chat/"]].concat());
    for path in ["/readyz", "/chat/readyz"] {
        let answer = get(&server, path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok, private\n"), "{answer}");
    }
    assert!(get(&server, "/healthz").ends_with("\r\n\r\nok\n"));
}

#[test]
fn bad_password_file_is_one_sentence_and_exit_code_2() {
    let file = PasswordFile::new("");
    let check = |words: &str| {
        let output = sotto(&file.options()).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("sotto: --password-file: "), "{said}");
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
    };
    check("is empty");
    let contents: [(&[u8], &str); 3] = [
        (b"secret\nsecret\n", "more than one line"),
        (b"secret\xff", "is not UTF-8"),
        (&[b's'; 100_000], "more than 256 bytes"),
    ];
    for (content, words) in contents {
        file.write(content);
        check(words);
    }
    fs::remove_file(&file.0).expect("it is there");
    check("cannot be read: No such file");
    symlink("/dev/zero", &file.0).expect("a link");
    check("cannot be read: it is not a regular file");
    let output = sotto(&[]).env("SOTTO_PASSWORD_FILE", "/none").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn sighup_changes_the_password_and_open_clients_stay() {
    let file = PasswordFile::new(WORD);
    let mut watched = Watched::start(&file.options());
    let server = &watched.server;
    let [mut alice, mut bob] = [Client::connect(server), Client::connect(server)];
    assert_answer(&try_join(&mut alice, "alice", WORD), "joined", "");
    file.write("renewed\n");
    server.signal(Signal::HUP);
    server.wait_for_log("the password was read anew");
    assert_answer(&try_join(&mut bob, "bob", WORD), "forbidden", "wrong password");
    assert_answer(&try_join(&mut bob, "bob", "renewed"), "joined", "");
    // A bad file changes nothing.
    for (content, words) in [("", "is empty"), ("two\nlines", "more than one line")] {
        file.write(content);
        server.signal(Signal::HUP);
        let line = server.wait_for_log("the password stays as it was");
        assert!(line.starts_with("WARN") && line.contains(words), "{line}");
    }
    let mut carol = Client::connect(server);
    assert_answer(&try_join(&mut carol, "carol", ""), "forbidden", "wrong password");
    assert_answer(&try_join(&mut carol, "carol", "renewed"), "joined", "");
    alice.say(json!({"type": "send", "to": "bob", "body": "well?"}));
    assert_eq!(bob.hear_type("message")["body"], "well?");
    assert_eq!(watched.scrape()["sotto_reload_failures_total"], 2.0);
}

#[test]
fn guesses_are_limited_for_each_address() {
    let file = PasswordFile::new(WORD);
    let mut watched =
        Watched::start(&[&file.options()[..], &["--forwarded", "x-forwarded-for"]].concat());
    let server = &watched.server;
    assert_eq!(guess(server, "192.0.2.1"), 10);
    let answer = try_join(&mut from_address(server, "192.0.2.1"), "alice", WORD);
    let words = "too many wrong passwords came from your network: try again in a minute";
    assert_answer(&answer, "too_many", words);
    // An IPv6 network counts as one.
    assert_eq!(guess(server, "2001:db8::1"), 10);
    assert_eq!(guess(server, "2001:db8::2"), 0);
    for address in ["192.0.2.2", "2001:db8:0:1::1"] {
        let answer = try_join(&mut from_address(server, address), address, WORD);
        assert_answer(&answer, if address.contains(':') { "bad_id" } else { "joined" }, "");
    }
    let metrics = watched.scrape();
    assert_eq!(metrics["sotto_refusals_total{code=\"forbidden\"}"], 20.0);
    assert_eq!(metrics["sotto_refusals_total{code=\"too_many\"}"], 4.0);
    assert_eq!(metrics["sotto_limited_passwords_total"], 4.0);
}

#[test]
fn clients_of_this_machine_share_a_larger_limit() {
    let file = PasswordFile::new(WORD);
    let server = Server::start(&[&file.options()[..], &["--rate", "0"]].concat());
    let mut client = Client::connect(&server);
    let limited = (0..200).find(|_| try_join(&mut client, "a", "wrong")["code"] == "too_many");
    // One more may come each second meanwhile.
    assert!((100..110).contains(&limited.expect("a limit")), "{limited:?}");
}

#[test]
fn owner_joins_from_the_network_of_a_guesser() {
    let file = PasswordFile::new(WORD);
    let server =
        Server::start(&[&file.options()[..], &["--forwarded", "x-forwarded-for"]].concat());
    let join = |key: &str, password: &str| {
        let mut client = from_address(&server, "192.0.2.1");
        client.say(json!({"type": "join", "id": "alice", "key": key, "password": password}));
        (client.hear(), client)
    };
    let (answer, _alice) = join(KEY, WORD);
    assert_answer(&answer, "joined", "");
    assert_eq!(guess(&server, "192.0.2.1"), 10);
    assert_answer(&join("another key of 16", WORD).0, "too_many", "");
    assert_answer(&join(KEY, "wrong").0, "forbidden", "wrong password");
    let (answer, _alice) = join(KEY, WORD);
    assert_eq!(answer["resumed"], true, "{answer}");
}

#[test]
fn password_is_neither_in_the_log_nor_in_the_metrics() {
    let file = PasswordFile::new(WORD);
    let options = ["--log", "trace", "--log-ids", "--log-addresses", "--metrics", "127.0.0.1:0"];
    let mut server = Server::start(&[&options[..], &file.options()].concat());
    let mut log = server.log_until("metrics on http://");
    let metrics = log.last().and_then(|line| line.split_once("http://")?.1.split('/').next());
    let metrics = metrics.expect("an address").to_owned();
    let mut client = Client::connect(&server);
    let other = "zeppelin-kumquat-2846";
    assert_answer(&try_join(&mut client, "alice", other), "forbidden", "");
    client.say_text(&format!(r#"{{"type":"join","password":"{WORD}"}}"#));
    client.hear_error("bad_request");
    client.say_text(&format!(r#"{{"type":"join","password":"{WORD}"#));
    client.hear_error("bad_request");
    assert_answer(&try_join(&mut client, "alice", WORD), "joined", "");
    server.signal(Signal::HUP);
    log.extend(server.log_until("the password was read anew"));
    let mut scraper = TcpStream::connect(metrics).expect("it listens");
    scraper.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
    let mut text = String::new();
    scraper.read_to_string(&mut text).expect("an answer");
    assert!(text.contains("sotto_refusals_total{code=\"forbidden\"} 1\n"), "{text}");
    server.signal(Signal::TERM);
    client.hear_close();
    drop(client);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    log.extend(server.log_rest());
    assert!(log.iter().any(|line| line.starts_with("TRACE")), "{log:?}");
    assert!(log.iter().any(|line| line.contains("alice")), "the search works");
    for word in [WORD, other] {
        assert!(!log.iter().any(|line| line.contains(word)) && !text.contains(word), "{log:?}");
    }
}

#[cfg(feature = "peerjs")]
#[test]
fn private_server_refuses_peerjs_clients() {
    let file = PasswordFile::new(WORD);
    let server = Server::start(&[&file.options()[..], &["--peerjs", "/calls"]].concat());
    let path = "/calls/peerjs?key=peerjs&id=alice&token=t";
    let client = Client::ask(&server, server.connect(), path, "");
    let (lines, code) = client.unwrap_or_else(|head| panic!("{head}")).hear_close();
    assert!(lines[0].contains("this server is private") && code == 1000, "{lines:?} {code}");
}
