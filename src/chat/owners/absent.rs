//! Ownerships that are used while their client is away, by a backend.
//!
//! **Invariants**
//! - An ownership in use does not end: the time for which it is kept begins anew with each use.
//!
//! It does not know the use.

use super::*;

impl<J: Journal> Owners<J> {
    /// Notes that an ownership is in use. One with a connected client is kept anyway.
    pub fn note_use(&mut self, owner: OwnerToken, now: Instant) {
        self.remove_from_away(owner);
        let Some(entry) = self.slots.get_mut(owner.0) else { return };
        let ClientState::Away { since, .. } = &mut entry.client else { return };
        *since = now;
        self.note_away(owner, now);
    }
}
