//! The constants that no option changes, each with its unit and its reason.
//!
//! **Invariants**
//! - The end of a name is its unit: `_BYTES`, `_US` for microseconds, otherwise a count. Times are
//!   a [`Duration`].
//! - `_PER_TURN` bounds the work of one turn, so that no group of connections delays the others;
//!   the rest waits for the next turns. `_TOTAL` is shared by all clients or connections.
//! - A *measured* or *counted* figure is that of a 64-bit Linux.
//!
//! It does not know how a bound is kept: the file that uses a constant does.

use std::ops::RangeInclusive;
use std::time::Duration;

// ---- the loop ----

/// Bytes read from one connection in one turn: the length of its one read, and its budget.
///
/// As long as the longest message by default, but not as that message with its header, which takes
/// two turns; a power of two. Larger, a turn over a thousand busy clients would take more than
/// milliseconds; smaller, a long message would take more turns.
pub const READ_BYTES: usize = 64 * 1024;
/// Readiness events that one call of `poll` takes from the kernel; the next call reports the rest.
///
/// Larger costs memory, smaller costs system calls under load.
pub const EVENTS_MAX: usize = 1024;
/// Connections accepted from one listener in one turn, so that a rush of new connections cannot
/// delay established ones.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections read in one turn after all others, because their end was reported or their TLS
/// handshake goes on: a rush of either cannot delay established connections.
///
/// The last messages of a client that left at once wait with them; larger would deliver those
/// sooner and delay the others more.
pub const ENDS_PER_TURN: usize = 128;
/// Calls of `poll` in one `wait`, as long as most events are ends: as many events in all as there
/// may be connections by default. Fewer, and a message could wait behind ends in the kernel's list.
pub const WAITS_PER_TURN: usize = CONNECTIONS_MAX / EVENTS_MAX;
/// Connections that the kernel completes and keeps until we accept them (listen(2)). In a rush
/// beyond that, a client has to try again, a second later.
pub const BACKLOG: i32 = 4096;
/// The wait before `accept` is tried again after the machine ran out of descriptors or memory. No
/// event would come: the edge that reported the connections is gone.
///
/// Shorter, and the loop spins while nothing has changed; longer, and new clients wait longer.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Watchers looked at in one turn for a notice of presence: about a millisecond of sending, if all
/// of them have to be told.
pub const NOTICES_PER_TURN: usize = 256;
/// The longest delay of a line that no client waits for, such as the news that a message was
/// delivered, if no other line for its recipient comes before: one write then carries many.
///
/// People do not notice: anything within a tenth of a second looks immediate.
pub const GATHERING: Duration = Duration::from_millis(20);
/// Deadlines handled in one turn: some milliseconds of sending, if each of them is a ping.
///
/// The deadlines of a rush of connections come up spread out like the rush or, after a pause of the
/// machine, all at once.
pub const DEADLINES_PER_TURN: usize = 256;
/// Bytes that may wait in an outbox before a long line makes the loop write to its client within
/// the turn. A line is long from [`COPIED_BYTES_MAX`] on.
///
/// With long lines for many clients, each outbox then leaves while it lies in the processor's
/// cache, and its buffer serves the next one. Smaller, and a system call carries fewer messages;
/// larger, and the buffers of a turn fall out of the cache (8 messages of 16 KB for each of 100
/// clients took up to a third more time). Short lines gain nothing, and leave together at the end
/// of the turn.
pub const PRESSING_BYTES: usize = 48 * 1024;
/// The kernel's send buffer of a connection, in bytes (SO_SNDBUF).
///
/// If it is not set, Linux takes 3.9 MB on loopback before it refuses bytes, so a stopped reader
/// would be noticed eight outboxes late. Smaller, and more writes are cut short.
pub const SEND_BUFFER_BYTES: usize = 65_536;
/// Upper bounds of the histogram of turns, in microseconds: from a turn for one message to a turn
/// in which every client waited for a second.
pub const TURN_BUCKETS_US: [u64; 12] =
    [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000];
/// The time from the first signal to the end; bytes that have not left by then are lost.
///
/// Well below the 10 seconds after which `docker stop` kills.
pub const SHUTDOWN: Duration = Duration::from_secs(4);

