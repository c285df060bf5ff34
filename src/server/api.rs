//! The calls of backends: from a request on a connection to the hub, and back.
//!
//! **Invariants**
//! - A call is answered at once, or as soon as its message is on disk.
//! - At most one entry of `waiting` stands for a connection, and each is that of a call under way,
//!   or of one that has ended since the list was last full.
//!
//! It does not know the syntax of requests and answers.

use super::{Disk, Server, Slot};
use crate::api::route::{Answer, Call};
use crate::api::token::Tokens;
use crate::limits::API_CONNECTIONS_MAX;
use crate::net::connection;
use crate::net::http::calls::Bearer;
use crate::net::stream::Stream;
use crate::time::Now;
use crate::token::Token;

/// The calls under way, and the tokens.
#[derive(Default)]
pub(super) struct Api {
    /// The tokens; none: there is no API.
    tokens: Option<Tokens>,
    pub(super) waiting: Vec<Waiting>,
}

/// An answer that waits for the disk.
pub(super) struct Waiting {
    token: Token,
    /// The mid that has to be on disk.
    mid: u64,
    answer: Answer,
}

impl<S: Stream, D: Disk> Server<S, D> {
    /// Opens the API to requests with the first of these tokens, and to no others.
    pub fn open_api(&mut self, tokens: Tokens) {
        self.shared.bearer = Some(Bearer::new(tokens.current()));
        self.api.tokens = Some(tokens);
    }

    /// Hands a call on to the hub.
    pub(super) fn call(&mut self, token: Token, call: connection::Call, now: Now) {
        let (answer, waits_for) =
            self.perform(token, call, now).unwrap_or_else(|answer| (answer, None));
        self.flush_pressing(now);
        self.send_disconnects(now);
        match waits_for {
            Some(mid) => self.await_disk(Waiting { token, mid, answer }),
            None => self.answer_call(token, answer, now),
        }
    }

    /// Returns the answer to a call, and the mid that has to be on disk before it is given.
    fn perform(
        &mut self,
        token: Token,
        call: connection::Call,
        now: Now,
    ) -> Result<(Answer, Option<u64>), Answer> {
        let connection::Call { method, path, query, mut body } = call;
        // In JSON a line feed is white space, and a message becomes a part of a line.
        body.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        let body = String::from_utf8(body).map_err(|_| Answer::not_text())?;
        let answer = match Call::read(method, &path, &query, &body)? {
            Call::Send(post) => {
                let keys = self.api.tokens.as_ref().map(|tokens| tokens.keys(&post.from));
                let posted = self.hub.post(token, &post, &keys.unwrap_or_default(), now);
                let posted = posted.map_err(|refused| Answer::refused(&refused))?;
                return Ok((Answer::sent(&posted), posted.waits_for));
            }
            Call::Presence(ids) => {
                let mut states = Vec::with_capacity(ids.len());
                for id in ids {
                    let online = self.hub.is_online(&id);
                    states.push((id, online.map_err(|refused| Answer::refused(&refused))?));
                }
                Answer::presence(&states)
            }
            Call::Disconnect(id) => {
                let disconnected = self.hub.disconnect(&id, now);
                let disconnected = disconnected.map_err(|refused| Answer::refused(&refused))?;
                Answer::disconnected(&id, disconnected)
            }
        };
        Ok((answer, None))
    }

    fn await_disk(&mut self, waiting: Waiting) {
        if self.api.waiting.len() == API_CONNECTIONS_MAX {
            // Their connections may have ended meanwhile.
            let slots = &self.slots;
            let is_calling = |one: &Waiting| {
                slots.get(one.token).is_some_and(|slot| slot.connection.is_calling())
            };
            self.api.waiting.retain(is_calling);
        }
        self.api.waiting.push(waiting);
    }

    /// Answers the calls with messages that are on disk by now.
    pub(super) fn answer_stored(&mut self, now: Now) {
        let hub = &self.hub;
        let stored: Vec<Waiting> =
            self.api.waiting.extract_if(.., |one| hub.has_stored(one.mid)).collect();
        for Waiting { token, answer, .. } in stored {
            self.answer_call(token, answer, now);
            self.settle(token, now);
        }
    }

    fn answer_call(&mut self, token: Token, answer: Answer, now: Now) {
        let Some(Slot { connection, .. }) = self.slots.get_mut(token) else { return };
        let Answer { status, field, json } = answer;
        let field = field.as_ref().map(|(name, value)| (*name, value.as_str()));
        connection.answer_call(status, field, json, now, &mut self.shared);
    }
}
