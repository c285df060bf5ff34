//! Cards: a client publishes one for its id, and any client looks it up.
//!
//! A card is a JSON object that the server keeps and passes on, and does not read. The card of an
//! owned id is kept with the ownership, any other with the connection.
//!
//! **Invariants**
//! - A card is charged to the account that pays for its id, until it is replaced or withdrawn, or
//!   its id is free.
//! - A refused card changes nothing: the one before stays. To withdraw a card is never refused.
//!
//! The syntax of a card is not known here.

use super::Hub;
use super::requests::{DISK_BUSY, Refusal, Sender, parse_id, refuse};
use crate::chat::card::Card;
use crate::chat::journal::Journal;
use crate::chat::owners::Holder;
use crate::chat::payers::{Excess, Total};
use crate::chat::protocol::{ErrorCode, ToClient};
use crate::time::Now;

impl<J: Journal> Hub<J> {
    /// Replaces the card of a client's id, or withdraws it.
    pub(super) fn set_card(&mut self, from: &Sender, card: Card) -> Result<(), Refusal> {
        let before = self.card(from.holder());
        // A page publishes its card with each join: mostly that changes nothing.
        if before == Some(&card) {
            return Ok(());
        }
        let (before, bytes) = (before.map_or(0, Card::bytes), card.bytes());
        if card.text().is_some() && from.owner.is_some() && !self.can_record(from.account) {
            return refuse(ErrorCode::Full, DISK_BUSY);
        }
        let account = self.account_of_id(from);
        self.payers.check(account, Total::Cards, bytes.saturating_sub(before)).or_else(
            |excess| {
                let text = match excess {
                    Excess::Payer => "too many cards are kept for your network: withdraw one first",
                    Excess::Total => "too many cards are kept on this server: try again later",
                };
                refuse(ErrorCode::Full, text)
            },
        )?;
        self.payers.give(account, Total::Cards, before);
        self.payers.take(account, Total::Cards, bytes);
        match from.owner {
            Some(owner) => drop(self.owners.set_card(owner, card)),
            None => {
                if let Some(client) = self.clients.get_mut(from.token) {
                    client.card = card;
                }
            }
        }
        Ok(())
    }

    /// Tells a client the card of an id, and whether the id is taken. An id that blocks the client
    /// looks free.
    pub(super) fn lookup(&mut self, from: &Sender, id: &str, now: Now) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        let holder = self.ids.get(&id).copied();
        let holder = holder.filter(|holder| !self.holder_blocks(*holder, &from.id));
        let card = holder.and_then(|holder| self.card(holder)).and_then(Card::text);
        let card = card.map(str::to_owned);
        let line = ToClient::Card { id: &id, claimed: holder.is_some(), card: card.as_deref() };
        self.answer(from.token, &line, now);
        Ok(())
    }

    pub(super) fn card(&self, holder: Holder) -> Option<&Card> {
        match holder {
            Holder::Client(token) => self.clients.get(token).map(|client| &client.card),
            Holder::Owner(owner) => self.owners.card(owner),
        }
    }
}