/// The time before the end of a certificate from which the log warns of it. certbot renews 30 days
/// before, so something is wrong by then, and two weeks are left to mend it.
pub const EXPIRY_WARNED_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The time between two looks at the end of the certificate: a warning a day.
pub const EXPIRY_LOOKED_AT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most time between two reports of clients and connections to the manager of services, in a
/// build with the feature `host`. An idle loop wakes up for each.
pub const STATUS_EVERY: Duration = Duration::from_secs(10);

/// The most time for each step of `sotto --health`. Container runtimes wait for 30 s by default.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

// ---- connections ----

/// Connections at one time, if descriptors allow it and `--max-clients` does not say otherwise.
pub const CONNECTIONS_MAX: usize = 32_768;
/// Descriptors that connections leave free: standard streams, listeners, `poll`, signals, a file of
/// `--www`, the store, refused connections, connections for metrics.
pub const DESCRIPTORS_RESERVED: usize = 48;
/// Listening sockets: those of the chat, the metrics, the redirect and the API. A host has a few
/// addresses; each costs a look in every turn.
pub const LISTENERS_MAX: usize = 10 + cfg!(feature = "api") as usize;
/// Connections beyond the limit that are answered at one time, each within [`LINGER`]; others are
/// dropped unanswered.
pub const REFUSALS_MAX: usize = 16;
/// Connections for metrics at one time, besides all others. A scraper needs one. Each may hold one
/// text of 6 KiB.
pub const METRICS_CONNECTIONS_MAX: usize = 4;
/// Memory of a joined client, at most, besides the parts that are counted by themselves: its slots,
/// its id, its deadlines, the state of a partial message.
///
/// Measured: 425 bytes while it is quiet, 560 with a partial message, with ids of 64 bytes.
pub const CLIENT_BYTES: usize = 640;
/// Memory that the subnet of a connection takes, at most: a list entry of 24 bytes and a table
/// entry of 25, with the spare capacity of tables that have just grown.
pub const ADDRESS_BYTES: usize = 106;
/// Memory of the program itself: code, stacks, lists, and bytes that the allocator cannot use.
pub const PROGRAM_BYTES: usize = 4 << 20;
/// Resident memory with a thousand quiet clients, for an operator to compare with the most that is
/// possible (measured: 2.9 MiB, and 2.3 MiB without a client).
pub const USUAL_BYTES: usize = 3 << 20;
/// The longest time in which a connection may take none of the bytes that wait for it.
///
/// Shorter drops phones in a tunnel; longer keeps the memory of dead connections.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// The time for which we go on reading after our last bytes. Closing with unread input makes the
/// kernel send a reset, which could destroy these bytes before the peer reads them (RFC 9112, 9.6).
pub const LINGER: Duration = Duration::from_secs(2);
/// The longest preamble of the PROXY protocol in bytes: the addresses take less than 250; the rest
/// is for what a proxy knows of the client's TLS.
pub const PREAMBLE_BYTES_MAX: usize = 2048;
/// Connections of trusted proxies that have not sent their whole preamble, at one time. Most send
/// it with the first packet, so few wait; a connection is dropped when so many have come after it.
pub const PREAMBLES_MAX: usize = 64;
/// The time for a preamble: that in which a lost packet is sent again, as the protocol recommends.
pub const PREAMBLE_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time for which a client that sent too fast is not read.
///
/// A list may cost 256 lines, which is minutes at a low `--rate`. Shorter, and a client that sends
/// nothing but lists is slowed down less: one list in this time.
pub const DEBT_MAX: Duration = Duration::from_secs(10);

