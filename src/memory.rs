//! How memory is shared, given back and checked: a total that many share, the capacity of
//! collections, and the size of a struct field by field.
//!
//! Invariants:
//! - A [`Budget`]'s `used` is the sum of what was taken and not given back.
//! - A collection that [`tighten`] was called on has at least a quarter of its capacity in use, or
//!   less capacity than the least worth giving back.
//!
//! Left to itself a collection that once held 19,000 has room for them ever after. Here, whoever
//! takes something out of one calls [`tighten`]: with less than a quarter of its room in use it
//! keeps twice what is in it. After that a half of it has to go, or as much again to come, before
//! anything is moved again, so it costs O(1) for each that came and went. What a rush of 19,000
//! leaves behind is moved piece by piece: at most a few thousand entries at once, less than a
//! millisecond.
//!
//! The allocator gives the pages of a long vector back to the kernel at once; of short things
//! strewn among others it keeps them for the next.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use slab::Slab;

/// Bytes that all may use together.
///
/// One of them may grow to its own maximum or a quarter of what is left, whichever is less: as
/// memory fills, the big are refused first and small ones still fit; no look at anybody else is
/// needed.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    used: usize,
}

impl Budget {
    /// A budget of `total` bytes, none of them used.
    pub fn new(total: usize) -> Budget {
        Budget { total, used: 0 }
    }

    /// The most bytes that one may hold now, whose own maximum is `one`.
    pub fn limit(&self, one: usize) -> usize {
        one.min(self.total.saturating_sub(self.used) / 4)
    }

    /// Counts `bytes` as used.
    pub fn take(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Counts `bytes` as free again.
    pub fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "gave back more than was taken");
        self.used -= bytes;
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Appends to something that is kept, and is counted by its length. Left to itself a vector would
/// take room for as much again; here it is an eighth, and each byte may be moved eight times for
/// it. For what leaves at once that is not worth it.
pub fn extend_tightly(kept: &mut Vec<u8>, bytes: &[u8]) {
    if kept.capacity() - kept.len() < bytes.len() {
        kept.reserve_exact(bytes.len().max(kept.len() / 8));
    }
    kept.extend_from_slice(bytes);
}

/// What has room for more than is in it.
pub trait Collection {
    /// How much is in it.
    fn used(&self) -> usize;
    /// For how much there is room.
    fn capacity(&self) -> usize;
    /// Keeps room for so much, or for what is in it.
    fn keep(&mut self, capacity: usize);
}

macro_rules! collection {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Collection for $type {
            fn used(&self) -> usize {
                self.len()
            }
            fn capacity(&self) -> usize {
                <Self>::capacity(self)
            }
            fn keep(&mut self, capacity: usize) {
                self.shrink_to(capacity);
            }
        }
    };
}

collection!([T] Vec<T>);
collection!([T] VecDeque<T>);
collection!([T: Ord] BinaryHeap<T>);
collection!([T: Eq + Hash] HashSet<T>);
collection!([K: Eq + Hash, V] HashMap<K, V>);

/// A slab cannot move what is in it, so its room reaches to the highest key in use; and to give
/// back what is behind that is a look at all of it, as often as the highest goes while less than a
/// quarter is in use. So this is for the end of a turn, and not for each thing that is taken out.
impl<T> Collection for Slab<T> {
    fn used(&self) -> usize {
        self.len()
    }
    fn capacity(&self) -> usize {
        <Self>::capacity(self)
    }
    fn keep(&mut self, _: usize) {
        self.shrink_to_fit();
    }
}

/// Gives room back if less than a quarter is in use, but keeps room for `least`: that much is not
/// worth the trouble.
pub fn tighten(collection: &mut impl Collection, min: usize) {
    let (used, capacity) = (collection.used(), collection.capacity());
    if capacity > min && used < capacity / 4 {
        collection.keep((2 * used).max(min));
    }
}

