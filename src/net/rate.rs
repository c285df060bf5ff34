//! How fast somebody may talk. Who that is, and what is done to somebody faster, is not known here.
//!
//! A bucket holds as many tokens as lines may come at once, and gets so many back a second; each
//! line takes one. What was read is heard, so a bucket may run into debt. All of it is one time:
//! when the bucket is full again. Nothing has to be done while it fills, and one that is full does
//! not differ from one that nobody took from.

use std::time::{Duration, Instant};

/// What everybody may say: so many lines a second, after so many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    lines_per_second: u64,
    /// How long an empty bucket takes to be full.
    filling: Duration,
}

/// What one may say now.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Rate {
    /// So many lines a second, and so many at once. None: with 0 lines a second there is no limit.
    pub fn new(lines_per_second: usize, burst: usize) -> Option<Rate> {
        let mut rate = Rate { lines_per_second: lines_per_second as u64, filling: Duration::ZERO };
        rate.filling = (lines_per_second > 0).then(|| rate.time_of(burst))?;
        Some(rate)
    }

    /// In what time so many lines are paid.
    fn time_of(&self, lines: usize) -> Duration {
        // By way of u128, because the options are up to 2^32 each.
        let nanoseconds = lines as u128 * 1_000_000_000 / u128::from(self.lines_per_second);
        Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX))
    }
}

impl Bucket {
    /// A full one.
    pub fn full(now: Instant) -> Bucket {
        Bucket { full_at: now }
    }

    /// Takes a token for each of these lines, whether they are there or not.
    pub fn take(&mut self, lines: usize, rate: Rate, now: Instant) {
        self.full_at = self.full_at.max(now) + rate.time_of(lines);
    }

    /// When its debt is paid, or was; none: before time began.
    pub fn paid_at(&self, rate: Rate) -> Option<Instant> {
        self.full_at.checked_sub(rate.filling)
    }

    /// Is it in debt?
    pub fn is_in_debt(&self, rate: Rate, now: Instant) -> bool {
        self.paid_at(rate).is_some_and(|at| at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long its debt takes to be paid.
    fn debt(bucket: &Bucket, rate: Rate, now: Instant) -> Duration {
        let debt =
            bucket.paid_at(rate).map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        assert_eq!(bucket.is_in_debt(rate, now), debt > Duration::ZERO);
        debt
    }

    #[test]
    fn after_a_burst_it_is_so_many_a_second_and_debt_is_paid_in_its_time() {
        let start = Instant::now();
        let rate = Rate::new(100, 1000).expect("a limit");
        let mut bucket = Bucket::full(start);
        bucket.take(1000, rate, start);
        assert_eq!(debt(&bucket, rate, start), Duration::ZERO, "so many at once");
        bucket.take(1, rate, start);
        assert_eq!(debt(&bucket, rate, start), SECOND / 100);
        bucket.take(499, rate, start);
        assert_eq!(debt(&bucket, rate, start), 5 * SECOND);
        assert_eq!(debt(&bucket, rate, start + 4 * SECOND), SECOND);
        assert_eq!(debt(&bucket, rate, start + 5 * SECOND), Duration::ZERO);

        // Half a second later half a second's lines are there.
        let later = start + 5 * SECOND + SECOND / 2;
        bucket.take(50, rate, later);
        assert_eq!(debt(&bucket, rate, later), Duration::ZERO);
        bucket.take(1, rate, later);
        assert_eq!(debt(&bucket, rate, later), SECOND / 100);
    }

    #[test]
    fn a_full_bucket_holds_no_more_than_a_burst() {
        let start = Instant::now();
        let rate = Rate::new(1, 2).expect("a limit");
        let mut bucket = Bucket::full(start);
        let later = start + 1000 * SECOND;
        bucket.take(3, rate, later);
        assert_eq!(debt(&bucket, rate, later), SECOND);
    }

    #[test]
    fn the_greatest_numbers_are_only_great() {
        let start = Instant::now();
        let most = u32::MAX as usize;
        assert!(Rate::new(0, 1000).is_none());
        for (lines_per_second, burst) in [(1, 1), (1, most), (most, 1), (most, most)] {
            let rate = Rate::new(lines_per_second, burst).expect("a limit");
            let mut bucket = Bucket::full(start);
            bucket.take(burst, rate, start);
            assert!(!bucket.is_in_debt(rate, start));
            bucket.take(16 << 20, rate, start);
            assert!(bucket.is_in_debt(rate, start));
        }
    }
}