/// Bytes refused by the kernel, of all connections together: pongs, last words, and text taken from
/// outboxes. A connection that would have more than its share of them is dropped.
pub const UNSENT_BYTES_TOTAL: usize = 32 << 20;
/// A text shorter than this is copied behind its frame header, and both leave in one plain write.
/// A write of two pieces costs the kernel more than the copy: some percent of a single message.
pub const COPIED_BYTES_MAX: usize = 4096;
/// Empty outbox buffers kept for the next turn, in bytes of capacity: for a thousand short
/// conversations, or a hundred of dozens of lines. One long buffer is kept besides.
pub const POOL_BYTES_MAX: usize = 1024 * 1024;
/// The longest of these buffers, in bytes.
///
/// A client that gets one for a line keeps it until the line leaves: for a turn, or for
/// [`GATHERING`]. In that time, other clients can fill no more new buffers than this thread can
/// write lines, a few MiB.
pub const POOLED_BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Bytes that one read may queue for its connection before they are written at once, not at the end
/// of the turn. The answers to a read full of pings are as long as the read, and a turn may read
/// thousands of connections.
pub const QUEUED_BYTES_MAX: usize = 4096;
/// The longest time from the first byte of a message to its last. A slower sender would hold memory
/// for nothing. The time begins anew when the kernel takes bytes again after a stall.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Stale deadlines kept, besides two for each owner, before all stale ones are dropped.
///
/// Smaller, and few clients that connect and leave would make the loop go through its deadlines
/// again and again.
pub const DEADLINES_SPARE: usize = 1024;

/// Entries that a table or list of all clients keeps capacity for, however few it has: tens of
/// kilobytes, not worth moving entries for.
pub const TABLE_CAPACITY_MIN: usize = 1024;
/// Entries that a table of one client, or of one id, keeps capacity for.
pub const SMALL_CAPACITY_MIN: usize = 8;

// ---- TLS ----

/// TLS handshakes advanced in one turn, counted within [`ENDS_PER_TURN`].
///
/// One costs a third of a millisecond, more than a hundred messages; a burst of them must not delay
/// established connections.
pub const HANDSHAKES_PER_TURN: usize = 16;
/// Plaintext that one write may encrypt: four records, as much as the kernel takes before it
/// refuses; longer text takes several writes. Once encrypted, it counts as unsent if the kernel
/// refuses it.
pub const TLS_WRITE_BYTES: usize = SEND_BUFFER_BYTES;
/// Bytes that one call reads from the socket of a TLS connection.
///
/// rustls would ask for 4096, and for 18 KiB in a long record. It has an entry for each record that
/// arrives whole in one read, and keeps the memory of these entries. At most 93 records arrive in
/// this many bytes, and their entries take 3 KiB.
pub const TLS_READ_BYTES: usize = 2048;
/// The longest plaintext of a record in bytes (RFC 8446, 5.1).
pub const TLS_RECORD_BYTES_MAX: usize = 16_384;
/// Bytes a peer may send without a plaintext byte that can be read: the longest record that TLS 1.2
/// allows, 18,437 bytes, and the read in which the next one begins.
///
/// A handshake takes less than a tenth of it. rustls itself would keep 64 KiB.
pub const TLS_UNREAD_BYTES_MAX: usize = 24 * 1024;
/// Memory of a TLS session at most while no bytes wait in it: keys, state, and capacity for the
/// next bytes. A quiet session takes half of it.
pub const TLS_SESSION_BYTES: usize = 16 * 1024;
/// [`USUAL_BYTES`] with TLS (measured: 11.4 MiB, and 3.5 MiB without a client: 8.1 KB for each).
pub const TLS_USUAL_BYTES: usize = 12 << 20;

// ---- HTTP ----

/// The longest request head in bytes. Browsers send less than two kilobytes; most servers have this
/// limit.
pub const HEAD_BYTES_MAX: usize = 8192;
/// The most header fields in a request.
pub const HEADERS_MAX: usize = 64;

// ---- the API for backends ----

/// Connections to the API at one time, besides all others. A backend keeps a few alive.
///
/// More, and unfinished requests take more of the memory for incomplete input; fewer, and a backend
/// of many processes is refused.
pub const API_CONNECTIONS_MAX: usize = 32;
/// Memory of a call whose answer waits for the disk, besides its connection: the answer, with two
/// ids and a `ref` as long as they may be, and its entry in a list.
pub const API_ANSWER_BYTES: usize = 1024;
/// The time for which a call waits for the disk before it is answered that its outcome is unknown:
/// longer than the disk takes to count as failed ([`STORE_HANG`]), shorter than the minute after
/// which HTTP clients give up.
pub const API_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait in seconds that a refused call is asked for, if it may succeed later.
pub const API_RETRY_SECONDS: u32 = 5;
/// The length of an API token in bytes: 16 cannot be guessed, and 256 fit into any header field.
pub const API_TOKEN_BYTES: RangeInclusive<usize> = 16..=256;
/// Lines of the token file: the token, and earlier ones. A change of tokens needs two.
pub const API_TOKENS_MAX: usize = 4;

