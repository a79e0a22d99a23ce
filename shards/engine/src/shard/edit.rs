//! A change of one row by its key: what most statements that write are.
//!
//! Owns: `Edit`, made once a plan; its way here, which is done at once when nothing has to be waited for: lock, look at the
//! row where it lies, write, and with the statement's own transaction begin the commit. When something has to be waited
//! for, INSERT, UPDATE and DELETE do it as they do any other. Asked by: the router, and `handle` for other shards.
//! Never: does what reaches beyond the row's partition (unique indexes, foreign keys whose columns change, triggers), or
//! writes for a transaction whose reads must be remembered.
//! Bounds: one row.

use super::call::{
    Conflict, DeleteCall, EditCall, InsertCall, Inserted, Reach, Reply, UpdateCall, stale,
};
use super::constraints::{check, duplicate, key_detail, row_size};
use super::entries::{pick, row_key, write_local};
use super::locator::Locator;
use super::update::{assign, put};
use super::{Shard, ShardReply};
use crate::catalog::triggers::Event;
use crate::catalog::{Catalog, Table};
use crate::codec::row;
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::exec::operators::needs_settling;
use crate::plan::{
    Assignment, ConflictAction, ConflictTarget, Delete, Expr, Insert, Plan, Returning, Update,
};
use crate::txn::landing::Landing;
use crate::txn::state::TxnState;
use crate::txn::{Isolation, Partition};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, Row, Ts, Value};

/// A statement that changes one row by its key, made ready.
pub struct Edit {
    table: Arc<Table>,
    layout: row::Layout,
    what: What,
    returning: Option<Returning>,
}

enum What {
    /// The row, and what is computed of it.
    Insert {
        values: Vec<Expr>,
        project: Option<Vec<Expr>>,
        /// What becomes of it when its key is taken; never `Lock`.
        on_conflict: Conflict,
    },
    Update {
        locator: Locator,
        filter: Option<Expr>,
        assignments: Arc<Vec<Assignment>>,
    },
    Delete {
        locator: Locator,
        filter: Option<Expr>,
    },
}

/// Which row it is about.
pub struct Aim {
    pub partition: PartitionId,
    /// `None`: of a table without one.
    pub key: Option<Vec<u8>>,
    /// Of an INSERT.
    pub row: Option<Row>,
}

/// What has been done.
pub struct Edited {
    pub count: u64,
    /// What RETURNING says of the row.
    pub row: Option<Row>,
    /// Of a statement that is its own transaction.
    pub landing: Option<Landing>,
}

fn plain<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> bool {
    !exprs.into_iter().any(needs_settling)
}

fn returns_plain(returning: &Option<Returning>) -> bool {
    returning.iter().all(|r| plain(&r.exprs))
}

impl Edit {
    fn new(table: &Arc<Table>, what: What, returning: &Option<Returning>) -> Edit {
        Edit {
            layout: table.layout(),
            table: table.clone(),
            what,
            returning: returning.clone(),
        }
    }

    pub fn of_insert(insert: &Insert, catalog: &Catalog) -> Option<Edit> {
        let table = &insert.table;
        let on_conflict = of_conflict(insert, catalog)?;
        let reaches = table.has_unique_indexes()
            || !table.foreign_keys.is_empty()
            || catalog.fires_on(table.id, Event::Insert);
        let (values, project) = match &insert.source {
            Plan::Values { rows } => (rows, None),
            Plan::Project { input, exprs } => match &**input {
                Plan::Values { rows } => (rows, Some(exprs)),
                _ => return None,
            },
            _ => return None,
        };
        let [values] = &values[..] else { return None };
        let simple = !reaches
            && plain(values)
            && plain(project.into_iter().flatten())
            && returns_plain(&insert.returning);
        let what = What::Insert {
            values: values.clone(),
            project: project.cloned(),
            on_conflict,
        };
        simple.then(|| Edit::new(table, what, &insert.returning))
    }

    pub fn of_update(update: &Update, catalog: &Catalog) -> Option<Edit> {
        let table = &update.table;
        let reaches = table.has_unique_indexes() || moves(table, &update.assignments, catalog);
        let locator = Locator::of(table, &update.access)?;
        let simple = !reaches
            && plain(update.assignments.iter().map(|a| &a.expr))
            && plain(&update.filter)
            && returns_plain(&update.returning);
        let what = What::Update {
            locator,
            filter: update.filter.clone(),
            assignments: Arc::new(update.assignments.clone()),
        };
        simple.then(|| Edit::new(table, what, &update.returning))
    }

