//! A server under measurement: a process that lives as long as its value, with its CPU time and
//! memory as the kernel tells them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Options of sotto. Its rate would slow the clients down, and in `fan-in` more bytes are under way
/// to one client than are held for one by default.
const SOTTO_OPTIONS: [&str; 8] =
    ["--rate", "1000000", "--burst", "1000000", "--held", "4194304", "--log", "warn"];

/// A program that is measured.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Sotto,
    Peer,
}

pub const KINDS: [Kind; 2] = [Kind::Sotto, Kind::Peer];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sotto => "sotto",
            Kind::Peer => "peer",
        }
    }
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddrV4,
    /// The other end of standard error: a server that writes into a closed pipe may end.
    _log: BufReader<ChildStderr>,
}

impl Server {
    /// Starts a server on a free port, and on the first core if the generator has another.
    pub fn start(kind: Kind) -> Result<Server, String> {
        let mut command = match kind {
            Kind::Sotto => Command::new(env!("CARGO_BIN_EXE_sotto")),
            Kind::Peer => Command::new(peer_path()),
        };
        command.env_clear().args(["--listen", "127.0.0.1:0"]);
        if kind == Kind::Sotto {
            command.args(SOTTO_OPTIONS);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} does not start: {error}"))?;
        let log = BufReader::new(child.stderr.take().expect("it was piped"));
        // From here on every error ends the process, because it drops the value.
        let mut server =
            Server { child, address: SocketAddrV4::new([127, 0, 0, 1].into(), 0), _log: log };
        if let Some((core, _)) = cores() {
            pin(Some(Pid::from_child(&server.child)), core)?;
        }
        let mut line = String::new();
        while server._log.read_line(&mut line).is_ok_and(|count| count > 0) {
            if let Some(address) = line.trim_end().strip_prefix("listening on http://") {
                server.address = address.parse().map_err(|_| format!("no address: {line}"))?;
                return Ok(server);
            }
            line.clear();
        }
        Err("the server ended before it listened".into())
    }

    /// Returns the CPU time of all its threads, user and kernel, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        cpu_ns(&self.child.id().to_string())
    }

    /// Returns its resident bytes, counted by the kernel. (`status` has a rough figure with some
    /// kernels.)
    pub fn resident_bytes(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.map(|kib| kib * 1024).ok_or(format!("{path} tells no Rss"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `kill` fails only for a process that has ended, and that one needs `wait`, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the CPU time of this process, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    cpu_ns("self")
}

fn cpu_ns(process: &str) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let one = |path: PathBuf| fs::read_to_string(path).ok()?.split(' ').next()?.parse::<u64>().ok();
    threads.filter_map(|thread| one(thread.path().join("schedstat"))).sum()
}

/// Returns the server's core and the generator's, if this process may use two.
pub fn cores() -> Option<(usize, usize)> {
    // Read once, because pinning narrows the set of allowed cores.
    static CORES: std::sync::OnceLock<Option<(usize, usize)>> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        Some((cores.next()?, cores.next()?))
    })
}

/// Binds a process, or this thread where there is none, to one core.
pub fn pin(process: Option<Pid>, core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(process, &set).map_err(|error| format!("cannot pin to core {core}: {error}"))
}

/// Builds the peer where cargo has built sotto. (Cargo builds programs for a bench and tells their
/// paths, but no examples.)
pub fn build_peer() -> Result<(), String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--locked", "--release", "--example", "peer"]);
    command.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    command.arg("--target-dir").arg(target_directory());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the peer cannot be built: {status}")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

/// Returns the folder that cargo builds into, which is not tracked by git.
pub fn target_directory() -> &'static Path {
    release_directory().parent().expect("the target directory")
}

fn release_directory() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sotto")).parent().expect("the program is in a directory")
}

fn peer_path() -> PathBuf {
    release_directory().join("examples/peer")
}
