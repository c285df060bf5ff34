//! The steps for learners in `examples/steps/`, each in JavaScript and in Python: as they lie there,
//! against this server.

use std::process::Command;

use crate::conformance::python;
use crate::support::Server;

/// Runs a step, and checks the lines that it prints. Step 1 may print one more, as soon as its
/// answer comes.
#[track_caller]
fn check(step: &str, expected: &[&str]) {
    let server = Server::start(&[]);
    let url = format!("ws://{}/ws", server.address);
    let file = |ending| format!("{}/examples/steps/{step}.{ending}", env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.args(["--experimental-websocket", "--no-warnings", &file("mjs")]);
    let mut python = Command::new(python());
    python.arg(file("py"));
    for mut program in [node, python] {
        let output = program.arg(&url).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{program:?}: {error}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let said: Vec<&str> = text.lines().filter(|line| *line != "taken").collect();
        assert_eq!(said, expected, "{program:?}");
    }
}

#[test]
fn step_1_gets_its_own_message_back() {
    check("1-echo", &["got: hello"]);
}

#[test]
fn step_2_gets_an_answer_and_a_refusal() {
    check("2-ids", &["bob got: hello", "alice got: hello to you", "refused: offline"]);
}

#[test]
fn step_3_finds_the_message_that_waited() {
    let waits = "bob is away, and the message waits";
    check("3-held", &[waits, "resumed: true, waiting: 1", "alice wrote: call me"]);
}

#[test]
fn step_4_handles_a_repeated_message_once() {
    check(
        "4-acknowledged",
        &[
            "bob handled: pay 5",
            "bob knows it, and acknowledges it",
            "alice knows that it was delivered",
        ],
    );
}
