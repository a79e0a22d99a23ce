//! How far the index build of the process is.
//!
//! Owns: one build's numbers. There is never more than one: who builds holds the catalog's lock. Crosses cores; nothing waits for it.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

#[derive(Default)]
pub struct BuildProgress {
    /// The backend that builds; 0 when none does.
    pid: AtomicI32,
    database: AtomicU32,
    table: AtomicU32,
    index: AtomicU32,
    /// Of REINDEX rather than CREATE INDEX.
    again: AtomicU8,
    rows: AtomicU64,
    partitions: AtomicU64,
    partitions_done: AtomicU64,
}

/// What is shown of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Building {
    pub pid: i32,
    /// Oid of the database it is in.
    pub database: u32,
    pub table: u32,
    pub index: u32,
    pub again: bool,
    /// Rows of the table that have been read.
    pub rows: u64,
    pub partitions: u64,
    pub partitions_done: u64,
}

/// Ends what is shown when it goes.
pub struct BuildGuard<'a>(&'a BuildProgress);

impl BuildProgress {
    pub fn begin(&self, of: Building) -> BuildGuard<'_> {
        self.database.store(of.database, Ordering::Relaxed);
        self.table.store(of.table, Ordering::Relaxed);
        self.index.store(of.index, Ordering::Relaxed);
        self.again.store(u8::from(of.again), Ordering::Relaxed);
        self.rows.store(of.rows, Ordering::Relaxed);
        self.partitions.store(of.partitions, Ordering::Relaxed);
        self.partitions_done
            .store(of.partitions_done, Ordering::Relaxed);
        self.pid.store(of.pid, Ordering::Release);
        BuildGuard(self)
    }

    pub fn now(&self) -> Option<Building> {
        match self.pid.load(Ordering::Acquire) {
            0 => None,
            pid => Some(Building {
                pid,
                database: self.database.load(Ordering::Relaxed),
                table: self.table.load(Ordering::Relaxed),
                index: self.index.load(Ordering::Relaxed),
                again: self.again.load(Ordering::Relaxed) == 1,
                rows: self.rows.load(Ordering::Relaxed),
                partitions: self.partitions.load(Ordering::Relaxed),
                partitions_done: self.partitions_done.load(Ordering::Relaxed),
            }),
        }
    }
}

impl BuildGuard<'_> {
    pub fn rows(&self, more: u64) {
        self.0.rows.fetch_add(more, Ordering::Relaxed);
    }

    pub fn partition_done(&self) {
        self.0.partitions_done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for BuildGuard<'_> {
    fn drop(&mut self) {
        self.0.pid.store(0, Ordering::Release);
    }
}
