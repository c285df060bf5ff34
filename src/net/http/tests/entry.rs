//! The way in: `/readyz`, and the id that a proxy has named.

use super::*;

/// The site for trusted proxies, or for all other peers.
fn login(field: Option<&str>) -> Site {
    site().with_entry(Entry::Login(field.map(Into::into)))
}

#[test]
fn readyz_tells_what_a_join_needs() {
    let check = |site: &Site, expected: &str| {
        check_at(site, &get("/readyz", ""), &format!("200 | {expected}"));
        check_at(site, &get("/healthz", ""), "200 | \r\n\r\nok\n");
    };
    check(&site(), "\r\n\r\nok\n");
    check(&site().with_entry(Entry::Password), "\r\n\r\nok, private\n");
    check(&login(None), "\r\n\r\nok, login\n");
    check(&login(Some("Remote-User")), "\r\n\r\nok, login\n");
}

#[test]
fn whoami_tells_the_id_that_a_trusted_proxy_has_named() {
    let proxied = login(Some("Remote-User"));
    let no_store = "Cache-Control: no-store";
    let check = |site: &Site, fields: &str, expected: &str| {
        check_at(site, &get("/whoami", fields), expected);
    };
    let found = |id: &str| format!("200 | {no_store} | \r\n\r\n{id}\n");
    check(&proxied, "Remote-User: alice\r\n", &found("alice"));
    check(&proxied, "remote-user:  Ålice \r\n", &found("Ålice"));
    let none = format!("204 | {no_store}");
    check(&proxied, "", &none);
    check(&proxied, "Remote-User: \r\n", &none);
    check(&proxied, "Remote_User: alice\r\nRemote-Users: alice\r\n", &none);
    check(&proxied, "Remote-User: alice\r\nREMOTE-USER: alice\r\n", &none);
    check(&proxied, "Remote-User: mallory\r\nRemote-User: alice\r\n", &none);
    // From a peer that is no trusted proxy, or where tokens are asked for.
    check(&login(None), "Remote-User: alice\r\n", &none);
    check(&site(), "Remote-User: alice\r\n", "404");
    check_at(&proxied, &request("POST", "/whoami", "Remote-User: alice\r\n"), "405");
}

#[test]
fn id_is_taken_from_the_request_that_opens_the_websocket() {
    let named = |site: &Site, fields: &str| named_id(handshake(fields).as_bytes(), site);
    let proxied = login(Some("Remote-User"));
    assert_eq!(named(&proxied, "Remote-User: alice\r\n").as_deref(), Some("alice"));
    assert_eq!(named(&proxied, "Remote-User: a, b\r\n").as_deref(), Some("a, b"));
    assert_eq!(named(&proxied, "Remote-User: a\r\nRemote-User: a\r\n"), None);
    assert_eq!(named(&proxied, ""), None);
    assert_eq!(named(&login(None), "Remote-User: alice\r\n"), None);
    assert_eq!(named(&site(), "Remote-User: alice\r\n"), None);
    let latin = b"GET /ws HTTP/1.1\r\nRemote-User: \xe9\r\n\r\n";
    assert_eq!(named_id(latin, &proxied).as_deref(), Some("\u{fffd}"), "no id has it");
}
