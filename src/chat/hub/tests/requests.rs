//! The rules of the protocol page, one after the other, for clients without a key.

use super::*;

#[test]
fn examples_of_the_protocol_page_hold() {
    check(
        &["bob"],
        r#"
        alice > {"type":"join","id":"alice","key":"9f2c6a0123456789"}
        alice < joined alice
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
fn bad_request_comes_before_not_joined_and_all_others() {
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
fn error_repeats_ref_and_to_of_at_most_64_bytes() {
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
fn text_holds_many_lines_and_blank_ones_are_skipped() {
    check(
        &["bob"],
        r#"
        bob > ⏎  ⏎ {"type":"send","to":"bob","body":1} ⏎⏎  {"type":"send","to":"bob","body":2} ⏎
        bob < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        bob < {"type":"message","from":"bob","body":2,"mid":"000000000abc-2","at":5}
        "#,
    );
    let mut chat = Chat::of(&["alice"]);
    chat.say("alice", " \t\r\n");
    chat.check_silence("white space that JSON does not know");
    chat.say("alice", "\u{a0}");
    chat.check(r#"alice < {"type":"error","code":"bad_request"}"#);
}

#[test]
fn body_is_passed_on_byte_for_byte() {
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
fn only_send_with_ref_gets_sent_and_no_mid_comes_twice() {
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
fn message_to_its_own_sender_is_routed_like_any_other() {
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
fn unowned_id_is_free_as_soon_as_its_connection_ends() {
    check(
        &["alice"],
        r#"
        ann   > {"type":"join","id":"alice"}
        ann   < {"type":"error","code":"id_taken"}
        ann   > {"type":"join","id":"Alice"}
        ann   < joined Alice
        alice lost
        amy   > {"type":"join","id":"alice"}
        amy   < joined alice
        alice lost
        ann   > {"type":"send","to":"alice","body":1}
        amy   < {"type":"message","from":"Alice","body":1,"mid":"000000000abc-1","at":5}
        "#,
    );
}

#[test]
fn key_must_have_16_to_128_bytes() {
    let join = |len: usize| {
        format!(r#"alice > {{"type":"join","id":"alice","key":"{}"}}"#, "k".repeat(len))
    };
    let bad = r#"alice < {"type":"error","code":"bad_key"}"#;
    let joined = r#"alice < joined alice"#;
    for (len, answer) in [(0, bad), (15, bad), (16, joined), (128, joined), (129, bad)] {
        check(&[], &format!("{}\n{answer}", join(len)));
    }
}

#[test]
fn owned_id_is_refused_to_a_client_with_another_key() {
    for key in ["", r#","key":"0123456789abcdeF""#, r#","key":"0123456789abcdef0""#] {
        let script = r#"
            old > {"type":"join","id":"alice","key":"0123456789abcdef"}
            old < joined alice
            new > {"type":"join","id":"alice"KEY}
            new < {"type":"error","code":"id_taken"}
            new > {"type":"join","id":"bob"}
            new < joined bob
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
fn equal_key_replaces_the_connection_unseen_by_others() {
    check(
        &["bob"],
        r#"
        bob > {"type":"watch","ids":["alice"]}
        bob < {"type":"presence","id":"alice","online":false}
        old > {"type":"join","id":"alice","key":"0123456789abcdef"}
        old < joined alice
        bob < {"type":"presence","id":"alice","online":true}
        old > {"type":"watch","ids":["bob"]}
        old < {"type":"presence","id":"bob","online":true}
        old stuck
        bob > {"type":"send","to":"alice","body":1}
        new > {"type":"join","id":"alice","key":"0123456789abcdef"}
        old < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        old < closed 4001
        new < {"type":"joined","id":"alice","resumed":true,"held":1,"max_message":65536,"hold":600,"card":2048}
        new < {"type":"message","from":"bob","body":1,"mid":"000000000abc-1","at":5}
        old > {"type":"send","to":"bob","body":"I am not heard any more"}
        old lost
        bob > {"type":"send","to":"alice","body":2}
        new < {"type":"message","from":"bob","body":2,"mid":"000000000abc-2","at":5}
        bob > {"type":"leave"}
        bob < closed 1000
        new lost
        "#,
    );
}

#[test]
fn replaced_connection_never_leaves_its_id_free() {
    let mut chat = Chat::new(LIMITS);
    let join = r#"{"type":"join","id":"alice","key":"0123456789abcdef"}"#;
    let [old, new] = ["old", "new"].map(|name| chat.token(name));
    chat.hub.receive(old, join, usize::MAX, chat.now);
    chat.hub.receive(new, join, usize::MAX, chat.now);
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
fn owned_id_keeps_its_key_after_each_replacement() {
    check(
        &[],
        r#"
        a > {"type":"join","id":"alice","key":"0123456789abcdef"}
        a < joined alice
        b > {"type":"join","id":"alice","key":"0123456789abcdef"}
        a < closed 4001
        b < {"type":"joined","id":"alice","resumed":true,"held":0,"max_message":65536,"hold":600,"card":2048}
        c > {"type":"join","id":"alice","key":"0123456789abcdef"}
        b < closed 4001
        c < {"type":"joined","id":"alice","resumed":true,"held":0,"max_message":65536,"hold":600,"card":2048}
        "#,
    );
}

#[test]
fn client_that_leaves_gets_1000_after_its_last_answer() {
    let script = r#"
        alice > {"type":"send","to":"bob","body":1,"ref":"r"} ⏎ {"type":"leave"} ⏎ MORE
        alice < {"type":"sent","ref":"r","mid":"000000000abc-1","at":5}
        alice < closed 1000
        bob   < {"type":"message","from":"alice","body":1,"mid":"000000000abc-1","at":5}
        alice > {"type":"join","id":"alice"}
        amy   > {"type":"join","id":"alice"}
        amy   < joined alice
    "#;
    check(&["alice", "bob"], &script.replace("MORE", &send("bob", "not heard")));
}

#[test]
fn bad_request_number_16_in_a_row_ends_the_connection() {
    let bad = |count: usize| {
        (
            "{ ⏎".repeat(count),
            "alice < {\"type\":\"error\",\"code\":\"bad_request\"}\n".repeat(count),
        )
    };
    let (said, heard) = bad(16);
    check(&[], &format!("alice > {said} {{\n {heard} alice < closed 4000"));
    check(&["alice"], &format!("alice > {said} {{\n {heard} alice < closed 4000"));

    // Any other line ends the row, even one that is refused for another reason. A blank line does
    // not.
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
    // The row goes on from one text to the next.
    let one = "alice > {\n alice < {\"type\":\"error\",\"code\":\"bad_request\"}\n".repeat(16);
    check(&["alice"], &format!("{one} alice < closed 4000"));
}

#[test]
fn signal_to_an_absent_id_is_silently_dropped() {
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
        bob   < joined bob
        alice < {"type":"presence","id":"bob","online":true}
        bob   lost
        alice < {"type":"presence","id":"bob","online":false}
        bert  > {"type":"join","id":"bob"}
        bert  < joined bob
        alice < {"type":"presence","id":"bob","online":true}
        bert  > {"type":"leave"}
        bert  < closed 1000
        alice < {"type":"presence","id":"bob","online":false}
        alice > {"type":"watch","ids":["bob"]}
        alice < {"type":"presence","id":"bob","online":false}
        alice > {"type":"unwatch","ids":["bob","carol"]}
        carl  > {"type":"join","id":"bob"}
        carl  < joined bob
        "#,
    );
}

#[test]
fn watches_end_with_their_connection() {
    check(
        &["alice"],
        r#"
        alice > {"type":"watch","ids":["bob"]}
        alice < {"type":"presence","id":"bob","online":false}
        alice lost
        anna  > {"type":"join","id":"alice"}
        anna  < joined alice
        bob   > {"type":"join","id":"bob"}
        bob   < joined bob
        "#,
    );
}

#[test]
fn watch_of_more_than_256_ids_is_refused_as_a_whole() {
    let mut chat = Chat::of(&["alice"]);
    chat.say("alice", &watch(0..255));
    assert_eq!(chat.heard.remove("alice").map(|lines| lines.len()), Some(255));
    chat.check(&format!(
        r#"
        alice > {two_more}
        alice < {{"type":"error","code":"too_many"}}
        bob   > {{"type":"join","id":"id300"}}
        bob   < joined id300
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
fn list_with_one_bad_id_changes_nothing() {
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
        bob   < joined bob
        carol > {"type":"join","id":"carol"}
        carol < joined carol
        alice < {"type":"presence","id":"carol","online":true}
        "#,
    );
}
