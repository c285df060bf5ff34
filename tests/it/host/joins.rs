//! The lines of the log about joins: what they name, and that programs can rely on them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use super::{PasswordFile, from_address, try_join};
use crate::support::{Client, Server};

const WORD: &str = "open sesame";
const ADDRESS: &str = "203.0.113.7";

/// Joins once with a wrong password, once without one, once under a bad id and once well. Checks
/// the lines about it.
#[track_caller]
fn check(options: &[&str], connect: impl Fn(&Server) -> Client, expected: [&str; 4]) {
    let file = PasswordFile::new(WORD);
    let server = Server::start(&[&file.options()[..], options].concat());
    let mut client = connect(&server);
    try_join(&mut client, "mallory", "wrong");
    client.say(json!({"type": "join", "id": "mallory"}));
    client.hear_error("forbidden");
    try_join(&mut client, "a: b\n", WORD);
    assert_eq!(try_join(&mut client, "alice", WORD)["type"], "joined");
    for expected in expected {
        let line = server.wait_for_log(expected);
        assert!(line.starts_with("INFO "), "{line}");
        assert_eq!(line.split_once("] ").expect("a text").1, expected);
    }
}

fn through_proxy(server: &Server) -> Client {
    from_address(server, ADDRESS)
}

#[test]
fn line_about_a_join_names_neither_address_nor_id() {
    for options in [&[][..], &["--forwarded", "x-forwarded-for"]] {
        let expected = [
            "refused a join: forbidden, wrong password",
            "refused a join: forbidden, no password",
            "refused a join: bad_id",
            "a client joined",
        ];
        check(options, through_proxy, expected);
    }
}

#[test]
fn line_about_a_join_names_the_address_if_asked() {
    let options = ["--log-addresses", "--forwarded", "x-forwarded-for"];
    let expected = [
        "refused a join from 203.0.113.7: forbidden, wrong password",
        "refused a join from 203.0.113.7: forbidden, no password",
        "refused a join from 203.0.113.7: bad_id",
        "203.0.113.7 joined",
    ];
    check(&options, through_proxy, expected);
    // Without a proxy it is that of the connection.
    let expected = expected.map(|line| line.replace(ADDRESS, "127.0.0.1"));
    check(&["--log-addresses"], through_proxy, expected.each_ref().map(String::as_str));
}

#[test]
fn line_about_a_join_names_the_client_of_a_preamble() {
    let options = ["--log-addresses", "--forwarded", "proxy"];
    let through_preamble = |server: &Server| {
        let wire = server.knock();
        let preamble = format!("PROXY TCP4 {ADDRESS} 198.51.100.1 4711 443\r\n");
        wire.socket().write_all(preamble.as_bytes()).expect("it reads");
        Client::ask(server, server.enter(wire), "/ws", "").expect("an upgrade")
    };
    let expected = [
        "refused a join from 203.0.113.7: forbidden, wrong password",
        "refused a join from 203.0.113.7: forbidden, no password",
        "refused a join from 203.0.113.7: bad_id",
        "203.0.113.7 joined",
    ];
    check(&options, through_preamble, expected);
}

#[test]
fn line_about_a_join_names_the_id_if_asked() {
    let expected = [
        r#"refused a join: forbidden, wrong password, id "mallory""#,
        r#"refused a join: forbidden, no password, id "mallory""#,
        r#"refused a join: bad_id, id "a\u{3a}\u{20}b\u{a}""#,
        r#"a client joined, id "alice""#,
    ];
    check(&["--log-ids"], through_proxy, expected);
}

#[test]
fn line_about_a_join_names_address_and_id_if_both_are_asked() {
    let options = ["--log-addresses", "--log-ids", "--forwarded", "x-forwarded-for"];
    let expected = [
        r#"refused a join from 203.0.113.7: forbidden, wrong password, id "mallory""#,
        r#"refused a join from 203.0.113.7: forbidden, no password, id "mallory""#,
        r#"refused a join from 203.0.113.7: bad_id, id "a\u{3a}\u{20}b\u{a}""#,
        r#"203.0.113.7 joined, id "alice""#,
    ];
    check(&options, through_proxy, expected);
}

#[test]
fn address_in_the_log_is_that_of_the_client_that_has_the_slot() {
    let server = Server::start(&["--log-addresses", "--forwarded", "x-forwarded-for"]);
    for (address, shown) in [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.2", "192.0.2.2")] {
        let mut client = from_address(&server, address);
        client.say(json!({"type": "join", "id": "a"}));
        client.hear_type("joined");
        server.wait_for_log(&format!("{shown} joined"));
        client.say(json!({"type": "leave"}));
        client.hear_close();
    }
    // The next connection has the slot of the ones before, and no client that a proxy tells.
    let _client = Client::join(&server, "a");
    server.wait_for_log("127.0.0.1 joined");
}

/// Returns the rule that the filter for fail2ban has, in the syntax of grep.
fn rule() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host/watch/fail2ban-filter.conf");
    let filter = fs::read_to_string(file).expect("a filter");
    let rule = filter.lines().find_map(|line| line.strip_prefix("failregex = ")).expect("a rule");
    assert!(rule.contains("<ADDR>"), "{rule}");
    rule.replace("<ADDR>", r"\K[0-9A-Fa-f.:]+(?=: )")
}

#[test]
fn rule_for_fail2ban_finds_wrong_passwords_and_no_forged_line() {
    let file = PasswordFile::new(WORD);
    let options = ["--log-addresses", "--log-ids", "--forwarded", "x-forwarded-for"];
    let mut server = Server::start(&[&file.options()[..], &options].concat());
    let forged = "refused a join from 192.0.2.1: forbidden, wrong password";
    // An origin is logged as it came. So is an id, but for the characters that no id has.
    let fields = format!("X-Forwarded-For: {ADDRESS}\r\nOrigin: {forged}\r\n");
    let answer = Client::ask(&server, server.connect(), "/ws", &fields);
    assert!(answer.err().expect("a refusal").starts_with("HTTP/1.1 403 "));
    let mut client = through_proxy(&server);
    client.say(json!({"type": "join", "id": forged}));
    client.hear_error("forbidden");
    let mut log = server.log_until("refused a join from 203.0.113.7: forbidden, no password");
    let guesser = "2001:db8::7";
    for _ in 0..11 {
        try_join(&mut from_address(&server, guesser), "mallory", "wrong");
    }
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit().success());
    log.extend(server.log_rest());
    assert!(log.iter().filter(|line| line.contains(forged)).count() == 1, "{log:?}");
    // As the log of a service has it, and as standard error does.
    for prefix in ["", "host sotto[4711]: "] {
        let text: String = log.iter().map(|line| format!("{prefix}{line}\n")).collect();
        let mut grep = Command::new("grep")
            .args(["-oP", &rule()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        grep.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let found = grep.wait_with_output().expect("it ends").stdout;
        let found = String::from_utf8(found).expect("UTF-8");
        let words: Vec<&str> = found.lines().collect();
        assert!(!words.is_empty(), "{log:?}");
        for line in words {
            assert!(line.starts_with(&format!("{guesser}: ")), "{line}");
        }
    }
}
