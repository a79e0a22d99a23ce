//! The engine's, the storage's and the mesh's numbers as metric families.

use crate::router::Answer;
use crate::session::Node;
use crate::telemetry::MetricsSnapshot;
use engine::shard::call::{PartitionStats, ShardStats};
use engine::shard::{Envelope, Reply, ShardCall};
use runtime::buffers::{ClassStats, PoolStats};
use runtime::{RingStats, TempStats};
use types::{PartitionId, Result};

/// Everything this shard counts.
pub async fn snapshot(node: &Node) -> Result<MetricsSnapshot> {
    let router = &node.router;
    let mut out = node.metrics.snapshot();
    temp(&node.temp.stats(), &mut out);
    buffers(&runtime::buffers::current().stats(), &mut out);
    let envelope = Envelope {
        stamp: router.shard.now(),
        call: ShardCall::Stats,
    };
    if let Some(stats) = runtime::network_stats() {
        network(&stats, &mut out);
    }
    let spread = runtime::spread_stats();
    out.counter(
        "rustydb_connections_handed_over_total",
        "Connections accepted here and served by a shard that had fewer.",
        &[],
        spread.handed,
    );
    out.counter(
        "rustydb_connections_kept_total",
        "Connections served here because too many were on their way to the shard that had fewest.",
        &[],
        spread.kept,
    );
    if let Reply::Stats(stats) = router.shard.handle(envelope).await? {
        shard(&stats, &mut out);
    }
    let mesh = router.port().stats();
    out.counter(
        "rustydb_mesh_calls_total",
        "Calls sent to other shards.",
        &[],
        mesh.calls,
    );
    out.counter(
        "rustydb_mesh_replies_total",
        "Calls of other shards answered.",
        &[],
        mesh.replies,
    );
    out.counter(
        "rustydb_mesh_credit_waits_total",
        "Calls that waited for a credit.",
        &[],
        mesh.credit_waits,
    );
    Ok(out)
}

/// The numbers of all shards, as an answer between shards.
pub async fn answer(node: &Node) -> Answer {
    match snapshot(node).await {
        Ok(snapshot) => Answer::Metrics(Box::new(snapshot)),
        Err(e) => {
            tracing::warn!(error = %e, "numbers not gathered");
            Answer::Done
        }
    }
}

fn temp(stats: &TempStats, out: &mut MetricsSnapshot) {
    let counters = [
        (
            "rustydb_temp_files_total",
            "Temporary files made by operators over their memory.",
            stats.files_made,
        ),
        (
            "rustydb_temp_written_bytes_total",
            "Bytes written to temporary files.",
            stats.bytes_written,
        ),
        (
            "rustydb_temp_read_bytes_total",
            "Bytes read back from temporary files.",
            stats.bytes_read,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, &[], value);
    }
    let gauges = [
        (
            "rustydb_temp_files",
            "Temporary files open.",
            stats.files_open,
        ),
        (
            "rustydb_temp_bytes",
            "Bytes that temporary files take.",
            stats.bytes_held,
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, &[], value as f64);
    }
}

fn network(stats: &RingStats, out: &mut MetricsSnapshot) {
    let gauges = [
        (
            "rustydb_network_ring_operations",
            "Operations of sockets and files under way on the shard's ring.",
            stats.operations,
        ),
        (
            "rustydb_network_ring_buffers_lent",
            "Buffers of 4 KiB that the kernel has to receive into.",
            stats.lent,
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, &[], value as f64);
    }
    let counters = [
        (
            "rustydb_network_ring_enters_total",
            "Calls of io_uring_enter for the shard's ring.",
            stats.enters,
        ),
        (
            "rustydb_network_ring_completions_total",
            "Completions of the shard's ring.",
            stats.completions,
        ),
        (
            "rustydb_network_ring_cancels_total",
            "Operations of the shard's ring that were told to end.",
            stats.cancels,
        ),
        (
            "rustydb_network_ring_starved_total",
            "Times a socket found no buffer lent and read into its own.",
            stats.starved,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, &[], value);
    }
}

