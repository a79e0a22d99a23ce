//! The part of a scan that runs where the rows are: filter, projection, partial aggregation.
//!
//! Owns: the rows or groups collected so far for one `Scan` in one partition. Asked by: the shard, which pushes each
//! visible table row and takes batches. Never: reads a page, waits, or sees another partition's rows.
//! Bounds: a batch of `BATCH_ROWS_MAX` rows or `BATCH_BYTES_MAX` bytes, groups of `PARTIAL_BYTES_MAX` bytes (the caller takes
//! either when `batch_full`; groups with the same values are merged where all partitions' meet).

mod batched;
mod top;

use super::Context;
use super::eval::{Env, eval, eval_bool};
use super::operators::groups::Groups;
use crate::codec::pick::Pick;
use crate::codec::row::Layout;
use crate::plan::{AggregateCall, Expr, Scan};
use batched::Batched;
use std::sync::Arc;
use top::First;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, PARTIAL_BYTES_MAX};
use types::{Result, Row, RowBatch, Value};

/// So many rows show whether a sieve is of use.
const SIEVED: u32 = 128;
/// So many rows are taken one by one before it is looked at whether they can be taken together. Few where tests run, whose
/// tables are small.
const SINGLE_MAX: u32 = if cfg!(debug_assertions) { 2 } else { 64 };

/// One scan's work in one partition.
pub struct Fragment {
    scan: Arc<Scan>,
    ctx: Arc<Context>,
    wanted: Vec<bool>,
    pick: Option<Pick>,
    way: Way,
    /// Rows that were looked at and that passed the sieves, while it is open whether they are of use.
    sieved: (u32, u32),
    /// The row at hand.
    row: Row,
    /// The columns that are put out, where that is all that is done and no column comes twice.
    columns: Option<Vec<usize>>,
    /// Group values and arguments at hand.
    key: Row,
    arguments: Row,
    batch: RowBatch,
    rows_out: u64,
    groups: Option<Groups>,
    first: Option<First>,
}

/// How stored rows are taken.
enum Way {
    /// One by one until so many more have come.
    Open(u32),
    Single,
    Batched(Box<Batched>),
}

impl Fragment {
    pub fn new(scan: Arc<Scan>, ctx: Arc<Context>) -> Fragment {
        let wanted = wanted(&scan);
        let columns = scan.project.as_deref().and_then(columns);
        let forms = &ctx.session.forms;
        let partial = scan.partial.as_ref();
        let groups = partial.map(|p| Groups::new(&p.aggregates, forms));
        let first = scan.top.as_ref().map(First::new);
        Fragment {
            scan,
            ctx,
            wanted,
            pick: None,
            way: Way::Open(SINGLE_MAX),
            sieved: (0, 0),
            row: Row::new(),
            columns,
            key: Row::new(),
            arguments: Row::new(),
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
        self.row = row;
        if self.limit_reached() || !self.accepts()? {
            return Ok(());
        }
        self.put()
    }

    /// As `push`, of the bytes of a row, without its address: what the filter does not need is read once it has accepted.
    /// Where rows are many they wait until they can be looked at together.
    pub fn push_stored(&mut self, layout: &Layout, bytes: &[u8]) -> Result<()> {
        match &mut self.way {
            Way::Single => return self.push_single(layout, bytes),
            Way::Open(0) => {
                let batched = Batched::of(&self.scan, &self.wanted, layout, &self.ctx);
                self.way = batched.map_or(Way::Single, |b| Way::Batched(Box::new(b)));
                return self.push_stored(layout, bytes);
            }
            Way::Open(more) => {
                *more -= 1;
                return self.push_single(layout, bytes);
            }
            Way::Batched(batched) => {
                batched.columns.push(bytes)?;
                if !batched.is_full(self.batch.len(), self.batch.bytes) {
                    return Ok(());
                }
            }
        }
        self.settle()
    }

    /// Looks at the rows that wait.
    fn settle(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.way, Way::Single) {
            Way::Batched(mut batched) => {
                let outcome = self.flush(&mut batched);
                self.way = Way::Batched(batched);
                outcome
            }
            other => {
                self.way = other;
                Ok(())
            }
        }
    }

    fn push_single(&mut self, layout: &Layout, bytes: &[u8]) -> Result<()> {
        if self.limit_reached() {
            return Ok(());
        }
        let mut pick = match self.pick.take() {
            Some(pick) => pick,
            None => {
                let mut first = vec![false; self.wanted.len()];
                self.scan.filter.iter().for_each(|e| mark(e, &mut first));
                let sieves = self.scan.sieves.iter().flat_map(|s| &s.columns);
                sieves.for_each(|column| first[*column] = true);
                Pick::new(layout, &first, &self.wanted)
            }
        };
        pick.begin(bytes, &mut self.row)?;
        let accepted = self.accepts()?;
        if accepted {
            pick.finish(bytes, &mut self.row)?;
        }
        self.pick = Some(pick);
        if accepted { self.put() } else { Ok(()) }
    }

