//! A random sample of a table's rows in one partition, for ANALYZE.
//!
//! Bounds: as many rows as asked for, and `QUERY_BYTES_MAX` bytes: a sample of wide rows is smaller.
//! Source: Vitter 1985, "Random Sampling with a Reservoir" (algorithm R).

use super::call::Reply;
use super::cursor::Cursor;
use super::{Shard, ShardReply};
use crate::catalog::Table;
use crate::codec::row;
use crate::txn::{Partition, TxnRef};
use std::ops::ControlFlow;
use types::limits::QUERY_BYTES_MAX;
use types::{Result, Row};

impl Shard {
    pub(super) async fn sample(
        &self,
        p: &Partition,
        txn: &TxnRef,
        table: &Table,
        rows_max: usize,
    ) -> ShardReply {
        let mut cursor = Cursor::open(p, txn, table.tree, Vec::new(), None).await?;
        let (mut seen, mut bytes) = (0u64, 0usize);
        let mut kept: Vec<Vec<u8>> = Vec::new();
        while cursor
            .run(&mut |_, payload| {
                seen += 1;
                if kept.len() < rows_max && bytes < QUERY_BYTES_MAX {
                    bytes += payload.len();
                    kept.push(payload.to_vec());
                    return Ok(ControlFlow::Continue(()));
                }
                let place = (runtime::random_u64() % seen) as usize;
                if let Some(old) = kept.get_mut(place) {
                    bytes = bytes + payload.len() - old.len();
                    *old = payload.to_vec();
                }
                Ok(ControlFlow::Continue(()))
            })
            .await?
        {}
        let layout = table.layout();
        let rows: Result<Vec<Row>> = kept.iter().map(|p| row::decode(p, &layout)).collect();
        Ok(Reply::Sample { seen, rows: rows? })
    }
}
