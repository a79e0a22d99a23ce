//! INSERT: rows to the partitions their keys hash to, unique entries to theirs.

use super::conflict::OnTaken;
use super::modify::{Outcome, WriteEnv};
use super::triggers::Sides;
use super::unique::UniqueDelta;
use super::{Router, odd};
use engine::catalog::triggers::Event;
use engine::catalog::{Index, Table};
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{Stash, open_in_place};
use engine::plan::{ConflictTarget, Expr, Insert, OnConflict, Plan};
use engine::shard::Reply;
use engine::shard::call::{Address, Conflict, InsertCall, Inserted, Load, LoadCall, PartitionCall};
use engine::txn::WITHIN;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{PartitionId, Result, Row};

impl Router {
    /// Inserts the rows of the statement's source.
    pub async fn insert(&self, env: &WriteEnv, insert: &Insert) -> Result<Outcome> {
        let on_conflict = OnTaken::of(env, insert).await?;
        // Functions that are called for a row see the rows before it.
        let sees = insert
            .source
            .any(&mut |p| matches!(p, Plan::Call(call) if call.volatile));
        env.exec.one_by_one.set(sees);
        let mut source = open_in_place(&insert.source, &env.exec)?;
        let mut out = Outcome::of_insert(insert);
        out.inserts = self.fires(env, &insert.table, Event::Insert)?;
        let fired = out.inserts.as_ref().is_some_and(|f| f.reads());
        let hidden = env.by.apart != 0 && env.by.apart & WITHIN == 0;
        let finds = insert.source.any(&mut |p| matches!(p, Plan::Scan(_)));
        if finds && !hidden && (fired || reads(&insert.source, &insert.table)) {
            // What it inserts, and what triggers do, must not be found again.
            let mut found = Stash::new(&env.exec, "rows to insert");
            found.fill(&mut *source).await?;
            source = Box::new(Stashed::new(Rc::new(found)));
        }
        let Some(mut batch) = source.next().await? else {
            return Ok(out);
        };
        let mut first = true;
        loop {
            // What is computed for the next rows may look at these.
            let ahead = match sees {
                true => None,
                false => Some(source.next().await?),
            };
            // Rows that were skipped are not counted, but have left locks.
            let only = std::mem::take(&mut first) && matches!(ahead, Some(None));
            self.insert_new(
                env,
                &insert.table,
                batch.rows,
                on_conflict.as_ref(),
                only,
                &mut out,
            )
            .await?;
            let next = match ahead {
                Some(next) => next,
                None => source.next().await?,
            };
            match next {
                Some(rows) => batch = rows,
                None => return Ok(out),
            }
        }
    }

    /// Rows from COPY.
    pub async fn insert_copied(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
    ) -> Result<u64> {
        let mut out = Outcome::new(None);
        out.inserts = self.fires(env, table, Event::Insert)?;
        self.insert_new(env, table, rows, None, false, &mut out)
            .await?;
        Ok(out.count)
    }

    /// Inserts rows that a statement makes, with the triggers of `out` around. `only`: they are all of the statement's.
    pub(super) async fn insert_new(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
        on_conflict: Option<&OnTaken>,
        only: bool,
        out: &mut Outcome,
    ) -> Result<()> {
        let fires = match &out.inserts {
            Some(fires) if fires.has_before() => fires.clone(),
            _ => {
                return self
                    .insert_rows(env, table, rows, on_conflict, only, out)
                    .await;
            }
        };
        if !fires.reads() {
            let rows = self.before_insert(env, &fires, table, rows).await?;
            return self
                .insert_rows(env, table, rows, on_conflict, false, out)
                .await;
        }
        for row in rows {
            let rows = self.before_insert(env, &fires, table, vec![row]).await?;
            self.insert_rows(env, table, rows, on_conflict, false, out)
                .await?;
        }
        Ok(())
    }

