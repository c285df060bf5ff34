//! Bytes in, messages and answers out. One client's bytes come whole, byte by byte, and with more
//! bytes behind them; two clients' bytes are cut, and interleaved through one codec.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Longest message in these tests; above all sizes at which something changes.
const LIMIT: usize = 70_000;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CONTINUATION: u8 = 0x00;
/// Added to the first byte of a data frame: no more frames of this message follow.
const FIN: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x00];

// ---- what a client says ----

/// The header of a frame from a client: its first byte, and the length that it announces.
fn header(first: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(0x80 | len as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// One frame from a client.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A close frame's payload.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

// ---- a client and its messages ----

fn codec() -> Codec {
    Codec::new(LIMIT, 1 << 30)
}

fn text(text: &str) -> Message<'static> {
    Message::Text(text.to_owned().into())
}

fn binary(bytes: &[u8]) -> Message<'static> {
    Message::Binary(bytes.to_vec())
}

/// The message, with bytes of its own.
fn owned(message: Message) -> Message<'static> {
    match message {
        Message::Text(payload) => text(&payload),
        Message::Binary(bytes) => Message::Binary(bytes),
        Message::Ping => Message::Ping,
        Message::Pong => Message::Pong,
        Message::Fragment => Message::Fragment,
        Message::Close(code) => Message::Close(code),
    }
}

/// The pong to a short ping.
fn pong(payload: &[u8]) -> Vec<u8> {
    [&[PONG, payload.len() as u8], payload].concat()
}

/// One client, and what its bytes have come to.
#[derive(Default)]
struct Client {
    frames: Frames,
    received: Received,
}

#[derive(Debug, Default, PartialEq)]
struct Received {
    messages: Vec<Message<'static>>,
    answers: Vec<u8>,
    refused: Option<CloseCode>,
}

impl Client {
    /// Receives the input of one read, until it is used up or the stream is over.
    fn receive(&mut self, bytes: &[u8], codec: &mut Codec) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes, usize::MAX);
        while !self.is_over() {
            match self.frames.next(&mut input, codec, &mut self.received.answers) {
                Ok(Some(Message::Fragment)) => {}
                Ok(Some(message)) => self.received.messages.push(owned(message)),
                Ok(None) => return assert!(input.rest().is_empty(), "it stopped too soon"),
                Err(code) => self.received.refused = Some(code),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.received.refused.is_some()
            || matches!(self.received.messages.last(), Some(Message::Close(_)))
    }

    /// Bytes that are kept of what is not whole.
    fn incomplete_bytes(&self) -> usize {
        self.frames.partial.len() + self.frames.open.as_ref().map_or(0, |open| open.counted())
    }

    fn owns_nothing(&self) -> bool {
        self.frames.partial.capacity() == 0 && self.frames.open.is_none()
    }
}

/// Returns the messages, answers and refusal that a stream in these pieces comes to. Nothing is
/// left behind.
fn receive_pieces<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Received {
    let mut codec = codec();
    let mut client = Client::default();
    for piece in pieces {
        client.receive(piece, &mut codec);
        assert_eq!(codec.incomplete.used(), client.incomplete_bytes());
    }
    client.frames.release(&mut codec);
    assert!(client.owns_nothing());
    assert_eq!(codec.incomplete.used(), 0);
    client.received
}

