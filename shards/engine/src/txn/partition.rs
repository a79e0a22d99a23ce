//! One partition: its store, its transactions and the way they commit.
//!
//! Owns: the running transactions' writes here, commits in flight, the WAL positions recovery still needs. Asked by:
//! `shard`, on the one shard that owns it. Never: awaits between reading an invariant and changing what depends on it:
//! from the timestamp of a commit to its place among those in flight and in the WAL there is no await.
//! Bounds: writes by `WriteSet`; the WAL's backlog by `Store::admit`. When an append, an fsync or the application of a
//! durable commit fails the partition is fenced: it answers 58030 until the process is restarted and recovers.

use super::locks::{LockTable, Mode};
use super::writes::{Payload, WriteSet};
use super::{Clock, Snapshots, TxnRef, record, versions};
use hashbrown::HashMap;
use runtime::sync::{Notify, oneshot};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use storage::Store;
use types::{Error, Lsn, PartitionId, Result, SqlState, TableId, TreeId, Ts, Xid};

/// How often a reader that waits for a commit looks whether its statement was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

pub struct Partition {
    pub id: PartitionId,
    /// Of a transaction that begins; one that is recovered was admitted before.
    txn_write_bytes_max: usize,
    pub store: Rc<Store>,
    pub(super) clock: Rc<Clock>,
    snapshots: Rc<Snapshots>,
    pub locks: LockTable,
    txns: RefCell<HashMap<Xid, Rc<TxnState>>>,
    pub(super) in_flight: RefCell<BTreeMap<(Ts, Xid), Rc<TxnState>>>,
    settled: Notify,
    pins: RefCell<BTreeMap<Lsn, usize>>,
    pub(super) decisions: RefCell<HashMap<Xid, (Ts, Lsn)>>,
    checkpointing: Cell<bool>,
    checkpointed: Notify,
    fence: RefCell<Option<String>>,
    /// Tables whose definition changes with a catalog of this version, which the shard does not have yet.
    barred: RefCell<Vec<(TableId, u64)>>,
    /// Trees that rows are being loaded into, and by how many calls.
    loading: RefCell<HashMap<TreeId, usize>>,
    pub counters: Counters,
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Active,
    Prepared(Ts),
    Committing(Ts),
    Ended,
}

/// A transaction as this partition sees it; exists from its first lock or write here until it ends.
pub struct TxnState {
    pub xid: Xid,
    pub writes: RefCell<WriteSet>,
    pub status: Cell<Status>,
    /// It put rows straight into trees that only it can reach: they must be in a checkpoint before it commits.
    pub loaded: Cell<bool>,
    /// Tables it keeps others from writing, and the catalog's version that will follow.
    exclusive: RefCell<Vec<(TableId, u64)>>,
    pins: RefCell<Vec<Lsn>>,
}

impl TxnState {
    pub(super) fn new(xid: Xid, writes: WriteSet) -> TxnState {
        TxnState {
            xid,
            writes: RefCell::new(writes),
            status: Cell::new(Status::Active),
            loaded: Cell::new(false),
            exclusive: RefCell::new(Vec::new()),
            pins: RefCell::new(Vec::new()),
        }
    }

    pub fn active(&self) -> Result<()> {
        match self.status.get() {
            Status::Active => Ok(()),
            _ => Err(Error::new(
                SqlState::QUERY_CANCELED,
                "the transaction has ended",
            )),
        }
    }

    pub fn write(&self, tree: TreeId, key: Vec<u8>, value: Payload) -> Result<()> {
        self.active()?;
        self.writes.borrow_mut().put(tree, key, value)
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

/// For a commit that also decides for transactions prepared elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Decides {
    /// The latest of their prepare timestamps.
    pub at_least: Ts,
    pub participants: Vec<PartitionId>,
}

impl Partition {
    pub(super) fn new(
        id: PartitionId,
        store: Rc<Store>,
        clock: Rc<Clock>,
        snapshots: Rc<Snapshots>,
        txn_write_bytes_max: usize,
    ) -> Partition {
        Partition {
            id,
            txn_write_bytes_max,
            store,
            clock,
            snapshots,
            locks: LockTable::default(),
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
            counters: Counters::default(),
        }
    }

