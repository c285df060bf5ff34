//! One address that takes as much as it can, over the wire, and the others that go on.

use super::*;
use crate::limits::{
    CLAIMS_AT_ONCE, HELD_BYTES, INCOMPLETE_BYTES_TOTAL, LINE_BYTES_ADDED, PAYER_SHARES,
};

/// An address from which nothing good comes, and others.
const MALLORY: &str = "192.0.2.1";
const OTHERS: [&str; 2] = ["2001:db8::1", "2001:db8:0:1::1"];

impl Play {
    /// Connects a client from an address, joins with a key, and returns the answer.
    fn join_from(&mut self, address: &str, id: &str) -> (Client, String) {
        let client = self.connect_from(address);
        client.send_bytes(HANDSHAKE.as_bytes());
        self.run();
        client.read();
        client.send_text(&join_with_key(id));
        self.run();
        let answer = client.receive().concat();
        (client, answer)
    }

    /// Sends a text, and returns the lines of the answer.
    fn ask(&mut self, client: &Client, text: &str) -> Vec<String> {
        client.send_text(text);
        self.run();
        client.receive().iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
    }
}

#[test]
fn address_that_fills_held_messages_does_not_stop_others() {
    let mut play = Play::with(100, |config| (config.held, config.held_total) = (150_000, 2 << 20));
    // Ids from here are exempt, so the address can have more of them than it could claim.
    for n in 0..40 {
        let (away, _) = play.join_from("127.0.0.1", &format!("away{n}"));
        away.end();
    }
    let (mallory, _) = play.join_from(MALLORY, "mallory");
    let mut refused = 0;
    for n in 0..400 {
        let answer = play.ask(&mallory, &send(&format!("away{}", n % 40), &"x".repeat(1000)));
        refused += answer.iter().filter(|line| line.contains(r#""code":"full""#)).count();
    }
    let held = play.server.hub.held_bytes();
    assert!(refused > 100 && held <= (2 << 20) / 8, "{refused} refused, {held} bytes held");
    let [alice, bob] = ["alice", "bob"].map(|id| play.join_from(OTHERS[0], id).0);
    assert!(play.ask(&alice, &send("bob", "hello")).is_empty());
    assert_eq!(bob.receive().len(), 1);
    // A friend of an absent person, from elsewhere, finds room in the queue that mallory filled.
    assert!(play.ask(&alice, &send("away1", "hello")).is_empty());
}

#[test]
fn address_claims_20_ids_whatever_its_connections() {
    let mut play = Play::new();
    let claim = |play: &mut Play, address: &str, n: usize| {
        let (client, answer) = play.join_from(address, &format!("id{n}"));
        client.end();
        play.run();
        answer.contains("joined")
    };
    let claimed = (0..40).filter(|n| claim(&mut play, MALLORY, *n)).count();
    assert_eq!(claimed, CLAIMS_AT_ONCE as usize);
    assert!(claim(&mut play, OTHERS[0], 1001) && claim(&mut play, OTHERS[1], 1002));
    assert_eq!((2000..2040).filter(|n| claim(&mut play, "127.0.0.1", *n)).count(), 40);
}

#[test]
fn longest_message_is_held_with_the_least_values() {
    for max_message in [512, 65_536] {
        let mut config = Config { max_message, rate: 0, ..Config::default() };
        let held_one = max_message + HELD_BYTES + LINE_BYTES_ADDED;
        (config.held, config.held_total) = (2 * held_one, 16 * held_one);
        assert_eq!(config.check(), Ok(()));
        let mut play = Play::with(10, |changed| *changed = config);
        // With the longest ids, and the shortest line.
        let (alice, answer) = play.join_from(OTHERS[0], &"a".repeat(64));
        assert!(answer.contains("joined"), "{answer}");
        let (bob, _) = play.join_from(OTHERS[1], "b");
        bob.end();
        play.run();
        let line = |body: usize| send("b", &"x".repeat(body));
        let body = max_message - line(0).len();
        assert_eq!(play.ask(&alice, &line(body)), [""; 0], "{max_message}");
        assert!(play.server.hub.held_bytes() > max_message);
    }
}

#[test]
fn household_has_64_connections_and_a_proxy_has_all() {
    let mut play = Play::with(200, |_| {});
    let clients: Vec<Client> = (0..65).map(|_| play.connect_from(MALLORY)).collect();
    let proxied: Vec<Client> = (0..65).map(|_| play.connect_from("::1")).collect();
    let all = || clients.iter().chain(&proxied);
    all().for_each(|client| client.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    play.run();
    let answers: Vec<Vec<u8>> = all().map(Client::read).collect();
    let refused = answers.iter().map(|answer| answer.starts_with(b"HTTP/1.1 503 "));
    assert_eq!(refused.enumerate().filter(|(_, is)| *is).map(|(n, _)| n).collect::<Vec<_>>(), [64]);
}

#[test]
fn lists_are_paid_for_by_their_length() {
    let mut play = Play::with(100, |config| (config.rate, config.burst) = (100, 1000));
    let ids: Vec<String> = (0..256).map(|n| format!(r#""id{n}""#)).collect();
    let list = format!(r#"{{"type":"watch","ids":[{}]}}"#, ids.join(","));
    // Each read takes many lists, but one read is all that a burst allows.
    let [mallory] = play.join(["mallory"]);
    mallory.send_bytes(&frame(TEXT, list.as_bytes()).repeat(100));
    let mut answers = 0;
    for _ in 0..10 {
        play.run();
        answers += count_lines(&mallory.receive());
        play.pass(SECOND);
    }
    let per_read = READ_BYTES / list.len() * 256;
    assert!(answers <= 1000 + 100 * 10 + per_read, "{answers} ids in ten seconds");
}

#[test]
fn address_has_a_part_of_all_incomplete_input() {
    let mut play = Play::with(400, |config| config.per_address = 0);
    let part = INCOMPLETE_BYTES_TOTAL / PAYER_SHARES;
    let begun = &frame(TEXT, &[b'x'; 60_000])[..50_000];
    let begin = |play: &mut Play, address: &str| {
        let (client, _) = play.join_from(address, &format!("id{}", play.server.len()));
        client.send_bytes(begun);
        play.run();
        client
    };
    let mut clients: Vec<Client> =
        (0..part / begun.len()).map(|_| begin(&mut play, MALLORY)).collect();
    assert!(clients.iter().all(|client| !client.is_dropped()));
    assert!(begin(&mut play, MALLORY).is_dropped(), "one more than its part");
    assert!(!begin(&mut play, OTHERS[0]).is_dropped());
    clients.pop().expect("it has some").end();
    play.run();
    assert!(!begin(&mut play, MALLORY).is_dropped(), "the part of an ended one is free");
}
