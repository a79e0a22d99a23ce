//! One partition: its store, its transactions and the way they commit.
//!
//! Owns: the running transactions, their locks, the WAL positions recovery still needs, and when a checkpoint is taken.
//! Asked by: `shard`, on the one shard that owns it. What it may read is in `reading`, how it ends in `commit`.
//! Bounds: writes in memory by `relieve`. When an append, an fsync or the application of a durable commit fails the
//! partition is fenced: it answers 58030 until the process is restarted and recovers.

use super::backup::Backup;
use super::changed::Changed;
use super::commit::to_the_end;
use super::deadlock::Suspects;
use super::garbage::Garbage;
use super::landing::Landings;
use super::locks::{LockTable, Mode};
use super::reads::Reads;
use super::state::{Status, TxnState};
use super::writes::WriteSet;
use super::{Clock, Isolation, Options, Snapshots, TxnRef};
use hashbrown::HashMap;
use runtime::sync::Notify;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use storage::Store;
use types::{Error, Lsn, PartitionId, Result, SqlState, TableId, TreeId, Ts, Xid, limits};

pub struct Partition {
    pub id: PartitionId,
    /// Writes of all its transactions in memory at which the larger ones are staged in the page file.
    pub(super) txn_memory_bytes: usize,
    /// Rows that are loaded past the log are logged as well.
    pub(super) log_loads: Cell<bool>,
    pub(super) backup: Backup,
    pub(super) writes_in_memory: Rc<Cell<usize>>,
    pub(super) next_staged: Cell<u32>,
    pub store: Rc<Store>,
    pub(super) clock: Rc<Clock>,
    pub(super) snapshots: Rc<Snapshots>,
    pub locks: LockTable,
    pub reads: Reads,
    pub(super) txns: RefCell<HashMap<Xid, Rc<TxnState>>>,
    pub(super) in_flight: RefCell<BTreeMap<(Ts, Xid), Rc<TxnState>>>,
    pub(super) settled: Notify,
    pins: RefCell<BTreeMap<Lsn, usize>>,
    pub(super) decisions: RefCell<HashMap<Xid, (Ts, Lsn)>>,
    checkpointing: Cell<bool>,
    checkpointed: Notify,
    fence: RefCell<Option<String>>,
    /// Tables whose definition changes with a catalog of this version, which the shard does not have yet.
    barred: RefCell<Vec<(TableId, u64)>>,
    /// Trees that rows are being loaded into, and by how many calls.
    loading: RefCell<HashMap<TreeId, usize>>,
    pub garbage: Garbage,
    pub(super) changed: Changed,
    pub(super) landings: Landings,
    /// How many of those `in_flight` have been reinstated.
    pub(super) doubts: Cell<usize>,
    /// How many of them have passed their locks on.
    pub(super) passed: Cell<usize>,
    pub counters: Counters,
}

/// 58030: what every call of a fenced partition hears.
pub fn out_of_service(id: PartitionId, reason: &str) -> Error {
    Error::new(
        SqlState::IO_ERROR,
        format!("partition {id} is out of service: {reason}"),
    )
    .with_hint("Mend the cause, or restore the partition from a backup, and restart the server. Other partitions serve.")
}

/// What this partition has done since it was opened.
#[derive(Default)]
pub struct Counters {
    pub commits: Cell<u64>,
    pub prepares: Cell<u64>,
    pub aborts: Cell<u64>,
    pub conflicts: Cell<u64>,
    pub versions_pruned: Cell<u64>,
}

pub fn bump(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// A call that writes under a savepoint.
pub struct Writing<'a> {
    partition: &'a Partition,
    state: Rc<TxnState>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.state.calls.set(self.state.calls.get() - 1);
        self.partition.settled.notify_all();
    }
}

/// A load that is going on.
pub struct Loading<'a> {
    partition: &'a Partition,
    trees: Vec<TreeId>,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut loading = self.partition.loading.borrow_mut();
        for tree in &self.trees {
            if let Some(n) = loading.get_mut(tree) {
                *n -= 1;
                if *n == 0 {
                    loading.remove(tree);
                }
            }
        }
        drop(loading);
        self.partition.settled.notify_all();
    }
}

