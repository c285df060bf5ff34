//! The file `sotto.db`: its tables, its checks, and reading it at the start. `writer.rs` makes one
//! transaction of each batch.
//!
//! A message has one row for both of its parts: the line that is held for its recipient, until that
//! acknowledges it (`recipient` to `line`), and the send that its sender's ownership remembers
//! (`hash` to `fate`). A row goes when neither part is left. Rows are found by their mid, so an
//! acknowledgement costs no search, and no index has to be written besides.
//!
//! The file is in WAL mode with `synchronous=FULL` (sqlite.org/wal.html, sqlite.org/pragma.html): a
//! commit is one fsync of the log `sotto.db-wal`, and other programs can read meanwhile.
//!
//! **Invariants**
//! - The folder is locked (`sotto.lock`) as long as the program runs, so there is one writer.
//! - `sotto.db` appears under its name with all of its tables. So a file without them is damaged,
//!   and never taken for a new one.
//! - A file of an older format is changed to the present one at once or not at all, before anything
//!   else is written, so its writer never sees another. Older programs refuse it from then on.
//! - A batch is stored once: `state.batch` has the number of the last one, so a commit that failed
//!   after it had reached the log is found again.
//!
//! The meaning of a change for a client is not known here.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};
use rustix::fs::{FlockOperation, flock};

use crate::chat::owners::Fate;
use crate::chat::owners::restore::{SavedHeld, SavedMessage, SavedOwner, SavedSend};
use crate::chat::protocol::{Id, Prefixes};
use crate::limits::{STORE_BUSY_TIMEOUT, STORE_CACHE_KIB, STORE_LOG_PAGES, STORE_SLOTS_MIN};

mod check;
mod writer;

pub use check::check;
use writer::Writer;

const FILE: &str = "sotto.db";
/// The name under which a new file gets its tables.
const NEW_FILE: &str = "sotto.db.new";
const LOG_FILE: &str = "sotto.db-wal";
const LOCK_FILE: &str = "sotto.lock";

/// `sott`, in the header of the file: tells it from other programs' files.
const APPLICATION_ID: i64 = 0x736f_7474;
/// The version of the tables.
const FORMAT: i64 = 2;

/// For each format below [`FORMAT`], from 1 on: the statement that makes the next one of it.
const MIGRATIONS: [&str; FORMAT as usize - 1] = ["ALTER TABLE owner ADD COLUMN card TEXT"];

