//! The wire to a server: TCP, or TLS over TCP.
//!
//! The protocol on the wire is not known here, so a test over TCP is a test over TLS, too.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[cfg(feature = "tls")]
pub use tls::{Certificate, Session, certificate};

/// How long a test waits for an event that must come. Only a test that has failed waits this long,
/// so it is far more than the busiest machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server.
pub struct Wire {
    socket: TcpStream,
    #[cfg(feature = "tls")]
    session: Option<Box<Session>>,
}

impl Wire {
    /// Connects over TCP.
    pub fn plain(address: SocketAddr) -> Wire {
        Wire::try_plain(address).expect("a server that listens")
    }

    /// Connects over TCP to a server that may have ended.
    pub fn try_plain(address: SocketAddr) -> io::Result<Wire> {
        Wire::of(TcpStream::connect(address)?)
    }

    /// Wraps a connection that is there.
    pub fn of(socket: TcpStream) -> io::Result<Wire> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire {
            socket,
            #[cfg(feature = "tls")]
            session: None,
        })
    }

    /// Writes all of this and ends the stream, while it reads; returns all bytes that came.
    pub fn converse(&mut self, said: &[u8]) -> Vec<u8> {
        let (mut said, mut heard, mut last_progress) = (said, Vec::new(), Instant::now());
        self.socket.set_nonblocking(true).expect("a socket");
        loop {
            let before = (said.len(), heard.len());
            match self.write(said) {
                Ok(len) => said = &said[len..],
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            if said.is_empty() {
                self.socket.set_nonblocking(false).expect("a socket");
                self.flush().expect("it reads");
                self.shutdown(Shutdown::Write).expect("half closed");
                self.read_to_end(&mut heard).expect("an orderly end");
                return heard;
            }
            let mut buffer = [0; 65_536];
            match self.read(&mut buffer) {
                Ok(len) => heard.extend_from_slice(&buffer[..len]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            if before != (said.len(), heard.len()) {
                last_progress = Instant::now();
            }
            assert!(last_progress.elapsed() < PATIENCE, "nothing comes and nothing goes");
            std::thread::yield_now();
        }
    }

    /// Returns the TCP socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

#[cfg(not(feature = "tls"))]
impl Wire {
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

#[cfg(not(feature = "tls"))]
impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

#[cfg(not(feature = "tls"))]
impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::ErrorKind;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::{Arc, OnceLock};

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

    use super::*;

    pub type Session = ClientConnection;

    /// The files of a certificate for the loopback, signed by itself, and of its key.
    pub struct Certificate {
        pub certificate: PathBuf,
        pub key: PathBuf,
    }

    impl Certificate {
        /// Makes a certificate, in files of this name.
        pub fn new(name: &str) -> Certificate {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
            std::fs::create_dir_all(&folder).expect("a folder");
            let [certificate, key] =
                ["pem", "key"].map(|kind| folder.join(name).with_extension(kind));
            let status = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ])
                .args(["-days", "30", "-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=DNS:localhost,DNS:chat.example,IP:127.0.0.1"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-out")
                .arg(&certificate)
                .arg("-keyout")
                .arg(&key)
                .stderr(Stdio::null())
                .status();
            assert!(status.expect("openssl: tests/run installs it").success());
            Certificate { certificate, key }
        }

        /// Reads the certificate.
        pub fn der(&self) -> CertificateDer<'static> {
            CertificateDer::from_pem_file(&self.certificate).expect("a certificate")
        }

        /// Returns the configuration of a client that trusts this certificate only.
        pub fn client(&self) -> Arc<ClientConfig> {
            Certificate::trusting(self.der())
        }

        /// Returns the configuration of a client that trusts this root only.
        pub fn trusting(root: CertificateDer<'static>) -> Arc<ClientConfig> {
            let mut roots = RootCertStore::empty();
            roots.add(root).expect("a certificate");
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions().expect("versions");
            Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        }
    }

    /// Returns the certificate of all servers that are not given another.
    pub fn certificate() -> &'static Certificate {
        static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
        CERTIFICATE.get_or_init(|| Certificate::new("server"))
    }

    impl Wire {
        /// Shakes hands, and speaks TLS from here on.
        pub fn secure(self, config: Arc<ClientConfig>) -> Wire {
            self.try_secure(config).expect("a handshake")
        }

        /// Shakes hands with a server that may end meanwhile.
        pub fn try_secure(self, config: Arc<ClientConfig>) -> io::Result<Wire> {
            self.try_secure_as("localhost", config)
        }

        /// Shakes hands with a server of this name.
        pub fn try_secure_as(
            self,
            name: &'static str,
            config: Arc<ClientConfig>,
        ) -> io::Result<Wire> {
            let name = ServerName::try_from(name).expect("a name");
            let mut session = ClientConnection::new(config, name).expect("a session");
            let mut socket = self.socket;
            while session.is_handshaking() {
                session.complete_io(&mut socket)?;
            }
            Ok(Wire { socket, session: Some(Box::new(session)) })
        }

        /// Writes each part in a record of its own, but all records at once.
        pub fn write_records<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) {
            let session = self.session.as_deref_mut().expect("TLS");
            let mut records = Vec::new();
            for part in parts {
                session.writer().write_all(part).expect("its buffer takes it");
                while session.wants_write() {
                    session.write_tls(&mut records).expect("a vector takes all");
                }
            }
            self.socket.write_all(&records).expect("it reads");
        }

        /// Returns the TLS session.
        pub fn session(&self) -> &Session {
            self.session.as_deref().expect("TLS")
        }

        pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
            if let Some(session) = &mut self.session
                && how == Shutdown::Write
            {
                session.send_close_notify();
                while session.wants_write() {
                    session.write_tls(&mut self.socket)?;
                }
            }
            self.socket.shutdown(how)
        }
    }

    impl Read for Wire {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match &mut self.session {
                // An end of the stream without close_notify is an error.
                Some(session) => Stream::new(&mut **session, &mut self.socket).read(buffer),
                None => self.socket.read(buffer),
            }
        }
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match &mut self.session {
                Some(session) => {
                    match Stream::new(&mut **session, &mut self.socket).write(bytes)? {
                        // The session's buffer is full.
                        0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
                        taken => Ok(taken),
                    }
                }
                None => self.socket.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            match &mut self.session {
                Some(session) => Stream::new(&mut **session, &mut self.socket).flush(),
                None => Ok(()),
            }
        }
    }
}
