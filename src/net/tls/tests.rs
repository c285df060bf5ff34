//! A connection over TLS over a scripted socket, and a client that speaks TLS to it: handshakes in
//! pieces, a fault at every step, and what is kept of what comes and goes.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::*;
use crate::limits::{HANDSHAKES_PER_TURN, HEAD_BYTES_MAX, LINGER, READ_BYTES, WRITE_STALL};
use crate::net::connection::tests::{CLOSE, TEXT, UPGRADE, frame, ours};
use crate::net::connection::{Connection, End, Incoming, Limits, Shared, View};
use crate::net::http::assets::Files;
use crate::net::http::{Access, Endpoint, Site};
use crate::net::stream::scripted::{Fault, Scripted, Wire};
use crate::server::{self, Ready, Server};
use crate::time::Now;

const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A server's side of TLS, and the certificate that it shows.
fn identity() -> &'static (Identity, CertificateDer<'static>) {
    static IDENTITY: OnceLock<(Identity, CertificateDer)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("sotto-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let [certificate, key] = ["cert", "key"].map(|name| folder.join(name));
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
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("openssl: tests/run installs it").success());
        let identity = Identity::load(&certificate, &key).expect("good files");
        let shown = CertificateDer::from_pem_file(&certificate).expect("a certificate");
        std::fs::remove_dir_all(&folder).expect("it is ours");
        (identity, shown)
    })
}

fn client(version: &'static SupportedProtocolVersion) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(identity().1.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name"))
        .expect("a client")
}

/// A loop of one connection, which sends back what it hears, and its client.
struct Talk {
    wire: Rc<RefCell<Wire>>,
    connection: Connection<TlsStream<Scripted>>,
    shared: Shared,
    buffer: Vec<u8>,
    now: Now,
    client: ClientConnection,
    /// What has reached the client, in plain.
    delivered: Vec<u8>,
    /// The end of our side has reached the client.
    delivered_end: bool,
    /// What has reached the server.
    received: Vec<String>,
}

impl Talk {
    fn new(version: &'static SupportedProtocolVersion) -> Talk {
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Anyone, endpoint).over_tls();
        let limits = Limits {
            message_bytes_max: 65_536,
            incomplete_bytes_total: 1 << 20,
            connections_per_address: 0,
            ping: Duration::from_secs(25),
            timeout: Duration::from_secs(40),
            join_timeout: JOIN_TIMEOUT,
            rate: None,
        };
        let shared = Shared::new(site, limits);
        let now = Now { instant: Instant::now(), unix_ms: 0 };
        let wire = Rc::new(RefCell::new(Wire::default()));
        let stream = TlsStream::new(Scripted(wire.clone()), &identity().0).expect("a session");
        Talk {
            connection: Connection::new(stream, View::Page, now, &shared),
            wire,
            shared,
            buffer: vec![0; READ_BYTES],
            now,
            client: client(version),
            delivered: Vec::new(),
            delivered_end: false,
            received: Vec::new(),
        }
    }

    /// Upgraded and admitted.
    fn open(version: &'static SupportedProtocolVersion) -> Talk {
        let mut talk = Talk::new(version);
        talk.exchange();
        talk.send(UPGRADE);
        assert!(talk.delivered.starts_with(b"HTTP/1.1 101 "));
        talk.connection.mark_joined(talk.now);
        talk.delivered.clear();
        talk
    }

    fn wire(&self) -> std::cell::RefMut<'_, Wire> {
        self.wire.borrow_mut()
    }

    /// The kernel reports readiness, and all is done that can be done without another event.
    fn event(&mut self) {
        let Talk { connection, shared, buffer, now, received, wire, .. } = self;
        connection.note_readable();
        if wire.borrow().end {
            connection.note_read_closed(*now);
        }
        if connection.is_stalled() {
            connection.flush(*now, shared);
        }
        while connection.wants_read() || connection.wants_write() {
            if connection.wants_read() {
                let mut input = connection.receive(buffer, *now, shared);
                while let Some(incoming) = connection.next(&mut input, *now, shared) {
                    if let Incoming::Text(text) = incoming {
                        connection.write_text(text.as_bytes(), *now, shared);
                        received.push(text.to_string());
                    }
                }
            }
            if connection.wants_write() {
                connection.flush(*now, shared);
            }
        }
    }

    /// Carries bytes between the two until none move. Behind the first, an event comes only with
    /// something to tell.
    fn exchange(&mut self) {
        loop {
            let ciphertext = ciphertext(&mut self.client);
            self.wire().coming.extend(&ciphertext);
            self.event();
            let taken = std::mem::take(&mut self.wire().taken);
            self.deliver(&taken);
            if !std::mem::take(&mut self.wire().owes_event) && !self.client.wants_write() {
                return;
            }
        }
    }

    fn deliver(&mut self, mut taken: &[u8]) {
        while !taken.is_empty() {
            self.client.read_tls(&mut taken).expect("a slice");
            let state = self.client.process_new_packets().expect("TLS");
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.client.reader().read_exact(&mut plain).expect("so many");
            self.delivered.extend(plain);
            if state.peer_has_closed() {
                self.delivered_end = true;
                return;
            }
        }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.writer().write_all(bytes.as_ref()).expect("its buffer takes it");
        self.exchange();
    }

    fn end(&mut self) {
        self.wire().end = true;
        self.exchange();
    }

    #[track_caller]
    fn assert_gone(&self, end: End) {
        assert!(self.connection.is_gone());
        assert_eq!(self.connection.end(), Some(end));
        assert_eq!(self.shared.incomplete_bytes(), 0);
    }
}

