//! Accounts: the part of each shared total that each payer has taken.
//!
//! Ids are free, so a share for each id would be no share. A network address is not free. The
//! socket half gives a [`Payer`] with each client, a number for its address, and each charge that
//! the client causes is on the account of that payer for as long as the charge lasts: the bytes of
//! a held message on its sender's, an owned id with its blocks, card and remembered sends on that
//! of the client that claimed it, a watch on its watcher's.
//!
//! **Invariants**
//! - The budget of a total is the sum of the charges on all accounts.
//! - An account is in the table as long as a client or a charge refers to it. It is found by its
//!   payer once, when a client connects; from then on by its key.
//! - [`AccountKey::EXEMPT`] is bounded by the totals only. Any other account has at most a part in
//!   [`PAYER_SHARES`] of each total.
//!
//! The things that are charged are not known here, nor addresses.

use std::collections::HashMap;
use std::time::Instant;

use slab::Slab;

use crate::limits::{ACCOUNTS_MAX, CLAIM_EVERY, CLAIMS_AT_ONCE, PAYER_SHARES, TABLE_CAPACITY_MIN};
use crate::memory::{Budget, Payer, tighten};

/// Names an account for as long as a client or a charge refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey(u32);

impl AccountKey {
    /// The account of all clients without a payer.
    pub const EXEMPT: AccountKey = AccountKey(0);
    /// The account that all further payers share while there are [`ACCOUNTS_MAX`] others.
    const CROWD: AccountKey = AccountKey(1);
}

/// A total that all clients share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Bytes of held messages.
    Held,
    /// Bytes of remembered sends.
    Sends,
    /// Watched ids.
    Watches,
    /// Blocked ids.
    Blocks,
    /// Owned ids.
    Owned,
    /// Bytes of cards.
    Cards,
}

const TOTALS: usize = 6;

/// The limit that a charge would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The payer's share of the total.
    Payer,
    /// The total.
    Total,
}

/// The account of one payer.
#[derive(Default)]
struct Account {
    /// The payer, unless it is one of the two accounts that are always there.
    payer: Option<Payer>,
    clients: usize,
    /// The charges, by the number of their [`Total`].
    used: [usize; TOTALS],
    /// The time at which [`CLAIMS_AT_ONCE`] ids can be claimed again. `None`: at any time.
    claims_full_at: Option<Instant>,
}

/// All accounts, and the totals that they share.
pub struct Payers {
    accounts: Slab<Account>,
    /// The key of the account of each payer, both as numbers: other tables have this type, so it
    /// adds no code.
    keys: HashMap<usize, usize>,
    /// By the number of their [`Total`].
    budgets: [Budget; TOTALS],
}

impl Payers {
    /// Creates the accounts that are always there. `totals` is in the order of [`Total`].
    pub fn new(totals: [usize; TOTALS]) -> Payers {
        let mut accounts = Slab::new();
        for key in [AccountKey::EXEMPT, AccountKey::CROWD] {
            let inserted = accounts.insert(Account::default());
            debug_assert_eq!(inserted, key.0 as usize);
        }
        Payers { accounts, keys: HashMap::new(), budgets: totals.map(Budget::new) }
    }

    // ---- clients ----

    /// Finds or creates the account of a new client. `None` is exempt.
    pub fn open(&mut self, payer: Option<Payer>) -> AccountKey {
        let key = match payer {
            None => AccountKey::EXEMPT,
            Some(payer) => match self.keys.get(&payer.number()) {
                Some(key) => AccountKey(*key as u32),
                None if self.keys.len() >= ACCOUNTS_MAX => AccountKey::CROWD,
                None => {
                    let account = Account { payer: Some(payer), ..Account::default() };
                    let key = self.accounts.insert(account);
                    self.keys.insert(payer.number(), key);
                    AccountKey(key as u32)
                }
            },
        };
        self.accounts[key.0 as usize].clients += 1;
        key
    }

    /// Notes that a client of this account is gone. Its charges may stay.
    pub fn close(&mut self, key: AccountKey) {
        self.accounts[key.0 as usize].clients -= 1;
        self.remove_if_unused(key);
    }

    /// Returns the number of the payer of an account; `None` if it has none, or shares its account
    /// with a crowd.
    pub fn payer_number(&self, key: AccountKey) -> Option<u64> {
        self.accounts[key.0 as usize].payer.map(|payer| payer.number() as u64)
    }

    // ---- charges ----