/// The bytes come to these messages and answers, and to this refusal: whole, byte by byte, and with
/// more behind them, cut before and after each byte of the first header.
#[track_caller]
fn check(bytes: &[u8], messages: &[Message<'static>], answers: &[u8], refused: Option<CloseCode>) {
    let expected = Received { messages: messages.to_vec(), answers: answers.to_vec(), refused };
    assert_eq!(receive_pieces([bytes].into_iter()), expected, "whole");
    assert_eq!(receive_pieces(bytes.chunks(1)), expected, "byte by byte");

    let more = [bytes, &frame(PING, b"more")].concat();
    let is_over = refused.is_some() || matches!(messages.last(), Some(Message::Close(_)));
    let (last, answer) =
        if is_over { (vec![], vec![]) } else { (vec![Message::Ping], pong(b"more")) };
    let expected = Received {
        messages: [messages, &last].concat(),
        answers: [answers, &answer].concat(),
        refused,
    };
    for cut in 0..bytes.len().min(16) {
        let (one, two) = more.split_at(cut);
        assert_eq!(
            receive_pieces([one, two].into_iter()),
            expected,
            "cut at {cut}, with more behind it"
        );
    }
}

#[track_caller]
fn check_messages(frames: &[Vec<u8>], messages: &[Message<'static>]) {
    check(&frames.concat(), messages, b"", None);
}

#[track_caller]
fn check_refused(frames: &[Vec<u8>], code: CloseCode) {
    check(&frames.concat(), &[], b"", Some(code));
}

// ---- messages ----

#[test]
fn message_of_every_length_form_is_received_unchanged() {
    for len in [0, 1, 125, 126, 127, 4096, 4097, 65_535, 65_536, LIMIT] {
        let letters = "x".repeat(len);
        check_messages(&[frame(TEXT, letters.as_bytes())], &[text(&letters)]);
        check_messages(&[frame(BINARY, letters.as_bytes())], &[binary(letters.as_bytes())]);
    }
}

#[test]
fn length_in_a_longer_form_than_needed_is_accepted() {
    // RFC 6455, 5.2, wants the shortest form, but no server is known to refuse the others.
    let header = |len: u8| [&[BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0, len], &MASK[..]].concat();
    check_messages(&[header(0)], &[binary(b"")]);
    check_messages(&[header(1), vec![b'x' ^ MASK[0]]], &[binary(b"x")]);
}

#[test]
fn control_frames_between_fragments_are_received_at_once() {
    let frames = [
        frame(TEXT & !FIN, b"one "),
        frame(PING, b"?"),
        frame(CONTINUATION, b""),
        frame(PONG, b"!"),
        frame(CONTINUATION | FIN, b"two"),
        frame(BINARY, b"3"),
    ];
    let messages = [Message::Ping, Message::Pong, text("one two"), binary(b"3")];
    check(&frames.concat(), &messages, &pong(b"?"), None);
}

#[test]
fn ping_of_any_length_is_answered_with_its_payload() {
    for len in [0, 1, 125] {
        let payload = vec![0xfe; len];
        check(&frame(PING, &payload), &[Message::Ping], &pong(&payload), None);
    }
    let ten: Vec<[u8; 1]> = (0..10).map(|n| [n]).collect();
    let (frames, pongs): (Vec<_>, Vec<_>) = ten.iter().map(|n| (frame(PING, n), pong(n))).unzip();
    let messages: Vec<_> = ten.iter().map(|_| Message::Ping).collect();
    check(&frames.concat(), &messages, &pongs.concat(), None);
}

#[test]
fn put_frame_writes_the_shortest_header() {
    let check = |len: usize, header: &[u8]| {
        let mut out = b"before".to_vec();
        put_frame(&mut out, Opcode::Ping, &vec![7; len]);
        assert_eq!(out, [b"before", header, &vec![7; len]].concat());
    };
    check(0, &[PING, 0]);
    check(125, &[PING, 125]);
    check(126, &[PING, 126, 0, 126]);
    check(65_535, &[PING, 126, 0xff, 0xff]);
    check(65_536, &[PING, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
}

// ---- refusals ----

#[test]
fn invalid_header_is_refused_before_its_payload_arrives() {
    let refused = |header: Vec<u8>, code| check_refused(&[header], code);
    for reserved_bit in [0x40, 0x20, 0x10] {
        refused(header(TEXT | reserved_bit, 5), CloseCode::Protocol);
        refused(header(PING | reserved_bit, 5), CloseCode::Protocol);
    }
    for reserved_opcode in (3..=7).chain(11..=15) {
        refused(header(FIN | reserved_opcode, 0), CloseCode::Protocol);
        refused(header(reserved_opcode, 5), CloseCode::Protocol);
    }
    for control in [CLOSE, PING, PONG] {
        refused(header(control, 126), CloseCode::Protocol);
        refused(header(control, 1 << 63), CloseCode::Protocol);
        refused(header(control & !FIN, 5), CloseCode::Protocol);
    }
    for unmasked in
        [&[TEXT, 5][..], &[TEXT, 126, 1, 0], &[BINARY, 127, 0, 0, 0, 0, 0, 1, 0, 0], &[PING, 0]]
    {
        refused(unmasked.to_vec(), CloseCode::Protocol);
    }
    for len in [LIMIT as u64 + 1, 1 << 32, 1 << 63, u64::MAX] {
        refused(header(TEXT, len), CloseCode::TooLong);
        refused(header(BINARY & !FIN, len), CloseCode::TooLong);
    }
}

#[test]
fn fragments_too_long_together_are_refused_by_a_header() {
    let beginning = frame(BINARY & !FIN, &[0; 60_000]);
    check_refused(&[beginning.clone(), header(CONTINUATION, 10_001)], CloseCode::TooLong);
    check_refused(&[beginning.clone(), header(CONTINUATION | FIN, 10_001)], CloseCode::TooLong);

    let last = frame(CONTINUATION | FIN, &[0; 10_000]);
    check_messages(&[beginning, last], &[binary(&[0; LIMIT])]);
}

#[test]
fn fragments_out_of_order_are_refused() {
    let begin = || frame(TEXT & !FIN, b"begin");
    check_refused(&[frame(CONTINUATION, b"x")], CloseCode::Protocol);
    check_refused(&[frame(CONTINUATION | FIN, b"")], CloseCode::Protocol);
    check_refused(&[begin(), frame(TEXT, b"x")], CloseCode::Protocol);
    check_refused(&[begin(), frame(BINARY & !FIN, b"")], CloseCode::Protocol);

    let bytes = [frame(TEXT, b"x"), frame(CONTINUATION | FIN, b"x")].concat();
    check(&bytes, &[text("x")], b"", Some(CloseCode::Protocol));
}

#[test]
fn text_cut_anywhere_is_still_valid_utf_8() {
    // A character of each length, and the last one of all.
    let whole = "µ€𐍈z\u{10ffff}";
    for cut in 0..=whole.len() {
        let (one, two) = whole.as_bytes().split_at(cut);
        check_messages(&[frame(TEXT & !FIN, one), frame(CONTINUATION | FIN, two)], &[text(whole)]);
    }
    let bytes = whole.bytes().map(|byte| frame(CONTINUATION, &[byte]));
    let frames: Vec<_> = [frame(TEXT & !FIN, b"")].into_iter().chain(bytes).collect();
    check_messages(&[frames.concat(), frame(CONTINUATION | FIN, b"")], &[text(whole)]);
    check_messages(&[frame(BINARY, b"\xff")], &[binary(b"\xff")]);
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    for wrong in
        [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ends early \xe2\x82"]
    {
        check_refused(&[frame(TEXT, wrong)], CloseCode::NotUtf8);
        check_refused(
            &[frame(TEXT & !FIN, wrong), frame(CONTINUATION | FIN, b"!")],
            CloseCode::NotUtf8,
        );
        check_refused(
            &[frame(TEXT & !FIN, b"so far "), frame(CONTINUATION | FIN, wrong)],
            CloseCode::NotUtf8,
        );
    }
    // What no end can make right is refused before the end.
    check_refused(&[frame(TEXT & !FIN, b"\xf4"), frame(CONTINUATION, b"\x90")], CloseCode::NotUtf8);
}

// ---- close frames ----

#[track_caller]
fn check_close(payload: &[u8], code: u16, answer: &[u8]) {
    let answer = [&[CLOSE, answer.len() as u8], answer].concat();
    check(&frame(CLOSE, payload), &[Message::Close(code)], &answer, None);
}

#[test]
fn close_frame_is_answered_with_its_payload() {
    check_close(b"", 1005, b"");
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        for reason in ["", "later", &"é".repeat(61)] {
            let payload = close(code, reason.as_bytes());
            check_close(&payload, code, &payload);
        }
    }
}

#[test]
fn close_code_that_may_not_be_sent_is_refused_with_1002() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        check_refused(&[frame(CLOSE, &close(code, b"?"))], CloseCode::Protocol);
    }
}

#[test]
fn broken_close_frame_is_refused() {
    check_refused(&[frame(CLOSE, b"\x03")], CloseCode::Protocol);
    check_refused(&[frame(CLOSE, &close(1000, b"\xff"))], CloseCode::NotUtf8);
    check_refused(&[frame(CLOSE, &close(1000, b"ends early \xe2\x82"))], CloseCode::NotUtf8);
}

#[test]
fn close_frame_ends_an_open_message() {
    let frames = [frame(TEXT & !FIN, b"never whole"), frame(CLOSE, b"")];
    check(&frames.concat(), &[Message::Close(1005)], &[CLOSE, 0], None);
}

#[test]
fn close_search_skips_payloads_of_every_form_of_length() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let bytes = [frame(BINARY, &vec![CLOSE; len]), frame(CLOSE, b"")].concat();
        for cut in [1, 7, bytes.len()] {
            let mut search = CloseSearch::default();
            let found: Vec<bool> = bytes.chunks(cut).map(|piece| search.find(piece)).collect();
            assert!(found.last() == Some(&true) && search.is_found(), "{len}");
            let mut search = CloseSearch::default();
            let before = &bytes[..bytes.len() - 6];
            assert!(!before.chunks(cut).any(|piece| search.find(piece)), "{len}");
        }
    }
    // The longest length there is, and a header that no client may send.
    let mut search = CloseSearch::default();
    assert!(!search.find(&[&header(BINARY, u64::MAX)[..], &[CLOSE; 1000]].concat()));
    assert!(CloseSearch::default().find(&[TEXT, 1, b'x', CLOSE]));
}