const TABLES: &str = "
    -- One row. `batch` is the number of the last batch, `uptime_ms` the time for which all runs
    -- together have been up, `generation` part of the number of the newest owner.
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        batch INTEGER NOT NULL,
        newest_mid INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        uptime_ms INTEGER NOT NULL,
        send_key BLOB NOT NULL,
        subnet_key BLOB NOT NULL
    ) STRICT;
    -- The prefix of all mids from `first` on, until the next run.
    CREATE TABLE run (first INTEGER PRIMARY KEY, prefix INTEGER NOT NULL) STRICT;
    -- `payer` is a keyed hash of the address that claimed the id; NULL: it counts for no address.
    -- `away_ms` is the uptime at which the client went away; NULL: it is connected.
    -- `card` is a JSON object; NULL: the id has none. Since format 2.
    CREATE TABLE owner (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key_hash BLOB NOT NULL,
        payer INTEGER,
        away_ms INTEGER,
        card TEXT
    ) STRICT;
    CREATE TABLE blocked (
        owner INTEGER NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (owner, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE message (
        mid INTEGER PRIMARY KEY,
        sender INTEGER,
        recipient INTEGER,
        sender_id TEXT,
        payer INTEGER,
        line TEXT,
        hash INTEGER,
        at INTEGER,
        recipient_id TEXT,
        was_held INTEGER,
        fate INTEGER
    ) STRICT;
";

/// The open file, and the lock on its folder.
pub struct Database {
    connection: Connection,
    path: PathBuf,
    _lock: File,
}

/// The row of `state`, as it was at the start.
pub struct State {
    pub newest_mid: u64,
    pub generation: u32,
    pub uptime_ms: u64,
    pub send_key: [u8; 16],
    pub subnet_key: [u8; 16],
}

impl Database {
    /// Locks the folder, and opens or makes the file. `keys` are those of a new one: 16 bytes for
    /// the hash of sends, and 16 for that of subnets.
    pub fn open(folder: &Path, keys: &[u8]) -> Result<Database, String> {
        let shown = folder.display();
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(format!("cannot make the folder {shown} of --store: {error}"));
            }
            Err(_) => {}
            // Not every system lets a folder be opened, and most keep it all the same.
            Ok(()) => drop(folder.parent().map(|parent| File::open(parent)?.sync_all())),
        }
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        if is_missing(&path)? {
            refuse_lone_log(folder)?;
            create(folder, keys)
                .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        }
        let connection = connect(&path)?;
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| explain(&path, &error))?;
        if verdict != "ok" {
            // The line before the last one says which of one databases it is.
            let fault = verdict.lines().last().unwrap_or_default();
            return Err(damaged(&path, fault));
        }
        migrate(&connection).map_err(|error| explain(&path, &error))?;
        Ok(Database { connection, path, _lock: lock })
    }

    /// Connects anew, after an error of the machine: pages in the cache of the old connection may
    /// be wrong, and an fsync that has failed once must not be tried again on the same descriptor.
    pub fn reconnect(&mut self) -> Result<(), String> {
        self.connection = connect(&self.path)?;
        Ok(())
    }

    /// Stores that a run begins, with a new prefix for mids, and drops the prefixes of earlier runs
    /// of which no message is left.
    pub fn begin_run(&mut self, prefix: u64) -> Result<State, String> {
        let result = (|| {
            let transaction = self.connection.transaction()?;
            let state = transaction.query_row(
                // The maxima are those of `state`, unless that is damaged.
                "SELECT max(newest_mid, coalesce((SELECT max(mid) FROM message), 0)), \
                 max(generation, coalesce((SELECT max(number >> 32) FROM owner), 0)), \
                 uptime_ms, send_key, subnet_key FROM state",
                [],
                |row| {
                    Ok(State {
                        newest_mid: number(row, 0)?,
                        generation: number(row, 1)? as u32,
                        uptime_ms: number(row, 2)?,
                        send_key: row.get(3)?,
                        subnet_key: row.get(4)?,
                    })
                },
            )?;
            transaction.execute(
                "DELETE FROM run WHERE NOT EXISTS (SELECT 1 FROM message WHERE mid >= run.first \
                 AND mid < coalesce((SELECT min(later.first) FROM run AS later \
                 WHERE later.first > run.first), ?1))",
                [i64::MAX],
            )?;
            transaction.execute(
                "INSERT OR REPLACE INTO run VALUES (?1, ?2)",
                params![(state.newest_mid as i64).saturating_add(1), prefix as i64],
            )?;
            transaction.commit()?;
            Ok(state)
        })();
        result.map_err(|error| self.explain(&error))
    }

    // ---- reading, at the start ----

    /// Returns the prefixes of all mids.
    pub fn prefixes(&self) -> Result<Prefixes, String> {
        let mut prefixes = Prefixes::default();
        self.for_each("SELECT first, prefix FROM run ORDER BY first", |row| {
            prefixes.begin(number(row, 0)?, number(row, 1)?.into());
            Ok(())
        })?;
        Ok(prefixes)
    }

    /// Returns all ownerships. `owned_max` is the option `--owned`.
    pub fn owners(&self, owned_max: usize) -> Result<Vec<SavedOwner>, String> {
        let mut owners = Vec::new();
        self.for_each(
            "SELECT number, id, key_hash, payer, away_ms, card FROM owner ORDER BY number",
            |row| {
                let number = number(row, 0)?;
                owners.push(SavedOwner {
                    number,
                    id: id(row, 1)?,
                    key_hash: row.get(2)?,
                    payer: optional(row, 3)?,
                    away_ms: optional(row, 4)?,
                    blocked: Vec::new(),
                    card: row.get(5)?,
                });
                Ok(())
            },
        )?;
        check_positions(&owners, owned_max).map_err(|fault| damaged(&self.path, &fault))?;
        self.for_each("SELECT owner, id FROM blocked", |row| {
            let owner = number(row, 0)?;
            if let Ok(index) = owners.binary_search_by_key(&owner, |saved| saved.number) {
                owners[index].blocked.push(id(row, 1)?);
            }
            Ok(())
        })?;
        Ok(owners)
    }

    /// Reads all messages, oldest first, and returns their number.
    pub fn read_messages(&self, mut take: impl FnMut(SavedMessage<'_>)) -> Result<u64, String> {
        let mut count = 0;
        self.for_each("SELECT * FROM message ORDER BY mid", |row| {
            let line = match row.get_ref(5)? {
                ValueRef::Null => None,
                text => Some(text.as_str().map_err(|_| wrong(row, 5))?),
            };
            let held = match line {
                Some(line) => Some(SavedHeld {
                    owner: number(row, 2)?,
                    from: id(row, 3)?,
                    payer: optional(row, 4)?,
                    line: line.as_bytes(),
                }),
                None => None,
            };
            let sent = match optional(row, 6)? {
                Some(hash) => Some(SavedSend {
                    hash,
                    at: number(row, 7)?,
                    to: id(row, 8)?,
                    held: number(row, 9)? != 0,
                    fate: fate(row, 10)?,
                }),
                None => None,
            };
            take(SavedMessage { mid: number(row, 0)?, sender: optional(row, 1)?, held, sent });
            count += 1;
            if count % 250_000 == 0 {
                log::info!("{count} messages of the store are read");
            }
            Ok(())
        })?;
        Ok(count)
    }

    fn for_each(
        &self,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), String> {
        let result = (|| {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        })();
        result.map_err(|error: rusqlite::Error| self.explain(&error))
    }

    fn explain(&self, error: &rusqlite::Error) -> String {
        explain(&self.path, error)
    }

    /// Returns the number of the last batch.
    pub fn last_batch(&self) -> Result<u64, String> {
        let number = self.connection.query_row("SELECT batch FROM state", [], |row| number(row, 0));
        number.map_err(|error| self.explain(&error))
    }

    /// Returns a writer on this connection.
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(self)
    }
}

