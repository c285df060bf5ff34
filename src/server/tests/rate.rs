//! Clients that send faster than their rate: they are read more slowly, and lose nothing.

use super::*;
use crate::limits::{LIST_MAX, TOKENS_PER_LINE};

const RATE: usize = 100;
const BURST: usize = 1000;

fn play() -> Play {
    Play::with(100, |config| (config.rate, config.burst) = (RATE, BURST))
}

/// Lets time pass until the next deadline, and acts on it. Returns that time.
fn wait(play: &mut Play) -> Duration {
    let time = play.sleep().expect("there is a deadline");
    play.pass(time);
    play.run();
    time
}

#[test]
fn fast_sender_is_read_at_the_rate_and_loses_nothing() {
    let mut play = Play::with(100, |config| {
        (config.rate, config.burst) = (RATE, BURST);
        // Bob only receives, so he must not be dropped for his silence.
        (config.ping, config.timeout) = (1000 * SECOND, 2000 * SECOND);
    });
    let [alice, bob] = play.join(["alice", "bob"]);
    let sent: Vec<u8> = (0..5000)
        .flat_map(|n| frame(TEXT, send("bob", &format!("{n:0>100}")).as_bytes()))
        .collect();
    alice.send_bytes(&sent);
    play.run();
    let mut received = bob.receive();
    let first = count_lines(&received);
    let per_read = READ_BYTES / (sent.len() / 5000);
    assert!((BURST..=BURST + per_read).contains(&first), "{first} lines at once");
    assert!(alice.socket.borrow().to_server.len() > sent.len() / 2, "the rest waits in the kernel");

    let mut time = Duration::ZERO;
    while count_lines(&received) < 5000 {
        time += wait(&mut play);
        let now = bob.receive();
        assert!(count_lines(&now) <= per_read + 1, "more than one read at a time");
        received.extend(now);
    }
    let received = received.join("\n");
    assert!(
        received
            .lines()
            .zip(1..)
            .all(|(line, n)| line == message("alice", &format!("{:0>100}", n - 1), n))
    );
    // Her join was a line, too. The lines of the last read arrive before their debt is paid, so the
    // time may lack theirs.
    let (least, most) = (5001 - BURST - per_read, 5001 - BURST);
    assert!((least..=most).contains(&((time.as_secs_f64() * RATE as f64) as usize)), "{time:?}");
    assert_eq!(play.buffered_bytes(), (0, 0));
}

