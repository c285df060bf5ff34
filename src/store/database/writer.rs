//! Batches become transactions: one statement for each change.
//!
//! **Invariants**
//! - All of a batch is stored, or nothing.
//! - A batch that is in the log already is not stored again.
//!
//! The time of a further attempt is not known here.

use std::time::Duration;

use rusqlite::{Statement, params};

use super::{Database, number};
use crate::chat::journal::{Batch, Change};
use crate::limits::STORE_BUSY_TIMEOUT;

/// Writes batches on one connection, which keeps its statements from one to the next.
pub struct Writer<'d> {
    database: &'d Database,
    /// By the number of the [`Sql`].
    prepared: [Option<Statement<'d>>; SQL.len()],
}

/// A statement of a batch.
#[derive(Clone, Copy)]
enum Sql {
    Begin,
    Commit,
    State,
    Claim,
    SetAway,
    Release,
    UnblockAll,
    Block,
    Unblock,
    SetCard,
    Insert,
    Unhold,
    DeleteUnheld,
    Decide,
    Forget,
    DeleteForgotten,
}

/// By the number of the [`Sql`].
const SQL: [&str; 16] = [
    "BEGIN IMMEDIATE",
    "COMMIT",
    "UPDATE state SET batch = ?1, newest_mid = ?2, generation = ?3, uptime_ms = ?4",
    "INSERT INTO owner VALUES (?1, ?2, ?3, ?4, NULL, NULL)",
    "UPDATE owner SET away_ms = ?2 WHERE number = ?1",
    "DELETE FROM owner WHERE number = ?1",
    "DELETE FROM blocked WHERE owner = ?1",
    "INSERT OR REPLACE INTO blocked VALUES (?1, ?2)",
    "DELETE FROM blocked WHERE owner = ?1 AND id = ?2",
    "UPDATE owner SET card = ?2 WHERE number = ?1",
    "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
     ON CONFLICT (mid) DO UPDATE SET sender = ?2, hash = ?7, at = ?8, recipient_id = ?9, \
     was_held = ?10, fate = ?11",
    "UPDATE message SET recipient = NULL, sender_id = NULL, payer = NULL, line = NULL \
     WHERE mid = ?1 AND hash IS NOT NULL",
    "DELETE FROM message WHERE mid = ?1 AND hash IS NULL",
    "UPDATE message SET fate = ?2 WHERE mid = ?1",
    "UPDATE message SET hash = NULL, at = NULL, recipient_id = NULL, was_held = NULL, fate = NULL \
     WHERE mid = ?1 AND line IS NOT NULL",
    "DELETE FROM message WHERE mid = ?1 AND line IS NULL",
];

