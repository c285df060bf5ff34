//! Text in, lines out: scripts of a chat, one line for each thing said or heard. The loop is played
//! by [`Chat`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::*;

mod ownership;
mod ownership_properties;
mod properties;

const LIMITS: Limits = Limits {
    message_bytes_max: 65_536,
    outbox_bytes_max: 100_000,
    outbox_bytes_total: 10_000_000,
    hold: Duration::from_secs(600),
    held_bytes_max: 100_000,
    held_bytes_total: 10_000_000,
    owned_max: 1000,
};

/// A hub, and clients with names.
struct Chat {
    hub: Hub,
    now: Now,
    tokens: BTreeMap<String, Token>,
    /// What each client has heard and the script has not yet named.
    heard: BTreeMap<String, VecDeque<String>>,
    /// Clients whose sockets take nothing, and what was taken for them before that was known.
    stuck: BTreeMap<String, Vec<u8>>,
}

impl Chat {
    fn new(limits: Limits) -> Chat {
        Chat {
            hub: Hub::new(limits, 0xabc),
            now: Now { instant: Instant::now(), unix_ms: 5 },
            tokens: BTreeMap::new(),
            heard: BTreeMap::new(),
            stuck: BTreeMap::new(),
        }
    }

    /// Clients that have joined under their names, without a key.
    fn of(names: &[&str]) -> Chat {
        let mut chat = Chat::new(LIMITS);
        chat.join(names);
        chat
    }

    fn join(&mut self, names: &[&str]) {
        for name in names {
            self.say(name, &format!(r#"{{"type":"join","id":"{name}"}}"#));
            self.collect();
            self.heard.clear();
        }
    }

    /// The client of this name, who is here from the first time it is named.
    fn token(&mut self, name: &str) -> Token {
        let key = self.tokens.len();
        *self.tokens.entry(name.to_owned()).or_insert_with(|| {
            let token = Token::new(key, 1);
            self.hub.open(token);
            token
        })
    }

    fn say(&mut self, name: &str, text: &str) {
        let token = self.token(name);
        let mut rest = text;
        while !rest.is_empty() {
            rest = self.hub.receive(token, rest, self.now);
            self.collect();
        }
    }

    /// Time passes, and what is due by then is done.
    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        while self.hub.next_deadline().is_some_and(|due| due <= self.now.instant) {
            self.hub.expire(self.now);
            self.hub.sweep(self.tokens.len());
            self.collect();
        }
    }

    /// Carries to everybody what waits for them. What is said last to a client ends in `closed` and
    /// its code.
    fn collect(&mut self) {
        loop {
            while self.hub.presence.has_notices() {
                self.hub.flush(self.now);
            }
            self.hub.clients.pressing.clear();
            self.hub.clients.pending_write.clear();
            for (name, token) in self.tokens.clone() {
                match self.stuck.get_mut(&name) {
                    None => {
                        let text = self.hub.take_text(token);
                        self.deliver(&name, text);
                    }
                    Some(refused) if refused.is_empty() => *refused = self.hub.take_text(token),
                    Some(_) => {}
                }
                self.hub.written(token, Vec::new(), self.stuck.get(&name).map_or(0, Vec::len));
                let closed =
                    self.hub.disconnects.iter().position(|disconnect| disconnect.token == token);
                if let Some(Disconnect { code, text, .. }) =
                    closed.map(|at| self.hub.disconnects.remove(at))
                {
                    let refused =
                        self.stuck.remove(&name).filter(|_| code != CloseCode::TryAgainLater);
                    self.deliver(&name, refused.unwrap_or_default());
                    self.deliver(&name, text);
                    self.deliver(&name, format!("closed {}", u16::from(code)).into());
                }
            }
            // What has left has made room for what is held.
            if self.hub.clients.pending_write.is_empty() {
                return;
            }
        }
    }

    fn reads(&mut self, name: &str) {
        let refused = self.stuck.remove(name).expect("it is stuck");
        self.deliver(name, refused);
    }

    fn deliver(&mut self, name: &str, text: Vec<u8>) {
        let text = String::from_utf8(text).expect("UTF-8");
        let lines = text.split('\n').filter(|line| !line.is_empty()).map(without_text);
        self.heard.entry(name.to_owned()).or_default().extend(lines);
    }

    /// Runs a script and holds what is heard against it:
    ///
    /// - `bob > TEXT`: says a text, in which `⏎` is a newline;
    /// - `bob < LINE`: hears this line, without the `text` of an error, which is for people;
    /// - `bob < closed CODE`: is taken out, and hears this last;
    /// - `bob gone`, `bob closes`: its connection breaks, is closed by it with 1000;
    /// - `bob stuck`, `bob reads`: its connection takes nothing, takes all again;
    /// - `after 10 s`: so much time passes.
    ///
    /// Whatever somebody hears has to be named before the next thing is said.
    #[track_caller]
    fn check(&mut self, script: &str) {
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            let (name, what) = step.split_once(' ').expect("a name and what it does");
            if let Some(line) = what.trim_start().strip_prefix("< ") {
                let heard = self.heard.get_mut(name).and_then(VecDeque::pop_front);
                assert_eq!(heard.as_deref(), Some(line.trim()), "{step}");
                continue;
            }
            self.check_silence(step);
            if name == "after" {
                let seconds = what.strip_suffix(" s").and_then(|seconds| seconds.parse().ok());
                self.pass(Duration::from_secs(seconds.expect("seconds")));
                self.collect();
                continue;
            }
            let token = self.token(name);
            match what.trim_start() {
                "gone" => self.hub.disconnected(token, Departure::Lost, self.now),
                "closes" => self.hub.disconnected(token, Departure::Normal, self.now),
                "stuck" => drop(self.stuck.insert(name.to_owned(), Vec::new())),
                "reads" => self.reads(name),
                said => {
                    self.say(name, &said.strip_prefix("> ").expect("a sign").replace('⏎', "\n"))
                }
            }
            self.collect();
        }
        self.check_silence("the end");
        self.hub.check_tables();
    }

