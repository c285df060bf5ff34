//! One address that takes as much as it can, and the others that go on.
//!
//! A client with a name that ends with `@1` has the payer 1, and so on; all others are exempt.

use proptest::prelude::*;

use super::shorthand::{check, long};
use super::*;
use crate::chat::payers::AccountKey;
use crate::limits::{
    BLOCKED_TOTAL, CLAIMS_AT_ONCE, LIST_MAX, PAYER_SHARES, SEND_BYTES, TOKENS_PER_LINE,
    WATCHED_TOTAL,
};

/// Lets a client say a text, and returns the lines that it gets.
fn answers(chat: &mut Chat, name: &str, text: &str) -> Vec<String> {
    chat.say(name, text);
    chat.collect();
    chat.heard.remove(name).map_or(Vec::new(), Vec::from)
}

fn joins(chat: &mut Chat, names: &[&str]) {
    for name in names {
        chat.check(&long(&format!("{name} joins\n {name} < joined false 0")));
    }
}

#[test]
fn full_held_total_leaves_messages_to_owners_who_are_here() {
    // Each payer may hold an eighth of 80,000 bytes.
    let mut chat = Chat::new(Limits { held_bytes_total: 80_000, ..LIMITS });
    let payers: Vec<String> = (1..=8).map(|n| format!("mallory@{n}")).collect();
    payers.iter().for_each(|name| joins(&mut chat, &[name]));
    for n in 0..20 {
        joins(&mut chat, &[&format!("away{n}")]);
        chat.check(&format!("away{n} lost"));
    }
    for name in &payers {
        let sends: Vec<String> =
            (0..200).map(|n| send(&format!("away{}", n % 20), &"x".repeat(400))).collect();
        let refused = answers(&mut chat, name, &sends.join("\n")).len();
        assert!(refused > 150, "{name} holds an eighth at most: {refused} were refused");
    }
    let held = chat.hub.held_bytes();
    assert!((40_000..=60_000).contains(&held), "a quarter is not for absent owners: {held}");
    joins(&mut chat, &["alice@9", "bob@10"]);
    for n in 1..=8 {
        let heard = answers(&mut chat, "alice@9", &send("bob@10", &n.to_string()));
        assert!(heard.is_empty(), "{heard:?}");
    }
    assert_eq!(chat.heard.remove("bob@10").map(|lines| lines.len()), Some(8));
    // An address with its share full for absent owners still reaches owners who are here.
    assert!(answers(&mut chat, "mallory@1", &send("bob@10", "9")).is_empty());
    assert_eq!(chat.heard.remove("bob@10").map(|lines| lines.len()), Some(1));
    chat.hub.check_tables();
}

#[test]
fn refusals_say_by_whose_limit_a_message_is_not_held() {
    let text = |limits: Limits, bodies: &[usize]| {
        let mut chat = Chat::new(limits);
        joins(&mut chat, &["mallory@1", "alice"]);
        chat.check("alice lost");
        let token = chat.token("mallory@1");
        for body in bodies {
            chat.hub.receive(token, &send("alice", &"x".repeat(*body)), usize::MAX, chat.now);
        }
        String::from_utf8(chat.hub.take_text(token)).expect("UTF-8")
    };
    let limits = Limits { held_bytes_max: 10_000, held_bytes_total: 1_000_000, ..LIMITS };
    let check = |limits, bodies: &[usize], part: &str| {
        let text = text(limits, bodies);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r#""code":"full""#) && text.contains(part), "{text}");
    };
    check(limits.clone(), &[4000, 4000], "too much from your network waits for alice already");
    check(limits.clone(), &[10_000], "too much waits for alice already");
    let small = Limits { held_bytes_total: 10_000, ..limits.clone() };
    check(small, &[1000], "too much from your network waits already");
}

