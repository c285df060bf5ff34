//! The checks that fuzzers and `tests/replay.rs` share: each takes any bytes, and panics if a
//! promise is broken.
//!
//! **Invariants**
//!
//! - A check depends on its bytes alone: the same bytes pass or fail each time.
//! - Most bytes lead somewhere. A check has no checksum or magic number to get past.
//!
//! Where the bytes come from is not known here: a fuzzer makes them up, a test reads them from
//! `tests/fuzz/corpus/`.

#[path = "targets/frames.rs"]
pub mod frames;
#[path = "targets/http.rs"]
pub mod http;
#[path = "targets/line.rs"]
pub mod line;
#[path = "targets/play.rs"]
mod play;
#[path = "targets/socket.rs"]
mod socket;
#[path = "targets/turns.rs"]
pub mod turns;
#[path = "targets/written.rs"]
mod written;
