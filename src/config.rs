//! The operator's choices, and the most memory that the program can take with them.
//!
//! Invariant: a `Config` that [`Config::check`] let pass holds no value that the rest of the house
//! has to doubt.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::*;

/// What the person who runs the server may choose.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to serve; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
    /// Where the certificate is, with its chain, for TLS.
    pub tls_cert: Option<PathBuf>,
    /// Where its key is.
    pub tls_key: Option<PathBuf>,
    /// Where to send people from to where TLS is spoken.
    pub redirect: Option<SocketAddr>,
    /// A folder to serve the page from, instead of what is built in.
    pub www: Option<PathBuf>,
    /// Connections at once.
    pub max_clients: usize,
    /// Connections at once from one IPv4 address or IPv6 /64; 0: any number.
    pub per_address: usize,
    /// Longest WebSocket message from a client, in bytes.
    pub max_message: usize,
    /// Most bytes that may wait for one client.
    pub outbox: usize,
    /// Most bytes that may wait for all clients together.
    pub outbox_total: usize,
    /// Lines a second from one client; 0: no limit.
    pub rate: usize,
    /// Lines from one client at once.
    pub burst: usize,
    /// A client silent for so long is pinged.
    pub ping: Duration,
    /// A client silent for so long is gone. `timeout - ping` runs from when its ping was handed to
    /// the kernel.
    pub timeout: Duration,
    /// From accept to `join`, or to the end of a request head.
    pub join_timeout: Duration,
    /// How long an owned id and its messages are kept after its last connection ended.
    pub hold: Duration,
    /// Most bytes held for one owned id.
    pub held: usize,
    /// Most bytes held for all of them.
    pub held_total: usize,
    /// Owned ids.
    pub owned: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics: None,
            tls_cert: None,
            tls_key: None,
            redirect: None,
            www: None,
            max_clients: CONNECTIONS_MAX,
            per_address: 0,
            max_message: 65_536,
            outbox: 524_288,
            outbox_total: 64 << 20,
            rate: 100,
            burst: 1000,
            ping: Duration::from_secs(25),
            timeout: Duration::from_secs(40),
            join_timeout: Duration::from_secs(10),
            hold: Duration::from_secs(600),
            held: 524_288,
            held_total: 64 << 20,
            owned: 100_000,
        }
    }
}

impl Config {
    /// Holds the values against each other.
    ///
    /// # Errors
    /// One sentence for the person who chose them, naming the option.
    pub fn check(&self) -> Result<(), String> {
        let refuse = |sentence: String| Err(sentence);
        if !MESSAGE_BYTES.contains(&self.max_message) {
            let (min, max) = (MESSAGE_BYTES.start(), MESSAGE_BYTES.end());
            return refuse(format!("--max-message must be from {min} to {max} bytes"));
        }
        // What one message adds to an outbox must fit behind the mark at half of it, with room for
        // what is put around it.
        let outbox_min = (4 * self.max_message).max(OUTBOX_BYTES_MIN);
        if self.outbox < outbox_min {
            return refuse(format!(
                "--outbox must be at least {outbox_min} bytes: four times --max-message, and {OUTBOX_BYTES_MIN}"
            ));
        }
        if self.outbox_total < self.outbox {
            return refuse("--outbox-total must be at least --outbox".into());
        }
        if self.timeout <= self.ping {
            return refuse("--timeout must be greater than --ping".into());
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refuse(
                "--tls-cert and --tls-key belong together: one of them is missing".into(),
            );
        }
        if self.redirect.is_some() && self.tls_cert.is_none() {
            return refuse(
                "--redirect leads to https, which needs --tls-cert and --tls-key".into(),
            );
        }
        Ok(())
    }

    /// Certificate and key, where TLS is spoken.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }

    /// Bytes of heads and messages that have not come whole, of all connections together.
    pub fn incomplete_bytes_total(&self) -> usize {
        // One may have a quarter of what is left; an open message counts double, and its last frame
        // as it came.
        INCOMPLETE_BYTES_TOTAL.max(16 * self.max_message)
    }

