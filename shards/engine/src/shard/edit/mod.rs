//! A change of one row by its key: what most statements that write are.
//!
//! Owns: its way here, which is done at once when nothing has to be waited for: lock, look at the row where it lies, write,
//! and with the statement's own transaction begin the commit. When something has to be waited
//! for, INSERT, UPDATE and DELETE do it as they do any other. Asked by: the router, and `handle` for other shards.
//! Never: does what reaches beyond the row's partition (unique indexes, foreign keys whose columns change, triggers), or
//! writes for a transaction whose reads must be remembered.
//! Bounds: one row.

mod plan;

pub use plan::{Aim, Edit};

use super::call::{
    Conflict, DeleteCall, EditCall, InsertCall, Inserted, Reach, Reply, UpdateCall, stale,
};
use super::constraints::{check, key_taken, row_size};
use super::entries::write_local;
use super::update::{assign, put};
use super::{Shard, ShardReply};
use crate::codec::row;
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::plan::Expr;
use crate::txn::commit::Decides;
use crate::txn::landing::Landing;
use crate::txn::state::TxnState;
use crate::txn::{Isolation, Partition};
use plan::What;
use std::rc::Rc;
use types::{Error, Result, Row, Ts, Value};

/// What has been done.
pub struct Edited {
    pub count: u64,
    /// What RETURNING says of the row.
    pub row: Option<Row>,
    /// Of a statement that is its own transaction.
    pub landing: Option<Landing>,
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
    pub fn edit_here(self: &Rc<Self>, call: &EditCall) -> Option<Result<Edited>> {
        let p = self.partitions.get(&call.aim.partition)?;
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
        if let Err(stale) = self.known(table, version, |known| known.takes_writes_of(table.since)) {
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
            Some(Err(e)) => {
                p.abort(txn.xid);
                Some(Err(e))
            }
            // It is begun anew.
            None => {
                p.leaves(&state);
                None
            }
        }
    }

    fn edit_in(&self, p: &Partition, state: &TxnState, call: &EditCall) -> Option<Result<Edited>> {
        let (edit, tree) = (&*call.edit, call.edit.table.tree);
        if state.active().is_err() || p.needs_relief(state) {
            return None;
        }
        let Some(key) = &call.aim.key else {
            match p.locks.try_write(&call.txn, edit.table.id, None) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => return Some(Err(e)),
            }
            let key = self.clock.now().0.to_be_bytes();
            return Some(insert(state, call, &key));
        };
        match p
            .locks
            .try_write(&call.txn, edit.table.id, Some((tree, key)))
        {
            Ok(true) => {}
            Ok(false) => return None,
            Err(e) => return Some(Err(e)),
        }
        if p.is_doubted(tree, key) {
            return None;
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
                match p.latest_here(state, tree, key, seen)? {
                    Ok(old) => old?,
                    Err(e) => return Some(Err(e)),
                }
            }
        };
        let rests = p.rests(state);
        if rests && edit.returning.is_some() && !call.commit {
            // It is told when what it rests on is on the disk.
            return None;
        }
        let done = old
            .transpose()
            .and_then(|old| change(state, call, key, old));
        // So is an error, which nothing has been written for that could not be written again.
        (done.is_ok() || !rests).then_some(done)
    }

    pub(super) async fn edit(self: &Rc<Self>, p: &Rc<Partition>, call: EditCall) -> ShardReply {
        let (xid, commit) = (call.txn.xid, call.commit);
        let edited = match self.edit_now(p, &call) {
            Some(edited) => edited?,
            None => {
                let done = Box::pin(self.edit_in_turn(p, call)).await;
                if commit {
                    match &done {
                        Ok(_) => drop(p.commit(xid, Decides::default()).await?),
                        Err(_) => {
                            p.tells(xid).await?;
                            p.abort(xid);
                        }
                    }
                }
                return done;
            }
        };
        let (count, row) = (edited.count, edited.row);
        if let Some(landing) = edited.landing {
            landing.done().await?;
        }
        Ok(Reply::Edited { count, row })
    }

    /// As the statement would be carried out without `Edit`. It is not committed: RETURNING may fail.
    async fn edit_in_turn(&self, p: &Rc<Partition>, call: EditCall) -> ShardReply {
        let EditCall {
            txn,
            ctx,
            edit,
            aim,
            ..
        } = call;
        let table = edit.table.clone();
        let rows_wanted = edit.returning.is_some();
        let reach = Reach::Keys(aim.key.into_iter().collect());
        let reply = match &edit.what {
            What::Insert { on_conflict, .. } => {
                let call = InsertCall {
                    txn,
                    ctx: ctx.clone(),
                    table,
                    rows: aim.row.into_iter().collect(),
                    existing: None,
                    on_conflict: on_conflict.clone(),
                    commit: false,
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
                    commit: false,
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
                    commit: false,
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
    let row = edit.returned(row.as_ref(), ctx)?;
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
    let Some(row) = &call.aim.row else {
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
        Conflict::Error | Conflict::Lock => Err(key_taken(table, row, ctx)),
    }
}

fn insert(state: &TxnState, call: &EditCall, key: &[u8]) -> Result<Edited> {
    let (edit, ctx, table) = (&*call.edit, &*call.ctx, &*call.edit.table);
    let Some(row) = &call.aim.row else {
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
    Ok(Edited {
        count: 1,
        row: edit.returned(row, ctx)?,
        landing: None,
    })
}
