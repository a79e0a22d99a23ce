//! Locking rows for SELECT … FOR UPDATE and FOR SHARE, and answering them as they are under their locks. Advisory locks.

use super::call::{AdviseCall, HoldTableCall, LockRowsCall, Reply, stale};
use super::references::key_locks;
use super::{Shard, ShardReply};
use crate::codec::row;
use crate::exec::operators::{AdvisoryKey, Locked};
use crate::plan::{LockWait, RowLock};
use crate::txn::locks::Mode;
use crate::txn::partition::bump;
use crate::txn::state::TxnState;
use crate::txn::{Partition, TxnRef};
use std::rc::Rc;
use types::{Error, Result, SqlState, TableId, Xid};

impl Shard {
    pub(super) async fn lock_rows(&self, p: &Rc<Partition>, call: LockRowsCall) -> ShardReply {
        let version = call.ctx.catalog.version;
        let state = self.enter(p, &call.txn, &call.table, version).await?;
        let layout = call.table.layout();
        let mut out = Vec::with_capacity(call.keys.len());
        for key in &call.keys {
            call.txn.stop.check()?;
            out.push(lock_row(p, &state, &call, key, &layout).await?);
        }
        // A definition change may have come between two of them, before the table was locked here.
        match self.live(&call.table, version) {
            Ok(()) => Ok(Reply::Locked(out)),
            Err(_) => Err(stale(&call.table)),
        }
    }
}

/// `None`: somebody has it and the statement does not wait, or the row has gone.
async fn lock_row(
    p: &Partition,
    state: &TxnState,
    call: &LockRowsCall,
    key: &[u8],
    layout: &row::Layout,
) -> Result<Option<Locked>> {
    let (txn, table) = (&call.txn, &call.table);
    let mode = match call.lock {
        RowLock::Update => Mode::Exclusive,
        RowLock::Share => Mode::Shared,
    };
    // The row may go or get another key next.
    let takes_key = mode == Mode::Exclusive && call.ctx.catalog.is_key_referenced(table);
    let trees = takes_key.then(|| key_locks(table)).into_iter();
    let mut got = true;
    for tree in trees.chain([table.tree]) {
        got = match call.wait {
            LockWait::Wait => {
                p.lock_row_as(txn, state, table.id, tree, key, mode).await?;
                true
            }
            LockWait::NoWait | LockWait::Skip => {
                !p.is_doubted(tree, key) && p.locks.try_row(txn, table.id, tree, key, mode)?
            }
        };
        if !got {
            break;
        }
    }
    if !got {
        return match call.wait {
            LockWait::Skip => Ok(None),
            _ => Err(Error::new(
                SqlState::LOCK_NOT_AVAILABLE,
                format!(
                    "could not obtain lock on row in relation \"{}\"",
                    table.name
                ),
            )),
        };
    }
    if let Some(own) = state.get(table.tree, key).await? {
        let own = own
            .map(|payload| row::decode(&payload, layout))
            .transpose()?;
        let again = state.wrote_apart(txn, table.tree, key);
        return Ok(own.map(|row| Locked {
            row,
            changed: false,
            again,
        }));
    }
    let Some((ts, payload)) = p.latest(state, table.tree, key).await? else {
        return Ok(None);
    };
    let changed = ts > txn.snapshot;
    if changed && txn.isolation.keeps_snapshot() {
        bump(&p.counters.conflicts);
        return Err(super::update::concurrent());
    }
    let row = payload
        .map(|payload| row::decode(&payload, layout))
        .transpose()?;
    Ok(row.map(|row| Locked {
        row,
        changed,
        again: false,
    }))
}

pub(super) async fn advise(p: &Partition, call: AdviseCall) -> ShardReply {
    let mode = match call.shared {
        true => Mode::Shared,
        false => Mode::Exclusive,
    };
    let locks = &p.locks;
    let has = locks.advisory(&call.txn, &call.key, mode, call.waits);
    Ok(Reply::Count(u64::from(has.await?)))
}

pub(super) fn unadvise(p: &Partition, xid: Xid, key: Option<AdvisoryKey>) -> ShardReply {
    p.locks.give_back(xid, key.as_ref().map(|k| &k[..]));
    Ok(Reply::Done)
}

/// LOCK TABLE.
pub(super) async fn hold_table(partition: &Partition, call: HoldTableCall) -> ShardReply {
    let mode = match call.exclusive {
        true => Mode::Exclusive,
        false => Mode::Shared,
    };
    let (txn, table) = (&call.txn, call.table.id);
    let state = partition.txn(txn);
    if !call.waits && !partition.locks.try_table(txn, table, mode)? {
        return Ok(Reply::Count(0));
    }
    partition.lock_table(txn, &state, table, mode).await?;
    Ok(Reply::Count(1))
}

/// For a change of the table's definition.
pub(super) async fn bar_table(
    partition: &Partition,
    txn: &TxnRef,
    table: TableId,
    version: u64,
) -> ShardReply {
    let state = partition.txn(txn);
    partition.bar_table(txn, &state, table, version).await?;
    Ok(Reply::Done)
}
