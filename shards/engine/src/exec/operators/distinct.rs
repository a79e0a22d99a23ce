//! DISTINCT and DISTINCT ON.
//!
//! Owns: the rows seen (DISTINCT, by hashing, in order of first appearance) or the last key (DISTINCT ON over sorted
//! input). Asked by: `build`, and by set operations. Bounds: rows seen count against the query's memory.

use super::RowSource;
use super::rows::{RowSet, same};
use super::scope::{Exprs, Scope};
use crate::exec::memory::Reservation;
use crate::plan::Expr;
use futures_util::future::LocalBoxFuture;
use types::{Result, Row, RowBatch};

pub(crate) struct Distinct {
    scope: Scope,
    input: Box<dyn RowSource>,
    seen: RowSet,
    reservation: Reservation,
}

impl Distinct {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>) -> Distinct {
        Distinct {
            reservation: scope.exec.memory.consumer("HashAggregate"),
            scope,
            input,
            seen: RowSet::default(),
        }
    }
}

impl RowSource for Distinct {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            while let Some(batch) = self.input.next().await? {
                (self.scope.exec.check)()?;
                let mut out = RowBatch::new();
                for (i, row) in batch.rows.into_iter().enumerate() {
                    if self.seen.intern(&row).1 {
                        out.push(row);
                    }
                    if i % 256 == 255 {
                        runtime::yield_if_needed().await;
                    }
                }
                self.reservation.set(self.seen.bytes())?;
                if !out.is_empty() {
                    return Ok(Some(out));
                }
            }
            Ok(None)
        })
    }
}

pub(crate) struct DistinctOn {
    scope: Scope,
    input: Box<dyn RowSource>,
    keys: Exprs,
    last: Option<Row>,
}

impl DistinctOn {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>, keys: &[Expr]) -> DistinctOn {
        DistinctOn {
            scope,
            input,
            keys: Exprs::new(keys),
            last: None,
        }
    }
}

impl RowSource for DistinctOn {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            while let Some(batch) = self.input.next().await? {
                (self.scope.exec.check)()?;
                let mut out = RowBatch::new();
                for (i, row) in batch.rows.into_iter().enumerate() {
                    let key = self.scope.row(&self.keys, &row).await?;
                    if !self.last.as_deref().is_some_and(|last| same(last, &key)) {
                        self.last = Some(key);
                        out.push(row);
                    }
                    if i % 256 == 255 {
                        runtime::yield_if_needed().await;
                    }
                }
                if !out.is_empty() {
                    return Ok(Some(out));
                }
            }
            Ok(None)
        })
    }
}
