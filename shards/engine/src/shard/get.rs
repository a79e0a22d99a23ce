//! One row by its key, its columns given out as they are: what most point queries ask.
//!
//! Owns: `Lookup`, which is made once a plan and says where the row is and what of it is wanted; the answer to it, from the
//! page that the row lies on when nothing has to be waited for. Asked by: the router, and `handle` for other shards.
//! Never: reads for a transaction whose reads must be remembered: those scan.
//! Bounds: one row, decoded as far as it is wanted.

use super::call::{GetCall, Reply, stale};
use super::locator::Locator;
use super::{Shard, ShardReply};
use crate::catalog::Table;
use crate::codec::row;
use crate::plan::{Expr, Scan};
use crate::txn::Partition;
use std::sync::Arc;
use types::{PartitionId, Result, Row, Ts, Value, Xid};

/// A query of one row by its primary key, made ready.
pub struct Lookup {
    table: Arc<Table>,
    layout: row::Layout,
    locator: Locator,
    /// Ordinals, in the order in which they are given out.
    columns: Vec<usize>,
    /// By ordinal.
    wanted: Vec<bool>,
    /// No column is given out twice.
    once: bool,
}

impl Lookup {
    /// `None` when the scan does more than that.
    pub fn of(scan: &Scan) -> Option<Lookup> {
        let more = scan.filter.is_some()
            || scan.partial.is_some()
            || scan.top.is_some()
            || scan.limit == Some(0)
            || scan.addressed;
        if more {
            return None;
        }
        let table = scan.table.clone();
        let locator = Locator::of(&table, &scan.access)?;
        let columns: Vec<usize> = match &scan.project {
            None => (0..table.columns.len()).collect(),
            Some(exprs) => {
                let column = |e: &Expr| match e {
                    Expr::Column(at, _) => Some(*at),
                    _ => None,
                };
                exprs.iter().map(column).collect::<Option<_>>()?
            }
        };
        let mut wanted = vec![false; table.columns.len()];
        let mut once = true;
        for at in &columns {
            once &= !std::mem::replace(wanted.get_mut(*at)?, true);
        }
        Some(Lookup {
            layout: table.layout(),
            table,
            locator,
            columns,
            wanted,
            once,
        })
    }

    /// The partition that may have the row, and its key there; `None` when no row has such a key.
    pub fn address(
        &self,
        params: &[Value],
        partitions: u16,
    ) -> Result<Option<(PartitionId, Vec<u8>)>> {
        self.locator.address(params, partitions)
    }

    fn row(&self, payload: &[u8]) -> Result<Row> {
        let mut row = row::decode_some(payload, &self.layout, &self.wanted)?;
        let mut column = |at: &usize| {
            let value = row.get_mut(*at);
            value.map_or(Value::Null, |v| match self.once {
                true => std::mem::take(v),
                false => v.clone(),
            })
        };
        Ok(self.columns.iter().map(&mut column).collect())
    }
}

impl Shard {
    /// The row as a transaction (or nobody's) sees it, if it can be told without waiting; `None` means that `Get` has to be
    /// asked. A call like any other.
    pub fn row_here(
        &self,
        partition: PartitionId,
        what: (&Lookup, &[u8]),
        reader: (Option<Xid>, Ts),
        version: u64,
    ) -> Option<Result<Option<Row>>> {
        let p = self.partitions.get(&partition)?;
        let found = self.look(p, what, reader, version)?;
        self.calls.set(self.calls.get() + 1);
        Some(found)
    }

    fn look(
        &self,
        p: &Partition,
        (lookup, key): (&Lookup, &[u8]),
        (xid, snapshot): (Option<Xid>, Ts),
        version: u64,
    ) -> Option<Result<Option<Row>>> {
        if let Err(stale) = self.live(&lookup.table, version) {
            return Some(Err(stale));
        }
        let row = |payload: Option<&[u8]>| payload.map(|bytes| lookup.row(bytes)).transpose();
        let found = p.read_here(xid, snapshot, lookup.table.tree, key, row)?;
        Some(found.and_then(|row| row))
    }

    pub(super) async fn get(&self, p: &Partition, call: GetCall) -> ShardReply {
        let lookup = &*call.lookup;
        let reader = (Some(call.txn.xid), call.txn.snapshot);
        if let Some(found) = self.look(p, (lookup, &call.key), reader, call.version) {
            return found.map(Reply::Row);
        }
        let payload = Box::pin(p.read(&call.txn, lookup.table.tree, &call.key)).await?;
        // A definition change may have dropped the tree while pages were read.
        if self.live(&lookup.table, call.version).is_err() {
            return Err(stale(&lookup.table));
        }
        let row = payload.map(|bytes| lookup.row(&bytes)).transpose()?;
        Ok(Reply::Row(row))
    }
}
