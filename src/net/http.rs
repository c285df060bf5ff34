//! HTTP/1.1 as far as this server speaks it: the bytes of a request in, the bytes of its answer out
//! (RFC 9110, 9112; the opening handshake of RFC 6455).
//!
//! **Invariants**
//! - An answer depends on the bytes of its request, the [`Site`] and the time given, and on nothing
//!   else: not on earlier requests, not on how the bytes were cut into reads, not on the bytes
//!   behind the head.
//! - All checks stand in two functions, `locate` and `decide`, in the order in which they are made.
//! - No request has a body.
//! - The only file read is the requested one, and only with [`Files::Folder`].
//!
//! It does not know sockets, deadlines or frames, nor the log: a refusal that an operator has to
//! know of carries its line ([`LogLine`]).

use std::borrow::Cow;
use std::net::IpAddr;
#[cfg(feature = "peerjs")]
use std::rc::Rc;

use httparse::{EMPTY_HEADER, Header, Status};
use log::Level;

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, LOG_VALUE_BYTES_MAX};
use crate::net::http::assets::{Coding, File, Files};
use crate::net::proxies::Proxies;

pub mod assets;
#[cfg(feature = "api")]
pub mod calls;
mod entry;
mod handshake;
mod origin;
#[cfg(feature = "peerjs")]
pub mod peerjs;
mod reply;

pub use entry::Entry;
#[cfg(feature = "auth")]
pub use entry::named_id;
pub use origin::Origin;
use origin::{Authority, is_digits, split_scheme};
pub use reply::{LogLine, Response, STATUSES, not_https, timed_out, unavailable};
use reply::{
    Reply, bad_request, fields_too_large, no_room, not_found, nothing_here, switch_protocols,
    too_long,
};

/// The media type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The time for which a browser that has seen this server over TLS insists on TLS: a year, as is
/// recommended, in seconds. A visitor that stays away longer can be led to plain HTTP again.
///
/// It is sent only for hosts that an operator listed for it ([`Origin::pledges_tls`]), because a
/// browser cannot be made to forget it.
///
/// `includeSubDomains` is left out, because other hosts of the domain are not ours to promise for;
/// so is `preload`, because a host does not get off the browsers' built-in lists for years.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// The content of a server, and the hosts and pages that may have it.
#[derive(Clone)]
pub struct Site {
    content: Content,
    access: Access,
    /// The path below which the page and the chat lie, without a slash at its end.
    base: String,
    /// The site is served over TLS.
    has_tls: bool,
    /// Browsers are told to come back with TLS only, where an origin allows that.
    has_hsts: bool,
    /// The server can do all of its work, as `/readyz` tells.
    is_ready: bool,
    /// The addresses of PeerJS clients. Shared with copies, which must not give the same ids.
    #[cfg(feature = "peerjs")]
    peerjs: Option<Rc<peerjs::Addresses>>,
    /// The way into the chat.
    entry: Entry,
}

#[derive(Clone)]
enum Content {
    /// The page, and the chat behind it.
    Page { files: Files, endpoint: Endpoint },
    /// The server's metrics as they are now, and nothing else.
    Metrics(String),
    /// A redirect to the page, which is served over TLS at this port, unless an origin with the
    /// same host names another.
    Redirect { port: u16 },
    /// One answer that the server is alive, and otherwise that it has no room.
    Full,
}

/// The hosts this server answers for, and the pages that may connect.
#[derive(Clone)]
pub enum Access {
    /// Any host and any page: for a server with nothing to protect.
    Anyone,
    /// Private hosts and the server's own page, and besides them these origins and their hosts.
    Pages(Vec<Origin>),
}

/// The address of WebSocket connections.
#[derive(Clone)]
pub struct Endpoint {
    /// The path, without a query. `None`: every path, and then no file is served.
    pub path: Option<&'static str>,
    /// The subprotocol that is chosen if a client offers it. A client need not offer it.
    pub subprotocol: Option<&'static str>,
}

/// The result of [`parse`].
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// The bytes are the beginning of a head, well-formed so far.
    Incomplete,
    /// The bytes begin with a whole head, or cannot become one.
    Complete {
        /// The length of the request in bytes; the bytes behind it belong to the next request, or
        /// to WebSocket. If the head is malformed these are all bytes, because the beginning of the
        /// next request is then unknown.
        used: usize,
        /// The answer to send.
        answer: Answer,
    },
}