/// What the client has to send.
fn ciphertext(client: &mut ClientConnection) -> Vec<u8> {
    let mut ciphertext = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut ciphertext).expect("a vector takes all");
    }
    ciphertext
}

/// Where the records are in what has left, by their lengths.
fn records(mut taken: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = taken {
        lengths.push(usize::from(u16::from_be_bytes([*high, *low])));
        taken = &rest[*lengths.last().unwrap()..];
    }
    assert!(taken.is_empty(), "half a record");
    lengths
}

/// From the first byte to the last, with these faults on the way.
fn converse(
    version: &'static SupportedProtocolVersion,
    faults: impl IntoIterator<Item = (usize, Fault)>,
) -> Talk {
    let mut talk = Talk::new(version);
    talk.wire().faults.extend(faults);
    let long = "x".repeat(20_000);
    let parts =
        [UPGRADE.as_bytes(), &frame(TEXT, "one"), &frame(TEXT, &long), &frame(CLOSE, b"\x03\xe8")];
    for part in parts {
        if talk.client.writer().write_all(part).is_err() {
            break;
        }
        talk.exchange();
    }
    talk.client.send_close_notify();
    talk.exchange();
    talk.end();
    talk
}

#[test]
fn fault_at_any_step_changes_nothing_unless_it_is_a_reset() {
    for version in VERSIONS {
        let faultless = converse(version, []);
        faultless.assert_gone(End::Closed(1000));
        assert_eq!(faultless.received, ["one", &"x".repeat(20_000)]);
        assert!(
            faultless.delivered.ends_with(&ours(CLOSE, b"\x03\xe8")) && faultless.delivered_end
        );
        for step in 0..faultless.wire().calls {
            for fault in [Fault::Blocks, Fault::IsInterrupted, Fault::TakesOneByte] {
                let talk = converse(version, [(step, fault)]);
                talk.assert_gone(End::Closed(1000));
                assert!(
                    talk.received == faultless.received
                        && talk.delivered == faultless.delivered
                        && talk.delivered_end,
                    "{step} {fault:?}"
                );
            }
            let talk = converse(version, [(step, Fault::Resets)]);
            talk.assert_gone(talk.connection.end().unwrap());
            assert!(
                faultless.received.starts_with(&talk.received)
                    && faultless.delivered.starts_with(&talk.delivered)
            );
        }
    }
}

