//! The parents' side: keys that went, and the rows that refer to them.
//!
//! Owns: CASCADE, SET NULL and SET DEFAULT as changes of the children, which may take further keys with them (the next round);
//! RESTRICT and NO ACTION as the look whether there are children. Nobody can begin to refer to the keys meanwhile.
//! A child that has changed since a kept snapshot fails with 40001, as any row does that is to be written.

use super::super::Router;
use super::super::modify::{Outcome, WriteEnv, modified};
use super::pending::{Batch, Gone, GoneKeys, KeyId};
use super::search::Finder;
use super::{KEYS, ends, latest, needed};
use engine::catalog::triggers::Event;
use engine::catalog::{Catalog, ForeignKey, ForeignKeyAction, Table};
use engine::exec::operators::Stash;
use engine::exec::resolve;
use engine::plan::{Assignment, Expr, FuncRef};
use engine::shard::call::{Address, PartitionCall, Reach, UpdateCall};
use engine::shard::{concurrent, key_detail};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{DataType, PartitionId, Result, Row, Value};

/// Keys whose rows are changed by one call: its filter compares with each.
const TOGETHER: usize = 32;

/// What the children of a key become.
enum Act {
    Delete,
    /// These values, whichever of the keys it was.
    Set(Vec<Assignment>),
    /// The key's new values.
    Follow,
}

/// A statement on the children: what it needs besides the rows.
struct Work<'a> {
    env: WriteEnv,
    child: &'a Arc<Table>,
    key: &'a ForeignKey,
    act: &'a Act,
    chunk: &'a [(Vec<u8>, Gone)],
    from: &'a [DataType],
}

impl Router {
    /// Changes the children of keys that went.
    pub(super) async fn act(
        &self,
        env: &WriteEnv,
        child: &Arc<Table>,
        key: &ForeignKey,
        what: ForeignKeyAction,
        keys: Vec<(Vec<u8>, Gone)>,
    ) -> Result<()> {
        let Some(parent) = env.ctx.catalog.table(key.referenced) else {
            return Ok(());
        };
        let deleted = keys.first().is_some_and(|(_, gone)| gone.new.is_none());
        let act = act_of(&env.ctx.catalog, child, key, what, deleted);
        let from = parent.types_of(&key.referenced_columns);
        let finder = Finder::new(child, key);
        // A key may become one that went: all children are found before the first follows.
        let at_once = match act {
            Act::Follow => keys.len().max(1),
            Act::Delete | Act::Set(_) => KEYS,
        };
        for chunk in keys.chunks(at_once) {
            let now = self.shard.snapshot();
            let by = latest(&env.by, now.ts);
            let writes = match env.by.isolation.keeps_snapshot() {
                true => env.by.clone(),
                false => by.clone(),
            };
            let work = Work {
                env: env.within(writes),
                child,
                key,
                act: &act,
                chunk,
                from: &from,
            };
            let olds = chunk.iter().map(|(_, gone)| &gone.old);
            let mut all = Vec::new();
            let mut held = env.exec.memory.consumer("rows that follow their key");
            for share in self.shares(&finder, &from, child, olds, &env.ctx)? {
                let mut resume = None;
                loop {
                    let (rows, next) = self
                        .referring(&by, child, &finder, &share, false, resume)
                        .await?;
                    match &act {
                        Act::Follow => {
                            let bytes = rows
                                .iter()
                                .map(|(_, a)| a.key.len() + size_of::<(usize, Address)>());
                            held.grow(bytes.sum())?;
                            all.extend(rows);
                        }
                        Act::Delete | Act::Set(_) => self.carry_on(&work, rows).await?,
                    }
                    resume = next;
                    if resume.is_none() {
                        break;
                    }
                }
            }
            self.carry_on(&work, all).await?;
        }
        Ok(())
    }

