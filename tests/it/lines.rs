//! The byte pump alone: the line echo example, with lines cut anywhere and a reader that stops.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::example::Example;
use crate::support::PATIENCE;

fn connect(example: &Example) -> TcpStream {
    let stream = TcpStream::connect(example.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("an echo in time");
    bytes
}

#[test]
fn lines_come_back_when_they_are_whole() {
    let example = Example::start("lines", "echoing lines on ");
    let mut client = connect(&example);
    for byte in b"one\ntw" {
        client.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read(&mut client, 4), b"one\n");
    client.write_all(b"o\nthree\n").unwrap();
    assert_eq!(read(&mut client, 10), b"two\nthree\n");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the end is answered with the end");
}

/// More bytes than both kernels hold, so writes are cut short and reads stop.
#[test]
fn megabytes_of_lines_come_back_in_order_and_delay_no_other() {
    let example = Example::start("lines", "echoing lines on ");
    let mut client = connect(&example);
    let mut other = connect(&example);
    let lines: Vec<u8> = (0..1_000_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    thread::scope(|scope| {
        let mut writer = client.try_clone().unwrap();
        let bytes = &lines;
        scope.spawn(move || writer.write_all(bytes).expect("the server reads on"));
        // The first client reads nothing yet, so its writer comes to a stop.
        other.write_all(b"meanwhile\n").unwrap();
        assert_eq!(read(&mut other, 10), b"meanwhile\n");
        assert!(read(&mut client, lines.len()) == lines, "bytes are lost or out of order");
    });
}

#[test]
fn line_without_an_end_is_refused_at_its_bound() {
    let example = Example::start("lines", "echoing lines on ");
    let mut client = connect(&example);
    let _ = client.write_all(&[b'x'; 10_000]);
    let end = client.read(&mut [0]);
    assert!(
        matches!(end, Ok(0))
            || end.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    );
}
