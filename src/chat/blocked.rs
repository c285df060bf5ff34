//! The set of ids that one client, or one ownership, blocks.
//!
//! **Invariants**
//! - An empty set owns no heap memory: most clients never block an id.
//!
//! The effect of a block is not known here.

use std::collections::HashSet;

use crate::chat::protocol::Id;
use crate::limits::SMALL_CAPACITY_MIN;
use crate::memory::tighten;

/// A set of blocked ids.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a set is 48 bytes, in every client; most need none")]
pub struct Blocked(Option<Box<HashSet<Id>>>);

impl Blocked {
    /// Returns `true` if this id is blocked.
    pub fn contains(&self, id: &str) -> bool {
        self.0.as_ref().is_some_and(|ids| ids.contains(id))
    }

    /// Blocks all these ids; those that are blocked already stay so.
    pub fn insert_all(&mut self, ids: Vec<Id>) {
        for id in ids {
            self.0.get_or_insert_default().insert(id);
        }
    }

    /// Unblocks all these ids, and returns how many of them were blocked.
    pub fn remove_all(&mut self, ids: &[Id]) -> usize {
        let Some(set) = &mut self.0 else { return 0 };
        let removed = ids.iter().filter(|id| set.remove(*id)).count();
        tighten(&mut **set, SMALL_CAPACITY_MIN);
        self.0.take_if(|set| set.is_empty());
        removed
    }

    /// Returns the number of blocked ids.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ids| ids.len())
    }

    /// Returns `true` if no id is blocked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_without_ids_owns_no_memory() {
        let mut blocked = Blocked::default();
        let bob = Id::new("bob").expect("a valid id");
        blocked.insert_all(vec![]);
        assert!(blocked.0.is_none());
        blocked.insert_all(vec![bob.clone()]);
        blocked.insert_all(vec![bob.clone()]);
        assert!(blocked.contains("bob") && blocked.len() == 1);
        let ids = [bob];
        assert_eq!((blocked.remove_all(&ids), blocked.remove_all(&ids)), (1, 0));
        assert!(blocked.is_empty() && blocked.0.is_none());
    }
}
