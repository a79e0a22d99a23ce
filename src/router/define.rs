//! Changes of the catalog: carried out inside a transaction, published when it has committed.
//!
//! Owns: the order. The catalog's lock (in partition 0), then exclusive locks of the tables concerned in every partition,
//! then a snapshot, then rows are moved into trees only this transaction can reach, then the catalog's cells are written.
//! After the commit every shard gets the new snapshot before the client gets its answer; old trees are dropped last.

use super::commit::Txn;
use super::references::Keys;
use super::{CATALOG, Router, odd};
use engine::catalog::{Catalogs, Change, Check, Index, Table, Work, change, stored};
use engine::codec::key;
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::{Exec, Rows, eval_row};
use engine::plan::{Ddl, Expr};
use engine::shard::call::{Address, Load, LoadCall, LoadEntry, PartitionCall, Resume};
use engine::shard::load::entry_of;
use engine::shard::{Reply, ShardCall};
use engine::txn::build::{Building, Command};
use engine::txn::{Stop, TxnRef};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, Row, SqlState, TreeId, Value};

/// What a definition works in.
pub struct DefineEnv {
    pub txn: Rc<Txn>,
    pub ctx: Arc<Context>,
    pub stop: Arc<Stop>,
    /// Catalogs as the transaction itself has changed its database's before.
    pub own: Option<Arc<Catalogs>>,
    /// Where new columns' values are evaluated.
    pub exec: Rc<Exec>,
}

