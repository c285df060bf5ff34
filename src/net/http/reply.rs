//! Responses: how they are built, how they are written, and those that are always the same.
//!
//! **Invariants**
//! - Every response but a 101 is written by `Reply::write`, so each has a date, the security fields
//!   and `Cache-Control`.
//!
//! It does not know which response a request gets.

use std::borrow::Cow;

use data_encoding::BASE64;
use log::Level;
use sha1_smol::Sha1;

use super::assets::{Coding, File, SECURITY_FIELDS};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// The wait in seconds that a 503 asks a client for. Most refused connections come from pages,
/// which retry by themselves, so this is for other clients. It is short, because room for a
/// connection comes back one at a time; much shorter, and refused clients would add to the load.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The status codes of all responses this server can send.
pub const STATUSES: &[u16] =
    &[101, 200, 204, 304, 308, 400, 403, 404, 405, 408, 413, 414, 421, 426, 431, 500, 503];

/// A written response; head and body are apart, so that a built-in file is sent without a copy.
#[derive(Debug, PartialEq)]
pub struct Response {
    /// The status line and the fields, with the empty line that ends them.
    pub head: Vec<u8>,
    /// The body; empty in answers to HEAD.
    pub body: Cow<'static, [u8]>,
    /// The head says `Connection: close`: no response may follow, and no more requests are read.
    pub close: bool,
    /// The reason for a refusal, if an operator has to know it.
    pub log_line: Option<LogLine>,
}

/// A line for the log about a request. The caller adds the client, and limits the number of lines.
#[derive(Debug, PartialEq)]
pub struct LogLine {
    /// The severity of the line.
    pub level: Level,
    /// The reason. Values of the request in it are escaped and shortened.
    pub text: String,
}

/// A response before it is written. As the error of a check it is a refusal.
pub(super) struct Reply {
    /// The status code and its reason phrase.
    status: &'static str,
    /// The fields that only this response has, each ending in CRLF.
    fields: String,
    /// The body; none for a 304, which has no fields about a body either.
    content: Option<Body>,
    pub(super) close: bool,
    log_line: Option<LogLine>,
}

struct Body {
    media_type: &'static str,
    bytes: Cow<'static, [u8]>,
}

/// Returns the answer to a client that did not send a whole head in time: 408, and the end.
pub fn timed_out(unix_ms: u64) -> Response {
    let sentence = "The request did not arrive in time.";
    Reply::text("408 Request Timeout", sentence).closing().write(unix_ms)
}

/// Returns the answer to a request that no memory is left for: 503 with `Retry-After`, and the end.
pub fn unavailable(unix_ms: u64) -> Response {
    no_room().write(unix_ms)
}

/// Returns the answer to plain HTTP on a TLS port: 400 in plain text, and the end.
pub fn not_https(unix_ms: u64) -> Response {
    bad_request("This port speaks HTTPS: ask for it with https:// instead of http://.")
        .write(unix_ms)
}

impl Reply {
    pub(super) fn new(status: &'static str) -> Reply {
        Reply { status, fields: String::new(), content: None, close: false, log_line: None }
    }

    /// Returns the response with a file, or that the client's copy is still good.
    pub(super) fn file(file: File, is_known: bool) -> Reply {
        let reply = if is_known {
            Reply::new("304 Not Modified")
        } else {
            let reply = Reply::new("200 OK").content(file.media_type, file.bytes);
            let is_gzip = file.coding == Coding::Gzip;
            if is_gzip { reply.field("Content-Encoding", "gzip") } else { reply }
        };
        let reply = if file.has_gzip { reply.field("Vary", "Accept-Encoding") } else { reply };
        let reply =
            if file.is_public { reply.field("Access-Control-Allow-Origin", "*") } else { reply };
        reply.field("ETag", &file.etag)
    }

    /// Returns a reply with one line of text for people.
    pub(super) fn text(status: &'static str, line: &str) -> Reply {
        let bytes = format!("{line}\n").into_bytes().into();
        Reply::new(status).content("text/plain; charset=utf-8", bytes)
    }

    pub(super) fn content(mut self, media_type: &'static str, bytes: Cow<'static, [u8]>) -> Reply {
        self.content = Some(Body { media_type, bytes });
        self
    }