// ---- the start ----

/// Locks the folder until the returned file is dropped.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(format!(
            "another sotto uses {}: stop it first, or choose another folder for --store",
            folder.display()
        )),
        Err(error) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

/// Returns `true` if there is nothing of this name. A link that leads nowhere is something: the
/// disk behind it may not be mounted.
fn is_missing(path: &Path) -> Result<bool, String> {
    match path.symlink_metadata() {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(format!("cannot use {}: {error}", path.display())),
    }
}

/// Refuses a folder with a log and without the file that it belongs to.
fn refuse_lone_log(folder: &Path) -> Result<(), String> {
    if folder.join(LOG_FILE).exists() {
        return Err(format!(
            "{LOG_FILE} is in {}, and {FILE} is not: put the file back that belongs to it, or \
             start with an empty folder",
            folder.display()
        ));
    }
    Ok(())
}

/// Makes a file with all tables, and then gives it its name.
fn create(folder: &Path, keys: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let new = folder.join(NEW_FILE);
    // A rest of an earlier attempt has no name yet, so nobody has used it.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let connection = Connection::open_with_flags(&new, flags())?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
    ))?;
    let (send_key, subnet_key) = keys.split_at(keys.len() / 2);
    connection.execute(
        "INSERT INTO state VALUES (1, 0, 0, 0, 0, ?1, ?2)",
        params![send_key, subnet_key],
    )?;
    connection.execute_batch("COMMIT")?;
    drop(connection);
    std::fs::rename(&new, folder.join(FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Connects to a file that is there, and checks that it is ours and whole.
fn connect(path: &Path) -> Result<Connection, String> {
    let result = (|| {
        let connection = Connection::open_with_flags(path, flags())?;
        connection.busy_timeout(STORE_BUSY_TIMEOUT)?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, format) = (pragma("application_id")?, pragma("user_version")?);
        Ok((connection, application, format))
    })();
    let (connection, application, format) =
        result.map_err(|error: rusqlite::Error| explain(path, &error))?;
    check_kind(path, application, format)?;
    let result = (|| {
        // `journal_mode` answers with the mode that it has set.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
        connection.pragma_update(None, "cache_size", -STORE_CACHE_KIB)?;
        connection
            .pragma_update_and_check(None, "wal_autocheckpoint", STORE_LOG_PAGES, |_| Ok(()))?;
        let log_bytes_max = i64::from(STORE_LOG_PAGES) * 4096;
        connection.pragma_update_and_check(None, "journal_size_limit", log_bytes_max, |_| Ok(()))
    })();
    result.map(|()| connection).map_err(|error| explain(path, &error))
}

/// Refuses a file that is not a store of sotto, or is one that only a newer sotto knows.
fn check_kind(path: &Path, application: i64, format: i64) -> Result<(), String> {
    let shown = path.display();
    if application != APPLICATION_ID {
        return Err(format!(
            "{shown} is not a store of sotto, or it is damaged: put a backup there, or choose \
             another folder for --store"
        ));
    }
    if !(1..=FORMAT).contains(&format) {
        return Err(format!(
            "{shown} has format {format}, and this sotto knows formats up to {FORMAT}: start the \
             version that wrote it, or a newer one"
        ));
    }
    Ok(())
}

/// Makes the present format of an older one, in one transaction.
fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let format = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    let statements = MIGRATIONS.get(format.max(1) as usize - 1..).unwrap_or_default();
    if statements.is_empty() {
        return Ok(());
    }
    log::info!("the store is changed from format {format} to {FORMAT}");
    let statements = statements.join(";");
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {FORMAT}; COMMIT"
    ))
}

