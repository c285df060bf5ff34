//! A token bucket that can go into debt: lines already read are always charged.
//!
//! A bucket holds [`TOKENS_PER_LINE`] tokens for each line of the burst, gains tokens at the rate,
//! and pays for each line. Its whole state is one `Instant`, the time at which it is full again. So
//! nothing has to happen while it fills, and a full bucket does not differ from an unused one.
//!
//! **Invariants**
//! - Only a charge moves `full_at`.
//! - A bucket is in debt as long as it takes longer to fill than an empty one would. The debt has a
//!   bound, so no client stays unread for long.
//!
//! It does not know which client a bucket belongs to, nor how a client in debt is slowed down.

use std::time::{Duration, Instant};

use crate::limits::{DEBT_MAX, TOKENS_PER_LINE};

/// The limit of every client: tokens a second, after a burst.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    tokens_per_second: u64,
    /// The tokens of a full bucket.
    burst: usize,
    /// The time an empty bucket takes to fill: that of a whole burst.
    time_to_fill: Duration,
}

/// The tokens of one client.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// The time at which the bucket is, or was, full.
    full_at: Instant,
}

impl Rate {
    /// Limits clients to a rate after a burst of lines. Returns `None` for a rate of 0: no limit.
    pub fn new(lines_per_second: usize, burst: usize) -> Option<Rate> {
        if lines_per_second == 0 {
            return None;
        }
        let tokens_per_second = (lines_per_second * TOKENS_PER_LINE) as u64;
        let burst = burst * TOKENS_PER_LINE;
        let mut rate = Rate { tokens_per_second, burst, time_to_fill: Duration::ZERO };
        rate.time_to_fill = rate.time_for(burst);
        Some(rate)
    }

    /// Returns the time in which this many tokens are gained.
    fn time_for(&self, tokens: usize) -> Duration {
        // In u128, because both numbers may be as large as 2^38 (`--rate`, `--burst`).
        let nanoseconds = tokens as u128 * 1_000_000_000 / u128::from(self.tokens_per_second);
        Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX))
    }
}

impl Bucket {
    /// Returns a bucket that is full now.
    pub fn full(now: Instant) -> Bucket {
        Bucket { full_at: now }
    }

    /// Returns the tokens in the bucket.
    pub fn left(&self, rate: Rate, now: Instant) -> usize {
        // Most buckets are full, and this saves a long division for each read.
        if self.full_at <= now {
            return rate.burst;
        }
        let time = rate.time_to_fill.saturating_sub(self.full_at - now);
        let tokens = time.as_nanos() * u128::from(rate.tokens_per_second) / 1_000_000_000;
        tokens.try_into().unwrap_or(usize::MAX)
    }

    /// Takes tokens, and goes into debt if there are not enough, but never by more than
    /// [`DEBT_MAX`].
    pub fn take(&mut self, tokens: usize, rate: Rate, now: Instant) {
        let full_at = self.full_at.max(now) + rate.time_for(tokens);
        self.full_at = full_at.min(now + rate.time_to_fill + DEBT_MAX);
    }

    /// Returns the time at which the debt is, or was, paid.
    ///
    /// `None` if that time is too early for an [`Instant`], as it can be with a long burst.
    pub fn paid_at(&self, rate: Rate) -> Option<Instant> {
        self.full_at.checked_sub(rate.time_to_fill)
    }

    /// Returns `true` if lines were charged for which no token has been gained yet.
    pub fn is_in_debt(&self, rate: Rate, now: Instant) -> bool {
        self.paid_at(rate).is_some_and(|at| at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns how long the bucket's debt takes to be paid.
    fn debt(bucket: &Bucket, rate: Rate, now: Instant) -> Duration {
        let debt =
            bucket.paid_at(rate).map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        assert_eq!(bucket.is_in_debt(rate, now), debt > Duration::ZERO);
        debt
    }

    #[test]
    fn debt_after_a_burst_is_paid_at_the_rate() {
        let start = Instant::now();
        let rate = Rate::new(100, 1000).expect("a limit");
        let mut bucket = Bucket::full(start);
        bucket.take(1000 * TOKENS_PER_LINE, rate, start);
        assert_eq!(debt(&bucket, rate, start), Duration::ZERO, "a whole burst");
        bucket.take(TOKENS_PER_LINE, rate, start);
        assert_eq!(debt(&bucket, rate, start), SECOND / 100);
        bucket.take(499 * TOKENS_PER_LINE, rate, start);
        assert_eq!(debt(&bucket, rate, start), 5 * SECOND);
        assert_eq!(debt(&bucket, rate, start + 4 * SECOND), SECOND);
        assert_eq!(debt(&bucket, rate, start + 5 * SECOND), Duration::ZERO);

        // Half a second later, half a second's tokens have been gained.
        let later = start + 5 * SECOND + SECOND / 2;
        bucket.take(50 * TOKENS_PER_LINE, rate, later);
        assert_eq!(debt(&bucket, rate, later), Duration::ZERO);
        bucket.take(TOKENS_PER_LINE, rate, later);
        assert_eq!(debt(&bucket, rate, later), SECOND / 100);
    }

    #[test]
    fn tokens_left_are_those_that_can_be_taken_without_debt() {
        let start = Instant::now();
        let rate = Rate::new(100, 1000).expect("a limit");
        let mut bucket = Bucket::full(start);
        assert_eq!(bucket.left(rate, start), 1000 * TOKENS_PER_LINE);
        bucket.take(999 * TOKENS_PER_LINE, rate, start);
        assert_eq!(bucket.left(rate, start), TOKENS_PER_LINE);
        bucket.take(TOKENS_PER_LINE + 1, rate, start);
        assert_eq!(bucket.left(rate, start), 0);
        assert_eq!(bucket.left(rate, start + SECOND), 100 * TOKENS_PER_LINE - 1);
        assert_eq!(bucket.left(rate, start + 1000 * SECOND), 1000 * TOKENS_PER_LINE);
    }

    #[test]
    fn full_bucket_holds_no_more_than_a_burst() {
        let start = Instant::now();
        let rate = Rate::new(1, 2).expect("a limit");
        let mut bucket = Bucket::full(start);
        let later = start + 1000 * SECOND;
        bucket.take(3 * TOKENS_PER_LINE, rate, later);
        assert_eq!(debt(&bucket, rate, later), SECOND);
    }

    #[test]
    fn greatest_numbers_do_not_overflow() {
        let start = Instant::now();
        let most = u32::MAX as usize;
        assert!(Rate::new(0, 1000).is_none());
        for (lines_per_second, burst) in [(1, 1), (1, most), (most, 1), (most, most)] {
            let rate = Rate::new(lines_per_second, burst).expect("a limit");
            let mut bucket = Bucket::full(start);
            bucket.take(burst * TOKENS_PER_LINE, rate, start);
            assert!(!bucket.is_in_debt(rate, start));
            bucket.take((16 << 20) * TOKENS_PER_LINE, rate, start);
            assert!(bucket.is_in_debt(rate, start));
        }
    }
}
