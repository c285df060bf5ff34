//! A client without a socket: lines of the server go in, events and frames for the server come out.
//!
//! **Invariants**
//!
//! - At most 128 sends have no answer: the server knows a repetition of as many.
//! - Sends to one recipient go to the server in the order in which they were written.
//! - Under another ownership a send is repeated with another `ref` and the same number, by which
//!   its recipient knows it again.
//! - A message is acknowledged when the caller has called `handled`, or if its mid or number is
//!   known. The acknowledgement leaves when the disk has that.
//!
//! The clock is an argument. What the messages say is not known here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::take;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::memory::{Memory, Outcome};

const UNANSWERED_MAX: usize = 128;
/// Mids in one `ack`.
const LIST_MAX: usize = 256;
/// Fates that came before the mid of their send was known.
const EARLY_MAX: usize = 1024;
/// Bytes of a frame with more than one line. The server gives a frame 10 s to be whole.
const SAID_BYTES_MAX: usize = 8192;
/// Bytes of a line, until `joined` tells the server's own limit.
const LINE_BYTES_MAX: usize = 65_536;
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Between attempts to reach a peer that has not returned after a restart of the server.
const RETURN_STEP: Duration = Duration::from_secs(1);
/// Answers to `join` that another attempt would get, too.
const FINAL_CODES: [&str; 4] = ["id_taken", "bad_id", "bad_key", "forbidden"];

pub enum Event {
    Joined,
    /// The server will not have this client, for this reason.
    Refused(String),
    /// The server refuses the join for now.
    TryLater,
    Message(Heard),
    Delivered(Box<RawValue>),
    /// A send failed, with this code.
    Failed(Box<RawValue>, String),
}

/// A message that has not been handled.
pub struct Heard {
    pub from: String,
    pub body: Box<RawValue>,
    mid: String,
    number: Option<u64>,
}

/// A line of the server.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    body: Option<Box<RawValue>>,
    #[serde(default)]
    mid: String,
    #[serde(default)]
    mids: Vec<String>,
    #[serde(rename = "ref", default)]
    reference: String,
    #[serde(default)]
    ownership: String,
    max_message: Option<usize>,
    #[serde(default)]
    code: String,
}

/// A numbered body: these keys and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    text: Option<Box<RawValue>>,
    body: Option<Box<RawValue>>,
    number: u64,
}

#[derive(Serialize)]
struct SendLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    to: &'a str,
    body: &'a RawValue,
    #[serde(rename = "ref")]
    reference: &'a str,
}

/// Returns the numbered form of a body.
fn wrap(body: &RawValue, number: u64) -> Outcome<Box<RawValue>> {
    let key = if body.get().starts_with('"') { "text" } else { "body" };
    Ok(RawValue::from_string(format!("{{\"{key}\":{body},\"number\":{number}}}"))?)
}

/// Returns the body and the number of a numbered form, or any other body as it is.
fn unwrap(body: Box<RawValue>) -> (Box<RawValue>, Option<u64>) {
    match serde_json::from_str(body.get()) {
        Ok(Numbered { text: Some(text), body: None, number })
            if (1..=NUMBER_MAX).contains(&number) && text.get().starts_with('"') =>
        {
            (text, Some(number))
        }
        Ok(Numbered { text: None, body: Some(inner), number })
            if (1..=NUMBER_MAX).contains(&number) =>
        {
            (inner, Some(number))
        }
        _ => (body, None),
    }
}

pub struct Client {
    memory: Memory,
    /// Numbers of the sends to say.
    queue: VecDeque<u64>,
    /// Sends without an answer, by ref; those with one, by mid.
    said: HashMap<String, u64>,
    taken: HashMap<String, u64>,
    /// `None`: delivered. Otherwise the code.
    early: HashMap<(String, String), Option<String>>,
    early_order: VecDeque<(String, String)>,
    lines: Vec<String>,
    acks: VecDeque<(String, String)>,
    /// Peers that have returned, after a changed ownership.
    returned: HashSet<String>,
    /// Peers that had not at their last attempt: the time of the next. While a send to one has no
    /// answer: the end of the time in which peers return.
    away: HashMap<String, Instant>,
    is_joined: bool,
    line_bytes_max: usize,
}

impl Client {
    pub fn open(id: &str, store: &Path) -> Outcome<Client> {
        Ok(Client {
            memory: Memory::open(id, store)?,
            queue: VecDeque::new(),
            said: HashMap::new(),
            taken: HashMap::new(),
            early: HashMap::new(),
            early_order: VecDeque::new(),
            lines: Vec::new(),
            acks: VecDeque::new(),
            returned: HashSet::new(),
            away: HashMap::new(),
            is_joined: false,
            line_bytes_max: LINE_BYTES_MAX,
        })
    }

    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    pub fn awaits_answer(&self) -> bool {
        !self.said.is_empty()
    }

    /// Returns the time of the next attempt to reach a peer that has not returned.
    pub fn retry_at(&self) -> Option<Instant> {
        self.away.values().min().copied().filter(|_| !self.queue.is_empty())
    }