/// The answer to one request.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// A whole 101 response, after which the connection speaks WebSocket.
    Upgrade(Vec<u8>),
    /// Any other response, after which the connection goes on with HTTP, or ends.
    Respond(Response),
}

/// A well-formed request head, before any check of its meaning.
struct Request<'a> {
    method: &'a str,
    target: &'a str,
    http_1_1: bool,
    fields: &'a [Header<'a>],
}

/// The resource at a path.
enum Resource<'a> {
    Endpoint(&'a Endpoint),
    /// A sign of life, in these words.
    Health(&'static str),
    /// The id of the client that asks.
    #[cfg(feature = "auth")]
    WhoAmI,
    File(File),
    Metrics(&'a str),
    /// A new id for a PeerJS client.
    #[cfg(feature = "peerjs")]
    PeerId(&'a peerjs::Addresses),
}

/// The outcome of a request that passed all checks.
enum Outcome {
    Upgrade(Vec<u8>),
    Reply(Reply),
}

/// Answers the request at the beginning of `bytes`, all unused input of a connection.
///
/// Only the first [`HEAD_BYTES_MAX`] bytes are looked at, so that many always get an answer.
/// `unix_ms` is the time in milliseconds since 1970 UTC.
///
/// If the bytes are incomplete, call it again with the same bytes and those that came after them:
/// parsing 8 KiB again costs less than remembering the state of the parser. An error is refused as
/// soon as it can be seen, so the server does not wait for the end of a malformed head.
pub fn parse(bytes: &[u8], site: &Site, unix_ms: u64) -> Parsed {
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    match parse_head(&mut head, &bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(Status::Partial) => Parsed::Incomplete,
        Ok(Status::Complete(used)) => {
            Parsed::Complete { used, answer: answer(&Request::new(&head), site, unix_ms) }
        }
        Err(refusal) => {
            Parsed::Complete { used: bytes.len(), answer: Answer::Respond(refusal.write(unix_ms)) }
        }
    }
}

/// Returns the client that a trusted proxy has told in a whole request head; `None` if it tells
/// none, or if the head is malformed.
pub fn forwarded_client(head: &[u8], proxies: &Proxies) -> Option<IpAddr> {
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    let field = proxies.forwarding?.field()?;
    parse_head(&mut parsed, head).ok().filter(Status::is_complete)?;
    proxies.client(&Request::new(&parsed).values(field))
}

impl Site {
    /// Returns a site with these files and a WebSocket endpoint, both limited by `access`.
    pub fn new(files: Files, access: Access, endpoint: Endpoint) -> Site {
        Site::with(Content::Page { files, endpoint }, access)
    }

    fn with(content: Content, access: Access) -> Site {
        let (base, is_ready) = (String::new(), true);
        Site {
            content,
            access,
            base,
            has_tls: false,
            has_hsts: false,
            is_ready,
            entry: Entry::Open,
            #[cfg(feature = "peerjs")]
            peerjs: None,
        }
    }

    /// Sets whether the server can do all of its work: if not, `/readyz` is answered 503.
    pub fn set_ready(&mut self, is_ready: bool) {
        self.is_ready = is_ready;
    }

    /// Returns the same site for a server with this way in.
    pub fn with_entry(self, entry: Entry) -> Site {
        Site { entry, ..self }
    }

    /// Returns the same site below a path, which has no slash at its end.
    pub fn below(self, base: String) -> Site {
        Site { base, ..self }
    }

    /// Returns the same site, served over TLS.
    pub fn over_tls(self) -> Site {
        Site { has_tls: true, ..self }
    }

    /// Returns the same site, which tells browsers to come back with TLS only
    /// (`Strict-Transport-Security`, RFC 6797), under the names that an `https` origin lists.
    pub fn with_hsts(self) -> Site {
        Site { has_hsts: true, ..self }
    }

    fn pledges_tls(&self, host: Option<&Authority>) -> bool {
        let (Access::Pages(origins), Some(Authority { host, .. })) = (&self.access, host) else {
            return false;
        };
        self.has_tls && self.has_hsts && origins.iter().any(|origin| origin.pledges_tls(host))
    }

    /// Returns a site that redirects every request to the same address at `https://`.
    ///
    /// The port is that of an `https` origin with the same host, or else `port`. Only hosts that
    /// `access` allows are redirected, so a link to this server cannot lead to a foreign host.
    pub fn redirect(port: u16, access: Access) -> Site {
        Site::with(Content::Redirect { port }, access)
    }

    /// Returns a site with these metrics at `/metrics`, and nothing else.
    ///
    /// It answers under any host name, because scrapers find it by names of their own network that
    /// no option lists. A page that reaches it by DNS rebinding learns no more than any client that
    /// can reach this address: numbers, but no id and no text.
    pub fn metrics(text: String) -> Site {
        Site::with(Content::Metrics(text), Access::Anyone)
    }

    /// Returns a site for connections that have no place: any request is answered 503, and the
    /// connection ends. Only `/healthz` is answered 200, because the process that probes it would
    /// end a server that is merely busy.
    pub fn full(&self) -> Site {
        let (access, base) = (self.access.clone(), self.base.clone());
        Site {
            content: Content::Full,
            access,
            base,
            entry: Entry::Open,
            #[cfg(feature = "peerjs")]
            peerjs: None,
            ..*self
        }
    }

    /// Returns the path below the base; a sign of life is at the root, too, for probes.
    fn path_below<'p>(&self, path: &'p str) -> Result<&'p str, Reply> {
        if matches!(self.content, Content::Full) {
            return Ok(path.strip_prefix(self.base.as_str()).unwrap_or(path));
        }
        match path.strip_prefix(self.base.as_str()) {
            Some(below) if below.starts_with('/') || self.base.is_empty() => Ok(below),
            // Without the slash the page's own addresses would lead elsewhere.
            Some("") => {
                let reply =
                    Reply::text("308 Permanent Redirect", "The page is at this path with a /.");
                Err(reply.field("Location", &format!("{}/", self.base)))
            }
            _ if matches!(path, "/healthz" | "/readyz") => Ok(path),
            _ => Err(nothing_here()),
        }
    }

    fn find(&self, path: &str, accepted: Coding) -> Result<Resource<'_>, Reply> {
        let path = self.path_below(path)?;
        #[cfg(feature = "peerjs")]
        if let Some(found) = self.peerjs.as_ref().and_then(|addresses| addresses.find(path)) {
            return Ok(found);
        }
        match (&self.content, path) {
            (Content::Metrics(text), "/metrics") => Ok(Resource::Metrics(text)),
            (Content::Metrics(_), _) => Err(nothing_here()),
            (Content::Redirect { .. }, _) => Err(nothing_here()),
            (Content::Full, "/healthz") => Ok(Resource::Health("ok")),
            (Content::Full, _) => Err(no_room()),
            (Content::Page { endpoint, .. }, _) if endpoint.path.is_none_or(|at| at == path) => {
                Ok(Resource::Endpoint(endpoint))
            }
            (_, "/readyz") if !self.is_ready => {
                let sentence = "The server cannot write to its disk. Its log tells why.";
                Err(Reply::text("503 Service Unavailable", sentence))
            }
            (_, "/readyz") => Ok(Resource::Health(self.entry.readiness())),
            (_, "/healthz") => Ok(Resource::Health("ok")),
            #[cfg(feature = "auth")]
            (_, "/whoami") if self.entry.has_login() => Ok(Resource::WhoAmI),
            (Content::Page { files, .. }, "/") => file(files, "index.html", accepted),
            // The target `*` is not a path, and not the name of a file either.
            (Content::Page { files, .. }, _) => {
                file(files, path.strip_prefix('/').unwrap_or(path), accepted)
            }
        }
    }
}

