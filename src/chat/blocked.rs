//! Whom somebody blocks. What that does is not known here.
//!
//! Invariant: while it is nobody, nothing is owned: most never block anybody.

use std::collections::HashSet;

use crate::chat::protocol::Id;
use crate::limits::SMALL_CAPACITY_MIN;
use crate::memory::tighten;

/// A set of blocked ids.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a set is 48 bytes, in every client; most need none")]
pub struct Blocked(Option<Box<HashSet<Id>>>);

impl Blocked {
    /// Is this id blocked?
    pub fn contains(&self, id: &str) -> bool {
        self.0.as_ref().is_some_and(|ids| ids.contains(id))
    }

    /// Blocks an id; false: it was blocked.
    pub fn insert(&mut self, id: Id) -> bool {
        self.0.get_or_insert_default().insert(id)
    }

    /// Ends that; false: it was not blocked.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(ids) = &mut self.0 else { return false };
        let removed = ids.remove(id);
        tighten(&mut **ids, SMALL_CAPACITY_MIN);
        self.0.take_if(|ids| ids.is_empty());
        removed
    }

    /// How many are blocked.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ids| ids.len())
    }

    /// Is nobody blocked?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_owned_while_nobody_is_blocked() {
        let mut blocked = Blocked::default();
        let bob = Id::new("bob").expect("a valid id");
        assert!(blocked.insert(bob.clone()) && !blocked.insert(bob));
        assert!(blocked.contains("bob") && blocked.len() == 1);
        assert!(blocked.remove("bob") && !blocked.remove("bob"));
        assert!(blocked.is_empty() && blocked.0.is_none());
    }
}
