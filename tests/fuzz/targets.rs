//! What has to hold whatever comes. A fuzzer gives the bytes; an ordinary test gives those that a
//! fuzzer has found to be worth keeping.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::Value;
use sotto::chat::hub::Hub;
use sotto::chat::protocol::{ErrorCode, FromClient, Id, Line, Mid, ToClient};
use sotto::config::Config;
use sotto::limits::{BODY_DEPTH_MAX, LIST_MAX, READ_BYTES, REF_BYTES_MAX};
use sotto::net::addresses::Addresses;
use sotto::net::connection::{Connection, End, Incoming, Shared, View};
use sotto::net::frames::{Codec, Frames, Input};
use sotto::net::http::assets::Files;
use sotto::net::http::{self, Access, Endpoint, Parsed, Site};
use sotto::net::stream::Stream;
use sotto::server::{Ready, Server, limits};
use sotto::time::Now;
use sotto::token::Token;

fn site() -> Site {
    Site::new(
        Files::BuiltIn,
        Access::Pages(Vec::new()),
        Endpoint { path: Some("/ws"), subprotocol: None },
    )
}

// ---- a head ----

/// What a head comes to does not depend on the pieces in which it comes, but that a broken one may
/// be found out earlier.
pub fn http(bytes: &[u8]) {
    let site = site();
    let whole = http::parse(bytes, &site, 0);
    if let Parsed::Complete { used, .. } = &whole {
        assert!(*used <= bytes.len() && *used > 0);
    }
    for end in 0..bytes.len().min(9000) {
        let Parsed::Complete { used, answer } = http::parse(&bytes[..end], &site, 0) else {
            continue;
        };
        assert!(used <= end);
        let Parsed::Complete { used: used_of_whole, answer: answer_to_whole } = whole else {
            panic!("refused after {end} bytes, and not after all");
        };
        // A broken head takes all that there is.
        assert!(used == used_of_whole || used == end, "{used} {used_of_whole}");
        assert!(answer == answer_to_whole || used == end, "{answer:?} {answer_to_whole:?}");
        return;
    }
}

// ---- frames ----

/// What a stream says does not depend on the pieces in which it comes. The first bytes say how it
/// is cut.
pub fn frames(bytes: &[u8]) {
    let Some((cuts, stream)) = bytes.split_at_checked(8) else { return };
    assert_eq!(hear([stream].into_iter()), hear(pieces(cuts, stream)));
    // Nor does what a connection makes of it, from the handshake on.
    let stream = [HANDSHAKE, stream].concat();
    assert_eq!(converse([&stream[..]].into_iter()), converse(pieces(cuts, &stream)));
    // Most first pieces end within the handshake: of that nothing is kept either.
    converse(pieces(cuts, &stream).take(1));
}

fn pieces<'a>(cuts: &'a [u8], mut rest: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    cuts.iter().cycle().map_while(move |cut| {
        let (piece, behind) = rest.split_at(rest.len().min(1 + usize::from(*cut)));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What is heard on a connection, what it writes, and why it ends. Nothing is kept for it
/// afterwards.
fn converse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, Option<End>) {
    let (_, limits) = limits(&Config::default());
    let (now, mut shared) =
        (Now { instant: Instant::now(), unix_ms: 5 }, Shared::new(site(), limits));
    let (wire, mut buffer, mut heard) = (Wire::default(), vec![0; READ_BYTES], Vec::new());
    wire.0.borrow_mut().room = usize::MAX;
    let mut connection = Connection::new(wire.clone(), View::Page, now, &shared);
    let mut listen = |connection: &mut Connection<Wire>| {
        connection.note_readable();
        while connection.wants_read() {
            let mut input = connection.receive(&mut buffer, now, &mut shared);
            while let Some(incoming) = connection.next(&mut input, now, &mut shared) {
                // Where a text was put together depends on the pieces.
                heard.push(match incoming {
                    Incoming::Text(text) => format!("Text({:?})", &*text),
                    incoming => format!("{incoming:?}"),
                });
            }
            connection.flush(now, &mut shared);
        }
    };
    for piece in pieces {
        send(&wire, piece);
        listen(&mut connection);
    }
    let end = connection.end();
    wire.0.borrow_mut().reset = true;
    listen(&mut connection);
    assert!(connection.is_gone());
    assert_eq!(shared.incomplete_bytes(), 0);
    (heard, std::mem::take(&mut wire.0.borrow_mut().outward), end)
}

/// Messages, answers and the close code that a stream comes to.
fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, Option<String>) {
    let mut codec = Codec::new(1 << 16, 1 << 20);
    let (mut frames, mut messages, mut answers) = (Frames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match frames.next(&mut input, &mut codec, &mut answers) {
                Ok(Some(message)) => messages.push(format!("{message:?}")),
                Ok(None) => break,
                Err(code) => return (messages, answers, Some(format!("{code:?}"))),
            }
            if messages.last().is_some_and(|message| message.starts_with("Close(")) {
                return (messages, answers, None);
            }
        }
    }
    (messages, answers, None)
}

