//! A stream of WebSocket frames, cut into pieces in two ways.

use std::time::Instant;

use sotto::config::Config;
use sotto::limits::READ_BYTES;
use sotto::net::connection::{Connection, End, Incoming, Shared, View};
use sotto::net::frames::{Codec, Frames, Input};
use sotto::server::limits;
use sotto::time::Now;

use super::socket::{HANDSHAKE, Wire, send, site};

/// Checks that the meaning of a stream does not depend on the pieces in which it comes.
///
/// The first 8 bytes are the lengths of the pieces, the rest is the stream.
pub fn check(bytes: &[u8]) {
    let Some((cuts, stream)) = bytes.split_at_checked(8) else { return };
    assert_eq!(hear([stream].into_iter()), hear(pieces(cuts, stream)));
    // The same of a whole connection, from the handshake on.
    let stream = [HANDSHAKE, stream].concat();
    assert_eq!(converse([&stream[..]].into_iter()), converse(pieces(cuts, &stream)));
    // Most first pieces end within the handshake. An unfinished head leaves nothing behind either.
    converse(pieces(cuts, &stream).take(1));
}

/// Cuts a stream into pieces of 1 to 256 bytes; `cuts` are their lengths, less 1, over and over.
fn pieces<'a>(cuts: &'a [u8], mut rest: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    cuts.iter().cycle().map_while(move |cut| {
        let (piece, behind) = rest.split_at(rest.len().min(1 + usize::from(*cut)));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Returns the requests and texts that a connection reads from `pieces`, the bytes it writes, and
/// why it ends. Checks that it leaves nothing behind.
fn converse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, Option<End>) {
    let (_, limits) = limits(&Config::default());
    let (now, mut shared) =
        (Now { instant: Instant::now(), unix_ms: 5 }, Shared::new(site(), limits));
    let (wire, mut buffer, mut heard) = (Wire::default(), vec![0; READ_BYTES], Vec::new());
    wire.0.borrow_mut().capacity = usize::MAX;
    let mut connection = Connection::new(wire.clone(), View::Page, now, &shared);
    let mut listen = |connection: &mut Connection<Wire>| {
        connection.note_readable();
        while connection.wants_read() {
            let mut input = connection.receive(&mut buffer, now, &mut shared);
            while let Some(incoming) = connection.next(&mut input, now, &mut shared) {
                // Whether a text lies in the read buffer or was assembled depends on the pieces.
                heard.push(match incoming {
                    Incoming::Text(text) => format!("Text({:?})", &*text),
                    incoming => format!("{incoming:?}"),
                });
            }
            connection.flush(now, &mut shared);
        }
    };
    for piece in pieces {
        send(&wire, piece);
        listen(&mut connection);
    }
    let end = connection.end();
    wire.0.borrow_mut().reset = true;
    listen(&mut connection);
    assert!(connection.is_gone());
    assert_eq!(shared.incomplete_bytes(), 0);
    (heard, std::mem::take(&mut wire.0.borrow_mut().outward), end)
}

/// Returns the messages in a stream, the answering frames, and the code that refuses it.
fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, Option<String>) {
    let mut codec = Codec::new(1 << 16, 1 << 20);
    let (mut frames, mut messages, mut answers) = (Frames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece, usize::MAX);
        loop {
            match frames.next(&mut input, &mut codec, &mut answers) {
                Ok(Some(message)) => messages.push(format!("{message:?}")),
                Ok(None) => break,
                Err(code) => return (messages, answers, Some(format!("{code:?}"))),
            }
            if messages.last().is_some_and(|message| message.starts_with("Close(")) {
                return (messages, answers, None);
            }
        }
    }
    (messages, answers, None)
}