    /// Carries the action out on rows that were found: each with its key's number in the chunk.
    async fn carry_on(&self, work: &Work<'_>, rows: Vec<(usize, Address)>) -> Result<()> {
        let mut groups: BTreeMap<(usize, PartitionId), Vec<Vec<u8>>> = BTreeMap::new();
        for (n, address) in rows {
            let group = match work.act {
                Act::Follow => n,
                Act::Delete | Act::Set(_) => n / TOGETHER,
            };
            let rows = groups.entry((group, address.partition)).or_default();
            rows.push(address.key);
        }
        let (env, child) = (&work.env, work.child);
        for ((group, partition), keys) in groups {
            let wanted = keys.len() as u64;
            let numbers = match work.act {
                Act::Follow => group..group + 1,
                Act::Delete | Act::Set(_) => {
                    let first = group * TOGETHER;
                    first..work.chunk.len().min(first + TOGETHER)
                }
            };
            let filter = refers(work, numbers, env)?;
            let mut out = Outcome::new(None);
            let event = match work.act {
                Act::Delete => Event::Delete,
                Act::Set(_) | Act::Follow => Event::Update,
            };
            if env.ctx.catalog.fires_on(child.id, event) {
                let assignments = match work.act {
                    Act::Delete => None,
                    Act::Set(assignments) => Some(assignments.clone()),
                    Act::Follow => Some(follow(work, group, env)?),
                };
                let rows = (partition, keys);
                let assignments = assignments.as_deref();
                let change = self.change_found(env, child, rows, &filter, assignments, &mut out);
                Box::pin(change).await?;
                changed_all(env, out.count, wanted)?;
                continue;
            }
            let reach = Reach::Keys(keys);
            let assignments = match work.act {
                Act::Delete => {
                    let rows_wanted =
                        child.has_unique_indexes() || env.ctx.catalog.is_referenced(child.id);
                    let delete = self.delete_in(
                        env,
                        child,
                        partition,
                        reach,
                        Some(filter),
                        rows_wanted,
                        false,
                        &mut out,
                    );
                    Box::pin(delete).await?;
                    changed_all(env, out.count, wanted)?;
                    continue;
                }
                Act::Set(assignments) => assignments.clone(),
                Act::Follow => follow(work, group, env)?,
            };
            Box::pin(self.set(work, partition, reach, filter, assignments, &mut out)).await?;
            changed_all(env, out.count, wanted)?;
        }
        Ok(())
    }

    async fn set(
        &self,
        work: &Work<'_>,
        partition: PartitionId,
        reach: Reach,
        filter: Expr,
        assignments: Vec<Assignment>,
        out: &mut Outcome,
    ) -> Result<()> {
        let (env, child) = (&work.env, work.child);
        let assignments = Arc::new(assignments);
        let mut moved = Stash::new(&env.exec, "rows to move");
        let mut resume = None;
        env.txn.takes_part(partition);
        loop {
            let call = UpdateCall {
                txn: env.by.clone(),
                ctx: env.ctx.clone(),
                table: child.clone(),
                reach: reach.clone(),
                filter: Some(filter.clone()),
                assignments: assignments.clone(),
                rows_wanted: true,
                commit: false,
                resume,
            };
            let done = modified(self.call(partition, PartitionCall::Update(call)).await?)?;
            resume = self
                .changed(env, child, partition, done, true, &mut moved, out)
                .await?;
            if resume.is_none() {
                break;
            }
        }
        self.insert_moved(env, child, moved, out).await
    }

    /// 23503 for the first of the keys that rows refer to. Unless it restricts, a key that is there again may be.
    pub(super) async fn unreferred(
        &self,
        env: &WriteEnv,
        id: KeyId,
        keys: GoneKeys,
        restrict: bool,
    ) -> Result<()> {
        let Some((child, key, parent)) = ends(&env.ctx.catalog, id) else {
            return Ok(());
        };
        let mut referred = self.referred(env, parent, child, key, keys).await?;
        referred.sort_by_key(|(_, gone)| gone.seq);
        for (_, gone) in referred {
            if !restrict && self.is_there(env, parent, key, &gone.old).await? {
                continue;
            }
            let forms = &env.ctx.session.forms;
            let detail = key_detail(parent, &key.referenced_columns, &gone.old, forms);
            return Err(needed(parent, child, key).with_detail(format!(
                "{detail} is still referenced from table \"{}\".",
                child.name
            )));
        }
        Ok(())
    }

    /// Those that rows still refer to are put into `left`.
    pub(super) async fn still_referred(
        &self,
        env: &WriteEnv,
        id: KeyId,
        keys: GoneKeys,
        left: &mut Batch,
    ) -> Result<()> {
        let Some((child, key, parent)) = ends(&env.ctx.catalog, id) else {
            return Ok(());
        };
        for (bytes, gone) in self.referred(env, parent, child, key, keys).await? {
            left.put_gone(id, bytes, gone)?;
        }
        Ok(())
    }

    /// Which of the keys rows refer to.
    async fn referred(
        &self,
        env: &WriteEnv,
        parent: &Arc<Table>,
        child: &Arc<Table>,
        key: &ForeignKey,
        keys: GoneKeys,
    ) -> Result<Vec<(Vec<u8>, Gone)>> {
        let from = parent.types_of(&key.referenced_columns);
        let finder = Finder::new(child, key);
        let mut out = Vec::new();
        let mut rest = keys.into_iter();
        loop {
            let chunk: Vec<(Vec<u8>, Gone)> = rest.by_ref().take(KEYS).collect();
            if chunk.is_empty() {
                return Ok(out);
            }
            let now = self.shard.snapshot();
            let by = latest(&env.by, now.ts);
            let mut has = vec![false; chunk.len()];
            let olds = chunk.iter().map(|(_, gone)| &gone.old);
            for share in self.shares(&finder, &from, child, olds, &env.ctx)? {
                let mut resume = None;
                loop {
                    let (rows, next) = self
                        .referring(&by, child, &finder, &share, true, resume)
                        .await?;
                    for (n, _) in rows {
                        has[n] = true;
                    }
                    resume = next;
                    if resume.is_none() || has.iter().all(|has| *has) {
                        break;
                    }
                }
            }
            let referred = chunk.into_iter().zip(has).filter(|(_, has)| *has);
            out.extend(referred.map(|(gone, _)| gone));
        }
    }