#[test]
fn conversation_in_pieces_of_one_byte_succeeds() {
    for version in VERSIONS {
        let talk = converse(version, (0..1_000_000).map(|step| (step, Fault::TakesOneByte)));
        talk.assert_gone(End::Closed(1000));
        assert_eq!(talk.received, ["one", &"x".repeat(20_000)]);
        assert!(talk.delivered_end);
    }
}

#[test]
fn long_text_leaves_in_one_write_and_the_fewest_records() {
    for version in VERSIONS {
        for (len, count) in [(100, 1), (5000, 1), (16_000, 1), (40_000, 3), (60_000, 4)] {
            let mut talk = Talk::open(version);
            talk.wire().writes = 0;
            talk.connection.write_text("x".repeat(len).as_bytes(), talk.now, &mut talk.shared);
            talk.connection.flush(talk.now, &mut talk.shared);
            let taken = std::mem::take(&mut talk.wire().taken);
            assert_eq!((talk.wire().writes, records(&taken).len()), (1, count), "{len}");
            talk.deliver(&taken);
            assert!(talk.delivered.ends_with(b"xxx") && talk.delivered.len() > len);
        }
    }
}

#[test]
fn output_for_a_stalled_client_is_counted_until_it_leaves() {
    let mut talk = Talk::open(&version::TLS13);
    talk.wire().window = Some(1000);
    let text = "x".repeat(500_000);
    talk.connection.write_text(text.as_bytes(), talk.now, &mut talk.shared);
    assert!(talk.connection.is_stalled());
    // Four records lie encrypted, the rest as it was.
    let queued = talk.connection.queued();
    assert!((text.len() - 1000..text.len()).contains(&queued), "{queued}");
    talk.send(frame(TEXT, "unheard"));
    assert!(talk.received.is_empty() && !talk.connection.wants_read());
    talk.now.instant += WRITE_STALL - Duration::from_millis(1);
    talk.wire().window = Some(1);
    talk.exchange();
    assert_eq!(talk.connection.queued(), queued - 1, "progress");
    talk.now.instant += WRITE_STALL - Duration::from_millis(1);
    talk.connection.expire(talk.now, &mut talk.shared);
    assert!(!talk.connection.is_gone());
    // It reads again, and gets everything.
    talk.wire().window = None;
    talk.exchange();
    assert!(!talk.connection.is_stalled() && talk.received == ["unheard"]);
    assert!(talk.delivered.len() > text.len());

    talk.wire().window = Some(0);
    talk.connection.write_text(text.as_bytes(), talk.now, &mut talk.shared);
    talk.now.instant += WRITE_STALL;
    talk.connection.expire(talk.now, &mut talk.shared);
    talk.assert_gone(End::Stalled);
}

#[test]
fn partial_record_is_counted_until_it_is_whole() {
    for version in VERSIONS {
        let mut talk = Talk::open(version);
        assert_eq!(talk.shared.incomplete_bytes(), 0);
        // A frame of two records, of which all but the last byte have come.
        talk.client
            .writer()
            .write_all(&frame(TEXT, "x".repeat(16_000)))
            .expect("its buffer takes it");
        let mut ciphertext = ciphertext(&mut talk.client);
        let last = ciphertext.pop().expect("much");
        talk.wire().coming.extend(&ciphertext);
        talk.exchange();
        assert!(talk.shared.incomplete_bytes() >= 2 * ciphertext.len());
        talk.wire().coming.push_back(last);
        talk.exchange();
        assert_eq!((talk.received.len(), talk.shared.incomplete_bytes()), (1, 0));
    }
}

#[test]
fn partial_record_over_the_budget_ends_its_connection() {
    let mut talk = Talk::open(&version::TLS13);
    // All but what the partial record would be counted as, four times.
    let mut others: Vec<Talk> = Vec::new();
    let partial_record = [&[0x17, 3, 3, 0x40, 0][..], &[0; 16_000]].concat();
    let mut ended = 0;
    while ended == 0 {
        let mut other = Talk::open(&version::TLS13);
        std::mem::swap(&mut other.shared, &mut talk.shared);
        other.wire().coming.extend(&partial_record);
        other.exchange();
        ended += usize::from(other.connection.is_gone());
        std::mem::swap(&mut other.shared, &mut talk.shared);
        others.push(other);
        assert!(others.len() < 100, "1 MiB was all there was");
    }
    assert!(others.len() > 10);
    talk.send(frame(TEXT, "still here"));
    assert_eq!(talk.received, ["still here"]);
}

