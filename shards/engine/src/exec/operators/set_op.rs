//! UNION, INTERSECT and EXCEPT, each with and without ALL.
//!
//! Owns: how often each row of the right input appears. Asked by: `build`. Never: orders its output.
//! Bounds: the right input's different rows count against the query's memory.

use super::RowSource;
use super::distinct::Distinct;
use super::rows::RowSet;
use super::scope::Scope;
use crate::exec::memory::Reservation;
use crate::plan::SetOp;
use futures_util::future::LocalBoxFuture;
use types::{Result, Row, RowBatch};

pub(crate) fn build(
    scope: Scope,
    op: SetOp,
    all: bool,
    left: Box<dyn RowSource>,
    right: Box<dyn RowSource>,
) -> Box<dyn RowSource> {
    let rows: Box<dyn RowSource> = match op {
        SetOp::Union => Box::new(Append {
            left: Some(left),
            right,
        }),
        SetOp::Intersect | SetOp::Except => Box::new(Count {
            reservation: scope.exec.memory.consumer("HashSetOp"),
            scope: scope.clone(),
            except: op == SetOp::Except,
            all,
            left,
            right: Some(right),
            rows: RowSet::default(),
            counts: Vec::new(),
        }),
    };
    if all {
        rows
    } else {
        Box::new(Distinct::new(scope, rows))
    }
}

/// The left rows, then the right ones.
struct Append {
    left: Option<Box<dyn RowSource>>,
    right: Box<dyn RowSource>,
}

impl RowSource for Append {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if let Some(left) = &mut self.left {
                if let Some(batch) = left.next().await? {
                    return Ok(Some(batch));
                }
                self.left = None;
            }
            self.right.next().await
        })
    }
}

/// Left rows by how often the right input has them.
struct Count {
    scope: Scope,
    except: bool,
    all: bool,
    left: Box<dyn RowSource>,
    right: Option<Box<dyn RowSource>>,
    rows: RowSet,
    /// How many right rows are not yet paired with a left one.
    counts: Vec<u64>,
    reservation: Reservation,
}

impl Count {
    async fn load(&mut self, mut right: Box<dyn RowSource>) -> Result<()> {
        while let Some(batch) = right.next().await? {
            (self.scope.exec.check)()?;
            for (i, row) in batch.rows.iter().enumerate() {
                let (at, new) = self.rows.intern(row);
                if new {
                    self.counts.push(0);
                }
                self.counts[at] += 1;
                if i % 256 == 255 {
                    runtime::yield_if_needed().await;
                }
            }
            self.reservation
                .set(self.rows.bytes() + self.counts.len() * 8)?;
        }
        Ok(())
    }

    /// Without ALL only presence counts; `Distinct` above drops repeated rows.
    fn keeps(&mut self, row: &Row) -> bool {
        let Some(at) = self.rows.find(row) else {
            return self.except;
        };
        if !self.all {
            return !self.except;
        }
        let paired = self.counts[at] > 0;
        self.counts[at] -= u64::from(paired);
        paired != self.except
    }
}

impl RowSource for Count {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if let Some(right) = self.right.take() {
                self.load(right).await?;
            }
            while let Some(batch) = self.left.next().await? {
                (self.scope.exec.check)()?;
                let mut out = RowBatch::new();
                for (i, row) in batch.rows.into_iter().enumerate() {
                    if self.keeps(&row) {
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
