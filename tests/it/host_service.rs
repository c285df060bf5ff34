//! A server that a manager of services starts: the news it tells, the sockets it is given, and the
//! checks of options and health.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::support::{Client, PATIENCE, Server, Wire, sotto};

/// Returns a manager's socket with an abstract name, and the name.
fn manager(name: &str) -> (UnixDatagram, String) {
    let name = format!("sotto-it-{name}-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a free name");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    (socket, format!("@{name}"))
}

/// Waits for news that begin with this, and returns them.
fn wait_for(socket: &UnixDatagram, start: &str) -> String {
    let mut bytes = [0; 500];
    loop {
        let len = socket.recv(&mut bytes).unwrap_or_else(|_| panic!("no {start}"));
        let news = String::from_utf8_lossy(&bytes[..len]).into_owned();
        if news.starts_with(start) {
            return news;
        }
    }
}

#[test]
fn manager_hears_ready_then_beats_then_stopping() {
    let (socket, name) = manager("news");
    let mut command = sotto(&["--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "200000");
    let mut server = Server::spawn(&mut command);
    wait_for(&socket, "READY=1");
    wait_for(&socket, "WATCHDOG=1");
    wait_for(&socket, "STATUS=0 clients, 0 connections");
    let _alice = Client::join(&server, "alice");
    // The loop sleeps no longer than half of the watchdog's time.
    wait_for(&socket, "STATUS=1 clients, 1 connections");
    wait_for(&socket, "WATCHDOG=1");
    server.signal(Signal::TERM);
    wait_for(&socket, "STOPPING=1");
    assert!(server.wait_for_exit().success());
}

/// Returns the command of a server that is given this socket as a manager gives it.
pub fn activated(listener: &TcpListener, options: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    let socket = OwnedFd::from(listener.try_clone().expect("a descriptor"));
    command
        .env_clear()
        .args(["-c", script, env!("CARGO_BIN_EXE_sotto")])
        .args(options)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn restart_with_a_manager_s_socket_refuses_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut server = Server::spawn(&mut activated(&listener, &["--listen", "192.0.2.1:1"]));
    assert_eq!(server.address, address, "it takes the place of --listen");
    server.assert_alive();
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit().success());
    // No server is there, and the kernel completes the connection all the same.
    let waiting = TcpStream::connect(address).expect("the manager listens");
    let server = Server::spawn(&mut activated(&listener, &[]));
    let mut waiting = server.enter(Wire::of(waiting).expect("a socket"));
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    waiting.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn socket_that_is_not_for_streams_is_refused_in_one_sentence() {
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let listener = TcpListener::from(OwnedFd::from(datagrams));
    let output = activated(&listener, &[]).output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("sotto: socket 1 of LISTEN_FDS is not one for streams"), "{said}");
}

fn health(options: &[&str]) -> Output {
    sotto(&[&["--health"], options].concat()).output().expect("it runs")
}

#[test]
fn health_is_exit_code_0_of_a_server_and_1_of_none() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let check = |options: &[&str]| assert_eq!(health(options).status.code(), Some(0));
    // Of a server with TLS, too: it refuses plain text in plain text.
    check(&["--listen", &address]);
    if server.is_plain() {
        check(&[&format!("http://{address}")]);
        let absent = health(&[&format!("http://{address}/nothing")]);
        let said = String::from_utf8(absent.stderr).expect("UTF-8");
        assert_eq!(absent.status.code(), Some(1), "{said}");
        assert_eq!(said, format!("sotto: {address} answers with status 404\n"));
    }
    drop(server);
    let gone = health(&["--listen", &address]);
    let said = String::from_utf8(gone.stderr).expect("UTF-8");
    assert_eq!(gone.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("sotto: no answer from {address}: ")), "{said}");
    assert_eq!(health(&["https://chat.example"]).status.code(), Some(2));
}

#[test]
fn health_begins_as_a_server_behind_the_proxy_protocol_expects() {
    let options = ["--forwarded", "proxy"];
    let server = Server::start(&options);
    let address = server.address.to_string();
    let answer = health(&[&options[..], &["--listen", &address]].concat());
    let said = String::from_utf8(answer.stderr).expect("UTF-8");
    assert_eq!(answer.status.code(), Some(0), "{said}");
}
