//! The peer that `cargo bench` measures sotto against: a message router as one writes it on tokio
//! and tungstenite, on one thread like sotto.
//!
//! **Invariants**
//!
//! - Each connection has a task, and the hub maps an id to the unbounded channel of its task.
//! - All lines that wait for a client leave as one WebSocket message.
//! - An id is free when its connection ends.
//!
//! It speaks `join`, `send` (with `ref`, too), `message`, `sent` and `error`. It is no chat server:
//! no page, presence, blocks, keys or signals, no rates, no pings, no deadlines, and no bound on
//! lines that wait for a slow reader. So it does less for a message than sotto does. Three things
//! make it fast: bodies pass through unparsed (`RawValue`), a connection has a read buffer of 4 KiB
//! instead of tungstenite's 128, and TCP sends without delay.
//!
//! `cargo run --release --example peer -- --listen 127.0.0.1:9004`

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Longest message in bytes, the same as sotto's.
const MESSAGE_BYTES_MAX: usize = 65536;
/// Longest id in bytes, the same as sotto's.
const ID_BYTES_MAX: usize = 64;
/// Read buffer of a connection in bytes.
const READ_BYTES: usize = 4096;
/// Connections that the kernel keeps until they are accepted, the same as sotto's.
const BACKLOG: u32 = 4096;

/// The clients by their ids. The lock is never contended: one thread runs all tasks, and no task
/// waits while it has the lock.
type Hub = Mutex<HashMap<String, UnboundedSender<String>>>;

#[derive(Deserialize)]
struct FromClient<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToClient<'a> {
    Joined {
        id: &'a str,
        max_message: usize,
    },
    Message {
        from: &'a str,
        body: &'a RawValue,
        mid: &'a str,
        at: u64,
    },
    Sent {
        #[serde(rename = "ref")]
        reference: &'a str,
        mid: &'a str,
        at: u64,
    },
    Error {
        code: &'a str,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a str>,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, option, address] if option == "--listen" => address.parse()?,
        _ => return Err("usage: peer --listen ADDRESS:PORT".into()),
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        let hub = Arc::new(Hub::default());
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, hub.clone()))),
                Err(error) => {
                    eprintln!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    })
}

/// Serves one connection until it ends.
async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let Ok(mut socket) = accept_hdr_async_with_config(stream, only_ws, Some(config)).await else {
        return;
    };
    let (outbox, mut inbox) = unbounded_channel::<String>();
    let mut client = Client { hub, id: None, outbox };
    loop {
        tokio::select! {
            biased;
            Some(mut text) = inbox.recv() => {
                while let Ok(line) = inbox.try_recv() {
                    text.push('\n');
                    text.push_str(&line);
                }
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let lines = text.split('\n').filter(|line| !line.is_empty());
                    lines.for_each(|line| client.receive(line));
                }
                Some(Ok(Message::Close(_))) => {
                    // The id is free at once; the answering close frame leaves with the next read.
                    drop(client);
                    while socket.next().await.is_some() {}
                    return;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

#[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
fn only_ws(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/ws" {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

struct Client {
    hub: Arc<Hub>,
    id: Option<String>,
    outbox: UnboundedSender<String>,
}

impl Client {
    fn receive(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<FromClient>(line) else {
            return self.answer(&ToClient::Error {
                code: "bad_request",
                reference: None,
                to: None,
            });
        };
        match &*line.kind {
            "send" => self.send(&line),
            "join" => self.join(&line),
            _ => self.refuse("bad_request", &line),
        }
    }

    fn send(&self, line: &FromClient) {
        let Some(from) = &self.id else { return self.refuse("not_joined", line) };
        let (Some(to), Some(body)) = (&line.to, line.body) else {
            return self.refuse("bad_request", line);
        };
        let mid = next_mid().to_string();
        let at =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let is_sent = match self.hub.lock().unwrap_or_else(PoisonError::into_inner).get(&**to) {
            None => false,
            Some(outbox) => serde_json::to_string(&ToClient::Message { from, body, mid: &mid, at })
                .is_ok_and(|text| outbox.send(text).is_ok()),
        };
        match &line.reference {
            _ if !is_sent => self.refuse("offline", line),
            Some(reference) => self.answer(&ToClient::Sent { reference, mid: &mid, at }),
            None => {}
        }
    }

    fn join(&mut self, line: &FromClient) {
        if self.id.is_some() {
            return self.refuse("already_joined", line);
        }
        let Some(id) = line.id.as_deref().filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
        else {
            return self.refuse("bad_id", line);
        };
        match self.hub.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_string()) {
            Entry::Occupied(_) => return self.refuse("id_taken", line),
            Entry::Vacant(entry) => entry.insert(self.outbox.clone()),
        };
        self.id = Some(id.to_string());
        self.answer(&ToClient::Joined { id, max_message: MESSAGE_BYTES_MAX });
    }

    fn refuse(&self, code: &str, line: &FromClient) {
        self.answer(&ToClient::Error {
            code,
            reference: line.reference.as_deref(),
            to: line.to.as_deref(),
        });
    }

    fn answer(&self, line: &ToClient) {
        // Both fail only when the task of this client is at its end.
        if let Ok(text) = serde_json::to_string(line) {
            let _ = self.outbox.send(text);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.hub.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }
}

fn next_mid() -> u64 {
    thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });
    LAST.set(LAST.get() + 1);
    LAST.get()
}
