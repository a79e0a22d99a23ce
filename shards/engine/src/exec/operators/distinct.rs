//! DISTINCT and DISTINCT ON.
//!
//! Owns: the rows seen (DISTINCT, by hashing, in order of first appearance) or the last key (DISTINCT ON over sorted
//! input). Asked by: `build`, and by set operations. When the rows seen fill their memory they stay, so that later ones like
//! them are still dropped, and rows not seen go to parts on disk; each part is then an input of its own.
//! Bounds: rows seen count against the query's memory.

use super::rows::{RowSet, same};
use super::scope::{Exprs, Scope};
use super::stream::Rows;
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::exec::spill::{self, Parted, Run, Space};
use crate::plan::Expr;
use futures_util::future::LocalBoxFuture;
use types::{Result, Row, RowBatch};

const OPERATOR: &str = "HashAggregate";

pub(crate) struct Distinct {
    scope: Scope,
    rows: Rows,
    seen: RowSet,
    reservation: Reservation,
    space: Option<Space>,
    /// Rows that are not among those seen, once there is no more room.
    aside: Option<Parted>,
    /// Parts still to be read, and their level.
    parts: Vec<(Run, u32)>,
    level: u32,
}

impl Distinct {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>) -> Distinct {
        Distinct {
            reservation: scope.exec.memory.consumer(OPERATOR),
            scope,
            rows: Rows::live(input),
            seen: RowSet::default(),
            space: None,
            aside: None,
            parts: Vec::new(),
            level: 0,
        }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if !out.is_empty() && self.rows.at_batch_end() {
                break;
            }
            match self.rows.next(&self.scope).await? {
                Some(row) => {
                    if self.is_new(&row).await? {
                        out.push(row);
                    }
                }
                None if self.next_part().await? => {}
                None => break,
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    /// Not seen before, as far as that is known yet.
    async fn is_new(&mut self, row: &Row) -> Result<bool> {
        if let Some(aside) = &mut self.aside {
            if self.seen.find(row).is_none() {
                aside.push(aside.part(row), row).await?;
            }
            return Ok(false);
        }
        if !self.seen.intern(row).1 {
            return Ok(false);
        }
        let more = self.seen.bytes() - self.reservation.bytes();
        let can_spill = self.scope.exec.temp.is_some();
        if !spill::keep(&mut self.reservation, more, can_spill)? {
            self.reservation.grow(more)?;
            let space = match self.space.take() {
                Some(space) => space,
                None => self.scope.exec.space(OPERATOR).await?,
            };
            self.aside = Some(Parted::new(&space, self.level));
            self.space = Some(space);
        }
        Ok(true)
    }

    /// Goes on with what was put aside; `false` when there is nothing.
    async fn next_part(&mut self) -> Result<bool> {
        self.seen = RowSet::default();
        self.reservation.set(0)?;
        if let Some(aside) = self.aside.take() {
            let level = aside.level() + 1;
            let runs = aside.finish().await?;
            let filled = runs.into_iter().filter(|r| r.rows() > 0);
            self.parts.extend(filled.map(|r| (r, level)));
        }
        let Some((run, level)) = self.parts.pop() else {
            self.rows = Rows::nothing();
            return Ok(false);
        };
        self.rows = Rows::drain(run);
        self.level = level;
        Ok(true)
    }
}

impl RowSource for Distinct {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
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
