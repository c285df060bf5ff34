//! The journal: each change of state that outlives a connection, as a plain value, for a store.
//!
//! [`Owners`](crate::chat::owners::Owners) makes all these changes, and tells each to its
//! [`Journal`]. Without a store that is [`NoJournal`], which does nothing. With one it is a
//! [`Recorder`], which writes the changes one behind the other into one buffer. The loop takes the
//! buffer as a [`Batch`], and the store makes one transaction of it.
//!
//! **Invariants**
//! - Changes are read in the order in which they were recorded, and all of them are read.
//! - Recording allocates only to make the buffer longer: two buffers go back and forth between the
//!   loop and the store.
//!
//! Disks, threads and the lines that wait for a disk are not known here.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::chat::outbox::Pieces;
use crate::limits::BATCH_BYTES_KEPT;
use crate::time::Uptime;

#[cfg(test)]
pub(crate) mod image;

/// A change of state that outlives a connection. Ownerships are named by their
/// [numbers](crate::chat::owners::OwnerToken::number), messages by the counts of their mids.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// An id has an owner.
    Claimed {
        /// The ownership.
        owner: u64,
        /// The id.
        id: &'a str,
        /// The SHA-256 of the owner's key.
        key_hash: [u8; 32],
        /// The number of the payer; `None`: exempt.
        payer: Option<u64>,
    },
    /// The client of an ownership is connected again.
    Returned {
        /// The ownership.
        owner: u64,
    },
    /// The connection of an ownership's client has ended.
    Left {
        /// The ownership.
        owner: u64,
        /// The time, in milliseconds of [`Uptime`].
        uptime_ms: u64,
    },
    /// An ownership has ended. Its messages and sends were reported before, one by one.
    Released {
        /// The ownership.
        owner: u64,
    },
    /// An owner blocks an id.
    Blocked {
        /// The ownership.
        owner: u64,
        /// The blocked id.
        id: &'a str,
    },
    /// An owner no longer blocks an id.
    Unblocked {
        /// The ownership.
        owner: u64,
        /// The id.
        id: &'a str,
    },
    /// An owned id has this card from now on.
    Published {
        /// The ownership.
        owner: u64,
        /// The card.
        card: &'a str,
    },
    /// An owned id has no card any more.
    Withdrawn {
        /// The ownership.
        owner: u64,
    },
    /// A message is held.
    Held {
        /// The message.
        mid: u64,
        /// The ownership that it is held for.
        owner: u64,
        /// The id of its sender.
        from: &'a str,
        /// The ownership of its sender; `None`: a client without a key.
        sender: Option<u64>,
        /// The number of the payer; `None`: exempt.
        payer: Option<u64>,
        /// The line, as it leaves.
        line: Pieces<'a>,
    },
    /// A message is no longer held: it is acknowledged, or its recipient's ownership ends.
    Unheld {
        /// The message.
        mid: u64,
    },
    /// A send is remembered.
    Remembered {
        /// The message.
        mid: u64,
        /// The ownership of its sender.
        sender: u64,
        /// The [hash](Journal::hash_send) of `ref`, recipient and body.
        hash: u64,
        /// The time at which the server took it, in milliseconds since 1970 UTC.
        at: u64,
        /// The id of its recipient.
        to: &'a str,
        /// Whether it was answered with `"held":true`.
        held: bool,
    },
    /// The fate of a remembered send is decided.
    Decided {
        /// The message.
        mid: u64,
        /// Whether it expired; else it was delivered.
        expired: bool,
    },
    /// A send is no longer remembered.
    Forgotten {
        /// The message.
        mid: u64,
    },
}

/// The changes of some turns, for one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<u8>,
    /// The count of the newest mid.
    pub newest_mid: u64,
    /// The generation of the newest ownership, from which the next ones go on.
    pub generation: u32,
    /// The time for which the server has been up, in milliseconds of [`Uptime`].
    pub uptime_ms: u64,
}

impl Batch {
    /// Returns the length of all changes in bytes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns `true` if there are no changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Iterates over the changes, oldest first.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let mut rest = Fields(&self.changes);
        std::iter::from_fn(move || Change::read(&mut rest))
    }
}

/// Where [`Owners`](crate::chat::owners::Owners) reports its changes.
pub trait Journal {
    /// Whether changes are recorded. If not, no line has to wait for a disk.
    const RECORDS: bool;

    /// Records a change.
    fn record(&mut self, change: &Change<'_>);

    /// Returns the bytes of the changes that were recorded and not taken yet.
    fn recorded_bytes(&self) -> usize;

    /// Takes all changes recorded so far. `spare` is an earlier batch, to use its buffer again.
    fn take(&mut self, spare: Batch) -> Batch;

    /// Returns the clock that goes on over restarts, if there is one.
    fn uptime(&self) -> Option<Uptime>;

    /// Hashes `ref`, recipient and body of a send, to find a repeated one. The keys are secret, so
    /// no client can construct two sends with one hash.
    fn hash_send(&self, reference: &str, to: &str, body: &str) -> u64;

    /// Hashes the number of an ownership, to name it to its client. The hash of a number is the
    /// same as long as the ownership with it can last: in one run, or in all runs with one store.
    fn hash_owner(&self, number: u64) -> u64;
}

/// The journal of a server without a store.
#[derive(Default)]
pub struct NoJournal(RandomState);

impl Journal for NoJournal {
    const RECORDS: bool = false;

