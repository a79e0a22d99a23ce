//! Row and table locks of one partition.
//!
//! Owns: who holds which key or table, and who waits, first come first served. Asked by: `Partition` before it reads what a
//! write depends on. Never: blocks a reader. Row locks are exclusive; table locks are shared by writers and exclusive for
//! changes of the table's definition. All are held until the transaction ends in this partition. A transaction with more
//! row locks than an eighth of its ceiling takes the table's exclusive lock in their place, and waits for it if it must.
//! Bounds: a waiter is a running statement, so at most one per connection; a cycle of waits within one partition ends with
//! 40P01 at once, a wait across partitions ends at the statement's deadline.

use super::{Stop, TxnRef};
use hashbrown::HashMap;
use runtime::sync::oneshot;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;
use types::{Error, Result, SqlState, TableId, TreeId, Xid, limits};

/// How often a waiter looks whether its statement was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Target {
    Row(TableId, TreeId, Vec<u8>),
    Table(TableId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Shared,
    Exclusive,
}

impl Target {
    /// Memory of one lock: the key twice, and its places in the maps.
    fn bytes(&self) -> usize {
        let key = match self {
            Target::Row(_, _, key) => key.len(),
            Target::Table(_) => 0,
        };
        2 * key + 200
    }
}

struct Lock {
    mode: Mode,
    owners: Vec<Xid>,
    queue: VecDeque<Waiter>,
}

/// What a transaction holds, and the memory it takes.
#[derive(Default)]
struct Held {
    targets: Vec<Target>,
    bytes: usize,
    /// It has had too many row locks and takes whole tables from then on.
    heavy: bool,
    /// Tables whose exclusive lock it has in place of its rows'.
    covered: Vec<TableId>,
}

/// What a transaction's next row lock in a table has to be.
enum Covers {
    Table,
    Rows,
    TooManyRows,
}

impl Held {
    fn push(&mut self, target: Target) {
        self.bytes += target.bytes();
        self.targets.push(target);
    }
}

struct Waiter {
    xid: Xid,
    mode: Mode,
    grant: oneshot::Sender<()>,
}

struct State {
    bytes_max: usize,
    escalate_bytes: usize,
    locks: HashMap<Target, Lock>,
    held: HashMap<Xid, Held>,
    waiting: HashMap<Xid, Target>,
}

pub struct LockTable {
    state: RefCell<State>,
}

impl Default for LockTable {
    fn default() -> LockTable {
        LockTable::new(limits::TXN_LOCK_BYTES_MAX)
    }
}

fn too_many(max: usize) -> Error {
    Error::new(SqlState::OUT_OF_MEMORY, "transaction locks too much")
        .with_detail(format!(
            "A transaction may hold {max} bytes of locks in a partition."
        ))
        .with_hint("Split it into several transactions.")
}

impl LockTable {
    pub fn new(bytes_max: usize) -> LockTable {
        let state = State {
            bytes_max,
            escalate_bytes: bytes_max / 8,
            locks: HashMap::new(),
            held: HashMap::new(),
            waiting: HashMap::new(),
        };
        LockTable {
            state: RefCell::new(state),
        }
    }