// ---- memory ----

#[test]
fn memory_follows_arrived_bytes_not_the_announced_length() {
    let mut codec = codec();
    let mut client = Client::default();
    client.receive(&header(BINARY, 65_536), &mut codec);
    assert_eq!(codec.incomplete.used(), 14);
    client.receive(b"ten bytes.", &mut codec);
    assert_eq!(codec.incomplete.used(), 24);
    assert!(client.frames.partial.capacity() < 64);

    client.frames.release(&mut codec);
    assert!(client.owns_nothing());
    assert_eq!(codec.incomplete.used(), 0);
}

#[test]
fn frame_in_segments_is_kept_with_little_spare_capacity() {
    let mut codec = codec();
    let mut client = Client::default();
    for segment in frame(BINARY, &[b'x'; 60_000])[..60_000].chunks(1448) {
        client.receive(segment, &mut codec);
        assert!(client.frames.partial.capacity() <= client.incomplete_bytes() / 8 * 9 + 1448);
    }
    client.frames.release(&mut codec);
}

#[test]
fn open_message_and_partial_frame_are_both_given_back() {
    let mut codec = codec();
    let mut client = Client::default();
    client.receive(&frame(TEXT & !FIN, b"seven.."), &mut codec);
    client.receive(&header(CONTINUATION, 100), &mut codec);
    assert_eq!(codec.incomplete.used(), OPEN_MESSAGE_BYTES + 2 * 7 + 6);

    client.frames.release(&mut codec);
    assert!(client.owns_nothing());
    assert_eq!(codec.incomplete.used(), 0);
    client.receive(&frame(TEXT, b"from nothing"), &mut codec);
    assert_eq!(client.received.messages, [text("from nothing")]);
}

