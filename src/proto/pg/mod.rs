//! PostgreSQL's wire protocol, version 3.0 and 3.2.
//!
//! Owns: everything a PostgreSQL client sees: frames, messages, errors, the simple and the extended flow, COPY.
//! Asked by: `server` gives `serve` to `net::sql_port`. Never: runs a statement; that is what the door is for.
//! Bounds: see `wire` (buffers) and `Options` (frame length, times). Portals are as many as the session allows.
//! Map: `framing` and `codec` read bytes, `encode`, `values` and `error` write them (all pure); `wire` owns the
//! socket; `startup`, `conn`, `extended` and `results` are the conversation.
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol".

pub mod codec;
mod conn;
pub mod encode;
pub mod error;
mod extended;
pub mod framing;
mod results;
mod startup;
mod switches;
mod values;
mod whole;
mod wire;

#[cfg(test)]
mod tests;

pub use conn::{Options, serve, serve_stream};
