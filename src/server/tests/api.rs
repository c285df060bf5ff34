//! Calls of backends over streams in memory, with and without a play disk.

use super::commit::PlayDisk;
use super::*;
use crate::api::token::Tokens;
use crate::limits::{API_ANSWER_TIMEOUT, API_CONNECTIONS_MAX};

const TOKEN: &str = "0123456789abcdef";

fn request(line: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn send(to: &str, reference: usize) -> String {
    let body = format!(r#"{{"from":"shop","to":"{to}","body":"hi","ref":"{reference}"}}"#);
    request("POST /send", &body)
}

fn sent(mid: usize, held: bool) -> String {
    format!(r#"200 {{"mid":"000000000abc-{mid:x}","at":5,"held":{held}}}"#)
}

fn presence(id: &str) -> String {
    request(&format!("GET /presence?id={id}"), "")
}

/// Returns the status and the JSON of each answer.
fn answers(client: &Client) -> Vec<String> {
    let text = String::from_utf8(client.read()).expect("UTF-8");
    let answers = text.split("HTTP/1.1 ").skip(1).map(|answer| {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        format!("{} {}", &head[..3], body.trim_end())
    });
    answers.collect()
}

impl<D: Disk> Play<D> {
    fn open_api(&mut self) {
        self.server.open_api(Tokens::parse(TOKEN.as_bytes()).expect("a token"));
    }

    fn connect_to_api(&mut self) -> Client {
        self.connect_as("127.0.0.1", View::Api)
    }
}

/// A play with a disk and a client without a key.
fn play() -> (Play<PlayDisk>, PlayDisk, Client) {
    let (mut play, disk, [_alice, _bob]) = commit::play();
    play.open_api();
    let carol = play.open();
    carol.send_text(&join("carol"));
    play.run();
    carol.read();
    (play, disk, carol)
}

#[test]
fn call_is_answered_in_the_turn_in_which_it_is_stored() {
    let (mut play, disk, carol) = play();
    let backend = play.connect_to_api();
    for to in ["bob", "carol"] {
        backend.send_bytes((send(to, 1) + &presence(to)).as_bytes());
        play.run();
        assert_eq!(answers(&backend), [""; 0], "it is not on disk");
        assert_ne!(play.sleep(), Some(Duration::ZERO), "the disk wakes the loop");
        assert!(disk.store());
        play.turn();
        let mid = if to == "bob" { 1 } else { 2 };
        assert_eq!(answers(&backend), [sent(mid, false)], "the next call waits for this turn");
        play.run();
        assert_eq!(answers(&backend), [format!(r#"200 {{"id":"{to}","online":true}}"#)]);
    }
    assert_eq!(carol.receive().len(), 1);
    assert_eq!(play.buffered_bytes().1, 0);
}

#[test]
fn repeated_call_waits_for_the_disk_like_the_first() {
    let (mut play, disk, _) = play();
    let backends = [play.connect_to_api(), play.connect_to_api()];
    for backend in &backends {
        backend.send_bytes(send("bob", 1).as_bytes());
        play.run();
    }
    run_disk(&mut play, &disk);
    for backend in &backends {
        assert_eq!(answers(backend), [sent(1, false)]);
    }
}

fn run_disk(play: &mut Play<PlayDisk>, disk: &PlayDisk) {
    while disk.store() {
        play.run();
    }
}

#[test]
fn call_that_the_disk_delays_for_long_ends_with_504() {
    let (mut play, disk, _) = play();
    let backend = play.connect_to_api();
    backend.send_bytes((send("bob", 1) + &presence("bob")).as_bytes());
    play.run();
    play.pass(API_ANSWER_TIMEOUT - SECOND);
    play.run();
    assert_eq!(answers(&backend), [""; 0]);
    // A disk that fails refuses the next message at once.
    let other = play.connect_to_api();
    other.send_bytes(send("bob", 2).as_bytes());
    play.run();
    assert!(answers(&other)[0].starts_with(r#"429 {"code":"full","#));
    play.pass(SECOND);
    play.run();
    let answer = answers(&backend);
    assert!(answer.len() == 1 && answer[0].starts_with(r#"504 {"code":"unknown","#), "{answer:?}");
    assert!(backend.socket.borrow().shut, "nothing behind it is heard");
    run_disk(&mut play, &disk);
    let again = play.connect_to_api();
    again.send_bytes(send("bob", 1).as_bytes());
    play.run();
    run_disk(&mut play, &disk);
    assert_eq!(answers(&again), [sent(1, false)], "it was taken, and once");
    assert_eq!(play.buffered_bytes().1, 0);
}

#[test]
fn backend_that_closes_its_side_is_still_answered() {
    let (mut play, disk, _) = play();
    for (n, (behind, ends_later)) in
        [("", false), ("", true), (&*presence("bob"), false), (&presence("bob"), true)]
            .into_iter()
            .enumerate()
    {
        let backend = play.connect_to_api();
        backend.send_bytes((send("bob", n) + behind).as_bytes());
        if ends_later {
            play.run();
        }
        backend.end();
        play.run();
        assert_eq!(answers(&backend), [""; 0]);
        run_disk(&mut play, &disk);
        let answers = answers(&backend);
        assert_eq!(answers.len(), 1 + usize::from(!behind.is_empty()), "{answers:?}");
        assert!(backend.is_dropped(), "{n}");
    }
}

#[test]
fn backend_that_resets_the_connection_frees_its_place() {
    let (mut play, disk, _) = play();
    for n in 0..3 * API_CONNECTIONS_MAX {
        let backend = play.connect_to_api();
        backend.send_bytes(send("bob", n).as_bytes());
        play.run();
        backend.reset();
        play.run();
        assert!(backend.is_dropped());
        assert!(play.server.api.waiting.len() <= API_CONNECTIONS_MAX);
    }
    run_disk(&mut play, &disk);
    assert!(play.server.api.waiting.is_empty());
}

#[test]
fn answers_that_wait_for_a_hanging_disk_are_bounded() {
    let (mut play, disk, _) = play();
    for _ in 0..3 * API_CONNECTIONS_MAX {
        let backend = play.connect_to_api();
        backend.send_bytes(send("bob", 1).as_bytes());
        play.run();
        play.pass(API_ANSWER_TIMEOUT);
        play.run();
        assert!(answers(&backend)[0].starts_with("504 "));
        assert!(play.server.api.waiting.len() <= API_CONNECTIONS_MAX);
    }
    run_disk(&mut play, &disk);
    assert!(play.server.api.waiting.is_empty());
}

#[test]
fn call_survives_any_cut_and_a_fault_at_every_step() {
    let text = presence("a") + &request("POST /disconnect", r#"{"id":"a"}"#);
    let expected = [r#"200 {"id":"a","online":false}"#, r#"200 {"id":"a","disconnected":false}"#];
    for cut in 0..=text.len() {
        let mut play = Play::new();
        play.open_api();
        let backend = play.connect_to_api();
        for piece in [&text[..cut], &text[cut..]] {
            backend.send_bytes(piece.as_bytes());
            play.run();
        }
        assert_eq!(answers(&backend), expected, "{cut}");
        assert_eq!(play.buffered_bytes().1, 0);
    }
    for calls_left in 0..12 {
        let mut play = Play::new();
        play.open_api();
        let backend = play.connect_to_api();
        backend.socket.borrow_mut().calls_left = Some(calls_left);
        backend.send_bytes(text.as_bytes());
        play.run();
        backend.reset();
        play.run();
        play.pass(API_ANSWER_TIMEOUT);
        play.run();
        assert!(play.server.is_empty() && play.buffered_bytes() == (0, 0), "{calls_left}");
    }
}

#[test]
fn backend_that_reads_nothing_is_not_read_either() {
    let mut play = Play::new();
    play.open_api();
    let backend = play.connect_to_api();
    backend.set_window(10);
    let flood = presence("a").repeat(900);
    backend.send_bytes(flood.as_bytes());
    play.run();
    assert!(play.buffered_bytes().1 <= READ_BYTES, "{:?}", play.buffered_bytes());
    backend.set_window(usize::MAX);
    let mut count = 0;
    while count < 900 {
        backend.socket.borrow_mut().writable = true;
        play.run();
        let answers = String::from_utf8(backend.read()).expect("UTF-8");
        assert!(!answers.is_empty(), "after {count} answers");
        count += answers.matches("online").count();
    }
    assert_eq!((count, play.buffered_bytes().1), (900, 0));
}
