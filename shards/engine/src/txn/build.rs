//! How far the index builds of the process are.
//!
//! Owns: their numbers. Of those that keep writers out there is one at a time, as who builds holds the catalog's lock; those of
//! CONCURRENTLY run beside one another. Crosses cores; nothing waits for it. Bounds: `BUILDS_MAX` at once (53400 for one more).

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};
use types::{Error, Result, SqlState};

pub const BUILDS_MAX: usize = 16;

#[derive(Default)]
pub struct BuildProgress {
    slots: [Slot; BUILDS_MAX],
    running: AtomicU32,
}

#[derive(Default)]
struct Slot {
    taken: AtomicBool,
    /// The backend that builds; 0 when nothing is to be shown.
    pid: AtomicI32,
    database: AtomicU32,
    table: AtomicU32,
    index: AtomicU32,
    command: AtomicU8,
    phase: AtomicU8,
    lockers: AtomicU64,
    lockers_done: AtomicU64,
    rows: AtomicU64,
    partitions: AtomicU64,
    partitions_done: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    #[default]
    Create,
    CreateConcurrently,
    Reindex,
}

/// What it does, as PostgreSQL calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    Initializing,
    /// Who has written before the index was there.
    WaitingForWriters,
    #[default]
    Building,
    WaitingForSnapshots,
}

impl Command {
    pub fn name(self) -> &'static str {
        match self {
            Command::Create => "CREATE INDEX",
            Command::CreateConcurrently => "CREATE INDEX CONCURRENTLY",
            Command::Reindex => "REINDEX",
        }
    }

    fn of(n: u8) -> Command {
        match n {
            0 => Command::Create,
            1 => Command::CreateConcurrently,
            _ => Command::Reindex,
        }
    }
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Initializing => "initializing",
            Phase::WaitingForWriters => "waiting for writers before build",
            Phase::Building => "building index",
            Phase::WaitingForSnapshots => "waiting for old snapshots",
        }
    }

    fn of(n: u8) -> Phase {
        match n {
            0 => Phase::Initializing,
            1 => Phase::WaitingForWriters,
            2 => Phase::Building,
            _ => Phase::WaitingForSnapshots,
        }
    }
}

/// What is shown of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Building {
    pub pid: i32,
    /// Oid of the database it is in.
    pub database: u32,
    pub table: u32,
    pub index: u32,
    pub command: Command,
    pub phase: Phase,
    /// Transactions that are waited for, and how many of them have ended.
    pub lockers: u64,
    pub lockers_done: u64,
    /// Rows of the table that have been read.
    pub rows: u64,
    pub partitions: u64,
    pub partitions_done: u64,
}

/// Ends what is shown when it goes.
pub struct BuildGuard<'a> {
    slot: &'a Slot,
    running: &'a AtomicU32,
}

impl BuildProgress {
    /// 53400 when there are too many.
    pub fn begin(&self, of: Building) -> Result<BuildGuard<'_>> {
        let free = self.slots.iter().find(|s| {
            let taken = &s.taken;
            let claimed = taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
            claimed.is_ok()
        });
        let Some(slot) = free else {
            return Err(Error::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("{BUILDS_MAX} indexes are being built already"),
            ));
        };
        slot.database.store(of.database, Ordering::Relaxed);
        slot.table.store(of.table, Ordering::Relaxed);
        slot.index.store(of.index, Ordering::Relaxed);
        slot.command.store(of.command as u8, Ordering::Relaxed);
        slot.phase.store(of.phase as u8, Ordering::Relaxed);
        slot.lockers.store(of.lockers, Ordering::Relaxed);
        slot.lockers_done.store(of.lockers_done, Ordering::Relaxed);
        slot.rows.store(of.rows, Ordering::Relaxed);
        slot.partitions.store(of.partitions, Ordering::Relaxed);
        slot.partitions_done
            .store(of.partitions_done, Ordering::Relaxed);
        slot.pid.store(of.pid, Ordering::Release);
        self.running.fetch_add(1, Ordering::AcqRel);
        Ok(BuildGuard {
            slot,
            running: &self.running,
        })
    }

    pub fn now(&self) -> Vec<Building> {
        if self.running.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.slots.iter().filter_map(Slot::now).collect()
    }
}

impl Slot {
    fn now(&self) -> Option<Building> {
        let pid = self.pid.load(Ordering::Acquire);
        (pid != 0).then(|| Building {
            pid,
            database: self.database.load(Ordering::Relaxed),
            table: self.table.load(Ordering::Relaxed),
            index: self.index.load(Ordering::Relaxed),
            command: Command::of(self.command.load(Ordering::Relaxed)),
            phase: Phase::of(self.phase.load(Ordering::Relaxed)),
            lockers: self.lockers.load(Ordering::Relaxed),
            lockers_done: self.lockers_done.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            partitions: self.partitions.load(Ordering::Relaxed),
            partitions_done: self.partitions_done.load(Ordering::Relaxed),
        })
    }
}

impl BuildGuard<'_> {
    /// What it builds, once that is known.
    pub fn of(&self, table: u32, index: u32) {
        self.slot.table.store(table, Ordering::Relaxed);
        self.slot.index.store(index, Ordering::Relaxed);
    }

    pub fn phase(&self, phase: Phase) {
        self.slot.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn lockers(&self, all: usize, left: usize) {
        let done = all.saturating_sub(left);
        self.slot.lockers.store(all as u64, Ordering::Relaxed);
        self.slot.lockers_done.store(done as u64, Ordering::Relaxed);
    }

    pub fn rows(&self, more: u64) {
        self.slot.rows.fetch_add(more, Ordering::Relaxed);
    }

    pub fn partition_done(&self) {
        self.slot.partitions_done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for BuildGuard<'_> {
    fn drop(&mut self) {
        self.slot.pid.store(0, Ordering::Release);
        self.slot.taken.store(false, Ordering::Release);
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_build_too_many_is_refused_and_its_place_comes_back() {
        let progress = BuildProgress::default();
        let of = |pid| Building {
            pid,
            ..Building::default()
        };
        let all: Vec<_> = (1..=BUILDS_MAX)
            .map(|pid| progress.begin(of(pid as i32)).unwrap())
            .collect();
        assert_eq!(progress.now().len(), BUILDS_MAX);
        assert!(progress.begin(of(99)).is_err());
        drop(all);
        let guard = progress.begin(of(7)).unwrap();
        guard.phase(Phase::WaitingForWriters);
        guard.lockers(3, 1);
        let shown = progress.now();
        assert_eq!((shown[0].pid, shown[0].lockers_done), (7, 2));
        assert_eq!(shown[0].phase, Phase::WaitingForWriters);
        drop(guard);
        assert!(progress.now().is_empty());
    }
}
