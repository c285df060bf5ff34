//! The parser for the calls of backends: JSON objects with the keys of the protocol's lines.
//!
//! **Invariants**
//! - A call is as strict as a line: no key twice, each key of the right type, and a `body` nested
//!   no deeper than allowed.
//!
//! The paths that calls come to are not known here, nor HTTP.

use super::*;

/// A message that a backend sends.
#[derive(Debug, PartialEq)]
pub struct Post<'a> {
    /// The id in whose name it is sent, not yet checked.
    pub from: Cow<'a, str>,
    /// The recipient.
    pub to: Cow<'a, str>,
    /// Any JSON value, byte for byte.
    pub body: &'a str,
    /// The backend's own name for the message.
    pub reference: Option<Cow<'a, str>>,
}

/// Parses a message of a backend. It has no raw line feed, because it becomes a part of a line.
///
/// # Errors
/// The sentence of a `bad_request`.
pub fn post(json: &str) -> Result<Post<'_>, String> {
    debug_assert!(!json.contains('\n'), "a line has no line feed");
    let keys = keys(json)?;
    Ok(Post {
        from: required("from", keys.from)?,
        to: required("to", keys.to)?,
        body: keys.body()?,
        reference: keys.reference()?,
    })
}

/// Parses an object with an `id`.
///
/// # Errors
/// The sentence of a `bad_request`.
pub fn id(json: &str) -> Result<Cow<'_, str>, String> {
    required("id", keys(json)?.id)
}

fn keys(json: &str) -> Result<Keys<'_>, String> {
    let keys: Keys = serde_json::from_str(json)
        .map_err(|error| format!("this is not a JSON object: see column {}", error.column()))?;
    if keys.repeated {
        return Err("a key appears twice: name each key once".into());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn post_has_each_key_once_and_of_its_type() {
        let check = |json: &str, expected: &str| {
            let fault = post(json).expect_err(json);
            assert!(fault.contains(expected), "{json}: {fault}");
        };
        check("", "not a JSON object");
        check("[]", "not a JSON object");
        check(r#"{"from":"a","to":"b","body":1}x"#, "not a JSON object");
        check(r#"{"to":"b","body":1}"#, "`from` is missing");
        check(r#"{"from":"a","body":1}"#, "`to` is missing");
        check(r#"{"from":"a","to":"b"}"#, "`body` is missing");
        check(r#"{"from":7,"to":"b","body":1}"#, "`from` must be a string");
        check(r#"{"from":"a","from":"a","to":"b","body":1}"#, "appears twice");
        check(r#"{"from":"a","to":"b","body":1,"x":1,"x":1}"#, "appears twice");
        check(r#"{"from":"a","to":"b","body":1,"ref":""}"#, "`ref`");
        check(r#"{"from":"a","to":"b","body":1,"ref":null}"#, "`ref` must be a string");
        let deep =
            format!(r#"{{"from":"a","to":"b","body":{}{}}}"#, "[".repeat(65), "]".repeat(65));
        check(&deep, "nested more than 64 deep");
    }

    #[test]
    fn body_of_a_post_is_kept_byte_for_byte() {
        let json = r#" {"ref":"\u0061","body": {"a" : [1.0,"\n"]} ,"x":null,"to":"b","from":"é"} "#;
        let expected = Post {
            from: "é".into(),
            to: "b".into(),
            body: r#"{"a" : [1.0,"\n"]}"#,
            reference: Some("a".into()),
        };
        assert_eq!(post(json), Ok(expected));
        assert_eq!(post(r#"{"from":"a","to":"b","body":null}"#).map(|post| post.body), Ok("null"));
    }
}
