//! A private server: joins with and without its password, and the lines of the log about joins.

use super::*;
#[cfg(feature = "auth")]
use crate::chat::vouching::Voucher;
use crate::limits::LOG_LINES_PER_SECOND;

const FORBIDDEN: &str = r#"{"type":"error","code":"forbidden"}"#;
const LIMITED: &str = r#"{"type":"error","code":"too_many"}"#;

fn private() -> Chat {
    let mut chat = Chat::new(LIMITS);
    chat.hub.require_password("sesame", [7; 32]);
    chat
}

/// Returns the step in which a client says a `join` with this password, with the key of its id if
/// the password has `keyed ` in front.
fn join(name: &str, id: &str, password: &str) -> String {
    let (key, password) = match password.strip_prefix("keyed ") {
        Some(password) => (format!(r#","key":"the key of {id} 0123""#), password),
        None => (String::new(), password),
    };
    format!(r#"{name} > {{"type":"join","id":"{id}"{key},"password":"{password}"}}"#)
}

/// Has a client say a text, and returns the lines that it gets.
fn tell(chat: &mut Chat, step: &str) -> Vec<String> {
    let (name, text) = step.split_once(" > ").expect("a client and its text");
    chat.say(name, text);
    chat.collect();
    chat.heard.get_mut(name).map(|lines| lines.drain(..).collect()).unwrap_or_default()
}

/// Has a client say wrong passwords until they are not heard any more, and returns their number.
fn guess(chat: &mut Chat, name: &str, id: &str, keyed: &str) -> usize {
    let step = join(name, id, &format!("{keyed}wrong"));
    let limited = |chat: &mut Chat| match &tell(chat, &step)[..] {
        [line] if line == FORBIDDEN => false,
        [line] if line == LIMITED => true,
        other => panic!("{other:?}"),
    };
    (0..200).take_while(|_| !limited(chat)).count()
}

/// Returns the reasons of the refused joins that wait for the log.
fn logged(chat: &mut Chat) -> Vec<(String, JoinOutcome)> {
    let hub = &mut chat.hub;
    std::iter::from_fn(|| hub.next_join_line()).map(|line| (line.id, line.outcome)).collect()
}

#[test]
fn private_server_takes_a_join_with_its_password_only() {
    for key in ["", r#","key":"0123456789abcdef""#] {
        private().check(&format!(
            r#"
            a > {{"type":"join","id":"alice"{key}}}
            a < {FORBIDDEN}
            a > {{"type":"join","id":"alice"{key},"password":"Sesame"}}
            a < {FORBIDDEN}
            a > {{"type":"join","id":"alice"{key},"password":["sesame"],"ref":"r"}}
            a < {{"type":"error","code":"forbidden","ref":"r"}}
            a > {{"type":"join","id":"alice"{key},"password":"sesame","password":"sesame"}}
            a < {{"type":"error","code":"bad_request"}}
            a > {{"type":"send","to":"alice","body":1}}
            a < {{"type":"error","code":"not_joined","to":"alice"}}
            a > {{"type":"join","id":"alice"{key},"password":"\u0073esame"}}
            a < joined alice
            a > {{"type":"join","id":"alice"{key}}}
            a < {{"type":"error","code":"already_joined"}}
            "#
        ));
    }
}

#[test]
fn open_server_ignores_a_password_of_any_kind() {
    for (n, password) in [r#""x""#, "null", "7", r#""\ud800""#, "{}"].iter().enumerate() {
        let line = format!(r#"{{"type":"join","id":"a{n}","password":{password}}}"#);
        check(&[], &format!("a{n} > {line}\n a{n} < joined a{n}"));
    }
}

#[test]
fn client_without_the_password_learns_nothing_of_ids() {
    let mut chat = private();
    chat.check(&format!("{}\n a < joined alice", join("a", "alice", "keyed sesame")));
    for (id, key) in [("alice", ""), ("alice", r#","key":"0123456789abcdef""#), ("a b", "")] {
        let line = format!(r#"{{"type":"join","id":"{id}"{key}}}"#);
        chat.check(&format!("b > {line}\n b < {FORBIDDEN}"));
    }
    chat.check("b > {\"type\":\"join\",\"id\":\"alice\",\"password\":\"sesame\"}\n b < {\"type\":\"error\",\"code\":\"id_taken\"}");
}

#[test]
fn guesses_of_a_payer_count_over_its_connections() {
    let mut chat = private();
    assert_eq!(guess(&mut chat, "a@1", "alice", ""), 10);
    chat.check(&format!("{}\n a@1 < {LIMITED}", join("a@1", "alice", "sesame")));
    // Without a password nothing is compared, so nothing is counted.
    chat.check(&format!(
        r#"
        a@1 > {{"type":"join","id":"alice"}}
        a@1 < {FORBIDDEN}
        a@1 lost
        "#
    ));
    assert_eq!(guess(&mut chat, "later@1", "alice", ""), 0, "the account is gone, the debt is not");
    chat.check(&format!("{}\n b@2 < joined bob", join("b@2", "bob", "sesame")));
    chat.check(&format!(
        "after 30 s\n {}\n later@1 < joined alice",
        join("later@1", "alice", "sesame")
    ));
    assert_eq!(chat.hub.guesses_limited(), 3);
    assert_eq!(chat.hub.counters().refusals[ErrorCode::Forbidden as usize], 11);
}

#[test]
fn clients_without_a_payer_share_a_larger_count() {
    let mut chat = private();
    assert_eq!(guess(&mut chat, "a", "alice", ""), 100);
    chat.check(&format!("{}\n b < {LIMITED}", join("b", "bob", "sesame")));
    chat.check(&format!("{}\n c@1 < joined carol", join("c@1", "carol", "sesame")));
    chat.check(&format!("after 1 s\n {}\n b < joined bob", join("b", "bob", "sesame")));
}

#[test]
fn owner_joins_from_a_network_in_debt() {
    let mut chat = private();
    chat.check(&format!(
        r#"
        {}
        a@1 < joined alice
        a@1 lost
        "#,
        join("a@1", "alice", "keyed sesame")
    ));
    assert_eq!(guess(&mut chat, "m@1", "mallory", "keyed "), 10);
    // The id alone proves nothing, and neither does another key.
    chat.check(&format!("{}\n m@1 < {LIMITED}", join("m@1", "alice", "sesame")));
    let line = r#"{"type":"join","id":"alice","key":"0123456789abcdef","password":"sesame"}"#;
    chat.check(&format!("m@1 > {line}\n m@1 < {LIMITED}"));
    // The owner still needs the password, and has a count of its own.
    assert_eq!(guess(&mut chat, "a'@1", "alice", "keyed "), 10);
    chat.check(&format!("{}\n a'@1 < {LIMITED}", join("a'@1", "alice", "keyed sesame")));
    chat.check("after 30 s");
    let heard = tell(&mut chat, &join("a'@1", "alice", "keyed sesame"));
    assert_eq!(heard, [joined("alice", "true", "0")]);
}

#[test]
fn new_password_holds_for_joins_to_come() {
    let mut chat = private();
    chat.check(&format!("{}\n a < joined alice", join("a", "alice", "keyed sesame")));
    chat.hub.require_password("changed", [8; 32]);
    chat.check(&format!("{}\n b < {FORBIDDEN}", join("b", "bob", "sesame")));
    chat.check(&format!("{}\n a' < {FORBIDDEN}", join("a'", "alice", "keyed sesame")));
    chat.check(&format!("{}\n b < joined bob", join("b", "bob", "changed")));
    let message = r#"{"type":"message","from":"alice","body":"1","mid":"000000000abc-1","at":5}"#;
    chat.check(&format!("a > {}\n b < {message}", send("bob", "1")));
}

#[test]
fn each_join_is_noted_for_the_log_with_its_outcome() {
    let mut chat = private();
    let refused = JoinOutcome::Refused;
    for (step, id, outcome) in [
        (r#"a@1 > {"type":"join","id":"alice"}"#, "alice", refused("forbidden, no password")),
        (&join("a@1", "alice", "wrong"), "alice", refused("forbidden, wrong password")),
        (&join("a@1", "a b", "sesame"), r"a\u{20}b", refused("bad_id")),
        (&join("a@1", "alice", "sesame"), "alice", JoinOutcome::Joined),
        (&join("b@1", "alice", "sesame"), "alice", refused("id_taken")),
    ] {
        tell(&mut chat, step);
        assert_eq!(logged(&mut chat), [(id.to_owned(), outcome)], "{step}");
    }
    chat.pass(Duration::from_secs(1));
    assert_eq!(guess(&mut chat, "b@1", "bob", ""), 9);
    chat.pass(Duration::from_secs(1));
    logged(&mut chat);
    tell(&mut chat, &join("b@1", "bob", "sesame"));
    let line = chat.hub.next_join_line().expect("a line");
    assert_eq!(line.outcome, refused("too_many, after wrong passwords"));
    assert_eq!(line.skipped.to_string(), " (5 times more since the last such line)");
}

#[test]
fn flood_of_joins_leaves_a_few_lines_for_the_log() {
    let mut chat = private();
    let joins = "{\"type\":\"join\",\"id\":\"a\"}\n".repeat(100);
    assert_eq!(tell(&mut chat, &format!("a > {joins}")), [FORBIDDEN; 100]);
    let names: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    for name in &names {
        tell(&mut chat, &join(name, name, "sesame"));
    }
    let a_second = LOG_LINES_PER_SECOND as usize;
    let lines = logged(&mut chat);
    let granted = lines.iter().filter(|(_, outcome)| *outcome == JoinOutcome::Joined).count();
    assert_eq!((lines.len(), granted), (2 * a_second, a_second));
    assert_eq!(chat.hub.join_lines_suppressed(), 2 * (100 - a_second as u64));
}

#[test]
#[cfg(feature = "auth")]
fn id_that_a_proxy_has_named_is_the_only_one_to_join() {
    let mut chat = Chat::new(LIMITS);
    chat.hub.require_login(Voucher::Header);
    for (name, named) in [("a", "alice"), ("a'", "alice"), ("b", "bo"), ("c", &"c".repeat(65))] {
        let token = chat.token(name);
        chat.hub.name(token, named.into());
    }
    let key = r#""key":"0123456789abcdef""#;
    chat.check(&format!(
        r#"
        a > {{"type":"join","id":"bob",{key}}}
        a < {FORBIDDEN}
        a > {{"type":"join","id":"Alice",{key}}}
        a < {FORBIDDEN}
        n > {{"type":"join","id":"alice",{key}}}
        n < {FORBIDDEN}
        b > {{"type":"join","id":"b"}}
        b < {FORBIDDEN}
        a > {{"type":"join","id":"alice",{key}}}
        a < joined alice
        a' > {{"type":"join","id":"alice","key":"another key of 16"}}
        a' < {{"type":"error","code":"id_taken"}}
        "#
    ));
    let outcomes: Vec<_> = logged(&mut chat).into_iter().map(|(_, outcome)| outcome).collect();
    assert!(outcomes.contains(&JoinOutcome::Refused("forbidden, login for another id")));
    assert!(outcomes.contains(&JoinOutcome::Refused("forbidden, no id from a trusted proxy")));
    assert_eq!(chat.hub.named(), 3, "a name longer than an id is not kept");
    for name in ["a", "a'", "b"] {
        let token = chat.token(name);
        chat.hub.disconnected(token, Departure::Lost, chat.now);
    }
    assert_eq!(chat.hub.named(), 0);
}
