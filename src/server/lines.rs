//! The hub's lines for one client, as its connection takes them.
//!
//! **Invariants**
//! - A client of the protocol gets all lines of a text as one message, without a copy here.
//!
//! The meaning of the lines is not known here.

use super::Slot;
use crate::net::connection::Shared;
use crate::net::stream::Stream;
use crate::time::Now;

impl<S: Stream> Slot<S> {
    /// Writes the lines that wait for the client.
    #[inline]
    pub(super) fn write_lines(&mut self, text: &[u8], now: Now, shared: &mut Shared) {
        #[cfg(feature = "peerjs")]
        if self.peer.is_some() {
            return self.write_translated(text, now, shared);
        }
        self.connection.write_text(text, now, shared);
    }

    /// Queues the last lines of a client, in front of a close frame.
    #[cfg_attr(not(feature = "peerjs"), expect(unused_variables, reason = "PeerJS needs the time"))]
    pub(super) fn queue_lines(&mut self, text: &[u8], now: Now, shared: &mut Shared) {
        #[cfg(feature = "peerjs")]
        if self.peer.is_some() {
            return self.write_translated(text, now, shared);
        }
        self.connection.send_text(text, shared);
    }

    /// Returns `true` if the client hears lines as they are.
    pub(super) fn hears_lines(&self) -> bool {
        #[cfg(feature = "peerjs")]
        return self.peer.is_none();
        #[cfg(not(feature = "peerjs"))]
        return true;
    }
}
