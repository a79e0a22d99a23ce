//! The counters of one shard's front: plain cells, written by that shard alone.
//!
//! Owns: `Metrics`, one per shard, reached by `Metrics::current()` on it. Asked by: connections, the middleware chain and the
//! server when it gathers. Never: crosses to another shard (`!Send`; only `MetricsSnapshot` does), so counting needs no atomic.
//! Bounds: `REQUEST_FAMILIES_MAX` combinations of protocol, operation and outcome; one more is counted under outcome `other`.

use super::{Latency, MetricsSnapshot};
use hashbrown::HashMap;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use types::{ShardId, SqlState};

/// Combinations of protocol, operation and outcome that are counted apart: 2 × 12 × 20 with room to spare.
pub const REQUEST_FAMILIES_MAX: usize = 512;

/// Only grows.
#[derive(Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Goes up and down.
#[derive(Default)]
pub struct Gauge(Cell<i64>);

impl Gauge {
    pub fn add(&self, n: i64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    pub fn set(&self, n: i64) {
        self.0.set(n);
    }

    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// What a statement does, for its latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Copy,
    Ddl,
    /// BEGIN, COMMIT, ROLLBACK, savepoints.
    Transaction,
    /// SET, SHOW, EXPLAIN and the rest.
    Utility,
}

impl StatementKind {
    pub const ALL: [StatementKind; 9] = [
        StatementKind::Select,
        StatementKind::Insert,
        StatementKind::Update,
        StatementKind::Delete,
        StatementKind::Merge,
        StatementKind::Copy,
        StatementKind::Ddl,
        StatementKind::Transaction,
        StatementKind::Utility,
    ];

    pub fn name(self) -> &'static str {
        match self {
            StatementKind::Select => "select",
            StatementKind::Insert => "insert",
            StatementKind::Update => "update",
            StatementKind::Delete => "delete",
            StatementKind::Merge => "merge",
            StatementKind::Copy => "copy",
            StatementKind::Ddl => "ddl",
            StatementKind::Transaction => "transaction",
            StatementKind::Utility => "utility",
        }
    }
}

/// Numbers of one protocol's connections.
#[derive(Default)]
pub struct Connections {
    pub open: Gauge,
    pub accepted: Counter,
    pub refused: Counter,
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct RequestFamily {
    protocol: &'static str,
    operation: &'static str,
    outcome: Outcome,
}

/// `ok`, or the class of an SQLSTATE: its first two characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Ok,
    Class([u8; 2]),
    Other,
}

/// The counters of one shard.
pub struct Metrics {
    shard: ShardId,
    connections: RefCell<Vec<(&'static str, Rc<Connections>)>>,
    requests: RefCell<HashMap<RequestFamily, u64>>,
    statements: [Latency; StatementKind::ALL.len()],
    /// Statements longer than the configured `slow_statement`.
    pub slow_statements: Counter,
    /// By the server itself.
    pub tables_analyzed: Counter,
    /// Rows sent to clients.
    pub rows_returned: Counter,
    /// Rows that INSERT, UPDATE, DELETE and COPY touched.
    pub rows_affected: Counter,
    pub transactions_committed: Counter,
    pub transactions_aborted: Counter,
    /// Transactions that ended with 40001.
    pub conflicts: Counter,
    /// Transactions that ended with 40P01.
    pub deadlocks: Counter,
    pub lock_waits: Counter,
    pub sessions_open: Gauge,
    pub requests_running: Gauge,
    pub plan_cache_hits: Counter,
    pub plan_cache_misses: Counter,
    /// Statements that one partition answered, and those that several did.
    pub statements_single: Counter,
    pub statements_scattered: Counter,
    /// Connections or requests that panicked and were contained.
    pub panics: Counter,
}

thread_local! {
    static CURRENT: OnceCell<Rc<Metrics>> = const { OnceCell::new() };
}

impl Metrics {
    pub fn new(shard: ShardId) -> Metrics {
        Metrics {
            shard,
            connections: RefCell::default(),
            requests: RefCell::default(),
            statements: Default::default(),
            slow_statements: Counter::default(),
            tables_analyzed: Counter::default(),
            rows_returned: Counter::default(),
            rows_affected: Counter::default(),
            transactions_committed: Counter::default(),
            transactions_aborted: Counter::default(),
            conflicts: Counter::default(),
            deadlocks: Counter::default(),
            lock_waits: Counter::default(),
            sessions_open: Gauge::default(),
            requests_running: Gauge::default(),
            plan_cache_hits: Counter::default(),
            plan_cache_misses: Counter::default(),
            statements_single: Counter::default(),
            statements_scattered: Counter::default(),
            panics: Counter::default(),
        }
    }

