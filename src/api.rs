//! The API for backends: HTTP requests with JSON become calls of the hub, and back.
//!
//! **Invariants**
//! - A refused call is answered with the code and the sentence that a client would get, as JSON.
//!
//! Sockets, and the framing of requests, are not known here.

pub mod route;
pub mod token;
