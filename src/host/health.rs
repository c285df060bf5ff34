//! The check of a running server, `sotto --health`: for containers without curl.
//!
//! **Invariants**
//! - Each step waits for [`HEALTH_TIMEOUT`] at most.
//!
//! It does not know how the server finds out that it is well.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::config::ListenAddress;
use crate::limits::HEALTH_TIMEOUT;

/// A server to be asked, and the path of the question.
#[derive(Debug, PartialEq)]
pub struct Probe {
    place: Place,
    path: String,
    /// The server is this program with the same options, so any answer of its own is a sign of
    /// life: one that speaks TLS refuses plain text by an answer in plain text.
    is_own: bool,
    /// The server expects a preamble of the PROXY protocol from this machine.
    begins_with_preamble: bool,
}

/// Where the server is.
#[derive(Debug, PartialEq)]
enum Place {
    /// A host and a port; or several, of which the first that can be reached is asked.
    Tcp(Vec<String>),
    /// The file of a Unix socket.
    Unix(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(authorities) => f.write_str(&authorities.join(" and ")),
            Place::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Probe {
    /// Returns the probe of a server with these options. `expects_preamble`: it is behind a proxy
    /// that speaks the PROXY protocol.
    pub fn of_own(address: &ListenAddress, expects_preamble: bool) -> Probe {
        let place = match address {
            ListenAddress::Tcp(address) => Place::Tcp(reachable(*address)),
            ListenAddress::Unix(path) => Place::Unix(path.display().to_string()),
        };
        let path = "/healthz".into();
        Probe { place, path, is_own: true, begins_with_preamble: expects_preamble }
    }

    /// Parses `http://HOST:PORT/PATH` or `unix:PATH`; without a path it asks for `/healthz`.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn parse(url: &str) -> Result<Probe, String> {
        let (place, path) = if let Some(path) = url.strip_prefix("unix:") {
            (Place::Unix(path.into()), "")
        } else if let Some(rest) = url.strip_prefix("http://") {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
            let port = if has_port { "" } else { ":80" };
            (Place::Tcp(vec![format!("{authority}{port}")]), path)
        } else {
            return Err(format!("\"{url}\" is not like http://127.0.0.1:8080/healthz"));
        };
        let path = if path.len() > 1 { path } else { "/healthz" }.into();
        Ok(Probe { place, path, is_own: false, begins_with_preamble: false })
    }

    /// Asks the server. This blocks.
    ///
    /// # Errors
    /// One sentence for the operator, if the server does not answer, or not as one that is well.
    pub fn ask(&self) -> Result<(), String> {
        let failed = |error: io::Error| format!("no answer from {}: {error}", self.place);
        let answer = self.exchange().map_err(failed)?;
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|text| text.get(..3)?.parse().ok());
        match status {
            Some(200) => Ok(()),
            Some(200..500) if self.is_own => Ok(()),
            Some(status) => Err(format!("{} answers with status {status}", self.place)),
            None => Err(format!("{} answers, but not in HTTP/1.1", self.place)),
        }
    }

    /// Returns the beginning of the answer.
    fn exchange(&self) -> io::Result<String> {
        match &self.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(Path::new(path))?;
                stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
                stream.set_write_timeout(Some(HEALTH_TIMEOUT))?;
                self.talk(stream)
            }
            Place::Tcp(authorities) => {
                let stream = connect(authorities)?;
                stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
                stream.set_write_timeout(Some(HEALTH_TIMEOUT))?;
                self.talk(stream)
            }
        }
    }

    fn talk(&self, mut stream: impl Read + Write) -> io::Result<String> {
        let preamble = if self.begins_with_preamble { "PROXY UNKNOWN\r\n" } else { "" };
        let host = match &self.place {
            Place::Tcp(authorities) if !self.is_own => authorities.concat(),
            _ => "localhost".into(),
        };
        let request = format!(
            "{preamble}GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
            self.path
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Returns the addresses at which this machine reaches a server that listens at `address`. A server
/// at `[::]` is reached over IPv4 where a container has no IPv6.
fn reachable(address: SocketAddr) -> Vec<String> {
    let ips: &[IpAddr] = match address.ip() {
        ip if !ip.is_unspecified() => &[ip],
        IpAddr::V4(_) => &[Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(_) => &[Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
    };
    ips.iter().map(|ip| SocketAddr::new(*ip, address.port()).to_string()).collect()
}

/// Connects to the first of these hosts that can be reached.
fn connect(authorities: &[String]) -> io::Result<TcpStream> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for authority in authorities {
        for address in authority.to_socket_addrs()? {
            result = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT);
            if result.is_ok() {
                return result;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_a_place_and_a_path() {
        let check = |url: &str, place: &str, path: &str| {
            let probe = Probe::parse(url).expect("a good one");
            assert_eq!((probe.place.to_string().as_str(), probe.path.as_str()), (place, path));
        };
        check("http://127.0.0.1:8080", "127.0.0.1:8080", "/healthz");
        check("http://127.0.0.1:8080/", "127.0.0.1:8080", "/healthz");
        check("http://sotto/chat/readyz", "sotto:80", "/chat/readyz");
        check("http://[::1]/readyz", "[::1]:80", "/readyz");
        check("http://[::1]:81/readyz", "[::1]:81", "/readyz");
        check("unix:/run/sotto.sock", "unix:/run/sotto.sock", "/healthz");
        assert!(Probe::parse("https://chat.example").is_err());
        assert!(Probe::parse("8080").is_err());
    }

    #[test]
    fn own_server_is_asked_where_this_machine_reaches_it() {
        let check = |address: &str, place: &str| {
            let address = ListenAddress::Tcp(address.parse().expect("an address"));
            assert_eq!(Probe::of_own(&address, false).place.to_string(), place);
        };
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::1]:8080 and 127.0.0.1:8080");
        check("192.0.2.7:80", "192.0.2.7:80");
        let probe = Probe::of_own(&ListenAddress::Unix("/a".into()), false);
        assert_eq!(probe.place.to_string(), "unix:/a");
    }
}
