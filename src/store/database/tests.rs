//! Batches against the play disk, commits that failed half-way, and files that are damaged.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::chat::journal::image::{Image, Row as ImageRow};
use crate::chat::journal::{Batch, Change};
use crate::chat::journal::{Journal, Recorder};
use crate::limits::CARD_BYTES_MAX;
use crate::time::Uptime;

const KEYS: [u8; 32] = [7; 32];

/// A folder that is removed with everything in it.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sotto-database-{}-{count}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Database {
        Database::open(&self.0, &KEYS).expect("a store")
    }

    /// Returns the sentence with which the store is refused.
    #[track_caller]
    fn refusal(&self) -> String {
        match Database::open(&self.0, &KEYS) {
            Ok(_) => panic!("the store opens"),
            Err(sentence) => sentence,
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn recorder() -> Recorder<RandomState> {
    Recorder::new(Uptime::starting(Instant::now(), 0), RandomState::new())
}

/// Makes a batch of changes.
fn batch(changes: &[Change<'_>], newest_mid: u64) -> Batch {
    let mut recorder = recorder();
    changes.iter().for_each(|change| recorder.record(change));
    let mut batch = recorder.take(Batch::default());
    (batch.newest_mid, batch.generation, batch.uptime_ms) = (newest_mid, 3, 1000 + newest_mid);
    batch
}

fn claimed(owner: u64, id: &str) -> Change<'_> {
    Change::Claimed { owner, id, key_hash: [owner as u8; 32], payer: Some(u64::MAX) }
}

fn held(mid: u64, owner: u64, sender: Option<u64>) -> Change<'static> {
    let line = r#"{"type":"message","body":"Grüße"}"#.into();
    Change::Held { mid, owner, from: "carol", sender, payer: None, line }
}

fn remembered(mid: u64, sender: u64) -> Change<'static> {
    Change::Remembered { mid, sender, hash: u64::MAX - mid, at: 5, to: "bob", held: true }
}

/// Reads everything, in the form of the play disk.
fn contents(database: &Database) -> (Vec<String>, BTreeMap<u64, ImageRow>) {
    let owners = database.owners(1000).expect("owners").into_iter().map(|mut owner| {
        owner.blocked.sort();
        format!("{owner:?}")
    });
    let mut messages = BTreeMap::new();
    let count = database.read_messages(|SavedMessage { mid, sender, held, sent }| {
        let held =
            held.map(|held| (held.owner, held.from.to_string(), held.payer, held.line.to_vec()));
        messages.insert(mid, ImageRow { sender, held, sent });
    });
    assert_eq!(count, Ok(messages.len() as u64));
    (owners.collect(), messages)
}

#[track_caller]
fn check_same(database: &Database, image: &Image) {
    let owners: Vec<String> = image
        .owners
        .values()
        .cloned()
        .map(|mut owner| {
            owner.blocked.sort();
            format!("{owner:?}")
        })
        .collect();
    assert_eq!(contents(database), (owners, image.messages.clone()));
}

/// A step of the property test: what is changed, of those that there are.
#[derive(Clone, Debug)]
enum Step {
    Claim,
    Away(usize, bool),
    Release(usize),
    Block(usize, usize, bool),
    Card(usize, Option<usize>),
    Send(usize, usize, bool, bool),
    Ack(usize),
    Decide(usize, bool),
    Forget(usize),
    Commit,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Claim),
        1 => (0usize..9, any::<bool>()).prop_map(|(owner, away)| Step::Away(owner, away)),
        1 => (0usize..9).prop_map(Step::Release),
        1 => (0usize..9, 0usize..4, any::<bool>())
            .prop_map(|(owner, id, ends)| Step::Block(owner, id, ends)),
        5 => (0usize..3, prop::option::of(0usize..CARD_BYTES_MAX - 7))
            .prop_map(|(owner, len)| Step::Card(owner, len)),
        8 => (0usize..9, 0usize..9, any::<bool>(), any::<bool>())
            .prop_map(|(from, to, is_held, is_remembered)| {
                Step::Send(from, to, is_held, is_remembered)
            }),
        5 => (0usize..30).prop_map(Step::Ack),
        3 => (0usize..30, any::<bool>()).prop_map(|(message, e)| Step::Decide(message, e)),
        4 => (0usize..30).prop_map(Step::Forget),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..80)
}

