//! How a server starts, and how it refuses to.

use std::io::{Read, Write};

use crate::support::{Server, Wire, sotto};

/// Starts a program that has to end with this exit code, and returns its standard error.
fn refused(options: &[&str], code: i32) -> String {
    let output = sotto(options).output().expect("it runs");
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn bad_option_is_one_sentence_and_exit_code_2() {
    let said = refused(&["--max-message", "many"], 2);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("sotto: --max-message: \"many\""), "{said}");
}

#[test]
fn address_in_use_is_one_sentence_and_exit_code_1() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let said = refused(&["--listen", &address, "--log", "off"], 1);
    assert!(said.starts_with(&format!("sotto: cannot listen on {address}: ")), "{said}");
}

#[test]
fn help_goes_to_standard_output() {
    for option in ["--help", "-h"] {
        let output = sotto(&[option]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).expect("UTF-8").contains("--listen"));
    }
}

#[test]
fn bad_variable_is_refused_like_a_bad_option() {
    let mut command = sotto(&["--listen", "127.0.0.1:0"]);
    let output = command.env("SOTTO_PING", "0").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn unknown_variable_is_named_in_the_log_and_stops_nothing() {
    let server = Server::start(&[]);
    // The address is in use, so the program gets as far as listening and ends there.
    let mut command = sotto(&["--listen", &server.address.to_string()]);
    let output = command.env("SOTTO_PIN", "1").output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().next().is_some_and(|line| line.contains("SOTTO_PIN")), "{said}");
    assert!(said.contains("sotto: cannot listen on "), "{said}");
}

#[test]
fn listening_line_comes_whatever_the_log_level() {
    // Server::start waits for the line.
    drop(Server::start(&["--log", "off"]));
}

#[test]
fn server_listens_at_each_address() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    // `Server::start` has named an address, too, and waited for it.
    let second = server.wait_for_log("listening on ");
    let address = second.rsplit_once("://").expect("an address").1;
    let address = address.trim_end_matches('/').parse().expect("an address");
    assert_ne!(server.address, address);
    for address in [server.address, address] {
        let mut wire = server.enter(Wire::plain(address));
        wire.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        wire.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
}

#[test]
fn check_is_exit_code_0_or_2_and_starts_no_server() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let good = sotto(&["--check", "--listen", &address]).output().expect("it runs");
    assert_eq!((good.status.code(), good.stderr.as_slice()), (Some(0), &b""[..]));
    let said = refused(&["--check", "--ping", "40"], 2);
    assert!(said.starts_with("sotto: --timeout must be greater"), "{said}");
    if cfg!(feature = "store") {
        let said = refused(&["--check", "--store", "/nowhere/at/all"], 2);
        assert!(said.starts_with("sotto: /nowhere/at is not a folder"), "{said}");
    }
}
