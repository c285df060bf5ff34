//! From a request to a call, and from its outcome to an answer. Both are pure text.
//!
//! **Invariants**
//! - An answer is one JSON value on one line. A refusal has a `code` and a `text`, like the `error`
//!   of the protocol.
//! - The status of a refusal says to a program that knows no code whether to try again: only 429
//!   and 503 do, both with `Retry-After`.
//!
//! The state of the chat is not known here.

use std::borrow::Cow;

use crate::chat::hub::{Posted, Refused};
use crate::chat::owners::Fate;
use crate::chat::protocol::{ErrorCode, Post, call};
use crate::limits::{API_RETRY_SECONDS, LIST_MAX, MID_BYTES_MAX};

/// A call of a backend.
#[derive(Debug, PartialEq)]
pub enum Call<'a> {
    /// `POST /send`
    Send(Post<'a>),
    /// `GET /presence?id=…`: one id or more, not yet checked.
    Presence(Vec<String>),
    /// `POST /disconnect`
    Disconnect(Cow<'a, str>),
}

/// The answer to a call.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// A field that only this answer has.
    pub field: Option<(&'static str, String)>,
    /// The body.
    pub json: String,
}

impl Call<'_> {
    /// Reads a request with this method, path, query and body.
    ///
    /// # Errors
    /// The answer to a request that is no call.
    pub fn read<'a>(
        method: &str,
        path: &str,
        query: &str,
        body: &'a str,
    ) -> Result<Call<'a>, Answer> {
        let bad_request = |sentence: String| Answer::refusal(400, "bad_request", &sentence);
        match (path, method) {
            ("/send", "POST") => call::post(body).map(Call::Send).map_err(bad_request),
            ("/disconnect", "POST") => call::id(body).map(Call::Disconnect).map_err(bad_request),
            ("/presence", "GET") => ids(query).map(Call::Presence).map_err(bad_request),
            ("/send" | "/disconnect", _) => Err(Answer::not_allowed("POST")),
            ("/presence", _) => Err(Answer::not_allowed("GET")),
            _ => Err(Answer::refusal(404, "not_found", "there is nothing at this address")),
        }
    }
}

/// Returns the values of `id` in a query.
fn ids(query: &str) -> Result<Vec<String>, String> {
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("id="));
    let ids = values.map(|value| decoded(value).ok_or("an `id` is not UTF-8 in percent-encoding"));
    let ids = ids.collect::<Result<Vec<String>, &str>>()?;
    if ids.is_empty() || ids.len() > LIST_MAX {
        return Err(format!("the query must have 1 to {LIST_MAX} ids, as in ?id=alice&id=bob"));
    }
    Ok(ids)
}

