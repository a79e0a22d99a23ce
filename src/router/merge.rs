//! Changes of rows that a query finds: UPDATE … FROM, DELETE … USING, changes with subqueries over the row, MERGE.
//!
//! Owns: what becomes of each row found. Rows are locked a batch at a time, looked at again where they have changed since the
//! snapshot (READ COMMITTED: what the source said still stands, what is computed from the row is computed anew), and then
//! written by the partition that has them. Never: changes a row twice; finds rows while it changes some, which `Merge::source`
//! has sorted before. Bounds: one batch of rows in hand, rows whose key changes as a spool.
//! Source: PostgreSQL 15, `ExecUpdate`, `ExecDelete`, `ExecMerge` and the manual's 13.2.1.

use super::Router;
use super::modify::{Outcome, WriteEnv, modified};
use super::odd;
use super::unique::UniqueDelta;
use engine::exec::operators::{Locked, RowSource, Stash, eval_row, open};
use engine::plan::{Act, Assignment, LockWait, Merge, MergeWord, RowLock};
use engine::shard::Reply;
use engine::shard::call::{Address, Change, LockRowsCall, PartitionCall, RewriteCall};
use engine::shard::entries::decode_address;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Error, PartitionId, Result, Row, RowBatch, SqlState, Value};

/// A row found, the target's by its key.
struct Found {
    key: Vec<u8>,
    /// The source's columns, and what is computed.
    rest: Row,
}

/// A row to write: its key, what becomes of it, and what RETURNING reads behind it.
type Rewrite = (Vec<u8>, Option<Row>, Row);

/// What one batch asks for.
#[derive(Default)]
struct Wanted {
    rewrites: BTreeMap<PartitionId, Vec<Rewrite>>,
    inserts: Vec<Row>,
}

struct Running<'a> {
    router: &'a Router,
    env: &'a WriteEnv,
    merge: &'a Merge,
    /// The row of the table as it will be, then the rest.
    moved: Stash,
    /// The address of the row before.
    last: (PartitionId, Vec<u8>),
    /// That one has been changed.
    last_changed: bool,
}

impl Router {
    pub async fn merge(&self, env: &WriteEnv, merge: &Merge) -> Result<Outcome> {
        let mut out = Outcome::new(merge.returning.clone());
        let mut source = open(Arc::new(merge.source.clone()), env.exec.clone())?;
        let mut running = Running {
            router: self,
            env,
            merge,
            moved: Stash::new(&env.exec, "rows to move"),
            last: (PartitionId(0), Vec::new()),
            last_changed: false,
        };
        while let Some(batch) = source.next().await? {
            running.batch(batch, &mut out).await?;
        }
        running.insert_moved(&mut out).await?;
        Ok(out)
    }
}

