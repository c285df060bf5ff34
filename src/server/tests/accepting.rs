//! Connections over a quota, which are answered 503 or dropped.

use super::*;
use crate::limits::LINGER;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn connection_over_the_maximum_gets_503_and_a_crowd_is_dropped() {
    let mut play = Play::with(2, |_| {});
    let [alice, _bob] = play.join(["alice", "bob"]);
    let refused: Vec<Client> = (0..REFUSALS_MAX).map(|_| play.connect()).collect();
    refused.iter().for_each(|client| client.send_bytes(REQUEST));
    assert!(play.connect().is_dropped());
    assert_eq!(play.server.counters.accept_failures, 1);
    play.run();
    for client in &refused {
        assert!(client.read().starts_with(b"HTTP/1.1 503 "));
    }
    play.pass(LINGER);
    play.run();
    assert_eq!(play.server.len(), 2);
    alice.end();
    play.run();
    play.join(["carol"]);
}

#[test]
fn connection_over_the_quota_of_its_address_gets_503() {
    let mut play = Play::with(100, |config| config.per_address = 2);
    let first = play.connect_from("2001:db8::1");
    play.connect_from("2001:db8::2");
    let refused = play.connect_from("2001:db8::3");
    refused.send_bytes(REQUEST);
    let other = play.connect_from("2001:db8:0:1::1");
    play.run();
    assert!(refused.read().starts_with(b"HTTP/1.1 503 "));
    assert!(other.read().is_empty());
    // A refused connection frees no slot of its address when it ends; an accepted one does.
    refused.end();
    play.run();
    let refused = play.connect_from("2001:db8::3");
    refused.send_bytes(REQUEST);
    first.end();
    play.run();
    assert!(refused.read().starts_with(b"HTTP/1.1 503 ") && first.is_dropped());
    let next = play.connect_from("2001:db8::3");
    play.run();
    assert!(next.read().is_empty());
}
