//! Watched ids, their watchers, and the presence notices still to be sent.
//!
//! A popular id may have ten thousand watchers, so a change is not told on the spot. It begins a
//! *round* over the watchers of the id, and each turn advances the rounds by a few watchers:
//!
//! ```text
//!              changed                        its round is over
//!  at rest ────────────────► in `rounds` ───────────────────────────► at rest,
//!                             │       ▲ next_notice, for each watcher     or removed if it
//!                             └───────┘ changed: the round starts again   has no watcher
//! ```
//!
//! A round that starts again goes on from its cursor and visits every watcher once more. So the
//! watchers at the far end are not forgotten, however often the id comes and goes.
//!
//! **Invariants**
//! - A watcher is told each state that lasts. A change that is undone before the round reaches the
//!   watcher is not told, and no watcher is told a state twice in a row.
//! - A watched id is in `watched` and `keys` while it has a watcher or is in `rounds`.
//! - `watchers` has the index of each watcher in the list of the id that it watches.
//!
//! Outboxes, blocks and the lines of notices are not known here.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use crate::chat::protocol::Id;
use crate::limits::{SMALL_CAPACITY_MIN, TABLE_CAPACITY_MIN};
use crate::memory::tighten;
use crate::token::Token;

/// All watches, and the rounds under way.
#[derive(Default)]
pub struct Presence {
    watched: Slab<Watched>,
    /// The key in `watched` of each watched id.
    keys: HashMap<Id, usize>,
    /// For each client that watches: the key of the watched id → the client's index among its
    /// watchers.
    watchers: HashMap<Token, HashMap<usize, usize>>,
    /// Keys of the ids with a round under way, each once.
    rounds: VecDeque<usize>,
}

struct Watched {
    id: Id,
    online: bool,
    watchers: Vec<Watcher>,
    /// Index of the watcher visited last. The round goes down from there, and around.
    cursor: usize,
    /// The number of watchers that the round has still to visit.
    remaining: usize,
    /// Whether the key is in `rounds`. It is removed only when the next look finds the round over.
    is_queued: bool,
}

struct Watcher {
    token: Token,
    /// The state that it was told last.
    told_online: bool,
}

impl Presence {
    /// Returns the number of ids that this client watches.
    pub fn count(&self, token: Token) -> usize {
        self.watchers.get(&token).map_or(0, HashMap::len)
    }

    /// Returns `true` if this client watches this id.
    pub fn watches(&self, token: Token, id: &str) -> bool {
        let key = self.keys.get(id);
        key.is_some_and(|key| {
            self.watchers.get(&token).is_some_and(|indexes| indexes.contains_key(key))
        })
    }

    /// Makes a client a watcher of `id`. The caller tells it the present state, `told_online`.
    ///
    /// `online` is the state of the id for watchers that its holder does not block.
    pub fn watch(&mut self, token: Token, id: &Id, online: bool, told_online: bool) {
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
            Some(&index) => watched.watchers[index].told_online = told_online,
            None => {
                indexes.insert(key, watched.watchers.len());
                watched.watchers.push(Watcher { token, told_online });
                // A round under way visits the new watcher too. It must not visit one of the others
                // less for it.
                watched.remaining += usize::from(watched.remaining > 0);
            }
        }
    }

    /// Ends the watch of `id` by this client. Returns `false` if there was none.
    pub fn unwatch(&mut self, token: Token, id: &str) -> bool {
        let Some(&key) = self.keys.get(id) else { return false };
        let Some(indexes) = self.watchers.get_mut(&token) else { return false };
        let Some(index) = indexes.remove(&key) else { return false };
        tighten(indexes, SMALL_CAPACITY_MIN);
        if indexes.is_empty() {
            self.watchers.remove(&token);
            tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        }
        self.remove_at(key, index);
        true
    }

    /// Ends all watches of this client, and returns how many there were.
    pub fn remove_watcher(&mut self, token: Token) -> usize {
        let Some(indexes) = self.watchers.remove(&token) else { return 0 };
        tighten(&mut self.watchers, TABLE_CAPACITY_MIN);
        let count = indexes.len();
        for (key, index) in indexes {
            self.remove_at(key, index);
        }
        count
    }

    /// Gives unused capacity back, for ids that are no longer watched. For the end of a turn.
    pub fn sweep(&mut self) {
        tighten(&mut self.watched, TABLE_CAPACITY_MIN);
    }

    /// Begins a round over the watchers of an id: it has come or gone, or it appears otherwise to
    /// some of them.
    pub fn changed(&mut self, id: &str, online: bool) {
        let Some(&key) = self.keys.get(id) else { return };
        let watched = &mut self.watched[key];
        watched.online = online;
        self.begin_round(key);
    }

    /// Returns `true` if a round is under way.
    pub fn has_notices(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// Returns the next notice: the watcher to tell, the id, and its state.
    ///
    /// Each watcher visited takes one from `budget`. Returns `None` when that is used up, or all
    /// rounds are over. `appears_online` turns the state of an id into the state for one watcher.
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
            if watcher.told_online != online {
                watcher.told_online = online;
                return Some((watcher.token, watched.id.clone(), online));
            }
        }
        // The next turn begins with another id, so that one popular id does not delay all others.
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

    /// Removes the watcher at an index, to which the last watcher moves.
    fn remove_at(&mut self, key: usize, index: usize) {
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
            // A round may have had the moved watcher still before it, and now has it behind. So it
            // starts again.
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
