//! The room that collections keep for more than is in them, and the one rule by which they give it back.
//!
//! Left to itself a collection that once held 19,000 has room for them ever after. Here, whoever takes something out of one
//! calls [`tighten`]: with less than a quarter of its room in use it keeps twice what is in it. After that a half of it has
//! to go, or as much again to come, before anything is moved again, so it costs O(1) for each that came and went. What a
//! rush of 19,000 leaves behind is moved piece by piece: at most a few thousand entries at once, less than a millisecond.
//!
//! The allocator gives the pages of a long vector back to the kernel at once; of short things strewn among others it keeps
//! them for the next.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use slab::Slab;

/// What has room for more than is in it.
pub trait Collection {
    /// How much is in it.
    fn used(&self) -> usize;
    /// For how much there is room.
    fn room(&self) -> usize;
    /// Keeps room for so much, or for what is in it.
    fn keep(&mut self, room: usize);
}

macro_rules! collection {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Collection for $type {
            fn used(&self) -> usize {
                self.len()
            }
            fn room(&self) -> usize {
                self.capacity()
            }
            fn keep(&mut self, room: usize) {
                self.shrink_to(room);
            }
        }
    };
}

collection!([T] Vec<T>);
collection!([T] VecDeque<T>);
collection!([T: Ord] BinaryHeap<T>);
collection!([T: Eq + Hash] HashSet<T>);
collection!([K: Eq + Hash, V] HashMap<K, V>);

/// A slab cannot move what is in it, so its room reaches to the highest key in use; and to give back what is behind that is a
/// look at all of it, as often as the highest goes while less than a quarter is in use. So this is for the end of a turn, and
/// not for each thing that is taken out.
impl<T> Collection for Slab<T> {
    fn used(&self) -> usize {
        self.len()
    }
    fn room(&self) -> usize {
        self.capacity()
    }
    fn keep(&mut self, _: usize) {
        self.shrink_to_fit();
    }
}

/// Gives room back if less than a quarter is in use, but keeps room for `least`: that much is not worth the trouble.
pub fn tighten(collection: &mut impl Collection, least: usize) {
    let (used, room) = (collection.used(), collection.room());
    if room > least && used < room / 4 {
        collection.keep((2 * used).max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts many in, takes them out one by one: room follows what is there, and seldom changes.
    fn check<C: Collection + Default>(name: &str, put: impl Fn(&mut C, u32), take: impl Fn(&mut C, u32)) {
        let mut collection = C::default();
        (0..20_000).for_each(|n| put(&mut collection, n));
        let mut moves = 0;
        for n in (0..20_000).rev() {
            take(&mut collection, n);
            let before = collection.room();
            tighten(&mut collection, 100);
            moves += usize::from(collection.room() != before);
            // A hash table has a power of two of places.
            assert!(collection.room() <= (4 * collection.used() + 4).max(256), "{name}: {n}");
        }
        assert!((5..20).contains(&moves), "{name}: {moves}");
        assert_eq!(collection.used(), 0);
        // A hash table has no room where the mark of something is that was taken out since it was made.
        assert!(collection.room() >= 50, "{name}: the least stays");
    }

    #[test]
    fn room_follows_what_is_there_and_seldom_changes() {
        check("Vec", |c: &mut Vec<u32>, n| c.push(n), |c, _| assert!(c.pop().is_some()));
        check("VecDeque", |c: &mut VecDeque<u32>, n| c.push_back(n), |c, _| assert!(c.pop_front().is_some()));
        check("BinaryHeap", |c: &mut BinaryHeap<u32>, n| c.push(n), |c, _| assert!(c.pop().is_some()));
        check("HashSet", |c: &mut HashSet<u32>, n| assert!(c.insert(n)), |c, n| assert!(c.remove(&n)));
        check(
            "HashMap",
            |c: &mut HashMap<u32, u32>, n| c.extend([(n, n)]),
            |c, n| assert_eq!(c.remove(&n), Some(n)),
        );
    }

    #[test]
    fn whoever_comes_and_goes_at_the_mark_moves_nothing() {
        let mut list = Vec::with_capacity(1000);
        list.extend(0..250);
        for _ in 0..100 {
            list.pop();
            tighten(&mut list, 0);
            let room = list.capacity();
            assert_eq!(room, 498);
            list.push(0);
            assert_eq!(list.capacity(), room);
        }
    }

    #[test]
    fn the_room_of_a_slab_reaches_to_the_highest_key() {
        let mut slab = Slab::new();
        (0..20_000).for_each(|n| assert_eq!(slab.insert(n), n));
        (0..20_000).filter(|n| ![3, 15_000].contains(n)).for_each(|n| assert_eq!(slab.remove(n), n));
        tighten(&mut slab, 100);
        assert!((15_001..20_000).contains(&slab.capacity()), "{}", slab.capacity());
        slab.remove(15_000);
        tighten(&mut slab, 100);
        assert!(slab.capacity() <= 100 && slab.contains(3));
    }
}
