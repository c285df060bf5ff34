//! The socket below each connection: TCP or, in a build with the feature `tls`, TLS over TCP.
//!
//! **Invariants**
//! - Both builds offer the same names with the same signatures, so no other file of the loop or the
//!   program asks which build it is part of.
//!
//! It does not know which listener a stream came through, nor the conversation on it.

pub use build::{Identity, Socket};
pub(super) use build::{tcp_of, wrap};

/// The error of every option that needs TLS, in a build without it.
pub const WITHOUT_TLS: &str = "this sotto is built without TLS: build it with `--features tls`";

#[cfg(feature = "tls")]
mod build {
    use std::io;

    use mio::net::TcpStream;

    pub use crate::net::tls::Identity;
    use crate::net::tls::TlsStream;

    /// The stream of a connection, with TLS where its listener has an [`Identity`].
    pub type Socket = TlsStream<TcpStream>;

    /// Wraps an accepted stream; with an identity its peer has to speak TLS.
    ///
    /// # Errors
    /// Those of [`TlsStream::new`].
    pub fn wrap(stream: TcpStream, identity: Option<&Identity>) -> io::Result<Socket> {
        match identity {
            Some(identity) => TlsStream::new(stream, identity),
            None => Ok(TlsStream::plain(stream)),
        }
    }

    /// Returns the TCP socket, the one the kernel reports readiness for.
    pub fn tcp_of(socket: &mut Socket) -> &mut TcpStream {
        socket.socket_mut()
    }
}

#[cfg(not(feature = "tls"))]
mod build {
    use std::io;
    use std::path::Path;

    use mio::net::TcpStream;

    /// The stream of a connection.
    pub type Socket = TcpStream;

    /// A certificate with its key, of which a build without TLS can have none.
    pub enum Identity {}

    impl Identity {
        /// Refuses: this build cannot use a certificate.
        ///
        /// # Errors
        /// Always: [`WITHOUT_TLS`](super::WITHOUT_TLS).
        pub fn load(_: &Path, _: &Path) -> Result<Identity, String> {
            Err(super::WITHOUT_TLS.into())
        }

        /// Never runs, because there is no identity.
        ///
        /// # Errors
        /// None.
        pub fn reload(&self, _: &Path, _: &Path) -> Result<Identity, String> {
            match *self {}
        }

        /// Never runs, because there is no identity.
        pub fn expiry(&self) -> Option<u64> {
            match *self {}
        }
    }

    /// Returns an accepted stream as it is.
    ///
    /// # Errors
    /// None.
    pub fn wrap(stream: TcpStream, _: Option<&Identity>) -> io::Result<Socket> {
        Ok(stream)
    }

    /// Returns the TCP socket, the one the kernel reports readiness for.
    pub fn tcp_of(socket: &mut Socket) -> &mut TcpStream {
        socket
    }
}
