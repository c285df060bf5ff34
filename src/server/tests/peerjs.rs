//! PeerJS clients, turn by turn: tables that are empty at the end, and acknowledgements.

use super::*;
use crate::limits::LINGER;
use crate::net::http::peerjs::Addresses;

/// A play whose site has the addresses of PeerJS.
fn play() -> Play {
    let mut play = Play::new();
    let (_, connection) = limits(&Config { rate: 0, ..Config::default() });
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
    let site = Site::new(Files::BuiltIn, Access::Pages(Vec::new()), endpoint);
    let site = site.for_peerjs(Addresses::new("/calls".into(), [7; 32]));
    play.server.shared = Shared::new(site, connection);
    play
}

/// Connects a PeerJS client, and returns it with the messages that it gets.
fn open(play: &mut Play, id: &str, token: &str) -> (Client, Vec<String>) {
    let client = play.connect();
    let path = format!("/calls/peerjs?key=peerjs&id={id}&token={token}");
    client.send_bytes(HANDSHAKE.replace("/ws", &path).as_bytes());
    play.run();
    let answer = client.read();
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    (client, split_frames(&answer[head..]).0)
}

const KEY: &str = "0123456789abcdef";
const OPEN: &str = r#"{"type":"OPEN"}"#;

#[test]
fn ended_peers_leave_nothing_in_the_tables() {
    let mut play = play();
    for token in ["short", "short", "other", KEY] {
        let (client, _) = open(&mut play, "alice", token);
        client.send_text(r#"{"type":"OFFER","dst":"alice","payload":1}"#);
        play.run();
    }
    assert_eq!(play.server.peers.len(), (1, 0));
    for client in play.clients.clone() {
        client.reset();
    }
    play.run();
    play.pass(LINGER);
    play.run();
    assert!(play.server.is_empty());
    assert_eq!(play.server.peers.len(), (0, 0));
}

#[test]
fn refused_peer_is_closed_behind_the_reason() {
    let mut play = play();
    let (alice, opened) = open(&mut play, "alice", "short");
    assert_eq!(opened, [OPEN]);
    let (_, refused) = open(&mut play, "alice", "other");
    assert!(refused[0].contains("ID-TAKEN") && refused[1..] == ["close 1000"], "{refused:?}");
    assert!(alice.receive().is_empty(), "it goes on");
    let (_, taken) = open(&mut play, "alice", "short");
    assert_eq!((alice.receive(), taken), (vec!["close 4001".into()], vec![OPEN.into()]));
}

#[test]
fn message_to_an_owner_is_acknowledged_before_the_loop_sleeps() {
    let mut play = play();
    let (alice, _) = open(&mut play, "alice", KEY);
    let (bob, _) = open(&mut play, "bob", "short");
    bob.send_text(r#"{"type":"OFFER","dst":"alice","payload":1}"#);
    play.run();
    let offer = r#"{"type":"OFFER","src":"bob","dst":"alice","payload":1}"#;
    assert_eq!(alice.receive(), [offer]);
    assert_eq!(play.server.hub.held_bytes(), 0);
}