// ---- WebSocket ----

/// The values of `--max-message`, in bytes.
///
/// A shorter message could not hold a `join`. A longer one would be more than the server should
/// keep for one client.
pub const MESSAGE_BYTES: RangeInclusive<usize> = 512..=16 << 20;
/// The least value of `--outbox`, in bytes. Half of it takes the lines that one read of short
/// messages adds without a `--rate`, as half of four times `--max-message` takes one long message.
pub const OUTBOX_BYTES_MIN: usize = 4 * READ_BYTES;
/// Bytes of incomplete heads and messages, of all connections together. It is more if messages may
/// be so long that the share of one connection would not hold one
/// ([`Config::incomplete_bytes_total`](crate::config::Config::incomplete_bytes_total)).
pub const INCOMPLETE_BYTES_TOTAL: usize = 64 << 20;
/// The longest header of a frame in bytes (RFC 6455, 5.2).
pub const FRAME_HEADER_BYTES_MAX: usize = 14;
/// Bytes that tungstenite reads at once. It fills as many with zeros before each read, so small is
/// fast; below 512 it reads in crumbs.
pub const CONTEXT_READ_BYTES: usize = 512;
/// Bytes that an incomplete message is counted as, besides its length: the tungstenite context that
/// its connection keeps for it (counted: 795).
pub const OPEN_MESSAGE_BYTES: usize = 1024;
/// The longest frame, in bytes, after which a context is kept for the next message. A longer one
/// has made the context's buffer grow.
pub const CONTEXT_FRAME_BYTES_MAX: usize = 4096;

// ---- the protocol ----

/// The longest id in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// The shortest and the longest key in bytes.
pub const KEY_BYTES: RangeInclusive<usize> = 16..=128;
/// The longest mid in bytes.
pub const MID_BYTES_MAX: usize = 32;
/// The longest `ref` in bytes, and the longest `to` that an error repeats.
pub const REF_BYTES_MAX: usize = 64;
/// The deepest nesting of arrays and objects in a `body` or a `card`: parsers of recipients
/// recurse, and a deeper one could exhaust their stack.
pub const BODY_DEPTH_MAX: usize = 64;
/// The longest list in one line.
pub const LIST_MAX: usize = 256;
/// Mids of an `ack` that are charged as one line: together as much work as one `send` (measured: 35
/// ns a mid, 1.07 µs a `send`; 1.03 µs an id of a `watch`, which is charged as a line of its own).
///
/// Fewer, and a client that acknowledges a full queue after its return would be slowed down.
pub const MIDS_PER_LINE: usize = 32;
/// Tokens that a line costs, and a frame without a line. A byte of blank lines costs one, because
/// it is looked at and skipped. Fewer, and a read full of blank lines would be minutes of debt.
pub const TOKENS_PER_LINE: usize = 64;
/// Tokens of one client that are spent in one turn: those of 256 lines, or of the longest list.
///
/// More, and a crowd of clients that send long lists at once delays the others for longer: at the
/// microsecond that an id takes (see [`MIDS_PER_LINE`]), 150 such clients make a turn of 38 ms.
/// Fewer, and messages that came in one read are handled in more turns.
pub const TOKENS_PER_TURN: usize = LIST_MAX * TOKENS_PER_LINE;
/// Ids that one client may watch.
pub const WATCHED_MAX: usize = 256;
/// Ids watched by all clients together.
pub const WATCHED_TOTAL: usize = 175_000;
/// Memory of a watched id, at most: with no other watcher, 64 bytes long, in a table that is a
/// quarter full (counted: 374; 330 if it is half full).
pub const WATCH_BYTES: usize = 376;
/// Ids that one client may block.
pub const BLOCKED_MAX: usize = 256;
/// Ids blocked by all clients together.
pub const BLOCKED_TOTAL: usize = 150_000;
/// Memory of a blocked id, at most: in a table that is a quarter full (counted: 174; 130 if it is
/// half full).
pub const BLOCK_BYTES: usize = 176;
/// The longest card in bytes: eight times that of the page, so other clients can have more keys.
///
/// Longer, and few cards would fill their total, and one short line would cause a long answer.
pub const CARD_BYTES_MAX: usize = 2048;
/// Bytes that a card is counted as, besides its text: the allocation that refers to it, and the
/// allocator's bytes around both (counted: 32, and 23 at most around the text).
pub const CARD_BYTES: usize = 56;
/// Bytes of the cards of all ids together: 100,000 cards of the page, as many as ids are owned by
/// default.
pub const CARDS_BYTES_TOTAL: usize = 32 << 20;
/// Refused lines in a row after which a client is disconnected as broken.
pub const BAD_REQUESTS_MAX: u8 = 16;

