//! Connections: accepting them, telling protocols apart, and lending sockets to libraries.
//!
//! Owns: the accept loop of each endpoint and shard, the list of live connections that a drain waits for, the
//! sniffing of a connection's first bytes, and hyper's adapters. Asked by: `server` starts the loops, `proto` gets
//! the connections. Never: knows what a protocol says; it hands a socket and a slot (or the refusal) to a closure.
//! Bounds: as many served connections as `Door::slot` grants, and `Options::refusals_max` refusals under way.

pub mod hyper;
mod live;
mod prefixed;
pub mod sniff;

pub use live::{Live, Open, Stats};
pub use prefixed::Prefixed;
pub use runtime::{Elapsed, sleep, timeout, wall_micros};
