//! The operator's choices, and the memory that the program takes with them.
//!
//! **Invariants**
//! - A `Config` that passed [`Config::check`] has no value that another file has to check again.
//! - [`Config::memory_bytes_max`] counts every bound of the program.
//!
//! It does not know how options are written, only their names, for the sentences of `check`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::*;

/// The operator's choices; each field is the option of the same name.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses of the page and the chat; port 0 picks a free port.
    pub listen: Vec<ListenAddress>,
    /// The path below which the page and the chat lie, without a slash at its end; empty: at the
    /// root.
    pub base: String,
    /// The path below which PeerJS clients are served, without a slash at its end; none: off.
    pub peerjs: Option<String>,
    /// The address of the metrics; none: off.
    pub metrics: Option<SocketAddr>,
    /// The address of the API for backends; none: off.
    #[cfg(feature = "api")]
    pub api: Option<ListenAddress>,
    /// The file of the token that the API asks for.
    #[cfg(feature = "api")]
    pub api_token_file: Option<PathBuf>,
    /// The file of the certificate and its chain; none: no TLS.
    pub tls_cert: Option<PathBuf>,
    /// The file of the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Browsers are not told to come back with TLS only.
    pub no_hsts: bool,
    /// The address at which plain HTTP is redirected to https; none: off.
    pub redirect: Option<SocketAddr>,
    /// The file of the password; none: any client may join.
    pub password_file: Option<PathBuf>,
    /// The file of the key that tokens are signed with; none: no token is asked for.
    pub auth: Option<PathBuf>,
    /// The name of this service among the audiences of a token.
    pub auth_audience: Option<String>,
    /// The field of a request in which a trusted proxy names the id of a client; none: no proxy
    /// does.
    pub id_header: Option<String>,
    /// The folder of the store; none: ids and messages are kept in memory only.
    pub store: Option<PathBuf>,
    /// The folder of the page; none: the files built into the program.
    pub www: Option<PathBuf>,
    /// The most connections at one time.
    pub max_clients: usize,
    /// The most connections at one time from one IPv4 address or IPv6 /64; 0: no limit. It does not
    /// apply to connections from this machine, unless a proxy tells the addresses of their clients.
    pub per_address: usize,
    /// The longest WebSocket message from a client, in bytes.
    pub max_message: usize,
    /// The most bytes that may wait for one client.
    pub outbox: usize,
    /// The most bytes that may wait for all clients together.
    pub outbox_total: usize,
    /// The most lines a second that are read from one client; 0: no limit.
    pub rate: usize,
    /// The lines read from one client at once before `rate` slows it down.
    pub burst: usize,
    /// The silence after which a client is pinged.
    pub ping: Duration,
    /// The silence after which a client is disconnected. After a ping it has `timeout - ping` to
    /// answer, counted from when the ping was written.
    pub timeout: Duration,
    /// The longest time from accept to `join`, and to the end of a request head.
    pub join_timeout: Duration,
    /// The time for which an owned id and its messages are kept after its last connection ended.
    pub hold: Duration,
    /// The most bytes held for one owned id.
    pub held: usize,
    /// The most bytes held for all owned ids together.
    pub held_total: usize,
    /// The most owned ids.
    pub owned: usize,
    /// Lines of the log about joins name the addresses of clients.
    pub log_addresses: bool,
    /// Lines of the log about joins name ids.
    pub log_ids: bool,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Returns the port; `None` for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            ListenAddress::Tcp(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 8080).into())],
            base: String::new(),
            peerjs: None,
            metrics: None,
            #[cfg(feature = "api")]
            api: None,
            #[cfg(feature = "api")]
            api_token_file: None,
            tls_cert: None,
            tls_key: None,
            no_hsts: false,
            redirect: None,
            password_file: None,
            auth: None,
            auth_audience: None,
            id_header: None,
            store: None,
            www: None,
            max_clients: CONNECTIONS_MAX,
            per_address: 64,
            max_message: 65_536,
            outbox: 524_288,
            outbox_total: 64 << 20,
            rate: 100,
            burst: 1000,
            ping: Duration::from_secs(25),
            timeout: Duration::from_secs(40),
            join_timeout: Duration::from_secs(10),
            hold: Duration::from_secs(7 * 24 * 60 * 60),
            held: 524_288,
            held_total: 64 << 20,
            owned: 100_000,
            log_addresses: false,
            log_ids: false,
        }
    }
}

