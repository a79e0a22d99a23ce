//! Counters of a store, gathered when asked for.
//!
//! Owns: the snapshot and where each number comes from. Asked by: metrics. Never: a number that nothing counted.

use crate::store::Store;
use crate::writer::By;

/// Counts since the store was opened, and sizes now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Of the pool.
    pub policy: &'static str,
    pub pool_frames: u64,
    pub pool_dirty: u64,
    pub pool_hits: u64,
    pub pool_misses: u64,
    pub pool_evictions: u64,
    /// Pages read, those read ahead of scans among them.
    pub pages_read: u64,
    pub pages_read_ahead: u64,
    /// Of those read ahead, the ones that were used.
    pub pages_read_ahead_used: u64,
    /// All of these: by statements that found no clean frame, by the background writer, by checkpoints.
    pub pages_written: u64,
    pub pages_written_by_statements: u64,
    pub pages_written_by_writer: u64,
    pub pages_written_by_checkpoints: u64,
    pub wal_appends: u64,
    /// Bytes of records, headers included.
    pub wal_appended_bytes: u64,
    /// Bytes written, partial blocks counted each time.
    pub wal_written_bytes: u64,
    pub wal_fsyncs: u64,
    pub wal_fsync_ns_sum: u64,
    pub wal_fsync_ns_max: u64,
    /// Log bytes on disk or in memory that the next start would replay.
    pub wal_replay_bytes: u64,
    pub archive: crate::wal::ArchiveStats,
    pub checkpoints: u64,
    pub checkpoint_ns_last: u64,
    pub pages_allocated: u64,
    pub pages_free: u64,
    /// Freed pages that the next checkpoint makes reusable.
    pub pages_freed: u64,
    pub file_bytes: u64,
    pub trees: u64,
}

impl Store {
    /// Pages found in the pool, and pages read.
    pub fn page_uses(&self) -> (u64, u64) {
        let hits = self.state.borrow().pool.counters.hits.get();
        (hits, self.counters.reads.get())
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.borrow();
        let pool = &state.pool;
        let wal = &self.wal.counters;
        Stats {
            policy: pool.policy().name(),
            pool_frames: pool.frames() as u64,
            pool_dirty: pool.dirty() as u64,
            pool_hits: pool.counters.hits.get(),
            pool_misses: pool.counters.misses.get(),
            pool_evictions: pool.counters.evictions,
            pages_read: self.counters.reads.get(),
            pages_read_ahead: self.ahead.read.get(),
            pages_read_ahead_used: pool.counters.ahead_used.get(),
            pages_written: self.counters.writes.all(),
            pages_written_by_statements: self.counters.writes.of(By::Statement),
            pages_written_by_writer: self.counters.writes.of(By::Writer),
            pages_written_by_checkpoints: self.counters.writes.of(By::Checkpoint),
            wal_appends: wal.appends.get(),
            wal_appended_bytes: wal.bytes.get(),
            wal_written_bytes: wal.written.get(),
            wal_fsyncs: wal.fsyncs.get(),
            wal_fsync_ns_sum: wal.fsync_ns.get(),
            wal_fsync_ns_max: wal.fsync_ns_max.get(),
            wal_replay_bytes: self
                .wal
                .end()
                .saturating_sub(self.last.borrow().superblock.redo.0),
            archive: self.wal.archive_stats(),
            checkpoints: self.counters.checkpoints.get(),
            checkpoint_ns_last: self.counters.checkpoint_ns.get(),
            pages_allocated: u64::from(state.space.used()),
            pages_free: u64::from(state.space.free()),
            pages_freed: state.freed.len() as u64,
            file_bytes: u64::from(state.space.pages().max(state.grown))
                * crate::page::PAGE_BYTES as u64,
            trees: state.trees.len() as u64,
        }
    }
}
