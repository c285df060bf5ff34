//! The card of one id: a JSON object that its client publishes, passed on byte for byte.
//!
//! **Invariants**
//! - An id without a card takes one empty pointer.
//!
//! The meaning of a card is not known here, nor anywhere else in the server.

use crate::limits::CARD_BYTES;

/// The card of one id, if it has one.
///
/// A request has one, too. A reference to its text would be longer than that of a `body` and make
/// every request 8 bytes longer: 2 % more instructions for each message.
#[derive(Debug, Default, PartialEq)]
pub struct Card(Option<Box<Box<str>>>);

impl Card {
    /// Returns a card with this text.
    pub fn new(text: &str) -> Card {
        Card(Some(Box::new(text.into())))
    }

    /// Returns the text.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref().map(|text| &**text)
    }

    /// Returns the bytes that it is counted as: none if it is empty.
    pub fn bytes(&self) -> usize {
        self.text().map_or(0, |text| CARD_BYTES + text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_card_is_a_pointer_and_counts_nothing() {
        assert_eq!(size_of::<Card>(), 8);
        let empty = Card::default();
        assert_eq!((empty.text(), empty.bytes()), (None, 0));
        let card = Card::new("{}");
        assert_eq!((card.text(), card.bytes()), (Some("{}"), CARD_BYTES + 2));
    }
}
