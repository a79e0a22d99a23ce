//! Running plans: expression evaluation, functions, aggregates, operators.
//!
//! Owns: the meaning of every expression and operator. Asked by: `Shard` for the part of a plan that runs where the rows
//! are, and by the front's session for the rest. Never: reads a page or a lock; rows come from a `Source`.

pub mod aggregates;
mod batch;
pub mod cast;
pub mod context;
pub mod eval;
pub mod fragment;
pub mod functions;
pub mod memory;
pub mod operators;
pub mod profile;
pub mod resolve;
pub mod sieve;
mod spill;

pub use context::{Context, CursorInfo, SessionInfo};

#[cfg(test)]
mod tests;
