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

use super::Server;
use crate::chat::journal::{Batch, Journal, NoJournal};
use crate::net::stream::Stream;
use crate::time::Now;

/// A disk, as the loop sees it: it never blocks the caller.
pub trait Disk {
    /// The journal that records what this disk stores.
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

    /// Appends the metrics of the disk.
    fn write_metrics(&self, out: &mut String);
}

/// News of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// It is on disk, and would survive a power cut. Its buffer is given back.
    Stored(Batch),
    /// It could not be stored, and the disk will try again. It is the same batch still.
    Failed,
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

    fn write_metrics(&self, _: &mut String) {}
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Lets the lines go that the disk has made true, and gives it the next batch.
    pub(super) fn commit(&mut self, now: Now) {
        if !D::Journal::RECORDS {
            return;
        }
        while let Some(outcome) = self.disk.outcome() {
            match outcome {
                Outcome::Failed => self.hub.commit_failed(),
                Outcome::Stored(batch) => {
                    self.spare = batch;
                    self.hub.commit_finished();
                    // As when lines are heard: no client is taken for slow without a write.
                    while self.hub.let_through(now) {
                        self.flush_pressing(now);
                        self.send_disconnects(now);
                    }
                    self.flush_pressing(now);
                    self.send_disconnects(now);
                }
            }
        }
        match self.hub.begin_commit(std::mem::take(&mut self.spare), now) {
            Ok(batch) => self.disk.submit(batch),
            Err(spare) => self.spare = spare,
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
