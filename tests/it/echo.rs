//! The sockets' half alone: the echo example, held to RFC 6455.
//!
//! The cases are those of the Autobahn test suite, by its numbers: frames of a client, the answers,
//! and the code by which the connection is closed. Each case is sent at once, and again in pieces.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::example::Example;
use crate::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, answer, closing, frame, upgrade,
};
use crate::support::PATIENCE;

const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The running example.
struct Echo(Example);

/// Returns `true` if the bytes begin with a whole close frame of a server.
fn has_close_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [CLOSE, len, payload @ ..] if payload.len() >= usize::from(*len))
}

impl Echo {
    fn start() -> Echo {
        Echo(Example::start("echo", "echoing on ws://"))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.0.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        upgrade(stream, self.0.address)
    }

    /// Sends bytes in pieces of `chop` bytes, and returns all bytes until the end of the stream.
    ///
    /// The server closes its side after both close frames, so the client answers a close frame that
    /// comes behind `answers_len` bytes. (The example has no deadline that would end it otherwise.)
    fn converse(&self, said: &[u8], answers_len: usize, code: Option<u16>, chop: usize) -> Vec<u8> {
        let mut stream = self.connect();
        let mut writer = stream.try_clone().unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                // A server that has seen a close frame may be gone already.
                let _ = said.chunks(chop).try_for_each(|piece| writer.write_all(piece));
                writer
            });
            let mut heard = Vec::new();
            while !has_close_frame(heard.get(answers_len..).unwrap_or_default()) {
                let mut buffer = [0; 65_536];
                match stream.read(&mut buffer).expect("answers, and no reset") {
                    0 => return heard,
                    len => heard.extend_from_slice(&buffer[..len]),
                }
            }
            let mut writer = writer.join().expect("the writer does not panic");
            let _ = writer.write_all(&frame(CLOSE, &closing(1000, b"")));
            if code == Some(1009) {
                // The close frame counts as payload that the header has announced.
                let _ = writer.shutdown(Shutdown::Write);
            }
            stream.read_to_end(&mut heard).expect("the end of the stream, and no reset");
            heard
        })
    }

    /// Checks that the answers come, then a close frame with this code, then the end of the stream.
    #[track_caller]
    fn check_in_pieces(
        &self,
        case: &str,
        said: &[u8],
        answers: &[u8],
        code: Option<u16>,
        chop: usize,
    ) {
        let heard = self.converse(said, answers.len(), code, chop);
        assert!(heard.starts_with(answers), "{case}, by {chop}: the answers differ");
        match &heard[answers.len()..] {
            [CLOSE, 0] => assert_eq!(None, code, "{case}, by {chop}"),
            [CLOSE, len, high, low, reason @ ..] if usize::from(*len) == reason.len() + 2 => {
                assert_eq!(Some(u16::from_be_bytes([*high, *low])), code, "{case}, by {chop}");
            }
            other => {
                panic!("{case}, by {chop}: no close frame, but {:?}", &other[..other.len().min(20)])
            }
        }
    }

    /// Checks a case at once, and byte by byte; long cases in pieces of an odd length instead.
    #[track_caller]
    fn check(&self, case: &str, said: &[Vec<u8>], answers: &[Vec<u8>], code: Option<u16>) {
        let (said, answers) = (said.concat(), answers.concat());
        let chop = if said.len() < 2000 { 1 } else { 997 };
        self.check_in_pieces(case, &said, &answers, code, usize::MAX);
        self.check_in_pieces(case, &said, &answers, code, chop);
    }

    /// Checks that frames get these answers, and then the client closes.
    #[track_caller]
    fn hears(&self, case: &str, said: &[Vec<u8>], answers: &[Vec<u8>]) {
        self.check(
            case,
            &[said, &[frame(CLOSE, &closing(1000, b""))]].concat(),
            answers,
            Some(1000),
        );
    }

    /// Checks that the last frame is refused with this code, and that a frame behind it is not
    /// read.
    #[track_caller]
    fn refuses(&self, case: &str, said: &[Vec<u8>], answers: &[Vec<u8>], code: u16) {
        self.check(case, said, answers, Some(code));
        self.check(case, &[said, &[frame(PING, b"behind")]].concat(), answers, Some(code));
    }
}

/// Returns a text message as clients send it.
fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    frame(TEXT | FIN, text.as_ref())
}

/// Returns a text message as servers send it.
fn text_back(text: impl AsRef<[u8]>) -> Vec<u8> {
    answer(TEXT | FIN, text.as_ref())
}

