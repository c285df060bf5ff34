//! The time of one turn, and a queue of deadlines, soonest first.
//!
//! The queue is a binary heap, in which an entry cannot be moved or found. So a deadline that moves
//! to a later time leaves its entry where it is: the entry comes up early, and its owner pushes a
//! new one with the deadline as it is then. An active client costs one push for each `--ping`,
//! however much it sends.
//!
//! **Invariants**
//! - Only the loop reads a clock: once when it wakes up, and once at the end of a turn, to find out
//!   how long it may sleep.
//! - Each owner of a deadline has one live entry, never later than the deadline. An entry is *live*
//!   if its time is the one in its owner's [`Timer`]. All others are stale, and skipped when they
//!   come up.
//!
//! It does not know the purpose of a deadline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;

/// The time of a turn, read once, right after the loop woke up.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic time, for deadlines: it never runs backwards, even if the clock is set.
    pub instant: Instant,
    /// The wall-clock time, for people, in milliseconds since 1970 UTC.
    pub unix_ms: u64,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Now {
        // With a clock set before 1970, messages are dated 1970.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::now(), unix_ms: since_1970.as_millis() as u64 }
    }
}

/// The time for which the server has been up, summed over its runs, in milliseconds.
///
/// A store keeps times on this clock. The clock of the machine may be wrong: a board without a
/// battery wakes up in 1970. And time in which the server was down is no time in which a client
/// could have come back.
#[derive(Clone, Copy, Debug)]
pub struct Uptime {
    start: Instant,
    /// The uptime at `start`.
    earlier_ms: u64,
}

impl Uptime {
    /// Goes on from the uptime of earlier runs.
    pub fn starting(start: Instant, earlier_ms: u64) -> Uptime {
        Uptime { start, earlier_ms }
    }

    /// Returns the uptime at a time of this run.
    pub fn at(&self, instant: Instant) -> u64 {
        let run = instant.saturating_duration_since(self.start).as_millis() as u64;
        self.earlier_ms.saturating_add(run)
    }

    /// Returns the time at which the uptime had this value, as if this run had always gone on. Not
    /// every system can tell a time before it started: then it is the time at which the run began.
    pub fn instant(&self, uptime_ms: u64) -> Instant {
        let before = Duration::from_millis(self.earlier_ms.saturating_sub(uptime_ms));
        self.start.checked_sub(before).unwrap_or(self.start)
    }
}

/// The queue of deadlines; `K` names the owner of an entry.
pub struct Deadlines<K> {
    entries: BinaryHeap<Reverse<(Instant, K)>>,
}

/// An owner's side of its deadline: the time of its live entry, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer(Option<Instant>);

impl<K: Ord + Copy> Default for Deadlines<K> {
    fn default() -> Deadlines<K> {
        Deadlines { entries: BinaryHeap::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Makes sure that an entry of this owner comes up at `due` or before; `None`: nothing is due.
    pub fn set(&mut self, key: K, timer: &mut Timer, due: Option<Instant>) {
        let Some(due) = due else { return };
        if timer.0.is_none_or(|at| due < at) {
            timer.0 = Some(due);
            self.entries.push(Reverse((due, key)));
        }
    }

    /// Returns the time at which the next entry comes up.
    pub fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    /// Returns the number of entries, live or stale.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the stale entries. `is_live` is [`Timer::is_live`] of the owner's timer.
    pub fn retain(&mut self, is_live: impl Fn(Instant, K) -> bool) {
        self.entries.retain(|Reverse((at, key))| is_live(*at, *key));
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
    }

    /// Removes and returns an entry that has come up, live or stale: see [`Timer::fired`].
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.entries.peek().filter(|Reverse((at, _))| *at <= now)?;
        let Reverse(entry) = self.entries.pop()?;
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
        Some(entry)
    }
}

impl Timer {
    /// Returns `true` if the entry for `at` is the live one.
    pub fn is_live(&self, at: Instant) -> bool {
        self.0 == Some(at)
    }

    /// Notes that the entry for `at` came up. Returns `true` if it was live; now no entry is.
    pub fn fired(&mut self, at: Instant) -> bool {
        self.0.take_if(|live| *live == at).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_costs_24_bytes_and_its_timer_16() {
        // An entry: a time and a token. A timer: the time of the live entry.
        assert_eq!(size_of::<Reverse<(Instant, crate::token::Token)>>(), 16 + 8);
        assert_eq!(size_of::<Timer>(), 16);
    }

    #[test]
    fn uptime_counts_the_time_of_all_runs() {
        let start = Instant::now();
        let uptime = Uptime::starting(start, 5000);
        assert_eq!(uptime.at(start + Duration::from_secs(2)), 7000);
        assert_eq!(uptime.at(start - Duration::from_secs(1)), 5000, "not before it began");
        assert_eq!(uptime.instant(2000), start - Duration::from_secs(3));
        assert_eq!(uptime.instant(9000), start, "a time that has not come");
    }

    #[test]
    fn earlier_deadline_gets_an_entry_and_a_later_one_does_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut deadlines, mut timer, token) = (Deadlines::default(), Timer::default(), 'a');
        deadlines.set(token, &mut timer, None);
        assert_eq!(deadlines.next(), None);
        deadlines.set(token, &mut timer, Some(at(25)));
        deadlines.set(token, &mut timer, Some(at(30)));
        assert_eq!(deadlines.next(), Some(at(25)), "a later deadline: no new entry");
        deadlines.set(token, &mut timer, Some(at(10)));
        assert_eq!(deadlines.next(), Some(at(10)), "an earlier deadline: a new entry");

        assert_eq!(deadlines.pop(at(9)), None);
        let (fired, owner) = deadlines.pop(at(25)).expect("10 has come");
        assert_eq!((fired, owner), (at(10), token));
        assert!(timer.fired(fired));
        let (stale, _) = deadlines.pop(at(25)).expect("25 has come");
        assert!(!timer.fired(stale), "the entry for the later deadline is stale");
        assert_eq!(deadlines.next(), None);
    }
}