// ---- payers ----

/// The parts of a shared total of which one payer may have one: so seven payers at their limit
/// leave an eighth to all others.
///
/// More parts, and an office behind one address would meet its limit; fewer, and few addresses fill
/// a total.
pub const PAYER_SHARES: usize = 8;
/// Accounts of payers: about as many as connections and owned ids by default, each from an address
/// of its own. With the two that are always there, a power of two. Payers beyond that share one
/// account.
pub const ACCOUNTS_MAX: usize = 131_070;
/// Memory of an account in tables with capacity for a power of two: 88 bytes, and two entries of 17
/// in the table that finds it.
pub const ACCOUNT_BYTES: usize = 122;
/// Ids that a payer may claim at once: those of a household, or of one person at work.
pub const CLAIMS_AT_ONCE: u32 = 20;
/// The time in which a payer may claim one more id after those.
///
/// Shorter, and one address would fill `--owned` within `--hold`; longer, and a classroom behind
/// one address would wait longer.
pub const CLAIM_EVERY: Duration = Duration::from_secs(60);

// ---- the password of a private server ----

/// The longest password in bytes: more than people choose, and few enough to compare in some
/// microseconds. A longer one is wrong, and is not looked at.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Wrong passwords that a payer, or the owner of an id, may say at once: those of a person with a
/// few spellings in mind.
pub const GUESSES_AT_ONCE: u32 = 10;
/// The time in which it may say one more after those.
///
/// Shorter, and one address would try more than 3,000 passwords a day; longer, and people behind
/// the address of a guesser would wait longer.
pub const GUESS_EVERY: Duration = Duration::from_secs(30);
/// Wrong passwords that all clients without a payer may say at once: those of this machine, or of a
/// proxy that does not tell their addresses, which may be many people.
pub const SHARED_GUESSES_AT_ONCE: u32 = 100;
/// The time in which they may say one more after those.
///
/// Shorter, and a proxy without `--forwarded` would let through more than 86,400 guesses a day;
/// longer, and one guesser would lock all others out of the same proxy for longer.
pub const SHARED_GUESS_EVERY: Duration = Duration::from_secs(1);
/// Guessers whose wrong passwords are remembered: seven eighths of a power of two, as much as a
/// table of that size holds. Guessers beyond that share one count.
pub const GUESSERS_MAX: usize = 57_344;
/// Memory of a guesser, at most: 33 bytes in a table that has just grown, with the one before it.
pub const GUESSER_BYTES: usize = 64;

// ---- ids from a login elsewhere ----

/// The longest token in bytes. Those of logins are some hundred bytes long; a longer one is refused
/// and not looked at.
pub const ID_TOKEN_BYTES_MAX: usize = 4096;
/// Lines that a `join` with a token is charged as: to check a signature of ECDSA takes a tenth of a
/// millisecond, about as long as twenty messages. Fewer, and one client could busy the loop with
/// forged tokens; more, and a client that joins at once with its first lines would be slowed down.
pub const ID_TOKEN_LINES: usize = 20;
/// The difference between the clocks of the login and of the server that a token is allowed.
///
/// Shorter, and a clock that is not set by the network refuses tokens just made; longer, and an
/// expired token is good for longer.
pub const ID_TOKEN_LEEWAY: Duration = Duration::from_secs(60);
/// The longest key file in bytes: public keys have less than 200.
pub const AUTH_FILE_BYTES_MAX: usize = 4096;
/// The shortest secret for HS256 in bytes: as long as its hash (RFC 7518, 3.2). A shorter one could
/// be found by trying, with nothing but one token.
pub const AUTH_SECRET_BYTES_MIN: usize = 32;
/// Memory of an id that a proxy has named: in a table that has just grown, with the one before it.
pub const VOUCHED_BYTES: usize = 96 + ID_BYTES_MAX;

