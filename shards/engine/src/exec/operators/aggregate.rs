//! GROUP BY and aggregates, by hashing.
//!
//! Owns: the groups of one Aggregate operator, from rows (`Complete`, `Partial`) or from shards' partial states (`Final`).
//! Asked by: `build`. Complete and without GROUP BY there is one row even for no input. When the groups fill their memory all of them go
//! to parts on disk as partial groups; each part is then an input of partial groups. A group that is alone in its part
//! writes the rows kept for DISTINCT and ORDER BY as sorted runs. Only the state of one group must fit: 53200.
//! Bounds: groups count against the query's memory; parts are divided `LEVELS_MAX` times.

use super::groups::Groups;
use super::kept::ONE_GROUP;
use super::scope::{Exprs, Scope};
use super::stream::Rows;
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::exec::sieve::Keys;
use crate::exec::spill::{LEVELS_MAX, Parted, Run, Space};
use crate::plan::{Aggregate, AggregateMode};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use types::{Error, Result, Row, RowBatch, Value};

const OPERATOR: &str = "HashAggregate";

pub(crate) struct HashAggregate {
    scope: Scope,
    rows: Rows,
    /// What `rows` are. Parts are partial groups whatever the input was.
    mode: AggregateMode,
    keys: Exprs,
    /// Groups are given as partial ones.
    partial: bool,
    /// Grouping sets whose one group is there before any row.
    seeds: Vec<i32>,
    calls: Vec<Call>,
    groups: Groups,
    /// Group values and arguments at hand.
    key: Row,
    input: Row,
    reservation: Reservation,
    space: Option<Space>,
    /// Partial groups that had no room.
    aside: Option<Parted>,
    /// Parts still to be read, and their level.
    parts: Vec<(Run, u32)>,
    level: u32,
    /// The next group to give out, once all of `rows` is in.
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
        let forms = scope.exec.ctx.session.forms.clone();
        HashAggregate {
            reservation: scope.exec.memory.consumer(OPERATOR),
            scope,
            rows: Rows::live(input),
            mode: spec.mode,
            partial: spec.mode == AggregateMode::Partial,
            keys: Exprs::new(&spec.groups),
            seeds: spec.seeds.clone(),
            calls: spec.aggregates.iter().map(call).collect(),
            groups: Groups::new(&spec.aggregates, &forms),
            key: Row::new(),
            input: Row::new(),
            space: None,
            aside: None,
            parts: Vec::new(),
            level: 0,
            given: None,
        }
    }

    /// Takes all rows in. If that filled the memory there are parts afterwards, and no groups.
    async fn load(&mut self) -> Result<()> {
        if self.keys.is_empty() && !self.partial {
            self.groups.group(&[])?;
        }
        for seed in std::mem::take(&mut self.seeds) {
            let mut key = vec![Value::Null; self.keys.len().saturating_sub(1)];
            key.push(Value::Int4(seed));
            self.groups.group(&key)?;
        }
        while let Some(row) = self.rows.next(&self.scope).await? {
            match self.mode {
                AggregateMode::Complete | AggregateMode::Partial => self.update(&row).await?,
                AggregateMode::Final => self.merge(&row)?,
            }
            self.fit().await?;
        }
        if self.aside.is_some() {
            self.put_aside().await?;
        }
        if let Some(aside) = self.aside.take() {
            let level = aside.level() + 1;
            let runs = aside.finish().await?;
            let filled = runs.into_iter().filter(|r| r.rows() > 0);
            self.parts.extend(filled.map(|r| (r, level)));
        }
        Ok(())
    }

    async fn update(&mut self, row: &[Value]) -> Result<()> {
        let scope = &self.scope;
        scope.row_into(&self.keys, row, &mut self.key).await?;
        let group = self.groups.group(&self.key)?;
        for (i, call) in self.calls.iter().enumerate() {
            if !call.filter.is_empty() && !scope.test(&call.filter, row).await? {
                continue;
            }
            scope.row_into(&call.inputs, row, &mut self.input).await?;
            self.groups.update(group, i, &mut self.input)?;
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

    /// Counts what the groups hold by now; when that is too much, makes room.
    async fn fit(&mut self) -> Result<()> {
        let bytes = self.groups.bytes();
        let held = self.reservation.bytes();
        if bytes <= held {
            return Ok(());
        }
        if self.scope.exec.temp.is_none() {
            return self.reservation.set(bytes);
        }
        if self.reservation.keep(bytes - held) {
            return Ok(());
        }
        if self.groups.len() > 1 && self.level < LEVELS_MAX {
            return self.put_aside().await;
        }
        let space = self.space().await?;
        self.groups.write_runs(&space, &self.scope).await?;
        // What the state of one group is must fit in what the query has.
        self.reservation.rename(ONE_GROUP);
        self.reservation.set(self.groups.bytes())
    }

    /// Moves all groups to parts.
    async fn put_aside(&mut self) -> Result<()> {
        let space = self.space().await?;
        let level = self.level;
        let mut groups = self.groups.take();
        let aside = self.aside.get_or_insert_with(|| Parted::new(&space, level));
        for at in 0..groups.len() {
            groups.put_aside(at, aside, &self.scope).await?;
            self.scope.step(at as u64).await?;
        }
        self.reservation.set(0)
    }

    async fn space(&mut self) -> Result<Space> {
        if self.space.is_none() {
            self.space = Some(self.scope.exec.space(OPERATOR).await?);
        }
        self.space.clone().ok_or_else(super::lost)
    }

    /// The next groups of those in memory.
    async fn give(&mut self, from: usize) -> Result<RowBatch> {
        let mut out = RowBatch::new();
        let mut at = from;
        while at < self.groups.len() && !is_full(&out) {
            let space = self.space.as_ref();
            let row: Row = match self.partial {
                true => self.groups.partial(at)?,
                false => self.groups.finish(at, space, &self.scope).await?,
            };
            out.push(row);
            at += 1;
            if at.is_multiple_of(256) {
                runtime::yield_if_needed().await;
            }
        }
        self.given = Some(at);
        Ok(out)
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        loop {
            let from = match self.given {
                Some(at) => at,
                None => {
                    self.load().await?;
                    0
                }
            };
            let out = self.give(from).await?;
            if !out.is_empty() {
                return Ok(Some(out));
            }
            self.groups.take();
            self.reservation.set(0)?;
            let Some((run, level)) = self.parts.pop() else {
                return Ok(None);
            };
            self.rows = Rows::drain(run);
            (self.mode, self.level) = (AggregateMode::Final, level);
            self.given = None;
        }
    }
}

impl RowSource for HashAggregate {
    /// Of columns that are grouped by: whole groups are left out.
    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        let begun = self.given.is_some() || self.groups.len() > 0;
        if let Some(grouped) = &self.keys.columns
            && !begun
            && self.seeds.is_empty()
            && let Some(columns) = columns.iter().map(|c| grouped.get(*c).copied()).collect()
        {
            let columns: Vec<usize> = columns;
            self.rows.sieve(&columns, keys);
        }
    }

    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
