//! A table that gives each thing in it a key: small numbers, used again, the lowest that is free first.
//!
//! Invariant: `places` ends with a thing, and `vacant` has the key of each place without one. (It may have keys behind the
//! end, too; those come up only when there is no other, and are skipped.)
//!
//! Why not the crate of that name: it gives the key out that was freed last. After a rush those are high ones, and whoever
//! comes then holds all of the room that the rush had needed. Here who stays moves nothing, but who comes later fills the
//! lowest places, so that the end becomes free and its room is [given back](crate::room). It never reaches beyond the highest
//! key in use.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Index, IndexMut};

use crate::config::TABLE_ROOM_LEAST;
use crate::room::{drop_tail, tighten};

/// Things, by their keys.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    vacant: BinaryHeap<Reverse<u32>>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { places: Vec::new(), vacant: BinaryHeap::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// How many things there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key that the next thing will have.
    pub fn vacant_key(&self) -> usize {
        let vacant = self.vacant.peek().map(|Reverse(key)| *key as usize);
        vacant.filter(|key| *key < self.places.len()).unwrap_or(self.places.len())
    }

    /// Puts a thing in; gives its key.
    pub fn insert(&mut self, thing: T) -> usize {
        let key = self.vacant_key();
        self.len += 1;
        match self.places.get_mut(key) {
            Some(place) => {
                self.vacant.pop();
                *place = Some(thing);
            }
            None => {
                // Those that are left are behind the end, which moves past them now.
                self.vacant.clear();
                self.places.push(Some(thing));
            }
        }
        key
    }

    /// Takes a thing out.
    pub fn remove(&mut self, key: usize) -> Option<T> {
        let thing = self.places.get_mut(key)?.take()?;
        self.len -= 1;
        self.vacant.push(Reverse(key as u32));
        drop_tail(&mut self.places, TABLE_ROOM_LEAST);
        // More than there are places: many are behind the end. They got there one by one.
        if self.vacant.len() > self.places.len() {
            let end = self.places.len() as u32;
            self.vacant.retain(|Reverse(key)| *key < end);
            tighten(&mut self.vacant, TABLE_ROOM_LEAST);
        }
        Some(thing)
    }

    /// The thing with this key.
    pub fn get(&self, key: usize) -> Option<&T> {
        self.places.get(key)?.as_ref()
    }

    /// The thing with this key.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.places.get_mut(key)?.as_mut()
    }

    /// All things, with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places.iter().enumerate().filter_map(|(key, place)| Some((key, place.as_ref()?)))
    }
}

impl<T> Index<usize> for Slab<T> {
    type Output = T;
    fn index(&self, key: usize) -> &T {
        self.get(key).expect("a key that is in use")
    }
}

impl<T> IndexMut<usize> for Slab<T> {
    fn index_mut(&mut self, key: usize) -> &mut T {
        self.get_mut(key).expect("a key that is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a model: a map, and the lowest number that is not in it.
        #[test]
        fn gives_the_lowest_free_key_and_ends_with_somebody(steps in prop::collection::vec((0u8..5, 0usize..30), 0..300)) {
            let (mut slab, mut model) = (Slab::default(), BTreeMap::new());
            for (n, (step, key)) in steps.into_iter().enumerate() {
                if step < 3 {
                    let lowest = (0..).find(|key| !model.contains_key(key)).expect("there are numbers enough");
                    prop_assert_eq!(slab.vacant_key(), lowest);
                    prop_assert_eq!(slab.insert(n), lowest);
                    model.insert(lowest, n);
                } else {
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert!(slab.iter().eq(model.iter().map(|(key, n)| (*key, n))));
                prop_assert!((0..40).all(|key| slab.get(key) == model.get(&key)));
                prop_assert_eq!(slab.places.len(), model.last_key_value().map_or(0, |(key, _)| key + 1));
                prop_assert!(slab.vacant.len() <= slab.places.len());
            }
        }
    }

    #[test]
    fn after_a_rush_room_follows_the_highest_key_and_later_ones_are_low() {
        let mut slab = Slab::default();
        (0..20_000).for_each(|n| assert_eq!(slab.insert(n), n));
        (0..20_000).filter(|n| ![3, 19_000].contains(n)).for_each(|n| assert_eq!(slab.remove(n), Some(n)));
        assert_eq!((slab.places.len(), slab.insert(0), slab.insert(1)), (19_001, 0, 1));
        slab.remove(19_000);
        assert_eq!(slab.places.len(), 4);
        let rooms = [slab.places.capacity(), slab.vacant.capacity()];
        assert!(rooms.iter().all(|room| *room <= TABLE_ROOM_LEAST), "{rooms:?}");
    }
}