/// Returns a message in fragments of at most `len` bytes.
fn fragments(kind: u8, payload: &[u8], len: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    let last = payload.len().div_ceil(len) - 1;
    for (n, fragment) in payload.chunks(len).enumerate() {
        let first = if n == 0 { kind } else { CONTINUATION };
        frames.extend(frame(first | if n == last { FIN } else { 0 }, fragment));
    }
    frames
}

#[test]
fn autobahn_1_messages_of_all_lengths_come_back() {
    let echo = Echo::start();
    for len in [0, 125, 126, 127, 128, 65_535, 65_536] {
        let (letters, bytes) = (vec![b'*'; len], vec![0xfe; len]);
        echo.hears("1.1", &[text(&letters)], &[text_back(&letters)]);
        echo.hears("1.2", &[frame(BINARY | FIN, &bytes)], &[answer(BINARY | FIN, &bytes)]);
    }
}

#[test]
fn autobahn_2_pings_are_answered_and_pongs_are_not() {
    let echo = Echo::start();
    let longest = [0xfe; 125];
    for payload in [&b""[..], b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", &longest] {
        echo.hears("2.1-4, 2.6", &[frame(PING, payload)], &[answer(PONG, payload)]);
        echo.hears("2.7-8", &[frame(PONG, payload)], &[]);
        echo.hears("2.9", &[frame(PONG, payload), frame(PING, b"?")], &[answer(PONG, b"?")]);
    }
    echo.refuses("2.5", &[frame(PING, &[0xfe; 126])], &[], 1002);
    let numbers: Vec<[u8; 1]> = (0..10).map(|n| [n]).collect();
    let pings: Vec<_> = numbers.iter().map(|n| frame(PING, n)).collect();
    let pongs: Vec<_> = numbers.iter().map(|n| answer(PONG, n)).collect();
    echo.hears("2.10-11", &pings, &pongs);
}

#[test]
fn autobahn_3_reserved_bits_are_refused() {
    let echo = Echo::start();
    for bits in 1..=7 {
        let rsv = bits << 4;
        for first in [TEXT | FIN, BINARY | FIN, CLOSE, PING] {
            let wrong = frame(first | rsv, b"\x03\xe8wrong");
            echo.refuses("3.1, 3.5-7", std::slice::from_ref(&wrong), &[], 1002);
            echo.refuses("3.2-4", &[text("one"), wrong], &[text_back("one")], 1002);
        }
    }
}

#[test]
fn autobahn_4_reserved_opcodes_are_refused() {
    let echo = Echo::start();
    for opcode in (3..=7).chain(11..=15) {
        for payload in [&b""[..], b"reserved"] {
            let wrong = frame(FIN | opcode, payload);
            echo.refuses("4.1.1-2, 4.2.1-2", std::slice::from_ref(&wrong), &[], 1002);
            echo.refuses("4.1.3-5, 4.2.3-5", &[text("one"), wrong], &[text_back("one")], 1002);
        }
    }
}

#[test]
fn autobahn_5_fragments_are_joined_and_wrong_ones_are_refused() {
    let echo = Echo::start();
    let begins = || frame(TEXT, b"one");
    let goes_on = || frame(CONTINUATION, b"two");
    let ends = || frame(CONTINUATION | FIN, b"three");
    let ping = || frame(PING, b"?");
    let pong = || answer(PONG, b"?");

    echo.refuses("5.1", &[frame(PING & !FIN, b"one"), ends()], &[], 1002);
    echo.refuses("5.2", &[frame(PONG & !FIN, b"one"), ends()], &[], 1002);
    echo.hears("5.3-5", &[begins(), ends()], &[text_back("onethree")]);
    echo.hears("5.6-8", &[begins(), ping(), ends()], &[pong(), text_back("onethree")]);
    for wrong in [goes_on(), ends()] {
        echo.refuses("5.9-14", &[wrong.clone(), text("four")], &[], 1002);
        echo.refuses("5.15", &[begins(), ends(), wrong.clone()], &[text_back("onethree")], 1002);
        echo.refuses("5.16-17", &[wrong, begins(), ends()], &[], 1002);
    }
    echo.refuses("5.18", &[begins(), text("two")], &[], 1002);
    let all = [begins(), goes_on(), ping(), goes_on(), goes_on(), ping(), ends()];
    echo.hears("5.19-20", &all, &[pong(), pong(), text_back("onetwotwotwothree")]);
}