    /// The most bytes the program may come to hold by its own bounds: for each kind of thing its
    /// total, or what as many as there may be can have of it. What `--www` reads is not in it.
    pub fn memory_bytes_max(&self) -> usize {
        let connections = self.max_clients + REFUSALS_MAX;
        let (tls_one, tls_incomplete_one, tls_refused_one) = match self.tls_cert {
            Some(_) => (
                TLS_SESSION_BYTES,
                2 * TLS_UNREAD_BYTES_MAX + TLS_RECORD_BYTES_MAX,
                2 * TLS_WRITE_BYTES,
            ),
            None => (0, 0, 0),
        };
        // An open message counts double; its last frame comes behind it.
        let incomplete_one = HEAD_BYTES_MAX
            .max(OPEN_MESSAGE_BYTES + 3 * self.max_message + FRAME_HEADER_BYTES_MAX)
            + tls_incomplete_one;
        let refused_one = self.outbox + 2 * READ_BYTES + tls_refused_one;
        // What vectors hold that were added to by `extend_tightly`: an eighth of it may be empty.
        let grown = self.outbox_total.min(connections * self.outbox)
            + UNSENT_BYTES_TOTAL.min(connections * refused_one)
            + self.incomplete_bytes_total().min(connections * incomplete_one)
            + self.held_total.min(self.owned * self.held);
        connections * (CLIENT_BYTES + tls_one + if self.per_address > 0 { ADDRESS_BYTES } else { 0 })
            + grown / 8 * 9
            + WATCHED_TOTAL.min(connections * WATCHED_MAX) * WATCH_BYTES
            + BLOCKED_TOTAL.min((connections + self.owned) * BLOCKED_MAX) * BLOCK_BYTES
            + SENDS_BYTES_TOTAL.min(self.owned * SENDS_MAX * SEND_BYTES)
            + self.owned * OWNED_BYTES
            + READ_BYTES
            + POOL_BYTES_MAX
            + HELD_POOL_BYTES_MAX
            // One text and what the kernel refuses of it, the buffer that all lend, and a long
            // room; one message, as it comes and as it is read.
            + 4 * self.outbox
            + 4 * self.max_message
            + PROGRAM_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config)) -> Result<(), String> {
        let mut config = Config::default();
        change(&mut config);
        config.check()
    }

    #[test]
    fn defaults_pass_and_stay_below_512_mib() {
        assert_eq!(check(|_| {}), Ok(()));
        assert!(Config::default().memory_bytes_max() < 512 << 20);
    }

    #[test]
    fn every_bound_is_in_the_figure() {
        let grows = |change: fn(&mut Config), at_least: usize| {
            let mut config = Config::default();
            change(&mut config);
            let growth = config.memory_bytes_max() - Config::default().memory_bytes_max();
            assert!((at_least..at_least / 2 * 3).contains(&growth), "{growth} for {at_least}");
        };
        grows(|c| c.max_clients += 1000, 1000 * CLIENT_BYTES);
        grows(|c| c.per_address = 1, (CONNECTIONS_MAX + REFUSALS_MAX) * ADDRESS_BYTES);
        let sessions = (CONNECTIONS_MAX + REFUSALS_MAX) * TLS_SESSION_BYTES;
        grows(|c| c.tls_cert = Some("fullchain.pem".into()), sessions);
        grows(|c| c.outbox_total += 8 << 20, 9 << 20);
        grows(|c| c.outbox += 8 << 20, 32 << 20);
        grows(|c| c.held_total += 8 << 20, 8 << 20);
        grows(|c| c.owned += 1000, 1000 * OWNED_BYTES);
        grows(|c| c.max_message = 16 << 20, (16 * (16 << 20) - INCOMPLETE_BYTES_TOTAL) / 8 * 9);
    }

    #[test]
    fn few_clients_cannot_fill_all_totals() {
        let config = Config { max_clients: 50, owned: 50, ..Config::default() };
        assert!(config.memory_bytes_max() < 150 << 20, "{}", config.memory_bytes_max() >> 20);
    }

    #[test]
    fn a_bad_value_is_refused_by_the_name_of_its_option() {
        let named = |change: fn(&mut Config), option: &str| {
            let sentence = check(change).expect_err(option);
            assert!(sentence.starts_with(option), "{sentence}");
        };
        named(|c| c.max_message = 511, "--max-message");
        named(|c| c.max_message = (16 << 20) + 1, "--max-message");
        named(|c| c.outbox = 262_143, "--outbox");
        named(|c| c.max_message = 131_073, "--outbox");
        named(|c| c.outbox_total = 524_287, "--outbox-total");
        named(|c| c.timeout = c.ping, "--timeout");
        named(|c| c.tls_cert = Some("fullchain.pem".into()), "--tls-cert");
        named(|c| c.tls_key = Some("privkey.pem".into()), "--tls-cert");
        named(|c| c.redirect = Some(c.listen), "--redirect");
    }
}
