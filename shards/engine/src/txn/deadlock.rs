//! Cycles of waits for locks, over all partitions.
//!
//! Owns: what a wait is, the search for a cycle through one, and the choice of who has to give way: the one that began to
//! wait last, as it has closed the cycle. Asked by: the lock table (`Suspects`), the front, which gathers the waits of all
//! shards. Never: ends a wait by itself. A wait that is gone when the others are looked at could make a cycle that never
//! was; so the front looks twice, and a cycle counts when every wait of it is the same both times: locks are given back
//! at the end of a transaction alone, so all of them were there in between.
//! Bounds: a wait is a running statement; the search visits each once.
//! Source: PostgreSQL 15, `deadlock_timeout`; Obermarck 1982 for the looking twice.

use hashbrown::{HashMap, HashSet};
use runtime::sync::Notify;
use std::cell::RefCell;
use std::time::Duration;
use types::{PartitionId, TableId, Xid};

/// How long a wait is before it is suspected.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// One statement's wait for one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub waiter: Xid,
    /// Those who have the lock, or are to have it first.
    pub holders: Vec<Xid>,
    pub partition: PartitionId,
    pub table: TableId,
    /// Of a row; otherwise of the whole table.
    pub row: bool,
    /// Tells it from other waits in the partition.
    pub number: u64,
    /// On the machine's monotonic clock.
    pub since_ns: u64,
}

impl Wait {
    fn same(&self, other: &Wait) -> bool {
        (self.waiter, self.partition, self.number) == (other.waiter, other.partition, other.number)
    }
}

/// The waits of a cycle through `suspect`, each for the next one's waiter, and the last for the first's.
pub fn cycle(waits: &[Wait], suspect: Xid) -> Option<Vec<Wait>> {
    let mut of: HashMap<Xid, Vec<&Wait>> = HashMap::new();
    for wait in waits {
        of.entry(wait.waiter).or_default().push(wait);
    }
    let next = |xid: Xid| {
        let waits = of.get(&xid).into_iter().flatten();
        waits.flat_map(|w| w.holders.iter().map(|h| (*w, *h)))
    };
    let mut seen: HashSet<Xid> = [suspect].into_iter().collect();
    let mut path: Vec<&Wait> = Vec::new();
    let mut ahead = vec![next(suspect).collect::<Vec<_>>()];
    while let Some(level) = ahead.last_mut() {
        let Some((wait, holder)) = level.pop() else {
            ahead.pop();
            path.pop();
            continue;
        };
        if holder == suspect {
            path.push(wait);
            return Some(path.into_iter().cloned().collect());
        }
        if seen.insert(holder) {
            path.push(wait);
            ahead.push(next(holder).collect());
        }
    }
    None
}

/// Whether every wait of the cycle still goes on.
pub fn goes_on(cycle: &[Wait], waits: &[Wait]) -> bool {
    cycle.iter().all(|c| waits.iter().any(|w| w.same(c)))
}

/// The wait that is to end.
pub fn victim(cycle: &[Wait]) -> Option<&Wait> {
    cycle.iter().max_by_key(|w| (w.since_ns, w.waiter))
}

/// Transactions that have waited for a lock of one shard for `TIMEOUT`, or that long again.
#[derive(Default)]
pub struct Suspects {
    waiting: RefCell<Vec<Xid>>,
    notify: Notify,
}

impl Suspects {
    pub fn push(&self, xid: Xid) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.contains(&xid) {
            waiting.push(xid);
        }
        self.notify.notify_one();
    }

    /// All there are, once there is one.
    pub async fn taken(&self) -> Vec<Xid> {
        loop {
            let all = std::mem::take(&mut *self.waiting.borrow_mut());
            if !all.is_empty() {
                return all;
            }
            self.notify.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(waiter: u64, holders: &[u64], since_ns: u64) -> Wait {
        Wait {
            waiter: Xid(waiter),
            holders: holders.iter().map(|h| Xid(*h)).collect(),
            partition: PartitionId(waiter as u16),
            table: TableId(1),
            row: true,
            number: waiter,
            since_ns,
        }
    }

    #[test]
    fn a_cycle_is_found_from_everyone_in_it_and_from_nobody_else() {
        let waits = [
            wait(1, &[9, 2], 5),
            wait(2, &[3], 7),
            wait(3, &[8, 1], 6),
            wait(4, &[1], 9),
            wait(8, &[9], 1),
        ];
        for suspect in [1, 2, 3] {
            let found = cycle(&waits, Xid(suspect)).unwrap();
            assert_eq!(found.len(), 3);
            assert_eq!(found[0].waiter, Xid(suspect));
            for (at, wait) in found.iter().enumerate() {
                let next = &found[(at + 1) % 3];
                assert!(wait.holders.contains(&next.waiter));
            }
            assert_eq!(victim(&found).unwrap().waiter, Xid(2));
        }
        for other in [4, 8, 9] {
            assert_eq!(cycle(&waits, Xid(other)), None);
        }
    }

    #[test]
    fn a_transaction_that_waits_in_two_places_is_searched_in_both() {
        let waits = [wait(1, &[2], 1), wait(1, &[3], 2), wait(3, &[1], 3)];
        let found = cycle(&waits, Xid(1)).unwrap();
        assert_eq!(found, [waits[1].clone(), waits[2].clone()]);
        assert!(goes_on(&found, &waits));
        let mut later = waits.clone();
        later[2].number = 99;
        assert!(!goes_on(&found, &later));
    }
}
