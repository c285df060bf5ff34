//! The lines of the log about joins: what they name, and that programs can rely on them.

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
    use std::io::Write;

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