#[cfg(test)]
/// Holds a struct to a list of its fields, each with its size in bytes and why it is there. A field
/// that is not listed does not compile; one of another size fails, and so does a whole that is not
/// its fields and what alignment leaves empty.
macro_rules! assert_size {
    ($type:ty = $whole:literal: $name:ident {
        $($field:ident: $size:literal $reason:literal,)*
    } empty: $empty:literal) => {{
        fn size_of_field<T, F>(_: impl Fn(&T) -> &F) -> usize {
            size_of::<F>()
        }
        let _all_are_listed = |whole: $type| {
            let $name { $($field: _),* } = whole;
        };
        $(assert_eq!(size_of_field(|whole: &$type| &whole.$field), $size, "{}, {}", stringify!($field), $reason);)*
        assert_eq!($($size +)* $empty, $whole, "the sum of the list");
        assert_eq!(size_of::<$type>(), $whole, "{}", stringify!($type));
    }};
}

#[cfg(test)]
pub(crate) use assert_size;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_little_room_to_spare_and_is_seldom_moved() {
        for len in [1, 7, 100, 5000] {
            let (mut kept, mut moves) = (Vec::new(), 0);
            while kept.len() < 100_000 {
                let capacity = kept.capacity();
                extend_tightly(&mut kept, &vec![b'x'; len]);
                moves += usize::from(kept.capacity() != capacity);
                assert!(kept.capacity() <= (kept.len() + kept.len() / 8).max(16), "{len}");
            }
            assert!(moves < 100, "{moves}");
        }
    }

    #[test]
    fn the_big_are_refused_first() {
        let mut budget = Budget::new(1000);
        assert_eq!(budget.limit(100), 100);
        budget.take(800);
        assert_eq!(budget.limit(100), 50);
        budget.take(200);
        assert_eq!(budget.limit(100), 0);
        budget.give(1000);
        assert_eq!((budget.limit(100), budget.used()), (100, 0));
    }

    /// Puts many in, takes them out one by one: room follows what is there, and seldom changes.
    fn check<C: Collection + Default>(
        name: &str,
        put: impl Fn(&mut C, u32),
        take: impl Fn(&mut C, u32),
    ) {
        let mut collection = C::default();
        (0..20_000).for_each(|n| put(&mut collection, n));
        let mut moves = 0;
        for n in (0..20_000).rev() {
            take(&mut collection, n);
            let before = collection.capacity();
            tighten(&mut collection, 100);
            moves += usize::from(collection.capacity() != before);
            // A hash table has a power of two of places.
            assert!(collection.capacity() <= (4 * collection.used() + 4).max(256), "{name}: {n}");
        }
        assert!((5..20).contains(&moves), "{name}: {moves}");
        assert_eq!(collection.used(), 0);
        // A hash table has no room where the mark of something is that was taken out since it was
        // made.
        assert!(collection.capacity() >= 50, "{name}: the least stays");
    }

    #[test]
    fn room_follows_what_is_there_and_seldom_changes() {
        check("Vec", |c: &mut Vec<u32>, n| c.push(n), |c, _| assert!(c.pop().is_some()));
        check(
            "VecDeque",
            |c: &mut VecDeque<u32>, n| c.push_back(n),
            |c, _| assert!(c.pop_front().is_some()),
        );
        check(
            "BinaryHeap",
            |c: &mut BinaryHeap<u32>, n| c.push(n),
            |c, _| assert!(c.pop().is_some()),
        );
        check(
            "HashSet",
            |c: &mut HashSet<u32>, n| assert!(c.insert(n)),
            |c, n| assert!(c.remove(&n)),
        );
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
            let capacity = list.capacity();
            assert_eq!(capacity, 498);
            list.push(0);
            assert_eq!(list.capacity(), capacity);
        }
    }

    #[test]
    fn the_room_of_a_slab_reaches_to_the_highest_key() {
        let mut slab = Slab::new();
        (0..20_000).for_each(|n| assert_eq!(slab.insert(n), n));
        (0..20_000)
            .filter(|n| ![3, 15_000].contains(n))
            .for_each(|n| assert_eq!(slab.remove(n), n));
        tighten(&mut slab, 100);
        assert!((15_001..20_000).contains(&slab.capacity()), "{}", slab.capacity());
        slab.remove(15_000);
        tighten(&mut slab, 100);
        assert!(slab.capacity() <= 100 && slab.contains(3));
    }
}
