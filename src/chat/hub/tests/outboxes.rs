//! Outboxes and their limits, and the lists of clients that the loop takes from the hub.

use super::*;

#[test]
fn recipient_with_full_outbox_is_removed_as_slow() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice", "bob", "carol"]);
    let script = r#"
        carol > {"type":"watch","ids":["bob"]}
        carol < {"type":"presence","id":"bob","online":true}
        bob   stuck
        alice > {"type":"send","to":"bob","body":"LONG","ref":"1"}
        alice < {"type":"sent","ref":"1","mid":"000000000abc-1","at":5}
        carol > {"type":"signal","to":"bob","body":"LONG"}
        alice > {"type":"send","to":"bob","body":"LONG","ref":"2"}
        bob   < closed 1013
        alice < {"type":"error","code":"slow","ref":"2","to":"bob"}
        carol < {"type":"presence","id":"bob","online":false}
        alice > {"type":"send","to":"bob","body":3,"ref":"3"}
        alice < {"type":"error","code":"offline","ref":"3","to":"bob"}
        alice > {"type":"send","to":"carol","body":4}
        carol < {"type":"message","from":"alice","body":4,"mid":"000000000abc-2","at":5}
    "#;
    chat.check(&script.replace("LONG", &"x".repeat(600)));
    assert_eq!(chat.hub.waiting_bytes(), 0, "the bytes that waited for bob are given back");
}

#[test]
fn signal_that_does_not_fit_is_dropped_without_harm() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice", "bob"]);
    let script = r#"
        bob   stuck
        alice > {"type":"send","to":"bob","body":"LONG"}
        alice > {"type":"signal","to":"bob","body":"LONG"}
        bob   reads
        bob   < {"type":"message","from":"alice","body":"LONG","mid":"000000000abc-1","at":5}
        alice > {"type":"signal","to":"bob","body":"LONG"}
        bob   < {"type":"signal","from":"alice","body":"LONG"}
    "#;
    chat.check(&script.replace("LONG", &"x".repeat(600)));
}

#[test]
fn client_too_slow_for_its_own_answers_is_removed() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice", "bob"]);
    let errors = r#"{"type":"send","to":"nobody","body":1}⏎"#.repeat(20);
    chat.check(&format!(
        "alice stuck\n alice > {errors} {}\n alice < closed 1013",
        send("bob", "too late")
    ));
    chat.check(
        r#"
        carol > {"type":"join","id":"alice"}
        carol < joined alice
    "#,
    );
}

#[test]
fn watch_with_answers_that_do_not_fit_leaves_nothing() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice"]);
    chat.check(&format!("alice > {}\n alice < closed 1013", watch(0..100)));
    assert_eq!(chat.hub.payers.budget(Total::Watches).used(), 0);
}

#[test]
fn message_to_its_own_sender_that_does_not_fit_ends_it() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice"]);
    chat.check(&format!("alice > {}\n alice < closed 1013", send("alice", &"x".repeat(1000))));
}

#[test]
fn text_is_handled_up_to_the_line_that_presses() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    let line = send("bob", &"x".repeat(200));
    let text = [&*line; 5].join("\n");

    let rest = chat.hub.receive(alice, &text, usize::MAX, chat.now);
    assert_eq!(rest, [&*line; 3].join("\n"), "two lines are more than 500 bytes");
    assert_eq!(chat.hub.clients.pressing, [bob]);
    assert_eq!(
        chat.hub.receive(alice, rest, usize::MAX, chat.now),
        rest,
        "no line is handled while bob presses"
    );

    // A client with a socket that accepts nothing presses with every line.
    chat.hub.clients.pressing.clear();
    let rest = chat.hub.receive(alice, rest, usize::MAX, chat.now);
    assert_eq!((rest.len(), &*chat.hub.clients.pressing), (2 * line.len() + 1, &[bob][..]));

    // After it has accepted all, the rest is handled.
    chat.hub.clients.pressing.clear();
    let taken = chat.hub.take_text(bob).len();
    assert_eq!(chat.hub.waiting_bytes(), taken);
    chat.hub.written(bob, Vec::new(), 0);
    assert_eq!(chat.hub.receive(alice, rest, usize::MAX, chat.now), "");
}

#[test]
fn client_with_lines_is_pending_write_once_until_taken() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    for _ in 0..2 {
        chat.hub.receive(
            alice,
            &[send("bob", "1"), send("bob", "2")].join("\n"),
            usize::MAX,
            chat.now,
        );
        assert_eq!(std::mem::take(&mut chat.hub.clients.pending_write), [bob]);
        chat.hub.take_text(bob);
    }
}

#[test]
fn full_total_refuses_clients_with_most_waiting_first() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, outbox_bytes_total: 4000, ..LIMITS });
    chat.join(&["alice", "bob", "carol", "dave"]);
    let script = r#"
        bob   stuck
        carol stuck
        dave  stuck
        alice > {"type":"send","to":"bob","body":"LONG"}
        alice > {"type":"send","to":"carol","body":"LONG"}
        alice > {"type":"send","to":"dave","body":"short"}
        alice > {"type":"send","to":"dave","body":"shorter"}
        alice > {"type":"send","to":"dave","body":"LONG","ref":"r"}
        dave  < closed 1013
        alice < {"type":"error","code":"slow","ref":"r","to":"dave"}
    "#;
    // With two lines of 680 bytes and two of 80 waiting, a share is (4000 - 1520) / 4 = 620 bytes.
    chat.check(&script.replace("LONG", &"x".repeat(610)));

    // A client with nothing unsent is not slow; it presses.
    let [alice, erin] = ["alice", "erin"].map(|name| chat.token(name));
    chat.hub.receive(erin, r#"{"type":"join","id":"erin"}"#, usize::MAX, chat.now);
    chat.hub.receive(alice, &send("erin", &"x".repeat(610)), usize::MAX, chat.now);
    assert_eq!(chat.hub.clients.pressing, [erin]);
}