/// Decodes a value of a query. A `+` stands for itself: an id may have one, but no space.
fn decoded(value: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, behind @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

impl Answer {
    fn ok(json: String) -> Answer {
        Answer { status: 200, field: None, json }
    }

    fn refusal(status: u16, code: &str, text: &str) -> Answer {
        let text = serde_json::Value::from(text);
        let field =
            matches!(status, 429 | 503).then(|| ("Retry-After", API_RETRY_SECONDS.to_string()));
        Answer { status, field, json: format!(r#"{{"code":"{code}","text":{text}}}"#) }
    }

    fn not_allowed(allowed: &'static str) -> Answer {
        let text = format!("this address understands {allowed} only");
        let refusal = Answer::refusal(405, "bad_request", &text);
        Answer { field: Some(("Allow", allowed.into())), ..refusal }
    }

    /// Returns the answer to a call that the hub refused.
    pub fn refused(refused: &Refused) -> Answer {
        let status = match refused.code {
            ErrorCode::BadRequest | ErrorCode::BadId | ErrorCode::BadKey => 400,
            ErrorCode::NotJoined | ErrorCode::AlreadyJoined => 400,
            #[cfg(feature = "host")]
            ErrorCode::Forbidden => 403,
            ErrorCode::Offline => 404,
            ErrorCode::IdTaken => 409,
            ErrorCode::Full | ErrorCode::TooMany => 429,
            ErrorCode::Slow => 503,
        };
        Answer::refusal(status, refused.code.name(), &refused.text)
    }

    /// Returns the answer to a body that is not UTF-8.
    pub fn not_text() -> Answer {
        Answer::refusal(400, "bad_request", "the body is not UTF-8")
    }

    /// Returns the answer to `POST /send`.
    pub fn sent(posted: &Posted) -> Answer {
        let Posted { mid, at, held, fate, .. } = posted;
        let mut scratch = [0; MID_BYTES_MAX];
        let mid = String::from_utf8_lossy(mid.write(&mut scratch));
        // The first answer and that of a repetition differ in the fate only, if it is known.
        let fate = match fate {
            Fate::Open | Fate::Expiring => "",
            Fate::Delivered => r#","fate":"delivered""#,
            Fate::Expired => r#","fate":"expired""#,
        };
        Answer::ok(format!(r#"{{"mid":"{mid}","at":{at},"held":{held}{fate}}}"#))
    }

    /// Returns the answer to `GET /presence`: an object for one id, a list for more. All are valid
    /// ids, of which no character has to be escaped.
    pub fn presence(states: &[(String, bool)]) -> Answer {
        let entry = |(id, online): &(String, bool)| format!(r#"{{"id":"{id}","online":{online}}}"#);
        let entries: Vec<String> = states.iter().map(entry).collect();
        let list = entries.join(",");
        Answer::ok(if states.len() == 1 { list } else { format!("[{list}]") })
    }

    /// Returns the answer to `POST /disconnect` with a valid id.
    pub fn disconnected(id: &str, disconnected: bool) -> Answer {
        Answer::ok(format!(r#"{{"id":"{id}","disconnected":{disconnected}}}"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_becomes_a_call() {
        let ids = |query: &str| Call::read("GET", "/presence", query, "");
        let presence =
            |ids: &[&str]| Ok(Call::Presence(ids.iter().map(|id| (*id).into()).collect()));
        assert_eq!(ids("id=bob"), presence(&["bob"]));
        assert_eq!(ids("x=1&id=a%2Bb&id=c+d&id=caf%c3%A9&"), presence(&["a+b", "c+d", "café"]));
        assert_eq!(ids("id="), presence(&[""]));
        assert_eq!(ids(&"id=a&".repeat(256)), presence(&["a"; 256]));
        let call = Call::read("POST", "/disconnect", "", r#"{"id":"bob"}"#);
        assert_eq!(call, Ok(Call::Disconnect("bob".into())));
        let json = r#"{"from":"shop","to":"bob","body":1}"#;
        let post = Post { from: "shop".into(), to: "bob".into(), body: "1", reference: None };
        assert_eq!(Call::read("POST", "/send", "ignored", json), Ok(Call::Send(post)));
    }

    #[test]
    fn request_that_is_no_call_is_refused() {
        let check = |(method, path, query, body): (&str, &str, &str, &str), status, words: &str| {
            let answer = Call::read(method, path, query, body).expect_err(path);
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(answer.json.contains(words), "{answer:?}");
            let json: serde_json::Value = serde_json::from_str(&answer.json).expect("JSON");
            assert!(json["code"].is_string() && json["text"].is_string(), "{json}");
        };
        check(("GET", "/presence", "", ""), 400, "1 to 256 ids");
        check(("GET", "/presence", "ids=a", ""), 400, "1 to 256 ids");
        check(("GET", "/presence", &"id=a&".repeat(257), ""), 400, "1 to 256 ids");
        for value in ["%", "%4", "%4x", "%ff", "%+1"] {
            check(("GET", "/presence", &format!("id={value}"), ""), 400, "percent-encoding");
        }
        check(("POST", "/send", "", "{}"), 400, "`from` is missing");
        check(("POST", "/disconnect", "", "[]"), 400, "not a JSON object");
        check(("POST", "/presence", "id=a", ""), 405, "GET only");
        check(("GET", "/send", "", ""), 405, "POST only");
        for path in ["/", "/ids", "/send/", "/presence/bob", "/healthz", "*"] {
            check(("GET", path, "", ""), 404, "not_found");
        }
    }

    #[test]
    fn refusal_says_whether_to_try_again() {
        for code in ErrorCode::ALL {
            let refused = Refused { code, text: "a \"sentence\"".into() };
            let Answer { status, field, json } = Answer::refused(&refused);
            let may_pass = [ErrorCode::Full, ErrorCode::TooMany, ErrorCode::Slow].contains(&code);
            assert_eq!(matches!(status, 429 | 503), may_pass, "{json}");
            assert_eq!(field.is_some(), may_pass, "{json}");
            assert!((400..504).contains(&status), "{json}");
            let name = code.name();
            assert_eq!(json, format!(r#"{{"code":"{name}","text":"a \"sentence\""}}"#));
        }
    }

    #[test]
    fn presence_of_one_id_is_an_object() {
        let one = [("bob".to_owned(), true)];
        assert_eq!(Answer::presence(&one).json, r#"{"id":"bob","online":true}"#);
        let two = [("bob".to_owned(), true), ("é".to_owned(), false)];
        let expected = r#"[{"id":"bob","online":true},{"id":"é","online":false}]"#;
        assert_eq!(Answer::presence(&two).json, expected);
    }
}
