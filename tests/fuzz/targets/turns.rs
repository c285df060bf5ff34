//! Peers and kernels that do anything at all to a server, turn after turn.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;
use sotto::net::connection::View;
use sotto::token::Token;

use super::play::{KEY, LONG_HOLD, Mode, PEERS, Play, Witness, join};
use super::socket::{HANDSHAKE, Wire, end, frame, reset, send, unblock};
use super::written::{frames_written, lines_written};

const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Steps of one play. More would only make a fuzzer slower.
const STEPS_MAX: usize = 400;

/// Checks that no peer and no kernel can do harm. The first byte chooses the rules of the play, and
/// each 4 bytes behind it are one step.
///
/// - Nothing panics, and the loop comes to rest.
/// - All written bytes are as the protocol says.
/// - No id has two holders, and a message taken for an owned id is there.
/// - The witnesses notice nothing.
/// - When all clients are gone and forgotten, nothing of them is left.
pub fn check(bytes: &[u8]) {
    let Some((mode, steps)) = bytes.split_first() else { return };
    let mode = Mode {
        rate: usize::from(mode % 2) * 100,
        all_recover: mode & 2 != 0,
        keep_all: mode & 4 != 0,
    };
    let mut play = Play::new(&mode);
    for step in steps.chunks_exact(4).take(STEPS_MAX) {
        take_step(&mut play, step.try_into().expect("4 bytes"), &mode);
    }
    play.run();
    if mode.all_recover {
        play.peers.iter().for_each(|(_, wire)| unblock(wire, usize::MAX));
        play.rest();
        check_holders(&mut play, &mode);
    }
    play.peers.iter().for_each(|(_, wire)| reset(wire));
    // The end of a paused client is found when it is read again.
    play.run();
    play.rest();
    assert_eq!((play.came, play.delivered), (play.asked, play.asked), "witnesses lose nothing");
    assert_eq!(play.server.len(), 2, "only the witnesses are here");
    check_written(&play);
    if mode.keep_all {
        check_kept(&mut play);
    }
    check_nothing_left(&mut play);
}

/// Lets one peer or its kernel do something, then the server, or time.
fn take_step(play: &mut Play, step: [u8; 4], mode: &Mode) {
    let [action, peer, a, b] = step;
    if let Some(wire) = play.peer(peer) {
        let line = |a, b| line(a, b, mode);
        match action % 12 {
            0 => send(wire, HANDSHAKE),
            1..=4 => send(wire, &frame(0x81, line(a, b).as_bytes())),
            5 => send(wire, &frame(0x81, format!("{}\n{}", line(a, b), line(b, a)).as_bytes())),
            6 => send(wire, &frame(a, &[b; 3])),
            7 => send(wire, &step[1..]),
            8 => unblock(wire, usize::from(a) * usize::from(b)),
            9 => end(wire),
            10 => reset(wire),
            _ => {}
        }
    }
    match action / 16 {
        0 if play.server.len() < 2 * PEERS => drop(play.connect(View::Page)),
        1 => play.pass(b.into()),
        2..=8 => {
            play.talk();
            play.turn();
        }
        _ => {}
    }
}

/// The first of the kinds of line about cards. Those below stay as they are, so that older inputs
/// keep their meaning.
const CARDS: u8 = 234;
const LOOKUPS: u8 = 241;
const JOINS_WITH_CARD: u8 = 248;