/// Returns lists with as many ids as fit into one read.
fn lists() -> String {
    let ids: Vec<String> = (0..LIST_MAX).map(|n| format!(r#""{n}""#)).collect();
    let list = format!(r#"{{"type":"watch","ids":[{}]}}"#, ids.join(","));
    vec![list; READ_BYTES / 1500].join("\n")
}

#[test]
fn lists_are_heard_at_the_rate_and_delay_no_others() {
    let mut play = play();
    let [alice, bob, carol] = play.join(["alice", "bob", "carol"]);
    let lists = lists();
    let ids = lists.split('"').filter(|text| text.parse::<usize>().is_ok()).count();
    assert!(ids > 10 * BURST, "{ids}");
    alice.send_text(&lists);
    alice.send_text(&send("bob", "at last"));
    let (mut seconds, mut pings, mut heard) = (0, 0, String::new());
    while !heard.contains("at last") {
        let before = play.server.hub.tokens_charged();
        bob.send_text(&send("carol", "?"));
        carol.send_text(&send("bob", "!"));
        play.run();
        assert_eq!(count_lines(&carol.receive()), 1);
        heard = bob.receive().concat();
        assert!(heard.contains('!'));
        // A turn takes her tokens, and one list more.
        let cost = (play.server.hub.tokens_charged() - before) / TOKENS_PER_LINE;
        assert!(cost <= LIST_MAX + if seconds == 0 { BURST } else { RATE } + 2, "{cost}");
        pings += alice.receive().iter().filter(|frame| *frame == "ping").count();
        play.pass(SECOND);
        seconds += 1;
    }
    // Longer than a silent client may live: her pongs would not be read before. But she is pinged,
    // so that the kernel finds out if she is dead.
    let expected = (ids - BURST) / RATE;
    assert!(pings > 1, "{pings} pings");
    assert!(expected > 60 && (expected..expected + 5).contains(&seconds), "{seconds} seconds");
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn client_that_is_closed_leaves_none_of_its_waiting_input() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    let lines = [vec![send("bob", "?"); BURST + 100].join("\n"), "no request\n".repeat(20)];
    alice.send_text(&lines.join("\n"));
    alice.send_text(&send("bob", "unheard"));
    alice.send_bytes(&frame(OpCode::Control(Control::Close), &1000u16.to_be_bytes()));
    play.run();
    assert!(play.server.shared.incomplete_bytes() > 0);
    while !alice.is_dropped() {
        wait(&mut play);
    }
    let received = bob.receive().join("\n");
    assert_eq!(received.lines().count(), BURST + 100);
    assert_eq!(play.buffered_bytes(), (0, 0));
}

#[test]
fn order_holds_across_texts_pings_and_fragments_that_wait() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    let long = vec![send("bob", "first"); BURST].join("\n");
    let (start, end) = long.split_at(long.len() / 2);
    let cont = OpCode::Data(Data::Continue);
    let input = [
        frame_of(TEXT, start.as_bytes(), false),
        frame(OpCode::Control(Control::Ping), b""),
        frame_of(cont, end.as_bytes(), true),
        frame(TEXT, send("bob", "second").as_bytes()),
        frame(OpCode::Control(Control::Ping), b""),
        frame_of(TEXT, send("bob", "third").as_bytes(), false),
        frame_of(cont, b"", true),
    ];
    alice.send_bytes(&input.concat());
    play.run();
    let mut received = bob.receive();
    while !received.concat().contains("third") {
        wait(&mut play);
        received.extend(bob.receive());
    }
    let bodies: Vec<String> = received
        .join("\n")
        .lines()
        .filter_map(|line| Some(line.split_once(r#""body":""#)?.1.split('"').next()?.to_owned()))
        .collect();
    let expected = [vec!["first"; BURST], vec!["second", "third"]].concat();
    assert_eq!(bodies, expected);
}

#[test]
fn short_lines_between_blank_ones_cost_little() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(&format!("{}{}", "\n".repeat(60_000), send("bob", "at once")));
    play.run();
    assert!(bob.receive().concat().contains("at once"));
}

#[test]
fn paused_client_that_is_reset_is_offline_at_once() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    bob.send_text(r#"{"type":"watch","ids":["alice"]}"#);
    alice.send_text(&lists());
    play.run();
    bob.receive();
    alice.send_text(&send("bob", "unread"));
    alice.reset();
    play.run();
    assert!(alice.is_dropped());
    assert_eq!(bob.receive(), [r#"{"type":"presence","id":"alice","online":false}"#]);
}

#[test]
fn frame_without_a_line_counts_as_one_line() {
    let mut floods = vec![frame(OpCode::Control(Control::Ping), b"").repeat(BURST + 100)];
    floods.push(frame(OpCode::Control(Control::Pong), b"").repeat(BURST + 100));
    let empty = frame_of(OpCode::Data(Data::Continue), b"", false);
    floods.push([frame_of(TEXT, b"", false), empty.repeat(BURST + 99)].concat());
    for flood in floods {
        let mut play = play();
        let [alice] = play.join(["alice"]);
        alice.send_bytes(&flood);
        play.run();
        let mut time = Duration::ZERO;
        while play.server.slots.iter().any(|(_, slot)| slot.connection.is_paused()) {
            time += wait(&mut play);
        }
        // Her join was one line of the burst.
        assert_eq!((time.as_secs_f64() * RATE as f64).round() as usize, 100 + 1);
    }
}

#[test]
fn line_sent_at_the_rate_is_never_delayed() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(&vec![send("bob", "?"); BURST - 1].join("\n"));
    play.run();
    bob.receive();
    for _ in 0..1000 {
        play.pass(SECOND / RATE as u32);
        alice.send_text(&send("bob", "!"));
        play.turn();
        assert_eq!(bob.receive().len(), 1);
    }
}

#[test]
fn last_line_of_a_paused_client_is_read_before_its_end() {
    let mut play = play();
    let [alice, bob] = play.join(["alice", "bob"]);
    alice.send_text(&vec![send("bob", "?"); BURST + 100].join("\n"));
    play.run();
    bob.receive();
    alice.send_text(&send("bob", "my last words"));
    alice.end();
    play.run();
    assert!(!alice.is_dropped());
    // Far behind the pause: no second pause follows, which would find the end by itself.
    play.pass(20 * SECOND);
    play.run();
    let last = message("alice", "my last words", BURST + 101);
    assert!(bob.receive().concat().ends_with(&last));
    assert!(alice.is_dropped(), "the end reported in the pause was forgotten");
}

#[test]
fn thousands_of_pauses_leave_no_deadlines_behind() {
    let mut play = play();
    let [alice] = play.join(["alice"]);
    alice.send_text(&vec![send("nobody", ""); BURST].join("\n"));
    play.run();
    for _ in 0..5000 {
        alice.send_text("\n");
        play.run();
        wait(&mut play);
    }
    assert!(play.server.deadlines.len() <= DEADLINES_SPARE + 2);
}
