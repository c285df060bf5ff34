//! The parser of lines, compared with serde_json.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use sotto::chat::protocol::{ErrorCode, FromClient, Id, Line, Mid, ToClient};
use sotto::limits::{BODY_DEPTH_MAX, CARD_BYTES_MAX, LIST_MAX, REF_BYTES_MAX};

/// Checks that an accepted line is JSON, means the same to serde_json, and survives being written
/// and read again.
pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if text.contains('\n') {
        return;
    }
    let (Some(line), behind) = Line::first(text) else { return };
    assert!(behind.is_empty(), "{behind:?} stands behind the only line");
    if let Ok(said) = &line.request {
        check_json(said, text);
    }
    // Some JSON is no `Value`: a number may be too big for it, and a key that begins with
    // `$serde_json` has a meaning of its own.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    if text.contains("$serde_json") {
        return;
    }
    // Of two equal keys a `Value` keeps the last.
    if line.request != Err("a key appears twice: name each key once".into()) {
        check_meaning(&line, &value, text);
    }
    check_error(&line, text);
    if let Ok(said) = line.request {
        check_again(&said, &value);
    }
}

/// Checks that an accepted line is a JSON object, and that its body is JSON from the line.
fn check_json(said: &FromClient<'_>, text: &str) {
    serde_json::from_str::<IgnoredAny>(text).expect("an accepted line is JSON");
    assert!(text.trim_start().starts_with('{'));
    if let FromClient::Send { body, .. } | FromClient::Signal { body, .. } = said {
        assert!(text.contains(body));
        serde_json::from_str::<IgnoredAny>(body).expect("a body is JSON");
    }
    if let Some(card) = card(said) {
        assert!(text.contains(card) && card.starts_with('{'));
        serde_json::from_str::<IgnoredAny>(card).expect("a card is JSON");
    }
}

/// Returns the card that a request publishes.
fn card<'a>(said: &'a FromClient<'_>) -> Option<&'a str> {
    match said {
        FromClient::Join { card, .. } | FromClient::Card { card } => card.text(),
        _ => None,
    }
}

/// Checks that the parser and serde_json read the same request and the same tag.
fn check_meaning(line: &Line<'_>, value: &Value, text: &str) {
    let Line { tag, request: said } = line;
    assert_eq!(said.is_ok(), is_of_protocol(value, text), "{said:?}");
    #[cfg(feature = "host")]
    if let Ok(FromClient::Join { credentials, .. }) = said {
        assert_eq!(credentials.password().map(|said| said.text()), value["password"].as_str());
    }
    for (named, key) in [(&tag.reference, "ref"), (&tag.to, "to")] {
        let short = value[key].as_str().filter(|text| text.len() <= REF_BYTES_MAX);
        assert_eq!(named.as_deref(), short);
    }
}

/// Checks that an error repeats the tag of the refused line.
fn check_error(line: &Line<'_>, text: &str) {
    let tag = &line.tag;
    let told = written(&ToClient::Error { code: ErrorCode::Offline, tag, text });
    assert_eq!(told["text"], text);
    assert_eq!(told.get("ref").and_then(Value::as_str), tag.reference.as_deref());
    assert_eq!(told.get("to").and_then(Value::as_str), tag.to.as_deref());
}

/// Checks that a request means the same when serde_json writes it, and that its body is passed on
/// unchanged.
fn check_again(said: &FromClient<'_>, value: &Value) {
    let again = value.to_string();
    // A number may be longer in another spelling, and so may a card with it.
    if value["card"].to_string().len() > CARD_BYTES_MAX {
        return;
    }
    let again = Line::first(&again).0.expect("it is not blank").request;
    let again = again.expect("an accepted line is accepted in any spelling");
    assert_eq!(without_body(said), without_body(&again));
    if let FromClient::Send { body, .. } | FromClient::Signal { body, .. } = said {
        let from = Id::new("a").expect("an id");
        let mid = Mid { prefix: 1.into(), count: 1 };
        for passed_on in [
            ToClient::Message { from: &from, body, mid, at: 5 },
            ToClient::Signal { from: &from, body },
        ] {
            assert_eq!(written(&passed_on)["body"], value["body"]);
        }
    }
    if let Some(card) = card(said) {
        let id = Id::new("a").expect("an id");
        let told = written(&ToClient::Card { id: &id, claimed: true, card: Some(card) });
        assert_eq!(told["card"], value["card"]);
    }
}

/// Returns `true` if the protocol has such a request: the parser's decision, made on a tree.
fn is_of_protocol(value: &Value, text: &str) -> bool {
    let is_text = |key: &str| value[key].is_string();
    let is_list = |key: &str| {
        value[key].as_array().is_some_and(|list| {
            (1..=LIST_MAX).contains(&list.len()) && list.iter().all(Value::is_string)
        })
    };
    let has_body = value.get("body").is_some_and(|body| depth(body) <= BODY_DEPTH_MAX);
    let may_be = |key: &str, is_good: fn(&str) -> bool| {
        value.get(key).is_none_or(|value| value.as_str().is_some_and(is_good))
    };
    let may_be_card = || {
        let keys: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
        value.get("card").is_none_or(|card| {
            let is_short = keys.get("card").is_none_or(|raw| raw.get().len() <= CARD_BYTES_MAX);
            card.is_object() && is_short && depth(card) <= BODY_DEPTH_MAX
        })
    };
    match value["type"].as_str() {
        Some("join") => is_text("id") && may_be("key", |_| true) && may_be_card(),
        Some("card") => may_be_card(),
        Some("lookup") => is_text("id"),
        Some("send") => {
            is_text("to")
                && has_body
                && may_be("ref", |text| (1..=REF_BYTES_MAX).contains(&text.len()))
        }
        Some("signal") => is_text("to") && has_body,
        Some("ack") => {
            let mut mids = value["mids"].as_array().into_iter().flatten().filter_map(Value::as_str);
            is_text("to") && is_list("mids") && mids.all(Mid::is_valid)
        }
        Some("watch" | "unwatch" | "block" | "unblock") => is_list("ids"),
        Some("leave") => true,
        _ => false,
    }
}

/// Counts how many arrays and objects are nested in a value, itself included.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

/// Writes a line and parses it.
fn written(line: &ToClient<'_>) -> Value {
    let mut bytes = Vec::new();
    line.write(&mut bytes);
    assert!(!bytes.contains(&b'\n'), "a line has no newline in it");
    serde_json::from_slice(&bytes).expect("a line is JSON")
}

/// Formats a request without its body and its card, because those keep their spaces and the
/// spelling of their numbers.
fn without_body(said: &FromClient<'_>) -> String {
    match said {
        FromClient::Send { to, reference, .. } => format!("{to:?} {reference:?}"),
        FromClient::Signal { to, .. } => format!("{to:?}"),
        FromClient::Join { id, credentials, card } => {
            format!("{id:?} {credentials:?} {}", card.text().is_some())
        }
        FromClient::Card { card } => format!("{}", card.text().is_some()),
        said => format!("{said:?}"),
    }
}
