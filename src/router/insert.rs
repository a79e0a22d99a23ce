//! INSERT: rows to the partitions their keys hash to, unique entries to theirs.

use super::modify::{Outcome, WriteEnv};
use super::unique::UniqueDelta;
use super::{Router, odd};
use engine::catalog::{Index, Table};
use engine::codec::key;
use engine::plan::{ConflictAction, ConflictTarget, Insert, OnConflict};
use engine::shard::Reply;
use engine::shard::call::{Address, Conflict, InsertCall, Inserted, Load, LoadCall, PartitionCall};
use engine::shard::entries::row_key;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{PartitionId, Result, Row};

impl Router {
    /// Inserts the rows of the statement's source.
    pub async fn insert(&self, env: &WriteEnv, insert: &Insert) -> Result<Outcome> {
        let mut source = engine::exec::operators::open_in_place(&insert.source, &env.exec)?;
        let mut out = Outcome::new(insert.returning.clone());
        let Some(mut batch) = source.next().await? else {
            return Ok(out);
        };
        let mut first = true;
        loop {
            let next = source.next().await?;
            // Rows that were skipped are not counted, but have left locks.
            let only = next.is_none() && std::mem::take(&mut first);
            self.insert_rows(
                env,
                &insert.table,
                batch.rows,
                insert.on_conflict.as_ref(),
                only,
                &mut out,
            )
            .await?;
            match next {
                Some(rows) => batch = rows,
                None => return Ok(out),
            }
        }
    }

    /// Inserts whole table rows. `only`: they are all of the statement's.
    pub async fn insert_rows(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
        on_conflict: Option<&OnConflict>,
        only: bool,
        out: &mut Outcome,
    ) -> Result<()> {
        let arbiters = arbiters(table, on_conflict);
        if !arbiters.is_empty() {
            for row in rows {
                self.insert_arbitrated(env, table, row, on_conflict, &arbiters, out)
                    .await?;
            }
            return Ok(());
        }
        let conflict = conflict(on_conflict);
        let parts = self.by_key(table, rows)?;
        let fuse = env.fuse && only && parts.len() == 1 && !table.has_unique_indexes();
        for (partition, rows) in parts {
            let call = InsertCall {
                txn: env.by.clone(),
                ctx: env.ctx.clone(),
                table: table.clone(),
                rows,
                existing: None,
                on_conflict: conflict.clone(),
                commit: fuse,
            };
            self.send_insert(env, partition, call, out).await?;
        }
        if fuse {
            env.txn.committed_by_call();
        }
        Ok(())
    }

    /// One row whose conflicts may be with a unique index: its entries are locked and looked at first.
    async fn insert_arbitrated(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        row: Row,
        on_conflict: Option<&OnConflict>,
        arbiters: &[Arc<Index>],
        out: &mut Outcome,
    ) -> Result<()> {
        let mut holder: Option<Address> = None;
        for index in arbiters {
            holder = self.holder(&env.txn, &env.by, table, index, &row).await?;
            if holder.is_some() {
                break;
            }
        }
        let (partition, existing, action) = match holder {
            Some(at) => (at.partition, Some(vec![at.key]), conflict(on_conflict)),
            None => {
                let any = on_conflict.is_some_and(|c| c.target.is_none());
                let action = if any {
                    Conflict::Nothing
                } else {
                    Conflict::Error
                };
                (self.partition_of(table, &row)?, None, action)
            }
        };
        let call = InsertCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: table.clone(),
            rows: vec![row],
            existing,
            on_conflict: action,
            commit: false,
        };
        self.send_insert(env, partition, call, out).await
    }

    async fn send_insert(
        &self,
        env: &WriteEnv,
        partition: PartitionId,
        call: InsertCall,
        out: &mut Outcome,
    ) -> Result<()> {
        let table = call.table.clone();
        env.txn.takes_part(partition);
        let Reply::Inserted(rows) = self.call(partition, PartitionCall::Insert(call)).await? else {
            return Err(odd());
        };
        let mut delta = UniqueDelta::default();
        for row in rows {
            match row {
                Inserted::Skipped => {}
                Inserted::Row { key, row } => {
                    if table.has_unique_indexes() {
                        delta.row(&table, &Address { partition, key }, None, Some(&row))?;
                    }
                    out.took(env, row).await?;
                }
                Inserted::Updated(change) => {
                    let address = Address {
                        partition,
                        key: change.key,
                    };
                    let Some(new) = change.new else { continue };
                    if table.has_unique_indexes() {
                        delta.row(&table, &address, Some(&change.old), Some(&new))?;
                    }
                    out.took(env, new).await?;
                }
            }
        }
        if !delta.is_empty() {
            self.settle_unique(&env.txn, &env.by, &table, delta).await?;
        }
        Ok(())
    }

    /// Rows straight into the trees of a table that only this transaction can reach.
    pub async fn load_rows(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
    ) -> Result<u64> {
        let parts = self.by_key(table, rows)?;
        let calls = parts.into_iter().map(|(partition, rows)| {
            env.txn.takes_part(partition);
            let what = Load::Rows {
                rows,
                ctx: env.ctx.clone(),
            };
            let call = LoadCall {
                txn: env.by.clone(),
                table: table.clone(),
                what,
            };
            self.call(partition, PartitionCall::Load(call))
        });
        let mut count = 0;
        for reply in futures_util::future::join_all(calls).await {
            match reply? {
                Reply::Count(n) => count += n,
                _ => return Err(odd()),
            }
        }
        Ok(count)
    }

    fn by_key(&self, table: &Table, rows: Vec<Row>) -> Result<BTreeMap<PartitionId, Vec<Row>>> {
        let mut parts: BTreeMap<PartitionId, Vec<Row>> = BTreeMap::new();
        for row in rows {
            parts
                .entry(self.partition_of(table, &row)?)
                .or_default()
                .push(row);
        }
        Ok(parts)
    }

    /// Rows without a key stay on the shard that received them.
    pub(super) fn partition_of(&self, table: &Table, row: &Row) -> Result<PartitionId> {
        if table.has_key() {
            Ok(key::partition(
                &row_key(table, row)?,
                self.shard.partition_count,
            ))
        } else {
            Ok(self.shard.home())
        }
    }
}

/// Unique indexes that must be asked before the row itself is tried.
fn arbiters(table: &Table, on_conflict: Option<&OnConflict>) -> Vec<Arc<Index>> {
    match on_conflict.map(|c| &c.target) {
        None | Some(Some(ConflictTarget::PrimaryKey)) => Vec::new(),
        Some(Some(ConflictTarget::Unique(index))) => vec![index.clone()],
        Some(None) => table.indexes.iter().filter(|i| i.unique).cloned().collect(),
    }
}

fn conflict(on_conflict: Option<&OnConflict>) -> Conflict {
    match on_conflict.map(|c| &c.action) {
        None => Conflict::Error,
        Some(ConflictAction::Nothing) => Conflict::Nothing,
        Some(ConflictAction::Update {
            assignments,
            filter,
        }) => Conflict::Update {
            assignments: Arc::new(assignments.clone()),
            filter: filter.clone(),
        },
    }
}
