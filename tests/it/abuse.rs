//! Whatever arrives, everybody else is served: what comes is answered clearly, and nothing of it is
//! left behind.

mod floods;
mod frames;
mod http;
mod machine;

use crate::support::{Server, over_tls};

/// What grows by less than this is flat: the allocator keeps some of what was used.
const FLAT_BYTES: usize = 2 << 20;

/// What a connection may cost besides, if it speaks TLS.
fn session_bytes() -> usize {
    if over_tls() { sotto::limits::TLS_SESSION_BYTES } else { 0 }
}

/// A server that has again, in the end, what it had in the beginning, and is alive.
struct Watched {
    server: Server,
    descriptors: usize,
    memory_bytes: usize,
}

impl Watched {
    fn start(options: &[&str]) -> Watched {
        Watched::start_after(0, options)
    }

    /// After so many have come and gone: the allocator keeps some of what they took at once, and no
    /// more each time.
    fn start_after(connections: usize, options: &[&str]) -> Watched {
        sotto::event_loop::raise_descriptor_limit().expect("the test may open many");
        let server = Server::start(options);
        let descriptors = server.descriptors();
        drop((0..connections).map(|_| server.connect()).collect::<Vec<_>>());
        server.wait_for_descriptors(descriptors);
        // Buffers that are kept for whoever comes next are there from then on.
        server.assert_alive();
        Watched { memory_bytes: server.memory_bytes(), descriptors, server }
    }

    fn assert_flat(&self, more: usize) {
        let memory = self.server.memory_bytes();
        assert!(
            memory < self.memory_bytes + more,
            "{} bytes, and then {memory}",
            self.memory_bytes
        );
    }

    /// Everybody else is alive, and when all are gone nothing is left of them.
    fn assert_as_before(&self) {
        self.server.assert_alive();
        self.server.wait_for_descriptors(self.descriptors);
        self.assert_flat(FLAT_BYTES);
    }
}
