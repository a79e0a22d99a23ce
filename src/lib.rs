//! The front of RustyDB Shard: everything that serves clients, over the data plane in `shards/`.
//!
//! Each folder is one room; ARCHITECTURE.md has the table of who may import whom, and `tests/tidy` enforces it.

pub mod service;
