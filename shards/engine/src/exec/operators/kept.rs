//! Arguments that an aggregate must see sorted or without repetition, kept until the end of their group.
//!
//! Owns: DISTINCT and ORDER BY inside an aggregate call, and for a group too large for memory its rows as sorted runs on
//! disk. Asked by: `groups`. A kept row has its sort keys first, then the arguments.
//! Bounds: `bytes` counts what is held; runs are the owner's decision.

use super::merge::Merge;
use super::rows::{RowSet, same};
use super::scope::Scope;
use super::sort::Direction;
use super::sorted::sort_by_keys;
use crate::exec::aggregates::accumulator;
use crate::exec::spill::{Run, Space, Writer};
use crate::plan::AggregateCall;
use std::rc::Rc;
use std::sync::Arc;
use types::row::row_bytes;
use types::{Array, DataType, Error, Result, Row, Value};

/// Bytes of rows that travel together as one state.
const CHUNK_BYTES: usize = 64 << 10;

/// What one call wants of its rows.
pub(crate) struct Order {
    func: String,
    distinct: bool,
    /// Sort keys, the first values of a kept row.
    keys: usize,
    args: usize,
    /// By the keys; DISTINCT then by the arguments, as PostgreSQL does, so that repeated ones meet and
    /// `array_agg(DISTINCT x)` is in order.
    directions: Rc<[Direction]>,
    /// Its result does not depend on the order of its rows.
    free: bool,
}

impl Order {
    /// `None`: the call takes its rows as they come.
    pub(crate) fn of(call: &AggregateCall) -> Option<Order> {
        if !call.distinct && call.order.is_empty() {
            return None;
        }
        let all = if call.distinct { call.args.len() } else { 0 };
        let args = std::iter::repeat_n(Direction::ASCENDING, all);
        let name = call.func.split(['_', ':']).next();
        Some(Order {
            free: matches!(name, Some("count" | "min" | "max")),
            func: call.func.clone(),
            distinct: call.distinct,
            keys: call.order.len(),
            args: call.args.len(),
            directions: call.order.iter().map(Direction::of).chain(args).collect(),
        })
    }

    fn args<'a>(&self, row: &'a [Value]) -> &'a [Value] {
        &row[self.keys.min(row.len())..]
    }
}

#[derive(Default)]
pub(crate) struct Kept {
    seen: RowSet,
    rows: Vec<Row>,
    bytes: usize,
    runs: Vec<Run>,
}

impl Kept {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One row's arguments, then its sort keys.
    pub(crate) fn add(&mut self, order: &Order, mut input: Row) {
        let args = order.args.min(input.len());
        input.rotate_left(args);
        self.put(order, input);
    }

    fn put(&mut self, order: &Order, row: Row) {
        if order.distinct {
            let before = self.seen.bytes();
            if !self.seen.intern(order.args(&row)).1 {
                return;
            }
            self.bytes += self.seen.bytes() - before;
        }
        // Once for itself, once for its place in the lists that sorting makes.
        self.bytes += row_bytes(&row) + size_of::<Row>();
        self.rows.push(row);
    }

    /// The rows in memory; they are kept no longer.
    pub(crate) fn take_rows(&mut self) -> Vec<Row> {
        self.seen = RowSet::default();
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    pub(crate) fn take_runs(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.runs)
    }

    /// Adds the rows of a state.
    pub(crate) fn merge(&mut self, order: &Order, state: &Value) -> Result<()> {
        for row in items(state)? {
            self.put(order, items(row)?.to_vec());
        }
        Ok(())
    }

    /// Writes what is held as a sorted run.
    pub(crate) async fn write_run(
        &mut self,
        order: &Order,
        space: &Space,
        scope: &Scope,
    ) -> Result<()> {
        let rows = self.take_rows();
        if rows.is_empty() {
            return Ok(());
        }
        let sorted = sort_by_keys(rows, Vec::as_slice, &order.directions, scope).await?;
        let mut writer = Writer::new(space);
        for row in sorted {
            writer.push(&row).await?;
            scope.step(writer.rows()).await?;
        }
        self.runs.push(writer.finish().await?);
        Ok(())
    }

    /// The aggregate over the rows. `space` is where its runs are.
    pub(crate) async fn finish(
        mut self,
        order: &Order,
        space: Option<&Space>,
        scope: &Scope,
    ) -> Result<Value> {
        let mut result = accumulator(&order.func, &scope.exec.ctx.session.forms)?;
        let Some(space) = space.filter(|_| !self.runs.is_empty()) else {
            let rows = match order.free {
                true => self.rows,
                false => sort_by_keys(self.rows, Vec::as_slice, &order.directions, scope).await?,
            };
            for (at, row) in rows.iter().enumerate() {
                result.update(order.args(row))?;
                scope.step(at as u64).await?;
            }
            return result.finish();
        };
        self.write_run(order, space, scope).await?;
        let runs = self.take_runs();
        let mut merge = Merge::of(runs, &order.directions, space, scope, ONE_GROUP).await?;
        let mut memory = scope.exec.memory.consumer(ONE_GROUP);
        let mut last: Option<Row> = None;
        let mut done = 0;
        while let Some(row) = merge.next().await? {
            let args = order.args(&row);
            let again = last.as_ref().is_some_and(|l| same(order.args(l), args));
            if order.distinct && again {
                continue;
            }
            result.update(args)?;
            memory.set(result.memory())?;
            last = Some(row);
            done += 1;
            scope.step(done).await?;
        }
        result.finish()
    }
}

/// Who is over the budget when the state of a single group does not fit.
pub(crate) const ONE_GROUP: &str = "One group of HashAggregate";

/// Rows become states, each of so many as travel together, as `Kept::merge` takes them.
#[derive(Default)]
pub(crate) struct Chunks {
    rows: Vec<Value>,
    bytes: usize,
}

impl Chunks {
    /// The state that is full with this row.
    pub(crate) fn push(&mut self, row: Row) -> Option<Value> {
        self.bytes += row_bytes(&row);
        self.rows.push(array(row));
        (self.bytes >= CHUNK_BYTES).then(|| self.take())
    }

    /// What is left, as a state.
    pub(crate) fn take(&mut self) -> Value {
        self.bytes = 0;
        array(std::mem::take(&mut self.rows))
    }
}

fn array(items: Vec<Value>) -> Value {
    let element = DataType::Unknown;
    Value::Array(Arc::new(Array { element, items }))
}

fn items(value: &Value) -> Result<&[Value]> {
    match value {
        Value::Array(array) => Ok(&array.items),
        _ => Err(Error::internal(
            "the kept rows of an aggregate are an array",
        )),
    }
}