    fn accepts(&mut self) -> Result<bool> {
        let env = Env {
            ctx: &self.ctx,
            outer: &[],
        };
        if let Some(filter) = &self.scan.filter
            && !eval_bool(filter, &self.row, &env)?
        {
            return Ok(false);
        }
        Ok(self.scan.sieves.is_empty() || self.passes())
    }

    /// The sieves, unless the first rows have shown that they hold too little back.
    fn passes(&mut self) -> bool {
        if self.is_useless() {
            return true;
        }
        let row = &self.row;
        let passes = self.scan.sieves.iter().all(|sieve| {
            let key = sieve.columns.iter().map(|i| &row[*i]);
            sieve.keys.may_have(key)
        });
        self.note(1, u32::from(passes));
        passes
    }

    /// The sieves hold too little back.
    fn is_useless(&self) -> bool {
        let (looked, passed) = self.sieved;
        looked >= SIEVED && passed > looked / 4 * 3
    }

    /// So many rows were looked at, and so many of them passed.
    fn note(&mut self, looked: u32, passed: u32) {
        if self.sieved.0 < SIEVED {
            self.sieved = (self.sieved.0 + looked, self.sieved.1 + passed);
        }
    }

    /// The row at hand, which the filter has accepted.
    fn put(&mut self) -> Result<()> {
        let env = Env {
            ctx: &self.ctx,
            outer: &[],
        };
        if let Some(groups) = &mut self.groups
            && let Some(partial) = &self.scan.partial
        {
            values(&partial.groups, &self.row, &env, &mut self.key)?;
            let group = groups.group(&self.key)?;
            for (i, call) in partial.aggregates.iter().enumerate() {
                if let Some(filter) = &call.filter
                    && !eval_bool(filter, &self.row, &env)?
                {
                    continue;
                }
                arguments(call, &self.row, &env, &mut self.arguments)?;
                groups.update(group, i, &mut self.arguments)?;
            }
            return Ok(());
        }
        let keys = match (&self.first, &self.scan.top) {
            (Some(first), Some(top)) => {
                let keys = top.keys.iter().map(|k| eval(&k.expr, &self.row, &env));
                let keys = keys.collect::<Result<Row>>()?;
                if !first.wants(&keys) {
                    return Ok(());
                }
                Some(keys)
            }
            _ => None,
        };
        let out = match (&self.columns, &self.scan.project) {
            (Some(columns), _) => {
                let row = &mut self.row;
                let out = columns.iter().map(|i| row.get_mut(*i).map(std::mem::take));
                out.map(Option::unwrap_or_default).collect()
            }
            (None, None) => std::mem::take(&mut self.row),
            (None, Some(exprs)) => {
                let mut out = Row::with_capacity(exprs.len());
                values(exprs, &self.row, &env, &mut out)?;
                out
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
        self.settle()?;
        if let Way::Batched(batched) = &mut self.way {
            batched.forget();
        }
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
        let waiting = match &self.way {
            Way::Batched(batched) => batched.memory(),
            Way::Open(_) | Way::Single => 0,
        };
        self.batch.bytes + groups + waiting + self.first.as_ref().map_or(0, First::bytes)
    }
}

/// Which columns these are, if they are nothing else and each is there once.
fn columns(exprs: &[Expr]) -> Option<Vec<usize>> {
    let column = |e: &Expr| match e {
        Expr::Column(i, _) => Some(*i),
        _ => None,
    };
    let columns: Vec<usize> = exprs.iter().map(column).collect::<Option<_>>()?;
    let mut sorted = columns.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == columns.len()).then_some(columns)
}

fn values(exprs: &[Expr], row: &[Value], env: &Env, out: &mut Row) -> Result<()> {
    out.clear();
    for e in exprs {
        out.push(eval(e, row, env)?);
    }
    Ok(())
}

/// What `Groups::update` takes: arguments, then sort keys.
fn arguments(call: &AggregateCall, row: &[Value], env: &Env, out: &mut Row) -> Result<()> {
    values(&call.args, row, env, out)?;
    for key in &call.order {
        out.push(eval(&key.expr, row, env)?);
    }
    Ok(())
}

/// By column of its table, whether a scan reads it.
pub fn wanted(scan: &Scan) -> Vec<bool> {
    let width = scan.table.columns.len();
    if scan.project.is_none() && scan.partial.is_none() {
        return vec![true; width];
    }
    let mut wanted = vec![false; width];
    let mut mark = |e: &Expr| mark(e, &mut wanted);
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
    let sieves = scan.sieves.iter().flat_map(|s| &s.columns);
    sieves.for_each(|column| wanted[*column] = true);
    wanted
}

fn mark(e: &Expr, columns: &mut [bool]) {
    for column in e.columns() {
        if let Some(slot) = columns.get_mut(column) {
            *slot = true;
        }
    }
}
