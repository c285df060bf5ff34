//! Clients that talk faster than they may: slower, and nothing is lost.

use super::*;

const RATE: usize = 100;
const BURST: usize = 1000;

fn play() -> Play {
    Play::with(100, |config| (config.rate, config.burst) = (RATE, BURST))
}

/// How long the loop sleeps, whoever sends what.
fn sleep(play: &Play) -> Duration {
    play.server.sleep(play.now.instant).expect("there is a deadline")
}

/// Time passes until the next deadline, and what is due then is done.
fn wait(play: &mut Play) -> Duration {
    let time = sleep(play);
    play.pass(time);
    play.run();
    time
}

fn lines(heard: Vec<String>) -> usize {
    heard.iter().map(|text| text.lines().count()).sum()
}

#[test]
fn a_sender_in_a_tight_loop_is_read_from_more_slowly_and_nothing_is_lost() {
    let mut play = Play::with(100, |config| {
        (config.rate, config.burst) = (RATE, BURST);
        // Bob only listens.
        (config.ping, config.timeout) = (1000 * SECOND, 2000 * SECOND);
    });
    let [alice, bob] = play.join(["alice", "bob"]);
    let said: Vec<u8> = (0..5000)
        .flat_map(|n| frame(TEXT, send("bob", &format!("{n:0>100}")).as_bytes()))
        .collect();
    alice.send_bytes(&said);
    play.run();
    let mut heard = bob.hears();
    let first = lines(heard.clone());
    let per_read = READ_BYTES / (said.len() / 5000);
    assert!((BURST..=BURST + per_read).contains(&first), "{first} at once");
    assert!(alice.socket.borrow().inward.len() > said.len() / 2, "the rest waits in the kernel");

    let mut time = Duration::ZERO;
    while heard.iter().map(|text| text.lines().count()).sum::<usize>() < 5000 {
        time += wait(&mut play);
        let now = bob.hears();
        assert!(lines(now.clone()) <= per_read + 1, "a read at a time");
        heard.extend(now);
    }
    let heard = heard.join("\n");
    assert!(
        heard
            .lines()
            .zip(1..)
            .all(|(line, n)| line == message("alice", &format!("{:0>100}", n - 1), n))
    );
    // She has joined with one line, and the last read is in debt when it is heard.
    let (least, most) = (5001 - BURST - per_read, 5001 - BURST);
    assert!((least..=most).contains(&((time.as_secs_f64() * RATE as f64) as usize)), "{time:?}");
    assert_eq!(play.held(), (0, 0));
}

#[test]
fn who_is_paused_is_not_pinged_and_stays_and_others_notice_nothing() {
    let mut play = play();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    // Blank lines count: they are looked at. This is far longer in debt than the timeout.
    alice.say(&"\n".repeat(60_000));
    play.run();
    alice.say(&send("bob", "at last"));
    for _ in 0..60 {
        play.pass(9 * SECOND);
        bob.say(&send("carol", "?"));
        carol.say(&send("bob", "!"));
        play.run();
        assert_eq!(alice.hears(), [""; 0]);
        assert_eq!((lines(bob.hears()), lines(carol.hears())), (1, 1));
    }
    play.pass(60 * SECOND);
    play.run();
    assert!(!alice.is_dropped());
    assert!(bob.hears().concat().contains("at last"));
}

#[test]
fn a_frame_without_a_line_counts_as_one() {
    let mut floods = vec![frame(OpCode::Control(Control::Ping), b"").repeat(BURST + 100)];
    floods.push(frame(OpCode::Control(Control::Pong), b"").repeat(BURST + 100));
    let empty = frame_of(OpCode::Data(Data::Continue), b"", false);
    floods.push([frame_of(TEXT, b"", false), empty.repeat(BURST + 99)].concat());
    for flood in floods {
        let mut play = play();
        let [alice] = play.join(["alice"]);
        alice.send_bytes(&flood);
        play.run();
        // The burst is short of the line with which she joined.
        assert_eq!(sleep(&play), (100 + 1) * SECOND / RATE as u32);
    }
}

#[test]
fn a_line_after_the_other_at_the_rate_is_never_late() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&vec![send("bob", "?"); BURST - 1].join("\n"));
    play.run();
    bob.hears();
    for _ in 0..1000 {
        play.pass(SECOND / RATE as u32);
        alice.say(&send("bob", "!"));
        play.turn();
        assert_eq!(bob.hears().len(), 1);
    }
}

#[test]
fn the_last_words_of_somebody_paused_are_heard_before_its_end() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.say(&vec![send("bob", "?"); BURST + 100].join("\n"));
    play.run();
    bob.hears();
    alice.say(&send("bob", "my last words"));
    alice.end();
    play.run();
    assert!(!alice.is_dropped());
    // Far behind the pause, so that there is no second one, which would look for an end by itself.
    play.pass(20 * SECOND);
    play.run();
    assert_eq!(bob.hears(), [message("alice", "my last words", BURST + 101)]);
    assert!(alice.is_dropped(), "that its end had come was not forgotten");
}

#[test]
fn pauses_without_number_leave_no_deadlines_behind() {
    let mut play = play();
    let [alice] = play.join(["alice"]);
    alice.say(&"\n".repeat(BURST));
    play.run();
    for _ in 0..5000 {
        alice.say("\n");
        play.run();
        wait(&mut play);
    }
    assert!(play.server.deadlines.len() <= DEADLINES_SPARE + 2);
}
