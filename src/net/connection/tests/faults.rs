//! A reset in every state, and one conversation with a fault at every step.

use proptest::prelude::*;

use super::*;

#[test]
fn reset_in_any_state_is_the_end_and_leaves_nothing_behind() {
    type Step = fn(&mut Talk);
    let states: [(fn() -> Talk, Step); 9] = [
        (Talk::new, |_| {}),
        (Talk::new, |talk| talk.arrive(&HEALTH[..20])),
        (Talk::new, |talk| talk.arrive(HEALTH)),
        (Talk::joining, |_| {}),
        (Talk::open, |_| {}),
        (Talk::open, |talk| talk.arrive(frame(FIRST_FRAGMENT, "one"))),
        (Talk::open, |talk| talk.arrive(&frame(TEXT, "one")[..7])),
        (Talk::open, |talk| {
            talk.wire().window = Some(0);
            talk.arrive([frame(TEXT, "one"), frame(FIRST_FRAGMENT, "two")].concat());
        }),
        (Talk::new, |talk| {
            talk.wire().window = Some(0);
            talk.arrive(HEALTH.repeat(2));
        }),
    ];
    for (begin, step) in states {
        let mut talk = begin();
        step(&mut talk);
        talk.wire().reset = true;
        talk.event();
        talk.assert_gone(RESET);
    }
}

#[test]
fn reset_after_a_close_frame_keeps_the_first_reason() {
    let mut talk = Talk::open();
    talk.close(1001);
    talk.visit();
    talk.wire().reset = true;
    talk.event();
    talk.assert_gone(End::Refused(1001));

    let mut talk = Talk::open();
    talk.wire().window = Some(0);
    talk.arrive(frame(CLOSE, b"\x03\xe8"));
    talk.wire().reset = true;
    talk.event();
    talk.assert_gone(End::Closed(1000));
}

/// Returns a peer's whole input, in segments of 7 bytes, which cut every part of it: two requests,
/// the upgrade, messages of each kind, and a close frame.
fn conversation() -> Vec<Vec<u8>> {
    let letters = "x".repeat(300);
    let frames = [
        frame(TEXT, "one"),
        frame(FIRST_FRAGMENT, "tw"),
        frame(PING_FRAME, "?"),
        frame(0x80, "o"),
        frame(0x82, &letters),
        frame(CLOSE, b"\x03\xe8"),
    ];
    let all = [HEALTH.repeat(2).as_bytes(), UPGRADE.as_bytes(), &frames.concat()].concat();
    all.chunks(7).map(<[u8]>::to_vec).collect()
}

/// Plays the conversation with these faults, numbered by the call that meets them. After the last
/// segment readiness is reported until the connection is gone, because a fault may have used up an
/// event; from the fourth report on the stream has ended.
fn converse(faults: impl IntoIterator<Item = (usize, Fault)>) -> Talk {
    let mut talk = Talk::new();
    talk.buffer.truncate(HEAD_BYTES_MAX);
    talk.wire().faults.extend(faults);
    for segment in conversation() {
        talk.arrive(segment);
    }
    let mut events = 0;
    while !talk.connection.is_gone() {
        talk.wire().end = events > 2;
        talk.event();
        events += 1;
        assert!(events < 100, "the connection hangs");
    }
    talk
}

/// Asserts that these faults, none of which is a reset, change neither input nor output.
#[track_caller]
fn check_faults(faultless: &Talk, faults: Vec<(usize, Fault)>) {
    let talk = converse(faults);
    talk.assert_gone(End::Closed(1000));
    assert_eq!(talk.received, faultless.received);
    assert!(talk.wire().taken == faultless.wire().taken, "the output differs");
}

#[test]
fn fault_at_any_step_changes_nothing_unless_it_is_a_reset() {
    let faultless = converse([]);
    faultless.assert_gone(End::Closed(1000));
    let binary = Incoming::Binary("x".repeat(300).into());
    assert_eq!(faultless.received, [Incoming::Open(None), text("one"), text("two"), binary]);

    let calls = faultless.wire().calls;
    for step in 0..calls {
        for fault in [Fault::Blocks, Fault::IsInterrupted, Fault::TakesOneByte] {
            check_faults(&faultless, vec![(step, fault)]);
        }
        let talk = converse([(step, Fault::Resets)]);
        talk.assert_gone(talk.connection.end().unwrap());
        assert!(faultless.received.starts_with(&talk.received));
        assert!(faultless.wire().taken.starts_with(&talk.wire().taken));
    }
}

proptest! {
    // A failing case is printed, and becomes an ordinary test instead of a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_faults_without_resets_change_nothing(
        faults in prop::collection::vec((0..200usize, 0..3usize), 0..100),
    ) {
        let fault = |n| [Fault::Blocks, Fault::IsInterrupted, Fault::TakesOneByte][n];
        check_faults(&converse([]), faults.into_iter().map(|(step, n)| (step, fault(n))).collect());
    }
}
