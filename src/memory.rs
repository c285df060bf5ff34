//! Memory: totals that many share, capacity that is given back, and sizes of structs.
//!
//! A collection of the standard library that once held 19,000 entries keeps the capacity for them
//! ever after. Here every removal is followed by [`tighten`]: a collection with less than a quarter
//! of its capacity in use shrinks to twice its length. Before entries are moved again, half of them
//! have to leave or as many again to arrive, so shrinking costs O(1) for each entry that came and
//! went. After a rush of 19,000 clients the tables shrink in steps: each moves a few thousand
//! entries at most, in less than a millisecond.
//!
//! The allocator returns the pages of a long vector to the kernel at once. The pages of short
//! allocations, which lie between others, it keeps for the next ones.
//!
//! **Invariants**
//! - `used` of a [`Budget`] is the sum of all bytes taken and not given back.
//! - A collection that [`tighten`] was called on has at least a quarter of its capacity in use, or
//!   no more capacity than the minimum given to it.
//!
//! It does not know which users share a budget, nor the contents of a collection.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use slab::Slab;

/// A network address that pays for its clients, as a number.
///
/// The socket half makes it from the address by a hash with secret keys ([`SubnetHash`]), so it
/// lasts from one connection to the next, needs no table, and tells the chat half no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer(usize);

impl Payer {
    /// Returns the payer with this number.
    pub fn new(number: usize) -> Payer {
        Payer(number)
    }

    /// Returns the payer as a number, to look up by.
    pub fn number(self) -> usize {
        self.0
    }
}

/// Makes numbers of payers from subnets, given as bytes. Its keys are secret, so no client can
/// choose an address with the payer of another.
pub type SubnetHash = Box<dyn Fn(&[u8]) -> u64>;

/// A total, of bytes or of entries, that many share, such as the outboxes of all clients.
///
/// With [`Budget::limit`], each user may have its own maximum or a quarter of the bytes left,
/// whichever is less. So as the total fills, large users are refused first and small ones still
/// fit, and no user has to be compared with another.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    used: usize,
}

impl Budget {
    /// Returns a budget of `total` bytes, none of them used.
    pub fn new(total: usize) -> Budget {
        Budget { total, used: 0 }
    }

    /// Returns the most that one user may have now, given its own maximum.
    pub fn limit(&self, own_max: usize) -> usize {
        own_max.min(self.left() / 4)
    }

    /// Counts `bytes` as used.
    pub fn take(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Counts `bytes` as free again.
    pub fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "gave back more than was taken");
        // A count that is wrong must not wrap, or nothing would ever fit again.
        self.used = self.used.saturating_sub(bytes);
    }

    /// Returns the bytes in use, of all users together.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Returns the bytes that are free.
    pub fn left(&self) -> usize {
        self.total.saturating_sub(self.used)
    }

    /// Returns the bytes that there are, used or free.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// Appends to a buffer that lives long and is counted by its length, with little spare capacity.
///
/// A vector would double its capacity, which the count would not show. Here an eighth of the length
/// is spare, for which each byte may be moved eight times. A buffer that leaves at once is not
/// worth that.
pub fn extend_tightly(kept: &mut Vec<u8>, bytes: &[u8]) {
    reserve_tightly(kept, bytes.len());
    kept.extend_from_slice(bytes);
}

/// Reserves capacity for `additional` bytes in a buffer that is kept, as [`extend_tightly`] does.
pub fn reserve_tightly(kept: &mut Vec<u8>, additional: usize) {
    if kept.capacity() - kept.len() < additional {
        kept.reserve_exact(additional.max(kept.len() / 8));
    }
}

/// A collection with capacity to give back, for [`tighten`].
pub trait Collection {
    /// Returns the number of entries.
    fn used(&self) -> usize;
    /// Returns the number of entries that fit without allocating.
    fn capacity(&self) -> usize;
    /// Shrinks to this capacity, or to the number of entries if that is greater.
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

/// A slab cannot move an entry, because its key is its position, so the capacity reaches at least
/// to the highest key in use. Giving back the capacity above it looks at the whole slab, each time
/// the highest entry leaves while less than a quarter is in use. So [`tighten`] a slab at the end
/// of a turn, not after each removal.
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

/// Gives capacity back if less than a quarter is in use, down to twice the number of entries.
///
/// A capacity of up to `min` entries is kept, because it is not worth the move.
pub fn tighten(collection: &mut impl Collection, min: usize) {
    let (used, capacity) = (collection.used(), collection.capacity());
    if capacity > min && used < capacity / 4 {
        collection.keep((2 * used).max(min));
    }
}

/// Returns the entries of a list in order. A heap sorts them: that is slower than the
/// sort of a slice, but takes 4 KB less of the program.
pub fn sorted<T: Ord>(list: Vec<T>) -> Vec<T> {
    BinaryHeap::from(list).into_sorted_vec()
}

#[cfg(test)]
/// Checks a struct against a list of its fields, each with its size in bytes and its reason.
///
/// A field that is not listed does not compile. A field of another size fails, and so does a struct
/// that is not the sum of its fields and of the bytes that alignment leaves empty.
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
        $(
            let size = size_of_field(|whole: &$type| &whole.$field);
            assert_eq!(size, $size, "{}, {}", stringify!($field), $reason);
        )*
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
    fn tight_buffer_has_little_spare_capacity_and_moves_seldom() {
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
    fn large_users_are_refused_first() {
        let mut budget = Budget::new(1000);
        assert_eq!(budget.limit(100), 100);
        budget.take(800);
        assert_eq!(budget.limit(100), 50);
        budget.take(200);
        assert_eq!(budget.limit(100), 0);
        budget.give(1000);
        assert_eq!((budget.limit(100), budget.used()), (100, 0));
    }

    /// Fills a collection and empties it one by one: its capacity follows in few steps.
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
            // A hash table has a power of two of buckets.
            assert!(collection.capacity() <= (4 * collection.used() + 4).max(256), "{name}: {n}");
        }
        assert!((5..20).contains(&moves), "{name}: {moves}");
        assert_eq!(collection.used(), 0);
        // Below 100, because a bucket that an entry was removed from stays marked, and does not
        // count as capacity, until the table is rebuilt.
        assert!(collection.capacity() >= 50, "{name}: the minimum stays");
    }

    #[test]
    fn capacity_follows_the_length_in_few_steps() {
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
    fn entry_coming_and_going_at_the_mark_moves_nothing() {
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
    fn capacity_of_a_slab_reaches_to_the_highest_key() {
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
