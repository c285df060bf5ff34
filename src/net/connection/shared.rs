//! State that all [`Connection`](super::Connection)s of a loop share, and the limits on each.
//!
//! **Invariants**
//! - One connection uses the state at a time: the loop has one thread, and reads or writes one
//!   connection after the other. So one WebSocket codec and one output buffer do for all.
//!
//! It does not know which connections there are.

use std::net::IpAddr;
use std::time::Duration;

use log::log;

use crate::limits::{OPEN_MESSAGE_BYTES, PAYER_SHARES, TLS_UNREAD_BYTES_MAX};
use crate::net::addresses::Addresses;
use crate::net::frames::Codec;
#[cfg(feature = "auth")]
use crate::net::http::Entry;
#[cfg(feature = "api")]
use crate::net::http::calls::Bearer;
use crate::net::http::{LogLine, STATUSES, Site};
use crate::net::proxies::Proxies;
use crate::net::rate::Rate;
use crate::throttle::Throttle;
use crate::time::Now;

/// The limits on each connection of a loop, in bytes and time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest message in bytes, its fragments together; so also the longest frame.
    pub message_bytes_max: usize,
    /// The most bytes of incomplete heads and messages, of all connections together.
    pub incomplete_bytes_total: usize,
    /// The most connections from one subnet; 0: no limit.
    pub connections_per_address: usize,
    /// The silence after which a peer is pinged.
    pub ping: Duration,
    /// The silence after which a peer is disconnected.
    pub timeout: Duration,
    /// The longest time from accept to
    /// [`Connection::mark_joined`](super::Connection::mark_joined), and to the end of a request
    /// head.
    pub join_timeout: Duration,
    /// The limit on lines from a peer over WebSocket; none: no limit.
    pub rate: Option<Rate>,
}

/// The part of the server that a connection can see, by the listener it came through.
#[derive(Clone, Copy, PartialEq)]
pub enum View {
    /// The page, and the chat behind it.
    Page,
    /// The same through a trusted proxy: each request tells the address of its client.
    Proxied,
    /// The metrics, and nothing else.
    Metrics,
    /// The redirect to the page over https.
    Redirect,
    /// The API for backends.
    #[cfg(feature = "api")]
    Api,
    /// Nothing but a sign of life: the connection is over a quota.
    Refused,
}

/// The shared state of all connections of a loop.
pub struct Shared {
    site: Site,
    metrics: Site,
    redirect: Option<Site>,
    /// The page for requests of trusted proxies, if these name ids.
    #[cfg(feature = "auth")]
    proxied: Option<Site>,
    refused: Site,
    /// The token of the API. Set before the first connection to it.
    #[cfg(feature = "api")]
    pub bearer: Option<Bearer>,
    pub(super) limits: Limits,
    pub(super) codec: Codec,
    /// The payers of all connections, and what each has taken.
    pub addresses: Addresses,
    /// The proxies in front of the server. Set before the first connection.
    pub proxies: Proxies,
    /// An empty buffer with capacity, lent to the connection that writes next.
    pub(super) out: Vec<u8>,
    /// The counters of all connections.
    pub counters: Counters,
    /// Lines of the log about requests that were refused.
    pub refusals: Throttle,
    /// The query of the last handshake, if a PeerJS client made it.
    #[cfg(feature = "peerjs")]
    pub peerjs_query: Option<String>,
    /// The id that a proxy has named for the client behind the last
    /// [`Incoming::Open`](super::Incoming::Open), to be taken by the caller.
    #[cfg(feature = "auth")]
    pub named_id: Option<Box<str>>,
}

/// Counters of all connections of a loop, for the metrics; no decision depends on them.
#[derive(Default)]
pub struct Counters {
    /// Bytes read from the kernel.
    pub bytes_in: u64,
    /// Bytes that the kernel accepted.
    pub bytes_out: u64,
    /// Queued frames that carry text.
    pub frames_out: u64,
    /// HTTP responses, by the position of their status in [`STATUSES`].
    pub responses: [u64; STATUSES.len()],
    /// Those of the API, by the first digit of their status.
    #[cfg(feature = "api")]
    pub calls: [u64; 6],
}

impl Counters {
    pub(super) fn count_response(&mut self, head: &[u8]) {
        // A linear search: there are few statuses, and few answers over HTTP.
        let at = STATUSES.iter().position(|known| *known == status(head));
        debug_assert!(at.is_some(), "a status that is not in the list");
        if let Some(at) = at {
            self.responses[at] += 1;
        }
    }
}

#[cfg(feature = "api")]
impl Counters {
    pub(super) fn count_call(&mut self, head: &[u8]) {
        if let Some(count) = self.calls.get_mut(usize::from(status(head)) / 100) {
            *count += 1;
        }
    }
}

