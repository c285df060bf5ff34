//! The subnet of each connection: the payer for its client, and the limits on one subnet: its
//! connections (`--per-address`), and its part of all incomplete input.
//!
//! **Invariants**
//! - For each subnet with a connection, `counts` has the number of entries that are its payer, and
//!   the sum of their incomplete input.
//! - A connection from this machine is in neither, unless a proxy tells the address of its client:
//!   it comes from a proxy, which has many clients.
//! - A subnet is the same [`Payer`] as long as the program runs; with a store, in each run.
//!
//! It does not know how a connection beyond the limit is refused, nor the things that a payer pays
//! for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use log::info;

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::{Payer, SubnetHash, tighten};

/// The payers of all connections.
pub struct Addresses {
    /// The most connections from one subnet; 0: no limit.
    max: usize,
    /// The most bytes of incomplete input of one subnet.
    incomplete_max: usize,
    /// The counts of each subnet, by the number of its payer.
    counts: HashMap<usize, Counts>,
    /// Each connection with a payer, by slab key. Not kept in the connection, where even
    /// connections of exempt addresses would need memory for it.
    entries: Vec<Option<Entry>>,
    hash: SubnetHash,
    /// Whether the log says that connections from this machine are exempt.
    is_exemption_logged: bool,
}

/// The counts of one subnet.
#[derive(Default)]
struct Counts {
    connections: usize,
    /// Bytes of incomplete input of these connections.
    incomplete: usize,
}

/// One connection.
#[derive(Clone, Copy)]
struct Entry {
    payer: Payer,
    /// Bytes of its incomplete input, as they were last counted.
    incomplete: usize,
}

/// The addresses that count as one: an IPv4 address, or an IPv6 /64, because a subscriber is given
/// a whole /64 and can use any address in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subnet {
    V4(u32),
    V6(u64),
}

impl Subnet {
    /// Returns the subnet of an address; `None` for the addresses of this machine.
    fn of(address: IpAddr) -> Option<Subnet> {
        // A listener for IPv6 reports IPv4 addresses as mapped ones, all of which have the same
        // first half.
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => Subnet::V4(address.to_bits()),
            IpAddr::V6(address) => Subnet::V6((address.to_bits() >> 64) as u64),
        })
    }
}

impl Addresses {
    /// Returns an empty table with the limits on one subnet: connections (0: no limit), and bytes
    /// of incomplete input.
    pub fn new(max: usize, incomplete_max: usize) -> Addresses {
        Addresses {
            max,
            incomplete_max,
            counts: HashMap::new(),
            entries: Vec::new(),
            hash: Box::new({
                let hasher = RandomState::new();
                move |subnet| hasher.hash_one(subnet)
            }),
            is_exemption_logged: false,
        }
    }

    /// Makes payers by another hash from now on. Called before the first connection, for payers
    /// that are the same in each run.
    pub fn set_hash(&mut self, hash: SubnetHash) {
        self.hash = hash;
    }

    /// Returns `true` if the subnet of this address has as many connections as it may have. `None`
    /// is the address of a peer on a Unix socket.
    pub fn is_full(&self, address: Option<IpAddr>) -> bool {
        let count = self.payer_of(address).and_then(|payer| self.counts.get(&payer.number()));
        self.max > 0 && count.is_some_and(|counts| counts.connections >= self.max)
    }

    /// Counts a connection, known by its slab key, from this address.
    pub fn enter(&mut self, key: usize, address: Option<IpAddr>) {
        let Some(payer) = self.payer_of(address) else { return self.log_exemption() };
        if self.entries.len() <= key {
            self.entries.resize(key + 1, None);
        }
        debug_assert!(self.entries[key].is_none(), "key reused before its connection left");
        self.entries[key] = Some(Entry { payer, incomplete: 0 });
        self.counts.entry(payer.number()).or_default().connections += 1;
    }

    /// Returns the payer for the client of a connection; `None`: it is exempt.
    pub fn payer(&self, key: usize) -> Option<Payer> {
        self.entries.get(key).copied().flatten().map(|entry| entry.payer)
    }

    /// Counts the incomplete input of a connection, `bytes` from now on. Returns `false` if it has
    /// grown beyond the part of its subnet.
    pub fn count_incomplete(&mut self, key: usize, bytes: usize) -> bool {
        let Some(Some(entry)) = self.entries.get_mut(key) else { return true };
        if entry.incomplete == bytes {
            return true;
        }
        let before = std::mem::replace(&mut entry.incomplete, bytes);
        let Some(counts) = self.counts.get_mut(&entry.payer.number()) else { return true };
        counts.incomplete = (counts.incomplete + bytes).saturating_sub(before);
        bytes <= before || counts.incomplete <= self.incomplete_max
    }

    fn payer_of(&self, address: Option<IpAddr>) -> Option<Payer> {
        let hash = match Subnet::of(address?)? {
            Subnet::V4(bits) => (self.hash)(&bits.to_be_bytes()),
            Subnet::V6(bits) => (self.hash)(&bits.to_be_bytes()),
        };
        Some(Payer::new(hash as usize))
    }