    /// 58030 once the partition is fenced.
    pub fn check(&self) -> Result<()> {
        match self.fenced() {
            Some(reason) => Err(Error::new(
                SqlState::IO_ERROR,
                format!("partition {} is out of service: {reason}", self.id),
            )
            .with_hint("Mend the cause and restart the server; nothing acknowledged is lost.")),
            None => Ok(()),
        }
    }

    pub fn fenced(&self) -> Option<String> {
        self.fence.borrow().clone().or_else(|| self.store.fenced())
    }

    pub(super) fn fence(&self, reason: &Error) {
        tracing::error!(partition = self.id.0, %reason, "partition fenced");
        self.fence
            .borrow_mut()
            .get_or_insert_with(|| reason.message().to_string());
        self.settled.notify_all();
    }

    /// The transaction's state here, made when there is none.
    pub fn txn(&self, xid: Xid) -> Rc<TxnState> {
        self.txns
            .borrow_mut()
            .entry(xid)
            .or_insert_with(|| Rc::new(TxnState::new(xid, WriteSet::new(self.txn_write_bytes_max))))
            .clone()
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
        tree: TreeId,
        key: &[u8],
    ) -> Result<()> {
        self.locks.row(txn, tree, key).await?;
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
    fn bar(&self, state: &TxnState) {
        self.barred
            .borrow_mut()
            .extend(state.exclusive.borrow().iter().copied());
    }

    fn lift(&self, state: &TxnState) {
        let own = state.exclusive.borrow();
        self.barred.borrow_mut().retain(|b| !own.contains(b));
    }

    /// Waits until no commit in flight at or before `snapshot` touches the key (or, without one, the tree).
    pub async fn settle(
        &self,
        txn: &TxnRef,
        snapshot: Ts,
        tree: TreeId,
        key: Option<&[u8]>,
    ) -> Result<()> {
        self.clock.merge(snapshot);
        loop {
            self.check()?;
            let blocked = self
                .in_flight
                .borrow()
                .range(..=(snapshot, Xid(u64::MAX)))
                .any(|((_, xid), state)| {
                    let writes = state.writes.borrow();
                    *xid != txn.xid
                        && match key {
                            Some(key) => writes.get(tree, key).is_some(),
                            None => writes.touches(tree),
                        }
                });
            if !blocked {
                return Ok(());
            }
            let _ = runtime::timeout(STOP_POLL, self.settled.notified()).await;
            txn.stop.check()?;
        }
    }

    /// The row as the transaction sees it: its own write, else the newest version at or before its snapshot.
    pub async fn read(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(own) = self.own(txn.xid, tree, key) {
            return Ok(own);
        }
        self.settle(txn, txn.snapshot, tree, Some(key)).await?;
        Ok(versions::newest(&self.store, tree, key, txn.snapshot)
            .await?
            .and_then(|(_, payload)| payload))
    }

    /// The newest committed version, whatever the snapshot; call it under the key's lock.
    pub async fn latest(&self, tree: TreeId, key: &[u8]) -> Result<Option<(Ts, Option<Vec<u8>>)>> {
        versions::newest(&self.store, tree, key, Ts(u64::MAX)).await
    }

    /// What the transaction itself wrote: `Some(None)` = deleted.
    pub fn own(&self, xid: Xid, tree: TreeId, key: &[u8]) -> Option<Payload> {
        self.txns
            .borrow()
            .get(&xid)?
            .writes
            .borrow()
            .get(tree, key)
            .cloned()
    }

    /// Commits what `xid` wrote here. Once begun it runs to its end, even if the caller goes away.
    pub async fn commit(self: &Rc<Self>, xid: Xid, decides: Decides) -> Result<Ts> {
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(self.clock.now());
        };
        if state.writes.borrow().is_empty()
            && !state.loaded.get()
            && decides.participants.is_empty()
        {
            self.end(&state);
            return Ok(self.clock.now());
        }
        let this = self.clone();
        to_the_end(async move {
            let outcome = this.commit_now(&state, decides).await;
            if outcome.is_err() && state.status.get() == Status::Active {
                this.abort(xid);
            }
            outcome
        })
        .await
    }

