//! sotto: private one-to-one web chat on one thread and one mio poll loop.
//!
//! # The purpose of this library
//!
//! It is for the program `sotto`, its tests, its benchmark and its examples, so that all of them
//! use the same code. **Nothing in it is stable**: any item may change with any version. The
//! contract of sotto is its wire [protocol](guide::protocol).
//!
//! # The layers
//!
//! Two halves and one hallway. A file uses files above it in this list, never one below.
//!
//! - [`config`], [`limits`]: the operator's choices; the constants with their reasons.
//! - [`memory`], [`time`], [`token`], [`throttle`]: shared by both halves. Totals that many share,
//!   the time of a turn and deadlines, the tokens that name connections, and a filter for lines of
//!   the log that clients can cause.
//! - [`chat`]: **the chat without sockets.** Text in, text out, plain data, time as an argument.
//!   [`chat::protocol`] turns lines into values and back. [`chat::hub`] decides the effect of each
//!   line, and puts its answers into outboxes.
//! - [`net`]: **sockets without a chat.** [`net::connection`] is one stream and the conversation on
//!   it: bytes in, requests and messages out, and back.
//! - [`metrics`]: the counters of both halves, as text.
//! - `api`, with the feature of that name: calls of backends, from text and back.
//! - `peerjs`, with the feature of that name: translates between PeerJS clients and the chat, text
//!   in and text out.
//! - [`server`]: **the hallway.** It knows both halves, and runs one *turn*: it reads each ready
//!   connection once, hands the texts to the hub, acts on deadlines, writes once to each client
//!   that has lines, and removes ended connections. It knows no kernel, so a test can play it.
//! - `store`, with the feature of that name: the changes of the hub in a file, by a thread of its
//!   own, for the next start.
//! - `host`, with the feature of that name: what a host of its own asks for, such as systemd.
//! - `auth`, with the feature of that name: ids from a login elsewhere, by JSON Web Tokens.
//! - [`event_loop`]: the kernel, by way of mio. The one place that sleeps; the listening sockets,
//!   and the signals.
//!
//! The program around them reads the options and starts the log. The page in `www/` is built in.
//!
//! # Where to begin
//!
//! [The guide](guide) explains the ideas. [Its way in for an afternoon][way in] leads from a line
//! echo server of a hundred lines to the hub, and says which parts to skip at first.
//!
//! Both halves work alone. Here is the chat without a socket: a client connects, claims an id, and
//! finds the answer in its outbox.
//!
//! ```
//! use sotto::chat::hub::Hub;
//! use sotto::config::Config;
//! use sotto::server::limits;
//! use sotto::time::Now;
//! use sotto::token::Token;
//!
//! let (hub_limits, _) = limits(&Config::default());
//! // Mids begin with this number. The program draws it at random.
//! let mut hub = Hub::new(hub_limits, 0xabc);
//!
//! // The server's slab gives each connection a token; here there is one connection.
//! let alice = Token::new(0, 1);
//! hub.open(alice, None);
//! let unread = hub.receive(alice, r#"{"type":"join","id":"alice"}"#, usize::MAX, Now::read());
//! assert_eq!(unread, "", "every line was heard");
//!
//! // The answer waits until the loop can write to this connection.
//! let text = hub.take_text(alice);
//! assert!(text.starts_with(br#"{"type":"joined","id":"alice","resumed":false"#));
//! ```
//!
//! [way in]: guide::architecture#a-way-in-for-an-afternoon

#![forbid(unsafe_code)]

pub mod config;
pub mod limits;

pub mod memory;
pub mod throttle;
pub mod time;
pub mod token;

pub mod chat;

pub mod net;

pub mod metrics;

#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "peerjs")]
pub mod peerjs;

pub mod server;

#[cfg(feature = "store")]
pub mod store;

#[cfg(feature = "host")]
pub mod host;

#[cfg(feature = "auth")]
pub mod auth;

pub mod event_loop;

pub mod guide;
