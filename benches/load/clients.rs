//! The clients of a run: many streams on one poll, and no more of the protocol than they need.
//!
//! **Invariants**
//!
//! - The first line or frame that was not to come ends the run: an `Err` with a sentence goes all
//!   the way up.
//! - No source port is used twice, in this process or in one shortly before.
//!
//! The lines to send and to expect are known to a [`Scene`], not here.

use std::io::{Cursor, ErrorKind, Read, Write};
use std::mem::{replace, take};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes of one read: all that can be under way to one client, far more than one text.
const READ_BYTES: usize = 1 << 20;
/// Events taken from the kernel at once.
const EVENTS: usize = 512;
/// Connections from one source address: far fewer than there are ports, so the kernel soon finds a
/// free one.
const PER_SOURCE: u32 = 10_000;
/// Connections of all runs. A port is not free for a minute after its connection has ended, and the
/// kernel searches ever longer where most ports are taken, so no source address is used again.
static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
/// Joins under way at once while a crowd gathers.
const JOINS_AT_ONCE: usize = 128;
/// How long a run waits for the next event before it fails.
const PATIENCE: Duration = Duration::from_secs(5);
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The mask of every frame. It is not zero, so a server that does not unmask is found out.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// `Err` has the sentence that ends the run.
pub type Outcome = Result<(), String>;

/// The conduct of the clients.
pub trait Scene {
    /// A client has joined.
    fn joined(&mut self, _: &mut Clients, _client: usize) -> Outcome {
        Ok(())
    }
    /// A line has come that is not `joined`.
    fn line(&mut self, clients: &mut Clients, client: usize, line: &str) -> Outcome;
    /// That was the last line of a text.
    fn text_ended(&mut self, _: &mut Clients, _client: usize) {}
    /// A client that was to leave has left, in good order.
    fn left(&mut self, _: &mut Clients, _client: usize) -> Outcome {
        Ok(())
    }
}

/// Clients that join and are silent.
pub struct Silence;

