//! The store: ids and messages in a file of SQLite, so that they survive the end of the program.
//!
//! The hub tells its changes as plain values ([`chat::journal`](crate::chat::journal)). One thread
//! writes them to the file, because a file is always ready and a write to it still blocks. The loop
//! gives it a batch, goes on, and is woken when the batch is on disk:
//!
//! ```text
//!  loop                                   storage thread
//!  ────                                   ──────────────
//!  submit(batch) ───────────────────────► BEGIN, one statement for each change, COMMIT
//!  …turns go on, the next batch gathers    (fsync)
//!  outcome() ◄──────────────── wakes ───── Stored, or Failed and again after a while
//! ```
//!
//! - `database.rs`: the file, its tables, and one transaction for a batch. Only it knows SQLite.
//! - `thread.rs`: the thread, and its attempts after an error.
//!
//! **Invariants**
//! - Nothing is read from the file after the start.
//! - A file that is not whole, not ours or newer than this program is never overwritten, and never
//!   taken for an empty one.
//! - Keys and text are in the file, and never in the log.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use crate::chat::hub::{self, Hub};
use crate::chat::journal::Recorder;
use crate::memory::SubnetHash;
use crate::time::{Now, Uptime};

mod database;
mod thread;

use database::{Database, State};
pub use thread::Store;

/// The journal of a hub with a store.
pub type StoreJournal = Recorder<KeyedHasher>;

/// Makes the hashes that are kept on disk: SipHash-1-3 with a key that is kept there, too.
#[derive(Clone)]
pub struct KeyedHasher([u8; 16]);

impl BuildHasher for KeyedHasher {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// A store that is read, and not yet written to.
pub struct Opened {
    database: Database,
    state: State,
}

/// Returns an error if a server could not use the store in a folder. It changes nothing, and a
/// server may be running: the file is not opened as a database.
///
/// # Errors
/// One sentence for the operator: the fault, and the remedy.
pub fn check(folder: &Path) -> Result<(), String> {
    database::check(folder)
}

impl Opened {
    /// Opens the store in a folder, and makes both if they are not there. `random` has random
    /// bytes for the prefix of mids and the keys of a new store.
    ///
    /// # Errors
    /// One sentence for the operator: the fault, and the remedy.
    pub fn open(folder: &Path, random: [[u8; 8]; 5]) -> Result<Opened, String> {
        let [prefix, keys @ ..] = random;
        let mut database = Database::open(folder, keys.as_flattened())?;
        let state = database.begin_run(u64::from_le_bytes(prefix))?;
        Ok(Opened { database, state })
    }

    /// Reads ids and messages into a new hub.
    ///
    /// # Errors
    /// One sentence for the operator, if the file cannot be read.
    pub fn restore(&mut self, limits: hub::Limits, now: Now) -> Result<Hub<StoreJournal>, String> {
        let uptime = Uptime::starting(now.instant, self.state.uptime_ms);
        let journal = Recorder::new(uptime, KeyedHasher(self.state.send_key));
        let owned_max = limits.owned_max;
        let mut hub = Hub::with_journal(limits, self.database.prefixes()?, journal);
        let start = Instant::now();
        let owners = self.database.owners(owned_max)?;
        let State { generation, newest_mid, .. } = self.state;
        log::info!("the store has {} ids", owners.len());
        hub.restore_owners(owners, generation, newest_mid, now.instant);
        let mut orphans = 0;
        let count = self.database.read_messages(|message| {
            orphans += u64::from(!hub.restore_message(message));
        })?;
        hub.finish_restore();
        if orphans > 0 {
            log::warn!("{orphans} messages of the store are for ids that it does not have");
        }
        log::info!("the store has {count} messages, read in {} ms", start.elapsed().as_millis());
        Ok(hub)
    }

    /// Returns the hash of subnets, which is the same in each run.
    pub fn subnet_hash(&self) -> SubnetHash {
        let keyed = KeyedHasher(self.state.subnet_key);
        Box::new(move |subnet| {
            let mut hasher = keyed.build_hasher();
            hasher.write(subnet);
            hasher.finish()
        })
    }

    /// Starts the storage thread. It calls `wake` when there are news.
    ///
    /// # Errors
    /// One sentence for the operator, if no thread can be started.
    pub fn start(self, wake: impl Fn() + Send + 'static) -> Result<Store, String> {
        Store::start(self.database, wake)
    }
}