#[test]
fn one_read_takes_a_bounded_amount_of_ciphertext() {
    let mut talk = Talk::open(&version::TLS13);
    talk.client.set_buffer_limit(None);
    let plaintext = frame(TEXT, "x".repeat(5000));
    let mut ciphertext = Vec::new();
    for byte in &plaintext {
        talk.client.writer().write_all(&[*byte]).expect("its buffer takes it");
        talk.client.write_tls(&mut ciphertext).expect("a vector takes all");
    }
    talk.wire().coming.extend(&ciphertext);
    talk.connection.note_readable();
    let Talk { connection, buffer, now, shared, .. } = &mut talk;
    let mut input = connection.receive(buffer, *now, shared);
    assert_eq!(connection.next(&mut input, *now, shared), None);
    let read = ciphertext.len() - talk.wire().coming.len();
    assert!((READ_BYTES..READ_BYTES + 4096).contains(&read), "{read} of {}", ciphertext.len());
    assert!(talk.connection.wants_read());
    talk.event();
    assert_eq!(talk.received, ["x".repeat(5000)]);
}

#[test]
fn record_longer_than_a_head_is_used_without_an_event() {
    let mut talk = Talk::new(&version::TLS13);
    talk.exchange();
    let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(300);
    assert!((HEAD_BYTES_MAX..TLS_RECORD_BYTES_MAX).contains(&requests.len()));
    talk.client.writer().write_all(requests.as_bytes()).expect("its buffer takes it");
    let ciphertext = ciphertext(&mut talk.client);
    talk.wire().coming.extend(&ciphertext);
    talk.event();
    let taken = std::mem::take(&mut talk.wire().taken);
    talk.deliver(&taken);
    assert_eq!(String::from_utf8_lossy(&talk.delivered).matches("HTTP/1.1 200 ").count(), 300);
}

#[test]
fn key_update_by_the_client_changes_nothing_else() {
    let mut talk = Talk::open(&version::TLS13);
    for text in ["one", "two"] {
        talk.client.refresh_traffic_keys().expect("TLS 1.3 can");
        talk.send(frame(TEXT, text));
        assert_eq!(talk.received.last().map(String::as_str), Some(text));
        assert!(talk.delivered.ends_with(&ours(TEXT, text)));
    }
}

#[test]
fn handshake_message_of_64_kib_is_not_kept() {
    // A handshake message of 64 KiB, in records as long as they may be.
    let mut talk = Talk::new(&version::TLS13);
    let hello = [&[1, 0, 0xff, 0xff][..], &[0; 65_535]].concat();
    for part in hello.chunks(16_384) {
        let len = (part.len() as u16).to_be_bytes();
        talk.wire().coming.extend([&[0x16, 3, 1, len[0], len[1]], part].concat());
    }
    talk.exchange();
    talk.assert_gone(End::Lost(ErrorKind::InvalidData));
    let read = hello.len() - talk.wire().coming.len();
    assert!(read < TLS_UNREAD_BYTES_MAX + 8192, "{read}");
}

#[test]
fn trickling_handshake_does_not_extend_the_join_timeout() {
    let mut silent = Talk::new(&version::TLS12);
    assert_eq!(silent.connection.deadline(&silent.shared), Some(silent.now.instant + JOIN_TIMEOUT));
    silent.now.instant += JOIN_TIMEOUT;
    silent.connection.expire(silent.now, &mut silent.shared);
    silent.assert_gone(End::Silent);

    let mut talk = Talk::new(&version::TLS12);
    let mut hello = Vec::new();
    talk.client.write_tls(&mut hello).expect("a vector takes all");
    for byte in hello {
        talk.wire().coming.push_back(byte);
        talk.now.instant += Duration::from_millis(10);
        talk.event();
    }
    let taken = std::mem::take(&mut talk.wire().taken);
    talk.deliver(&taken);
    assert!(talk.client.wants_write(), "it has an answer, and keeps it");
    talk.now.instant += JOIN_TIMEOUT;
    talk.connection.expire(talk.now, &mut talk.shared);
    talk.assert_gone(End::Silent);
}

