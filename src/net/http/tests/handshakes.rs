//! The opening handshake of WebSocket (RFC 6455, 4), and the order of all checks.

use super::*;

#[test]
fn handshake_of_rfc_6455_gets_its_response() {
    let head = "GET /ws?x=y HTTP/1.1\r\nHost: server.local\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://server.local\r\n\
        Sec-WebSocket-Protocol: chat, sotto.v1\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let response = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: sotto.v1\r\n\r\n";
    assert_eq!(check(head, "101"), response);
}

#[test]
fn handshake_fields_are_lists_in_any_case() {
    check(&handshake(""), "101");
    check(
        &get(
            "/ws",
            &format!(
                "UPGRADE: h2c, WebSocket\r\nconnection: keep-alive, UPGRADE\r\n{KEY}{VERSION}"
            ),
        ),
        "101",
    );
    check(
        &get(
            "/ws",
            &format!("Upgrade: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n{KEY}{VERSION}"),
        ),
        "101",
    );
    check(&get("http://localhost:8080/ws", &format!("{UPGRADE}{KEY}{VERSION}")), "101");
    check(&handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "101");
    check(&handshake("Connection: close\r\n"), "101");
}

#[test]
fn incomplete_handshake_gets_426_or_400() {
    let look = "426 | Upgrade: websocket\r\n | Connection: Upgrade\r\n | WebSocket only";
    check(&get("/ws", ""), look);
    check(&get("/ws", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), look);
    check(&get("/ws", VERSION), look);
    check(&request("HEAD", "/ws", ""), "426 | Upgrade: websocket\r\n");
    check("GET /ws HTTP/1.0\r\n\r\n", "426 | close | Upgrade: websocket\r\n");
    check(&get("/ws", &format!("{KEY}{VERSION}")), "400 | close | no Upgrade");
    check(
        &get("/ws", &format!("Upgrade: websockets\r\nConnection: Upgrade\r\n{KEY}{VERSION}")),
        "400 | close",
    );
    check(
        &get("/ws", &format!("Upgrade: websocket\r\n{KEY}{VERSION}")),
        "400 | close | no Connection",
    );
    check(
        &get("/ws", &format!("Upgrade: websocket\r\nConnection: close\r\n{KEY}{VERSION}")),
        "400 | close",
    );
    check(&get("/ws", "Upgrade: websocket\r\n"), "400 | close | no Connection");
    check(&handshake("").replace("HTTP/1.1", "HTTP/1.0"), "400 | close | GET of HTTP/1.1");
    check(&handshake("").replace("GET", "HEAD"), "400 | close");
}

#[test]
fn other_websocket_version_gets_426() {
    let other =
        "426 | Sec-WebSocket-Version: 13\r\n | Upgrade: websocket\r\n | Connection: Upgrade\r\n";
    for version in ["8", "14", "013", "", "13, 8", "+13"] {
        let version = format!("Sec-WebSocket-Version: {version}\r\n");
        check(&get("/ws", &format!("{UPGRADE}{KEY}{version}")), other);
        // The version is checked before the key.
        check(&get("/ws", &format!("{UPGRADE}{version}")), other);
    }
    check(&get("/ws", &format!("{UPGRADE}{KEY}")), other);
    check(&handshake(VERSION), other);
}

#[test]
fn websocket_key_may_have_bits_behind_its_last_byte() {
    // The example of RFC 6455, 4.1: 16 bytes would end in `EA==`.
    let head =
        get("/ws", &format!("{UPGRADE}{VERSION}Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n"));
    check(&head, "101 | Sec-WebSocket-Accept: ");
    check(&head.replace("PEC==", "PE+=="), "101");
}

#[test]
fn bad_websocket_key_gets_400() {
    check(&get("/ws", &format!("{UPGRADE}{VERSION}")), "400 | close | 16 bytes");
    check(&handshake(KEY), "400 | close | 16 bytes");
    for key in [
        "",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ== x",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25-_Q==",
        "dGhlIHNhbXBsZSBub25jZQ==,a",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZéQ==",
    ] {
        let head = get("/ws", &format!("{UPGRADE}{VERSION}Sec-WebSocket-Key: {key}\r\n"));
        check(&head, "400 | close | 16 bytes");
        // The key is checked before the origin.
        check(&head.replace("\r\n\r\n", "\r\nOrigin: null\r\n\r\n"), "400 | close");
    }
}

#[test]
fn options_tell_a_page_whether_its_origin_is_refused() {
    let ask = |origin: &str| request("OPTIONS", "/ws", &format!("Origin: {origin}\r\n"));
    check(&ask("https://evil.example"), "403 | may not connect");
    let answer = check(&ask("http://localhost:8080"), "204 | Allow: GET\r\n");
    assert!(!answer.contains("Content-Length"), "{answer}");
    check(&request("OPTIONS", "/", "Origin: https://evil.example\r\n"), "405");
}

#[test]
fn subprotocol_is_chosen_if_it_is_offered() {
    let chosen = "101 | Sec-WebSocket-Protocol: sotto.v1\r\n";
    for offered in
        ["sotto.v1", "a,sotto.v1", "a , sotto.v1,b", "a\r\nSec-WebSocket-Protocol: sotto.v1"]
    {
        check(&handshake(&format!("Sec-WebSocket-Protocol: {offered}\r\n")), chosen);
    }
    for offered in ["", "sotto", "SOTTO.V1", "sotto.v10", "sotto.v1 x"] {
        let response = check(&handshake(&format!("Sec-WebSocket-Protocol: {offered}\r\n")), "101");
        assert!(!response.contains("Protocol:"));
    }
}

#[test]
fn upgrade_at_another_path_gets_404() {
    for target in ["/", "/healthz", "/main.js", "/nothing"] {
        check(&get(target, &format!("{UPGRADE}{KEY}{VERSION}")), "404");
        check(&get(target, "Upgrade: websocket\r\n"), "404");
    }
    check(&get("/", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"), "200");
    check(&get("/", KEY), "200");
    check(&get("/", "Upgrade: websocket\r\n").replace("1.1", "1.0"), "200 | close");
}

#[test]
fn first_failed_check_decides_the_answer() {
    // Each request breaks one rule and all later ones; with the first error corrected, it gets the
    // answer to the next.
    let handshake = "Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\nOrigin: null\r\n";
    let rest = format!("Content-Length: 5\r\n{handshake}");
    check(&format!("POST /x HTTP/1.1\r\n{rest}\r\n"), "400 | close | no Host");
    check(&format!("POST /x HTTP/1.1\r\nHost: evil.example\r\n{rest}\r\n"), "421");
    check(&request("POST", "/x", &rest), "413 | close");
    check(&request("POST", "/x", handshake), "404");
    check(&request("POST", "/ws", handshake), "405");
    check(&get("/ws", handshake), "400 | close | no Connection");
    let handshake = format!("{handshake}Connection: upgrade\r\n");
    check(&get("/ws", &handshake), "426 | Sec-WebSocket-Version: 13");
    let handshake = handshake.replace(": 8", ": 13");
    check(&get("/ws", &handshake), "400 | close | Sec-WebSocket-Key");
    let handshake = handshake + KEY;
    check(&get("/ws", &handshake), "403");
    check(&get("/ws", &handshake.replace("null", "http://localhost:8080")), "101");
}
