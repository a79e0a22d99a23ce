//! Telemetry: log lines and numbers, both of the shard that makes them.
//!
//! Owns: the `tracing` subscriber (`log`), `Metrics` with the counters of one shard (`metrics`), the snapshot that may leave
//! the shard (`snapshot`) and Prometheus text (`encode`).
//! Asked by: every room of the front. Storage and the engine know nothing of it: the server adds their numbers to a snapshot.
//! Never: makes a number up, takes a lock to count, waits for whoever reads the log.
//! Bounds: request families by protocol × operation × outcome up to `REQUEST_FAMILIES_MAX`; a log line of `LINE_BYTES_MAX`.

pub mod encode;
pub mod histogram;
pub mod log;
pub mod metrics;
pub mod snapshot;

pub use encode::{CONTENT_TYPE, encode};
pub use histogram::{Latency, LatencySnapshot};
pub use log::{LogError, LogOptions, enter_shard, flush, init, lines_dropped};
pub use metrics::{Connections, Counter, Gauge, Metrics, REQUEST_FAMILIES_MAX, StatementKind};
pub use snapshot::{Kind, MetricsSnapshot, Sample};
