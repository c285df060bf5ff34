use super::*;

const TOKEN: &str = "0123456789abcdef";
const BODY_BYTES_MAX: usize = 512;

fn parse(text: &str) -> ParsedCall {
    parse_call(text.as_bytes(), &Bearer::new(TOKEN), BODY_BYTES_MAX, 0)
}

/// Returns a request with these fields, and the right token.
fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{fields}\r\n{body}")
}

fn post(body: &str) -> String {
    request("POST /send", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// Checks that a request is refused with this status, at the end of the connection, in JSON.
#[track_caller]
fn check_refused(text: &str, status: u16, words: &str) -> String {
    let ParsedCall::Refused(response) = parse(text) else { panic!("{text} is not refused") };
    let head = String::from_utf8(response.head).expect("UTF-8");
    let body = String::from_utf8(response.body.into_owned()).expect("UTF-8");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    assert!(response.close && head.contains("\r\nConnection: close\r\n"), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert!(json["code"].is_string(), "{json}");
    assert!(json["text"].as_str().is_some_and(|text| text.contains(words)), "{json}");
    head
}

#[test]
fn request_is_found_byte_by_byte_and_with_more_behind() {
    let get = request("GET http://x/presence?id=a?&id=b", "", "");
    for (text, method, path, query) in [
        (post(r#"{"from":"a"}"#), "POST", "/send", ""),
        (post(""), "POST", "/send", ""),
        (get, "GET", "/presence", "id=a?&id=b"),
    ] {
        for end in 0..text.len() {
            let is_incomplete = matches!(parse(&text[..end]), ParsedCall::Incomplete { .. });
            assert!(is_incomplete, "{}", &text[..end]);
        }
        let body_at = text.find("\r\n\r\n").expect("a head") + 4;
        for behind in ["", "G", "POST /send HTTP/1.1\r\n\r\n", "\0\u{1}"] {
            let head = CallHead {
                method: if method == "GET" { "GET" } else { "POST" },
                path: path.into(),
                query: query.into(),
                closes: false,
            };
            let expected = ParsedCall::Complete { head, body_at, used: text.len() };
            assert_eq!(parse(&format!("{text}{behind}")), expected);
        }
    }
}

#[test]
fn client_that_wants_to_close_is_obeyed() {
    let closes = |text: &str| match parse(text) {
        ParsedCall::Complete { head, .. } => head.closes,
        other => panic!("{other:?}"),
    };
    let get = request("GET /presence", "", "");
    assert!(!closes(&get));
    assert!(closes(&request("GET /presence", "Connection: close\r\n", "")));
    assert!(closes(&get.replace("HTTP/1.1", "HTTP/1.0")));
}

#[test]
fn wrong_token_is_refused_before_the_body_comes() {
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let challenge = "\r\nWWW-Authenticate: Bearer\r\n";
    assert!(check_refused(&get(""), 401, "say the token").contains(challenge));
    for value in [
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeF",
        "Bearer 0123456789abcdef0",
        "Bearer\u{a0}0123456789abcdef",
        "Basic 0123456789abcdef",
    ] {
        let head =
            check_refused(&get(&format!("Authorization: {value}\r\n")), 401, "not the token");
        assert!(head.contains(challenge));
    }
    let twice = format!("Authorization: Bearer {TOKEN}\r\n").repeat(2);
    check_refused(&get(&twice), 401, "not the token");
    let long = "POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n";
    check_refused(long, 401, "say the token");
    for scheme in ["bearer", "BEARER"] {
        let text = get(&format!("Authorization: {scheme}  {TOKEN}\r\n"));
        assert!(matches!(parse(&text), ParsedCall::Complete { .. }), "{text}");
    }
}

#[test]
fn body_has_one_length_within_the_limit() {
    let post = |fields: &str| request("POST /send", fields, "");
    check_refused(&post(""), 411, "Content-Length");
    check_refused(&post("Transfer-Encoding: chunked\r\n"), 501, "chunks");
    check_refused(&post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 501, "chunks");
    check_refused(&post("Content-Length: 513\r\n"), 413, "512 bytes");
    let endless = format!("Content-Length: {}\r\n", "9".repeat(40));
    check_refused(&post(&endless), 413, "512 bytes");
    for length in ["+1", "-1", "1, 1", "0x1", " ", "1 1"] {
        check_refused(&post(&format!("Content-Length: {length}\r\n")), 400, "in doubt");
    }
    check_refused(&post("Content-Length: 1\r\nContent-Length: 1\r\n"), 400, "in doubt");
    assert!(matches!(parse(&post("Content-Length: 512\r\n")), ParsedCall::Incomplete { .. }));
}

#[test]
fn malformed_request_is_refused_in_json() {
    check_refused("GET / HTTP/1.1\n", 400, "ends without CR");
    check_refused("\0", 400, "not a request");
    check_refused("GET / HTTP/1.1\r\n\r\n", 400, "no Host");
    check_refused(&request("GET x", "", ""), 400, "request target");
    check_refused(&"x".repeat(HEAD_BYTES_MAX), 414, "8192");
    check_refused(&request("GET /", &format!("x: {}\r\n", "x".repeat(9000)), ""), 431, "8192");
    for method in ["HEAD", "PUT", "OPTIONS", "DELETE"] {
        check_refused(&request(&format!("{method} /send"), "", ""), 405, "GET or POST");
    }
}

#[test]
fn client_that_expects_a_100_is_told_apart() {
    let expects = |text: &str| match parse(text) {
        ParsedCall::Incomplete { expects_continue } => expects_continue,
        other => panic!("{other:?}"),
    };
    let fields = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    assert!(expects(&request("POST /send", fields, "")));
    assert!(!expects(&request("POST /send", fields, "12")), "it goes on by itself");
    assert!(!expects(&request("POST /send", "Content-Length: 3\r\n", "")));
    let old = request("POST /send", fields, "").replace("HTTP/1.1", "HTTP/1.0");
    assert!(!expects(&old));
}

#[test]
fn each_status_of_an_answer_is_counted() {
    for status in [200, 400, 403, 404, 405, 409, 429, 503] {
        let response = write_answer(status, Some(("Allow", "GET")), "{}".into(), false, 0);
        let head = String::from_utf8(response.head).expect("UTF-8");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("\r\nAllow: GET\r\n") && head.contains("\r\nContent-Length: 3\r\n"));
        assert!(STATUSES.contains(&status), "{status}");
    }
}