#[test]
fn context_is_kept_as_the_spare_unless_grown_or_ended() {
    let is_kept = |frames: &[Vec<u8>]| {
        let mut codec = codec();
        let mut client = Client::default();
        client.receive(&frames.concat(), &mut codec);
        assert!(client.owns_nothing());
        codec.spare.is_some()
    };
    // A header of 8 bytes, and 4096 in all.
    assert!(is_kept(&[frame(BINARY, &[0; 4088])]));
    assert!(!is_kept(&[frame(BINARY, &[0; 4089])]));
    assert!(is_kept(&[frame(BINARY & !FIN, &[0; 4088]), frame(CONTINUATION | FIN, &[0; 4088])]));
    assert!(!is_kept(&[frame(BINARY & !FIN, &[0; 4089]), frame(CONTINUATION | FIN, b"short")]));
    assert!(!is_kept(&[frame(TEXT, b"\xff")]), "after an error");
    assert!(!is_kept(&[frame(CLOSE, b"")]), "after a close frame");
}

#[test]
fn spare_context_counts_no_bytes_of_an_earlier_message() {
    let mut codec = codec();
    for _ in 0..3 {
        let mut client = Client::default();
        client.receive(&frame(BINARY & !FIN, &[0; 4000]), &mut codec);
        assert_eq!(codec.incomplete.used(), OPEN_MESSAGE_BYTES + 2 * 4000);
        client.receive(&frame(CONTINUATION | FIN, b"!"), &mut codec);
        assert_eq!((codec.incomplete.used(), client.received.messages.len()), (0, 1));
        assert!(codec.spare.is_some());
    }
}