fn file(files: &Files, name: &str, accepted: Coding) -> Result<Resource<'static>, Reply> {
    match files.find(name, accepted) {
        Ok(Some(file)) => Ok(Resource::File(file)),
        Ok(None) => Err(nothing_here()),
        Err(error) => {
            let sentence = "This file is here, but the server cannot read it.";
            let reason = format!("cannot read {name} in the folder of --www: {error}");
            let reply = Reply::text("500 Internal Server Error", sentence);
            Err(reply.logged(Level::Warn, reason))
        }
    }
}

impl<'a> Request<'a> {
    /// Wraps a head that httparse has found complete, so method, target and version are there.
    fn new(head: &'a httparse::Request<'_, 'a>) -> Request<'a> {
        Request {
            method: head.method.unwrap_or_default(),
            target: head.path.unwrap_or_default(),
            http_1_1: head.version == Some(1),
            fields: head.headers,
        }
    }

    /// Returns the values of all fields of this name, in order.
    ///
    /// A value that is not UTF-8 becomes one replacement character, which no check accepts.
    fn values(&self, name: &str) -> Vec<&'a str> {
        self.fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| str::from_utf8(field.value).unwrap_or("\u{fffd}"))
            .collect()
    }

    /// Returns the members of a list field, over all lines it is spread on (RFC 9110, 5.6.1).
    fn members(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .into_iter()
            .flat_map(|value| value.split(','))
            .map(|member| member.trim_matches([' ', '\t']))
    }

    /// Returns `true` if a list field holds this token, in upper or lower case.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token))
    }

    /// Returns the coding that the client accepts (RFC 9110, 12.5.3). A weight of 0 excludes a
    /// coding; other weights make no difference, because any of them allows the shorter one.
    fn coding(&self) -> Coding {
        let (mut gzip, mut any) = (None, None);
        for member in self.members("Accept-Encoding") {
            let (coding, weight) = member.split_once(';').unwrap_or((member, "q=1"));
            let weight = weight.trim_matches([' ', '\t']);
            let is_allowed = weight.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
            match coding.trim_end_matches([' ', '\t']) {
                "*" => any = Some(is_allowed),
                coding if coding.eq_ignore_ascii_case("gzip") => gzip = Some(is_allowed),
                _ => {}
            }
        }
        if gzip.or(any) == Some(true) { Coding::Gzip } else { Coding::Identity }
    }

    /// Returns `true` if the connection is to end after the answer.
    ///
    /// Every connection of HTTP/1.0 does: keeping one takes an extension, which is not supported.
    fn wants_close(&self) -> bool {
        !self.http_1_1 || self.has_token("Connection", "close")
    }
}

