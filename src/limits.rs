//! Every limit and interval that nobody chooses, with its unit in its name and its reason.
//!
//! What each one bounds is known where it is used, not here.

use std::time::Duration;

// ---- the loop ----

/// Bytes that one connection is read for in one turn: one read, its whole budget. A power of two
/// that holds the longest message by default, and small enough that a turn over a thousand busy
/// clients stays in the milliseconds.
pub const READ_BYTES: usize = 64 * 1024;
/// Readiness events taken from the kernel at once. What is left over is reported by the next
/// `wait`.
pub const EVENTS_MAX: usize = 1024;
/// Connections accepted in one turn, so that a rush of new ones cannot keep those who talk waiting.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections whose end has come, or that are at their handshake, that are read in one turn,
/// behind all others: a rush of them cannot keep those who talk waiting. What somebody said who
/// then went at once waits with them.
pub const ENDS_PER_TURN: usize = 128;
/// How often the kernel is asked for more at the end of a wait, as long as most of what it reports
/// are ends: as many events as there may be connections.
pub const WAITS_PER_TURN: usize = 32;
/// Connections that the kernel keeps until we accept them.
pub const BACKLOG: i32 = 4096;
/// How soon accepting is tried again after the machine ran out of descriptors: the edge that told
/// of it is gone.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Watchers looked at in one turn: about a millisecond of sending, when all of them have to be
/// told.
pub const NOTICES_PER_TURN: usize = 256;
/// What nobody waits for, such as the news that a message has arrived, may leave so much later, if
/// nothing else is said to its client, for the sake of one write for many. Nobody sees it: what
/// comes within a tenth of a second looks immediate.
pub const GATHERING: Duration = Duration::from_millis(20);
/// Deadlines that have come up and are looked at in one turn: some milliseconds of sending, when
/// for all of them a ping is due. That of a rush of connections comes up as it went, or, after a
/// pause of the machine, all at once.
pub const DEADLINES_PER_TURN: usize = 256;
/// The kernel's send buffer for a connection. Left to itself Linux takes 3.9 MB on loopback before
/// it refuses, and a reader that stopped would be found eight outboxes late.
pub const SEND_BUFFER_BYTES: usize = 65_536;
/// Bounds of the buckets that turns are sorted into by their time, in microseconds: from a turn for
/// one message to one in which everybody waited.
pub const TURN_BUCKETS_US: [u64; 12] =
    [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000];
/// From the first signal to the end: what cannot be written by then is not written.
pub const SHUTDOWN: Duration = Duration::from_secs(4);

// ---- connections ----

/// Connections at once, where descriptors allow it and `--max-clients` does not say otherwise.
pub const CONNECTIONS_MAX: usize = 32_768;
/// Descriptors that connections leave free: standard streams, listeners, poll, signals, `--www`,
/// refusals, connections for metrics.
pub const DESCRIPTORS_RESERVED: usize = 32;
/// Connections over the maximum that are told so with a 503 at one time; more are just dropped.
pub const REFUSALS_MAX: usize = 16;
/// Connections for metrics at one time, besides all others: a scraper needs one. Each may hold one
/// text of 6 KiB.
pub const METRICS_CONNECTIONS_MAX: usize = 4;
/// What a joined client costs at most besides what is counted by itself: its slots, its id, its
/// deadlines, and what a begun message is kept in (measured: 425 while it is quiet, 560 with a
/// message begun, ids of 64 bytes).
pub const CLIENT_BYTES: usize = 640;
/// What one connection costs at most for being counted by its address: a place, and one in a table.
pub const ADDRESS_BYTES: usize = 80;
/// What the program takes for itself: code, stacks, lists, what the allocator cannot use.
pub const PROGRAM_BYTES: usize = 4 << 20;
/// How long a connection may take none of the bytes that wait for it.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// How long we go on reading after our last word, so that a reset does not eat it (RFC 9112, 9.6).
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes read and thrown away meanwhile.
pub const LINGER_BYTES: usize = 64 * 1024;

