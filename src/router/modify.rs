//! UPDATE and DELETE: to the partitions that may hold their rows; what does not stay with the row is done here.
//!
//! Owns: rows whose key changed (inserted where the new key belongs), unique entries, RETURNING, and the path for
//! expressions with correlated subqueries, which only the coordinator can evaluate.

use super::commit::Txn;
use super::route::{Route, route};
use super::scan::by_partition;
use super::unique::UniqueDelta;
use super::{Router, odd};
use engine::catalog::Table;
use engine::exec::operators::{Exec, eval_row, settle_access, settle_expr};
use engine::exec::{Context, eval};
use engine::plan::{Access, Assignment, Delete, Expr, Returning, Update};
use engine::shard::Reply;
use engine::shard::call::{
    Address, Change, DeleteCall, Modified, PartitionCall, Reach, Resume, UpdateCall,
};
use engine::txn::{Isolation, TxnRef};
use std::rc::Rc;
use std::sync::Arc;
use types::{PartitionId, Result, Row, RowBatch, Value};

/// What a statement that writes works in.
pub struct WriteEnv {
    pub txn: Rc<Txn>,
    pub by: TxnRef,
    pub ctx: Arc<Context>,
    pub exec: Rc<Exec>,
    /// The statement is its own transaction: if one partition does it all, it may commit in the same call.
    pub fuse: bool,
}

/// What a statement did.
pub struct Outcome {
    pub count: u64,
    pub rows: RowBatch,
    returning: Option<Returning>,
    held: Option<engine::exec::memory::Reservation>,
}

impl Outcome {
    pub fn new(returning: Option<Returning>) -> Outcome {
        Outcome {
            count: 0,
            rows: RowBatch::new(),
            returning,
            held: None,
        }
    }

    /// Counts a row and evaluates RETURNING over it.
    pub async fn took(&mut self, env: &WriteEnv, row: Row) -> Result<()> {
        self.count += 1;
        let Some(returning) = &self.returning else {
            return Ok(());
        };
        let mut out = Vec::with_capacity(returning.exprs.len());
        for e in &returning.exprs {
            out.push(eval_row(e, &row, &env.exec, &[]).await?);
        }
        let before = self.rows.bytes;
        self.rows.push(out);
        let held = self
            .held
            .get_or_insert_with(|| env.exec.memory.consumer("RETURNING"));
        held.grow(self.rows.bytes - before)
    }

    pub fn wants_rows(&self) -> bool {
        self.returning.is_some()
    }
}

impl Router {
    pub async fn update(&self, env: &WriteEnv, update: &Update) -> Result<Outcome> {
        let mut out = Outcome::new(update.returning.clone());
        let table = &update.table;
        let filter = settle(update.filter.as_ref(), env).await?;
        let mut assignments = Vec::with_capacity(update.assignments.len());
        for a in &update.assignments {
            assignments.push(Assignment {
                column: a.column,
                expr: settle_expr(&a.expr, &env.exec, &[]).await?,
            });
        }
        let correlated = filter
            .iter()
            .chain(assignments.iter().map(|a| &a.expr))
            .any(eval::has_subquery);
        if correlated {
            self.update_here(env, update, filter.as_ref(), &assignments, &mut out)
                .await?;
            return Ok(out);
        }
        let parts = self.write_parts(env, table, &update.access).await?;
        let moves = assignments
            .iter()
            .any(|a| table.primary_key.contains(&a.column));
        let rows_wanted = out.wants_rows() || table.has_unique_indexes();
        let fuse = env.fuse && parts.len() == 1 && !moves && !rows_wanted;
        let assignments = Arc::new(assignments);
        let mut moved = Vec::new();
        for (partition, reach) in parts {
            env.txn.takes_part(partition);
            let mut resume = None;
            loop {
                let call = UpdateCall {
                    txn: env.by.clone(),
                    ctx: env.ctx.clone(),
                    table: table.clone(),
                    reach: reach.clone(),
                    filter: filter.clone(),
                    assignments: assignments.clone(),
                    rows_wanted,
                    commit: fuse,
                    resume,
                };
                let done = modified(self.call(partition, PartitionCall::Update(call)).await?)?;
                resume = self
                    .changed(
                        env,
                        table,
                        partition,
                        done,
                        rows_wanted,
                        &mut moved,
                        &mut out,
                    )
                    .await?;
                if resume.is_none() {
                    break;
                }
            }
        }
        if fuse {
            env.txn.committed_by_call();
        }
        self.insert_moved(env, table, moved, &mut out).await?;
        Ok(out)
    }