/// The changes so far, and what they make of an image.
struct Changes {
    recorder: Recorder<RandomState>,
    /// With the changes that no batch has taken yet.
    ahead: Image,
    count: u64,
}

impl Changes {
    fn record(&mut self, change: &Change<'_>) {
        self.recorder.record(change);
        let mut one = recorder();
        one.record(change);
        self.ahead.apply(&one.take(Batch::default()));
    }

    fn owner(&self, n: usize) -> Option<u64> {
        self.ahead.owners.keys().nth(n).copied()
    }

    fn message(&self, n: usize, has: impl Fn(&ImageRow) -> bool) -> Option<u64> {
        self.ahead.messages.iter().filter(|(_, row)| has(row)).map(|(mid, _)| *mid).nth(n)
    }

    /// Records the changes of a step, if there is what it changes.
    fn step(&mut self, step: &Step) -> Option<()> {
        self.count += 1;
        match *step {
            Step::Claim => {
                let id = format!("id{}", self.count);
                self.record(&claimed(self.count, &id));
            }
            Step::Away(owner, away) => {
                let owner = self.owner(owner)?;
                self.record(&match away {
                    true => Change::Left { owner, uptime_ms: self.count },
                    false => Change::Returned { owner },
                });
            }
            Step::Release(owner) => {
                let owner = self.owner(owner)?;
                let of = |row: &ImageRow| row.held.as_ref().is_some_and(|held| held.0 == owner);
                while let Some(mid) = self.message(0, of) {
                    self.record(&Change::Unheld { mid });
                }
                self.record(&Change::Released { owner });
            }
            Step::Block(owner, id, ends) => {
                let (owner, id) = (self.owner(owner)?, ["a", "b", "c", "d"][id]);
                self.record(&match ends {
                    true => Change::Unblocked { owner, id },
                    false => Change::Blocked { owner, id },
                });
            }
            Step::Card(owner, len) => {
                let owner = self.owner(owner)?;
                let card = len.map(|len| format!(r#"{{"ü":"{}"}}"#, "x".repeat(len)));
                self.record(&match &card {
                    Some(card) => Change::Published { owner, card },
                    None => Change::Withdrawn { owner },
                });
            }
            Step::Send(from, to, is_held, is_remembered) => {
                let (sender, mid) = (self.owner(from), self.count);
                if is_held {
                    let to = self.owner(to)?;
                    self.record(&held(mid, to, sender));
                }
                // The owner may forget its oldest send for the new one.
                if let Some(oldest) = self.message(0, |row| row.sent.is_some())
                    && to % 2 == 0
                {
                    self.record(&Change::Forgotten { mid: oldest });
                }
                if let Some(sender) = sender.filter(|_| is_remembered) {
                    self.record(&remembered(mid, sender));
                }
            }
            Step::Ack(n) => {
                let mid = self.message(n, |row| row.held.is_some())?;
                self.record(&Change::Unheld { mid });
            }
            Step::Decide(n, expired) => {
                let mid = self.message(n, |row| row.sent.is_some())?;
                self.record(&Change::Decided { mid, expired });
            }
            Step::Forget(n) => {
                let mid = self.message(n, |row| row.sent.is_some())?;
                self.record(&Change::Forgotten { mid });
            }
            Step::Commit | Step::Reopen => {}
        }
        Some(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 40, ..ProptestConfig::default()
    })]

    #[test]
    fn file_has_what_the_play_disk_has(steps in steps()) {
        let folder = Folder::new();
        let (mut database, mut stored, mut number) = (folder.open(), Image::default(), 0);
        let mut changes = Changes { recorder: recorder(), ahead: Image::default(), count: 0 };
        for step in steps.iter().chain([&Step::Commit, &Step::Reopen]) {
            changes.step(step);
            if matches!(step, Step::Commit) {
                number += 1;
                let batch = changes.recorder.take(Batch::default());
                database.writer().store(&batch, number).expect("a commit");
                stored = changes.ahead.clone();
            }
            if matches!(step, Step::Reopen) {
                drop(database);
                database = folder.open();
                check_same(&database, &stored);
            }
        }
    }
}

#[test]
fn state_of_the_last_batch_is_read_at_the_start() {
    let folder = Folder::new();
    let mut database = folder.open();
    let state = database.begin_run(0xa).expect("a run");
    assert_eq!((state.newest_mid, state.generation, state.uptime_ms), (0, 0, 0));
    assert_eq!((state.send_key, state.subnet_key), ([7; 16], [7; 16]));
    database.writer().store(&batch(&[claimed(1, "a"), held(4, 1, None)], 4), 1).expect("stored");
    drop(database);
    let mut database = folder.open();
    let state = database.begin_run(0xb).expect("a run");
    assert_eq!((state.newest_mid, state.generation, state.uptime_ms), (4, 3, 1004));
    assert_eq!(database.last_batch(), Ok(1));
    let prefixes = database.prefixes().expect("prefixes");
    let mids = [1, 4, 5].map(|count| prefixes.mid(count).prefix);
    assert_eq!(mids, [0xa.into(), 0xa.into(), 0xb.into()]);
}

#[test]
fn prefix_of_a_run_goes_with_its_last_message() {
    let folder = Folder::new();
    let mut database = folder.open();
    let runs = |database: &Database| {
        let mut runs = Vec::new();
        database
            .for_each("SELECT prefix FROM run ORDER BY first", |row| {
                runs.push(number(row, 0)?);
                Ok(())
            })
            .expect("runs");
        runs
    };
    database.begin_run(1).expect("a run");
    database.writer().store(&batch(&[held(1, 9, None), held(2, 9, None)], 2), 1).expect("stored");
    database.begin_run(2).expect("a run");
    assert_eq!(runs(&database), [1, 2], "begun anew without a message: the same place");
    database.begin_run(3).expect("a run");
    assert_eq!(runs(&database), [1, 3]);
    database.writer().store(&batch(&[held(3, 9, None)], 3), 2).expect("stored");
    let acks = [Change::Unheld { mid: 1 }, Change::Unheld { mid: 2 }];
    database.writer().store(&batch(&acks, 3), 3).expect("stored");
    database.begin_run(4).expect("a run");
    assert_eq!(runs(&database), [3, 4]);
}

#[test]
fn batch_that_reached_the_log_is_not_stored_twice() {
    let folder = Folder::new();
    let mut database = folder.open();
    let batch = batch(&[claimed(1, "a"), held(1, 1, None)], 1);
    database.writer().store(&batch, 1).expect("stored");
    // As if the commit had told an error: the batch comes again, on a new connection.
    database.reconnect().expect("a connection");
    database.writer().store(&batch, 1).expect("it is there");
    assert_eq!(contents(&database).1.len(), 1);
    assert_eq!(database.last_batch(), Ok(1));
}

#[test]
fn send_that_makes_room_for_another_leaves_one_row_for_it() {
    let folder = Folder::new();
    let database = folder.open();
    let first = batch(&[claimed(1, "a"), held(1, 1, Some(1)), remembered(1, 1)], 1);
    database.writer().store(&first, 1).expect("stored");
    let forgotten = Change::Forgotten { mid: 1 };
    let second = batch(&[held(2, 1, Some(1)), forgotten, remembered(2, 1)], 2);
    database.writer().store(&second, 2).expect("stored");
    let parts = |(mid, row): (u64, ImageRow)| (mid, row.held.is_some(), row.sent.is_some());
    let messages: Vec<_> = contents(&database).1.into_iter().map(parts).collect();
    assert_eq!(messages, [(1, true, false), (2, true, true)]);
}

#[test]
fn reader_delays_no_batch_and_no_late_success() {
    let folder = Folder::new();
    let mut database = folder.open();
    let first = batch(&[claimed(1, "a"), held(1, 1, None)], 1);
    database.writer().store(&first, 1).expect("stored");
    let reader = Connection::open(folder.file()).expect("a connection");
    reader.execute_batch("BEGIN; SELECT count(*) FROM message").expect("a read");
    let start = Instant::now();
    database.writer().empty_log().expect("it is not emptied, and that is no error");
    assert!(start.elapsed() < STORE_BUSY_TIMEOUT, "it waited for the reader");
    // The commit of this batch told an error, and is in the log; the reader stays.
    database.reconnect().expect("a connection");
    database.writer().store(&first, 1).expect("it is there, and copied");
    reader.execute_batch("COMMIT").expect("its end");
}

#[test]
fn link_that_leads_nowhere_is_not_replaced() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).expect("a folder");
    std::os::unix::fs::symlink("/nowhere/sotto.db", folder.file()).expect("a link");
    let sentence = folder.refusal();
    assert!(sentence.contains("sotto.db"), "{sentence}");
    assert!(folder.file().is_symlink());
}