    pub fn of_delete(delete: &Delete, catalog: &Catalog) -> Option<Edit> {
        let table = &delete.table;
        let reaches = table.has_unique_indexes()
            || catalog.is_referenced(table.id)
            || catalog.fires_on(table.id, Event::Delete);
        let locator = Locator::of(table, &delete.access)?;
        let simple = !reaches && plain(&delete.filter) && returns_plain(&delete.returning);
        let what = What::Delete {
            locator,
            filter: delete.filter.clone(),
        };
        simple.then(|| Edit::new(table, what, &delete.returning))
    }

    /// It changes a row that is there.
    fn changes_rows(&self) -> bool {
        match &self.what {
            What::Insert { on_conflict, .. } => matches!(on_conflict, Conflict::Update { .. }),
            What::Update { .. } | What::Delete { .. } => true,
        }
    }

    /// Where the row is, or will be if it has no place of its own: `home`. `None`: there is no such row.
    pub fn aim(&self, ctx: &Context, partitions: u16, home: PartitionId) -> Result<Option<Aim>> {
        let (values, project) = match &self.what {
            What::Update { locator, .. } | What::Delete { locator, .. } => {
                let at = locator.address(&ctx.params, partitions)?;
                return Ok(at.map(|(partition, key)| Aim {
                    partition,
                    key: Some(key),
                    row: None,
                }));
            }
            What::Insert {
                values, project, ..
            } => (values, project),
        };
        let mut row = evaluated(values, &[], ctx)?;
        if let Some(exprs) = project {
            row = evaluated(exprs, &row, ctx)?;
        }
        let table = &self.table;
        let (partition, key) = match table.has_key() {
            // A key of NULL is for the check of the row to refuse.
            true if table
                .primary_key
                .iter()
                .any(|c| row.get(*c).is_none_or(Value::is_null)) =>
            {
                check(table, &row, ctx)?;
                return Ok(None);
            }
            true => (
                table.partition_of_row(&row, partitions)?,
                Some(row_key(table, &row)?),
            ),
            false => (home, None),
        };
        Ok(Some(Aim {
            partition,
            key,
            row: Some(row),
        }))
    }

    fn returned(&self, row: &Row, ctx: &Context) -> Result<Option<Row>> {
        let returning = self.returning.as_ref();
        returning.map(|r| evaluated(&r.exprs, row, ctx)).transpose()
    }
}

/// Whether columns are assigned by which the row is found, or held to rows elsewhere, or triggers wait for it.
fn moves(table: &Table, assignments: &[Assignment], catalog: &Catalog) -> bool {
    let changes = |c: &usize| {
        let generated = table.columns.get(*c).is_some_and(|c| c.generated.is_some());
        generated || assignments.iter().any(|a| a.column == *c)
    };
    table.primary_key.iter().any(changes)
        || (table.foreign_keys.iter()).any(|k| k.columns.iter().any(changes))
        || (catalog.referrers(table.id)).any(|(_, k)| k.referenced_columns.iter().any(changes))
        || catalog.fires_on(table.id, Event::Update)
}

/// `None`: it takes more than the row's partition.
fn of_conflict(insert: &Insert, catalog: &Catalog) -> Option<Conflict> {
    let Some(on) = &insert.on_conflict else {
        return Some(Conflict::Error);
    };
    // Without unique indexes it can only be the primary key.
    if matches!(on.target, Some(ConflictTarget::Unique(_))) {
        return None;
    }
    match &on.action {
        ConflictAction::Nothing => Some(Conflict::Nothing),
        ConflictAction::Update {
            assignments,
            filter,
        } => {
            let simple = plain(on.action.exprs()) && !moves(&insert.table, assignments, catalog);
            simple.then(|| Conflict::Update {
                assignments: Arc::new(assignments.clone()),
                filter: filter.clone(),
            })
        }
    }
}

fn evaluated(exprs: &[Expr], row: &[Value], ctx: &Context) -> Result<Row> {
    let env = Env { ctx, outer: &[] };
    exprs.iter().map(|e| eval::eval(e, row, &env)).collect()
}

fn matches(filter: &Option<Expr>, row: &Row, ctx: &Context) -> Result<bool> {
    match filter {
        Some(filter) => eval::eval_bool(filter, row, &Env { ctx, outer: &[] }),
        None => Ok(true),
    }
}

const NOTHING: Edited = Edited {
    count: 0,
    row: None,
    landing: None,
};

