//! The server ends, the network is gone, the page is loaded again: nothing is lost, nothing is shown twice.

use rustix::process::Signal;
use serde_json::json;

use crate::page::hear_message;
use crate::support::{Client, Server};
use crate::webdriver::Browser;

#[test]
fn a_reload_keeps_history_id_and_drafts() {
    let server = Server::start(&[]);
    let alice = Browser::join(&server, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("kept of mine");
    bob.say(json!({"type": "send", "to": "alice", "body": "kept of yours"}));
    alice.wait_for_message("kept of yours");
    alice.wait_for_state("kept of mine", &["Sent"]);
    alice.enter("textbox", "Message", "half a thou");
    alice.reload();
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    alice.wait_for_message("kept of yours");
    assert_eq!(alice.told("kept…"), ["kept of mine", "kept of yours"]);
    alice.enter("textbox", "Message", "ght");
    alice.write("");
    let bodies = [hear_message(&mut bob), hear_message(&mut bob)].map(|line| line["body"].clone());
    assert_eq!(bodies, ["kept of mine", "half a thought"]);
}

#[test]
fn what_is_written_without_a_network_is_sent_when_it_is_back() {
    let server = Server::start(&[]);
    let alice = Browser::join(&server, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.network(false);
    alice.wait_for_text("status", "Offline…");
    for body in ["one", "two", "three"] {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    alice.network(true);
    alice.wait_for_text("status", "Connected");
    for body in ["one", "two", "three"] {
        alice.wait_for_state(body, &["Sent"]);
        assert_eq!(hear_message(&mut bob)["body"], body);
    }
}

#[test]
fn a_server_killed_in_the_middle_of_sending_loses_nothing_unsaid_and_repeats_nothing() {
    let server = Server::start(&[]);
    let [alice, bob] = ["alice", "bob"].map(|id| Browser::join(&server, id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    let before = ["before 1", "before 2", "before 3", "before 4", "before 5"];
    let while_down = ["while down 1", "while down 2", "while down 3"];
    alice.write(before[0]);
    alice.wait_for_state(before[0], &["Delivered", "Read"]);
    before[1..].iter().for_each(|body| alice.write(body));
    server.signal(Signal::KILL);
    for person in [&alice, &bob] {
        person.wait_for_text("status", "Reconnecting…");
    }
    // Bob comes back first. Else her messages are refused: the new server does not know of him.
    alice.network(false);
    for body in while_down {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    let address = server.address.to_string();
    drop(server);
    let _server = Server::start(&["--listen", &address]);
    bob.wait_for_text("status", "Connected");
    alice.network(true);
    for body in while_down {
        alice.wait_for_state(body, &["Delivered", "Read"]);
    }
    assert_eq!(bob.told("while down…"), while_down);
    let arrived = bob.told("before…");
    for body in before {
        let times = arrived.iter().filter(|told| *told == body).count();
        let state = alice.beside(body);
        // What the server took and had not brought to him died with it. She is told, or has at least no tick for it.
        let told = ["Failed", "lost", "Sent"].iter().any(|doubt| state.contains(doubt));
        assert!(times == 1 || times == 0 && told, "{body}: arrived {times} times, shown as {state}");
    }
}