fn buffers(stats: &PoolStats, out: &mut MetricsSnapshot) {
    let gauges = [
        (
            "rustydb_buffer_bytes_max",
            "What the shard's buffers may take together.",
            stats.bytes_max,
        ),
        (
            "rustydb_buffer_bytes",
            "What they take.",
            stats.bytes_in_use,
        ),
        (
            "rustydb_buffer_bytes_high_water",
            "The most they took since the start.",
            stats.bytes_high_water,
        ),
        (
            "rustydb_buffer_bytes_free",
            "Memory of buffers that is held ready.",
            stats.bytes_free,
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, &[], value as f64);
    }
    for class in &stats.classes {
        buffer_class(class, out);
    }
}

fn buffer_class(s: &ClassStats, out: &mut MetricsSnapshot) {
    let labels = [("class", s.class.name())];
    let gauges = [
        (
            "rustydb_buffers_max",
            "Buffers of the class that can be in use at once.",
            s.ceiling,
        ),
        ("rustydb_buffers_in_use", "Buffers in use.", s.in_use),
        (
            "rustydb_buffers_high_water",
            "The most that were in use since the start.",
            s.high_water,
        ),
        ("rustydb_buffers_free", "Buffers held ready.", s.free),
        ("rustydb_buffers_waiting", "Who waits for one.", s.waiting),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, &labels, value as f64);
    }
    let counters = [
        ("rustydb_buffers_taken_total", "Buffers taken.", s.taken),
        (
            "rustydb_buffers_refused_total",
            "Buffers that would have been welcome and were not to be had at once.",
            s.refused,
        ),
        ("rustydb_buffers_waits_total", "Waits for one.", s.waits),
        (
            "rustydb_buffers_wait_nanoseconds_total",
            "Time spent in them and in the writes that they make durable.",
            s.wait_ns,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, &labels, value);
    }
}

fn shard(stats: &ShardStats, out: &mut MetricsSnapshot) {
    out.gauge(
        "rustydb_snapshots_open",
        "Snapshots open on the shard.",
        &[],
        stats.snapshots_open as f64,
    );
    out.counter(
        "rustydb_shard_calls_total",
        "Calls the shard has handled, its own included.",
        &[],
        stats.calls,
    );
    for p in &stats.partitions {
        partition(p, out);
        store(p, out);
        fenced(p.partition, p.fenced.is_some(), out);
    }
    for (p, _) in &stats.lost {
        fenced(*p, true, out);
    }
}

fn fenced(partition: PartitionId, is: bool, out: &mut MetricsSnapshot) {
    out.gauge(
        "rustydb_partition_fenced",
        "1 when the partition is out of service.",
        &[("partition", partition.to_string().as_str())],
        f64::from(u8::from(is)),
    );
}

fn partition(p: &PartitionStats, out: &mut MetricsSnapshot) {
    let partition = p.partition.to_string();
    let labels = [("partition", partition.as_str())];
    let counters = [
        (
            "rustydb_partition_commits_total",
            "Commits carried out in the partition.",
            p.commits,
        ),
        (
            "rustydb_partition_prepares_total",
            "Transactions prepared for two-phase commit.",
            p.prepares,
        ),
        (
            "rustydb_partition_aborts_total",
            "Transactions rolled back in the partition.",
            p.aborts,
        ),
        (
            "rustydb_partition_conflicts_total",
            "Writes refused because their snapshot was too old.",
            p.conflicts,
        ),
        (
            "rustydb_partition_versions_pruned_total",
            "Old row versions collected by VACUUM.",
            p.versions_pruned,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, &labels, value);
    }
    let gauges = [
        (
            "rustydb_partition_locks_held",
            "Row and table locks held.",
            p.locks_held,
        ),
        (
            "rustydb_partition_lock_waiters",
            "Statements that wait for a lock.",
            p.lock_waiters,
        ),
        (
            "rustydb_partition_serializable_readers",
            "Serializable transactions whose reads are remembered.",
            p.readers_open,
        ),
        (
            "rustydb_partition_transactions_open",
            "Transactions with a part in the partition.",
            p.txns_open,
        ),
        (
            "rustydb_partition_garbage_queued",
            "Keys whose older versions wait to be collected.",
            p.garbage_queued,
        ),
        (
            "rustydb_partition_garbage_missed",
            "Old versions that did not fit the queue: a sweep collects them.",
            p.garbage_missed,
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, &labels, value as f64);
    }
}