    /// Returns the limit that a charge of `amount` would exceed, if it exceeds any.
    pub fn check(&self, key: AccountKey, total: Total, amount: usize) -> Result<(), Excess> {
        if amount > self.payer_left(key, total, 0) {
            return Err(Excess::Payer);
        }
        if amount > self.budgets[total as usize].left() {
            return Err(Excess::Total);
        }
        Ok(())
    }

    /// Returns how much the payer may still take of its share, if one part in `reserve` of the
    /// share is not for it to take; 0: all is.
    pub fn payer_left(&self, key: AccountKey, total: Total, reserve: usize) -> usize {
        if key == AccountKey::EXEMPT {
            return usize::MAX;
        }
        let share = self.budgets[total as usize].total().div_ceil(PAYER_SHARES);
        let reserved = share.checked_div(reserve).unwrap_or(0);
        (share - reserved).saturating_sub(self.accounts[key.0 as usize].used[total as usize])
    }

    /// Charges an amount, which [`Payers::check`] has allowed.
    pub fn take(&mut self, key: AccountKey, total: Total, amount: usize) {
        self.accounts[key.0 as usize].used[total as usize] += amount;
        self.budgets[total as usize].take(amount);
    }

    /// Ends a charge, in whole or in part.
    pub fn give(&mut self, key: AccountKey, total: Total, amount: usize) {
        let used = &mut self.accounts[key.0 as usize].used[total as usize];
        debug_assert!(amount <= *used, "gave back more than was taken");
        *used = used.saturating_sub(amount);
        self.budgets[total as usize].give(amount);
        self.remove_if_unused(key);
    }

    /// Returns the budget of a total.
    pub fn budget(&self, total: Total) -> &Budget {
        &self.budgets[total as usize]
    }

    // ---- claims ----

    /// Returns `true` if the payer may claim one more id now, as far as its rate goes.
    pub fn may_claim(&self, key: AccountKey, now: Instant) -> bool {
        let full_at = self.accounts[key.0 as usize].claims_full_at;
        full_at.is_none_or(|at| at + CLAIM_EVERY <= now + CLAIM_EVERY * CLAIMS_AT_ONCE)
    }

    /// Counts a claim in the payer's rate. The count goes with the account, when no claimed id is
    /// left: ids that were claimed and given up do no harm.
    pub fn count_claim(&mut self, key: AccountKey, now: Instant) {
        if key != AccountKey::EXEMPT {
            let full_at = &mut self.accounts[key.0 as usize].claims_full_at;
            *full_at = Some(full_at.map_or(now, |at| at.max(now)) + CLAIM_EVERY);
        }
    }

    // ---- tables ----

    /// Gives unused capacity back. For the end of a turn.
    pub fn sweep(&mut self) {
        tighten(&mut self.accounts, TABLE_CAPACITY_MIN);
    }

    fn remove_if_unused(&mut self, key: AccountKey) {
        let account = &self.accounts[key.0 as usize];
        if let Some(payer) = account.payer
            && account.clients == 0
            && account.used == [0; TOTALS]
        {
            self.accounts.remove(key.0 as usize);
            self.keys.remove(&payer.number());
            tighten(&mut self.keys, TABLE_CAPACITY_MIN);
        }
    }
}

