//! What a core owns, and the closed list of what it may be asked.
//!
//! Owns: its partitions (partition p lives on shard p mod N), its clock, its open snapshots, the catalog snapshot it answers
//! with. Asked by: the front's router, through `handle` alone: called directly on its own core, through the mesh from
//! others. Never: asks another shard anything, so calls never nest.
//! Bounds: replies carry one batch; what a call keeps is bounded by `limits::QUERY_BYTES_MAX`. Between calls only `run` keeps
//! something.

mod backfill;
mod backward;
mod bitmap;
pub mod call;
mod constraints;
mod covering;
mod cursor;
mod delete;
mod edit;
pub mod entries;
pub mod get;
pub mod insert;
pub mod layout;
pub mod load;
mod locator;
mod lock;
mod meter;
pub mod references;
pub mod repartition;
mod rewrite;
pub mod route;
mod run;
mod sample;
mod scan;
pub mod sequence;
mod unique;
mod update;

pub use call::{BackupStep, Envelope, PartitionCall, Reply, ShardCall, ShardReply};
pub use edit::{Aim, Edit, Edited};
pub use get::Lookup;

pub use constraints::{index_detail, key_detail, violated};
pub use layout::Layout;
pub use update::generate;
pub use update::{changed_meanwhile, concurrent};

use crate::catalog::{Catalog, Catalogs, Table, stored};
pub use crate::txn::Options;
use crate::txn::backup::BackupProgress;
use crate::txn::build::BuildProgress;
use crate::txn::commit::{CARRIED_OUT_WITHIN, Decides};
use crate::txn::deadlock::Suspects;
use crate::txn::horizon::SnapshotGuard;
use crate::txn::landing::Landing;
use crate::txn::locks::Mode;
use crate::txn::recovery::{self, Recovered};
use crate::txn::staged;
use crate::txn::state::TxnState;
use crate::txn::{Clock, Horizon, Partition, Snapshots, Stop, TxnRef, partition};
use call::{PartitionStats, Resolution, ShardStats};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, PartitionId, Result, ShardId, SqlState, TreeId, Ts, Xid};

/// How often the horizon's promise is renewed, and garbage and checkpoints are looked at.
const TICK: Duration = Duration::from_millis(100);
const PUBLICATION_POLL: Duration = Duration::from_millis(1);

pub struct Shard {
    pub id: ShardId,
    pub shards: usize,
    pub partition_count: u16,
    pub layout: Layout,
    partitions: BTreeMap<PartitionId, Rc<Partition>>,
    /// Partitions that could not be opened, and why. The others serve.
    lost: BTreeMap<PartitionId, Error>,
    clock: Rc<Clock>,
    snapshots: Rc<Snapshots>,
    suspects: Rc<Suspects>,
    catalogs: RefCell<Arc<Catalogs>>,
    recovered: RefCell<Vec<(PartitionId, Recovered)>>,
    sequences: sequence::Sequences,
    runs: run::Runs,
    /// Above every tree there was at the start or that was dropped since. A checkpoint may still hold what was in them, so
    /// none of their numbers is given to another tree before the next start, which looks at what there is.
    trees_end: Cell<u32>,
    xids: Cell<u64>,
    calls: Cell<u64>,
}

/// Which shard owns a partition.
pub fn owner(partition: PartitionId, shards: usize) -> ShardId {
    ShardId((usize::from(partition.0) % shards) as u16)
}

