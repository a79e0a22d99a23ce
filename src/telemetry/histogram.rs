//! Latencies of one shard: a high dynamic range histogram that costs a few nanoseconds to record into.
//!
//! Owns: `Latency` (on its shard) and `LatencySnapshot` (may leave it). Asked by: `metrics`.
//! Never: loses a value; one beyond the range is counted at its edge.
//! Bounds: 1 µs to 1 h in two significant digits, about 26 KiB each, allocated at the first record.
//! Source: hdrhistogram.org; buckets as Prometheus wants them, chosen from 100 µs to 30 s (the default statement timeout).

use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::time::Duration;

const MICROS_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;

/// Upper edges of the exported buckets in microseconds.
const EDGES_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000, 10_000_000, 30_000_000,
];
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Durations as one shard measured them.
#[derive(Default)]
pub struct Latency(RefCell<Option<Recorded>>);

struct Recorded {
    histogram: Histogram<u64>,
    sum_micros: u64,
}

/// A copy that may leave the shard.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencySnapshot {
    pub count: u64,
    pub sum_seconds: f64,
    pub max_seconds: f64,
    /// Upper edge in seconds, count within (not cumulative); the last edge is `f64::INFINITY`, printed as +Inf.
    pub buckets: Vec<(f64, u64)>,
    /// Quantile, seconds; within 1 % of the truth.
    pub quantiles: Vec<(f64, f64)>,
}

impl Latency {
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let mut recorded = self.0.borrow_mut();
        if recorded.is_none() {
            // The bounds are constants that hdrhistogram accepts; were they not, latencies would be absent, not wrong.
            *recorded = Histogram::new_with_bounds(1, MICROS_MAX, SIGNIFICANT_DIGITS)
                .ok()
                .map(|histogram| Recorded {
                    histogram,
                    sum_micros: 0,
                });
        }
        if let Some(recorded) = recorded.as_mut() {
            recorded.histogram.saturating_record(micros.max(1));
            recorded.sum_micros = recorded.sum_micros.saturating_add(micros);
        }
    }

    /// `None` when nothing was recorded.
    pub fn snapshot(&self) -> Option<LatencySnapshot> {
        let recorded = self.0.borrow();
        let Recorded {
            histogram,
            sum_micros,
        } = recorded.as_ref()?;
        let mut buckets: Vec<(f64, u64)> = EDGES_MICROS
            .iter()
            .map(|edge| (*edge as f64 / 1e6, 0))
            .chain([(f64::INFINITY, 0)])
            .collect();
        for value in histogram.iter_recorded() {
            let micros = value.value_iterated_to();
            let at = EDGES_MICROS.partition_point(|edge| *edge < micros);
            buckets[at].1 += value.count_at_value();
        }
        let seconds = |micros: u64| micros as f64 / 1e6;
        Some(LatencySnapshot {
            count: histogram.len(),
            sum_seconds: seconds(*sum_micros),
            max_seconds: seconds(histogram.max()),
            buckets,
            quantiles: QUANTILES
                .iter()
                .map(|q| (*q, seconds(histogram.value_at_quantile(*q))))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_counted_in_one_bucket_even_beyond_the_range() {
        let latency = Latency::default();
        assert_eq!(latency.snapshot(), None);
        for duration in [
            Duration::ZERO,
            Duration::from_micros(99),
            Duration::from_millis(3),
            Duration::from_secs(31),
            Duration::MAX,
        ] {
            latency.record(duration);
        }
        let snapshot = latency.snapshot().unwrap();
        assert_eq!(snapshot.count, 5);
        let counted: u64 = snapshot.buckets.iter().map(|(_, n)| n).sum();
        assert_eq!(counted, 5);
        assert_eq!(snapshot.buckets[0], (0.0001, 2));
        assert_eq!(snapshot.buckets[5], (0.005, 1));
        assert_eq!(snapshot.buckets.last(), Some(&(f64::INFINITY, 2)));
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let latency = Latency::default();
        for micros in 1..=10_000 {
            latency.record(Duration::from_micros(micros));
        }
        for (quantile, seconds) in latency.snapshot().unwrap().quantiles {
            let truth = quantile * 0.01;
            assert!((seconds - truth).abs() <= truth * 0.01, "{quantile}");
        }
    }
}