impl Router {
    /// Carries out `ddl` up to the commit.
    pub async fn define(&self, env: &DefineEnv, ddl: &Ddl) -> Result<Change> {
        let by = env.txn.reference(&env.stop);
        env.txn.takes_part(CATALOG);
        let Reply::Catalog(newest) = self
            .call(CATALOG, PartitionCall::LockCatalog { txn: by.clone() })
            .await?
        else {
            return Err(odd());
        };
        let all = env.own.clone().unwrap_or(newest);
        let Some(base) = all.base(env.ctx.catalog.database) else {
            return Err(Error::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", env.ctx.session.database),
            ));
        };
        let change = change::plan(&all, &base, ddl, &env.ctx)?;
        if change.is_noop() {
            return Ok(change);
        }
        env.txn.makes(&change.fresh);
        for table in &change.locks {
            for partition in self.partition_ids() {
                env.txn.takes_part(partition);
                self.call(
                    partition,
                    PartitionCall::LockTable {
                        txn: by.clone(),
                        table: *table,
                        version: change.catalog.version,
                    },
                )
                .await?;
            }
        }
        // Only now: what committed while the locks were waited for must be seen.
        let snapshot = self.shard.snapshot();
        let by = TxnRef {
            snapshot: snapshot.ts,
            ..by
        };
        // Before rows are given values of them.
        self.forget_states(&change).await?;
        self.carry_out(env, &by, &change).await?;
        self.within_limits(&base, &change).await?;
        let mut cells = stored::encode(&change.catalog, &change.changed)?;
        if let Some(gone) = &change.gone {
            cells.extend(stored::erase(gone)?);
        }
        self.call(CATALOG, PartitionCall::WriteCatalog { txn: by, cells })
            .await?;
        Ok(change)
    }

    /// What the change asks to be done with rows.
    async fn carry_out(&self, env: &DefineEnv, by: &TxnRef, change: &Change) -> Result<()> {
        for work in &change.work {
            match work {
                Work::BuildIndex {
                    table,
                    index,
                    again,
                } => self.build_index(env, by, table, index, *again).await?,
                Work::Rewrite { old, new, row } => {
                    // A new column's sequence is in the new catalog alone.
                    let exec = env.exec.with_catalog(Arc::new(change.catalog.clone()));
                    self.rewrite(env, by, (old, new), row, &exec).await?;
                }
                Work::Validate {
                    table,
                    checks,
                    not_null,
                } => self.validate(env, by, table, checks, not_null).await?,
                Work::HoldToDomain { table, at, check } => {
                    self.hold_to_domain(env, by, table, *at, check.as_ref())
                        .await?;
                }
                Work::Refer { table, key } => {
                    // As it will be, with the key in it.
                    let catalog = Arc::new(change.catalog.clone());
                    let ctx = Context::clone(&env.ctx);
                    let ctx = Arc::new(Context { catalog, ..ctx });
                    let txn = &env.txn;
                    let keys = Keys { txn, by, ctx: &ctx };
                    self.all_refer(&keys, *table, *key).await?;
                }
            }
        }
        Ok(())
    }

    async fn build_index(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        table: &Arc<Table>,
        index: &Arc<Index>,
        again: bool,
    ) -> Result<()> {
        let shown = self.shard.build_progress().begin(Building {
            pid: env.ctx.session.backend_pid,
            database: env.ctx.catalog.database,
            table: table.id.0,
            index: index.id.0,
            command: match again {
                true => Command::Reindex,
                false => Command::Create,
            },
            partitions: u64::from(self.shard.partition_count),
            ..Building::default()
        })?;
        for partition in self.partition_ids() {
            let mut resume = None;
            loop {
                let (rows, next) = self.exported(env, by, table, (partition, resume)).await?;
                let count = rows.len() as u64;
                self.load_entries(env, by, table, index, partition, rows)
                    .await?;
                shown.rows(count);
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
            shown.partition_done();
        }
        Ok(())
    }

    async fn load_entries(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        table: &Arc<Table>,
        index: &Arc<Index>,
        from: PartitionId,
        rows: Vec<(Vec<u8>, Row)>,
    ) -> Result<()> {
        let mut parts: BTreeMap<PartitionId, Vec<LoadEntry>> = BTreeMap::new();
        for (row_key, row) in rows {
            let address = Address {
                partition: from,
                key: row_key,
            };
            let Some(entry) = entry_of(table, index, &row, address, &env.ctx)? else {
                continue;
            };
            let to = if index.unique {
                key::partition(&entry.key, self.shard.partition_count)
            } else {
                from
            };
            parts.entry(to).or_default().push(entry);
        }
        for (to, entries) in parts {
            env.txn.takes_part(to);
            let what = Load::Entries {
                index: index.clone(),
                entries,
            };
            let call = LoadCall {
                txn: by.clone(),
                table: table.clone(),
                what,
            };
            self.call(to, PartitionCall::Load(call)).await?;
        }
        Ok(())
    }

    /// Copies the rows of `old` to where `new`'s key puts them, made over by `row`.
    async fn rewrite(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        (old, new): (&Arc<Table>, &Arc<Table>),
        row: &[Expr],
        exec: &Rc<Exec>,
    ) -> Result<()> {
        let same = row.len() == old.columns.len()
            && row
                .iter()
                .enumerate()
                .all(|(at, e)| matches!(e, Expr::Column(c, _) if *c == at));
        let scope = Rows::new((!same).then_some(row), exec);
        for partition in self.partition_ids() {
            let mut resume = None;
            loop {
                let call = PartitionCall::Export {
                    txn: by.clone(),
                    table: old.clone(),
                    resume,
                };
                let Reply::Keyed { rows, resume: next } = self.call(partition, call).await? else {
                    return Err(odd());
                };
                env.stop.check()?;
                let mut parts: BTreeMap<PartitionId, Vec<Row>> = BTreeMap::new();
                for (_, row) in rows {
                    let row = scope.over(row).await?;
                    let to = match new.has_key() {
                        true => self.partition_of(new, &row)?,
                        false => partition,
                    };
                    parts.entry(to).or_default().push(row);
                }
                let calls = parts.into_iter().map(|(to, rows)| {
                    env.txn.takes_part(to);
                    let what = Load::Rows {
                        rows,
                        ctx: env.ctx.clone(),
                    };
                    self.call(
                        to,
                        PartitionCall::Load(LoadCall {
                            txn: by.clone(),
                            table: new.clone(),
                            what,
                        }),
                    )
                });
                futures_util::future::try_join_all(calls)
                    .await
                    .map_err(|e| row_problem(e, new))?;
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Some of a partition's rows, each with its key, and where the next begin.
    async fn exported(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        table: &Arc<Table>,
        (partition, resume): (PartitionId, Option<Resume>),
    ) -> Result<(Vec<(Vec<u8>, Row)>, Option<Resume>)> {
        let call = PartitionCall::Export {
            txn: by.clone(),
            table: table.clone(),
            resume,
        };
        let Reply::Keyed { rows, resume } = self.call(partition, call).await? else {
            return Err(odd());
        };
        env.stop.check()?;
        Ok((rows, resume))
    }

    /// 23502 or 23514 for a row that is there already.
    async fn validate(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        table: &Arc<Table>,
        checks: &[Check],
        not_null: &[usize],
    ) -> Result<()> {
        for partition in self.partition_ids() {
            let mut resume = None;
            loop {
                let (rows, next) = self.exported(env, by, table, (partition, resume)).await?;
                for (_, row) in &rows {
                    if let Some(at) = not_null
                        .iter()
                        .find(|at| row.get(**at).is_none_or(Value::is_null))
                    {
                        let name = table.columns.get(*at).map_or("", |c| c.name.as_str());
                        return Err(null_problem(name, table));
                    }
                    for check in checks {
                        let within = Env {
                            ctx: &env.ctx,
                            outer: &[],
                        };
                        let holds = match check.calls() {
                            true => eval_row(&check.expr, row, &env.exec, &[]).await?,
                            false => eval::eval(&check.expr, row, &within)?,
                        };
                        if holds == Value::Bool(false) {
                            return Err(check_problem(&check.name, table));
                        }
                    }
                }
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// 23502 or 23514 for a value that is there already and none of the domain as it is to be.
    async fn hold_to_domain(
        &self,
        env: &DefineEnv,
        by: &TxnRef,
        table: &Arc<Table>,
        at: usize,
        check: Option<&Check>,
    ) -> Result<()> {
        let within = Env {
            ctx: &env.ctx,
            outer: &[],
        };
        for partition in self.partition_ids() {
            let mut resume = None;
            loop {
                let (rows, next) = self.exported(env, by, table, (partition, resume)).await?;
                for value in rows.iter().filter_map(|(_, row)| row.get(at)) {
                    let fits = match check {
                        None => !value.is_null(),
                        Some(check) => {
                            let row = std::slice::from_ref(value);
                            eval::eval(&check.expr, row, &within)? != Value::Bool(false)
                        }
                    };
                    if !fits {
                        return Err(domain_problem(table, at, check.is_some()));
                    }
                }
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// After the commit. Runs to its end even if the caller goes away.
    pub async fn publish(self: &Rc<Self>, catalogs: Arc<Catalogs>, dropped: Vec<TreeId>) {
        let this = self.clone();
        let (done, outcome) = runtime::sync::oneshot::channel();
        runtime::spawn(async move {
            if let Err(e) = this.ask_all(|| ShardCall::Publish(catalogs.clone())).await {
                tracing::error!(error = %e, "a shard did not take the new catalog");
            }
            let _ = done.send(());
            if !dropped.is_empty()
                && let Err(e) = this.ask_all(|| ShardCall::DropTrees(dropped.clone())).await
            {
                tracing::warn!(error = %e, "trees not dropped; the next start will");
            }
        })
        .detach();
        let _ = outcome.await;
    }
}

/// What loading says about a row, in the words of ALTER TABLE.
fn row_problem(e: Error, table: &Table) -> Error {
    match e.code() {
        // A domain's: it is of no table.
        SqlState::NOT_NULL_VIOLATION | SqlState::CHECK_VIOLATION if e.table().is_none() => e,
        SqlState::UNIQUE_VIOLATION => {
            let detail = e
                .detail()
                .unwrap_or_default()
                .replace(" already exists.", " is duplicated.");
            Error::new(
                SqlState::UNIQUE_VIOLATION,
                format!(
                    "could not create unique index \"{}\"",
                    table.primary_key_name
                ),
            )
            .with_detail(detail)
            .with_table(&table.schema, &table.name)
            .with_constraint(&table.primary_key_name)
        }
        SqlState::NOT_NULL_VIOLATION => null_problem(e.column().unwrap_or_default(), table),
        SqlState::CHECK_VIOLATION => check_problem(e.constraint().unwrap_or_default(), table),
        _ => e,
    }
}

/// In the words of ALTER DOMAIN.
fn domain_problem(table: &Table, at: usize, checked: bool) -> Error {
    let column = table.columns.get(at).map_or("", |c| c.name.as_str());
    let (code, what) = match checked {
        true => (
            SqlState::CHECK_VIOLATION,
            "values that violate the new constraint",
        ),
        false => (SqlState::NOT_NULL_VIOLATION, "null values"),
    };
    let message = format!(
        "column \"{column}\" of table \"{}\" contains {what}",
        table.name
    );
    Error::new(code, message)
        .with_table(&table.schema, &table.name)
        .with_column(column)
}

fn null_problem(column: &str, table: &Table) -> Error {
    Error::new(
        SqlState::NOT_NULL_VIOLATION,
        format!(
            "column \"{column}\" of relation \"{}\" contains null values",
            table.name
        ),
    )
    .with_table(&table.schema, &table.name)
    .with_column(column)
}

fn check_problem(constraint: &str, table: &Table) -> Error {
    Error::new(
        SqlState::CHECK_VIOLATION,
        format!(
            "check constraint \"{constraint}\" of relation \"{}\" is violated by some row",
            table.name
        ),
    )
    .with_table(&table.schema, &table.name)
    .with_constraint(constraint)
}
