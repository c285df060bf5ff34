//! How many connections there are from one place. What a place may have is known here, what comes
//! of more is not.
//!
//! Invariant: `counts` has, for each place somebody is from, how many of `places` name it; both are
//! empty without a limit.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limits::TABLE_ROOM_LEAST;
use crate::memory::tighten;

/// Where all connections come from.
pub struct Addresses {
    /// Most connections from one place; 0: no limit, and nothing is counted.
    max: usize,
    counts: HashMap<Place, usize>,
    /// By the key of each connection where it is from: not kept with it, because without a limit it
    /// is of no use.
    places: Vec<Option<Place>>,
}

/// What is taken for one place: an IPv4 address, or the first half of an IPv6 address, for whoever
/// has one has all behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    V4(u32),
    V6(u64),
}

impl Place {
    fn of(address: IpAddr) -> Place {
        // A listener for IPv6 reports IPv4 addresses as mapped ones, all of which have the same
        // first half.
        match address.to_canonical() {
            IpAddr::V4(address) => Place::V4(address.to_bits()),
            IpAddr::V6(address) => Place::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Addresses {
    /// Nobody is here; so many may be from one place, with 0 any number.
    pub fn new(max: usize) -> Addresses {
        Addresses { max, counts: HashMap::new(), places: Vec::new() }
    }

    /// Are there as many as may be from where this address is?
    pub fn is_full(&self, address: IpAddr) -> bool {
        self.max > 0 && self.counts.get(&Place::of(address)).is_some_and(|count| *count >= self.max)
    }

    /// A connection is here, from this address.
    pub fn enter(&mut self, key: usize, address: IpAddr) {
        if self.max == 0 {
            return;
        }
        if self.places.len() <= key {
            self.places.resize(key + 1, None);
        }
        let place = Place::of(address);
        debug_assert!(
            self.places[key].is_none(),
            "a key is used again before its connection has left"
        );
        self.places[key] = Some(place);
        *self.counts.entry(place).or_default() += 1;
    }

    /// No key is above these: gives back what the table has for others.
    pub fn truncate(&mut self, keys: usize) {
        self.places.truncate(keys);
        tighten(&mut self.places, TABLE_ROOM_LEAST);
    }

    /// A connection is gone; it need not have entered.
    pub fn leave(&mut self, key: usize) {
        let Some(place) = self.places.get_mut(key).and_then(Option::take) else { return };
        if let Some(count) = self.counts.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place);
                tighten(&mut self.counts, TABLE_ROOM_LEAST);
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
        let same = |one: &str, other: &str| Place::of(ip(one)) == Place::of(ip(other));
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
        assert!(addresses.counts.is_empty() && addresses.places.is_empty());
        addresses.leave(1);
    }
}
