//! The first rows of a plan, tried for with one that reads less.
//!
//! Owns: what the try has given, until it is enough. Asked by: `build`. Never: mixes the rows of both plans.
//! Bounds: the rows wanted, counted against the query's memory.

use super::RowSource;
use super::scope::Scope;
use crate::exec::memory::Reservation;
use futures_util::future::LocalBoxFuture;
use std::collections::VecDeque;
use types::{Result, RowBatch};

pub(crate) struct FirstRows {
    first: Option<Box<dyn RowSource>>,
    whole: Option<Box<dyn RowSource>>,
    rows: u64,
    given: VecDeque<RowBatch>,
    held: Reservation,
}

impl FirstRows {
    pub(crate) fn new(
        scope: &Scope,
        first: Box<dyn RowSource>,
        whole: Box<dyn RowSource>,
        rows: u64,
    ) -> FirstRows {
        FirstRows {
            first: Some(first),
            whole: Some(whole),
            rows,
            given: VecDeque::new(),
            held: scope.exec.memory.consumer("First Rows"),
        }
    }

    /// Whether it has given enough.
    async fn tried(&mut self, mut first: Box<dyn RowSource>) -> Result<bool> {
        let mut count = 0;
        while count < self.rows {
            let Some(batch) = first.next().await? else {
                return Ok(false);
            };
            self.held.grow(batch.bytes)?;
            count += batch.len() as u64;
            self.given.push_back(batch);
        }
        Ok(true)
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        if let Some(first) = self.first.take() {
            if self.tried(first).await? {
                self.whole = None;
            } else {
                self.given.clear();
                self.held.shrink(self.held.bytes());
            }
        }
        match &mut self.whole {
            Some(whole) => whole.next().await,
            None => Ok(self.given.pop_front()),
        }
    }
}

impl RowSource for FirstRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
