//! A wire from a browser to the server that a test can cut, or that swallows bytes without a word,
//! in both directions or only those of the server.
//! The browser's own means of playing a lost network leave WebSockets alone.
//!
//! **Invariants**
//! - A flow, once cut, swallowed or deaf, stays so: mending the wire helps new connections only.
//! - Swallowed bytes have left their sender, and neither end is told that the other has ended.
//!
//! It knows of HTTP as much as it takes to put a script before the page's own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Where the page finds a script of the test.
const SCRIPT_PATH: &str = "/test-script.js";

/// Forwards connections to its address. Its threads end with the test program.
pub struct Wire {
    pub address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    server: SocketAddr,
    /// Runs before the page's own scripts, unless it is empty.
    script: String,
    state: Mutex<State>,
}

enum State {
    /// Forwards these flows and new ones.
    Whole(Vec<Flow>),
    /// Ends new connections.
    Cut,
    /// Forwards nothing, and accepts new connections.
    Silent(Vec<Flow>),
    /// Forwards what the browser says, and of each answer only its head. Ends are forwarded.
    Deaf(Vec<Flow>),
}

/// One connection through the wire.
struct Flow {
    browser: TcpStream,
    faults: Faults,
}

/// The faults of one flow.
#[derive(Clone, Default)]
struct Faults {
    is_swallowed: Arc<AtomicBool>,
    is_deaf: Arc<AtomicBool>,
}

impl Wire {
    pub fn to(server: SocketAddr) -> Wire {
        Wire::with_script(server, "")
    }

    /// Like `to`. This script runs in each page before the page's own, in every engine.
    pub fn with_script(server: SocketAddr, script: &str) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Mutex::new(State::Whole(Vec::new()));
        let line = Arc::new(Line { server, script: script.to_owned(), state });
        let accepting = Arc::clone(&line);
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(io::Result::ok) {
                accepting.accept(browser);
            }
        });
        Wire { address, line }
    }

    /// Ends all connections, and each new one.
    pub fn cut(&self) {
        for flow in self.line.state().change(State::Cut) {
            let _ = flow.browser.shutdown(Shutdown::Both);
        }
    }

    /// Swallows all bytes of all connections, and of each new one. None of them is ended.
    pub fn swallow(&self) {
        let mut state = self.line.state();
        let flows = state.change(State::Cut);
        flows.iter().for_each(|flow| flow.faults.is_swallowed.store(true, Ordering::Release));
        *state = State::Silent(flows);
    }

    /// Swallows the answers of the server, on all connections and each new one, but for the head of
    /// a new one. So a browser gets its WebSocket and joins, and does not hear that it has joined.
    pub fn deafen(&self) {
        let mut state = self.line.state();
        let flows = state.change(State::Cut);
        flows.iter().for_each(|flow| flow.faults.is_deaf.store(true, Ordering::Release));
        *state = State::Deaf(flows);
    }

    /// Forwards new connections. After `swallow` this is a NAT that has forgotten its flows.
    pub fn mend(&self) {
        self.line.state().change(State::Whole(Vec::new()));
    }
}

impl State {
    /// Returns the flows until now.
    fn change(&mut self, next: State) -> Vec<Flow> {
        match std::mem::replace(self, next) {
            State::Whole(flows) | State::Silent(flows) | State::Deaf(flows) => flows,
            State::Cut => Vec::new(),
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked with it")
    }

    fn accept(self: &Arc<Self>, mut browser: TcpStream) {
        let faults = Faults::default();
        let flow = Flow { browser: twin(&browser), faults: faults.clone() };
        let mut state = self.state();
        faults.is_deaf.store(matches!(*state, State::Deaf(_)), Ordering::Release);
        match &mut *state {
            State::Whole(flows) | State::Deaf(flows) => {
                // Without a server, new connections are dropped.
                let Ok(server) = TcpStream::connect(self.server) else { return };
                flows.push(flow);
                let line = Arc::clone(self);
                std::thread::spawn(move || line.forward(browser, server, &faults));
            }
            State::Cut => {}
            State::Silent(flows) => {
                flows.push(flow);
                std::thread::spawn(move || io::copy(&mut browser, &mut io::sink()));
            }
        }
    }

    /// Forwards a connection, and puts the script into the page if it is asked for here.
    fn forward(&self, mut browser: TcpStream, mut server: TcpStream, faults: &Faults) {
        if !self.script.is_empty() {
            let Some((path, head)) = read_request(&browser) else { return };
            let page = match &*path {
                SCRIPT_PATH => Some(answer("text/javascript", &self.script)),
                _ if server.write_all(head.as_bytes()).is_err() => return,
                "/" => Some(with_script(&server)),
                _ => None,
            };
            if let Some(page) = page {
                let _ = twin(&browser).write_all(&page);
                let _ = browser.shutdown(Shutdown::Both);
                return;
            }
        }
        let (from, to) = (twin(&browser), twin(&server));
        let is_swallowed = Arc::clone(&faults.is_swallowed);
        std::thread::spawn(move || pass_on(from, to, &is_swallowed, &is_swallowed));
        if faults.is_deaf.load(Ordering::Acquire) {
            let head = read_head(&server).unwrap_or_default();
            let _ = browser.write_all(&head);
        }
        pass_on(server, browser, &faults.is_swallowed, &faults.is_deaf);
    }
}

fn twin(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a free descriptor")
}

/// Forwards bytes until either end ends. `is_deaf` is the fault of this direction alone.
fn pass_on(
    mut from: TcpStream,
    mut to: TcpStream,
    is_swallowed: &AtomicBool,
    is_deaf: &AtomicBool,
) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let is_lost = is_swallowed.load(Ordering::Acquire) || is_deaf.load(Ordering::Acquire);
        if !is_lost && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either end ends the other. The thread of the other direction keeps a swallowed one open.
    if !is_swallowed.load(Ordering::Acquire) {
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Reads the head of a request or an answer, and nothing behind it.
pub fn read_head(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(head)
}

/// Reads the head of a request. Returns its path, and the head as it is passed on: asking for the
/// whole answer as plain text, and for the end of the connection behind it.
fn read_request(browser: &TcpStream) -> Option<(String, String)> {
    let head = String::from_utf8(read_head(browser)?).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let is_upgrade = head.to_lowercase().contains("\r\nupgrade:");
    let is_kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        is_upgrade || !["connection", "accept-encoding", "if-none-match"].contains(&&*name)
    };
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").filter(is_kept).collect();
    lines.extend((!is_upgrade).then_some("Connection: close"));
    Some((path, lines.join("\r\n") + "\r\n\r\n"))
}

/// Reads the answer with the page to its end, and returns it with the script before all others.
fn with_script(server: &TcpStream) -> Vec<u8> {
    let mut server = BufReader::new(server);
    let (mut head, mut page) = (String::new(), String::new());
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        match server.read_line(&mut line) {
            Ok(1..) if line.to_lowercase().starts_with("content-length:") => {}
            Ok(1..) => head += &line,
            _ => return Vec::new(),
        }
    }
    let _ = server.read_to_string(&mut page);
    let script = format!("<head><script src=\"{SCRIPT_PATH}\"></script>");
    let page = page.replacen("<head>", &script, 1);
    let length = format!("\r\nContent-Length: {}\r\n\r\n", page.len());
    (head.trim_end().to_owned() + &length + &page).into_bytes()
}

fn answer(kind: &str, text: &str) -> Vec<u8> {
    let length = text.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    (head + "Cache-Control: no-store\r\nConnection: close\r\n\r\n" + text).into_bytes()
}
