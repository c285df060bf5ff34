//! Hosts this server answers for, and origins that may connect.

use super::*;

#[test]
fn private_or_listed_host_is_answered() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost:8080",
        "localhost.",
        "chat",
        "my-host_2:1",
        "host:",
        "host:00080",
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.0.0.1.",
        "192.168.1.20",
        "8.8.8.8:65535",
        "[::1]",
        "[::1]:8080",
        "[fe80::1]",
        "[2001:db8::1]:",
        "pi.local",
        "Pi.Local.:8080",
        "a.b.localhost",
        "nas.home.arpa",
        "x.internal",
        "chat.example",
        "CHAT.example.",
        "chat.example:1234",
        "other.example",
    ] {
        check(&bare(&format!("Host: {host}\r\n")), "200");
    }
}

#[test]
fn foreign_host_gets_421() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "local.evil.example",
        "x.local.evil.example",
        "x.internalevil",
        "evil-local.com",
        "home.arpa",
        "sub.chat.example",
        "chat.example.evil",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
    ] {
        for target in ["/", "/healthz", "/ws", "/nothing"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            check(&head, "421 | --origin");
        }
    }
    check("HEAD / HTTP/1.0\r\nHost: evil.example\r\n\r\n", "421 | close");
    let head = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    check_at(&site_for(Access::Anyone), head, "200");
    check_at(&site_for(Access::Pages(Vec::new())), &head.replace("evil", "chat"), "421");
}

#[test]
fn malformed_host_gets_400() {
    for host in [
        "",
        " ",
        ".",
        "..",
        "a..b",
        ".local",
        "localhost..",
        "user@localhost",
        "localhost/",
        "http://localhost",
        "a b",
        "a,b",
        "a\tb",
        "localhost:x",
        "localhost:+80",
        "localhost:65536",
        "localhost:-1",
        "localhost:80:80",
        ":8080",
        "[::1",
        "::1",
        "[]",
        "[::1]x",
        "[127.0.0.1]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "é",
        "%6c",
        "a?b",
        "a#b",
        "a\\b",
    ] {
        check(&bare(&format!("Host: {host}\r\n")), "400 | close | not a host name");
    }
    check(&bare(""), "400 | close | no Host");
    check(&bare("Host: a\r\nHost: a\r\n"), "400 | close | more than one Host");
    check(&bare("Host: a\r\nhOST:\r\n"), "400 | close | more than one Host");
    check("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 | close");
    check("GET / HTTP/1.0\r\n\r\n", "200 | close");
    check_at(&site_for(Access::Anyone), &bare(""), "400 | close");
}

#[test]
fn host_that_is_not_utf8_gets_400() {
    let head = b"GET / HTTP/1.1\r\nHost: local\xffhost\r\n\r\n";
    let answer = answer_to(&site(), head, head.len());
    check_answer(answer, "GET", "400 | close | not a host name");
}

#[test]
fn own_or_listed_origin_may_connect() {
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("LocalHost.:8080", "HTTP://LOCALHOST:8080"),
        ("localhost:8080", "https://localhost:8080"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:80", "http://localhost"),
        ("pi.local", "https://pi.local"),
        ("pi.local:443", "https://pi.local"),
        ("[::1]:8080", "http://[0:0:0::1]:8080"),
        ("127.0.0.1:1", "http://127.0.0.1:1"),
        ("chat.example", "https://chat.example"),
        ("localhost:8080", "https://chat.example"),
        ("localhost:8080", "https://chat.example:443"),
        ("127.0.0.1:9", "http://other.example:8080"),
    ] {
        let head = handshake(&format!("Origin: {origin}\r\n"))
            .replace("localhost:8080\r\nUpg", &format!("{host}\r\nUpg"));
        check(&head, "101");
    }
}

#[test]
fn foreign_origin_gets_403() {
    for origin in [
        "http://localhost",
        "http://localhost:8081",
        "http://127.0.0.1:8080",
        "http://evil.example:8080",
        "http://chat.example",
        "https://chat.example:8443",
        "https://sub.chat.example",
        "http://other.example",
        "null",
        "",
        "localhost:8080",
        "//localhost:8080",
        "ftp://localhost:8080",
        "http://localhost:8080/",
        "http://localhost:8080/x",
        "http://x@localhost:8080",
        "http://localhost:8080 http://localhost:8080",
        "http://localhost:8080, null",
        "http://localhost:80800",
        "file://",
        "chrome-extension://abc",
        "é",
    ] {
        let head = handshake(&format!("Origin: {origin}\r\n"));
        check(&head, "403 | --origin");
        check_at(&site_for(Access::Anyone), &head, "101");
    }
    let same = "Origin: http://localhost:8080\r\n";
    check(&handshake(same), "101");
    check(&handshake(&same.repeat(2)), "403");
    // If `Host` names no port, it is the default one of the origin's scheme.
    check(&handshake(same).replace("localhost:8080\r\nUpg", "localhost\r\nUpg"), "403");
    // The authority of an absolute target overrides `Host`. Files are served to every origin.
    check(&handshake(same).replace("/ws", "http://chat/ws"), "403");
    check(&get("/", "Origin: http://evil.example\r\n"), "200");
}

