//! The door: a join is admitted here before the hub hears it.
//!
//! **Invariants**
//! - A join that is not admitted tells nothing about ids: it is refused before its id is looked up.
//!
//! It does not know how a join is decided on, nor the words of the log.

#[cfg(feature = "auth")]
use std::collections::HashMap;

use super::Hub;
use super::joins::JoinOutcome;
use super::requests::{Refusal, refuse};
use crate::chat::admission::{Admission, Denial, Guesser};
use crate::chat::journal::Journal;
use crate::chat::owners::{Holder, KeyHash};
use crate::chat::password::Secret;
use crate::chat::payers::AccountKey;
use crate::chat::protocol::{Credentials, ErrorCode};
#[cfg(feature = "auth")]
use crate::chat::vouching::Voucher;
use crate::limits::KEY_BYTES;
#[cfg(feature = "auth")]
use crate::limits::{ID_BYTES_MAX, TABLE_CAPACITY_MIN};
#[cfg(feature = "auth")]
use crate::memory::tighten;
use crate::time::Now;
use crate::token::Token;

/// The way into the hub.
#[derive(Default)]
pub struct Door {
    admission: Admission,
    /// Joins that were refused unheard after too many wrong passwords, ever.
    limited: u64,
    /// For each client, the id that a proxy has named.
    #[cfg(feature = "auth")]
    named: HashMap<Token, Box<str>>,
}

#[cfg(feature = "auth")]
impl Door {
    /// Forgets the id that a proxy has named for a client.
    pub(super) fn forget(&mut self, token: Token) {
        if self.named.remove(&token).is_some() {
            tighten(&mut self.named, TABLE_CAPACITY_MIN);
        }
    }
}

impl Denial {
    fn code(self) -> ErrorCode {
        match self {
            Denial::Missing | Denial::Wrong => ErrorCode::Forbidden,
            Denial::Limited => ErrorCode::TooMany,
            #[cfg(feature = "auth")]
            Denial::Unvouched(_) => ErrorCode::Forbidden,
        }
    }

    /// Returns the sentence for people.
    fn sentence(self) -> &'static str {
        match self {
            Denial::Missing => "this server is private and asks for its password",
            Denial::Wrong => "wrong password",
            Denial::Limited => {
                "too many wrong passwords came from your network: try again in a minute"
            }
            #[cfg(feature = "auth")]
            Denial::Unvouched(fault) => fault.sentence(),
        }
    }
}

impl<J: Journal> Hub<J> {
    /// Makes the server private: from now on a join has to say this password. `key` has to be
    /// random. Clients that have joined stay.
    pub fn require_password(&mut self, password: &str, key: [u8; 32]) {
        self.door.admission.require(Secret::new(password, key));
    }

    /// Makes the server private: from now on a login has to vouch for the id of a join. Clients
    /// that have joined stay.
    #[cfg(feature = "auth")]
    pub fn require_login(&mut self, voucher: Voucher) {
        self.door.admission = Admission::Vouched(voucher);
    }

    /// Notes the id that a trusted proxy has named for a client. A longer one than an id can be is
    /// as good as none.
    #[cfg(feature = "auth")]
    pub fn name(&mut self, token: Token, id: Box<str>) {
        if id.len() <= ID_BYTES_MAX && self.clients.get(token).is_some() {
            self.door.named.insert(token, id);
        }
    }

    /// Returns the number of clients for which a proxy has named an id.
    #[cfg(all(test, feature = "auth"))]
    pub(super) fn named(&self) -> usize {
        self.door.named.len()
    }

    /// Returns the number of joins that were refused unheard after too many wrong passwords.
    pub fn guesses_limited(&self) -> u64 {
        self.door.limited
    }

    /// Has the hub hear a join if it is admitted, and notes its outcome for the log.
    pub(super) fn join_by_door(
        &mut self,
        from: Token,
        id: &str,
        credentials: &Credentials<'_>,
        now: Now,
    ) -> Result<(), Refusal> {
        let denial = self.admit(from, id, credentials, now).err();
        let result = match denial {
            None => self.join(from, id, credentials.key(), now),
            Some(denial) => refuse(denial.code(), denial.sentence()),
        };
        self.door.limited += u64::from(denial == Some(Denial::Limited));
        self.joins.note(from, id, JoinOutcome::of(&result, denial), now);
        result
    }

    fn admit(
        &mut self,
        from: Token,
        id: &str,
        credentials: &Credentials<'_>,
        now: Now,
    ) -> Result<(), Denial> {
        #[cfg(feature = "auth")]
        if let Admission::Vouched(voucher) = &self.door.admission {
            let named = self.door.named.get(&from).map(|id| &**id);
            return voucher
                .admit(id, credentials.token(), named, now.unix_ms)
                .map_err(Denial::Unvouched);
        }
        // Taken out, because the guesser is looked up in other tables meanwhile.
        let mut admission = std::mem::take(&mut self.door.admission);
        let guesser = || self.guesser(from, id, credentials.key());
        let admitted = admission.admit(credentials.password(), guesser, now.instant);
        self.door.admission = admission;
        admitted
    }

    /// Returns the name under which a wrong password of this client counts.
    fn guesser(&self, from: Token, id: &str, key: Option<&str>) -> Guesser {
        if let Some(key) = key.filter(|key| KEY_BYTES.contains(&key.len()))
            && let Some(Holder::Owner(owner)) = self.ids.get(id)
            && self.owners.key_matches(*owner, &KeyHash::of(key))
        {
            return Guesser::Owner(*owner);
        }
        match self.clients.get(from).map(|client| client.account) {
            None | Some(AccountKey::EXEMPT) => Guesser::Exempt,
            Some(account) => {
                self.payers.payer_number(account).map_or(Guesser::Crowd, Guesser::Payer)
            }
        }
    }
}
