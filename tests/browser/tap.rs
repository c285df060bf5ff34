//! A wire from browsers to the server that reads the lines of both, and changes those of the server
//! as a lying server would.
//!
//! **Invariants**
//! - A line that no change concerns is forwarded as it is.
//!
//! It knows frames of RFC 6455 without extensions, and no meaning of a line.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::wire::read_head;

/// Changes a line of the server, in place.
type Change = Box<dyn Fn(&mut Value) + Send>;

/// Forwards connections to a server. Its threads end with the test program.
pub struct Tap {
    pub address: SocketAddr,
    tapped: Arc<Tapped>,
}

#[derive(Default)]
struct Tapped {
    /// The texts of pages, as they left.
    said: Mutex<Vec<String>>,
    /// The texts of the server, before they were changed.
    told: Mutex<Vec<String>>,
    change: Mutex<Option<Change>>,
}

impl Tap {
    pub fn on(server: SocketAddr) -> Tap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let tapped = Arc::new(Tapped::default());
        let accepting = Arc::clone(&tapped);
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(io::Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let tapped = Arc::clone(&accepting);
                std::thread::spawn(move || tapped.forward(browser, server));
            }
        });
        Tap { address, tapped }
    }

    /// Returns the lines of all pages until now.
    pub fn said(&self) -> Vec<Value> {
        lines(&self.tapped.said.lock().expect("no thread panicked with it"))
    }

    /// Returns the texts of both directions until now.
    pub fn all(&self) -> String {
        let texts = [&self.tapped.said, &self.tapped.told];
        texts.map(|texts| texts.lock().expect("no thread panicked with it").join("\n")).join("\n")
    }

    /// Changes each line of the server from now on.
    pub fn change(&self, change: impl Fn(&mut Value) + Send + 'static) {
        *self.tapped.change.lock().expect("no thread panicked with it") = Some(Box::new(change));
    }

    /// Changes nothing from now on.
    pub fn be_honest(&self) {
        *self.tapped.change.lock().expect("no thread panicked with it") = None;
    }
}

impl Tapped {
    fn forward(self: &Arc<Self>, mut browser: TcpStream, mut server: TcpStream) {
        let Some(head) = read_head(&browser) else { return };
        if server.write_all(&head).is_err() {
            return;
        }
        let has_frames =
            String::from_utf8_lossy(&head).to_lowercase().contains("\r\nupgrade: websocket");
        let twins = browser.try_clone().and_then(|twin| Ok((twin, server.try_clone()?)));
        let (from, to) = twins.expect("a free descriptor");
        if !has_frames {
            std::thread::spawn(move || copy(from, to));
            return copy(server, browser);
        }
        let tapped = Arc::clone(self);
        std::thread::spawn(move || tapped.relay(from, to, true));
        let Some(head) = read_head(&server) else { return };
        if browser.write_all(&head).is_ok() {
            self.relay(server, browser, false);
        }
    }

    /// Forwards frames until either end ends.
    fn relay(&self, mut from: TcpStream, mut to: TcpStream, of_page: bool) {
        while let Ok(frame) = Frame::read(&mut from) {
            if to.write_all(&self.pass(frame, of_page)).is_err() {
                break;
            }
        }
        let _ = [from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)];
    }

    /// Notes a text. Returns the bytes to forward.
    fn pass(&self, frame: Frame, of_page: bool) -> Vec<u8> {
        if !frame.is_text {
            return frame.bytes;
        }
        let texts = if of_page { &self.said } else { &self.told };
        texts.lock().expect("no thread panicked with it").push(frame.text.clone());
        let change = self.change.lock().expect("no thread panicked with it");
        let Some(change) = change.as_ref().filter(|_| !of_page) else { return frame.bytes };
        let changed = frame.text.split('\n').map(|line| {
            let Ok(before) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
            let mut after = before.clone();
            change(&mut after);
            if after == before { line.to_owned() } else { after.to_string() }
        });
        text_frame(&changed.collect::<Vec<_>>().join("\n"))
    }
}

/// A frame as it came, and its text if it is a whole one.
struct Frame {
    bytes: Vec<u8>,
    is_text: bool,
    text: String,
}

impl Frame {
    /// Reads a frame (RFC 6455, 5.2).
    fn read(from: &mut TcpStream) -> io::Result<Frame> {
        let mut bytes = vec![0; 2];
        from.read_exact(&mut bytes)?;
        let [first, second] = [bytes[0], bytes[1]];
        let more = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        read_more(from, &mut bytes, more)?;
        let long = bytes[2..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let length = if more == 0 { usize::from(second & 0x7f) } else { long };
        let mask_at = bytes.len();
        let mask_length = if second & 0x80 == 0 { 0 } else { 4 };
        read_more(from, &mut bytes, mask_length + length)?;
        let (mask, payload) = bytes[mask_at..].split_at(mask_length);
        let masks = if mask.is_empty() { &[0][..] } else { mask }.iter().cycle();
        let plain = payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask).collect();
        let is_text = first == 0x81;
        let text = String::from_utf8(plain).unwrap_or_default();
        Ok(Frame { bytes, is_text, text })
    }
}

fn read_more(from: &mut TcpStream, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + count, 0);
    from.read_exact(&mut bytes[start..])
}

/// Returns a frame of a server with this text.
fn text_frame(text: &str) -> Vec<u8> {
    let length = text.len() as u64;
    let mut frame = vec![0x81, 127];
    frame.extend(length.to_be_bytes());
    if let Ok(short @ 0..126) = u8::try_from(length) {
        frame = vec![0x81, short];
    } else if let Ok(medium) = u16::try_from(length) {
        frame = vec![0x81, 126];
        frame.extend(medium.to_be_bytes());
    }
    frame.extend(text.as_bytes());
    frame
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = [from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)];
}

fn lines(texts: &[String]) -> Vec<Value> {
    let lines = texts.iter().flat_map(|text| text.split('\n'));
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}
