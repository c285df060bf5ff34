//! The time of one turn. Only the loop looks at a clock: here, once it is awake, and to find out how long it may sleep.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
