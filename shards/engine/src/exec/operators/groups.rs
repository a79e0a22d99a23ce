//! Groups and their aggregates: what the Aggregate operator and a shard's partial aggregation share.
//!
//! Owns: one accumulator per group and aggregate, and around it DISTINCT and ORDER BY inside the call. Asked by:
//! `operators::aggregate` and `fragment`. Never: evaluates expressions; callers bring group values and arguments.
//! Bounds: `bytes` counts everything held; the caller refuses at its ceiling.

use super::rows::RowSet;
use super::sort::{Direction, compare_keys};
use crate::exec::aggregates::{Accumulator, accumulator};
use crate::plan::AggregateCall;
use types::row::row_bytes;
use types::{Error, Result, Row, Value, order};

/// All groups of one aggregation.
pub(crate) struct Groups {
    shapes: Vec<Shape>,
    keys: RowSet,
    /// `shapes.len()` for each group, in order.
    states: Vec<State>,
    state_bytes: usize,
}

/// What the states of one aggregate have in common.
struct Shape {
    func: String,
    distinct: bool,
    order: Vec<Direction>,
    args: usize,
}

enum State {
    Direct(Box<dyn Accumulator>, usize),
    /// Arguments kept until the end: DISTINCT drops repeated ones, ORDER BY sorts them.
    Kept(Kept),
}

#[derive(Default)]
struct Kept {
    seen: RowSet,
    /// Arguments, then sort keys.
    rows: Vec<Row>,
    bytes: usize,
}

/// What a box, a vtable and a small accumulator cost.
const STATE_BYTES: usize = 64;

impl Groups {
    pub(crate) fn new(calls: &[AggregateCall]) -> Groups {
        let shape = |call: &AggregateCall| Shape {
            func: call.func.clone(),
            distinct: call.distinct,
            order: call.order.iter().map(Direction::of).collect(),
            args: call.args.len(),
        };
        Groups {
            shapes: calls.iter().map(shape).collect(),
            keys: RowSet::default(),
            states: Vec::new(),
            state_bytes: 0,
        }
    }

    /// The number of the group with these values, made when it is new.
    pub(crate) fn group(&mut self, key: &[Value]) -> Result<usize> {
        let (at, new) = self.keys.intern(key);
        if new {
            for shape in &self.shapes {
                let state = if shape.distinct || !shape.order.is_empty() {
                    State::Kept(Kept::default())
                } else {
                    let accumulator = accumulator(&shape.func)?;
                    let bytes = accumulator.memory();
                    self.state_bytes += bytes;
                    State::Direct(accumulator, bytes)
                };
                self.state_bytes += STATE_BYTES;
                self.states.push(state);
            }
        }
        Ok(at)
    }

    /// One input row of aggregate `call`: its arguments, then its sort keys.
    pub(crate) fn update(&mut self, group: usize, call: usize, input: Row) -> Result<()> {
        let shape = &self.shapes[call];
        match &mut self.states[group * self.shapes.len() + call] {
            State::Direct(accumulator, bytes) => {
                accumulator.update(&input)?;
                let now = accumulator.memory();
                self.state_bytes += now;
                self.state_bytes -= *bytes;
                *bytes = now;
            }
            State::Kept(kept) => {
                let before = kept.bytes;
                kept.add(shape, input);
                self.state_bytes += kept.bytes - before;
            }
        }
        Ok(())
    }

    /// One partial state of aggregate `call`, from a shard.
    pub(crate) fn merge(&mut self, group: usize, call: usize, partial: &Value) -> Result<()> {
        match &mut self.states[group * self.shapes.len() + call] {
            State::Direct(accumulator, bytes) => {
                accumulator.merge(partial)?;
                let now = accumulator.memory();
                self.state_bytes += now;
                self.state_bytes -= *bytes;
                *bytes = now;
                Ok(())
            }
            State::Kept(_) => Err(Error::internal(
                "DISTINCT aggregates have no partial states",
            )),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.bytes() + self.state_bytes
    }

    /// Group `at`: its values, then each aggregate's result.
    pub(crate) fn finish(&mut self, at: usize) -> Result<Row> {
        let mut row = self.keys.row(at).clone();
        let first = at * self.shapes.len();
        for (shape, state) in self.shapes.iter().zip(&mut self.states[first..]) {
            row.push(match state {
                State::Direct(accumulator, _) => accumulator.finish()?,
                State::Kept(kept) => std::mem::take(kept).finish(shape)?,
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
                        "DISTINCT aggregates have no partial states",
                    ));
                }
            });
        }
        Ok(row)
    }
}

impl Kept {
    fn add(&mut self, shape: &Shape, input: Row) {
        if shape.distinct {
            let before = self.seen.bytes();
            let args = &input[..shape.args.min(input.len())];
            if !self.seen.intern(args).1 {
                return;
            }
            self.bytes += self.seen.bytes() - before;
        }
        self.bytes += row_bytes(&input);
        self.rows.push(input);
    }

    /// DISTINCT alone sorts by the arguments, as PostgreSQL does, so that `array_agg(DISTINCT x)` is in order.
    fn finish(self, shape: &Shape) -> Result<Value> {
        let args = shape.args;
        let mut rows = self.rows;
        if shape.order.is_empty() {
            rows.sort_by(|a, b| {
                let pairs = a.iter().zip(b).take(args);
                let mut unequal = pairs.map(|(a, b)| order::compare(a, b));
                unequal
                    .find(|o| o.is_ne())
                    .unwrap_or(std::cmp::Ordering::Equal)
            });
        } else {
            rows.sort_by(|a, b| {
                compare_keys(
                    &a[args.min(a.len())..],
                    &b[args.min(b.len())..],
                    &shape.order,
                )
            });
        }
        let mut accumulator = accumulator(&shape.func)?;
        for row in rows {
            accumulator.update(&row[..args.min(row.len())])?;
        }
        accumulator.finish()
    }
}