/// Parses the head at the beginning of `bytes`, and returns its length.
///
/// httparse lets a bare LF end a line, as RFC 9112, 2.2, permits. A proxy in front may not, and
/// then the two disagree on where a request ends, which is how requests are smuggled. So httparse
/// gets only the bytes before the first bare LF.
fn parse_head<'b>(
    head: &mut httparse::Request<'_, 'b>,
    bytes: &'b [u8],
) -> Result<Status<usize>, Reply> {
    let bare_lf = find_bare_lf(bytes);
    match head.parse(&bytes[..bare_lf.unwrap_or(bytes.len())]) {
        Ok(Status::Partial) if bare_lf.is_some() => {
            Err(bad_request("A line of the request head ends without CR."))
        }
        Ok(Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => Err(too_long(head)),
        Ok(status) => Ok(status),
        Err(httparse::Error::TooManyHeaders) => Err(fields_too_large()),
        Err(error) => Err(bad_request(&format!("This is not a request of HTTP/1.1: {error}."))),
    }
}

fn find_bare_lf(bytes: &[u8]) -> Option<usize> {
    let mut previous = 0;
    bytes.iter().position(|&byte| {
        let is_bare = byte == b'\n' && previous != b'\r';
        previous = byte;
        is_bare
    })
}

fn answer(request: &Request, site: &Site, unix_ms: u64) -> Answer {
    let (is_pledged, outcome) = match locate(request, site) {
        Ok((host, path)) => {
            (site.pledges_tls(host.as_ref()), decide(request, host.as_ref(), path, site))
        }
        Err(refusal) => (false, Err(refusal)),
    };
    let mut reply = match outcome {
        Ok(Outcome::Upgrade(response)) => return Answer::Upgrade(response),
        Ok(Outcome::Reply(reply)) | Err(reply) => reply,
    };
    if is_pledged {
        reply = reply.field("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY);
    }
    reply.close |= request.wants_close() || matches!(site.content, Content::Full);
    let mut response = reply.write(unix_ms);
    if request.method == "HEAD" {
        // The head still tells the length of the body that GET would get (RFC 9110, 9.3.2).
        response.body = Cow::Borrowed(b"");
    }
    Answer::Respond(response)
}

/// Returns the host and the path that a request is addressed to, if this server answers for the
/// host. `None` is the host of a request that names none, which only HTTP/1.0 may do.
fn locate<'a>(request: &Request<'a>, site: &Site) -> Result<(Option<Authority>, &'a str), Reply> {
    let (authority, path) = parse_target(request.target)?;
    Ok((check_host(request, authority, &site.access)?, path))
}

/// Makes all further checks in their order: from those without which reading on is unsafe, to those
/// that only the purpose of the request needs.
fn decide(
    request: &Request,
    host: Option<&Authority>,
    path: &str,
    site: &Site,
) -> Result<Outcome, Reply> {
    check_body(request)?;
    if let Content::Redirect { port } = site.content {
        return Ok(Outcome::Reply(redirect(request, host, &site.access, port)?));
    }
    let resource = site.find(path, request.coding())?;
    // So a page asks why its WebSocket was refused. A GET of its own server has no Origin.
    if matches!(resource, Resource::Endpoint(_)) && request.method == "OPTIONS" {
        check_origin(request, host, site)?;
        return Ok(Outcome::Reply(Reply::new("204 No Content").field("Allow", "GET")));
    }
    check_method(request)?;
    match resource {
        Resource::Endpoint(endpoint) => {
            handshake::check_upgrade(request)?;
            handshake::check_version(request)?;
            let key = handshake::check_key(request)?;
            check_origin(request, host, site)?;
            let subprotocol = handshake::choose_subprotocol(request, endpoint);
            Ok(Outcome::Upgrade(switch_protocols(key, subprotocol)))
        }
        // RFC 9110, 7.8: `Upgrade` in HTTP/1.0 is ignored.
        _ if request.http_1_1 && request.has_token("Upgrade", "websocket") => {
            Err(not_found("There is no WebSocket at this address."))
        }
        Resource::Health(words) => Ok(Outcome::Reply(Reply::text("200 OK", words))),
        #[cfg(feature = "auth")]
        Resource::WhoAmI => Ok(Outcome::Reply(site.entry.whoami(request))),
        Resource::File(file) => Ok(Outcome::Reply(serve(request, file))),
        #[cfg(feature = "peerjs")]
        Resource::PeerId(addresses) => Ok(Outcome::Reply(addresses.new_id())),
        Resource::Metrics(text) => {
            let bytes = text.to_owned().into_bytes().into();
            Ok(Outcome::Reply(Reply::new("200 OK").content(METRICS_TYPE, bytes)))
        }
    }
}

/// Splits a target into path and, in the absolute form, authority (RFC 9112, 3.2).
///
/// A query has no meaning here and is dropped. The asterisk form names no path, so it gets a 404.
/// The authority form is for proxies, and refused.
fn parse_target(target: &str) -> Result<(Option<Authority>, &str), Reply> {
    if target.starts_with('/') || target == "*" {
        return Ok((None, without_query(target)));
    }
    let refusal = || bad_request("The request target is neither a path nor an http address.");
    let (_, rest) = split_scheme(target).ok_or_else(refusal)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = Authority::parse(authority).ok_or_else(refusal)?;
    let path = match without_query(path) {
        "" => "/",
        path => path,
    };
    Ok((Some(authority), path))
}

/// Returns the authority that the request is addressed to, if this server answers for its host
/// (RFC 9112, 3.2).
///
/// `None` if the request names none, which only HTTP/1.0 may do.
fn check_host(
    request: &Request,
    target_authority: Option<Authority>,
    access: &Access,
) -> Result<Option<Authority>, Reply> {
    let host = match request.values("Host").as_slice() {
        [] if request.http_1_1 => return Err(bad_request("The request has no Host.")),
        [] => None,
        [value] => Some(
            Authority::parse(value).ok_or_else(|| bad_request("The Host is not a host name."))?,
        ),
        _ => return Err(bad_request("The request has more than one Host.")),
    };
    // RFC 9112, 3.2.2: the authority of an absolute target overrides Host.
    let authority = target_authority.or(host);
    if let (Access::Pages(origins), Some(Authority { host, .. })) = (access, &authority)
        && !host.is_private()
        && origins.iter().all(|origin| origin.host != *host)
    {
        let sentence = "This server does not answer under this host name; \
            --origin with the address of the page allows it.";
        let host = shortened(&[&host.to_string()]);
        let reason = format!("Host {host} is neither private nor the host of an --origin");
        return Err(Reply::text("421 Misdirected Request", sentence).logged(Level::Info, reason));
    }
    Ok(authority)
}

/// Refuses every body.
///
/// The connection then ends, because the bytes behind the head are not a request. A request with
/// a doubtful length is refused as malformed, because a proxy in front may have seen another length
/// (RFC 9112, 6.1 and 6.3).
fn check_body(request: &Request) -> Result<(), Reply> {
    let has_transfer_encoding = !request.values("Transfer-Encoding").is_empty();
    let too_large = || {
        let sentence = "Requests to this server have no body.";
        Err(Reply::text("413 Content Too Large", sentence).closing())
    };
    match request.values("Content-Length").as_slice() {
        [] if has_transfer_encoding => too_large(),
        [] => Ok(()),
        [length] if !has_transfer_encoding && is_digits(length) => {
            if length.bytes().all(|digit| digit == b'0') {
                return Ok(());
            }
            too_large()
        }
        _ => Err(bad_request("The length of the body is in doubt.")),
    }
}

fn check_method(request: &Request) -> Result<(), Reply> {
    if matches!(request.method, "GET" | "HEAD") {
        return Ok(());
    }
    let sentence = "Only GET and HEAD are understood here.";
    Err(Reply::text("405 Method Not Allowed", sentence).field("Allow", "GET, HEAD"))
}

/// Lets in the server's own page, and pages of an `--origin`.
///
/// A browser tells the server where a page comes from, but does not stop the page from connecting
/// to a foreign server: the check is the server's task (RFC 6455, 10.2). A client that is not a
/// browser sends no `Origin`, and could make up any.
fn check_origin(request: &Request, host: Option<&Authority>, site: &Site) -> Result<(), Reply> {
    let Access::Pages(origins) = &site.access else {
        return Ok(());
    };
    let is_ours =
        |origin: &Origin| host.is_some_and(|authority| origin.is_at(authority, site.has_tls));
    let is_allowed = |origin: Origin| origins.contains(&origin) || is_ours(&origin);
    let values = request.values("Origin");
    match values.as_slice() {
        [] => Ok(()),
        [value] if Origin::parse_serialized(value).is_some_and(is_allowed) => Ok(()),
        _ => {
            let sentence = "A page from this origin may not connect; \
                --origin with the address of the page allows it.";
            let (origin, host) = (shortened(&values), shortened(&request.values("Host")));
            let reason = format!("Origin {origin} is neither at Host {host} nor an --origin");
            Err(Reply::text("403 Forbidden", sentence).logged(Level::Info, reason))
        }
    }
}

/// Redirects to the same address over TLS, with 308, which keeps the method.
///
/// Visitors may see another port than the one listened on, for example behind a port forwarding.
/// Only an origin can tell that port.
fn redirect(
    request: &Request,
    authority: Option<&Authority>,
    access: &Access,
    port: u16,
) -> Result<Reply, Reply> {
    let Authority { host, .. } =
        authority.ok_or_else(|| bad_request("The request has no Host."))?;
    let seen_at = match access {
        Access::Pages(origins) => origins.iter().find_map(|origin| origin.tls_port(host)),
        Access::Anyone => None,
    };
    let port = seen_at.unwrap_or(port);
    let path = match split_scheme(request.target) {
        Some((_, rest)) => rest.find(['/', '?']).map_or("", |at| &rest[at..]),
        None => request.target,
    };
    let (slash, port) = (if path.starts_with('/') { "" } else { "/" }, format!(":{port}"));
    let port = if port == ":443" { "" } else { &port };
    let path = path.strip_prefix('*').unwrap_or(path);
    let location = format!("https://{host}{port}{slash}{path}");
    let reply = Reply::text("308 Permanent Redirect", "This server speaks HTTPS.");
    Ok(reply.field("Location", &location))
}

fn serve(request: &Request, file: File) -> Reply {
    // RFC 9110, 13.1.2: tags are compared weakly here, that is, without `W/`.
    let is_known = request
        .members("If-None-Match")
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == file.etag);
    Reply::file(file, is_known)
}

/// Returns the values of a field for a line of the log: in quotes, with everything escaped that
/// could look like another line, and at most [`LOG_VALUE_BYTES_MAX`] bytes of them.
fn shortened(values: &[&str]) -> String {
    let text = values.join(", ");
    let end = (0..=LOG_VALUE_BYTES_MAX.min(text.len())).rfind(|&at| text.is_char_boundary(at));
    let rest = if text.len() > LOG_VALUE_BYTES_MAX { "…" } else { "" };
    format!("{:?}{rest}", &text[..end.unwrap_or_default()])
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests;
