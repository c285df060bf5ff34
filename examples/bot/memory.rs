//! All that a client has to remember over connections and restarts, in a file of JSON lines.
//!
//! **Invariants**
//!
//! - A record is appended by one write. After a crash the last line may be torn, and no other.
//! - A send is on disk before `write` returns, and a handled message after `sync`.
//! - A send keeps its number for ever. Numbers grow, over restarts and a clock that goes back.
//! - The file is written anew when it is opened, and when most of its lines are of no use.
//!
//! It knows neither lines of the protocol nor the clock of a connection.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::error::Error;
use std::fs::{File, OpenOptions, rename};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

/// Sends without a fate. More are refused.
const UNSETTLED_MAX: usize = 65_536;
/// Mids and numbers of handled messages: a repetition comes within the server's `--held`.
const SEEN_MAX: usize = 2 * 65_536;
/// Lines without use, before the file is written anew.
const GARBAGE_LINES_MAX: usize = 100_000;

/// After a restart of a server without a store all peers come back, but not at once. A peer that is
/// not back after the longest delay (20 s) and a bit is offline.
const RETURN: Duration = Duration::from_secs(25);

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A message that was written here and has no fate yet.
pub struct Send {
    pub to: String,
    pub body: Box<RawValue>,
    pub reference: String,
    /// The ownership under which the server may have heard it; `None`: it has not been said.
    pub under: Option<String>,
    pub mid: Option<String>,
    /// Its `sent` came over an earlier connection, so its fate may have been missed.
    pub is_stale: bool,
}

/// A mark of a handled message: its mid or its number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    Mid(String),
    Number(u64),
}

/// A line of the file. Which keys it has tells its kind.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// With `id`: the last number. With `from`: that of a handled message.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ownership: Option<String>,
    /// With `ownership`: seconds since 1970, until which peers may return.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<u64>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    under: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

pub struct Memory {
    pub id: String,
    pub key: String,
    pub ownership: Option<String>,
    /// Until then peers may return that the server has forgotten.
    pub return_until: SystemTime,
    pub sends: BTreeMap<u64, Send>,
    number: u64,
    seen: HashSet<(String, Mark)>,
    /// The same, oldest first.
    seen_order: VecDeque<(String, Mark)>,
    path: PathBuf,
    file: File,
    bytes: u64,
    lines: usize,
    is_synced: bool,
}

fn open(path: &Path, truncate: bool) -> Outcome<File> {
    let mut options = OpenOptions::new();
    // The key of the id is in it.
    options.create(true).mode(0o600).write(true).truncate(truncate).append(!truncate);
    let file = options.open(path)?;
    file.try_lock().map_err(|_| format!("{} is in use by another program", path.display()))?;
    Ok(file)
}