impl Partition {
    pub(super) fn new(
        id: PartitionId,
        store: Rc<Store>,
        clock: Rc<Clock>,
        snapshots: Rc<Snapshots>,
        suspects: Rc<Suspects>,
        options: &Options,
    ) -> Partition {
        Partition {
            id,
            txn_memory_bytes: options.txn_memory_bytes,
            log_loads: Cell::new(options.log_loads),
            backup: Backup::new(options),
            writes_in_memory: Rc::default(),
            next_staged: Cell::new(0),
            store,
            clock,
            snapshots,
            locks: LockTable::new(limits::TXN_LOCK_BYTES_MAX, suspects),
            reads: Reads::default(),
            txns: RefCell::new(HashMap::new()),
            in_flight: RefCell::new(BTreeMap::new()),
            settled: Notify::new(),
            pins: RefCell::new(BTreeMap::new()),
            decisions: RefCell::new(HashMap::new()),
            checkpointing: Cell::new(false),
            checkpointed: Notify::new(),
            fence: RefCell::new(None),
            barred: RefCell::new(Vec::new()),
            loading: RefCell::new(HashMap::new()),
            garbage: Garbage::default(),
            changed: Changed::default(),
            landings: Landings::default(),
            doubts: Cell::new(0),
            passed: Cell::new(0),
            counters: Counters::default(),
        }
    }

    /// What commits and loads have changed since the last such question.
    pub fn take_changed(&self) -> Vec<(TreeId, u64)> {
        self.changed.take()
    }

    /// That many rows go into the table past the transaction's writes.
    pub fn loaded(&self, tree: TreeId, rows: usize) {
        self.changed.count(std::iter::repeat_n(tree, rows));
    }

    /// 58030 once the partition is fenced.
    pub fn check(&self) -> Result<()> {
        match self.fenced() {
            Some(reason) => Err(out_of_service(self.id, &reason)),
            None => Ok(()),
        }
    }

    pub fn fenced(&self) -> Option<String> {
        self.fence.borrow().clone().or_else(|| self.store.fenced())
    }

    pub fn fence(&self, reason: &Error) {
        tracing::error!(partition = self.id.0, %reason, "partition fenced");
        self.fence
            .borrow_mut()
            .get_or_insert_with(|| reason.message().to_string());
        self.settled.notify_all();
    }

    /// The transaction's state here, made when there is none.
    pub fn txn(&self, txn: &TxnRef) -> Rc<TxnState> {
        let state = self
            .txns
            .borrow_mut()
            .entry(txn.xid)
            .or_insert_with(|| Rc::new(self.new_txn(txn.xid)))
            .clone();
        state.at_savepoint(txn.savepoint);
        state.at_statement(txn.apart);
        let serializable = txn.isolation == Isolation::Serializable;
        state.serializable.set(serializable);
        state
    }