    pub async fn delete(&self, env: &WriteEnv, delete: &Delete) -> Result<Outcome> {
        let mut out = Outcome::new(delete.returning.clone());
        let table = &delete.table;
        let filter = settle(delete.filter.as_ref(), env).await?;
        if filter.as_ref().is_some_and(eval::has_subquery) {
            self.delete_here(env, table, filter.as_ref(), &mut out)
                .await?;
            return Ok(out);
        }
        let parts = self.write_parts(env, table, &delete.access).await?;
        let rows_wanted = out.wants_rows() || table.has_unique_indexes();
        let fuse = env.fuse && parts.len() == 1 && !rows_wanted;
        for (partition, reach) in parts {
            self.delete_in(
                env,
                table,
                partition,
                reach,
                filter.clone(),
                rows_wanted,
                fuse,
                &mut out,
            )
            .await?;
        }
        if fuse {
            env.txn.committed_by_call();
        }
        Ok(out)
    }

    #[allow(clippy::too_many_arguments)]
    async fn delete_in(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        partition: PartitionId,
        reach: Reach,
        filter: Option<Expr>,
        rows_wanted: bool,
        commit: bool,
        out: &mut Outcome,
    ) -> Result<()> {
        env.txn.takes_part(partition);
        let mut resume = None;
        loop {
            let call = DeleteCall {
                txn: env.by.clone(),
                ctx: env.ctx.clone(),
                table: table.clone(),
                reach: reach.clone(),
                filter: filter.clone(),
                rows_wanted,
                commit,
                resume,
            };
            let done = modified(self.call(partition, PartitionCall::Delete(call)).await?)?;
            resume = self
                .changed(
                    env,
                    table,
                    partition,
                    done,
                    rows_wanted,
                    &mut Vec::new(),
                    out,
                )
                .await?;
            if resume.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes in what a partition changed: unique entries, RETURNING, rows that must move.
    #[allow(clippy::too_many_arguments)]
    async fn changed(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        partition: PartitionId,
        done: Modified,
        rows_wanted: bool,
        moved: &mut Vec<Row>,
        out: &mut Outcome,
    ) -> Result<Option<Resume>> {
        let mut delta = UniqueDelta::default();
        if !rows_wanted {
            out.count += done.count - done.changes.len() as u64;
        }
        for Change {
            key,
            old,
            new,
            moved: away,
        } in done.changes
        {
            let address = Address { partition, key };
            if table.has_unique_indexes() {
                delta.row(
                    table,
                    &address,
                    Some(&old),
                    if away { None } else { new.as_ref() },
                )?;
            }
            match new {
                Some(row) if away => moved.push(row),
                Some(row) => out.took(env, row).await?,
                None => out.took(env, old).await?,
            }
        }
        if !delta.is_empty() {
            self.settle_unique(&env.txn, &env.by, table, delta).await?;
        }
        Ok(done.resume)
    }

    async fn insert_moved(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        moved: Vec<Row>,
        out: &mut Outcome,
    ) -> Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        self.insert_rows(env, table, moved, None, false, out).await
    }

    async fn write_parts(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        access: &Access,
    ) -> Result<Vec<(PartitionId, Reach)>> {
        let access = settle_access(access, &env.exec, &[]).await?;
        match route(table, &access, &env.ctx, self.shard.partition_count)? {
            Route::Nowhere => Ok(Vec::new()),
            Route::Partitions(parts) => Ok(parts),
            Route::Unique {
                index,
                span,
                partitions,
            } => Ok(by_partition(
                self.addresses(&env.by, table, &index, &span, &partitions)
                    .await?,
            )),
        }
    }

    /// Row by row at the coordinator. A row that changed since the snapshot fails with 40001, since what was computed
    /// from it here no longer holds.
    async fn update_here(
        &self,
        env: &WriteEnv,
        update: &Update,
        filter: Option<&Expr>,
        assignments: &[Assignment],
        out: &mut Outcome,
    ) -> Result<()> {
        let table = &update.table;
        let mut moved = Vec::new();
        for partition in self.partition_ids() {
            for (key, row) in self.matching(env, table, partition, filter).await? {
                let mut values = Vec::with_capacity(assignments.len());
                for a in assignments {
                    let value: Value = eval_row(&a.expr, &row, &env.exec, &[]).await?;
                    values.push(Assignment {
                        column: a.column,
                        expr: Expr::Const(value, a.expr.ty()),
                    });
                }
                env.txn.takes_part(partition);
                let call = UpdateCall {
                    txn: TxnRef {
                        isolation: strict(env.by.isolation),
                        ..env.by.clone()
                    },
                    ctx: env.ctx.clone(),
                    table: table.clone(),
                    reach: Reach::Keys(vec![key]),
                    filter: None,
                    assignments: Arc::new(values),
                    rows_wanted: true,
                    commit: false,
                    resume: None,
                };
                let done = modified(self.call(partition, PartitionCall::Update(call)).await?)?;
                self.changed(env, table, partition, done, true, &mut moved, out)
                    .await?;
            }
        }
        self.insert_moved(env, table, moved, out).await
    }

    async fn delete_here(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        filter: Option<&Expr>,
        out: &mut Outcome,
    ) -> Result<()> {
        for partition in self.partition_ids() {
            let rows = self.matching(env, table, partition, filter).await?;
            let keys: Vec<Vec<u8>> = rows.into_iter().map(|(key, _)| key).collect();
            if keys.is_empty() {
                continue;
            }
            let strict = WriteEnv {
                txn: env.txn.clone(),
                by: TxnRef {
                    isolation: strict(env.by.isolation),
                    ..env.by.clone()
                },
                ctx: env.ctx.clone(),
                exec: env.exec.clone(),
                fuse: false,
            };
            self.delete_in(
                &strict,
                table,
                partition,
                Reach::Keys(keys),
                None,
                true,
                false,
                out,
            )
            .await?;
        }
        Ok(())
    }

    /// The rows of a partition that a filter only the coordinator can evaluate lets through.
    async fn matching(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        partition: PartitionId,
        filter: Option<&Expr>,
    ) -> Result<Vec<(Vec<u8>, Row)>> {
        let mut held = env.exec.memory.consumer("rows to change");
        let mut out = Vec::new();
        let mut resume = None;
        loop {
            let call = PartitionCall::Export {
                txn: env.by.clone(),
                table: table.clone(),
                resume,
            };
            let Reply::Keyed { rows, resume: next } = self.call(partition, call).await? else {
                return Err(odd());
            };
            for (key, row) in rows {
                let keep = match filter {
                    Some(f) => eval_row(f, &row, &env.exec, &[]).await? == Value::Bool(true),
                    None => true,
                };
                if keep {
                    held.grow(key.len() + types::row::row_bytes(&row))?;
                    out.push((key, row));
                }
            }
            env.by.stop.check()?;
            resume = next;
            if resume.is_none() {
                return Ok(out);
            }
        }
    }
}

/// At least what fails where a row has changed since the snapshot.
fn strict(isolation: Isolation) -> Isolation {
    match isolation {
        Isolation::ReadCommitted => Isolation::RepeatableRead,
        kept => kept,
    }
}

fn modified(reply: Reply) -> Result<Modified> {
    match reply {
        Reply::Modified(done) => Ok(done),
        _ => Err(odd()),
    }
}

async fn settle(filter: Option<&Expr>, env: &WriteEnv) -> Result<Option<Expr>> {
    match filter {
        Some(f) => settle_expr(f, &env.exec, &[]).await.map(Some),
        None => Ok(None),
    }
}