impl Shard {
    /// Opens this shard's partitions under `root` and redoes their WALs. Nothing is served before `Begin`.
    pub async fn open(
        id: ShardId,
        shards: usize,
        root: &runtime::Dir,
        layout: Layout,
        options: &Options,
        horizon: Arc<Horizon>,
    ) -> Result<Rc<Shard>> {
        let clock = Rc::new(Clock::new(Clock::base_above(Ts(0))));
        let snapshots = Snapshots::new(id, horizon);
        let suspects = Rc::<Suspects>::default();
        let mut partitions = BTreeMap::new();
        let mut recovered = Vec::new();
        let mut lost = BTreeMap::new();
        for p in layout.ids().filter(|p| owner(*p, shards) == id) {
            let dir = root
                .subdir(&layout.name(p))
                .await
                .map_err(|e| io("open the partition's directory", &e))?;
            let mut options = options.clone();
            // Each partition has an archive of its own.
            options.storage.archive = options.storage.archive.map(|a| a.join(layout.name(p)));
            match recovery::open(
                p,
                dir,
                &options,
                clock.clone(),
                snapshots.clone(),
                suspects.clone(),
            )
            .await
            {
                Ok((partition, mut found)) => {
                    found.trees_end = above(&partition.store.trees());
                    partitions.insert(p, partition);
                    recovered.push((p, found));
                }
                Err(error) if isolates(&error) => {
                    tracing::error!(partition = p.0, %error, "partition out of service");
                    lost.insert(p, partition::out_of_service(p, error.message()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Rc::new(Shard {
            id,
            shards,
            partition_count: layout.partitions,
            layout,
            partitions,
            lost,
            clock,
            snapshots,
            suspects,
            catalogs: RefCell::new(Arc::new(Catalogs::empty(layout.partitions))),
            recovered: RefCell::new(recovered),
            sequences: sequence::Sequences::default(),
            runs: run::Runs::default(),
            trees_end: Cell::new(0),
            xids: Cell::new(0),
            calls: Cell::new(0),
        }))
    }

    /// Every database's catalog.
    pub fn catalogs(&self) -> Arc<Catalogs> {
        self.catalogs.borrow().clone()
    }

    /// The catalog that statements of that database which begin now start with; it has nothing when the database is gone.
    pub fn catalog(&self, database: u32) -> Arc<Catalog> {
        if let Some(catalog) = self.catalogs.borrow().of(database) {
            return catalog.clone();
        }
        let nothing = Catalog::empty(self.partition_count);
        Arc::new(Catalog {
            database,
            ..nothing
        })
    }

    /// A reading of the clock.
    pub fn now(&self) -> Ts {
        self.clock.now()
    }

    /// After a reply or call stamped by another shard.
    pub fn saw(&self, stamp: Ts) {
        self.clock.merge(stamp);
    }

    /// A snapshot of everything committed so far, on every shard.
    pub fn snapshot(&self) -> SnapshotGuard {
        self.snapshots.open(self.clock.now())
    }

    /// How far the process's backup is.
    pub fn backup_progress(&self) -> &BackupProgress {
        &self.snapshots.horizon().backup
    }

    /// No statement of any shard that has begun reads below it.
    pub fn horizon(&self) -> Ts {
        self.snapshots.lowest()
    }

    /// How far the process's index builds are.
    pub fn build_progress(&self) -> &BuildProgress {
        &self.snapshots.horizon().build
    }

    /// Transactions that have waited long for a lock of this shard's.
    pub fn suspects(&self) -> &Rc<Suspects> {
        &self.suspects
    }

    pub fn new_xid(&self) -> Xid {
        let next = self.xids.get() + 1;
        self.xids.set(next);
        Xid::new(self.id, next)
    }

    /// For what is begun from here in partitions.
    pub fn new_run(&self) -> call::RunId {
        self.runs.next(self.id)
    }

    /// Begins a transaction's commit in a partition of this shard; `None`: it has to be asked for.
    pub fn commit_here(&self, partition: PartitionId, xid: Xid) -> Option<Result<Landing>> {
        let p = self.partitions.get(&partition)?;
        p.check().ok()?;
        let begun = p.commit_here(xid, &Decides::default())?;
        self.calls.set(self.calls.get() + 1);
        Some(begun)
    }

    pub fn owner(&self, partition: PartitionId) -> ShardId {
        owner(partition, self.shards)
    }

    /// The partition that keeps rows without a key inserted on this shard.
    pub fn home(&self) -> PartitionId {
        PartitionId(self.id.0 % self.partition_count)
    }

    /// The version of the catalog that statements of that database which begin now start with.
    pub fn catalog_version(&self, database: u32) -> u64 {
        let catalogs = self.catalogs.borrow();
        catalogs.of(database).map_or(0, |c| c.version)
    }

    /// Answers a call that has nothing to wait for; any other is for `handle`.
    pub fn handle_now(self: &Rc<Self>, envelope: &Envelope) -> Option<ShardReply> {
        let ShardCall::Partition(id, call) = &envelope.call else {
            return None;
        };
        match call {
            PartitionCall::Get(call) => {
                self.clock.merge(envelope.stamp);
                let what = (&*call.lookup, &call.key[..]);
                let reader = (Some(call.txn.xid), call.txn.snapshot);
                let found = self.row_here(*id, what, reader, call.version)?;
                Some(found.map(Reply::Row))
            }
            // A commit waits for the disk.
            PartitionCall::Edit(call) if !call.commit && call.aim.partition == *id => {
                self.clock.merge(envelope.stamp);
                let done = self.edit_here(call)?;
                Some(done.map(|e| Reply::Edited {
                    count: e.count,
                    row: e.row,
                }))
            }
            _ => None,
        }
    }

    /// Answers one call.
    pub async fn handle(self: &Rc<Self>, envelope: Envelope) -> ShardReply {
        self.clock.merge(envelope.stamp);
        self.calls.set(self.calls.get() + 1);
        match envelope.call {
            ShardCall::Partition(id, call) => {
                let partition = self.partition(id)?;
                self.partition_call(partition, call).await
            }
            ShardCall::Publish(catalogs) => {
                self.publish(catalogs);
                Ok(Reply::Done)
            }
            ShardCall::DropTrees(trees) => Box::pin(self.drop_trees(&trees)).await,
            ShardCall::Checkpoint => Box::pin(self.checkpoint()).await,
            ShardCall::Waits => Ok(Reply::Waits(
                self.partitions
                    .values()
                    .flat_map(|p| p.locks.waits(p.id))
                    .collect(),
            )),
            ShardCall::EndWait { wait, cycle } => {
                if let Some(p) = self.partitions.get(&wait.partition) {
                    p.locks.end_wait(wait.waiter, wait.number, &cycle);
                }
                Ok(Reply::Done)
            }
            ShardCall::SetPolicy(policy) => {
                self.partitions
                    .values()
                    .for_each(|p| p.store.set_policy(policy));
                Ok(Reply::Done)
            }
            ShardCall::TakeChanged => {
                let all = self.partitions.values();
                Ok(Reply::Changed(all.flat_map(|p| p.take_changed()).collect()))
            }
            ShardCall::TreeBytes(trees) => {
                let mut pages = 0;
                let partitions: Vec<_> = self.partitions.values().cloned().collect();
                for p in partitions {
                    for tree in &trees {
                        pages += p.store.tree_pages(*tree).await?;
                    }
                }
                Ok(Reply::Count(pages * storage::PAGE_BYTES as u64))
            }
            ShardCall::Stats => Ok(Reply::Stats(Box::new(self.stats()))),
            ShardCall::Recovered => Ok(Reply::Recovered {
                found: std::mem::take(&mut self.recovered.borrow_mut()),
                lost: self.lost.keys().copied().collect(),
            }),
            ShardCall::Begin {
                base,
                resolved,
                catalog,
            } => Box::pin(self.begin(base, resolved, catalog)).await,
            ShardCall::LoadCatalog => Box::pin(self.load_catalog())
                .await
                .map(|c| Reply::Catalog(Arc::new(c))),
        }
    }

    fn partition(&self, id: PartitionId) -> Result<&Rc<Partition>> {
        match (self.partitions.get(&id), self.lost.get(&id)) {
            (Some(partition), _) => Ok(partition),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Err(Error::internal(format!(
                "shard {} does not own partition {id}",
                self.id
            ))),
        }
    }

    async fn partition_call(
        self: &Rc<Self>,
        partition: &Rc<Partition>,
        call: PartitionCall,
    ) -> ShardReply {
        partition.check()?;
        let locker = call.locker();
        let writer = call.writer().cloned();
        let _writing = writer.as_ref().and_then(|txn| partition.writing(txn));
        let reply = self.answer(partition, call).await;
        if let Some(xid) = locker
            && reply.as_ref().map_or(true, Reply::tells)
        {
            partition.tells(xid).await?;
        }
        reply
    }

    /// What is asked most is part of this future; the others, each several KiB, would make it as large for everybody.
    async fn answer(self: &Rc<Self>, partition: &Rc<Partition>, call: PartitionCall) -> ShardReply {
        match call {
            PartitionCall::RollbackTo { xid, savepoint } => {
                Box::pin(rollback_to(partition, xid, savepoint)).await
            }
            PartitionCall::Backup { step, stop } => {
                Box::pin(self.backup(partition, step, &stop)).await
            }
            PartitionCall::Get(c) => Box::pin(self.get(partition, c)).await,
            PartitionCall::Edit(c) => Box::pin(self.edit(partition, c)).await,
            PartitionCall::Scan(c) => self.scan(partition, c).await,
            PartitionCall::Run(c) => Box::pin(self.run(partition, c)).await,
            PartitionCall::Insert(c) => Box::pin(self.insert(partition, c)).await,
            PartitionCall::Update(c) => Box::pin(self.update(partition, c)).await,
            PartitionCall::Delete(c) => Box::pin(self.delete(partition, c)).await,
            PartitionCall::Rewrite(c) => Box::pin(self.rewrite(partition, c)).await,
            PartitionCall::Unique(c) => Box::pin(self.unique(partition, c)).await,
            PartitionCall::LockRows(c) => Box::pin(self.lock_rows(partition, c)).await,
            PartitionCall::References(c) => Box::pin(self.references(partition, c)).await,
            PartitionCall::Referrers(c) => Box::pin(self.referrers(partition, c)).await,
            PartitionCall::Build(c) => Box::pin(self.build(partition, c)).await,
            PartitionCall::Entries(c) => Box::pin(self.entries(partition, c)).await,
            PartitionCall::Export { txn, table, resume } => {
                Box::pin(self.export(partition, &txn, &table, resume)).await
            }
            PartitionCall::Sample {
                txn,
                table,
                rows_max,
            } => Box::pin(self.sample(partition, &txn, &table, rows_max)).await,
            PartitionCall::Load(c) => Box::pin(self.load(partition, c)).await,
            PartitionCall::LockTable {
                txn,
                table,
                version,
            } => Box::pin(lock::bar_table(partition, &txn, table, version)).await,
            PartitionCall::HoldTable(c) => Box::pin(lock::hold_table(partition, c)).await,
            PartitionCall::LockCatalog { txn } => {
                Box::pin(self.lock_catalog(partition, &txn)).await
            }
            PartitionCall::WriteCatalog { txn, cells } => write_catalog(partition, &txn, cells),
            PartitionCall::Prepare { xid, coordinator } => {
                Box::pin(partition.prepare(xid, coordinator))
                    .await
                    .map(Reply::At)
            }
            PartitionCall::Commit { xid, decides } => Box::pin(partition.commit(xid, decides))
                .await
                .map(Reply::At),
            PartitionCall::CommitPrepared { xid, ts } => {
                Box::pin(partition.commit_prepared(xid, ts, CARRIED_OUT_WITHIN))
                    .await
                    .map(|()| Reply::Done)
            }
            PartitionCall::Abort { xid } => {
                partition.abort(xid);
                Ok(Reply::Done)
            }
            PartitionCall::Advise(c) => Box::pin(lock::advise(partition, c)).await,
            PartitionCall::Sequence(c) => Box::pin(self.sequence(partition, c)).await,
            PartitionCall::Unadvise { xid, key } => lock::unadvise(partition, xid, key),
            PartitionCall::Forget { xid } => {
                partition.forget(xid);
                Ok(Reply::Done)
            }
            PartitionCall::Vacuum { trees } => Box::pin(vacuum(partition, trees)).await,
        }
    }

    async fn backup(&self, p: &Rc<Partition>, step: BackupStep, stop: &Stop) -> ShardReply {
        match step {
            BackupStep::Begin => p.backup_begin(stop).await?,
            BackupStep::Copy { to } => p.backup_copy(&to, stop).await?,
            BackupStep::Seal { to, from } => {
                return p.backup_seal(&to, from, stop).await.map(Reply::Sealed);
            }
            BackupStep::End => p.backup_end(),
        }
        Ok(Reply::Done)
    }

    /// What the plan's table is read by must still be there, unless the plan's catalog is newer (a transaction's own). Columns
    /// may have come and gone: rows say which of them they have.
    fn live(&self, table: &Table, version: u64) -> Result<()> {
        let same = |known: &Table| {
            // One that was added since changes nothing for who does not know it.
            let is_there = |tree: TreeId| known.indexes.iter().any(|i| i.tree == tree);
            known.tree == table.tree && table.indexes.iter().all(|i| is_there(i.tree))
        };
        self.known(table, version, same)
    }

    fn known(&self, table: &Table, version: u64, same: impl Fn(&Table) -> bool) -> Result<()> {
        let catalogs = self.catalogs.borrow();
        if catalogs.version <= version {
            return Ok(());
        }
        match catalogs.table(table.id) {
            Some(known) if same(known) => Ok(()),
            _ => Err(call::stale(table)),
        }
    }

    /// What every write does first: keep definition changes out until the transaction ends.
    async fn enter(
        &self,
        p: &Partition,
        txn: &TxnRef,
        table: &Table,
        version: u64,
    ) -> Result<Rc<TxnState>> {
        let state = p.txn(txn);
        p.lock_table(txn, &state, table.id, Mode::Shared).await?;
        if p.is_barred(table.id) {
            return Err(call::stale(table));
        }
        self.known(table, version, |known| known.takes_writes_of(table.since))?;
        Ok(state)
    }

    fn publish(&self, catalogs: Arc<Catalogs>) {
        let mut current = self.catalogs.borrow_mut();
        let version = catalogs.version;
        if version > current.version {
            *current = catalogs;
            self.partitions.values().for_each(|p| p.unbar(version));
        }
    }

    async fn drop_trees(&self, trees: &[TreeId]) -> ShardReply {
        self.trees_end.set(self.trees_end.get().max(above(trees)));
        for partition in self.partitions.values() {
            partition.drop_trees(trees).await?;
        }
        Ok(Reply::Done)
    }

    async fn checkpoint(&self) -> ShardReply {
        for partition in self.partitions.values() {
            partition.checkpoint().await?;
        }
        Ok(Reply::Done)
    }

    /// Answers once this shard has what the change before has committed: its lock ends before its publication.
    async fn lock_catalog(&self, p: &Rc<Partition>, txn: &TxnRef) -> ShardReply {
        let state = p.txn(txn);
        p.lock_row(txn, &state, stored::TABLE, stored::TREE, b"")
            .await?;
        let newest = p.latest(&state, stored::TREE, stored::HEADER).await?;
        let committed = match newest.and_then(|(_, payload)| payload) {
            Some(header) => stored::version(&header)?,
            None => 0,
        };
        while self.catalogs.borrow().version < committed {
            txn.stop.check()?;
            runtime::sleep(PUBLICATION_POLL).await;
        }
        let mut catalogs = self.catalogs();
        if catalogs.next_oid < self.trees_end.get() {
            Arc::make_mut(&mut catalogs).next_oid = self.trees_end.get();
        }
        Ok(Reply::Catalog(catalogs))
    }

    async fn load_catalog(&self) -> Result<Catalogs> {
        let partition = self.partition(PartitionId(0))?;
        let cells = cursor::all_live(partition, stored::TREE).await?;
        stored::decode(self.partition_count, cells.into_iter())
    }

    /// Settles what recovery left open, drops trees no catalog names, and starts the background work.
    async fn begin(
        self: &Rc<Self>,
        base: u64,
        resolved: Vec<Resolution>,
        catalog: Arc<Catalogs>,
    ) -> ShardReply {
        self.clock.set_base(base);
        self.xids.set(self.clock.now().0 / 1_000);
        for r in resolved {
            let Some(partition) = self.partitions.get(&r.partition) else {
                continue;
            };
            match r.committed {
                Some(ts) => {
                    let done = partition.commit_prepared(r.xid, ts, Duration::ZERO).await;
                    done.unwrap_or_else(|e| partition.fence(&e));
                }
                None => partition.abort(r.xid),
            }
        }
        self.trees_end.set(catalog.next_oid);
        self.publish(catalog);
        let named = self.catalogs().trees();
        for partition in self.partitions.values() {
            for tree in partition.store.trees() {
                if tree >= stored::FIRST_USER_TREE && !named.contains(&tree) {
                    let dropped = partition.store.drop_tree(tree).await;
                    dropped.unwrap_or_else(|e| partition.fence(&e.into()));
                }
            }
        }
        self.snapshots.promise(self.clock.now());
        let this = Rc::downgrade(self);
        runtime::spawn(async move {
            while let Some(shard) = this.upgrade() {
                shard.snapshots.promise(shard.clock.now());
                drop(shard);
                runtime::sleep(TICK).await;
            }
        })
        .detach();
        let this = Rc::downgrade(self);
        runtime::spawn_background(async move {
            while let Some(shard) = this.upgrade() {
                shard.keep_house().await;
                drop(shard);
                runtime::sleep(TICK).await;
            }
        })
        .detach();
        Ok(Reply::Done)
    }

    async fn keep_house(&self) {
        self.runs.forget();
        for partition in self.partitions.values() {
            if partition.fenced().is_some() {
                continue;
            }
            // A failure fences the partition, which says why to everybody who asks it for anything.
            if let Err(e) = partition.collect_garbage().await {
                partition.fence(&e);
            }
            partition.reads.forget_below(self.snapshots.lowest());
            if let Err(e) = partition.mark_for_archive().await {
                partition.fence(&e);
            }
            if partition.store.checkpoint_due() {
                let _ = partition.checkpoint().await;
            }
            if partition.store.compaction_due() {
                let _ = partition.compact().await;
            }
        }
    }

    /// Every partition's reason for being out of service.
    pub fn fenced(&self) -> Option<String> {
        let fenced = |p: &Rc<Partition>| p.fenced().map(|why| format!("partition {}: {why}", p.id));
        let lost = self.lost.values().next().map(|e| e.message().to_owned());
        self.partitions.values().find_map(fenced).or(lost)
    }

    /// Stops the stores; checkpoints first unless a partition is fenced.
    pub async fn close(&self) -> Result<()> {
        self.settle_sequences().await?;
        for partition in self.partitions.values() {
            if partition.fenced().is_none() {
                partition.checkpoint().await?;
            }
            partition.store.close().await.map_err(Error::from)?;
        }
        Ok(())
    }

    fn stats(&self) -> ShardStats {
        let partition = |p: &Rc<Partition>| PartitionStats {
            partition: p.id,
            store: p.store.stats(),
            commits: p.counters.commits.get(),
            prepares: p.counters.prepares.get(),
            aborts: p.counters.aborts.get(),
            conflicts: p.counters.conflicts.get(),
            versions_pruned: p.counters.versions_pruned.get(),
            locks_held: p.locks.held() as u64,
            lock_waiters: p.locks.waiting() as u64,
            txns_open: p.txns_open() as u64,
            readers_open: p.reads.len() as u64,
            garbage_queued: p.garbage.len().0 as u64,
            garbage_missed: p.garbage.len().1,
            fenced: p.fenced(),
        };
        ShardStats {
            partitions: self.partitions.values().map(partition).collect(),
            lost: self
                .lost
                .iter()
                .map(|(p, e)| (*p, e.message().to_owned()))
                .collect(),
            snapshots_open: self.snapshots.count() as u64,
            calls: self.calls.get(),
        }
    }
}

/// Whether an error at the opening of a partition is that partition's alone.
fn isolates(error: &Error) -> bool {
    error.code() == SqlState::DATA_CORRUPTED || error.code() == SqlState::IO_ERROR
}

/// The number after the highest that a catalog has given.
fn above(trees: &[TreeId]) -> u32 {
    trees
        .iter()
        .filter(|t| t.0 < staged::FIRST_TREE)
        .map(|t| t.0 + 1)
        .max()
        .unwrap_or(0)
}

fn io(what: &str, e: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: {e}"))
}

fn write_catalog(
    partition: &Partition,
    txn: &TxnRef,
    cells: Vec<(Vec<u8>, Option<Vec<u8>>)>,
) -> ShardReply {
    let state = partition.txn(txn);
    for (key, value) in cells {
        state.write(stored::TREE, key, value)?;
    }
    Ok(Reply::Done)
}

async fn rollback_to(partition: &Rc<Partition>, xid: Xid, savepoint: u32) -> ShardReply {
    partition.rollback_to(xid, savepoint).await?;
    Ok(Reply::Done)
}

async fn vacuum(partition: &Rc<Partition>, trees: Vec<TreeId>) -> ShardReply {
    let mut taken = 0;
    for tree in trees {
        taken += partition.vacuum(tree).await?;
    }
    partition.compact().await?;
    Ok(Reply::Count(taken))
}
