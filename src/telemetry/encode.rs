//! Prometheus text from the snapshots of all shards.
//!
//! Owns: `encode`. Asked by: the server, on the shard that answers `/metrics`. Never: holds a registry between scrapes; the
//! snapshots are the truth. Bounds: linear in samples. Source: the OpenMetrics 1.0 text format, by `prometheus-client`.

use super::snapshot::{Kind, Labels};
use super::{MetricsSnapshot, Sample};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;

/// What `encode` writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of all shards' numbers, each with its `shard` label.
pub fn encode(snapshots: &[MetricsSnapshot]) -> String {
    let mut families: BTreeMap<&'static str, Vec<(String, Sample)>> = BTreeMap::new();
    for snapshot in snapshots {
        let shard = snapshot.shard.to_string();
        for sample in &snapshot.samples {
            let family = families.entry(sample.name).or_default();
            family.push((shard.clone(), sample.clone()));
        }
    }
    for family in families.values_mut() {
        family.sort_by(|(a, x), (b, y)| (&x.labels, a).cmp(&(&y.labels, b)));
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

#[derive(Debug)]
struct Families(BTreeMap<&'static str, Vec<(String, Sample)>>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for (name, samples) in &self.0 {
            let Some((_, first)) = samples.first() else {
                continue;
            };
            let (name, kind) = match first.kind {
                // The encoder appends `_total` to counters.
                Kind::Counter(_) => (
                    name.strip_suffix("_total").unwrap_or(name),
                    MetricType::Counter,
                ),
                Kind::Gauge(_) => (*name, MetricType::Gauge),
                Kind::Latency(_) => (*name, MetricType::Histogram),
            };
            let mut family = encoder.encode_descriptor(name, first.help, None, kind)?;
            for (shard, sample) in samples {
                let labels = ShardLabels(shard, &sample.labels);
                let mut metric = family.encode_family(&labels)?;
                match &sample.kind {
                    Kind::Counter(n) => metric.encode_counter::<NoLabelSet, _, u64>(n, None)?,
                    Kind::Gauge(x) => metric.encode_gauge(x)?,
                    Kind::Latency(l) => metric.encode_histogram::<NoLabelSet>(
                        l.sum_seconds,
                        l.count,
                        &l.buckets,
                        None,
                    )?,
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct ShardLabels<'a>(&'a str, &'a Labels);

impl EncodeLabelSet for ShardLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        for (name, value) in self.1 {
            (*name, value.as_ref()).encode(encoder.encode_label())?;
        }
        ("shard", self.0).encode(encoder.encode_label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Metrics, StatementKind};
    use std::time::Duration;
    use types::ShardId;

    fn two_shards() -> String {
        let (a, b) = (Metrics::new(ShardId(0)), Metrics::new(ShardId(1)));
        a.connections("postgres").accepted.inc();
        b.connections("postgres").accepted.add(2);
        b.statement(StatementKind::Select, Duration::from_millis(3));
        let mut first = a.snapshot();
        first.counter(
            "rustydb_wal_written_bytes_total",
            "Bytes written to the log",
            &[("partition", "7"), ("odd", "a\"b\\c\nd")],
            u64::MAX,
        );
        encode(&[first, b.snapshot()])
    }

    #[test]
    fn each_family_is_described_once_with_a_line_per_shard() {
        let text = two_shards();
        assert_eq!(
            text.matches("# TYPE rustydb_connections_accepted counter\n")
                .count(),
            1
        );
        for line in [
            "rustydb_connections_accepted_total{protocol=\"postgres\",shard=\"0\"} 1\n",
            "rustydb_connections_accepted_total{protocol=\"postgres\",shard=\"1\"} 2\n",
            "rustydb_connections_open{protocol=\"postgres\",shard=\"0\"} 0.0\n",
            "rustydb_statement_duration_seconds_count{kind=\"select\",shard=\"1\"} 1\n",
            "rustydb_statement_duration_seconds_bucket{le=\"0.0025\",kind=\"select\",shard=\"1\"} 0\n",
            "rustydb_statement_duration_seconds_bucket{le=\"0.005\",kind=\"select\",shard=\"1\"} 1\n",
            "rustydb_statement_duration_seconds_bucket{le=\"+Inf\",kind=\"select\",shard=\"1\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn numbers_added_by_the_server_keep_their_value_and_escape_their_labels() {
        let text = two_shards();
        let line = "rustydb_wal_written_bytes_total{partition=\"7\",odd=\"a\\\"b\\\\c\\nd\",shard=\"0\"} 18446744073709551615\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn no_family_is_described_in_two_ways() {
        let text = two_shards();
        let mut described: Vec<&str> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let all = described.len();
        described.sort_unstable();
        described.dedup();
        assert_eq!(all, described.len());
    }
}
