//! A listening Unix socket, and the file that names it.
//!
//! **Invariants**
//! - The file has mode 0660: only programs of its owner and its group can connect.
//! - The file goes with the socket, unless another program has replaced it meanwhile.
//!
//! It does not know its peers: the kernel tells no address.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use log::warn;
use mio::net::{TcpStream, UnixListener, UnixStream};
use rustix::fs::Mode;
use rustix::net::sockopt;
use rustix::process::umask;

use crate::limits::SEND_BUFFER_BYTES;

/// The permissions that the file does *not* have: it is made with mode 0660.
const MASK: Mode = Mode::from_raw_mode(0o117);

/// A listening socket with its file.
pub struct UnixSocket {
    /// The socket itself.
    pub listener: UnixListener,
    path: PathBuf,
    /// The device and the number of the file, to know it again.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at `path`. The file of a server that is gone is replaced.
    ///
    /// # Errors
    /// If a server listens there, if the file is no socket, or if it cannot be made.
    pub fn bind(path: &Path) -> io::Result<UnixSocket> {
        // Not blocking: a server that hangs has a full backlog, and listens.
        if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
            && UnixStream::connect(path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        {
            fs::remove_file(path)?;
        }
        let before = umask(MASK);
        let listener = UnixListener::bind(path);
        umask(before);
        let listener = listener?;
        let file = fs::symlink_metadata(path).ok().map(identity);
        Ok(UnixSocket { listener, path: path.into(), file })
    }

    /// Takes over a socket that another program has bound, and that keeps its file.
    ///
    /// # Errors
    /// Those of fcntl(2).
    #[cfg(feature = "host")]
    pub fn adopt(socket: std::os::unix::net::UnixListener) -> io::Result<UnixSocket> {
        socket.set_nonblocking(true)?;
        let path = socket.local_addr()?.as_pathname().unwrap_or(Path::new("")).into();
        Ok(UnixSocket { listener: UnixListener::from_std(socket), path, file: None })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts a connection.
    ///
    /// It is kept as a `TcpStream`, so that all connections have one type. Of that, only reading,
    /// writing and shutting down are used, which are the same for both kinds of sockets.
    ///
    /// # Errors
    /// Those of accept(2).
    pub fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept()?;
        // It is not inherited from the listening socket, as it is with TCP.
        sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES)?;
        let descriptor = OwnedFd::from(stream);
        Ok(TcpStream::from_std(std::net::TcpStream::from(descriptor)))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path).ok().map(identity);
        if now.is_some()
            && now == self.file
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn identity(file: Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Returns a path of this test alone, at which there is nothing.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sotto-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[test]
    fn file_is_for_owner_and_group_and_goes_with_the_socket() {
        let path = path("mode");
        let socket = UnixSocket::bind(&path).expect("a free path");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o660);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn stale_file_is_replaced_and_one_in_use_is_not() {
        let path = path("stale");
        // A socket of the standard library leaves its file behind, as a killed server does.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a free path"));
        let socket = UnixSocket::bind(&path).expect("a stale file");
        let error = UnixSocket::bind(&path).err().expect("a server listens there");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        // The file of another server is not ours to remove.
        fs::remove_file(&path).expect("it is there");
        let other = UnixSocket::bind(&path).expect("a free path");
        drop(socket);
        assert!(path.exists());
        drop(other);
    }

    #[test]
    fn file_that_is_no_socket_stays() {
        let path = path("regular");
        fs::write(&path, "precious").expect("a file");
        assert!(UnixSocket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
        fs::remove_file(&path).expect("it is there");
    }
}
