//! Versions that nobody will see any more.
//!
//! Owns: the keys that got a version over an older one, or a deletion, in the order of their commits: once the horizon has
//! passed a commit, what its keys had before may go. Asked by: commits, which put keys in and take about as many out, so
//! that garbage does not grow faster than it is collected; and by the shard's tick, which takes out the rest.
//! Never: scans a tree to find garbage, but where the queue was full: such trees are swept, like all of them by VACUUM.
//! Bounds: `QUEUE_BYTES_MAX`; one over it counts against its tree. A crash forgets the queue: what was in it stays until
//! its key is written again or VACUUM comes.

use super::partition::Partition;
use super::versions;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use types::{Result, TreeId, Ts};

/// Memory of the queue's keys.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// Memory of an entry besides its key.
const ENTRY_OVERHEAD: usize = 48;
/// Entries that a commit takes out for each one that it may put in.
const PER_WRITE: usize = 2;
/// Cells a sweep looks at between two looks at the clock.
const SWEEP_RUN: usize = 256;
/// A tree is swept by itself when it has at least this many, and one in five of its cells, to collect.
const SWEEP_MIN: u64 = 1_000;

struct Entry {
    ts: Ts,
    tree: TreeId,
    key: Vec<u8>,
}

#[derive(Default)]
pub struct Garbage {
    queue: RefCell<VecDeque<Entry>>,
    bytes: Cell<usize>,
    /// Versions that did not fit the queue.
    missed: RefCell<HashMap<TreeId, u64>>,
    sweeping: Cell<bool>,
}

impl Garbage {
    /// The key got a version at `ts` and has older ones, or that is a deletion.
    pub(super) fn push(&self, ts: Ts, tree: TreeId, key: &[u8]) {
        self.push_within(QUEUE_BYTES_MAX, ts, tree, key);
    }

    fn push_within(&self, bytes_max: usize, ts: Ts, tree: TreeId, key: &[u8]) {
        let bytes = self.bytes.get() + key.len() + ENTRY_OVERHEAD;
        if bytes > bytes_max {
            *self.missed.borrow_mut().entry(tree).or_insert(0) += 1;
            return;
        }
        self.bytes.set(bytes);
        let key = key.to_vec();
        self.queue.borrow_mut().push_back(Entry { ts, tree, key });
    }

    /// The oldest entry if the horizon has passed it.
    fn pop(&self, horizon: Ts) -> Option<Entry> {
        let mut queue = self.queue.borrow_mut();
        // Commits come nearly in the order of their times: one that is late waits for those before it.
        let entry = queue.pop_front_if(|e| e.ts <= horizon)?;
        self.bytes
            .set(self.bytes.get() - entry.key.len() - ENTRY_OVERHEAD);
        Some(entry)
    }

    /// Keys that wait, and versions that a sweep has to find.
    pub fn len(&self) -> (usize, u64) {
        let missed = self.missed.borrow().values().sum();
        (self.queue.borrow().len(), missed)
    }
}

impl Partition {
    /// Collects about as much as `writes` writes may leave behind.
    pub(super) async fn collect_for(&self, writes: usize, horizon: Ts) -> Result<()> {
        self.collect(PER_WRITE * writes, horizon).await.map(drop)
    }

    async fn collect(&self, entries_max: usize, horizon: Ts) -> Result<bool> {
        for n in 0..entries_max {
            let Some(entry) = self.garbage.pop(horizon) else {
                return Ok(false);
            };
            let taken = versions::prune(&self.store, entry.tree, &entry.key, horizon).await?;
            self.pruned(taken);
            if n % 64 == 63 {
                runtime::yield_if_needed().await;
            }
        }
        Ok(true)
    }

    /// Everything the horizon has passed; sweeps trees that have much more.
    pub async fn collect_garbage(&self) -> Result<()> {
        while self.collect(SWEEP_RUN, self.snapshots.lowest()).await? {
            runtime::yield_now().await;
        }
        if self.garbage.sweeping.get() {
            return Ok(());
        }
        let due: Vec<TreeId> = {
            let missed = self.garbage.missed.borrow();
            let enough = |tree: TreeId, n: u64| n >= SWEEP_MIN.max(self.store.tree_cells(tree) / 5);
            let due = missed.iter().filter(|(tree, n)| enough(**tree, **n));
            due.map(|(tree, _)| *tree).collect()
        };
        for tree in due {
            self.vacuum(tree).await?;
        }
        Ok(())
    }

    /// Collects garbage in one tree; returns how many versions it took.
    pub async fn vacuum(&self, tree: TreeId) -> Result<u64> {
        self.check()?;
        let _sweeping = Sweeping::begin(&self.garbage.sweeping);
        self.garbage.missed.borrow_mut().remove(&tree);
        let (mut from, mut total) = (Vec::new(), 0);
        loop {
            let horizon = self.snapshots.lowest();
            let (next, taken) =
                versions::sweep(&self.store, tree, &from, SWEEP_RUN, horizon).await?;
            total += taken;
            self.pruned(taken);
            match next {
                Some(key) => from = key,
                None => return Ok(total),
            }
            runtime::yield_now().await;
        }
    }

    fn pruned(&self, versions: u64) {
        let pruned = &self.counters.versions_pruned;
        pruned.set(pruned.get() + versions);
    }
}

/// However the sweep ends.
struct Sweeping<'a>(&'a Cell<bool>);

impl<'a> Sweeping<'a> {
    fn begin(flag: &'a Cell<bool>) -> Sweeping<'a> {
        flag.set(true);
        Sweeping(flag)
    }
}

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_in_order_once_the_horizon_has_passed_them() {
        let garbage = Garbage::default();
        for ts in 1..=3 {
            garbage.push(Ts(ts), TreeId(7), &[ts as u8]);
        }
        let mut taken = Vec::new();
        while let Some(entry) = garbage.pop(Ts(2)) {
            taken.push(entry.key);
        }
        assert_eq!(taken, [vec![1], vec![2]]);
        assert_eq!(garbage.len(), (1, 0));
    }

    #[test]
    fn one_entry_over_the_ceiling_is_left_to_a_sweep_and_room_comes_back() {
        let garbage = Garbage::default();
        let max = 2 * (1 + ENTRY_OVERHEAD);
        for ts in 1..=3 {
            garbage.push_within(max, Ts(ts), TreeId(7), &[ts as u8]);
        }
        assert_eq!(garbage.len(), (2, 1));
        assert!(garbage.pop(Ts(9)).is_some());
        garbage.push_within(max, Ts(4), TreeId(7), &[4]);
        assert_eq!(garbage.len(), (2, 1));
    }
}
