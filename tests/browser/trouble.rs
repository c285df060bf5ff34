//! The server ends, the network goes, the page is loaded again: no message is lost or shown twice.

use rustix::process::Signal;
use serde_json::json;

use crate::page::next_message;
use crate::support::{Client, Server};
use crate::webdriver::Browser;
use crate::wire::Wire;

#[test]
fn reload_keeps_history_id_and_drafts() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
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
    assert_eq!(
        [next_message(&mut bob), next_message(&mut bob)],
        ["kept of mine", "half a thought"]
    );
}

#[test]
fn messages_written_without_a_network_are_sent_later() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    wire.cut();
    alice.tell_network(false);
    alice.wait_for_text("status", "Offline…");
    for body in ["one", "two", "three"] {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    wire.mend();
    alice.tell_network(true);
    alice.wait_for_text("status", "Connected");
    for body in ["one", "two", "three"] {
        alice.wait_for_state(body, &["Sent"]);
        assert_eq!(next_message(&mut bob), body);
    }
}

#[test]
fn page_tells_that_the_server_is_full() {
    let server = Server::start(&["--max-clients", "12", "--join-timeout", "600"]);
    let without_clients = server.descriptors();
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    wire.cut();
    // Until the server hears of the cut, her place is not free for others.
    server.wait_for_descriptors(without_clients);
    let others: Vec<_> = (0..12).map(|_| server.connect()).collect();
    server.wait_for_descriptors(without_clients + others.len());
    wire.mend();
    alice.wait_for_text("status", "Reconnecting: the server is full");
    drop(others);
    alice.wait_for_text("status", "Connected");
}

#[test]
fn killed_server_loses_no_message_untold_and_repeats_none() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let [alice, bob] = [(wire.address, "alice"), (server.address, "bob")]
        .map(|(address, id)| Browser::join(address, id));
    alice.chat_with("bob");
    bob.chat_with("alice");
    alice.write("before");
    alice.wait_for_state("before", &["Delivered", "Read"]);
    let caught = ["caught 1", "caught 2", "caught 3"];
    let while_down = ["while down 1", "while down 2", "while down 3"];
    server.signal(Signal::STOP);
    for body in caught {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    server.signal(Signal::KILL);
    for person in [&alice, &bob] {
        person.wait_for_text("status", "Reconnecting…");
    }
    // Bob comes back first. Otherwise the new server, which does not know him yet, refuses them.
    wire.cut();
    for body in while_down {
        alice.write(body);
        alice.wait_for_state(body, &["Sending"]);
    }
    let address = server.address.to_string();
    drop(server);
    let _server = Server::start(&["--listen", &address]);
    bob.wait_for_text("status", "Connected");
    wire.mend();
    for body in while_down {
        alice.wait_for_state(body, &["Delivered", "Read"]);
    }
    assert_eq!(bob.told("while down…"), while_down);
    assert_eq!(bob.told("before"), ["before"]);
    // The fate of these is unknown. Either they arrived, once, or her page says they may be lost.
    for body in caught {
        alice.wait_for_state(body, &["Failed", "lost", "Delivered", "Read"]);
        let state = alice.beside(body);
        let arrived = bob.told(body).len();
        let told = state.contains("Failed") || state.contains("lost");
        assert!(
            arrived == 1 || arrived == 0 && told,
            "{body} arrived {arrived} times, and shows {state}"
        );
    }
}
