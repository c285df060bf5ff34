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
    /// For each watcher where it stands: key of the watched id → place among its watchers.
    watchers: HashMap<Token, HashMap<usize, usize>>,
    /// Keys of the ids with a round under way, each once.
    rounds: VecDeque<usize>,
    total: usize,
}

struct Watched {
    id: Id,
    online: bool,
    watchers: Vec<Watcher>,
    /// The place of the watcher looked at last; the round goes down from there, and around.
    at: usize,
    /// How many watchers the round has still to look at.
    left: usize,
    /// Is the key in `rounds`? So it is as long as a round is under way, and until somebody sees
    /// that it is over.
    in_rounds: bool,
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
            self.watchers.get(&token).is_some_and(|places| places.contains_key(key))
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
                    at: 0,
                    left: 0,
                    in_rounds: false,
                };
                let key = self.watched.insert(watched);
                self.keys.insert(id.clone(), key);
                key
            }
        };
        let places = self.watchers.entry(token).or_default();
        let watched = &mut self.watched[key];
        match places.get(&key) {
            Some(&place) => watched.watchers[place].told = seen,
            None => {
                places.insert(key, watched.watchers.len());
                watched.watchers.push(Watcher { token, told: seen });
                // A round that comes around to its place must not have one of the others less for
                // it.
                watched.left += usize::from(watched.left > 0);
                self.total += 1;
            }
        }
    }

    /// This client wants to hear no more of `id`.
    pub fn unwatch(&mut self, token: Token, id: &str) {
        let Some(&key) = self.keys.get(id) else { return };
        let Some(places) = self.watchers.get_mut(&token) else { return };
        let Some(place) = places.remove(&key) else { return };
        tighten(places, SMALL_CAPACITY_MIN);
        if places.is_empty() {
            self.watchers.remove(&token);
            tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        }
        self.remove(key, place);
    }

    /// This client wants to hear nothing more.
    pub fn forget(&mut self, token: Token) {
        let Some(places) = self.watchers.remove(&token) else { return };
        tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        for (key, place) in places {
            self.remove(key, place);
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
    /// `budget`; none when that is used up, or nothing is to be told. `sees` says what a watcher
    /// may know of an id that is online, or not.
    pub fn next_notice(
        &mut self,
        budget: &mut usize,
        sees: impl Fn(Token, &Id, bool) -> bool,
    ) -> Option<(Token, Id, bool)> {
        while *budget > 0 {
            let key = *self.rounds.front()?;
            let watched = &mut self.watched[key];
            if watched.left == 0 {
                watched.in_rounds = false;
                self.rounds.pop_front();
                tighten(&mut self.rounds, TABLE_CAPACITY_MIN);
                self.drop_if_unwatched(key);
                continue;
            }
            *budget -= 1;
            watched.left -= 1;
            watched.at = watched.at.checked_sub(1).unwrap_or(watched.watchers.len() - 1);
            let watcher = &mut watched.watchers[watched.at];
            let online = sees(watcher.token, &watched.id, watched.online);
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
        if !watched.in_rounds {
            watched.in_rounds = true;
            self.rounds.push_back(key);
        }
        watched.left = watched.watchers.len();
    }

    /// Takes a watcher out of its place, into which the last one moves.
    fn remove(&mut self, key: usize, place: usize) {
        self.total -= 1;
        let watched = &mut self.watched[key];
        watched.watchers.swap_remove(place);
        tighten(&mut watched.watchers, SMALL_CAPACITY_MIN);
        watched.at = watched.at.min(watched.watchers.len());
        watched.left = watched.left.min(watched.watchers.len());
        if let Some(moved) = watched.watchers.get(place) {
            let token = moved.token;
            if let Some(places) = self.watchers.get_mut(&token) {
                places.insert(key, place);
            }
            // It may have moved out of the way of a round, which then has to go around once more.
            if self.watched[key].left > 0 {
                self.begin_round(key);
            }
        }
        self.drop_if_unwatched(key);
    }

    fn drop_if_unwatched(&mut self, key: usize) {
        let watched = &self.watched[key];
        if watched.watchers.is_empty() && !watched.in_rounds {
            let watched = self.watched.remove(key);
            self.keys.remove(&watched.id);
            tighten(&mut self.keys, TABLE_CAPACITY_MIN);
        }
    }
}

#[cfg(test)]
mod tests;