/// A server, and so many clients who have each sent a ClientHello that they take three turns. It
/// may be all they say.
struct Crowd {
    server: Server<TlsStream<Scripted>>,
    wires: Vec<Rc<RefCell<Wire>>>,
    ready: Vec<Ready>,
    now: Now,
}

impl Crowd {
    fn new(closed: bool) -> Crowd {
        let Talk { shared, now, .. } = Talk::new(&version::TLS13);
        let server = server::tests::server_over(shared);
        let mut crowd = Crowd { server, wires: Vec::new(), ready: Vec::new(), now };
        for _ in 0..HANDSHAKES_PER_TURN * 2 + 1 {
            let coming = ciphertext(&mut client(&version::TLS13)).into();
            let wire = Rc::new(RefCell::new(Wire { coming, end: closed, ..Wire::default() }));
            let stream = TlsStream::new(Scripted(wire.clone()), &identity().0).expect("a session");
            let register = |_: &mut _, token| {
                crowd.ready.push(Ready {
                    token,
                    readable: true,
                    writable: true,
                    closed,
                    failed: false,
                });
                Ok(())
            };
            let accepted =
                crowd.server.accept(stream, Some([127, 0, 0, 1].into()), View::Page, now, register);
            accepted.expect("nothing to refuse");
            crowd.wires.push(wire);
        }
        crowd
    }

    /// Ends with how many have been answered so far, and whether the loop would sleep.
    fn turn(&mut self) -> (usize, bool) {
        self.server.turn(self.now, &std::mem::take(&mut self.ready));
        let answered = self.wires.iter().filter(|wire| !wire.borrow().taken.is_empty()).count();
        (answered, self.server.sleep(self.now.instant) != Some(Duration::ZERO))
    }
}

#[test]
fn crowd_of_handshakes_is_spread_over_several_turns() {
    for closed in [false, true] {
        let mut crowd = Crowd::new(closed);
        assert_eq!(crowd.turn(), (HANDSHAKES_PER_TURN, false), "{closed}");
        assert_eq!(crowd.turn(), (2 * HANDSHAKES_PER_TURN, false), "{closed}");
        assert_eq!(crowd.turn(), (crowd.wires.len(), true), "{closed}");
    }
}

#[test]
fn expire_drops_due_handshakes_without_advancing_them() {
    let mut crowd = Crowd::new(false);
    crowd.now.instant += JOIN_TIMEOUT;
    assert_eq!(crowd.turn().0, HANDSHAKES_PER_TURN);
    assert!(crowd.server.is_empty());
}

#[test]
fn refused_connection_gets_one_503_behind_the_handshake() {
    for version in VERSIONS {
        let mut talk = Talk::new(version);
        let stream = TlsStream::new(Scripted(talk.wire.clone()), &identity().0).expect("a session");
        talk.connection = Connection::refused(stream, talk.now);
        // The request comes with the end of the handshake.
        talk.client.writer().write_all(UPGRADE.as_bytes()).expect("its buffer takes it");
        talk.exchange();
        assert!(talk.delivered.starts_with(b"HTTP/1.1 503 ") && talk.delivered_end);
        assert_eq!(talk.delivered.windows(9).filter(|part| part == b"HTTP/1.1 ").count(), 1);
        talk.end();
        talk.assert_gone(End::Refused(503));
    }
    // Who is silent does not keep the place of another that could be answered.
    let mut talk = Talk::new(&version::TLS13);
    let stream = TlsStream::new(Scripted(talk.wire.clone()), &identity().0).expect("a session");
    talk.connection = Connection::refused(stream, talk.now);
    talk.now.instant += LINGER;
    talk.connection.expire(talk.now, &mut talk.shared);
    talk.assert_gone(End::Silent);
}

