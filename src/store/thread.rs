//! The storage thread: one batch at a time, and again after an error.
//!
//! **Invariants**
//! - A batch is tried until it is on disk, or the program ends. Meanwhile no other batch comes.
//! - After an error the next attempt has a new connection, and an empty log if that can be had.
//!
//! The file and its tables are not known here.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::debug;

use super::StoreJournal;
use super::database::Database;
use crate::chat::journal::Batch;
use crate::limits::{STORE_IDLE, STORE_RETRY_MAX, STORE_RETRY_MIN};
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
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Store {
    pub(super) fn start(
        database: Database,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Store, String> {
        let (orders, taken) = channel();
        let (tell, outcomes) = channel();
        let worker = Worker {
            last: database.last_batch()?,
            database,
            orders: taken,
            tell: Box::new(move |outcome| {
                // The loop has ended if nobody listens; then there is nothing to tell.
                let _ = tell.send(outcome);
                wake();
            }),
        };
        let thread = std::thread::Builder::new().name("store".into());
        let thread = thread.spawn(move || worker.run());
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Store { orders, outcomes, thread: Some(thread) })
    }
}

impl Disk for Store {
    type Journal = StoreJournal;

    fn submit(&mut self, batch: Batch) {
        // If the thread is gone, `outcome` says so.
        let _ = self.orders.send(Order::Store(batch));
    }

    fn outcome(&mut self) -> Option<Outcome> {
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                // Once: from then on the thread is taken.
                let thread = self.thread.take()?;
                let reason = match thread.join() {
                    Ok(_) => "it has ended",
                    Err(_) => "it has panicked, which is a fault of sotto",
                };
                Some(Outcome::Failed(format!("the storage thread is gone: {reason}")))
            }
        }
    }

    fn finish(&mut self, last: Batch) -> Result<(), String> {
        let _ = self.orders.send(Order::Finish(last));
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err("the storage thread is gone".into()),
        }
    }
}

/// What the thread has.
struct Worker {
    database: Database,
    /// The number of the last batch that was stored.
    last: u64,
    orders: Receiver<Order>,
    tell: Box<dyn Fn(Outcome) + Send>,
}

/// Why a connection is given up.
enum End {
    /// The program ends, and the last batch is stored.
    Finished,
    /// This batch could not be stored.
    Failed(Batch, String),
    /// The program ends, and the last batch could not be stored.
    FinishFailed(String),
}

impl Worker {
    fn run(mut self) -> Result<(), String> {
        let (mut unstored, mut delay) = (None, STORE_RETRY_MIN);
        loop {
            match self.write(unstored.take(), &mut delay) {
                End::Finished => return Ok(()),
                End::FinishFailed(error) => return Err(error),
                End::Failed(batch, error) => {
                    (self.tell)(Outcome::Failed(error));
                    if let Some(last) = self.wait(delay) {
                        return self.finish([batch, last]);
                    }
                    delay = (2 * delay).min(STORE_RETRY_MAX);
                    unstored = Some(batch);
                }
            }
            while let Err(error) = self.database.reconnect() {
                (self.tell)(Outcome::Failed(error));
                if let Some(last) = self.wait(delay) {
                    return self.finish([unstored.unwrap_or_default(), last]);
                }
                delay = (2 * delay).min(STORE_RETRY_MAX);
            }
            // What the log takes may be all that the disk lacks. If not, the batch will tell.
            if let Err(error) = self.database.writer().checkpoint() {
                debug!("the log of the store is not emptied: {error}");
            }
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
                        // Not an error: another program may be reading, as a backup does.
                        if let Err(error) = writer.checkpoint() {
                            debug!("the log of the store is not emptied: {error}");
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
                            let _ = writer.checkpoint();
                            End::Finished
                        }
                        Err(error) => End::FinishFailed(error),
                    };
                }
            }
        }
    }

    /// Waits until the next attempt. Returns the last batch if the program ends meanwhile.
    fn wait(&self, delay: Duration) -> Option<Batch> {
        match self.orders.recv_timeout(delay) {
            Ok(Order::Store(batch) | Order::Finish(batch)) => Some(batch),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Batch::default()),
        }
    }

    /// Makes one last attempt.
    fn finish(mut self, batches: [Batch; 2]) -> Result<(), String> {
        self.database.reconnect()?;
        let mut writer = self.database.writer();
        for batch in batches {
            writer.store(&batch, self.last + 1)?;
            self.last += 1;
        }
        Ok(())
    }
}
