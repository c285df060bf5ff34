//! Requests with bodies, and with a token: those of backends, to an address of their own.
//!
//! **Invariants**
//! - A request without the right token is refused as soon as its head is whole, and its body is not
//!   read.
//! - The length of a body is known from the head: a request in chunks is refused.
//! - Each refusal ends the connection, so the bytes behind it mean nothing.
//! - Each answer is JSON.
//!
//! The meaning of paths and bodies is not known here.

use hmac_sha256::Hash;

use super::reply::JSON_TYPE;
use super::*;
use crate::limits::API_RETRY_SECONDS;

/// The token that a request has to say, as the server remembers it.
pub struct Bearer([u8; 32]);

impl Bearer {
    /// Remembers a token by its SHA-256.
    pub fn new(token: &str) -> Bearer {
        Bearer(Hash::hash(token.as_bytes()))
    }

    /// Returns `true` if this field says the token (RFC 6750, 2.1). Compares hashes as long for any
    /// two, so its time tells nothing about the token.
    fn admits(&self, field: &str) -> bool {
        let Some((scheme, said)) = field.split_once(' ') else { return false };
        let said = Hash::hash(said.trim_matches(' ').as_bytes());
        let differing = self.0.iter().zip(&said).fold(0, |differing, (a, b)| differing | (a ^ b));
        scheme.eq_ignore_ascii_case("Bearer") && differing == 0
    }
}

/// The result of [`parse_call`].
#[derive(Debug, PartialEq)]
pub enum ParsedCall {
    /// The bytes are the beginning of a request, well-formed so far.
    Incomplete {
        /// Its client waits for a 100 before it sends the body.
        expects_continue: bool,
    },
    /// The bytes cannot become a call, and this answer ends the connection.
    Refused(Response),
    /// The bytes begin with a whole request.
    Complete {
        /// The head.
        head: CallHead,
        /// The length of the head in bytes; the body begins there.
        body_at: usize,
        /// The length of the request in bytes.
        used: usize,
    },
}

/// The head of a request, checked.
#[derive(Debug, PartialEq)]
pub struct CallHead {
    /// The method.
    pub method: &'static str,
    /// The path, as it came.
    pub path: String,
    /// The query, as it came; empty if there is none.
    pub query: String,
    /// The connection is to end after the answer.
    pub closes: bool,
}

/// Parses the request at the beginning of `bytes`, all unused input of a connection. Its body has
/// at most `body_bytes_max` bytes.
pub fn parse_call(
    bytes: &[u8],
    bearer: &Bearer,
    body_bytes_max: usize,
    unix_ms: u64,
) -> ParsedCall {
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let body_at = match parse_head(&mut head, &bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(Status::Partial) => return ParsedCall::Incomplete { expects_continue: false },
        Ok(Status::Complete(used)) => used,
        Err(refusal) => return refused(refusal.into_json("bad_request"), unix_ms),
    };
    let request = Request::new(&head);
    match check_call(&request, bearer, body_bytes_max) {
        Err(refusal) => refused(refusal, unix_ms),
        Ok((_, length)) if bytes.len() - body_at < length => ParsedCall::Incomplete {
            expects_continue: bytes.len() == body_at
                && request.http_1_1
                && request.has_token("Expect", "100-continue"),
        },
        Ok((head, length)) => ParsedCall::Complete { head, body_at, used: body_at + length },
    }
}

fn refused(refusal: Reply, unix_ms: u64) -> ParsedCall {
    ParsedCall::Refused(refusal.closing().write(unix_ms))
}