#[cfg(test)]
impl Payers {
    /// Checks that the accounts and totals are the sums of these clients and charges.
    #[track_caller]
    pub fn check_sums(
        &self,
        clients: impl Iterator<Item = AccountKey>,
        charges: impl Iterator<Item = (AccountKey, Total, usize)>,
    ) {
        let mut sums = std::collections::BTreeMap::<usize, (usize, [usize; TOTALS])>::new();
        for key in [AccountKey::EXEMPT, AccountKey::CROWD] {
            sums.insert(key.0 as usize, Default::default());
        }
        for key in clients {
            sums.entry(key.0 as usize).or_default().0 += 1;
        }
        for (key, total, amount) in charges.filter(|(_, _, amount)| *amount > 0) {
            sums.entry(key.0 as usize).or_default().1[total as usize] += amount;
        }
        for (n, budget) in self.budgets.iter().enumerate() {
            let sum: usize = sums.values().map(|(_, used)| used[n]).sum();
            assert_eq!((budget.used(), sum <= budget.total()), (sum, true), "total {n}");
        }
        for (key, (_, used)) in sums.iter().skip(1) {
            let shares = self.budgets.each_ref().map(|b| b.total().div_ceil(PAYER_SHARES));
            assert!(used.iter().zip(shares).all(|(used, share)| *used <= share), "account {key}");
        }
        let accounts = self.accounts.iter().map(|(key, a)| (key, (a.clients, a.used)));
        assert!(accounts.eq(sums), "an account is not the sum of its charges");
        assert_eq!(self.keys.len(), self.accounts.len() - 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::assert_size;

    const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

    fn payers() -> Payers {
        Payers::new([800, 800, 80, 80, 8, 800])
    }

    #[test]
    fn payer_has_at_most_an_eighth_of_a_total() {
        let mut payers = payers();
        let [one, other] = [1, 2].map(|n| payers.open(Some(Payer::new(n))));
        payers.take(one, Total::Held, 99);
        assert_eq!(payers.check(one, Total::Held, 1), Ok(()));
        assert_eq!(payers.check(one, Total::Held, 2), Err(Excess::Payer));
        assert_eq!(payers.check(one, Total::Sends, 100), Ok(()), "totals are apart");
        assert_eq!(payers.check(other, Total::Held, 100), Ok(()), "and payers, too");
        payers.take(AccountKey::EXEMPT, Total::Held, 700);
        assert_eq!(payers.check(other, Total::Held, 2), Err(Excess::Total));
        assert_eq!(payers.check(AccountKey::EXEMPT, Total::Held, 2), Err(Excess::Total));
        payers.give(one, Total::Held, 99);
        assert_eq!(payers.check(AccountKey::EXEMPT, Total::Held, 100), Ok(()));
    }

    #[test]
    fn account_lasts_as_long_as_its_clients_and_charges() {
        let mut payers = payers();
        let payer = Some(Payer::new(7));
        let key = payers.open(payer);
        assert_eq!(payers.open(payer), key);
        payers.take(key, Total::Blocks, 2);
        payers.close(key);
        payers.close(key);
        assert_eq!(payers.open(payer), key, "a charge is left");
        payers.close(key);
        payers.give(key, Total::Blocks, 1);
        assert_eq!(payers.keys.len(), 1);
        payers.give(key, Total::Blocks, 1);
        payers.check_sums(std::iter::empty(), std::iter::empty());
        assert!(payers.keys.is_empty());
    }

    #[test]
    fn payers_beyond_the_table_share_one_account() {
        let mut payers = payers();
        for n in 0..ACCOUNTS_MAX {
            payers.open(Some(Payer::new(n)));
        }
        let [one, other] = [1, 2].map(|n| payers.open(Some(Payer::new(n + (1 << 40)))));
        assert_eq!((one, other), (AccountKey::CROWD, AccountKey::CROWD));
        assert_ne!(payers.open(Some(Payer::new(0))), AccountKey::CROWD, "this one is in the table");
        payers.take(one, Total::Owned, 1);
        assert_eq!(payers.check(other, Total::Owned, 1), Err(Excess::Payer));
        payers.give(one, Total::Owned, 1);
        payers.close(one);
        payers.close(other);
        assert_eq!(payers.accounts.len(), ACCOUNTS_MAX + 2);
    }

    #[test]
    fn payer_claims_20_ids_at_once_then_one_a_minute() {
        let (mut payers, start) = (payers(), Instant::now());
        let claim = |payers: &mut Payers, key, now| {
            let may = payers.may_claim(key, now);
            if may {
                payers.count_claim(key, now);
            }
            may
        };
        let key = payers.open(Some(Payer::new(1)));
        let count = (0..30).filter(|_| claim(&mut payers, key, start)).count();
        assert_eq!(count, 20);
        assert!(!claim(&mut payers, key, start + 59 * SECOND));
        assert!(claim(&mut payers, key, start + 60 * SECOND));
        assert!(!claim(&mut payers, key, start + 60 * SECOND));
        let later = start + 60 * 60 * SECOND;
        assert_eq!((0..30).filter(|_| claim(&mut payers, key, later)).count(), 20);
        assert!((0..100).all(|_| claim(&mut payers, AccountKey::EXEMPT, start)));
    }

    #[test]
    fn account_costs_88_bytes() {
        assert_size!(Account = 88: Account {
            payer: 16 "finds its entry in the table when it goes",
            clients: 8 "it lasts as long as one of them",
            used: 48 "its part of each total",
            claims_full_at: 16 "its rate of claims",
        } empty: 0);
    }
}
