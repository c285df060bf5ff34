//! The server ends, the network goes, the page is loaded again: no message is lost or shown twice.

use rustix::process::Signal;
use serde_json::json;

use crate::page::{home, next_message};
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};
use crate::wire::Wire;

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

#[test]
fn stopped_server_without_a_store_tells_what_may_be_lost() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    Client::join_owned(&server, "bob", "0123456789abcdef").0.cut();
    alice.chat_with("bob");
    alice.write("held in memory");
    alice.wait_for_state("held in memory", &["Sent"]);
    let address = server.address.to_string();
    server.signal(Signal::TERM);
    alice.wait_for_text("status", "Reconnecting: the server is restarting");
    drop(server);
    let _server = Server::start(&["--listen", &address]);
    alice.wait_for_text("status", "Connected");
    alice.wait_for_text("alert", "The server restarted, or you were away too long…");
    alice.wait_for_state("held in memory", &["Sent, but may be lost"]);
    alice.find("button", "Retry");
}

#[test]
fn message_arrives_once_though_the_first_joined_is_lost() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    let (mut bob, _) = Client::join_owned(&server, "bob", "0123456789abcdef");
    alice.chat_with("bob");
    alice.write("before");
    alice.wait_for_state("before", &["Sent"]);
    assert_eq!(next_message(&mut bob), "before");
    wire.deafen();
    alice.write("unanswered");
    assert_eq!(next_message(&mut bob), "unanswered");
    let address = server.address.to_string();
    server.signal(Signal::KILL);
    drop(server);
    let server = Server::start(&["--listen", &address]);
    let (mut bob, _) = Client::join_owned(&server, "bob", "0123456789abcdef");
    bob.say(json!({"type": "watch", "ids": ["alice"]}));
    // The server has answered her `join` as the first one that it knows.
    while bob.hear_type("presence")["online"] != true {}
    wire.cut();
    wire.mend();
    alice.wait_for_text("status", "Connected");
    alice.wait_for_text("alert", "The server restarted, or you were away too long…");
    alice.wait_for_state("before", &["Sent, but may be lost"]);
    alice.wait_for_state("unanswered", &["Failed"]);
    alice.write("after");
    assert_eq!(next_message(&mut bob), "after");
}

#[test]
fn message_in_a_flow_that_swallows_bytes_arrives_once() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let alice = Browser::join(wire.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("before");
    alice.wait_for_state("before", &["Sent"]);
    wire.swallow();
    alice.write("swallowed");
    // A NAT that has lost its table knows new connections, but says nothing about the old ones.
    wire.mend();
    alice.wait_for_state("swallowed", &["Sent"]);
    alice.write("after");
    assert_eq!(
        [next_message(&mut bob), next_message(&mut bob), next_message(&mut bob)],
        ["before", "swallowed", "after"]
    );
}

#[test]
fn expired_messages_arrive_in_order_once_their_peer_is_back() {
    let server = Server::start(&["--hold", "1"]);
    let (mut bob, _) = Client::join_owned(&server, "bob", "0123456789abcdef");
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    bob.cut();
    for body in ["one", "two", "three"] {
        alice.write(body);
    }
    for body in ["one", "two", "three"] {
        alice.wait_for_state(body, &["Waiting for bob since"]);
    }
    let last = alice.all("button", "Withdraw…").pop().expect("a button");
    assert!(alice.try_act(&last, "click", &json!({})));
    alice.wait_for_state("three", &["Withdrawn"]);
    alice.write("four");
    alice.reload();
    alice.open("bob…");
    alice.wait_for_state("one", &["Waiting"]);
    let (mut bob, _) = Client::join_owned(&server, "bob", "fedcba9876543210");
    for body in ["one", "two", "four"] {
        assert_eq!(next_message(&mut bob), body);
        alice.wait_for_state(body, &["Sent"]);
    }
    alice.wait_for_state("three", &["Withdrawn"]);
}

/// Puts off the opening of the database until `letOpen` is called, if the tab was told so.
const LATE_DATABASE: &str = "
    const { open } = IDBFactory.prototype;
    const late = [];
    globalThis.letOpen = () => late.splice(0).forEach((go) => go());
    if (sessionStorage.late) IDBFactory.prototype.open = (...given) => {
      const played = {};
      late.push(() => {
        const real = open.apply(indexedDB, given);
        for (const name of ['onupgradeneeded', 'onsuccess', 'onerror']) {
          real[name] = () => {
            played.result = real.result;
            played[name]();
          };
        }
      });
      return played;
    };";

