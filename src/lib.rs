//! The front of RustyDB Shard: everything that serves clients, over the data plane in `shards/`.
//!
//! Each folder is one room; ARCHITECTURE.md has the table of who may import whom, and `tests/tidy` enforces it.

pub mod config;
pub mod middleware;
pub mod net;
pub mod proto;
pub mod router;
pub mod server;
pub mod service;
pub mod session;
pub mod telemetry;