#[test]
fn close_notify_without_end_of_stream_is_an_answered_end() {
    for version in VERSIONS {
        let mut talk = Talk::open(version);
        // In one segment with the last that is sent.
        talk.client.writer().write_all(&frame(TEXT, "last")).expect("its buffer takes it");
        talk.client.send_close_notify();
        let ciphertext = ciphertext(&mut talk.client);
        talk.wire().coming.extend(&ciphertext);
        talk.event();
        assert_eq!(talk.received, ["last"]);
        talk.assert_gone(End::Lost(ErrorKind::UnexpectedEof));
        let Talk { connection, wire, client, .. } = talk;
        drop(connection);
        let taken = std::mem::take(&mut wire.borrow_mut().taken);
        let mut client = client;
        client.read_tls(&mut &taken[..]).expect("a slice");
        assert!(client.process_new_packets().expect("TLS").peer_has_closed());
    }
}

#[test]
fn unsent_close_notify_leaves_before_the_end_of_the_stream() {
    let mut talk = Talk::open(&version::TLS13);
    // Our close frame is a record of 26 bytes, and the kernel takes none of the record behind it.
    talk.wire().window = Some(26);
    talk.send(frame(CLOSE, b"\x03\xe8"));
    assert_eq!(
        (talk.delivered.clone(), talk.delivered_end, talk.wire().shut),
        (ours(CLOSE, b"\x03\xe8"), false, false)
    );
    talk.wire().window = None;
    talk.exchange();
    assert!(talk.delivered_end && talk.wire().shut);
}

#[test]
fn input_after_our_close_notify_is_discarded_undecrypted() {
    let mut talk = Talk::open(&version::TLS13);
    talk.connection.close(1000, talk.now, &mut talk.shared);
    talk.exchange();
    assert!(!talk.delivered_end && !talk.wire().shut, "the peer's close frame is missing");
    talk.client.writer().write_all(&frame(CLOSE, b"\x03\xe8")).expect("its buffer takes it");
    let close = ciphertext(&mut talk.client);
    let partial_record = [&[0x17, 3, 3, 0x40, 0][..], &[0; 5000]].concat();
    talk.wire().coming.extend([close, partial_record].concat());
    talk.exchange();
    assert!(talk.delivered_end && talk.wire().shut);
    assert_eq!(talk.shared.incomplete_bytes(), 0);
    // The rest of it, which is no record of this session.
    talk.wire().coming.extend([0; 16_000]);
    talk.event();
    assert!(talk.wire().coming.is_empty() && !talk.connection.is_gone());
    talk.end();
    talk.assert_gone(End::Refused(1000));
}

#[test]
fn plain_text_is_answered_in_plain_text() {
    let mut talk = Talk::new(&version::TLS13);
    talk.wire().coming.extend(UPGRADE.as_bytes());
    talk.event();
    let taken = std::mem::take(&mut talk.wire().taken);
    assert!(taken.starts_with(b"HTTP/1.1 400 ") && !taken.windows(6).any(|part| part == b"Strict"));
    assert!(talk.wire().shut && talk.wire().coming.is_empty());
    talk.wire().end = true;
    talk.event();
    talk.assert_gone(End::Refused(400));
}

proptest! {
    // Cases that failed are printed, and kept as ordinary tests; not as files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_cut_anywhere_end_where_their_lengths_say(
        lengths in prop::collection::vec(0..300usize, 1..20), cut in 1..50usize,
    ) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for len in lengths {
            bytes.extend([0x17, 3, 3, (len >> 8) as u8, len as u8]);
            bytes.extend(vec![0xff; len]);
            ends.push(bytes.len());
        }
        let (mut records, mut at) = (Records::default(), 0);
        for piece in bytes.chunks(cut) {
            records.pass(piece);
            at += piece.len();
            prop_assert_eq!(records.is_whole(), ends.contains(&at));
        }
    }
}
