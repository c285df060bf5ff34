//! From the bytes of one connection to the effects of its lines: a part of `dispatch`.
//!
//! **Invariants**
//! - A client pays for its input with tokens, of which it may spend some in each turn. Input beyond
//!   them waits in its connection, so no client takes more of a turn, but for one line.
//! - At most one read is made.
//!
//! It does not know which connections have input.

use std::net::IpAddr;

use super::{Disk, Server, Slot};
use crate::chat::protocol::CloseCode;
use crate::limits::{QUEUED_BYTES_MAX, TOKENS_PER_LINE};
use crate::net::connection::{Incoming, Postponed};
use crate::net::frames::{Input, Text};
use crate::net::stream::Stream;
use crate::time::Now;
use crate::token::Token;

impl<S: Stream, D: Disk> Server<S, D> {
    /// Hands on the input of one connection: the rest of an earlier read, and then, if there are
    /// tokens left, one read.
    pub(super) fn receive(&mut self, token: Token, now: Now) {
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        if let Some(mut postponed) = connection.take_postponed(now, &mut self.shared) {
            let tokens = connection.tokens(now, &self.shared);
            let (text, bytes) = postponed.parts();
            let mut input = Input::new(bytes, tokens);
            let text = self.hand_on(token, text, &mut input, now);
            let (spent, left) = (input.spent(), input.rest().len());
            let may_read = !input.is_overdrawn();
            postponed.keep(text, left);
            self.charge(token, spent, postponed, now);
            if !may_read {
                return;
            }
        }
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        if !connection.wants_read() {
            return;
        }
        // The input borrows the buffer while other fields of the server change, so it is taken out.
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut input = connection.receive(&mut buffer, now, &mut self.shared);
        let text = self.hand_on(token, None, &mut input, now);
        let spent = input.spent();
        let rest = Postponed::new(text, &mut input);
        self.read_buffer = buffer;
        self.charge(token, spent, rest, now);
    }

    /// Charges a client for its input, and keeps the rest that it has no tokens for.
    fn charge(&mut self, token: Token, spent: usize, rest: Postponed, now: Now) {
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        if !rest.is_empty() {
            connection.postpone(rest, now, &mut self.shared);
        }
        connection.charge(spent, now, &self.shared);
        if connection.queued() > QUEUED_BYTES_MAX {
            self.write(token, now);
        }
    }

    /// Hands on the rest of a text, and then the input behind it, until its client has no tokens
    /// left. Returns the unheard rest of a text.
    fn hand_on(
        &mut self,
        token: Token,
        text: Option<Text<'static>>,
        input: &mut Input<'_>,
        now: Now,
    ) -> Option<Text<'static>> {
        if let Some(mut text) = text {
            self.hear(token, &mut text, input, now);
            if !text.is_empty() {
                return Some(text);
            }
        }
        while let Some(Slot { connection, .. }) = self.slots.get_mut(token)
            && let Some(incoming) = connection.next(input, now, &mut self.shared)
        {
            match incoming {
                Incoming::Open(client) => {
                    self.open(token, client);
                    #[cfg(feature = "peerjs")]
                    self.open_peer(token, now);
                }
                Incoming::Text(mut text) => {
                    self.hear(token, &mut text, input, now);
                    if !text.is_empty() {
                        return Some(text.into_owned());
                    }
                }
                Incoming::Binary(_) => {
                    self.hub.close(token, CloseCode::Unsupported, now);
                    self.send_disconnects(now);
                }
                #[cfg(feature = "api")]
                Incoming::Call(call) => self.call(token, call, now),
                Incoming::Closed => self.answer_before_close(token),
            }
        }
        None
    }

    /// Adds a client to the hub. `client` is its address, if a proxy has told it.
    fn open(&mut self, token: Token, client: Option<IpAddr>) {
        if client.is_some() {
            self.shared.addresses.enter(token.key(), client);
            #[cfg(feature = "host")]
            self.joins.enter(token.key(), client);
        }
        self.hub.open(token, self.shared.addresses.payer(token.key()));
        #[cfg(feature = "auth")]
        if let Some(id) = self.shared.named_id.take() {
            self.hub.name(token, id);
        }
    }

    /// Has the hub hear the lines of a text, until the tokens are used up. A text costs a line at
    /// least.
    fn hear(&mut self, token: Token, text: &mut Text<'_>, input: &mut Input<'_>, now: Now) {
        #[cfg(feature = "peerjs")]
        if self.hear_peer(token, text, input, now) {
            return;
        }
        let before = self.hub.tokens_charged();
        while !text.is_empty() && !input.is_overdrawn() {
            let so_far = self.hub.tokens_charged();
            let rest = self.hub.receive(token, text, input.tokens_left(), now).len();
            text.leave(rest);
            input.spend(self.hub.tokens_charged().wrapping_sub(so_far));
            self.flush_pressing(now);
            self.send_disconnects(now);
        }
        let cost = self.hub.tokens_charged().wrapping_sub(before);
        input.spend(TOKENS_PER_LINE.saturating_sub(cost));
        #[cfg(feature = "host")]
        self.log_joins();
        self.mark_joined(token, now);
    }

    /// Puts the answers to the last lines of a peer in front of our answer to its close frame.
    fn answer_before_close(&mut self, token: Token) {
        let text = self.hub.take_text(token);
        if !text.is_empty()
            && let Some(slot) = self.slots.get_mut(token)
            && slot.hears_lines()
        {
            slot.connection.send_before_close(&text, &mut self.shared);
        }
        self.hub.written(token, text, 0);
    }

    /// Tells the connection of a client that has joined, so that its join timeout ends.
    pub(super) fn mark_joined(&mut self, token: Token, now: Now) {
        let Some(slot) = self.slots.get_mut(token) else { return };
        if !slot.connection.has_joined() && self.hub.has_joined(token) {
            slot.connection.mark_joined(now);
        }
    }
}