    fn record(&mut self, _: &Change<'_>) {}

    fn recorded_bytes(&self) -> usize {
        0
    }

    fn take(&mut self, spare: Batch) -> Batch {
        spare
    }

    fn uptime(&self) -> Option<Uptime> {
        None
    }

    fn hash_send(&self, reference: &str, to: &str, body: &str) -> u64 {
        self.0.hash_one((reference, to, body))
    }

    fn hash_owner(&self, number: u64) -> u64 {
        self.0.hash_one(number)
    }
}

/// The journal of a server with a store.
pub struct Recorder<H> {
    changes: Vec<u8>,
    uptime: Uptime,
    hasher: H,
}

impl<H: BuildHasher> Recorder<H> {
    /// Creates a journal without changes. `hasher` has to hash equally in each run.
    pub fn new(uptime: Uptime, hasher: H) -> Recorder<H> {
        Recorder { changes: Vec::new(), uptime, hasher }
    }
}

impl<H: BuildHasher> Journal for Recorder<H> {
    const RECORDS: bool = true;

    fn record(&mut self, change: &Change<'_>) {
        change.write(&mut self.changes);
    }

    fn recorded_bytes(&self) -> usize {
        self.changes.len()
    }

    fn take(&mut self, mut spare: Batch) -> Batch {
        spare.changes.clear();
        spare.changes.shrink_to(BATCH_BYTES_KEPT);
        std::mem::swap(&mut spare.changes, &mut self.changes);
        spare
    }

    fn uptime(&self) -> Option<Uptime> {
        Some(self.uptime)
    }

    fn hash_send(&self, reference: &str, to: &str, body: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        // The standard library does not say which bytes it hashes for a string, and may change
        // them with any version.
        for text in [reference, to] {
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
        hasher.write(body.as_bytes());
        hasher.finish()
    }

    fn hash_owner(&self, number: u64) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        // No hash of a send is of so few bytes.
        hasher.write(&number.to_le_bytes());
        hasher.finish()
    }
}

// ---- changes as bytes ----

const CLAIMED: u8 = 0;
const RETURNED: u8 = 1;
const LEFT: u8 = 2;
const RELEASED: u8 = 3;
const BLOCKED: u8 = 4;
const UNBLOCKED: u8 = 5;
const HELD: u8 = 6;
const UNHELD: u8 = 7;
const REMEMBERED: u8 = 8;
const DECIDED: u8 = 9;
const FORGOTTEN: u8 = 10;
const PUBLISHED: u8 = 11;
const WITHDRAWN: u8 = 12;

impl<'a> Change<'a> {
    /// Appends the change to a buffer: its kind, then its fields in order.
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Change::Claimed { owner, id, key_hash, payer } => {
                put(out, CLAIMED, [owner]);
                put_text(out, id.into());
                out.extend_from_slice(&key_hash);
                put_optional(out, payer);
            }
            Change::Returned { owner } => put(out, RETURNED, [owner]),
            Change::Left { owner, uptime_ms } => put(out, LEFT, [owner, uptime_ms]),
            Change::Released { owner } => put(out, RELEASED, [owner]),
            Change::Blocked { owner, id } => {
                put(out, BLOCKED, [owner]);
                put_text(out, id.into());
            }
            Change::Unblocked { owner, id } => {
                put(out, UNBLOCKED, [owner]);
                put_text(out, id.into());
            }
            Change::Published { owner, card } => {
                put(out, PUBLISHED, [owner]);
                put_text(out, card.into());
            }
            Change::Withdrawn { owner } => put(out, WITHDRAWN, [owner]),
            Change::Held { mid, owner, from, sender, payer, line } => {
                put(out, HELD, [mid, owner]);
                put_text(out, from.into());
                put_optional(out, sender);
                put_optional(out, payer);
                put_text(out, line);
            }
            Change::Unheld { mid } => put(out, UNHELD, [mid]),
            Change::Remembered { mid, sender, hash, at, to, held } => {
                put(out, REMEMBERED, [mid, sender, hash, at]);
                put_text(out, to.into());
                out.push(held.into());
            }
            Change::Decided { mid, expired } => {
                put(out, DECIDED, [mid]);
                out.push(expired.into());
            }
            Change::Forgotten { mid } => put(out, FORGOTTEN, [mid]),
        }
    }

