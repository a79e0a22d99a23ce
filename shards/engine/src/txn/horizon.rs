//! The horizon: no running or future statement of any shard reads at a timestamp below it.
//!
//! Owns: one word per shard, written by that shard alone: a promise that it will not read below. The horizon is the least
//! of them; versions that only older snapshots could see may go. And how far a backup and an index build are, the other things that shards
//! know of one another without asking. Bounds: one entry per open snapshot, so at most one per
//! connection slot.

use super::backup::BackupProgress;
use super::build::BuildProgress;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{ShardId, Ts};

/// One cache line each, so that shards do not disturb one another.
#[repr(align(64))]
struct Promise(AtomicU64);

/// Shared by all shards.
pub struct Horizon {
    promises: Box<[Promise]>,
    pub backup: BackupProgress,
    pub build: BuildProgress,
}

impl Horizon {
    pub fn new(shards: usize) -> Arc<Horizon> {
        Arc::new(Horizon {
            promises: (0..shards).map(|_| Promise(AtomicU64::new(0))).collect(),
            backup: BackupProgress::default(),
            build: BuildProgress::default(),
        })
    }

    pub fn lowest(&self) -> Ts {
        Ts(self
            .promises
            .iter()
            .map(|p| p.0.load(Ordering::Acquire))
            .min()
            .unwrap_or(0))
    }
}

/// The snapshots open on one shard.
pub struct Snapshots {
    shard: ShardId,
    horizon: Arc<Horizon>,
    open: RefCell<BTreeMap<Ts, usize>>,
}

/// Keeps versions visible at `ts` from being collected; gives way on drop.
pub struct SnapshotGuard {
    pub ts: Ts,
    snapshots: Rc<Snapshots>,
}

impl Snapshots {
    pub fn new(shard: ShardId, horizon: Arc<Horizon>) -> Rc<Snapshots> {
        Rc::new(Snapshots {
            shard,
            horizon,
            open: RefCell::new(BTreeMap::new()),
        })
    }

    /// Opens a snapshot at `ts`, which must come from this shard's clock just now.
    pub fn open(self: &Rc<Self>, ts: Ts) -> SnapshotGuard {
        *self.open.borrow_mut().entry(ts).or_insert(0) += 1;
        self.promise(ts);
        SnapshotGuard {
            ts,
            snapshots: self.clone(),
        }
    }

    /// Renews this shard's promise; called by a timer too, so that an idle shard does not hold the horizon back.
    pub fn promise(&self, now: Ts) {
        let lowest = self
            .open
            .borrow()
            .keys()
            .next()
            .copied()
            .unwrap_or(now)
            .min(now);
        if let Some(promise) = self.horizon.promises.get(usize::from(self.shard.0)) {
            promise.0.store(lowest.0, Ordering::Release);
        }
    }

    pub fn lowest(&self) -> Ts {
        self.horizon.lowest()
    }

    pub fn horizon(&self) -> &Arc<Horizon> {
        &self.horizon
    }

    pub fn count(&self) -> usize {
        self.open.borrow().values().sum()
    }
}

impl Drop for SnapshotGuard {
    fn drop(&mut self) {
        let mut open = self.snapshots.open.borrow_mut();
        if let Some(n) = open.get_mut(&self.ts) {
            *n -= 1;
            if *n == 0 {
                open.remove(&self.ts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_snapshot_of_any_shard_holds_the_horizon() {
        let horizon = Horizon::new(2);
        let a = Snapshots::new(ShardId(0), horizon.clone());
        let b = Snapshots::new(ShardId(1), horizon.clone());
        b.promise(Ts(50));
        let old = a.open(Ts(10));
        let _young = a.open(Ts(40));
        assert_eq!(horizon.lowest(), Ts(10));
        drop(old);
        a.promise(Ts(60));
        assert_eq!(horizon.lowest(), Ts(40));
    }
}
