//! News for systemd, or another manager that speaks its protocol: sd_notify(3).
//!
//! A service of `Type=notify` counts as started with `READY=1`. With `WatchdogSec=` it is killed
//! and started again if no `WATCHDOG=1` comes in time. The loop sends it, and does everything else,
//! too: so a loop that hangs is a service that is started again.
//!
//! **Invariants**
//! - No datagram blocks the loop. One that the manager has no room for is lost; the next one comes
//!   before the watchdog's time is over.
//!
//! It does not know the loop. Of the crates for this protocol, none sends without blocking.

use std::env;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use log::warn;

use crate::limits::STATUS_EVERY;

/// The manager of services that has started the program, if one has.
pub struct Service {
    manager: Option<Manager>,
}

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The time between two beats.
    every: Duration,
    /// The manager waits for beats.
    has_watchdog: bool,
    /// The time of the next beat. `None`: now.
    beat_at: Option<Instant>,
    /// The numbers of clients and connections that the manager was told last.
    told: Option<(usize, usize)>,
}

impl Service {
    /// Finds the manager in the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_env() -> Service {
        let variable = |name| env::var(name).ok();
        let pid = std::process::id().to_string();
        let is_watched = variable("WATCHDOG_PID").is_none_or(|watched| watched == pid);
        let watchdog = variable("WATCHDOG_USEC").filter(|_| is_watched);
        Service::new(variable("NOTIFY_SOCKET"), watchdog)
    }

    fn new(socket: Option<String>, watchdog_us: Option<String>) -> Service {
        let watchdog = watchdog_us.and_then(|us| us.parse().ok()).map(Duration::from_micros);
        let connect = |name: &String| {
            let address = address(name)?;
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        };
        let manager = socket.filter(|name| !name.is_empty()).and_then(|name| {
            let result: std::io::Result<_> = connect(&name);
            let (socket, address) = result
                .inspect_err(|error| warn!("cannot tell {name} (NOTIFY_SOCKET) anything: {error}"))
                .ok()?;
            Some(Manager {
                socket,
                address,
                // Half of the time, as sd_watchdog_enabled(3) has it.
                every: watchdog.map_or(STATUS_EVERY, |time| STATUS_EVERY.min(time / 2)),
                has_watchdog: watchdog.is_some(),
                beat_at: None,
                told: None,
            })
        });
        Service { manager }
    }

    /// Tells the manager something.
    pub fn tell(&self, news: &str) {
        if let Some(manager) = &self.manager {
            manager.send(news);
        }
    }

    /// Returns how long the loop may sleep before the next beat; `None`: as long as it likes.
    pub fn sleep(&self, now: Instant) -> Option<Duration> {
        let manager = self.manager.as_ref()?;
        Some(manager.beat_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)))
    }

    /// Tells the manager that the loop turns, if it is time. `count` returns the numbers of clients
    /// and of connections.
    pub fn beat(&mut self, now: Instant, count: impl FnOnce() -> (usize, usize)) {
        let Some(manager) = &mut self.manager else { return };
        if manager.beat_at.is_some_and(|at| now < at) {
            return;
        }
        manager.beat_at = Some(now + manager.every);
        if manager.has_watchdog {
            manager.send("WATCHDOG=1");
        }
        let counts = count();
        if manager.told.replace(counts) != Some(counts) {
            let (clients, connections) = counts;
            manager.send(&format!("STATUS={clients} clients, {connections} connections"));
        }
    }
}

impl Manager {
    fn send(&self, news: &str) {
        // The manager may be restarting: the next news tell it again.
        let _lost = self.socket.send_to_addr(news.as_bytes(), &self.address);
    }
}

/// Returns the address of a path, or of an abstract name, which begins with `@`.
fn address(name: &str) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a manager, played by the test, and its name.
    fn manager() -> (UnixDatagram, String) {
        let name = format!("@sotto-{}-{:p}", std::process::id(), &());
        let name = format!("{name}-{:?}", std::thread::current().id());
        let socket =
            UnixDatagram::bind_addr(&address(&name).expect("a name")).expect("a free name");
        socket.set_nonblocking(true).expect("a socket");
        (socket, name)
    }

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let next = || {
            let mut bytes = [0; 200];
            let len = socket.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn manager_hears_of_start_beats_and_stop() {
        let (socket, name) = manager();
        let mut service = Service::new(Some(name), Some("4000000".into()));
        let start = Instant::now();
        service.tell("READY=1");
        assert_eq!(service.sleep(start), Some(Duration::ZERO));
        service.beat(start, || (1, 3));
        assert_eq!(heard(&socket), ["READY=1", "WATCHDOG=1", "STATUS=1 clients, 3 connections"]);
        assert_eq!(service.sleep(start), Some(Duration::from_secs(2)), "half of the time");
        service.beat(start + Duration::from_secs(1), || unreachable!("it is not time"));
        service.beat(start + Duration::from_secs(2), || (1, 3));
        service.tell("STOPPING=1");
        assert_eq!(heard(&socket), ["WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn manager_without_watchdog_hears_the_numbers_only() {
        let (socket, name) = manager();
        let mut service = Service::new(Some(name), None);
        service.beat(Instant::now(), || (0, 0));
        assert_eq!(heard(&socket), ["STATUS=0 clients, 0 connections"]);
        assert_eq!(service.sleep(Instant::now()).map(|time| time > STATUS_EVERY / 2), Some(true));
    }

    #[test]
    fn program_without_manager_tells_nobody() {
        let mut service = Service::new(None, Some("4000000".into()));
        service.tell("READY=1");
        service.beat(Instant::now(), || unreachable!("there is no manager"));
        assert_eq!(service.sleep(Instant::now()), None);
    }

    #[test]
    fn manager_that_does_not_read_blocks_nothing() {
        let (_socket, name) = manager();
        let service = Service::new(Some(name), None);
        (0..10_000).for_each(|_| service.tell("STATUS=much"));
    }
}
