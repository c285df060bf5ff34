//! Tokens, and the tables that are looked up by token.
//!
//! A slab gives the key of a removed value to the next one, while an event, a deadline or a list
//! may still name the old value. So a token is key *and* generation, and every table checks both.
//!
//! Invariants:
//! - No two values that are in one [`Slots`] at a time have the same token. Over time a token comes
//!   again only after the same key was used and 2³² others were given out meanwhile.
//! - A look-up with the token of a removed value finds nothing. No other file compares tokens to
//!   find that out.

use std::fmt;

use slab::{Slab, VacantEntry};

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;

/// Names one connection, and so one client: the key of its slot in the slab, and the slot's
/// generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

// Readiness comes back from the kernel with a `usize` of ours; the token has to fit into it.
const _: () = assert!(usize::BITS >= 64, "sotto needs a 64-bit target");

impl Token {
    /// The token of no value: no table has so many slots.
    pub const NONE: Token = Token(u32::MAX as u64 - 1);

    /// The token of slot `key` in its life number `generation`.
    pub fn new(key: usize, generation: u32) -> Token {
        debug_assert!(key < u32::MAX as usize);
        Token(u64::from(generation) << 32 | key as u64)
    }

    /// The key of the slot: small numbers, dense, used again.
    pub fn key(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

impl From<Token> for usize {
    fn from(token: Token) -> usize {
        token.0 as usize
    }
}

impl From<usize> for Token {
    fn from(bits: usize) -> Token {
        Token(bits as u64)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key(), self.0 >> 32)
    }
}

/// One value of a table, with the token that finds it.
struct Entry<T> {
    token: Token,
    value: T,
}

/// A table that gives each of its values a token.
pub struct Slots<T> {
    entries: Slab<Entry<T>>,
    /// Increments with each token, so that a key that is used again makes another token.
    generation: u32,
}

/// A free slot of [`Slots`]. Its token is known before its value.
pub struct VacantSlot<'s, T> {
    entry: VacantEntry<'s, Entry<T>>,
    token: Token,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { entries: Slab::new(), generation: 0 }
    }
}

impl<T> Slots<T> {
    /// Creates a table of values that had these tokens in an earlier run of the program.
    /// `generation` is that of the newest token of all runs.
    pub fn restore(values: impl Iterator<Item = (Token, T)>, generation: u32) -> Slots<T> {
        let entries = values.map(|(token, value)| (token.key(), Entry { token, value }));
        Slots { entries: entries.collect(), generation }
    }

    /// Returns the generation of the newest token.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Prepares a slot for a value that has to know its token before it can be inserted.
    pub fn vacant(&mut self) -> VacantSlot<'_, T> {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.entries.vacant_entry();
        let token = Token::new(entry.key(), self.generation);
        VacantSlot { entry, token }
    }

    /// Inserts a value, and returns the token that finds it.
    pub fn insert(&mut self, value: T) -> Token {
        let slot = self.vacant();
        let token = slot.token();
        slot.insert(value);
        token
    }

    /// Returns the value with this token, or `None` if it was removed.
    pub fn get(&self, token: Token) -> Option<&T> {
        let entry = self.entries.get(token.key()).filter(|entry| entry.token == token)?;
        Some(&entry.value)
    }

    /// Returns the value with this token, or `None` if it was removed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.entries.get_mut(token.key()).filter(|entry| entry.token == token)?;
        Some(&mut entry.value)
    }

    /// Removes the value with this token. Its key is free for the next one.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        Some(self.entries.remove(token.key()).value)
    }

    /// Iterates over all values, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.entries.iter().map(|(_, entry)| (entry.token, &entry.value))
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if there are no values.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns a number that is above every key in use.
    pub fn key_end(&self) -> usize {
        self.entries.capacity()
    }

    /// Gives unused capacity back; for the end of a turn, because it may look at every slot.
    pub fn shrink(&mut self) {
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
    }
}

#[cfg(test)]
impl<T> Slots<T> {
    /// Returns the bytes that a slot takes: a value and its token, if a free slot costs no more.
    pub fn slot_bytes() -> usize {
        size_of::<Option<Entry<T>>>()
    }
}

impl<T> VacantSlot<'_, T> {
    /// Returns the token that the value will have.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Fills the slot.
    pub fn insert(self, value: T) {
        self.entry.insert(Entry { token: self.token, value });
    }
}

