//! A hub as a store has kept it, at the start of the program: first all ownerships, then all
//! messages, oldest first.
//!
//! **Invariants**
//! - The hub has no client until the last message is added.
//!
//! Files and databases are not known here.

use std::time::Instant;

use super::Hub;
use crate::chat::journal::Journal;
use crate::chat::owners::Holder;
use crate::chat::owners::restore::{SavedMessage, SavedOwner};

impl<J: Journal> Hub<J> {
    /// Adds all ownerships of earlier runs, to a hub without any. `generation` and `newest_mid` are
    /// those of the last batch that was stored.
    pub fn restore_owners(
        &mut self,
        saved: Vec<SavedOwner>,
        generation: u32,
        newest_mid: u64,
        now: Instant,
    ) {
        self.owners.restore_owners(saved, generation, now, &mut self.payers);
        self.mid = newest_mid;
        self.gate.note_stored(newest_mid);
    }

    /// Adds a message of an earlier run. Messages have to come in the order of their mids. Returns
    /// `false`, and adds nothing, if it is held for an ownership that was not added.
    pub fn restore_message(&mut self, saved: SavedMessage<'_>) -> bool {
        self.owners.restore_message(saved, &mut self.payers)
    }

    /// Ends the restore: from now on clients may come.
    pub fn finish_restore(&mut self) {
        self.owners.finish_restore();
        self.ids =
            self.owners.iter().map(|(id, owner)| (id.clone(), Holder::Owner(owner))).collect();
    }
}
