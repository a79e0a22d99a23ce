//! Row and table locks of one partition.
//!
//! Owns: who holds which key or table, and who waits, first come first served. Asked by: `Partition` before it reads what a
//! write depends on. Never: blocks a reader. Row locks are exclusive; table locks are shared by writers and exclusive for
//! changes of the table's definition. All are held until the transaction ends in this partition.
//! Bounds: a waiter is a running statement, so at most one per connection; a cycle of waits within one partition ends with
//! 40P01 at once, a wait across partitions ends at the statement's deadline.

use super::{Stop, TxnRef};
use hashbrown::HashMap;
use runtime::sync::oneshot;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;
use types::{Error, Result, SqlState, TableId, TreeId, Xid};

/// How often a waiter looks whether its statement was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Target {
    Row(TreeId, Vec<u8>),
    Table(TableId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Shared,
    Exclusive,
}

struct Lock {
    mode: Mode,
    owners: Vec<Xid>,
    queue: VecDeque<Waiter>,
}

struct Waiter {
    xid: Xid,
    mode: Mode,
    grant: oneshot::Sender<()>,
}

#[derive(Default)]
struct State {
    locks: HashMap<Target, Lock>,
    held: HashMap<Xid, Vec<Target>>,
    waiting: HashMap<Xid, Target>,
}

#[derive(Default)]
pub struct LockTable {
    state: RefCell<State>,
}

impl LockTable {
    /// Waits for the exclusive lock of a key; returns at once when `txn` has it.
    pub async fn row(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> Result<()> {
        self.acquire(txn, Target::Row(tree, key.to_vec()), Mode::Exclusive)
            .await
            .map(|_| ())
    }

    /// `true` when it had to wait.
    pub async fn table(&self, txn: &TxnRef, table: TableId, mode: Mode) -> Result<bool> {
        self.acquire(txn, Target::Table(table), mode).await
    }

    async fn acquire(&self, txn: &TxnRef, target: Target, mode: Mode) -> Result<bool> {
        let Some(granted) = self.state.borrow_mut().request(txn.xid, target, mode)? else {
            return Ok(false);
        };
        let outcome = wait(granted, &txn.stop).await;
        self.state.borrow_mut().waiting.remove(&txn.xid);
        outcome.map(|()| true)
    }

    /// Gives up everything `xid` holds and wakes who is next.
    pub fn release(&self, xid: Xid) {
        self.state.borrow_mut().release(xid);
    }

    /// The transaction that holds the row, if any.
    pub fn row_owner(&self, tree: TreeId, key: &[u8]) -> Option<Xid> {
        self.state
            .borrow()
            .locks
            .get(&Target::Row(tree, key.to_vec()))
            .and_then(|l| l.owners.first().copied())
    }

    pub fn held(&self) -> usize {
        self.state.borrow().locks.len()
    }

    pub fn waiting(&self) -> usize {
        self.state.borrow().waiting.len()
    }
}

async fn wait(mut granted: oneshot::Receiver<()>, stop: &Stop) -> Result<()> {
    loop {
        match runtime::timeout(STOP_POLL, &mut granted).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => return Err(Error::internal("a lock's queue went away")),
            Err(_) => stop.check()?,
        }
    }
}

impl State {
    /// `None` = granted; otherwise what to wait for.
    fn request(
        &mut self,
        xid: Xid,
        target: Target,
        mode: Mode,
    ) -> Result<Option<oneshot::Receiver<()>>> {
        let Some(lock) = self.locks.get_mut(&target) else {
            self.locks.insert(
                target.clone(),
                Lock {
                    mode,
                    owners: vec![xid],
                    queue: VecDeque::new(),
                },
            );
            self.held.entry(xid).or_default().push(target);
            return Ok(None);
        };
        let mine = lock.owners.contains(&xid);
        if mine && (mode == Mode::Shared || lock.mode == Mode::Exclusive) {
            return Ok(None);
        }
        if mine && lock.owners.len() == 1 {
            lock.mode = Mode::Exclusive;
            return Ok(None);
        }
        if !mine && mode == Mode::Shared && lock.mode == Mode::Shared && lock.queue.is_empty() {
            lock.owners.push(xid);
            self.held.entry(xid).or_default().push(target);
            return Ok(None);
        }
        if self.would_deadlock(xid, &target) {
            return Err(Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .with_detail("The lock asked for is held, through others that wait, by this transaction's own locks.")
                .with_hint("Retry the transaction."));
        }
        let (grant, granted) = oneshot::channel();
        if let Some(lock) = self.locks.get_mut(&target) {
            lock.queue.push_back(Waiter { xid, mode, grant });
        }
        self.waiting.insert(xid, target);
        Ok(Some(granted))
    }

    /// Whether an owner of `target` waits, through any chain in this partition, for `xid`.
    fn would_deadlock(&self, xid: Xid, target: &Target) -> bool {
        let mut seen = Vec::new();
        let mut next = vec![target];
        while let Some(target) = next.pop() {
            let Some(lock) = self.locks.get(target) else {
                continue;
            };
            for owner in &lock.owners {
                if seen.contains(owner) {
                    continue;
                }
                seen.push(*owner);
                if *owner == xid {
                    // Being an owner of the lock asked for is an upgrade, not yet a cycle.
                    if seen.len() > 1 || lock.owners.len() == 1 {
                        return true;
                    }
                    continue;
                }
                next.extend(self.waiting.get(owner));
            }
        }
        false
    }