    /// Waits for the exclusive lock of a key; returns at once when `txn` has it, or its whole table. Whoever asks shares
    /// the table.
    pub async fn row(&self, txn: &TxnRef, table: TableId, tree: TreeId, key: &[u8]) -> Result<()> {
        let covered = self.state.borrow_mut().covers(txn.xid, table);
        match covered {
            Covers::Table => Ok(()),
            Covers::Rows => {
                let target = Target::Row(table, tree, key.to_vec());
                self.acquire(txn, target, Mode::Exclusive).await.map(|_| ())
            }
            Covers::TooManyRows => {
                let target = Target::Table(table);
                self.acquire(txn, target, Mode::Exclusive).await?;
                self.state.borrow_mut().cover(txn.xid, table);
                Ok(())
            }
        }
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
    pub fn row_owner(&self, table: TableId, tree: TreeId, key: &[u8]) -> Option<Xid> {
        self.state
            .borrow()
            .locks
            .get(&Target::Row(table, tree, key.to_vec()))
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
    fn covers(&mut self, xid: Xid, table: TableId) -> Covers {
        let escalate_bytes = self.escalate_bytes;
        let Some(held) = self.held.get_mut(&xid) else {
            return Covers::Rows;
        };
        if held.covered.contains(&table) {
            return Covers::Table;
        }
        held.heavy |= held.bytes > escalate_bytes;
        match held.heavy {
            true => Covers::TooManyRows,
            false => Covers::Rows,
        }
    }

    /// `xid` has the table's exclusive lock: those of its rows are of no use any more.
    fn cover(&mut self, xid: Xid, table: TableId) {
        let Some(held) = self.held.get_mut(&xid) else {
            return;
        };
        if held.covered.contains(&table) {
            return;
        }
        held.covered.push(table);
        let rows: Vec<Target> = held
            .targets
            .extract_if(.., |t| matches!(t, Target::Row(of, ..) if *of == table))
            .collect();
        held.bytes -= rows.iter().map(Target::bytes).sum::<usize>();
        for row in rows {
            self.let_go(xid, row);
        }
    }

    /// `None` = granted; otherwise what to wait for.
    fn request(
        &mut self,
        xid: Xid,
        target: Target,
        mode: Mode,
    ) -> Result<Option<oneshot::Receiver<()>>> {
        let held = self.held.get(&xid).map_or(0, |h| h.bytes);
        let fits = held + target.bytes() <= self.bytes_max;
        let Some(lock) = self.locks.get_mut(&target) else {
            if !fits {
                return Err(too_many(self.bytes_max));
            }
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
        if !mine && !fits {
            return Err(too_many(self.bytes_max));
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
        let mut seen = vec![xid];
        // Being an owner of the lock asked for is an upgrade, not a cycle.
        let mut next: Vec<Xid> = self.owners(target).filter(|o| *o != xid).collect();
        while let Some(owner) = next.pop() {
            if seen.contains(&owner) {
                continue;
            }
            seen.push(owner);
            let Some(awaited) = self.waiting.get(&owner) else {
                continue;
            };
            for holder in self.owners(awaited).filter(|h| *h != owner) {
                if holder == xid {
                    return true;
                }
                next.push(holder);
            }
        }
        false
    }

    fn owners(&self, target: &Target) -> impl Iterator<Item = Xid> {
        let lock = self.locks.get(target);
        lock.into_iter().flat_map(|l| l.owners.iter().copied())
    }

    fn release(&mut self, xid: Xid) {
        self.waiting.remove(&xid);
        for target in self.held.remove(&xid).unwrap_or_default().targets {
            self.let_go(xid, target);
        }
    }

    /// Hands on a lock that `xid` no longer counts among its own.
    fn let_go(&mut self, xid: Xid, target: Target) {
        let Some(lock) = self.locks.get_mut(&target) else {
            return;
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
    const TABLE: TableId = TableId(5);

    #[test]
    fn one_lock_over_the_ceiling_is_refused_and_room_comes_back() {
        runtime::block_on(async {
            let locks = LockTable::new(3 * 200);
            for table in 1..=3 {
                let table = TableId(table);
                locks.table(&txn(1), table, Mode::Shared).await.unwrap();
            }
            let more = locks.table(&txn(1), TableId(4), Mode::Shared).await;
            assert_eq!(more.unwrap_err().code(), SqlState::OUT_OF_MEMORY);
            let known = locks.table(&txn(1), TableId(1), Mode::Shared).await;
            assert!(!known.unwrap());
            locks
                .table(&txn(2), TableId(4), Mode::Shared)
                .await
                .unwrap();
            locks.release(Xid(1));
            locks
                .table(&txn(1), TableId(4), Mode::Shared)
                .await
                .unwrap();
        });
    }

    #[test]
    fn too_many_rows_become_a_table_and_the_memory_comes_back() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::new(8 * 10 * 202));
            locks.table(&txn(1), TABLE, Mode::Shared).await.unwrap();
            locks.table(&txn(2), TABLE, Mode::Shared).await.unwrap();
            for n in 0..10 {
                locks.row(&txn(1), TABLE, T, &[n]).await.unwrap();
            }
            assert_eq!(locks.held(), 11);
            let escalates = {
                let locks = locks.clone();
                runtime::spawn(async move {
                    for n in 10..100 {
                        locks.row(&txn(1), TABLE, T, &[n]).await.unwrap();
                    }
                })
            };
            runtime::sleep(Duration::from_millis(30)).await;
            assert!(!escalates.is_finished(), "another writer shares the table");
            locks.release(Xid(2));
            escalates.await;
            assert_eq!(locks.held(), 1);
            let other = TableId(6);
            locks.row(&txn(1), other, T, b"a").await.unwrap();
            assert_eq!(locks.held(), 2, "a heavy transaction takes whole tables");
            locks.release(Xid(1));
            assert_eq!(locks.held(), 0);
        });
    }

    #[test]
    fn an_upgrade_waits_for_the_other_sharers_whoever_came_first() {
        for first in [1, 2] {
            runtime::block_on(async move {
                let locks = Rc::new(LockTable::default());
                let table = TableId(9);
                locks.table(&txn(first), table, Mode::Shared).await.unwrap();
                locks
                    .table(&txn(3 - first), table, Mode::Shared)
                    .await
                    .unwrap();
                let upgrade = {
                    let locks = locks.clone();
                    runtime::spawn(
                        async move { locks.table(&txn(2), table, Mode::Exclusive).await },
                    )
                };
                runtime::sleep(std::time::Duration::from_millis(30)).await;
                assert!(!upgrade.is_finished());
                // The second upgrade closes the circle.
                let both = locks.table(&txn(1), table, Mode::Exclusive).await;
                assert_eq!(both.unwrap_err().code(), SqlState::DEADLOCK_DETECTED);
                locks.release(Xid(1));
                assert!(upgrade.await.unwrap());
            });
        }
    }

    #[test]
    fn waiters_get_the_lock_in_the_order_they_came() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            let order = Rc::new(RefCell::new(Vec::new()));
            locks.row(&txn(1), TABLE, T, b"k").await.unwrap();
            let tasks: Vec<_> = (2..5)
                .map(|n| {
                    let (locks, order) = (locks.clone(), order.clone());
                    runtime::spawn(async move {
                        locks.row(&txn(n), TABLE, T, b"k").await.unwrap();
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
            locks.row(&txn(1), TABLE, T, b"a").await.unwrap();
            locks.row(&txn(2), TABLE, T, b"b").await.unwrap();
            let other = locks.clone();
            let waits = runtime::spawn(async move { other.row(&txn(1), TABLE, T, b"b").await });
            runtime::sleep(Duration::from_millis(5)).await;
            let e = locks.row(&txn(2), TABLE, T, b"a").await.unwrap_err();
            assert_eq!(e.code(), SqlState::DEADLOCK_DETECTED);
            locks.release(Xid(2));
            waits.await.unwrap();
        });
    }

    #[test]
    fn a_stopped_waiter_leaves_the_queue_and_the_next_is_served() {
        runtime::block_on(async {
            let locks = Rc::new(LockTable::default());
            locks.row(&txn(1), TABLE, T, b"k").await.unwrap();
            let stopped = txn(2);
            let stop = stopped.stop.clone();
            let (l2, l3) = (locks.clone(), locks.clone());
            let gives_up = runtime::spawn(async move { l2.row(&stopped, TABLE, T, b"k").await });
            let next = runtime::spawn(async move { l3.row(&txn(3), TABLE, T, b"k").await });
            runtime::sleep(Duration::from_millis(5)).await;
            stop.cancel();
            assert_eq!(gives_up.await.unwrap_err().code(), SqlState::QUERY_CANCELED);
            locks.release(Xid(1));
            next.await.unwrap();
            assert_eq!(locks.row_owner(TABLE, T, b"k"), Some(Xid(3)));
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
