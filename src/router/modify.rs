//! UPDATE and DELETE: to the partitions that may hold their rows; what does not stay with the row is done here.
//!
//! Owns: rows whose key changed (inserted where the new key belongs), unique entries, RETURNING. What reads other tables row
//! by row is `merge`.

use super::commit::Txn;
use super::scan::{TxnSource, by_partition};
use super::triggers::{Around, Fires};
use super::unique::UniqueDelta;
use super::{Deep, Router, odd};
use engine::catalog::Table;
use engine::exec::Context;
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{Exec, RowSource, Stash, eval_row, settle_access, settle_expr};
use engine::plan::{Access, Assignment, Delete, Expr, Homes, Insert, Returning, Update};
use engine::shard::Reply;
use engine::shard::call::{
    Address, Change, DeleteCall, Modified, PartitionCall, Reach, Resume, UpdateCall,
};
use engine::shard::route::{Route, route_change};
use engine::txn::{TxnRef, WITHIN};
use sql::Statement;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{PartitionId, Result, Row, Value};

/// What a statement that writes works in.
pub struct WriteEnv {
    pub txn: Rc<Txn>,
    pub by: TxnRef,
    pub ctx: Arc<Context>,
    pub exec: Rc<Exec>,
    /// What `exec` reads from.
    pub source: Rc<TxnSource>,
    /// The statement is its own transaction: if one partition does it all, it may commit in the same call.
    pub fuse: bool,
}

impl WriteEnv {
    /// The same transaction, as another reference to it sees it.
    pub(super) fn within(&self, by: TxnRef) -> WriteEnv {
        WriteEnv {
            txn: self.txn.clone(),
            by,
            ctx: self.ctx.clone(),
            exec: self.exec.clone(),
            source: self.source.clone(),
            fuse: false,
        }
    }

    /// Of a statement inside of another, which sees what has been done until now. With the number of the other, if that does not see what
    /// it writes.
    pub(super) fn inside(
        txn: &Rc<Txn>,
        source: &TxnSource,
        exec: &Exec,
        (ctx, apart, deep): (Arc<Context>, u32, Deep),
    ) -> WriteEnv {
        let snapshot = txn.statement();
        let mut by = txn.reference(&source.txn.stop);
        if apart != 0 {
            by.apart = apart | WITHIN;
        }
        let source = Rc::new(source.within(by.clone(), snapshot, deep));
        WriteEnv {
            txn: txn.clone(),
            by,
            exec: Rc::new(exec.within(ctx.clone(), source.clone())),
            ctx,
            source,
            fuse: false,
        }
    }
}

/// What a statement did.
pub struct Outcome {
    pub count: u64,
    /// What RETURNING says of the rows.
    pub rows: Option<Stash>,
    returning: Option<Returning>,
    order: Option<Order>,
    /// RETURNING of an INSERT reads `xmax`, behind the columns.
    xmax: bool,
    /// The rows that are inserted now are those of an update.
    pub(super) moving: bool,
    /// What an inserted row fires.
    pub(super) inserts: Option<Rc<Fires>>,
}

/// Rows that were written by partition, until RETURNING says them in the order in which they came.
#[derive(Default)]
struct Order {
    /// Of the next one.
    place: usize,
    rows: BTreeMap<usize, Row>,
}

/// The bits of a transaction's number that `xmax` shows: it is an integer to those who cast it.
const XMAX: u64 = i32::MAX as u64;

impl Outcome {
    pub fn new(returning: Option<Returning>) -> Outcome {
        Outcome {
            count: 0,
            rows: None,
            returning,
            order: None,
            xmax: false,
            moving: false,
            inserts: None,
        }
    }

    /// Of an INSERT.
    pub(super) fn of_insert(insert: &Insert) -> Outcome {
        let width = insert.table.columns.len();
        let mut behind = |e: &Expr| match e {
            Expr::Column(at, _) => *at >= width,
            // It may read the row.
            Expr::Subquery { .. } => true,
            _ => false,
        };
        let mut returned = insert.returning.iter().flat_map(|r| &r.exprs);
        Outcome {
            xmax: returned.any(|e| e.any(&mut behind)),
            ..Outcome::new(insert.returning.clone())
        }
    }

    /// A row that an INSERT has put there, or has found and updated.
    pub(super) async fn put(&mut self, env: &WriteEnv, mut row: Row, updated: bool) -> Result<()> {
        if self.xmax {
            let xmax = match updated || self.moving {
                // As PostgreSQL, which has locked the row.
                true => (env.by.xid.0 & XMAX).max(1) as i64,
                false => 0,
            };
            row.push(Value::Int8(xmax));
        }
        self.took(env, row).await
    }

    /// Counts a row and evaluates RETURNING over it.
    pub async fn took(&mut self, env: &WriteEnv, row: Row) -> Result<()> {
        self.count += 1;
        if let Some(order) = &mut self.order {
            order.rows.insert(order.place, row);
            return Ok(());
        }
        self.says(env, row).await
    }

