//! Changes of rows that a query finds: UPDATE … FROM, DELETE … USING, changes with subqueries over the row, MERGE.
//!
//! Owns: what becomes of each row found. Rows are locked a batch at a time, looked at again where they have changed since the
//! snapshot (READ COMMITTED: what the source said still stands, what is computed from the row is computed anew), and then
//! written by the partition that has them; triggers are called in between. Never: changes a row twice; finds rows while it
//! changes some, which `Merge::source` has sorted before. Bounds: one batch of rows in hand, rows whose key changes as a spool.
//! Source: PostgreSQL 15, `ExecUpdate`, `ExecDelete`, `ExecMerge` and the manual's 13.2.1.

use super::Router;
use super::modify::{Outcome, WriteEnv, modified};
use super::odd;
use super::triggers::{self, Fires};
use super::unique::UniqueDelta;
use engine::catalog::triggers::Event;
use engine::exec::operators::{Locked, RowSource, Stash, eval_row, open};
use engine::plan::{Act, Assignment, LockWait, Merge, MergeWord, RowLock};
use engine::shard::call::{Address, Change, LockRowsCall, PartitionCall, RewriteCall};
use engine::shard::entries::decode_address;
use engine::shard::{Reply, changed_meanwhile, generate};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, Row, RowBatch, SqlState, Value};

/// A row found, the target's by its key.
struct Found {
    key: Vec<u8>,
    /// The source's columns, and what is computed.
    rest: Row,
}

/// A row to write.
struct Rewrite {
    key: Vec<u8>,
    /// What becomes of it.
    new: Option<Row>,
    /// What RETURNING reads behind it.
    rest: Row,
    /// Where triggers were called with it: as they saw it, and the columns that are assigned to.
    called: Option<(Row, Vec<usize>)>,
}

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
    updates: Option<Rc<Fires>>,
    deletes: Option<Rc<Fires>>,
    /// What is called before a row is written sees those that were.
    one_by_one: bool,
}

/// A row beside what it becomes, and the columns that were assigned for that.
type Rest = (Row, Option<(Row, Vec<usize>)>);

impl Router {
    pub async fn merge(&self, env: &WriteEnv, merge: &Merge) -> Result<Outcome> {
        let mut out = Outcome::new(merge.returning.clone());
        let table = &merge.table;
        let acts = |of: fn(&Act) -> bool| merge.whens.iter().any(|w| of(&w.act));
        if acts(|a| matches!(a, Act::Insert(_))) {
            out.inserts = self.fires(env, table, Event::Insert)?;
        }
        let updates = match acts(|a| matches!(a, Act::Update(_))) {
            true => self.fires(env, table, Event::Update)?,
            false => None,
        };
        let deletes = match acts(|a| matches!(a, Act::Delete)) {
            true => self.fires(env, table, Event::Delete)?,
            false => None,
        };
        let called = [&updates, &deletes, &out.inserts];
        let one_by_one = called.into_iter().flatten().any(|f| f.reads());
        let mut source = open(Arc::new(merge.source.clone()), env.exec.clone())?;
        let mut running = Running {
            router: self,
            env,
            merge,
            moved: Stash::new(&env.exec, "rows to move"),
            last: (PartitionId(0), Vec::new()),
            last_changed: false,
            updates,
            deletes,
            one_by_one,
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
            self.at_once(&mut wanted, out).await?;
        }
        // In the order of partitions and keys, so that two statements over the same rows do not wait for each other.
        for (partition, found) in parts {
            self.lock(partition, found, &mut wanted, out).await?;
        }
        self.carry_out(wanted, out).await
    }

    async fn lock(
        &mut self,
        partition: PartitionId,
        found: Vec<Found>,
        wanted: &mut Wanted,
        out: &mut Outcome,
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
            self.at_once(wanted, out).await?;
        }
        Ok(())
    }

    /// Carries out what is wanted until now, where what comes next may look at it.
    async fn at_once(&mut self, wanted: &mut Wanted, out: &mut Outcome) -> Result<()> {
        match self.one_by_one {
            true => self.carry_out(std::mem::take(wanted), out).await,
            false => Ok(()),
        }
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
        let mut set = Vec::new();
        let (new, fires) = match act {
            Act::Nothing => return Ok(()),
            Act::Insert(_) => return Err(Error::internal("an INSERT for a matched row")),
            Act::Delete => (None, self.deletes.clone()),
            Act::Update(assignments) => {
                set.extend(assignments.iter().map(|a| a.column));
                let new = self.assigned(assignments, &row).await?;
                (Some(new), self.updates.clone())
            }
        };
        if changed_before || locked.again {
            return match merge.word {
                MergeWord::Merge => Err(twice()),
                MergeWord::Update | MergeWord::Delete => Ok(()),
            };
        }
        let rest = row.split_off(width);
        let rewrite = Rewrite {
            key,
            new,
            rest,
            called: None,
        };
        let rewrite = match fires {
            Some(fires) => self.before(&fires, rewrite, row, set).await?,
            None => Some(rewrite),
        };
        if let Some(rewrite) = rewrite {
            self.last_changed = true;
            wanted.rewrites.entry(partition).or_default().push(rewrite);
        }
        Ok(())
    }

    /// What BEFORE triggers leave of a change of a row.
    async fn before(
        &self,
        fires: &Fires,
        rewrite: Rewrite,
        old: Row,
        set: Vec<usize>,
    ) -> Result<Option<Rewrite>> {
        let deletes = rewrite.new.is_none();
        let (env, table) = (self.env, &self.merge.table);
        let sides = (Some(&old), rewrite.new);
        let left = self.router.before(env, fires, table, sides, &set).await?;
        Ok(left.map(|left| Rewrite {
            new: (!deletes).then_some(left),
            called: Some((old, set)),
            ..rewrite
        }))
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
        generate(&self.merge.table, &mut new, &self.env.ctx)?;
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
            for r in rewrites {
                rows.push((r.key, r.new));
                rests.push((r.rest, r.called));
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
            .insert_new(self.env, table, wanted.inserts, None, false, out)
            .await
    }

    async fn rewritten(
        &mut self,
        partition: PartitionId,
        changes: Vec<Change>,
        rests: Vec<Rest>,
        out: &mut Outcome,
    ) -> Result<()> {
        let (env, table) = (self.env, &self.merge.table);
        let mut delta = UniqueDelta::default();
        for (change, (rest, called)) in changes.into_iter().zip(rests) {
            meanwhile(called.as_ref().map(|(old, _)| old), &change)?;
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
            let fires = match new {
                Some(_) => &self.updates,
                None => &self.deletes,
            };
            if let (Some(fires), Some((_, set))) = (fires, called) {
                let sides = triggers::Sides {
                    old: Some(&old),
                    new: new.as_ref(),
                };
                self.router.after(env, fires, table, sides, &set).await?;
            }
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

/// 27000 for a row that is no longer as the triggers before it were called with.
pub(super) fn meanwhile(called: Option<&Row>, change: &Change) -> Result<()> {
    // Numbers that are none are the same as themselves here.
    let same = |a: &Value, b: &Value| a == b || types::order::compare(a, b).is_eq();
    let is = |old: &Row| old.iter().zip(&change.old).all(|(a, b)| same(a, b));
    match called {
        Some(old) if !is(old) => Err(changed_meanwhile(change.new.is_none())),
        _ => Ok(()),
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
