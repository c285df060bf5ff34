//! Who watches whom, and the notices still to be told. Whether anybody can be told, and how, is not
//! known here.
//!
//! Invariant: a watcher is told each state that lasts. What changes and changes back before its
//! turn has come is not told, and nobody is told twice what it knows.
//!
//! A popular id may have ten thousand watchers, so a change is not told on the spot: the watched id
//! goes on a list, and a round over its watchers is made a few at a time. A change in the middle
//! makes the round begin again from where it stands, so those at the far end are not forgotten
//! however often the id comes and goes.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use crate::chat::protocol::Id;
use crate::limits::{SMALL_CAPACITY_MIN, TABLE_CAPACITY_MIN};
use crate::memory::tighten;
use crate::token::Token;

/// All watches, and the rounds that are under way.
#[derive(Default)]
pub struct Presence {
    watched: Slab<Watched>,
    keys: HashMap<Id, usize>,
    /// For each watcher where it stands: key of the watched id → index among its watchers.
    watchers: HashMap<Token, HashMap<usize, usize>>,
    /// Keys of the ids with a round under way, each once.
    rounds: VecDeque<usize>,
    total: usize,
}

struct Watched {
    id: Id,
    online: bool,
    watchers: Vec<Watcher>,
    /// The index of the watcher looked at last; the round goes down from there, and around.
    cursor: usize,
    /// How many watchers the round has still to look at.
    remaining: usize,
    /// Is the key in `rounds`? So it is as long as a round is under way, and until somebody appears_online
    /// that it is over.
    is_queued: bool,
}

struct Watcher {
    token: Token,
    /// What it knows.
    told: bool,
}

impl Presence {
    /// How many ids this client watches.
    pub fn count(&self, token: Token) -> usize {
        self.watchers.get(&token).map_or(0, HashMap::len)
    }

    /// How many watches there are in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Does this client watch this id?
    pub fn watches(&self, token: Token, id: &str) -> bool {
        let key = self.keys.get(id);
        key.is_some_and(|key| {
            self.watchers.get(&token).is_some_and(|indexes| indexes.contains_key(key))
        })
    }

    /// From now on this client wants to hear of `id`, which is `online`, and is being told `seen`.
    pub fn watch(&mut self, token: Token, id: &Id, online: bool, seen: bool) {
        let key = match self.keys.get(id) {
            Some(key) => *key,
            None => {
                let watched = Watched {
                    id: id.clone(),
                    online,
                    watchers: Vec::new(),
                    cursor: 0,
                    remaining: 0,
                    is_queued: false,
                };
                let key = self.watched.insert(watched);
                self.keys.insert(id.clone(), key);
                key
            }
        };
        let indexes = self.watchers.entry(token).or_default();
        let watched = &mut self.watched[key];
        match indexes.get(&key) {
            Some(&index) => watched.watchers[index].told = seen,
            None => {
                indexes.insert(key, watched.watchers.len());
                watched.watchers.push(Watcher { token, told: seen });
                // A round that comes around to its index must not have one of the others less for
                // it.
                watched.remaining += usize::from(watched.remaining > 0);
                self.total += 1;
            }
        }
    }

    /// This client wants to hear no more of `id`.
    pub fn unwatch(&mut self, token: Token, id: &str) {
        let Some(&key) = self.keys.get(id) else { return };
        let Some(indexes) = self.watchers.get_mut(&token) else { return };
        let Some(index) = indexes.remove(&key) else { return };
        tighten(indexes, SMALL_CAPACITY_MIN);
        if indexes.is_empty() {
            self.watchers.remove(&token);
            tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        }
        self.remove_at(key, index);
    }

    /// This client wants to hear nothing more.
    pub fn remove_watcher(&mut self, token: Token) {
        let Some(indexes) = self.watchers.remove(&token) else { return };
        tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        for (key, index) in indexes {
            self.remove_at(key, index);
        }
    }

    /// Gives back what ids that nobody watches any more have left, at the end of a turn.
    pub fn sweep(&mut self) {
        tighten(&mut self.watched, TABLE_CAPACITY_MIN);
    }

    /// An id has come or gone, or looks otherwise to some: its watchers will be told.
    pub fn changed(&mut self, id: &str, online: bool) {
        let Some(&key) = self.keys.get(id) else { return };
        let watched = &mut self.watched[key];
        watched.online = online;
        self.begin_round(key);
    }

    /// Is somebody still to be told something?
    pub fn has_notices(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// The next notice: whom to tell, of whom, what. Each watcher looked at takes one from
    /// `budget`; none when that is used up, or nothing is to be told. `appears_online` says what a watcher
    /// may know of an id that is online, or not.
    pub fn next_notice(
        &mut self,
        budget: &mut usize,
        appears_online: impl Fn(Token, &Id, bool) -> bool,
    ) -> Option<(Token, Id, bool)> {
        while *budget > 0 {
            let key = *self.rounds.front()?;
            let watched = &mut self.watched[key];
            if watched.remaining == 0 {
                watched.is_queued = false;
                self.rounds.pop_front();
                tighten(&mut self.rounds, TABLE_CAPACITY_MIN);
                self.drop_if_unwatched(key);
                continue;
            }
            *budget -= 1;
            watched.remaining -= 1;
            watched.cursor = watched.cursor.checked_sub(1).unwrap_or(watched.watchers.len() - 1);
            let watcher = &mut watched.watchers[watched.cursor];
            let online = appears_online(watcher.token, &watched.id, watched.online);
            if watcher.told != online {
                watcher.told = online;
                return Some((watcher.token, watched.id.clone(), online));
            }
        }
        // The next turn begins with somebody else, so that one popular id does not keep all others
        // waiting.
        if let Some(key) = self.rounds.pop_front() {
            self.rounds.push_back(key);
        }
        None
    }

    fn begin_round(&mut self, key: usize) {
        let watched = &mut self.watched[key];
        if !watched.is_queued {
            watched.is_queued = true;
            self.rounds.push_back(key);
        }
        watched.remaining = watched.watchers.len();
    }

    /// Takes a watcher out of its index, into which the last one moves.
    fn remove_at(&mut self, key: usize, index: usize) {
        self.total -= 1;
        let watched = &mut self.watched[key];
        watched.watchers.swap_remove(index);
        tighten(&mut watched.watchers, SMALL_CAPACITY_MIN);
        watched.cursor = watched.cursor.min(watched.watchers.len());
        watched.remaining = watched.remaining.min(watched.watchers.len());
        if let Some(moved) = watched.watchers.get(index) {
            let token = moved.token;
            if let Some(indexes) = self.watchers.get_mut(&token) {
                indexes.insert(key, index);
            }
            // It may have moved out of the way of a round, which then has to go around once more.
            if self.watched[key].remaining > 0 {
                self.begin_round(key);
            }
        }
        self.drop_if_unwatched(key);
    }

    fn drop_if_unwatched(&mut self, key: usize) {
        let watched = &self.watched[key];
        if watched.watchers.is_empty() && !watched.is_queued {
            let watched = self.watched.remove(key);
            self.keys.remove(&watched.id);
            tighten(&mut self.keys, TABLE_CAPACITY_MIN);
        }
    }
}

#[cfg(test)]
mod tests;
