//! What `benches/compare` measures servers with: it puts the same load on each of them, and checks their answers.
//!
//! Owns: the load client (`bin/load`), the echo server on the project's own sockets (`bin/echo`), and the TPC-C mix
//! (`bin/tpcc`). Asked by: the scripts beside it. Never: part of the server. Threads and sockets are the system's, so that a
//! client costs the same whatever it speaks to; only `bin/echo` uses the shards' runtime.
//! Bounds: `CONNECTIONS_MAX` connections, runs end at their time plus `GRACE`.

pub mod args;
pub mod closed;
pub mod comings;
pub mod lane;
pub mod line;
pub mod open;
pub mod process;
pub mod talk;
pub mod tpcc;
pub mod wire;

use std::time::Duration;

/// What one client opens at most; the ports of one address end not far above.
pub const CONNECTIONS_MAX: usize = 25_000;

/// How long an answer is waited for when nothing more is asked, and any answer of a handshake.
pub const GRACE: Duration = Duration::from_secs(10);
