//! The time of one turn, and deadlines, soonest first.
//!
//! Invariants:
//! - Only the loop reads a clock: once when it wakes up, and once to find out how long it may
//!   sleep.
//! - Every owner of a deadline has one live entry, never later than the deadline. An entry is live
//!   when its owner still holds the time that it was pushed with; the others are skipped when they
//!   come up.
//!
//! So a deadline that moves back costs nothing: the entry comes up early, and goes in again with
//! the deadline as it is then. An active client costs one push for each `--ping`, however much it
//! sends. What a deadline is for is not known here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;

/// When a turn happens: taken once, right after the loop woke up, and handed to whoever needs it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines: never runs backwards, whatever is done to the clock.
    pub instant: Instant,
    /// For people: milliseconds since 1970 UTC, as the clock says.
    pub unix_ms: u64,
}

impl Now {
    /// Looks at both clocks.
    pub fn read() -> Now {
        // A clock set before 1970 is the operator's trouble; messages are then dated 1970.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::now(), unix_ms: since_1970.as_millis() as u64 }
    }
}

/// The entries of all owners, each known by a key.
pub struct Deadlines<K> {
    entries: BinaryHeap<Reverse<(Instant, K)>>,
}

/// What an owner keeps: when its live entry comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer(Option<Instant>);

impl<K: Ord + Copy> Default for Deadlines<K> {
    fn default() -> Deadlines<K> {
        Deadlines { entries: BinaryHeap::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// The owner's deadline is `due`, or nothing is due: sees to it that an entry comes up by then.
    pub fn set(&mut self, key: K, timer: &mut Timer, due: Option<Instant>) {
        let Some(due) = due else { return };
        if timer.0.is_none_or(|at| due < at) {
            timer.0 = Some(due);
            self.entries.push(Reverse((due, key)));
        }
    }

    /// When the next entry comes up.
    pub fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    /// How many entries there are, live or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the entries that are not live, as the caller knows.
    pub fn retain(&mut self, is_live: impl Fn(Instant, K) -> bool) {
        self.entries.retain(|Reverse((at, key))| is_live(*at, *key));
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
    }

    /// Takes an entry out that has come up. [`Timer::fired`] says whether it is live.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.entries.peek().filter(|Reverse((at, _))| *at <= now)?;
        let Reverse(entry) = self.entries.pop()?;
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
        Some(entry)
    }
}

impl Timer {
    /// Is the entry for `at` the live one?
    pub fn is_live(&self, at: Instant) -> bool {
        self.0 == Some(at)
    }

    /// An entry for `at` came up. True: it was the live one, and now there is none.
    pub fn fired(&mut self, at: Instant) -> bool {
        self.0.take_if(|live| *live == at).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_deadline_costs() {
        // A time and a key; and what its owner keeps to know the entry by.
        assert_eq!(size_of::<Reverse<(Instant, crate::token::Token)>>(), 16 + 8);
        assert_eq!(size_of::<Timer>(), 16);
    }

    #[test]
    fn an_earlier_deadline_gets_an_entry_and_a_later_one_waits_for_the_old() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut deadlines, mut timer, token) = (Deadlines::default(), Timer::default(), 'a');
        deadlines.set(token, &mut timer, None);
        assert_eq!(deadlines.next(), None);
        deadlines.set(token, &mut timer, Some(at(25)));
        deadlines.set(token, &mut timer, Some(at(30)));
        assert_eq!(deadlines.next(), Some(at(25)), "moved back: no new entry");
        deadlines.set(token, &mut timer, Some(at(10)));
        assert_eq!(deadlines.next(), Some(at(10)), "moved forward: an earlier one");

        assert_eq!(deadlines.pop(at(9)), None);
        let (fired, owner) = deadlines.pop(at(25)).expect("10 has come");
        assert_eq!((fired, owner), (at(10), token));
        assert!(timer.fired(fired));
        let (stale, _) = deadlines.pop(at(25)).expect("25 has come");
        assert!(!timer.fired(stale), "the entry that was overtaken is not live");
        assert_eq!(deadlines.next(), None);
    }
}