#[test]
fn owner_with_an_impossible_number_is_damage() {
    let folder = Folder::new();
    let database = folder.open();
    let owners = [claimed(1 << 32, "a"), claimed(1 << 33 | 5, "b")];
    database.writer().store(&batch(&owners, 0), 1).expect("stored");
    assert_eq!(database.owners(10).map(|owners| owners.len()), Ok(2));
    let change = |from: u64, to: u64| {
        let sql = format!("UPDATE owner SET number = {to} WHERE number = {from}");
        database.connection.execute_batch(&sql).expect("a change");
        database.owners(10).map(|_| ()).expect_err("damage")
    };
    let sentence = change(1 << 33 | 5, 1 << 33 | 1 << 31);
    assert!(sentence.contains("too large") && sentence.contains("sotto.db"), "{sentence}");
    assert!(change(1 << 33 | 1 << 31, 1 << 33).contains("one place"));
}

#[test]
fn failed_batch_changes_nothing_and_can_be_tried_again() {
    let folder = Folder::new();
    let mut database = folder.open();
    database.writer().store(&batch(&[claimed(1, "a")], 0), 1).expect("stored");
    // The second claim of the id breaks a rule of the table, in the middle of the batch.
    let bad = batch(&[held(1, 1, None), claimed(2, "a")], 1);
    let sentence = database.writer().store(&bad, 2).expect_err("a refusal");
    assert!(sentence.contains("sotto.db") && sentence.contains("UNIQUE"), "{sentence}");
    database.reconnect().expect("a connection");
    assert!(contents(&database).1.is_empty());
    database.writer().store(&batch(&[held(1, 1, None)], 1), 2).expect("stored");
    assert_eq!(contents(&database).1.len(), 1);
}

