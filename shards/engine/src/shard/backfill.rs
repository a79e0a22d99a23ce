//! Entries of an index that is built while its table is written.
//!
//! Owns: that a run of entries is right when it is committed, though no row is locked. A run reads rows at its snapshot, as a
//! serializable transaction does, and commits its entries only if none of the rows has changed since (40001 otherwise): all that
//! changes one later puts its own entries over these. Where one row changes so often that this never succeeds, its lock is taken.
//! Asked by: `router::backfill`, once every writer knows the index. Never: holds what a writer waits for longer than one row's commit.
//! Bounds: a run's rows by the call and by `BATCH_BYTES_MAX`.

use super::call::{BackfillCall, BuildCall, Reply, Resume};
use super::cursor::Cursor;
use super::entries::local_key;
use super::scan::{Keyed, keyed};
use super::{Shard, ShardReply};
use crate::catalog::Table;
use crate::codec::row;
use crate::txn::commit::Decides;
use crate::txn::locks::Mode;
use crate::txn::state::TxnState;
use crate::txn::{Isolation, Partition, TxnRef};
use std::ops::ControlFlow;
use std::rc::Rc;
use types::{Result, Row};

impl Shard {
    pub(super) async fn build(&self, p: &Rc<Partition>, call: BuildCall) -> ShardReply {
        match call {
            BuildCall::Fill(call) => self.backfill(p, call).await,
            BuildCall::Look {
                txn,
                table,
                key,
                version,
            } => self.row_seen(p, &txn, (&table, version), &key).await,
            BuildCall::Writers { table } => Ok(Reply::Writers(p.locks.table_owners(table))),
        }
    }

    async fn backfill(&self, p: &Rc<Partition>, call: BackfillCall) -> ShardReply {
        let version = call.ctx.catalog.version;
        let state = self.enter(p, &call.txn, &call.table, version).await?;
        let from = call
            .resume
            .as_ref()
            .map(|r| r.0.clone())
            .unwrap_or_default();
        let rows_max = if call.locked { 1 } else { call.rows_max };
        // What it reads counts once it is known where it ends (`unchanged`).
        let reader = TxnRef {
            isolation: Isolation::ReadCommitted,
            ..call.txn.clone()
        };
        let (mut rows, end) = keyed(p, &reader, &call.table, from.clone(), rows_max).await?;
        if call.locked {
            rows = under_lock(p, &state, &call, rows).await?;
        }
        let looked_at = rows.len() as u64;
        for (n, (key, row)) in rows.iter().enumerate() {
            write(p, &state, &call, key, row).await?;
            if n % 64 == 63 {
                runtime::yield_if_needed().await;
            }
        }
        if !call.locked {
            unchanged(p, &call.txn, &call.table, (from, end.clone())).await?;
        }
        p.commit(call.txn.xid, Decides::default()).await?;
        Ok(Reply::Filled {
            rows: looked_at,
            resume: end.map(Resume),
        })
    }

    async fn row_seen(
        &self,
        p: &Partition,
        txn: &TxnRef,
        (table, version): (&Table, u64),
        key: &[u8],
    ) -> ShardReply {
        self.live(table, version)?;
        let payload = p.read(txn, table.tree, key).await?;
        self.live(table, version)?;
        let row = payload.map(|p| row::decode(&p, &table.layout()));
        Ok(Reply::Row(row.transpose()?))
    }
}

/// The row as it is now that nobody changes it, if it still is there.
async fn under_lock(
    p: &Partition,
    state: &TxnState,
    call: &BackfillCall,
    rows: Keyed,
) -> Result<Keyed> {
    let (table, layout) = (&call.table, call.table.layout());
    let mut out = Keyed::new();
    for (key, _) in rows {
        p.lock_row_as(&call.txn, state, table.id, table.tree, &key, Mode::Shared)
            .await?;
        let newest = p.latest(state, table.tree, &key).await?;
        if let Some(payload) = newest.and_then(|(_, payload)| payload) {
            out.push((key, row::decode(&payload, &layout)?));
        }
    }
    Ok(out)
}

async fn write(
    p: &Partition,
    state: &TxnState,
    call: &BackfillCall,
    key: &[u8],
    row: &Row,
) -> Result<()> {
    let tree = call.index.tree;
    let Some(entry) = local_key(&call.table, &call.index, row, key, &call.ctx)? else {
        return Ok(());
    };
    // Whoever has written the row since it knows the index has put it there.
    let newest = p.latest(state, tree, &entry).await?;
    if newest.is_some_and(|(_, payload)| payload.is_some()) {
        return Ok(());
    }
    state.write(tree, entry, Some(key.to_vec()))
}

/// Reads the span again, as one that must stay as it is until the commit: 40001 when that has something newer than the snapshot.
async fn unchanged(
    p: &Partition,
    txn: &TxnRef,
    table: &Table,
    (from, end): (Vec<u8>, Option<Vec<u8>>),
) -> Result<()> {
    let mut cursor = Cursor::open(p, txn, table.tree, from, end).await?;
    while cursor
        .run(&mut |_, _| Ok(ControlFlow::Continue(())))
        .await?
    {}
    Ok(())
}