    /// Returns the first line of a new connection.
    pub fn join(&self) -> String {
        json!({"type": "join", "id": self.memory.id, "key": self.memory.key}).to_string()
    }

    /// Forgets all that the server says again on the next connection. Returns `true` if this one
    /// had joined.
    pub fn lost(&mut self) -> bool {
        self.said.clear();
        self.queue.clear();
        self.lines.clear();
        self.acks.clear();
        take(&mut self.is_joined)
    }

    /// Takes a message to send. It is on disk when this returns. `false`: too many have no fate.
    pub fn send(&mut self, to: &str, body: &RawValue) -> Outcome<bool> {
        let number = self.memory.write(to, body)?;
        if self.is_joined {
            self.queue.extend(number);
        }
        Ok(number.is_some())
    }

    /// Asks for an answer: any line shows that the server hears this client.
    pub fn probe(&mut self) {
        self.lines.push(json!({"type": "watch", "ids": [self.memory.id]}).to_string());
    }

    /// Remembers a message, and acknowledges it.
    pub fn handled(&mut self, message: &Heard) -> Outcome<()> {
        self.memory.handled(&message.from, &message.mid, message.number)?;
        self.acks.push_back((message.from.clone(), message.mid.clone()));
        Ok(())
    }

    // ---- to the server ----

    /// Returns the frames to say now. What they acknowledge is on disk.
    pub fn take_frames(&mut self, now: Instant) -> Outcome<Vec<String>> {
        if !self.is_joined {
            return Ok(Vec::new());
        }
        let mut lines = take(&mut self.lines);
        if !self.acks.is_empty() {
            self.memory.sync()?;
        }
        while let Some((to, _)) = self.acks.front().cloned() {
            let run = self.acks.iter().take(LIST_MAX).take_while(|(from, _)| *from == to).count();
            let mids: Vec<String> = self.acks.drain(..run).map(|(_, mid)| mid).collect();
            lines.push(json!({"type": "ack", "to": to, "mids": mids}).to_string());
        }
        while self.said.len() < UNANSWERED_MAX {
            let Some(number) = self.next_send(now) else { break };
            let Some(send) = self.memory.sends.get(&number) else { continue };
            let body = wrap(&send.body, number)?;
            let (to, reference) = (&send.to, &send.reference);
            let line = SendLine { kind: "send", to, body: &body, reference };
            lines.push(serde_json::to_string(&line)?);
            self.said.insert(send.reference.clone(), number);
        }
        let mut frames: Vec<String> = Vec::new();
        for line in lines {
            match frames.last_mut() {
                Some(frame)
                    if frame.len() + 1 + line.len() <= SAID_BYTES_MAX.min(self.line_bytes_max) =>
                {
                    frame.push('\n');
                    frame.push_str(&line);
                }
                _ => frames.push(line),
            }
        }
        Ok(frames)
    }

    /// Returns how long peers may still return.
    fn return_time(&self) -> Option<Duration> {
        self.memory.return_until.duration_since(SystemTime::now()).ok()
    }

    /// Takes the next send. While peers return, one at a time to each that has not.
    fn next_send(&mut self, now: Instant) -> Option<u64> {
        let Some(left) = self.return_time() else {
            self.away.clear();
            return self.queue.pop_front();
        };
        let (returned, away) = (&self.returned, &self.away);
        let sends = &self.memory.sends;
        let may_go = |number: &u64| {
            sends.get(number).is_none_or(|send| {
                returned.contains(&send.to) || away.get(&send.to).is_none_or(|next| now >= *next)
            })
        };
        let index = self.queue.iter().position(may_go)?;
        let number = self.queue.remove(index)?;
        if let Some(send) = self.memory.sends.get(&number)
            && !self.returned.contains(&send.to)
        {
            // In order: none behind it before its answer.
            self.away.insert(send.to.clone(), now + left);
        }
        Some(number)
    }

    // ---- from the server ----

    /// Hears a line. A message among the events has to be given to `handled`.
    pub fn hear(&mut self, line: &str, now: Instant) -> Outcome<Vec<Event>> {
        // A line that is not understood is one of a later version.
        let Ok(line) = serde_json::from_str::<Line>(line) else { return Ok(Vec::new()) };
        if !self.is_joined {
            return match line.kind.as_str() {
                "joined" => self.joined(&line),
                "error" if FINAL_CODES.contains(&&*line.code) => {
                    Ok(vec![Event::Refused(line.code)])
                }
                "error" => Ok(vec![Event::TryLater]),
                _ => Ok(Vec::new()),
            };
        }
        match line.kind.as_str() {
            "message" => self.message(line),
            "sent" => self.sent(&line.reference, &line.mid),
            "delivered" => self.fates(&line.from, &line.mids, None),
            "expired" => self.fates(&line.to, &line.mids, Some("expired")),
            "error" => self.refused(&line.reference, &line.code, now),
            _ => Ok(Vec::new()),
        }
    }