// ---- files ----

#[test]
fn second_program_is_refused_and_only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let database = folder.open();
    let sentence = folder.refusal();
    assert!(sentence.starts_with("another sotto uses "), "{sentence}");
    drop(database);
    drop(folder.open());
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.file())), (0o700, 0o600));
}

#[test]
fn foreign_and_newer_files_are_refused_and_left_alone() {
    let folder = Folder::new();
    drop(folder.open());
    let change = |sql: &str| {
        let connection = Connection::open(folder.file()).expect("a connection");
        connection.execute_batch(sql).expect("a change");
    };
    for unknown in [0, 3] {
        change(&format!("PRAGMA user_version = {unknown}"));
        let sentence = folder.refusal();
        let expected = format!("has format {unknown}, and this sotto knows formats up to 2");
        assert!(sentence.contains(&expected), "{sentence}");
    }
    change("PRAGMA user_version = 2; PRAGMA application_id = 5");
    assert!(folder.refusal().contains("is not a store of sotto"));
    for text in ["", "no database", &"x".repeat(100_000)] {
        std::fs::write(folder.file(), text).expect("a file");
        let sentence = folder.refusal();
        assert!(sentence.contains("sotto.db is "), "{sentence}");
        assert_eq!(std::fs::read(folder.file()).expect("a file"), text.as_bytes());
    }
}