    async fn commit_now(&self, state: &Rc<TxnState>, decides: Decides) -> Result<Ts> {
        let ops = self.ready(state).await?;
        let ts = Ts(self.clock.now().0.max(decides.at_least.0));
        self.clock.merge(ts);
        state.status.set(Status::Committing(ts));
        self.in_flight
            .borrow_mut()
            .insert((ts, state.xid), state.clone());
        let bytes = record::commit(state.xid, ts, &decides.participants, &ops);
        let end = self.append(state, &bytes)?;
        // From here on the record may be found at the next start: no error may say that it was not committed.
        self.decided(state, ts, end, &decides)
            .await
            .map_err(|e| unknown(&e))?;
        Ok(ts)
    }

    async fn decided(&self, state: &TxnState, ts: Ts, end: Lsn, decides: &Decides) -> Result<()> {
        if !decides.participants.is_empty() {
            let start = *state.pins.borrow().last().unwrap_or(&end);
            self.pin(start);
            self.decisions.borrow_mut().insert(state.xid, (ts, start));
        }
        self.wait_durable(end).await?;
        self.apply(state, ts).await?;
        bump(&self.counters.commits);
        self.bar(state);
        self.end(state);
        Ok(())
    }

    /// Makes the writes durable without deciding; readers at or above the answered timestamp wait for the decision.
    pub async fn prepare(self: &Rc<Self>, xid: Xid, coordinator: PartitionId) -> Result<Ts> {
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(self.clock.now());
        };
        let locks_tables = !state.exclusive.borrow().is_empty();
        if state.writes.borrow().is_empty() && !state.loaded.get() && !locks_tables {
            // It only locked rows here: nothing to decide.
            self.end(&state);
            return Ok(self.clock.now());
        }
        let this = self.clone();
        to_the_end(async move {
            let outcome = this.prepare_now(&state, coordinator).await;
            if outcome.is_err() && state.status.get() == Status::Active {
                this.abort(xid);
            }
            outcome
        })
        .await
    }

    async fn prepare_now(&self, state: &Rc<TxnState>, coordinator: PartitionId) -> Result<Ts> {
        let ops = self.ready(state).await?;
        let ts = self.clock.now();
        state.status.set(Status::Prepared(ts));
        self.in_flight
            .borrow_mut()
            .insert((ts, state.xid), state.clone());
        let end = self.append(state, &record::prepare(state.xid, ts, coordinator, &ops))?;
        self.wait_durable(end).await?;
        self.bar(state);
        bump(&self.counters.prepares);
        Ok(ts)
    }

