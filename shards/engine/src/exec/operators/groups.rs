//! Groups and their aggregates: what the Aggregate operator and a shard's partial aggregation share.
//!
//! Owns: one accumulator per group and aggregate, or where the call has DISTINCT or ORDER BY the rows it keeps (`kept`).
//! Asked by: `operators::aggregate` and `fragment`. Never: evaluates expressions; callers bring group values and arguments.
//! Partial groups (their values, then a state for each aggregate, NULL for one that has seen nothing) are what shards send
//! and what goes to disk; merged in the order they were made they give what the rows would have given.
//! Bounds: `bytes` counts everything held; the caller spills or refuses at its ceiling.

use super::kept::{Chunks, Kept, Order};
use super::rows::RowSet;
use super::scope::Scope;
use crate::exec::aggregates::{Accumulator, accumulator};
use crate::exec::batch::Column;
use crate::exec::spill::{Parted, Space};
use crate::plan::AggregateCall;
use std::rc::Rc;
use types::text::Forms;
use types::{Error, Result, Row, Value};

/// All groups of one aggregation.
pub(crate) struct Groups {
    shapes: Rc<[Shape]>,
    forms: Forms,
    keys: RowSet,
    /// `shapes.len()` for each group, in order.
    states: Vec<State>,
    state_bytes: usize,
}

/// What the states of one aggregate have in common.
struct Shape {
    func: String,
    order: Option<Order>,
}

enum State {
    Direct(Box<dyn Accumulator>, usize),
    /// Arguments kept until the end: DISTINCT drops repeated ones, ORDER BY sorts them.
    Kept(Box<Kept>),
}

/// What allocating an accumulator, which says its own size, costs beside it.
const STATE_BYTES: usize = 16;

impl Groups {
    pub(crate) fn new(calls: &[AggregateCall], forms: &Forms) -> Groups {
        let shape = |call: &AggregateCall| Shape {
            func: call.func.clone(),
            order: Order::of(call),
        };
        Groups::empty(calls.iter().map(shape).collect(), forms.clone())
    }

    fn empty(shapes: Rc<[Shape]>, forms: Forms) -> Groups {
        Groups {
            shapes,
            forms,
            keys: RowSet::default(),
            states: Vec::new(),
            state_bytes: 0,
        }
    }

    /// Takes all groups; none are left.
    pub(crate) fn take(&mut self) -> Groups {
        let empty = Groups::empty(self.shapes.clone(), self.forms.clone());
        std::mem::replace(self, empty)
    }

    /// The number of the group with these values, made when it is new.
    pub(crate) fn group(&mut self, key: &[Value]) -> Result<usize> {
        let (at, new) = self.keys.intern(key);
        if new {
            for shape in self.shapes.iter() {
                let state = if shape.order.is_some() {
                    State::Kept(Box::default())
                } else {
                    let accumulator = accumulator(&shape.func, &self.forms)?;
                    let bytes = accumulator.memory();
                    self.state_bytes += bytes;
                    State::Direct(accumulator, bytes)
                };
                self.state_bytes += STATE_BYTES + size_of::<State>();
                self.states.push(state);
            }
        }
        Ok(at)
    }

    /// One input row of aggregate `call`: its arguments, then its sort keys. It is taken where it has to be kept.
    pub(crate) fn update(&mut self, group: usize, call: usize, input: &mut Row) -> Result<()> {
        self.change(
            group,
            call,
            |kept, order, input| {
                kept.add(order, std::mem::take(input));
                Ok(())
            },
            |accumulator, input| accumulator.update(input),
            input,
        )
    }

    /// As `update`, of an aggregate that keeps no rows, for these of a column's rows; no column for an aggregate without arguments.
    pub(crate) fn update_many(
        &mut self,
        group: usize,
        call: usize,
        column: Option<&Column<'_>>,
        rows: &[u32],
    ) -> Result<()> {
        self.change(
            group,
            call,
            |_, _, _| Err(super::lost()),
            |accumulator, rows| accumulator.update_many(column, rows),
            rows,
        )
    }

    /// One partial state of aggregate `call`.
    pub(crate) fn merge(&mut self, group: usize, call: usize, partial: &Value) -> Result<()> {
        if partial.is_null() {
            return Ok(());
        }
        self.change(
            group,
            call,
            Kept::merge,
            |accumulator, state| accumulator.merge(state),
            partial,
        )
    }