impl Shard {
    /// Does it, if this shard has the partition and nothing has to be waited for; `None` means that `Edit` has to be asked.
    /// A call like any other.
    pub fn edit_here(
        self: &Rc<Self>,
        partition: PartitionId,
        call: &EditCall,
    ) -> Option<Result<Edited>> {
        let p = self.partitions.get(&partition)?;
        let done = self.edit_now(p, call)?;
        self.calls.set(self.calls.get() + 1);
        Some(done)
    }

    fn edit_now(&self, p: &Rc<Partition>, call: &EditCall) -> Option<Result<Edited>> {
        let (txn, table) = (&call.txn, &call.edit.table);
        let usual = p.check().is_ok()
            && !p.is_barred(table.id)
            && txn.isolation != Isolation::Serializable
            && txn.apart == 0;
        if !usual {
            return None;
        }
        let version = call.ctx.catalog.version;
        if let Err(stale) = self.known(table, version, |known| known.since == table.since) {
            return Some(Err(stale));
        }
        let state = p.txn(txn);
        let done = self.edit_in(p, &state, call);
        if !call.commit {
            return done;
        }
        match done {
            Some(Ok(mut edited)) => {
                let landing = p.commit_soon(txn.xid);
                Some(landing.map(|landing| {
                    edited.landing = Some(landing);
                    edited
                }))
            }
            other => {
                p.abort(txn.xid);
                other
            }
        }
    }

    fn edit_in(&self, p: &Partition, state: &TxnState, call: &EditCall) -> Option<Result<Edited>> {
        let (edit, tree) = (&*call.edit, call.edit.table.tree);
        if state.active().is_err() || p.needs_relief(state) {
            return None;
        }
        let Some(key) = &call.key else {
            match p.locks.try_write(call.txn.xid, edit.table.id, None) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => return Some(Err(e)),
            }
            let key = self.clock.now().0.to_be_bytes();
            return Some(insert(state, call, &key));
        };
        match p
            .locks
            .try_write(call.txn.xid, edit.table.id, Some((tree, key)))
        {
            Ok(true) => {}
            Ok(false) => return None,
            Err(e) => return Some(Err(e)),
        }
        let own = state.may_have(tree, key);
        let old = match own {
            true => {
                let writes = state.writes.borrow();
                // What was staged is not here.
                let own = writes.get(tree, key)?;
                own.as_deref()
                    .map(|payload| row::decode(payload, &edit.layout))
            }
            false => {
                let seen = |found: Option<(Ts, Option<&[u8]>)>| {
                    let Some((ts, payload)) = found else {
                        return Some(None);
                    };
                    // Whether that is a conflict depends on what the snapshot shows.
                    let changed = ts > call.txn.snapshot && call.txn.isolation.keeps_snapshot();
                    let told = !changed || !edit.changes_rows();
                    told.then(|| payload.map(|payload| row::decode(payload, &edit.layout)))
                };
                match p.latest_here(tree, key, seen)? {
                    Ok(old) => old?,
                    Err(e) => return Some(Err(e)),
                }
            }
        };
        Some(match old.transpose() {
            Ok(old) => change(state, call, key, old),
            Err(e) => Err(e),
        })
    }

    pub(super) async fn edit(self: &Rc<Self>, p: &Rc<Partition>, call: EditCall) -> ShardReply {
        let edited = match self.edit_now(p, &call) {
            Some(edited) => edited?,
            None => return Box::pin(self.edit_in_turn(p, call)).await,
        };
        let (count, row) = (edited.count, edited.row);
        if let Some(landing) = edited.landing {
            landing.done().await?;
        }
        Ok(Reply::Edited { count, row })
    }

    /// As the statement would be carried out without `Edit`.
    async fn edit_in_turn(&self, p: &Rc<Partition>, call: EditCall) -> ShardReply {
        let EditCall {
            txn,
            ctx,
            edit,
            key,
            row,
            commit,
        } = call;
        let table = edit.table.clone();
        let rows_wanted = edit.returning.is_some();
        let reach = Reach::Keys(key.into_iter().collect());
        let reply = match &edit.what {
            What::Insert { on_conflict, .. } => {
                let call = InsertCall {
                    txn,
                    ctx: ctx.clone(),
                    table,
                    rows: row.into_iter().collect(),
                    existing: None,
                    on_conflict: on_conflict.clone(),
                    commit,
                };
                Box::pin(self.insert(p, call)).await
            }
            What::Update {
                filter,
                assignments,
                ..
            } => {
                let call = UpdateCall {
                    txn,
                    ctx: ctx.clone(),
                    table,
                    reach,
                    filter: filter.clone(),
                    assignments: assignments.clone(),
                    rows_wanted,
                    commit,
                    resume: None,
                };
                Box::pin(self.update(p, call)).await
            }
            What::Delete { filter, .. } => {
                let call = DeleteCall {
                    txn,
                    ctx: ctx.clone(),
                    table,
                    reach,
                    filter: filter.clone(),
                    rows_wanted,
                    commit,
                    resume: None,
                };
                Box::pin(self.delete(p, call)).await
            }
        }?;
        told(&edit, reply, &ctx)
    }
}