impl Config {
    /// Checks values that depend on each other, or that the library relies on.
    ///
    /// # Errors
    /// One sentence for the operator, naming the option to change.
    pub fn check(&self) -> Result<(), String> {
        let refuse = |sentence: String| Err(sentence);
        if !MESSAGE_BYTES.contains(&self.max_message) {
            let (min, max) = (MESSAGE_BYTES.start(), MESSAGE_BYTES.end());
            return refuse(format!("--max-message must be from {min} to {max} bytes"));
        }
        // The lines of one message, with the fields that the server adds to them, must fit into the
        // upper half of an outbox: the high-water mark is in the middle.
        let outbox_min = (4 * self.max_message).max(OUTBOX_BYTES_MIN);
        if self.outbox < outbox_min {
            return refuse(format!(
                "--outbox must be at least {outbox_min} bytes: four times --max-message, and \
                 {OUTBOX_BYTES_MIN}"
            ));
        }
        if self.outbox_total < self.outbox {
            return refuse("--outbox-total must be at least --outbox".into());
        }
        // A message to an absent owner must fit into the part of one sender: half of the queue, and
        // of the total a quarter of three quarters for one queue, an eighth for one payer.
        let held_one = self.max_message + HELD_BYTES + LINE_BYTES_ADDED;
        if self.held < 2 * held_one {
            return refuse(format!(
                "--held must be at least {} bytes: two messages as long as --max-message",
                2 * held_one
            ));
        }
        if self.held_total < 16 * held_one {
            return refuse(format!(
                "--held-total must be at least {} bytes: 16 messages as long as --max-message",
                16 * held_one
            ));
        }
        if self.timeout <= self.ping {
            return refuse("--timeout must be greater than --ping".into());
        }
        self.check_tls()?;
        #[cfg(feature = "api")]
        self.check_api()?;
        #[cfg(feature = "auth")]
        self.check_entry()?;
        Ok(())
    }