impl Shared {
    /// Returns the shared state of a loop that serves this site.
    pub fn new(site: Site, limits: Limits) -> Shared {
        let codec = Codec::new(limits.message_bytes_max, limits.incomplete_bytes_total);
        // A payer can always send one message: in fragments it counts twice its length, and its
        // last frame comes behind it.
        let incomplete_one =
            3 * limits.message_bytes_max + OPEN_MESSAGE_BYTES + 2 * TLS_UNREAD_BYTES_MAX;
        let incomplete_max = (limits.incomplete_bytes_total / PAYER_SHARES).max(incomplete_one);
        let addresses = Addresses::new(limits.connections_per_address, incomplete_max);
        let metrics = Site::metrics(String::new());
        let refused = site.full();
        Shared {
            site,
            metrics,
            redirect: None,
            #[cfg(feature = "auth")]
            proxied: None,
            refused,
            #[cfg(feature = "api")]
            bearer: None,
            limits,
            codec,
            addresses,
            proxies: Proxies::default(),
            out: Vec::new(),
            counters: Counters::default(),
            refusals: Throttle::default(),
            #[cfg(feature = "peerjs")]
            peerjs_query: None,
            #[cfg(feature = "auth")]
            named_id: None,
        }
    }

    /// Returns the site that connections with this view see.
    pub(super) fn site(&self, view: View) -> &Site {
        match view {
            View::Proxied => self.proxied(),
            View::Page => &self.site,
            View::Metrics => &self.metrics,
            View::Refused => &self.refused,
            // It has no site: `next_call` answers.
            #[cfg(feature = "api")]
            View::Api => &self.refused,
            View::Redirect => self.redirect.as_ref().unwrap_or(&self.site),
        }
    }

    #[cfg(feature = "auth")]
    fn proxied(&self) -> &Site {
        self.proxied.as_ref().unwrap_or(&self.site)
    }

    #[cfg(not(feature = "auth"))]
    fn proxied(&self) -> &Site {
        &self.site
    }

    /// Sets the site of connections that see [`View::Redirect`]; without it they see the page.
    pub fn set_redirect(&mut self, site: Site) {
        self.redirect = Some(site);
    }

    /// Has trusted proxies name the id of a client in this field of its requests. From any other
    /// peer the field means nothing.
    #[cfg(feature = "auth")]
    pub fn set_id_field(&mut self, field: &str) {
        self.proxied = Some(self.site.clone().with_entry(Entry::Login(Some(field.into()))));
    }

    /// Notes for the caller what the head of a handshake tells besides.
    #[cfg(any(feature = "auth", feature = "peerjs"))]
    pub(super) fn note_handshake(&mut self, head: &[u8], view: View) {
        #[cfg(feature = "peerjs")]
        {
            self.peerjs_query = crate::net::http::peerjs::query(head, self.site(view));
        }
        #[cfg(feature = "auth")]
        {
            self.named_id = crate::net::http::named_id(head, self.site(view));
        }
    }

    /// Sets whether the server can do all of its work, as `/readyz` tells.
    pub fn set_ready(&mut self, is_ready: bool) {
        self.site.set_ready(is_ready);
        #[cfg(feature = "auth")]
        if let Some(site) = &mut self.proxied {
            site.set_ready(is_ready);
        }
    }

    /// Sets the text of the metrics. The loop does so before it reads a connection that sees them.
    pub fn set_metrics(&mut self, text: String) {
        self.metrics = Site::metrics(text);
    }

    /// Logs why a request was refused, with the address of its client, unless there were many such
    /// lines in this second.
    pub(super) fn log_refusal(&mut self, line: &LogLine, client: Option<IpAddr>, now: Now) {
        let Some(skipped) = self.refusals.admit(now) else { return };
        let peer = client.map_or("a client".into(), |address| address.to_string());
        log!(line.level, "refused {peer}: {}{skipped}", line.text);
    }

    /// Returns the bytes of the longest message from a peer.
    #[cfg(feature = "peerjs")]
    pub fn message_bytes_max(&self) -> usize {
        self.limits.message_bytes_max
    }

    /// Takes a lent buffer back, emptied. If there is one already, the second is dropped.
    pub(super) fn return_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.out.capacity() == 0 {
            buffer.clear();
            self.out = buffer;
        }
    }

    /// Returns the bytes of incomplete heads and messages, of all connections together.
    pub fn incomplete_bytes(&self) -> usize {
        self.codec.incomplete.used()
    }
}

/// Returns the status code of a response head: three digits behind `HTTP/1.1 `.
pub(super) fn status(head: &[u8]) -> u16 {
    head.get(9..12)
        .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok())
        .unwrap_or_default()
}