/// Bytes that the kernel has refused, of all connections: pongs, last words, and what was taken
/// from outboxes. Who would have more than its share of them is dropped.
pub const UNSENT_BYTES_TOTAL: usize = 32 << 20;
/// A shorter text is copied behind its header, and leaves with it in a plain write: two pieces cost
/// the kernel more than that: of a message by itself some percent.
pub const COPIED_BYTES_MAX: usize = 4096;
/// Empty buffers kept for the next turn, in bytes: for a thousand short conversations, or a hundred
/// of dozens of lines. Besides, a long one.
pub const POOL_BYTES_MAX: usize = 1024 * 1024;
/// The longest of them. Whoever gets one for a line keeps it until that leaves: for a turn, or for
/// [`GATHERING`], in which others can fill no more new ones than this thread can say in that time,
/// a few MiB.
pub const POOLED_BUFFER_BYTES_MAX: usize = 16 * 1024;
/// What hearing one connection may queue for it before it is written to: answers to a read full of
/// pings are as long as the read, and a turn may hear thousands.
pub const QUEUED_BYTES_MAX: usize = 4096;
/// From the first byte of a message to its last, while we listen. Who sends one slower than that
/// holds memory for nothing.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Deadlines that may be kept besides two for each owner, before those are dropped that nobody has
/// any more.
pub const DEADLINES_SPARE: usize = 1024;

/// Entries that a table or list of all has room for at least, however few are in it: tens of
/// kilobytes, for which nothing is moved.
pub const TABLE_CAPACITY_MIN: usize = 1024;
/// Entries that a table of one client, or of one id, has room for at least.
pub const SMALL_CAPACITY_MIN: usize = 8;

// ---- TLS ----

/// Of these, those that have not agreed yet on how they speak: a handshake is a third of a
/// millisecond of work, more than a hundred messages are, and those who talk are not to wait for a
/// crowd that arrives.
pub const HANDSHAKES_PER_TURN: usize = 16;
/// Plain bytes taken from a connection at once: four records, in one write, and more takes several;
/// what the kernel takes of a connection before it refuses. So much of it may come to lie
/// encrypted, and counts as refused then.
pub const TLS_WRITE_BYTES: usize = SEND_BUFFER_BYTES;
/// Bytes read from a socket at once. rustls would ask for 4096, and behind a long record for 18
/// KiB; it has a place for each record that comes whole in one read, and keeps it. In so many
/// bytes, 93 do at most, and their places take 3 KiB.
pub const TLS_READ_BYTES: usize = 2048;
/// Bytes in the longest record in plain (RFC 8446, 5.1).
pub const TLS_RECORD_BYTES_MAX: usize = 16_384;
/// Bytes that a peer may send without one that can be read: the longest record as TLS 1.2 allows
/// it, 18,437 bytes, and the read in which the next one begins. A handshake takes less than a
/// tenth; rustls itself would keep 64 KiB of it.
pub const TLS_UNREAD_BYTES_MAX: usize = 24 * 1024;
/// What a session costs at most while nothing waits in it: keys, state, and the room for what comes
/// next.
pub const TLS_SESSION_BYTES: usize = 16 * 1024;

// ---- HTTP ----

/// Longest request head in bytes. Browsers send less than two kilobytes; it is what most servers
/// allow.
pub const HEAD_BYTES_MAX: usize = 8192;
/// Most header fields in a request.
pub const HEADERS_MAX: usize = 64;

// ---- WebSocket ----

/// The lengths that `--max-message` can be set to, in bytes. A `join` with the longest id and key,
/// every character of them escaped, has to fit into the least; the greatest is what one client may
/// have the server keep for it.
pub const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 512..=16 << 20;
/// The least that `--outbox` can be set to, in bytes. Half of it takes what one read of short lines
/// adds, as half of four times `--max-message` takes what one long message adds.
pub const OUTBOX_BYTES_MIN: usize = 4 * READ_BYTES;