// ---- a line ----

/// What is understood is JSON, and what serde_json reads in it; it survives being written and read
/// again.
pub fn line(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if text.contains('\n') {
        return;
    }
    let (Some(Line { tag, request: said }), behind) = Line::first(text) else { return };
    assert!(behind.is_empty(), "{behind:?} stands behind the only line");
    if let Ok(said) = &said {
        serde_json::from_str::<IgnoredAny>(text).expect("what is understood is JSON");
        assert!(text.trim_start().starts_with('{'));
        if let FromClient::Send { body, .. } | FromClient::Signal { body, .. } = said {
            assert!(text.contains(body));
            serde_json::from_str::<IgnoredAny>(body).expect("a body is JSON");
        }
    }
    // Not all that is JSON is a `Value`: numbers may be too big for it, and a key of its own means
    // something to it.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    if text.contains("$serde_json") {
        return;
    }
    // Of two equal keys a `Value` has the last.
    if said != Err("a key appears twice: name each key once".into()) {
        assert_eq!(said.is_ok(), is_of_protocol(&value), "{said:?}");
        for (named, key) in [(&tag.reference, "ref"), (&tag.to, "to")] {
            assert_eq!(
                named.as_deref(),
                value[key].as_str().filter(|text| text.len() <= REF_BYTES_MAX)
            );
        }
    }
    let told = written(&ToClient::Error { code: ErrorCode::Offline, tag: &tag, text });
    assert_eq!(told["text"], text);
    assert_eq!(told.get("ref").and_then(Value::as_str), tag.reference.as_deref());
    assert_eq!(told.get("to").and_then(Value::as_str), tag.to.as_deref());
    let Ok(said) = said else { return };
    let again = value.to_string();
    let again = Line::first(&again)
        .0
        .expect("it is not blank")
        .request
        .expect("what was understood is, however it is written");
    assert_eq!(without_body(&said), without_body(&again));
    if let FromClient::Send { body, .. } | FromClient::Signal { body, .. } = said {
        let from = Id::new("a").expect("an id");
        let mid = Mid { prefix: 1.into(), count: 1 };
        for passed_on in [
            ToClient::Message { from: &from, body, mid, at: 5 },
            ToClient::Signal { from: &from, body },
        ] {
            assert_eq!(written(&passed_on)["body"], value["body"]);
        }
    }
}