    fn change<T>(
        &mut self,
        group: usize,
        call: usize,
        keep: impl FnOnce(&mut Kept, &Order, T) -> Result<()>,
        accumulate: impl FnOnce(&mut dyn Accumulator, T) -> Result<()>,
        with: T,
    ) -> Result<()> {
        let shape = &self.shapes[call];
        match (
            &mut self.states[group * self.shapes.len() + call],
            &shape.order,
        ) {
            (State::Direct(accumulator, bytes), _) => {
                accumulate(&mut **accumulator, with)?;
                let now = accumulator.memory();
                self.state_bytes += now;
                self.state_bytes -= *bytes;
                *bytes = now;
            }
            (State::Kept(kept), Some(order)) => {
                let before = kept.bytes();
                keep(kept, order, with)?;
                self.state_bytes += kept.bytes() - before;
            }
            (State::Kept(_), None) => return Err(super::lost()),
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.bytes() + self.state_bytes
    }

    /// Group `at`: its values, then each aggregate's result. `space` is where runs of kept rows are.
    pub(crate) async fn finish(
        &mut self,
        at: usize,
        space: Option<&Space>,
        scope: &Scope,
    ) -> Result<Row> {
        let mut row = self.keys.row(at).clone();
        let first = at * self.shapes.len();
        for (shape, state) in self.shapes.iter().zip(&mut self.states[first..]) {
            row.push(match (state, &shape.order) {
                (State::Direct(accumulator, _), _) => accumulator.finish()?,
                (State::Kept(kept), Some(order)) => {
                    let kept = std::mem::take(kept);
                    kept.finish(order, space, scope).await?
                }
                (State::Kept(_), None) => return Err(super::lost()),
            });
        }
        Ok(row)
    }

    /// Group `at`: its values, then each aggregate's partial state.
    pub(crate) fn partial(&self, at: usize) -> Result<Row> {
        let mut row = self.keys.row(at).clone();
        let first = at * self.shapes.len();
        for state in self.states[first..].iter().take(self.shapes.len()) {
            row.push(match state {
                State::Direct(accumulator, _) => accumulator.partial(),
                State::Kept(_) => {
                    return Err(Error::internal(
                        "shards make no partial states of DISTINCT aggregates",
                    ));
                }
            });
        }
        Ok(row)
    }

    /// Group `at` as partial groups, to its part.
    pub(crate) async fn put_aside(
        &mut self,
        at: usize,
        aside: &mut Parted,
        scope: &Scope,
    ) -> Result<()> {
        let key = self.keys.row(at);
        let part = aside.part(key);
        let width = self.shapes.len();
        let states = &mut self.states[at * width..][..width];
        let mut row = key.clone();
        row.extend(states.iter().map(|state| match state {
            State::Direct(accumulator, _) => accumulator.partial(),
            State::Kept(_) => Value::Null,
        }));
        aside.push(part, &row).await?;
        for (call, state) in states.iter_mut().enumerate() {
            let State::Kept(kept) = state else {
                continue;
            };
            let place = key.len() + call;
            row.truncate(key.len());
            row.resize(key.len() + width, Value::Null);
            let mut chunks = Chunks::default();
            // What is on disk came before what is in memory.
            for run in kept.take_runs() {
                let mut reader = run.drain();
                while let Some(kept) = reader.next().await? {
                    if let Some(chunk) = chunks.push(kept) {
                        row[place] = chunk;
                        aside.push(part, &row).await?;
                    }
                }
                (scope.exec.check)()?;
            }
            for kept in kept.take_rows() {
                if let Some(chunk) = chunks.push(kept) {
                    row[place] = chunk;
                    aside.push(part, &row).await?;
                }
            }
            row[place] = chunks.take();
            aside.push(part, &row).await?;
        }
        Ok(())
    }

    /// Writes all kept rows as sorted runs.
    pub(crate) async fn write_runs(&mut self, space: &Space, scope: &Scope) -> Result<()> {
        let orders = self.shapes.iter().map(|s| &s.order).cycle();
        for (state, order) in self.states.iter_mut().zip(orders) {
            if let (State::Kept(kept), Some(order)) = (state, order) {
                let before = kept.bytes();
                kept.write_run(order, space, scope).await?;
                self.state_bytes -= before - kept.bytes();
            }
        }
        Ok(())
    }
}
