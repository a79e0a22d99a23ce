//! HTTP/1.1 and HTTP/2 on one port: SQL by POST, the tables there are, health and metrics.
//!
//! Owns: the HTTP side of a connection. `conn` drives hyper, `routes` says what exists, `query` runs a statement,
//! `framing` bounds and names what comes in, `codec` is JSON to requests and values to JSON, `error` is SQLSTATE to status.
//! Asked by: `net`'s HTTP endpoint, with a connection and the shard's door. Never: builds SQL, plans, authenticates, keeps a
//! session beyond its request, or looks past the door.
//! Bounds: `Options`; all of a shard's buffered bodies and answers share one `Budget`, refused with 53200 (503) beyond.
//! Source: RFC 9110, 9112, 9113; application/x-ndjson (one JSON text per line).

mod body;
pub mod codec;
mod conn;
pub mod error;
pub mod framing;
mod meter;
mod query;
mod routes;
mod tables;

#[cfg(test)]
mod tests;

pub use conn::serve;

use crate::service::Door;
use body::Budget;
use routes::Routes;
use std::rc::Rc;
use std::time::Duration;
use types::limits;

/// What a server decides about HTTP. Exists on each shard.
#[derive(Clone, Debug)]
pub struct Options {
    /// A request's body. One more byte: 413.
    pub body_bytes_max: usize,
    /// A JSON answer that is not streamed. One more byte: 54000 (413) with the hint to ask for NDJSON.
    pub answer_bytes_max: usize,
    /// Bodies and answers in memory on this shard, over all connections. One more byte: 53200 (503).
    pub memory_bytes_max: usize,
    /// For the head of a request; also how long an idle connection is kept. Then closed.
    pub header_timeout: Duration,
    /// For the body of a request. Then 408.
    pub body_timeout: Duration,
    /// A client that takes no byte for this long is cut off.
    pub write_timeout: Duration,
    /// Requests in flight on one HTTP/2 connection; the protocol makes clients wait.
    pub streams_max: u32,
    /// Who a request without credentials is.
    pub user: String,
    pub database: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            body_bytes_max: limits::HTTP_BODY_BYTES_MAX,
            answer_bytes_max: limits::QUERY_BYTES_MAX,
            memory_bytes_max: 256 << 20,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            streams_max: 100,
            user: "rustydb".to_owned(),
            database: "rustydb".to_owned(),
        }
    }
}

/// The HTTP side of a shard: one per shard, shared by its connections.
pub struct Http {
    options: Options,
    door: Rc<dyn Door>,
    budget: Rc<Budget>,
    routes: Routes,
}

impl Http {
    pub fn new(door: Rc<dyn Door>, options: Options) -> Rc<Http> {
        Rc::new(Http {
            budget: Budget::new(options.memory_bytes_max),
            routes: Routes::new(),
            options,
            door,
        })
    }
}