/// Returns a sentence for the operator: the file, SQLite's error, and the remedy.
fn explain(path: &Path, error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match (error, error.sqlite_error_code()) {
        (_, Some(DatabaseCorrupt | NotADatabase))
        | (
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::QueryReturnedNoRows,
            _,
        ) => damaged(path, &error.to_string()),
        _ => format!("cannot use {}: {error}", path.display()),
    }
}

fn damaged(path: &Path, verdict: &str) -> String {
    format!(
        "{} is damaged ({verdict}): put a backup in its place, or move it away to start with \
         nothing",
        path.display()
    )
}

/// Checks that each ownership has a position of its own in a table, which is as long as the last
/// position demands: a damaged number must not make a table of gigabytes.
fn check_positions(owners: &[SavedOwner], owned_max: usize) -> Result<(), String> {
    let most = STORE_SLOTS_MIN.max(owned_max).max(4 * owners.len());
    let mut positions: Vec<u64> =
        owners.iter().map(|owner| owner.number & u64::from(u32::MAX)).collect();
    positions.sort_unstable();
    if positions.last().is_some_and(|last| *last >= most as u64) {
        return Err("an owner has a number that is too large".into());
    }
    if positions.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two owners have one place".into());
    }
    Ok(())
}

// ---- columns ----

/// SQLite's numbers have a sign; ours have none, and the same 64 bits.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|number| number as u64))
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Id> {
    let text = row.get_ref(column)?.as_str().map_err(|_| wrong(row, column))?;
    Id::new(text).ok_or_else(|| wrong(row, column))
}

fn fate(row: &Row<'_>, column: usize) -> rusqlite::Result<Fate> {
    match row.get::<_, i64>(column)? {
        0 => Ok(Fate::Open),
        1 => Ok(Fate::Delivered),
        2 => Ok(Fate::Expired),
        _ => Err(wrong(row, column)),
    }
}

/// Returns the error for a value that sotto has not written.
fn wrong(row: &Row<'_>, column: usize) -> rusqlite::Error {
    let name = row.as_ref().column_name(column).unwrap_or_default().to_owned();
    rusqlite::Error::InvalidColumnType(column, name, rusqlite::types::Type::Text)
}

#[cfg(test)]
mod tests;
