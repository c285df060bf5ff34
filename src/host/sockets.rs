//! Listening sockets of the manager of services: socket activation, sd_listen_fds(3).
//!
//! The manager binds them, and keeps them while the service restarts. So connections that come
//! meanwhile wait in the kernel, and none is refused.
//!
//! **Invariants**
//! - The sockets take the place of all `--listen`. Which of them is which does not matter.
//!
//! It does not know how connections are accepted.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

/// A listening socket of the manager.
pub enum Inherited {
    /// An IP address and a port.
    Tcp(TcpListener),
    /// A file.
    Unix(UnixListener),
}

/// Takes the sockets that the environment names (`LISTEN_FDS`, `LISTEN_PID`); none in most cases.
///
/// # Errors
/// One sentence for the operator, if one of them is no listening socket for streams.
pub fn inherited() -> Result<Vec<Inherited>, String> {
    let mut sockets = ListenFd::from_env();
    (0..sockets.len())
        .map(|at| {
            if let Ok(Some(socket)) = sockets.take_unix_listener(at) {
                return Ok(Inherited::Unix(socket));
            }
            let socket = sockets.take_tcp_listener(at).ok().flatten().map(Inherited::Tcp);
            let number = at + 1;
            socket.ok_or_else(|| {
                format!("socket {number} of LISTEN_FDS is not one for streams: use ListenStream=")
            })
        })
        .collect()
}
