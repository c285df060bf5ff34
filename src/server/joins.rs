//! The lines of the log about joins.
//!
//! **Invariants**
//! - A line names no address without `--log-addresses`, and no id without `--log-ids`.
//! - The address of a client comes first. No text of a client stands before it, so a program that
//!   bans addresses by these lines cannot be led to another one.
//! - A refused join is logged as `refused a join from ADDRESS: REASON`; rules of such programs rely
//!   on these words.
//!
//! It does not know why a join was refused, nor how many lines were held back.

use std::net::IpAddr;

use log::info;

use super::{Disk, Server};
use crate::chat::hub::{JoinLine, JoinOutcome};
use crate::limits::TABLE_CAPACITY_MIN;
use crate::memory::tighten;
use crate::net::stream::Stream;

/// The parts of a client that lines about joins name.
#[derive(Default)]
pub struct JoinLog {
    has_addresses: bool,
    has_ids: bool,
    /// The address of the client of each connection, by slab key; empty without addresses.
    clients: Vec<Option<IpAddr>>,
}

impl JoinLog {
    /// Names addresses and ids as `--log-addresses` and `--log-ids` say.
    pub fn new(has_addresses: bool, has_ids: bool) -> JoinLog {
        JoinLog { has_addresses, has_ids, clients: Vec::new() }
    }

    /// Notes the address of the client of a connection, known by its slab key. `None`: it is on a
    /// Unix socket.
    pub fn enter(&mut self, key: usize, client: Option<IpAddr>) {
        if !self.has_addresses {
            return;
        }
        if self.clients.len() <= key {
            self.clients.resize(key + 1, None);
        }
        self.clients[key] = client.map(|address| address.to_canonical());
    }

    /// Gives back memory: from now on all slab keys are below `keys`.
    pub fn truncate(&mut self, keys: usize) {
        self.clients.truncate(keys);
        tighten(&mut self.clients, TABLE_CAPACITY_MIN);
    }

    fn line(&self, JoinLine { token, id, outcome, skipped }: &JoinLine) -> String {
        let id = if self.has_ids { format!(", id \"{id}\"") } else { String::new() };
        let address = self.clients.get(token.key()).copied().flatten();
        match (outcome, address) {
            (JoinOutcome::Joined, Some(address)) => format!("{address} joined{id}{skipped}"),
            (JoinOutcome::Joined, None) => format!("a client joined{id}{skipped}"),
            (JoinOutcome::Refused(reason), Some(address)) => {
                format!("refused a join from {address}: {reason}{id}{skipped}")
            }
            (JoinOutcome::Refused(reason), None) => {
                format!("refused a join: {reason}{id}{skipped}")
            }
        }
    }
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Logs the joins that the hub has just heard.
    pub(super) fn log_joins(&mut self) {
        while let Some(line) = self.hub.next_join_line() {
            info!("{}", self.joins.line(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::Throttle;
    use crate::time::Now;
    use crate::token::Token;

    #[test]
    fn address_of_a_slot_is_that_of_its_last_client() {
        let check = |log: &JoinLog, key: usize, expected: &str| {
            let skipped = Throttle::default().admit(Now::read()).expect("the first line");
            let (token, id) = (Token::new(key, 1), "alice".to_owned());
            let line = JoinLine { token, id, outcome: JoinOutcome::Joined, skipped };
            assert_eq!(log.line(&line), expected);
        };
        let mut log = JoinLog::new(true, false);
        let mapped = "::ffff:192.0.2.1".parse().ok();
        log.enter(2, mapped);
        log.enter(1, "2001:db8::7".parse().ok());
        check(&log, 2, "192.0.2.1 joined");
        check(&log, 1, "2001:db8::7 joined");
        for unknown in [0, 3, 1 << 30] {
            check(&log, unknown, "a client joined");
        }
        log.enter(2, None);
        check(&log, 2, "a client joined");
        log.truncate(1);
        check(&log, 1, "a client joined");
        let mut silent = JoinLog::default();
        silent.enter(0, mapped);
        check(&silent, 0, "a client joined");
        assert_eq!(silent.clients.capacity(), 0, "no address is kept");
    }
}
