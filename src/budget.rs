//! A total that many share, and the one rule by which it is given out.
//!
//! Invariant: `used` is the sum of what was taken and not given back.

/// Bytes that all may use together.
///
/// One of them may grow to its own maximum or a quarter of what is left, whichever is less: as memory fills, the big
/// are refused first and small ones still fit; no look at anybody else is needed.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    used: usize,
}

impl Budget {
    /// A budget of `total` bytes, none of them used.
    pub fn new(total: usize) -> Budget {
        Budget { total, used: 0 }
    }

    /// The most bytes that one may hold now, whose own maximum is `one`.
    pub fn limit(&self, one: usize) -> usize {
        one.min(self.total.saturating_sub(self.used) / 4)
    }

    /// Counts `bytes` as used.
    pub fn take(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Counts `bytes` as free again.
    pub fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "gave back more than was taken");
        self.used -= bytes;
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_big_are_refused_first() {
        let mut budget = Budget::new(1000);
        assert_eq!(budget.limit(100), 100);
        budget.take(800);
        assert_eq!(budget.limit(100), 50);
        budget.take(200);
        assert_eq!(budget.limit(100), 0);
        budget.give(1000);
        assert_eq!((budget.limit(100), budget.used()), (100, 0));
    }
}
