//! The addresses of PeerJS clients: one gives a new id, the other is for WebSocket.
//!
//! ```text
//! GET PATH/peerjs/id                                  a random id, for a page of any origin
//! GET PATH/peerjs?key=peerjs&id=…&token=…&version=…   the WebSocket
//! ```
//!
//! **Invariants**
//! - No id is given twice: it is a keyed hash of a count.
//!
//! The meaning of the query is not known here.

use std::cell::Cell;
use std::rc::Rc;

use data_encoding::HEXLOWER;
use hmac_sha256::HMAC;
use httparse::{EMPTY_HEADER, Status};

use super::{Endpoint, HEADERS_MAX, Reply, Resource, Site, parse_head, parse_target};

/// The endpoint of PeerJS clients, which offer no subprotocol.
const ENDPOINT: &Endpoint = &Endpoint { path: None, subprotocol: None };

/// The addresses of PeerJS clients, and the source of new ids.
pub struct Addresses {
    /// The path in front of both addresses, without a slash at its end.
    path: String,
    /// A random key, so that no id can be guessed.
    key: [u8; 32],
    /// The number of ids given.
    given: Cell<u64>,
}

impl Addresses {
    /// Puts both addresses below a path, which has no slash at its end. `key` has to be random.
    pub fn new(path: String, key: [u8; 32]) -> Addresses {
        Addresses { path, key, given: Cell::new(0) }
    }

    pub(super) fn find(&self, path: &str) -> Option<Resource<'_>> {
        match path.strip_prefix(self.path.as_str())? {
            "/peerjs" => Some(Resource::Endpoint(ENDPOINT)),
            "/peerjs/id" => Some(Resource::PeerId(self)),
            _ => None,
        }
    }

    /// Returns the answer with a new id: 128 bits in the form of a UUID, as PeerJS clients know it.
    ///
    /// It tells nothing about the server, so a page of any origin may read it.
    pub(super) fn new_id(&self) -> Reply {
        let count = self.given.get();
        self.given.set(count.wrapping_add(1));
        let hex = HEXLOWER.encode(&HMAC::mac(count.to_be_bytes(), self.key)[..16]);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Reply::new("200 OK")
            .content("text/plain; charset=utf-8", parts.join("-").into_bytes().into())
            .field("Access-Control-Allow-Origin", "*")
    }
}

impl Site {
    /// Returns the same site, which PeerJS clients can use, too.
    pub fn for_peerjs(self, addresses: Addresses) -> Site {
        Site { peerjs: Some(Rc::new(addresses)), ..self }
    }
}

/// Returns the query of a whole request head, if its path is that of WebSocket for PeerJS clients.
pub fn query(head: &[u8], site: &Site) -> Option<String> {
    let addresses = site.peerjs.as_ref()?;
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    parse_head(&mut request, head).ok().filter(Status::is_complete)?;
    let target = request.path?;
    let (_, path) = parse_target(target).ok()?;
    let path = site.path_below(path).ok()?;
    matches!(addresses.find(path), Some(Resource::Endpoint(_))).then_some(())?;
    Some(target.split_once('?').map_or("", |(_, query)| query).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::assets::Files;
    use super::super::{Access, Answer, Parsed, parse};
    use super::*;

    fn site() -> Site {
        let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
        let site = Site::new(Files::BuiltIn, Access::Pages(Vec::new()), endpoint);
        site.below("/chat".into()).for_peerjs(Addresses::new("/calls".into(), [7; 32]))
    }

    /// Returns the status and the body of the answer to a GET, and the head.
    fn get(site: &Site, target: &str) -> (String, String) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        match parse(request.as_bytes(), site, 0) {
            Parsed::Complete { answer: Answer::Respond(response), .. } => {
                let head = String::from_utf8(response.head).expect("ASCII");
                (head, String::from_utf8(response.body.into_owned()).expect("UTF-8"))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn id_is_a_new_uuid_that_any_page_may_read() {
        let site = site();
        let [first, second] = [0, 1].map(|_| get(&site, "/chat/calls/peerjs/id?ts=1&version=2"));
        assert!(first.0.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{}", first.0);
        assert_ne!(first.1, second.1);
        let lengths: Vec<usize> = first.1.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{}", first.1);
        for elsewhere in ["/chat/calls/id", "/calls/peerjs/id", "/chat/calls/peerjs/peers"] {
            assert!(get(&site, elsewhere).0.starts_with("HTTP/1.1 404 "), "{elsewhere}");
        }
        assert!(get(&site, "/chat/calls/peerjs").0.starts_with("HTTP/1.1 426 "));
    }

    #[test]
    fn query_is_that_of_the_socket_only() {
        let check = |target: &str, expected: Option<&str>| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(query(head.as_bytes(), &site()).as_deref(), expected, "{target}");
        };
        check("/chat/calls/peerjs?key=peerjs&id=a", Some("key=peerjs&id=a"));
        check("http://localhost/chat/calls/peerjs?id=a", Some("id=a"));
        check("/chat/calls/peerjs", Some(""));
        check("/chat/ws?id=a", None);
        check("/chat/calls/peerjs/id?id=a", None);
        assert_eq!(query(b"GET /chat/calls/peerjs?id=a HTTP/1.1\r\n", &site()), None);
    }
}