fn told(edit: &Edit, reply: Reply, ctx: &Context) -> ShardReply {
    let (count, row) = match reply {
        Reply::Inserted(rows) => match rows.into_iter().next() {
            Some(Inserted::Row { row, .. }) => (1, Some(row)),
            Some(Inserted::Updated(change)) => (1, change.new),
            Some(Inserted::Skipped) => (0, None),
            _ => return Err(Error::internal("a row that was not inserted")),
        },
        Reply::Modified(done) => {
            let change = done.changes.into_iter().next();
            (done.count, change.map(|c| c.new.unwrap_or(c.old)))
        }
        _ => return Err(Error::internal("a change with another answer")),
    };
    let row = match row {
        Some(row) => edit.returned(&row, ctx)?,
        None => None,
    };
    Ok(Reply::Edited { count, row })
}

/// Under the row's lock. `old`: the row as it is now.
fn change(state: &TxnState, call: &EditCall, key: &[u8], old: Option<Row>) -> Result<Edited> {
    let (edit, ctx, table) = (&*call.edit, &*call.ctx, &*call.edit.table);
    match (&edit.what, old) {
        (What::Insert { .. }, None) => insert(state, call, key),
        (What::Insert { on_conflict, .. }, Some(old)) => taken(state, call, key, old, on_conflict),
        (
            What::Update {
                filter,
                assignments,
                ..
            },
            Some(old),
        ) if matches(filter, &old, ctx)? => {
            let new = assign(&old, &old, assignments, ctx)?;
            let done = put(
                state,
                (table, ctx, &edit.layout),
                key.to_vec(),
                old,
                new,
                false,
            )?;
            edited(edit, done.new.as_ref(), ctx)
        }
        (What::Delete { filter, .. }, Some(old)) if matches(filter, &old, ctx)? => {
            write_local(state, table, key, Some(&old), None, ctx)?;
            state.write(table.tree, key.to_vec(), None)?;
            edited(edit, Some(&old), ctx)
        }
        _ => Ok(NOTHING),
    }
}

/// An INSERT whose key is `old`'s.
fn taken(
    state: &TxnState,
    call: &EditCall,
    key: &[u8],
    old: Row,
    on_conflict: &Conflict,
) -> Result<Edited> {
    let (edit, ctx, table) = (&*call.edit, &*call.ctx, &*call.edit.table);
    let Some(row) = &call.row else {
        return Err(stale(table));
    };
    check(table, row, ctx)?;
    match on_conflict {
        Conflict::Nothing => Ok(NOTHING),
        Conflict::Update {
            assignments,
            filter,
        } => {
            let both: Row = old.iter().chain(row).cloned().collect();
            if !matches(filter, &both, ctx)? {
                return Ok(NOTHING);
            }
            let new = assign(&old, &both, assignments, ctx)?;
            let within = (table, ctx, &edit.layout);
            let done = put(state, within, key.to_vec(), old, new, false)?;
            edited(edit, done.new.as_ref(), ctx)
        }
        Conflict::Error | Conflict::Lock => {
            let values = pick(row, &table.primary_key);
            let tz = &ctx.session.time_zone;
            let detail = key_detail(table, &table.primary_key, &values, tz);
            Err(duplicate(table, &table.primary_key_name, &detail))
        }
    }
}

fn insert(state: &TxnState, call: &EditCall, key: &[u8]) -> Result<Edited> {
    let (edit, ctx, table) = (&*call.edit, &*call.ctx, &*call.edit.table);
    let Some(row) = &call.row else {
        return Err(stale(table));
    };
    check(table, row, ctx)?;
    let mut bytes = Vec::new();
    row::encode(row, &edit.layout, &mut bytes);
    row_size(&bytes)?;
    write_local(state, table, key, None, Some(row), ctx)?;
    state.write(table.tree, key.to_vec(), Some(bytes))?;
    edited(edit, Some(row), ctx)
}

fn edited(edit: &Edit, row: Option<&Row>, ctx: &Context) -> Result<Edited> {
    let row = match row {
        Some(row) => edit.returned(row, ctx)?,
        None => None,
    };
    Ok(Edited {
        count: 1,
        row,
        landing: None,
    })
}