impl Memory {
    pub fn open(id: &str, path: &Path) -> Outcome<Memory> {
        let mut memory = Memory {
            id: id.to_owned(),
            key: generate_key(),
            ownership: None,
            return_until: UNIX_EPOCH,
            sends: BTreeMap::new(),
            number: 0,
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
            path: path.to_owned(),
            file: open(path, false)?,
            bytes: 0,
            lines: 0,
            is_synced: true,
        };
        let text = std::fs::read(path)?;
        let mut lines = text.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            match serde_json::from_slice(line) {
                Ok(record) => memory.apply(record)?,
                Err(_) if line.is_empty() => {}
                // A torn line was never promised to anybody.
                Err(_) if lines.peek().is_none() => {}
                Err(error) => return Err(format!("{}: {error}", path.display()).into()),
            }
        }
        memory.rewrite()?;
        Ok(memory)
    }

    fn apply(&mut self, record: Record) -> Outcome<()> {
        match record {
            Record { id: Some(id), key: Some(key), number, .. } => {
                if id != self.id {
                    return Err(format!("{} belongs to {id}", self.path.display()).into());
                }
                (self.key, self.number) = (key, number.unwrap_or(0));
            }
            Record { ownership: Some(ownership), until, .. } => {
                let until = UNIX_EPOCH + Duration::from_secs(until.unwrap_or(0));
                self.return_until = until.min(SystemTime::now() + RETURN);
                self.ownership = Some(ownership);
            }
            Record {
                send: Some(number),
                to: Some(to),
                body: Some(body),
                reference: Some(reference),
                under,
                mid,
                ..
            } => {
                let is_stale = mid.is_some();
                self.number = self.number.max(number);
                self.sends.insert(number, Send { to, body, reference, under, mid, is_stale });
            }
            Record { said: Some(number), reference: Some(reference), under, .. } => {
                if let Some(send) = self.sends.get_mut(&number) {
                    (send.reference, send.under, send.mid) = (reference, under, None);
                }
            }
            Record { taken: Some(number), mid: Some(mid), .. } => {
                if let Some(send) = self.sends.get_mut(&number) {
                    (send.mid, send.is_stale) = (Some(mid), true);
                }
            }
            Record { done: Some(number), .. } => drop(self.sends.remove(&number)),
            Record { from: Some(from), mid, number, .. } => self.see(&from, mid, number),
            _ => {}
        }
        Ok(())
    }

    fn see(&mut self, from: &str, mid: Option<String>, number: Option<u64>) {
        for mark in mid.map(Mark::Mid).into_iter().chain(number.map(Mark::Number)) {
            let entry = (from.to_owned(), mark);
            if self.seen.insert(entry.clone()) {
                self.seen_order.push_back(entry);
            }
        }
        while self.seen.len() > SEEN_MAX {
            let Some(oldest) = self.seen_order.pop_front() else { return };
            self.seen.remove(&oldest);
        }
    }

    // ---- the file ----

    /// Replaces the file at once, so that a crash leaves the old one or the new one.
    fn rewrite(&mut self) -> Outcome<()> {
        let mut records = vec![Record {
            id: Some(self.id.clone()),
            key: Some(self.key.clone()),
            number: Some(self.number),
            ..Record::default()
        }];
        records.push(self.ownership_record());
        records.extend(self.seen_order.iter().map(|(from, mark)| {
            let from = Some(from.clone());
            match mark {
                Mark::Mid(mid) => Record { from, mid: Some(mid.clone()), ..Record::default() },
                Mark::Number(number) => Record { from, number: Some(*number), ..Record::default() },
            }
        }));
        records.extend(self.sends.iter().map(|(number, send)| send_record(*number, send)));
        let text = lines(&records)?;
        let new = self.path.with_extension("new");
        let mut file = open(&new, true)?;
        file.write_all(&text)?;
        file.sync_all()?;
        rename(&new, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        (self.file, self.bytes, self.lines) = (file, text.len() as u64, records.len());
        self.is_synced = true;
        Ok(())
    }

    /// Appends records. They outlive this program, and after `sync` a power cut.
    fn append(&mut self, records: &[Record]) -> Outcome<()> {
        let text = lines(records)?;
        if let Err(error) = self.file.write_all(&text) {
            // No half line in front of the next one.
            self.file.set_len(self.bytes)?;
            return Err(error.into());
        }
        self.bytes += text.len() as u64;
        self.lines += records.len();
        self.is_synced = records.is_empty() && self.is_synced;
        let live = self.sends.len() + self.seen.len();
        if self.lines > 2 * live + GARBAGE_LINES_MAX { self.rewrite() } else { Ok(()) }
    }

    pub fn sync(&mut self) -> Outcome<()> {
        if !self.is_synced {
            self.file.sync_data()?;
            self.is_synced = true;
        }
        Ok(())
    }

    fn ownership_record(&self) -> Record {
        let until = self.return_until.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs());
        Record { ownership: self.ownership.clone(), until, ..Record::default() }
    }

    // ---- changes ----

    /// Takes a send, and returns its number. `None`: too many have no fate.
    pub fn write(&mut self, to: &str, body: &RawValue) -> Outcome<Option<u64>> {
        if self.sends.len() >= UNSETTLED_MAX {
            return Ok(None);
        }
        let micros = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
        self.number = micros.max(self.number + 1);
        // If it is said, then under this ownership, or a record tells so.
        let send = Send {
            to: to.to_owned(),
            body: body.to_owned(),
            reference: generate_key(),
            under: self.ownership.clone(),
            mid: None,
            is_stale: false,
        };
        self.append(&[send_record(self.number, &send)])?;
        self.sync()?;
        self.sends.insert(self.number, send);
        Ok(Some(self.number))
    }

    /// Prepares all sends for another ownership: the server knows none of them under it. Returns
    /// `true` if it is another one than before.
    pub fn joined(&mut self, ownership: &str) -> Outcome<bool> {
        let is_other = self.ownership.as_deref() != Some(ownership);
        let mut records = Vec::new();
        if is_other {
            if self.ownership.is_some() {
                self.return_until = SystemTime::now() + RETURN;
            }
            self.ownership = Some(ownership.to_owned());
            records.push(self.ownership_record());
        }
        for (number, send) in &mut self.sends {
            if send.under != self.ownership {
                (send.reference, send.mid) = (generate_key(), None);
                send.under.clone_from(&self.ownership);
                records.push(Record {
                    said: Some(*number),
                    reference: Some(send.reference.clone()),
                    under: send.under.clone(),
                    ..Record::default()
                });
            }
        }
        self.append(&records)?;
        Ok(is_other)
    }

    pub fn taken(&mut self, number: u64, mid: &str) -> Outcome<()> {
        if let Some(send) = self.sends.get_mut(&number) {
            (send.mid, send.is_stale) = (Some(mid.to_owned()), false);
        }
        let mid = Some(mid.to_owned());
        self.append(&[Record { taken: Some(number), mid, ..Record::default() }])
    }

    /// Forgets a send, whose fate is known.
    pub fn settle(&mut self, number: u64) -> Outcome<Option<Send>> {
        let send = self.sends.remove(&number);
        if send.is_some() {
            self.append(&[Record { done: Some(number), ..Record::default() }])?;
        }
        Ok(send)
    }

    pub fn is_new(&self, from: &str, mid: &str, number: Option<u64>) -> bool {
        let is_seen = |mark| self.seen.contains(&(from.to_owned(), mark));
        !is_seen(Mark::Mid(mid.to_owned())) && !number.map(Mark::Number).is_some_and(is_seen)
    }

    pub fn handled(&mut self, from: &str, mid: &str, number: Option<u64>) -> Outcome<()> {
        let (from, mid) = (from.to_owned(), Some(mid.to_owned()));
        self.see(&from, mid.clone(), number);
        self.append(&[Record { from: Some(from), mid, number, ..Record::default() }])
    }
}

fn send_record(number: u64, send: &Send) -> Record {
    Record {
        send: Some(number),
        to: Some(send.to.clone()),
        body: Some(send.body.clone()),
        reference: Some(send.reference.clone()),
        under: send.under.clone(),
        mid: send.mid.clone(),
        ..Record::default()
    }
}

fn lines(records: &[Record]) -> Outcome<Vec<u8>> {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record)?;
        text.push(b'\n');
    }
    Ok(text)
}
