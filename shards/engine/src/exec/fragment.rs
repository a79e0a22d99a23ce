//! The part of a scan that runs where the rows are: filter, projection, partial aggregation.
//!
//! Owns: the rows or groups collected so far for one `Scan` in one partition. Asked by: the shard, which pushes each
//! visible table row and takes batches. Never: reads a page, waits, or sees another partition's rows.
//! Bounds: a batch of `BATCH_ROWS_MAX` rows or `BATCH_BYTES_MAX` bytes (the caller takes it when `batch_full`), groups of
//! `QUERY_BYTES_MAX` bytes.

use super::Context;
use crate::plan::Scan;
use std::sync::Arc;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Error, Result, Row, RowBatch};

/// One scan's work in one partition.
pub struct Fragment {
    scan: Arc<Scan>,
    ctx: Arc<Context>,
    wanted: Vec<bool>,
    batch: RowBatch,
    rows_out: u64,
}

impl Fragment {
    pub fn new(scan: Arc<Scan>, ctx: Arc<Context>) -> Fragment {
        let wanted = vec![true; scan.table.columns.len()];
        Fragment {
            scan,
            ctx,
            wanted,
            batch: RowBatch::new(),
            rows_out: 0,
        }
    }

    /// Which of the table's columns it reads; the others may be left NULL in pushed rows.
    pub fn wanted(&self) -> &[bool] {
        &self.wanted
    }

    /// One visible row of the table. It is dropped when the filter refuses it or the limit is reached.
    pub fn push(&mut self, row: Row) -> Result<()> {
        if self.scan.filter.is_some() || self.scan.project.is_some() || self.is_aggregating() {
            let version = self.ctx.catalog.version;
            return Err(Error::unsupported(format!(
                "expressions in a scan (catalog version {version})"
            )));
        }
        if !self.limit_reached() {
            self.rows_out += 1;
            self.batch.push(row);
        }
        Ok(())
    }

    /// Time to `take`.
    pub fn batch_full(&self) -> bool {
        self.batch.len() >= BATCH_ROWS_MAX || self.batch.bytes >= BATCH_BYTES_MAX
    }

    /// No further row can change the result.
    pub fn limit_reached(&self) -> bool {
        self.scan.limit.is_some_and(|n| self.rows_out >= n)
    }

    /// The rows collected since the last call. Empty while aggregating.
    pub fn take(&mut self) -> RowBatch {
        std::mem::take(&mut self.batch)
    }

    /// Its output is partial groups, given by `finish`, rather than rows.
    pub fn is_aggregating(&self) -> bool {
        self.scan.partial.is_some()
    }

    /// The partial groups: their values, then a partial state for each aggregate. Not aggregating: the last rows.
    pub fn finish(&mut self) -> Result<RowBatch> {
        Ok(self.take())
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.batch.bytes
    }
}