    fn check_tls(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key belong together: one of them is missing".into());
        }
        if self.redirect.is_some() && self.tls_cert.is_none() {
            return Err("--redirect leads to https, which needs --tls-cert and --tls-key".into());
        }
        Ok(())
    }

    #[cfg(feature = "api")]
    fn check_api(&self) -> Result<(), String> {
        if self.api.is_some() != self.api_token_file.is_some() {
            return Err("--api and --api-token-file belong together: one is missing".into());
        }
        Ok(())
    }

    /// Checks that there is one way in, at most.
    #[cfg(feature = "auth")]
    fn check_entry(&self) -> Result<(), String> {
        let login = match (&self.auth, &self.id_header) {
            (Some(_), Some(_)) => {
                return Err("--auth and --id-header exclude each other: choose one of them".into());
            }
            (Some(_), None) => "--auth",
            (None, Some(_)) => "--id-header",
            (None, None) if self.auth_audience.is_some() => {
                return Err("--auth-audience is about tokens, which need --auth".into());
            }
            (None, None) => return Ok(()),
        };
        if self.password_file.is_some() {
            return Err(format!(
                "{login} and --password-file exclude each other: the login decides instead"
            ));
        }
        Ok(())
    }

    /// Returns the files of certificate and key, if the chat is served over TLS.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }

    /// Returns the most bytes of incomplete heads and messages, of all connections together.
    pub fn incomplete_bytes_total(&self) -> usize {
        // A connection may have a quarter of the bytes left. An incomplete message counts twice its
        // length, because its buffer grows by doubling, and its last frame as it came.
        INCOMPLETE_BYTES_TOTAL.max(16 * self.max_message)
    }

    /// Returns the usual memory in bytes: that of a thousand quiet clients, as measured.
    pub fn memory_bytes_usual(&self) -> usize {
        if self.tls_cert.is_some() { TLS_USUAL_BYTES } else { USUAL_BYTES }
    }

    /// Returns the most memory in bytes that the program can take by its own bounds.
    ///
    /// For each kind of buffer or entry that is its total or, if this is less, the maximum of one
    /// client times the number of clients there may be. Files read by `--www` and the kernel's
    /// buffers are not counted.
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
        // An incomplete message counts twice, and its last frame comes behind it.
        let incomplete_one = HEAD_BYTES_MAX
            .max(OPEN_MESSAGE_BYTES + 3 * self.max_message + FRAME_HEADER_BYTES_MAX)
            + tls_incomplete_one;
        let refused_one = self.outbox + 2 * READ_BYTES + tls_refused_one;
        let held = self.held_total.min(self.owned * self.held);
        // The buffers that `extend_tightly` appends to: an eighth of their length may be spare.
        let grown = self.outbox_total.min(connections * self.outbox)
            + UNSENT_BYTES_TOTAL.min(connections * refused_one)
            + self.incomplete_bytes_total().min(connections * incomplete_one)
            + held;
        // At most one account for each client, each owned id and each held message: all may have
        // come from addresses of their own.
        let accounts = connections + self.owned + held / HELD_BYTES;
        connections * (CLIENT_BYTES + tls_one + ADDRESS_BYTES)
            + (accounts.min(ACCOUNTS_MAX) + 2).next_power_of_two() * ACCOUNT_BYTES
            + grown / 8 * 9
            + WATCHED_TOTAL.min(connections * WATCHED_MAX) * WATCH_BYTES
            + BLOCKED_TOTAL.min((connections + self.owned) * BLOCKED_MAX) * BLOCK_BYTES
            + SENDS_BYTES_TOTAL.min(self.owned * 2 * SENDS_MAX * SEND_BYTES)
            + CARDS_BYTES_TOTAL.min((connections + self.owned) * (CARD_BYTES + CARD_BYTES_MAX))
            + self.owned * OWNED_BYTES
            + READ_BYTES
            + POOL_BYTES_MAX
            + HELD_POOL_BYTES_MAX
            // One text, its bytes that the kernel refused, the shared output buffer, and the long
            // buffer of the pool. Then one message, as it arrives and as it is parsed.
            + 4 * self.outbox
            + 4 * self.max_message
            + self.store_bytes_max(held)
            + self.host_bytes_max(connections)
            + self.api_bytes_max()
            + self.peerjs_bytes_max(connections)
            + PROGRAM_BYTES
    }

    /// Returns the most memory in bytes that counts of wrong passwords, ids named by proxies, and
    /// addresses for the log take.
    fn host_bytes_max(&self, connections: usize) -> usize {
        let guessers = if self.password_file.is_some() { GUESSERS_MAX } else { 0 };
        let addresses = if self.log_addresses { connections } else { 0 };
        let named = if self.id_header.is_some() { connections } else { 0 };
        guessers * GUESSER_BYTES + named * VOUCHED_BYTES + addresses * LOGGED_ADDRESS_BYTES
    }

    /// Returns the connections to the API at one time.
    pub fn api_connections(&self) -> usize {
        #[cfg(feature = "api")]
        if self.api.is_some() {
            return API_CONNECTIONS_MAX;
        }
        0
    }

    /// Returns the most memory in bytes that the API takes: its requests come whole before they are
    /// heard.
    fn api_bytes_max(&self) -> usize {
        let one = CLIENT_BYTES + HEAD_BYTES_MAX + self.max_message + READ_BYTES + API_ANSWER_BYTES;
        // One request is copied to be handled.
        let handled = self.api_connections().min(1) * 2 * self.max_message;
        self.api_connections() * one + handled
    }

    /// Returns the most memory in bytes that translators for PeerJS take, with the acknowledgements
    /// of one turn, which are shorter than their messages.
    fn peerjs_bytes_max(&self, connections: usize) -> usize {
        if self.peerjs.is_some() { connections * PEERJS_BYTES + self.outbox_total } else { 0 }
    }

    /// Returns the most memory in bytes that the store takes. `held` is that of held messages.
    fn store_bytes_max(&self, held: usize) -> usize {
        if self.store.is_none() {
            return 0;
        }
        let endings = (held / HELD_BYTES + SENDS_BYTES_TOTAL / SEND_BYTES) * ENDING_BYTES
            + self.owned * WITHDRAWAL_BYTES;
        // One batch is under way while the next one gathers. Buffers grow by doubling.
        let batches = 2 * (BATCH_BYTES_MAX + self.max_message + LINE_BYTES_ADDED) + endings;
        2 * batches + ((STORE_CACHE_KIB as usize) << 10) + STORE_THREAD_BYTES
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
    fn defaults_pass_and_take_less_than_576_mib() {
        assert_eq!(check(|_| {}), Ok(()));
        let figure = Config::default().memory_bytes_max();
        assert!(figure < 576 << 20, "{figure}");
    }

    #[test]
    fn every_bound_is_in_the_memory_figure() {
        let grows = |change: fn(&mut Config), at_least: usize| {
            let mut config = Config::default();
            change(&mut config);
            let growth = config.memory_bytes_max() - Config::default().memory_bytes_max();
            assert!((at_least..at_least / 2 * 3).contains(&growth), "{growth} for {at_least}");
        };
        grows(|c| c.max_clients += 1000, 1000 * (CLIENT_BYTES + ADDRESS_BYTES));
        let sessions = (CONNECTIONS_MAX + REFUSALS_MAX) * TLS_SESSION_BYTES;
        grows(|c| c.tls_cert = Some("fullchain.pem".into()), sessions);
        grows(|c| c.outbox_total += 8 << 20, 9 << 20);
        grows(|c| c.outbox += 8 << 20, 32 << 20);
        grows(|c| c.held_total += 8 << 20, 8 << 20);
        grows(|c| c.owned += 1000, 1000 * OWNED_BYTES);
        grows(|c| c.store = Some("store".into()), 4 * BATCH_BYTES_MAX + (10 << 20) + (24 << 20));
        grows(|c| c.password_file = Some("password".into()), GUESSERS_MAX * GUESSER_BYTES);
        let listed = (CONNECTIONS_MAX + REFUSALS_MAX) * LOGGED_ADDRESS_BYTES;
        grows(|c| c.log_addresses = true, listed);
        #[cfg(feature = "api")]
        let call = HEAD_BYTES_MAX + READ_BYTES + Config::default().max_message;
        #[cfg(feature = "api")]
        grows(|c| c.api = Some(c.listen[0].clone()), API_CONNECTIONS_MAX * call);
        let translators = (CONNECTIONS_MAX + REFUSALS_MAX) * PEERJS_BYTES;
        grows(|c| c.peerjs = Some("/peerjs".into()), translators + (64 << 20));
        let named = (CONNECTIONS_MAX + REFUSALS_MAX) * VOUCHED_BYTES;
        grows(|c| c.id_header = Some("Remote-User".into()), named);
        grows(|c| c.max_message = 16 << 20, (16 * (16 << 20) - INCOMPLETE_BYTES_TOTAL) / 8 * 9);
    }

    #[test]
    fn few_clients_cannot_fill_every_total() {
        let config = Config { max_clients: 50, owned: 50, ..Config::default() };
        assert!(config.memory_bytes_max() < 160 << 20, "{}", config.memory_bytes_max() >> 20);
    }

    #[test]
    fn bad_value_is_refused_by_the_name_of_its_option() {
        let named = |change: fn(&mut Config), option: &str| {
            let sentence = check(change).expect_err(option);
            assert!(sentence.starts_with(option), "{sentence}");
        };
        named(|c| c.max_message = 511, "--max-message");
        named(|c| c.max_message = (16 << 20) + 1, "--max-message");
        named(|c| c.outbox = 262_143, "--outbox");
        named(|c| c.max_message = 131_073, "--outbox");
        named(|c| c.outbox_total = 524_287, "--outbox-total");
        named(|c| c.held = 131_647, "--held");
        named(|c| c.held_total = 1_000_000, "--held-total");
        named(|c| c.timeout = c.ping, "--timeout");
        named(|c| c.tls_cert = Some("fullchain.pem".into()), "--tls-cert");
        named(|c| c.tls_key = Some("privkey.pem".into()), "--tls-cert");
        #[cfg(feature = "api")]
        named(|c| c.api_token_file = Some("token".into()), "--api");
        named(|c| c.redirect = Some(([127, 0, 0, 1], 80).into()), "--redirect");
    }

    #[test]
    #[cfg(feature = "auth")]
    fn ways_in_exclude_each_other() {
        let named = |change: fn(&mut Config), option: &str| {
            let sentence = check(change).expect_err(option);
            assert!(sentence.starts_with(option), "{sentence}");
        };
        let both = |c: &mut Config| (c.auth, c.id_header) = (Some("key".into()), Some("Id".into()));
        assert!(check(both).is_err_and(|sentence| sentence.starts_with("--auth and --id-header")));
        named(|c| (c.auth, c.password_file) = (Some("a".into()), Some("b".into())), "--auth and");
        named(
            |c| (c.id_header, c.password_file) = (Some("Id".into()), Some("b".into())),
            "--id-header and",
        );
        named(|c| c.auth_audience = Some("chat".into()), "--auth-audience");
    }
}