#[test]
fn autobahn_6_text_is_utf_8() {
    let echo = Echo::start();
    let empty = || frame(CONTINUATION, b"");
    let all_empty = [frame(TEXT, b""), empty(), frame(CONTINUATION | FIN, b"")];
    echo.hears("6.1.1", &[text("")], &[text_back("")]);
    echo.hears("6.1.2", &all_empty, &[text_back("")]);
    let middle = [frame(TEXT, b""), frame(CONTINUATION, b"middle"), frame(CONTINUATION | FIN, b"")];
    echo.hears("6.1.3", &middle, &[text_back("middle")]);

    let whole = "Hello-µ@ßöäüàá-UTF-8!! κόσμε";
    for len in [1, 2, 3, 16, 100] {
        echo.hears("6.2", &[fragments(TEXT, whole.as_bytes(), len)], &[text_back(whole)]);
    }
    // A surrogate in the middle, and letters behind it.
    let wrong = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";
    for len in [1, 2, 3, 100] {
        echo.refuses("6.3", &[fragments(TEXT, wrong, len)], &[], 1007);
    }
    // Beyond the last code point, and a surrogate: bytes that no further byte can make right are
    // refused before the message ends.
    for (right, wrong) in
        [(&b"\xf4"[..], &b"\x90"[..]), (b"so far \xf4", b"\x90\x80\x80"), (b"\xed", b"\xa0")]
    {
        echo.refuses("6.4.1-2", &[frame(TEXT, right), frame(CONTINUATION, wrong)], &[], 1007);
    }
}

#[test]
fn autobahn_6_every_tricky_sequence_comes_back_or_is_refused() {
    let echo = Echo::start();
    let right: [&[u8]; 30] = [
        b"hello\x24world",
        b"hello\xc2\xa2world",
        b"hello\xe2\x82\xacworld",
        b"hello\xf0\xa4\xad\xa2world",
        // The first and the last of each length.
        b"\x00",
        b"\xc2\x80",
        b"\xe0\xa0\x80",
        b"\xf0\x90\x80\x80",
        b"\x7f",
        b"\xdf\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        // Around the surrogates.
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        // Code points that are no characters.
        b"\xef\xbf\xbe",
        b"\xf0\x9f\xbf\xbe",
        b"\xf0\xaf\xbf\xbf",
        b"\xf0\xbf\xbf\xbe",
        b"\xf1\x8f\xbf\xbf",
        b"\xf1\xbf\xbf\xbe",
        b"\xf2\x8f\xbf\xbf",
        b"\xf2\xbf\xbf\xbe",
        b"\xf3\x8f\xbf\xbf",
        b"\xf3\xbf\xbf\xbe",
        b"\xf4\x8f\xbf\xbe",
        // Specials.
        b"\xef\xbf\xb9",
        b"\xef\xbf\xba",
        b"\xef\xbf\xbb",
        b"\xef\xbf\xbc",
        b"\xef\xbf\xbd",
    ];
    for text_right in right {
        echo.hears("6.5, 6.7, 6.9, 6.11, 6.22-23", &[text(text_right)], &[text_back(text_right)]);
    }
    let wrong: [&[u8]; 53] = [
        // Five and six bytes, and beyond U+10FFFF.
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        b"\xf4\x90\x80\x80",
        // Continuations of nothing.
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\x80\xbf\x80",
        b"\x80\xbf\x80\xbf\x80\xbf",
        // Sequences without their last bytes.
        b"\xc0 \xc1 \xc2 \xdf ",
        b"\xe0 \xe1 \xef ",
        b"\xf0 \xf1 \xf4 \xf7 ",
        b"\xf8 \xf9 \xfb ",
        b"\xfc \xfd ",
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
        b"\xce\xba\xe1\xbd",
        b"\xce\xba\xe1",
        // Bytes that UTF-8 does not have.
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
        // Longer than necessary.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        // Surrogates, single and in pairs.
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xad\xbf\xed\xbf\xbf",
        b"\xed\xae\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    for text_wrong in wrong {
        echo.refuses("6.6, 6.8, 6.10, 6.12-21", &[text(text_wrong)], &[], 1007);
    }
}

