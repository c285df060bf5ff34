//! A filter in front of the log, for lines that clients can cause.
//!
//! Without it, one client could fill a disk, and hide the lines that matter.
//!
//! **Invariants**
//! - At most [`LOG_LINES_PER_SECOND`] lines are let through in a second.
//! - Each line held back is counted, and the next line that is let through tells the number.
//!
//! It does not know the content of a line. Each kind of line has a throttle of its own, so that a
//! flood of one kind does not hide the others.

use std::fmt;
use std::time::{Duration, Instant};

use crate::limits::LOG_LINES_PER_SECOND;
use crate::time::Now;

/// The lines of one kind, counted.
#[derive(Default)]
pub struct Throttle {
    /// The beginning of the current second; none before the first line.
    second: Option<Instant>,
    /// Lines let through in this second.
    lines: u32,
    /// Lines held back since the last one that was let through.
    skipped: u64,
    /// Lines held back since the start.
    pub suppressed: u64,
}

/// The end of a line that is let through: how many lines were held back before it.
pub struct Skipped(u64);

impl Throttle {
    /// Returns the end of a line that may be logged now; `None`: it is held back.
    pub fn admit(&mut self, now: Now) -> Option<Skipped> {
        let second = Duration::from_secs(1);
        if self.second.is_none_or(|since| now.instant >= since + second) {
            (self.second, self.lines) = (Some(now.instant), 0);
        }
        if self.lines == LOG_LINES_PER_SECOND {
            self.skipped += 1;
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(Skipped(std::mem::take(&mut self.skipped)))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            skipped => write!(f, " ({skipped} times more since the last such line)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_leaves_a_few_lines_a_second_and_the_number_of_others() {
        let start = Now::read();
        let mut throttle = Throttle::default();
        // A line every millisecond, for three seconds.
        let lines: Vec<(u64, String)> = (0..3000)
            .filter_map(|ms| {
                let instant = start.instant + Duration::from_millis(ms);
                let skipped = throttle.admit(Now { instant, ..start })?;
                Some((ms, skipped.to_string()))
            })
            .collect();
        let a_second = u64::from(LOG_LINES_PER_SECOND);
        assert_eq!(lines.len() as u64, 3 * a_second);
        for (ms, skipped) in &lines {
            let expected = match ms {
                1000 | 2000 => {
                    format!(" ({} times more since the last such line)", 1000 - a_second)
                }
                _ => String::new(),
            };
            assert!(ms % 1000 < a_second && *skipped == expected, "{ms}: {skipped}");
        }
        assert_eq!(throttle.suppressed, 3 * (1000 - a_second));
        let later = Now { instant: start.instant + Duration::from_secs(9), ..start };
        assert!(throttle.admit(later).is_some_and(|skipped| skipped.0 == 1000 - a_second));
        assert!(throttle.admit(later).is_some_and(|skipped| skipped.0 == 0));
    }
}
