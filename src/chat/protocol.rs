//! The wire protocol as types: one line ↔ one value. Who says what when is the hub's.
//!
//! Invariant: a line that parses into a [`FromClient`] has every key it needs, of its type, none
//! twice, and a `body` no deeper than allowed; an [`Id`] holds nothing that JSON would have to
//! escape.

use std::borrow::{Borrow, Cow};
use std::rc::Rc;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::limits::ID_BYTES_MAX;

mod fast;
mod mid;
mod parse;
mod write;

pub use mid::{Mid, MidList, Mids, Prefix};

/// What a client says in one line.
#[derive(Debug, PartialEq)]
pub enum FromClient<'a> {
    /// Claim an id; with a key, also from a connection that still holds it.
    Join {
        /// The id to claim, not yet looked at.
        id: Cow<'a, str>,
        /// The client's secret, not yet looked at.
        key: Option<Cow<'a, str>>,
    },
    /// Route a message to one client.
    Send {
        /// Whom to.
        to: Cow<'a, str>,
        /// Any JSON value, as it came.
        body: &'a str,
        /// What the client wants it called in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Route something of passing interest.
    Signal {
        /// Whom to.
        to: Cow<'a, str>,
        /// Any JSON value, as it came.
        body: &'a str,
    },
    /// These messages have reached my user.
    Ack {
        /// Who sent them.
        to: Cow<'a, str>,
        /// Their names.
        mids: MidList<'a>,
    },
    /// Tell me whether these are here, now and at every change.
    Watch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Stop telling me.
    Unwatch {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Refuse what these say, and look offline to them.
    Block {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// End that.
    Unblock {
        /// One id or more.
        ids: Vec<Cow<'a, str>>,
    },
    /// Give the id up.
    Leave,
}

/// What an answer needs to say which request it answers: `ref` and `to`, where they are strings
/// that are not too long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tag<'a> {
    /// The request's `ref`.
    pub reference: Option<Cow<'a, str>>,
    /// The request's `to`.
    pub to: Option<Cow<'a, str>>,
}

/// One line: what it says, or what is wrong with it in a sentence for people, and how to refer to
/// it.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// How to refer to it.
    pub tag: Tag<'a>,
    /// What it says; an error is a `bad_request`.
    pub request: Result<FromClient<'a>, String>,
}

impl<'a> Line<'a> {
    /// Reads the first line of a text, and gives what stands behind it; none: the line is blank.
    pub fn first(text: &'a str) -> (Option<Line<'a>>, &'a str) {
        if let Some((line, behind)) = fast::first(text) {
            return (Some(line), behind);
        }
        let (line, behind) = text.split_once('\n').unwrap_or((text, ""));
        let is_blank = line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        ((!is_blank).then(|| parse::parse(line)), behind)
    }
}

/// The name a client claims: 1 to 64 bytes, each character a Unicode letter, mark or number or one
/// of `. _ - @ +`, the first not a mark, none invisible. Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Rc<str>);

impl Id {
    /// The id that `text` is, if it is one.
    pub fn new(text: &str) -> Option<Id> {
        Id::is_valid(text).then(|| Id(text.into()))
    }

    /// Does `text` have an id's syntax?
    pub fn is_valid(text: &str) -> bool {
        let first_may_lead = text.chars().next().is_some_and(|first| !is_mark(first));
        first_may_lead && text.len() <= ID_BYTES_MAX && text.chars().all(may_stand_in_id)
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

fn may_stand_in_id(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    }
    matches!(c.general_category_group(), Letter | Mark | Number) && !is_default_ignorable(c)
}

/// The letters and marks among Unicode's Default_Ignorable_Code_Points (DerivedCoreProperties.txt):
/// fillers and variation selectors, with which two ids would look the same.
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34F}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}')
}

/// What the server says in one line.
#[derive(Debug)]
pub enum ToClient<'a> {
    /// The claim stands.
    Joined {
        /// The id that was claimed.
        id: &'a Id,
        /// The server still knew the id with this key: nothing was lost in between.
        resumed: bool,
        /// How many messages are not acknowledged, and follow.
        held: usize,
        /// How long the id is kept after its connection ended, in seconds.
        hold: u64,
        /// Bytes of the longest WebSocket message that the server takes.
        max_message: usize,
    },
    /// Somebody's `send`.
    Message {
        /// Whose.
        from: &'a Id,
        /// As it came.
        body: &'a str,
        /// Its name.
        mid: Mid,
        /// When the server took it, in milliseconds since 1970 UTC.
        at: u64,
    },
    /// The server has taken a message.
    Sent {
        /// What its sender calls it.
        reference: &'a str,
        /// Its name.
        mid: Mid,
        /// When, in milliseconds since 1970 UTC.
        at: u64,
        /// The recipient is away, and the message waits for it.
        held: bool,
    },
    /// The recipient's page has acknowledged these.
    Delivered {
        /// The recipient.
        from: &'a Id,
        /// Which.
        mids: Mids<'a>,
    },
    /// These were held and dropped undelivered.
    Expired {
        /// The recipient.
        to: &'a Id,
        /// Which.
        mids: Mids<'a>,
    },
    /// Somebody's `signal`.
    Signal {
        /// Whose.
        from: &'a Id,
        /// As it came.
        body: &'a str,
    },
    /// The state of a watched id.
    Presence {
        /// Whose.
        id: &'a Id,
        /// Whether it is here.
        online: bool,
    },
    /// Something the client said was refused.
    Error {
        /// Why, for programs.
        code: ErrorCode,
        /// What.
        tag: &'a Tag<'a>,
        /// Why, for people.
        text: &'a str,
    },
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Not a line of this protocol.
    BadRequest,
    /// Anything but `join` before `joined`.
    NotJoined,
    /// A second `join`.
    AlreadyJoined,
    /// An id outside the syntax.
    BadId,
    /// A key that is too short or too long.
    BadKey,
    /// Somebody else holds this id.
    IdTaken,
    /// The recipient is not here.
    Offline,
    /// The recipient was too slow to read, and has been disconnected.
    Slow,
    /// What is held for the recipient, or for everybody, has reached its limit.
    Full,
    /// A limit on this client was reached.
    TooMany,
}

impl ErrorCode {
    /// All of them, each at its own number.
    pub const ALL: [ErrorCode; 10] = [
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
    ];

    /// The code as it goes over the wire.
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
        }
    }
}

/// Why the chat ends a connection. What WebSocket itself finds wrong has codes of its own (RFC
/// 6455, 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client left.
    Normal,
    /// The server is shutting down.
    GoingAway,
    /// A binary message; the protocol is text.
    Unsupported,
    /// No `join` in time.
    Policy,
    /// The client was too slow to read what was sent to it.
    TryAgainLater,
    /// Too many refused lines in a row.
    BadRequests,
    /// The same id joined again elsewhere, with the same key.
    Replaced,
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
        }
    }
}

#[cfg(test)]
mod tests;