#[test]
fn autobahn_7_close_is_answered_and_nothing_behind_it() {
    let echo = Echo::start();
    let close = || frame(CLOSE, &closing(1000, b""));
    echo.hears("7.1.1", &[text("one")], &[text_back("one")]);
    echo.hears("7.1.2", &[close()], &[]);
    for behind in [frame(PING, b"?"), text("two"), frame(CONTINUATION | FIN, b"two")] {
        echo.check("7.1.3-4", &[close(), behind.clone()], &[], Some(1000));
        echo.check("7.1.5", &[frame(TEXT, b"one"), close(), behind.clone()], &[], Some(1000));
        let long = vec![b'*'; 256 << 10];
        echo.check("7.1.6", &[text(&long), close(), behind], &[text_back(&long)], Some(1000));
    }
}

#[test]
fn autobahn_7_close_frame_of_any_form_is_answered_or_refused() {
    let echo = Echo::start();
    let check = |case, payload: &[u8], code| echo.check(case, &[frame(CLOSE, payload)], &[], code);
    check("7.3.1", b"", None);
    check("7.3.2", b"\x03", Some(1002));
    check("7.3.3", &closing(1000, b""), Some(1000));
    check("7.3.4", &closing(1000, b"Hello World!"), Some(1000));
    check("7.3.5", &closing(1000, &[b'*'; 123]), Some(1000));
    check("7.3.6", &closing(1000, &[b'*'; 124]), Some(1002));
    check("7.5.1", &closing(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"), Some(1007));
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
    {
        check("7.7", &closing(code, b""), Some(code));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check("7.9, 7.13", &closing(code, b""), Some(1002));
    }
}

#[test]
fn autobahn_9_long_messages_come_back_however_they_are_cut() {
    let echo = Echo::start();
    let payload: Vec<u8> = (b'a'..=b'z').cycle().take(MESSAGE_BYTES_MAX).collect();
    let close = frame(CLOSE, &closing(1000, b""));
    let check = |case, kind, len, fragment, chop| {
        let said = [fragments(kind, &payload[..len], fragment), close.clone()].concat();
        let answers = answer(kind | FIN, &payload[..len]);
        echo.check_in_pieces(case, &said, &answers, Some(1000), chop);
    };
    for kind in [TEXT, BINARY] {
        for len in [64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, MESSAGE_BYTES_MAX] {
            check("9.1-2", kind, len, len, usize::MAX);
        }
        for fragment in [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20] {
            check("9.3-4", kind, 1 << 20, fragment, usize::MAX);
        }
        for chop in [64, 128, 256, 512, 1024, 2048] {
            check("9.5-6", kind, 1 << 20, 1 << 20, chop);
        }
        check("10.1.1", kind, 65_536, 1300, usize::MAX);
        check("the longest message", kind, MESSAGE_BYTES_MAX, 1 << 20, 65_536);
    }
}

#[test]
fn autobahn_9_many_messages_come_back_in_order() {
    let echo = Echo::start();
    for kind in [TEXT, BINARY] {
        for (count, len) in [
            (1000, 0),
            (1000, 16),
            (1000, 64),
            (1000, 256),
            (1000, 1024),
            (100, 4096),
            (100, 16_384),
            (100, 65_536),
        ] {
            let (mut said, mut answers) = (Vec::new(), Vec::new());
            for n in 0..count {
                let letters = vec![b'a' + (n % 26) as u8; len];
                said.extend(frame(kind | FIN, &letters));
                answers.extend(answer(kind | FIN, &letters));
            }
            said.extend(frame(CLOSE, &closing(1000, b"")));
            echo.check_in_pieces("9.7-8", &said, &answers, Some(1000), usize::MAX);
        }
    }
}

#[test]
fn message_over_the_limit_is_refused_by_its_header() {
    let echo = Echo::start();
    let announces =
        |first: u8, len: usize| [&[first, 0xff], &(len as u64).to_be_bytes()[..], &[0; 4]].concat();
    for first in [TEXT | FIN, BINARY | FIN, BINARY] {
        echo.refuses("whole", &[announces(first, MESSAGE_BYTES_MAX + 1)], &[], 1009);
    }
    let beginning = || frame(BINARY, &[0; 5000]);
    let rest = announces(CONTINUATION | FIN, MESSAGE_BYTES_MAX - 4999);
    echo.refuses("together", &[beginning(), rest], &[], 1009);
}

#[test]
fn text_and_end_of_the_stream_at_once_are_both_heard() {
    let echo = Echo::start();
    // Many times, so that in some of them one event reports both.
    for _ in 0..100 {
        let mut stream = echo.connect();
        stream.write_all(&text("last")).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("the end of the stream, and no reset");
        assert_eq!(heard, text_back("last"));
    }
}
