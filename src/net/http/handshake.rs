//! The opening handshake of WebSocket (RFC 6455, 4.2): its checks, one field after the other.
//!
//! **Invariants**
//! - A refused handshake names the field that is missing or wrong.
//!
//! It does not know the order of the checks, nor the page that asks.

use super::reply::{Reply, bad_request, upgrade_required};
use super::{Endpoint, Request};

/// Refuses a request that is not a whole opening handshake (RFC 6455, 4.2.1).
///
/// A browser that only opens the address is told that it is for WebSocket. A handshake that lost a
/// field, for example in a proxy, is told which one is missing.
pub(super) fn check_upgrade(request: &Request) -> Result<(), Reply> {
    let has_key = !request.values("Sec-WebSocket-Key").is_empty();
    let has_upgrade = request.has_token("Upgrade", "websocket");
    if !has_upgrade && !has_key {
        return Err(upgrade_required("This address is for WebSocket only."));
    }
    if !request.http_1_1 || request.method != "GET" {
        return Err(bad_request("WebSocket begins with a GET of HTTP/1.1."));
    }
    if !has_upgrade {
        return Err(bad_request("The request has no Upgrade: websocket."));
    }
    if !request.has_token("Connection", "upgrade") {
        return Err(bad_request("The request has no Connection: Upgrade."));
    }
    Ok(())
}

pub(super) fn check_version(request: &Request) -> Result<(), Reply> {
    if request.values("Sec-WebSocket-Version") == ["13"] {
        return Ok(());
    }
    let refusal = upgrade_required("This server speaks version 13 of WebSocket.");
    Err(refusal.field("Sec-WebSocket-Version", "13"))
}

pub(super) fn check_key<'a>(request: &Request<'a>) -> Result<&'a str, Reply> {
    // 16 bytes in base64: 22 characters and two signs of padding. The last character has 4 bits
    // that belong to no byte; a client may set them, as the example of RFC 6455, 4.1, does.
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_key = |key: &str| {
        key.strip_suffix("==").is_some_and(|key| key.len() == 22 && key.bytes().all(is_base64))
    };
    match request.values("Sec-WebSocket-Key").as_slice() {
        [key] if is_key(key) => Ok(key),
        _ => Err(bad_request("The Sec-WebSocket-Key is not one text of 16 bytes in base64.")),
    }
}

/// Returns the endpoint's subprotocol if the client offers it.
///
/// Unlike most tokens, subprotocols are compared in their case (RFC 6455, 4.1 and 11.5).
pub(super) fn choose_subprotocol(request: &Request, endpoint: &Endpoint) -> Option<&'static str> {
    endpoint
        .subprotocol
        .filter(|ours| request.members("Sec-WebSocket-Protocol").any(|offered| offered == *ours))
}