#[test]
fn database_that_opens_late_is_taken_up_when_it_comes() {
    let server = Server::start(&[]);
    let wire = Wire::with_script(server.address, LATE_DATABASE);
    let alice = Browser::join(wire.address, "alice");
    let mut bob = Client::join(&server, "bob");
    alice.chat_with("bob");
    alice.write("kept");
    alice.wait_for_state("kept", &["Sent"]);
    alice.run("sessionStorage.late = '1';", json!([]));
    alice.reload();
    alice.wait_for_text("status", "Connected");
    assert_eq!(alice.told("kept").len(), 0);
    bob.say(json!({"type": "send", "to": "alice", "body": "meanwhile", "ref": "1"}));
    alice.wait_for_message("meanwhile");
    alice.run("letOpen();", json!([]));
    while bob.hear()["type"] != "delivered" {}
    alice.wait_for_message("kept");
    let told = alice.told("…");
    let place = |body: &str| told.iter().position(|text| text == body);
    assert!(place("kept") < place("meanwhile"), "{told:?}");
}

#[test]
fn killed_tab_has_what_it_acknowledged() {
    let server = Server::start(&[]);
    let alice = Browser::join(server.address, "alice");
    let (mut bob, _) = Client::join_owned(&server, "bob", "0123456789abcdef");
    let first = alice.tab();
    let second = alice.new_tab();
    alice.turn_to(&first);
    for body in ["one", "two", "three"] {
        bob.say(json!({"type": "send", "to": "alice", "body": body, "ref": body}));
        while bob.hear()["type"] != "delivered" {}
    }
    alice.crash_tab();
    alice.turn_to(&second);
    alice.go(&home(server.address));
    alice.wait_for_text("status", "Connected");
    alice.open("bob…");
    for body in ["one", "two", "three"] {
        alice.wait_for_message(body);
        assert_eq!(alice.told(body).len(), 1);
    }
}

#[test]
fn reload_with_cookies_blocked_keeps_the_id() {
    let refusing = "
        for (const name of ['localStorage', 'sessionStorage']) {
          Object.defineProperty(globalThis, name, {
            get() { throw new DOMException('played', 'SecurityError'); },
          });
        }";
    let server = Server::start(&[]);
    let wire = Wire::with_script(server.address, refusing);
    let alice = Browser::join(wire.address, "alice");
    alice.chat_with("bob");
    for _ in 0..2 {
        alice.reload();
        alice.wait_for_text("status", "Connected");
        alice.find("heading", "alice");
        alice.find("heading", "bob");
    }
}

#[test]
fn first_join_without_a_server_can_be_given_up() {
    let server = Server::start(&[]);
    let wire = Wire::to(server.address);
    let alice = Browser::visit(wire.address);
    wire.cut();
    alice.enter("textbox", "Your ID", "alice");
    alice.click("button", "Join");
    alice.wait_for_text("status", "Can’t reach the server…");
    alice.click("button", "Cancel");
    alice.wait_until_gone("button", "Cancel");
    assert!(alice.texts("status").iter().all(String::is_empty));
    wire.mend();
    // The id stays, to be edited.
    alice.join_as("2");
    alice.find("heading", "alice2");
}

#[test]
fn refused_id_stays_remembered_and_is_tried_again() {
    let server = Server::start(&["--hold", "1"]);
    let alice = Browser::join(server.address, "alice");
    alice.chat_with("bob");
    alice.go("about:blank");
    let other = wait_for("free id", || {
        let mut other = Client::connect(&server);
        other.say(json!({"type": "join", "id": "alice"}));
        (other.hear()["type"] == "joined").then_some(other)
    });
    for _ in 0..2 {
        alice.go(&home(server.address));
        alice.wait_for_text("alert", "alice is in use by someone else…");
        alice.find("button", "Try again");
    }
    drop(other);
    wait_for("another try that succeeds", || {
        let again = alice.all("button", "Try again").pop();
        again.map(|button| alice.try_act(&button, "click", &json!({})));
        alice.texts("status").contains(&"Connected".to_owned()).then_some(())
    });
    alice.open("bob…");
    alice.reload();
    alice.wait_for_text("status", "Connected");
}