/// Makes all checks, from those without which reading on is unsafe. Returns the head, and the
/// length of the body.
fn check_call(
    request: &Request,
    bearer: &Bearer,
    body_bytes_max: usize,
) -> Result<(CallHead, usize), Reply> {
    let malformed = |refusal: Reply| refusal.into_json("bad_request");
    let (authority, path) = parse_target(request.target).map_err(malformed)?;
    check_host(request, authority, &Access::Anyone).map_err(malformed)?;
    check_token(request, bearer)?;
    let method = match request.method {
        "GET" => "GET",
        "POST" => "POST",
        _ => {
            let refusal = refuse("405 Method Not Allowed", "bad_request", "use GET or POST");
            return Err(refusal.field("Allow", "GET, POST"));
        }
    };
    let length = body_length(request, method)?;
    if length > body_bytes_max {
        let text = format!("a body has at most {body_bytes_max} bytes, as --max-message says");
        return Err(refuse("413 Content Too Large", "bad_request", &text));
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let (path, query) = (path.to_owned(), query.to_owned());
    Ok((CallHead { method, path, query, closes: request.wants_close() }, length))
}

fn check_token(request: &Request, bearer: &Bearer) -> Result<(), Reply> {
    let values = request.values("Authorization");
    if matches!(values.as_slice(), [value] if bearer.admits(value)) {
        return Ok(());
    }
    let (text, reason) = if values.is_empty() {
        ("say the token: Authorization: Bearer TOKEN", "a request to the API without a token")
    } else {
        ("this is not the token", "a request to the API with a wrong token")
    };
    let refusal = refuse("401 Unauthorized", "unauthorized", text);
    Err(refusal.field("WWW-Authenticate", "Bearer").logged(Level::Warn, reason.into()))
}

/// Returns the length of the body. One in doubt is refused (RFC 9112, 6.3).
fn body_length(request: &Request, method: &str) -> Result<usize, Reply> {
    if !request.values("Transfer-Encoding").is_empty() {
        let text = "a body in chunks is not understood: send it with Content-Length";
        return Err(refuse("501 Not Implemented", "bad_request", text));
    }
    match request.values("Content-Length").as_slice() {
        [] if method == "GET" => Ok(0),
        [] => {
            let text = "the length of the body is missing: send Content-Length";
            Err(refuse("411 Length Required", "bad_request", text))
        }
        // A number too long for the machine is too long for any body.
        [length] if is_digits(length) => Ok(length.parse().unwrap_or(usize::MAX)),
        _ => Err(refuse("400 Bad Request", "bad_request", "the length of the body is in doubt")),
    }
}

fn refuse(status: &'static str, code: &str, text: &str) -> Reply {
    Reply::text(status, text).into_json(code)
}

/// Returns the answer to a request that did not come whole in time.
pub fn call_timed_out(unix_ms: u64) -> Response {
    let text = "the request did not arrive in time";
    refuse("408 Request Timeout", "bad_request", text).closing().write(unix_ms)
}

/// Returns the answer to a call whose outcome is not known in time.
pub fn call_unanswered(unix_ms: u64) -> Response {
    let text = "the disk does not answer, so the outcome is unknown: repeat it with the same ref";
    refuse("504 Gateway Timeout", "unknown", text).closing().write(unix_ms)
}

/// Returns the answer to a request that no connection or no memory is left for.
pub fn call_unavailable(unix_ms: u64) -> Response {
    let text = "this server has no room for another request just now: try again later";
    let refusal = refuse("503 Service Unavailable", "too_many", text);
    refusal.field("Retry-After", &API_RETRY_SECONDS.to_string()).closing().write(unix_ms)
}

/// Writes the answer to a call, with one field that other answers do not have.
pub fn write_answer(
    status: u16,
    field: Option<(&str, &str)>,
    json: String,
    closes: bool,
    unix_ms: u64,
) -> Response {
    let status = match status {
        200 => "200 OK",
        400 => "400 Bad Request",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        409 => "409 Conflict",
        429 => "429 Too Many Requests",
        503 => "503 Service Unavailable",
        _ => "500 Internal Server Error",
    };
    let reply = Reply::new(status).content(JSON_TYPE, (json + "\n").into_bytes().into());
    let reply = field.into_iter().fold(reply, |reply, (name, value)| reply.field(name, value));
    let reply = if closes { reply.closing() } else { reply };
    reply.write(unix_ms)
}

#[cfg(test)]
mod tests;
