//! Connections: accepting them, telling protocols apart, and lending sockets to libraries.
//!
//! Owns: the accept loop of each endpoint and shard, the list of live connections that a drain waits for, the
//! sniffing of a connection's first bytes, the buffers of what is received, and hyper's adapters. Asked by: `server`
//! starts the loops, `proto` gets the connections. Never: knows what a protocol says; it hands a socket and a slot (or
//! the refusal) to a closure.
//! Bounds: as many served connections as `Door::slot` grants, and `Options::refusals_max` refusals under way.
//!
//! How a server uses it, on each shard and for each endpoint:
//! ```ignore
//! let live = Live::new();
//! let endpoint = Endpoint { listener, door: door.clone(), live: live.clone(), options: Options::default() };
//! let pg = Rc::new(proto::pg::Options::default());
//! runtime::spawn(net::sql_port(endpoint, move |c| proto::pg::serve(c, door.clone(), pg.clone()))).detach();
//! // http: net::http_port(endpoint, move |c| …), the same without sniffing.
//! // Drain: when `door.draining()` resolves the loops stop accepting and close their listener;
//! live.drained().await; // … and this returns when the last connection is gone.
//! ```

mod accept;
pub mod hyper;
mod intake;
mod live;
mod prefixed;
pub mod sniff;

pub(crate) use accept::panic_message;
pub use accept::{Connection, Endpoint, Options, http_port, sql_port};
pub(crate) use hyper::poll_read_scratch;
pub use intake::{Growth, Input, Intake};
pub use live::{Live, Open, Stats};
pub use prefixed::Prefixed;
pub use runtime::{Elapsed, Stream, sleep, timeout, wall_micros};