    /// Inserts whole table rows. `only`: they are all of the statement's.
    pub async fn insert_rows(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
        on_conflict: Option<&OnTaken>,
        only: bool,
        out: &mut Outcome,
    ) -> Result<()> {
        let arbiters = arbiters(table, on_conflict.map(|c| &c.spec));
        if !arbiters.is_empty() {
            for row in rows {
                self.insert_arbitrated(env, table, row, on_conflict, &arbiters, out)
                    .await?;
            }
            return Ok(());
        }
        let conflict = on_conflict.map_or(Conflict::Error, |c| c.call.clone());
        let parts = self.by_key(table, rows)?;
        let fuse = env.fuse
            && only
            && parts.len() == 1
            // An error there would come after the commit.
            && !out.wants_rows()
            && !table.has_unique_indexes()
            // What becomes of a row whose place is taken is written by a call of its own.
            && !matches!(conflict, Conflict::Lock)
            && table.foreign_keys.is_empty()
            && out.inserts.is_none();
        if parts.len() > 1 {
            out.begins_order();
        }
        for (partition, Part { places, rows }) in parts {
            let call = InsertCall {
                txn: env.by.clone(),
                ctx: env.ctx.clone(),
                table: table.clone(),
                rows,
                existing: None,
                on_conflict: conflict.clone(),
                commit: fuse,
            };
            self.send_insert(env, (partition, &places), call, on_conflict, out)
                .await?;
        }
        out.ends_order(env).await?;
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
        on_conflict: Option<&OnTaken>,
        arbiters: &[Arc<Index>],
        out: &mut Outcome,
    ) -> Result<()> {
        let mut holder: Option<Address> = None;
        for index in arbiters {
            holder = self
                .holder(&env.txn, &env.by, table, index, &row, &env.ctx)
                .await?;
            if holder.is_some() {
                break;
            }
        }
        let (partition, existing, action) = match holder {
            Some(at) => {
                let act = on_conflict.map_or(Conflict::Error, |c| c.call.clone());
                (at.partition, Some(vec![at.key]), act)
            }
            None => {
                let any = on_conflict.is_some_and(|c| c.spec.target.is_none());
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
        self.send_insert(env, (partition, &[0]), call, on_conflict, out)
            .await
    }

    async fn send_insert(
        &self,
        env: &WriteEnv,
        (partition, places): (PartitionId, &[usize]),
        call: InsertCall,
        on_conflict: Option<&OnTaken>,
        out: &mut Outcome,
    ) -> Result<()> {
        let table = call.table.clone();
        env.txn.takes_part(partition);
        let Reply::Inserted(rows) = self.call(partition, PartitionCall::Insert(call)).await? else {
            return Err(odd());
        };
        let mut delta = UniqueDelta::default();
        let mut taken = Vec::new();
        for (row, place) in rows.into_iter().zip(places) {
            out.at(*place);
            match row {
                Inserted::Skipped => {}
                Inserted::Row { key, row } => {
                    let address = Address { partition, key };
                    if let Some(on) = on_conflict {
                        on.touch(&address)?;
                    }
                    if table.has_unique_indexes() {
                        delta.row(&table, &address, None, Some(&row), &env.ctx)?;
                    }
                    self.owes(env, &table, None, Some(&row))?;
                    if let Some(fires) = out.inserts.clone() {
                        let sides = Sides {
                            old: None,
                            new: Some(&row),
                        };
                        self.after(env, &fires, &table, sides, &[]).await?;
                    }
                    out.put(env, row, false).await?;
                }
                Inserted::Taken { key, old, excluded } => {
                    taken.push((*place, Address { partition, key }, (old, excluded)));
                }
                Inserted::Updated(change) => {
                    let address = Address {
                        partition,
                        key: change.key,
                    };
                    let Some(new) = change.new else { continue };
                    if let Some(on) = on_conflict {
                        on.touch(&address)?;
                    }
                    if table.has_unique_indexes() {
                        delta.row(&table, &address, Some(&change.old), Some(&new), &env.ctx)?;
                    }
                    self.owes(env, &table, Some(&change.old), Some(&new))?;
                    out.put(env, new, true).await?;
                }
            }
        }
        if !delta.is_empty() {
            self.settle_unique(&env.txn, &env.by, &table, delta).await?;
        }
        for (place, at, rows) in taken {
            out.at(place);
            if let Some(on) = on_conflict {
                self.update_taken(env, &table, on, at, rows, out).await?;
            }
        }
        self.relieve(env).await
    }

    /// Rows straight into the trees of a table that only this transaction can reach.
    pub async fn load_rows(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        rows: Vec<Row>,
    ) -> Result<u64> {
        let parts = self.by_key(table, rows)?;
        let calls = parts.into_iter().map(|(partition, Part { rows, .. })| {
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

    fn by_key(&self, table: &Table, rows: Vec<Row>) -> Result<BTreeMap<PartitionId, Part>> {
        let mut parts: BTreeMap<PartitionId, Part> = BTreeMap::new();
        for (place, row) in rows.into_iter().enumerate() {
            let part = parts.entry(self.partition_of(table, &row)?).or_default();
            part.places.push(place);
            part.rows.push(row);
        }
        Ok(parts)
    }

    /// Rows without a key stay on the shard that received them, or where their transaction has written.
    pub(super) fn partition_of(&self, table: &Table, row: &Row) -> Result<PartitionId> {
        if table.has_key() {
            table.partition_of_row(row, self.shard.partition_count)
        } else {
            Ok(self.shard.home())
        }
    }
}

/// A partition's share of rows, and which of them these are.
#[derive(Default)]
struct Part {
    places: Vec<usize>,
    rows: Vec<Row>,
}

/// Whether a plan reads the table, itself or in a subquery.
fn reads(plan: &Plan, table: &Table) -> bool {
    let inside =
        |e: &Expr| e.any(&mut |e| matches!(e, Expr::Subquery { plan, .. } if reads(plan, table)));
    matches!(plan, Plan::Scan(scan) if scan.table.id == table.id)
        || plan.exprs().into_iter().any(inside)
        || plan.inputs().into_iter().any(|p| reads(p, table))
}

/// Unique indexes that must be asked before the row itself is tried.
fn arbiters(table: &Table, on_conflict: Option<&OnConflict>) -> Vec<Arc<Index>> {
    match on_conflict.map(|c| &c.target) {
        None | Some(Some(ConflictTarget::PrimaryKey)) => Vec::new(),
        Some(Some(ConflictTarget::Unique(index))) => vec![index.clone()],
        Some(None) => table.indexes.iter().filter(|i| i.unique).cloned().collect(),
    }
}