// ---- owned ids ----

/// The time for which an owned id still looks online after its connection broke: a reload of the
/// page or a change of network takes less.
pub const AWAY_GRACE: Duration = Duration::from_secs(10);
/// The time, at most, for which an id that is away does not give way to a new one: within a day
/// people come back. It is `--hold` if that is shorter.
pub const EVICTION_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// One part in this many of `--held-total`, and of each payer's share of it, takes messages for
/// owners that are here only: messages for absent ones never fill it.
///
/// A quarter, by default 16 MiB, is 32 full queues of recipients that read slowly.
pub const HELD_RESERVE: usize = 4;
/// Sends with a `ref` that are remembered for one owned id, so that a repeated send is not routed
/// twice: this many of the present connection, and after a break as many from before it. With one
/// list for both, a client that repeats one send more than fit would have each repeat push the next
/// one out, and all of them routed twice.
pub const SENDS_MAX: usize = 128;
/// The time by which a client that came back has said its repeats. From then on sends from before
/// the break give way. A slow client needs 26 s for 64 KiB at 20 kbit/s.
pub const REPEATS: Duration = Duration::from_secs(60);
/// Bytes that a remembered send is counted as: 48, the allocator's bytes around them or a quarter
/// as spare capacity, and the id of its recipient, which may have no other copy (counted: 176 with
/// an id of 64 bytes).
pub const SEND_BYTES: usize = 176;
/// Bytes of remembered sends, of all owned ids together. A total of its own, so that clients that
/// have left cannot fill up the memory for held messages.
pub const SENDS_BYTES_TOTAL: usize = 64 << 20;
/// Bytes that a held message is counted as, besides its line: its entry in the queue and that of
/// its payer, as much spare capacity there, and the id of its sender, which may have no other copy.
pub const HELD_BYTES: usize = 208;
/// Bytes by which a `message` line is longer than the shortest `send` line with the same body: the
/// sender's id, the mid and the time take at most 164 bytes, for 32 that fall away.
pub const LINE_BYTES_ADDED: usize = 132;
/// Messages acknowledged out of order leave gaps in a queue. Gaps are closed when they are one part
/// in this many: a half, so that no byte is moved more than once for each byte that leaves.
pub const GAPS_SHARE: usize = 2;
/// The same while no more can be held: one part in eight, because the seven other parts, which are
/// then moved, make an eighth of a limit free.
pub const GAPS_SHARE_WHEN_FULL: usize = 8;
/// Capacity for held messages that is not counted as messages, in bytes: of empty queues, and spare
/// in others. For hundreds of queues of dozens of messages, or one of thousands.
pub const HELD_POOL_BYTES_MAX: usize = 2 << 20;
/// Memory of an owned id, at most, while no message is held for it (counted: 629, with an id of 64
/// bytes; and the pointer to its card, in a table that is half full).
pub const OWNED_BYTES: usize = 648;
/// Steps taken in one turn for owned ids that expire: one for each id, and one for each message
/// dropped with it.
pub const EXPIRIES_PER_TURN: usize = 1024;

// ---- the store ----