#[test]
fn origin_option_takes_an_origin_and_nothing_else() {
    let origin = |text| Origin::parse(text).unwrap();
    assert_eq!(origin("https://chat.example/"), origin("HTTPS://Chat.Example.:443"));
    assert_eq!(origin("http://[::1]"), origin("http://[0::1]:80/"));
    assert_ne!(origin("http://chat.example"), origin("https://chat.example"));
    assert_ne!(origin("http://chat.example"), origin("http://chat.example:8080"));
    for text in [
        "",
        "*",
        "null",
        "chat.example",
        "https://",
        "https:///",
        "https://chat.example//",
        "https://chat.example/x",
        "https://chat.example?x",
        "https://a@chat.example",
        "https://chat.example:x",
        "wss://chat.example",
        "https://chat.example https://b",
        " https://chat.example",
        "https://чат.example",
        "https://*.example",
    ] {
        let error = Origin::parse(text).unwrap_err();
        assert!(error.starts_with(&format!("{text:?} is not an origin")), "{error}");
    }
}

#[test]
fn hsts_is_sent_for_public_https_origins_at_port_443_only() {
    const FIELD: &str = "\r\nStrict-Transport-Security: max-age=31536000\r\n";
    let origins = [
        "https://chat.example",
        "https://other.example:8443",
        "http://plain.example",
        "https://chat",
        "https://pi.local",
        "https://127.0.0.1",
    ];
    let origins = origins.map(|origin| Origin::parse(origin).unwrap());
    let pages = || site_for(Access::Pages(origins.to_vec()));
    let over_tls = pages().over_tls().with_hsts();
    let text = |site: &Site, head: &str| {
        let Answer::Respond(response) = answer_to(site, head.as_bytes(), head.len()) else {
            panic!("{head:?} is no upgrade")
        };
        check_response(&response, "")
    };
    let at = |host: &str, target: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for target in ["/", "/healthz", "/nothing", "/ws"] {
        for host in ["chat.example", "CHAT.example.", "chat.example:8443"] {
            let text = text(&over_tls, &at(host, target));
            assert!(text.contains(FIELD), "{host}: {text}");
        }
        for host in ["other.example", "other.example:8443", "plain.example"] {
            let text = text(&over_tls, &at(host, target));
            assert!(!text.contains("Strict-"), "{host}: {text}");
        }
        for host in ["localhost", "chat", "pi.local", "127.0.0.1", "[::1]", "evil.example"] {
            let text = text(&over_tls, &at(host, target));
            assert!(!text.contains("Strict-"), "{host}: {text}");
        }
    }
    // The authority of an absolute target overrides `Host`.
    assert!(text(&over_tls, &at("localhost", "https://chat.example/")).contains(FIELD));
    assert!(!text(&over_tls, &at("chat.example", "https://localhost/")).contains("Strict-"));
    let head = "GET / HTTP/1.0\r\n\r\n";
    assert!(!text(&over_tls, head).contains("Strict-"));
    assert!(!text(&pages().over_tls(), &at("chat.example", "/")).contains("Strict-"));
    assert!(!text(&pages(), &at("chat.example", "/")).contains("Strict-"));
}

#[test]
fn tls_site_refuses_http_origins_of_its_own() {
    let over_tls = site().over_tls();
    let check = |head: &str, expected: &str| check_at(&over_tls, head, expected);
    check(&handshake("Origin: https://localhost:8080\r\n"), "101");
    check(&handshake("Origin: http://localhost:8080\r\n"), "403");
    check(&handshake("Origin: http://other.example:8080\r\n"), "101");
    let at = |host: &str, origin: &str| {
        handshake(&format!("Origin: {origin}\r\n")).replace("localhost:8080", host)
    };
    check(&at("chat.example", "https://chat.example"), "101");
    check(&at("chat.example", "https://chat.example:443"), "101");
    check(&at("localhost", "http://localhost"), "403");
    check(&at("localhost", "http://localhost:443"), "403");
}

#[test]
fn refused_host_and_origin_are_told_to_the_log_in_short() {
    let logged = |head: &str| {
        let Answer::Respond(response) = answer_to(&site(), head.as_bytes(), head.len()) else {
            panic!("{head:?} is no upgrade")
        };
        response.log_line.map(|line| line.text)
    };
    let host = |host: &str| logged(&bare(&format!("Host: {host}\r\n"))).expect("a line");
    let origin = |fields: &str| logged(&handshake(fields)).expect("a line");
    assert_eq!(
        host("evil.example:8080"),
        "Host \"evil.example\" is neither private nor the host of an --origin"
    );
    assert_eq!(
        origin("Origin: https://evil.example\r\nOrigin: null\r\n"),
        "Origin \"https://evil.example, null\" is neither at Host \"localhost:8080\" nor an --origin"
    );
    for long in ["x".repeat(4000), "é".repeat(2000), "\t\"\\".repeat(1000)] {
        let line = origin(&format!("Origin: {long}\r\n"));
        assert!(line.len() < 500 && line.contains("\"… is neither"), "{line}");
        assert!(!line.contains(char::is_control), "{line}");
    }
    let line = host(&format!("{}.example", "x".repeat(4000)));
    assert!(line.len() < 500 && line.contains("x\"… is neither"), "{line}");
    assert_eq!(logged(&get("/", "")), None);
    assert_eq!(logged(&get("/nothing", "")), None);
}