    /// Reads the next change; `None` at the end.
    fn read(fields: &mut Fields<'a>) -> Option<Change<'a>> {
        Some(match fields.byte()? {
            CLAIMED => Change::Claimed {
                owner: fields.number()?,
                id: fields.text()?,
                key_hash: *fields.bytes(32)?.first_chunk()?,
                payer: fields.optional()?,
            },
            RETURNED => Change::Returned { owner: fields.number()? },
            LEFT => Change::Left { owner: fields.number()?, uptime_ms: fields.number()? },
            RELEASED => Change::Released { owner: fields.number()? },
            BLOCKED => Change::Blocked { owner: fields.number()?, id: fields.text()? },
            UNBLOCKED => Change::Unblocked { owner: fields.number()?, id: fields.text()? },
            PUBLISHED => Change::Published { owner: fields.number()?, card: fields.text()? },
            WITHDRAWN => Change::Withdrawn { owner: fields.number()? },
            HELD => Change::Held {
                mid: fields.number()?,
                owner: fields.number()?,
                from: fields.text()?,
                sender: fields.optional()?,
                payer: fields.optional()?,
                line: fields.text()?.into(),
            },
            UNHELD => Change::Unheld { mid: fields.number()? },
            REMEMBERED => Change::Remembered {
                mid: fields.number()?,
                sender: fields.number()?,
                hash: fields.number()?,
                at: fields.number()?,
                to: fields.text()?,
                held: fields.byte()? != 0,
            },
            DECIDED => Change::Decided { mid: fields.number()?, expired: fields.byte()? != 0 },
            FORGOTTEN => Change::Forgotten { mid: fields.number()? },
            _ => return None,
        })
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, kind: u8, numbers: [u64; N]) {
    out.push(kind);
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn put_optional(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(number.is_some().into());
    out.extend_from_slice(&number.unwrap_or_default().to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: Pieces<'_>) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    text.append_to(out);
}

/// The unread rest of a batch.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes(8)?.first_chunk()?))
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        let is_there = self.byte()? != 0;
        let number = self.number()?;
        Some(is_there.then_some(number))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()? as usize;
        str::from_utf8(self.bytes(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// One change of each kind, with values at their limits.
    fn changes() -> Vec<Change<'static>> {
        let line = Pieces([br#"{"body":""#, "Grüße".as_bytes(), br#""}"#]);
        let (owner, mid, most) = (7, u64::MAX, u64::MAX);
        vec![
            Change::Claimed { owner, id: "älice", key_hash: [9; 32], payer: Some(most) },
            Change::Claimed { owner: 0, id: "b", key_hash: [0; 32], payer: None },
            Change::Returned { owner },
            Change::Left { owner, uptime_ms: most },
            Change::Released { owner },
            Change::Blocked { owner, id: "bob" },
            Change::Unblocked { owner, id: "bob" },
            Change::Published { owner, card: r#"{"ü":1}"# },
            Change::Withdrawn { owner: most },
            Change::Held { mid, owner, from: "a", sender: Some(0), payer: None, line },
            Change::Unheld { mid },
            Change::Remembered { mid, sender: 1, hash: most, at: 5, to: "bob", held: true },
            Change::Decided { mid, expired: true },
            Change::Decided { mid, expired: false },
            Change::Forgotten { mid },
        ]
    }

    /// The text of a change, with its line as one piece.
    fn text(change: Change<'_>) -> String {
        let Change::Held { mid, owner, from, sender, payer, line } = change else {
            return format!("{change:?}");
        };
        let line = String::from_utf8(line.0.concat()).expect("UTF-8");
        format!("{mid} {owner} {from} {sender:?} {payer:?} {line}")
    }

    #[test]
    fn changes_are_read_as_they_were_recorded() {
        let uptime = Uptime::starting(Instant::now(), 0);
        let mut recorder = Recorder::new(uptime, RandomState::new());
        let mut batch = Batch::default();
        for _ in 0..2 {
            changes().iter().for_each(|change| recorder.record(change));
            batch = recorder.take(batch);
            assert_eq!((batch.is_empty(), recorder.recorded_bytes()), (false, 0));
            let expected: Vec<String> = changes().into_iter().map(text).collect();
            assert_eq!(batch.changes().map(text).collect::<Vec<_>>(), expected);
        }
        let cut = Batch { changes: batch.changes[..batch.len() - 1].to_vec(), ..batch };
        assert_eq!(cut.changes().count(), changes().len() - 1, "half a change is none");
    }

    #[test]
    fn sends_that_differ_in_any_part_have_different_hashes() {
        let recorder = Recorder::new(Uptime::starting(Instant::now(), 0), RandomState::new());
        let mut hashes = std::collections::BTreeSet::new();
        for (reference, to, body) in
            [("r", "bob", "1"), ("rb", "ob", "1"), ("r", "bob1", ""), ("rbob", "", "1")]
        {
            assert!(hashes.insert(recorder.hash_send(reference, to, body)));
            assert!(!hashes.insert(recorder.hash_send(reference, to, body)));
        }
    }
}
