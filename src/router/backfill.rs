//! The entries of an index for rows that were there before it, put in place while others write the table.
//!
//! Owns: whom to wait for before and after, and the order in which the partitions' rows are gone through: all partitions at once, each
//! in small transactions. Asked by: `session::build`. What makes a run of local entries right is in `engine::shard::backfill`. An entry
//! of a unique index lives elsewhere than its row: its lock is taken, and then the row is read; whoever changes the row
//! in that value needs the same lock. Never: waits for a lock while it holds another, so it is part of no deadlock among rows.
//! Bounds: `RUN_MAX` rows a run and partition, `CLAIMS_MAX` rows at a time of a unique index and partition.

use super::commit::Txn;
use super::{Router, is_stale, odd};
use engine::catalog::{Index, Table};
use engine::codec::key;
use engine::exec::Context;
use engine::shard::Reply;
use engine::shard::call::{
    Address, BackfillCall, BuildCall, EntryChange, LoadEntry, PartitionCall, Resume, UniqueCall,
    UniqueChange,
};
use engine::shard::{index_detail, load::entry_of};
use engine::txn::build::BuildGuard;
use engine::txn::{Isolation, Stop};
use futures_util::future::try_join_all;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, PartitionId, Result, Row, SqlState, TableId, Xid};

/// How often it is looked whether those who are waited for have ended.
const POLL: Duration = Duration::from_millis(10);
/// Before something is tried again.
const PAUSE: Duration = Duration::from_millis(1);
const RUN_MAX: usize = 512;
const CLAIMS_MAX: usize = 16;

/// What is built.
pub struct Build {
    pub table: TableId,
    pub index: TableId,
    /// Of the session; its catalog is replaced by the newest.
    pub ctx: Arc<Context>,
    pub stop: Arc<Stop>,
}

/// The definitions as they are now.
struct Now {
    table: Arc<Table>,
    index: Arc<Index>,
    ctx: Arc<Context>,
}