    /// Tells in the log, once, that a connection is exempt.
    pub fn log_exemption(&mut self) {
        if !std::mem::replace(&mut self.is_exemption_logged, true) {
            info!(
                "no limits per address for connections from this machine, unless a proxy tells \
                 the addresses of its clients (--forwarded)"
            );
        }
    }

    /// Gives back memory: from now on all slab keys are below `keys`.
    pub fn truncate(&mut self, keys: usize) {
        self.entries.truncate(keys);
        tighten(&mut self.entries, TABLE_CAPACITY_MIN);
    }

    /// Uncounts a connection that was removed; one that never entered is passed over.
    pub fn leave(&mut self, key: usize) {
        self.count_incomplete(key, 0);
        let Some(entry) = self.entries.get_mut(key).and_then(Option::take) else { return };
        let number = entry.payer.number();
        if let Some(counts) = self.counts.get_mut(&number) {
            counts.connections -= 1;
            if counts.connections == 0 {
                self.counts.remove(&number);
                tighten(&mut self.counts, TABLE_CAPACITY_MIN);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(ip(address))
    }

    #[test]
    fn subnet_is_an_ipv4_address_or_an_ipv6_slash_64() {
        let same = |one: &str, other: &str| Subnet::of(ip(one)) == Subnet::of(ip(other));
        assert!(same("192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
        assert!(
            same("192.0.2.1", "::ffff:192.0.2.1") && !same("::ffff:192.0.2.1", "::ffff:192.0.2.2")
        );
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(!same("0.0.0.0", "::"));
    }

    #[test]
    fn full_subnet_takes_a_connection_after_one_left() {
        let mut addresses = Addresses::new(2, 0);
        let (here, there) = (from("192.0.2.1"), from("2001:db8::1"));
        addresses.enter(0, here);
        assert!(!addresses.is_full(here));
        addresses.enter(3, here);
        assert!(addresses.is_full(here) && !addresses.is_full(there));
        addresses.enter(1, there);
        for key in [3, 3, 2, 100] {
            addresses.leave(key);
        }
        assert!(!addresses.is_full(here));
        addresses.enter(3, here);
        assert!(addresses.is_full(here));
        (0..4).for_each(|key| addresses.leave(key));
        assert!(addresses.counts.is_empty(), "no subnet is remembered");
    }

    #[test]
    fn limit_of_0_is_no_limit() {
        let mut addresses = Addresses::new(0, 0);
        addresses.enter(1, from("192.0.2.1"));
        assert!(!addresses.is_full(from("192.0.2.1")));
        addresses.leave(1);
        assert!(addresses.counts.is_empty());
    }

    #[test]
    fn payer_is_that_of_the_subnet_on_every_connection() {
        let mut addresses = Addresses::new(0, 0);
        for (key, address) in ["2001:db8::1", "2001:db8::2", "192.0.2.1"].iter().enumerate() {
            addresses.enter(key, from(address));
        }
        let first = addresses.payer(0);
        assert!(first.is_some() && first == addresses.payer(1) && first != addresses.payer(2));
        (0..3).for_each(|key| addresses.leave(key));
        assert_eq!(addresses.payer(0), None);
        addresses.enter(7, from("2001:db8::3"));
        assert_eq!(addresses.payer(7), first);
    }

    #[test]
    fn addresses_of_this_machine_have_no_payer_and_no_limit() {
        let mut addresses = Addresses::new(1, 0);
        for (key, address) in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
            .into_iter()
            .cycle()
            .take(8)
            .enumerate()
        {
            assert!(!addresses.is_full(from(address)));
            addresses.enter(key, from(address));
            assert_eq!(addresses.payer(key), None);
            addresses.leave(key);
        }
        assert!(!addresses.is_full(None));
        addresses.enter(0, None);
        assert_eq!(addresses.payer(0), None);
        assert!(addresses.counts.is_empty() && addresses.entries.is_empty());
    }

    #[test]
    fn subnet_has_a_part_of_all_incomplete_input() {
        let mut addresses = Addresses::new(0, 100);
        for (key, address) in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "::1"].iter().enumerate() {
            addresses.enter(key, from(address));
        }
        assert!(addresses.count_incomplete(0, 60) && addresses.count_incomplete(1, 40));
        assert!(!addresses.count_incomplete(1, 41), "two connections of one subnet");
        assert!(addresses.count_incomplete(1, 40) && addresses.count_incomplete(2, 100));
        assert!(addresses.count_incomplete(3, 1000) && addresses.count_incomplete(99, 1000));
        addresses.leave(0);
        assert!(addresses.count_incomplete(1, 100), "bytes of an ended connection are free");
        assert!(!addresses.count_incomplete(1, 101));
        assert!(addresses.count_incomplete(1, 101), "it has not grown");
        (1..4).for_each(|key| addresses.leave(key));
        assert!(addresses.counts.is_empty());
    }
}
