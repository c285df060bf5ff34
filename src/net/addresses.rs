//! How many connections there are from one subnet. What a subnet may have is known here, what comes
//! of more is not.
//!
//! Invariant: `counts` has, for each subnet somebody is from, how many of `subnets` name it; both are
//! empty without a limit.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;

/// Where all connections come from.
pub struct Addresses {
    /// Most connections from one subnet; 0: no limit, and nothing is counted.
    max: usize,
    counts: HashMap<Subnet, usize>,
    /// By the key of each connection where it is from: not kept with it, because without a limit it
    /// is of no use.
    subnets: Vec<Option<Subnet>>,
}

/// What is taken for one subnet: an IPv4 address, or the first half of an IPv6 address, for whoever
/// has one has all behind it.
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
    /// Nobody is here; so many may be from one subnet, with 0 any number.
    pub fn new(max: usize) -> Addresses {
        Addresses { max, counts: HashMap::new(), subnets: Vec::new() }
    }

    /// Are there as many as may be from where this address is?
    pub fn is_full(&self, address: IpAddr) -> bool {
        self.max > 0
            && self.counts.get(&Subnet::of(address)).is_some_and(|count| *count >= self.max)
    }

    /// A connection is here, from this address.
    pub fn enter(&mut self, key: usize, address: IpAddr) {
        if self.max == 0 {
            return;
        }
        if self.subnets.len() <= key {
            self.subnets.resize(key + 1, None);
        }
        let subnet = Subnet::of(address);
        debug_assert!(
            self.subnets[key].is_none(),
            "a key is used again before its connection has left"
        );
        self.subnets[key] = Some(subnet);
        *self.counts.entry(subnet).or_default() += 1;
    }

    /// No key is above these: gives back what the table has for others.
    pub fn truncate(&mut self, keys: usize) {
        self.subnets.truncate(keys);
        tighten(&mut self.subnets, TABLE_CAPACITY_MIN);
    }

    /// A connection is gone; it need not have entered.
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
    fn an_ipv4_address_is_a_place_and_so_are_64_bits_of_an_ipv6_address() {
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
    fn a_place_is_full_until_somebody_leaves() {
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
        assert!(addresses.counts.is_empty(), "nobody is remembered");
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut addresses = Addresses::new(0);
        addresses.enter(1, ip("192.0.2.1"));
        assert!(!addresses.is_full(ip("192.0.2.1")));
        assert!(addresses.counts.is_empty() && addresses.subnets.is_empty());
        addresses.leave(1);
    }
}