    pub(super) fn field(mut self, name: &str, value: &str) -> Reply {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(super) fn closing(mut self) -> Reply {
        self.close = true;
        self
    }

    /// Has the reason logged.
    pub(super) fn logged(mut self, level: Level, reason: String) -> Reply {
        self.log_line = Some(LogLine { level, text: reason });
        self
    }

    /// Writes the response, with the fields that all responses have.
    ///
    /// `no-cache` lets a browser keep a file but makes it ask each time, so that after an update no
    /// page is half old and half new.
    pub(super) fn write(self, unix_ms: u64) -> Response {
        let mut head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nCache-Control: no-cache\r\n{SECURITY_FIELDS}{}",
            self.status,
            imf_fixdate(unix_ms),
            self.fields
        );
        if let Some(Body { media_type, bytes }) = &self.content {
            let length = bytes.len();
            head += &format!("Content-Type: {media_type}\r\nContent-Length: {length}\r\n");
        }
        head += if self.close { "Connection: close\r\n\r\n" } else { "\r\n" };
        Response {
            head: head.into_bytes(),
            body: self.content.map(|content| content.bytes).unwrap_or_default(),
            close: self.close,
            log_line: self.log_line,
        }
    }
}

/// Refuses a malformed request and ends the connection: if one part of the head is wrong, its end
/// may be wrong, too.
pub(super) fn bad_request(sentence: &str) -> Reply {
    Reply::text("400 Bad Request", sentence).closing()
}

pub(super) fn not_found(sentence: &str) -> Reply {
    Reply::text("404 Not Found", sentence)
}

pub(super) fn no_room() -> Reply {
    let sentence = "This server has no room for another connection just now.";
    Reply::text("503 Service Unavailable", sentence)
        .field("Retry-After", &RETRY_AFTER_SECONDS.to_string())
        .closing()
}

pub(super) fn nothing_here() -> Reply {
    not_found("There is nothing at this address.")
}

pub(super) fn upgrade_required(sentence: &str) -> Reply {
    Reply::text("426 Upgrade Required", sentence)
        .field("Upgrade", "websocket")
        .field("Connection", "Upgrade")
}

/// Refuses a head of [`HEAD_BYTES_MAX`] bytes that has not ended. If the version has not come yet,
/// the request line has not ended, so the target is too long.
pub(super) fn too_long(head: &httparse::Request) -> Reply {
    if head.version.is_some() {
        return fields_too_large();
    }
    let sentence = format!("The request line must fit into {HEAD_BYTES_MAX} bytes.");
    Reply::text("414 URI Too Long", &sentence).closing()
}

pub(super) fn fields_too_large() -> Reply {
    let sentence =
        format!("A request head has at most {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} fields.");
    Reply::text("431 Request Header Fields Too Large", &sentence).closing()
}

/// Writes the 101 response that ends HTTP on a connection (RFC 6455, 4.2.2).
///
/// The hash shows that a WebSocket server has read the key, and not another kind of server that
/// repeats its input. It keeps nothing secret.
pub(super) fn switch_protocols(key: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let mut sha1 = Sha1::from(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64.encode(&sha1.digest().bytes());
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(subprotocol) = subprotocol {
        response += &format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
    }
    response += "\r\n";
    response.into_bytes()
}

/// Formats a time for `Date` (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(unix_ms: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = unix_ms / 1000;
    let days = seconds / 86_400;
    let (year, month, day) = civil_date(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        WEEKDAYS[(days % 7) as usize],
        MONTHS[month],
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Returns the year, the month from 0 and the day from 1 of a day counted from 1 January 1970.
///
/// The calculation begins years on 1 March, so that a leap day is the last day of its year. From
/// March on, five months always have 153 days; and 400 years, an era, always have 146,097.
fn civil_date(days_since_1970: u64) -> (u64, usize, u64) {
    // From 1 March of the year 0 to 1 January 1970.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    // Without the leap days before this day, every year of the era has 365 days.
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = ((month_from_march + 2) % 12) as usize;
    let is_next_year = u64::from(month < 2);
    (400 * era + year_of_era + is_next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_written_as_rfc_9110_has_it() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (68_169_599, "Mon, 28 Feb 1972 23:59:59 GMT"),
            (68_169_600, "Tue, 29 Feb 1972 00:00:00 GMT"),
            (68_256_000, "Wed, 01 Mar 1972 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_795_392_000, "Mon, 23 Nov 2026 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds * 1000 + 999), expected);
        }
        imf_fixdate(u64::MAX);
    }

    #[test]
    fn date_follows_the_calendar_for_a_thousand_years() {
        let mut today = (1970, 0, 1);
        for days in 0..365_250 {
            assert_eq!(civil_date(days), today);
            let (year, month, day) = today;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let lengths = [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            today = match (day == lengths[month], month) {
                (false, _) => (year, month, day + 1),
                (true, 11) => (year + 1, 0, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }
}
