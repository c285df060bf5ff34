//! How a server starts, or does not.

use crate::support::{Server, sotto};

fn refused(options: &[&str], code: i32) -> String {
    let output = sotto(options).output().expect("it runs");
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn a_bad_option_is_one_sentence_and_exit_code_2() {
    let said = refused(&["--max-message", "many"], 2);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("sotto: --max-message: \"many\""), "{said}");
}

#[test]
fn an_address_in_use_is_one_sentence_and_exit_code_1() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let said = refused(&["--listen", &address, "--log", "off"], 1);
    assert!(said.starts_with(&format!("sotto: cannot listen on {address}: ")), "{said}");
}

#[test]
fn the_environment_chooses_too_and_the_listening_line_comes_whatever_the_log_says() {
    let mut command = sotto(&["--help"]);
    let help = String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8");
    assert!(help.contains("--listen"));
    let mut command = sotto(&["--listen", "127.0.0.1:0"]);
    let output = command.env("SOTTO_PING", "0").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    // Server::start waits for the line.
    drop(Server::start(&["--log", "off"]));
}
