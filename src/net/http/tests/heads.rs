//! Heads as bytes: broken ones, long ones, bodies, and the end of a connection.

use super::*;

#[test]
fn malformed_head_gets_400() {
    let whole = get("/", "A: b\r\n");
    check_broken(whole.replace("\r\n", "\n"), "400 | close | without CR");
    check_broken(whole.replace("A: b\r\n", "A: b\n"), "400 | close | without CR");
    check_broken("GET / HTTP/1.1\r\nHost: a\r\n\n", "400 | close | without CR");
    check_broken("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 | close | without CR");
    check_broken(whole.replace("A: b\r\n", "A: b\r"), "400 | close");
    check_broken(whole.replace("A: b", "A: b\r\n folded"), "400 | close");
    check_broken(whole.replace("A: b", "A: b\r\n\tfolded"), "400 | close");
    check_broken(whole.replace("Host", " Host"), "400 | close");
    check_broken(whole.replace("A:", "A :"), "400 | close");
    check_broken(whole.replace("A:", ":"), "400 | close");
    check_broken(whole.replace("A: b", "A b"), "400 | close");
    check_broken(whole.replace("A:", "Ä:"), "400 | close");
    check_broken(whole.replace("GET ", "GET  "), "400 | close");
    check_broken(whole.replace("GET ", "GET\t"), "400 | close");
    check_broken(whole.replace(" HTTP", "  HTTP"), "400 | close");
    check_broken(whole.replace(".1\r", ".1 \r"), "400 | close");
    check_broken(whole.replace("GET", " GET"), "400 | close");
    check_broken(whole.replace("GET", "G(T"), "400 | close");
    check_broken(whole.replace("/ HTTP", "/a b HTTP"), "400 | close");
    for version in
        ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "http/1.1", "HTTP/1.10", "ICY/1.1.", "1"]
    {
        check_broken(whole.replace("HTTP/1.1", version), "400 | close | not a request of HTTP/1.1");
    }
    for text in ["GET", "/ ", "HTTP", "Host", "localhost", "A:", " b", "b\r"] {
        check_broken(whole.replace(text, &format!("\0{text}")), "400 | close");
        check_broken(whole.replace(text, &format!("{text}\0")), "400 | close");
        check_broken(whole.replace(text, &format!("{text}\u{7f}")), "400 | close");
    }
    check_broken("GET /\r\n\r\n", "400 | close");
    check_broken(b"GET /\xff HTTP/1.1\r\n", "400 | close");
}

#[test]
fn bytes_of_another_protocol_get_400() {
    check_broken(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 | close");
    check_broken(b"\x16", "400 | close");
    check_broken("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 | close");
    check_broken("SSH-2.0-OpenSSH_9.6\r\n", "400 | close");
    check_broken("{\"type\":\"join\"}", "400 | close");
    check_broken(b"\x81\x85\0\0\0\0hello", "400 | close");
}

#[test]
fn head_beyond_the_limits_gets_414_or_431() {
    let max = HEAD_BYTES_MAX;
    check_broken(format!("GET /{}", "a".repeat(9000)), "414 | close | 8192 bytes");
    check_broken(format!("GET /{}", "a".repeat(max - 5)), "414 | close");
    check_broken("A".repeat(max), "414 | close");
    check_broken(bare(&format!("A: {}", "a".repeat(max))), "431 | close | 64 fields");
    check_broken(bare(&"A: b\r\n".repeat(HEADERS_MAX + 1)), "431 | close | 64 fields");
    check(&get("/", &"A: b\r\n".repeat(HEADERS_MAX - 1)), "200");

    // The longest head is accepted, one byte more is refused, and one byte less is incomplete.
    let fits = get("/", &format!("A: {}\r\n", "a".repeat(max - 45)));
    assert_eq!(fits.len(), max);
    check(&fits, "200");
    check_broken(fits.replace("A:", "AA:"), "431 | close");
    let unfinished = "GET /".to_owned() + &"a".repeat(max - 6);
    assert_eq!(parse(unfinished.as_bytes(), &site(), NOW), Parsed::Incomplete);
}

#[test]
fn empty_lines_before_a_head_are_skipped() {
    // RFC 9112, 2.2: some old clients sent an empty line behind a body.
    check("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "200");
}

#[test]
fn request_with_a_body_gets_413() {
    check(&get("/", "Content-Length: 0\r\n"), "200");
    check(&get("/", "Content-Length: 000\r\n"), "200");
    check(&get("/", "Content-Length: 1\r\n"), "413 | close | no body");
    check(&get("/", "Content-Length: 99999999999999999999999\r\n"), "413 | close");
    check(&get("/", "Transfer-Encoding: chunked\r\n"), "413 | close");
    check(&get("/", "Transfer-Encoding:\r\n"), "413 | close");
    check(&request("POST", "/nothing", "Content-Length: 5\r\n"), "413 | close");
    check(&request("HEAD", "/", "Content-Length: 5\r\n"), "413 | close");
    check(&handshake("Content-Length: 5\r\n"), "413 | close");
    for lengths in ["", "-1", "+1", "0x5", "5, 5", "5 5", "1.0", "é"] {
        check(&get("/", &format!("Content-Length: {lengths}\r\n")), "400 | close | in doubt");
    }
    let length = "Content-Length: 0\r\n";
    check(&get("/", &length.repeat(2)), "400 | close | in doubt");
    check(&get("/", &format!("{length}Transfer-Encoding: chunked\r\n")), "400 | close");
    check(&get("/", &format!("Transfer-Encoding: identity\r\n{length}")), "400 | close");
}

#[test]
fn connection_is_kept_or_closed_as_asked() {
    check(&get("/", "Connection: close\r\n"), "200 | close");
    check(&get("/", "connection: keep-alive, CLOSE\r\n"), "200 | close");
    check(&get("/", "Connection: a\r\nConnection: close\r\n"), "200 | close");
    check(&get("/", "Connection: closed\r\n"), "200");
    check(&get("/", "Connection: keep-alive\r\n"), "200");
    check(&get("/nothing", "Connection: close\r\n"), "404 | close");
    check("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "200 | close");
}

#[test]
fn answers_without_a_request_close_the_connection() {
    check_answer(Answer::Respond(timed_out(NOW)), "", "408 | close");
    check_answer(Answer::Respond(unavailable(NOW)), "", "503 | close | Retry-After: 5\r\n");
}
