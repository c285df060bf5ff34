//! The wire protocol as types: one line ↔ one value.
//!
//! **Invariants**
//! - A line that parses into a [`FromClient`] has every key that its type needs, of the right type,
//!   no key twice, and a `body` nested no deeper than allowed. A `card` is an object, and no longer
//!   than allowed.
//! - An [`Id`] has no character that JSON would have to escape.
//! - A [`MidList`] has valid mids only.
//!
//! The state of the chat, and the order in which lines come, are not known here.

use std::borrow::{Borrow, Cow};
use std::rc::Rc;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::chat::card::Card;
#[cfg(feature = "host")]
use crate::chat::password::Password;
#[cfg(feature = "auth")]
use crate::chat::vouching::IdToken;
#[cfg(feature = "auth")]
use crate::limits::ID_TOKEN_LINES;
use crate::limits::{ID_BYTES_MAX, MIDS_PER_LINE};

mod fast;
mod mid;
mod nfc;
mod parse;
mod write;

pub use mid::{Mid, MidList, Mids, Prefix, Prefixes};
#[cfg(feature = "api")]
pub use parse::call;
#[cfg(feature = "api")]
pub use parse::call::Post;
pub use write::put_message_around;

/// A request of a client: the value of one line.
#[derive(Debug, PartialEq)]
pub enum FromClient<'a> {
    /// Claims an id. With a key it may also replace the connection that has the id.
    Join {
        /// The id to claim, not yet checked.
        id: Cow<'a, str>,
        /// The client's secrets.
        credentials: Credentials<'a>,
        /// The card of the id from now on, a JSON object byte for byte, if it has one.
        card: Card,
    },
    /// Sends a message to one id.
    Send {
        /// The recipient.
        to: Cow<'a, str>,
        /// Any JSON value, byte for byte.
        body: &'a str,
        /// The client's own name for the message, repeated in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Sends a short-lived notice to one id, such as "typing".
    Signal {
        /// The recipient.
        to: Cow<'a, str>,
        /// Any JSON value, byte for byte.
        body: &'a str,
    },
    /// Acknowledges messages: they have reached the user.
    Ack {
        /// The sender of the messages.
        to: Cow<'a, str>,
        /// Their mids.
        mids: MidList<'a>,
    },
    /// Asks for the presence of these ids, now and at every change.
    Watch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Ends a `watch`.
    Unwatch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Refuses messages and signals from these ids, and appears offline to them.
    Block {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Ends a `block`.
    Unblock {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Replaces or withdraws the card.
    Card {
        /// The card, a JSON object byte for byte; an empty one withdraws it.
        card: Card,
    },
    /// Asks for the card of one id.
    Lookup {
        /// The id.
        id: Cow<'a, str>,
    },
    /// Gives the id up, and ends the connection.
    Leave,
}

/// The secrets that a `join` shows, not yet checked.
#[derive(Debug, PartialEq)]
pub enum Credentials<'a> {
    /// The key of its id, if it has one.
    Key(Option<Cow<'a, str>>),
    /// Likewise, and secrets for a private server. In a box, so that a request stays as short as a
    /// `send`.
    #[cfg(feature = "host")]
    Private(Box<Private<'a>>),
}

/// The secrets that a `join` shows to a private server, and its key.
#[cfg(feature = "host")]
#[derive(Debug, Default, PartialEq)]
pub struct Private<'a> {
    /// The key of its id, if it has one.
    pub key: Option<Cow<'a, str>>,
    /// The password of the server.
    pub password: Option<Password<'a>>,
    /// The token of a login elsewhere.
    #[cfg(feature = "auth")]
    pub token: Option<IdToken<'a>>,
}

impl Credentials<'_> {
    /// Returns the key.
    pub fn key(&self) -> Option<&str> {
        match self {
            Credentials::Key(key) => key.as_deref(),
            #[cfg(feature = "host")]
            Credentials::Private(secrets) => secrets.key.as_deref(),
        }
    }

    /// Returns the password.
    #[cfg(feature = "host")]
    pub fn password(&self) -> Option<&Password<'_>> {
        match self {
            Credentials::Key(_) => None,
            Credentials::Private(secrets) => secrets.password.as_ref(),
        }
    }

    /// Returns the token.
    #[cfg(feature = "auth")]
    pub fn token(&self) -> Option<&IdToken<'_>> {
        match self {
            Credentials::Key(_) => None,
            Credentials::Private(secrets) => secrets.token.as_ref(),
        }
    }
}

