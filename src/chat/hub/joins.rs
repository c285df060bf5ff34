//! The joins of late, for the log.
//!
//! **Invariants**
//! - Lines are throttled before they are made, so at most [`LOG_LINES_PER_SECOND`] of each kind
//!   wait for the server in a turn.
//! - The id in a line has no character but those of ids; any other is escaped.
//!
//! It does not know the address of a client, nor the words of the log.
//!
//! [`LOG_LINES_PER_SECOND`]: crate::limits::LOG_LINES_PER_SECOND

use super::Hub;
use super::requests::Refusal;
use crate::chat::admission::Denial;
use crate::chat::journal::Journal;
use crate::chat::protocol::may_stand_in_id;
use crate::limits::{LOG_VALUE_BYTES_MAX, TABLE_CAPACITY_MIN};
use crate::memory::tighten;
use crate::throttle::{Skipped, Throttle};
use crate::time::Now;
use crate::token::Token;

/// The joins that wait for the log.
#[derive(Default)]
pub struct Joins {
    granted: Throttle,
    refused: Throttle,
    /// The oldest first.
    lines: Vec<JoinLine>,
}

/// A join, for the log.
pub struct JoinLine {
    /// The client.
    pub token: Token,
    /// The id that it asked for, shortened and escaped, without quotes.
    pub id: String,
    /// The outcome.
    pub outcome: JoinOutcome,
    /// The number of such lines that were held back.
    pub skipped: Skipped,
}

/// The outcome of a join, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The client has joined.
    Joined,
    /// It was refused, for this reason.
    Refused(&'static str),
}

impl JoinOutcome {
    /// Returns the outcome of a join with this result. Programs that ban addresses look for the
    /// reasons of a denial.
    pub(super) fn of(result: &Result<(), Refusal>, denial: Option<Denial>) -> JoinOutcome {
        JoinOutcome::Refused(match (denial, result) {
            (None, Ok(())) => return JoinOutcome::Joined,
            (None, Err(refusal)) => refusal.code.name(),
            (Some(Denial::Missing), _) => "forbidden, no password",
            (Some(Denial::Wrong), _) => "forbidden, wrong password",
            (Some(Denial::Limited), _) => "too_many, after wrong passwords",
            #[cfg(feature = "auth")]
            (Some(Denial::Unvouched(fault)), _) => fault.reason(),
        })
    }
}

impl<J: Journal> Hub<J> {
    /// Returns a join for the log, the oldest first. To be called after [`Hub::receive`] until it
    /// returns `None`.
    pub fn next_join_line(&mut self) -> Option<JoinLine> {
        if self.joins.lines.is_empty() { None } else { Some(self.joins.lines.remove(0)) }
    }

    /// Returns how many joins were kept out of the log because there were too many.
    pub fn join_lines_suppressed(&self) -> u64 {
        self.joins.granted.suppressed + self.joins.refused.suppressed
    }
}

impl Joins {
    /// Notes a join for the log, unless there were many in this second.
    pub(super) fn note(&mut self, token: Token, id: &str, outcome: JoinOutcome, now: Now) {
        let throttle = match outcome {
            JoinOutcome::Joined => &mut self.granted,
            JoinOutcome::Refused(_) => &mut self.refused,
        };
        if let Some(skipped) = throttle.admit(now) {
            tighten(&mut self.lines, TABLE_CAPACITY_MIN);
            self.lines.push(JoinLine { token, id: escaped(id), outcome, skipped });
        }
    }
}

/// Returns an id for a line of the log. No text in it can look like the end of the id, like another
/// line, or like the words that a program searches the log for: all of these have a space.
fn escaped(id: &str) -> String {
    let mut text = String::new();
    for char in id.chars() {
        let before = text.len();
        if may_stand_in_id(char) {
            text.push(char)
        } else {
            text.extend(char.escape_unicode())
        }
        if text.len() > LOG_VALUE_BYTES_MAX {
            text.truncate(before);
            text.push('…');
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_in_the_log_is_short_and_has_no_foreign_character() {
        let check = |id: &str, expected: &str| assert_eq!(escaped(id), expected);
        check("alice@é.2", "alice@é.2");
        check("a\"b\n", r"a\u{22}b\u{a}");
        check("a: b", r"a\u{3a}\u{20}b");
        check("\u{202e}\u{1b}[2J", r"\u{202e}\u{1b}\u{5b}2J");
        check(&"x".repeat(128), &"x".repeat(128));
        check(&"x".repeat(129), &format!("{}…", "x".repeat(128)));
        assert!(escaped(&"\0é".repeat(70_000)).len() < 140);
    }
}