#[test]
fn sender_has_half_of_the_queue_that_the_others_leave() {
    let limits = Limits { held_bytes_max: 16_000, ..LIMITS };
    let mut chat = Chat::new(limits);
    joins(&mut chat, &["mallory@1", "trudy@2", "bob@3", "carol", "alice"]);
    chat.check("alice lost");
    let line = send("alice", &"x".repeat(200));
    let taken = |chat: &mut Chat, name: &str| {
        let before = chat.hub.held_bytes();
        while answers(chat, name, &line).is_empty() {}
        chat.hub.held_bytes() - before
    };
    let shares = ["mallory@1", "trudy@2", "bob@3"].map(|name| taken(&mut chat, name));
    for (share, most) in shares.into_iter().zip([8000, 4000, 2000]) {
        assert!((most - 600..=most + 300).contains(&share), "{share} of {most}");
    }
    assert_eq!(taken(&mut chat, "mallory@1"), 0);
    assert!(taken(&mut chat, "carol") > 1000, "an exempt sender may fill the rest");
    chat.hub.check_tables();
}

#[test]
fn send_is_never_refused_for_lack_of_memory_for_sends() {
    let mut chat = Chat::new(LIMITS);
    joins(&mut chat, &["mallory@1", "alice@2", "bob"]);
    // Two sends fit.
    let others = chat.hub.payers.budget(Total::Sends).left() - 2 * SEND_BYTES;
    chat.hub.payers.take(AccountKey::EXEMPT, Total::Sends, others);
    let sends = |n: usize| format!(r#"{{"type":"send","to":"bob","body":1,"ref":"{n}"}}"#);
    for n in 1..=2 {
        assert!(answers(&mut chat, "mallory@1", &sends(n))[0].contains("sent"));
    }
    let mallory = chat.token("mallory@1");
    chat.hub.disconnected(mallory, Departure::Lost, chat.now);
    assert_eq!(chat.heard.remove("bob").map(|lines| lines.len()), Some(2));
    for n in 1..=9 {
        let heard = answers(&mut chat, "alice@2", &sends(n));
        assert!(heard[0].contains("sent"), "{heard:?}");
    }
    // The sends of an absent owner were forgotten for them, then the sender's own oldest.
    assert_eq!(answers(&mut chat, "alice@2", &sends(9))[0].matches("-b\"").count(), 1);
    assert_eq!(chat.heard.remove("bob").map(|lines| lines.len()), Some(9), "9 came once");
    chat.hub.payers.give(AccountKey::EXEMPT, Total::Sends, others);
    chat.hub.check_tables();
}

#[test]
fn payer_blocks_and_watches_an_eighth_of_each_total() {
    for (kind, total) in [("block", BLOCKED_TOTAL), ("watch", WATCHED_TOTAL)] {
        let mut chat = Chat::new(LIMITS);
        let share = total.div_ceil(PAYER_SHARES);
        let mut count = 0;
        for n in 0.. {
            let name = format!("mallory{n}@1");
            chat.say(&name, &format!(r#"{{"type":"join","id":"{name}"}}"#));
            chat.collect();
            chat.heard.clear();
            let heard = answers(&mut chat, &name, &watch(0..256).replace("watch", kind));
            let is_refused = heard.iter().any(|line| line.contains("too_many"));
            if is_refused {
                break;
            }
            count += 256;
        }
        assert_eq!(count, share / 256 * 256);
        joins(&mut chat, &["alice@2"]);
        let heard = answers(&mut chat, "alice@2", &watch(0..256).replace("watch", kind));
        assert!(!heard.iter().any(|line| line.contains("too_many")), "{heard:?}");
        chat.hub.check_tables();
    }
}

#[test]
fn payer_claims_20_ids_at_once_then_one_a_minute() {
    let mut chat = Chat::new(LIMITS);
    let claim = |chat: &mut Chat, n: usize| {
        let name = format!("m{n}@1");
        let join = format!(r#"{{"type":"join","id":"m{n}","key":"0123456789abcdef"}}"#);
        let is_granted = answers(chat, &name, &join).concat().contains("joined");
        let token = chat.token(&name);
        chat.hub.disconnected(token, Departure::Lost, chat.now);
        is_granted
    };
    assert_eq!((0..40).filter(|n| claim(&mut chat, *n)).count(), CLAIMS_AT_ONCE as usize);
    chat.pass(Duration::from_secs(60));
    assert!(claim(&mut chat, 1001) && !claim(&mut chat, 1002));
    // Clients from elsewhere claim on, and one that comes back claims nothing.
    joins(&mut chat, &["alice@2"]);
    let join = r#"{"type":"join","id":"m0","key":"0123456789abcdef"}"#;
    let heard = answers(&mut chat, "m0'@1", join).concat();
    assert!(heard.contains(r#""resumed":true"#), "{heard}");
}

#[test]
fn payer_owns_an_eighth_of_all_ids() {
    check(
        Limits { owned_max: 9, ..LIMITS },
        r#"
        a@1 joins
        a@1 < joined false 0
        b@1 joins
        b@1 < joined false 0
        c@1 joins
        c@1 < error too_many
        c@2 joins
        c@2 < joined false 0
        a@1 > leave
        a@1 < closed 1000
        d@1 joins
        d@1 < joined false 0
        "#,
    );
}

#[test]
fn line_is_charged_by_the_length_of_its_list() {
    let check_tokens = |text: &str, tokens: usize| {
        let mut chat = Chat::new(LIMITS);
        joins(&mut chat, &["alice"]);
        let before = chat.hub.tokens_charged();
        chat.say("alice", text);
        assert_eq!(chat.hub.tokens_charged() - before, tokens, "{text}");
    };
    let check = |text: &str, lines: usize| check_tokens(text, lines * TOKENS_PER_LINE);
    check(&send("bob", "hello"), 1);
    check(r#"{"type":"sing"}"#, 1);
    for kind in ["watch", "unwatch", "block", "unblock"] {
        check(&watch(0..256).replace("watch", kind), 256);
        check(&watch(0..1).replace("watch", kind), 1);
    }
    check(r#"{"type":"watch","ids":[]}"#, 1);
    // One that is refused is read all the same.
    check(r#"{"type":"watch","ids":["a","b","c d","a"]}"#, 4);
    // The fast parser and the full one count alike.
    for space in ["", " "] {
        let ack = |mids: usize| {
            let mids = vec![r#""000000000abc-1""#; mids].join(",");
            format!(r#"{{"type":"ack",{space}"to":"bob","mids":[{mids}]}}"#)
        };
        for (mids, lines) in [(1, 1), (32, 1), (33, 2), (256, 8)] {
            check(&ack(mids), lines);
        }
    }
    check_tokens(&"\n".repeat(400), 400);
    check_tokens(&format!("{}\n{}", " ".repeat(399), send("bob", "!")), 400 + TOKENS_PER_LINE);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A client is in debt for less than its last line, whatever it sends at once.
    #[test]
    fn lines_are_heard_until_the_tokens_are_used_up(
        parts in prop::collection::vec((0usize..7, 1usize..=LIST_MAX), 0..50),
        tokens in 0..2000 * TOKENS_PER_LINE,
    ) {
        let line = |(kind, n): (usize, usize)| match kind {
            0 => "\n".repeat(n),
            1 => " ".repeat(n),
            2 => r#"{"type":"leave"}"#.replace("leave", "join"),
            3 => format!(r#"{{"type":"watch","ids":[{}]}}"#, vec![r#""""#; n].join(",")),
            4 => format!(r#"{{"type":"watch","ids":[{}]}}"#, vec![r#""a""#; n].join(",")),
            5 => format!(r#"{{"type":"ack","to":"a","mids":[{}]}}"#, vec![r#""a""#; n].join(",")),
            _ => send("a", "x"),
        };
        let text: Vec<String> = parts.into_iter().map(line).collect();
        let text = text.join("\n");
        let mut chat = Chat::of(&["alice"]);
        let alice = chat.token("alice");
        let before = chat.hub.tokens_charged();
        let (mut rest, mut cost) = (&*text, 0);
        while !rest.is_empty() && cost <= tokens {
            rest = chat.hub.receive(alice, rest, tokens - cost, chat.now);
            cost = chat.hub.tokens_charged() - before;
            chat.collect();
        }
        prop_assert!(cost <= tokens + LIST_MAX * TOKENS_PER_LINE);
        let heard = text.strip_suffix(rest);
        prop_assert!(rest.is_empty() || heard.is_some_and(|heard| heard.ends_with('\n')));
    }
}
