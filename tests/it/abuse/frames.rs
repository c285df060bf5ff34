//! Frames that are broken or never end, and malformed requests.

use std::io::{Read, Write};

use serde_json::json;

use super::{Watched, session_bytes};
use crate::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, answer, closing, connect, frame,
};
use crate::support::{Client, Wire};

/// Reads to the end of the stream.
fn rest(mut stream: Wire) -> Vec<u8> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("the end of the stream, and no reset");
    heard
}

/// Returns the header of a frame with a payload of `len` bytes.
fn announce(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn broken_frame_gets_its_close_code_and_the_end_of_the_stream() {
    let watched = Watched::start(&[]);
    let check = |said: &[Vec<u8>], code: u16| {
        let mut stream = connect(&watched.server);
        stream
            .write_all(&[&said.concat()[..], &frame(PING, b"behind")].concat())
            .expect("it reads");
        // A reason may follow the code, and nothing follows the frame.
        let heard = rest(stream);
        assert_eq!(
            (heard[0], heard[2..4].to_vec()),
            (CLOSE, code.to_be_bytes().to_vec()),
            "{said:x?}"
        );
        assert_eq!(heard.len(), 2 + usize::from(heard[1]), "{said:x?}");
    };
    let begins = || frame(TEXT, b"one");
    check(&[vec![TEXT | FIN, 3, b'o', b'n', b'e']], 1002);
    for rsv in [0x10, 0x20, 0x40] {
        check(&[frame(TEXT | FIN | rsv, b"one")], 1002);
    }
    for opcode in (3..=7).chain(11..=15) {
        check(&[frame(FIN | opcode, b"")], 1002);
    }
    for control in [PING, PONG, CLOSE] {
        check(&[frame(control & !FIN, b"")], 1002);
        check(&[frame(control, &[b'x'; 126])], 1002);
    }
    check(&[frame(CONTINUATION | FIN, b"one")], 1002);
    check(&[begins(), begins()], 1002);
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        check(&[frame(CLOSE, &closing(code, b""))], 1002);
    }
    check(&[frame(CLOSE, b"\x03")], 1002);
    check(&[frame(CLOSE, &closing(1000, b"\xff"))], 1007);
    check(&[frame(TEXT | FIN, b"\xc3(")], 1007);
    check(&[frame(TEXT, b"\xed"), frame(CONTINUATION | FIN, b"\xa0\x80")], 1007);
    check(&[frame(BINARY | FIN, b"one")], 1003);
    for len in [65_537, 1 << 32, i64::MAX as u64] {
        check(&[announce(TEXT | FIN, len)], 1009);
    }
    check(&[begins(), announce(CONTINUATION | FIN, 65_534)], 1009);
    // The first bit of an 8-byte length must not be set, but such a length is over the limit first.
    check(&[announce(TEXT | FIN, 1 << 63)], 1009);
    watched.assert_as_before();
}

#[test]
fn unfinished_message_is_closed_with_1008_joined_or_not() {
    let watched = Watched::start(&["--join-timeout", "5"]);
    let mut unjoined = connect(&watched.server);
    unjoined.write_all(&frame(TEXT, b"one")[..3]).expect("it reads");
    let [mut partial, mut open] = ["partial", "open"].map(|id| Client::join(&watched.server, id));
    partial.ws.get_mut().write_all(&frame(TEXT | FIN, b"one")[..3]).expect("it reads");
    open.ws.get_mut().write_all(&frame(TEXT, b"one")).expect("it reads");
    assert_eq!(rest(unjoined), answer(CLOSE, &1008u16.to_be_bytes()));
    for mut client in [partial, open] {
        assert_eq!(client.hear_close(), (vec![], 1008));
    }
    watched.assert_as_before();
}

#[test]
fn announced_frames_take_the_memory_of_their_headers() {
    let watched = Watched::start_after(1000, &["--join-timeout", "3600"]);
    let mut streams: Vec<Wire> = (0..1000).map(|_| connect(&watched.server)).collect();
    for stream in &mut streams {
        stream.write_all(&announce(TEXT | FIN, 65_536)).expect("it reads");
    }
    watched.server.assert_alive();
    watched.assert_flat(1000 * (2048 + session_bytes()));
    drop(streams);
    watched.assert_as_before();
}

#[test]
fn malformed_request_is_refused_and_reaches_no_recipient() {
    let watched = Watched::start(&[]);
    let mut bob = Client::join(&watched.server, "bob");
    let mut alice = Client::join(&watched.server, "alice");
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = format!(r#"{{"type":"send","to":"bob","body":{}}}"#, nested(65));
    let bottomless = format!(r#"{{"type":"send","to":"bob","body":{}"#, "[".repeat(60_000));
    let lines = [
        &deep,
        &bottomless,
        r#"{"type":"send","to":"bob","to":"bob","body":1}"#,
        r#"{"type":"send","to":"bob","body":1,"body":2}"#,
        r#"{"type":"send","to":"bob","x":1,"x":1,"body":1}"#,
        r#"["send","bob",1]"#,
        r#"[{"type":"send","to":"bob","body":1}]"#,
        r#"{"type":"send","to":["bob"],"body":1}"#,
        r#"{"type":"send","to":1,"body":1}"#,
        r#"{"type":"send","to":"bob","body":1,"ref":1}"#,
        r#"{"type":"send","to":"bob"}"#,
        r#"{"type":"ack","to":"bob","mids":"1"}"#,
        r#"{"type":"watch","ids":[]}"#,
        r#"{"type":"send","to":"\ud800","body":1}"#,
    ];
    for line in lines {
        alice.say_text(line);
        alice.hear_error("bad_request");
    }
    alice.say_text(&format!(r#"{{"type":"send","to":"bob","body":{}}}"#, nested(64)));
    assert_eq!(bob.hear_type("message")["body"].to_string(), nested(64), "the first that comes");
    alice.say(json!({"type": "leave"}));
    alice.hear_close();
    drop(bob);
    watched.assert_as_before();
}