/// The tables of format 1, of which the present ones are made.
#[test]
fn file_of_format_1_becomes_one_of_format_2() {
    let (old, new) = (Folder::new(), Folder::new());
    let tables = |folder: &Folder| {
        let mut tables = Vec::new();
        let columns = "SELECT m.name, c.name, c.type, c.\"notnull\", c.pk FROM sqlite_schema AS m, \
            pragma_table_info(m.name) AS c ORDER BY m.name, c.cid";
        folder
            .open()
            .for_each(columns, |row| {
                let text = |column| row.get::<_, String>(column);
                let number = |column| row.get::<_, i64>(column);
                tables.push((text(0)?, text(1)?, text(2)?, number(3)?, number(4)?));
                Ok(())
            })
            .expect("columns");
        tables
    };
    let database = old.open();
    let changes = [claimed(1, "a"), claimed(2, "b"), held(1, 2, Some(1)), remembered(1, 1)];
    database.writer().store(&batch(&changes, 1), 1).expect("stored");
    let before = contents(&database);
    drop(database);
    let connection = Connection::open(old.file()).expect("a connection");
    connection
        .execute_batch("ALTER TABLE owner DROP COLUMN card; PRAGMA user_version = 1")
        .expect("a change");
    drop(connection);
    assert_eq!(contents(&old.open()), before);
    assert_eq!(tables(&old), tables(&new));
    let database = old.open();
    let format = database.connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    assert_eq!(format, Ok(FORMAT));
    let card = [Change::Published { owner: 2, card: "{}" }, claimed(3, "c")];
    database.writer().store(&batch(&card, 1), 2).expect("stored");
    let cards = database.owners(10).expect("owners").into_iter().map(|owner| owner.card);
    assert_eq!(cards.collect::<Vec<_>>(), [None, Some("{}".to_owned()), None]);
}

#[test]
fn migration_that_fails_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    drop(folder.open());
    let connection = Connection::open(folder.file()).expect("a connection");
    // A file that lies: it has the column already.
    connection.execute_batch("PRAGMA user_version = 1").expect("a change");
    drop(connection);
    let bytes = std::fs::read(folder.file()).expect("a file");
    let sentence = folder.refusal();
    assert!(sentence.contains("sotto.db") && sentence.contains("card"), "{sentence}");
    assert!(std::fs::read(folder.file()).expect("a file") == bytes);
}

#[test]
fn lone_log_is_refused_and_a_half_made_file_replaced() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).expect("a folder");
    std::fs::write(folder.0.join(NEW_FILE), "half of it").expect("a file");
    std::fs::write(folder.0.join(LOG_FILE), "a log").expect("a file");
    let sentence = folder.refusal();
    assert!(sentence.contains("sotto.db-wal is in"), "{sentence}");
    std::fs::remove_file(folder.0.join(LOG_FILE)).expect("it is there");
    drop(folder.open());
    assert!(!folder.0.join(NEW_FILE).exists());
}

/// Makes a store of 3 ids and 200 messages, and returns the bytes of its file.
fn sample(folder: &Folder) -> Vec<u8> {
    let database = folder.open();
    let mut changes = vec![claimed(1, "a"), claimed(2, "b"), claimed(3, "c")];
    changes.push(Change::Blocked { owner: 1, id: "b" });
    for mid in 1..=200 {
        changes.extend([held(mid, 1 + mid % 3, Some(1)), remembered(mid, 1)]);
    }
    database.writer().store(&batch(&changes, 200), 1).expect("stored");
    database.writer().empty_log().expect("a checkpoint");
    drop(database);
    std::fs::read(folder.file()).expect("a file")
}

/// Opens a file that was changed. It is refused with its name, or has all ids and messages.
#[track_caller]
fn check_damaged(folder: &Folder, bytes: &[u8], what: &str) {
    std::fs::write(folder.file(), bytes).expect("a file");
    let read = Database::open(&folder.0, &KEYS).and_then(|mut database| {
        database.begin_run(1)?;
        let owners = database.owners(1000)?.len();
        let mut count = 0;
        database.read_messages(|_| count += 1)?;
        Ok((owners, count))
    });
    match read {
        Ok(counts) => assert_eq!(counts, (3, 200), "{what}"),
        Err(sentence) => assert!(sentence.contains("sotto.db"), "{what}: {sentence}"),
    }
    for file in [LOG_FILE, "sotto.db-shm"] {
        let _ = std::fs::remove_file(folder.0.join(file));
    }
}

#[test]
fn damaged_file_is_refused_or_whole_and_never_empty() {
    let folder = Folder::new();
    let bytes = sample(&folder);
    for len in (0..bytes.len()).step_by(bytes.len() / 40) {
        check_damaged(&folder, &bytes[..len], &format!("cut at {len}"));
    }
    // Each byte of the header, and some of each page.
    for at in (0..100).chain((100..bytes.len()).step_by(389)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        check_damaged(&folder, &flipped, &format!("byte {at} flipped"));
    }
}
