//! The loop and a play disk: batches, lines that wait for them, and failures.

use std::hash::RandomState;

use super::*;
use crate::chat::journal::Recorder;
use crate::chat::journal::image::Image;
use crate::limits::{STORE_HANG, STORE_LOG_EVERY};

/// A disk that stores a batch when the test says so.
#[derive(Clone, Default)]
pub(super) struct PlayDisk(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    image: Image,
    under_way: Option<Batch>,
    outcomes: VecDeque<Outcome>,
    /// The lengths of all batches.
    batches: Vec<usize>,
}

impl Disk for PlayDisk {
    type Journal = Recorder<RandomState>;

    fn submit(&mut self, batch: Batch) {
        let mut state = self.0.borrow_mut();
        state.batches.push(batch.len());
        assert!(state.under_way.replace(batch).is_none(), "one batch at a time");
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.0.borrow_mut().outcomes.pop_front()
    }

    fn finish(&mut self, last: Batch) -> Result<(), String> {
        let mut state = self.0.borrow_mut();
        let under_way = state.under_way.take();
        under_way.iter().chain([&last]).for_each(|batch| state.image.apply(batch));
        Ok(())
    }
}

impl PlayDisk {
    /// Stores the batch under way. Returns `false` if there is none.
    pub(super) fn store(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(batch) = state.under_way.take() else { return false };
        state.image.apply(&batch);
        state.outcomes.push_back(Outcome::Stored { batch, took: SECOND });
        true
    }

    fn fail(&self) {
        let reason = "no room is left".to_owned();
        self.0.borrow_mut().outcomes.push_back(Outcome::Failed(reason));
    }

    fn batches(&self) -> usize {
        self.0.borrow().batches.len()
    }
}

/// A play with a disk, and two owners.
pub(super) fn play() -> (Play<PlayDisk>, PlayDisk, [Client; 2]) {
    let disk = PlayDisk::default();
    let (limits, shared) = halves(|_| {});
    let now = Now { instant: Instant::now(), unix_ms: 5 };
    let hub = disk.0.borrow_mut().image.start(limits, 0xabc, now);
    let server = Server::with_disk(100, hub, disk.clone(), shared);
    let mut play = Play { server, clients: Vec::new(), now };
    let clients = ["alice", "bob"].map(|id| {
        let client = play.open();
        client.send_text(&join_with_key(id));
        play.run();
        assert_eq!(client.receive(), [""; 0], "its claim is not on disk");
        run(&mut play, &disk);
        let lines: Vec<String> =
            client.receive().iter().map(|line| without_ownership(line)).collect();
        assert_eq!(lines, [joined(id)]);
        client
    });
    (play, disk, clients)
}

/// Makes turns, and stores each batch, until nothing is left to do.
fn run(play: &mut Play<PlayDisk>, disk: &PlayDisk) {
    loop {
        play.run();
        if !disk.store() {
            return;
        }
    }
}

