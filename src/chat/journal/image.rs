//! A play disk, for tests: the tables that a store keeps, as plain data.
//!
//! It says in a few lines what the changes mean, so the store is tested against it, too.

use std::collections::BTreeMap;
use std::hash::RandomState;

use super::*;
use crate::chat::hub::{Hub, Limits};
use crate::chat::owners::Fate;
use crate::chat::owners::restore::{SavedHeld, SavedMessage, SavedOwner, SavedSend};
use crate::chat::protocol::{Id, Prefixes};
use crate::time::Now;

/// The contents of a disk.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub owners: BTreeMap<u64, SavedOwner>,
    pub messages: BTreeMap<u64, Row>,
    pub newest_mid: u64,
    pub generation: u32,
    pub uptime_ms: u64,
    /// First count and prefix of each run.
    pub runs: Vec<(u64, u64)>,
    /// The keys of the hash of sends.
    pub hasher: RandomState,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub sender: Option<u64>,
    pub held: Option<Held>,
    pub sent: Option<SavedSend>,
}

/// Its held part: recipient, sender's id, payer and line.
pub type Held = (u64, String, Option<u64>, Vec<u8>);

impl Image {
    /// Makes the changes of a batch.
    pub fn apply(&mut self, batch: &Batch) {
        batch.changes().for_each(|change| self.change(change));
        (self.newest_mid, self.generation) = (batch.newest_mid, batch.generation);
        self.uptime_ms = batch.uptime_ms;
    }

    fn change(&mut self, change: Change<'_>) {
        match change {
            Change::Claimed { owner, id, key_hash, payer } => {
                let saved = SavedOwner {
                    number: owner,
                    id: id_of(id),
                    key_hash,
                    payer,
                    away_ms: None,
                    blocked: Vec::new(),
                    card: None,
                };
                assert!(self.owners.insert(owner, saved).is_none());
            }
            Change::Returned { owner } => self.owner(owner).away_ms = None,
            Change::Left { owner, uptime_ms } => self.owner(owner).away_ms = Some(uptime_ms),
            Change::Released { owner } => {
                self.owners.remove(&owner).expect("an owner");
                let of = |row: &Row| row.held.as_ref().is_some_and(|held| held.0 == owner);
                assert!(!self.messages.values().any(of), "its messages were reported before");
            }
            Change::Blocked { owner, id } => {
                let blocked = &mut self.owner(owner).blocked;
                blocked.retain(|known| **known != *id);
                blocked.push(id_of(id));
            }
            Change::Unblocked { owner, id } => {
                self.owner(owner).blocked.retain(|known| **known != *id);
            }
            Change::Published { owner, card } => self.owner(owner).card = Some(card.to_owned()),
            Change::Withdrawn { owner } => self.owner(owner).card = None,
            Change::Held { mid, owner, from, sender, payer, line } => {
                let held = Some((owner, from.to_owned(), payer, line.0.concat()));
                let row = Row { sender, held, sent: None };
                assert!(self.messages.insert(mid, row).is_none());
            }
            Change::Unheld { mid } => self.part(mid, |row| row.held = None),
            Change::Remembered { mid, sender, hash, at, to, held } => {
                let empty = Row { sender: Some(sender), held: None, sent: None };
                let row = self.messages.entry(mid).or_insert(empty);
                assert_eq!(row.sender, Some(sender));
                row.sent = Some(SavedSend { hash, at, to: id_of(to), held, fate: Fate::Open });
            }
            Change::Decided { mid, expired } => {
                let fate = if expired { Fate::Expired } else { Fate::Delivered };
                self.part(mid, |row| row.sent.as_mut().expect("it is remembered").fate = fate);
            }
            Change::Forgotten { mid } => self.part(mid, |row| row.sent = None),
        }
    }

    fn owner(&mut self, owner: u64) -> &mut SavedOwner {
        self.owners.get_mut(&owner).expect("an owner")
    }

    /// Changes a message, and removes it if neither part is left.
    fn part(&mut self, mid: u64, change: impl FnOnce(&mut Row)) {
        let row = self.messages.get_mut(&mid).expect("a message");
        change(row);
        if row.held.is_none() && row.sent.is_none() {
            self.messages.remove(&mid);
        }
    }

    /// Starts a hub, as if the program were started with this disk.
    pub fn start(&mut self, limits: Limits, prefix: u64, now: Now) -> Hub<Recorder<RandomState>> {
        self.runs.push((self.newest_mid + 1, prefix));
        let mut prefixes = Prefixes::default();
        self.runs.iter().for_each(|(first, prefix)| prefixes.begin(*first, (*prefix).into()));
        let uptime = Uptime::starting(now.instant, self.uptime_ms);
        let journal = Recorder::new(uptime, self.hasher.clone());
        let mut hub = Hub::with_journal(limits, prefixes, journal);
        let owners = self.owners.values().cloned().collect();
        hub.restore_owners(owners, self.generation, self.newest_mid, now.instant);
        for (mid, Row { sender, held, sent }) in &self.messages {
            let held = held.as_ref().map(|(owner, from, payer, line)| SavedHeld {
                owner: *owner,
                from: id_of(from),
                payer: *payer,
                line,
            });
            let (mid, sender, sent) = (*mid, *sender, sent.clone());
            assert!(hub.restore_message(SavedMessage { mid, sender, held, sent }));
        }
        hub.finish_restore();
        hub
    }
}

fn id_of(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}