#[test]
fn held_messages_over_the_total_press_one_by_one() {
    let limits = Limits { outbox_bytes_max: 1000, outbox_bytes_total: 4000, ..LIMITS };
    let mut chat = Chat::new(limits);
    let owners: Vec<String> = (0..20).map(|n| format!("o{n}")).collect();
    for name in &owners {
        chat.say(name, &format!(r#"{{"type":"join","id":"{name}","key":"0123456789abcdef"}}"#));
    }
    chat.join(&["alice"]);
    let alice = chat.token("alice");
    // Nothing waits for any of them, so one line fits for each. It is more than half of a share, so
    // the loop writes it before the next one comes.
    for (n, name) in owners.iter().enumerate() {
        let owner = chat.token(name);
        chat.hub.receive(alice, &send(name, &"x".repeat(600)), usize::MAX, chat.now);
        assert_eq!(chat.hub.clients.pressing, [owner], "line {n}");
        chat.hub.clients.pressing.clear();
        assert!(chat.hub.waiting_bytes() <= 1000, "{}", chat.hub.waiting_bytes());
        chat.hub.take_text(owner);
        chat.hub.written(owner, Vec::new(), 0);
    }
}

#[test]
fn waiting_bytes_are_outboxes_and_unsent_bytes() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    let line = |n| {
        format!(r#"{{"type":"message","from":"alice","body":"1","mid":"000000000abc-{n}","at":5}}"#)
    };
    let len = line(1).len();

    chat.hub.receive(alice, &send("bob", "1"), usize::MAX, chat.now);
    assert_eq!(chat.hub.waiting_bytes(), len);
    chat.hub.receive(alice, &send("bob", "1"), usize::MAX, chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 2 * len + 1);
    assert_eq!(chat.hub.take_text(bob), [line(1), line(2)].join("\n").into_bytes());
    assert_eq!(chat.hub.take_text(bob), b"");
    assert_eq!(chat.hub.waiting_bytes(), 2 * len + 1, "taken, but not sent");
    chat.hub.written(bob, Vec::new(), 7);
    assert_eq!(chat.hub.waiting_bytes(), 7);
    chat.hub.receive(alice, &send("bob", "1"), usize::MAX, chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 7 + len);
    chat.hub.written(bob, Vec::new(), 0);
    assert_eq!(chat.hub.waiting_bytes(), len);
    chat.hub.disconnected(bob, Departure::Lost, chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 0);
}

#[test]
fn token_of_a_removed_client_finds_no_client() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let (old, now) = (chat.token("alice"), chat.now);
    let new = Token::new(old.key(), 2);
    chat.hub.disconnected(old, Departure::Lost, now);
    // At first its key is free, then it belongs to another client.
    for _ in 0..2 {
        let hub = &mut chat.hub;
        assert_eq!(hub.receive(old, &send("bob", "a ghost"), usize::MAX, now), "");
        assert_eq!(hub.take_text(old), b"");
        assert!(!hub.has_joined(old));
        hub.written(old, Vec::new(), 1000);
        hub.close(old, CloseCode::GoingAway, now);
        hub.disconnected(old, Departure::Lost, now);
        assert!(hub.disconnects.is_empty() && hub.clients.pending_write.is_empty());
        assert_eq!(hub.waiting_bytes(), 0);
        if hub.clients.get(new).is_none() {
            hub.open(new, None);
            hub.receive(new, r#"{"type":"join","id":"alice"}"#, usize::MAX, chat.now);
            hub.take_text(new);
            hub.written(new, Vec::new(), 0);
            hub.clients.pending_write.clear();
        }
    }
    assert!(chat.hub.has_joined(new));
}

#[test]
fn entry_of_the_table_of_ids_costs_32_bytes() {
    // The table adds a byte for each entry, and an eighth to nine sixteenths of its entries are
    // free.
    assert_eq!(size_of::<(Id, Holder)>(), size_of::<Id>() + size_of::<Holder>());
    assert_eq!(
        size_of::<Id>(),
        16,
        "address and length of its text, which has two counts of 8 bytes before it"
    );
    assert_eq!(size_of::<Holder>(), 16, "a token, and whether of a client or of an owner");
}

#[test]
fn long_lines_press_early_and_short_ones_or_a_stall_do_not() {
    // Above `PRESSING_BYTES`, and below half of an outbox.
    let presses = |line_len: usize, unsent: usize| {
        let limits = Limits { outbox_bytes_max: 1 << 20, outbox_bytes_total: 1 << 30, ..LIMITS };
        let mut chat = Chat::new(limits);
        chat.join(&["alice", "bob"]);
        let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
        let text = chat.hub.take_text(bob);
        chat.hub.written(bob, text, unsent);
        let line = send("bob", &"x".repeat(line_len));
        (0..100_000 / line_len).any(|_| {
            chat.hub.receive(alice, &line, usize::MAX, chat.now);
            chat.hub.next_pressing() == Some(bob)
        })
    };
    assert!(presses(10_000, 0));
    assert!(!presses(1_000, 0));
    assert!(!presses(10_000, 1), "a write for each line would be in vain");
}