fn send_with_ref(to: &str, reference: usize) -> String {
    format!(r#"{{"type":"send","to":"{to}","body":"hi","ref":"{reference}"}}"#)
}

fn sent(reference: usize, mid: usize) -> String {
    format!(r#"{{"type":"sent","ref":"{reference}","mid":"000000000abc-{mid:x}","at":5}}"#)
}

fn get(play: &mut Play<PlayDisk>, path: &str) -> String {
    let client = play.connect();
    client.send_bytes(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    play.run();
    String::from_utf8(client.read()).expect("UTF-8")
}

#[test]
fn lines_leave_in_the_turn_in_which_their_batch_is_stored() {
    let (mut play, disk, [alice, bob]) = play();
    alice.send_text(&send_with_ref("bob", 1));
    play.turn();
    assert!(disk.0.borrow().under_way.is_some(), "given to the disk in the turn of the send");
    assert_ne!(play.sleep(), Some(Duration::ZERO), "the disk wakes the loop");
    assert!(disk.store());
    play.turn();
    assert_eq!(alice.receive(), [sent(1, 1)]);
    assert_eq!(bob.receive(), [message("alice", "hi", 1)]);
}

#[test]
fn sends_during_a_commit_share_the_next_one() {
    let (mut play, disk, [alice, bob]) = play();
    let before = disk.batches();
    for n in 1..=100 {
        alice.send_text(&send_with_ref("bob", n));
        play.turn();
    }
    assert_eq!(disk.batches(), before + 1);
    assert!(disk.store());
    play.run();
    assert_eq!(bob.receive(), [message("alice", "hi", 1)]);
    assert_eq!(disk.batches(), before + 2, "the other 99");
    assert!(disk.store());
    play.run();
    assert_eq!(count_lines(&bob.receive()), 99);
    let answers: Vec<String> = (1..=100).map(|n| sent(n, n)).collect();
    assert_eq!(alice.receive().join("\n"), answers.join("\n"));
}

#[test]
fn client_with_many_answers_behind_one_commit_is_not_slow() {
    let (mut play, disk, [alice, _]) = play();
    let [carol] = play.join(["carol"]);
    // The answers are longer than an outbox.
    let count = Config::default().outbox / sent(1, 1).len() + 1000;
    for n in 1..=count {
        alice.send_text(&send_with_ref("carol", n));
        if n % 100 == 0 {
            play.run();
            carol.receive();
        }
    }
    play.run();
    assert_eq!(alice.receive(), [""; 0]);
    run(&mut play, &disk);
    let texts = alice.receive();
    assert!(texts.iter().flat_map(|text| text.lines()).eq((1..=count).map(|n| sent(n, n))));
}

#[test]
fn failing_disk_is_told_by_readyz_metrics_and_the_page() {
    let (mut play, disk, [alice, bob]) = play();
    assert!(get(&mut play, "/readyz").starts_with("HTTP/1.1 200 "));
    alice.send_text(&send_with_ref("bob", 1));
    play.run();
    disk.fail();
    play.run();
    assert!(get(&mut play, "/readyz").starts_with("HTTP/1.1 503 "));
    assert!(get(&mut play, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(play.server.counters.store.is_failing);
    bob.send_text(&send_with_ref("alice", 1));
    play.run();
    assert!(bob.receive().concat().contains(r#""code":"full""#));
    assert_eq!(alice.receive(), [""; 0]);
    run(&mut play, &disk);
    assert_eq!(alice.receive(), [sent(1, 1)]);
    assert_eq!(bob.receive(), [message("alice", "hi", 1)]);
    assert!(get(&mut play, "/readyz").starts_with("HTTP/1.1 200 "));
    let store = &play.server.counters.store;
    assert_eq!((store.is_failing, store.failures), (false, 1));
}

#[test]
fn disk_that_does_not_answer_counts_as_failing() {
    let (mut play, disk, [alice, _]) = play();
    alice.send_text(&send_with_ref("bob", 1));
    play.run();
    assert!(play.sleep() <= Some(STORE_HANG));
    play.pass(STORE_HANG);
    play.run();
    assert!(get(&mut play, "/readyz").starts_with("HTTP/1.1 503 "));
    assert_eq!(play.server.counters.store.failures, 1);
    alice.receive();
    run(&mut play, &disk);
    assert_eq!(alice.receive(), [sent(1, 1)]);
    assert!(get(&mut play, "/readyz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn failures_are_logged_once_a_minute() {
    let (mut play, disk, _) = play();
    let mut logged = Vec::new();
    for _ in 0..3 {
        disk.fail();
        play.run();
        logged.push(play.now.instant - play.server.last_failure_logged.expect("a line"));
        play.pass(STORE_LOG_EVERY / 2);
    }
    assert_eq!(logged, [Duration::ZERO, STORE_LOG_EVERY / 2, Duration::ZERO], "ages of the line");
    assert_eq!(play.server.counters.store.failures, 3);
}

#[test]
fn idle_server_writes_nothing_and_sets_no_deadline() {
    let (mut play, disk, [alice, bob]) = play();
    alice.send_text(&send_with_ref("bob", 1));
    run(&mut play, &disk);
    let ack = r#"{"type":"ack","to":"alice","mids":["000000000abc-1"]}"#;
    bob.send_text(ack);
    run(&mut play, &disk);
    assert!(disk.0.borrow().image.messages[&1].held.is_some(), "acks are lazy");
    play.pass(SECOND);
    run(&mut play, &disk);
    assert!(disk.0.borrow().image.messages[&1].held.is_none());
    let before = disk.batches();
    assert_eq!(play.server.hub.next_deadline(play.now.instant), None);
    play.pass(10 * SECOND);
    run(&mut play, &disk);
    assert_eq!(disk.batches(), before);
}

#[test]
fn end_of_the_program_stores_what_is_left() {
    let (mut play, disk, [alice, bob]) = play();
    alice.send_text(&send_with_ref("bob", 1));
    play.run();
    bob.send_text(&send_with_ref("alice", 1));
    play.run();
    play.server.shut_down(play.now);
    play.run();
    assert_eq!(play.server.finish(play.now), Ok(()));
    let state = disk.0.borrow();
    assert_eq!(state.image.messages.len(), 2);
    assert!(state.image.owners.values().all(|owner| owner.away_ms.is_some()));
    assert_eq!(play.server.hub.unstored_bytes(), 0);
}
