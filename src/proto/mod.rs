//! Protocols: bytes to requests and events to bytes.

pub mod http;
pub mod pg;
