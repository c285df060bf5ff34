//! TLS itself: real clients, handshakes that stop, and bytes that are no TLS.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{TryRecvError, channel};

use rustix::process::Signal;
use rustls::HandshakeKind;
use serde_json::json;

use crate::raw::{FIN, TEXT, frame};
use crate::support::{Certificate, Client, Server, certificate, sotto};

/// Starts a server with this certificate.
fn start(options: &[&str], files: &Certificate) -> Server {
    Server::spawn_with(&mut sotto(&[&["--listen", "127.0.0.1:0"], options].concat()), files)
}

/// Waits for a log line that begins with `start`, and returns the address behind that.
fn address_behind(server: &Server, start: &str) -> String {
    server.wait_for_log(start).split_off(start.len())
}

/// Runs curl, which trusts the server's certificate only, and returns all of its output.
fn curl(arguments: &[&str]) -> String {
    let files = certificate();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--cacert"])
        .arg(&files.certificate)
        .args(arguments)
        .output();
    text(&output.expect("curl: tests/run installs it"))
}

/// Returns standard output and standard error of a process.
fn text(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Runs `openssl s_client`, which sends `said` and waits for the end of the stream.
fn s_client(server: &Server, arguments: &[&str], said: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &server.address.to_string(), "-CAfile"])
        .arg(&certificate().certificate)
        .args(["-verify_return_error", "-servername", "localhost"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl: tests/run installs it");
    child.stdin.as_mut().expect("it was piped").write_all(said.as_bytes()).expect("it reads");
    // At the end of its standard input it would end at once, before the answer has come.
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    text(&output)
}

/// Returns a request; behind its response the server ends the stream.
fn request(server: &Server, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address)
}

#[test]
fn bad_certificate_or_key_is_one_sentence_and_exit_code_2() {
    let (files, other) = (certificate(), Certificate::new("other"));
    let [cert, key, other_key] =
        [&files.certificate, &files.key, &other.key].map(|path| path.to_str().unwrap());
    let check = |options: &[&str], words: &str| {
        let output = sotto(options).output().expect("it runs");
        let said = text(&output);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("sotto: ") && said.contains(words), "{said}");
    };
    check(&["--tls-cert", cert], "--tls-cert and --tls-key belong together");
    check(&["--tls-key", key], "--tls-cert and --tls-key belong together");
    check(&["--tls-cert", "/nowhere", "--tls-key", key], "--tls-cert: /nowhere cannot be read: ");
    check(&["--tls-cert", cert, "--tls-key", "/nowhere"], "--tls-key: /nowhere cannot be read: ");
    check(&["--tls-cert", key, "--tls-key", key], "holds no certificate in PEM");
    check(&["--tls-cert", cert, "--tls-key", cert], "holds no key in PEM");
    check(
        &["--tls-cert", cert, "--tls-key", other_key],
        "--tls-key is not the key of a certificate in --tls-cert",
    );
    check(&["--redirect", "127.0.0.1:0"], "--redirect leads to https");
}

#[test]
fn curl_gets_the_page_and_a_redirect_from_http() {
    let server = start(&["--redirect", "127.0.0.1:0"], certificate());
    let port = server.address.port();
    let page = curl(&[&format!("https://localhost:{port}/")]);
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<!doctype html>"), "{page}");
    assert!(!page.contains("Strict-Transport-Security"), "{page}");
    // A request over http is redirected to https, with its whole path and query.
    let redirect = address_behind(&server, "redirecting from ");
    let answer = curl(&[&format!("{redirect}/healthz?a=b")]);
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(
        answer.contains(&format!("\r\nLocation: https://127.0.0.1:{port}/healthz?a=b\r\n")),
        "{answer}"
    );
    assert!(!answer.contains("Strict-Transport-Security"), "{answer}");
    let followed = curl(&["--location", &format!("{redirect}/healthz")]);
    assert!(followed.ends_with("\r\n\r\nok\n"), "{followed}");
    let elsewhere = curl(&["--header", "Host: evil.example", &redirect]);
    assert!(elsewhere.starts_with("HTTP/1.1 421 "), "{elsewhere}");
}

#[test]
fn hsts_is_sent_under_a_listed_name_unless_switched_off() {
    let ask = |options: &[&str], host: &str| {
        let options = [&["--origin", "https://chat.example"], options].concat();
        let server = start(&options, certificate());
        let header = format!("Host: {host}");
        curl(&["--header", &header, &format!("https://localhost:{}/", server.address.port())])
    };
    let field = "\r\nStrict-Transport-Security: max-age=31536000\r\n";
    assert!(ask(&[], "chat.example").contains(field));
    assert!(!ask(&[], "localhost").contains("Strict-"));
    assert!(!ask(&["--no-hsts"], "chat.example").contains("Strict-"));
}

