//! GROUP BY and aggregates, by hashing.
//!
//! Owns: the groups of one Aggregate operator, from rows (`Complete`) or from shards' partial states (`Final`).
//! Asked by: `build`. Never: spills. Without GROUP BY there is one row even for no input. Bounds: groups count against
//! the query's memory.

use super::groups::Groups;
use super::scope::{Exprs, Scope};
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::plan::{Aggregate, AggregateMode};
use futures_util::future::LocalBoxFuture;
use types::{Error, Result, Row, RowBatch, Value};

pub(crate) struct HashAggregate {
    scope: Scope,
    input: Box<dyn RowSource>,
    mode: AggregateMode,
    keys: Exprs,
    calls: Vec<Call>,
    groups: Groups,
    reservation: Reservation,
    /// The next group to give out, once all input is in.
    given: Option<usize>,
}

struct Call {
    /// Arguments, then sort keys.
    inputs: Exprs,
    filter: Exprs,
}

impl HashAggregate {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>, spec: &Aggregate) -> HashAggregate {
        let call = |call: &crate::plan::AggregateCall| Call {
            inputs: Exprs::new(call.args.iter().chain(call.order.iter().map(|k| &k.expr))),
            filter: Exprs::new(&call.filter),
        };
        HashAggregate {
            reservation: scope.exec.memory.consumer("HashAggregate"),
            scope,
            input,
            mode: spec.mode,
            keys: Exprs::new(&spec.groups),
            calls: spec.aggregates.iter().map(call).collect(),
            groups: Groups::new(&spec.aggregates),
            given: None,
        }
    }

    async fn load(&mut self) -> Result<()> {
        if self.keys.is_empty() {
            self.groups.group(&[])?;
        }
        while let Some(batch) = self.input.next().await? {
            (self.scope.exec.check)()?;
            for (i, row) in batch.rows.iter().enumerate() {
                match self.mode {
                    AggregateMode::Complete => self.update(row).await?,
                    AggregateMode::Final => self.merge(row)?,
                }
                if i % 256 == 255 {
                    self.reservation.set(self.groups.bytes())?;
                    runtime::yield_if_needed().await;
                }
            }
            self.reservation.set(self.groups.bytes())?;
        }
        Ok(())
    }

    async fn update(&mut self, row: &[Value]) -> Result<()> {
        let key = self.scope.row(&self.keys, row).await?;
        let group = self.groups.group(&key)?;
        for (i, call) in self.calls.iter().enumerate() {
            if !call.filter.is_empty() && !self.scope.test(&call.filter, row).await? {
                continue;
            }
            let input = self.scope.row(&call.inputs, row).await?;
            self.groups.update(group, i, input)?;
        }
        Ok(())
    }

    fn merge(&mut self, row: &[Value]) -> Result<()> {
        let keys = self.keys.len();
        let (Some(key), Some(states)) = (row.get(..keys), row.get(keys..)) else {
            return Err(Error::internal("a partial group is too short"));
        };
        let group = self.groups.group(key)?;
        for (i, state) in states.iter().enumerate().take(self.calls.len()) {
            self.groups.merge(group, i, state)?;
        }
        Ok(())
    }

    async fn give(&mut self, from: usize) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        let mut at = from;
        while at < self.groups.len() && !is_full(&out) {
            let row: Row = self.groups.finish(at)?;
            out.push(row);
            at += 1;
            if at.is_multiple_of(256) {
                runtime::yield_if_needed().await;
            }
        }
        self.given = Some(at);
        Ok((!out.is_empty()).then_some(out))
    }
}

impl RowSource for HashAggregate {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            let from = match self.given {
                Some(at) => at,
                None => {
                    self.load().await?;
                    0
                }
            };
            self.give(from).await
        })
    }
}