/// A second table over the tokens of a [`Slots`] elsewhere: at most one value for each token.
pub struct TokenMap<T> {
    /// By key, so that a look-up is one index and one comparison.
    entries: Vec<Option<Entry<T>>>,
}

impl<T> Default for TokenMap<T> {
    fn default() -> TokenMap<T> {
        TokenMap { entries: Vec::new() }
    }
}

impl<T> TokenMap<T> {
    /// Inserts the value for this token. The value for an earlier token with the same key has to be
    /// removed before.
    pub fn insert(&mut self, token: Token, value: T) {
        let key = token.key();
        if self.entries.len() <= key {
            self.entries.resize_with(key + 1, || None);
        }
        debug_assert!(
            self.entries[key].is_none(),
            "a key is used again before its value is removed"
        );
        self.entries[key] = Some(Entry { token, value });
    }

    /// Returns the value for this token.
    pub fn get(&self, token: Token) -> Option<&T> {
        self.at_key(token.key()).filter(|(at, _)| *at == token).map(|(_, value)| value)
    }

    /// Returns the value for this token.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.entries.get_mut(token.key())?.as_mut();
        entry.filter(|entry| entry.token == token).map(|entry| &mut entry.value)
    }

    /// Removes the value for this token.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.get_mut(token.key())?.take_if(|entry| entry.token == token)?;
        Some(entry.value)
    }

    /// Returns the value with this key, of any generation, and its token.
    pub fn at_key(&self, key: usize) -> Option<(Token, &T)> {
        self.entries.get(key)?.as_ref().map(|entry| (entry.token, &entry.value))
    }

    /// Iterates over all values, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.entries.iter().flatten().map(|entry| (entry.token, &entry.value))
    }

    /// Gives unused capacity back. `key_end` is above every key in use.
    pub fn shrink(&mut self, key_end: usize) {
        self.entries.truncate(key_end);
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
    }
}

#[cfg(test)]
impl<T> TokenMap<T> {
    /// Returns the bytes that each key takes, with a value or without.
    pub fn slot_bytes() -> usize {
        size_of::<Option<Entry<T>>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_key_and_generation_and_survives_the_kernel() {
        for (key, generation) in [(0, 0), (7, 1), (32_768, u32::MAX)] {
            let token = Token::new(key, generation);
            assert_eq!(token.key(), key);
            assert_eq!(Token::from(usize::from(token)), token);
        }
        assert_ne!(Token::new(7, 1), Token::new(7, 2));
    }

    #[test]
    fn token_of_a_removed_value_finds_nothing() {
        let mut slots = Slots::default();
        let old = slots.insert("old");
        assert_eq!(slots.remove(old), Some("old"));
        let new = slots.insert("new");
        assert_eq!(new.key(), old.key(), "a slab gives the key out again");
        assert!(slots.get(old).is_none() && slots.get_mut(old).is_none());
        assert!(slots.remove(old).is_none());
        assert_eq!((slots.get(new), slots.len()), (Some(&"new"), 1));
    }

    #[test]
    fn restored_values_keep_their_tokens_and_new_ones_get_others() {
        let [low, high] = [Token::new(1, 8), Token::new(5, 3)];
        let mut slots = Slots::restore([(high, "high"), (low, "low")].into_iter(), 9);
        assert_eq!((slots.get(low), slots.get(high)), (Some(&"low"), Some(&"high")));
        let new: Vec<Token> = (0..5).map(|_| slots.insert("new")).collect();
        assert_eq!(slots.len(), 7);
        for (n, token) in new.iter().enumerate() {
            assert_eq!(usize::from(*token) >> 32, 10 + n, "generations go on");
            assert_eq!(slots.get(*token), Some(&"new"));
        }
        assert_eq!((slots.get(low), slots.get(high)), (Some(&"low"), Some(&"high")));
        assert_eq!(slots.get(Token::NONE), None);
    }

    #[test]
    fn token_map_tells_generations_of_a_key_apart() {
        let (old, new) = (Token::new(3, 1), Token::new(3, 2));
        let mut map = TokenMap::default();
        map.insert(old, "old");
        assert!(map.get(new).is_none() && map.get_mut(new).is_none() && map.remove(new).is_none());
        assert_eq!(map.remove(old), Some("old"));
        map.insert(new, "new");
        assert!(map.get(old).is_none() && map.remove(old).is_none());
        assert_eq!((map.get(new), map.at_key(3)), (Some(&"new"), Some((new, &"new"))));
        map.shrink(4);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(new, &"new")]);
    }
}
