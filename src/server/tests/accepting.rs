//! Connections over a quota, which are answered 503 or dropped.

use super::*;
use crate::limits::LINGER;
use crate::net::proxies::Proxies;

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

fn proxies(forwarding: Forwarding) -> Proxies {
    Proxies { forwarding: Some(forwarding), trusted: Vec::new() }
}

#[test]
fn connection_of_a_proxy_counts_for_the_client_that_it_tells() {
    let mut play = Play::with(100, |config| config.per_address = 1);
    play.server.shared.proxies = proxies(Forwarding::XForwardedFor);
    let mut ask = |peer: &str, client: &str| {
        let connection = play.connect_from(peer);
        let field = format!("X-Forwarded-For: {client}\r\n\r\n");
        connection
            .send_bytes(HANDSHAKE.replacen("\r\n\r\n", &format!("\r\n{field}"), 1).as_bytes());
        play.run();
        let answer = String::from_utf8_lossy(&connection.read()).into_owned();
        (connection, answer.contains("101 Switching"))
    };
    let (first, upgraded) = ask("127.0.0.1", "192.0.2.1");
    assert!(upgraded);
    assert!(!ask("127.0.0.1", "192.0.2.1").1, "its second connection");
    assert!(ask("127.0.0.1", "192.0.2.2").1, "another client of the same proxy");
    // Its own address counts for a peer that is not trusted, whatever it tells.
    assert!(ask("198.51.100.1", "192.0.2.3").1);
    assert!(!ask("198.51.100.1", "192.0.2.4").1);
    first.end();
    assert!(ask("127.0.0.1", "192.0.2.9").1);
    assert!(ask("127.0.0.1", "192.0.2.1").1, "the place of the first is free");
}

#[test]
fn preamble_is_expected_of_trusted_proxies_to_the_page_only() {
    let mut play = Play::new();
    let [trusted, other] = ["127.0.0.1", "192.0.2.1"].map(|peer| peer.parse().ok());
    let expects = |play: &Play, peer, view| play.server.expects_preamble(peer, view);
    assert!(!expects(&play, trusted, View::Page));
    play.server.shared.proxies = proxies(Forwarding::XForwardedFor);
    assert!(!expects(&play, trusted, View::Page));
    play.server.shared.proxies = proxies(Forwarding::ProxyProtocol);
    assert!(expects(&play, trusted, View::Page) && expects(&play, None, View::Redirect));
    assert!(!expects(&play, other, View::Page) && !expects(&play, trusted, View::Metrics));
}