impl Running<'_> {
    async fn batch(&mut self, batch: RowBatch, out: &mut Outcome) -> Result<()> {
        let mut parts: BTreeMap<PartitionId, Vec<Found>> = BTreeMap::new();
        let mut wanted = Wanted::default();
        for mut row in batch.rows {
            let rest = row.split_off(1.min(row.len()));
            match row.first() {
                Some(Value::Bytea(address)) => {
                    let Address { partition, key } = decode_address(address)?;
                    parts
                        .entry(partition)
                        .or_default()
                        .push(Found { key, rest });
                }
                _ => self.unmatched(&rest, &mut wanted).await?,
            }
        }
        // In the order of partitions and keys, so that two statements over the same rows do not wait for each other.
        for (partition, found) in parts {
            self.lock(partition, found, &mut wanted).await?;
        }
        self.carry_out(wanted, out).await
    }

    async fn lock(
        &mut self,
        partition: PartitionId,
        found: Vec<Found>,
        wanted: &mut Wanted,
    ) -> Result<()> {
        let (env, merge) = (self.env, self.merge);
        env.txn.takes_part(partition);
        let call = LockRowsCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: merge.table.clone(),
            keys: found.iter().map(|f| f.key.clone()).collect(),
            lock: RowLock::Update,
            wait: LockWait::Wait,
        };
        let call = PartitionCall::LockRows(call);
        let Reply::Locked(locked) = self.router.call(partition, call).await? else {
            return Err(odd());
        };
        for (Found { key, rest }, locked) in found.into_iter().zip(locked) {
            match locked {
                Some(locked) => self.matched(partition, key, rest, locked, wanted).await?,
                None => self.unmatched(&rest, wanted).await?,
            }
        }
        Ok(())
    }

    /// A row of the target, under its lock.
    async fn matched(
        &mut self,
        partition: PartitionId,
        key: Vec<u8>,
        mut rest: Row,
        locked: Locked,
        wanted: &mut Wanted,
    ) -> Result<()> {
        let merge = self.merge;
        let at = (partition, key.clone());
        let again = self.last == at;
        self.last = at;
        let changed_before = std::mem::take(&mut self.last_changed) && again;
        let width = merge.table.columns.len();
        let mut row = locked.row;
        if locked.changed && !locked.again {
            rest.truncate(merge.width);
            row.append(&mut rest);
            if !self.still_matches(&row).await? {
                let rest = row.split_off(width);
                return self.unmatched(&rest, wanted).await;
            }
            for e in &merge.computed {
                let value = self.value(e, &row).await?;
                row.push(value);
            }
        } else {
            row.append(&mut rest);
        }
        let Some(act) = self.act(true, &row).await? else {
            self.last_changed = changed_before;
            return Ok(());
        };
        let new = match act {
            Act::Nothing => return Ok(()),
            Act::Insert(_) => return Err(Error::internal("an INSERT for a matched row")),
            Act::Delete => None,
            Act::Update(assignments) => Some(self.assigned(assignments, &row).await?),
        };
        if changed_before || locked.again {
            return match merge.word {
                MergeWord::Merge => Err(twice()),
                MergeWord::Update | MergeWord::Delete => Ok(()),
            };
        }
        self.last_changed = true;
        let rest = row.split_off(width);
        let rewrites = wanted.rewrites.entry(partition).or_default();
        rewrites.push((key, new, rest));
        Ok(())
    }

    /// A row of the source without one of the target: of MERGE alone.
    async fn unmatched(&mut self, rest: &[Value], wanted: &mut Wanted) -> Result<()> {
        let mut row: Row = vec![Value::Null; self.merge.table.columns.len()];
        row.extend_from_slice(rest);
        let Some(Act::Insert(exprs)) = self.act(false, &row).await? else {
            return Ok(());
        };
        let mut new = Row::with_capacity(exprs.len());
        for e in exprs {
            new.push(self.value(e, &row).await?);
        }
        wanted.inserts.push(new);
        Ok(())
    }

    async fn act(&self, matched: bool, row: &[Value]) -> Result<Option<&Act>> {
        for when in self.merge.whens.iter().filter(|w| w.matched == matched) {
            let fits = match &when.condition {
                Some(condition) => self.value(condition, row).await? == Value::Bool(true),
                None => true,
            };
            if fits {
                return Ok(Some(&when.act));
            }
        }
        Ok(None)
    }

    async fn still_matches(&self, row: &[Value]) -> Result<bool> {
        match &self.merge.matches {
            Some(e) => Ok(self.value(e, row).await? == Value::Bool(true)),
            None => Ok(true),
        }
    }

    async fn assigned(&self, assignments: &[Assignment], row: &[Value]) -> Result<Row> {
        let mut new = row[..self.merge.table.columns.len().min(row.len())].to_vec();
        for a in assignments {
            let value = self.value(&a.expr, row).await?;
            if let Some(slot) = new.get_mut(a.column) {
                *slot = value;
            }
        }
        Ok(new)
    }

    async fn value(&self, e: &engine::plan::Expr, row: &[Value]) -> Result<Value> {
        eval_row(e, row, &self.env.exec, &[]).await
    }

    async fn carry_out(&mut self, wanted: Wanted, out: &mut Outcome) -> Result<()> {
        for (partition, rewrites) in wanted.rewrites {
            let mut rests = Vec::with_capacity(rewrites.len());
            let mut rows = Vec::with_capacity(rewrites.len());
            for (key, new, rest) in rewrites {
                rows.push((key, new));
                rests.push(rest);
            }
            let call = RewriteCall {
                txn: self.env.by.clone(),
                ctx: self.env.ctx.clone(),
                table: self.merge.table.clone(),
                rows,
            };
            let reply = self
                .router
                .call(partition, PartitionCall::Rewrite(call))
                .await?;
            self.rewritten(partition, modified(reply)?.changes, rests, out)
                .await?;
        }
        if wanted.inserts.is_empty() {
            return Ok(());
        }
        let table = &self.merge.table;
        self.router
            .insert_rows(self.env, table, wanted.inserts, None, false, out)
            .await
    }

    async fn rewritten(
        &mut self,
        partition: PartitionId,
        changes: Vec<Change>,
        rests: Vec<Row>,
        out: &mut Outcome,
    ) -> Result<()> {
        let (env, table) = (self.env, &self.merge.table);
        let mut delta = UniqueDelta::default();
        for (change, rest) in changes.into_iter().zip(rests) {
            let Change {
                key,
                old,
                new,
                moved,
            } = change;
            let address = Address { partition, key };
            if table.has_unique_indexes() {
                let kept = new.as_ref().filter(|_| !moved);
                delta.row(table, &address, Some(&old), kept, &env.ctx)?;
            }
            self.router.owes(env, table, Some(&old), new.as_ref())?;
            let mut shown = new.unwrap_or(old);
            shown.extend(rest);
            match moved {
                true => self.moved.push(shown).await?,
                false => out.took(env, shown).await?,
            }
        }
        if !delta.is_empty() {
            self.router
                .settle_unique(&env.txn, &env.by, table, delta)
                .await?;
        }
        self.router.relieve(env).await
    }

    /// Rows whose key has changed, where their new keys belong.
    async fn insert_moved(self, out: &mut Outcome) -> Result<()> {
        let (env, table) = (self.env, &self.merge.table);
        let mut moved = self.moved;
        moved.seal().await?;
        let mut rows = engine::exec::operators::stash::Stashed::new(std::rc::Rc::new(moved));
        while let Some(batch) = rows.next().await? {
            let own = |row: &Row| row[..table.columns.len().min(row.len())].to_vec();
            let new: Vec<Row> = batch.rows.iter().map(own).collect();
            let mut inserted = Outcome::new(None);
            self.router
                .insert_rows(env, table, new, None, false, &mut inserted)
                .await?;
            for row in batch.rows {
                out.took(env, row).await?;
            }
        }
        Ok(())
    }
}

/// 21000.
fn twice() -> Error {
    Error::new(
        SqlState::CARDINALITY_VIOLATION,
        "MERGE command cannot affect row a second time",
    )
    .with_hint("Ensure that not more than one source row matches any one target row.")
}
