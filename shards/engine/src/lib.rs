//! The engine: what a shard does with its partitions, over bytes (`storage`) and below protocols and SQL text.
//!
//! Owns: transactions, catalog, plans as data, operators, and `Shard`, which answers the closed list of `ShardCall`s.
//! Asked by: the front's router and session, through `Shard::handle` alone. Never: knows a protocol, SQL text, a socket.

pub mod catalog;
pub mod codec;
pub mod exec;
#[cfg(test)]
mod golden_tests;
pub mod plan;
pub mod shard;
pub mod txn;