    async fn says(&mut self, env: &WriteEnv, row: Row) -> Result<()> {
        let Some(returning) = &self.returning else {
            return Ok(());
        };
        let mut out = Vec::with_capacity(returning.exprs.len());
        for e in &returning.exprs {
            out.push(eval_row(e, &row, &env.exec, &[]).await?);
        }
        let rows = self
            .rows
            .get_or_insert_with(|| Stash::new(&env.exec, "RETURNING"));
        rows.push(out).await
    }

    /// The next rows are taken out of their order.
    pub(super) fn begins_order(&mut self) {
        self.order = self.returning.is_some().then(Order::default);
    }

    /// The next row is the one of this number.
    pub(super) fn at(&mut self, place: usize) {
        if let Some(order) = &mut self.order {
            order.place = place;
        }
    }

    pub(super) async fn ends_order(&mut self, env: &WriteEnv) -> Result<()> {
        for row in self
            .order
            .take()
            .into_iter()
            .flat_map(|o| o.rows.into_values())
        {
            self.says(env, row).await?;
        }
        Ok(())
    }

    pub fn wants_rows(&self) -> bool {
        self.returning.is_some()
    }
}

impl Router {
    /// Any statement that changes rows.
    pub async fn change(&self, env: &WriteEnv, statement: &Statement) -> Result<Outcome> {
        let Some(around) = Around::of(env, statement) else {
            return self.change_rows(env, statement).await;
        };
        // Its end is not that of its rows.
        let env = env.within(env.by.clone());
        Box::pin(self.before_statement(&env, &around)).await?;
        let out = self.change_rows(&env, statement).await?;
        self.after_statement(&env, &around).await?;
        Ok(out)
    }

    async fn change_rows(&self, env: &WriteEnv, statement: &Statement) -> Result<Outcome> {
        match statement {
            Statement::Insert(insert) => self.insert(env, insert).await,
            Statement::Update(update) => self.update(env, update).await,
            Statement::Delete(delete) => self.delete(env, delete).await,
            Statement::Merge(merge) => self.merge(env, merge).await,
            _ => Err(types::Error::internal("not a change of rows")),
        }
    }

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
        let parts = self
            .write_parts(env, table, (&update.access, &update.homes), filter.as_ref())
            .await?;
        let moves = assignments
            .iter()
            .any(|a| table.primary_key.contains(&a.column));
        let rows_wanted = out.wants_rows()
            || table.has_unique_indexes()
            || env.ctx.catalog.touches_keys(table, &assignments);
        let fuse = env.fuse && parts.len() == 1 && !moves && !rows_wanted;
        let assignments = Arc::new(assignments);
        let mut moved = Stash::new(&env.exec, "rows to move");
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
        let parts = self
            .write_parts(env, table, (&delete.access, &delete.homes), filter.as_ref())
            .await?;
        let referenced = env.ctx.catalog.is_referenced(table.id);
        let rows_wanted = out.wants_rows() || table.has_unique_indexes() || referenced;
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
    pub(super) async fn delete_in(
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
                    &mut Stash::new(&env.exec, "rows to move"),
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
    pub(super) async fn changed(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        partition: PartitionId,
        done: Modified,
        rows_wanted: bool,
        moved: &mut Stash,
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
                    &env.ctx,
                )?;
            }
            self.owes(env, table, Some(&old), new.as_ref())?;
            match new {
                Some(row) if away => moved.push(row).await?,
                Some(row) => out.took(env, row).await?,
                None => out.took(env, old).await?,
            }
        }
        if !delta.is_empty() {
            self.settle_unique(&env.txn, &env.by, table, delta).await?;
        }
        self.relieve(env).await?;
        Ok(done.resume)
    }

    pub(super) async fn insert_moved(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        mut moved: Stash,
        out: &mut Outcome,
    ) -> Result<()> {
        moved.seal().await?;
        let mut rows = Stashed::new(Rc::new(moved));
        while let Some(batch) = rows.next().await? {
            self.insert_rows(env, table, batch.rows, None, false, out)
                .await?;
        }
        Ok(())
    }

    async fn write_parts(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        (access, homes): (&Access, &Homes),
        settled: Option<&Expr>,
    ) -> Result<Vec<(PartitionId, Reach)>> {
        let access = settle_access(table, access, settled, &env.exec, &[]).await?;
        let partitions = self.shard.partition_count;
        match route_change(table, &access, homes, &env.ctx, partitions)? {
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
}

/// At most so many of the rows.
pub(super) async fn first_of(rows: Option<Stash>, most: usize) -> Result<Vec<Row>> {
    let Some(mut stash) = rows else {
        return Ok(Vec::new());
    };
    stash.seal().await?;
    let mut source = Stashed::new(Rc::new(stash));
    let batch = source.next().await?;
    let rows = batch.map(|b| b.rows).unwrap_or_default();
    Ok(rows.into_iter().take(most).collect())
}

pub(super) fn modified(reply: Reply) -> Result<Modified> {
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
