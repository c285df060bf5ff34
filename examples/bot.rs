//! A bot that hears each message once and loses none, whatever is killed meanwhile: the client that
//! `tests/conformance/` holds to it, and a pattern for others.
//!
//! `cargo run --example bot -- ws://127.0.0.1:8080/ws alice alice.store`, then one JSON object a
//! line on standard input: `{"to":"bob","body":"hello"}`. One JSON object a line comes out for each
//! event: `message`, `accepted`, `delivered`, `failed`, `state`.
//!
//! **Invariants**
//!
//! - A message is acknowledged after it was printed, and after the store has it as handled.
//! - `accepted` is printed when the store has the message: from then on it outlives this program.
//! - One attempt to connect or one connection at a time; standard input is heard meanwhile.
//!
//! Read `bot/memory.rs` for the store and `bot/client.rs` for the protocol; here are the socket and
//! the clock. It speaks no TLS, no encryption, and only Unix knows its locks.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::future::Future;
use std::hash::BuildHasher;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

#[path = "bot/client.rs"]
mod client;
#[path = "bot/memory.rs"]
mod memory;

use client::{Client, Event};

/// Bounds of a delay, which is drawn from nothing up to a bound that doubles: the clients of a
/// restarted server do not all come back at once.
const DELAY_FIRST: Duration = Duration::from_millis(500);
const DELAY_MAX: Duration = Duration::from_secs(20);
/// A connection that was silent for this long is probed; sooner while a send has no answer.
const SILENCE: Duration = Duration::from_secs(30);
const SILENCE_UNANSWERED: Duration = Duration::from_secs(10);
/// Time for an answer, doubled with each connection given up for want of one.
const ANSWER_FIRST: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(80);
/// Bytes of the longest frame: `--outbox`, 512 KiB by default.
const FRAME_BYTES_MAX: usize = 128 << 20;
/// The server is short of memory.
const CLOSE_TRY_LATER: u16 = 1013;
/// The same id has joined elsewhere: to come back would throw that connection out.
const CLOSE_REPLACED: u16 = 4001;

type Socket = WebSocketStream<TcpStream>;

/// A line of standard input.
#[derive(Deserialize)]
struct Request {
    to: String,
    body: Box<RawValue>,
}

/// The reason for the end of a connection.
enum End {
    Closed(Option<u16>),
    /// No answer in time.
    Silent,
    /// Standard input has ended.
    Done,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, id, store] = arguments.as_slice() else {
        return Err("usage: bot ws://HOST/ws ID STORE_FILE".into());
    };
    let mut bot = Bot {
        url: url.clone(),
        client: Client::open(id, Path::new(store))?,
        input: standard_input(),
        attempts: 0,
        given_up: 0,
        has_ghost: false,
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(bot.run())
}

/// Returns the lines of standard input, read by a thread: no runtime can wait for a terminal.
fn standard_input() -> Receiver<String> {
    let (sender, receiver) = channel(1);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.take_while(|line| sender.blocking_send(line.clone()).is_ok()).for_each(drop);
    });
    receiver
}

struct Bot {
    url: String,
    client: Client,
    input: Receiver<String>,
    /// Attempts since the last `joined`.
    attempts: u32,
    /// Connections given up in a row.
    given_up: u32,
    /// The server may hear the `join` of an abandoned connection behind that of a later one, which
    /// it then closes with 4001 though no other client is there.
    has_ghost: bool,
}

