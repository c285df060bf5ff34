//! The log on standard error, written so that it never stops the server.
//!
//! simple_logger alone blocks while the other end of standard error is not read, and panics when it
//! is closed.
//!
//! **Invariants**
//! - A line that cannot be written, or not at once, is dropped and counted. No error of standard
//!   error ends the program, not even a file at its size limit, which the kernel tells by a signal.
//! - A line is never longer than a writable pipe takes without blocking ([`LOG_LINE_BYTES_MAX`]).
//!
//! It does not know the meaning of a line.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGXFSZ;
use simple_logger::SimpleLogger;

use sotto::limits::LOG_LINE_BYTES_MAX;

/// The number of lines dropped since the start. A static, because the installed log belongs to the
/// crate `log` and cannot be asked.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A logger that drops a line rather than wait for standard error.
pub struct StderrLog {
    inner: SimpleLogger,
    /// The part of [`DROPPED`] that a line of the log has already reported.
    reported: AtomicU64,
}

/// Returns the number of lines dropped since the start.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl StderrLog {
    /// Makes this the program's log, for lines of `level` and above.
    ///
    /// # Errors
    /// If the program has a log already, or a signal cannot be handled.
    pub fn install(level: LevelFilter) -> Result<(), Box<dyn Error>> {
        // A write to a file at its size limit (RLIMIT_FSIZE) ends a program that does not handle
        // this signal. If it is handled, the write fails like any other.
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        // tungstenite logs messages at debug and trace, and messages are private.
        let inner = SimpleLogger::new()
            .with_level(level)
            .with_module_level("tungstenite", level.min(LevelFilter::Warn));
        log::set_max_level(inner.max_level());
        log::set_boxed_logger(Box::new(StderrLog { inner, reported: AtomicU64::new(0) }))?;
        Ok(())
    }
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if !is_writable() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = dropped();
        let mut text = match dropped.wrapping_sub(self.reported.swap(dropped, Ordering::Relaxed)) {
            0 => record.args().to_string(),
            dropped => format!("({dropped} lines dropped before this one) {}", record.args()),
        };
        if text.len() > LOG_LINE_BYTES_MAX {
            let end = (0..=LOG_LINE_BYTES_MAX).rfind(|&at| text.is_char_boundary(at));
            text.truncate(end.unwrap_or_default());
        }
        let (level, target) = (record.level(), record.target());
        let write = || {
            let mut line = Record::builder();
            self.inner.log(&line.level(level).target(target).args(format_args!("{text}")).build());
        };
        if catch_unwind(AssertUnwindSafe(write)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Returns `true` if standard error takes a line now. A writable pipe takes at least 4096 bytes
/// (pipe(7)).
fn is_writable() -> bool {
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents() == PollFlags::OUT
}