    /// The metrics of the shard that runs this thread.
    pub fn current() -> Rc<Metrics> {
        CURRENT.with(|current| {
            current
                .get_or_init(|| Rc::new(Metrics::new(runtime::current_shard())))
                .clone()
        })
    }

    /// Connection numbers of a protocol; keep the `Rc` as long as the connection.
    pub fn connections(&self, protocol: &'static str) -> Rc<Connections> {
        let mut all = self.connections.borrow_mut();
        if let Some((_, found)) = all.iter().find(|(name, _)| *name == protocol) {
            return found.clone();
        }
        let made = Rc::new(Connections::default());
        all.push((protocol, made.clone()));
        made
    }

    /// Counts a finished request. `outcome`: `None` is success.
    pub fn request(
        &self,
        protocol: &'static str,
        operation: &'static str,
        outcome: Option<SqlState>,
    ) {
        let outcome = match outcome {
            None => Outcome::Ok,
            Some(SqlState([a, b, ..])) => Outcome::Class([a, b]),
        };
        let mut family = RequestFamily {
            protocol,
            operation,
            outcome,
        };
        let mut requests = self.requests.borrow_mut();
        if requests.len() >= REQUEST_FAMILIES_MAX && !requests.contains_key(&family) {
            family.outcome = Outcome::Other;
        }
        *requests.entry(family).or_insert(0) += 1;
    }

    /// Records how long a statement took, from its start to its last row.
    pub fn statement(&self, kind: StatementKind, duration: Duration) {
        self.statements[kind as usize].record(duration);
    }

    /// Copies every number out.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let mut out = MetricsSnapshot::new(self.shard);
        self.snapshot_connections(&mut out);
        self.snapshot_requests(&mut out);
        self.snapshot_statements(&mut out);
        self.snapshot_transactions(&mut out);
        if self.shard == ShardId(0) {
            // Of the process, so only one shard says it.
            out.counter(
                "rustydb_log_lines_dropped_total",
                "Log lines that standard error did not take in time",
                &[],
                super::lines_dropped(),
            );
        }
        out
    }

    fn snapshot_connections(&self, out: &mut MetricsSnapshot) {
        for (protocol, c) in self.connections.borrow().iter() {
            let labels = [("protocol", *protocol)];
            out.gauge(
                "rustydb_connections_open",
                "Connections open now",
                &labels,
                c.open.get() as f64,
            );
            for (name, help, value) in [
                (
                    "rustydb_connections_accepted_total",
                    "Connections accepted",
                    &c.accepted,
                ),
                (
                    "rustydb_connections_refused_total",
                    "Connections refused for want of a slot",
                    &c.refused,
                ),
                (
                    "rustydb_received_bytes_total",
                    "Bytes received from clients",
                    &c.received_bytes,
                ),
                (
                    "rustydb_sent_bytes_total",
                    "Bytes sent to clients",
                    &c.sent_bytes,
                ),
            ] {
                out.counter(name, help, &labels, value.get());
            }
        }
        out.gauge(
            "rustydb_sessions_open",
            "Sessions open now",
            &[],
            self.sessions_open.get() as f64,
        );
    }

    fn snapshot_requests(&self, out: &mut MetricsSnapshot) {
        for (family, count) in self.requests.borrow().iter() {
            let outcome = match &family.outcome {
                Outcome::Ok => "ok",
                Outcome::Class(class) => std::str::from_utf8(class).unwrap_or("other"),
                Outcome::Other => "other",
            };
            out.counter(
                "rustydb_requests_total",
                "Requests finished, by outcome: ok or the class of the SQLSTATE",
                &[
                    ("protocol", family.protocol),
                    ("operation", family.operation),
                    ("outcome", outcome),
                ],
                *count,
            );
        }
        out.gauge(
            "rustydb_requests_running",
            "Requests running now",
            &[],
            self.requests_running.get() as f64,
        );
    }

    fn snapshot_statements(&self, out: &mut MetricsSnapshot) {
        for kind in StatementKind::ALL {
            let Some(latency) = self.statements[kind as usize].snapshot() else {
                continue;
            };
            for (quantile, seconds) in &latency.quantiles {
                out.gauge(
                    "rustydb_statement_quantile_seconds",
                    "Statement latency since the start, by quantile",
                    &[("kind", kind.name()), ("quantile", &quantile.to_string())],
                    *seconds,
                );
            }
            out.gauge(
                "rustydb_statement_max_seconds",
                "Longest statement since the start",
                &[("kind", kind.name())],
                latency.max_seconds,
            );
            out.latency(
                "rustydb_statement_duration_seconds",
                "Statement latency",
                &[("kind", kind.name())],
                latency,
            );
        }
        self.snapshot_work(out);
    }