/// Does the protocol page know such a line? The parser's question, asked of a tree.
fn is_of_protocol(value: &Value) -> bool {
    let is_text = |key: &str| value[key].is_string();
    let is_list = |key: &str| {
        value[key].as_array().is_some_and(|list| {
            (1..=LIST_MAX).contains(&list.len()) && list.iter().all(Value::is_string)
        })
    };
    let has_body = value.get("body").is_some_and(|body| depth(body) <= BODY_DEPTH_MAX);
    let may_be = |key: &str, is_good: fn(&str) -> bool| {
        value.get(key).is_none_or(|value| value.as_str().is_some_and(is_good))
    };
    match value["type"].as_str() {
        Some("join") => is_text("id") && may_be("key", |_| true),
        Some("send") => {
            is_text("to")
                && has_body
                && may_be("ref", |text| (1..=REF_BYTES_MAX).contains(&text.len()))
        }
        Some("signal") => is_text("to") && has_body,
        Some("ack") => {
            let mut mids = value["mids"].as_array().into_iter().flatten().filter_map(Value::as_str);
            is_text("to") && is_list("mids") && mids.all(Mid::is_valid)
        }
        Some("watch" | "unwatch" | "block" | "unblock") => is_list("ids"),
        Some("leave") => true,
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

fn written(line: &ToClient<'_>) -> Value {
    let mut bytes = Vec::new();
    line.write(&mut bytes);
    assert!(!bytes.contains(&b'\n'), "a line has no newline in it");
    serde_json::from_slice(&bytes).expect("a line is JSON")
}

/// All but the body, which keeps its spaces and the spelling of its numbers.
fn without_body(said: &FromClient<'_>) -> String {
    match said {
        FromClient::Send { to, reference, .. } => format!("{to:?} {reference:?}"),
        FromClient::Signal { to, .. } => format!("{to:?}"),
        said => format!("{said:?}"),
    }
}

// ---- the loop ----

const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// So many are there at once, and as many ids.
const PEERS: usize = 4;

/// What the kernel has of one connection.
#[derive(Default)]
struct Socket {
    inward: VecDeque<u8>,
    /// All bytes that were ever sent to the server.
    said: usize,
    outward: Vec<u8>,
    /// So many more bytes are taken from the server.
    room: usize,
    ended: bool,
    reset: bool,
    shut: bool,
    /// To be told in the next turn.
    readable: bool,
    writable: bool,
    closed: bool,
}

/// The server's end of it.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Socket>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        match (socket.reset, socket.inward.is_empty(), socket.ended) {
            (true, ..) => Err(ErrorKind::ConnectionReset.into()),
            (_, true, true) => Ok(0),
            (_, true, false) => Err(ErrorKind::WouldBlock.into()),
            _ => socket.inward.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>().concat())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        assert!(!socket.shut, "nothing is written after the end");
        let len = bytes.len().min(socket.room);
        match (socket.reset, len) {
            (true, _) => Err(ErrorKind::ConnectionReset.into()),
            (_, 0) => Err(ErrorKind::WouldBlock.into()),
            _ => {
                socket.room -= len;
                socket.outward.write(&bytes[..len])
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Wire {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

/// What the first byte chooses.
struct Mode {
    rate: usize,
    /// Before the end every kernel takes bytes again. Else those who are stuck end stuck.
    all_recover: bool,
    /// Ids are owned, and nobody acknowledges, leaves or stays away for too long: so nothing may be
    /// forgotten.
    keep_all: bool,
}

/// So long are ids kept when nothing may be forgotten: longer than any play.
const LONG_HOLD: Duration = Duration::from_secs(1_000_000);

/// A server, and who is at the other ends.
struct Play {
    server: Server<Wire>,
    peers: Vec<(Token, Wire)>,
    /// Two who behave, and whom the others' doings must not harm.
    witnesses: Vec<Witness>,
    /// Messages that the first of them has sent to the second, those that came, and those it was
    /// told of.
    asked: u64,
    came: u64,
    delivered: u64,
    /// To whom the first could not say something.
    refused: HashSet<String>,
    now: Now,
}

/// Somebody who reads what comes, and answers pings.
struct Witness {
    token: Token,
    wire: Wire,
    is_open: bool,
}

impl Witness {
    fn hear(&mut self) -> Vec<Value> {
        let outward = std::mem::take(&mut self.wire.0.borrow_mut().outward);
        let mut lines = Vec::new();
        let at = if self.is_open { 0 } else { response(&outward).expect("an upgrade").1 };
        self.is_open = true;
        for (first, payload) in split_frames(&outward[at..]) {
            match first {
                0x81 => lines.extend(lines_in(payload)),
                0x89 => send(&self.wire, &frame(0x8a, payload)),
                _ => panic!("a witness is not told {first:#x} {payload:?}"),
            }
        }
        lines
    }

    fn say(&self, line: &str) {
        send(&self.wire, &frame(0x81, line.as_bytes()));
    }
}

impl Play {
    fn new(mode: &Mode) -> Play {
        // Small limits are reached by few bytes.
        let config = Config {
            rate: mode.rate,
            burst: 5,
            // One less than there are peers to want one.
            owned: PEERS - 1 + 2,
            // More than half an outbox: what is held has to wait for room, too.
            held: 8000,
            held_total: 64_000,
            max_message: 1024,
            outbox: 4096,
            hold: if mode.keep_all { LONG_HOLD } else { Config::default().hold },
            ..Config::default()
        };
        let (hub, connection) = limits(&config);
        let shared = Shared::new(site(), connection);
        let server = Server::new(PEERS + 2, Addresses::new(0), Hub::new(hub, 1), shared);
        let now = Now { instant: Instant::now(), unix_ms: 5 };
        let (peers, witnesses) = (Vec::new(), Vec::new());
        let mut play = Play {
            server,
            peers,
            witnesses,
            asked: 0,
            came: 0,
            delivered: 0,
            refused: HashSet::new(),
            now,
        };
        for id in ["ann", "ben"] {
            let wire = play.connect(View::Page);
            send(&wire, HANDSHAKE);
            send(&wire, &frame(0x81, join(id, WITNESS_KEY).as_bytes()));
            play.turn();
            let (token, wire) = play.peers.pop().expect("there is room");
            play.witnesses.push(Witness { token, wire, is_open: false });
            play.listen();
        }
        play
    }

    /// The first witness says something to the second, if the last was delivered.
    fn talk(&mut self) {
        if self.asked == self.delivered {
            self.asked += 1;
            let line =
                format!(r#"{{"type":"send","to":"ben","body":{0},"ref":"{0}"}}"#, self.asked);
            self.witnesses[0].say(&line);
        }
    }

    /// What is said between witnesses comes, once and in order, whatever the others do.
    fn listen(&mut self) {
        let heard: Vec<Value> = self.witnesses.iter_mut().flat_map(Witness::hear).collect();
        for line in heard {
            match line["type"].as_str() {
                Some("message") => {
                    self.came += 1;
                    assert_eq!(line["body"], self.came, "{line}");
                    let ack = format!(r#"{{"type":"ack","to":"ann","mids":[{}]}}"#, line["mid"]);
                    self.witnesses[1].say(&ack);
                }
                Some("delivered") if line["from"] == "ben" => self.delivered += 1,
                // What came of messages to ids that were looked for.
                Some("delivered") => {}
                Some("expired") if line["to"] != "ben" => {}
                Some("joined" | "sent") => {}
                Some("error") if line["to"] != "ben" => {
                    self.refused.insert(line["to"].as_str().expect("whom to").into());
                }
                _ => panic!("a witness is not told {line}"),
            }
        }
        assert!(self.delivered <= self.came && self.came <= self.asked);
    }

    fn connect(&mut self, view: View) -> Wire {
        let wire = Wire::default();
        wire.0.borrow_mut().room = usize::MAX;
        let mut registered = None;
        let register = |_: &mut Wire, token| {
            registered = Some(token);
            Ok(())
        };
        let address = [127, 0, 0, 1].into();
        self.server
            .accept(wire.clone(), address, view, self.now, register)
            .expect("nothing fails here");
        if let Some(token) = registered {
            self.peers.push((token, wire.clone()));
        }
        wire
    }

    /// One turn, in which all is told that there is to tell.
    fn turn(&mut self) {
        let tell = |(token, wire): &(Token, Wire)| {
            let socket = &mut *wire.0.borrow_mut();
            let [readable, writable, closed] =
                [&mut socket.readable, &mut socket.writable, &mut socket.closed]
                    .map(std::mem::take);
            (readable || writable || closed).then_some(Ready {
                token: *token,
                readable,
                writable,
                closed,
                failed: false,
            })
        };
        let mut ready: Vec<Ready> = self.peers.iter().filter_map(tell).collect();
        ready.extend(
            self.witnesses
                .iter()
                .filter_map(|Witness { token, wire, .. }| tell(&(*token, wire.clone()))),
        );
        self.server.turn(self.now, &ready);
        self.listen();
    }

    /// Turns until nobody is owed a visit, and no witness has said anything since.
    fn run(&mut self) {
        for _ in 0..1000 {
            self.turn();
            let is_told = self.witnesses.iter().any(|witness| witness.wire.0.borrow().readable);
            if !is_told && self.server.sleep(self.now.instant) != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("the loop never sleeps");
    }

    /// Runs for so long that all who talked too fast have been read.
    fn rest(&mut self) {
        for _ in 0..15 {
            self.pass(1);
            self.run();
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.unix_ms += seconds * 1000;
    }

    fn peer(&self, number: u8) -> Option<&Wire> {
        let at = usize::from(number) % self.peers.len().max(1);
        self.peers.get(at).map(|(_, wire)| wire)
    }
}

fn send(wire: &Wire, bytes: &[u8]) {
    let mut socket = wire.0.borrow_mut();
    socket.inward.extend(bytes);
    socket.said += bytes.len();
    socket.readable = true;
}

/// A frame as a client sends it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut bytes = vec![first, 0x80 | 126];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

const KEY: &str = "0123456789abcdef";
const WITNESS_KEY: &str = "a key that no peer has";

fn join(id: &str, key: &str) -> String {
    format!(r#"{{"type":"join","id":"{id}","key":"{key}"}}"#)
}

/// A line that somebody may say: two bytes choose it.
fn said(what: u8, about: u8, mode: &Mode) -> String {
    let id = about % PEERS as u8;
    match what % 9 {
        0 if !mode.keep_all => format!(r#"{{"type":"join","id":"p{id}"}}"#),
        0 | 1 => join(&format!("p{id}"), KEY),
        2 => format!(
            r#"{{"type":"send","to":"p{id}","body":"{}","ref":"r{about}"}}"#,
            "x".repeat(about.into())
        ),
        3 if !mode.keep_all => {
            format!(r#"{{"type":"ack","to":"p{id}","mids":["000000000001-{:x}","?"]}}"#, about / 4)
        }
        4 => format!(r#"{{"type":"watch","ids":["p{id}","p0"]}}"#),
        5 => format!(r#"{{"type":"block","ids":["p{id}"]}}"#),
        6 => format!(r#"{{"type":"unblock","ids":["p{id}"]}}"#),
        8 if !mode.keep_all => r#"{"type":"leave"}"#.into(),
        _ => format!(r#"{{"type":"signal","to":"p{id}","body":{about}}}"#),
    }
}

/// Whatever peers and the kernel do: nothing panics, the loop comes to rest, all that is written is
/// what the protocol says, no id has two holders, what was taken for an owned id is there, others
/// are not harmed, and when all are gone and forgotten nothing of them is left.
pub fn turns(bytes: &[u8]) {
    let Some((mode, steps)) = bytes.split_first() else { return };
    let mode = Mode {
        rate: usize::from(mode % 2) * 100,
        all_recover: mode & 2 != 0,
        keep_all: mode & 4 != 0,
    };
    let mut play = Play::new(&mode);
    for step in steps.chunks_exact(4).take(400) {
        let [what, who, a, b] = [step[0], step[1], step[2], step[3]];
        if let Some(wire) = play.peer(who) {
            let said = |a, b| said(a, b, &mode);
            match what % 12 {
                0 => send(wire, HANDSHAKE),
                1..=4 => send(wire, &frame(0x81, said(a, b).as_bytes())),
                5 => send(wire, &frame(0x81, format!("{}\n{}", said(a, b), said(b, a)).as_bytes())),
                6 => send(wire, &frame(a, &[b; 3])),
                7 => send(wire, &step[1..4]),
                8 => {
                    let mut socket = wire.0.borrow_mut();
                    (socket.room, socket.writable) = (usize::from(a) * usize::from(b), true);
                }
                9 => {
                    let mut socket = wire.0.borrow_mut();
                    (socket.ended, socket.readable, socket.closed) = (true, true, true);
                }
                10 => reset(wire),
                _ => {}
            }
        }
        match what / 16 {
            0 if play.server.len() < 2 * PEERS => drop(play.connect(View::Page)),
            1 => play.pass(b.into()),
            2..=8 => {
                play.talk();
                play.turn();
            }
            _ => {}
        }
    }
    play.run();
    if mode.all_recover {
        for (_, wire) in &play.peers {
            let mut socket = wire.0.borrow_mut();
            (socket.room, socket.writable) = (usize::MAX, true);
        }
        play.rest();
        check_holders(&mut play, &mode);
    }
    for (_, wire) in &play.peers {
        reset(wire);
    }
    // Of who is paused the end is found when it is read again.
    play.run();
    play.rest();
    assert_eq!((play.came, play.delivered), (play.asked, play.asked), "what witnesses say comes");
    assert_eq!(play.server.len(), 2, "only the witnesses are here");
    let (mut heard, mut told) = (0, 0);
    for (_, wire) in &play.peers {
        let socket = wire.0.borrow();
        lines_written(&socket.outward);
        (heard, told) = (heard + socket.said, told + socket.outward.len());
    }
    // A join is answered at most with what is held, and with what became of the last 128 sends.
    assert!(told <= 4096 * (play.peers.len() + 2) + 256 * heard, "{told} bytes for {heard}");
    if mode.keep_all {
        check_kept(&mut play);
    }
    for Witness { token, wire, .. } in std::mem::take(&mut play.witnesses) {
        reset(&wire);
        play.peers.push((token, wire));
    }
    play.run();
    // Of who owns an id, something is left until its time is over.
    for _ in 0..3 {
        play.now.instant += LONG_HOLD;
        play.run();
    }
    assert!(play.server.is_empty());
    check_nothing_left(&mut play);
}

fn reset(wire: &Wire) {
    let mut socket = wire.0.borrow_mut();
    (socket.reset, socket.readable, socket.writable, socket.closed) = (true, true, true, true);
}

/// The lines in HTTP responses, and behind a 101 in whole frames; the last of all may be cut.
fn lines_written(bytes: &[u8]) -> Vec<Value> {
    let frames = frames_written(bytes);
    frames
        .iter()
        .filter(|(first, _)| *first == 0x81)
        .flat_map(|(_, payload)| lines_in(payload))
        .collect()
}

fn frames_written(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    while let Some((is_upgrade, len)) = response(bytes) {
        bytes = &bytes[len..];
        if is_upgrade {
            return split_frames(bytes);
        }
    }
    Vec::new()
}

/// Is the response with which these bytes begin an upgrade, and how long is it? None: it is not
/// whole.
fn response(bytes: &[u8]) -> Option<(bool, usize)> {
    let begins = bytes.iter().zip(b"HTTP/1.1 ").all(|(a, b)| a == b);
    assert!(begins, "{:?}", String::from_utf8_lossy(bytes));
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = str::from_utf8(&bytes[..end]).expect("a head is text");
    let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let len = end + 4 + len.map_or(0, |len| len.parse::<usize>().expect("a number"));
    (len <= bytes.len()).then_some((head.starts_with("HTTP/1.1 101 "), len))
}

/// First bytes and payloads of the frames that are whole.
fn split_frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [first, len, ..] = *bytes {
        let (at, len) = match (len, bytes) {
            (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [_, _, len @ ..]) if len.len() >= 8 => {
                (10, u64::from_be_bytes(len[..8].try_into().expect("eight bytes")) as usize)
            }
            (0..=125, _) => (2, usize::from(len)),
            _ => break,
        };
        let Some(payload) = bytes.get(at..at + len) else { break };
        assert!(matches!(first, 0x81 | 0x88..=0x8a), "a server sends no frame {first:#x}");
        assert!(first == 0x81 || len <= 125);
        frames.push((first, payload));
        bytes = &bytes[at + len..];
    }
    frames
}

fn lines_in(text: &[u8]) -> Vec<Value> {
    let line = |line| serde_json::from_slice::<Value>(line).expect("a line is JSON");
    let lines: Vec<Value> = text.split(|byte| *byte == b'\n').map(line).collect();
    assert!(lines.iter().all(|line| line["type"].is_string()));
    lines
}

/// An id has one holder at most, and what is said to it comes to that holder alone, or is refused.
fn check_holders(play: &mut Play, mode: &Mode) {
    for id in 0..PEERS {
        play.witnesses[0].say(&format!(r#"{{"type":"send","to":"p{id}","body":"p{id}"}}"#));
    }
    play.rest();
    let taken = taken(&play.peers);
    let (mut holders, mut probes) = (HashSet::new(), HashSet::new());
    for (_, wire) in &play.peers {
        // The server has its end still, and has not said close.
        let has_end = Rc::strong_count(&wire.0) > 1;
        let socket = wire.0.borrow();
        let is_here =
            has_end && frames_written(&socket.outward).iter().all(|(first, _)| *first != 0x88);
        let lines = lines_written(&socket.outward);
        for line in &lines {
            if is_here && line["type"] == "joined" {
                let id = line["id"].as_str().expect("an id").to_owned();
                if mode.keep_all {
                    check_came(&id, &lines, &taken);
                }
                assert!(holders.insert(id), "a second holder: {line}");
            }
            if line["from"] == "ann" {
                let id = line["body"].as_str().expect("an id").to_owned();
                assert!(probes.insert(id), "came twice: {line}");
            }
        }
    }
    let reached: HashSet<String> = probes.union(&play.refused).cloned().collect();
    assert!(holders.is_subset(&reached), "of {holders:?} only {reached:?} were reached");
}

/// What was taken is there for whoever joins under the id that it is for.
fn check_kept(play: &mut Play) {
    let taken = taken(&play.peers);
    for id in 0..PEERS {
        let (id, wire) = (format!("p{id}"), play.connect(View::Page));
        send(&wire, HANDSHAKE);
        send(&wire, &frame(0x81, join(&id, KEY).as_bytes()));
        play.run();
        let lines = lines_written(&wire.0.borrow().outward);
        check_came(&id, &lines, &taken);
        reset(&wire);
        play.run();
    }
}

/// The mids of messages that somebody was told are taken, by whom they are for: the number in a ref
/// says it.
fn taken(peers: &[(Token, Wire)]) -> HashMap<String, HashSet<String>> {
    let mut taken: HashMap<String, HashSet<String>> = HashMap::new();
    for line in peers.iter().flat_map(|(_, wire)| lines_written(&wire.0.borrow().outward)) {
        if line["type"] == "sent" {
            let about: usize = line["ref"].as_str().expect("a ref")[1..].parse().expect("a number");
            let mids = taken.entry(format!("p{}", about % PEERS)).or_default();
            mids.insert(line["mid"].as_str().expect("a mid").into());
        }
    }
    taken
}

/// All that was taken for this id is in what its connection was told, once and in order.
fn check_came(id: &str, lines: &[Value], taken: &HashMap<String, HashSet<String>>) {
    let messages = lines.iter().filter(|line| line["type"] == "message");
    let mids: Vec<&str> = messages.map(|line| line["mid"].as_str().expect("a mid")).collect();
    let count = |mid: &&str| {
        u64::from_str_radix(mid.split_once('-').expect("two parts").1, 16).expect("a count")
    };
    assert!(mids.iter().map(count).is_sorted_by(|a, b| a < b), "{id}: {mids:?}");
    let mut taken = taken.get(id).into_iter().flatten();
    assert!(taken.all(|mid| mids.contains(&&**mid)), "{id} was told of {mids:?} only");
}

fn check_nothing_left(play: &mut Play) {
    let scraper = play.connect(View::Metrics);
    send(&scraper, METRICS);
    play.run();
    let outward = scraper.0.borrow().outward.clone();
    let text = String::from_utf8(outward).expect("metrics are text");
    for name in ["clients", "owned_ids", "outbox_bytes", "held_bytes"] {
        assert!(text.contains(&format!("\nsotto_{name} 0\n")), "{name}: {text}");
    }
}
