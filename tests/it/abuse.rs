//! Hostile input: other clients are served all the while, the answer is clear, and nothing is left
//! behind.

mod floods;
mod frames;
mod http;
mod machine;

use crate::support::{Server, over_tls};

/// Growth of memory, in bytes, below which it counts as flat: the allocator keeps some pages.
const FLAT_BYTES: usize = 2 << 20;

/// Returns the bytes that a session costs, if connections speak TLS.
fn session_bytes() -> usize {
    if over_tls() { sotto::limits::TLS_SESSION_BYTES } else { 0 }
}

/// A server, with its descriptors and memory at the start to compare with.
struct Watched {
    server: Server,
    /// Open descriptors at the start.
    descriptors: usize,
    /// Memory at the start, in bytes.
    memory_bytes: usize,
}

impl Watched {
    fn start(options: &[&str]) -> Watched {
        Watched::start_after(0, options)
    }

    /// Starts a server and lets `connections` come and go, before its memory is noted: the
    /// allocator keeps some pages of the first crowd, and no more of later ones.
    fn start_after(connections: usize, options: &[&str]) -> Watched {
        sotto::event_loop::raise_descriptor_limit().expect("the test may open many");
        let server = Server::start(options);
        let descriptors = server.descriptors();
        drop((0..connections).map(|_| server.connect()).collect::<Vec<_>>());
        server.wait_for_descriptors(descriptors);
        // From then on the pooled buffers are there.
        server.assert_alive();
        Watched { memory_bytes: server.memory_bytes(), descriptors, server }
    }

    /// Checks that memory has grown by less than this many bytes.
    fn assert_flat(&self, growth_max: usize) {
        let (before, now) = (self.memory_bytes, self.server.memory_bytes());
        assert!(now < before + growth_max, "{before} bytes, and then {now}");
    }

    /// Checks that other clients are served, and that nothing is left when all are gone.
    fn assert_as_before(&self) {
        self.server.assert_alive();
        self.server.wait_for_descriptors(self.descriptors);
        self.assert_flat(FLAT_BYTES);
    }
}
