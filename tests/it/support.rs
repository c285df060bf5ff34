//! A server that runs for a test, and a client that speaks to it.
//!
//! **Invariant**: every wait ends with an event; [`PATIENCE`] only ends a test that has failed.
//!
//! No test's topic is known here.

use std::collections::VecDeque;
use std::fmt::Display;
#[cfg(feature = "store")]
use std::io::ErrorKind;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

#[path = "wire.rs"]
mod wire;

#[cfg(feature = "tls")]
pub use wire::{Certificate, certificate};
pub use wire::{PATIENCE, Wire};

/// Returns `true` if the servers of this test program speak TLS by default.
pub fn over_tls() -> bool {
    cfg!(feature = "tls") && env!("CARGO_CRATE_NAME") != "browser"
}

/// Returns the command that starts sotto, without options from the environment.
pub fn sotto(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
    command
        .env_clear()
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    has_tls: bool,
    /// The most memory that the server may use, in bytes, as it logs at the start.
    pub memory_bytes_max: Option<usize>,
    /// Lines of standard error, as they come.
    log: Mutex<Receiver<String>>,
}

impl Server {
    /// Starts a server on a free port, and waits until it listens.
    pub fn start(options: &[&str]) -> Server {
        Server::spawn(&mut sotto(&[&["--listen", "127.0.0.1:0"], options].concat()))
    }

    /// Starts a server by a command that a test has prepared.
    pub fn spawn(command: &mut Command) -> Server {
        #[cfg(feature = "tls")]
        if over_tls() {
            return Server::spawn_with(command, certificate());
        }
        Server::spawned(command, false)
    }

    /// Starts a server with TLS and this certificate.
    #[cfg(feature = "tls")]
    pub fn spawn_with(command: &mut Command, files: &Certificate) -> Server {
        command.env("SOTTO_TLS_CERT", &files.certificate).env("SOTTO_TLS_KEY", &files.key);
        Server::spawned(command, true)
    }

    /// Starts a server without TLS.
    #[cfg(all(feature = "host", feature = "tls"))]
    pub fn spawn_plain(command: &mut Command) -> Server {
        Server::spawned(command, false)
    }