#[test]
fn plain_http_is_answered_in_plain_that_this_port_is_https() {
    let server = start(&[], certificate());
    let answer = curl(&[&format!("http://{}/", server.address)]);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\r\n\r\nThis port speaks HTTPS"), "{answer}");
    assert!(!answer.contains("Strict-Transport-Security"), "{answer}");
    // Many bytes get the answer, too: no reset destroys it.
    for said in ["SSH-2.0-OpenSSH_9.2\r\n", "\0", &"x".repeat(20_000)] {
        let mut wire = server.knock();
        wire.write_all(said.as_bytes()).expect("it reads");
        let mut answer = String::new();
        wire.read_to_string(&mut answer).expect("an orderly end");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    // So it is on a full server: only a client that speaks TLS learns that it is full.
    let server = start(&["--max-clients", "1"], certificate());
    let _only = server.connect();
    assert!(curl(&[&format!("http://{}/", server.address)]).starts_with("HTTP/1.1 400 "));
    assert!(
        curl(&[&format!("https://localhost:{}/", server.address.port())])
            .starts_with("HTTP/1.1 503 ")
    );
}

#[test]
fn openssl_speaks_both_versions_resumes_and_says_goodbye() {
    let server = start(&[], certificate());
    let ask = request(&server, "/healthz");
    for (version, told) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(&server, &[version, "-alpn", "h2,http/1.1", "-ign_eof"], &ask);
        assert!(said.contains(&format!("New, {told}, ")), "{said}");
        assert!(
            said.contains("ALPN protocol: http/1.1") && said.contains("Verification: OK"),
            "{said}"
        );
        // openssl complains if the stream ends without close_notify.
        assert!(said.contains("\r\n\r\nok\n") && !said.contains("unexpected eof"), "{said}");
    }
    let old = s_client(&server, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "");
    assert!(old.contains("alert handshake failure"), "{old}");
    let http_2 = s_client(&server, &["-alpn", "h2"], "");
    assert!(http_2.contains("alert no application protocol"), "{http_2}");
    // With TLS 1.2, `-reconnect` resumes by itself. A ticket of TLS 1.3 comes behind the handshake,
    // so a second run has to use it.
    let said = s_client(&server, &["-tls1_2", "-reconnect"], "Q\n");
    assert_eq!(said.matches("Reused, TLSv1.2, ").count(), 5, "{said}");
    let ticket = certificate().certificate.with_extension("ticket");
    let ticket = ticket.to_str().expect("UTF-8");
    s_client(&server, &["-tls1_3", "-ign_eof", "-sess_out", ticket], &ask);
    let said = s_client(&server, &["-tls1_3", "-ign_eof", "-sess_in", ticket], &ask);
    assert!(said.contains("Reused, TLSv1.3, ") && said.contains("\r\n\r\nok\n"), "{said}");
}

#[test]
fn renegotiation_is_refused() {
    let server = start(&[], certificate());
    let said = s_client(&server, &["-tls1_2"], "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    server.assert_alive();
}

#[test]
fn handshake_that_stops_ends_with_the_join_timeout() {
    let server = start(&["--join-timeout", "3"], certificate());
    // The beginnings of a ClientHello, and all of it.
    let mut session =
        rustls::ClientConnection::new(certificate().client(), "localhost".try_into().unwrap())
            .unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).expect("a vector takes all");
    let lengths = [0, 1, 5, hello.len() - 1, hello.len()];
    let wires = lengths.map(|len| {
        let mut wire = server.knock();
        wire.write_all(&hello[..len]).expect("the kernel takes it");
        wire
    });
    for (mut wire, len) in wires.into_iter().zip(lengths) {
        let mut answer = Vec::new();
        wire.read_to_end(&mut answer).expect("an orderly end");
        assert_eq!(answer.is_empty(), len < hello.len(), "{len}");
    }
    // The server does not wait for bytes that are no handshake, or that never end one.
    for broken in [
        [&hello[..20], &[0xff; 20_000]].concat(),
        [&[0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 60_000]].concat(),
    ] {
        let mut wire = server.knock();
        let _ = wire.write_all(&broken);
        let _ = wire.read_to_end(&mut Vec::new());
    }
    server.assert_alive();
}

