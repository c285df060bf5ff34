//! PeerJS clients: where their messages meet the hub.
//!
//! **Invariants**
//! - The hub hears lines only, and a PeerJS client hears messages of PeerJS only, one for each
//!   WebSocket message.
//! - Lines that a translation makes while the server writes are heard in the next turn: a write
//!   never leads to another write. Until then the loop does not sleep.
//! - `ids` has the PeerJS clients that have joined under an id that is not owned.
//!
//! The translation itself is not known here ([`crate::peerjs`]).

use std::collections::HashMap;

use hmac_sha256::Hash;

use super::{Disk, Server, Slot};
use crate::chat::protocol::CloseCode;
use crate::limits::{TABLE_CAPACITY_MIN, TOKENS_PER_LINE};
use crate::memory::tighten;
use crate::net::connection::Shared;
use crate::net::frames::{Input, Text};
use crate::net::stream::Stream;
use crate::peerjs::{Handshake, Output, Translator, refusal};
use crate::time::Now;
use crate::token::Token;

/// All PeerJS clients.
#[derive(Default)]
pub(super) struct Peers {
    /// The connection of each id that is not owned.
    ids: HashMap<String, Token>,
    /// Clients with lines that the hub has not heard. A token that stands twice finds none.
    pub(super) owed: Vec<Token>,
}

/// A connection's state as that of a PeerJS client.
pub(super) struct Peer {
    id: String,
    /// SHA-256 of the token, with which the same client comes back.
    token_hash: [u8; 32],
    translator: Translator,
    /// Lines for the hub, and the end of the connection.
    owed: Output,
}

impl Peer {
    /// Returns `true` if the hub has to hear lines of this client, or to close it.
    pub(super) fn owes(&self) -> bool {
        !self.owed.lines.is_empty() || self.owed.is_over
    }
}

impl Peers {
    /// Returns the numbers of ids, and of clients with lines that the hub has not heard.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.ids.len(), self.owed.len())
    }

    /// Forgets a connection that is removed.
    pub(super) fn remove(&mut self, token: Token, peer: Option<&Peer>) {
        if let Some(Peer { id, .. }) = peer
            && self.ids.get(id) == Some(&token)
        {
            self.ids.remove(id);
        }
    }

    /// Gives unused capacity back.
    pub(super) fn shrink(&mut self) {
        tighten(&mut self.owed, TABLE_CAPACITY_MIN);
        if self.ids.capacity() > TABLE_CAPACITY_MIN.max(4 * self.ids.len()) {
            self.ids.shrink_to(2 * self.ids.len());
        }
    }
}

impl<S: Stream> Slot<S> {
    /// Writes lines of the hub to a PeerJS client.
    pub(super) fn write_translated(&mut self, text: &[u8], now: Now, shared: &mut Shared) {
        let Some(peer) = &mut self.peer else { return };
        // The hub's lines are UTF-8.
        let text = str::from_utf8(text).unwrap_or_default();
        peer.translator.tell(text, now.unix_ms, &mut peer.owed);
        for message in peer.owed.messages.drain(..) {
            self.connection.write_text(message.as_bytes(), now, shared);
        }
    }
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Lets a client that is a PeerJS client join, under the id in the query of its handshake.
    pub(super) fn open_peer(&mut self, token: Token, now: Now) {
        let Some(query) = self.shared.peerjs_query.take() else { return };
        let handshake = match Handshake::parse(&query) {
            Ok(handshake) => handshake,
            Err(sentence) => return self.refuse_peer(token, sentence, now),
        };
        let mut translator =
            Translator::new(&handshake, self.shared.message_bytes_max(), now.unix_ms);
        let is_owned = translator.is_owned();
        let join = translator.join();
        let Handshake { id, token: secret } = handshake;
        let token_hash = Hash::hash(secret.as_bytes());
        if !is_owned {
            self.replace_peer(&id, &token_hash, now);
        }
        let Some(slot) = self.slots.get_mut(token) else { return };
        let owed = Output::default();
        slot.peer = Some(Box::new(Peer { id: id.clone(), token_hash, translator, owed }));
        self.hear_lines(token, &join, now);
        if !is_owned && self.hub.has_joined(token) {
            self.peers.ids.insert(id, token);
        }
    }

    fn refuse_peer(&mut self, token: Token, sentence: &str, now: Now) {
        if let Some(slot) = self.slots.get_mut(token) {
            slot.connection.send_text(refusal(sentence).as_bytes(), &mut self.shared);
        }
        self.hub.close(token, CloseCode::Normal, now);
        self.send_disconnects(now);
    }

    /// Closes the connection of this id, if the same client has opened a new one: its network may
    /// have gone, so that the server has not seen the end of the old one.
    fn replace_peer(&mut self, id: &str, token_hash: &[u8; 32], now: Now) {
        let Some(&old) = self.peers.ids.get(id) else { return };
        let peer = self.slots.get(old).and_then(|slot| slot.peer.as_ref());
        if peer.is_some_and(|peer| peer.id == id && peer.token_hash == *token_hash) {
            self.hub.close(old, CloseCode::Replaced, now);
            self.send_disconnects(now);
        }
    }

    /// Hears a message of a PeerJS client; returns `false` if the client is none. A message costs
    /// as much as a line.
    pub(super) fn hear_peer(
        &mut self,
        token: Token,
        text: &mut Text<'_>,
        input: &mut Input<'_>,
        now: Now,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(token) else { return false };
        let Some(peer) = &mut slot.peer else { return false };
        let mut out = Output::default();
        peer.translator.hear(text, now.unix_ms, &mut out);
        text.leave(0);
        for message in out.messages {
            slot.connection.send_text(message.as_bytes(), &mut self.shared);
        }
        let before = self.hub.tokens_charged();
        for line in out.lines {
            self.hear_lines(token, &line, now);
        }
        let cost = self.hub.tokens_charged().wrapping_sub(before);
        input.spend(cost.max(TOKENS_PER_LINE));
        true
    }

    /// Has the hub hear the lines that translations of the last turn have made.
    ///
    /// They cost their clients nothing: each answers a message that the client was sent.
    pub(super) fn hear_owed(&mut self, now: Now) {
        let mut owed = std::mem::take(&mut self.peers.owed);
        for token in owed.drain(..) {
            let Some(Slot { peer: Some(peer), .. }) = self.slots.get_mut(token) else { continue };
            let Output { lines, is_over, .. } = std::mem::take(&mut peer.owed);
            for line in lines {
                self.hear_lines(token, &line, now);
            }
            if is_over {
                self.hub.close(token, CloseCode::Normal, now);
                self.send_disconnects(now);
            }
        }
        owed.append(&mut self.peers.owed);
        self.peers.owed = owed;
    }

    fn hear_lines(&mut self, token: Token, lines: &str, now: Now) {
        let mut rest = lines;
        while !rest.is_empty() {
            rest = self.hub.receive(token, rest, usize::MAX, now);
            self.flush_pressing(now);
            self.send_disconnects(now);
        }
        #[cfg(feature = "host")]
        self.log_joins();
        self.mark_joined(token, now);
    }
}
