//! What the [`Connection`](super::Connection)s of one loop share, because only one of them is
//! spoken with at a time, and what is allowed on each.

use std::time::Duration;

use crate::net::frames::Codec;
use crate::net::http::{STATUSES, Site};
use crate::net::rate::Rate;

/// What is allowed on each connection of a loop, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the longest message, its fragments together, and so of the longest frame.
    pub message_bytes_max: usize,
    /// Bytes of heads and messages that have not come whole, of all connections together.
    pub incomplete_bytes_total: usize,
    /// A peer silent for so long is pinged.
    pub ping: Duration,
    /// A peer silent for so long is gone.
    pub timeout: Duration,
    /// From accept to [`Connection::admit`](super::Connection::admit), or to the end of a request
    /// head.
    pub join_timeout: Duration,
    /// How fast a peer may talk over WebSocket.
    pub rate: Option<Rate>,
}

/// What a connection sees of the server.
#[derive(Clone, Copy, PartialEq)]
pub enum View {
    /// The page, and the chat behind it.
    Page,
    /// The metrics, and nothing else.
    Metrics,
    /// Where the page is.
    Redirect,
}

/// What the connections of one loop share, because only one of them is spoken with at a time.
pub struct Shared {
    site: Site,
    metrics: Site,
    redirect: Option<Site>,
    pub(super) limits: Limits,
    pub(super) codec: Codec,
    /// An empty buffer that has buffer already, for whoever writes next.
    pub(super) out: Vec<u8>,
    /// What has happened so far.
    pub counters: Counters,
}

/// What all connections of a loop count for whoever watches the server; nothing depends on it.
#[derive(Default)]
pub struct Counters {
    /// Bytes that the kernel has given.
    pub bytes_in: u64,
    /// Bytes that the kernel has taken.
    pub bytes_out: u64,
    /// Frames with a text in them, queued.
    pub frames_out: u64,
    /// HTTP responses, by the place of their status in [`STATUSES`].
    pub responses: [u64; STATUSES.len()],
}

impl Counters {
    pub(super) fn count_response(&mut self, head: &[u8]) {
        // One comparison for each status there is: few, and answers over HTTP are, too.
        let place = STATUSES.iter().position(|known| *known == status(head));
        debug_assert!(place.is_some(), "a status that is not in the list");
        if let Some(place) = place {
            self.responses[place] += 1;
        }
    }
}

impl Shared {
    /// What a loop needs once, whatever the number of its connections.
    pub fn new(site: Site, limits: Limits) -> Shared {
        let codec = Codec::new(limits.message_bytes_max, limits.incomplete_bytes_total);
        let metrics = Site::metrics(String::new());
        Shared {
            site,
            metrics,
            redirect: None,
            limits,
            codec,
            out: Vec::new(),
            counters: Counters::default(),
        }
    }

    pub(super) fn site(&self, view: View) -> &Site {
        match view {
            View::Page => &self.site,
            View::Metrics => &self.metrics,
            View::Redirect => self.redirect.as_ref().unwrap_or(&self.site),
        }
    }

    /// Where connections that see no page are sent to.
    pub fn set_redirect(&mut self, site: Site) {
        self.redirect = Some(site);
    }

    /// The metrics as they are now: to be given before a connection for metrics is read.
    pub fn set_metrics(&mut self, text: String) {
        self.metrics = Site::metrics(text);
    }

    /// What was lent goes back. If somebody else's has come back meanwhile, one is enough.
    pub(super) fn return_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.out.capacity() == 0 {
            buffer.clear();
            self.out = buffer;
        }
    }

    /// Bytes of heads and messages that have not come whole, of all connections together.
    pub fn incomplete_bytes(&self) -> usize {
        self.codec.incomplete.used()
    }

    /// Frames that have come whole on all connections.
    pub fn frames_heard(&self) -> u64 {
        self.codec.frames
    }
}

/// The status code of a response head, which stands behind "HTTP/1.1 ".
pub(super) fn status(head: &[u8]) -> u16 {
    head.get(9..12)
        .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok())
        .unwrap_or_default()
}