impl Bot {
    async fn run(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            state("connecting");
            let url = self.url.clone();
            let attempt = timeout(self.answer_time().min(DELAY_MAX), connect(&url));
            let Some(attempt) = self.meanwhile(attempt).await? else { return Ok(()) };
            let end = match attempt {
                Ok(Ok(socket)) => self.converse(socket).await?,
                Ok(Err(_)) => End::Closed(None),
                Err(_) => End::Silent,
            };
            let has_joined = self.client.lost();
            match end {
                End::Done => return Ok(()),
                End::Closed(Some(CLOSE_REPLACED)) if !self.has_ghost => {
                    state("replaced");
                    return Ok(());
                }
                End::Silent => self.given_up += 1,
                End::Closed(_) => {}
            }
            self.has_ghost = !has_joined;
            state("lost");
            let is_later = matches!(end, End::Closed(Some(CLOSE_TRY_LATER)));
            let delay = sleep(self.delay(is_later));
            if self.meanwhile(delay).await?.is_none() {
                return Ok(());
            }
        }
    }

    fn answer_time(&self) -> Duration {
        (ANSWER_FIRST * (1 << self.given_up.min(10))).min(ANSWER_MAX)
    }

    fn delay(&mut self, is_later: bool) -> Duration {
        let bound = (DELAY_FIRST * (1 << self.attempts.min(10))).min(DELAY_MAX);
        self.attempts += 1;
        // Keys of the hasher are random.
        let random = RandomState::new().hash_one(self.attempts) as f64 / u64::MAX as f64;
        if is_later { DELAY_MAX.mul_f64(1.0 + random / 4.0) } else { bound.mul_f64(random) }
    }

    /// Waits for a future, and hears standard input meanwhile. `None`: that has ended.
    async fn meanwhile<T>(
        &mut self,
        future: impl Future<Output = T>,
    ) -> Result<Option<T>, Box<dyn Error>> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return Ok(Some(output)),
                line = self.input.recv() => match line {
                    Some(line) => self.write(&line)?,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Takes a line of standard input. An error of the store ends the bot.
    fn write(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let request: Request = serde_json::from_str(line)?;
        match self.client.send(&request.to, &request.body)? {
            true => tell("accepted", &request.body, json!({})),
            false => tell("failed", &request.body, json!({"code": "full"})),
        }
        Ok(())
    }

    /// Serves one connection until it ends.
    async fn converse(&mut self, mut socket: Socket) -> Result<End, Box<dyn Error>> {
        let answer_time = self.answer_time();
        let mut frames = vec![self.client.join()];
        let (mut is_asking, mut heard) = (true, Instant::now());
        loop {
            for frame in frames {
                match timeout(answer_time, socket.send(Message::text(frame))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(End::Closed(None)),
                    Err(_) => return Ok(End::Silent),
                }
            }
            let silence = match (is_asking, self.client.awaits_answer()) {
                (true, _) => answer_time,
                (false, true) => SILENCE_UNANSWERED,
                (false, false) => SILENCE,
            };
            // A peer that has not returned after a restart is tried again.
            let retry = self.client.retry_at().map_or(silence, |at| at - Instant::now());
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        (heard, self.given_up) = (Instant::now(), 0);
                        for line in text.split('\n') {
                            if let Some(end) = self.hear(line)? {
                                return Ok(end);
                            }
                        }
                        is_asking = !self.client.is_joined();
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Ok(End::Closed(frame.map(|frame| frame.code.into())));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(End::Closed(None)),
                },
                line = self.input.recv() => match line {
                    Some(line) => self.write(&line)?,
                    None => {
                        let _ = timeout(answer_time, socket.close(None)).await;
                        return Ok(End::Done);
                    }
                },
                () = sleep(silence.saturating_sub(heard.elapsed())) => {
                    if is_asking {
                        return Ok(End::Silent);
                    }
                    (is_asking, heard) = (true, Instant::now());
                    self.client.probe();
                }
                () = sleep(retry) => {}
            }
            frames = self.client.take_frames(Instant::now())?;
        }
    }

    /// Hears a line of the server. Returns a reason to end the connection.
    fn hear(&mut self, line: &str) -> Result<Option<End>, Box<dyn Error>> {
        for event in self.client.hear(line, Instant::now())? {
            match event {
                Event::Joined => {
                    (self.attempts, self.has_ghost) = (0, false);
                    state("joined");
                }
                Event::Message(message) => {
                    tell("message", &message.body, json!({"from": message.from}));
                    self.client.handled(&message)?;
                }
                Event::Delivered(body) => tell("delivered", &body, json!({})),
                Event::Failed(body, code) => tell("failed", &body, json!({"code": code})),
                Event::Refused(code) => {
                    state("refused");
                    eprintln!("{}: {code}", self.url);
                    return Ok(Some(End::Done));
                }
                Event::TryLater => return Ok(Some(End::Closed(Some(CLOSE_TRY_LATER)))),
            }
        }
        Ok(None)
    }
}

async fn connect(url: &str) -> Result<Socket, Box<dyn Error>> {
    let request = url.into_client_request()?;
    let host = request.uri().host().ok_or("no host")?;
    let stream = TcpStream::connect((host, request.uri().port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    Ok(client_async_with_config(request, stream, Some(config)).await?.0)
}

fn state(state: &str) {
    print(&json!({"event": "state", "state": state}).to_string());
}

/// Prints an event with a body, byte for byte as it was written.
fn tell(event: &str, body: &RawValue, more: serde_json::Value) {
    let mut line = json!({"event": event});
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    let line = line.to_string();
    print(&format!("{},\"body\":{body}}}", line.trim_end_matches('}')));
}

/// Prints a line with one write: a killed program leaves no half line that a reader could trust.
fn print(line: &str) {
    let mut output = stdout().lock();
    // A reader that is gone ends this program by its own hand.
    let _ = output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush());
}
