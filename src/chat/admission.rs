//! Admission: the decision whether a join may be heard at all, before its id and key are looked at.
//!
//! On a private server a client has to say the password. Wrong guesses are counted, each for one
//! [`Guesser`]: the id whose key the client has shown, otherwise the payer of the client. A guesser
//! in debt is refused without a comparison, so guessing on teaches nothing. An owner has a count of
//! its own, so a guesser behind the same address does not lock it out; nor can an owner from the
//! days of an earlier password guess without a limit.
//!
//! **Invariants**
//! - A join is admitted on the right password only, whatever its key.
//! - A count outlasts the connection of its guesser. It is forgotten once none of its guesses
//!   matters any more. At most [`GUESSERS_MAX`] counts are kept, and the two shared ones.
//! - One address has one count, and one for each id that it owns, so it takes no shared count from
//!   the others. While the table is full, further guessers share one count.
//!
//! It does not know ids, keys or connections, nor the words of a line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::chat::owners::OwnerToken;
use crate::chat::password::{Password, Secret};
#[cfg(feature = "auth")]
use crate::chat::vouching::{Unvouched, Voucher};
use crate::limits::{
    GUESS_EVERY, GUESSERS_MAX, GUESSES_AT_ONCE, SHARED_GUESS_EVERY, SHARED_GUESSES_AT_ONCE,
    TABLE_CAPACITY_MIN,
};
use crate::memory::tighten;

/// The way in which joins are admitted.
#[derive(Default)]
pub enum Admission {
    /// Every join is.
    #[default]
    Open,
    /// A join has to say the password.
    Password {
        /// The right one.
        secret: Secret,
        /// The wrong guesses of the last minutes.
        guesses: Guesses,
    },
    /// A login elsewhere has to vouch for the id of a join.
    #[cfg(feature = "auth")]
    Vouched(Voucher),
}

/// The reason why a join is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It said no password.
    Missing,
    /// It said a wrong password.
    Wrong,
    /// Too many wrong ones came before it, so it was not compared.
    Limited,
    /// No login vouches for its id.
    #[cfg(feature = "auth")]
    Unvouched(Unvouched),
}

/// The name under which wrong guesses are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guesser {
    /// The owner of an id, who has shown its key.
    Owner(OwnerToken),
    /// A payer, by its number.
    Payer(u64),
    /// All clients without a payer: those of this machine, or of a proxy that tells no addresses.
    Exempt,
    /// All guessers that no table has space for.
    Crowd,
}

/// How fast a guesser may guess.
struct Pace {
    at_once: u32,
    every: Duration,
}

/// The wrong guesses that count against a guesser.
#[derive(Default)]
pub struct Guesses {
    /// For each guesser, the time at which none of its guesses counts any more.
    full_at: HashMap<Guesser, Instant>,
    /// The time of the next look for guessers to forget.
    sweep_at: Option<Instant>,
}

impl Admission {
    /// Asks for this password from now on. Wrong guesses of before still count.
    pub fn require(&mut self, new: Secret) {
        match self {
            Admission::Password { secret, .. } => *secret = new,
            _ => *self = Admission::Password { secret: new, guesses: Guesses::default() },
        }
    }

    /// Decides on a join by its password, and counts a wrong guess. No password opens a server that
    /// asks for a login instead (`Voucher::admit`).
    ///
    /// # Errors
    /// The reason why the join is refused.
    pub fn admit(
        &mut self,
        said: Option<&Password<'_>>,
        guesser: impl FnOnce() -> Guesser,
        now: Instant,
    ) -> Result<(), Denial> {
        let (secret, guesses) = match self {
            Admission::Open => return Ok(()),
            Admission::Password { secret, guesses } => (secret, guesses),
            #[cfg(feature = "auth")]
            Admission::Vouched(_) => return Err(Denial::Missing),
        };
        let Some(said) = said else { return Err(Denial::Missing) };
        guesses.sweep(now);
        let guesser = guesses.place(guesser());
        if !guesses.may_guess(guesser, now) {
            return Err(Denial::Limited);
        }
        if !secret.is(said) {
            guesses.count(guesser, now);
            return Err(Denial::Wrong);
        }
        Ok(())
    }
}

impl Guesser {
    fn pace(self) -> Pace {
        match self {
            Guesser::Owner(_) | Guesser::Payer(_) => {
                Pace { at_once: GUESSES_AT_ONCE, every: GUESS_EVERY }
            }
            Guesser::Exempt | Guesser::Crowd => {
                Pace { at_once: SHARED_GUESSES_AT_ONCE, every: SHARED_GUESS_EVERY }
            }
        }
    }
}

impl Guesses {
    /// Returns the guesser under which a guess counts: itself, if the table has it or has space.
    fn place(&self, guesser: Guesser) -> Guesser {
        let is_shared = matches!(guesser, Guesser::Exempt | Guesser::Crowd);
        let has_space = is_shared || self.full_at.len() < GUESSERS_MAX;
        if has_space || self.full_at.contains_key(&guesser) { guesser } else { Guesser::Crowd }
    }

    /// Returns `true` unless the guesser is in debt.
    fn may_guess(&self, guesser: Guesser, now: Instant) -> bool {
        let Pace { at_once, every } = guesser.pace();
        self.full_at.get(&guesser).is_none_or(|at| *at + every <= now + every * at_once)
    }

