//! A wire from a browser to the server that a test can cut. The browser's own means of playing a
//! lost network leave WebSockets alone.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Forwards connections to its address. Its threads end with the test program.
pub struct Wire {
    pub address: SocketAddr,
    /// The browser's ends of the connections, or `None` while the wire is cut.
    whole: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Wire {
    pub fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let whole = Arc::new(Mutex::new(Some(Vec::new())));
        let ends = Arc::clone(&whole);
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(io::Result::ok) {
                // While the wire is cut, or there is no server, new connections are dropped.
                if let Some(ends) = ends.lock().expect("no thread panicked with it").as_mut()
                    && let Ok(server) = TcpStream::connect(server)
                {
                    ends.push(twin(&browser));
                    let [from, to] = [twin(&browser), twin(&server)];
                    std::thread::spawn(move || pass_on(from, to));
                    std::thread::spawn(move || pass_on(server, browser));
                }
            }
        });
        Wire { address, whole }
    }

    pub fn cut(&self) {
        for end in
            self.whole.lock().expect("no thread panicked with it").take().into_iter().flatten()
        {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        *self.whole.lock().expect("no thread panicked with it") = Some(Vec::new());
    }
}

fn twin(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a free descriptor")
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    // Either end ends the other.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
