//! What leaves a shard when metrics are gathered: names, labels and numbers, nothing that points back.
//!
//! Owns: `MetricsSnapshot` and `Sample`. Asked by: `metrics` (fills it), the server (adds the numbers of storage, engine and
//! mesh with `counter` and `gauge`, no change of the encoder needed), `encode` (reads it).
//! Never: holds a shard's state; it is `Send`. Bounds: as many samples as there are families and labels in the code.
//! Source: Prometheus naming: `rustydb_` first, the unit last, counters end in `_total`.

use super::LatencySnapshot;
use std::borrow::Cow;
use types::ShardId;

/// What kind of number a sample is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    Latency(LatencySnapshot),
}

pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One number of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With its unit, and for counters `_total`, as it will be printed.
    pub name: &'static str,
    pub help: &'static str,
    /// Without `shard`, which the encoder adds.
    pub labels: Labels,
    pub kind: Kind,
}

/// The numbers of one shard at one moment.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    pub shard: ShardId,
    pub samples: Vec<Sample>,
}

impl MetricsSnapshot {
    pub fn new(shard: ShardId) -> MetricsSnapshot {
        MetricsSnapshot {
            shard,
            samples: Vec::new(),
        }
    }

    /// Adds a counter; `name` ends in `_total`.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) {
        debug_assert!(name.starts_with("rustydb_") && name.ends_with("_total"));
        self.push(name, help, labels, Kind::Counter(value));
    }

    /// Adds a gauge.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        debug_assert!(name.starts_with("rustydb_") && !name.ends_with("_total"));
        self.push(name, help, labels, Kind::Gauge(value));
    }

    /// Adds latencies; `name` ends in `_seconds`.
    pub fn latency(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: LatencySnapshot,
    ) {
        debug_assert!(name.starts_with("rustydb_") && name.ends_with("_seconds"));
        self.push(name, help, labels, Kind::Latency(value));
    }

    fn push(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        kind: Kind,
    ) {
        let labels = labels
            .iter()
            .map(|(name, value)| (*name, Cow::Owned((*value).to_owned())))
            .collect();
        self.samples.push(Sample {
            name,
            help,
            labels,
            kind,
        });
    }
}