impl Router {
    /// Waits for every statement, and every transaction that keeps its snapshot, that has begun before now.
    pub async fn statements_end(&self, stop: &Stop) -> Result<()> {
        let now = self.shard.now();
        while self.shard.horizon() < now {
            stop.check()?;
            runtime::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits for every transaction that has written the table until now.
    pub async fn writers_end(
        &self,
        table: TableId,
        shown: &BuildGuard<'_>,
        stop: &Stop,
    ) -> Result<()> {
        let mut waited = self.writers(table).await?;
        let all = waited.len();
        loop {
            shown.lockers(all, waited.len());
            if waited.is_empty() {
                return Ok(());
            }
            stop.check()?;
            runtime::sleep(POLL).await;
            let now = self.writers(table).await?;
            waited.retain(|xid| now.contains(xid));
        }
    }

    async fn writers(&self, table: TableId) -> Result<BTreeSet<Xid>> {
        let mut all = BTreeSet::new();
        for reply in self
            .call_all(|_| PartitionCall::Build(BuildCall::Writers { table }))
            .await?
        {
            let Reply::Writers(xids) = reply else {
                return Err(odd());
            };
            all.extend(xids);
        }
        Ok(all)
    }

    /// Once every writer knows the index. 23505 where two rows have one value.
    pub async fn backfill(self: &Rc<Self>, build: &Build, shown: &BuildGuard<'_>) -> Result<()> {
        let parts = self.partition_ids().map(|partition| async move {
            match self.built(build)? {
                Some(now) if now.index.unique => self.claim_all(build, partition, shown).await?,
                Some(_) => self.fill(build, partition, shown).await?,
                None => {}
            }
            shown.partition_done();
            Ok(())
        });
        try_join_all(parts).await.map(drop)
    }

    /// `None`: the index is valid, as its table was emptied or its rows moved meanwhile. 42704 when it has gone.
    fn built(&self, build: &Build) -> Result<Option<Now>> {
        let catalog = self.shard.catalog(build.ctx.catalog.database);
        let table = catalog.tables.get(&build.table).cloned();
        let index = table.as_ref().and_then(|t| {
            let found = t.indexes.iter().find(|i| i.id == build.index);
            found.cloned()
        });
        let (Some(table), Some(index)) = (table, index) else {
            return Err(engine::catalog::change::gone(build.index));
        };
        let ctx = Context::clone(&build.ctx);
        let ctx = Arc::new(Context { catalog, ..ctx });
        Ok(index.invalid.then_some(Now { table, index, ctx }))
    }

    /// Entries of a local index, where their rows are.
    async fn fill(
        self: &Rc<Self>,
        build: &Build,
        partition: PartitionId,
        shown: &BuildGuard<'_>,
    ) -> Result<()> {
        let (mut rows_max, mut locked) = (RUN_MAX, false);
        let mut from: Option<Resume> = None;
        while let Some(now) = self.built(build)? {
            build.stop.check()?;
            let txn = Txn::begin(self.clone(), Isolation::Serializable);
            txn.takes_part(partition);
            let _snapshot = txn.statement();
            let call = BackfillCall {
                txn: txn.reference(&build.stop),
                ctx: now.ctx,
                table: now.table,
                index: now.index,
                rows_max,
                locked,
                resume: from.clone(),
            };
            match self
                .call(partition, PartitionCall::Build(BuildCall::Fill(call)))
                .await
            {
                Ok(Reply::Filled { rows, resume }) => {
                    txn.committed_by_call();
                    shown.rows(rows);
                    rows_max = RUN_MAX.min(2 * rows_max);
                    locked = false;
                    match resume {
                        Some(_) => from = resume,
                        None => return Ok(()),
                    }
                }
                Ok(_) => return Err(odd()),
                Err(e) if is_stale(&e) => runtime::sleep(PAUSE).await,
                Err(e) if e.code() == SqlState::SERIALIZATION_FAILURE => {
                    // A smaller run is the less likely to be met; one row that is always met is locked.
                    locked = rows_max == 1;
                    rows_max = (rows_max / 4).max(1);
                }
                Err(e) if e.code() == SqlState::DEADLOCK_DETECTED => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Entries of a unique index for a partition's rows.
    async fn claim_all(
        self: &Rc<Self>,
        build: &Build,
        partition: PartitionId,
        shown: &BuildGuard<'_>,
    ) -> Result<()> {
        let mut from: Option<Resume> = None;
        while let Some(now) = self.built(build)? {
            build.stop.check()?;
            let txn = Txn::begin(self.clone(), Isolation::ReadCommitted);
            let snapshot = txn.statement();
            let call = PartitionCall::Export {
                txn: txn.reference(&build.stop),
                table: now.table,
                resume: from,
            };
            let Reply::Keyed { rows, resume } = self.call(partition, call).await? else {
                return Err(odd());
            };
            drop(snapshot);
            let mut rows = rows.into_iter();
            loop {
                let run: Vec<_> = rows.by_ref().take(CLAIMS_MAX).collect();
                if run.is_empty() {
                    break;
                }
                let claims = run.into_iter().map(|(key, row)| {
                    let address = Address { partition, key };
                    self.claim(build, address, row)
                });
                shown.rows(try_join_all(claims).await?.len() as u64);
            }
            from = resume;
            if from.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The entry of one row, which was `row` a moment ago.
    async fn claim(self: &Rc<Self>, build: &Build, address: Address, mut row: Row) -> Result<()> {
        while let Some(now) = self.built(build)? {
            build.stop.check()?;
            match self.try_claim(build, &now, &address, &row).await {
                Ok(Claim::Done) => return Ok(()),
                Ok(Claim::Changed(into)) => row = into,
                Err(e) if is_stale(&e) || e.code() == SqlState::DEADLOCK_DETECTED => {
                    runtime::sleep(PAUSE).await;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    async fn try_claim(
        self: &Rc<Self>,
        build: &Build,
        now: &Now,
        address: &Address,
        row: &Row,
    ) -> Result<Claim> {
        let entry = |row: &Row| entry_of(&now.table, &now.index, row, address.clone(), &now.ctx);
        let Some(wanted) = entry(row)? else {
            return Ok(Claim::Done);
        };
        let to = key::partition(&wanted.key, self.shard.partition_count);
        let txn = Txn::begin(self.clone(), Isolation::ReadCommitted);
        txn.takes_part(to);
        let snapshot = txn.statement();
        let check = self.change_entry(build, now, &txn, &wanted, EntryChange::Check);
        let holder = check.await?;
        drop(snapshot);
        // What was committed by whoever had the lock before is seen from here on.
        let _snapshot = txn.statement();
        let look = BuildCall::Look {
            txn: txn.reference(&build.stop),
            table: now.table.clone(),
            key: address.key.clone(),
            version: now.ctx.catalog.version,
        };
        let Reply::Row(found) = self
            .call(address.partition, PartitionCall::Build(look))
            .await?
        else {
            return Err(odd());
        };
        let Some(found) = found else {
            return Ok(Claim::Done);
        };
        if entry(&found)?.is_none_or(|e| e.key != wanted.key) {
            return Ok(Claim::Changed(found));
        }
        match holder {
            Some(holder) if holder == *address => {}
            Some(_) => return Err(duplicated(now, &wanted)),
            None => {
                let row = address.clone();
                let add = EntryChange::Add { row };
                self.change_entry(build, now, &txn, &wanted, add).await?;
            }
        }
        txn.commit().await?;
        Ok(Claim::Done)
    }

    /// Answers who has had it.
    async fn change_entry(
        &self,
        build: &Build,
        now: &Now,
        txn: &Txn,
        entry: &LoadEntry,
        change: EntryChange,
    ) -> Result<Option<Address>> {
        let call = UniqueCall {
            txn: txn.reference(&build.stop),
            table: now.table.clone(),
            version: Some(now.ctx.catalog.version),
            changes: vec![UniqueChange {
                index: now.index.clone(),
                key: entry.key.clone(),
                change,
                values: entry.values.clone(),
            }],
        };
        let to = key::partition(&entry.key, self.shard.partition_count);
        match self.call(to, PartitionCall::Unique(call)).await? {
            Reply::Holders(mut holders) => Ok(holders.pop().flatten()),
            _ => Err(odd()),
        }
    }
}

enum Claim {
    Done,
    /// The row has other values now.
    Changed(Row),
}

fn duplicated(now: &Now, entry: &LoadEntry) -> Error {
    let forms = &now.ctx.session.forms;
    let detail = index_detail(&now.table, &now.index, &entry.values, forms);
    Error::new(
        SqlState::UNIQUE_VIOLATION,
        format!("could not create unique index \"{}\"", now.index.name),
    )
    .with_detail(format!("{detail} is duplicated."))
    .with_table(&now.table.schema, &now.table.name)
    .with_constraint(&now.index.name)
}