    /// Whether a row of the parent has the values (again).
    async fn is_there(
        &self,
        env: &WriteEnv,
        parent: &Arc<Table>,
        key: &ForeignKey,
        values: &Row,
    ) -> Result<bool> {
        let from = parent.types_of(&key.referenced_columns);
        let Some(place) = self.place_of(parent, key, values, &from, &env.ctx)? else {
            return Ok(false);
        };
        let keys = env.keys();
        let found = self.keys_there(&keys, parent, key, place.partition, vec![place.key]);
        Ok(found.await?.contains(&true))
    }
}

/// Rows that only what is committed since the snapshot refers from cannot be changed under it.
fn changed_all(env: &WriteEnv, changed: u64, wanted: u64) -> Result<()> {
    match env.by.isolation.keeps_snapshot() && changed < wanted {
        true => Err(concurrent()),
        false => Ok(()),
    }
}

fn act_of(
    catalog: &Catalog,
    child: &Table,
    key: &ForeignKey,
    what: ForeignKeyAction,
    deleted: bool,
) -> Act {
    let some = deleted && !key.delete_sets.is_empty();
    let columns = match some {
        true => &key.delete_sets,
        false => &key.columns,
    };
    let set = |value: &dyn Fn(usize) -> Expr| {
        let assignment = |column: &usize| Assignment {
            column: *column,
            expr: value(*column),
        };
        Act::Set(columns.iter().map(assignment).collect())
    };
    let null = |column: usize| Expr::Const(Value::Null, child.columns[column].ty);
    match what {
        ForeignKeyAction::Cascade if deleted => Act::Delete,
        ForeignKeyAction::Cascade => Act::Follow,
        ForeignKeyAction::SetDefault => set(&|column| {
            let column = &child.columns[column];
            let own = column.default.as_ref();
            own.map_or_else(|| catalog.implied_value(column), |d| d.expr.clone())
        }),
        ForeignKeyAction::SetNull | ForeignKeyAction::NoAction | ForeignKeyAction::Restrict => {
            set(&null)
        }
    }
}

/// The child's columns get what the parent's row has now.
fn follow(work: &Work<'_>, n: usize, env: &WriteEnv) -> Result<Vec<Assignment>> {
    let Some(new) = work.chunk[n].1.new.as_ref() else {
        return Ok(Vec::new());
    };
    let mut out = Vec::with_capacity(work.key.columns.len());
    for (at, column) in work.key.columns.iter().enumerate() {
        let to = &work.child.columns[*column];
        let value = engine::exec::cast::cast(
            new[at].clone(),
            work.from[at],
            to.ty,
            to.typmod,
            false,
            &env.ctx,
        )?;
        out.push(Assignment {
            column: *column,
            expr: Expr::Const(value, to.ty),
        });
    }
    Ok(out)
}

/// Over the child's row: it has one of these keys. A row that was found may have another by the time it is locked.
fn refers(work: &Work<'_>, numbers: std::ops::Range<usize>, env: &WriteEnv) -> Result<Expr> {
    let (child, key) = (work.child, work.key);
    let mut ways = Vec::with_capacity(numbers.len());
    for (_, gone) in &work.chunk[numbers] {
        let mut all = Vec::with_capacity(key.columns.len());
        for (at, column) in key.columns.iter().enumerate() {
            let ty = child.columns[*column].ty;
            let value = engine::exec::cast::cast(
                gone.old[at].clone(),
                work.from[at],
                ty,
                -1,
                false,
                &env.ctx,
            );
            // No row was found by a value that its column cannot hold.
            let Ok(value) = value else { continue };
            all.push(equal(*column, ty, value)?);
        }
        if all.len() == key.columns.len() {
            ways.push(Expr::And(all));
        }
    }
    Ok(Expr::Or(ways))
}

fn equal(column: usize, ty: DataType, value: Value) -> Result<Expr> {
    let operator = resolve::operator("=", Some(ty), ty)?;
    let cast = |e: Expr, to: DataType| match e.ty() == to {
        true => e,
        false => Expr::Cast {
            expr: Box::new(e),
            to,
            typmod: -1,
            explicit: false,
        },
    };
    let to = |n: usize| operator.arg_types.get(n).copied().unwrap_or(ty);
    Ok(Expr::Call {
        func: FuncRef(operator.func),
        args: vec![
            cast(Expr::Column(column, ty), to(0)),
            cast(Expr::Const(value, ty), to(1)),
        ],
        ty: operator.ret,
    })
}