/// Bytes of changes and of lines behind them that may wait for the disk before sends and claims are
/// refused. A message may exceed it by its own length.
///
/// More, and a disk that hangs takes more memory before senders notice; less, and a burst of long
/// messages is refused while the disk writes the one before.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// The part of that for which the buffers are kept after a burst.
pub const BATCH_BYTES_KEPT: usize = 1 << 20;
/// Bytes of the changes that end a held message or a remembered send. They are recorded beyond
/// [`BATCH_BYTES_MAX`], because each gives memory back, and held messages and remembered sends have
/// totals of their own.
pub const ENDING_BYTES: usize = 10 + 9;
/// Bytes of the change that withdraws a card. It is recorded beyond [`BATCH_BYTES_MAX`], too.
pub const WITHDRAWAL_BYTES: usize = 9;
/// The time for which a change that no line waits for may stay off the disk: acknowledgements, and
/// clients that come and go. A crash in that time repeats a message that its recipient knows.
///
/// Shorter, and a quiet server writes to its disk for each acknowledgement.
pub const LAZY_COMMIT: Duration = Duration::from_secs(1);
/// The time after a start with a store in which no ownership ends: clients that lost the server
/// have to come back first. Pages try again every 30 seconds at least.
pub const RESTART_GRACE: Duration = Duration::from_secs(5 * 60);

/// The time for which the storage thread waits for another program that writes to the file.
pub const STORE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the file that SQLite keeps in memory, in KiB: those that a batch of [`BATCH_BYTES_MAX`]
/// changes.
pub const STORE_CACHE_KIB: i64 = 8 * 1024;
/// Memory of the storage thread and of SQLite besides these pages (measured: 1.1 MiB).
pub const STORE_THREAD_BYTES: usize = 2 << 20;
/// Pages of the log after which they are copied into the file, at 4 KiB each: two long batches.
///
/// Fewer, and a busy server writes pages to the file that change again at once; more, and the log
/// takes more of the disk, and a start after a crash reads more.
pub const STORE_LOG_PAGES: i32 = 4096;
/// Positions in the table of ownerships that a file may always name. Beyond that a number has to
/// be plausible: below `--owned`, or four times the number of ownerships.
pub const STORE_SLOTS_MIN: usize = 1 << 20;
/// The time after which a batch that is not stored counts as failed: longer than an SD card takes
/// for a long batch, shorter than people wait for an answer.
pub const STORE_HANG: Duration = Duration::from_secs(10);
/// The time for the last batch, when the program ends. With [`SHUTDOWN`] below the 10 seconds after
/// which `docker stop` kills.
pub const STORE_FINISH: Duration = Duration::from_secs(4);
/// The time without a batch after which the log is copied into the file and emptied.
pub const STORE_IDLE: Duration = Duration::from_secs(2);
/// The time until the first further attempt after an error of the disk. It doubles up to
/// [`STORE_RETRY_MAX`].
pub const STORE_RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest time between two attempts.
pub const STORE_RETRY_MAX: Duration = Duration::from_secs(30);
/// The time between two lines of the log while the disk fails.
pub const STORE_LOG_EVERY: Duration = Duration::from_secs(60);

// ---- PeerJS ----

/// The age in milliseconds from which a message of a PeerJS client counts as undelivered, as with
/// PeerServer: its sender has given up by then, and an offer without its page leads nowhere.
pub const PEERJS_EXPIRY_MS: u64 = 5000;
/// Recipients remembered for one PeerJS client, because a message to them is unanswered or held.
///
/// A page calls few at a time. With more, the oldest is forgotten, and a message held for it counts
/// as expired too early.
pub const PEERJS_RECIPIENTS_MAX: usize = 16;
/// Memory of a PeerJS client besides that of other clients, at most: its recipients at 128 bytes
/// each, its id in two places, its key until it has joined, and the rest of its translator.
pub const PEERJS_BYTES: usize = 2816;

// ---- the log ----

/// The longest line of the log in bytes: below 4096, which a pipe that is ready takes without
/// blocking (pipe(7)).
pub const LOG_LINE_BYTES_MAX: usize = 4000;
/// Lines of one kind that clients can cause, at most, in a second; others are counted.
///
/// Enough for a program that bans addresses by their lines (fail2ban). At 500 bytes a line, a flood
/// of one kind makes 216 MB a day; more could fill a small disk before anybody looks.
pub const LOG_LINES_PER_SECOND: u32 = 5;
/// Bytes of a value from a client that a line of the log shows, at most: more than the usual host
/// or origin, less than the thousands that a header field may have.
pub const LOG_VALUE_BYTES_MAX: usize = 128;
/// Memory of the address of a connection that the log may name: 17 bytes, in a list that has just
/// grown.
pub const LOGGED_ADDRESS_BYTES: usize = 34;