impl FromClient<'_> {
    /// Returns the lines that the request is charged as: as many as it makes work for.
    pub fn cost(&self) -> usize {
        match self {
            FromClient::Watch { ids }
            | FromClient::Unwatch { ids }
            | FromClient::Block { ids }
            | FromClient::Unblock { ids } => ids.len(),
            FromClient::Ack { mids, .. } => mids.len().div_ceil(MIDS_PER_LINE),
            #[cfg(feature = "auth")]
            FromClient::Join { credentials, .. } if credentials.token().is_some() => ID_TOKEN_LINES,
            FromClient::Join { .. }
            | FromClient::Send { .. }
            | FromClient::Signal { .. }
            | FromClient::Card { .. }
            | FromClient::Lookup { .. }
            | FromClient::Leave => 1,
        }
    }
}

/// The part of a request that an error repeats, so that the client can tell which request it is
/// about: `ref` and `to`, as far as they are strings and not too long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tag<'a> {
    /// The request's `ref`.
    pub reference: Option<Cow<'a, str>>,
    /// The request's `to`.
    pub to: Option<Cow<'a, str>>,
}

/// One line of a client, parsed.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// The tag for an error about this line.
    pub tag: Tag<'a>,
    /// The request, or the sentence of a `bad_request`.
    pub request: Result<FromClient<'a>, String>,
}

impl<'a> Line<'a> {
    /// Returns the lines that it is charged as; one if it is a `bad_request`.
    pub fn cost(&self) -> usize {
        self.request.as_ref().map_or(1, FromClient::cost)
    }

    /// Reads the first line of a text, and returns it with the rest of the text. A blank line is
    /// `None`.
    pub fn first(text: &'a str) -> (Option<Line<'a>>, &'a str) {
        if let Some((line, rest)) = fast::first(text) {
            return (Some(line), rest);
        }
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        let is_blank = line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        ((!is_blank).then(|| parse::parse(line)), rest)
    }
}

/// The name that a client claims: 1 to 64 bytes of Unicode letters, marks, numbers and
/// `. _ - @ +`, in normalization form C. The first character is not a mark, and none is invisible.
/// Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Rc<str>);

impl Id {
    /// Returns `text` as an id, if it has the syntax of one.
    pub fn new(text: &str) -> Option<Id> {
        Id::is_valid(text).then(|| Id(text.into()))
    }

    /// Returns `true` if `text` has the syntax of an id.
    pub fn is_valid(text: &str) -> bool {
        let first_may_lead = text.chars().next().is_some_and(|first| !is_mark(first));
        first_may_lead
            && text.len() <= ID_BYTES_MAX
            && text.chars().all(may_stand_in_id)
            && nfc::is_nfc(text)
    }
}

impl std::ops::Deref for Id {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// Returns `true` if an id may have this character.
pub(super) fn may_stand_in_id(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    }
    matches!(c.general_category_group(), Letter | Mark | Number) && !is_default_ignorable(c)
}