/// Returns a line of a client: `kind` chooses its type, `about` the id in it.
fn line(kind: u8, about: u8, mode: &Mode) -> String {
    let id = about % PEERS as u8;
    let card = format!(r#"{{"of":{about},"x":"{}"}}"#, "x".repeat(3 * usize::from(about)));
    match kind {
        JOINS_WITH_CARD.. => {
            return join(&format!("p{id}"), KEY).replace('}', &format!(r#","card":{card}}}"#));
        }
        LOOKUPS.. => return format!(r#"{{"type":"lookup","id":"p{id}"}}"#),
        CARDS.. if about < 4 => return r#"{"type":"card"}"#.into(),
        CARDS.. => return format!(r#"{{"type":"card","card":{card}}}"#),
        _ => {}
    }
    match kind % 9 {
        0 if !mode.keep_all => format!(r#"{{"type":"join","id":"p{id}"}}"#),
        0 | 1 => join(&format!("p{id}"), KEY),
        2 => format!(
            r#"{{"type":"send","to":"p{id}","body":"{}","ref":"r{about}"}}"#,
            "x".repeat(about.into())
        ),
        3 if !mode.keep_all => {
            format!(r#"{{"type":"ack","to":"p{id}","mids":["000000000001-{:x}","?"]}}"#, about / 4)
        }
        4 => format!(r#"{{"type":"watch","ids":["p{id}","p0"]}}"#),
        5 => format!(r#"{{"type":"block","ids":["p{id}"]}}"#),
        6 => format!(r#"{{"type":"unblock","ids":["p{id}"]}}"#),
        8 if !mode.keep_all => r#"{"type":"leave"}"#.into(),
        _ => format!(r#"{{"type":"signal","to":"p{id}","body":{about}}}"#),
    }
}

/// Checks that the bytes for the peers are as the protocol says, and no more than the peers may
/// cause.
fn check_written(play: &Play) {
    let (mut heard, mut told) = (0, 0);
    for (_, wire) in &play.peers {
        let socket = wire.0.borrow();
        for line in lines_written(&socket.outward) {
            assert!(line["type"] != "card" || is_card(&line), "{line}");
        }
        (heard, told) = (heard + socket.said, told + socket.outward.len());
    }
    // A join is answered with the held messages and the fates of the last 128 sends at most.
    assert!(told <= 4096 * (play.peers.len() + 2) + 256 * heard, "{told} bytes for {heard}");
}

/// Returns `true` if this is the answer to a `lookup`, with a card that a peer has published.
fn is_card(line: &Value) -> bool {
    let card = &line["card"];
    let len = card["x"].as_str().map(|text| text.len() as u64 / 3);
    let is_published =
        line["claimed"] == true && card["of"].as_u64().is_some_and(|of| Some(of) == len);
    line["id"].is_string() && line["claimed"].is_boolean() && (card.is_null() || is_published)
}

/// Checks that an id has one holder at most, and that a message to it reaches that holder alone, or
/// is refused.
fn check_holders(play: &mut Play, mode: &Mode) {
    for id in 0..PEERS {
        play.witnesses[0].say(&format!(r#"{{"type":"send","to":"p{id}","body":"p{id}"}}"#));
    }
    play.rest();
    let taken = taken(&play.peers);
    let (mut holders, mut probes) = (HashSet::new(), HashSet::new());
    for (_, wire) in &play.peers {
        // The server still has its end, and has sent no close frame.
        let has_end = Rc::strong_count(&wire.0) > 1;
        let socket = wire.0.borrow();
        let is_here =
            has_end && frames_written(&socket.outward).iter().all(|(first, _)| *first != 0x88);
        let lines = lines_written(&socket.outward);
        for line in &lines {
            if is_here && line["type"] == "joined" {
                let id = line["id"].as_str().expect("an id").to_owned();
                if mode.keep_all {
                    check_came(&id, &lines, &taken);
                }
                assert!(holders.insert(id), "a second holder: {line}");
            }
            if line["from"] == "ann" {
                let id = line["body"].as_str().expect("an id").to_owned();
                assert!(probes.insert(id), "came twice: {line}");
            }
        }
    }
    let reached: HashSet<String> = probes.union(&play.refused).cloned().collect();
    assert!(holders.is_subset(&reached), "of {holders:?} only {reached:?} were reached");
}

/// Checks that every message that was taken for an id is there for its next holder.
fn check_kept(play: &mut Play) {
    let taken = taken(&play.peers);
    for id in 0..PEERS {
        let (id, wire) = (format!("p{id}"), play.connect(View::Page));
        send(&wire, HANDSHAKE);
        send(&wire, &frame(0x81, join(&id, KEY).as_bytes()));
        play.run();
        let lines = lines_written(&wire.0.borrow().outward);
        check_came(&id, &lines, &taken);
        reset(&wire);
        play.run();
    }
}

/// Returns the mids of all messages that were answered `sent`, by their recipients. The number in a
/// `ref` names the recipient.
fn taken(peers: &[(Token, Wire)]) -> HashMap<String, HashSet<String>> {
    let mut taken: HashMap<String, HashSet<String>> = HashMap::new();
    for line in peers.iter().flat_map(|(_, wire)| lines_written(&wire.0.borrow().outward)) {
        if line["type"] == "sent" {
            let about: usize = line["ref"].as_str().expect("a ref")[1..].parse().expect("a number");
            let mids = taken.entry(format!("p{}", about % PEERS)).or_default();
            mids.insert(line["mid"].as_str().expect("a mid").into());
        }
    }
    taken
}

/// Checks that all messages that were taken for an id are among these lines, once and in order.
fn check_came(id: &str, lines: &[Value], taken: &HashMap<String, HashSet<String>>) {
    let messages = lines.iter().filter(|line| line["type"] == "message");
    let mids: Vec<&str> = messages.map(|line| line["mid"].as_str().expect("a mid")).collect();
    let count = |mid: &&str| {
        u64::from_str_radix(mid.split_once('-').expect("two parts").1, 16).expect("a count")
    };
    assert!(mids.iter().map(count).is_sorted_by(|a, b| a < b), "{id}: {mids:?}");
    let mut taken = taken.get(id).into_iter().flatten();
    assert!(taken.all(|mid| mids.contains(&&**mid)), "{id} was told of {mids:?} only");
}

/// Ends the witnesses and all ownership, and checks that the server has nothing left.
fn check_nothing_left(play: &mut Play) {
    for Witness { token, wire, .. } in std::mem::take(&mut play.witnesses) {
        reset(&wire);
        play.peers.push((token, wire));
    }
    play.run();
    // An owner leaves something behind until its time is over.
    for _ in 0..3 {
        play.now.instant += LONG_HOLD;
        play.run();
    }
    assert!(play.server.is_empty());
    let scraper = play.connect(View::Metrics);
    send(&scraper, METRICS);
    play.run();
    let outward = scraper.0.borrow().outward.clone();
    let text = String::from_utf8(outward).expect("metrics are text");
    for name in ["clients", "owned_ids", "outbox_bytes", "held_bytes"] {
        assert!(text.contains(&format!("\nsotto_{name} 0\n")), "{name}: {text}");
    }
}