    fn joined(&mut self, line: &Line) -> Outcome<Vec<Event>> {
        if self.memory.joined(&line.ownership)? {
            self.returned.clear();
        }
        self.away.clear();
        self.is_joined = true;
        self.line_bytes_max = line.max_message.unwrap_or(LINE_BYTES_MAX);
        (self.queue, self.taken) = (VecDeque::new(), HashMap::new());
        let mut failed = Vec::new();
        for (number, send) in &mut self.memory.sends {
            match &send.mid {
                Some(mid) => {
                    send.is_stale = true;
                    self.taken.insert(mid.clone(), *number);
                }
                // The numbered form and the ref are shorter than this.
                None if send.body.get().len() + 256 > self.line_bytes_max => failed.push(*number),
                None => self.queue.push_back(*number),
            }
        }
        let mut events = vec![Event::Joined];
        for number in failed {
            events.extend(self.settle(number, Some("long"))?);
        }
        Ok(events)
    }

    fn message(&mut self, line: Line) -> Outcome<Vec<Event>> {
        let Some(body) = line.body else { return Ok(Vec::new()) };
        let (body, number) = unwrap(body);
        let is_new = self.memory.is_new(&line.from, &line.mid, number);
        let message = Heard { from: line.from, body, mid: line.mid, number };
        if is_new {
            return Ok(vec![Event::Message(message)]);
        }
        // Under this mid, too, if only its number was known.
        self.handled(&message)?;
        Ok(Vec::new())
    }

    fn sent(&mut self, reference: &str, mid: &str) -> Outcome<Vec<Event>> {
        let Some(number) = self.said.remove(reference) else { return Ok(Vec::new()) };
        let Some(to) = self.memory.sends.get(&number).map(|send| send.to.clone()) else {
            return Ok(Vec::new());
        };
        self.away.remove(&to);
        self.returned.insert(to.clone());
        self.memory.taken(number, mid)?;
        self.taken.insert(mid.to_owned(), number);
        match self.early.remove(&(to, mid.to_owned())) {
            Some(code) => self.settle(number, code.as_deref()),
            None => Ok(Vec::new()),
        }
    }

    fn settle(&mut self, number: u64, code: Option<&str>) -> Outcome<Vec<Event>> {
        let Some(send) = self.memory.settle(number)? else { return Ok(Vec::new()) };
        if let Some(mid) = &send.mid {
            self.taken.remove(mid);
        }
        Ok(vec![match code {
            None => Event::Delivered(send.body),
            Some(code) => Event::Failed(send.body, code.to_owned()),
        }])
    }

    fn fates(&mut self, to: &str, mids: &[String], code: Option<&str>) -> Outcome<Vec<Event>> {
        let (mut events, mut latest) = (Vec::new(), 0);
        for mid in mids {
            match self.taken.get(mid) {
                Some(&number) if self.memory.sends.get(&number).is_some_and(|s| s.to == to) => {
                    latest = latest.max(number);
                    events.extend(self.settle(number, code)?);
                }
                Some(_) => {}
                // A fate may come before the `sent` of its message, after a lost connection.
                None => self.remember_early(to, mid, code),
            }
        }
        self.ask_for_fates(to, latest);
        Ok(events)
    }

    fn remember_early(&mut self, to: &str, mid: &str, code: Option<&str>) {
        let key = (to.to_owned(), mid.to_owned());
        if self.early.insert(key.clone(), code.map(str::to_owned)).is_none() {
            self.early_order.push_back(key);
        }
        while self.early_order.len() > EARLY_MAX {
            let Some(oldest) = self.early_order.pop_front() else { return };
            self.early.remove(&oldest);
        }
    }

    /// Repeats sends whose fate was missed: the server tells that of the last 128 only.
    ///
    /// A later send to the same recipient has a fate, so theirs was told to a connection that was
    /// lost. Their recipient knows their numbers, and acknowledges them again.
    fn ask_for_fates(&mut self, to: &str, latest: u64) {
        for (number, send) in self.memory.sends.range_mut(..latest) {
            if send.to == to && send.is_stale && send.mid.is_some() {
                if let Some(mid) = send.mid.take() {
                    self.taken.remove(&mid);
                }
                send.is_stale = false;
                self.queue.push_back(*number);
            }
        }
    }

    fn refused(&mut self, reference: &str, code: &str, now: Instant) -> Outcome<Vec<Event>> {
        let Some(number) = self.said.remove(reference) else { return Ok(Vec::new()) };
        let Some(send) = self.memory.sends.get(&number) else { return Ok(Vec::new()) };
        let is_return = self.return_time().is_some();
        if code == "offline" && is_return && !self.returned.contains(&send.to) {
            // The server has forgotten that peer, which may come back as this client did.
            self.away.insert(send.to.clone(), now + RETURN_STEP);
            self.queue.push_front(number);
            return Ok(Vec::new());
        }
        self.away.remove(&send.to);
        self.settle(number, Some(code))
    }
}