#[test]
fn certificate_is_read_anew_and_no_client_is_dropped() {
    let files = Certificate::new("renewed");
    let server = start(&["--rate", "0"], &files);
    let first = files.client();
    let old = files.der();
    let seen = |client: &std::sync::Arc<rustls::ClientConfig>| {
        let mut wire = server.knock().secure(client.clone());
        wire.write_all(request(&server, "/healthz").as_bytes()).expect("it reads");
        wire.read_to_end(&mut Vec::new()).expect("an orderly end");
        let session = wire.session();
        (
            session.peer_certificates().expect("one")[0].clone(),
            session.handshake_kind().expect("a handshake"),
        )
    };
    assert_eq!(seen(&first), (old.clone(), HandshakeKind::Full));
    let [mut alice, mut bob] = ["alice", "bob"].map(|id| Client::join_with(&server, &first, id));
    std::thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let talk = scope.spawn(move || {
            let mut count = 0;
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                for n in 0..100 {
                    alice.say(json!({"type": "send", "to": "bob", "body": n}));
                }
                for n in 0..100 {
                    assert_eq!(bob.hear_type("message")["body"], n);
                }
                count += 100;
            }
            count
        });
        // Broken files: the old pair stays.
        std::fs::write(&files.key, "no key").expect("a file");
        server.signal(Signal::HUP);
        let line = server.wait_for_log("certificate and key stay as they were");
        assert!(line.contains("--tls-key: ") && line.contains("holds no key in PEM"), "{line}");
        // A damaged certificate behind a good one breaks nothing, either.
        let good = std::fs::read_to_string(&files.certificate).expect("a file");
        let damaged = good.replacen("-----\n", "-----\nAAAA\n", 1);
        std::fs::write(&files.certificate, good + &damaged).expect("a file");
        server.signal(Signal::HUP);
        let line = server.wait_for_log("certificate and key stay as they were");
        assert!(line.contains("--tls-cert: ") && line.contains("at position 2"), "{line}");
        // A new client, because a resumed session has the certificate of its first handshake.
        assert_eq!(seen(&files.client()), (old.clone(), HandshakeKind::Full));
        // New files: new connections get the new certificate.
        let files = Certificate::new("renewed");
        server.signal(Signal::HUP);
        server.wait_for_log("certificate and key were read anew");
        let second = files.client();
        assert_eq!(seen(&second), (files.der(), HandshakeKind::Full));
        assert_ne!(files.der(), old);
        // A ticket from before is still good.
        assert_eq!(seen(&first).1, HandshakeKind::Resumed);
        drop(stop);
        assert!(talk.join().expect("no client was dropped") > 0);
    });
}

#[test]
fn stream_that_ends_without_close_notify_ends_too() {
    let server = start(&[], certificate());
    let descriptors = server.descriptors();
    let mut rude = Client::join_with(&server, &certificate().client(), "rude");
    rude.ws.get_ref().socket().shutdown(std::net::Shutdown::Write).expect("a socket");
    assert!(rude.ws.read().is_err());
    server.wait_for_descriptors(descriptors);
}

#[test]
fn quiet_client_costs_less_than_is_counted_for_it() {
    const CLIENTS: usize = 1000;
    sotto::event_loop::raise_descriptor_limit().expect("the test may open many");
    let server = start(&["--timeout", "600", "--ping", "500"], certificate());
    let descriptors = server.descriptors();
    let config = certificate().client();
    let mut clients: Vec<Client> =
        (0..10).map(|n| Client::join_with(&server, &config, &format!("first-{n}"))).collect();
    let before = server.memory_bytes();
    clients
        .extend((0..CLIENTS).map(|n| Client::join_with(&server, &config, &format!("client-{n}"))));
    let each = (server.memory_bytes() - before) / CLIENTS;
    println!("{each} bytes each");
    assert!(each < sotto::limits::TLS_SESSION_BYTES, "{each} bytes each");
    // Long messages leave nothing behind, either.
    for client in &mut clients {
        client.say(json!({"type": "send", "to": "nobody", "body": "x".repeat(60_000)}));
        client.hear_error("offline");
    }
    let after = (server.memory_bytes() - before) / CLIENTS;
    println!("{after} bytes each, after a long message");
    assert!(after < sotto::limits::TLS_SESSION_BYTES, "{after} bytes each, after a long message");
    // Nor do many records that come at once behind a long one, for which rustls has a long buffer.
    let line = |len| json!({"type": "send", "to": "nobody", "body": "x".repeat(len)}).to_string();
    let [long, short] = [16_000, 800].map(|len| frame(FIN | TEXT, line(len).as_bytes()));
    for client in &mut clients {
        client.ws.get_mut().write_records([&long[..]].into_iter().chain(short.chunks(1)));
        client.hear_error("offline");
        client.hear_error("offline");
    }
    let after = (server.memory_bytes() - before) / CLIENTS;
    println!("{after} bytes each, after many records");
    assert!(after < sotto::limits::TLS_SESSION_BYTES, "{after} bytes each, after many records");
    drop(clients);
    server.wait_for_descriptors(descriptors);
    server.assert_alive();
}
