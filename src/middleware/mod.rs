//! The one chain every request passes, whatever its protocol.
//!
//! Owns: the order begin (id, deadline) → authenticate → admit → work → finish (metrics, slow log; on refusals too), and the
//! door's sessions, which are sessions behind the chain. Rate limits and authorization take their places between
//! authenticate and admit when they come. Asked by: server, which hands the chain's sessions to protocols.
//! Never: looks into a request beyond its kind. Bounds: requests waiting or running a shard; one more is refused with 53400.

mod chain;
mod measured;

pub use chain::{Chain, ChainOptions};