impl Scene for Silence {
    fn line(&mut self, _: &mut Clients, client: usize, line: &str) -> Outcome {
        Err(format!("client {client} expected nothing, and {line} came"))
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Connecting,
    Upgrading,
    Joining,
    Here,
    /// The client has sent a close frame.
    Leaving,
    /// Both sides have sent a close frame.
    Left,
}

struct Client {
    stream: Option<TcpStream>,
    id: u32,
    state: State,
    /// Bytes of a head or frame that is not whole yet.
    unread: Vec<u8>,
    /// Bytes that the kernel has not taken yet.
    unsent: Vec<u8>,
}

/// All clients of a run. A client is named by its index.
pub struct Clients {
    poll: Poll,
    events: Events,
    server: SocketAddrV4,
    all: Vec<Client>,
    /// Count of connections so far; each names the id of its client.
    opened: u32,
    /// Count of joins so far.
    pub joined: usize,
    /// Clients that are connected or connecting.
    pub connected: usize,
    /// Clients with unsent bytes.
    pending: Vec<usize>,
    buffer: Vec<u8>,
    /// Time of the last event.
    heard: Instant,
    /// Time of the last read.
    pub now: Instant,
    /// Writes after each client that was read, not after all, so a server with little to do gets
    /// the bytes sooner.
    pub is_eager: bool,
    /// All clients join with a key.
    pub is_keyed: bool,
}

impl Clients {
    pub fn new(server: SocketAddrV4, is_keyed: bool) -> Result<Clients, String> {
        Ok(Clients {
            poll: Poll::new().map_err(|error| format!("no poll: {error}"))?,
            events: Events::with_capacity(EVENTS),
            server,
            all: Vec::new(),
            opened: 0,
            joined: 0,
            connected: 0,
            pending: Vec::new(),
            buffer: vec![0; READ_BYTES],
            heard: Instant::now(),
            now: Instant::now(),
            is_eager: false,
            is_keyed,
        })
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn id(&self, client: usize) -> String {
        format!("client-{:08x}", self.all[client].id)
    }

    pub fn is_leaving(&self, client: usize) -> bool {
        matches!(self.all[client].state, State::Leaving | State::Left)
    }

    /// Connects `count` more clients and waits until they have joined.
    pub fn open(&mut self, count: usize, scene: &mut impl Scene) -> Outcome {
        let all = self.len() + count;
        while self.joined < all {
            while self.len() < all && self.len() - self.joined < JOINS_AT_ONCE {
                self.add()?;
            }
            self.turn(PATIENCE, scene)?;
        }
        Ok(())
    }

    /// Connects one more client.
    pub fn add(&mut self) -> Outcome {
        let (unread, unsent) = (Vec::new(), Vec::new());
        self.all.push(Client { stream: None, id: 0, state: State::Connecting, unread, unsent });
        self.connect(self.len() - 1)
    }

    /// Connects a client under a new id, in the slot of one that is new or has left.
    pub fn connect(&mut self, client: usize) -> Outcome {
        let slot = &mut self.all[client];
        (slot.id, slot.state) = (self.opened, State::Connecting);
        let source = CONNECTIONS.fetch_add(1, Ordering::Relaxed) / PER_SOURCE;
        // Another process shortly before has used another network.
        let network = 1 + (std::process::id() % 250) as u8;
        let source = Ipv4Addr::new(127, network, (source / 200) as u8, (1 + source % 200) as u8);
        self.opened += 1;
        let trouble = |error| format!("cannot connect from {source}: {error}");
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).map_err(trouble)?;
        bind(&socket, &SocketAddrV4::new(source, 0)).map_err(trouble)?;
        match connect(&socket, &self.server) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(trouble(error)),
        }
        let mut stream = TcpStream::from_std(socket.into());
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(client), both);
        registered.and_then(|()| stream.set_nodelay(true)).map_err(|error| error.to_string())?;
        slot.stream = Some(stream);
        self.connected += 1;
        Ok(())
    }

    /// Queues a frame for the next write.
    pub fn say(&mut self, client: usize, frame: &[u8]) {
        let unsent = &mut self.all[client].unsent;
        if unsent.is_empty() {
            self.pending.push(client);
        }
        unsent.extend_from_slice(frame);
    }

    /// Queues a close frame.
    pub fn leave(&mut self, client: usize) {
        self.all[client].state = State::Leaving;
        self.say(client, &frame(OpCode::Control(Control::Close), &1000_u16.to_be_bytes()));
    }

    /// Runs turns for this long.
    pub fn run(&mut self, duration: Duration, scene: &mut impl Scene) -> Outcome {
        let end = Instant::now() + duration;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left, scene)?;
        }
        Ok(())
    }

    /// Waits for readiness, `wait` at most, and reads and writes all ready clients.
    pub fn turn(&mut self, wait: Duration, scene: &mut impl Scene) -> Outcome {
        self.flush()?;
        // epoll counts whole milliseconds.
        let wait = wait.clamp(Duration::from_millis(1), PATIENCE);
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.to_string()),
            _ => {}
        }
        if !self.events.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() >= PATIENCE {
            return Err(format!("nothing has come for {} s", PATIENCE.as_secs()));
        }
        let events = replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let client = event.token().0;
            if event.is_writable() {
                self.writable(client)?;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.readable(client, event.is_read_closed() || event.is_error(), scene)?;
            }
            if self.is_eager {
                self.flush()?;
            }
        }
        self.events = events;
        self.flush()
    }

    fn writable(&mut self, client: usize) -> Outcome {
        let Client { stream: Some(stream), state, .. } = &mut self.all[client] else {
            return Ok(());
        };
        if *state != State::Connecting {
            return self.write(client);
        }
        // A stream that is not connected has a stale event, of the client before it in this slot.
        if stream.peer_addr().is_ok() {
            *state = State::Upgrading;
            let request = format!(
                "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n",
                self.server
            );
            self.say(client, request.as_bytes());
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        let mut pending = take(&mut self.pending);
        pending.drain(..).try_for_each(|client| self.write(client))?;
        self.pending = pending;
        Ok(())
    }

    fn write(&mut self, client: usize) -> Outcome {
        let Client { stream: Some(stream), unsent, .. } = &mut self.all[client] else {
            return Ok(());
        };
        while !unsent.is_empty() {
            match stream.write(unsent) {
                Ok(count) => drop(unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("client {client} cannot write: {error}")),
            }
        }
        Ok(())
    }

    fn readable(&mut self, client: usize, has_ended: bool, scene: &mut impl Scene) -> Outcome {
        let mut buffer = take(&mut self.buffer);
        while let Client { stream: Some(stream), unread, .. } = &mut self.all[client] {
            let kept = unread.len();
            match stream.read(&mut buffer[kept..]) {
                Ok(0) => {
                    self.ended(client, "the server ended the stream", scene)?;
                    break;
                }
                Ok(count) => {
                    self.now = Instant::now();
                    buffer[..kept].copy_from_slice(unread);
                    unread.clear();
                    let bytes = &buffer[..kept + count];
                    let used = self.hear(client, bytes, scene)?;
                    self.all[client].unread.extend_from_slice(&bytes[used..]);
                    // The read came back short, so no more bytes wait. An end of the stream may.
                    if bytes.len() < buffer.len() && !has_ended {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.ended(client, &error.to_string(), scene)?;
                    break;
                }
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn ended(&mut self, client: usize, why: &str, scene: &mut impl Scene) -> Outcome {
        let slot = &mut self.all[client];
        if slot.state != State::Left {
            return Err(format!("client {client} lost its connection ({:?}): {why}", slot.state));
        }
        (slot.stream, slot.unread, slot.unsent) = (None, Vec::new(), Vec::new());
        self.connected -= 1;
        scene.left(self, client)
    }

    /// Takes the head and the whole frames from `bytes`, and returns how many bytes they had.
    fn hear(
        &mut self,
        client: usize,
        bytes: &[u8],
        scene: &mut impl Scene,
    ) -> Result<usize, String> {
        let mut used = 0;
        if self.all[client].state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
                return Err(format!("client {client} was not upgraded: {head}"));
            }
            used = end + 4;
            self.join(client);
        }
        loop {
            let mut header = Cursor::new(&bytes[used..]);
            let parsed = FrameHeader::parse(&mut header)
                .map_err(|error| format!("client {client}: {error}"))?;
            let Some((header_of, length)) = parsed else { return Ok(used) };
            let start = used + header.position() as usize;
            let Some(payload) = bytes.get(start..start + length as usize) else { return Ok(used) };
            used = start + payload.len();
            match header_of.opcode {
                OpCode::Data(Data::Text) if header_of.is_final && header_of.mask.is_none() => {
                    let text = str::from_utf8(payload)
                        .map_err(|error| format!("client {client}: {error}"))?;
                    text.split('\n').try_for_each(|line| self.line(client, line, scene))?;
                    scene.text_ended(self, client);
                }
                OpCode::Control(Control::Ping) => {
                    self.say(client, &frame(OpCode::Control(Control::Pong), payload))
                }
                OpCode::Control(Control::Close) if self.is_leaving(client) => {
                    self.all[client].state = State::Left;
                }
                _ => {
                    return Err(format!(
                        "client {client} did not expect {header_of:?} {payload:?}"
                    ));
                }
            }
        }
    }

    fn join(&mut self, client: usize) {
        let id = self.id(client);
        let key = if self.is_keyed {
            format!(r#","key":"a key that is known, {id}""#)
        } else {
            String::new()
        };
        self.all[client].state = State::Joining;
        self.say(client, &text_frame(&format!(r#"{{"type":"join","id":"{id}"{key}}}"#)));
    }

    fn line(&mut self, client: usize, line: &str, scene: &mut impl Scene) -> Outcome {
        if self.all[client].state != State::Joining {
            return scene.line(self, client, line);
        }
        if !line.starts_with(&format!(r#"{{"type":"joined","id":"{}""#, self.id(client))) {
            return Err(format!("client {client} expected to have joined, and {line} came"));
        }
        self.all[client].state = State::Here;
        self.joined += 1;
        scene.joined(self, client)
    }
}

pub fn text_frame(text: &str) -> Vec<u8> {
    frame(OpCode::Data(Data::Text), text.as_bytes())
}

fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { opcode, mask: Some(MASK), ..FrameHeader::default() };
    let mut frame = Vec::new();
    header.format(payload.len() as u64, &mut frame).expect("memory takes all");
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