    fn release(&mut self, xid: Xid) {
        self.waiting.remove(&xid);
        for target in self.held.remove(&xid).unwrap_or_default() {
            let Some(lock) = self.locks.get_mut(&target) else {
                continue;
            };
            lock.owners.retain(|o| *o != xid);
            let granted = lock.grant_next();
            if lock.owners.is_empty() && lock.queue.is_empty() {
                self.locks.remove(&target);
            }
            for owner in granted {
                self.waiting.remove(&owner);
                self.held.entry(owner).or_default().push(target.clone());
            }
        }
    }
}

impl Lock {
    /// Hands the lock to the head of the queue, and on to the following sharers. Waiters that gave up are skipped.
    fn grant_next(&mut self) -> Vec<Xid> {
        let mut granted = Vec::new();
        while let Some(head) = self.queue.front() {
            let upgrade = self.owners.len() == 1 && self.owners[0] == head.xid;
            let free = self.owners.is_empty() || upgrade;
            if !(free || (self.mode == Mode::Shared && head.mode == Mode::Shared)) {
                break;
            }
            let Some(waiter) = self.queue.pop_front() else {
                break;
            };
            if waiter.grant.send(()).is_err() {
                continue;
            }
            self.mode = waiter.mode;
            if !upgrade {
                self.owners.push(waiter.xid);
                granted.push(waiter.xid);
            }
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::Isolation;
    use std::rc::Rc;
    use types::Ts;

    fn txn(n: u64) -> TxnRef {
        TxnRef {
            xid: Xid(n),
            snapshot: Ts(0),
            isolation: Isolation::ReadCommitted,
            stop: Stop::at(None),
        }
    }

    const T: TreeId = TreeId(1);

    #[test]
    fn waiters_get_the_lock_in_the_order_they_came() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            let order = Rc::new(RefCell::new(Vec::new()));
            locks.row(&txn(1), T, b"k").await.unwrap();
            let tasks: Vec<_> = (2..5)
                .map(|n| {
                    let (locks, order) = (locks.clone(), order.clone());
                    runtime::spawn(async move {
                        locks.row(&txn(n), T, b"k").await.unwrap();
                        order.borrow_mut().push(n);
                        locks.release(Xid(n));
                    })
                })
                .collect();
            runtime::sleep(Duration::from_millis(5)).await;
            assert_eq!(locks.waiting(), 3);
            locks.release(Xid(1));
            for t in tasks {
                t.await;
            }
            assert_eq!(*order.borrow(), vec![2, 3, 4]);
            assert_eq!((locks.held(), locks.waiting()), (0, 0));
        });
    }

    #[test]
    fn a_cycle_of_two_is_a_deadlock_for_the_one_that_closes_it() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            locks.row(&txn(1), T, b"a").await.unwrap();
            locks.row(&txn(2), T, b"b").await.unwrap();
            let other = locks.clone();
            let waits = runtime::spawn(async move { other.row(&txn(1), T, b"b").await });
            runtime::sleep(Duration::from_millis(5)).await;
            let e = locks.row(&txn(2), T, b"a").await.unwrap_err();
            assert_eq!(e.code(), SqlState::DEADLOCK_DETECTED);
            locks.release(Xid(2));
            waits.await.unwrap();
        });
    }

    #[test]
    fn a_stopped_waiter_leaves_the_queue_and_the_next_is_served() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            locks.row(&txn(1), T, b"k").await.unwrap();
            let stopped = txn(2);
            let stop = stopped.stop.clone();
            let (l2, l3) = (locks.clone(), locks.clone());
            let gives_up = runtime::spawn(async move { l2.row(&stopped, T, b"k").await });
            let next = runtime::spawn(async move { l3.row(&txn(3), T, b"k").await });
            runtime::sleep(Duration::from_millis(5)).await;
            stop.cancel();
            assert_eq!(gives_up.await.unwrap_err().code(), SqlState::QUERY_CANCELED);
            locks.release(Xid(1));
            next.await.unwrap();
            assert_eq!(locks.row_owner(T, b"k"), Some(Xid(3)));
        });
    }

    #[test]
    fn writers_share_a_table_and_a_definition_change_waits_for_them() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            let table = TableId(5);
            assert!(!locks.table(&txn(1), table, Mode::Shared).await.unwrap());
            assert!(!locks.table(&txn(2), table, Mode::Shared).await.unwrap());
            let l = locks.clone();
            let ddl = runtime::spawn(async move { l.table(&txn(3), table, Mode::Exclusive).await });
            runtime::sleep(Duration::from_millis(5)).await;
            let l = locks.clone();
            let late = runtime::spawn(async move { l.table(&txn(4), table, Mode::Shared).await });
            runtime::sleep(Duration::from_millis(5)).await;
            locks.release(Xid(1));
            assert_eq!(
                locks.waiting(),
                2,
                "one writer is left and the late one queues behind the change"
            );
            locks.release(Xid(2));
            assert!(ddl.await.unwrap());
            locks.release(Xid(3));
            assert!(late.await.unwrap());
        });
    }
}