    fn snapshot_work(&self, out: &mut MetricsSnapshot) {
        for (name, help, value) in [
            (
                "rustydb_slow_statements_total",
                "Statements longer than slow_statement",
                &self.slow_statements,
            ),
            (
                "rustydb_tables_analyzed_total",
                "Tables that the server analyzed by itself",
                &self.tables_analyzed,
            ),
            (
                "rustydb_rows_returned_total",
                "Rows sent to clients",
                &self.rows_returned,
            ),
            (
                "rustydb_rows_affected_total",
                "Rows inserted, updated, deleted or copied in",
                &self.rows_affected,
            ),
            (
                "rustydb_plan_cache_hits_total",
                "Statements whose plan was cached",
                &self.plan_cache_hits,
            ),
            (
                "rustydb_plan_cache_misses_total",
                "Statements that were planned",
                &self.plan_cache_misses,
            ),
            (
                "rustydb_statements_single_total",
                "Statements that one partition answered",
                &self.statements_single,
            ),
            (
                "rustydb_statements_scattered_total",
                "Statements that several partitions answered",
                &self.statements_scattered,
            ),
            (
                "rustydb_panics_total",
                "Connections or requests that panicked and were contained",
                &self.panics,
            ),
        ] {
            out.counter(name, help, &[], value.get());
        }
    }

    fn snapshot_transactions(&self, out: &mut MetricsSnapshot) {
        for (name, help, value) in [
            (
                "rustydb_transactions_committed_total",
                "Transactions committed",
                &self.transactions_committed,
            ),
            (
                "rustydb_transactions_aborted_total",
                "Transactions rolled back",
                &self.transactions_aborted,
            ),
            (
                "rustydb_conflicts_total",
                "Transactions refused with 40001",
                &self.conflicts,
            ),
            (
                "rustydb_deadlocks_total",
                "Transactions refused with 40P01",
                &self.deadlocks,
            ),
            (
                "rustydb_lock_waits_total",
                "Waits for a row lock",
                &self.lock_waits,
            ),
        ] {
            out.counter(name, help, &[], value.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Kind;

    fn requests(snapshot: &MetricsSnapshot) -> Vec<(String, u64)> {
        let mut found: Vec<(String, u64)> = snapshot
            .samples
            .iter()
            .filter(|s| s.name == "rustydb_requests_total")
            .map(|s| match s.kind {
                Kind::Counter(n) => (s.labels[2].1.to_string(), n),
                _ => panic!("not a counter"),
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn requests_are_counted_by_the_class_of_their_outcome() {
        let metrics = Metrics::new(ShardId(0));
        metrics.request("http", "query", None);
        metrics.request("http", "query", None);
        metrics.request("http", "query", Some(SqlState::UNIQUE_VIOLATION));
        metrics.request("http", "query", Some(SqlState::NOT_NULL_VIOLATION));
        let found = requests(&metrics.snapshot());
        assert_eq!(found, [("23".to_owned(), 2), ("ok".to_owned(), 2)]);
    }

    #[test]
    fn request_families_are_bounded_and_nothing_is_lost_beyond() {
        let metrics = Metrics::new(ShardId(0));
        let outcomes = REQUEST_FAMILIES_MAX + 10;
        for i in 0..outcomes {
            let class = [
                b'A' + (i / 26) as u8,
                b'A' + (i % 26) as u8,
                b'0',
                b'0',
                b'0',
            ];
            metrics.request("http", "query", Some(SqlState(class)));
        }
        let found = requests(&metrics.snapshot());
        assert_eq!(found.len(), REQUEST_FAMILIES_MAX + 1);
        assert_eq!(found.iter().map(|(_, n)| n).sum::<u64>(), outcomes as u64);
        assert!(found.contains(&("other".to_owned(), 10)));
    }

    #[test]
    fn a_statement_without_latency_has_no_sample() {
        let metrics = Metrics::new(ShardId(3));
        metrics.statement(StatementKind::Insert, Duration::from_millis(2));
        let snapshot = metrics.snapshot();
        let kinds: Vec<&str> = snapshot
            .samples
            .iter()
            .filter(|s| matches!(s.kind, Kind::Latency(_)))
            .map(|s| s.labels[0].1.as_ref())
            .collect();
        assert_eq!(kinds, ["insert"]);
        assert_eq!(snapshot.shard, ShardId(3));
    }
}
