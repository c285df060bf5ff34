//! A connection among the others of the server.
//!
//! It does not know the turn.

use crate::memory::Budget;
use crate::net::connection::{Connection, View};
use crate::net::stream::Stream;
use crate::time::Timer;

/// The quota that a connection counts against. Each kind has its own, so none takes another's.
#[derive(Clone, Copy, PartialEq)]
pub enum SlotKind {
    /// A connection to the page, or to the redirect.
    Chat,
    /// A connection to the metrics.
    Metrics,
    /// A connection over a quota, which gets one answer: 503, or a sign of life.
    Refusal,
    /// A connection to the API.
    #[cfg(feature = "api")]
    Api,
}

impl SlotKind {
    pub const COUNT: usize = 3 + cfg!(feature = "api") as usize;

    pub fn of(view: View) -> SlotKind {
        match view {
            View::Metrics => SlotKind::Metrics,
            #[cfg(feature = "api")]
            View::Api => SlotKind::Api,
            _ => SlotKind::Chat,
        }
    }
}

/// A connection, and what the loop knows of it.
pub struct Slot<S> {
    pub connection: Connection<S>,
    pub timer: Timer,
    /// The token is on `pending_read` or `pending_low`.
    pub is_on_read_list: bool,
    /// Bytes of this connection that are counted in `the total`.
    pub unsent: usize,
    pub kind: SlotKind,
    /// In a box, because few clients speak PeerJS.
    #[cfg(feature = "peerjs")]
    pub peer: Option<Box<super::peerjs::Peer>>,
}

impl<S: Stream> Slot<S> {
    pub fn new(connection: Connection<S>, kind: SlotKind) -> Slot<S> {
        Slot {
            connection,
            timer: Timer::default(),
            is_on_read_list: false,
            unsent: 0,
            kind,
            #[cfg(feature = "peerjs")]
            peer: None,
        }
    }

    /// Counts the bytes that the kernel has refused in the total of all connections. Returns
    /// `false`, and counts nothing, if they have grown beyond this connection's share of it.
    pub fn count_unsent(&mut self, total: &mut Budget) -> bool {
        let unsent = if self.connection.is_stalled() { self.connection.queued() } else { 0 };
        total.give(self.unsent);
        let is_too_much = unsent > self.unsent && unsent > total.limit(usize::MAX);
        self.unsent = if is_too_much { 0 } else { unsent };
        total.take(self.unsent);
        !is_too_much
    }
}
