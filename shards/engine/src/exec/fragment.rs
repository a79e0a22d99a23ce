//! The part of a scan that runs where the rows are: filter, projection, partial aggregation.
//!
//! Owns: the rows or groups collected so far for one `Scan` in one partition. Asked by: the shard, which pushes each
//! visible table row and takes batches. Never: reads a page, waits, or sees another partition's rows.
//! Bounds: a batch of `BATCH_ROWS_MAX` rows or `BATCH_BYTES_MAX` bytes, groups of `PARTIAL_BYTES_MAX` bytes (the caller takes
//! either when `batch_full`; groups with the same values are merged where all partitions' meet).

mod top;

use super::Context;
use super::eval::{Env, eval, eval_bool};
use super::operators::groups::Groups;
use crate::plan::{AggregateCall, Partial, Scan};
use std::sync::Arc;
use top::First;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, PARTIAL_BYTES_MAX};
use types::{Result, Row, RowBatch, Value};

/// One scan's work in one partition.
pub struct Fragment {
    scan: Arc<Scan>,
    ctx: Arc<Context>,
    wanted: Vec<bool>,
    batch: RowBatch,
    rows_out: u64,
    groups: Option<Groups>,
    first: Option<First>,
}

impl Fragment {
    pub fn new(scan: Arc<Scan>, ctx: Arc<Context>) -> Fragment {
        let wanted = wanted(&scan);
        let groups = scan.partial.as_ref().map(|p| Groups::new(&p.aggregates));
        let first = scan.top.as_ref().map(First::new);
        Fragment {
            scan,
            ctx,
            wanted,
            batch: RowBatch::new(),
            rows_out: 0,
            groups,
            first,
        }
    }

    /// Which of the table's columns it reads; the others may be left NULL in pushed rows.
    pub fn wanted(&self) -> &[bool] {
        &self.wanted
    }

    /// Whether rows are pushed with their addresses behind their columns.
    pub fn addressed(&self) -> bool {
        self.scan.addressed
    }

    /// One visible row of the table. It is dropped when the filter refuses it or the limit is reached.
    pub fn push(&mut self, row: Row) -> Result<()> {
        if self.limit_reached() {
            return Ok(());
        }
        let env = Env {
            ctx: &self.ctx,
            outer: &[],
        };
        if let Some(filter) = &self.scan.filter
            && !eval_bool(filter, &row, &env)?
        {
            return Ok(());
        }
        if let (Some(groups), Some(partial)) = (&mut self.groups, &self.scan.partial) {
            return collect(groups, partial, &row, &env);
        }
        let keys = match (&self.first, &self.scan.top) {
            (Some(first), Some(top)) => {
                let keys = top.keys.iter().map(|k| eval(&k.expr, &row, &env));
                let keys = keys.collect::<Result<Row>>()?;
                if !first.wants(&keys) {
                    return Ok(());
                }
                Some(keys)
            }
            _ => None,
        };
        let out = match &self.scan.project {
            None => row,
            Some(exprs) => {
                let values = exprs.iter().map(|e| eval(e, &row, &env));
                values.collect::<Result<Row>>()?
            }
        };
        if let (Some(first), Some(keys)) = (&mut self.first, keys) {
            first.push(keys, out);
            return Ok(());
        }
        self.rows_out += 1;
        self.batch.push(out);
        Ok(())
    }

    /// Rows of the table that suffice, if none is refused.
    pub fn limit(&self) -> usize {
        let limit = self.scan.limit.filter(|_| self.groups.is_none());
        limit.map_or(usize::MAX, |n| (n.max(1)).min(usize::MAX as u64) as usize)
    }

    /// Time to `take`.
    pub fn batch_full(&self) -> bool {
        if let Some(groups) = &self.groups {
            return groups.bytes() >= PARTIAL_BYTES_MAX;
        }
        if let Some(first) = &self.first {
            return first.bytes() >= PARTIAL_BYTES_MAX;
        }
        self.batch.len() >= BATCH_ROWS_MAX || self.batch.bytes >= BATCH_BYTES_MAX
    }

    /// No further row can change the result.
    pub fn limit_reached(&self) -> bool {
        self.groups.is_none() && self.scan.limit.is_some_and(|n| self.rows_out >= n)
    }

    /// The rows collected since the last call. Aggregating: the partial groups, which are their values, then a partial state
    /// for each aggregate; no group when no row came.
    pub fn take(&mut self) -> Result<RowBatch> {
        if let Some(groups) = &mut self.groups {
            let groups = groups.take();
            for at in 0..groups.len() {
                self.batch.push(groups.partial(at)?);
            }
        }
        if let Some(first) = &mut self.first {
            first.take().for_each(|row| self.batch.push(row));
        }
        Ok(std::mem::take(&mut self.batch))
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, Groups::bytes);
        self.batch.bytes + groups + self.first.as_ref().map_or(0, First::bytes)
    }
}

fn collect(groups: &mut Groups, partial: &Partial, row: &Row, env: &Env) -> Result<()> {
    let key = partial.groups.iter().map(|e| eval(e, row, env));
    let key = key.collect::<Result<Row>>()?;
    let group = groups.group(&key)?;
    for (i, call) in partial.aggregates.iter().enumerate() {
        if let Some(filter) = &call.filter
            && !eval_bool(filter, row, env)?
        {
            continue;
        }
        groups.update(group, i, arguments(call, row, env)?)?;
    }
    Ok(())
}

/// What `Groups::update` takes: arguments, then sort keys.
fn arguments(call: &AggregateCall, row: &[Value], env: &Env) -> Result<Row> {
    let order = call.order.iter().map(|k| &k.expr);
    call.args
        .iter()
        .chain(order)
        .map(|e| eval(e, row, env))
        .collect()
}

/// By column of its table, whether a scan reads it.
pub fn wanted(scan: &Scan) -> Vec<bool> {
    let width = scan.table.columns.len();
    if scan.project.is_none() && scan.partial.is_none() {
        return vec![true; width];
    }
    let mut wanted = vec![false; width];
    let mut mark = |e: &crate::plan::Expr| {
        for column in e.columns() {
            if let Some(slot) = wanted.get_mut(column) {
                *slot = true;
            }
        }
    };
    scan.filter.iter().for_each(&mut mark);
    scan.project.iter().flatten().for_each(&mut mark);
    let keys = scan.top.iter().flat_map(|t| &t.keys);
    keys.for_each(|k| mark(&k.expr));
    if let Some(partial) = &scan.partial {
        partial.groups.iter().for_each(&mut mark);
        for call in &partial.aggregates {
            let order = call.order.iter().map(|k| &k.expr);
            call.args
                .iter()
                .chain(&call.filter)
                .chain(order)
                .for_each(&mut mark);
        }
    }
    wanted
}