    fn count(&mut self, guesser: Guesser, now: Instant) {
        let full_at = self.full_at.entry(guesser).or_insert(now);
        *full_at = (*full_at).max(now) + guesser.pace().every;
    }

    /// Forgets guessers whose guesses do not count any more, from time to time. So a crowd of
    /// guessers costs a look at the whole table once in [`GUESS_EVERY`].
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| at <= now) {
            self.sweep_at = Some(now + GUESS_EVERY);
            self.full_at.retain(|_, full_at| *full_at > now);
            tighten(&mut self.full_at, TABLE_CAPACITY_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn private() -> Admission {
        let mut admission = Admission::default();
        admission.require(Secret::new("right", [1; 32]));
        admission
    }

    fn say(admission: &mut Admission, word: &str, by: Guesser, now: Instant) -> Result<(), Denial> {
        admission.admit(Some(&Password::new(word.into())), || by, now)
    }

    /// Guesses wrong until that is refused unheard, and returns how often it was heard.
    fn guess(admission: &mut Admission, by: Guesser, now: Instant) -> usize {
        (0..)
            .take_while(|_| say(admission, "wrong", by, now) == Err(Denial::Wrong))
            .take(1000)
            .count()
    }

    fn kept(admission: &Admission) -> usize {
        let Admission::Password { guesses, .. } = admission else { return 0 };
        guesses.full_at.len()
    }

    #[test]
    fn open_server_admits_any_join() {
        let now = Instant::now();
        let mut open = Admission::default();
        assert_eq!(open.admit(None, || unreachable!("it need not be known"), now), Ok(()));
        assert_eq!(say(&mut open, "any", Guesser::Exempt, now), Ok(()));
    }

    #[test]
    fn private_server_admits_the_right_password_only() {
        let (mut private, now) = (private(), Instant::now());
        let by = Guesser::Payer(1);
        for _ in 0..100 {
            assert_eq!(private.admit(None, || by, now), Err(Denial::Missing));
            assert_eq!(say(&mut private, "right", by, now), Ok(()));
        }
        assert_eq!(kept(&private), 0, "neither is a guess");
        assert_eq!(say(&mut private, "wrong", by, now), Err(Denial::Wrong));
        private.require(Secret::new("new", [2; 32]));
        assert_eq!(say(&mut private, "right", by, now), Err(Denial::Wrong));
        assert_eq!(say(&mut private, "new", by, now), Ok(()));
        assert_eq!(kept(&private), 1, "guesses of before still count");
    }

    #[test]
    fn guesser_guesses_10_times_at_once_then_twice_a_minute() {
        let (mut private, start) = (private(), Instant::now());
        let [one, other] = [1, 2].map(Guesser::Payer);
        assert_eq!(guess(&mut private, one, start), 10);
        assert_eq!(say(&mut private, "right", one, start), Err(Denial::Limited));
        assert_eq!(say(&mut private, "right", other, start), Ok(()));
        assert_eq!(guess(&mut private, one, start + 29 * SECOND), 0);
        assert_eq!(say(&mut private, "right", one, start + 30 * SECOND), Ok(()));
        assert_eq!(guess(&mut private, one, start + 30 * SECOND), 1);
        let owner = Guesser::Owner(OwnerToken::from_number(1));
        assert_eq!(guess(&mut private, owner, start + 30 * SECOND), 10);
        assert_eq!(guess(&mut private, one, start + 3600 * SECOND), 10);
    }

    #[test]
    fn clients_without_a_payer_guess_100_times_then_once_a_second() {
        let (mut private, start) = (private(), Instant::now());
        assert_eq!(guess(&mut private, Guesser::Exempt, start), 100);
        assert_eq!(guess(&mut private, Guesser::Exempt, start + SECOND), 1);
        assert_eq!(guess(&mut private, Guesser::Crowd, start), 100);
    }

    #[test]
    fn guessers_beyond_the_table_share_a_count_until_it_has_space() {
        let (mut private, start) = (private(), Instant::now());
        for number in 0..GUESSERS_MAX as u64 {
            assert_eq!(
                say(&mut private, "wrong", Guesser::Payer(number), start),
                Err(Denial::Wrong)
            );
        }
        let [late, later] = [1 << 40, 1 << 41].map(Guesser::Payer);
        assert_eq!(guess(&mut private, Guesser::Payer(0), start), 9, "this one has a place");
        assert_eq!(guess(&mut private, late, start), 100);
        assert_eq!(say(&mut private, "right", later, start), Err(Denial::Limited));
        assert_eq!(kept(&private), GUESSERS_MAX + 1);
        // One guess is forgotten in 30 seconds, ten in five minutes.
        let after = start + 30 * SECOND;
        assert_eq!(say(&mut private, "right", later, after), Ok(()));
        assert_eq!(kept(&private), 2);
        assert_eq!(guess(&mut private, later, after), 10);
        assert_eq!(say(&mut private, "right", later, start + 3600 * SECOND), Ok(()));
        assert_eq!(kept(&private), 0);
    }

    #[test]
    fn guesser_costs_33_bytes_of_the_table() {
        assert_eq!(size_of::<(Guesser, Instant)>(), 32, "and a byte of the table itself");
    }
}
