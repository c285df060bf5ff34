//! The storage thread: one batch at a time, and again after an error.
//!
//! **Invariants**
//! - A batch is tried until it is on disk, or the program ends. Meanwhile no other batch comes.
//! - After an error the next attempt has a new connection, and an empty log if that can be had.
//!
//! The file and its tables are not known here.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use log::{debug, warn};

use super::StoreJournal;
use super::database::Database;
use crate::chat::journal::Batch;
use crate::limits::{STORE_FINISH, STORE_IDLE, STORE_RETRY_MAX, STORE_RETRY_MIN};
use crate::server::{Disk, Outcome};

/// A batch for the thread.
enum Order {
    /// Store it.
    Store(Batch),
    /// Store it, without a further attempt after an error, and end.
    Finish(Batch),
}

/// The store as the loop has it: the way to the thread, and back.
pub struct Store {
    orders: Sender<Order>,
    outcomes: Receiver<Outcome>,
    /// The last word of the thread.
    end: Receiver<Result<(), String>>,
    is_lost: bool,
}

impl Store {
    pub(super) fn start(
        database: Database,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Store, String> {
        let (orders, taken) = channel();
        let (tell, outcomes) = channel();
        let (tell_end, end) = channel();
        let worker = Worker {
            last: database.last_batch()?,
            database,
            orders: taken,
            tell: Box::new(move |outcome| {
                // A loop that has ended hears no more outcomes.
                let _ = tell.send(outcome);
                wake();
            }),
        };
        let thread = std::thread::Builder::new().name("store".into());
        let started = thread.spawn(move || tell_end.send(worker.run()));
        started.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Store { orders, outcomes, end, is_lost: false })
    }
}

impl Disk for Store {
    type Journal = StoreJournal;

    fn submit(&mut self, batch: Batch) {
        // A thread that is gone is reported by `outcome`.
        let _ = self.orders.send(Order::Store(batch));
    }

    fn outcome(&mut self) -> Option<Outcome> {
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) if self.is_lost => None,
            Err(TryRecvError::Disconnected) => {
                self.is_lost = true;
                Some(Outcome::Failed(LOST.into()))
            }
        }
    }

    fn finish(&mut self, last: Batch) -> Result<(), String> {
        let _ = self.orders.send(Order::Finish(last));
        match self.end.recv_timeout(STORE_FINISH) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err("the disk does not answer".into()),
            Err(RecvTimeoutError::Disconnected) => Err(LOST.into()),
        }
    }
}

const LOST: &str = "the storage thread has panicked, which is a fault of sotto: restart it";

/// The state of the thread.
struct Worker {
    database: Database,
    /// The number of the last batch that was stored.
    last: u64,
    orders: Receiver<Order>,
    tell: Box<dyn Fn(Outcome) + Send>,
}

/// The reason why a connection ends.
enum End {
    /// The program ends, and the last batch is stored.
    Finished,
    /// This batch could not be stored.
    Failed(Batch, String),
    /// The program ends, and the last batch could not be stored.
    FinishFailed(String),
}

/// The end of the time before another attempt.
enum Wait {
    /// It is over.
    Over,
    /// The program ends, with this last batch if it says so.
    Ended(Option<Batch>),
}

impl Worker {
    fn run(mut self) -> Result<(), String> {
        let (mut unstored, mut delay) = (None, STORE_RETRY_MIN);
        loop {
            let (batch, error) = match self.write(unstored.take(), &mut delay) {
                End::Finished => return Ok(()),
                End::FinishFailed(error) => return Err(error),
                End::Failed(batch, error) => (batch, error),
            };
            (self.tell)(Outcome::Failed(error));
            if let Wait::Ended(last) = self.wait(delay) {
                return self.finish([Some(batch), last]);
            }
            delay = (2 * delay).min(STORE_RETRY_MAX);
            while let Err(error) = self.database.reconnect() {
                (self.tell)(Outcome::Failed(error));
                if let Wait::Ended(last) = self.wait(delay) {
                    return self.finish([Some(batch), last]);
                }
                delay = (2 * delay).min(STORE_RETRY_MAX);
            }
            // The bytes of the log may be all that the disk lacks. If not, the batch fails again.
            if let Err(error) = self.database.writer().empty_log() {
                debug!("the log of the store is not emptied: {error}");
            }
            unstored = Some(batch);
        }
    }

    /// Stores batches on one connection, until one fails: first an earlier one, if there is one.
    fn write(&mut self, unstored: Option<Batch>, delay: &mut Duration) -> End {
        let Worker { database, last, orders, tell } = self;
        let mut writer = database.writer();
        let mut next = unstored.map(Order::Store);
        let mut is_dirty = false;
        loop {
            let order = match next.take() {
                Some(order) => order,
                None if !is_dirty => match orders.recv() {
                    Ok(order) => order,
                    Err(_) => return End::Finished,
                },
                None => match orders.recv_timeout(STORE_IDLE) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Timeout) => {
                        is_dirty = false;
                        if let Err(error) = writer.empty_log() {
                            warn!("the log of the store is not emptied: {error}");
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return End::Finished,
                },
            };
            let start = Instant::now();
            match order {
                Order::Store(batch) => match writer.store(&batch, *last + 1) {
                    Ok(()) => {
                        (*last, *delay, is_dirty) = (*last + 1, STORE_RETRY_MIN, true);
                        tell(Outcome::Stored { batch, took: start.elapsed() });
                    }
                    Err(error) => return End::Failed(batch, error),
                },
                Order::Finish(batch) => {
                    return match writer.store(&batch, *last + 1) {
                        Ok(()) => {
                            // If it stays, the next start empties it.
                            let _ = writer.empty_log();
                            End::Finished
                        }
                        Err(error) => End::FinishFailed(error),
                    };
                }
            }
        }
    }

    /// Waits until the next attempt.
    fn wait(&self, delay: Duration) -> Wait {
        match self.orders.recv_timeout(delay) {
            Ok(Order::Store(batch) | Order::Finish(batch)) => Wait::Ended(Some(batch)),
            Err(RecvTimeoutError::Timeout) => Wait::Over,
            Err(RecvTimeoutError::Disconnected) => Wait::Ended(None),
        }
    }

    /// Makes one last attempt.
    fn finish(mut self, batches: [Option<Batch>; 2]) -> Result<(), String> {
        self.database.reconnect()?;
        let mut writer = self.database.writer();
        for batch in batches.into_iter().flatten() {
            writer.store(&batch, self.last + 1)?;
            self.last += 1;
        }
        Ok(())
    }
}
