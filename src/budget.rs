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

/// Appends to something that is kept, and is counted by its length. Left to itself a vector would take room for as much
/// again; here it is an eighth, and each byte may be moved eight times for it. For what leaves at once that is not worth it.
pub fn extend_tightly(kept: &mut Vec<u8>, bytes: &[u8]) {
    if kept.capacity() - kept.len() < bytes.len() {
        kept.reserve_exact(bytes.len().max(kept.len() / 8));
    }
    kept.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_little_room_to_spare_and_is_seldom_moved() {
        for len in [1, 7, 100, 5000] {
            let (mut kept, mut moves) = (Vec::new(), 0);
            while kept.len() < 100_000 {
                let capacity = kept.capacity();
                extend_tightly(&mut kept, &vec![b'x'; len]);
                moves += usize::from(kept.capacity() != capacity);
                assert!(kept.capacity() <= (kept.len() + kept.len() / 8).max(16), "{len}");
            }
            assert!(moves < 100, "{moves}");
        }
    }

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