#[test]
fn short_memory_refuses_only_the_input_that_grows() {
    let mut codec = Codec::new(LIMIT, 6000);
    let [mut open, mut grows, mut begins, mut whole] = [(); 4].map(|()| Client::default());
    open.receive(&frame(TEXT & !FIN, &[b'x'; 150]), &mut codec);
    let long = frame(BINARY, &[0; 2000]);
    begins.receive(&long[..190], &mut codec);
    assert_eq!(codec.incomplete.used(), OPEN_MESSAGE_BYTES + 2 * 150 + 190);

    // A quarter of what is left is 1121 bytes for each.
    grows.receive(&long[..1122], &mut codec);
    begins.receive(&long[190..1122], &mut codec);
    for client in [&mut grows, &mut begins] {
        assert_eq!(client.received.refused, Some(CloseCode::TryAgainLater));
    }
    whole.receive(&frame(BINARY, &[0; 2000]), &mut codec);
    assert_eq!(whole.received.messages, [binary(&[0; 2000])]);

    // Now the rest of them hold so much that what is open could not begin.
    codec.incomplete.take(2000);
    open.receive(&frame(PING, b"?"), &mut codec);
    assert_eq!(open.received.messages, [Message::Ping]);
    open.receive(&frame(CONTINUATION, b"more"), &mut codec);
    assert_eq!(open.received.refused, Some(CloseCode::TryAgainLater));
}

// ---- two clients, one codec ----

/// A stream, and what it comes to.
#[derive(Debug, Default)]
struct Script {
    stream: Vec<u8>,
    expected: Received,
}

impl Script {
    fn push(&mut self, frames: &[Vec<u8>], messages: &[Message<'static>], answers: &[u8]) {
        self.stream.extend(frames.concat());
        self.expected.messages.extend_from_slice(messages);
        self.expected.answers.extend_from_slice(answers);
    }

    fn push_ping(&mut self, payload: &[u8]) {
        self.push(&[frame(PING, payload)], &[Message::Ping], &pong(payload));
    }

    fn push_message(&mut self, is_text: bool, fragments: &[Vec<u8>], pings: &[u8]) {
        let kind = if is_text { TEXT } else { BINARY };
        for (n, fragment) in fragments.iter().enumerate() {
            let first = if n == 0 { kind & !FIN } else { CONTINUATION };
            let last = n + 1 == fragments.len();
            self.push(&[frame(first | if last { FIN } else { 0 }, fragment)], &[], b"");
            if let (false, Some(&payload)) = (last, pings.get(n)) {
                self.push_ping(&[payload]);
            }
        }
        let whole = fragments.concat();
        let message = if is_text { text(str::from_utf8(&whole).unwrap()) } else { binary(&whole) };
        self.push(&[], &[message], b"");
    }
}

/// Both streams through one codec, in turns that are cut as told: which of them is next, and how
/// many bytes it says. What is left at the end comes whole.
fn check_interleaved(scripts: [&Script; 2], cuts: impl IntoIterator<Item = (usize, usize)>) {
    let mut codec = codec();
    let mut clients = [Client::default(), Client::default()];
    let mut at = [0; 2];
    for (client, len) in cuts.into_iter().chain([(0, LIMIT * 100), (1, LIMIT * 100)]) {
        let rest = &scripts[client].stream[at[client]..];
        let piece = &rest[..len.min(rest.len())];
        at[client] += piece.len();
        clients[client].receive(piece, &mut codec);
        assert_eq!(
            codec.incomplete.used(),
            clients[0].incomplete_bytes() + clients[1].incomplete_bytes()
        );
    }
    for (client, script) in clients.iter().zip(scripts) {
        assert!(client.received == script.expected, "they mixed");
        assert!(client.owns_nothing());
    }
}

fn small_script(name: &str) -> Script {
    let mut script = Script::default();
    let bytes = |text: &str| format!("{name}{text}").into_bytes();
    script.push_ping(&bytes("1"));
    script.push_message(true, &[bytes("é"), bytes("")], name.as_bytes());
    script.push_message(false, &[bytes("2")], b"");
    script.push(&[frame(CLOSE, b"")], &[Message::Close(1005)], &[CLOSE, 0]);
    script
}

#[test]
fn two_small_streams_cut_at_every_byte_never_mix() {
    let [alice, bob] = [small_script("a"), small_script("b")];
    let scripts = [&alice, &bob];
    for first in 0..=alice.stream.len() {
        for second in 0..=bob.stream.len() {
            check_interleaved(scripts, [(0, first), (1, second)]);
        }
        // From here on each says one byte in turn.
        let by_byte = (0..2 * bob.stream.len()).map(|n| (n % 2, 1));
        check_interleaved(scripts, [(0, first)].into_iter().chain(by_byte));
    }
}

/// The sizes at which a length, a buffer or a limit changes, and some between.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => prop::sample::select(vec![0, 1, 125, 126, 4096, 4097]),
        4 => 0..300usize,
        1 => prop::sample::select(vec![65_535, 65_536, LIMIT - 1, LIMIT]),
    ]
}

