//! An echo bot that no server can read: a second implementation of sotto's end-to-end encryption.
//!
//! `cargo run --example sealed -- ws://127.0.0.1:8080/ws echo`, then write to `echo` on the page.
//! Each text comes back, sealed if it came sealed. A line `alice good morning` on standard input
//! writes to alice first.
//!
//! Read `sealed/crypto.rs` for the keys, the cards and the sealed bodies, then `sealed/bot.rs` for
//! whom to trust and what to say; here is only the socket. The bot has three short cuts. Its
//! secrets are in memory only, so after a restart it is another identity, and the server keeps the
//! old one's id for `--hold`. It speaks no TLS. And it never asks a person: a peer with another
//! identity than before gets no answer. Do not let two such bots write to each other.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use log::{LevelFilter, warn};
use simple_logger::SimpleLogger;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

#[path = "sealed/bot.rs"]
mod bot;
#[path = "sealed/crypto.rs"]
mod crypto;

use bot::Bot;

/// Seal keys live for an hour or more.
const RENEW: Duration = Duration::from_secs(60);
const RECONNECT: Duration = Duration::from_secs(1);
/// The same id has joined elsewhere: to come back would throw that connection out.
const CLOSE_REPLACED: u16 = 4001;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, id] = arguments.as_slice() else {
        return Err("usage: sealed ws://HOST/ws ID".into());
    };
    SimpleLogger::new().with_level(LevelFilter::Info).init()?;
    let mut bot = Bot::new(id, now());
    let identity = bot.identity();
    // People compare this number with the one on the page.
    println!("{id} is {}", crypto::safety_number(id, &identity.sign));
    let mut written = standard_input();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        loop {
            match connect(url).await {
                Ok(socket) => converse(socket, &mut bot, &mut written).await?,
                Err(error) => warn!("{url}: {error}"),
            }
            tokio::time::sleep(RECONNECT).await;
        }
    })
}

/// Microseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
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

async fn connect(url: &str) -> Result<WebSocketStream<TcpStream>, Box<dyn Error>> {
    let request = url.into_client_request()?;
    let host = request.uri().host().ok_or("no host")?;
    let stream = TcpStream::connect((host, request.uri().port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    Ok(client_async(request, stream).await?.0)
}

/// Serves one connection until it ends. An error ends the bot: to try again would not help.
async fn converse(
    mut socket: WebSocketStream<TcpStream>,
    bot: &mut Bot,
    written: &mut Receiver<String>,
) -> Result<(), Box<dyn Error>> {
    let mut minute = tokio::time::interval(RENEW);
    let mut lines = vec![bot.join(now())];
    loop {
        for line in lines {
            if socket.send(Message::text(line)).await.is_err() {
                return Ok(());
            }
        }
        let was_joined = bot.is_joined();
        tokio::select! {
            message = socket.next() => match message {
                // The server puts all lines that wait for a client into one message.
                Some(Ok(Message::Text(text))) => for line in text.split('\n') {
                    if let Some(heard) = bot.receive(line, now())? {
                        bot.write(&heard.from, &heard.text, now());
                    }
                },
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CLOSE_REPLACED.into() => {
                    return Err("this id has joined elsewhere".into());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
            Some(line) = written.recv() => if let Some((to, text)) = line.split_once(' ') {
                bot.write(to, text, now());
            },
            _ = minute.tick() => bot.renew(now()),
        }
        if bot.is_joined() && !was_joined {
            println!("joined");
        }
        lines = bot.take_lines();
    }
}
