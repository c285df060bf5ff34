//! Calls of backends: messages in the name of an id without a connection.

use super::*;
use crate::chat::owners::Fate;
use crate::chat::protocol::Post;
use crate::limits::SENDS_MAX;

impl<J: Journal> Chat<J> {
    /// Has a backend with this key send a message from `shop`, and collects the lines of clients.
    fn post(&mut self, key: &str, to: &str, reference: &str) -> Result<Posted, ErrorCode> {
        let post = Post {
            from: "shop".into(),
            to: to.into(),
            body: r#""hi""#,
            reference: (!reference.is_empty()).then(|| reference.into()),
        };
        let keys = [key, "an earlier key of the same backend"].map(str::to_owned);
        // The token of the backend's connection, which no client has.
        let caller = Token::new(9999, 1);
        let posted = self.hub.post(caller, &post, &keys, self.now);
        self.collect();
        self.hub.check_tables();
        posted.map_err(|refused| refused.code)
    }

    fn count(&mut self, to: &str, reference: &str) -> u64 {
        self.post(KEY, to, reference).expect("it is taken").mid.count
    }

    fn is_owned(&self, id: &str) -> bool {
        self.hub.ids.contains_key(id)
    }
}

const KEY: &str = "the key of a backend";

/// Returns the `message` line from `shop` with this mid.
fn message(mid: u64) -> String {
    format!(r#"{{"type":"message","from":"shop","body":"hi","mid":"000000000abc-{mid:x}","at":5}}"#)
}

#[test]
fn post_claims_its_id_and_is_routed_once() {
    let mut chat = Chat::of(&["bob"]);
    assert_eq!(chat.post(KEY, "carol", "1").err(), Some(ErrorCode::Offline));
    assert_eq!(chat.count("bob", "1"), 1);
    chat.check(&format!("bob < {}", message(1)));
    assert_eq!(chat.count("bob", "1"), 1);
    assert_eq!((chat.count("bob", ""), chat.count("bob", "")), (2, 3));
    chat.check(&format!("bob < {}\nbob < {}", message(2), message(3)));
    // An earlier key owns it, too, and no other.
    assert!(chat.post("a new key of the backend", "bob", "1").is_err());
    for join in [r#""key":"another key of 16""#, r#""x":0"#] {
        chat.check(&format!(
            r#"mallory > {{"type":"join","id":"shop",{join}}}
            mallory < {{"type":"error","code":"id_taken"}}"#
        ));
    }
    assert_eq!(chat.hub.counters().refusals[ErrorCode::IdTaken as usize], 3);
}

#[test]
fn id_claimed_with_an_earlier_key_is_found() {
    let mut chat = Chat::of(&["bob"]);
    let first = chat.post("an earlier key of the same backend", "bob", "1").expect("taken").mid;
    chat.check(&format!("bob < {}", message(1)));
    assert_eq!(chat.post(KEY, "bob", "1").expect("taken").mid, first);
}

#[test]
fn posting_id_is_kept_while_it_is_used() {
    let mut chat = Chat::of(&["bob"]);
    chat.count("bob", "1");
    chat.heard.clear();
    for _ in 0..5 {
        chat.pass(LIMITS.hold - Duration::from_secs(1));
        assert_eq!(chat.count("bob", "1"), 1, "it is remembered");
    }
    chat.pass(LIMITS.hold - Duration::from_secs(1));
    assert!(chat.is_owned("shop"));
    chat.pass(Duration::from_secs(1));
    assert!(!chat.is_owned("shop"));
    assert_eq!(chat.count("bob", "1"), 2);
}

#[test]
fn posting_id_with_a_client_is_that_of_the_client() {
    let mut chat = Chat::of(&["bob"]);
    chat.count("bob", "1");
    chat.heard.clear();
    chat.check(&format!(
        r#"bob > {{"type":"watch","ids":["shop"]}}
        bob < {{"type":"presence","id":"shop","online":false}}
        bob > {{"type":"send","to":"shop","body":"thanks","ref":"r"}}
        bob < {{"type":"sent","ref":"r","mid":"000000000abc-2","at":5,"held":true}}
        s > {{"type":"join","id":"shop","key":"{KEY}"}}
        s < {}
        s < {{"type":"message","from":"bob","body":"thanks","mid":"000000000abc-2","at":5}}
        bob < {{"type":"presence","id":"shop","online":true}}"#,
        joined("shop", "true", "1")
    ));
    chat.count("bob", "2");
    chat.check(&format!("bob < {}\ns lost", message(3)));
    // In the time after the break it goes on looking online, and not longer.
    chat.count("bob", "3");
    chat.check(&format!(
        r#"bob < {}
        after 10 s
        bob < {{"type":"presence","id":"shop","online":false}}"#,
        message(4)
    ));
    chat.count("bob", "4");
    chat.check(&format!("bob < {}", message(5)));
}

#[test]
fn fate_of_a_post_is_told_when_it_is_repeated() {
    let mut chat = Chat::new(LIMITS);
    chat.check(&format!(
        "bob > {{\"type\":\"join\",\"id\":\"bob\",\"key\":\"{KEY}\"}}\nbob < joined bob\nbob lost"
    ));
    let fate = |chat: &mut Chat, reference: &str| {
        let posted = chat.post(KEY, "bob", reference).expect("taken");
        assert!(posted.held && posted.waits_for.is_none());
        posted.fate
    };
    assert_eq!(fate(&mut chat, "1"), Fate::Open);
    assert_eq!(fate(&mut chat, "2"), Fate::Open);
    chat.check(&format!(
        r#"again > {{"type":"join","id":"bob","key":"{KEY}"}}
        again < {}
        again < {}
        again < {}
        again > {{"type":"ack","to":"shop","mids":["000000000abc-1"]}}
        again > {{"type":"leave"}}
        again < closed 1000"#,
        joined("bob", "true", "2"),
        message(1),
        message(2)
    ));
    assert_eq!(fate(&mut chat, "1"), Fate::Delivered);
    assert_eq!(fate(&mut chat, "2"), Fate::Expired);
}

#[test]
fn last_128_posts_are_remembered() {
    let mut chat = Chat::of(&["bob"]);
    for n in 0..=SENDS_MAX as u64 {
        assert_eq!(chat.count("bob", &n.to_string()), n + 1);
    }
    chat.heard.clear();
    for n in 1..=SENDS_MAX as u64 {
        assert_eq!(chat.count("bob", &n.to_string()), n + 1);
    }
    assert_eq!(chat.count("bob", "0"), SENDS_MAX as u64 + 2);
}

#[test]
fn post_from_a_new_id_needs_a_vacancy() {
    let mut chat = Chat::new(Limits { owned_max: 1, ..LIMITS });
    chat.join(&["bob"]);
    chat.check(&format!(
        "a > {{\"type\":\"join\",\"id\":\"alice\",\"key\":\"{KEY}\"}}\na < joined alice"
    ));
    assert_eq!(chat.post(KEY, "bob", "1").err(), Some(ErrorCode::TooMany));
    assert!(!chat.is_owned("shop"));
    chat.check("a lost");
    chat.pass(LIMITS.hold);
    assert_eq!(chat.count("bob", "1"), 1);
}

#[test]
fn post_waits_for_the_disk_and_so_does_its_repetition() {
    let mut chat = Chat::with_store(LIMITS);
    chat.join(&["bob"]);
    chat.check("disk stops");
    let first = chat.post(KEY, "bob", "1").expect("taken");
    assert_eq!(first.waits_for, Some(1), "although bob has no key");
    assert_eq!(chat.post(KEY, "bob", "1").expect("taken").waits_for, Some(1));
    let second = chat.post(KEY, "bob", "2").expect("taken").waits_for.expect("a mid");
    assert!(!chat.hub.has_stored(1));
    chat.check(&format!("bob < {}\nbob < {}\ndisk works", message(1), message(2)));
    assert!(chat.hub.has_stored(second));
    assert_eq!(chat.post(KEY, "bob", "1").expect("taken").waits_for, None);
    // Nothing to store, so nothing to wait for.
    assert_eq!(chat.post(KEY, "bob", "").expect("taken").waits_for, None);
    chat.check(&format!("bob < {}", message(3)));
    chat.check("disk fails");
    assert_eq!(chat.post(KEY, "bob", "3").err(), Some(ErrorCode::Full));
    assert_eq!(chat.post(KEY, "bob", "2").expect("taken").mid.count, 2, "it is promised");
}

#[test]
fn client_that_joins_before_the_claim_is_stored_is_answered() {
    let mut chat = Chat::with_store(LIMITS);
    chat.join(&["bob"]);
    chat.check("disk stops");
    chat.post(KEY, "bob", "1").expect("taken");
    let join = format!(r#"s > {{"type":"join","id":"shop","key":"{KEY}"}}"#);
    chat.check(&format!("bob < {}\n{join}\ndisk works\ns < joined shop", message(1)));
    let again = join.replacen("s >", "t >", 1);
    chat.check(&format!("s lost\n{again}\nt < {}", joined("shop", "true", "0")));
}

#[test]
fn posts_of_an_id_survive_a_crash() {
    let mut chat = Chat::with_store(LIMITS);
    chat.check(&format!(
        "bob > {{\"type\":\"join\",\"id\":\"bob\",\"key\":\"{KEY}\"}}\nbob < joined bob\nbob lost"
    ));
    for reference in ["1", "2", "3"] {
        assert!(chat.post(KEY, "bob", reference).expect("taken").held);
    }
    let Chat { mut disk, now, .. } = chat;
    let mut chat = Chat::with(disk.start(LIMITS, 0xdef, now), disk, now);
    for (reference, mid) in [("1", 1), ("2", 2), ("3", 3), ("4", 4)] {
        assert_eq!(chat.count("bob", reference), mid);
    }
}