    /// Until it is dropped, the transaction is not rolled back to a savepoint. Of calls that write, under one.
    pub fn writing(&self, txn: &TxnRef) -> Option<Writing<'_>> {
        (txn.savepoint > 0).then(|| {
            let state = self.txn(txn);
            state.calls.set(state.calls.get() + 1);
            Writing {
                partition: self,
                state,
            }
        })
    }

    /// Takes back what was written since the savepoint, once the calls of the statement that failed have ended.
    pub async fn rollback_to(&self, xid: Xid, savepoint: u32) -> Result<()> {
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(());
        };
        while state.calls.get() > 0 {
            self.settled.notified().await;
        }
        state.rollback_to(savepoint)
    }

    pub(super) fn new_txn(&self, xid: Xid) -> TxnState {
        TxnState::new(xid, WriteSet::new(self.writes_in_memory.clone()))
    }

    pub fn txn_if_any(&self, xid: Xid) -> Option<Rc<TxnState>> {
        self.txns.borrow().get(&xid).cloned()
    }

    pub fn txns_open(&self) -> usize {
        self.txns.borrow().len()
    }

    pub async fn lock_row(
        &self,
        txn: &TxnRef,
        state: &TxnState,
        table: TableId,
        tree: TreeId,
        key: &[u8],
    ) -> Result<()> {
        self.lock_row_as(txn, state, table, tree, key, Mode::Exclusive)
            .await
    }

    pub async fn lock_row_as(
        &self,
        txn: &TxnRef,
        state: &TxnState,
        table: TableId,
        tree: TreeId,
        key: &[u8],
        mode: Mode,
    ) -> Result<()> {
        self.locks.row(txn, table, tree, key, mode).await?;
        self.undoubted(txn, tree, key).await?;
        self.still_active(state)
    }

    /// `true` when it had to wait.
    pub async fn lock_table(
        &self,
        txn: &TxnRef,
        state: &TxnState,
        table: TableId,
        mode: Mode,
    ) -> Result<bool> {
        let waited = self.locks.table(txn, table, mode).await?;
        self.still_active(state)?;
        Ok(waited)
    }

    /// A lock granted to a transaction that was ended meanwhile goes back.
    fn still_active(&self, state: &TxnState) -> Result<()> {
        state.active().inspect_err(|_| {
            if state.status.get() == Status::Ended {
                self.locks.release(state.xid);
            }
        })
    }

    /// Keeps every other writer out of a table whose definition changes with the catalog of `version`.
    pub async fn bar_table(
        &self,
        txn: &TxnRef,
        state: &TxnState,
        table: TableId,
        version: u64,
    ) -> Result<()> {
        self.lock_table(txn, state, table, Mode::Exclusive).await?;
        state.exclusive.borrow_mut().push((table, version));
        Ok(())
    }

    /// Nobody may write the table here before the shard has the catalog that follows.
    pub fn is_barred(&self, table: TableId) -> bool {
        self.barred.borrow().iter().any(|(t, _)| *t == table)
    }

    /// The shard has the catalog of `version`.
    pub fn unbar(&self, version: u64) {
        self.barred.borrow_mut().retain(|(_, v)| *v > version);
    }

    /// The locks of a definition change may end before its catalog is published: from its prepare or commit on stands the bar.
    pub(super) fn bar(&self, state: &TxnState) {
        self.barred
            .borrow_mut()
            .extend(state.exclusive.borrow().iter().copied());
    }

    pub(super) fn lift(&self, state: &TxnState) {
        let own = state.exclusive.borrow();
        self.barred.borrow_mut().retain(|b| !own.contains(b));
    }

    /// Until it is dropped, `drop_trees` waits for it if it is about one of these.
    pub fn load_into(&self, trees: Vec<TreeId>) -> Loading<'_> {
        let mut loading = self.loading.borrow_mut();
        for tree in &trees {
            *loading.entry(*tree).or_insert(0) += 1;
        }
        drop(loading);
        Loading {
            partition: self,
            trees,
        }
    }

    /// Drops trees that nobody can reach any more. A load into them that has not noticed yet is waited for.
    pub async fn drop_trees(&self, trees: &[TreeId]) -> Result<()> {
        while trees.iter().any(|t| self.loading.borrow().contains_key(t)) {
            self.settled.notified().await;
        }
        for tree in trees {
            self.store.drop_tree(*tree).await?;
        }
        Ok(())
    }

    pub(super) fn pin(&self, start: Lsn) {
        *self.pins.borrow_mut().entry(start).or_insert(0) += 1;
    }

    pub(super) fn unpin(&self, start: Lsn) {
        let mut pins = self.pins.borrow_mut();
        if let Some(n) = pins.get_mut(&start) {
            *n -= 1;
            if *n == 0 {
                pins.remove(&start);
            }
        }
    }

    /// Reinstates a transaction found prepared by recovery.
    pub(super) fn reinstate(&self, state: TxnState, ts: Ts, start: Lsn) {
        let state = Rc::new(state);
        state.status.set(Status::Prepared(ts));
        state.reinstated.set(true);
        self.doubts.set(self.doubts.get() + 1);
        self.pin(start);
        state.pins.borrow_mut().push(start);
        self.in_flight
            .borrow_mut()
            .insert((ts, state.xid), state.clone());
        self.txns.borrow_mut().insert(state.xid, state);
    }

    /// A durable image of the trees; recovery then starts at the oldest record still needed. Once begun it runs to its
    /// end, even if the caller goes away.
    pub async fn checkpoint(self: &Rc<Self>) -> Result<()> {
        let this = self.clone();
        to_the_end(async move { this.checkpoint_now().await }).await
    }

    /// Gives what the page file has too much back to the file system: pages move to its front, behind a checkpoint that
    /// lets them move, and before one that cuts the end off.
    pub async fn compact(self: &Rc<Self>) -> Result<()> {
        self.checkpoint().await?;
        if self.store.compact().await? > 0 {
            self.checkpoint().await?;
        }
        Ok(())
    }

    /// Not to be dropped half way.
    pub(super) async fn checkpoint_now(&self) -> Result<()> {
        while self.checkpointing.get() {
            self.checkpointed.notified().await;
        }
        self.check()?;
        self.checkpointing.set(true);
        // No await between reading the oldest pin and the store's freeze, which is the first thing `checkpoint` does.
        let redo = self
            .pins
            .borrow()
            .keys()
            .next()
            .copied()
            .unwrap_or_else(|| self.store.wal_end());
        let meta = self.clock.now().0.to_le_bytes();
        let outcome = self
            .store
            .checkpoint(redo, &meta)
            .await
            .map_err(Error::from);
        self.checkpointing.set(false);
        self.checkpointed.notify_all();
        outcome.inspect_err(|e| self.fence(e))
    }
}