fn store(p: &PartitionStats, out: &mut MetricsSnapshot) {
    let partition = p.partition.to_string();
    let labels = [("partition", partition.as_str())];
    let s = &p.store;
    let counters = [
        (
            "rustydb_pool_hits_total",
            "Pages found in the buffer pool.",
            s.pool_hits,
        ),
        (
            "rustydb_pool_misses_total",
            "Pages that had to be read.",
            s.pool_misses,
        ),
        (
            "rustydb_pool_evictions_total",
            "Pages evicted from the buffer pool.",
            s.pool_evictions,
        ),
        (
            "rustydb_pages_read_total",
            "Pages read from disk.",
            s.pages_read,
        ),
        (
            "rustydb_pages_written_total",
            "Pages written to disk.",
            s.pages_written,
        ),
        (
            "rustydb_wal_records_total",
            "Records appended to the write-ahead log.",
            s.wal_appends,
        ),
        (
            "rustydb_wal_appended_bytes_total",
            "Bytes of records appended.",
            s.wal_appended_bytes,
        ),
        (
            "rustydb_wal_written_bytes_total",
            "Bytes written to the log's files.",
            s.wal_written_bytes,
        ),
        (
            "rustydb_wal_fsyncs_total",
            "Fsyncs of the log: durable writes.",
            s.wal_fsyncs,
        ),
        (
            "rustydb_wal_fsync_nanoseconds_total",
            "Time spent in them and in the writes that they make durable.",
            s.wal_fsync_ns_sum,
        ),
        (
            "rustydb_wal_archived_segments_total",
            "Log segments copied to the archive.",
            s.archive.segments,
        ),
        (
            "rustydb_wal_archive_failures_total",
            "Failed tries to copy one.",
            s.archive.failures,
        ),
        (
            "rustydb_checkpoints_total",
            "Checkpoints completed.",
            s.checkpoints,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, &labels, value);
    }
    let gauges = [
        (
            "rustydb_pool_frames",
            "Frames of the buffer pool.",
            s.pool_frames,
        ),
        (
            "rustydb_pool_dirty_frames",
            "Frames that differ from disk.",
            s.pool_dirty,
        ),
        (
            "rustydb_wal_replay_bytes",
            "Log that the next start would replay.",
            s.wal_replay_bytes,
        ),
        (
            "rustydb_wal_archive_waiting_bytes",
            "Log that is not in the archive yet; 0 without one.",
            s.archive.waiting,
        ),
        (
            "rustydb_pages_allocated",
            "Pages in use.",
            s.pages_allocated,
        ),
        (
            "rustydb_pages_free",
            "Pages free in the file.",
            s.pages_free,
        ),
        (
            "rustydb_data_file_bytes",
            "Size of the page file.",
            s.file_bytes,
        ),
        (
            "rustydb_trees",
            "Tables and indexes with rows in the partition.",
            s.trees,
        ),
    ];
    out.gauge(
        "rustydb_pool_policy",
        "1 for the eviction policy that is in use.",
        &[("partition", partition.as_str()), ("policy", s.policy)],
        1.0,
    );
    for (name, help, value) in gauges {
        out.gauge(name, help, &labels, value as f64);
    }
}