    fn spawned(command: &mut Command, has_tls: bool) -> Server {
        let mut child = command.spawn().expect("the server starts");
        let (sender, log) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("it was piped"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let log = Mutex::new(log);
        let address = SocketAddr::from(([0; 4], 0));
        let mut server = Server { child, address, has_tls, memory_bytes_max: None, log };
        let listening = format!("listening on {}://", server.scheme());
        let lines = server.log_until(&listening);
        let address = lines.last().and_then(|line| line.strip_prefix(&listening)).expect("a line");
        // A Unix socket has no address, and a page may lie below a path.
        let address = address.split('/').next().expect("the host");
        if address != "unix:" {
            server.address = address.parse().expect("an address");
        }
        let figure =
            lines.iter().find_map(|line| line.split_once(" MiB of memory")?.0.rsplit(' ').next());
        server.memory_bytes_max =
            figure.and_then(|mib| mib.parse::<usize>().ok()).map(|mib| mib << 20);
        server
    }

    /// Waits for a line of the log that begins with `start`, behind `LEVEL [target] ` if it has
    /// them.
    pub fn wait_for_log(&self, start: &str) -> String {
        self.log_until(start).pop().expect("the line itself")
    }

    /// Returns the lines of the log up to the next one that begins with `start`.
    pub fn log_until(&self, start: &str) -> Vec<String> {
        let log = self.log.lock().expect("no test panicked with it");
        let mut lines = Vec::new();
        loop {
            let line = log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line {start}"));
            lines.push(line.clone());
            if line.starts_with(start)
                || line.split_once("] ").is_some_and(|(_, text)| text.starts_with(start))
            {
                return lines;
            }
        }
    }

    /// Returns the lines of the log that nothing has waited for, up to its end.
    pub fn log_rest(&self) -> Vec<String> {
        self.log.lock().expect("no test panicked with it").iter().collect()
    }

    /// Returns the id of its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Waits until the server ends by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns a number from /proc/PID/status, such as `VmRSS` in kilobytes.
    pub fn status(&self, name: &str) -> u64 {
        self.status_text(name).parse().expect("a number")
    }

    /// Returns the first word of a line of /proc/PID/status.
    fn status_text(&self, name: &str) -> String {
        let path = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
        line.split_whitespace().nth(1).expect("a value").to_owned()
    }

    /// Waits until the server sleeps, and returns how often it has gone to sleep.
    ///
    /// On the loopback a written byte wakes its reader within the write, so a server that sleeps
    /// has read all of it.
    pub fn sleeps(&self) -> u64 {
        let start = Instant::now();
        while self.status_text("State:") != "S" {
            assert!(start.elapsed() < PATIENCE, "the server never sleeps");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.status("voluntary_ctxt_switches")
    }

    /// Counts its open descriptors.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        std::fs::read_dir(path).expect("it runs").count()
    }

    /// Returns the bytes of its memory, without pages of its file.
    pub fn memory_bytes(&self) -> usize {
        self.status("RssAnon") as usize * 1024
    }

    /// Waits until `expected` descriptors are open: the server hears of an end of a stream later
    /// than the test that makes it.
    pub fn wait_for_descriptors(&self, expected: usize) {
        let start = Instant::now();
        while self.descriptors() != expected {
            assert!(
                start.elapsed() < PATIENCE,
                "{} descriptors, not {expected}",
                self.descriptors()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the scheme of its addresses.
    pub fn scheme(&self) -> &'static str {
        if self.has_tls { "https" } else { "http" }
    }

    /// Connects, and shakes hands if it speaks TLS.
    pub fn connect(&self) -> Wire {
        self.enter(self.knock())
    }

    /// Connects over TCP. The server need not have accepted the connection yet.
    pub fn knock(&self) -> Wire {
        Wire::plain(self.address)
    }

    /// Returns `true` if the server speaks no TLS.
    #[cfg(feature = "host")]
    pub fn is_plain(&self) -> bool {
        !self.has_tls
    }

    /// Shakes hands if the server speaks TLS, which shows that it has accepted the connection.
    pub fn enter(&self, wire: Wire) -> Wire {
        #[cfg(feature = "tls")]
        if self.has_tls {
            return wire.secure(certificate().client());
        }
        wire
    }

    /// Writes a request on a new connection, and returns all text until the server ends the stream.
    pub fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an orderly end");
        String::from_utf8(answer).expect("UTF-8")
    }

    /// Checks that two new clients can exchange a message.
    pub fn assert_alive(&self) {
        let [mut a, mut b] = ["alive-a", "alive-b"].map(|id| Client::join(self, id));
        a.say(json!({"type": "send", "to": "alive-b", "body": "well?"}));
        assert_eq!(b.hear_type("message")["body"], "well?");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the protocol.
pub struct Client {
    pub ws: WebSocket<Wire>,
    /// Lines that have come and are not heard yet.
    lines: VecDeque<String>,
    /// Count of WebSocket messages that have come.
    pub messages: usize,
}

impl Client {
    /// Connects and upgrades, without a join.
    pub fn connect(server: &Server) -> Client {
        Client::upgrade(server, server.connect())
    }

    /// Joins under this id, over TLS with this configuration.
    #[cfg(feature = "tls")]
    pub fn join_with(
        server: &Server,
        config: &std::sync::Arc<rustls::ClientConfig>,
        id: &str,
    ) -> Client {
        let mut client = Client::upgrade(server, server.knock().secure(config.clone()));
        client.say(json!({"type": "join", "id": id}));
        assert_eq!(client.hear_type("joined")["id"], id);
        client
    }

    /// Upgrades a connection to WebSocket.
    fn upgrade(server: &Server, stream: Wire) -> Client {
        Client::ask(server, stream, "/ws", "").unwrap_or_else(|head| panic!("{head}"))
    }

    /// Asks for WebSocket at a path, with these fields more than needed. Returns the head of the
    /// response if it is refused.
    pub fn ask(server: &Server, stream: Wire, path: &str, fields: &str) -> Result<Client, String> {
        Client::try_ask(server.address, stream, path, fields).expect("it reads and answers")
    }

    /// Asks a server that may end meanwhile, under this host name.
    pub fn try_ask(
        host: impl Display,
        mut stream: Wire,
        path: &str,
        fields: &str,
    ) -> io::Result<Result<Client, String>> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let head = try_read_head(&mut stream)?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Ok(Err(head));
        }
        // RFC 6455, 1.3: the answer to exactly this key.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let ws = WebSocket::from_raw_socket(stream, Role::Client, None);
        Ok(Ok(Client { ws, lines: VecDeque::new(), messages: 0 }))
    }

    /// Joins under this id, without a key.
    pub fn join(server: &Server, id: &str) -> Client {
        let mut client = Client::connect(server);
        client.say(json!({"type": "join", "id": id}));
        assert_eq!(client.hear_type("joined")["id"], id);
        client
    }

    /// Joins under this id with a key, and returns the client and its `joined` line.
    pub fn join_owned(server: &Server, id: &str, key: &str) -> (Client, Value) {
        let mut client = Client::connect(server);
        client.say(json!({"type": "join", "id": id, "key": key}));
        let joined = client.hear_type("joined");
        assert_eq!(joined["id"], id);
        (client, joined)
    }

    /// Joins with a key at a server that may end meanwhile. Returns the client and its `joined`
    /// line, or `None` if the server has ended.
    #[cfg(feature = "store")]
    pub fn try_join_owned(address: SocketAddr, id: &str, key: &str) -> Option<(Client, Value)> {
        let wire = Wire::try_plain(address).ok()?;
        #[cfg(feature = "tls")]
        let wire = wire.try_secure(certificate().client()).ok()?;
        let mut client = Client::try_ask(address, wire, "/ws", "").ok()?.expect("an upgrade");
        client.try_say(&json!({"type": "join", "id": id, "key": key}));
        let joined = client.try_hear()?;
        assert_eq!((&joined["type"], &joined["id"]), (&"joined".into(), &id.into()), "{joined}");
        Some((client, joined))
    }

    /// Waits for the next line of a server that may end meanwhile. Returns `None` at the end of the
    /// connection.
    #[cfg(feature = "store")]
    pub fn try_hear(&mut self) -> Option<Value> {
        let start = Instant::now();
        while self.lines.is_empty() {
            assert!(start.elapsed() < PATIENCE, "a line or the end was to come");
            match self.ws.read() {
                Ok(Message::Text(text)) => self.lines.extend(text.split('\n').map(str::to_owned)),
                Ok(Message::Close(_)) => return None,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("a line or the end was to come");
                }
                Err(_) => return None,
                Ok(_) => {}
            }
        }
        Some(self.hear())
    }

    /// Ends the connection, without a close frame.
    pub fn cut(&mut self) {
        self.ws.get_mut().shutdown(Shutdown::Both).expect("a connection");
    }

    /// Sends a line, which is lost if the server has ended the connection.
    pub fn try_say(&mut self, line: &Value) {
        let _ = self.ws.send(Message::text(line.to_string()));
    }

    /// Sends a line.
    pub fn say(&mut self, line: Value) {
        self.say_text(&line.to_string());
    }

    /// Sends a WebSocket message as it is.
    pub fn say_text(&mut self, text: &str) {
        self.ws.send(Message::text(text)).expect("it reads");
    }

    /// Waits for the next line, and returns it as it came.
    pub fn hear_text(&mut self) -> String {
        let start = Instant::now();
        loop {
            // The server's pings end no wait.
            assert!(start.elapsed() < PATIENCE, "a line was to come");
            if let Some(line) = self.lines.pop_front() {
                return line;
            }
            match self.ws.read().expect("a line was to come") {
                Message::Text(text) => {
                    self.messages += 1;
                    self.lines.extend(text.split('\n').map(str::to_owned));
                }
                Message::Close(frame) => panic!("a line was to come, not a close: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Waits for the next line.
    pub fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).expect("a line is JSON")
    }

    /// Waits for the next line, which must have this type.
    pub fn hear_type(&mut self, kind: &str) -> Value {
        let line = self.hear();
        assert_eq!(line["type"], kind, "{line}");
        line
    }

    /// Waits for the next line, which must be an error with this code.
    pub fn hear_error(&mut self, code: &str) -> Value {
        let line = self.hear_type("error");
        assert_eq!(line["code"], code, "{line}");
        line
    }

    /// Waits for the close frame and the end of the stream behind it. Returns the lines before it,
    /// and its code.
    pub fn hear_close(&mut self) -> (Vec<String>, u16) {
        let mut lines: Vec<String> = self.lines.drain(..).collect();
        let code = loop {
            match self.ws.read().expect("a close frame was to come") {
                Message::Text(text) => lines.extend(text.split('\n').map(str::to_owned)),
                Message::Close(frame) => {
                    break frame.expect("a close frame with a code").code.into();
                }
                _ => {}
            }
        };
        match self.ws.read() {
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            other => panic!("the stream was to end, not {other:?}"),
        }
        (lines, code)
    }
}

/// Reads a response head, and no byte behind it.
pub fn read_head(stream: &mut impl Read) -> String {
    try_read_head(stream).expect("a head was to come")
}

fn try_read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).expect("UTF-8"))
}
