//! Values of options, from text.
//!
//! It does not know which option has which kind of value.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use log::LevelFilter;

use sotto::config::ListenAddress;
use sotto::net::proxies::Forwarding;

pub fn folder(path: OsString) -> Result<PathBuf, String> {
    let folder = PathBuf::from(path);
    if !folder.join("index.html").is_file() {
        return Err("there is no index.html in this folder".into());
    }
    Ok(folder)
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not like 127.0.0.1:8080 or [::1]:8080"))
}

pub fn listen_address(text: &str) -> Result<ListenAddress, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("unix: needs a path, such as unix:/run/sotto.sock".into()),
        Some(path) => Ok(ListenAddress::Unix(path.into())),
        None => address(text).map(ListenAddress::Tcp),
    }
}

/// Returns the path of a URL without a slash at its end, so that other paths can follow it.
pub fn url_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if !text.starts_with('/') || !path.bytes().all(is_plain) || path.contains("//") {
        return Err(format!("\"{text}\" is not a path like /chat/"));
    }
    Ok(path.into())
}

#[cfg(feature = "auth")]
pub fn jwt_file(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("jwt:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(format!("\"{text}\" is not like jwt:/etc/sotto/login.pem")),
    }
}

/// Returns the name of a field, if it is one (RFC 9110, 5.6.2).
#[cfg(feature = "auth")]
pub fn field_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(format!("\"{text}\" is not the name of a header, such as Remote-User"));
    }
    Ok(text.into())
}

#[cfg(feature = "auth")]
pub fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.into()) }
}

pub fn forwarding(text: &str) -> Result<Forwarding, String> {
    let way = Forwarding::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    way.map(|(_, way)| *way)
        .ok_or_else(|| format!("\"{text}\" is not x-forwarded-for, forwarded or proxy"))
}

pub fn number(text: &str, range: &RangeInclusive<usize>) -> Result<usize, String> {
    let (min, max) = (range.start(), range.end());
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(0) if *min == 1 => Err("must be above 0".into()),
        _ => Err(format!("\"{text}\" is not a whole number from {min} to {max}")),
    }
}

pub fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not true or false"))
}

pub fn level(text: &str) -> Result<LevelFilter, String> {
    LevelFilter::from_str(text)
        .map_err(|_| format!("\"{text}\" is not off, error, warn, info, debug or trace"))
}