/// Heads and messages that have not come whole, of all connections together, in bytes; more where
/// messages may be so long that the share of one would not hold one.
pub const INCOMPLETE_BYTES_TOTAL: usize = 64 << 20;
/// Longest header of a frame in bytes (RFC 6455, 5.2).
pub const FRAME_HEADER_BYTES_MAX: usize = 14;
/// What tungstenite reads at once. It fills this much with zeros before each read, so small is
/// fast; below 512 it reads in crumbs.
pub const CONTEXT_READ_BYTES: usize = 512;
/// What an open message is counted as besides its bytes: the context that its connection keeps for
/// it (counted: 795).
pub const OPEN_MESSAGE_BYTES: usize = 1024;
/// A context that took a longer frame than this has grown, and is not kept.
pub const CONTEXT_FRAME_BYTES_MAX: usize = 4096;

// ---- the protocol ----

/// Longest id in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Shortest and longest key in bytes.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// Longest mid in bytes.
pub const MID_BYTES_MAX: usize = 32;
/// Longest `ref` in bytes, and longest `to` that an error repeats.
pub const REF_BYTES_MAX: usize = 64;
/// How deep arrays and objects may be nested in a `body`: recipients' parsers recurse.
pub const BODY_DEPTH_MAX: usize = 64;
/// Longest list in one line.
pub const LIST_MAX: usize = 256;
/// Ids that one client watches.
pub const WATCHED_MAX: usize = 256;
/// Ids watched by all clients together.
pub const WATCHED_TOTAL: usize = 225_000;
/// What one watched id costs at most: watched by nobody else, 64 bytes long, and in a table that is
/// a quarter full (counted: 374; 330 where it is half full).
pub const WATCH_BYTES: usize = 376;
/// Ids that one client blocks.
pub const BLOCKED_MAX: usize = 256;
/// Ids blocked by all clients together.
pub const BLOCKED_TOTAL: usize = 190_000;
/// What one blocked id costs at most, in a table that is a quarter full (counted: 174; 130 where it
/// is half full).
pub const BLOCK_BYTES: usize = 176;
/// Refused lines in a row after which a client is taken for broken.
pub const BAD_REQUESTS_MAX: u8 = 16;

// ---- owned ids ----

/// How long an owned id whose connection broke still looks online: a reload or a change of network
/// takes less.
pub const AWAY_GRACE: Duration = Duration::from_secs(10);
/// Sends with a `ref` that are remembered for one owned id, so that a repeated one is not routed
/// twice.
pub const SENDS_MAX: usize = 128;
/// What one of them is counted as: 48 bytes, a share of the table's room to grow, and the id it
/// went to, which may be here only.
pub const SEND_BYTES: usize = 144;
/// Bytes of remembered sends of all. By themselves, so that people who have left cannot fill up
/// what is held for others.
pub const SENDS_BYTES_TOTAL: usize = 64 << 20;
/// What a held message is counted as besides its line: its place in the queue, which has room for
/// as many more, and its sender's id, which may be here only.
pub const HELD_BYTES: usize = 192;
/// What was acknowledged out of the order in which it came leaves gaps. They are closed when they
/// are one part in so many: half, so that no byte is moved more than once for each that goes.
pub const GAPS_SHARE: usize = 2;
/// The same when nothing more can be held: the seven parts that are moved then are moved for an
/// eighth of a limit.
pub const GAPS_SHARE_WHEN_FULL: usize = 8;
/// Room for held messages that is not counted as messages, in bytes: of empty queues, and beyond
/// what is in others. For hundreds of dozens of messages, or one of thousands.
pub const HELD_POOL_BYTES_MAX: usize = 2 << 20;
/// What an owned id costs at most while nothing is held for it (counted: 557, with an id of 64
/// bytes).
pub const OWNED_BYTES: usize = 560;
/// What is done in one turn for owned ids whose time has come: one for each, and one for each
/// message that is dropped with it. The rest is for the next turns.
pub const EXPIRIES_PER_TURN: usize = 1024;

// ---- the log ----

/// Longest line of the log in bytes: below 4096, what a pipe that is ready takes without blocking.
pub const LOG_LINE_BYTES_MAX: usize = 4000;
