//! WITH RECURSIVE: the rows of a query, then those that it makes of them, round after round.
//!
//! Owns: the rows of the round before, which the step reads, and those of this one. Asked by: `build`. Never: begins a round
//! before its reader wants one: a LIMIT ends a recursion that would not end.
//! Bounds: two rounds' rows, which spill as `Spool` does; UNION without ALL keeps every different row and ends in 53200.
//! Source: PostgreSQL 15 `nodeRecursiveunion.c`.

use super::rows::RowSet;
use super::scope::Scope;
use super::spool::Spool;
use super::with::Rows;
use super::{RowSource, build};
use crate::exec::memory::Reservation;
use crate::plan::Recursive;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use types::{Result, RowBatch};

const OPERATOR: &str = "Recursive Union";

pub(super) struct Rounds {
    scope: Scope,
    spec: Recursive,
    source: Option<Box<dyn RowSource>>,
    /// What the round before has brought; the step reads it.
    before: Option<Rc<Rows>>,
    /// What this round has brought.
    found: Spool,
    seen: RowSet,
    memory: Reservation,
}

impl Rounds {
    pub(super) fn new(scope: Scope, spec: &Recursive) -> Result<Rounds> {
        let source = build(&spec.base, &scope.exec, &scope.outer)?;
        Ok(Rounds {
            found: Spool::new(&scope, OPERATOR),
            memory: scope.exec.memory.consumer(OPERATOR),
            scope,
            spec: spec.clone(),
            source: Some(source),
            before: None,
            seen: RowSet::default(),
        })
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        while let Some(source) = &mut self.source {
            let Some(batch) = source.next().await? else {
                self.source = self.next_round().await?;
                continue;
            };
            (self.scope.exec.check)()?;
            let mut out = RowBatch::new();
            for (i, row) in batch.rows.into_iter().enumerate() {
                self.scope.step(i as u64).await?;
                if self.spec.distinct && !self.seen.intern(&row).1 {
                    continue;
                }
                self.memory.set(self.seen.bytes())?;
                self.found.push(row.clone()).await?;
                out.push(row);
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    /// The step over what the last round has brought; `None` when that was nothing.
    async fn next_round(&mut self) -> Result<Option<Box<dyn RowSource>>> {
        if self.found.end() == 0 {
            return Ok(None);
        }
        (self.scope.exec.check)()?;
        runtime::yield_if_needed().await;
        let empty = Spool::new(&self.scope, OPERATOR);
        let rows = Rows::of(std::mem::replace(&mut self.found, empty));
        self.scope.exec.shared.set(self.spec.id, &rows);
        self.before = Some(rows);
        build(&self.spec.step, &self.scope.exec, &self.scope.outer).map(Some)
    }
}

impl RowSource for Rounds {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