/// One valid message, or one ping, at the end of a script. A text is cut where it may be in the
/// middle of a character.
fn message_or_ping() -> impl Strategy<Value = Script> {
    let message =
        (any::<bool>(), any::<char>(), size(), prop::collection::vec(any::<Index>(), 0..4));
    let message = (message, prop::collection::vec(any::<u8>(), 0..3));
    let message = message.prop_map(|((is_text, letter, len, cuts), pings)| {
        let whole = letter.to_string().repeat(len / letter.len_utf8()).into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([whole.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let fragments: Vec<_> =
            starts.zip(ends).map(|(start, end)| whole[start..end].to_vec()).collect();
        let mut script = Script::default();
        script.push_message(is_text, &fragments, &pings);
        script
    });
    let ping = prop::collection::vec(any::<u8>(), 0..=125).prop_map(|payload| {
        let mut script = Script::default();
        script.push_ping(&payload);
        script
    });
    prop_oneof![3 => message, 1 => ping]
}

fn script() -> impl Strategy<Value = Script> {
    prop::collection::vec(message_or_ping(), 1..8).prop_map(|scripts| {
        let mut all = Script::default();
        for Script { stream, expected } in scripts {
            all.push(&[stream], &expected.messages, &expected.answers);
        }
        all
    })
}

/// A masked frame, most often a text by itself, whose payload may be no UTF-8, and whose length may
/// be over the limit.
fn almost_text() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![TEXT & !FIN, CONTINUATION]);
    let first = prop_oneof![6 => Just(TEXT), 1 => any::<u8>(), 1 => fragment];
    let payload = prop_oneof![
        6 => ("[a-zé€😀]", size()).prop_map(|(letter, len)| letter.repeat(len / letter.len()).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
        1 => Just(vec![b'x'; LIMIT + 1]),
    ];
    let broken = prop::option::weighted(0.1, (any::<Index>(), any::<u8>()));
    (first, payload, any::<[u8; 4]>(), broken).prop_map(|(first, mut payload, mask, broken)| {
        if let Some((place, byte)) = broken.filter(|_| !payload.is_empty()) {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        let len = match payload.len() {
            len @ ..126 => vec![0x80 | len as u8],
            len @ ..65_536 => [&[0xfe], &(len as u16).to_be_bytes()[..]].concat(),
            len => [&[0xff], &(len as u64).to_be_bytes()[..]].concat(),
        };
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [&[first][..], &len, &mask].concat().into_iter().chain(masked).collect()
    })
}

/// The same text, as a first fragment and an empty last one. Any other frame stays as it is.
fn in_two_fragments(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [TEXT, rest @ ..] => [&[TEXT & !FIN], rest, &frame(CONTINUATION | FIN, b"")].concat(),
        _ => bytes.to_vec(),
    }
}

/// Any byte; half of the time one that begins a frame.
fn likely_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(vec![TEXT, PING, 0x80, 0x81])]
}

proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(128)
    })]

    #[test]
    fn two_streams_cut_anywhere_never_mix(
        alice in script(),
        bob in script(),
        cuts in prop::collection::vec((0..2usize, prop_oneof![0..20usize, 0..6000usize]), 0..100),
    ) {
        check_interleaved([&alice, &bob], cuts);
    }

    /// A text is read in three ways: in the read buffer, in the buffer of a frame that comes byte
    /// by byte, and by a context, where an empty fragment follows.
    #[test]
    fn text_unmasked_in_place_equals_text_from_a_context(
        frames in prop::collection::vec(almost_text(), 1..4),
    ) {
        let stream = frames.concat();
        let in_place = receive_pieces([&stream[..]].into_iter());
        prop_assert_eq!(&receive_pieces(stream.chunks(1)), &in_place);
        let fragments: Vec<u8> = frames.iter().flat_map(|frame| in_two_fragments(frame)).collect();
        prop_assert_eq!(receive_pieces([&fragments[..]].into_iter()), in_place);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_leave_nothing_behind(
        bytes in prop::collection::vec(likely_byte(), 0..300),
        len in 1..20usize,
    ) {
        let whole = receive_pieces([&bytes[..]].into_iter());
        prop_assert_eq!(receive_pieces(bytes.chunks(len)), whole);
    }
}
