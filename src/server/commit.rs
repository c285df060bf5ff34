//! The exchange with the disk: a stage of the turn.
//!
//! The hub gathers changes and the lines that wait for them. The disk makes one transaction of a
//! batch of changes, on a thread of its own, and wakes the loop. Then the lines leave, and the next
//! batch goes to the disk.
//!
//! **Invariants**
//! - One batch is under way at a time.
//! - Lines that waited leave in the turn in which the loop hears of their batch.
//!
//! The file and its format are not known here, so a test can play the disk.

use std::time::{Duration, Instant};

use log::{error, info};

use super::Server;
use crate::chat::journal::{Batch, Journal, NoJournal};
use crate::limits::{STORE_HANG, STORE_LOG_EVERY};
use crate::net::stream::Stream;
use crate::time::Now;

/// A disk, as the loop sees it: it never blocks the caller.
pub trait Disk {
    /// The journal that records the changes for this disk.
    type Journal: Journal;

    /// Begins to store a batch. The one before is stored.
    fn submit(&mut self, batch: Batch);

    /// Returns news of the batch under way, if there are any.
    fn outcome(&mut self) -> Option<Outcome>;

    /// Stores the last changes, and waits for them and for the batch under way.
    ///
    /// # Errors
    /// One sentence for the operator, if the disk fails.
    fn finish(&mut self, last: Batch) -> Result<(), String>;
}

/// News of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// It is on disk, and would survive a power cut.
    Stored {
        /// The batch, for its buffer to be used again.
        batch: Batch,
        /// The time that it took.
        took: Duration,
    },
    /// It could not be stored, for this reason, and the disk will try again.
    Failed(String),
}

/// The disk of a server without a store.
pub struct NoDisk;

impl Disk for NoDisk {
    type Journal = NoJournal;

    fn submit(&mut self, _: Batch) {}

    fn outcome(&mut self) -> Option<Outcome> {
        None
    }

    fn finish(&mut self, _: Batch) -> Result<(), String> {
        Ok(())
    }
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Lets the lines go that the disk has made true, and gives it the next batch.
    pub(super) fn commit(&mut self, now: Now) {
        if !D::Journal::RECORDS {
            return;
        }
        while let Some(outcome) = self.disk.outcome() {
            match outcome {
                Outcome::Failed(reason) => self.note_failure(&reason, now),
                Outcome::Stored { batch, took } => {
                    self.submitted = None;
                    self.note_stored(&batch, took);
                    self.spare = batch;
                    self.hub.commit_finished();
                    // As when lines are heard: no client is taken for slow without a write.
                    while self.hub.let_through(now) {
                        self.flush_pressing(now);
                        self.send_disconnects(now);
                    }
                    self.flush_pressing(now);
                    self.send_disconnects(now);
                    #[cfg(feature = "api")]
                    self.answer_stored(now);
                }
            }
        }
        match self.hub.begin_commit(std::mem::take(&mut self.spare), now) {
            Ok(batch) => {
                self.submitted = Some(now.instant);
                self.disk.submit(batch);
            }
            Err(spare) => self.spare = spare,
        }
        if self.hang_deadline().is_some_and(|due| due <= now.instant) {
            self.note_failure("the disk of --store does not answer", now);
        }
    }

    /// Returns the time at which the batch under way counts as failed; `None` if it does already.
    pub(super) fn hang_deadline(&self) -> Option<Instant> {
        let submitted = self.submitted.filter(|_| !self.counters.store.is_failing);
        submitted.map(|at| at + STORE_HANG)
    }

    fn note_stored(&mut self, batch: &Batch, took: Duration) {
        let store = &mut self.counters.store;
        store.commits.add(took);
        store.bytes += batch.len() as u64;
        if std::mem::take(&mut store.is_failing) {
            info!("the disk of --store takes writes again");
            self.last_failure_logged = None;
            self.shared.set_ready(true);
        }
    }

    fn note_failure(&mut self, reason: &str, now: Now) {
        self.hub.commit_failed();
        self.shared.set_ready(false);
        let store = &mut self.counters.store;
        store.failures += 1;
        store.is_failing = true;
        let logged = self.last_failure_logged;
        if logged.is_none_or(|at| now.instant >= at + STORE_LOG_EVERY) {
            self.last_failure_logged = Some(now.instant);
            error!(
                "{reason}; until that is mended, messages for owned ids and new ids are refused, \
                 and what was promised is kept in memory"
            );
        }
    }

    /// Stores all changes that are not on disk, at the end of the program.
    ///
    /// # Errors
    /// One sentence for the operator, if the disk fails.
    pub fn finish(&mut self, now: Now) -> Result<(), String> {
        if !D::Journal::RECORDS {
            return Ok(());
        }
        let last = self.hub.take_changes(std::mem::take(&mut self.spare), now);
        self.disk.finish(last)
    }
}
