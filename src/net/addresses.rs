//! The number of connections from each subnet, and the limit on it (`--per-address`).
//!
//! **Invariants**
//! - For each subnet with a connection, `counts` has the number of entries of `subnets` that name
//!   it.
//! - Without a limit, both are empty.
//!
//! It does not know how a connection beyond the limit is refused.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;

/// The subnets of all connections.
pub struct Addresses {
    /// The most connections from one subnet; 0: no limit, and nothing is counted.
    max: usize,
    /// Connections per subnet.
    counts: HashMap<Subnet, usize>,
    /// The subnet of each connection, by slab key. Not kept in the connection, where it would cost
    /// memory even without a limit.
    subnets: Vec<Option<Subnet>>,
}

/// The addresses that count as one: an IPv4 address, or an IPv6 /64, because a subscriber is given
/// a whole /64 and can use any address in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subnet {
    V4(u32),
    V6(u64),
}

impl Subnet {
    fn of(address: IpAddr) -> Subnet {
        // A listener for IPv6 reports IPv4 addresses as mapped ones, all of which have the same
        // first half.
        match address.to_canonical() {
            IpAddr::V4(address) => Subnet::V4(address.to_bits()),
            IpAddr::V6(address) => Subnet::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Addresses {
    /// Returns an empty table with a limit per subnet; 0: no limit.
    pub fn new(max: usize) -> Addresses {
        Addresses { max, counts: HashMap::new(), subnets: Vec::new() }
    }

    /// Returns `true` if the subnet of this address has as many connections as it may have.
    pub fn is_full(&self, address: IpAddr) -> bool {
        self.max > 0
            && self.counts.get(&Subnet::of(address)).is_some_and(|count| *count >= self.max)
    }

    /// Counts a connection, known by its slab key, from this address.
    pub fn enter(&mut self, key: usize, address: IpAddr) {
        if self.max == 0 {
            return;
        }
        if self.subnets.len() <= key {
            self.subnets.resize(key + 1, None);
        }
        let subnet = Subnet::of(address);
        debug_assert!(self.subnets[key].is_none(), "key reused before its connection left");
        self.subnets[key] = Some(subnet);
        *self.counts.entry(subnet).or_default() += 1;
    }

    /// Gives back memory: from now on all slab keys are below `keys`.
    pub fn truncate(&mut self, keys: usize) {
        self.subnets.truncate(keys);
        tighten(&mut self.subnets, TABLE_CAPACITY_MIN);
    }

    /// Uncounts a connection that was removed; one that never entered is passed over.
    pub fn leave(&mut self, key: usize) {
        let Some(subnet) = self.subnets.get_mut(key).and_then(Option::take) else { return };
        if let Some(count) = self.counts.get_mut(&subnet) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&subnet);
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
        let mut addresses = Addresses::new(2);
        let (here, there) = (ip("192.0.2.1"), ip("2001:db8::1"));
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
    fn without_a_limit_no_subnet_is_kept() {
        let mut addresses = Addresses::new(0);
        addresses.enter(1, ip("192.0.2.1"));
        assert!(!addresses.is_full(ip("192.0.2.1")));
        assert!(addresses.counts.is_empty() && addresses.subnets.is_empty());
        addresses.leave(1);
    }
}