    /// Carries out a decision to commit. Durable when it returns; visible before that.
    pub async fn commit_prepared(self: &Rc<Self>, xid: Xid, ts: Ts) -> Result<()> {
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(());
        };
        let this = self.clone();
        to_the_end(async move {
            this.clock.merge(ts);
            let end = this.append(&state, &record::commit_prepared(xid, ts))?;
            this.apply(&state, ts).await?;
            bump(&this.counters.commits);
            this.end(&state);
            this.wait_durable(end).await
        })
        .await
    }

    /// Every participant has carried out the decision: recovery no longer needs it.
    pub fn forget(&self, xid: Xid) {
        if let Some((_, start)) = self.decisions.borrow_mut().remove(&xid) {
            self.unpin(start);
        }
    }

    /// Drops what `xid` wrote and gives back its locks. A commit that has begun is not stopped.
    pub fn abort(&self, xid: Xid) {
        let Some(state) = self.txn_if_any(xid) else {
            self.locks.release(xid);
            return;
        };
        match state.status.get() {
            Status::Committing(_) | Status::Ended => return,
            Status::Prepared(_) => {
                // Not waited for: without the record recovery asks the coordinator and learns the same.
                if let Err(e) = self.store.append(&record::abort_prepared(xid)) {
                    tracing::warn!(partition = self.id.0, error = %e, "abort of a prepared transaction not logged");
                }
            }
            Status::Active => {}
        }
        self.lift(&state);
        bump(&self.counters.aborts);
        self.end(&state);
    }

    /// Everything a Commit or Prepare record waits for; returns its operations.
    async fn ready(&self, state: &Rc<TxnState>) -> Result<Vec<u8>> {
        self.check()?;
        state.active()?;
        if state.loaded.get() {
            self.checkpoint_now().await?;
        }
        let mut runs = record::cut(&state.writes.borrow());
        let last = runs.pop().unwrap_or_default();
        for run in runs {
            let bytes = record::chunk(state.xid, &run);
            self.store.admit(bytes.len()).await?;
            state.active()?;
            self.append(state, &bytes)?;
        }
        self.store.admit(last.len() + 64).await?;
        state.active()?;
        Ok(last)
    }

    /// Appends a record that recovery needs until `state` ends.
    fn append(&self, state: &TxnState, bytes: &[u8]) -> Result<Lsn> {
        let at = self
            .store
            .append(bytes)
            .map_err(Error::from)
            .inspect_err(|e| self.fence(e))?;
        self.pin(at.start);
        state.pins.borrow_mut().push(at.start);
        Ok(at.end)
    }

    async fn wait_durable(&self, end: Lsn) -> Result<()> {
        self.store
            .durable(end)
            .await
            .map_err(Error::from)
            .inspect_err(|e| self.fence(e))
    }

    /// Puts the writes into the trees as versions of `ts`.
    pub(super) async fn apply(&self, state: &TxnState, ts: Ts) -> Result<()> {
        let horizon = self.snapshots.lowest();
        let writes = state.writes.borrow_mut().take_values();
        for (n, (tree, key, value)) in writes.iter().enumerate() {
            let put = async {
                let cell = versions::cell_key(key, ts);
                self.store
                    .put(*tree, &cell, &versions::cell_value(value.as_deref()))
                    .await?;
                versions::prune(&self.store, *tree, key, ts, horizon).await
            };
            put.await.inspect_err(|e| self.fence(e))?;
            if n % 64 == 63 {
                runtime::yield_if_needed().await;
            }
        }
        Ok(())
    }

    fn end(&self, state: &TxnState) {
        match state.status.replace(Status::Ended) {
            Status::Prepared(ts) | Status::Committing(ts) => {
                self.in_flight.borrow_mut().remove(&(ts, state.xid));
            }
            Status::Active | Status::Ended => {}
        }
        self.txns.borrow_mut().remove(&state.xid);
        for start in state.pins.borrow_mut().drain(..) {
            self.unpin(start);
        }
        self.locks.release(state.xid);
        self.settled.notify_all();
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

    fn unpin(&self, start: Lsn) {
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

    /// Not to be dropped half way.
    async fn checkpoint_now(&self) -> Result<()> {
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

    /// Collects garbage in one tree; returns how many versions it took.
    pub async fn vacuum(&self, tree: TreeId) -> Result<u64> {
        self.check()?;
        let (mut from, mut total) = (Vec::new(), 0);
        loop {
            let (next, taken) =
                versions::sweep(&self.store, tree, &from, 1_024, self.snapshots.lowest()).await?;
            total += taken;
            self.counters
                .versions_pruned
                .set(self.counters.versions_pruned.get() + taken);
            match next {
                Some(key) => from = key,
                None => return Ok(total),
            }
            runtime::yield_now().await;
        }
    }
}

/// 08007: only the next start tells whether it was committed.
fn unknown(e: &Error) -> Error {
    Error::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        "the outcome of the commit is unknown",
    )
    .with_detail(e.message().to_owned())
    .with_hint("The partition is fenced. After a restart look whether the changes are there before repeating them.")
}

/// Runs `work` on its own task, so that a caller that goes away cannot leave it half done.
async fn to_the_end<T: 'static>(work: impl Future<Output = Result<T>> + 'static) -> Result<T> {
    let (done, outcome) = oneshot::channel();
    runtime::spawn(async move {
        let _ = done.send(work.await);
    })
    .detach();
    outcome.await.unwrap_or_else(|_| {
        Err(Error::new(
            SqlState::ADMIN_SHUTDOWN,
            "the shard is stopping",
        ))
    })
}
