//! The log, kept from stopping the server. By itself simple_logger blocks when nobody reads
//! standard error, and panics when standard error is closed.
//!
//! Invariant: a line that cannot be written at once is dropped and counted; no line is longer than
//! a pipe that is ready takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use simple_logger::SimpleLogger;

use sotto::limits::LOG_LINE_BYTES_MAX;

/// Lines dropped since the start. Beside the log, which is nobody's to ask once it is installed.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Writes to standard error what it takes.
pub struct StderrLog {
    inner: SimpleLogger,
    /// How many of the lines dropped the log has told of.
    told: AtomicU64,
}

/// How many lines could not be written since the start.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl StderrLog {
    /// Makes this the program's log, from `level` up.
    ///
    /// # Errors
    /// When there is one already.
    pub fn install(level: LevelFilter) -> Result<(), log::SetLoggerError> {
        // tungstenite's own lines at debug and trace hold what people say.
        let inner = SimpleLogger::new()
            .with_level(level)
            .with_module_level("tungstenite", level.min(LevelFilter::Warn));
        log::set_max_level(inner.max_level());
        log::set_boxed_logger(Box::new(StderrLog { inner, told: AtomicU64::new(0) }))
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
        let mut text = match dropped.wrapping_sub(self.told.swap(dropped, Ordering::Relaxed)) {
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

/// Does standard error take a line now? A pipe that does has room for 4096 bytes at least
/// (pipe(7)).
fn is_writable() -> bool {
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents() == PollFlags::OUT
}