    #[track_caller]
    fn check_silence(&self, before: &str) {
        for (name, lines) in &self.heard {
            assert!(lines.is_empty(), "before {before}: {name} has heard {lines:?}");
        }
    }
}

/// Runs a script with clients of these names.
#[track_caller]
fn check(names: &[&str], script: &str) {
    Chat::of(names).check(script);
}

/// An error without its `text`.
fn without_text(line: &str) -> String {
    match line.split_once(r#","text":"#) {
        Some((front, _)) if front.starts_with(r#"{"type":"error""#) => format!("{front}}}"),
        _ => line.to_owned(),
    }
}

fn send(to: &str, body: &str) -> String {
    format!(r#"{{"type":"send","to":"{to}","body":"{body}"}}"#)
}

fn watch(ids: impl Iterator<Item = usize>) -> String {
    let ids: Vec<String> = ids.map(|n| format!(r#""id{n}""#)).collect();
    format!(r#"{{"type":"watch","ids":[{}]}}"#, ids.join(","))
}

impl Hub {
    /// Everything that is kept twice says the same.
    #[track_caller]
    fn check_tables(&self) {
        self.owners.check_tables();
        let clients = || self.clients.checked();
        for (id, &holder) in &self.ids {
            let known = match holder {
                Holder::Client(token) => {
                    self.clients.get(token).and_then(|client| client.id.as_ref())
                }
                Holder::Owner(owner) => self.owners.id(owner),
            };
            assert_eq!(known, Some(id));
        }
        for (token, client) in clients() {
            let holder = client.owner.map_or(Holder::Client(token), Holder::Owner);
            assert_eq!(
                client.id.as_ref().map(|id| self.ids[id]),
                client.id.as_ref().map(|_| holder)
            );
            assert_eq!(self.client_of(holder), Some(token));
        }
        let unowned =
            clients().filter(|(_, client)| client.id.is_some() && client.owner.is_none()).count();
        assert_eq!(unowned + self.owners.len(), self.ids.len());
        let watched = clients().map(|(token, _)| self.presence.count(token)).sum::<usize>();
        assert_eq!(watched, self.presence.total());
        let blocked =
            self.ids.values().filter_map(|holder| self.blocked(*holder)).map(Blocked::len);
        assert_eq!(blocked.sum::<usize>(), self.blocked_total);
    }
}

// ---- one rule of the protocol page after the other ----

#[test]
fn the_examples_of_the_protocol_page() {
    check(
        &["bob"],
        r#"
        alice > {"type":"join","id":"alice","key":"9f2c6a0123456789"}
        alice < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice > {"type":"send","to":"bob","body":"hello","ref":"kX9q"}
        bob   < {"type":"message","from":"alice","body":"hello","mid":"000000000abc-1","at":5}
        alice < {"type":"sent","ref":"kX9q","mid":"000000000abc-1","at":5}
        alice > {"type":"signal","to":"bob","body":{"typing":true}}
        bob   < {"type":"signal","from":"alice","body":{"typing":true}}
        alice > {"type":"watch","ids":["bob","carol"]}
        alice < {"type":"presence","id":"bob","online":true}
        alice < {"type":"presence","id":"carol","online":false}
        alice > {"type":"unwatch","ids":["carol"]}
        bob   > {"type":"leave"}
        bob   < closed 1000
        alice < {"type":"presence","id":"bob","online":false}
        alice > {"type":"send","to":"bob","body":"hello","ref":"kX9r"}
        alice < {"type":"error","code":"offline","ref":"kX9r","to":"bob"}
        "#,
    );
}

#[test]
fn bad_request_is_looked_at_first_and_who_has_joined_next() {
    #[track_caller]
    fn check(line: &str, before_join: &str, after_join: &str) {
        for (joined, code) in [(false, before_join), (true, after_join)] {
            let mut chat = Chat::of(&["bob"]);
            if joined {
                chat.join(&["alice"]);
            }
            chat.say("alice", line);
            let heard = chat.heard["alice"].iter().next().map_or("", String::as_str);
            let expected = format!(r#"{{"type":"error","code":"{code}""#);
            assert!(heard.starts_with(&expected), "{line}: {heard} is not {code}");
            assert_eq!(chat.heard["alice"].len(), 1, "{line}");
        }
    }
    check("{", "bad_request", "bad_request");
    check("[]", "bad_request", "bad_request");
    check(r#"{"type":"sing"}"#, "bad_request", "bad_request");
    check(r#"{"type":"join"}"#, "bad_request", "bad_request");
    check(r#"{"type":"join","id":"a b","key":null}"#, "bad_request", "bad_request");
    check(r#"{"type":"send","to":"a b"}"#, "bad_request", "bad_request");
    check(r#"{"type":"watch","ids":[]}"#, "bad_request", "bad_request");
    check(r#"{"type":"join","id":"a b"}"#, "bad_id", "already_joined");
    check(r#"{"type":"join","id":"alice","key":"short"}"#, "bad_key", "already_joined");
    check(r#"{"type":"join","id":"bob","key":"short"}"#, "bad_key", "already_joined");
    check(r#"{"type":"join","id":"bob"}"#, "id_taken", "already_joined");
    check(r#"{"type":"send","to":"a b","body":1}"#, "not_joined", "bad_id");
    check(r#"{"type":"send","to":"nobody","body":1}"#, "not_joined", "offline");
    check(r#"{"type":"signal","to":"a b","body":1}"#, "not_joined", "bad_id");
    check(r#"{"type":"watch","ids":["a b"]}"#, "not_joined", "bad_id");
    check(r#"{"type":"unwatch","ids":["a b"]}"#, "not_joined", "bad_id");
}

#[test]
fn leave_before_join_is_refused() {
    check(
        &[],
        "alice > {\"type\":\"leave\"}\n alice < {\"type\":\"error\",\"code\":\"not_joined\"}",
    );
}

#[test]
fn ref_and_to_of_the_refused_request_are_repeated_where_they_are_strings_of_at_most_64_bytes() {
    let long = "x".repeat(65);
    let script = r#"
        alice > {"type":"sing","ref":"r","to":"bob"}
        alice < {"type":"error","code":"bad_request","ref":"r","to":"bob"}
        alice > {"type":"send","ref":"r","to":7,"body":1}
        alice < {"type":"error","code":"bad_request","ref":"r"}
        alice > {"type":"send","ref":["r"],"to":"a \" b","body":1}
        alice < {"type":"error","code":"bad_request","to":"a \" b"}
        alice > {"type":"send","ref":"LONG","to":"LONG","body":1}
        alice < {"type":"error","code":"bad_request"}
        alice > {"type":"send","ref":"r","to":"LONG","body":1}
        alice < {"type":"error","code":"bad_id","ref":"r"}
        alice > {"type":"join","id":"alice","ref":"r"}
        alice < {"type":"error","code":"already_joined","ref":"r"}
    "#;
    check(&["alice"], &script.replace("LONG", &long));
}

#[test]
fn a_text_holds_one_line_or_more_and_blank_ones_are_skipped() {
    check(
        &["alice"],
        r#"
        alice > ⏎  ⏎ {"type":"send","to":"alice","body":1} ⏎⏎  {"type":"send","to":"alice","body":2} ⏎
        alice < {"type":"message","from":"alice","body":1,"mid":"000000000abc-1","at":5}
        alice < {"type":"message","from":"alice","body":2,"mid":"000000000abc-2","at":5}
        "#,
    );
    let mut chat = Chat::of(&["alice"]);
    chat.say("alice", " \t\r\n");
    chat.check_silence("what is no JSON white space");
    chat.say("alice", "\u{a0}");
    chat.check(r#"alice < {"type":"error","code":"bad_request"}"#);
}

#[test]
fn a_body_is_passed_on_byte_for_byte() {
    for body in [
        "null",
        "-0.0e+5",
        r#""\u0041 \/ é\t""#,
        r#"[ 1 ,{"a" : 1, "a":2}]"#,
        "123456789012345678901234567890",
    ] {
        let script = r#"
            alice > {"type":"send","to":"bob", "body" :  BODY  }
            bob   < {"type":"message","from":"alice","body":BODY,"mid":"000000000abc-1","at":5}
            alice > {"body":BODY,"type":"signal","to":"bob"}
            bob   < {"type":"signal","from":"alice","body":BODY}
        "#;
        check(&["alice", "bob"], &script.replace("BODY", body));
    }
}

#[test]
fn sent_is_answered_only_to_a_send_with_a_ref_and_no_mid_comes_twice() {
    check(
        &["alice", "bob"],
        r#"
        alice > {"type":"send","to":"bob","body":1}
        bob   < {"type":"message","from":"alice","body":1,"mid":"000000000abc-1","at":5}
        bob   > {"type":"send","to":"alice","body":2,"ref":"é\n"}
        alice < {"type":"message","from":"bob","body":2,"mid":"000000000abc-2","at":5}
        bob   < {"type":"sent","ref":"é\n","mid":"000000000abc-2","at":5}
        alice > {"type":"send","to":"carol","body":3,"ref":"r"}
        alice < {"type":"error","code":"offline","ref":"r","to":"carol"}
        alice > {"type":"send","to":"bob","body":4}
        bob   < {"type":"message","from":"alice","body":4,"mid":"000000000abc-3","at":5}
        "#,
    );
}

#[test]
fn a_message_to_oneself_is_routed_like_any_other() {
    check(
        &["alice"],
        r#"
        alice > {"type":"send","to":"alice","body":1,"ref":"r"}
        alice < {"type":"message","from":"alice","body":1,"mid":"000000000abc-1","at":5}
        alice < {"type":"sent","ref":"r","mid":"000000000abc-1","at":5}
        "#,
    );
}

#[test]
fn an_id_is_free_again_the_moment_its_connection_ends() {
    check(
        &["alice"],
        r#"
        ann   > {"type":"join","id":"alice"}
        ann   < {"type":"error","code":"id_taken"}
        ann   > {"type":"join","id":"Alice"}
        ann   < {"type":"joined","id":"Alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice gone
        amy   > {"type":"join","id":"alice"}
        amy   < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice gone
        ann   > {"type":"send","to":"alice","body":1}
        amy   < {"type":"message","from":"Alice","body":1,"mid":"000000000abc-1","at":5}
        "#,
    );
}

#[test]
fn a_key_is_16_to_128_bytes() {
    let join = |len: usize| {
        format!(r#"alice > {{"type":"join","id":"alice","key":"{}"}}"#, "k".repeat(len))
    };
    let bad = r#"alice < {"type":"error","code":"bad_key"}"#;
    let joined = r#"alice < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}"#;
    for (len, answer) in [(0, bad), (15, bad), (16, joined), (128, joined), (129, bad)] {
        check(&[], &format!("{}\n{answer}", join(len)));
    }
}

#[test]
fn only_a_client_with_the_same_key_may_join_under_an_owned_id() {
    for key in ["", r#","key":"0123456789abcdeF""#, r#","key":"0123456789abcdef0""#] {
        let script = r#"
            old > {"type":"join","id":"alice","key":"0123456789abcdef"}
            old < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
            new > {"type":"join","id":"alice"KEY}
            new < {"type":"error","code":"id_taken"}
            new > {"type":"join","id":"bob"}
            new < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
            new > {"type":"send","to":"alice","body":1}
            old < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        "#;
        check(&[], &script.replace("KEY", key));
    }
    check(
        &["alice"],
        r#"
        new > {"type":"join","id":"alice","key":"0123456789abcdef"}
        new < {"type":"error","code":"id_taken"}
        "#,
    );
}

#[test]
fn an_equal_key_replaces_the_old_connection_and_nobody_else_notices() {
    check(
        &["bob"],
        r#"
        bob > {"type":"watch","ids":["alice"]}
        bob < {"type":"presence","id":"alice","online":false}
        old > {"type":"join","id":"alice","key":"0123456789abcdef"}
        old < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        bob < {"type":"presence","id":"alice","online":true}
        old > {"type":"watch","ids":["bob"]}
        old < {"type":"presence","id":"bob","online":true}
        old stuck
        bob > {"type":"send","to":"alice","body":1}
        new > {"type":"join","id":"alice","key":"0123456789abcdef"}
        old < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        old < closed 4001
        new < {"type":"joined","id":"alice","resumed":true,"held":1,"max_message":65536,"hold":600}
        new < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        old > {"type":"send","to":"bob","body":"I am not heard any more"}
        old gone
        bob > {"type":"send","to":"alice","body":2}
        new < {"type":"message","from":"bob","body":2,"mid":"000000000abc-2","at":5}
        bob > {"type":"leave"}
        bob < closed 1000
        new gone
        "#,
    );
}

#[test]
fn an_id_that_is_taken_over_is_never_free_in_between() {
    let mut chat = Chat::new(LIMITS);
    let join = r#"{"type":"join","id":"alice","key":"0123456789abcdef"}"#;
    let [old, new] = ["old", "new"].map(|name| chat.token(name));
    chat.hub.receive(old, join, chat.now);
    chat.hub.receive(new, join, chat.now);
    assert!(chat.hub.has_joined(new) && !chat.hub.has_joined(old));
    for _ in 0..3 {
        assert_eq!(chat.hub.client_of(chat.hub.ids["alice"]), Some(new));
        chat.hub.disconnected(old, Departure::Normal, chat.now);
    }
    chat.hub.disconnected(new, Departure::Normal, chat.now);
    assert_eq!(chat.hub.client_of(chat.hub.ids["alice"]), None);
    chat.pass(LIMITS.hold);
    assert!(chat.hub.ids.is_empty());
}

#[test]
fn the_key_of_the_new_connection_is_kept() {
    check(
        &[],
        r#"
        a > {"type":"join","id":"alice","key":"0123456789abcdef"}
        a < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        b > {"type":"join","id":"alice","key":"0123456789abcdef"}
        a < closed 4001
        b < {"type":"joined","id":"alice","resumed":true,"held":0,"max_message":65536,"hold":600}
        c > {"type":"join","id":"alice","key":"0123456789abcdef"}
        b < closed 4001
        c < {"type":"joined","id":"alice","resumed":true,"held":0,"max_message":65536,"hold":600}
        "#,
    );
}

#[test]
fn a_client_that_leaves_hears_1000_and_is_heard_up_to_there() {
    check(
        &["alice", "bob"],
        r#"
        alice > {"type":"send","to":"bob","body":1,"ref":"r"} ⏎ {"type":"leave"} ⏎ {"type":"send","to":"bob","body":2}
        alice < {"type":"sent","ref":"r","mid":"000000000abc-1","at":5}
        alice < closed 1000
        bob   < {"type":"message","from":"alice","body":1,"mid":"000000000abc-1","at":5}
        alice > {"type":"join","id":"alice"}
        amy   > {"type":"join","id":"alice"}
        amy   < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        "#,
    );
}

#[test]
fn the_16th_bad_request_in_a_row_is_answered_and_then_the_connection_closed() {
    let bad = |count: usize| {
        (
            "{ ⏎".repeat(count),
            "alice < {\"type\":\"error\",\"code\":\"bad_request\"}\n".repeat(count),
        )
    };
    let (said, heard) = bad(16);
    check(&[], &format!("alice > {said} {{\n {heard} alice < closed 4000"));
    check(&["alice"], &format!("alice > {said} {{\n {heard} alice < closed 4000"));

    // Any other line begins the row again, also one that is refused for another reason. A blank one
    // is none.
    let (said, heard) = bad(15);
    for (line, answers) in [
        (r#"{"type":"leave"}"#, "alice < {\"type\":\"error\",\"code\":\"not_joined\"}"),
        (r#"{"type":"join","id":"!"}"#, "alice < {\"type\":\"error\",\"code\":\"bad_id\"}"),
    ] {
        check(&[], &format!("alice > {said}{line} ⏎ {said}\n {heard}{answers}\n{heard}"));
    }
    check(
        &["alice"],
        &format!(
            r#"alice > {said}{{"type":"unwatch","ids":["a"]}} ⏎ {said}
                                  {heard}{heard}"#
        ),
    );
    check(
        &["alice"],
        &format!(
            r#"alice > {said} ⏎ {{
                                  {heard} alice < {{"type":"error","code":"bad_request"}}
                                  alice < closed 4000"#
        ),
    );
    // They count over texts.
    let one = "alice > {\n alice < {\"type\":\"error\",\"code\":\"bad_request\"}\n".repeat(16);
    check(&["alice"], &format!("{one} alice < closed 4000"));
}

#[test]
fn a_signal_for_somebody_who_is_away_is_silently_dropped() {
    check(&["alice"], r#"alice > {"type":"signal","to":"bob","body":1,"ref":"r"}"#);
}

#[test]
fn presence_is_told_at_watch_and_at_every_change() {
    check(
        &["alice"],
        r#"
        alice > {"type":"watch","ids":["bob","alice","bob"]}
        alice < {"type":"presence","id":"alice","online":true}
        alice < {"type":"presence","id":"bob","online":false}
        bob   > {"type":"join","id":"bob"}
        bob   < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice < {"type":"presence","id":"bob","online":true}
        bob   gone
        alice < {"type":"presence","id":"bob","online":false}
        bert  > {"type":"join","id":"bob"}
        bert  < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice < {"type":"presence","id":"bob","online":true}
        bert  > {"type":"leave"}
        bert  < closed 1000
        alice < {"type":"presence","id":"bob","online":false}
        alice > {"type":"watch","ids":["bob"]}
        alice < {"type":"presence","id":"bob","online":false}
        alice > {"type":"unwatch","ids":["bob","carol"]}
        carl  > {"type":"join","id":"bob"}
        carl  < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
        "#,
    );
}

#[test]
fn watches_belong_to_the_connection() {
    check(
        &["alice"],
        r#"
        alice > {"type":"watch","ids":["bob"]}
        alice < {"type":"presence","id":"bob","online":false}
        alice gone
        anna  > {"type":"join","id":"alice"}
        anna  < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
        bob   > {"type":"join","id":"bob"}
        bob   < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
        "#,
    );
}

#[test]
fn a_client_watches_256_ids_in_all_and_a_refused_watch_changes_nothing() {
    let mut chat = Chat::of(&["alice"]);
    chat.say("alice", &watch(0..255));
    assert_eq!(chat.heard.remove("alice").map(|lines| lines.len()), Some(255));
    chat.check(&format!(
        r#"
        alice > {two_more}
        alice < {{"type":"error","code":"too_many"}}
        bob   > {{"type":"join","id":"id300"}}
        bob   < {{"type":"joined","id":"id300","resumed":false,"held":0,"max_message":65536,"hold":600}}
        alice > {one_more_and_some_again}
        alice < {{"type":"presence","id":"id1","online":false}}
        alice < {{"type":"presence","id":"id300","online":true}}
        alice > {one_again}
        alice < {{"type":"presence","id":"id300","online":true}}
        alice > {{"type":"watch","ids":["id301"]}}
        alice < {{"type":"error","code":"too_many"}}
        alice > {{"type":"unwatch","ids":["id0"]}}
        alice > {{"type":"watch","ids":["id301"]}}
        alice < {{"type":"presence","id":"id301","online":false}}
        "#,
        two_more = watch(300..302),
        one_more_and_some_again = watch([300, 1, 1, 300].into_iter()),
        one_again = watch(300..301),
    ));
}

#[test]
fn a_list_with_one_bad_id_changes_nothing() {
    check(
        &["alice"],
        r#"
        alice > {"type":"watch","ids":["bob","a b"]}
        alice < {"type":"error","code":"bad_id"}
        alice > {"type":"watch","ids":["carol"]}
        alice < {"type":"presence","id":"carol","online":false}
        alice > {"type":"unwatch","ids":["carol","a b"]}
        alice < {"type":"error","code":"bad_id"}
        bob   > {"type":"join","id":"bob"}
        bob   < {"type":"joined","id":"bob","resumed":false,"held":0,"max_message":65536,"hold":600}
        carol > {"type":"join","id":"carol"}
        carol < {"type":"joined","id":"carol","resumed":false,"held":0,"max_message":65536,"hold":600}
        alice < {"type":"presence","id":"carol","online":true}
        "#,
    );
}

// ---- outboxes ----

#[test]
fn a_recipient_whose_outbox_is_full_is_taken_out_and_only_the_sender_is_told() {
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
    assert_eq!(chat.hub.waiting_bytes(), 0, "what waited for bob is given back");
}

#[test]
fn a_signal_that_does_not_fit_is_dropped_and_harms_nobody() {
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
fn a_client_too_slow_for_its_own_answers_is_taken_out() {
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
        carol < {"type":"joined","id":"alice","resumed":false,"held":0,"max_message":65536,"hold":600}
    "#,
    );
}

#[test]
fn a_watch_whose_answers_do_not_fit_leaves_nothing_behind() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice"]);
    chat.check(&format!("alice > {}\n alice < closed 1013", watch(0..100)));
    assert_eq!(chat.hub.presence.total(), 0);
}

#[test]
fn a_message_to_oneself_that_does_not_fit_ends_the_connection() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice"]);
    chat.check(&format!("alice > {}\n alice < closed 1013", send("alice", &"x".repeat(1000))));
}

#[test]
fn a_text_is_heard_up_to_the_line_by_which_more_than_half_of_an_outbox_waits() {
    let mut chat = Chat::new(Limits { outbox_bytes_max: 1000, ..LIMITS });
    chat.join(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    let line = send("bob", &"x".repeat(200));
    let text = [&*line; 5].join("\n");

    let rest = chat.hub.receive(alice, &text, chat.now);
    assert_eq!(rest, [&*line; 3].join("\n"), "two lines are more than 500 bytes");
    assert_eq!(chat.hub.clients.pressing, [bob]);
    assert_eq!(chat.hub.receive(alice, rest, chat.now), rest, "nothing is heard while bob presses");

    // A socket that takes nothing presses with every line.
    chat.hub.clients.pressing.clear();
    let rest = chat.hub.receive(alice, rest, chat.now);
    assert_eq!((rest.len(), &*chat.hub.clients.pressing), (2 * line.len() + 1, &[bob][..]));

    // One that takes all is given the rest.
    chat.hub.clients.pressing.clear();
    let taken = chat.hub.take_text(bob).len();
    assert_eq!(chat.hub.waiting_bytes(), taken);
    chat.hub.written(bob, Vec::new(), 0);
    assert_eq!(chat.hub.receive(alice, rest, chat.now), "");
}

#[test]
fn who_has_lines_is_named_once_until_they_are_taken() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    for _ in 0..2 {
        chat.hub.receive(alice, &[send("bob", "1"), send("bob", "2")].join("\n"), chat.now);
        assert_eq!(std::mem::take(&mut chat.hub.clients.pending_write), [bob]);
        chat.hub.take_text(bob);
    }
}

#[test]
fn as_what_waits_for_all_fills_up_the_big_are_refused_first() {
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
    // Two of about 680 bytes and one of 160 leave room for one of (4000 - 1520) / 4 = 620.
    chat.check(&script.replace("LONG", &"x".repeat(610)));

    // Who was not written to yet is not slow; it presses.
    let [alice, erin] = ["alice", "erin"].map(|name| chat.token(name));
    chat.hub.receive(erin, r#"{"type":"join","id":"erin"}"#, chat.now);
    chat.hub.receive(alice, &send("erin", &"x".repeat(610)), chat.now);
    assert_eq!(chat.hub.clients.pressing, [erin]);
}

#[test]
fn what_waits_is_what_is_in_outboxes_and_what_was_taken_and_has_not_left() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let [alice, bob] = ["alice", "bob"].map(|name| chat.token(name));
    let line = |n| {
        format!(r#"{{"type":"message","from":"alice","body":"1","mid":"000000000abc-{n}","at":5}}"#)
    };
    let len = line(1).len();

    chat.hub.receive(alice, &send("bob", "1"), chat.now);
    assert_eq!(chat.hub.waiting_bytes(), len);
    chat.hub.receive(alice, &send("bob", "1"), chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 2 * len + 1);
    assert_eq!(chat.hub.take_text(bob), [line(1), line(2)].join("\n").into_bytes());
    assert_eq!(chat.hub.take_text(bob), b"");
    assert_eq!(chat.hub.waiting_bytes(), 2 * len + 1, "taken is not yet gone");
    chat.hub.written(bob, Vec::new(), 7);
    assert_eq!(chat.hub.waiting_bytes(), 7);
    chat.hub.receive(alice, &send("bob", "1"), chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 7 + len);
    chat.hub.written(bob, Vec::new(), 0);
    assert_eq!(chat.hub.waiting_bytes(), len);
    chat.hub.disconnected(bob, Departure::Lost, chat.now);
    assert_eq!(chat.hub.waiting_bytes(), 0);
}

#[test]
fn the_token_of_a_client_that_is_gone_is_nobodys() {
    let mut chat = Chat::of(&["alice", "bob"]);
    let (old, now) = (chat.token("alice"), chat.now);
    let new = Token::new(old.key(), 2);
    chat.hub.disconnected(old, Departure::Lost, now);
    // At first its key is nobody's, and then somebody else's.
    for _ in 0..2 {
        let hub = &mut chat.hub;
        assert_eq!(hub.receive(old, &send("bob", "a ghost"), now), "");
        assert_eq!(hub.take_text(old), b"");
        assert!(!hub.has_joined(old));
        hub.written(old, Vec::new(), 1000);
        hub.close(old, CloseCode::GoingAway, now);
        hub.disconnected(old, Departure::Lost, now);
        assert!(hub.disconnects.is_empty() && hub.clients.pending_write.is_empty());
        assert_eq!(hub.waiting_bytes(), 0);
        if hub.clients.get(new).is_none() {
            hub.open(new);
            hub.receive(new, r#"{"type":"join","id":"alice"}"#, chat.now);
            hub.take_text(new);
            hub.written(new, Vec::new(), 0);
            hub.clients.pending_write.clear();
        }
    }
    assert!(chat.hub.has_joined(new));
}

#[test]
fn what_an_entry_of_the_table_of_ids_costs() {
    // The table adds a byte for each place, and of its places an eighth to nine sixteenths are
    // free.
    assert_eq!(size_of::<(Id, Holder)>(), size_of::<Id>() + size_of::<Holder>());
    assert_eq!(
        size_of::<Id>(),
        16,
        "where its text is, and how long; the text has two counts of 8 bytes before it"
    );
    assert_eq!(size_of::<Holder>(), 16, "a client or an ownership, and which of the two");
}