/// Returns `true` for letters and marks among Unicode's Default_Ignorable_Code_Points
/// (DerivedCoreProperties.txt): fillers and variation selectors, with which two ids would look the
/// same.
fn is_default_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{34F}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// A line of the server.
#[derive(Debug)]
pub enum ToClient<'a> {
    /// The client has joined.
    Joined {
        /// The id that it has now.
        id: &'a Id,
        /// Whether the server still knew the id with this key, so nothing was lost in between.
        resumed: bool,
        /// Names the ownership of the id; `None` without a key.
        ownership: Option<u64>,
        /// The number of messages that are not acknowledged, and follow.
        held: usize,
        /// The time for which the id is kept after its connection ended, in seconds.
        hold: u64,
        /// Bytes of the longest WebSocket message that the server accepts.
        max_message: usize,
    },
    /// A message for the client.
    Message {
        /// The sender.
        from: &'a Id,
        /// The sender's JSON value, byte for byte.
        body: &'a str,
        /// The name of the message.
        mid: Mid,
        /// The time at which the server took it, in milliseconds since 1970 UTC.
        at: u64,
    },
    /// The server has taken a message of the client.
    Sent {
        /// The client's own name for the message.
        reference: &'a str,
        /// The server's name for it.
        mid: Mid,
        /// The time at which the server took it, in milliseconds since 1970 UTC.
        at: u64,
        /// Whether the recipient is away, so the message waits for it.
        held: bool,
    },
    /// Messages of the client were acknowledged by their recipient.
    Delivered {
        /// The recipient.
        from: &'a Id,
        /// The messages.
        mids: Mids<'a>,
    },
    /// Messages of the client were held, and dropped undelivered.
    Expired {
        /// The recipient.
        to: &'a Id,
        /// The messages.
        mids: Mids<'a>,
    },
    /// A signal for the client.
    Signal {
        /// The sender.
        from: &'a Id,
        /// The sender's JSON value, byte for byte.
        body: &'a str,
    },
    /// The state of an id that the client watches.
    Presence {
        /// The watched id.
        id: &'a Id,
        /// Whether it appears online.
        online: bool,
    },
    /// The card of an id that the client has asked for.
    Card {
        /// The id.
        id: &'a Id,
        /// Whether an owner or a client has the id, as far as the client may know.
        claimed: bool,
        /// The card, byte for byte.
        card: Option<&'a str>,
    },
    /// A request of the client was refused.
    Error {
        /// The reason, for programs.
        code: ErrorCode,
        /// The tag of the request.
        tag: &'a Tag<'a>,
        /// The reason and the remedy, for people.
        text: &'a str,
    },
}

/// The reason why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The line is not one of this protocol.
    BadRequest,
    /// A request other than `join` came before `joined`.
    NotJoined,
    /// A second `join` came on one connection.
    AlreadyJoined,
    /// An id does not have the syntax of one.
    BadId,
    /// The key is too short or too long.
    BadKey,
    /// Another client has this id.
    IdTaken,
    /// The recipient is not here, and no message is held for it.
    Offline,
    /// The recipient was too slow to read, and has been disconnected.
    Slow,
    /// The limit of messages held for the recipient, or of all that is kept for everybody, is
    /// reached; or that of cards.
    Full,
    /// A limit of this client, or of the server, is reached.
    TooMany,
    /// The server is private, and the join did not show that the client may join.
    #[cfg(feature = "host")]
    Forbidden,
}

impl ErrorCode {
    /// All codes, each at its own number.
    pub const ALL: [ErrorCode; 10 + cfg!(feature = "host") as usize] = [
        ErrorCode::BadRequest,
        ErrorCode::NotJoined,
        ErrorCode::AlreadyJoined,
        ErrorCode::BadId,
        ErrorCode::BadKey,
        ErrorCode::IdTaken,
        ErrorCode::Offline,
        ErrorCode::Slow,
        ErrorCode::Full,
        ErrorCode::TooMany,
        #[cfg(feature = "host")]
        ErrorCode::Forbidden,
    ];

    /// Returns the code as it stands in a line.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::NotJoined => "not_joined",
            ErrorCode::AlreadyJoined => "already_joined",
            ErrorCode::BadId => "bad_id",
            ErrorCode::BadKey => "bad_key",
            ErrorCode::IdTaken => "id_taken",
            ErrorCode::Offline => "offline",
            ErrorCode::Slow => "slow",
            ErrorCode::Full => "full",
            ErrorCode::TooMany => "too_many",
            #[cfg(feature = "host")]
            ErrorCode::Forbidden => "forbidden",
        }
    }
}

/// The reason why the chat ends a connection. Violations of WebSocket itself have codes of their
/// own (RFC 6455, 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client left.
    Normal,
    /// The server is shutting down.
    GoingAway,
    /// A binary message came; the protocol is text.
    Unsupported,
    /// No `join` came in time.
    Policy,
    /// The client was too slow to read its lines.
    TryAgainLater,
    /// Too many `bad_request`s came in a row.
    BadRequests,
    /// Another connection has joined under the same id, with the same key.
    Replaced,
    /// A backend has ended the connection.
    #[cfg(feature = "api")]
    Dismissed,
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        match code {
            CloseCode::Normal => 1000,
            CloseCode::GoingAway => 1001,
            CloseCode::Unsupported => 1003,
            CloseCode::Policy => 1008,
            CloseCode::TryAgainLater => 1013,
            CloseCode::BadRequests => 4000,
            CloseCode::Replaced => 4001,
            #[cfg(feature = "api")]
            CloseCode::Dismissed => 4002,
        }
    }
}

#[cfg(test)]
mod tests;