/// The parts of a row of `message`, as far as they are there.
#[derive(Default)]
struct NewMessage<'a> {
    mid: u64,
    sender: Option<u64>,
    /// Recipient, sender's id, payer and line.
    held: Option<(u64, &'a str, Option<u64>, String)>,
    /// Hash, time, recipient's id, whether it was held.
    sent: Option<(u64, u64, &'a str, bool)>,
}

impl<'d> Writer<'d> {
    pub(super) fn new(database: &'d Database) -> Writer<'d> {
        Writer { database, prepared: Default::default() }
    }

    /// Stores a batch, which has this number, unless it is stored already.
    ///
    /// # Errors
    /// SQLite's, as a sentence. All of the batch is stored then, or nothing: the caller tries again
    /// on a new connection.
    pub fn store(&mut self, batch: &Batch, batch_number: u64) -> Result<(), String> {
        if self.database.last_batch()? == batch_number {
            // The commit that was told to have failed has reached the log all the same, but maybe
            // not the disk. It has when the log is copied into the file.
            return self.copy_log();
        }
        self.write(batch, batch_number).map_err(|error| self.database.explain(&error))
    }

    /// Copies the log into the file, and empties it, unless another program reads at the moment.
    ///
    /// # Errors
    /// SQLite's, as a sentence.
    pub fn empty_log(&self) -> Result<(), String> {
        let connection = &self.database.connection;
        let result = (|| {
            // A reader may take its time, as a backup does, and a batch may come meanwhile.
            connection.busy_timeout(Duration::ZERO)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            connection.busy_timeout(STORE_BUSY_TIMEOUT)
        })();
        result.map_err(|error| self.database.explain(&error))
    }

    /// Copies the log into the file, all of it.
    ///
    /// # Errors
    /// SQLite's, as a sentence; also if another program reads an earlier state at the moment.
    fn copy_log(&self) -> Result<(), String> {
        let connection = &self.database.connection;
        let (pages, copied) = connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((number(row, 1)?, number(row, 2)?))
            })
            .map_err(|error| self.database.explain(&error))?;
        if pages == copied {
            return Ok(());
        }
        Err(format!("{} is read by another program", self.database.path.display()))
    }

    fn write(&mut self, batch: &Batch, batch_number: u64) -> rusqlite::Result<()> {
        self.run(Sql::Begin, ())?;
        let mut message = NewMessage::default();
        for change in batch.changes() {
            self.write_change(&change, &mut message)?;
        }
        self.insert(std::mem::take(&mut message))?;
        let state = params![
            batch_number as i64,
            batch.newest_mid as i64,
            batch.generation,
            batch.uptime_ms as i64
        ];
        self.run(Sql::State, state)?;
        self.run(Sql::Commit, ())?;
        Ok(())
    }

    /// Writes a change. If the two parts of a new message come one behind the other, as they mostly
    /// do, one statement writes both: `message` is the row that is not written yet.
    fn write_change<'b>(
        &mut self,
        change: &Change<'b>,
        message: &mut NewMessage<'b>,
    ) -> rusqlite::Result<()> {
        match *change {
            Change::Held { mid, owner, from, sender, payer, line } => {
                let line =
                    String::from_utf8(line.0.concat()).map_err(|error| error.utf8_error())?;
                let held = Some((owner, from, payer, line));
                let new = NewMessage { mid, sender, held, sent: None };
                return self.insert(std::mem::replace(message, new));
            }
            Change::Remembered { mid, sender, hash, at, to, held } => {
                if message.mid != mid {
                    let new = NewMessage { mid, ..NewMessage::default() };
                    self.insert(std::mem::replace(message, new))?;
                }
                (message.sender, message.sent) = (Some(sender), Some((hash, at, to, held)));
                return Ok(());
            }
            _ => self.insert(std::mem::take(message))?,
        }
        self.write_other(change)
    }

    /// Writes a change that makes no row of `message`.
    fn write_other(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        match *change {
            Change::Claimed { owner, id, key_hash, payer } => {
                self.run(Sql::Claim, params![owner as i64, id, key_hash, signed(payer)])?;
            }
            Change::Returned { owner } => {
                self.run(Sql::SetAway, params![owner as i64, None::<i64>])?;
            }
            Change::Left { owner, uptime_ms } => {
                self.run(Sql::SetAway, params![owner as i64, uptime_ms as i64])?;
            }
            Change::Released { owner } => {
                self.run(Sql::UnblockAll, [owner as i64])?;
                self.run(Sql::Release, [owner as i64])?;
            }
            Change::Blocked { owner, id } => {
                self.run(Sql::Block, params![owner as i64, id])?;
            }
            Change::Unblocked { owner, id } => {
                self.run(Sql::Unblock, params![owner as i64, id])?;
            }
            Change::Published { owner, card } => {
                self.run(Sql::SetCard, params![owner as i64, card])?;
            }
            Change::Withdrawn { owner } => {
                self.run(Sql::SetCard, params![owner as i64, None::<&str>])?;
            }
            Change::Unheld { mid } => {
                if self.run(Sql::Unhold, [mid as i64])? == 0 {
                    self.run(Sql::DeleteUnheld, [mid as i64])?;
                }
            }
            Change::Decided { mid, expired } => {
                self.run(Sql::Decide, params![mid as i64, if expired { 2 } else { 1 }])?;
            }
            Change::Forgotten { mid } => {
                if self.run(Sql::DeleteForgotten, [mid as i64])? == 0 {
                    self.run(Sql::Forget, [mid as i64])?;
                }
            }
            Change::Held { .. } | Change::Remembered { .. } => {}
        }
        Ok(())
    }

    /// Writes the row of a new message, if there is one, or adds the remembered part to its row.
    fn insert(&mut self, message: NewMessage<'_>) -> rusqlite::Result<()> {
        let NewMessage { mid, sender, held, sent } = message;
        if held.is_none() && sent.is_none() {
            return Ok(());
        }
        let (recipient, from, payer, line) = match held {
            Some((recipient, from, payer, line)) => {
                (Some(recipient), Some(from), payer, Some(line))
            }
            None => (None, None, None, None),
        };
        let (hash, at, to, was_held) = match sent {
            Some((hash, at, to, held)) => (Some(hash), Some(at), Some(to), Some(held)),
            None => (None, None, None, None),
        };
        let row = params![
            mid as i64,
            signed(sender),
            signed(recipient),
            from,
            signed(payer),
            line,
            signed(hash),
            signed(at),
            to,
            was_held,
            hash.map(|_| 0)
        ];
        self.run(Sql::Insert, row).map(drop)
    }

    /// Runs a statement, and returns the number of rows that it has changed.
    fn run(&mut self, sql: Sql, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        let prepared = &mut self.prepared[sql as usize];
        let statement = match prepared {
            Some(statement) => statement,
            None => prepared.insert(self.database.connection.prepare(SQL[sql as usize])?),
        };
        statement.execute(params)
    }
}

fn signed(number: Option<u64>) -> Option<i64> {
    number.map(|number| number as i64)
}
